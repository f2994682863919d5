"""Which sensors break in a run, how and when, drawn by a seed, and who has to mend them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.clock import US_PER_SECOND
from config.quantities import QUANTITIES
from config.vocabulary import Kind
from sensors_sim.faults.instruments import COUNTED, INSTRUMENTS
from sensors_sim.faults.told import told
from sensors_sim.scenario import Health
from sensors_sim.truth import Fault, FaultKind
from sensors_sim.world import World

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

DEFAULT_WEIGHTS: Mapping[FaultKind, float] = MappingProxyType(
    {
        FaultKind.SILENT: 20,
        FaultKind.STUCK: 15,
        FaultKind.SPIKING: 12,
        FaultKind.NOISY: 9,
        FaultKind.BIAS: 9,
        FaultKind.DRIFT: 9,
        FaultKind.DROPOUT: 7,
        FaultKind.CURVED_DRIFT: 4,
        FaultKind.SATURATED: 4,
        FaultKind.CLOCK: 3,
        FaultKind.UNIT: 2,
        FaultKind.SWAPPED: 2,
        FaultKind.TEMPERATURE_LEAK: 1,
        FaultKind.COVERED_LENS: 1,
        FaultKind.DARK_IMAGE: 1,
        FaultKind.BLURRED_IMAGE: 1,
        FaultKind.FROZEN_IMAGE: 1,
    }
)
"""How often each kind is met, where a scenario says nothing.

The order of the first ones is that of what deployments report: lost data first, then constants, single outliers and
noise (Sharma, Golubchik and Govindan 2010, ACM Trans. Sensor Networks 6(3), 23); the kinds and their names follow Ni
et al. 2009, ACM Trans. Sensor Networks 5(3), 25, and de Bruijn et al. 2016, SENSORNETS, 185. The rest is judgement.
"""

IMAGE_KINDS = frozenset({FaultKind.FROZEN_IMAGE, FaultKind.DARK_IMAGE, FaultKind.BLURRED_IMAGE, FaultKind.COVERED_LENS})
"""What happens to a camera's picture, and so to everything that is read from it."""

BOX_KINDS = IMAGE_KINDS | {FaultKind.SILENT, FaultKind.CLOCK, FaultKind.DROPOUT}
"""What happens to a whole box."""

STANDING_SHARE = 0.2
"""Of the broken sensors so many are broken before the run begins: repair takes days, a run often hours."""
MENDED_SHARE = 0.25
"""So many are well again before it ends: a fault that comes and goes, or somebody who came."""
LEAST_READINGS = 8
"""A fault of fewer readings than these is not planned: nobody could know it."""
LEAST_OF_SOME: Mapping[FaultKind, int] = MappingProxyType({FaultKind.SPIKING: 24, FaultKind.DROPOUT: 16})
"""Where only some readings are wrong it takes more, or there might be none."""
FIRST_SHARE, SHORTEST_SHARE = 0.1, 0.1  # of the run: before the first fault begins, and for the shortest


def spoils(kind: FaultKind, quantity: str) -> bool:
    """Whether something that happens to a picture shows in a quantity. A blurred one is as bright as before."""
    camera = QUANTITIES[quantity].kind is Kind.CAMERA
    return camera and not (kind is FaultKind.BLURRED_IMAGE and quantity == "image_brightness")


def _can_have(world: World, kind: FaultKind) -> Bools:
    """Which sensors can break in this way, shape (sensors,)."""

    def of(name: str) -> bool:
        quantity, instrument = QUANTITIES[name], INSTRUMENTS.get(name)
        if kind in IMAGE_KINDS:
            return spoils(kind, name)
        if kind in {FaultKind.SILENT, FaultKind.CLOCK}:
            return True
        if instrument is None:
            return False
        odd_unit = any(conversion != (1.0, 0.0) for conversion in quantity.conversions.values())
        needs = {
            FaultKind.TEMPERATURE_LEAK: name in {"tilt", "crack", "settlement"},
            FaultKind.UNIT: odd_unit and name not in COUNTED,
            FaultKind.SATURATED: bool(instrument.stands_at),
            FaultKind.DROPOUT: bool(instrument.falls_to),
            FaultKind.DRIFT: name not in COUNTED,
            FaultKind.CURVED_DRIFT: name not in COUNTED,
            # where all see nearly the same, nobody could tell one from the other
            FaultKind.SWAPPED: not quantity.shared and quantity.kind is not Kind.GAS,
        }
        return needs.get(kind, True)

    able: Bools = world.city.columns.quantity.each(of, np.bool_)
    if kind not in IMAGE_KINDS:
        return able
    columns = world.city.columns  # only a box that tells of its picture can be found out
    pictured = np.zeros(len(columns.device.names), np.bool_)
    pictured[columns.device.code[columns.quantity.each(lambda name: name.startswith("image_"), np.bool_)]] = True
    return able & pictured[columns.device.code]


@dataclass(frozen=True, slots=True)
class _Picked:
    """Rows that break together in one way; unit: shape (rows,), which of them share one beginning and end."""

    rows: Integers
    unit: Integers


_NOBODY = _Picked(np.empty(0, np.int64), np.empty(0, np.int64))


