"""Cases that are split, merged, late or mixed up; floods, loads, and faults told from events."""

import doctest
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from alerting.model import CENTRE, GridEvent
from alerting.reports import Push, Records
from config.city import City
from config.clock import from_datetime, to_datetime
from config.vocabulary import Category
from detectors.model import Condition, Nature
from gridwhistle.score import Outcome, judge, keep_score, words
from gridwhistle.score import load as loads
from gridwhistle.score.confusion import Thing, confusion
from gridwhistle.score.found import Blame, Tally
from gridwhistle.score.load import FLOOD_ALARMS, FLOOD_US, flood, load
from gridwhistle.score.page import svg, timeline
from gridwhistle.score.page.svg import Scale, moments, ticks
from gridwhistle.score.page.timeline import lanes, rate_steps
from sensors_sim.truth import AFTERMATH_US, Fault, FaultKind, Silence, Truth
from tests.gridwhistle.test_score import EPISODE, INTERVALS, TRUTH, alarm, event, ticket
from tests.support.dashboard import START_US, example_city

MINUTE_US = 60_000_000


def with_alarms(case: GridEvent, *sensors: tuple[str, int]) -> GridEvent:
    found = [replace(alarm(sensor, Condition.HIGH, at_us), id=row + 1) for row, (sensor, at_us) in enumerate(sensors)]
    return replace(case, alarms=tuple(found))


def outcomes(truth: Truth, *events: GridEvent) -> list[Outcome]:
    return [found.outcome for found in keep_score(truth, events, [], INTERVALS).episodes]


