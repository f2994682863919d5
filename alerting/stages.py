"""The stages of the alert path. Each takes the work of one call and leaves it further on."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from alerting import questions, tables
from alerting.alarms import AlarmDecision, AlarmReason, Call, Step, calls_for, judge, may_be_deaf
from alerting.correlate import JoinReason, OpenEvent
from alerting.events import (
    OVER_TICKET_CLOSES_US,
    TICKET_DUE_US,
    Move,
    Standing,
    Tell,
    move,
    standing_of_event,
    tell,
    ticket_is_over,
)
from alerting.model import Action, Alarm, EventState, FaultTicket, GridEvent, Subject, TicketState
from alerting.push import Cause, ticket_push
from alerting.rows import event_code, line_rows, local_day, ticket_code
from alerting.telling import pass_on, tell_of, wait_again
from alerting.work import SYSTEM, EventFile, TicketFile, Touched, Work, spot_of
from detectors.model import Nature, Verdict

_ACTIONS = {Step.RAISE: Action.ALARM_RAISED, Step.CHANGE: Action.ALARM_CHANGED, Step.CLEAR: Action.ALARM_CLEARED}
_CAUSES = {
    Tell.OPENED: Cause.EVENT_OPENED,
    Tell.WORSE: Cause.EVENT_WORSE,
    Tell.AGAIN: Cause.EVENT_AGAIN,
    Tell.WIDER: Cause.EVENT_WIDER,
}


def judge_verdicts(work: Work) -> None:
    """Each verdict raises, changes or clears the alarm of its sensor and condition, or does nothing."""
    work.load_latest()
    for verdict in work.verdicts:
        sensor = work.city.sensors[verdict.sensor]
        latest = work.latest.get((sensor.id, verdict.condition))
        decision = judge(latest, verdict, sensor.id, work.now_us, closed=_is_deaf(work, latest, verdict))
        work.count(decision.reason.value if decision.step is Step.NOTHING else decision.step.value)
        if decision.alarm is None:
            continue
        alarm, before = decision.alarm, latest
        if decision.step is Step.RAISE:
            alarm, before = replace(alarm, id=work.transaction.next_id(tables.alarms)), None
        touched = work.touched.setdefault(alarm.id, Touched(before, alarm))
        if decision.step is not Step.CLEAR:
            touched.now_is(alarm)
        touched.raised_again = touched.raised_again or decision.reason is AlarmReason.RAISED_AGAIN
        work.set_alarm(alarm)
        _write_alarm_trail(work, verdict, decision, before, alarm)


def _is_deaf(work: Work, latest: Alarm | None, verdict: Verdict) -> bool:
    """Whether an alarm of life safety is raised again that stands with an event which a person closed."""
    if latest is None or latest.event_id is None or not may_be_deaf(latest, verdict):
        return False
    if not work.sensor(latest).measures.life_safety:
        return False
    return not any(work.load_events([latest.event_id]))


def _write_alarm_trail(
    work: Work, verdict: Verdict, decision: AlarmDecision, before: Alarm | None, alarm: Alarm
) -> None:
    sensor = work.sensor(alarm)
    detail: dict[str, object] = {
        "sensor": sensor.id,
        "quantity": sensor.quantity,
        "unit": sensor.measures.unit,
        "condition": alarm.condition,
        "nature": alarm.nature,
        "severity": alarm.severity,
        "value": verdict.value,
        "expected_low": verdict.expected_low,
        "expected_high": verdict.expected_high,
        "detector": verdict.detector,
        "reason": verdict.reason.key,
        "params": verdict.reason.params,
        "neighbours": [work.city.sensors[index].id for index in verdict.neighbours],
        "since_us": verdict.since_us,
        "decided_on_us": verdict.at_us,
        "why": decision.reason,
    }
    if before is not None:
        detail["before"] = {"state": before.state, "nature": before.nature, "severity": before.severity}
        detail["after"] = {"state": alarm.state, "nature": alarm.nature, "severity": alarm.severity}
    work.transaction.trail(_ACTIONS[decision.step], Subject.ALARM, alarm.id, at_us=work.now_us, actor=SYSTEM, **detail)


def file_events(work: Work) -> None:
    """An alarm that calls the grid joins the open event it belongs to, or opens one."""
    kept = {touched.after.event_id for touched in work.touched.values() if touched.after.event_id is not None}
    for event, over_us in work.load_events(kept):
        work.events[event.id] = EventFile(event, over_us, event)
    calling = [touched for touched in work.touched.values() if _wants_event(work, touched)]
    if not calling:
        return
    opens, joins = work.load_open_events(touched.after for touched in calling), []
    for touched in calling:
        alarm, sensor = touched.after, work.sensor(touched.after)
        spot = spot_of(sensor)
        join = opens.join(sensor.id, spot, work.now_us)
        event_id = join.event_id
        if event_id is None:
            event_id = _open_event(work, alarm).event.id
            opens.add(OpenEvent(event_id, spot, None))
        else:
            opens.grow(event_id, spot)
        opens.bind(sensor.id, spot.category, event_id)
        joins.append((alarm, event_id, join.reason))
    missing = {event_id for _, event_id, _ in joins} - set(work.events)
    for event, over_us in work.load_events(missing):
        work.events[event.id] = EventFile(event, over_us, event)
    for alarm, event_id, reason in joins:
        _put_into_event(work, alarm, event_id, reason)


def _wants_event(work: Work, touched: Touched) -> bool:
    """Whether an alarm calls the grid and has no open event; a closed one is enough unless it became graver."""
    life_safety = work.sensor(touched.after).measures.life_safety
    if calls_for(touched.after, life_safety=life_safety) is not Call.GRID or touched.after.event_id in work.events:
        return False
    if touched.after.event_id is None:
        return touched.before is None or touched.after.cleared_us is None
    before, worst = touched.before, touched.worst
    if touched.raised_again:
        return True
    return before is not None and (
        (worst is not None and worst.worse_than(before.severity))
        or calls_for(before, life_safety=life_safety) is not Call.GRID
    )


def _open_event(work: Work, alarm: Alarm) -> EventFile:
    sensor, category = work.sensor(alarm), work.category(alarm)
    day = local_day(work.now_us, work.city.timezone)
    number = work.transaction.next_number(tables.grid_events, day)
    department = work.city.department_for(category)
    event = GridEvent(
        id=work.transaction.next_id(tables.grid_events),
        code=event_code(day, number),
        category=category,
        severity=alarm.severity,
        state=EventState.DISPATCHED,
        grid=sensor.grid,
        lon=sensor.lon,
        lat=sensor.lat,
        place=sensor.place,
        opened_us=work.now_us,
        started_us=alarm.since_us,
        line=work.duty.line_for(sensor.grid, category, work.now_us),
        department=department.id if department is not None else None,
        city_version=work.city.version,
        over=False,
    )
    work.transaction.add(
        tables.grid_events,
        {
            "id": event.id,
            "day": day,
            "number": number,
            "category": category.value,
            "severity": int(event.severity),
            "state": event.state.value,
            "grid": event.grid,
            "lon": event.lon,
            "lat": event.lat,
            "place_zh": event.place.zh,
            "place_en": event.place.en,
            "device": sensor.device,
            "opened_us": event.opened_us,
            "started_us": event.started_us,
            "department": event.department,
            "city_version": event.city_version,
            "over_us": None,
            "acknowledged_us": None,
            "acknowledged_by": None,
            "closed_us": None,
            "closed_by": None,
        },
    )
    work.transaction.add_loose(tables.event_line, line_rows("event_id", event.id, event.line))
    file = EventFile(event, None, None)
    work.events[event.id] = file
    return file


def _put_into_event(work: Work, alarm: Alarm, event_id: int, reason: JoinReason) -> None:
    work.set_alarm(replace(alarm, event_id=event_id))
    work.events[event_id].joined[alarm.id] = reason
    work.transaction.add_loose(tables.event_alarms, [{"event_id": event_id, "alarm_id": alarm.id}])


def file_tickets(work: Work) -> None:
    """An alarm that says the sensor is broken joins its sensor's open ticket, or opens one."""
    concerned = [
        touched
        for touched in work.touched.values()
        if touched.after.ticket_id is not None or _calls_maintenance(work, touched.after)
    ]
    if not concerned:
        return
    for ticket, over_us in work.load_open_tickets({touched.after.sensor_id for touched in concerned}):
        because = next(touched.after for touched in concerned if touched.after.sensor_id == ticket.sensor_id)
        work.tickets[ticket.sensor_id] = TicketFile(ticket, over_us, new=False, because=because)
    for touched in concerned:
        alarm = touched.after
        file = work.tickets.get(alarm.sensor_id)
        if not _calls_maintenance(work, alarm) or (file is not None and alarm.ticket_id == file.ticket.id):
            continue
        if file is None:
            if not _wants_ticket(work, touched):
                continue
            file = _open_ticket(work, alarm)
        work.set_alarm(replace(alarm, ticket_id=file.ticket.id))
        file.joined.add(alarm.id)
        work.transaction.add_loose(tables.ticket_alarms, [{"ticket_id": file.ticket.id, "alarm_id": alarm.id}])


