"""Aggregates of 5 minutes and of an hour: what they hold, when they are complete, which of them a chart is drawn from.

Only trusted readings count (``ingest.store.TRUSTED``); ``quality`` is the worst of all readings of the stretch, trusted
or not. A stretch without a trusted reading has no aggregate. Stretches are aligned to UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from config.settings import Retention
from ingest.model import Float64s, Int32s, Int64s, Series, Uint8s

DAY_US = 86_400_000_000
SETTLE_US = 120_000_000
"""A stretch is closed this long after its end; what comes later makes it be computed anew."""

FIRST = -(2**62)
"""Earlier than any time there is."""

EFFORT = 20
"""Most rows read for each point that a chart asks for, before a coarser level is taken."""


@dataclass(frozen=True, slots=True)
class Level:
    """One width of aggregates. name: of the place where they are kept."""

    name: str
    width_us: int

    def floor(self, time_us: int) -> int:
        """The beginning of the stretch that holds a time."""
        return time_us - time_us % self.width_us

    def ceil(self, time_us: int) -> int:
        """The first beginning not before a time."""
        return self.floor(time_us + self.width_us - 1)

    def kept_us(self, retention: Retention) -> int:
        """How long its aggregates are kept, microseconds."""
        days = retention.five_minutes_days if self is FIVE_MINUTES else retention.hours_days
        return round(days * DAY_US)


FIVE_MINUTES = Level("five_minutes", 300_000_000)
HOURS = Level("hours", 3_600_000_000)
LEVELS = (FIVE_MINUTES, HOURS)


def raw_us(retention: Retention) -> int:
    """How long every reading is kept, microseconds."""
    return round(retention.raw_days * DAY_US)


@dataclass(frozen=True, slots=True)
class Aggregates:
    """Aggregates as columns of one length. at_us: beginning of the stretch. count: trusted readings, at least one."""

    sensor: Int32s
    at_us: Int64s
    mean: Float64s
    low: Float64s
    high: Float64s
    count: Int64s
    quality: Uint8s

    def __len__(self) -> int:
        return len(self.sensor)

    @staticmethod
    def joined(parts: Sequence["Aggregates"]) -> "Aggregates":
        """Several one after the other."""
        whole = [np.concatenate([getattr(part, name) for part in (_NONE, *parts)]) for name in _COLUMNS]
        return Aggregates(*whole)

    def take(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> "Aggregates":
        """The rows at some positions."""
        return Aggregates(*(getattr(self, name)[rows] for name in _COLUMNS))

    def folded(self, level: Level) -> "Aggregates":
        """Gathered into the stretches of a level, in order of sensor and time."""
        if len(self) == 0:
            return self
        at_us = self.at_us - self.at_us % level.width_us
        order = np.lexsort((at_us, self.sensor))
        sensor, at_us = self.sensor[order], at_us[order]
        begin = np.flatnonzero(np.r_[True, (np.diff(sensor) != 0) | (np.diff(at_us) != 0)])
        count = np.add.reduceat(self.count[order], begin)
        low = np.minimum.reduceat(self.low[order], begin)
        high = np.maximum.reduceat(self.high[order], begin)
        mean = np.add.reduceat((self.mean * self.count)[order], begin) / count
        worst = np.maximum.reduceat(self.quality[order], begin)
        return Aggregates(sensor[begin], at_us[begin], np.clip(mean, low, high), low, high, count, worst)


_COLUMNS = ("sensor", "at_us", "mean", "low", "high", "count", "quality")
_NO_NUMBERS, _NO_TIMES = np.empty(0), np.empty(0, np.int64)
_NONE = Aggregates(
    np.empty(0, np.int32), _NO_TIMES, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, _NO_TIMES, np.empty(0, np.uint8)
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is to draw from. raw_us: readings are kept from then on.

    five_from_us: aggregates of 5 minutes are kept from then on. five_done_us, hours_done_us: all stretches before are
    aggregated; FIRST where none is. since_us: what is older was never aggregated (a beginning of an hour).
    """

    raw_us: int
    five_from_us: int
    five_done_us: int = FIRST
    hours_done_us: int = FIRST
    since_us: int = FIRST

    @staticmethod
    def at(now_us: int, retention: Retention, five_done_us: int, hours_done_us: int, since_us: int = FIRST) -> "Kept":
        """What a store keeps at a time."""
        five = now_us - FIVE_MINUTES.kept_us(retention)
        return Kept(now_us - raw_us(retention), five, five_done_us, hours_done_us, since_us)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a chart and what it is drawn from (level None: the readings themselves)."""

    level: Level | None
    from_us: int
    to_us: int


def pieces(from_us: int, to_us: int, max_points: int, interval_s: float, kept: Kept) -> list[Piece]:
    """What a chart of from_us <= time < to_us is drawn from, oldest first, without gap or overlap.

    The finest level is taken that costs at most ``EFFORT`` rows for each of max_points; where it is kept no more, a
    coarser one; what is not aggregated yet is drawn from a finer one. Seams lie between two stretches of the coarser.
    """
    span, affordable = to_us - from_us, EFFORT * max_points
    interval_us = max(1, round(interval_s * 1e6))
    if span // interval_us <= affordable:
        five, raw = HOURS.ceil(kept.five_from_us), FIVE_MINUTES.ceil(kept.raw_us)
    elif span // max(FIVE_MINUTES.width_us, interval_us) <= affordable:
        five, raw = HOURS.ceil(kept.five_from_us), kept.five_done_us
    else:
        five, raw = kept.hours_done_us, kept.five_done_us
    raw = min(raw, kept.five_done_us)
    if five >= raw:  # aggregates of 5 minutes are not made yet, or kept no longer than readings: hours, then readings
        five = raw = min(HOURS.ceil(raw), kept.hours_done_us)
    else:
        five = min(five, kept.hours_done_us, HOURS.floor(raw))
    begin = max(from_us, min(kept.since_us, to_us))
    whole = (
        Piece(None, from_us, begin),
        Piece(HOURS, begin, min(to_us, five)),
        Piece(FIVE_MINUTES, max(begin, five), min(to_us, raw)),
        Piece(None, max(begin, raw), to_us),
    )
    return [piece for piece in whole if piece.from_us < piece.to_us]


class Watermark:
    """Up to which time of receipt everything has been written, as far as can be told from what was.

    Readings are written in order of receipt, but on several ways, of which one may lag behind: the slowest counts. If
    nothing has been written since it was last asked (the store was away), it stays where the fastest was.
    """

    def __init__(self) -> None:
        self._slowest_us: int | None = None
        self.newest_us = FIRST

    def wrote(self, received_us: int) -> None:
        """Note the newest time of receipt of a batch that has been written."""
        self._slowest_us = received_us if self._slowest_us is None else min(self._slowest_us, received_us)
        self.newest_us = max(self.newest_us, received_us)

    def known_us(self, now_us: int) -> int:
        """The mark, not after now; begins to look for the slowest anew. Now, where nothing has ever been written."""
        if self.newest_us == FIRST:
            return now_us
        mark, self._slowest_us = self.newest_us if self._slowest_us is None else self._slowest_us, None
        return min(now_us, mark)


@dataclass(frozen=True, slots=True)
class Points:
    """Points of a chart in order of time, and how many trusted readings each stands for."""

    event_us: Int64s
    mean: Float64s
    low: Float64s
    high: Float64s
    count: Int64s


def drawn(parts: Sequence[Points], from_us: int, max_points: int) -> Series:
    """The parts of a chart one after the other, thinned to at most max_points.

    Two points of one time (the last of one part, the first of the next) do not occur: parts do not overlap. A point
    that begins before from_us is drawn there.
    """
    time = np.maximum(np.concatenate([np.empty(0, np.int64), *(part.event_us for part in parts)]), from_us)
    mean = np.concatenate([np.empty(0), *(part.mean for part in parts)])
    low = np.concatenate([np.empty(0), *(part.low for part in parts)])
    high = np.concatenate([np.empty(0), *(part.high for part in parts)])
    if len(time) <= max_points:
        return Series(time, mean, low, high)
    count = np.concatenate([part.count for part in parts])
    width = -(-(int(time[-1]) - int(time[0]) + 1) // max_points)
    begin = np.flatnonzero(np.diff((time - time[0]) // width, prepend=-1))
    low, high = np.minimum.reduceat(low, begin), np.maximum.reduceat(high, begin)
    thinned = np.add.reduceat(mean * count, begin) / np.add.reduceat(count, begin)
    return Series(time[begin], np.clip(thinned, low, high), low, high)