class TestJudge:
    second = replace(EPISODE, name="second leak", from_us=150, sensors=("gas-5",), over_limit=(), limit_us=None)
    both = replace(TRUTH, episodes=(EPISODE, second))

    def test_two_cases_for_one_cause_are_a_split(self) -> None:
        assert outcomes(TRUTH, event(1, "gas-1", 250), event(2, "gas-2", 260)) == [Outcome.SPLIT]

    def test_one_case_for_two_causes_is_merged_and_names_the_other(self) -> None:
        joint = with_alarms(event(1, "gas-1", 250), ("gas-1", 250), ("gas-5", 260))
        score = keep_score(self.both, [joint], [], INTERVALS)
        assert [found.outcome for found in score.episodes] == [Outcome.MERGED, Outcome.MERGED]
        assert score.episodes[0].shared_with == ("second leak",)
        assert not score.false_events

    def test_a_case_that_was_open_before_and_took_the_alarm_in_is_merged_too(self) -> None:
        later = replace(self.second, from_us=400)
        joint = with_alarms(event(1, "gas-1", 250), ("gas-1", 250), ("gas-5", 500))
        score = keep_score(replace(TRUTH, episodes=(EPISODE, later)), [joint], [], INTERVALS)
        assert [found.outcome for found in score.episodes] == [Outcome.RIGHT, Outcome.MERGED]
        assert score.episodes[1].joined == ("GW-1",)
        assert score.episodes[1].opened == ()

    def test_of_several_episodes_a_case_belongs_to_those_of_its_category(self) -> None:
        smoke = replace(self.second, category=Category.AIR_POLLUTION, sensors=EPISODE.sensors)
        truth = replace(TRUTH, episodes=(EPISODE, smoke))
        assert outcomes(truth, event(1, "gas-1", 250)) == [Outcome.RIGHT, Outcome.MISSED]

    def test_two_episodes_of_one_name_are_two(self) -> None:
        again = replace(self.second, name=EPISODE.name)
        assert outcomes(replace(TRUTH, episodes=(EPISODE, again)), event(1, "gas-1", 250)) == [
            Outcome.RIGHT,
            Outcome.MISSED,
        ]

    def test_another_department_than_the_truths_is_not_right_and_none_named_claims_nothing(self) -> None:
        named = replace(TRUTH, episodes=(replace(EPISODE, department="gas"),))
        right, wrong = (replace(event(1, "gas-1", 250), department=name) for name in ("gas", "fire"))
        assert outcomes(named, right) == [Outcome.RIGHT]
        assert outcomes(named, wrong) == [Outcome.WRONG_DEPARTMENT]
        assert outcomes(TRUTH, wrong) == [Outcome.RIGHT]

    def test_the_delay_beyond_the_limit_is_told(self) -> None:
        assert EPISODE.limit_us is not None
        found = keep_score(TRUTH, [event(1, "gas-1", EPISODE.limit_us + 3_000_000)], [], INTERVALS).episodes[0]
        assert found.late_s == pytest.approx(3.0)
        early = keep_score(TRUTH, [event(1, "gas-1", EPISODE.limit_us - 50)], [], INTERVALS).episodes[0]
        assert early.late_s == pytest.approx(-50e-6)

    def test_an_event_told_as_a_fault_and_a_fault_told_as_an_event_are_mixed_up(self) -> None:
        score = keep_score(TRUTH, [event(1, "env-1", 400)], [ticket("gas-2", 300)], INTERVALS)
        assert [found.outcome for found in (*score.episodes, *score.faults)] == [Outcome.MISTAKEN, Outcome.MISTAKEN]
        assert score.blame == {"GW-1": Blame.FAULT, "FT-1": Blame.EVENT}
        assert not score.perfect

    def test_what_nobody_could_see_counts_neither_way_unless_it_was_told(self) -> None:
        unseen = replace(TRUTH, episodes=(replace(EPISODE, sensors=(), over_limit=()),), faults=())
        assert keep_score(unseen, [], [], INTERVALS).perfect
        slow = {**INTERVALS, "env-1": 3600.0}
        only_fault = replace(TRUTH, episodes=())
        assert keep_score(only_fault, [], [], slow).faults[0].outcome is Outcome.NOT_SHOWN
        assert keep_score(only_fault, [], [ticket("env-1", 400)], slow).faults[0].outcome is Outcome.RIGHT

    @pytest.mark.parametrize(
        ("fastest_us", "shown"),
        [(400, True), (401, False)],  # the leak lasts from 100 to 900
    )
    def test_what_is_over_before_two_readings_does_not_show(self, fastest_us: int, *, shown: bool) -> None:
        slow = {"gas-1": 1e-3, "gas-2": fastest_us / 1e6}
        leak = replace(TRUTH, faults=())
        missed = Outcome.MISSED if shown else Outcome.NOT_SHOWN
        assert keep_score(leak, [], [], slow).episodes[0].outcome is missed
        cut_short = replace(leak, end_us=899)
        assert keep_score(cut_short, [], [], slow).episodes[0].outcome is Outcome.NOT_SHOWN
        assert keep_score(leak, [event(1, "gas-1", 250)], [], slow).episodes[0].outcome is Outcome.RIGHT

    @pytest.mark.parametrize(
        ("to_us", "keeps", "shown"),
        [(770, False, True), (790, False, False), (900, True, True), (1000, True, False), (1000, False, False)],
    )
    def test_what_was_never_delivered_does_not_show(self, to_us: int, *, keeps: bool, shown: bool) -> None:
        cut = Silence("power_cut", 0.0, 0.0, "g1", 50, to_us, ("gas-1",), keeps=keeps, responsible=None)
        broken = Fault(FaultKind.SILENT, "gas-2", 0.0, 0.0, "g1", 0, 1000, None)
        truth = replace(TRUTH, faults=(broken,), silences=(cut,))
        outcome = keep_score(truth, [], [], INTERVALS | {"gas-1": 60e-6}).episodes[0].outcome
        assert outcome is (Outcome.MISSED if shown else Outcome.NOT_SHOWN)

    def test_of_two_faults_of_one_sensor_a_ticket_is_about_the_one_that_began_last(self) -> None:
        first = TRUTH.faults[0]
        again = replace(first, kind=FaultKind.SILENT, from_us=500)
        truth = replace(TRUTH, episodes=(), faults=(first, again))
        score = keep_score(truth, [], [ticket("env-1", 600, Condition.SILENT)], INTERVALS)
        assert [found.opened for found in score.faults] == [(), ("FT-1",)]

    def test_what_one_silence_made_is_counted_as_its_own_and_one_ticket_is_right(self) -> None:
        silence = Silence("power_cut", 0.0, 0.0, "g1", 300, 900, ("a", "b", "c"), keeps=False, responsible="m1")
        truth = replace(TRUTH, episodes=(), faults=(), silences=(silence,))
        tickets = [
            replace(ticket(sensor, 400, Condition.SILENT), id=row, code=f"FT-{row}") for row, sensor in enumerate("abz")
        ]
        score = keep_score(truth, [], tickets, INTERVALS)
        assert score.silences[0].tickets == ("FT-0", "FT-1")
        assert [code for code, _ in score.false_tickets] == ["FT-2"]
        assert not score.silences[0].right
        assert keep_score(truth, [], tickets[:1], INTERVALS).perfect
        late = [replace(tickets[0], opened_us=900 + AFTERMATH_US + 1)]
        assert keep_score(truth, [], late, INTERVALS).false_tickets

    def test_who_was_on_duty_is_asked_of_the_roster_when_the_case_was_opened(self) -> None:
        city = example_city()
        sensor = next(sensor for sensor in city.sensors if sensor.quantity == "ch4")
        worker = next(shift.worker for shift in city.roster if shift.grid == sensor.grid)
        episode = replace(
            EPISODE, sensors=(sensor.id,), over_limit=(), limit_us=None, from_us=START_US, to_us=START_US + MINUTE_US
        )
        truth = Truth(city.version, 7, START_US, START_US + MINUTE_US, (episode,), ())
        opened = event(1, sensor.id, START_US + 1, worker=worker)
        intervals = {sensor.id: 10.0}
        assert keep_score(truth, [opened], [], intervals, city).episodes[0].outcome is Outcome.RIGHT
        assert keep_score(truth, [opened], [], intervals).episodes[0].outcome is Outcome.WRONG_PERSON

    def test_a_tally_counts_outcomes_and_delays(self) -> None:
        found = keep_score(TRUTH, [event(1, "gas-1", 250)], [], INTERVALS)
        tally = Tally.of((*found.episodes, *found.faults))
        assert (tally.all, tally.shown, tally.told) == (2, 2, 1)
        assert tally.median_s == tally.slow_s == 150e-6

    def test_rates_are_by_day_and_by_a_thousand_sensors(self) -> None:
        day = replace(TRUTH, start_us=0, end_us=86_400_000_000 // 2)
        score = keep_score(day, [], [], {str(row): 60.0 for row in range(500)} | INTERVALS)
        assert score.per_day(3) == pytest.approx(6)
        assert score.per_day(3, per_1000_sensors=True) == pytest.approx(6 / 0.503)
        assert keep_score(replace(TRUTH, end_us=0), [], [], INTERVALS).per_day(1) is None


def small_city() -> City:
    return example_city()


class TestConfusion:
    def test_each_thing_counts_once_and_a_mere_alarm_is_only_shown(self) -> None:
        city = small_city()
        broken, shown, sound = city.columns.ids[:3]
        fault = Fault(FaultKind.DRIFT, broken, 0, 0, "g", 0, 10**9, None)
        truth = Truth(city.version, 7, 0, 10**9, (), (fault,))
        lone = [replace(alarm(sensor, Condition.UNUSUAL, 5), nature=Nature.UNKNOWN) for sensor in (broken, shown)]
        opened = event(1, sound, 7)
        found = Records(
            (opened,), (), (*opened.alarms, *(replace(one, id=row + 9) for row, one in enumerate(lone))), ()
        )
        score = keep_score(truth, found.events, found.tickets, dict.fromkeys(city.columns.ids, 60.0))
        table = confusion(truth, score, found, city)
        assert table.row(Thing.FAULT) == (0, 0, 1, 0)
        assert table.row(Thing.NOTHING) == (1, 0, 1, len(city.sensors) - 3)
        assert [(row.kind, row.all, row.shown) for row in table.kinds] == [(FaultKind.DRIFT, 1, 1)]


class TestFlood:
    def test_ten_within_ten_minutes_are_a_flood_until_fewer_than_ten_are_left(self) -> None:
        times = [row * MINUTE_US for row in range(1, 11)]
        found = flood(times, 0, 100 * MINUTE_US)
        assert (found.alarms, found.peak, found.peak_us) == (10, 10, 10 * MINUTE_US)
        assert found.minutes == pytest.approx(1.0)  # from the tenth until the first is ten minutes old
        assert flood(times[:9], 0, 100 * MINUTE_US).minutes == 0

    def test_no_alarm_is_no_flood(self) -> None:
        assert flood([], 0, MINUTE_US).peak_us is None

    @given(some.lists(some.integers(0, 60), max_size=50))
    def test_the_time_in_flood_is_what_counting_between_all_changes_finds(self, minutes: list[int]) -> None:
        times, end = [minute * MINUTE_US for minute in minutes], 65 * MINUTE_US
        changes = sorted({0, end, *times, *(min(end, time + FLOOD_US) for time in times)})
        flooded = sum(
            after - before
            for before, after in pairwise(changes)
            if sum(before - FLOOD_US < time <= before for time in times) >= FLOOD_ALARMS
        )
        found = flood(times, 0, end)
        assert found.minutes == pytest.approx(flooded / MINUTE_US)
        assert found.share == pytest.approx(flooded / end)

    @given(some.lists(some.integers(0, 50 * MINUTE_US), min_size=1, max_size=40))
    def test_the_steps_of_the_rate_reach_the_same_peak(self, times: list[int]) -> None:
        steps = rate_steps(times, 0, 60 * MINUTE_US, 100)
        assert max(count for _, count in steps) == flood(times, 0, 60 * MINUTE_US).peak


class TestLoad:
    def test_pushes_count_by_worker_and_those_to_the_centre_apart(self) -> None:
        city = small_city()
        pushes = [Push("w01", "event_opened", row, row, None) for row in range(3)]
        pushes += [Push("w02", "event_opened", 5, 9, None), Push(CENTRE, "not_reached", 6, 9, None)]
        events = tuple(event(row, "gas-1", START_US) for row in range(9))
        truth = Truth(city.version, 7, START_US, START_US + 60 * MINUTE_US, (), ())
        found = load(truth, Records(events, (), (), tuple(pushes)), city)
        assert (found.pushes.people, found.pushes.total, found.pushes.most, found.pushes.busiest) == (2, 4, 3, "w01")
        assert found.pushes.median == 2
        assert found.centre_pushes == 1
        assert (found.events.most, found.over_sensible) == (9, 1)
        assert found.by_worker == {"w01": 3, "w02": 1}
        assert found.by_cause == {"event_opened": 4, "not_reached": 1}

    def test_the_alarms_that_were_raised_most_often_are_named_with_their_share(self) -> None:
        city = small_city()
        alarms = [alarm("gas-1", Condition.SILENT, 5)] * 6 + [alarm(f"s{row}", Condition.HIGH, 5) for row in range(24)]
        truth = Truth(city.version, 7, 0, MINUTE_US, (), ())
        found = load(truth, Records((), (), tuple(alarms), ()), city)
        assert (found.talkers[0].sensor, found.talkers[0].alarms, len(found.talkers)) == ("gas-1", 6, 10)
        assert found.talkers_share == pytest.approx(15 / 30)


class TestDrawing:
    @given(some.lists(some.tuples(some.integers(0, 1000), some.integers(0, 200)), max_size=40), some.integers(0, 9))
    def test_no_two_spans_of_a_lane_overlap(self, drawn: list[tuple[int, int]], gap: int) -> None:
        spans = sorted((begin, begin + long) for begin, long in drawn)
        rows = lanes(spans, gap)
        for lane in set(rows):
            mine = [span for span, row in zip(spans, rows, strict=True) if row == lane]
            assert all(before[1] + gap <= after[0] for before, after in pairwise(mine))

    @given(some.floats(-1e6, 1e6), some.floats(1e-6, 1e6), some.integers(1, 8))
    def test_ticks_are_few_and_within(self, low: float, size: float, most: int) -> None:
        found = ticks(low, low + size, most)
        assert len(found) <= most + 1
        assert all(low - size * 1e-6 - 1e-9 <= tick <= low + size * (1 + 1e-6) + 1e-9 for tick in found)

    @given(some.integers(0, 10**15), some.integers(60, 86_400 * 40))
    def test_moments_are_few_and_within(self, begin: int, seconds: int) -> None:
        end = begin + seconds * 1_000_000
        found = moments(begin, end, example_city().timezone, 8)
        assert len(found) <= 9
        assert all(begin <= at <= end for at, _ in found)

    @pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
    @pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 8, 12, 24, 30, 60])
    @pytest.mark.parametrize("hours", [1, 2, 3, 6, 12, 24, 25, 48, 200])
    def test_where_clocks_change_no_moment_and_no_label_comes_twice(self, day: str, most: int, hours: int) -> None:
        zone = ZoneInfo("Europe/Berlin")
        midnight = from_datetime(datetime.fromisoformat(day).replace(tzinfo=zone))
        for begin in (midnight, midnight + 60 * MINUTE_US, midnight - 8 * 60 * MINUTE_US):
            found = moments(begin, begin + hours * 60 * MINUTE_US, zone, most)
            assert [at for at, _ in found] == sorted({at for at, _ in found})
            clocks = [(to_datetime(at).astimezone(zone).date(), label) for at, label in found]
            assert len(clocks) == len(set(clocks))
            assert len(found) <= most + 1

    def test_ticks_of_days_on_which_clocks_change_are_evenly_spaced_from_midnight(self) -> None:
        zone = ZoneInfo("Europe/Berlin")

        def labels(day: str) -> list[str]:
            begin = from_datetime(datetime.fromisoformat(day).replace(tzinfo=zone))
            return [label for _, label in moments(begin, begin + 26 * 60 * MINUTE_US, zone, 9)]

        assert labels("2026-03-29") == ["03-29", "04:00", "07:00", "10:00", "13:00", "16:00", "19:00", "03-30", "03:00"]
        assert labels("2026-10-25") == [
            "10-25", "02:00", "05:00", "08:00", "11:00", "14:00", "17:00", "20:00", "10-26",
        ]  # fmt: skip

    def test_a_scale_goes_either_way(self) -> None:
        assert Scale(0, 10, 100, 0)(2.5) == 75

    @pytest.mark.parametrize("module", [judge, words, loads, svg, timeline])
    def test_the_examples_in_the_docstrings_are_right(self, module: ModuleType) -> None:
        tried = doctest.testmod(module)
        assert tried.attempted > 0
        assert tried.failed == 0