def _calls_maintenance(work: Work, alarm: Alarm) -> bool:
    return calls_for(alarm, life_safety=work.sensor(alarm).measures.life_safety) is Call.MAINTENANCE


def _wants_ticket(work: Work, touched: Touched) -> bool:
    """Whether an alarm without an open ticket opens one; a closed one is enough unless it became graver."""
    if touched.after.ticket_id is None:
        return touched.before is None or touched.after.cleared_us is None
    before = touched.before
    return before is not None and (
        touched.after.severity.worse_than(before.severity) or not _calls_maintenance(work, before)
    )


def _open_ticket(work: Work, alarm: Alarm) -> TicketFile:
    sensor = work.sensor(alarm)
    day = local_day(work.now_us, work.city.timezone)
    number = work.transaction.next_number(tables.fault_tickets, day)
    ticket = FaultTicket(
        id=work.transaction.next_id(tables.fault_tickets),
        code=ticket_code(day, number),
        sensor_id=sensor.id,
        grid=sensor.grid,
        state=TicketState.OPEN,
        opened_us=work.now_us,
        due_us=work.now_us + TICKET_DUE_US,
        line=work.duty.line_for(sensor.grid, None, work.now_us),
        over=False,
    )
    work.transaction.add(
        tables.fault_tickets,
        {
            "id": ticket.id,
            "day": day,
            "number": number,
            "sensor_id": ticket.sensor_id,
            "grid": ticket.grid,
            "state": ticket.state.value,
            "opened_us": ticket.opened_us,
            "due_us": ticket.due_us,
            "over_us": None,
            "acknowledged_us": None,
            "acknowledged_by": None,
            "closed_us": None,
            "closed_by": None,
        },
    )
    work.transaction.add_loose(tables.ticket_line, line_rows("ticket_id", ticket.id, ticket.line))
    file = TicketFile(ticket, None, new=True, because=alarm)
    work.tickets[sensor.id] = file
    return file


