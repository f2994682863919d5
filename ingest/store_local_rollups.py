"""Aggregates inside DuckDB, and the deletion of what has been kept for long enough."""

import contextlib
from collections.abc import Iterator

import duckdb

from config.settings import Retention
from ingest.rollups import FIRST, FIVE_MINUTES, HOURS, LEVELS, Level, raw_us
from ingest.store import TRUSTED

_AT_ONCE_US = 3_600_000_000  # readings of so much time are aggregated in one transaction
_MOST_TURNS = 48  # in one call; the rest waits for the next

_COUNTS = f"quality IN ({', '.join(str(int(one)) for one in sorted(TRUSTED))})"
_FROM_READINGS = f"""
SELECT sensor, event_us - event_us % $width AS at_us, avg(value) FILTER ({_COUNTS}), min(value) FILTER ({_COUNTS}),
    max(value) FILTER ({_COUNTS}), count(*) FILTER ({_COUNTS}) AS trusted, max(quality)
FROM readings WHERE event_us >= $a AND event_us < $b {{only}}
GROUP BY 1, 2 HAVING trusted > 0 ORDER BY 1, 2
"""  # noqa: S608  # fixed words
_FROM_FIVE_MINUTES = """
SELECT sensor, at_us - at_us % $width AS hour_us, sum(mean * count) / sum(count), min(low), max(high),
    sum(count)::BIGINT, max(quality)
FROM five_minutes WHERE at_us >= $a AND at_us < $b {only}
GROUP BY 1, 2 ORDER BY 1, 2
"""
_MAKING = {FIVE_MINUTES: _FROM_READINGS, HOURS: _FROM_FIVE_MINUTES}
_ONLY = {
    FIVE_MINUTES: "AND (sensor, event_us - event_us % $width) IN (SELECT (sensor, at_us) FROM again)",
    HOURS: "AND (sensor, at_us - at_us % $width) IN (SELECT (sensor, at_us) FROM again)",
}

_AGAIN = """
CREATE OR REPLACE TEMP TABLE again AS
SELECT DISTINCT sensor, at_us - at_us % $width AS at_us FROM stale WHERE at_us - at_us % $width >= $a AND at_us < $b
"""
_DROPPED = "DELETE FROM {0} USING again WHERE {0}.sensor = again.sensor AND {0}.at_us = again.at_us"


def done_until(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Up to when there are aggregates of 5 minutes and of an hour; FIRST where there are none."""
    found = dict(connection.execute("SELECT level, until_us FROM done").fetchall())
    return found.get(FIVE_MINUTES.name, FIRST), found.get(HOURS.name, FIRST)


def roll_up(cursor: duckdb.DuckDBPyConnection, retention: Retention, now_us: int, until_us: int) -> tuple[int, int]:
    """Aggregate up to a beginning of 5 minutes, compute anew what came late, delete what is old.

    Readings that are written meanwhile and lie before until_us must be in ``stale`` with them. Returns what
    ``done_until`` would. Raises duckdb.Error; what was done until then stays, the rest is done by a later call.
    """
    for level in LEVELS:
        _advance(cursor, level, level.floor(until_us))
    _redo(cursor, retention, now_us)
    _expire(cursor, retention, now_us)
    return done_until(cursor)


@contextlib.contextmanager
def _transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    cursor.begin()
    try:
        yield
        cursor.commit()
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # a commit that failed has rolled back by itself
            cursor.rollback()
        raise


def _advance(cursor: duckdb.DuckDBPyConnection, level: Level, until_us: int) -> None:
    """Make the aggregates of a level from where they end."""
    begin = done_until(cursor)[LEVELS.index(level)]
    if level is HOURS:
        until_us = min(until_us, HOURS.floor(done_until(cursor)[0]))
    for _ in range(_MOST_TURNS):
        begin = _first_from(cursor, level, begin, until_us)
        if begin >= until_us:
            break
        end = min(until_us, level.floor(begin + max(_AT_ONCE_US, level.width_us)))
        with _transaction(cursor):
            _make(cursor, level, begin, end, "")
            cursor.execute("INSERT OR REPLACE INTO done VALUES ($l, $u)", {"l": level.name, "u": end})
        begin = end


def _first_from(cursor: duckdb.DuckDBPyConnection, level: Level, begin: int, until_us: int) -> int:
    """The first stretch from begin on that holds anything: what is empty is passed over."""
    table, column = ("readings", "event_us") if level is FIVE_MINUTES else ("five_minutes", "at_us")
    asked = f"SELECT min({column}) FROM {table} WHERE {column} >= $a"  # noqa: S608  # names of our own
    found = cursor.execute(asked, {"a": begin}).fetchone()
    return until_us if found is None or found[0] is None else max(begin, level.floor(found[0]))


def _make(cursor: duckdb.DuckDBPyConnection, level: Level, begin: int, end: int, only: str) -> None:
    made = _MAKING[level].format(only=only)
    asked = {"width": level.width_us, "a": begin, "b": end}
    cursor.execute(f"INSERT INTO {level.name} {made}", asked)  # names of our own


def _redo(cursor: duckdb.DuckDBPyConnection, retention: Retention, now_us: int) -> None:
    """Compute anew the stretches that readings were written into after they had been aggregated.

    In one transaction: what the writer adds to ``stale`` meanwhile is neither seen nor deleted. What is half deleted
    already is left as it was; of a stretch whose hour is not made yet, the hour will be made from it.
    """
    done = dict(zip(LEVELS, done_until(cursor), strict=True))
    source_us = {FIVE_MINUTES: raw_us(retention), HOURS: FIVE_MINUTES.kept_us(retention)}
    with _transaction(cursor):
        for level in LEVELS:
            asked = {"width": level.width_us, "a": level.ceil(now_us - source_us[level]), "b": done[level]}
            cursor.execute(_AGAIN, asked)
            found = cursor.execute("SELECT min(at_us), max(at_us) FROM again").fetchone()
            if found is not None and found[0] is not None:
                cursor.execute(_DROPPED.format(level.name))
                _make(cursor, level, found[0], found[1] + level.width_us, _ONLY[level])
        cursor.execute("DELETE FROM stale WHERE at_us < $until", {"until": done[FIVE_MINUTES]})


def _expire(cursor: duckdb.DuckDBPyConnection, retention: Retention, now_us: int) -> None:
    """Delete what has been kept for long enough, but no reading that is not aggregated yet."""
    done = done_until(cursor)
    oldest = {
        "readings": ("event_us", min(now_us - raw_us(retention), done[0])),
        "five_minutes": ("at_us", min(now_us - FIVE_MINUTES.kept_us(retention), done[1])),
        "hours": ("at_us", now_us - HOURS.kept_us(retention)),
    }
    for table, (column, limit) in oldest.items():
        with _transaction(cursor):
            cursor.execute(f"DELETE FROM {table} WHERE {column} < $limit", {"limit": limit})  # noqa: S608  # our names
