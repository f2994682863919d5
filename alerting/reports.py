"""What a whole ledger holds, in a handful of selects however many cases there are: for scores and reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from alerting import tables
from alerting.ledger import Ledger
from alerting.model import Action, Alarm, FaultTicket, GridEvent
from alerting.rows import Row, alarm_of, event_of, ticket_of


@dataclass(frozen=True, slots=True)
class Push:
    """Somebody was told something, by whatever channels. created_us: when it was decided."""

    worker: str
    cause: str
    created_us: int
    event_id: int | None
    ticket_id: int | None


@dataclass(frozen=True, slots=True)
class Records:
    """Everything: cases with their alarms, newest first; all alarms and pushes, oldest first.

    first_had: who had an event before it was assigned for the first time, by the event's id; only of those that were.
    """

    events: tuple[GridEvent, ...]
    tickets: tuple[FaultTicket, ...]
    alarms: tuple[Alarm, ...]
    pushes: tuple[Push, ...]
    first_had: Mapping[int, str] = field(default_factory=dict)


def records(ledger: Ledger) -> Records:
    """All that a ledger holds, as of one moment."""
    with ledger.read() as connection:
        alarms = {
            row["id"]: alarm_of(row)
            for row in connection.execute(select(tables.alarms).order_by(tables.alarms.c.id)).mappings()
        }
        of_event = _linked(connection, tables.event_alarms, "event_id", alarms)
        of_ticket = _linked(connection, tables.ticket_alarms, "ticket_id", alarms)
        event_lines = _lines(connection, tables.event_line, "event_id")
        ticket_lines = _lines(connection, tables.ticket_line, "ticket_id")
        events = tuple(
            event_of(row, event_lines.get(row["id"], ()), of_event.get(row["id"], ()))
            for row in connection.execute(_newest_first(tables.grid_events)).mappings()
        )
        tickets = tuple(
            ticket_of(row, ticket_lines.get(row["id"], ()), of_ticket.get(row["id"], ()))
            for row in connection.execute(_newest_first(tables.fault_tickets)).mappings()
        )
        pushes = tuple(Push(*row) for row in connection.execute(_pushes()))
        first_had: dict[int, str] = {}
        for event_id, detail in connection.execute(_assignments()):
            first_had.setdefault(event_id, detail["before"]["worker"])
    return Records(events, tickets, tuple(alarms.values()), pushes, first_had)


def _newest_first(table: Table) -> Select[Any]:
    return select(table).order_by(table.c.id.desc())


def _pushes() -> Select[Any]:
    columns = tables.notifications.c
    told = (columns.worker, columns.cause, columns.created_us, columns.event_id, columns.ticket_id)
    return select(*told).distinct().order_by(columns.created_us, columns.worker, columns.cause)


def _assignments() -> Select[Any]:
    columns = tables.trail.c
    assigned = columns.action == Action.EVENT_ASSIGNED.value
    return select(columns.subject_id, columns.detail).where(assigned).order_by(columns.id)


def _linked(connection: Connection, links: Table, owner: str, alarms: Mapping[int, Alarm]) -> dict[int, list[Alarm]]:
    found: dict[int, list[Alarm]] = {}
    for case, alarm in connection.execute(select(links.c[owner], links.c.alarm_id).order_by(links.c.alarm_id)):
        found.setdefault(case, []).append(alarms[alarm])
    return found


def _lines(connection: Connection, table: Table, owner: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in connection.execute(select(table).order_by(table.c[owner], table.c.position)).mappings():
        found.setdefault(row[owner], []).append(row)
    return found
