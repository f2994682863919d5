"""Before somebody is told of what the sensors changed: who has the event now, and who else must know."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from alerting import tables
from alerting.events import Left, Move, left
from alerting.model import Action, EventState, GridEvent, Subject
from alerting.push import Cause, event_push
from alerting.rows import person_of
from alerting.work import SYSTEM, Work


def wait_again(work: Work, event: GridEvent) -> GridEvent:
    """An event that was over and began anew is on its way again: whoever accepted it may have gone home since."""
    if event.state is not EventState.ACCEPTED:
        return event
    work.transaction.change(
        tables.grid_events, event.id, state=EventState.DISPATCHED.value, acknowledged_us=None, acknowledged_by=None
    )
    return replace(event, state=EventState.DISPATCHED, acknowledged_us=None, acknowledged_by=None)


def pass_on(work: Work, event: GridEvent) -> GridEvent:
    """An event whose person has gone home or left the city goes to who is on duty now.

    Not where a person assigned it to them, or where they accepted it; of what is worse they are told all the same.
    """
    line = work.duty.line_now(event, work.now_us)
    why = left(event, line, known=work.duty.knows(event.responsible.worker))
    if why is Left.NOT or (why is Left.OFF_DUTY and _assigned_by_a_person(work, event)):
        return event
    work.transaction.replace_line(tables.event_line, "event_id", event.id, line)
    work.transaction.trail(
        Action.EVENT_ASSIGNED,
        Subject.EVENT,
        event.id,
        at_us=work.now_us,
        actor=SYSTEM,
        code=event.code,
        why=why,
        before=person_of(event.state, event.responsible),
        after=person_of(event.state, line[0]),
    )
    return replace(event, line=line)


def _assigned_by_a_person(work: Work, event: GridEvent) -> bool:
    columns = tables.trail.c
    query = select(columns.actor, columns.detail).where(
        columns.subject == Subject.EVENT.value,
        columns.subject_id == event.id,
        columns.action == Action.EVENT_ASSIGNED.value,
    )
    newest = work.transaction.rows(query.order_by(columns.id.desc()).limit(1))
    return any(
        row["actor"] != SYSTEM and row["detail"]["after"]["worker"] == event.responsible.worker for row in newest
    )


def tell_of(work: Work, cause: Cause, event: GridEvent, moves: Sequence[Move]) -> None:
    """Tell who has the event what the first of the moves says, and who else is concerned what concerns them.

    That is whoever is first on duty at the sensor that speaks, once the event is open; and where lives are at stake at
    every other sensor that whistled within this call.
    """
    first, told = moves[0], {event.responsible.worker}
    payload = event_push(cause, event, first.alarm, work.city)
    work.tell(cause, event.responsible.worker, payload, event.severity)
    for one in moves:
        opens = cause is Cause.EVENT_OPENED
        if (one is first and opens) or not (one is first or (one.life_safety and (one.began or one.graver))):
            continue
        near = work.duty.line_for(work.sensor(one.alarm).grid, event.category, work.now_us)[0].worker
        if near not in told:
            told.add(near)
            why = Cause.EVENT_WIDER if opens else cause
            work.tell(why, near, event_push(why, event, one.alarm, work.city), event.severity)
