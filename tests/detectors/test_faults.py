"""Spikes and scatter."""

import numpy as np
import pytest

from detectors.engine import Engine
from detectors.faults import GRACE, Faults
from detectors.model import Condition, Nature, Phase, Verdict
from tests.detectors.build import START_US, city, feed

RNG = np.random.default_rng


def run(quantity: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[Verdict]:
    town = city([quantity])
    return feed(Engine(town, [Faults(town)]), [values.tolist()])


def test_single_readings_that_jump_away_and_back_are_a_fault() -> None:
    values = RNG(0).normal(20, 0.1, 600)
    values[[200, 215, 230, 240]] += 30
    verdicts = run("temperature", values)
    assert [(v.condition, v.phase) for v in verdicts] == [
        (Condition.SPIKING, Phase.RAISED),
        (Condition.SPIKING, Phase.CLEARED),
    ]
    assert verdicts[0].nature is Nature.FAULT
    assert verdicts[0].value == pytest.approx(50, abs=1)


def test_one_spike_is_not_worth_a_word() -> None:
    values = RNG(0).normal(20, 0.1, 600)
    values[200] += 30
    assert not run("temperature", values)


def test_a_step_to_a_new_level_is_neither_spike_nor_noise() -> None:
    values = RNG(0).normal(50, 3, 600)
    values[300:] += 200
    assert not run("pm25", values)


def test_scatter_far_above_the_usual_is_a_fault_until_it_calms_down() -> None:
    values = np.cumsum(RNG(1).normal(0, 0.05, 900)) + 20
    values[400:500] += np.cumsum(RNG(2).normal(0, 8, 100)) * 0.2 + RNG(3).choice([-4, 4], 100)
    told = [(v.condition, v.phase) for v in run("temperature", values) if v.condition is Condition.NOISY]
    assert told == [(Condition.NOISY, Phase.RAISED), (Condition.NOISY, Phase.CLEARED)]


@pytest.mark.parametrize("quantity", ["ch4", "people", "smoke_score"])
def test_a_puff_of_gas_or_a_busy_street_is_no_fault(quantity: str) -> None:
    values = np.abs(RNG(4).normal(0.2, 0.05, 400))
    values[200::7] = 0.9
    assert not run(quantity, values)


@pytest.mark.parametrize("condition", [Condition.SPIKING, Condition.NOISY])
def test_an_adopted_one_ends_when_the_sensor_is_calm(condition: Condition) -> None:
    town = city(["temperature"])
    engine = Engine(town, [Faults(town)])
    engine.adopt([(0, condition)])
    verdicts = feed(engine, [RNG(5).normal(20, 0.1, 300).tolist()])
    assert [(v.condition, v.phase) for v in verdicts] == [(condition, Phase.CLEARED)]


@pytest.mark.parametrize("condition", [Condition.SPIKING, Condition.NOISY])
@pytest.mark.parametrize(("quantity", "scatter"), [("tilt", 0.5), ("water_level", 0.1), ("noise", 10), ("crack", 0.2)])
def test_an_adopted_one_ends_at_a_sensor_that_is_livelier_than_its_accuracy(
    condition: Condition, quantity: str, scatter: float
) -> None:
    town = city([quantity])
    engine = Engine(town, [Faults(town)])
    engine.adopt([(0, condition)])
    verdicts = feed(engine, [(50 * scatter + scatter * RNG(1).normal(size=1000)).tolist()])
    assert [(v.condition, v.phase) for v in verdicts] == [(condition, Phase.CLEARED)]
    assert GRACE <= (verdicts[0].at_us - START_US) / 60e6 < 60
