import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerting import audit, tables
from alerting.commands import Commands
from alerting.correlate import REACH
from alerting.events import OVER_TICKET_CLOSES_US, TELL_AGAIN_US
from alerting.ledger import Ledger
from alerting.model import CENTRE, Action, AlarmState, EventState, TicketState
from alerting.pipeline import STAGES, Outcome, Pipeline
from config.city import City
from config.vocabulary import Category, Role, Severity
from detectors.model import Condition, Nature, Phase, Verdict
from tests.alerting import support
from tests.alerting.support import HOUR_US, NOON_US, SECOND_US, cleared, verdict

LATER_US = NOON_US + 60 * SECOND_US
STUCK = verdict(0, condition=Condition.STUCK, nature=Nature.FAULT, severity=Severity.GENERAL)


def worse(one: Verdict, at_us: int = LATER_US) -> Verdict:
    return replace(one, phase=Phase.CHANGED, severity=Severity.EXTREME, at_us=at_us)


def told(ledger: Ledger) -> list[dict[str, Any]]:
    """The payloads of all pushes, in their order."""
    columns = tables.notifications.c
    with ledger.read() as connection:
        return list(connection.execute(select(columns.payload).order_by(columns.id)).scalars())


def without(city: City, *workers: str) -> City:
    """The city after these people have left it."""
    kept = {name: one for name, one in city.workers.items() if name not in workers}
    return replace(city, workers=kept, roster=tuple(one for one in city.roster if one.worker not in workers))


def pushes(ledger: Ledger) -> list[tuple[str, str]]:
    columns = tables.notifications.c
    with ledger.read() as connection:
        rows = connection.execute(select(columns.cause, columns.worker).order_by(columns.id)).all()
    return [(cause, worker) for cause, worker in rows]


def actions(ledger: Ledger) -> list[Action]:
    return [entry.action for entry in ledger.trail()]


def everything(ledger: Ledger) -> tuple[object, ...]:
    with ledger.read() as connection:
        return tuple(connection.execute(select(table)).all() for table in tables.metadata.sorted_tables)


def test_a_leak_opens_one_event_with_the_person_on_duty_and_the_department(pipeline: Pipeline, ledger: Ledger) -> None:
    outcome = pipeline.handle([verdict(0)], NOON_US + 5)
    assert outcome == Outcome(raised=1, events_opened=1, told=1)
    event = ledger.event(1)
    assert event is not None
    assert event.code == "GW-20260131-0001"
    assert [person.worker for person in event.line] == ["worker-1", "deputy-1", "leader-1", "officer-1", CENTRE]
    assert (event.department, event.grid, event.city_version) == ("gas", "G1", "v1")
    assert (event.state, event.severity, event.over) == (EventState.DISPATCHED, Severity.MAJOR, False)
    assert (event.opened_us, event.started_us) == (NOON_US + 5, NOON_US)
    assert [(alarm.sensor_id, alarm.event_id) for alarm in event.alarms] == [("s0-ch4", 1)]
    assert actions(ledger) == [Action.ALARM_RAISED, Action.EVENT_OPENED]
    assert pushes(ledger) == [("event_opened", "worker-1")]


def test_the_same_verdict_again_changes_nothing_at_all(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0), STUCK], NOON_US)
    before = everything(ledger)
    outcome = pipeline.handle([verdict(0), STUCK], LATER_US)
    assert outcome == Outcome(ignored={"same_again": 2})
    assert everything(ledger) == before


def test_neighbours_in_one_call_or_in_two_share_one_event(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0), verdict(1)], NOON_US)
    assert len(ledger.events()) == 1
    pipeline.handle([verdict(10), verdict(2)], LATER_US)
    assert [len(one.alarms) for one in (ledger.event(1), ledger.event(2), ledger.event(3)) if one] == [2, 1, 1]


def test_a_further_sensor_of_life_safety_is_told_and_of_others_not(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0), verdict(3)], NOON_US)
    pipeline.handle([verdict(1), verdict(4)], LATER_US)
    assert [cause for cause, _ in pushes(ledger)] == ["event_opened", "event_opened", "event_wider"]


