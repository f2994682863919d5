"""Limits: steps, hysteresis, duration by event time, gaps, doubt."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.limits import Limit, LimitTable, Side, limit_table
from config.vocabulary import Severity
from detectors.engine import Engine
from detectors.limits import Limits
from detectors.model import Condition, Nature, Phase, Verdict
from tests.detectors.build import START_US, batch, city, feed


def engine_of(*quantities: str, interval_s: float = 60, limits: LimitTable | None = None) -> Engine:
    town = city(quantities, interval_s, limits)
    return Engine(town, [Limits(town)])


def told(verdicts: list[Verdict]) -> list[tuple[Phase, Severity]]:
    return [(verdict.phase, verdict.severity) for verdict in verdicts]


def test_a_single_gas_reading_over_the_limit_is_raised_at_once() -> None:
    (verdict,) = engine_of("ch4").process(batch([(0, 0, 25.0)]), 0)
    assert (verdict.condition, verdict.phase, verdict.nature) == (Condition.HIGH, Phase.RAISED, Nature.EVENT)
    assert verdict.severity is Severity.MAJOR
    assert verdict.score == np.inf
    assert verdict.reason.params["source"] == "GB/T 50493-2019"


def test_a_worse_step_changes_the_severity_and_hysteresis_holds_it() -> None:
    values = [0, 30, 51, 45, 41, 40, 21, 20, 0]
    assert told(feed(engine_of("ch4"), [values])) == [
        (Phase.RAISED, Severity.MAJOR),
        (Phase.CHANGED, Severity.EXTREME),
        (Phase.CHANGED, Severity.MAJOR),  # at 40, where the worse step clears
        (Phase.CLEARED, Severity.MAJOR),  # at 20
    ]


def test_a_lack_of_oxygen_is_a_low_limit() -> None:
    verdicts = feed(engine_of("o2"), [[20.9, 19.5, 17, 19, 20.0]])
    assert [v.condition for v in verdicts] == [Condition.LOW] * 4
    assert told(verdicts)[0] == (Phase.RAISED, Severity.MAJOR)
    assert told(verdicts)[-1] == (Phase.CLEARED, Severity.MAJOR)


def test_a_limit_with_a_duration_waits_for_it_by_event_time() -> None:
    verdicts = feed(engine_of("pm25"), [[160.0] * 12])
    assert [(v.phase, (v.at_us - v.since_us) // 1_000_000) for v in verdicts] == [(Phase.RAISED, 600)]


def test_one_reading_at_the_clearing_value_begins_the_duration_anew() -> None:
    assert not feed(engine_of("pm25"), [[160.0] * 9 + [130.0] + [160.0] * 9])


def test_a_flicker_just_under_the_threshold_does_not_begin_the_duration_anew() -> None:
    (verdict,) = feed(engine_of("pm25"), [[160.0] * 9 + [149.0, 149.0, 160.0]])
    assert (verdict.at_us - verdict.since_us, verdict.value) == (660_000_000, 160.0)
    flicker = [0.95 if step % 4 else 0.79 for step in range(300)]
    assert told(feed(engine_of("smoke_score", interval_s=2), [flicker], 2)) == [(Phase.RAISED, Severity.MAJOR)]


def test_only_a_reading_over_the_threshold_raises() -> None:
    assert not feed(engine_of("pm25"), [[160.0] + [149.0] * 30])


def test_a_camera_that_sends_more_seldom_than_configured_still_raises() -> None:
    engine = engine_of("fire_score", interval_s=5)
    assert not engine.process(batch([(0, 0, 1.0)]), 0)
    assert told(engine.process(batch([(0, 20, 1.0)]), 0)) == [(Phase.RAISED, Severity.EXTREME)]


@pytest.mark.parametrize("values", [(1.0, 0.79, 1.0), (1.0, 0.5, 1.0), (0.79, 1.0)])
def test_a_gap_with_a_reading_under_the_threshold_beside_it_says_nothing_of_the_time_between(
    values: tuple[float, ...],
) -> None:
    assert not feed(engine_of("fire_score", interval_s=5), [values], interval_s=300)


def test_no_alarm_comes_out_of_a_gap() -> None:
    engine = engine_of("pm25")
    assert not engine.process(batch([(0, 0, 160.0)]), 0)
    assert not engine.process(batch([(0, 3600, 160.0)]), 0)  # an hour of silence is not an hour over the limit
    assert told(engine.process(batch([(0, 3600 + s, 160.0) for s in range(60, 660, 60)]), 0)) == [
        (Phase.RAISED, Severity.GENERAL)
    ]


def test_a_standing_alarm_outlives_a_gap() -> None:
    engine = engine_of("ch4")
    feed(engine, [[30.0]])
    assert not engine.process(batch([(0, 7200, 30.0)]), 0)
    assert engine.standing() == {(0, Condition.HIGH)}


def test_a_sensors_own_limits_replace_the_quantitys() -> None:
    own = Limit("ch4", Side.HIGH, Severity.GENERAL, 5, 4, 0, "the site's engineer")
    engine = engine_of("ch4", "ch4", limits=limit_table(by_sensor={"ch4-0": [own]}))
    verdicts = engine.process(batch([(0, 0, 6.0), (1, 0, 6.0)]), 0)
    assert [(v.sensor, v.severity) for v in verdicts] == [(0, Severity.GENERAL)]


def test_an_adopted_alarm_learns_its_step_from_the_next_reading() -> None:
    engine = engine_of("ch4", "ch4")
    engine.adopt([(0, Condition.HIGH), (1, Condition.HIGH)])
    verdicts = engine.process(batch([(0, 0, 60.0), (1, 0, 1.0)]), 0)
    assert [(v.phase, v.severity) for v in verdicts if v.sensor == 0] == [(Phase.CHANGED, Severity.EXTREME)]
    assert [v.phase for v in verdicts if v.sensor == 1] == [Phase.CLEARED]
    assert not engine.process(batch([(0, 60, 60.0), (1, 60, 1.0)]), 0)


def test_an_adopted_alarm_is_no_worse_than_its_readings() -> None:
    engine = engine_of("ch4", "o2")
    engine.adopt([(0, Condition.HIGH), (1, Condition.LOW)])
    verdicts = engine.process(batch([(0, 0, 45.0), (1, 0, 18.2)]), 0)  # where the worst step would not clear yet
    assert told(verdicts) == [(Phase.CHANGED, Severity.MAJOR)] * 2
    assert told(engine.process(batch([(0, 60, 50.0)]), 0)) == [(Phase.CHANGED, Severity.EXTREME)]
    assert not engine.process(batch([(0, 120, 45.0)]), 0)


@pytest.mark.parametrize("lonely", [True, False])
def test_a_lonely_jump_over_a_limit_speaks_against_the_sensor_a_shared_one_does_not(lonely: bool) -> None:
    rng = np.random.default_rng(5)
    series = [40 + 2 * rng.normal(size=150) for _ in range(5)]
    for one in series[: 1 if lonely else 5]:
        one[100:] += 900
    verdicts = [
        v
        for v in feed(Engine(city(["pm25"] * 5)), [one.tolist() for one in series])
        if v.condition is Condition.HIGH and v.sensor == 0
    ]
    assert verdicts[0].nature is (Nature.FAULT if lonely else Nature.EVENT)


@given(st.lists(st.sampled_from([0.0, 19.0, 22.0, 30.0, 45.0, 55.0]), min_size=1, max_size=40))
def test_the_step_that_stands_is_what_hysteresis_says(values: list[float]) -> None:
    expected, steps = 0, ((25.0, 20.0), (50.0, 40.0))
    engine, standing = engine_of("ch4"), 0
    for at, value in enumerate(values):
        kept = [n for n, (high, clear) in enumerate(steps, 1) if value >= high or (n <= expected and value > clear)]
        expected = max(kept, default=0)
        for verdict in engine.process(batch([(0, at * 60.0, value)]), 0):
            standing = (
                0 if verdict.phase is Phase.CLEARED else {Severity.MAJOR: 1, Severity.EXTREME: 2}[verdict.severity]
            )
        assert standing == expected


LIMIT = Limit("pm25", Side.HIGH, Severity.GENERAL, 100, 80, 180, "an example")
STEPS = st.tuples(st.sampled_from([60, 120, 240]), st.sampled_from([70.0, 80.0, 90.0, 100.0, 130.0]))


def told_by_hand(readings: list[tuple[int, float]], *, life: bool) -> list[tuple[Phase, int]]:
    """The same rule, one reading after another."""
    found: list[tuple[Phase, int]] = []
    since: int | None = None
    stands, previous, before = False, 0.0, 0
    for at, value in readings:
        if at - before > 3 * 60 and not (life and previous >= 100 and value >= 100):
            since = None
        if value <= 80:
            since = None
        elif value >= 100 and since is None:
            since = at
        passed = value >= 100 and since is not None and at - since >= 180
        if passed and not stands:
            found.append((Phase.RAISED, at))
        elif stands and value <= 80:
            found.append((Phase.CLEARED, at))
        stands = (stands or passed) and value > 80
        previous, before = value, at
    return found


@pytest.mark.parametrize("quantity", ["pm25", "ch4"])
@given(st.lists(STEPS, min_size=1, max_size=30))
def test_the_duration_is_what_the_rule_says(quantity: str, steps: list[tuple[int, float]]) -> None:
    readings, at = [], 0
    for step, value in steps:
        at += step
        readings.append((at, value))
    engine = engine_of(quantity, limits=limit_table([replace(LIMIT, quantity=quantity)]))
    verdicts = [v for at, value in readings for v in engine.process(batch([(0, at, value)]), 0)]
    found = [(v.phase, (v.at_us - START_US) // 1_000_000) for v in verdicts]
    assert found == told_by_hand(readings, life=quantity == "ch4")
