"""What is usual for one sensor: robust, exponentially weighted location and spread of its own readings.

    residual e = x - m, clipped at HUBER spreads;  m += w e;  v = (1 - w)(v + w e^2)

which are the recursions of West (1979), "Updating mean and variance estimates", with Huber's clipping. The weight w
follows time, 1 - exp(-elapsed / memory), so that a late reading weighs as much as the ones it stands for, and is the
plain average's 1/n until so many readings were seen. The memory is a day at least: an ordinary day's rhythm becomes
part of the spread. Until a sensor has been seen for a day, its quantity's ordinary swing stands in for the rhythm.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr  # type: ignore[import-untyped]  # SciPy ships no types

from config.city import City
from detectors.bank import GAP, NEVER, Column, Columns, Detector, Round, holds, rows_of
from detectors.kinds import Kinds
from detectors.model import Condition, Verdict
from detectors.traits import TRAITS
from ingest.model import Bools, Float64s, Int64s

Int8s = npt.NDArray[np.int8]
Float32s = npt.NDArray[np.float32]

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


def persist(count: Int8s, direction: Int8s, deviation: Float64s, judged: Bools) -> tuple[Int8s, Int8s]:
    """Count unusual readings up and usual ones down; (count, direction) where 0 <= count <= 2 * PERSISTENCE.

    A direction (-1, 1) stands from PERSISTENCE unusual readings on until the count is back at 0. Between FAR and NEAR
    the count rests. A deviation to the other side begins anew. Where the count is 0 and a reading is not unusual,
    both stay 0.
    """
    far, near = judged & (np.abs(deviation) >= FAR), np.abs(deviation) < NEAR
    turned = far & (direction != 0) & (np.sign(deviation) != direction)
    count = np.where(turned, 0, count)
    count = np.clip(count + far - (judged & near), 0, 2 * PERSISTENCE)
    direction = np.where(count == 0, 0, np.where(turned, 0, direction))
    direction = np.where((count >= PERSISTENCE) & far, np.sign(deviation), direction)
    return count.astype(np.int8), direction.astype(np.int8)


def weights(elapsed: Float64s, rate: Float64s, seen: Float32s, disturbed: Bools) -> Float64s:
    """What a reading weighs among those before it. rate: memories per interval. disturbed: something stands."""
    weight = np.maximum(-np.expm1(-elapsed * rate), 1 / (seen + 1))
    if holds(disturbed):
        weight[disturbed] *= SLOWLY
    return weight


def youth(event_us: Int64s, born_us: Int64s) -> Float64s | None:
    """The part of its first day that a sensor has not been seen yet, from 1 to 0; None where it is 0 of all."""
    age_us = event_us - born_us
    return np.clip(1 - age_us / DAY_US, 0, 1) if holds(age_us < DAY_US) else None


class Baseline(Detector):
    """Scores readings against the sensor's own past; what a deviation is taken for is decided by ``unusual``."""

    name = "baseline"
    conditions: frozenset[Condition] = frozenset()

    def __init__(
        self, city: City, kinds: Kinds | None = None, memory_s: float = MEMORY_S, grace: int = GRACE,
        huber: float = HUBER,
    ) -> None:  # fmt: skip
        kinds = kinds or Kinds(city)
        self.judges = kinds.column(kinds.which(lambda quantity: quantity.name in TRAITS))
        self._floor2 = kinds.traits(lambda trait: trait.floor, 0.0) ** 2
        self._swing = kinds.traits(lambda trait: trait.swing, 0.0)
        self._abrupt = kinds.traits(lambda trait: trait.abrupt, np.inf)
        interval = kinds.interval_s
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

    def _spreads(self, state: Columns, readings: Round, variance: Float64s) -> tuple[Float64s, Float64s]:
        """The spread learned with the instrument's own, and that to be expected: with the part of a day not seen."""
        square = variance + self._floor2[readings.kind]
        part = youth(readings.event_us, state["born_us"])
        scale = np.sqrt(square)
        if part is None:
            return scale, scale
        swing = part * self._swing[readings.kind]
        return scale, np.sqrt(square + swing * swing)

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """See Detector.judge. Writes ``deviation`` and ``own``; opens nothing itself."""
        seen, location = state["seen"].copy(), state["location"].copy()
        fresh = rows_of(seen == 0)
        if len(fresh):
            state["born_us"][fresh] = readings.event_us[fresh]
            location[fresh] = readings.value[fresh]
        variance = state["variance"].astype(np.float64)
        scale, spread = self._spreads(state, readings, variance)
        residual = readings.value - location
        deviation = residual / spread
        ripe = seen >= self._grace
        self._persist(state, shared, readings, deviation, ripe)
        shared["ripe"][...], shared["spread"][...] = ripe, spread
        reach = self._huber * scale
        clipped = np.minimum(np.maximum(residual, -reach), reach)
        if holds(~ripe):
            deviation, clipped = np.where(ripe, deviation, 0), np.where(ripe, clipped, residual)
        shared["deviation"][...] = deviation
        disturbed = (shared["own"] != 0) | (shared["standing"] > 0)
        weight = weights(readings.elapsed, self._rate[readings.kind], seen, disturbed)
        state["location"][...], state["variance"][...] = learn(location, variance, clipped, weight)
        state["seen"][...] = np.minimum(seen + 1, 1e6)
        return ()

    def _persist(self, state: Columns, shared: Columns, readings: Round, deviation: Float64s, ripe: Bools) -> None:
        """Count what is unusual, since when, and whether it began with a jump that the world does not make."""
        far = (np.abs(deviation) >= FAR) & ripe
        rows = rows_of(far | (state["count"] != 0) | (shared["own"] != 0))
        if not len(rows):
            return
        before = state["count"][rows]
        count, shared["own"][rows] = persist(before, shared["own"][rows], deviation[rows], ripe[rows])
        state["count"][rows] = count
        begins = (before == 0) & (count > 0)
        jumped = np.abs(readings.value[rows] - readings.previous[rows]) >= self._abrupt[readings.kind[rows]]
        jumped &= ~readings.first[rows] & (readings.elapsed[rows] <= GAP)
        shared["leapt"][rows] = np.where(begins, jumped, shared["leapt"][rows] & (count > 0))
        begun = rows[begins]
        shared["since_us"][readings.sensor[begun]] = readings.event_us[begun]

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        del state
        return ()

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt."""
        del state, sensor, condition
        return False
