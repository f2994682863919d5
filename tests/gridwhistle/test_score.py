"""Keeping score: what belongs to what really happened, and what was opened for nothing."""

import io
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from alerting.model import CENTRE, Alarm, AlarmState, EventState, FaultTicket, GridEvent, Responsible, TicketState
from alerting.reports import Records
from config.texts import text
from config.vocabulary import Category, Language, LocalText, Role, Severity
from detectors.model import Condition, Nature, Reason
from gridwhistle.score import as_json, keep_score, make_report, print_score
from gridwhistle.score.kinds import ACCEPTED, told_as
from gridwhistle.score.page.tables import false_table, silences_table
from gridwhistle.score.words import Words
from sensors_sim.truth import Episode, Fault, FaultKind, Silence, Truth
from tests.support.dashboard import example_city

TEXT = LocalText("甲", "A")

EPISODE = Episode(
    name="gas leak",
    category=Category.GAS_LEAK,
    lon=113.0,
    lat=28.0,
    grid="g1",
    from_us=100,
    to_us=900,
    sensors=("gas-1", "gas-2"),
    over_limit=("gas-1",),
    limit_us=200,
    severity=Severity.MAJOR,
    responsible="w1",
    responsible_at={"gas-1": "w1", "gas-2": "w1"},
)
FAULT = Fault(FaultKind.STUCK, "env-1", 113.0, 28.0, "g1", 300, 900, "m1")
TRUTH = Truth("city", 7, 0, 1000, (EPISODE,), (FAULT,))
INTERVALS = {"gas-1": 10e-6, "gas-2": 60e-6, "env-1": 30e-6}
SECOND_US = 1_000_000


def alarm(sensor: str, condition: Condition, at_us: int) -> Alarm:
    return Alarm(
        id=1,
        sensor_id=sensor,
        condition=condition,
        nature=Nature.EVENT,
        severity=Severity.MAJOR,
        state=AlarmState.RAISED,
        raised_us=at_us,
        cleared_us=None,
        acknowledged_us=None,
        acknowledged_by=None,
        since_us=at_us,
        at_us=at_us,
        last_us=at_us,
        value=30.0,
        expected_low=0.0,
        expected_high=25.0,
        score=9.0,
        detector="limits",
        reason=Reason("reason.limit.high"),
        event_id=1,
        ticket_id=None,
    )


def event(
    number: int, sensor: str, at_us: int, worker: str = "w1", category: Category = Category.GAS_LEAK
) -> GridEvent:
    return GridEvent(
        id=number,
        code=f"GW-{number}",
        category=category,
        severity=Severity.MAJOR,
        state=EventState.DISPATCHED,
        grid="g1",
        lon=113.0,
        lat=28.0,
        place=TEXT,
        opened_us=at_us,
        started_us=at_us,
        line=(Responsible(worker, TEXT, Role.WORKER, "g1"), Responsible(CENTRE, TEXT, Role.CENTRE, None)),
        department=None,
        city_version="v",
        over=False,
        alarms=(alarm(sensor, Condition.HIGH, at_us),),
    )


def ticket(sensor: str, opened_us: int, condition: Condition = Condition.STUCK) -> FaultTicket:
    return FaultTicket(
        id=1,
        code="FT-1",
        sensor_id=sensor,
        grid="g1",
        state=TicketState.OPEN,
        opened_us=opened_us,
        due_us=opened_us + 1,
        line=(Responsible("m1", TEXT, Role.MAINTENANCE, None),),
        over=False,
        alarms=(alarm(sensor, condition, opened_us),),
    )


def test_everything_found_once_by_the_right_people_is_perfect() -> None:
    score = keep_score(TRUTH, [event(1, "gas-2", 250)], [ticket("env-1", 400)], INTERVALS)
    assert score.perfect
    assert score.episodes[0].delay_s == 150 / 1e6


def test_a_second_event_for_one_cause_is_not_right() -> None:
    score = keep_score(TRUTH, [event(1, "gas-1", 250), event(2, "gas-2", 260)], [ticket("env-1", 400)], INTERVALS)
    assert not score.perfect
    assert score.episodes[0].opened == ("GW-1", "GW-2")


