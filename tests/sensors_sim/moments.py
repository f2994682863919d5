"""Some instants of a small city, the same every time."""

import numpy as np

from sensors_sim.wire import Instant
from tests.sensors_sim.cities import LIVELY, make_city

START_US = 1_780_000_000_000_000
CITY = make_city(LIVELY, side=2)


def instants(count: int = 5) -> list[Instant]:
    """Nine readings a second, about a third of them retained."""
    rng = np.random.default_rng(3)
    found = []
    for number in range(count):
        begin = START_US + number * 1_000_000
        rows = rng.permutation(len(CITY.sensors))[:9].astype(np.int64)
        times = begin + np.sort(rng.integers(0, 1000, 9)) * 1000
        values = np.round(rng.normal(20, 5, 9), 3)
        found.append(Instant(begin + 1_000_000, rows, times, values, rng.random(9) < 0.3))
    return found