def test_a_graver_level_is_told_again_and_a_milder_one_does_not_lower_the_event(
    pipeline: Pipeline, ledger: Ledger
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    assert pipeline.handle([worse(verdict(0))], LATER_US) == Outcome(changed=1, told=1)
    milder = replace(verdict(0), phase=Phase.CHANGED, severity=Severity.MAJOR, at_us=LATER_US + SECOND_US)
    assert pipeline.handle([milder], LATER_US + SECOND_US) == Outcome(changed=1)
    event = ledger.event(1)
    assert event is not None
    assert (event.severity, event.alarms[0].severity) == (Severity.EXTREME, Severity.MAJOR)
    assert pushes(ledger) == [("event_opened", "worker-1"), ("event_worse", "worker-1")]


def test_an_event_is_over_when_the_last_alarm_clears_and_waits_for_a_person(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0), verdict(1)], NOON_US)
    pipeline.handle([cleared(verdict(0), LATER_US)], LATER_US)
    assert not ledger.events()[0].over
    pipeline.handle([cleared(verdict(1), LATER_US)], LATER_US)
    event = ledger.events()[0]
    assert (event.over, event.state) == (True, EventState.DISPATCHED)
    assert actions(ledger)[-2:] == [Action.ALARM_CLEARED, Action.EVENT_OVER]


WINDOW_US = REACH[Category.GAS_LEAK].window_us


def test_an_alarm_that_returns_within_the_window_joins_its_open_event(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    pipeline.handle([cleared(verdict(0), LATER_US)], LATER_US)
    again_us = LATER_US + WINDOW_US
    outcome = pipeline.handle([verdict(0, at_us=again_us)], again_us)
    assert (outcome.raised, outcome.events_opened, outcome.told) == (1, 0, 1)
    event = ledger.event(1)
    assert event is not None
    assert (event.over, len(event.alarms)) == (False, 2)
    assert pushes(ledger)[-1] == ("event_again", "worker-1")


def test_an_alarm_that_returns_after_the_window_opens_another_event(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    pipeline.handle([cleared(verdict(0), LATER_US)], LATER_US)
    again_us = LATER_US + WINDOW_US + 1
    assert pipeline.handle([verdict(0, at_us=again_us)], again_us) == Outcome(raised=1, events_opened=1, told=1)
    assert [event.over for event in ledger.events()] == [False, True]
    assert pushes(ledger)[-1] == ("event_opened", "worker-1")
    ended_us = again_us + SECOND_US
    pipeline.handle([cleared(verdict(0), ended_us)], ended_us)
    assert pipeline.handle([verdict(0, at_us=ended_us + 1)], ended_us + 1).events_opened == 0


def test_while_an_event_is_not_over_its_sensor_never_opens_another(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0), verdict(1)], NOON_US)
    pipeline.handle([cleared(verdict(0), LATER_US)], LATER_US)
    month_us = NOON_US + 30 * 24 * HOUR_US
    assert pipeline.handle([verdict(0, at_us=month_us)], month_us).events_opened == 0
    assert len(ledger.events()) == 1


