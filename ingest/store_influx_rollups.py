"""Keeps the aggregates of an InfluxDB: made from the stream, computed anew from the readings where that was not whole.

Continuous queries and tasks miss what comes later than their window, and cost the server 0.2 ms a series and window
(18 s of CPU for 90,000 series, measured with 1.6.7); here the server is asked only for what came late.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from config.city import City
from config.errors import GridwhistleError
from config.settings import Retention
from ingest.line_protocol import LineFormatter, Lines
from ingest.model import ReadingBatch
from ingest.rollups import FIRST, FIVE_MINUTES, HOURS, SETTLE_US, Aggregates, Kept, Level, Watermark, raw_us
from ingest.store_accumulate import Accumulator, Stretches

_AHEAD_US = 120_000_000  # devices' clocks may be so much ahead of ours (settings.ingest.future_s by default)
_SENSORS_A_QUERY = 200
_SENSORS_A_CALL = 20_000

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Aggregates are right from since_us to five_us and hours_us; there are none before."""

    since_us: int
    five_us: int
    hours_us: int


class Place(Protocol):
    """An InfluxDB as the aggregates see it. All calls raise GridwhistleError."""

    def select(self, level: Level | None, statements: Sequence[str]) -> list[Rows]:
        """The rows that each statement found, where a level (None: the readings) is kept. Times in microseconds."""
        ...

    def source(self, level: Level | None, quantity: str) -> str:
        """What stands behind FROM for a quantity's readings or aggregates."""
        ...

    def put(self, level: Level, lines: Lines) -> None:
        """Write aggregates."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether it was made by us in this run."""
        ...

    def checkpoint(self) -> Checkpoint | None:
        """What was kept last; None where nothing was."""
        ...

    def keep_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep it durably."""
        ...


def text(value: str) -> str:
    """A text literal of InfluxQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name(value: str) -> str:
    """An identifier of InfluxQL."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class InfluxRollups:
    """The aggregates of one InfluxDB.

    The checkpoint kept there says up to when every aggregate is right; a write of something older moves it back before
    it is sent. After a start, whatever became of the last run, all stretches from the checkpoint on are computed anew.

    Thread safety: ``before`` and ``after`` in one thread, ``maintain`` in another, ``kept`` in any.
    """

    def __init__(self, city: City, retention: Retention, lines: LineFormatter, place: Place) -> None:
        self._sensors = city.columns
        self._retention = retention
        self._lines = lines
        self._place = place
        self._turn = threading.Lock()  # held while readings are written, and while it is settled what is closed
        self._maintaining = threading.Lock()
        self._levels: tuple[Accumulator, Accumulator] | None = None
        self._closed = [FIRST, FIRST]
        self._checkpoint: Checkpoint | None = None  # not known yet
        self._oldest_us, self._youngest_us = -FIRST, FIRST  # event times written in this run
        self._mark = Watermark()
        self._now_us = FIRST

    @property
    def turn(self) -> threading.Lock:
        """To be held from ``before`` to ``after``."""
        return self._turn

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Up to when aggregates are right; None where that is not known."""
        return self._checkpoint

    def before(self, batch: ReadingBatch) -> None:
        """Prepare for a crash while readings are written. Raises GridwhistleError."""
        if self._checkpoint is None or len(batch) == 0:
            return
        oldest = FIVE_MINUTES.floor(int(batch.event_us.min()))
        if oldest < self._checkpoint.five_us:
            self._keep(oldest, min(self._checkpoint.hours_us, HOURS.floor(oldest)))

    def after(self, batch: ReadingBatch) -> None:
        """Count readings that were written."""
        if len(batch):
            self._mark.wrote(int(batch.received_us.max()))
            self._oldest_us = min(self._oldest_us, int(batch.event_us.min()))
            self._youngest_us = max(self._youngest_us, int(batch.event_us.max()))
        if self._levels is not None:
            self._levels[0].add(batch)

    def resume(self) -> None:
        """Learn what earlier runs have done. Raises GridwhistleError."""
        if self._checkpoint is None and (kept := self._place.checkpoint()) is not None:
            self._checkpoint = kept
            self._closed = [kept.five_us, kept.hours_us]

    def maintain(self, now_us: int) -> None:
        """Write what is complete. Raises GridwhistleError; what could not be done is done by a later call."""
        with self._maintaining:
            with self._turn:
                self._now_us = now_us
                known = self._mark.known_us(now_us)
                five, hours = self._begun(known, now_us)
                until = FIVE_MINUTES.floor(known - SETTLE_US)
                fresh, again = five.close(until), five.stale(until, _SENSORS_A_CALL)
            self._settle(five, fresh, again)
            hours.gather(fresh)
            hours.spoil(again.sensor, again.from_us, again.to_us)
            self._closed[0] = until  # may go back: what is open from there on is in no aggregate yet
            until = HOURS.floor(until)
            self._settle(hours, hours.close(until), hours.stale(until, _SENSORS_A_CALL))
            self._closed[1] = until
            with self._turn:
                done = min(self._closed[0], five.first_stale_us())
                self._keep(done, min(self._closed[1], hours.first_stale_us(), HOURS.floor(done)))

    def _begun(self, known_us: int, now_us: int) -> tuple[Accumulator, Accumulator]:
        """The levels; made at the first call, with all that the last run may have left undone as stale."""
        if self._levels is not None:
            return self._levels
        self.resume()
        kept = self._checkpoint
        if kept is None:
            oldest = min(self._oldest_us, known_us) if self._place.fresh else known_us - raw_us(self._retention)
            since = HOURS.floor(oldest)
            kept = Checkpoint(since, since, since)
        levels = Accumulator(FIVE_MINUTES, len(self._sensors)), Accumulator(HOURS, len(self._sensors))
        begins = (
            min(kept.five_us, FIVE_MINUTES.floor(self._oldest_us)),
            min(kept.hours_us, HOURS.floor(self._oldest_us)),
        )
        for accumulator, begin in zip(levels, begins, strict=True):
            accumulator.begin(begin, accumulator.level.ceil(max(now_us, self._youngest_us) + _AHEAD_US))
        self._levels, self._checkpoint = levels, kept
        self._closed = [kept.five_us, kept.hours_us]
        return levels

    def _keep(self, five_us: int, hours_us: int) -> None:
        since_us = five_us if self._checkpoint is None else self._checkpoint.since_us
        checkpoint = Checkpoint(since_us, five_us, hours_us)
        if checkpoint != self._checkpoint:
            self._place.keep_checkpoint(checkpoint)
            self._checkpoint = checkpoint

    def _settle(self, accumulator: Accumulator, fresh: Aggregates, again: Stretches) -> None:
        """Write what was closed and what is computed anew; where that fails, all of it is stale again."""
        level = accumulator.level
        done = 0
        try:
            self._write(level, fresh)
            while done < len(again):
                part = slice(done, done + _SENSORS_A_QUERY)
                some = Stretches(again.sensor[part], again.from_us[part], again.to_us[part])
                self._write(level, self._computed(level, some))
                done += _SENSORS_A_QUERY
        except GridwhistleError:
            with self._turn:
                accumulator.spoil(fresh.sensor, fresh.at_us)
                accumulator.spoil(again.sensor[done:], again.from_us[done:], again.to_us[done:])
            raise

    def _write(self, level: Level, rows: Aggregates) -> None:
        if len(rows):
            self._place.put(level, self._lines.aggregates(rows))

    def _computed(self, level: Level, some: Stretches) -> Aggregates:
        """Aggregates of a level made anew: of 5 minutes from the readings, of an hour from those of 5 minutes."""
        source, kept_us = (None, raw_us(self._retention))
        columns = ", ".join(f'{what}("value")' for what in ("mean", "min", "max", "count"))
        columns, every = f'{columns}, max("quality")', " GROUP BY time(5m) fill(none)"
        if level is HOURS:
            source, kept_us = FIVE_MINUTES, FIVE_MINUTES.kept_us(self._retention)
            columns, every = '"mean", "min", "max", "count", "quality"', ""
        oldest = level.ceil(self._now_us - kept_us)  # what is half gone is not computed anew
        asked = [
            (sensor, max(begin, oldest), end)
            for sensor, begin, end in zip(some.sensor.tolist(), some.from_us.tolist(), some.to_us.tolist(), strict=True)
            if max(begin, oldest) < end
        ]
        statements = [
            f"SELECT {columns} FROM {self._place.source(source, self._sensors.quantity[sensor])}"  # noqa: S608  # quoted
            f' WHERE "sensor" = {text(self._sensors.ids[sensor])} AND time >= {begin}u AND time < {end}u{every}'
            for sensor, begin, end in asked
        ]
        found = self._place.select(source, statements) if statements else []
        rows = [
            (sensor, time, mean, low, high, count, worst or 0)
            for (sensor, _, _), those in zip(asked, found, strict=True)
            for time, mean, low, high, count, worst in those
            if count
        ]
        return aggregates_of(rows).folded(level)

    def kept(self, sensor: int) -> Kept:
        """What a chart of a sensor can be drawn from."""
        five, hours = self._closed
        now_us = max(self._now_us, self._mark.newest_us, five)
        if self._levels is not None:
            five = min(five, self._levels[0].first_stale_us(sensor))
            hours = min(hours, HOURS.floor(five), self._levels[1].first_stale_us(sensor))
        since = FIRST if self._checkpoint is None else self._checkpoint.since_us
        return Kept.at(now_us, self._retention, five, hours, since)


def aggregates_of(rows: Sequence[Sequence[Any]]) -> Aggregates:
    """Columns from rows."""
    if not rows:
        return Aggregates.joined([])
    sensor, at_us, mean, low, high, count, quality = zip(*rows, strict=True)
    return Aggregates(
        np.array(sensor, np.int32),
        np.array(at_us, np.int64),
        np.array(mean, np.float64),
        np.array(low, np.float64),
        np.array(high, np.float64),
        np.array(count, np.int64),
        np.array(quality, np.uint8),
    )
