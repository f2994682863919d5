"""What the alert path asks the ledger. Each select is built once, since building one costs more than asking it.

``values`` is the list of what is asked for, at most ``transaction.CHUNK`` of them.
"""

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, func, select

from alerting import tables
from alerting.ledger import OPEN_STATES
from alerting.model import TicketState


def _among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column.in_(bindparam("values", expanding=True))


@cache
def latest_alarms() -> Select[Any]:
    """The latest alarm of every condition of these sensors."""
    columns = tables.alarms.c
    newest = select(func.max(columns.id)).where(_among(columns.sensor_id))
    return select(tables.alarms).where(columns.id.in_(newest.group_by(columns.sensor_id, columns.condition)))


@cache
def open_events() -> Select[Any]:
    """Those of these events that are not closed."""
    columns = tables.grid_events.c
    return select(tables.grid_events).where(columns.state.in_(OPEN_STATES), _among(columns.id))


@cache
def near_events() -> Select[Any]:
    """What is compared of the open events of a ``category`` within ``west``, ``south``, ``east``, ``north``."""
    columns = tables.grid_events.c
    compared = select(
        columns.id, columns.category, columns.device, columns.place_zh, columns.lon, columns.lat, columns.over_us
    )
    return compared.where(
        columns.state.in_(OPEN_STATES),
        columns.category == bindparam("category"),
        columns.lat.between(bindparam("south"), bindparam("north")),
        columns.lon.between(bindparam("west"), bindparam("east")),
    )


@cache
def sensors_of_events() -> Select[Any]:
    """(event_id, sensor_id) of the alarms of these events, each once."""
    alarms, links = tables.alarms.c, tables.event_alarms.c
    query = select(links.event_id, alarms.sensor_id).join(tables.alarms, links.alarm_id == alarms.id).distinct()
    return query.where(_among(links.event_id))


@cache
def events_of_sensors() -> Select[Any]:
    """(sensor_id, category, id, over_us) of the open events in which these sensors have an alarm."""
    alarms, events, links = tables.alarms.c, tables.grid_events.c, tables.event_alarms.c
    query = (
        select(alarms.sensor_id, events.category, events.id, events.over_us)
        .join(tables.event_alarms, links.alarm_id == alarms.id)
        .join(tables.grid_events, links.event_id == events.id)
        .where(events.state.in_(OPEN_STATES), _among(alarms.sensor_id))
    )
    return query.order_by(events.id)


@cache
def open_tickets() -> Select[Any]:
    """The tickets of these sensors that are not closed."""
    columns = tables.fault_tickets.c
    return select(tables.fault_tickets).where(columns.closed_us.is_(None), _among(columns.sensor_id))


@cache
def long_over_tickets() -> Select[Any]:
    """The tickets that are not closed and were over ``before`` this time or at it."""
    columns = tables.fault_tickets.c
    return select(tables.fault_tickets).where(
        columns.state != TicketState.CLOSED.value, columns.over_us <= bindparam("before")
    )


@cache
def standing_alarms(links: Table, owner: str) -> Select[Any]:
    """The uncleared alarms of these cases, with ``case_id``. links, owner: table and column that join the two."""
    alarms = tables.alarms.c
    query = select(links.c[owner].label("case_id"), tables.alarms).join(tables.alarms, links.c.alarm_id == alarms.id)
    return query.where(alarms.cleared_us.is_(None), _among(links.c[owner]))


@cache
def lines(table: Table, owner: str) -> Select[Any]:
    """The people of these cases in their order."""
    return select(table).where(_among(table.c[owner])).order_by(table.c.position)
