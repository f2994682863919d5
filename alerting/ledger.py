"""The ledger: cases, people's sign-in and the trail, in SQLite (or another database by its address).

One writer at a time, readers beside it. What ``write`` commits is on disk (write-ahead log, full synchronisation).
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Select, Table, and_, create_engine, event, func, inspect, or_, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from alerting import tables
from alerting.feed import FeedEntry, feed_entries
from alerting.model import Alarm, EventState, FaultTicket, GridEvent, Subject, TicketState, TrailEntry
from alerting.rows import Row, alarm_of, event_of, ticket_of, trail_of
from alerting.transaction import Transaction, chunks
from config.errors import ConfigurationError, GridwhistleError, PermanentError, RetryableError
from config.vocabulary import Category, Severity
from detectors.model import Condition

BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for another process's write."""


class LedgerUnavailableError(RetryableError):
    """The database cannot be reached or is locked for too long; nothing of the transaction was kept."""


class LedgerOutdatedError(PermanentError):
    """The database's tables are not those of this program; a person must mend them."""


_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
    }
)
"""What SQLite says when the disk, the memory or another program stands in the way: that passes."""


_NO_SUCH = ("no such table", "no such column", "has no column", "does not exist")
"""What SQLite and PostgreSQL say of a table or column that is not there."""


