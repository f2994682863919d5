"""What the neighbours say: sensors of the same quantity, near enough to see the same field.

Each reading is compared with the neighbours' latest values. The usual difference of a sensor to its neighbours is
learned with its own spread, so an instrument on the sunny side is not called wrong every noon; the day's rhythm and
the weather cancel out, so a sensor that leaves its neighbours is found early.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree  # type: ignore[import-untyped]  # SciPy ships no types

from config.city import City
from detectors.bank import GAP, NEVER, Column, Columns, Round
from detectors.baseline import DAY_US, GRACE, HUBER, MEMORY_READINGS, MEMORY_S, SLOWLY, learn, persist
from detectors.model import Condition, Verdict
from detectors.traits import TRAITS
from ingest.model import Bools, Float64s, Int64s

MOST = 8  # neighbours asked
LEAST = 2  # fresh neighbours without which nothing is said
METRES_PER_DEGREE = 111_320.0
ABRUPT_SHARE = 0.7  # of a deviation that one jump explains


def neighbour_table(city: City) -> npt.NDArray[np.int32]:
    """(sensors, MOST) indices of the nearest sensors of the same quantity within its reach, -1 where there are fewer.

    Distances are taken on a local plane, good to a percent over a city. Sensors of the same device are no
    neighbours of one another.
    """
    table = np.full((len(city.sensors), MOST), -1, np.int32)
    groups: dict[str, list[int]] = {}
    for sensor in city.sensors:
        if sensor.measures.shared and sensor.quantity in TRAITS:
            groups.setdefault(sensor.quantity, []).append(sensor.index)
    for quantity, members in groups.items():
        index = np.array(members)
        lat = np.array([city.sensors[i].lat for i in members])
        lon = np.array([city.sensors[i].lon for i in members])
        flat = np.column_stack((lon * np.cos(np.radians(lat.mean())), lat)) * METRES_PER_DEGREE
        asked = min(len(members), MOST + 4)
        far, near = cKDTree(flat).query(flat, k=asked, distance_upper_bound=TRAITS[quantity].reach_m)
        far, near = far.reshape(len(members), asked), near.reshape(len(members), asked)
        for row, own in enumerate(members):
            device = city.sensors[own].device
            found = [int(index[j]) for j, d in zip(near[row], far[row], strict=True) if np.isfinite(d)]
            kept = [i for i in found if i != own and city.sensors[i].device != device][:MOST]
            table[own, : len(kept)] = kept
    return table


@dataclass(frozen=True, slots=True)
class Look:
    """What the neighbours of some sensors show. One row per sensor asked for.

    index: (rows, MOST) their indices; fresh: (rows, MOST) which of them spoke lately and are not known to be broken.
    """

    index: npt.NDArray[np.int32]
    fresh: Bools

    @property
    def count(self) -> Int64s:
        """Fresh neighbours of each sensor."""
        return np.asarray(self.fresh.sum(axis=1))

    def of(self, row: int) -> tuple[int, ...]:
        """The fresh neighbours of one sensor asked for."""
        return tuple(int(i) for i in self.index[row][self.fresh[row]])


class Neighbourhood:
    """Who is whose neighbour in a city."""

    def __init__(self, city: City) -> None:
        self.table = neighbour_table(city)
        interval = np.array([sensor.interval_s for sensor in city.sensors])
        self._stale_us = np.round(GAP * interval * 1e6).astype(np.int64)

    def look(self, shared: Columns, sensor: Int64s, event_us: Int64s) -> Look:
        """The neighbours of some sensors at these event times."""
        index = self.table[sensor]
        last_us = shared["last_us"][index]
        allowed = np.maximum(self._stale_us[sensor][:, None], self._stale_us[index])
        near_in_time = np.abs(event_us[:, None] - last_us) <= allowed
        return Look(index, (index >= 0) & (last_us != NEVER) & near_in_time & (shared["faulty"][index] == 0))


class Neighbours:
    """Scores readings against the neighbours; what a difference is taken for is decided by ``unusual``."""

    name = "neighbours"
    conditions: frozenset[Condition] = frozenset()

    def __init__(self, city: City, around: Neighbourhood) -> None:
        self._around = around
        self._judged = (around.table >= 0).sum(axis=1) >= LEAST
        traits = [TRAITS.get(sensor.quantity) for sensor in city.sensors]
        self._floor = np.array([trait.floor if trait else 1.0 for trait in traits])
        self._swing = np.array([trait.swing if trait else 0.0 for trait in traits]) / 4  # most of the day is shared
        self._relative = np.array([trait.relative if trait else 0.0 for trait in traits])
        self._abrupt = np.array([trait.abrupt if trait else np.inf for trait in traits])
        interval = np.array([sensor.interval_s for sensor in city.sensors])
        self._rate = interval / np.maximum(MEMORY_S, MEMORY_READINGS * interval)

    def columns(self) -> Mapping[str, Column]:
        """See Detector.columns."""
        return {
            "location": Column("f8", learned=True),
            "variance": Column("f4", learned=True),
            "seen": Column("f4", learned=True),
            "born_us": Column("i8", NEVER, learned=True),
            "count": Column("i1"),
        }

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """See Detector.judge. Writes ``apart``, ``apart_by`` and ``abrupt``; opens nothing itself."""
        rows = np.flatnonzero(self._judged[readings.sensor])
        if not len(rows):
            return ()
        look = self._around.look(shared, readings.sensor[rows], readings.event_us[rows])
        enough = look.count >= LEAST
        if not enough.any():
            return ()
        rows, index, fresh = rows[enough], look.index[enough], look.fresh[enough]
        sensor, value = readings.sensor[rows], readings.value[rows]
        level, kinder = self._differences(shared, index, fresh, value, state["location"][sensor])
        self._score(state, shared, readings, rows, difference=value - level, kinder=kinder, level=level)
        return ()

    def _differences(
        self, shared: Columns, index: npt.NDArray[np.int32], fresh: Bools, value: Float64s, usual: Float64s
    ) -> tuple[Float64s, Float64s]:
        """The neighbours' middle value, and the difference to it beyond the usual one.

        Of two middle values the one that speaks less against the sensor counts, so that one broken neighbour of two
        cannot accuse a sound sensor.
        """
        count = fresh.sum(axis=1)
        ordered = np.sort(np.where(fresh, shared["last"][index], np.inf), axis=1)
        row = np.arange(len(count))
        low, high = ordered[row, (count - 1) // 2], ordered[row, count // 2]
        from_high, from_low = value - high - usual, value - low - usual
        kinder = np.where(from_high > 0, from_high, np.where(from_low < 0, from_low, 0.0))
        return (low + high) / 2, kinder

    def _score(
        self,
        state: Columns,
        shared: Columns,
        readings: Round,
        rows: Int64s,
        *,
        difference: Float64s, kinder: Float64s,
        level: Float64s,
    ) -> None:  # fmt: skip
        sensor, event_us = readings.sensor[rows], readings.event_us[rows]
        seen, location = state["seen"][sensor], state["location"][sensor]
        fresh = seen == 0
        if fresh.any():
            state["born_us"][sensor[fresh]] = event_us[fresh]
        youth = np.clip(1 - (event_us - state["born_us"][sensor]) / DAY_US, 0, 1)
        floor = self._floor[sensor] ** 2 + (self._relative[sensor] * level) ** 2
        learned = state["variance"][sensor] + floor
        spread = np.sqrt(learned + (youth * self._swing[sensor]) ** 2)
        apart_by = np.where(seen >= GRACE, kinder / spread, 0.0)
        direction = shared["apart"][sensor]
        count, apart = persist(state["count"][sensor], direction, apart_by, seen >= GRACE)
        begins = (state["count"][sensor] == 0) & (count > 0)
        jump = readings.value[rows] - readings.previous[rows]
        explains = np.abs(jump) >= np.maximum(ABRUPT_SHARE * np.abs(kinder), self._abrupt[sensor])
        abrupt = begins & explains & (readings.elapsed[rows] <= GAP) & (np.sign(jump) == np.sign(kinder))
        shared["abrupt"][sensor] = np.where(begins, abrupt, shared["abrupt"][sensor] & (count > 0))
        state["count"][sensor], shared["apart"][sensor] = count, apart
        shared["apart_by"][sensor], shared["apart_spread"][sensor] = apart_by, spread
        alone = begins & (shared["own"][sensor] == 0)
        shared["since_us"][sensor[alone]] = event_us[alone]
        weight = np.maximum(-np.expm1(-readings.elapsed[rows] * self._rate[sensor]), 1 / (seen + 1))
        weight *= np.where((apart != 0) | (shared["standing"][sensor] > 0), SLOWLY, 1.0)
        residual = np.where(fresh, 0.0, difference - location)
        scale = np.sqrt(learned)
        clipped = np.where(seen < GRACE, residual, np.clip(residual, -HUBER * scale, HUBER * scale))
        location = np.where(fresh, difference, location)
        state["location"][sensor], state["variance"][sensor] = learn(
            location, state["variance"][sensor], clipped, weight
        )
        state["seen"][sensor] = np.minimum(seen + 1, 1e6)

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        del state
        return ()

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt."""
        del state, sensor, condition
        return False
