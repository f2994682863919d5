"""The baseline against an independent implementation, and what it calls unusual."""

import numpy as np
import pytest
from river import stats

from detectors.bank import Round
from detectors.baseline import FAR, GRACE, PERSISTENCE, Baseline, learn, persist, surprise
from detectors.engine import Engine
from detectors.glances import Glances
from detectors.model import Condition, Nature, Phase
from detectors.traits import TRAITS
from tests.detectors.build import START_US, batch, city, feed

RNG = np.random.default_rng


def test_unclipped_it_is_rivers_exponentially_weighted_mean_and_variance() -> None:
    values = RNG(0).normal(3, 2, 500)
    mean, variance = stats.EWMean(fading_factor=0.05), stats.EWVar(fading_factor=0.05)
    location, spread = values[:1].copy(), np.zeros(1)
    mean.update(values[0])
    variance.update(values[0])
    for value in values[1:]:
        mean.update(value)
        variance.update(value)
        location, spread = learn(location, spread, value - location, np.array([0.05]))
    assert location[0] == pytest.approx(mean.get(), rel=1e-9)
    assert spread[0] == pytest.approx(variance.get(), rel=1e-9)


def test_as_a_detector_without_clipping_it_learns_what_river_learns() -> None:
    values = RNG(1).normal(50, 20, 400)
    town = city(["pm25"])
    engine = Engine(town, [Baseline(town, memory_s=100 * 60, huber=1e9)])
    feed(engine, [values[:1].tolist()])
    state = engine.states[0]
    state["seen"][0] = 1e6  # past the plain average, which river does not take
    factor = -np.expm1(-1 / 100)
    mean, variance = stats.EWMean(fading_factor=factor), stats.EWVar(fading_factor=factor)
    mean.update(values[0])
    variance.update(values[0])
    for value in values[1:]:
        mean.update(value)
        variance.update(value)
    feed(engine, [values[1:].tolist()], start=1)
    assert not engine.shared["own"][0]
    assert state["location"][0] == pytest.approx(mean.get(), rel=1e-6)
    assert state["variance"][0] == pytest.approx(variance.get(), rel=1e-4)


def test_at_first_it_is_the_plain_average() -> None:
    values = RNG(2).normal(20, 1, GRACE).tolist()
    town = city(["temperature"])
    engine = Engine(town, [Baseline(town)])
    feed(engine, [values])
    assert engine.states[0]["location"][0] == pytest.approx(np.mean(values))
    assert engine.states[0]["variance"][0] == pytest.approx(np.var(values), rel=1e-5)


def test_a_late_reading_weighs_as_much_as_the_ones_it_stands_for() -> None:
    town = city(["temperature"] * 2)
    engine = Engine(town, [Baseline(town)])
    feed(engine, [[20.0], [20.0]])
    engine.states[0]["seen"][:] = 1e5
    dense = [(0, 60.0 * i, 21.0) for i in range(1, 11)]
    engine.process(batch([*dense, (1, 600.0, 21.0)]), 0)
    one, other = engine.states[0]["location"]
    assert one == pytest.approx(other, rel=1e-3)
    assert one > 20


def test_an_outlier_is_scored_before_it_is_learned_from() -> None:
    town = city(["noise"])
    engine = Engine(town, [Baseline(town)])
    feed(engine, [RNG(3).normal(55, 1, 100).tolist()])
    state = engine.states[0]
    location, trait, youth = float(state["location"][0]), TRAITS["noise"], 1 - 100 / (24 * 60)
    spread = np.sqrt(float(state["variance"][0]) + trait.floor**2 + (youth * trait.swing) ** 2)
    engine.process(batch([(0, 6000.0, 140.0)]), 0)
    assert engine.shared["deviation"][0] == pytest.approx((140 - location) / spread, rel=1e-5)


def test_one_wild_reading_hardly_moves_what_is_usual() -> None:
    town = city(["noise"])
    engine = Engine(town, [Baseline(town)])
    feed(engine, [[*RNG(3).normal(55, 1, 200).tolist(), 149.0]])
    assert engine.states[0]["location"][0] == pytest.approx(55, abs=0.3)


def test_a_new_level_is_accepted_in_the_end() -> None:
    rng = RNG(4)
    values = np.r_[rng.normal(10, 1, 300), rng.normal(60, 1, 12 * 144)]
    verdicts = [
        v for v in feed(Engine(city(["settlement"], 600)), [values.tolist()], 600) if v.condition is Condition.UNUSUAL
    ]
    assert [v.phase for v in verdicts] == [Phase.RAISED, Phase.CLEARED]
    assert verdicts[1].at_us - verdicts[0].at_us > 3 * 3600 * 1_000_000  # and not at once


def test_a_daily_rhythm_seen_hourly_is_usual() -> None:
    hours = np.arange(24 * 40)
    values = 20 + 6 * np.sin(hours * 2 * np.pi / 24) + RNG(5).normal(0, 0.5, len(hours))
    assert not feed(Engine(city(["temperature"], 3600)), [values.tolist()], 3600)


def test_a_gas_leak_below_the_limit_is_an_event_though_nobody_confirms_it() -> None:
    rng = RNG(6)
    values = np.abs(rng.normal(0.3, 0.2, 400))
    values[300:] = 12 + rng.normal(0, 0.5, 100)
    (verdict,) = feed(Engine(city(["ch4"], 5)), [values.tolist()], 5)
    assert (verdict.condition, verdict.nature, verdict.reason.key) == (
        Condition.UNUSUAL,
        Nature.EVENT,
        "reason.unusual.rise",
    )
    assert verdict.at_us - START_US == (300 + PERSISTENCE - 1) * 5_000_000
    assert verdict.since_us - START_US == 300 * 5_000_000
    assert verdict.score > 6
    assert verdict.expected_high < 12


def test_nothing_is_judged_within_the_grace_period() -> None:
    assert not feed(Engine(city(["ch4"], 5)), [[0.0] * (GRACE - 5) + [20.0] * 5], 5)


def test_unusual_readings_must_persist() -> None:
    far, near = np.array([FAR]), np.array([0.0])
    count, direction, judged = np.array([0]), np.array([0]), np.array([True])
    for deviation in (far, far, far, near, far):
        count, direction = persist(count, direction, deviation, judged)
        assert direction[0] == 0
    count, direction = persist(count, direction, far, judged)
    assert (count[0], direction[0]) == (PERSISTENCE, 1)
    for _ in range(PERSISTENCE - 1):
        count, direction = persist(count, direction, near, judged)
        assert direction[0] == 1
    count, direction = persist(count, direction, near, judged)
    assert direction[0] == 0


def test_surprise_is_finite_where_a_probability_would_be_zero() -> None:
    assert 300 < surprise(100) < np.inf


def test_some_readings_of_a_round_are_a_round() -> None:
    numbers = np.arange(3)
    real = numbers.astype(float)
    whole = Round(numbers, numbers, numbers, real, numbers > 1, numbers, real, real, np.zeros(4, "V8"), Glances(3))
    part = whole.some(np.array([0, 2]))
    assert (len(whole), len(part)) == (3, 2)
    assert (part.sensor.tolist(), part.value.tolist(), part.first.tolist()) == ([0, 2], [0.0, 2.0], [False, True])
    assert part.others is whole.others
    assert part.glances is whole.glances