def weigh_events(work: Work) -> None:
    """An event is as grave as its worst alarm ever, and over when none of its alarms stands; who has it is told."""
    kept = [file.event.id for file in work.events.values() if file.before is not None]
    for event_id, alarm in work.load_standing_of_events(kept):
        work.events[event_id].alarms[alarm.id] = alarm
    for touched in work.touched.values():
        if touched.after.event_id in work.events:
            work.events[touched.after.event_id].alarms[touched.after.id] = touched.after
    for file in work.events.values():
        _weigh_event(work, file)


def _weigh_event(work: Work, file: EventFile) -> None:
    event, first = file.event, file.before
    before = Standing(first.severity, first.over) if first is not None else None
    moves = _moves(work, file)
    after = standing_of_event(before.severity if before is not None else None, _at_their_worst(work, file))
    over_for_us = work.now_us - file.over_us if file.over_us is not None else 0
    told = tell(before, after, over_for_us=over_for_us, moves=moves)
    event = replace(event, severity=after.severity, over=after.over)
    anew = before is not None and before.over and any(one.began for one in moves)
    if told is not Tell.NOT and anew:
        event = wait_again(work, event)
    file.event = event
    over_us = (work.now_us if file.over_us is None or anew else file.over_us) if after.over else None
    if after != before or over_us != file.over_us:
        work.transaction.change(tables.grid_events, event.id, severity=int(after.severity), over_us=over_us)
    _write_event_trail(work, file, before, after)
    if told is not Tell.NOT:
        file.event = event if before is None else pass_on(work, work.with_line(event))
        tell_of(work, _CAUSES[told], file.event, sorted(moves, key=partial(_speaks_first, work)))


def _moves(work: Work, file: EventFile) -> list[Move]:
    """What each alarm of the event did in this call."""
    mine = [work.touched[alarm.id] for alarm in file.alarms.values() if alarm.id in work.touched]
    stood: dict[str, list[Alarm]] = {}
    for alarm in file.alarms.values():
        before = work.touched[alarm.id].before if alarm.id in work.touched else alarm
        if before is not None and alarm.id not in file.joined:
            stood.setdefault(alarm.sensor_id, []).append(before)
    return [
        move(
            one.before,
            one.after,
            one.worst,
            joined=one.after.id in file.joined,
            further=file.joined.get(one.after.id) is JoinReason.IN_REACH,
            others=[alarm for alarm in stood.get(one.after.sensor_id, ()) if alarm.id != one.after.id],
            life_safety=work.sensor(one.after).measures.life_safety,
        )
        for one in mine
    ]


def _at_their_worst(work: Work, file: EventFile) -> Iterator[Alarm]:
    for alarm in file.alarms.values():
        worst = work.touched[alarm.id].worst if alarm.id in work.touched else None
        yield alarm if worst is None else replace(alarm, severity=min(worst, alarm.severity))