def _pick_boxes(world: World, able: Bools, free: Bools, quota: float, rng: np.random.Generator) -> _Picked:
    """Whole boxes, of which every sensor is free, until about ``quota`` able sensors are found."""
    box = world.city.columns.device.code
    count = len(world.city.columns.device.names)
    size = np.bincount(box[able], minlength=count)
    candidates = rng.permutation(np.flatnonzero((size > 0) & (np.bincount(box[~free], minlength=count) == 0)))
    before = np.cumsum(size[candidates]) - size[candidates]
    chosen = candidates[before + size[candidates] / 2 <= quota]
    number = np.full(count, -1, np.int64)
    number[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(able & (number[box] >= 0))
    return _Picked(rows, number[box[rows]])


def _pick_pairs(world: World, able: Bools, free: Bools, quota: float, rng: np.random.Generator) -> _Picked:
    """Pairs of sensors of one quantity and interval."""
    columns = world.city.columns
    rows = rng.permutation(np.flatnonzero(able & free))
    alike = np.lexsort((columns.interval_s[rows], columns.quantity.code[rows]))
    rows = rows[alike]
    kind = np.column_stack((columns.quantity.code[rows], columns.interval_s[rows]))
    begins = np.flatnonzero(np.concatenate(([True], (kind[1:] != kind[:-1]).any(axis=1)))) if len(rows) else rows
    within = np.arange(len(rows)) - np.repeat(begins, np.diff(np.append(begins, len(rows))))
    first = np.flatnonzero(within % 2 == 0)
    first = first[(first + 1 < len(rows))]
    first = first[within[first + 1] == within[first] + 1]
    first = rng.permutation(first)[: round(quota / 2)]
    both = np.column_stack((rows[first], rows[first + 1])).reshape(-1)
    return _Picked(both.astype(np.int64), np.repeat(np.arange(len(first)), 2))


def _pick(
    world: World, kind: FaultKind, able: Bools, free: Bools, *, quota: float, rng: np.random.Generator
) -> _Picked:
    if not able.any() or quota <= 0:
        return _NOBODY
    if kind in BOX_KINDS:
        return _pick_boxes(world, able, free, quota, rng)
    if kind is FaultKind.SWAPPED:
        return _pick_pairs(world, able, free, quota, rng)
    rows = np.flatnonzero(able & free)
    chosen = np.sort(rng.permutation(rows)[: round(quota)])
    return _Picked(chosen, np.arange(len(chosen)))


def _spans(
    picked: _Picked, need_us: Integers, start_us: int, end_us: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """(from, to) of every picked row, whole milliseconds; rows of one unit break together.

    need_us: shape (sensors,), how long a fault of each must last at least.
    """
    units = int(picked.unit.max(initial=-1)) + 1
    slowest = np.zeros(units, np.int64)
    np.maximum.at(slowest, picked.unit, need_us[picked.rows])
    run = end_us - start_us
    least = np.maximum(slowest, round(SHORTEST_SHARE * run))
    earliest = np.full(units, start_us + round(FIRST_SHARE * run))
    latest = np.maximum(end_us - least, start_us)
    standing = (rng.random(units) < STANDING_SHARE) | (latest < earliest)
    begins = np.where(standing, start_us, earliest + (rng.random(units) * np.maximum(latest - earliest, 0)))
    begins = begins.astype(np.int64) // 1000 * 1000
    ends = begins + least + (rng.random(units) * np.maximum(end_us - begins - least, 0)).astype(np.int64)
    ends = np.where(rng.random(units) < MENDED_SHARE, ends // 1000 * 1000, end_us)
    return begins[picked.unit], np.minimum(ends, end_us)[picked.unit]


def plan_faults(  # noqa: PLR0917 - called by position, as staging is
    world: World, health: Health, start_us: int, end_us: int, rng: np.random.Generator, taken: Collection[int]
) -> list[Fault]:
    """The faults of a run, in order of their beginning: ``health.share`` of all sensors break at some time of it.

    Which breaks how follows the weights of ``health.kinds`` (DEFAULT_WEIGHTS where it names none), as far as there are
    sensors that can break so; what one kind cannot use goes to the others. A fault of a box or a picture is told of
    every sensor of it that it touches; swapped sensors come in pairs. Fewer break where the run is too short to see
    LEAST_READINGS of them, or too many are ``taken`` (rows that have a part in what happens).
    """
    columns = world.city.columns
    interval_us = np.rint(columns.interval_s * US_PER_SECOND).astype(np.int64)
    visible_us = (end_us - start_us) * (1 - FIRST_SHARE)
    free = LEAST_READINGS * interval_us <= visible_us
    free[np.fromiter(taken, np.int64, len(taken))] = False
    weights = DEFAULT_WEIGHTS if health.kinds is None else health.kinds
    able = {kind: _can_have(world, kind) for kind in FaultKind if weights.get(kind, 0) > 0}
    # boxes while there are whole ones, and what few can have before the others have taken them
    scarce_first = sorted(able, key=lambda kind: (kind not in BOX_KINDS, int(able[kind].sum()), kind.value))
    left, weight_left = health.share * len(columns), float(sum(weights[kind] for kind in able))
    found: list[tuple[FaultKind, Integers, Integers, Integers]] = []
    for kind in scarce_first:
        need_us = LEAST_OF_SOME.get(kind, LEAST_READINGS) * interval_us
        picked = _pick(
            world, kind, able[kind] & (need_us <= visible_us), free, quota=left * weights[kind] / weight_left, rng=rng
        )
        left, weight_left = left - len(picked.rows), weight_left - weights[kind]
        free[picked.rows] = False
        found.append((kind, picked.rows, *_spans(picked, need_us, start_us, end_us, rng)))
    return _told(world.city, found)


def _told(city: City, found: list[tuple[FaultKind, Integers, Integers, Integers]]) -> list[Fault]:
    if not found:
        return []
    kinds = [kind for kind, rows, _, _ in found for _ in range(len(rows))]
    rows, begins, ends = (np.concatenate([entry[part] for entry in found]) for part in (1, 2, 3))
    order = np.lexsort((rows, begins))
    each = zip(rows[order].tolist(), begins[order].tolist(), ends[order].tolist(), strict=True)
    return told(city, ((kinds[place], *one) for place, one in zip(order.tolist(), each, strict=True)))
