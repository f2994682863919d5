from collections.abc import Callable

import pytest
from sqlalchemy import select

from alerting import tables
from alerting.commands import MOST_NOTE, CommandRefused, Commands, RefusedReason
from alerting.ledger import Ledger
from alerting.model import CENTRE, Action, AlarmState, EventState, TicketState
from alerting.pipeline import Pipeline
from config.vocabulary import Role, Severity
from detectors.model import Condition, Nature
from tests.alerting.support import NOON_US, verdict

FAULT = verdict(0, condition=Condition.STUCK, nature=Nature.FAULT, severity=Severity.GENERAL)


@pytest.fixture(autouse=True)
def _cases(pipeline: Pipeline) -> None:
    pipeline.handle([verdict(0), FAULT], NOON_US)


def newest(ledger: Ledger) -> tuple[str, Action, object, object]:
    entry = ledger.trail()[-1]
    return entry.actor, entry.action, entry.detail.get("before"), entry.detail.get("after")


def test_whoever_takes_it_is_written_down_and_its_alarms_are_acknowledged(commands: Commands, ledger: Ledger) -> None:
    event = commands.acknowledge(1, actor="admin", now_us=NOON_US + 9)
    assert (event.state, event.acknowledged_by, event.acknowledged_us) == (EventState.ACCEPTED, "admin", NOON_US + 9)
    assert [alarm.state for alarm in event.alarms] == [AlarmState.ACKNOWLEDGED]
    actor, action, before, after = newest(ledger)
    assert (actor, action) == ("admin", Action.EVENT_ACKNOWLEDGED)
    assert (before, after) == (
        {"state": "dispatched", "acknowledged_by": None},
        {"state": "accepted", "acknowledged_by": "admin"},
    )


def test_taking_it_twice_changes_nothing_and_another_cannot_take_it_away(commands: Commands, ledger: Ledger) -> None:
    first = commands.acknowledge(1, actor="admin", now_us=NOON_US)
    entries = ledger.last_trail_id()
    assert commands.acknowledge(1, actor="admin", now_us=NOON_US + 1) == first
    with pytest.raises(CommandRefused) as refused:
        commands.acknowledge(1, actor="other", now_us=NOON_US + 1)
    assert refused.value.reason is RefusedReason.TAKEN_BY_ANOTHER
    assert "admin" in refused.value.text.zh
    assert ledger.last_trail_id() == entries


def test_another_worker_is_told_and_the_event_is_on_its_way_again(commands: Commands, ledger: Ledger) -> None:
    commands.acknowledge(1, actor="admin", now_us=NOON_US)
    event = commands.assign(1, "leader-1", actor="admin", now_us=NOON_US + 1)
    assert (event.state, event.acknowledged_by) == (EventState.DISPATCHED, None)
    assert [person.worker for person in event.line] == ["leader-1", "worker-1", "deputy-1", "officer-1", CENTRE]
    assert event.responsible.role is Role.LEADER
    with ledger.read() as connection:
        row = connection.execute(select(tables.notifications).order_by(tables.notifications.c.id.desc())).first()
    assert row is not None
    assert (row.cause, row.worker, row.payload["responsible"]["id"]) == ("event_assigned", "leader-1", "leader-1")
    _, _, before, after = newest(ledger)
    assert before == {"state": "accepted", "worker": "worker-1", "name": {"zh": "Worker-1", "en": "Worker-1"}}
    assert after == {"state": "dispatched", "worker": "leader-1", "name": {"zh": "Leader-1", "en": "Leader-1"}}


def test_assigning_to_whom_it_is_on_its_way_changes_nothing(commands: Commands, ledger: Ledger) -> None:
    entries = ledger.last_trail_id()
    commands.assign(1, "worker-1", actor="admin", now_us=NOON_US)
    assert ledger.last_trail_id() == entries


def test_the_command_centre_can_take_it_over(commands: Commands) -> None:
    event = commands.assign(1, CENTRE, actor="admin", now_us=NOON_US)
    assert [person.worker for person in event.line].count(CENTRE) == 1
    assert event.responsible.worker == CENTRE


def test_the_event_can_be_taken_again_after_it_was_assigned(commands: Commands) -> None:
    commands.acknowledge(1, actor="admin", now_us=NOON_US)
    commands.assign(1, "leader-1", actor="admin", now_us=NOON_US)
    assert commands.acknowledge(1, actor="other", now_us=NOON_US).acknowledged_by == "other"


