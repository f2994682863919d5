"""The truth about limits is computed at few moments of the quiet day, and is still the truth."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from config.vocabulary import Severity
from sensors_sim.changes import Added
from sensors_sim.staging import BLOCK, Stage, first_passing, passed_limits, quiet_means
from sensors_sim.world import world_of
from tests.sensors_sim.cities import make_city
from tests.sensors_sim.happenings.stages import Steady

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass
class Counting:
    """A quiet day that moves on a slow wave, and how often somebody asked."""

    asked: int = 0

    def mean(self, sensors: Integers, time_us: int) -> Floats:
        self.asked += 1
        return np.asarray(sensors + np.sin(time_us / 3.6e9), np.float64)

    def noise(self, sensors: Integers) -> Floats:
        return np.zeros(len(sensors))


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(5, 2000), st.integers(0, 4))
def test_means_between_are_straight_and_right_where_they_were_asked(count: int, step_s: int, sensors: int) -> None:
    rows = np.arange(sensors)
    times = 1_000_000 * step_s * np.arange(count)
    nature = Counting()
    found = quiet_means(nature, rows, times)
    assert found.shape == (count, sensors)
    assert found == pytest.approx(rows + np.sin(times / 3.6e9)[:, None], abs=(180 / 3600) ** 2 / 8 + 1e-9)
    assert nature.asked <= count
    assert nature.asked <= max(3, count * step_s / 180 * 2 + 2)


def test_a_short_event_asks_for_few_moments_of_the_day() -> None:
    nature = Counting()
    quiet_means(nature, np.arange(3), 5_000_000 * np.arange(2000))
    assert nature.asked < 60


@dataclass
class Flat:
    """A tilt that rests at some height, and never scatters."""

    height: float

    def mean(self, sensors: Integers, time_us: int) -> Floats:
        assert isinstance(time_us, int)
        return np.full(len(sensors), self.height)

    def noise(self, sensors: Integers) -> Floats:
        return np.zeros(len(sensors))


@settings(deadline=None)
@given(st.floats(5, 1200), st.floats(10, 4000))
def test_a_limit_is_promised_only_where_every_device_must_see_it_passed_for_as_long_as_it_asks(
    interval_s: float, lasts_s: float
) -> None:
    city = make_city((("tilt", interval_s),), side=1)
    weather = Steady()
    stage = Stage(world_of(city), Flat(0.6), weather, np.random.default_rng(1), 0, 8000_000_000)
    from_us, to_us = 2000_000_000, 2000_000_000 + round(lasts_s * 1e6)
    lean = Added(np.array([0]), np.array([4.0]), np.zeros(1), from_us, to_us, np.ones_like)
    passed = passed_limits(stage, (lean,))
    worst = np.arange(from_us - 1, to_us, interval_s * 1e6)[1:]  # a device that had just measured when it began
    seen_s = (worst[-1] - worst[0]) / 1e6 if len(worst) else -1.0
    if passed.over:
        assert seen_s >= 120
    if lasts_s > 1.1 * (120 + 2 * interval_s) + 20:
        assert passed.over == ("G00-0-tilt",)
        assert passed.severity is Severity.LARGER
        assert passed.limit_us is not None
        assert from_us + 120e6 <= passed.limit_us <= to_us


@settings(deadline=None)
@given(seed=st.integers(0, 1 << 30), count=st.integers(1, 60), need=st.integers(1, 20), share=st.floats(0.3, 1))
def test_the_first_run_that_is_long_enough_is_found_in_every_column(
    seed: int, count: int, need: int, share: float
) -> None:
    beyond = np.random.default_rng(seed).random((count, 3)) < share
    expected = [-1, -1, -1]
    for column in range(3):
        run = 0
        for index in range(count):
            run = run + 1 if beyond[index, column] else 0
            if run > need:
                expected[column] = index
                break
    assert first_passing(beyond, need).tolist() == expected


def test_many_sensors_are_judged_block_by_block_as_each_is_alone() -> None:
    city = make_city((("tilt", 60),), side=10, per_grid=21)
    count = len(city.sensors)
    assert count > BLOCK
    stage = Stage(world_of(city), Flat(0.6), Steady(), np.random.default_rng(1), 0, 3600_000_000)
    gain = np.where(np.arange(count) % 7 == 0, 12.0, np.where(np.arange(count) % 3 == 0, 4.0, 1.0))
    leaning = Added(np.arange(count), gain, np.zeros(count), 600_000_000, 3600_000_000, np.ones_like)
    passed = passed_limits(stage, (leaning,))
    assert passed.over == tuple(city.columns.ids[row] for row in np.flatnonzero(gain > 1).tolist())
    assert passed.severity is Severity.MAJOR
