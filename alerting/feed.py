"""What the live feed reads of the ledger: entries of the trail, each with its case as it stands, in a few selects."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, select

from alerting import tables
from alerting.model import FaultTicket, GridEvent, Subject, TrailEntry
from alerting.rows import Row, event_of, ticket_of, trail_of

FeedEntry = tuple[TrailEntry, GridEvent | FaultTicket | None]

# Statements are built once: what SQLAlchemy makes of one is kept with it.

_TRAIL = (
    select(tables.trail)
    .where(tables.trail.c.id > bindparam("after"))
    .order_by(tables.trail.c.id)
    .limit(bindparam("most"))
)


def _all_of(table: Table, column: str) -> Select[Any]:
    return select(table).where(table.c[column].in_(bindparam("ids", expanding=True)))


_EVENTS, _EVENT_LINES = _all_of(tables.grid_events, "id"), _all_of(tables.event_line, "event_id")
_TICKETS, _TICKET_LINES = _all_of(tables.fault_tickets, "id"), _all_of(tables.ticket_line, "ticket_id")


def feed_entries(connection: Connection, after: int, limit: int) -> list[FeedEntry]:
    """Entries of the trail with id > after, oldest first, and the event or ticket each is about, without its alarms.

    Within one view: a case stands as it does in the newest entry that the view knows. None where the entry is about an
    alarm or an account.
    """
    trail = [trail_of(row) for row in connection.execute(_TRAIL, {"after": after, "most": limit}).mappings()]
    events, tickets = _ids(trail, Subject.EVENT), _ids(trail, Subject.TICKET)
    cases: dict[tuple[Subject, int], GridEvent | FaultTicket] = {}
    if events:
        lines = _lines(connection, _EVENT_LINES, "event_id", events)
        for row in connection.execute(_EVENTS, {"ids": events}).mappings():
            cases[Subject.EVENT, row["id"]] = event_of(row, lines[row["id"]])
    if tickets:
        lines = _lines(connection, _TICKET_LINES, "ticket_id", tickets)
        for row in connection.execute(_TICKETS, {"ids": tickets}).mappings():
            cases[Subject.TICKET, row["id"]] = ticket_of(row, lines[row["id"]])
    return [(entry, cases.get((entry.subject, entry.subject_id))) for entry in trail]


def _ids(trail: Iterable[TrailEntry], subject: Subject) -> list[int]:
    return sorted({entry.subject_id for entry in trail if entry.subject is subject})


def _lines(connection: Connection, query: Select[Any], owner: str, ids: Sequence[int]) -> dict[int, list[Row]]:
    """The lines of many cases, each in order."""
    lines: dict[int, list[Row]] = {case: [] for case in ids}
    for row in sorted(connection.execute(query, {"ids": ids}).mappings(), key=lambda row: row["position"]):
        lines[row[owner]].append(row)
    return lines