def test_the_wrong_person_or_category_is_not_right() -> None:
    assert not keep_score(TRUTH, [event(1, "gas-1", 250, worker="w2")], [ticket("env-1", 400)], INTERVALS).perfect
    wrong = event(1, "gas-1", 250, category=Category.NOISE)
    assert not keep_score(TRUTH, [wrong], [ticket("env-1", 400)], INTERVALS).perfect


def test_nothing_opened_is_missed() -> None:
    score = keep_score(TRUTH, [], [], INTERVALS)
    assert not score.perfect
    assert [found.opened for found in (*score.episodes, *score.faults)] == [(), ()]


def test_an_event_before_its_cause_or_on_another_sensor_is_false() -> None:
    score = keep_score(TRUTH, [event(1, "gas-1", 50), event(2, "gas-9", 250)], [ticket("env-1", 400)], INTERVALS)
    assert [code for code, _ in score.false_events] == ["GW-1", "GW-2"]


def test_a_grid_event_for_a_broken_sensor_and_a_ticket_for_a_good_one_are_false() -> None:
    score = keep_score(TRUTH, [event(1, "gas-1", 250), event(2, "env-1", 400)], [ticket("gas-1", 250)], INTERVALS)
    assert [code for code, _ in score.false_events] == ["GW-2"]
    assert [sensors for _, sensors in score.false_tickets] == [("gas-1",)]


def test_a_ticket_under_the_wrong_name_is_not_right() -> None:
    score = keep_score(TRUTH, [event(1, "gas-1", 250)], [ticket("env-1", 400, Condition.SILENT)], INTERVALS)
    assert not score.faults[0].right_category
    assert not replace(score, episodes=()).perfect


def test_an_event_later_than_two_readings_and_a_half_minute_after_the_limit_is_not_right() -> None:
    episode = replace(EPISODE, to_us=900 * SECOND_US)
    truth = replace(TRUTH, end_us=1000 * SECOND_US, episodes=(episode,))
    latest_us = 200 + 2 * 10 * SECOND_US + 30 * SECOND_US  # of gas-1, which alone is over its limit
    for opened_us, right in ((latest_us, True), (latest_us + 1, False)):
        score = keep_score(truth, [event(1, "gas-1", opened_us)], [], INTERVALS | {"gas-1": 10.0})
        assert score.episodes[0].right is right
    without_limit = replace(truth, episodes=(replace(episode, limit_us=None, over_limit=()),))
    assert keep_score(without_limit, [event(1, "gas-1", latest_us + 1)], [], INTERVALS).episodes[0].right


def test_an_event_milder_than_what_happened_is_not_right_and_a_graver_one_is() -> None:
    for severity, right in ((Severity.LARGER, False), (Severity.MAJOR, True), (Severity.EXTREME, True)):
        score = keep_score(TRUTH, [replace(event(1, "gas-1", 250), severity=severity)], [], INTERVALS)
        assert score.episodes[0].right is right
    unknown = replace(TRUTH, episodes=(replace(EPISODE, severity=None),))
    mild = replace(event(1, "gas-1", 250), severity=Severity.GENERAL)
    assert keep_score(unknown, [mild], [], INTERVALS).episodes[0].right


@pytest.mark.parametrize(("nature", "false"), [(Nature.EVENT, True), (Nature.FAULT, True), (Nature.UNKNOWN, False)])
def test_an_alarm_of_an_untouched_sensor_inside_a_right_event_is_false(nature: Nature, *, false: bool) -> None:
    right = event(1, "gas-1", 250)
    joined = replace(alarm("gas-9", Condition.HIGH, 260), nature=nature)
    score = keep_score(TRUTH, [replace(right, alarms=(*right.alarms, joined))], [ticket("env-1", 400)], INTERVALS)
    assert score.false_alarms == ((("GW-1", "gas-9"),) if false else ())
    assert score.perfect is not false


