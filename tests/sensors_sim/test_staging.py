"""The truth about limits is computed at few moments of the quiet day, and is still the truth."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensors_sim.staging import quiet_means

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
