"""What the alert path asks the ledger. Each select is built once, since building one costs more than asking it.

``values`` is what is asked for: a list, at most ``transaction.CHUNK`` of them. With ``one`` it is a single value: lists
double the cost of a select.
"""

from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, func, or_, select

from alerting import tables
from alerting.model import EventState, TicketState

_OPEN_EVENT = (EventState.DISPATCHED, EventState.ACCEPTED)
_OPEN_TICKET = (TicketState.OPEN, TicketState.ACKNOWLEDGED)


def _among(column: ColumnElement[Any], one: bool) -> ColumnElement[bool]:
    return column == bindparam("values") if one else column.in_(bindparam("values", expanding=True))


def _open(state: ColumnElement[Any], states: Iterable[StrEnum]) -> ColumnElement[bool]:
    return or_(*(state == one.value for one in states))


@cache
def latest_alarms(*, one: bool) -> Select[Any]:
    """The latest alarm of every condition of these sensors."""
    columns = tables.alarms.c
    newest = select(func.max(columns.id)).where(_among(columns.sensor_id, one))
    return select(tables.alarms).where(columns.id.in_(newest.group_by(columns.sensor_id, columns.condition)))


@cache
def open_events(*, one: bool) -> Select[Any]:
    """Those of these events that are not closed."""
    columns = tables.grid_events.c
    return select(tables.grid_events).where(_open(columns.state, _OPEN_EVENT), _among(columns.id, one))


@cache
def near_events() -> Select[Any]:
    """What is compared of the open events of a ``category`` within ``west``, ``south``, ``east``, ``north``."""
    columns = tables.grid_events.c
    compared = select(
        columns.id, columns.category, columns.device, columns.place_zh, columns.lon, columns.lat, columns.over_us
    )
    return compared.where(
        _open(columns.state, _OPEN_EVENT),
        columns.category == bindparam("category"),
        columns.lat.between(bindparam("south"), bindparam("north")),
        columns.lon.between(bindparam("west"), bindparam("east")),
    )


@cache
def sensors_of_events(*, one: bool) -> Select[Any]:
    """(event_id, sensor_id) of the alarms of these events, each once."""
    alarms, links = tables.alarms.c, tables.event_alarms.c
    query = select(links.event_id, alarms.sensor_id).join(tables.alarms, links.alarm_id == alarms.id).distinct()
    return query.where(_among(links.event_id, one))


@cache
def events_of_sensors(*, one: bool) -> Select[Any]:
    """(sensor_id, category, id, over_us) of the open events in which these sensors have an alarm."""
    alarms, events, links = tables.alarms.c, tables.grid_events.c, tables.event_alarms.c
    query = (
        select(alarms.sensor_id, events.category, events.id, events.over_us)
        .join(tables.event_alarms, links.alarm_id == alarms.id)
        .join(tables.grid_events, links.event_id == events.id)
        .where(_open(events.state, _OPEN_EVENT), _among(alarms.sensor_id, one))
    )
    return query.order_by(events.id)


@cache
def open_tickets(*, one: bool) -> Select[Any]:
    """The tickets of these sensors that are not closed."""
    columns = tables.fault_tickets.c
    return select(tables.fault_tickets).where(columns.closed_us.is_(None), _among(columns.sensor_id, one))


@cache
def long_over_tickets() -> Select[Any]:
    """The tickets that are not closed and were over ``before`` this time or at it."""
    columns = tables.fault_tickets.c
    return select(tables.fault_tickets).where(
        _open(columns.state, _OPEN_TICKET), columns.over_us <= bindparam("before")
    )


@cache
def standing_alarms(links: Table, owner: str, *, one: bool) -> Select[Any]:
    """The uncleared alarms of these cases, with ``case_id``. links, owner: table and column that join the two."""
    alarms = tables.alarms.c
    query = select(links.c[owner].label("case_id"), tables.alarms).join(tables.alarms, links.c.alarm_id == alarms.id)
    return query.where(alarms.cleared_us.is_(None), _among(links.c[owner], one))


@cache
def lines(table: Table, owner: str, *, one: bool) -> Select[Any]:
    """The people of these cases in their order."""
    return select(table).where(_among(table.c[owner], one)).order_by(table.c.position)
