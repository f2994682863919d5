"""Alarms of sensors that are no longer in the city end, so that their cases can become over."""

from dataclasses import replace

from sqlalchemy import select

from alerting import tables
from alerting.events import standing_of_event, ticket_is_over
from alerting.model import Action, Alarm, AlarmState, Subject
from alerting.rows import alarm_of
from alerting.work import SYSTEM, Work

SENSOR_REMOVED = "sensor_removed"
"""Why such an alarm ends, and what it was part of is over."""


def missing(work: Work) -> list[Alarm]:
    """The uncleared alarms of sensors that the city does not know."""
    query = select(tables.alarms).where(tables.alarms.c.cleared_us.is_(None)).order_by(tables.alarms.c.id)
    found = (alarm_of(row) for row in work.transaction.rows(query))
    return [alarm for alarm in found if alarm.sensor_id not in work.city.sensor_index]


def retire(work: Work, alarms: list[Alarm]) -> None:
    """End these alarms, then weigh their cases anew."""
    for alarm in alarms:
        _end(work, alarm)
    gone = {alarm.id for alarm in alarms}
    _weigh_events(work, {alarm.event_id for alarm in alarms if alarm.event_id is not None}, gone)
    _weigh_tickets(work, {alarm.sensor_id for alarm in alarms if alarm.ticket_id is not None}, gone)


def _end(work: Work, alarm: Alarm) -> None:
    ended = replace(alarm, state=AlarmState.CLEARED, cleared_us=work.now_us)
    work.transaction.change(tables.alarms, alarm.id, state=ended.state.value, cleared_us=ended.cleared_us)
    work.transaction.trail(
        Action.ALARM_CLEARED,
        Subject.ALARM,
        alarm.id,
        at_us=work.now_us,
        actor=SYSTEM,
        sensor=alarm.sensor_id,
        condition=alarm.condition,
        nature=alarm.nature,
        severity=alarm.severity,
        why=SENSOR_REMOVED,
        before={"state": alarm.state, "nature": alarm.nature, "severity": alarm.severity},
        after={"state": ended.state, "nature": ended.nature, "severity": ended.severity},
    )
    work.count("clear")


def _weigh_events(work: Work, ids: set[int], gone: set[int]) -> None:
    events = {event.id: event for event, _ in work.load_events(ids)}
    standing: dict[int, list[Alarm]] = {event_id: [] for event_id in events}
    for event_id, alarm in work.load_standing_of_events(events):
        if alarm.id not in gone:
            standing[event_id].append(alarm)
    for event_id, event in events.items():
        if event.over or not standing_of_event(event.severity, standing[event_id]).over:
            continue
        work.transaction.change(tables.grid_events, event_id, over_us=work.now_us)
        work.transaction.trail(
            Action.EVENT_OVER,
            Subject.EVENT,
            event_id,
            at_us=work.now_us,
            actor=SYSTEM,
            code=event.code,
            category=event.category,
            grid=event.grid,
            why=SENSOR_REMOVED,
        )


def _weigh_tickets(work: Work, sensor_ids: set[str], gone: set[int]) -> None:
    tickets = {ticket.id: ticket for ticket, _ in work.load_open_tickets(sensor_ids)}
    standing: dict[int, list[Alarm]] = {ticket_id: [] for ticket_id in tickets}
    for ticket_id, alarm in work.load_standing_of_tickets(tickets):
        if alarm.id not in gone:
            standing[ticket_id].append(alarm)
    for ticket_id, ticket in tickets.items():
        if ticket.over or not ticket_is_over(standing[ticket_id]):
            continue
        work.transaction.change(tables.fault_tickets, ticket_id, over_us=work.now_us)
        work.transaction.trail(
            Action.TICKET_OVER,
            Subject.TICKET,
            ticket_id,
            at_us=work.now_us,
            actor=SYSTEM,
            code=ticket.code,
            sensor=ticket.sensor_id,
            why=SENSOR_REMOVED,
        )
