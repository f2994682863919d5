"""Aggregates made from the stream as it is written, without asking the store again."""

from dataclasses import dataclass, replace

import numpy as np

from ingest.model import Int32s, Int64s, Quality, ReadingBatch
from ingest.rollups import FIRST, Aggregates, Level
from ingest.store import TRUSTED

_LAST = -FIRST
_PATIENCE_US = 3_600_000_000
_COUNTS = np.array([quality in TRUSTED for quality in Quality], np.bool_)  # by Quality


def stable_order(sensor: Int32s) -> Int64s:
    """``argsort(sensor, kind="stable")`` at a third of the time: keys without equals can be sorted in place."""
    bits = len(sensor).bit_length()
    keys = (sensor.astype(np.int64) << bits) + np.arange(len(sensor))
    keys.sort()
    return keys & ((1 << bits) - 1)


@dataclass(frozen=True, slots=True)
class Stretches:
    """What must be computed anew: of each sensor the stretches from from_us to to_us (excluded)."""

    sensor: Int32s
    from_us: Int64s
    to_us: Int64s

    def __len__(self) -> int:
        return len(self.sensor)


class Accumulator:
    """One open stretch of a level for each sensor; 65 bytes a sensor.

    A sensor's stretch is closed by its first reading of a later one, or by ``close``. What is not newer than the
    sensor's newest reading (late, or written a second time) and what belongs to a closed stretch is not counted here:
    its stretch is *stale*, and is computed anew from what is kept. So what comes out is right whatever came in.
    """

    def __init__(self, level: Level, sensors: int) -> None:
        self.level = level
        self._at = np.full(sensors, FIRST, np.int64)
        self._open = np.zeros(sensors, np.bool_)
        self._newest = np.full(sensors, FIRST, np.int64)
        self._total = np.zeros(sensors)
        self._low = np.zeros(sensors)
        self._high = np.zeros(sensors)
        self._count = np.zeros(sensors, np.int64)
        self._worst = np.zeros(sensors, np.uint8)
        self._stale_from = np.full(sensors, _LAST, np.int64)
        self._stale_to = np.full(sensors, FIRST, np.int64)
        self._closed: list[Aggregates] = []

    def begin(self, from_us: int, to_us: int) -> None:
        """Begin in the midst of things: of all sensors the stretches from one time to another are stale."""
        self._stale_from[:], self._stale_to[:], self._newest[:] = from_us, to_us, to_us - 1

    def add(self, batch: ReadingBatch) -> None:
        """Count readings."""
        counts = _COUNTS[batch.quality]
        total = low = high = batch.value
        if not counts.all():
            total, low, high = (np.where(counts, batch.value, other) for other in (0.0, np.inf, -np.inf))
        self._add(Aggregates(batch.sensor, batch.event_us, total, low, high, counts.astype(np.int64), batch.quality))

    def gather(self, finer: Aggregates) -> None:
        """Count aggregates of a finer level."""
        self._add(replace(finer, mean=finer.mean * finer.count))

    def _add(self, rows: Aggregates) -> None:
        """Count rows; at_us is any time in a stretch, mean a total."""
        if len(rows) == 0:
            return
        sensor, time = rows.sensor, rows.at_us
        order = stable_order(sensor)
        sensor, time = sensor[order], time[order]
        late = self._late(sensor, time)
        if late.any():
            self.spoil(sensor[late], time[late])
            order, sensor, time = order[~late], sensor[~late], time[~late]
            if len(sensor) == 0:
                return
        at = time - time % self.level.width_us
        first = np.r_[True, np.diff(sensor) != 0]
        begin = np.flatnonzero(first | np.r_[True, np.diff(at) != 0])
        rows = Aggregates(
            sensor[begin],
            at[begin],
            np.add.reduceat(rows.mean[order], begin),
            np.minimum.reduceat(rows.low[order], begin),
            np.maximum.reduceat(rows.high[order], begin),
            np.add.reduceat(rows.count[order], begin),
            np.maximum.reduceat(rows.quality[order], begin),
        )
        starts = first[begin]
        if starts.all():
            self._merge(rows)
            return
        place = np.arange(len(begin))
        rank = place - np.maximum.accumulate(np.where(starts, place, 0))  # 0 for a sensor's first stretch, then 1...
        for number in range(int(rank.max()) + 1):
            self._merge(rows.take(np.flatnonzero(rank == number)))

    def _late(self, sensor: Int32s, time: Int64s) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which rows (in order of sensor) are not newer than all before; a sensor out of order is so as a whole."""
        late = time <= self._newest[sensor]
        same = sensor[1:] == sensor[:-1]
        disordered = sensor[1:][same & (time[1:] <= time[:-1])]
        if len(disordered):
            late |= np.isin(sensor, disordered)
        begin = np.flatnonzero(np.r_[True, ~same])
        whose = sensor[begin]
        self._newest[whose] = np.maximum(self._newest[whose], np.maximum.reduceat(time, begin))
        return late

    def _merge(self, rows: Aggregates) -> None:
        """Take over one row for each of some sensors. Its mean is a total here."""
        sensor = rows.sensor
        at = self._at[sensor]
        shut = (rows.at_us == at) & ~self._open[sensor]
        if shut.any():
            self.spoil(sensor[shut], rows.at_us[shut])
            rows = rows.take(np.flatnonzero(~shut))
            sensor, at = rows.sensor, at[~shut]
        new = rows.at_us != at
        if new.any():
            fresh = sensor[new]
            self._shut(fresh[self._open[fresh]])
            self._at[fresh], self._open[fresh] = rows.at_us[new], True
            self._total[fresh], self._low[fresh], self._high[fresh] = 0.0, np.inf, -np.inf
            self._count[fresh], self._worst[fresh] = 0, 0
        self._total[sensor] += rows.mean
        self._low[sensor] = np.minimum(self._low[sensor], rows.low)
        self._high[sensor] = np.maximum(self._high[sensor], rows.high)
        self._count[sensor] += rows.count
        self._worst[sensor] = np.maximum(self._worst[sensor], rows.quality)

    def _shut(self, sensors: Int32s) -> None:
        self._open[sensors] = False
        told = sensors[self._count[sensors] > 0]
        low, high, count = self._low[told], self._high[told], self._count[told]
        mean = np.clip(self._total[told] / count, low, high)
        self._closed.append(Aggregates(told, self._at[told], mean, low, high, count, self._worst[told]))

    def close(self, before_us: int) -> Aggregates:
        """Close what ended by a time (a beginning of a stretch); returns all that was closed since the last call."""
        self._shut(np.flatnonzero(self._open & (self._at < before_us)).astype(np.int32))
        closed, self._closed = self._closed, []
        return Aggregates.joined(closed)

    def spoil(self, sensor: Int32s, time: Int64s, until_us: Int64s | None = None) -> None:
        """Note that the stretches at some times (up to until_us, where given) are stale."""
        at = time - time % self.level.width_us
        until = at + self.level.width_us if until_us is None else until_us
        np.minimum.at(self._stale_from, sensor, at)
        np.maximum.at(self._stale_to, sensor, until)

    def stale(self, before_us: int, most: int) -> Stretches:
        """Take the stale stretches that ended by a time, of at most so many sensors; later ones stay stale.

        A sensor with both is waited for up to an hour, so that it need be done only once.
        """
        ready = (self._stale_to <= before_us) | (self._stale_from < before_us - _PATIENCE_US)
        sensors = np.flatnonzero((self._stale_from < before_us) & ready)[:most].astype(np.int32)
        taken = Stretches(sensors, self._stale_from[sensors], np.minimum(self._stale_to[sensors], before_us))
        left = self._stale_to[sensors] > before_us
        self._stale_from[sensors] = np.where(left, before_us, _LAST)
        self._stale_to[sensors] = np.where(left, self._stale_to[sensors], FIRST)
        return taken

    def first_stale_us(self, sensor: int | None = None) -> int:
        """The first stale stretch of a sensor, or of all; later than any time where there is none."""
        return int(self._stale_from[sensor] if sensor is not None else self._stale_from.min(initial=_LAST))