def test_a_case_that_began_long_after_the_end_of_an_episode_has_another_cause() -> None:
    last_us = 900 + 15 * 60 * SECOND_US
    truth = replace(TRUTH, episodes=(replace(EPISODE, limit_us=None),))
    score = keep_score(truth, [event(1, "gas-1", last_us)], [ticket("env-1", last_us)], INTERVALS)
    assert score.perfect
    score = keep_score(truth, [event(1, "gas-1", last_us + 1)], [ticket("env-1", last_us + 1)], INTERVALS)
    assert [found.opened for found in (*score.episodes, *score.faults)] == [(), ()]
    assert len(score.false_events) == len(score.false_tickets) == 1


@pytest.mark.parametrize(
    ("language", "leak", "fault"),
    [
        (Language.ZH, ["燃气泄漏: gas-1 +1", "网格事件"], ["数值一直不变: env-1", "设备故障"]),
        (Language.EN, ["Gas leak: gas-1 +1", "Grid event"], ["Value never changes: env-1", "Sensor fault"]),
    ],
)
def test_the_score_is_printed_in_the_words_of_the_language(
    language: Language, leak: list[str], fault: list[str]
) -> None:
    page = io.StringIO()
    score = keep_score(TRUTH, [event(1, "gas-1", 250)], [], INTERVALS)
    print_score(score, Console(file=page, width=160), language)
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in page.getvalue().splitlines()]
    assert [row[:3] for row in rows if row[0].endswith("+1")] == [[*leak, "GW-1"]]
    assert [row[:3] for row in rows if row[0].endswith("env-1")] == [[*fault, "-"]]
    assert text("score.imperfect", language) in page.getvalue()


def test_ids_with_commas_and_spaces_stay_whole() -> None:
    odd = ["gas 1, kitchen", "gas 2, hall", "gas 3", "gas 4"]
    false = event(1, odd[0], 250, worker="w 01")
    joint = replace(false, alarms=tuple(alarm(sensor, Condition.HIGH, 250) for sensor in odd))
    found = Records((joint,), (replace(ticket(odd[0], 250), id=2),), (), ())
    report = make_report(replace(TRUTH, episodes=()), found, example_city())
    told = as_json(report)
    assert told["false_events"][0]["sensors"] == odd
    assert told["false_tickets"][0]["sensors"] == odd[:1]
    assert report.load.events.busiest == "w 01"
    printed = io.StringIO()
    print_score(report.score, Console(file=printed, width=160), Language.EN)
    assert "GW-1: gas 1, kitchen, gas 2, hall, gas 3 +1" in printed.getvalue()
    drawn = false_table(report, Words(Language.EN, ZoneInfo("Asia/Shanghai")))
    assert "gas 1, kitchen, gas 2, hall +2" in drawn


@pytest.mark.parametrize(
    ("language", "kind", "name"),
    [
        (Language.ZH, "power_cut", "停电"),
        (Language.ZH, "network_split", "断网"),
        (Language.EN, "power_cut", "power cut"),
        (Language.EN, "network_split", "no network"),
        (Language.ZH, "of_another_program", "of_another_program"),
    ],
)
def test_what_stilled_many_sensors_is_named_in_the_words_of_the_language(
    language: Language, kind: str, name: str
) -> None:
    silence = Silence(kind, 0.0, 0.0, "g7", 300, 900, ("a", "b"), keeps=False, responsible=None)
    truth = replace(TRUTH, silences=(silence,))
    printed = io.StringIO()
    print_score(keep_score(truth, [], [], INTERVALS), Console(file=printed, width=160), language)
    drawn = silences_table(
        make_report(truth, Records((), (), (), ()), example_city()), Words(language, ZoneInfo("Asia/Shanghai"))
    )
    assert f"{name} g7 (2 " in printed.getvalue()
    assert f"<td>{name} · g7</td>" in drawn


def test_every_kind_of_fault_may_be_told_as_something() -> None:
    assert ACCEPTED.keys() == set(FaultKind)
    assert all(ACCEPTED.values())


def test_a_fault_may_be_told_as_what_it_looks_like_and_always_by_its_own_name() -> None:
    assert told_as(FaultKind.DRIFT, Condition.UNUSUAL)
    assert not told_as(FaultKind.DRIFT, Condition.SILENT)
    for condition in Condition:
        if condition.value in set(FaultKind):
            assert told_as(FaultKind(condition.value), condition)
