"""The weather of a run."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Weather(Protocol):
    """The weather of a run, the same over the whole city. Each answers for times in microseconds, shape (n,) > (n,)."""

    def temperature_c(self, times_us: Integers) -> Floats:
        """Of the air, °C."""
        ...

    def humidity_percent(self, times_us: Integers) -> Floats:
        """Relative humidity, 0 to 100."""
        ...

    def pressure_hpa(self, times_us: Integers) -> Floats:
        """At the city's height, hPa."""
        ...

    def wind_m_s(self, times_us: Integers) -> Floats:
        """Mean wind 10 m above the ground, m/s, at least 0.2."""
        ...

    def wind_from_deg(self, times_us: Integers) -> Floats:
        """Where it comes from, 0 to 360 degrees, clockwise from north."""
        ...

    def rain_mm_h(self, times_us: Integers) -> Floats:
        """Rain, mm/h, at least 0."""
        ...

    def sun(self, times_us: Integers) -> Floats:
        """Daylight, 0 (night) to 1 (a clear noon)."""
        ...
