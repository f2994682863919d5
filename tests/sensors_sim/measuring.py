"""Readings of a small world without any nature in it: regular samples of made-up values."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.clock import US_PER_SECOND

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Stretch = tuple[int, Integers, Integers, Floats]

START_US = 1_780_000_000_000_000
PICTURE = (("image_brightness", 10.0), ("image_sharpness", 10.0), ("image_change", 10.0))


class Air:
    """A weather in which only the temperature counts: 20 °C at START_US, one degree more every ten minutes."""

    def temperature_c(self, times_us: Integers) -> Floats:
        return 20 + (times_us - START_US) / (600 * US_PER_SECOND)

    def _nothing(self, times_us: Integers) -> Floats:
        return np.zeros(len(times_us))

    humidity_percent = pressure_hpa = wind_m_s = wind_from_deg = rain_mm_h = sun = _nothing


def measured(
    city: City, seconds: int, *, tick_s: int = 1, start_us: int = START_US, seed: int = 1
) -> Iterator[Stretch]:
    """(until_us, sensors, times_us, values) of every stretch: all sensors of a box sample at one phase."""
    columns = city.columns
    interval = np.rint(columns.interval_s * US_PER_SECOND).astype(np.int64)
    rng = np.random.default_rng(seed)
    phase = (rng.random(len(columns.device.names))[columns.device.code] * interval).astype(np.int64) // 1000 * 1000
    following = start_us + phase
    for begin in range(start_us, start_us + seconds * US_PER_SECOND, tick_s * US_PER_SECOND):
        until = min(begin + tick_s * US_PER_SECOND, start_us + seconds * US_PER_SECOND)
        sensors: list[Integers] = [np.empty(0, np.int64)]
        times: list[Integers] = [np.empty(0, np.int64)]
        while (due := np.flatnonzero(following < until)).size:
            sensors.append(due)
            times.append(following[due])
            following[due] += interval[due]
        rows, moments = np.concatenate(sensors), np.concatenate(times)
        order = np.lexsort((rows, moments))
        rows, moments = rows[order], moments[order]
        yield until, rows, moments, np.round(20 + rng.normal(0, 0.5, len(rows)), 1)
