"""Frozen sensors, and those that only rest."""

import numpy as np
import pytest

from config.quantities import QUANTITIES
from detectors.engine import Engine
from detectors.model import Condition, Nature, Phase, Verdict
from detectors.stuck import Stuck
from tests.detectors.build import city, feed

RNG = np.random.default_rng


def run(quantity: str, values: np.ndarray[tuple[int], np.dtype[np.float64]], interval_s: float = 5) -> list[Verdict]:
    town = city([quantity], interval_s)
    return feed(Engine(town, [Stuck(town)]), [values.tolist()], interval_s)


@pytest.mark.parametrize(
    ("quantity", "level", "scatter"),
    [("temperature", 20, 0.1), ("pm25", 50, 3), ("noise", 55, 3), ("tilt", 1, 0.02)],
)
def test_a_noisy_sensor_that_freezes_is_found_within_thirty_readings(
    quantity: str, level: float, scatter: float
) -> None:
    values = level + scatter * RNG(1).normal(size=300)
    values[200:] = values[200]
    (verdict,) = run(quantity, values)
    assert (verdict.condition, verdict.phase, verdict.nature) == (Condition.STUCK, Phase.RAISED, Nature.FAULT)
    assert 15 <= (verdict.at_us - verdict.since_us) / 5e6 <= 30


def test_it_ends_when_the_value_moves_again() -> None:
    values = 20 + 0.1 * RNG(1).normal(size=400)
    values[200:250] = values[200]
    assert [v.phase for v in run("temperature", values)] == [Phase.RAISED, Phase.CLEARED]


def test_a_constant_since_birth_is_never_called_stuck() -> None:
    assert not run("temperature", np.full(1500, 21.5))


def test_clean_air_is_not_a_frozen_gas_sensor() -> None:
    values = np.zeros(1500)
    values[500:560] = np.abs(RNG(2).normal(5, 2, 60))
    assert not run("ch4", values)


def test_a_coarse_sensor_rests_as_it_always_did() -> None:
    slow = np.cumsum(RNG(3).normal(size=3000) * 0.05) + 200
    assert not run("pm10", np.round(slow))


def test_an_idle_line_at_the_end_of_its_scale_is_not_stuck() -> None:
    values = 5 + RNG(4).normal(size=600)
    values[300:] = 0
    assert not run("current", values)


def test_counts_and_switches_may_rest_for_ever() -> None:
    values = RNG(5).poisson(8, 600).astype(float)
    values[300:] = 7
    assert not run("people", values)


def test_a_short_rest_of_fast_readings_is_not_enough() -> None:
    values = 20 + 0.1 * RNG(1).normal(size=300)
    values[200:240] = values[200]
    assert not run("temperature", values, interval_s=1)  # 40 s


def test_an_adopted_one_ends_when_the_value_moves() -> None:
    town = city(["temperature"])
    engine = Engine(town, [Stuck(town)])
    engine.adopt([(0, Condition.STUCK)])
    assert [v.phase for v in feed(engine, [[20.0, 20.0, 20.1, 20.2, 20.3, 20.4]])] == [Phase.CLEARED]


def test_a_mended_gas_sensor_back_in_clean_air_is_not_stuck_any_more() -> None:
    values = np.abs(RNG(6).normal(8, 2, 400))
    values[200:300] = values[200]
    values[300:] = 0.0
    verdicts = run("ch4", values)
    assert [v.phase for v in verdicts] == [Phase.RAISED, Phase.CLEARED]
    assert verdicts[1].value == 0.0


def test_an_adopted_one_in_clean_air_ends() -> None:
    town = city(["co"])
    engine = Engine(town, [Stuck(town)])
    engine.adopt([(0, Condition.STUCK)])
    assert [v.phase for v in feed(engine, [[0.0] * 6])] == [Phase.CLEARED]


def test_a_frozen_sensor_that_falls_to_the_cold_end_of_its_scale_is_not_well() -> None:
    values = 20 + 0.1 * RNG(1).normal(size=400)
    values[200:300] = values[200]
    values[300:] = QUANTITIES["temperature"].low
    assert [v.phase for v in run("temperature", values)] == [Phase.RAISED]