def _speaks_first(work: Work, one: Move) -> tuple[bool, bool, int, int]:
    worst = work.touched[one.alarm.id].worst or one.alarm.severity
    return one.alarm.nature is Nature.FAULT, not (one.began or one.graver), worst, one.alarm.id


def _write_event_trail(work: Work, file: EventFile, before: Standing | None, after: Standing) -> None:
    event, write = file.event, work.transaction.trail
    state = (file.before or event).state
    common = {"code": event.code, "category": event.category, "grid": event.grid}
    if before is None:
        write(
            Action.EVENT_OPENED,
            Subject.EVENT,
            event.id,
            at_us=work.now_us,
            actor=SYSTEM,
            **common,
            severity=event.severity,
            alarms=list(file.joined),
            line=[person.worker for person in event.line],
            responsible={"id": event.responsible.worker, "name": _names(event)},
            department=event.department,
            city_version=event.city_version,
        )
        work.count("events_opened")
    elif file.joined or after.severity is not before.severity or (before.over and not after.over):
        write(
            Action.EVENT_CHANGED,
            Subject.EVENT,
            event.id,
            at_us=work.now_us,
            actor=SYSTEM,
            **common,
            severity=event.severity,
            joined={str(alarm): reason for alarm, reason in file.joined.items()},
            before={"severity": before.severity, "over": before.over, "state": state},
            after={"severity": after.severity, "over": after.over, "state": event.state},
        )
    if after.over and (before is None or not before.over):
        faulty = any(alarm.cleared_us is None for alarm in file.alarms.values())
        why = "sensor_fault" if faulty else "cleared"
        write(Action.EVENT_OVER, Subject.EVENT, event.id, at_us=work.now_us, actor=SYSTEM, **common, why=why)


def _names(event: GridEvent) -> dict[str, str]:
    return {"zh": event.responsible.name.zh, "en": event.responsible.name.en}


def weigh_tickets(work: Work) -> None:
    """A ticket is over when its sensor has no fault any more; maintenance is told of a new one."""
    kept = {file.ticket.id: file for file in work.tickets.values() if not file.new}
    for ticket_id, alarm in work.load_standing_of_tickets(kept):
        kept[ticket_id].alarms[alarm.id] = alarm
    files = {file.ticket.id: file for file in work.tickets.values()}
    for touched in work.touched.values():
        if touched.after.ticket_id in files:
            files[touched.after.ticket_id].alarms[touched.after.id] = touched.after
    for file in files.values():
        _weigh_ticket(work, file)


def _weigh_ticket(work: Work, file: TicketFile) -> None:
    ticket, over, was_over = file.ticket, ticket_is_over(file.alarms.values()), file.over_us is not None
    if over != was_over:
        work.transaction.change(tables.fault_tickets, ticket.id, over_us=work.now_us if over else None)
    common = {"code": ticket.code, "sensor": ticket.sensor_id}
    if file.new:
        person = ticket.line[0]
        work.transaction.trail(
            Action.TICKET_OPENED,
            Subject.TICKET,
            ticket.id,
            at_us=work.now_us,
            actor=SYSTEM,
            **common,
            grid=ticket.grid,
            condition=file.because.condition,
            due_us=ticket.due_us,
            line=[one.worker for one in ticket.line],
            responsible={"id": person.worker, "name": {"zh": person.name.zh, "en": person.name.en}},
        )
        work.count("tickets_opened")
        payload = ticket_push(ticket, file.because, work.city)
        work.tell(Cause.TICKET_OPENED, person.worker, payload, file.because.severity)
    if over and not was_over:
        work.transaction.trail(Action.TICKET_OVER, Subject.TICKET, ticket.id, at_us=work.now_us, actor=SYSTEM, **common)


def close_what_stays_over(work: Work) -> None:
    """A ticket whose sensor has spoken plausibly for an hour closes by itself."""
    before = {"before": work.now_us - OVER_TICKET_CLOSES_US}
    for row in work.transaction.rows(questions.long_over_tickets(), before):
        if row["sensor_id"] in work.tickets:
            continue
        work.transaction.change(
            tables.fault_tickets, row["id"], state=TicketState.CLOSED.value, closed_us=work.now_us, closed_by=SYSTEM
        )
        work.transaction.trail(
            Action.TICKET_CLOSED,
            Subject.TICKET,
            row["id"],
            at_us=work.now_us,
            actor=SYSTEM,
            code=ticket_code(row["day"], row["number"]),
            sensor=row["sensor_id"],
            why="stayed_over",
            before={"state": row["state"]},
            after={"state": TicketState.CLOSED},
        )
        work.count("tickets_closed")


def keep_alarms(work: Work) -> None:
    """The alarms go to the ledger with their cases."""
    work.keep()
