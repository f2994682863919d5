"""Life of a grid event and of a fault ticket, as pure decisions with a named reason.

An event: DISPATCHED > ACCEPTED > CLOSED, DISPATCHED again when it is assigned to another. A ticket: OPEN >
ACKNOWLEDGED > CLOSED. CLOSED is the end of both. Beside the state stands ``over``: every alarm of it has ended.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from alerting.alarms import LIMIT_CONDITIONS
from alerting.model import CENTRE, Alarm, AlarmState, EventState, FaultTicket, GridEvent, Responsible, TicketState
from config.vocabulary import Severity
from detectors.model import Nature

OVER_TICKET_CLOSES_US = 3600 * 1_000_000
"""A fault ticket whose sensor has spoken plausibly for so long closes by itself."""

TICKET_DUE_US = 24 * 3600 * 1_000_000
"""A broken sensor is to be mended within this time."""


TELL_AGAIN_US = 600 * 1_000_000
"""An event that was over for so long and begins again is told again (at once where lives are at stake)."""


class Tell(StrEnum):
    """Why the responsible person is to be told of a change that the sensors made."""

    OPENED = "opened"
    WORSE = "worse"
    AGAIN = "again"
    WIDER = "wider"
    NOT = "not"


class Left(StrEnum):
    """Why an event passes from the person who had it to who is on duty now."""

    NOT = "not"  # it stays where it is
    GONE = "gone"  # they are no longer in the city
    OFF_DUTY = "off_duty"


def left(event: GridEvent, line_now: tuple[Responsible, ...], *, known: bool) -> Left:
    """Whether the responsible person has left. line_now: who is on duty. known: whether they are in the city at all.

    Whoever accepted an event keeps it after their hours.
    """
    if not known:
        return Left.GONE
    if event.state is EventState.ACCEPTED or any(one.worker == event.responsible.worker for one in line_now):
        return Left.NOT
    return Left.OFF_DUTY


class Answer(StrEnum):
    """What a command, or the end of the alarms, does to a case, and why."""

    DONE = "done"
    ALREADY_SO = "already_so"  # repeated by the same person: nothing changes
    ALREADY_CLOSED = "already_closed"
    TAKEN_BY_ANOTHER = "taken_by_another"


def acknowledge_event(event: GridEvent, actor: str) -> Answer:
    """DISPATCHED becomes ACCEPTED. Whoever took it may say so twice; anybody else must have it assigned."""
    match event.state:
        case EventState.CLOSED:
            return Answer.ALREADY_CLOSED
        case EventState.ACCEPTED:
            return Answer.ALREADY_SO if event.acknowledged_by == actor else Answer.TAKEN_BY_ANOTHER
        case EventState.DISPATCHED:
            return Answer.DONE


def assign_event(event: GridEvent, worker: str) -> Answer:
    """DISPATCHED to this worker. Assigning it again to whom it is on its way to changes nothing."""
    if event.state is EventState.CLOSED:
        return Answer.ALREADY_CLOSED
    if event.state is EventState.DISPATCHED and event.responsible.worker == worker:
        return Answer.ALREADY_SO
    return Answer.DONE


def close_event(event: GridEvent) -> Answer:
    """CLOSED, from any state before it: a person may know more than the sensors."""
    return Answer.ALREADY_CLOSED if event.state is EventState.CLOSED else Answer.DONE


def acknowledge_ticket(ticket: FaultTicket, actor: str) -> Answer:
    """OPEN becomes ACKNOWLEDGED."""
    match ticket.state:
        case TicketState.CLOSED:
            return Answer.ALREADY_CLOSED
        case TicketState.ACKNOWLEDGED:
            return Answer.ALREADY_SO if ticket.acknowledged_by == actor else Answer.TAKEN_BY_ANOTHER
        case TicketState.OPEN:
            return Answer.DONE


def close_ticket(ticket: FaultTicket) -> Answer:
    """CLOSED, from any state before it."""
    return Answer.ALREADY_CLOSED if ticket.state is TicketState.CLOSED else Answer.DONE


def line_with(line: tuple[Responsible, ...], first: Responsible) -> tuple[Responsible, ...]:
    """The line after an assignment: the new person first, the others in their order, the centre still the last."""
    others = [person for person in line if person.worker != first.worker]
    return (first, *sorted(others, key=lambda person: person.worker == CENTRE))


@dataclass(frozen=True, slots=True)
class Standing:
    """What an event's alarms say of it now: its severity (the worst ever), and whether none stands any more."""

    severity: Severity
    over: bool


def standing_of_event(severity: Severity | None, alarms: Iterable[Alarm]) -> Standing:
    """What the alarms say of an event. severity: the worst so far, None for a new event with at least one alarm.

    An alarm that turned out to be a fault of the sensor neither keeps an event standing nor makes it graver.
    """
    known = [] if severity is None else [severity]
    worst, over = known, True
    for alarm in alarms:
        if alarm.nature is Nature.FAULT:
            continue
        worst = [*worst, alarm.severity]
        over = over and alarm.state is AlarmState.CLEARED
    return Standing(min(worst), over)


def ticket_is_over(alarms: Iterable[Alarm]) -> bool:
    """Whether no fault of the sensor stands any more; what turned out to be an event of the world does not count."""
    return all(alarm.state is AlarmState.CLEARED or alarm.nature is Nature.EVENT for alarm in alarms)


@dataclass(frozen=True, slots=True)
class Move:
    """What one alarm of an event did within one call.

    began: it speaks of its sensor's danger, which nothing of this event did before. further: its sensor had no alarm in
    this event before. graver: than it was itself before the call. life_safety: of its quantity.
    """

    alarm: Alarm
    began: bool
    further: bool
    graver: bool
    life_safety: bool


def move(
    before: Alarm | None,
    after: Alarm,
    worst: Severity | None,
    *,
    joined: bool,
    further: bool,
    others: Iterable[Alarm],
    life_safety: bool,
) -> Move:
    """What an alarm did. worst: the gravest within the call, None where it only ended.

    joined: it is new in the event. others: what stood of its sensor in the event before the call: that a sensor beside
    its limit also becomes unusual is not a beginning.
    """
    spoke_before = before is not None and not joined and before.nature is not Nature.FAULT
    began = worst is not None and not spoke_before
    if began and not further and after.condition not in LIMIT_CONDITIONS:
        began = all(other.nature is Nature.FAULT for other in others)
    graver = worst is not None and before is not None and spoke_before and worst.worse_than(before.severity)
    return Move(after, began, further, graver, life_safety)


def tell(before: Standing | None, after: Standing, *, over_for_us: int, moves: Collection[Move]) -> Tell:
    """Whether the responsible person is told. before: None for a new event. over_for_us: how long it was over.

    Where lives are at stake each beginning counts, were it over again within the call.
    """
    if before is None:
        return Tell.OPENED
    lives = [one for one in moves if one.life_safety]
    began = [one for one in lives if one.began]
    if after.severity.worse_than(before.severity):
        return Tell.WORSE
    if before.over and (began or (not after.over and (bool(lives) or over_for_us >= TELL_AGAIN_US))):
        return Tell.AGAIN
    if any(one.graver for one in lives):
        return Tell.WORSE
    if any(one.further for one in began):
        return Tell.WIDER
    return Tell.AGAIN if began else Tell.NOT
