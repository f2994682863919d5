"""The embedded store: DuckDB in one file, no server needed."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # ships no type information

from config.city import City
from config.errors import PermanentError, RetryableError
from config.settings import Retention
from ingest.model import Bools, Int32s, Int64s, ReadingBatch, Series
from ingest.rollups import FIRST, FIVE_MINUTES, SETTLE_US, Kept, Piece, Points, Watermark, drawn, pieces
from ingest.store import TRUSTED, StoreRefusedError
from ingest.store_accumulate import stable_order
from ingest.store_info import Arrangement, Note, PlaceInfo, StoreInfo, change
from ingest.store_local_rollups import done_until, roll_up

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sensors (number INTEGER PRIMARY KEY, id VARCHAR NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS readings (
    sensor INTEGER NOT NULL, event_us BIGINT NOT NULL, received_us BIGINT NOT NULL,
    value DOUBLE NOT NULL, quality UTINYINT NOT NULL
);
CREATE TABLE IF NOT EXISTS five_minutes (
    sensor INTEGER NOT NULL, at_us BIGINT NOT NULL,
    mean DOUBLE NOT NULL, low DOUBLE NOT NULL, high DOUBLE NOT NULL, count BIGINT NOT NULL, quality UTINYINT NOT NULL
);
CREATE TABLE IF NOT EXISTS hours AS FROM five_minutes LIMIT 0;
CREATE TABLE IF NOT EXISTS done (level VARCHAR PRIMARY KEY, until_us BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS stale (sensor INTEGER NOT NULL, at_us BIGINT NOT NULL);
"""
_NEVER = int(np.iinfo(np.int64).min)
_OPTIONS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "2GB"
}  # the default takes 80 % of the machine, which is not ours alone
_REFUSALS = (duckdb.DataError, duckdb.IntegrityError, duckdb.ProgrammingError, duckdb.NotSupportedError)

_INSERT_NEW = "INSERT INTO readings SELECT * FROM batch"
_INSERT_UNSEEN = """
INSERT INTO readings SELECT * FROM batch
ANTI JOIN (SELECT sensor, event_us FROM readings WHERE event_us BETWEEN $low AND $high) AS kept
USING (sensor, event_us)
"""
_STALE = "INSERT INTO stale SELECT DISTINCT sensor, event_us - event_us % $width FROM batch WHERE event_us < $until"
_COUNTS = f"quality IN ({', '.join(str(int(one)) for one in sorted(TRUSTED))})"
_SOURCE = "FROM readings WHERE sensor = $s AND event_us >= $a AND event_us < $b"
_RANGE = f"SELECT count(*), min(event_us) FILTER ({_COUNTS}), max(event_us) FILTER ({_COUNTS}) {_SOURCE}"  # fixed words
_RAW = f"""
SELECT event_us, value AS mean, value AS low, value AS high, 1 AS count {_SOURCE} ORDER BY event_us
"""  # fixed words
_THINNED = f"""
SELECT min(event_us) AS event_us, avg(value) AS mean, min(value) AS low, max(value) AS high, count(*) AS count
{_SOURCE} AND {_COUNTS} GROUP BY (event_us - $first) // $width ORDER BY 1
"""  # fixed words


def _first_of_each(sensor: Int32s, event_us: Int64s) -> Bools | None:
    """Which rows are the first of their sensor and event time; None where all of them are."""
    order = stable_order(sensor)
    steps = np.diff(event_us[order]) <= 0
    if not (steps & (np.diff(sensor[order]) == 0)).any():
        return None
    order = np.lexsort((event_us, sensor))
    again = (np.diff(sensor[order]) == 0) & (np.diff(event_us[order]) == 0)
    first = np.ones(len(sensor), np.bool_)
    first[order[1:][again]] = False
    return first