def _passes(error: DBAPIError) -> bool:
    """Whether the same statement may succeed later."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)  # absent where the driver, not SQLite, complains
        return code is not None and code & 0xFF in _UNAVAILABLE
    return isinstance(error, OperationalError)


def _check_tables(connection: Connection) -> None:
    """Raise LedgerOutdatedError where a table or a column of the program is not in the database."""
    seen = inspect(connection)
    tables_there = set(seen.get_table_names())
    for table in tables.metadata.sorted_tables:
        there = {column["name"] for column in seen.get_columns(table.name)} if table.name in tables_there else set()
        lacking = [column.name for column in table.columns if column.name not in there]
        if lacking:
            raise LedgerOutdatedError(_outdated(f"table {table.name} lacks {', '.join(lacking)}"))


def _outdated(what: object) -> str:
    return (
        f"ledger: its tables are not those of this version ({what}). Give the ledger that belongs to this version, "
        "restore it from a copy, or move the file away to begin with an empty one"
    )


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, so that a writer takes its lock at once
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        if address.get_backend_name() != "sqlite":
            return create_engine(address, pool_size=16, max_overflow=16)
    except ArgumentError as error:
        raise ConfigurationError("ledger.url cannot be read; expected one like sqlite:////var/ledger.sqlite") from error
    except ImportError as error:
        raise ConfigurationError(f"ledger.url: the driver for {address.drivername} is not installed") from error
    if address.database in (None, "", ":memory:"):
        raise ConfigurationError(
            f"ledger.url: {url} keeps nothing; expected a file, as in sqlite:////var/ledger.sqlite"
        )
    engine = create_engine(address, pool_size=16, max_overflow=16)
    _prepare_sqlite(engine)
    return engine


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("alerting") / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:  # a revision that this version does not know
        raise LedgerOutdatedError(_outdated(error)) from error


class Ledger:
    """Reads answer with the dataclasses of ``alerting.model``; ``write`` is the way of every change.

    Calls block and may come from any thread. Raises LedgerUnavailableError where the database cannot be used now,
    LedgerOutdatedError where its tables are wrong.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = threading.Lock()
        self._listeners: list[Callable[[int], None]] = []

    @classmethod
    def open(cls, url: str) -> "Ledger":
        """Open the database and bring its tables up to date.

        Raises ConfigurationError for an address that cannot be used, LedgerUnavailableError where nobody answers,
        LedgerOutdatedError where the tables are not those of this version.
        """
        engine = _engine(url)
        ledger = cls(engine)
        with ledger._exclusive() as connection:
            _migrate(connection)
            _check_tables(connection)
        return ledger

    @classmethod
    def join(cls, url: str) -> "Ledger":
        """Open a database that another process has opened with ``open``: its writers are not held up.

        Raises as ``open`` does; LedgerOutdatedError where the tables are not those of this version.
        """
        ledger = cls(_engine(url))
        with ledger.read() as connection:
            _check_tables(connection)
        return ledger

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def subscribe(self, listener: Callable[[int], None]) -> None:
        """Call this with the newest trail id after every commit that wrote to the trail, in the writer's thread."""
        self._listeners.append(listener)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction: committed at the end, or not at all where anything is raised."""
        with self._exclusive() as connection:
            transaction = Transaction(connection)
            yield transaction
            transaction.flush()
        if transaction.last_trail_id is not None:
            for listener in self._listeners:
                listener(transaction.last_trail_id)

    @contextmanager
    def _exclusive(self) -> Iterator[Connection]:
        with self._writer, _translated(), self._engine.connect() as raw:
            connection = raw.execution_options(writes=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(7121)"))
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view for several selects."""
        with _translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    # What readers ask (dashboard_api.ports.Cases).

    def events(
        self,
        *,
        states: Sequence[EventState] = (),
        category: Category | None = None,
        worst: Severity | None = None,
        grids: Sequence[str] = (),
        before: int | None = None,
        limit: int = 100,
    ) -> list[GridEvent]:
        """Grid events with id < before, newest first, without their alarms; a filter left out lets all through."""
        columns = tables.grid_events.c
        query = _page(select(tables.grid_events), tables.grid_events, before, limit)
        if states:
            query = query.where(columns.state.in_([state.value for state in states]))
        if category is not None:
            query = query.where(columns.category == category.value)
        if worst is not None:
            query = query.where(columns.severity <= int(worst))
        if grids:
            query = query.where(columns.grid.in_(list(grids)))
        with self.read() as connection:
            rows = connection.execute(query).mappings().all()
            lines = lines_of(connection, tables.event_line, "event_id", [row["id"] for row in rows])
        return [event_of(row, lines[row["id"]]) for row in rows]

    def event(self, event_id: int) -> GridEvent | None:
        """One grid event with its alarms."""
        with self.read() as connection:
            return load_event(connection, event_id)

    def alarms(
        self, *, standing: bool | None = None, sensor_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[Alarm]:
        """Alarms with id < before, newest first. standing: True for uncleared ones only, False for cleared only."""
        columns = tables.alarms.c
        query = _page(select(tables.alarms), tables.alarms, before, limit)
        if standing is not None:
            query = query.where(columns.cleared_us.is_(None) if standing else columns.cleared_us.is_not(None))
        if sensor_id is not None:
            query = query.where(columns.sensor_id == sensor_id)
        with self.read() as connection:
            return [alarm_of(row) for row in connection.execute(query).mappings()]

    def tickets(
        self, *, states: Sequence[TicketState] = (), before: int | None = None, limit: int = 100
    ) -> list[FaultTicket]:
        """Fault tickets with id < before, newest first, without their alarms."""
        query = _page(select(tables.fault_tickets), tables.fault_tickets, before, limit)
        if states:
            query = query.where(tables.fault_tickets.c.state.in_([state.value for state in states]))
        with self.read() as connection:
            rows = connection.execute(query).mappings().all()
            lines = lines_of(connection, tables.ticket_line, "ticket_id", [row["id"] for row in rows])
        return [ticket_of(row, lines[row["id"]]) for row in rows]

    def ticket(self, ticket_id: int) -> FaultTicket | None:
        """One fault ticket with its alarms."""
        with self.read() as connection:
            return load_ticket(connection, ticket_id)

    def worst_open_by_grid(self) -> Mapping[str, tuple[Severity, int]]:
        """(worst severity, number of events) of the events not closed, by the code of their grid."""
        columns = tables.grid_events.c
        query = (
            select(columns.grid, func.min(columns.severity), func.count())
            .where(columns.state.in_(OPEN_STATES))
            .group_by(columns.grid)
        )
        with self.read() as connection:
            return MappingProxyType(
                {grid: (Severity(worst), count) for grid, worst, count in connection.execute(query)}
            )

    def trail(self, *, after: int = 0, limit: int = 500, event_id: int | None = None) -> list[TrailEntry]:
        """Trail entries with id > after, oldest first; with event_id, those about that event and its alarms."""
        columns = tables.trail.c
        query = select(tables.trail).where(columns.id > after).order_by(columns.id).limit(limit)
        if event_id is not None:
            links = tables.event_alarms.c
            own = and_(columns.subject == Subject.EVENT.value, columns.subject_id == event_id)
            alarms = select(links.alarm_id).where(links.event_id == event_id)
            query = query.where(or_(own, and_(columns.subject == Subject.ALARM.value, columns.subject_id.in_(alarms))))
        with self.read() as connection:
            return [trail_of(row) for row in connection.execute(query).mappings()]

    def feed(self, *, after: int = 0, limit: int = 100) -> list[FeedEntry]:
        """Trail entries with id > after, oldest first, each with its event or ticket (without the alarms)."""
        with self.read() as connection:
            return feed_entries(connection, after, limit)

    def last_trail_id(self) -> int:
        """Id of the newest trail entry, 0 where there is none."""
        with self.read() as connection:
            newest: int | None = connection.execute(select(func.max(tables.trail.c.id))).scalar_one()
        return newest or 0

    def open_conditions(self) -> set[tuple[str, Condition]]:
        """(sensor id, condition) of every uncleared alarm: what the detectors must go on watching after a restart."""
        columns = tables.alarms.c
        query = select(columns.sensor_id, columns.condition).where(columns.cleared_us.is_(None))
        with self.read() as connection:
            return {(sensor, Condition(condition)) for sensor, condition in connection.execute(query)}

    def judged(self, lane: str) -> int:
        """The position in a lane's spool before which everything is judged and filed; 0 for a lane never heard of."""
        columns = tables.judged.c
        with self.read() as connection:
            found = connection.execute(select(columns.position).where(columns.lane == lane)).scalar_one_or_none()
        return found or 0


OPEN_STATES = [EventState.DISPATCHED.value, EventState.ACCEPTED.value]
"""States of a grid event that is not closed, as kept."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except GridwhistleError:
        raise
    except PoolTimeoutError as error:
        raise LedgerUnavailableError(f"ledger: every connection is taken: {error}") from error
    except DBAPIError as error:
        if _passes(error):
            raise LedgerUnavailableError(f"ledger: {error.orig}") from error
        if any(words in str(error.orig) for words in _NO_SUCH):
            raise LedgerOutdatedError(_outdated(error.orig)) from error
        raise


def _page(query: Select[Any], table: Table, before: int | None, limit: int) -> Select[Any]:
    if before is not None:
        query = query.where(table.c.id < before)
    return query.order_by(table.c.id.desc()).limit(limit)


def lines_of(connection: Connection, table: Table, owner: str, ids: Sequence[int]) -> dict[int, list[Row]]:
    """The lines of many cases, each in order."""
    lines: dict[int, list[Row]] = {case: [] for case in ids}
    for some in chunks(ids):
        query = select(table).where(table.c[owner].in_(some)).order_by(table.c.position)
        for row in connection.execute(query).mappings():
            lines[row[owner]].append(row)
    return lines


def _alarms_of(connection: Connection, links: Table, owner: str, case_id: int) -> Iterable[Alarm]:
    query = (
        select(tables.alarms)
        .join(links, links.c.alarm_id == tables.alarms.c.id)
        .where(links.c[owner] == case_id)
        .order_by(tables.alarms.c.id)
    )
    return [alarm_of(row) for row in connection.execute(query).mappings()]


def load_event(connection: Connection, event_id: int) -> GridEvent | None:
    """One grid event with its alarms, within a view or a transaction."""
    query = select(tables.grid_events).where(tables.grid_events.c.id == event_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    line = lines_of(connection, tables.event_line, "event_id", [event_id])[event_id]
    return event_of(row, line, _alarms_of(connection, tables.event_alarms, "event_id", event_id))


def load_ticket(connection: Connection, ticket_id: int) -> FaultTicket | None:
    """One fault ticket with its alarms, within a view or a transaction."""
    query = select(tables.fault_tickets).where(tables.fault_tickets.c.id == ticket_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    line = lines_of(connection, tables.ticket_line, "ticket_id", [ticket_id])[ticket_id]
    return ticket_of(row, line, _alarms_of(connection, tables.ticket_alarms, "ticket_id", ticket_id))