def test_an_accepted_event_that_begins_again_waits_to_be_accepted_again(
    pipeline: Pipeline, ledger: Ledger, commands: Commands
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    commands.acknowledge(1, actor="admin", now_us=NOON_US)
    pipeline.handle([worse(verdict(0))], LATER_US)
    assert ledger.events()[0].state is EventState.ACCEPTED
    pipeline.handle([cleared(verdict(0), LATER_US + 1)], LATER_US + 1)
    pipeline.handle([verdict(0, at_us=LATER_US + 2)], LATER_US + 2)
    event = ledger.events()[0]
    assert (event.state, event.acknowledged_by, event.acknowledged_us) == (EventState.DISPATCHED, None, None)
    change = next(one for one in reversed(ledger.trail()) if one.action is Action.EVENT_CHANGED)
    assert change.detail["before"] == {"severity": 1, "over": True, "state": "accepted"}
    assert change.detail["after"] == {"severity": 1, "over": False, "state": "dispatched"}
    assert commands.acknowledge(1, actor="other", now_us=LATER_US + 3).acknowledged_by == "other"


def test_a_crowd_that_returns_after_a_moment_is_not_told_again_but_after_ten_minutes_it_is(pipeline: Pipeline) -> None:
    pipeline.handle([verdict(10)], NOON_US)
    pipeline.handle([cleared(verdict(10), LATER_US)], LATER_US)
    soon_us = LATER_US + SECOND_US
    assert pipeline.handle([verdict(10, at_us=soon_us)], soon_us).told == 0
    pipeline.handle([cleared(verdict(10), soon_us + 1)], soon_us + 1)
    late_us = soon_us + 1 + TELL_AGAIN_US
    assert pipeline.handle([verdict(10, at_us=late_us)], late_us).told == 1


def test_a_leak_raised_and_cleared_in_one_call_still_calls_somebody(pipeline: Pipeline, ledger: Ledger) -> None:
    outcome = pipeline.handle([verdict(0), cleared(verdict(0), LATER_US)], LATER_US)
    assert (outcome.raised, outcome.cleared, outcome.events_opened, outcome.told) == (1, 1, 1, 1)
    assert ledger.events()[0].over
    assert actions(ledger)[-2:] == [Action.EVENT_OPENED, Action.EVENT_OVER]


def test_what_is_not_told_apart_yet_is_kept_and_calls_nobody_until_it_is(pipeline: Pipeline, ledger: Ledger) -> None:
    unknown = verdict(3, condition=Condition.UNUSUAL, nature=Nature.UNKNOWN)
    assert pipeline.handle([unknown], NOON_US) == Outcome(raised=1)
    assert [alarm.state for alarm in ledger.alarms(standing=True)] == [AlarmState.RAISED]
    known = replace(unknown, phase=Phase.CHANGED, nature=Nature.EVENT, at_us=LATER_US)
    assert pipeline.handle([known], LATER_US) == Outcome(changed=1, events_opened=1, told=1)


def test_a_gas_limit_calls_the_grid_although_it_may_be_the_sensor(pipeline: Pipeline) -> None:
    assert pipeline.handle([verdict(0, nature=Nature.UNKNOWN)], NOON_US).events_opened == 1


def test_an_unknown_that_ends_unexplained_leaves_no_case(pipeline: Pipeline, ledger: Ledger) -> None:
    unknown = verdict(3, condition=Condition.UNUSUAL, nature=Nature.UNKNOWN)
    pipeline.handle([unknown], NOON_US)
    assert pipeline.handle([cleared(unknown, LATER_US)], LATER_US) == Outcome(cleared=1)
    assert (ledger.events(), ledger.tickets(), ledger.open_conditions()) == ([], [], set())


def test_faults_of_one_sensor_share_one_ticket_and_never_touch_the_grid(pipeline: Pipeline, ledger: Ledger) -> None:
    spiking = replace(STUCK, condition=Condition.SPIKING)
    assert pipeline.handle([STUCK], NOON_US) == Outcome(raised=1, tickets_opened=1, told=1)
    assert pipeline.handle([spiking], LATER_US) == Outcome(raised=1)
    ticket = ledger.ticket(1)
    assert ticket is not None
    assert (ticket.code, ticket.sensor_id, ticket.state) == ("FT-20260131-0001", "s0-ch4", TicketState.OPEN)
    assert ticket.due_us - ticket.opened_us == 24 * HOUR_US
    assert [person.worker for person in ticket.line] == ["fitter-1", "fitter-2", CENTRE]
    assert {alarm.condition for alarm in ticket.alarms} == {Condition.STUCK, Condition.SPIKING}
    assert (ledger.events(), pushes(ledger)) == ([], [("ticket_opened", "fitter-1")])


def test_an_event_that_turns_out_to_be_a_fault_is_over_and_gets_a_ticket(pipeline: Pipeline, ledger: Ledger) -> None:
    unusual = verdict(3, condition=Condition.UNUSUAL)
    pipeline.handle([unusual], NOON_US)
    outcome = pipeline.handle([replace(unusual, phase=Phase.CHANGED, nature=Nature.FAULT, at_us=LATER_US)], LATER_US)
    assert (outcome.changed, outcome.tickets_opened) == (1, 1)
    assert ledger.events()[0].over
    assert ledger.trail(event_id=1)[-1].detail["why"] == "sensor_fault"
    alarm = ledger.alarms()[0]
    assert (alarm.event_id, alarm.ticket_id) == (1, 1)


def test_a_ticket_that_stays_over_for_an_hour_closes_by_itself(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([STUCK], NOON_US)
    pipeline.handle([cleared(STUCK, LATER_US)], LATER_US)
    assert ledger.tickets()[0].over
    assert pipeline.handle([], LATER_US + OVER_TICKET_CLOSES_US - 1) == Outcome()
    assert pipeline.handle([], LATER_US + OVER_TICKET_CLOSES_US) == Outcome(tickets_closed=1)
    assert (ledger.tickets()[0].state, ledger.tickets()[0].closed_by) == (TicketState.CLOSED, "system")
    assert ledger.trail()[-1].detail["why"] == "stayed_over"


def test_a_fault_that_returns_within_the_hour_keeps_its_ticket(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([STUCK], NOON_US)
    pipeline.handle([cleared(STUCK, LATER_US)], LATER_US)
    again_us = LATER_US + OVER_TICKET_CLOSES_US
    assert pipeline.handle([replace(STUCK, at_us=again_us)], again_us) == Outcome(raised=1)
    assert (len(ledger.tickets()), ledger.tickets()[0].over) == (1, False)
    assert pipeline.handle([], again_us + HOUR_US) == Outcome()


def test_the_hour_is_kept_over_a_restart(pipeline: Pipeline, ledger: Ledger, city: City) -> None:
    pipeline.handle([STUCK], NOON_US)
    pipeline.handle([cleared(STUCK, LATER_US)], LATER_US)
    assert Pipeline(ledger, city).handle([], LATER_US + HOUR_US).tickets_closed == 1


def test_a_closed_event_is_not_reopened_by_its_standing_alarm_but_a_graver_level_opens_another(
    pipeline: Pipeline, ledger: Ledger, commands: Commands
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    commands.close(1, actor="admin", now_us=NOON_US + 1)
    closed = ledger.event(1)
    milder = replace(verdict(0), phase=Phase.CHANGED, severity=Severity.LARGER, at_us=NOON_US + SECOND_US)
    assert pipeline.handle([milder], NOON_US + SECOND_US) == Outcome(changed=1)
    assert pipeline.handle([worse(verdict(0))], LATER_US) == Outcome(changed=1, events_opened=1, told=1)
    second, first = ledger.events()
    assert (second.code, second.severity, second.state) == (
        "GW-20260131-0002",
        Severity.EXTREME,
        EventState.DISPATCHED,
    )
    assert closed is not None
    assert first == replace(closed, alarms=())


def test_the_alarm_of_a_closed_event_clears_without_touching_it(
    pipeline: Pipeline, ledger: Ledger, commands: Commands
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    commands.close(1, actor="admin", now_us=NOON_US + 1)
    before = ledger.events()
    assert pipeline.handle([cleared(verdict(0), LATER_US)], LATER_US) == Outcome(cleared=1)
    assert ledger.events() == before


def test_the_running_number_begins_anew_every_local_day(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0), verdict(2)], NOON_US)
    midnight_us = NOON_US + 12 * HOUR_US
    pipeline.handle([verdict(10, at_us=midnight_us)], midnight_us)
    assert [event.code for event in ledger.events()] == ["GW-20260201-0001", "GW-20260131-0002", "GW-20260131-0001"]


def test_a_value_that_is_not_known_is_kept_as_such(pipeline: Pipeline, ledger: Ledger) -> None:
    silent = verdict(0, condition=Condition.SILENT, nature=Nature.FAULT, value=float("nan"))
    pipeline.handle([silent], NOON_US)
    kept = ledger.alarms()[0]
    assert kept.value != kept.value  # NaN
    assert (kept.expected_low, kept.score) == (float("-inf"), float("inf"))


def test_a_restart_knows_what_stands(pipeline: Pipeline, ledger: Ledger, tmp_path: Path) -> None:
    pipeline.handle([verdict(0), STUCK, verdict(2)], NOON_US)
    pipeline.handle([cleared(verdict(2), LATER_US)], LATER_US)
    again = support.reopen(ledger, tmp_path)
    assert again.open_conditions() == {("s0-ch4", Condition.HIGH), ("s0-ch4", Condition.STUCK)}
    again.close()


def test_nothing_to_do_does_not_even_ask_the_ledger(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_: Ledger) -> None:
        raise AssertionError("the ledger was asked")

    monkeypatch.setattr(Ledger, "write", asked)
    monkeypatch.setattr(Ledger, "read", asked)
    assert pipeline.handle([], NOON_US) == Outcome()
    with pytest.raises(AssertionError):
        pipeline.handle([verdict(0)], NOON_US)


def test_a_stage_that_fails_leaves_nothing_behind(ledger: Ledger, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("made up")

    pipeline, before = Pipeline(ledger, city), everything(ledger)
    monkeypatch.setattr("alerting.pipeline.STAGES", (*STAGES, fails))
    with pytest.raises(RuntimeError, match="made up"):
        pipeline.handle([verdict(0)], NOON_US)
    assert everything(ledger) == before


async def test_verdicts_and_commands_from_many_threads_at_once_lose_nothing(
    pipeline: Pipeline, ledger: Ledger, commands: Commands
) -> None:
    pipeline.handle([verdict(0)], NOON_US)

    def write_notes(who: int) -> None:
        for turn in range(10):
            commands.note(1, f"{who}.{turn}", actor=f"a{who}", now_us=NOON_US)

    def judge() -> None:
        for turn in range(1, 21):
            at_us = NOON_US + turn * SECOND_US
            one = verdict(0, at_us=NOON_US) if turn % 2 == 0 else cleared(verdict(0), at_us)
            pipeline.handle([replace(one, at_us=at_us)], at_us)

    await asyncio.gather(*(asyncio.to_thread(write_notes, who) for who in range(3)), asyncio.to_thread(judge))
    trail = ledger.trail()
    assert [entry.id for entry in trail] == list(range(1, len(trail) + 1))
    assert sum(entry.action is Action.EVENT_NOTE for entry in trail) == 30
    assert sum(entry.action is Action.ALARM_CLEARED for entry in trail) == 10


def test_an_event_whose_person_left_the_city_goes_to_who_is_on_duty(
    pipeline: Pipeline, ledger: Ledger, commands: Commands, city: City
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    commands.acknowledge(1, actor="admin", now_us=NOON_US)
    assert Pipeline(ledger, without(city, "worker-1")).handle([worse(verdict(0))], LATER_US).told == 1
    event = ledger.event(1)
    assert event is not None
    assert [one.worker for one in event.line] == ["deputy-1", "leader-1", "officer-1", CENTRE]
    assert pushes(ledger)[-1] == ("event_worse", "deputy-1")
    entry = next(one for one in ledger.trail() if one.action is Action.EVENT_ASSIGNED)
    assert (entry.actor, entry.detail["why"]) == ("system", "gone")
    assert audit.describe(entry).en == "GW-20260131-0001 goes from Worker-1, who is no longer on duty, to Deputy-1"


def test_an_event_in_a_grid_that_is_no_more_goes_by_its_place(pipeline: Pipeline, ledger: Ledger, city: City) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    grids = {code: grid for code, grid in city.grids.items() if code != "G1"}
    sensors = tuple(replace(one, grid="C") if one.grid == "G1" else one for one in city.sensors)
    merged = replace(without(city, "worker-1", "worker-2"), grids=grids, sensors=sensors)
    merged = replace(merged, roster=tuple(one for one in merged.roster if one.grid != "G1"))
    assert Pipeline(ledger, merged).handle([worse(verdict(0))], LATER_US).told == 1
    assert pushes(ledger)[-1] == ("event_worse", "leader-1")
    assert Commands(ledger, merged).assign(1, "deputy-1", actor="admin", now_us=LATER_US).responsible.grid is None


def test_where_nobody_is_left_the_centre_is_told(pipeline: Pipeline, ledger: Ledger, city: City) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    Pipeline(ledger, without(city, *city.workers)).handle([worse(verdict(0))], LATER_US)
    assert pushes(ledger)[-1] == ("event_worse", CENTRE)


NIGHT_US = NOON_US + 10 * HOUR_US  # ten in the evening: worker-2's hours


def test_what_is_worse_at_night_goes_to_who_is_on_duty_at_night(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    pipeline.handle([worse(verdict(0), NIGHT_US)], NIGHT_US)
    event = ledger.event(1)
    assert event is not None
    assert [one.worker for one in event.line] == ["worker-2", "officer-1", CENTRE]
    assert pushes(ledger) == [("event_opened", "worker-1"), ("event_worse", "worker-2")]
    assert told(ledger)[-1]["responsible"]["id"] == "worker-2"
    entry = next(one for one in ledger.trail() if one.action is Action.EVENT_ASSIGNED)
    assert entry.detail["why"] == "off_duty"
    assert audit.describe(entry).en == "GW-20260131-0001 goes from Worker-1, who is no longer on duty, to Worker-2"


def test_whom_a_person_chose_keeps_the_event_after_their_hours(
    pipeline: Pipeline, ledger: Ledger, commands: Commands
) -> None:
    pipeline.handle([verdict(0), verdict(2)], NOON_US)
    commands.assign(1, "leader-1", actor="admin", now_us=NOON_US)
    commands.acknowledge(2, actor="admin", now_us=NOON_US)
    pipeline.handle([worse(verdict(0), NIGHT_US), worse(verdict(2), NIGHT_US)], NIGHT_US)
    assert [event.responsible.worker for event in ledger.events()] == ["worker-1", "leader-1"]
    assert {"worker-1", "leader-1"} <= {worker for cause, worker in pushes(ledger) if cause == "event_worse"}


def test_who_is_on_duty_by_the_roster_was_not_chosen_by_a_person(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    larger = replace(verdict(0, at_us=NIGHT_US), phase=Phase.CHANGED, severity=Severity.EXTREME)
    pipeline.handle([larger], NIGHT_US)
    morning_us = NOON_US + 24 * HOUR_US
    pipeline.handle([verdict(1, at_us=morning_us)], morning_us)
    assert pushes(ledger)[-1] == ("event_wider", "worker-1")


ACROSS = (
    support.sensor(0, "ch4", 113.0085, 28.001, place="this side"),
    support.sensor(1, "ch4", 113.0112, 28.001, place="that side"),  # 265 m away, in the other grid
)
BOTH_SIDES = (*support.ROSTER, support.shift("G2", "worker-2", Role.WORKER, support.DAY))


def test_a_further_sensor_is_told_with_its_own_place_to_its_own_grid_too(ledger: Ledger) -> None:
    pipeline = Pipeline(ledger, support.city(ACROSS, BOTH_SIDES))
    pipeline.handle([verdict(0)], NOON_US)
    assert pipeline.handle([verdict(1, at_us=LATER_US)], LATER_US).told == 2
    assert pushes(ledger)[1:] == [("event_wider", "worker-1"), ("event_wider", "worker-2")]
    for payload in told(ledger)[1:]:
        assert (payload["sensor"], payload["grid"], payload["lon"]) == ("s1-ch4", "G2", 113.0112)
        assert payload["place"]["en"] == "that side"
        assert "that side" in payload["title"]["en"]
        assert payload["body"]["en"].startswith("that side. ")
        assert payload["responsible"]["id"] == "worker-1"
    event = ledger.event(1)
    assert event is not None
    assert (event.grid, event.place.en) == ("G1", "this side")


def test_what_whistles_within_one_call_on_both_sides_is_told_on_both(ledger: Ledger) -> None:
    pipeline = Pipeline(ledger, support.city(ACROSS, BOTH_SIDES))
    pipeline.handle([verdict(0), verdict(1)], NOON_US)
    assert pushes(ledger) == [("event_opened", "worker-1"), ("event_wider", "worker-2")]
    assert [(one["place"]["en"], one["sensor"]) for one in told(ledger)] == [
        ("this side", "s0-ch4"),
        ("that side", "s1-ch4"),
    ]
    pipeline.handle([worse(verdict(0)), worse(verdict(1))], LATER_US)
    assert [(one["cause"], one["place"]["en"]) for one in told(ledger)[2:]] == [
        ("event_worse", "this side"),
        ("event_worse", "that side"),
    ]
    assert [worker for _, worker in pushes(ledger)[2:]] == ["worker-1", "worker-2"]


def test_an_event_that_begins_again_elsewhere_is_told_with_that_place(ledger: Ledger) -> None:
    pipeline = Pipeline(ledger, support.city(ACROSS, BOTH_SIDES))
    pipeline.handle([verdict(0)], NOON_US)
    pipeline.handle([cleared(verdict(0), LATER_US)], LATER_US)
    pipeline.handle([verdict(1, at_us=LATER_US + 1)], LATER_US + 1)
    assert pushes(ledger)[1:] == [("event_again", "worker-1"), ("event_again", "worker-2")]
    assert {(one["grid"], one["place"]["en"]) for one in told(ledger)[1:]} == {("G2", "that side")}


def gone(index: int, at_us: int) -> Verdict:
    return cleared(verdict(index), at_us)


BUTTON = 8


def test_a_button_pressed_and_let_go_within_one_call_is_told_although_its_event_is_over(
    pipeline: Pipeline, ledger: Ledger, commands: Commands
) -> None:
    pipeline.handle([verdict(BUTTON), gone(BUTTON, NOON_US + 1)], NOON_US + 1)
    commands.acknowledge(1, actor="admin", now_us=NOON_US + 2)
    again_us = NOON_US + 1200 * SECOND_US
    outcome = pipeline.handle([verdict(BUTTON, at_us=again_us), gone(BUTTON, again_us + 1)], again_us + 2)
    assert outcome == Outcome(raised=1, cleared=1, told=1)
    assert pushes(ledger)[-1] == ("event_again", "worker-1")
    event = ledger.events()[0]
    assert (event.over, event.state) == (True, EventState.DISPATCHED)
    # The window is counted from this press, not from the first.
    third_us = again_us + 1200 * SECOND_US
    pipeline.handle([verdict(BUTTON, at_us=third_us)], third_us)
    assert len(ledger.events()) == 1


def test_a_crowd_that_forms_and_scatters_within_one_call_is_not_told_again(pipeline: Pipeline) -> None:
    pipeline.handle([verdict(10), gone(10, NOON_US + 1)], NOON_US + 1)
    again_us = NOON_US + 1200 * SECOND_US
    assert pipeline.handle([verdict(10, at_us=again_us), gone(10, again_us + 1)], again_us + 2).told == 0


def test_the_gravest_within_one_call_counts_and_is_told(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    milder = replace(verdict(0), phase=Phase.CHANGED, at_us=LATER_US + 1)
    assert pipeline.handle([worse(verdict(0)), milder], LATER_US + 2) == Outcome(changed=2, told=1)
    event = ledger.event(1)
    assert event is not None
    assert (event.severity, event.alarms[0].severity) == (Severity.EXTREME, Severity.MAJOR)
    assert pushes(ledger)[-1] == ("event_worse", "worker-1")
    assert told(ledger)[-1]["severity"] == 1


def test_an_event_opened_and_eased_within_one_call_is_as_grave_as_it_was(pipeline: Pipeline, ledger: Ledger) -> None:
    milder = replace(verdict(0), phase=Phase.CHANGED, at_us=LATER_US)
    pipeline.handle([replace(verdict(0), severity=Severity.EXTREME), milder], LATER_US)
    assert ledger.events()[0].severity is Severity.EXTREME
    assert told(ledger)[-1]["severity"] == 1


def test_gas_that_eased_and_grows_again_is_told_though_the_event_was_as_grave_before(
    pipeline: Pipeline, ledger: Ledger
) -> None:
    found = []
    for hour, severity in enumerate((Severity.EXTREME, Severity.MAJOR, Severity.EXTREME)):
        at_us = NOON_US + hour * HOUR_US
        one = verdict(0, Phase.CHANGED if hour else Phase.RAISED, severity=severity, at_us=at_us)
        found.append(pipeline.handle([one], at_us).told)
    assert found == [1, 0, 1]
    assert pushes(ledger)[-1] == ("event_worse", "worker-1")


def test_one_of_two_sensors_that_ends_and_begins_again_is_told_and_speaks(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([replace(verdict(0), severity=Severity.EXTREME), verdict(1)], NOON_US)
    pipeline.handle([gone(1, LATER_US)], LATER_US)
    again_us = NOON_US + HOUR_US
    eased = replace(verdict(0), phase=Phase.CHANGED, at_us=again_us)
    assert pipeline.handle([eased, verdict(1, at_us=again_us)], again_us).told == 1
    assert (told(ledger)[-1]["cause"], told(ledger)[-1]["sensor"]) == ("event_again", "s1-ch4")


def test_a_leak_that_is_also_unusual_is_not_told_twice_but_one_that_passes_a_limit_is(pipeline: Pipeline) -> None:
    unusual = verdict(0, condition=Condition.UNUSUAL)
    assert pipeline.handle([verdict(0)], NOON_US).told == 1
    assert pipeline.handle([unusual], LATER_US).told == 0
    assert pipeline.handle([replace(unusual, sensor=2)], LATER_US).told == 1
    assert pipeline.handle([verdict(2, at_us=LATER_US)], LATER_US).told == 1


def test_a_closed_event_does_not_hide_a_graver_moment_within_one_call(pipeline: Pipeline, commands: Commands) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    commands.close(1, actor="admin", now_us=NOON_US + 1)
    milder = replace(verdict(0), phase=Phase.CHANGED, at_us=LATER_US + 1)
    assert pipeline.handle([worse(verdict(0)), milder], LATER_US + 2).events_opened == 1


def test_a_button_whose_event_was_closed_while_it_was_held_is_heard_when_it_is_pressed_again(
    pipeline: Pipeline, ledger: Ledger, commands: Commands
) -> None:
    pipeline.handle([verdict(BUTTON)], NOON_US)
    commands.acknowledge(1, actor="admin", now_us=NOON_US + 1)
    commands.close(1, actor="admin", now_us=NOON_US + 2)
    closed = ledger.events()[0]
    assert pipeline.handle([verdict(BUTTON)], LATER_US) == Outcome(ignored={"same_again": 1})
    again = verdict(BUTTON, at_us=LATER_US)
    assert pipeline.handle([again], LATER_US) == Outcome(changed=1, events_opened=1, told=1)
    assert pushes(ledger)[-1] == ("event_opened", "worker-1")
    assert pipeline.handle([again], LATER_US + 1) == Outcome(ignored={"same_again": 1})
    second, first = ledger.events()
    assert first == closed
    assert not second.over
    (alarm,) = ledger.alarms(standing=True)
    assert (alarm.state, alarm.event_id, alarm.at_us) == (AlarmState.RAISED, 2, LATER_US)
    pipeline.handle([gone(BUTTON, LATER_US + 2)], LATER_US + 2)
    assert ledger.events()[0].over


def test_a_button_held_on_and_raised_again_opens_nothing_while_its_event_is_open(pipeline: Pipeline) -> None:
    pipeline.handle([verdict(BUTTON)], NOON_US)
    assert pipeline.handle([verdict(BUTTON, at_us=LATER_US)], LATER_US) == Outcome(ignored={"same_again": 1})


def test_a_crowd_whose_event_was_closed_is_not_opened_again_by_what_stands(
    pipeline: Pipeline, commands: Commands
) -> None:
    pipeline.handle([verdict(10)], NOON_US)
    commands.close(1, actor="admin", now_us=NOON_US + 2)
    assert pipeline.handle([verdict(10, at_us=LATER_US)], LATER_US) == Outcome(ignored={"same_again": 1})


def test_after_a_close_and_an_end_the_next_press_opens_an_event(pipeline: Pipeline, commands: Commands) -> None:
    pipeline.handle([verdict(BUTTON)], NOON_US)
    commands.close(1, actor="admin", now_us=NOON_US + 2)
    assert pipeline.handle([gone(BUTTON, LATER_US)], LATER_US) == Outcome(cleared=1)
    pressed = verdict(BUTTON, at_us=LATER_US + 1)
    assert pipeline.handle([pressed], LATER_US + 1) == Outcome(raised=1, events_opened=1, told=1)


def test_alarms_of_sensors_that_left_the_city_end_and_their_cases_become_over(
    pipeline: Pipeline, ledger: Ledger, city: City
) -> None:
    broken = replace(STUCK, sensor=0)
    pipeline.handle([verdict(0), verdict(2), verdict(5), verdict(6), broken], NOON_US)
    sensors = [one for one in city.sensors if one.id not in {"s0-ch4", "s5-tilt"}]
    smaller = replace(city, sensors=tuple(replace(one, index=index) for index, one in enumerate(sensors)))
    after = Pipeline(ledger, smaller)
    assert after.retire_missing(LATER_US) == Outcome(cleared=3)
    assert {sensor for sensor, _ in ledger.open_conditions()} == {"s2-ch4", "s6-tilt"}
    assert {event.code[-4:]: event.over for event in ledger.events()} == {"0001": True, "0002": False, "0003": False}
    assert [ticket.over for ticket in ledger.tickets()] == [True]
    ends = [entry for entry in ledger.trail() if entry.action is Action.ALARM_CLEARED]
    assert {entry.detail["why"] for entry in ends} == {"sensor_removed"}
    assert audit.describe(ends[0]).en == "s0-ch4 is no longer in the city; its alarm (Too high) has ended"
    before = everything(ledger)
    assert after.retire_missing(LATER_US + 1) == Outcome()
    assert everything(ledger) == before
    assert after.handle([], LATER_US + OVER_TICKET_CLOSES_US).tickets_closed == 1


def test_how_far_a_lane_is_judged_is_kept_with_what_it_said(pipeline: Pipeline, ledger: Ledger) -> None:
    assert ledger.judged("bulk") == 0
    pipeline.handle([verdict(0)], NOON_US, ("bulk", 7))
    pipeline.handle([verdict(1)], NOON_US, ("bulk", 9))
    pipeline.handle([verdict(2)], NOON_US, ("urgent", 2))
    assert (ledger.judged("bulk"), ledger.judged("urgent")) == (9, 2)


def test_a_call_that_fails_does_not_move_the_position(pipeline: Pipeline, ledger: Ledger) -> None:
    pipeline.handle([verdict(0)], NOON_US, ("bulk", 7))
    with pytest.raises(IndexError):
        pipeline.handle([replace(verdict(1), sensor=10**9)], NOON_US, ("bulk", 8))
    assert ledger.judged("bulk") == 7