def test_notes_are_kept_as_written(commands: Commands, ledger: Ledger) -> None:
    commands.note(1, "  阀门已关 \n", actor="admin", now_us=NOON_US)
    assert ledger.trail(event_id=1)[-1].detail["text"] == "阀门已关"


def test_a_closed_event_stays_as_it_is(commands: Commands, ledger: Ledger) -> None:
    event = commands.close(1, actor="admin", now_us=NOON_US + 1, note="done")
    assert (event.state, event.closed_by, event.closed_us) == (EventState.CLOSED, "admin", NOON_US + 1)
    assert ledger.trail()[-1].detail["text"] == "done"
    assert ledger.trail()[-1].detail["over"] is False
    attempts: list[Callable[[], object]] = [
        lambda: commands.close(1, actor="admin", now_us=NOON_US),
        lambda: commands.acknowledge(1, actor="admin", now_us=NOON_US),
        lambda: commands.assign(1, "leader-1", actor="admin", now_us=NOON_US),
        lambda: commands.note(1, "x", actor="admin", now_us=NOON_US),
    ]
    for attempt in attempts:
        with pytest.raises(CommandRefused) as refused:
            attempt()
        assert refused.value.reason is RefusedReason.ALREADY_CLOSED
    assert ledger.event(1) == event


def test_a_ticket_is_taken_noted_and_closed(commands: Commands, ledger: Ledger) -> None:
    ticket = commands.acknowledge_ticket(1, actor="fitter", now_us=NOON_US + 1)
    assert (ticket.state, ticket.acknowledged_by) == (TicketState.ACKNOWLEDGED, "fitter")
    assert [alarm.state for alarm in ticket.alarms] == [AlarmState.ACKNOWLEDGED]
    assert commands.acknowledge_ticket(1, actor="fitter", now_us=NOON_US + 2) == ticket
    commands.note_ticket(1, "battery ordered", actor="fitter", now_us=NOON_US + 2)
    with pytest.raises(CommandRefused, match="accepted it already"):
        commands.acknowledge_ticket(1, actor="other", now_us=NOON_US + 2)
    closed = commands.close_ticket(1, actor="fitter", now_us=NOON_US + 3, note="new battery")
    assert (closed.state, closed.closed_by) == (TicketState.CLOSED, "fitter")
    assert ledger.trail()[-1].detail["text"] == "new battery"
    attempts: list[Callable[[], object]] = [
        lambda: commands.close_ticket(1, actor="admin", now_us=NOON_US),
        lambda: commands.acknowledge_ticket(1, actor="admin", now_us=NOON_US),
        lambda: commands.note_ticket(1, "x", actor="admin", now_us=NOON_US),
    ]
    for attempt in attempts:
        with pytest.raises(CommandRefused) as refused:
            attempt()
        assert refused.value.reason is RefusedReason.ALREADY_CLOSED


def test_what_cannot_be_done_says_why_and_changes_nothing(commands: Commands, ledger: Ledger) -> None:
    entries = ledger.last_trail_id()
    long, now_us = "x" * (MOST_NOTE + 1), NOON_US
    attempts: list[tuple[Callable[[], object], RefusedReason]] = [
        (lambda: commands.acknowledge(99, actor="a", now_us=now_us), RefusedReason.NO_SUCH_CASE),
        (lambda: commands.close_ticket(99, actor="a", now_us=now_us), RefusedReason.NO_SUCH_CASE),
        (lambda: commands.assign(1, "nobody", actor="a", now_us=now_us), RefusedReason.NO_SUCH_WORKER),
        (lambda: commands.assign(1, "fitter-1", actor="a", now_us=now_us), RefusedReason.MENDS_DEVICES),
        (lambda: commands.note(1, " \n ", actor="a", now_us=now_us), RefusedReason.EMPTY_NOTE),
        (lambda: commands.note(1, long, actor="a", now_us=now_us), RefusedReason.TOO_LONG),
        (lambda: commands.close(1, actor="a", now_us=now_us, note=long), RefusedReason.TOO_LONG),
    ]
    for attempt, reason in attempts:
        with pytest.raises(CommandRefused) as refused:
            attempt()
        assert refused.value.reason is reason
        assert refused.value.text.zh
        assert "{" not in refused.value.text.zh + refused.value.text.en
    assert ledger.last_trail_id() == entries
