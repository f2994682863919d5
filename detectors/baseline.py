"""What is usual for one sensor: robust, exponentially weighted location and spread of its own readings.

    residual e = x - m, clipped at HUBER spreads;  m += w e;  v = (1 - w)(v + w e^2)

which are the recursions of West (1979), "Updating mean and variance estimates", with Huber's clipping. The weight w
follows time, 1 - exp(-elapsed / memory), so that a late reading weighs as much as the ones it stands for, and is the
plain average's 1/n until so many readings were seen. The memory is a day at least: an ordinary day's rhythm becomes
part of the spread. Until a sensor has been seen for a day, its quantity's ordinary swing stands in for the rhythm.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.special import log_ndtr  # type: ignore[import-untyped]  # SciPy ships no types

from config.city import City
from detectors.bank import GAP, NEVER, Column, Columns, Round
from detectors.model import Condition, Verdict
from detectors.traits import TRAITS
from ingest.model import Bools, Float64s, Int64s

DAY_US = 86_400_000_000
MEMORY_S = 86_400.0  # at least; and at least so many readings:
MEMORY_READINGS = 48
GRACE = 30  # readings before anything is judged
FAR = 6.0  # spreads from the location that count as unusual
NEAR = 3.0  # spreads within which it counts as usual again
PERSISTENCE = 4  # unusual readings, usual ones taken off, before it is said
HUBER = 3.0  # spreads at which a residual is clipped when learning
SLOWLY = 0.25  # share of the weight while something stands on the sensor


def surprise(deviation: float) -> float:
    """How unlikely a deviation of so many spreads is, as -log10 of the two-sided Gaussian tail probability.

    >>> round(surprise(1.96), 2), round(surprise(-6), 1), surprise(0)
    (1.3, 8.7, 0.0)
    """
    return float(max(0.0, -(log_ndtr(-abs(deviation)) + np.log(2)) / np.log(10)))


def learn(location: Float64s, variance: Float64s, residual: Float64s, weight: Float64s) -> tuple[Float64s, Float64s]:
    """Location and variance after one more reading that lay ``residual`` above the location."""
    return location + weight * residual, (1 - weight) * (variance + weight * residual * residual)


def persist(count: Int64s, direction: Int64s, deviation: Float64s, judged: Bools) -> tuple[Int64s, Int64s]:
    """Count unusual readings up and usual ones down; (count, direction) where 0 <= count <= 2 * PERSISTENCE.

    A direction (-1, 1) stands from PERSISTENCE unusual readings on until the count is back at 0. Between FAR and NEAR
    the count rests. A deviation to the other side begins anew.
    """
    far, near = judged & (np.abs(deviation) >= FAR), np.abs(deviation) < NEAR
    turned = far & (direction != 0) & (np.sign(deviation) != direction)
    count = np.where(turned, 0, count)
    count = np.clip(count + far - (judged & near), 0, 2 * PERSISTENCE)
    direction = np.where(count == 0, 0, np.where(turned, 0, direction))
    direction = np.where((count >= PERSISTENCE) & far, np.sign(deviation), direction)
    return count.astype(np.int64), direction.astype(np.int64)


class Baseline:
    """Scores readings against the sensor's own past; what a deviation is taken for is decided by ``unusual``."""

    name = "baseline"
    conditions: frozenset[Condition] = frozenset()

    def __init__(self, city: City, memory_s: float = MEMORY_S, grace: int = GRACE, huber: float = HUBER) -> None:
        traits = [TRAITS.get(sensor.quantity) for sensor in city.sensors]
        self._judged = np.array([trait is not None for trait in traits], bool)
        self._floor = np.array([trait.floor if trait else 0.0 for trait in traits])
        self._swing = np.array([trait.swing if trait else 0.0 for trait in traits])
        self._abrupt = np.array([trait.abrupt if trait else np.inf for trait in traits])
        interval = np.array([sensor.interval_s for sensor in city.sensors])
        self._rate = interval / np.maximum(memory_s, MEMORY_READINGS * interval)  # memories per interval
        self._grace, self._huber = grace, huber

    def columns(self) -> Mapping[str, Column]:
        """See Detector.columns."""
        return {
            "location": Column("f8", learned=True),
            "variance": Column("f4", learned=True),
            "seen": Column("f4", learned=True),
            "born_us": Column("i8", NEVER, learned=True),
            "count": Column("i1"),
        }

    def spread(self, state: Columns, sensor: Int64s, event_us: Int64s) -> Float64s:
        """The standard deviation to be expected: learned, the instrument's own, and the part of a day not seen yet."""
        youth = np.clip(1 - (event_us - state["born_us"][sensor]) / DAY_US, 0, 1)
        swing = youth * self._swing[sensor]
        return np.asarray(np.sqrt(state["variance"][sensor] + self._floor[sensor] ** 2 + swing * swing))

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """See Detector.judge. Writes ``deviation`` and ``own``; opens nothing itself."""
        rows = np.flatnonzero(self._judged[readings.sensor])
        if not len(rows):
            return ()
        sensor, value, event_us = readings.sensor[rows], readings.value[rows], readings.event_us[rows]
        seen, location = state["seen"][sensor], state["location"][sensor]
        fresh = seen == 0
        if fresh.any():
            state["born_us"][sensor[fresh]] = event_us[fresh]
            location = np.where(fresh, value, location)
        spread = self.spread(state, sensor, event_us)
        residual = value - location
        deviation = residual / spread
        ripe = seen >= self._grace
        before = state["count"][sensor]
        count, own = persist(before, shared["own"][sensor], deviation, ripe)
        self._share(shared, readings, rows, begins=(before == 0) & (count > 0), goes_on=count > 0)
        state["count"][sensor], shared["own"][sensor] = count, own
        shared["ripe"][sensor], shared["spread"][sensor] = ripe, spread
        shared["deviation"][sensor] = np.where(ripe, deviation, 0)
        weight = -np.expm1(-readings.elapsed[rows] * self._rate[sensor])
        weight = np.maximum(weight, 1 / (seen + 1))
        weight *= np.where((own != 0) | (shared["standing"][sensor] > 0), SLOWLY, 1.0)
        scale = np.sqrt(state["variance"][sensor] + self._floor[sensor] ** 2)
        clipped = np.clip(residual, -self._huber * scale, self._huber * scale)
        state["location"][sensor], state["variance"][sensor] = learn(
            location, state["variance"][sensor], np.where(ripe, clipped, residual), weight
        )
        state["seen"][sensor] = np.minimum(seen + 1, 1e6)
        return ()

    def _share(self, shared: Columns, readings: Round, rows: Int64s, *, begins: Bools, goes_on: Bools) -> None:
        """Note since when a reading deviates, and whether it began with a jump that the world does not make."""
        sensor = readings.sensor[rows]
        jumped = np.abs(readings.value[rows] - readings.previous[rows]) >= self._abrupt[sensor]
        jumped &= ~readings.first[rows] & (readings.elapsed[rows] <= GAP)
        shared["leapt"][sensor] = np.where(begins, jumped, shared["leapt"][sensor] & goes_on)
        shared["since_us"][sensor[begins]] = readings.event_us[rows][begins]

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        del state
        return ()

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt."""
        del state, sensor, condition
        return False
