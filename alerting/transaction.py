"""One write to the ledger: rows are gathered, given their ids, and sent in a few statements at the end."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Insert, Select, Table, Update, bindparam, delete, func, insert, select, update

from alerting import tables
from alerting.model import Action, Responsible, Subject
from alerting.rows import Row, line_rows, plain

T = TypeVar("T")

CHUNK = 500
"""Most values in one IN list."""

_CASES = (tables.grid_events, tables.fault_tickets)
_AFTER_CASES = (
    tables.alarms,
    tables.event_alarms,
    tables.ticket_alarms,
    tables.event_line,
    tables.ticket_line,
    tables.accounts,
    tables.sessions,
    tables.notifications,
    tables.trail,
)

_NUMBERED = (tables.alarms, tables.grid_events, tables.fault_tickets, tables.notifications, tables.trail)


def chunks(values: Sequence[T], size: int = CHUNK) -> Iterable[Sequence[T]]:
    """Slices of at most ``size`` values."""
    return (values[start : start + size] for start in range(0, len(values), size))


# Statements that every write needs are built once.


@cache
def _newest() -> Select[Any]:
    return select(*(select(func.max(table.c.id)).scalar_subquery() for table in _NUMBERED))


@cache
def _newest_of(table: Table) -> Select[Any]:
    return select(func.max(table.c.id))


@cache
def _highest_number(table: Table) -> Select[Any]:
    return select(func.max(table.c.number)).where(table.c.day == bindparam("of_day"))


@cache
def _insert_into(table: Table) -> Insert:
    return insert(table)


@cache
def _update_of(table: Table, columns: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"_{name}") for name in columns}
    return update(table).where(table.c.id == bindparam("_id")).values(values)


class Transaction:
    """What one writer does between BEGIN and COMMIT. Reads see the ledger as it was; ``flush`` sends what is new.

    Ids rise by one without gaps: there is one writer at a time, and what is rolled back never had a number.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._next: dict[Table, int] = {}
        self._numbers: dict[tuple[Table, int], int] = {}
        self._new: dict[Table, dict[int, dict[str, Any]]] = {}
        self._loose: dict[Table, list[dict[str, Any]]] = {}
        self._changed: dict[Table, dict[int, dict[str, Any]]] = {}
        self.last_trail_id: int | None = None

    def rows(self, statement: Any, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Every row of a select, as mappings."""
        return self.connection.execute(statement, parameters).mappings().all()

    def next_id(self, table: Table) -> int:
        """The next id of a table."""
        if table not in self._next:
            if table in _NUMBERED:  # an alarm needs an id of each: asked for at once
                newest = self.connection.execute(_newest()).one()
                self._next.update(zip(_NUMBERED, ((one or 0) + 1 for one in newest), strict=True))
            else:
                self._next[table] = (self.connection.execute(_newest_of(table)).scalar_one() or 0) + 1
        given = self._next[table]
        self._next[table] = given + 1
        return given

    def next_number(self, table: Table, day: int) -> int:
        """The next running number of a day, for codes that people read."""
        key = (table, day)
        if key not in self._numbers:
            highest = self.connection.execute(_highest_number(table), {"of_day": day}).scalar_one()
            self._numbers[key] = highest or 0
        self._numbers[key] += 1
        return self._numbers[key]

    def add(self, table: Table, row: dict[str, Any]) -> None:
        """A new row with an ``id``; ``change`` may still change it."""
        self._new.setdefault(table, {})[row["id"]] = row

    def add_loose(self, table: Table, rows: Iterable[dict[str, Any]]) -> None:
        """New rows that nobody changes later in this transaction."""
        self._loose.setdefault(table, []).extend(rows)

    def change(self, table: Table, row_id: int, **values: Any) -> None:
        """Set columns of a row, new or kept."""
        fresh = self._new.get(table, {}).get(row_id)
        if fresh is not None:
            fresh.update(values)
        else:
            self._changed.setdefault(table, {}).setdefault(row_id, {}).update(values)

    def replace_line(self, table: Table, owner: str, owner_id: int, line: Iterable[Responsible]) -> None:
        """A new line of people for a kept case."""
        self.connection.execute(delete(table).where(table.c[owner] == owner_id))
        self.add_loose(table, line_rows(owner, owner_id, line))

    def judged(self, lane: str, position: int) -> None:
        """What the readings of a lane before this position of its spool said is in this transaction or earlier ones."""
        columns = tables.judged.c
        moved = self.connection.execute(update(tables.judged).where(columns.lane == lane).values(position=position))
        if not moved.rowcount:
            self.connection.execute(insert(tables.judged), [{"lane": lane, "position": position}])

    def trail(
        self, action: Action, subject: Subject, subject_id: int, *, at_us: int, actor: str, **detail: Any
    ) -> None:
        """Write down what happened. detail: whatever a reader needs to understand it later."""
        entry = self.next_id(tables.trail)
        self.add_loose(
            tables.trail,
            [
                {
                    "id": entry,
                    "at_us": at_us,
                    "actor": actor,
                    "action": action.value,
                    "subject": subject.value,
                    "subject_id": subject_id,
                    "detail": plain(detail),
                }
            ],
        )
        self.last_trail_id = entry

    def flush(self) -> None:
        """Send what was gathered: cases first, then what points at them; the trail last."""
        for table in _CASES:
            self._insert(table)
        # An alarm that ends makes room for the same condition's next one (unique while uncleared).
        for table, changed in self._changed.items():
            self._update(table, changed)
        self._changed = {}
        for table in _AFTER_CASES:
            self._insert(table)

    def _insert(self, table: Table) -> None:
        rows = [*self._new.pop(table, {}).values(), *self._loose.pop(table, [])]
        if rows:
            self.connection.execute(_insert_into(table), rows)

    def _update(self, table: Table, changed: Mapping[int, Mapping[str, Any]]) -> None:
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row_id, values in changed.items():
            columns = tuple(sorted(values))
            by_columns.setdefault(columns, []).append({"_id": row_id, **{f"_{name}": values[name] for name in columns}})
        for columns, rows in by_columns.items():
            self.connection.execute(_update_of(table, columns), rows)
