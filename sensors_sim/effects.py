"""What staged episodes and faults do to the columns of values while a simulation runs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Effect:
    """Something added to the values of some sensors.

    sensors: their rows, ascending. gain: what is added at full strength, per sensor, in the sensor's unit.
    delay_s: how much later it arrives at each. course: strength (0 to 1) at seconds since its onset there.
    """

    sensors: Integers
    gain: Floats
    delay_s: Floats
    onset_us: int
    course: Callable[[Floats], Floats]

    def added(self, which: Integers, times_us: Integers) -> Floats:
        """What is added to ``self.sensors[which]`` at the given times, pairwise."""
        since = (times_us - self.onset_us) / US_PER_SECOND - self.delay_s[which]
        value: Floats = np.where(since > 0, self.gain[which] * self.course(np.maximum(since, 0.0)), 0.0)
        return value

    def apply(self, sensors: Integers, times_us: Integers, values: Floats) -> None:
        """Add to a column of values, in place."""
        if not len(self.sensors) or not times_us.size or times_us[-1] <= self.onset_us:
            return
        which = np.searchsorted(self.sensors, sensors).clip(max=len(self.sensors) - 1)
        hit = np.flatnonzero(self.sensors[which] == sensors)
        if hit.size:
            values[hit] += self.added(which[hit], times_us[hit])


@dataclass(frozen=True, slots=True)
class Broken:
    """Two kinds of broken sensors: stuck ones repeat what they showed last before ``from_us``; silent ones stop."""

    sensor: int
    from_us: int
    silent: bool
