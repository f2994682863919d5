"""The engine: order, quality, silence, refusals, adoption."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import detectors.engine
from config.quantities import QUANTITIES
from config.texts import table
from config.vocabulary import Language
from detectors.bank import NEVER
from detectors.checks import trouble
from detectors.engine import GOOD_RUN, REFUSED_RUN, Engine
from detectors.model import Condition, Nature, Phase, Verdict
from ingest.model import LivenessChange, Quality, ReadingBatch, Refusal, RefusalReason
from tests.detectors.build import START_US, batch, city, feed


def refusal(sensor: int, reason: RefusalReason = RefusalReason.OUT_OF_RANGE) -> Refusal:
    return Refusal(reason, START_US, "t", b"{}", "900 ppm", "-10 to 500 ppm", sensor)


def silent(sensor: int, *, now: bool, last_us: int = START_US) -> LivenessChange:
    return LivenessChange(sensor, now, START_US + 600_000_000, last_us, 180.0)


def test_readings_of_one_sensor_in_one_batch_are_judged_in_order_of_event_time() -> None:
    engine = Engine(city(["ch4"]))
    verdicts = engine.process(batch([(0, 20, 60.0), (0, 0, 0.0), (0, 10, 30.0), (0, 30, 0.0)]), 0)
    assert [(v.phase, v.value) for v in verdicts] == [
        (Phase.RAISED, 30.0),
        (Phase.CHANGED, 60.0),
        (Phase.CLEARED, 0.0),
    ]


def test_a_reading_that_is_not_newer_neither_raises_nor_clears() -> None:
    engine = Engine(city(["ch4"]))
    engine.process(batch([(0, 100, 30.0)]), 0)
    assert not engine.process(batch([(0, 100, 0.0), (0, 50, 0.0), (0, 60, 99.0)]), 0)
    assert engine.standing() == {(0, Condition.HIGH)}


def test_only_good_readings_are_judged() -> None:
    engine = Engine(city(["ch4"]))
    for quality in set(Quality) - {Quality.GOOD}:
        assert not engine.process(batch([(0, 0, 99.0)], quality), 0)
    assert not engine.process(ReadingBatch.empty(), 0)


def test_silence_is_said_once_and_ends_once() -> None:
    engine = Engine(city(["pm25", "pm25"]))
    changes = [silent(0, now=True), silent(0, now=True), silent(1, now=True, last_us=0)]
    verdicts = engine.liveness(changes, START_US + 600_000_000)
    assert [(v.sensor, v.condition, v.phase, v.nature) for v in verdicts] == [
        (0, Condition.SILENT, Phase.RAISED, Nature.FAULT),
        (1, Condition.SILENT, Phase.RAISED, Nature.FAULT),
    ]
    assert verdicts[0].reason.params["minutes"] == 10
    assert verdicts[1].reason.key == "reason.silent.raised_never"
    back = [silent(0, now=False), silent(0, now=False)]
    assert [v.phase for v in engine.liveness(back, START_US)] == [Phase.CLEARED]
    assert engine.standing() == {(1, Condition.SILENT)}


def test_impossible_values_in_a_row_are_a_fault_until_good_ones_come_again() -> None:
    engine = Engine(city(["co"]))
    (verdict,) = engine.refused([refusal(0)] * (REFUSED_RUN + 4), START_US)
    assert (verdict.condition, verdict.nature, verdict.reason.params["found"]) == (
        Condition.OUT_OF_RANGE,
        Nature.FAULT,
        "900 ppm",
    )
    told = [engine.process(batch([(0, second, 1.0)]), 0) for second in range(0, 60 * GOOD_RUN, 60)]
    assert [len(verdicts) for verdicts in told] == [0] * (GOOD_RUN - 1) + [1]
    assert told[-1][0].phase is Phase.CLEARED


def test_no_end_is_older_than_its_beginning_though_the_devices_clock_is_behind() -> None:
    engine = Engine(city(["co"]))
    (began,) = engine.refused([refusal(0)] * REFUSED_RUN, START_US)
    hour_behind = batch([(0, second - 3600, 1.0) for second in range(0, 60 * GOOD_RUN, 60)])
    (ended,) = engine.process(hour_behind, START_US)
    assert (ended.phase, ended.at_us) == (Phase.CLEARED, began.since_us)
    (raised,) = engine.liveness([silent(0, now=True)], START_US)
    (over,) = engine.liveness([silent(0, now=False, last_us=raised.at_us + 1)], START_US)
    assert raised.at_us < over.since_us <= over.at_us
    adopter = Engine(city(["co"]))
    adopter.adopt([(0, Condition.OUT_OF_RANGE)])
    assert [v.at_us for v in adopter.process(hour_behind, START_US)] == [START_US]


def test_a_good_reading_between_impossible_ones_begins_the_count_anew() -> None:
    engine = Engine(city(["co"]))
    for second in range(0, 600, 60):
        assert not engine.refused([refusal(0)] * (REFUSED_RUN - 1), START_US)
        assert not engine.process(batch([(0, second, 1.0)]), 0)


def test_refusals_that_say_nothing_of_a_sensor_are_left_alone() -> None:
    engine = Engine(city(["co"]))
    others = set(RefusalReason) - {RefusalReason.OUT_OF_RANGE, RefusalReason.NOT_A_NUMBER}
    assert not engine.refused([refusal(0, reason) for reason in others for _ in range(5)], START_US)
    assert not engine.refused([refusal(-1)] * 5, START_US)


def test_adopted_conditions_are_not_raised_again_and_end_with_normal_readings() -> None:
    engine = Engine(city(["ch4", "pm25"]))
    held = {(0, Condition.HIGH), (1, Condition.SILENT), (1, Condition.OUT_OF_RANGE)}
    engine.adopt(held)
    assert engine.standing() == held
    assert not engine.liveness([silent(1, now=True)], START_US)
    assert not engine.refused([refusal(1)] * 5, START_US)
    ended = engine.liveness([silent(1, now=False)], START_US)
    for second in range(0, 60 * GOOD_RUN, 60):
        ended += engine.process(batch([(0, second, 0.0), (1, second, 40.0 + second / 60)]), 0)
    assert {(v.sensor, v.condition) for v in ended if v.phase is Phase.CLEARED} == held
    assert not engine.standing()


def test_whatever_is_adopted_on_whatever_sensor_ends_with_normal_readings() -> None:
    held = [(quantity, condition) for quantity in QUANTITIES for condition in Condition if condition != "silent"]
    engine = Engine(city([quantity for quantity, _ in held]))
    engine.adopt([(index, condition) for index, (_, condition) in enumerate(held)])
    assert len(engine.standing()) == len(held)
    rng = np.random.default_rng(1)
    kept = [QUANTITIES[quantity] for quantity, _ in held]
    usual = {"o2": 20.9, "pressure": 1000.0, "temperature": 15.0, "humidity": 50.0, "noise": 50.0}
    level = np.array([usual.get(quantity, 0.0) for quantity, _ in held])
    scatter = np.array([0.0 if q.steps else 0.2 if q.name == "o2" else 0.5 for q in kept])
    low, high = np.array([q.low for q in kept]), np.array([q.high for q in kept])
    for step in range(120):
        values = np.clip(level + scatter * np.round(rng.normal(size=len(held)), 1), low, high)
        engine.process(batch([(index, step * 60.0, float(value)) for index, value in enumerate(values)]), 0)
    assert not {held[index] for index, _ in engine.standing()}


def test_an_adopted_condition_that_nothing_judges_any_more_ends_with_the_next_good_reading() -> None:
    engine = Engine(city(["people"]))  # no limit, and a count may rest
    engine.adopt([(0, Condition.HIGH), (0, Condition.STUCK)])
    verdicts = engine.process(batch([(0, 0, 3.0)]), 0)
    assert {(v.condition, v.phase, v.reason.key) for v in verdicts} == {
        (Condition.HIGH, Phase.CLEARED, "reason.unjudged"),
        (Condition.STUCK, Phase.CLEARED, "reason.unjudged"),
    }


def test_what_was_lost_on_its_way_to_the_ledger_is_raised_again_by_readings_delivered_again() -> None:
    engine, readings = Engine(city(["ch4", "co"])), batch([(0, 0, 30.0), (1, 0, 1.0)])
    engine.process(readings, 0)
    engine.liveness([silent(0, now=True)], START_US)
    engine.forget([(0, Condition.HIGH)])
    assert engine.standing() == {(0, Condition.SILENT)}
    assert engine.silent().tolist() == [True, False]
    assert [column.tolist() for column in engine.latest()] == [[NEVER, START_US], [0.0, 1.0]]
    assert [(v.sensor, v.condition, v.phase) for v in engine.process(readings, 0)] == [
        (0, Condition.HIGH, Phase.RAISED)
    ]
    assert engine.latest()[0].tolist() == [START_US, START_US]
    assert [v.phase for v in engine.liveness([silent(0, now=False)], START_US)] == [Phase.CLEARED]


def test_a_forgotten_leak_below_the_limit_is_still_unusual_for_the_sensor() -> None:
    rng = np.random.default_rng(6)
    engine = Engine(city(["ch4"], 5))
    feed(engine, [[*np.abs(rng.normal(0.3, 0.2, 300)).tolist(), *[12.0] * 6]], 5)
    assert engine.standing() == {(0, Condition.UNUSUAL)}
    engine.forget(engine.standing())
    assert [v.phase for v in feed(engine, [[12.0] * 6], 5, start=306)] == [Phase.RAISED]


def test_forgetting_everything_leaves_no_trace_of_what_stood() -> None:
    town = city(["pm25", "ch4", "noise"])
    engine = Engine(town)
    stands: set[tuple[int, Condition]] = set()
    for condition in Condition:
        engine.adopt([(sensor, condition) for sensor in range(3)])
    stands = engine.standing()
    assert len(stands) == 3 * len(Condition)
    engine.forget(stands)
    assert not engine.standing()
    for (name, columns), (_, fresh) in zip(engine.tables(), Engine(town).tables(), strict=True):
        assert all(np.array_equal(columns[key], fresh[key]) for key in fresh), name


def test_an_adopted_fault_speaks_against_the_sensor_until_it_ends() -> None:
    engine = Engine(city(["pm25", "pm25", "pm25"]))
    engine.adopt([(0, Condition.SILENT), (0, Condition.STUCK), (1, Condition.HIGH)])
    assert engine.shared["faulty"].tolist() == [2, 0, 0]
    assert engine.shared["standing"].tolist() == [2, 1, 0]
    assert engine.silent().tolist() == [True, False, False]
    engine.liveness([silent(0, now=False)], START_US)
    assert engine.shared["faulty"].tolist() == [1, 0, 0]


def test_a_press_overtaken_by_its_release_on_the_way_is_raised_and_ended() -> None:
    engine = Engine(city(["help_button"]))
    engine.process(batch([(0, 0, 0.0)]), 0)
    verdicts = engine.process(batch([(0, 31, 0.0), (0, 30, 1.0)]), 0)
    assert [(v.phase, v.at_us - START_US) for v in verdicts] == [
        (Phase.RAISED, 30_000_000),
        (Phase.CLEARED, 31_000_000),
    ]


def test_of_two_readings_of_one_time_in_a_batch_the_first_received_is_judged() -> None:
    engine = Engine(city(["ch4", "ch4"]))
    verdicts = engine.process(batch([(0, 0, 30.0), (0, 0, 0.0), (1, 0, 0.0), (1, 0, 30.0)]), 0)
    assert [(v.sensor, v.phase) for v in verdicts] == [(0, Phase.RAISED)]


def test_a_device_that_put_its_clock_back_is_judged_again_and_its_verdicts_stay_in_order() -> None:
    engine = Engine(city(["ch4"]))
    (raised,) = engine.process(batch([(0, 7200, 30.0)]), 0)
    back = batch([(0, 3600, 30.0), (0, 3660, 0.0), (0, 3720, 60.0)])
    assert not engine.process(back, 0)
    engine.step_back([0], back)
    ended, again = engine.process(back, 0)
    assert [v.phase for v in (ended, again)] == [Phase.CLEARED, Phase.RAISED]
    assert raised.at_us < ended.at_us < again.at_us
    assert all(v.since_us <= v.at_us for v in (ended, again))
    (late_end,) = engine.process(batch([(0, 9000, 0.0)]), 0)
    assert late_end.at_us == START_US + 9_000_000_000


def test_a_limit_that_was_pending_goes_on_when_the_clock_is_put_back() -> None:
    engine = Engine(city(["pm25"]))
    assert not engine.process(batch([(0, 86400 + s, 160.0) for s in range(0, 300, 60)]), 0)
    back = batch([(0, s, 160.0) for s in range(0, 600, 60)])
    engine.step_back([0], back)
    assert [(v.phase, v.at_us - v.since_us) for v in engine.process(back, 0)] == [(Phase.RAISED, 600_000_000)]


def test_a_step_back_of_what_was_never_heard_or_is_newer_changes_nothing() -> None:
    engine = Engine(city(["ch4", "ch4"]))
    engine.process(batch([(0, 0, 1.0)]), 0)
    before = [column.copy() for column in engine.latest()]
    engine.step_back([0, 1], batch([(0, 60, 1.0), (1, 0, 1.0)]))
    assert all(np.array_equal(one, other) for one, other in zip(before, engine.latest(), strict=True))


def test_the_state_of_half_a_million_sensors_fits_into_memory() -> None:
    assert Engine(city(["pm25"] * 10)).bytes_per_sensor <= 320


def test_both_languages_hold_the_same_reasons() -> None:
    keys = [{key for key in table(language) if key.startswith("reason.")} for language in Language]
    assert keys[0] == keys[1]


def told_by(engine: Engine, stream: Iterable[ReadingBatch]) -> list[Verdict]:
    return [verdict for readings in stream for verdict in engine.process(readings, 0)]


def same_state(one: Engine, other: Engine) -> bool:
    pairs = zip(one.tables(), other.tables(), strict=True)
    return all(np.array_equal(mine[name], theirs[name]) for (_, mine), (_, theirs) in pairs for name in mine)


@pytest.mark.parametrize(("block", "threads"), [(5, 1), (4, 2), (7, 3)])
def test_neither_blocks_nor_threads_change_what_is_told_or_learned(
    monkeypatch: pytest.MonkeyPatch, block: int, threads: int
) -> None:
    town = city(
        ["pm25"] * 12 + ["temperature"] * 6 + ["ch4", "o2", "tilt", "noise", "people", "rain", "illuminance"] * 2
    )
    stream = trouble(town, 60)
    plain = Engine(town, threads=1)
    expected = told_by(plain, stream)
    assert {verdict.condition for verdict in expected} >= {Condition.UNUSUAL, Condition.STUCK, Condition.HIGH}
    monkeypatch.setattr(detectors.engine, "BLOCK", block)
    cut = Engine(town, threads=threads)
    assert told_by(cut, stream) == expected
    assert same_state(cut, plain)


def test_where_no_neighbours_are_asked_it_does_not_matter_how_a_stream_is_cut() -> None:
    town = city(["ch4", "co", "o2", "tilt", "noise", "people", "smoke_score", "current"])
    stream = trouble(town, 60)
    newest = np.full(len(town.sensors), NEVER)
    readings = []
    for at in stream:  # what is late within its batch would be left out where batches are smaller
        ordered = at.take(np.lexsort((at.event_us, at.sensor)))
        readings.append(ordered.take(ordered.event_us > newest[ordered.sensor]))
        np.maximum.at(newest, at.sensor, at.event_us)
    single = [at.take(np.array([row])) for at in readings for row in range(len(at))]
    pairs = [
        ReadingBatch(*(np.concatenate(columns) for columns in zip(*map(columns_of, two), strict=True)))
        for two in zip(readings[::2], readings[1::2], strict=True)
    ]
    whole, alone, together = Engine(town), Engine(town), Engine(town)
    expected = sorted(told_by(whole, readings), key=by_sensor)
    assert len(expected) > 50
    assert sorted(told_by(alone, single), key=by_sensor) == expected
    assert sorted(told_by(together, pairs), key=by_sensor) == expected
    assert same_state(whole, alone)
    assert same_state(whole, together)


def by_sensor(verdict: Verdict) -> int:
    return verdict.sensor


def columns_of(readings: ReadingBatch) -> tuple[npt.NDArray[Any], ...]:
    return readings.sensor, readings.event_us, readings.received_us, readings.value, readings.quality


def test_verdicts_of_a_round_come_by_detector_and_then_by_sensor() -> None:
    engine = Engine(city(["people", "ch4", "o2", "ch4"]))
    verdicts = engine.process(batch([(3, 0, 60.0), (2, 0, 17.0), (1, 0, 30.0)]), 0)
    assert [verdict.sensor for verdict in verdicts] == [1, 2, 3]


def test_a_bank_of_no_detectors_still_keeps_the_latest_readings() -> None:
    engine = Engine(city(["co"]), [])
    assert not engine.process(batch([(0, 5, 1.5)]), 0)
    assert [column.tolist() for column in engine.latest()] == [[START_US + 5_000_000], [1.5]]
