"""The only door by which people change cases. Each command is one transaction, with before and after in the trail."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from alerting import alarms, events, tables
from alerting.events import Answer
from alerting.ledger import Ledger, load_event, load_ticket
from alerting.model import (
    CENTRE,
    Action,
    Alarm,
    EventState,
    FaultTicket,
    GridEvent,
    Responsible,
    Subject,
    TicketState,
)
from alerting.push import Cause, event_push
from alerting.responsible import Duty
from alerting.rows import person_of
from alerting.transaction import Transaction
from alerting.work import put_into_outbox
from config.city import City
from config.errors import PermanentError
from config.texts import both
from config.vocabulary import LocalText

MOST_NOTE = 2000
"""Longest note, in characters."""


class RefusedReason(StrEnum):
    """Why a command cannot be done."""

    NO_SUCH_CASE = "no_such_case"
    ALREADY_CLOSED = "already_closed"
    TAKEN_BY_ANOTHER = "taken_by_another"
    NO_SUCH_WORKER = "no_such_worker"
    MENDS_DEVICES = "mends_devices"  # a maintenance person gets no grid events
    EMPTY_NOTE = "empty_note"
    TOO_LONG = "too_long"


class CommandRefused(PermanentError):  # noqa: N818 - a refusal is an answer, not a mishap
    """A command that cannot be done. reason: why; text: the same for a person, in both languages."""

    def __init__(self, reason: RefusedReason, params: Mapping[str, object] = MappingProxyType({})) -> None:
        self.reason = reason
        self.text: LocalText = both(f"refused.{reason.value}", params)
        super().__init__(self.text.en)


_REFUSALS = {
    Answer.ALREADY_CLOSED: RefusedReason.ALREADY_CLOSED,
    Answer.TAKEN_BY_ANOTHER: RefusedReason.TAKEN_BY_ANOTHER,
}


class Commands:
    """See dashboard_api.ports.CommandDoor. Every call blocks, may come from any thread, and answers the case after it.

    actor: the account. Raises CommandRefused, with nothing changed, where a command cannot be done.
    """

    def __init__(self, ledger: Ledger, city: City) -> None:
        self._ledger = ledger
        self._city = city
        self._duty = Duty(city)

    def acknowledge(self, event_id: int, *, actor: str, now_us: int) -> GridEvent:
        """Somebody takes the event: DISPATCHED becomes ACCEPTED, its standing alarms are acknowledged."""
        with self._ledger.write() as transaction:
            event = _event(transaction, event_id)
            answer = events.acknowledge_event(event, actor)
            _refuse(answer, by=event.acknowledged_by)
            if answer is Answer.ALREADY_SO:
                return event
            transaction.change(
                tables.grid_events,
                event_id,
                state=EventState.ACCEPTED.value,
                acknowledged_us=now_us,
                acknowledged_by=actor,
            )
            seen = _acknowledge_alarms(transaction, event.alarms, actor, now_us)
            transaction.trail(
                Action.EVENT_ACKNOWLEDGED,
                Subject.EVENT,
                event_id,
                at_us=now_us,
                actor=actor,
                code=event.code,
                before={"state": event.state, "acknowledged_by": event.acknowledged_by},
                after={"state": EventState.ACCEPTED, "acknowledged_by": actor},
                alarms=seen,
            )
            return _event_after(transaction, event_id)

    def assign(self, event_id: int, worker: str, *, actor: str, now_us: int) -> GridEvent:
        """Give the event to another worker (or the command centre), who is told; it is DISPATCHED again."""
        with self._ledger.write() as transaction:
            event = _event(transaction, event_id)
            answer = events.assign_event(event, worker)
            _refuse(answer)
            person = self._person(worker, event.grid)
            if answer is Answer.ALREADY_SO:
                return event
            line = events.line_with(event.line, person)
            transaction.replace_line(tables.event_line, "event_id", event_id, line)
            transaction.change(
                tables.grid_events,
                event_id,
                state=EventState.DISPATCHED.value,
                acknowledged_us=None,
                acknowledged_by=None,
            )
            transaction.trail(
                Action.EVENT_ASSIGNED,
                Subject.EVENT,
                event_id,
                at_us=now_us,
                actor=actor,
                code=event.code,
                before=person_of(event.state, event.responsible),
                after=person_of(EventState.DISPATCHED, person),
            )
            after = _event_after(transaction, event_id)
            payload = event_push(Cause.EVENT_ASSIGNED, after, _gravest(after.alarms), self._city)
            put_into_outbox(
                transaction,
                self._city,
                Cause.EVENT_ASSIGNED,
                worker=worker,
                payload=payload,
                severity=after.severity,
                now_us=now_us,
            )
            return after

    def _person(self, worker: str, grid: str) -> Responsible:
        if worker != CENTRE and worker not in self._city.workers:
            raise CommandRefused(RefusedReason.NO_SUCH_WORKER, {"worker": worker})
        if self._duty.only_mends(worker):
            raise CommandRefused(RefusedReason.MENDS_DEVICES, {"worker": worker})
        return self._duty.person(worker, grid)

    def note(self, event_id: int, text: str, *, actor: str, now_us: int) -> GridEvent:
        """Write something down (1 to 2,000 characters)."""
        written = _checked(text)
        with self._ledger.write() as transaction:
            event = _event(transaction, event_id)
            if event.state is EventState.CLOSED:
                raise CommandRefused(RefusedReason.ALREADY_CLOSED)
            transaction.trail(
                Action.EVENT_NOTE,
                Subject.EVENT,
                event_id,
                at_us=now_us,
                actor=actor,
                code=event.code,
                text=written,
            )
            return event

    def close(self, event_id: int, *, actor: str, now_us: int, note: str = "") -> GridEvent:
        """The case is finished, whatever the sensors say."""
        written = _checked(note) if note.strip() else ""
        with self._ledger.write() as transaction:
            event = _event(transaction, event_id)
            _refuse(events.close_event(event))
            transaction.change(
                tables.grid_events, event_id, state=EventState.CLOSED.value, closed_us=now_us, closed_by=actor
            )
            transaction.trail(
                Action.EVENT_CLOSED,
                Subject.EVENT,
                event_id,
                at_us=now_us,
                actor=actor,
                code=event.code,
                text=written,
                over=event.over,
                before={"state": event.state},
                after={"state": EventState.CLOSED},
            )
            return _event_after(transaction, event_id)

    def acknowledge_ticket(self, ticket_id: int, *, actor: str, now_us: int) -> FaultTicket:
        """Maintenance takes the ticket; its standing alarms are acknowledged."""
        with self._ledger.write() as transaction:
            ticket = _ticket(transaction, ticket_id)
            answer = events.acknowledge_ticket(ticket, actor)
            _refuse(answer, by=ticket.acknowledged_by)
            if answer is Answer.ALREADY_SO:
                return ticket
            transaction.change(
                tables.fault_tickets,
                ticket_id,
                state=TicketState.ACKNOWLEDGED.value,
                acknowledged_us=now_us,
                acknowledged_by=actor,
            )
            seen = _acknowledge_alarms(transaction, ticket.alarms, actor, now_us)
            transaction.trail(
                Action.TICKET_ACKNOWLEDGED,
                Subject.TICKET,
                ticket_id,
                at_us=now_us,
                actor=actor,
                code=ticket.code,
                before={"state": ticket.state},
                after={"state": TicketState.ACKNOWLEDGED},
                alarms=seen,
            )
            return _ticket_after(transaction, ticket_id)

    def note_ticket(self, ticket_id: int, text: str, *, actor: str, now_us: int) -> FaultTicket:
        """Write something down about a ticket (1 to 2,000 characters)."""
        written = _checked(text)
        with self._ledger.write() as transaction:
            ticket = _ticket(transaction, ticket_id)
            if ticket.state is TicketState.CLOSED:
                raise CommandRefused(RefusedReason.ALREADY_CLOSED)
            transaction.trail(
                Action.TICKET_NOTE,
                Subject.TICKET,
                ticket_id,
                at_us=now_us,
                actor=actor,
                code=ticket.code,
                text=written,
            )
            return ticket

    def close_ticket(self, ticket_id: int, *, actor: str, now_us: int, note: str = "") -> FaultTicket:
        """The device is mended."""
        written = _checked(note) if note.strip() else ""
        with self._ledger.write() as transaction:
            ticket = _ticket(transaction, ticket_id)
            _refuse(events.close_ticket(ticket))
            transaction.change(
                tables.fault_tickets, ticket_id, state=TicketState.CLOSED.value, closed_us=now_us, closed_by=actor
            )
            transaction.trail(
                Action.TICKET_CLOSED,
                Subject.TICKET,
                ticket_id,
                at_us=now_us,
                actor=actor,
                code=ticket.code,
                text=written,
                why="closed_by_person",
                before={"state": ticket.state},
                after={"state": TicketState.CLOSED},
            )
            return _ticket_after(transaction, ticket_id)


def _refuse(answer: Answer, by: str | None = None) -> None:
    reason = _REFUSALS.get(answer)
    if reason is not None:
        raise CommandRefused(reason, {"by": by})


def _checked(text: str) -> str:
    written = text.strip()
    if not written:
        raise CommandRefused(RefusedReason.EMPTY_NOTE)
    if len(written) > MOST_NOTE:
        raise CommandRefused(RefusedReason.TOO_LONG, {"most": MOST_NOTE})
    return written


def _event(transaction: Transaction, event_id: int) -> GridEvent:
    event = load_event(transaction.connection, event_id)
    if event is None:
        raise CommandRefused(RefusedReason.NO_SUCH_CASE)
    return event


def _ticket(transaction: Transaction, ticket_id: int) -> FaultTicket:
    ticket = load_ticket(transaction.connection, ticket_id)
    if ticket is None:
        raise CommandRefused(RefusedReason.NO_SUCH_CASE)
    return ticket


def _event_after(transaction: Transaction, event_id: int) -> GridEvent:
    transaction.flush()
    return _event(transaction, event_id)


def _ticket_after(transaction: Transaction, ticket_id: int) -> FaultTicket:
    transaction.flush()
    return _ticket(transaction, ticket_id)


def _acknowledge_alarms(transaction: Transaction, standing: tuple[Alarm, ...], actor: str, now_us: int) -> list[int]:
    seen = []
    for alarm in standing:
        after = alarms.acknowledge(alarm, actor, now_us)
        if after is not alarm:
            transaction.change(
                tables.alarms,
                alarm.id,
                state=after.state.value,
                acknowledged_us=after.acknowledged_us,
                acknowledged_by=after.acknowledged_by,
            )
            seen.append(alarm.id)
    return seen


def _gravest(standing: tuple[Alarm, ...]) -> Alarm | None:
    """The alarm that a push speaks of: a standing one before a cleared one, the gravest first."""
    return min(standing, key=lambda alarm: (alarm.cleared_us is not None, alarm.severity, alarm.id), default=None)
