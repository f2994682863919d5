"""What the neighbours say: sensors of the same quantity, near enough to see the same field.

Each reading is compared with the neighbours' latest values. The usual difference of a sensor to its neighbours is
learned with its own spread, so an instrument on the sunny side is not called wrong every noon; the day's rhythm and
the weather cancel out, so a sensor that leaves its neighbours is found early.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree  # type: ignore[import-untyped]  # SciPy ships no types

from config.city import City
from config.quantities import QUANTITIES
from detectors.bank import GAP, NEVER, Column, Columns, Detector, Round, chosen, holds, rows_of
from detectors.baseline import FAR, GRACE, HUBER, MEMORY_READINGS, MEMORY_S, Int8s, learn, persist, weights, youth
from detectors.glances import Float32s, patience_ticks, ticks
from detectors.kinds import Kinds
from detectors.model import Condition, Verdict
from detectors.traits import TRAITS
from ingest.model import Bools, Float64s, Int32s, Int64s

MOST = 8  # neighbours asked
LEAST = 2  # fresh neighbours without which nothing is said
METRES_PER_DEGREE = 111_320.0
_NETWORK = (
    ((0, 2), (1, 3), (4, 6), (5, 7)), ((0, 4), (1, 5), (2, 6), (3, 7)), ((0, 1), (2, 3), (4, 5), (6, 7)),
    ((2, 4), (3, 5)), ((1, 4), (3, 6)), ((1, 2), (3, 4), (5, 6)),
)  # fmt: skip
# Sorts eight numbers in 19 comparisons (Knuth, The Art of Computer Programming 3, 5.3.4), all rows at once: a third of
# the time that sorting row by row takes.
ABRUPT_SHARE = 0.7  # of a deviation that one jump explains


def neighbour_table(city: City) -> npt.NDArray[np.int32]:
    """(sensors, MOST) indices of the nearest sensors of the same quantity within its reach, -1 where there are fewer.

    Distances are taken on a local plane, good to a percent over a city. Sensors of the same device are no
    neighbours of one another.
    """
    columns = city.columns
    table = np.full((len(columns), MOST), -1, np.int32)
    for code, quantity in enumerate(columns.quantity.names):
        if not QUANTITIES[quantity].shared or quantity not in TRAITS:
            continue
        members = np.flatnonzero(columns.quantity.code == code)
        if len(members):
            lon, lat = columns.lon[members], columns.lat[members]
            flat = np.column_stack((lon * np.cos(np.radians(lat.mean())), lat)) * METRES_PER_DEGREE
            near = _nearest(flat, columns.device.code[members], TRAITS[quantity].reach_m)
            table[members] = np.where(near < 0, -1, members[near])
    return table


def _nearest(flat: Float64s, device: Int32s, reach_m: float) -> Int64s:
    """(places, MOST) rows of the nearest places of other devices, nearest first, -1 where there are fewer."""
    count, asked = len(flat), min(len(flat), MOST + 4)
    tree = cKDTree(flat)
    order = tree.indices  # places that lie together are asked for together
    near = np.empty((count, asked), np.int64)
    near[order] = tree.query(flat[order], k=asked, distance_upper_bound=reach_m, workers=-1)[1].reshape(count, asked)
    kept = near < count
    kept &= device[np.minimum(near, count - 1)] != device[:, None]
    place = np.cumsum(kept, axis=1)
    kept &= place <= MOST
    answer = np.full((count, MOST), -1, np.int64)
    row, _ = np.nonzero(kept)
    answer[row, place[kept] - 1] = near[kept]
    return answer


@dataclass(frozen=True, slots=True)
class Look:
    """What the neighbours of some sensors show. One row per sensor asked for.

    index: (rows, MOST) their indices. fresh: (rows, MOST) which of them spoke lately and are not known to be broken.
    value: (rows, MOST) their latest values, not a number where there is none.
    """

    index: npt.NDArray[np.int32]
    fresh: Bools
    value: Float32s

    @property
    def count(self) -> Int64s:
        """Fresh neighbours of each sensor."""
        return np.bitwise_count(self.fresh.view(np.uint64)).reshape(-1).astype(np.int64)  # MOST bytes, each 0 or 1

    def some(self, rows: Int64s) -> "Look":
        """Some of the rows."""
        return Look(self.index[rows], self.fresh[rows], self.value[rows])

    def of(self, row: int) -> tuple[int, ...]:
        """The fresh neighbours of one sensor asked for."""
        return tuple(int(i) for i in self.index[row][self.fresh[row]])


def _differences(look: Look, count: Int64s, value: Float64s, usual: Float64s) -> tuple[Float64s, Float64s]:
    """The neighbours' middle value, and the difference to it beyond the usual one.

    Of two middle values the one that speaks less against the sensor counts, so that one broken neighbour of two
    cannot accuse a sound sensor.
    """
    ordered, row = _ordered(np.where(look.fresh, look.value, np.float32(np.inf))), np.arange(len(count))
    low = ordered[(count - 1) // 2, row].astype(np.float64)
    high = ordered[count // 2, row].astype(np.float64)
    from_high, from_low = value - high - usual, value - low - usual
    kinder = np.where(from_high > 0, from_high, np.where(from_low < 0, from_low, 0.0))
    return (low + high) / 2, kinder


def _ordered(values: Float32s) -> Float32s:
    """The values of each row in order, as columns: (rows, 8) > (8, rows)."""
    columns = np.ascontiguousarray(values.T)
    lower = np.empty(columns.shape[1], columns.dtype)
    for one, other in chain.from_iterable(_NETWORK):
        np.minimum(columns[one], columns[other], out=lower)
        np.maximum(columns[one], columns[other], out=columns[other])
        columns[one] = lower
    return columns


class Neighbourhood:
    """Who is whose neighbour in a city. kind: shape (sensors,), the kind of each (see ``detectors.kinds``)."""

    def __init__(self, city: City, kinds: Kinds | None = None) -> None:
        kinds = kinds or Kinds(city)
        self.table = neighbour_table(city)
        self._patience = patience_ticks(np.round(GAP * kinds.interval_s * 1e6).astype(np.int64))
        self.kind = kinds.of
        patience = self._patience[kinds.of]
        # Most have neighbours that speak as often as they do; of the others it must be asked how seldom they speak.
        self._slower = (np.where(self.table >= 0, patience[self.table], 0) > patience[:, None]).any(axis=1)

    def look(self, readings: Round) -> Look:
        """The neighbours of these sensors at the time of these readings."""
        index = self.table.take(readings.sensor, axis=0)
        value = readings.glances.value.take(index, mode="wrap")  # -1 is nobody
        age = np.abs(ticks(readings.event_us)[:, None] - readings.glances.at.take(index, mode="wrap"))
        allowed = self._patience[readings.kind][:, None]
        if holds(self._slower[readings.sensor]):
            allowed = np.maximum(allowed, self._patience[self.kind[index]])
        fresh = age <= allowed
        fresh &= ~np.isnan(value)  # neither nobody, nor silent so far, nor broken
        return Look(index, fresh, value)


class Neighbours(Detector):
    """Scores readings against the neighbours; what a difference is taken for is decided by ``unusual``."""

    name = "neighbours"
    conditions: frozenset[Condition] = frozenset()

    def __init__(self, city: City, around: Neighbourhood, kinds: Kinds | None = None) -> None:
        kinds = kinds or Kinds(city)
        self._around = around
        self.judges = (around.table >= 0).sum(axis=1) >= LEAST
        self._floor2 = kinds.traits(lambda trait: trait.floor, 1.0) ** 2
        self._swing = kinds.traits(lambda trait: trait.swing, 0.0) / 4  # most of the day is shared
        self._relative = kinds.traits(lambda trait: trait.relative, 0.0)
        self._abrupt = kinds.traits(lambda trait: trait.abrupt, np.inf)
        self._rate = kinds.interval_s / np.maximum(MEMORY_S, MEMORY_READINGS * kinds.interval_s)

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
        look = self._around.look(readings)
        count = look.count
        rows = chosen(count >= LEAST)
        if isinstance(rows, np.ndarray):
            if not len(rows):
                return ()
            readings, look, count = readings.some(rows), look.some(rows), count[rows]
        location = state["location"][rows]
        level, kinder = _differences(look, count, readings.value, location)
        self._score(state, shared, readings, rows, difference=readings.value - level, kinder=kinder, level=level)
        return ()

    def _score(
        self,
        state: Columns,
        shared: Columns,
        readings: Round,
        rows: slice | Int64s,
        *,
        difference: Float64s, kinder: Float64s,
        level: Float64s,
    ) -> None:  # fmt: skip
        """rows: where the readings stand in the columns."""
        kind, event_us = readings.kind, readings.event_us
        seen, location = state["seen"][rows].copy(), state["location"][rows].copy()
        variance = state["variance"][rows].astype(np.float64)
        born_us = state["born_us"][rows]
        residual = difference - location
        fresh = seen == 0
        if holds(fresh):
            state["born_us"][rows] = born_us = np.where(fresh, event_us, born_us)
            location, residual = np.where(fresh, difference, location), np.where(fresh, 0.0, residual)
        learned = variance + (self._floor2[kind] + (self._relative[kind] * level) ** 2)
        scale, part = np.sqrt(learned), youth(event_us, born_us)
        spread = scale if part is None else np.sqrt(learned + (part * self._swing[kind]) ** 2)
        ripe = seen >= GRACE
        unripe = holds(~ripe)
        apart_by = np.where(ripe, kinder / spread, 0.0) if unripe else kinder / spread
        apart = self._persist(state, shared, readings, rows, kinder=kinder, apart_by=apart_by, ripe=ripe)
        shared["apart_by"][rows], shared["apart_spread"][rows] = apart_by, spread
        disturbed = (apart != 0) | (shared["standing"][rows] > 0)
        weight = weights(readings.elapsed, self._rate[kind], seen, disturbed)
        reach = HUBER * scale
        clipped = np.minimum(np.maximum(residual, -reach), reach)
        if unripe:
            clipped = np.where(ripe, clipped, residual)
        state["location"][rows], state["variance"][rows] = learn(location, variance, clipped, weight)
        state["seen"][rows] = np.minimum(seen + 1, 1e6)

    def _persist(
        self, state: Columns, shared: Columns, readings: Round, rows: slice | Int64s, *, kinder: Float64s,
        apart_by: Float64s, ripe: Bools,
    ) -> Int8s:  # fmt: skip
        """Count who is apart, since when, and whether it began with such a jump; the directions after it."""
        counts, apart = state["count"][rows], shared["apart"][rows]
        busy = rows_of((ripe & (np.abs(apart_by) >= FAR)) | (counts != 0) | (apart != 0))
        if not len(busy):
            return apart
        where = busy if isinstance(rows, slice) else rows[busy]
        before, beyond = counts[busy], kinder[busy]
        count, direction = persist(before, apart[busy], apart_by[busy], ripe[busy])
        begins = (before == 0) & (count > 0)
        jump = readings.value[busy] - readings.previous[busy]
        explains = np.abs(jump) >= np.maximum(ABRUPT_SHARE * np.abs(beyond), self._abrupt[readings.kind[busy]])
        abrupt = begins & explains & (readings.elapsed[busy] <= GAP) & (np.sign(jump) == np.sign(beyond))
        shared["abrupt"][where] = np.where(begins, abrupt, shared["abrupt"][where] & (count > 0))
        state["count"][where], shared["apart"][where] = count, direction
        alone = busy[begins & (shared["own"][where] == 0)]
        shared["since_us"][readings.sensor[alone]] = readings.event_us[alone]
        return shared["apart"][rows]

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        del state
        return ()

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt."""
        del state, sensor, condition
        return False