class DuckdbStore:
    """Keeps readings in a DuckDB file. See ``ingest.store.Store``.

    A sensor stands in the file under a number of its own, given when its id is first seen and kept in ``sensors``:
    City.sensors may be in another order next time.

    One reading is kept once without an index on every row: the newest event time of each sensor is held in memory,
    so what is newer than it cannot be there yet and is inserted as it is; only the rest of a batch is compared with
    the rows of its time span. The first reading kept of a sensor and event time stays.

    Thread safety: one writer at a time, readers beside it on cursors of their own.
    """

    def __init__(self, path: Path, city: City, retention: Retention | None = None) -> None:
        self._path = path
        self._retention = retention or Retention()
        self._interval_s = city.columns.interval_s
        self._ids = city.columns.ids
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._number: Int32s = np.empty(0, np.int32)  # by index of City.sensors
        self._newest: Int64s = np.empty(0, np.int64)  # by number in the file
        self._writing = threading.Lock()
        self._maintaining = threading.Lock()
        self._mark = Watermark()
        self._now_us = _NEVER
        self._rolling_us = FIRST  # aggregates are made up to then, or are being made
        self._done = (FIRST, FIRST)
        self._closed = False

    def prepare(self) -> None:
        """See Store.prepare. Raises RetryableError where the file is held by another process."""
        with self._writing:
            self._prepare()

    def _prepare(self) -> None:
        if self._closed:
            raise RetryableError(f"{self._path}: the store is closed")
        if self._connection is not None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RetryableError(f"{self._path}: {error}") from error
        connection: duckdb.DuckDBPyConnection | None = None
        try:
            connection = duckdb.connect(str(self._path), config=_OPTIONS)
            connection.execute(_SCHEMA)
            self._learn_sensors(connection)
            self._done = done_until(connection)
            self._rolling_us = max(self._rolling_us, self._done[0])
        except duckdb.Error as error:
            if connection is not None:
                connection.close()
            kind = PermanentError if isinstance(error, _REFUSALS) else RetryableError
            raise kind(f"{self._path}: {error}") from error
        self._connection = connection  # not before its sensors are known: readers may come at once

    def _learn_sensors(self, connection: duckdb.DuckDBPyConnection) -> None:
        known = connection.execute("SELECT number, id FROM sensors").fetchnumpy()
        numbers: dict[str, int] = dict(zip(known["id"].tolist(), known["number"].tolist(), strict=True))
        new = [name for name in self._ids if name not in numbers]
        first = max(numbers.values(), default=-1) + 1
        if new:
            added = pa.table({"number": np.arange(first, first + len(new), dtype=np.int32), "id": new})
            connection.register("added", added)
            connection.execute("INSERT INTO sensors SELECT * FROM added")
            connection.unregister("added")
        numbers.update((name, first + place) for place, name in enumerate(new))
        self._number = np.array([numbers[name] for name in self._ids], np.int32)
        self._newest = np.full(first + len(new), _NEVER, np.int64)
        newest = connection.execute("SELECT sensor, max(event_us) AS t FROM readings GROUP BY sensor").fetchnumpy()
        self._newest[np.asarray(newest["sensor"])] = newest["t"]

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise RetryableError(f"{self._path}: the store is not open")
        return self._connection

    def write(self, batch: ReadingBatch) -> None:
        """See Store.write. Durable when it returns: DuckDB syncs its log to disk at every commit."""
        if len(batch) == 0:
            return
        with self._writing:
            self._prepare()
            connection = self._open()
            rows = len(batch)
            first = _first_of_each(batch.sensor, batch.event_us)
            batch = batch if first is None else batch.take(first)
            sensor = self._number[batch.sensor]
            fresh = batch.event_us > self._newest[sensor]
            columns = pa.table(
                {
                    "sensor": sensor,
                    "event_us": batch.event_us,
                    "received_us": batch.received_us,
                    "value": batch.value,
                    "quality": batch.quality,
                }
            )
            both = (columns, columns[:0])
            if not fresh.all():
                both = columns.filter(pa.array(fresh)), columns.filter(pa.array(~fresh))
            try:
                self._write(connection, *both)
            except _REFUSALS as error:
                raise StoreRefusedError(f"{self._path}: {error}", np.arange(rows)) from error
            except duckdb.Error as error:
                # A full disk, a file taken away, a failure after which DuckDB wants the file opened anew.
                self._reopen_if_broken()
                raise RetryableError(f"{self._path}: {error}") from error
            np.maximum.at(self._newest, sensor, batch.event_us)
            self._mark.wrote(int(batch.received_us.max()))

    def _write(self, connection: duckdb.DuckDBPyConnection, fresh: pa.Table, unsure: pa.Table) -> None:
        connection.begin()
        try:
            self._insert(connection, fresh, unseen=False)
            self._insert(connection, unsure, unseen=True)
            connection.commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):  # a commit that failed has rolled back by itself
                connection.rollback()
            raise

    def _reopen_if_broken(self) -> None:
        """Open the file anew where the connection is of no more use; at the latest the next write tries again."""
        try:
            if self._connection is not None:
                self._connection.execute("SELECT 1").fetchall()
        except duckdb.Error:
            self._let_go()
            with contextlib.suppress(RetryableError):
                self._prepare()

    def _insert(self, connection: duckdb.DuckDBPyConnection, columns: pa.Table, *, unseen: bool) -> None:
        if columns.num_rows == 0:
            return
        connection.register("batch", columns)
        times = columns["event_us"].to_numpy()
        if unseen:
            connection.execute(_INSERT_UNSEEN, {"low": int(times.min()), "high": int(times.max())})
        else:
            connection.execute(_INSERT_NEW)
        if times.min() < self._rolling_us:
            connection.execute(_STALE, {"width": FIVE_MINUTES.width_us, "until": self._rolling_us})
        connection.unregister("batch")

    def maintain(self, now_us: int) -> None:
        """See Store.maintain. Runs beside the writer on a cursor of its own, and holds no write up.

        From the moment in which it is settled up to when there will be aggregates, the writer notes what it writes
        behind that.
        """
        with self._maintaining:
            with self._writing:
                self._prepare()
                until = FIVE_MINUTES.floor(self._mark.known_us(now_us) - SETTLE_US)
                self._rolling_us = max(self._rolling_us, until)
            self._now_us = now_us
            with self._reading() as cursor:
                self._done = roll_up(cursor, self._retention, now_us, until)

    def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """See Store.series. A thinned point holds the mean, and stands at the first reading of its bucket."""
        if max_points < 1:
            raise ValueError(f"max_points is {max_points}, expected 1 or more")
        self._open()
        plan = self.plan(sensor, from_us, to_us, max_points)
        return drawn([self.points(sensor, piece, max_points) for piece in plan], from_us, max_points)

    def plan(self, sensor: int, from_us: int, to_us: int, max_points: int) -> list[Piece]:
        """What a chart is drawn from."""
        now_us = max(self._now_us, self._mark.newest_us, self._done[0])
        kept = Kept.at(now_us, self._retention, *self._done)
        return pieces(from_us, to_us, max_points, float(self._interval_s[sensor]), kept)

    def points(self, sensor: int, piece: Piece, max_points: int) -> Points:
        """What a piece of a chart is drawn from; readings are thinned to at most max_points where they are more."""
        with self._reading() as cursor:
            return _points(cursor, int(self._number[sensor]), piece, max_points)

    def count(self) -> int:
        """See Store.count."""
        with self._reading() as cursor:
            found = cursor.execute("SELECT count(*) FROM readings").fetchone()
        return 0 if found is None else int(found[0])

    @contextlib.contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own; what goes wrong with it (the store is closed, the disk fails) is a RetryableError."""
        try:
            with self._open().cursor() as cursor:
                yield cursor
        except duckdb.Error as error:
            raise RetryableError(f"{self._path}: {error}") from error

    def arrange(self) -> Arrangement:
        """See ManagedStore.arrange. What is old enough is deleted by ``maintain``."""
        there = self._path.exists()
        self.prepare()
        hours = _kept_hours(self._retention)
        return Arrangement([change(place, kept if there else None, kept) for place, kept in hours.items()])

    def info(self) -> StoreInfo:
        """See ManagedStore.info."""
        hours, address = _kept_hours(self._retention), str(self._path)
        if not self._path.exists():
            places = [PlaceInfo(place, kept, None) for place, kept in hours.items()]
            return StoreInfo("DuckDB", duckdb.__version__, address, places, notes=[Note("no_file")])
        self.prepare()
        with self._reading() as cursor:
            counts = {place: cursor.execute(f"SELECT count(*) FROM {place}").fetchone() for place in hours}  # noqa: S608  # our names
            sensors = cursor.execute("SELECT count(*) FROM sensors").fetchone()
        size = sum(path.stat().st_size for path in self._path.parent.glob(f"{self._path.name}*"))
        places = [PlaceInfo(place, kept, kept, rows=(counts[place] or (0,))[0]) for place, kept in hours.items()]
        done = self._done[0] if self._done[0] > FIRST else None
        notes = [Note("file_size", {"bytes": size})]
        return StoreInfo("DuckDB", duckdb.__version__, address, places, (sensors or (0,))[0], done, notes)

    def close(self) -> None:
        """See Store.close. Waits for a write that is under way; a later one is a RetryableError."""
        with self._writing:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _kept_hours(retention: Retention) -> dict[str, int]:
    days = {"readings": retention.raw_days, "five_minutes": retention.five_minutes_days, "hours": retention.hours_days}
    return {table: round(kept * 24) for table, kept in days.items()}


def _points(cursor: duckdb.DuckDBPyConnection, number: int, piece: Piece, max_points: int) -> Points:
    level = piece.level
    asked = {"s": number, "a": piece.from_us, "b": piece.to_us}
    if level is not None:
        asked["a"] = level.floor(piece.from_us)
        rows = cursor.execute(
            f"SELECT at_us AS event_us, mean, low, high, count FROM {level.name}"  # noqa: S608  # a name of our own
            " WHERE sensor = $s AND at_us >= $a AND at_us < $b ORDER BY at_us",
            asked,
        )
    else:
        found = cursor.execute(_RANGE, asked).fetchone()
        count, first, last = found if found is not None else (0, None, None)
        if count <= max_points or first is None:
            rows = cursor.execute(_RAW, asked)
        else:
            width = -(-(last - first + 1) // max_points)
            rows = cursor.execute(_THINNED, asked | {"first": first, "width": width})
    columns = rows.fetchnumpy()
    return Points(
        np.asarray(columns["event_us"], np.int64),
        np.asarray(columns["mean"], np.float64),
        np.asarray(columns["low"], np.float64),
        np.asarray(columns["high"], np.float64),
        np.asarray(columns["count"], np.int64),
    )
