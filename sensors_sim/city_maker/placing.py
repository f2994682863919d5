"""Where the boxes of a made-up city hang, and what each of them measures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensors_sim.city_maker.blocks import Buildings
from sensors_sim.city_maker.boxes import BOXES, Box, Where
from sensors_sim.city_maker.ground import Bools, Ground, Integers, Spots
from sensors_sim.world import Use

AT_A_SITE = 3
"""Boxes, at most, at one underpass or bridge; what is left over hangs along the streets."""
_KERB = 0.04  # of a block's side: the kerb


@dataclass(frozen=True, slots=True)
class Hung:
    """Boxes that hang, in the order of BOXES. Shape (boxes,) each.

    kind: row in BOXES. number: within its kind, from 1. building: row of the building that it is in or on, -1 in the
    open. choice: a random number of its own, for what is drawn later.
    """

    kind: Integers
    number: Integers
    spots: Spots
    building: Integers
    choice: Integers

    def some(self, which: Integers) -> "Hung":
        """Some of them."""
        return Hung(
            self.kind[which], self.number[which], self.spots.some(which), self.building[which], self.choice[which]
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """Series of boxes. Shape (sensors,) each. box: row in Hung. series: which of its kind's."""

    box: Integers
    series: Integers


def series_per_box() -> float:
    """How many series a box has, in the mean."""
    boxes = sum(box.share for box in BOXES)
    return sum(box.share * sum(one.share for one in box.series) for box in BOXES) / boxes


def choose(sensors: int, rng: np.random.Generator) -> list[tuple[int, Bools]]:
    """(row in BOXES, which of its series each box has) of as many boxes as have exactly so many series together.

    One box of every kind has all its series, as far as they go.
    """
    wanted = sensors / series_per_box()
    whole = sum(box.share for box in BOXES)
    kinds, has = [], []
    most = max(len(box.series) for box in BOXES)
    for row, box in enumerate(BOXES):
        count = 12 + int(1.15 * wanted * box.share / whole)
        there = np.zeros((count, most), np.bool_)
        there[:, : len(box.series)] = _series(box, count, rng)
        kinds.append(np.full(count, row, np.int64))
        has.append(there)
    kind, there = np.concatenate(kinds), np.concatenate(has)
    # in their proportions: the first of each kind, then the others as a shuffled queue
    place = np.concatenate(
        [(np.arange(len(one)) - rng.random(len(one))) / BOXES[row].share for row, one in enumerate(kinds)]
    )
    starts = np.cumsum([0, *(len(one) for one in kinds[:-1])])
    place[starts] = -1_000.0 + np.arange(len(starts)) / 100
    order = np.argsort(place, kind="stable")
    total = np.cumsum(there[order].sum(axis=1))
    last = int(np.searchsorted(total, sensors))
    kept = order[: last + 1]
    surplus = int(total[last]) - sensors
    mine = np.flatnonzero(there[order[last]])
    there[order[last], mine[len(mine) - surplus :]] = False
    return [(row, there[np.sort(kept[kind[kept] == row])][:, : len(box.series)]) for row, box in enumerate(BOXES)]


def _series(box: Box, count: int, rng: np.random.Generator) -> Bools:
    """Which series each of ``count`` boxes has: the first of it all; series of the same share in a row go together."""
    share = np.array([one.share for one in box.series])
    draw = rng.random((count, len(share)))
    for column in range(1, len(share)):
        if share[column] < 1 and share[column] == share[column - 1]:
            draw[:, column] = draw[:, column - 1]
    there: Bools = draw < share
    if not (share == 1).any():  # it would be an empty box
        there[~there.any(axis=1), 0] = True
    there[0] = True
    return there


def hang(
    chosen: list[tuple[int, Bools]], ground: Ground, buildings: Buildings, rng: np.random.Generator
) -> tuple[Hung, Measured]:
    """Find a place for every box."""
    hooks: dict[Where, Callable[[Box, int], tuple[Spots, Integers]]] = {
        Where.BUILDING: lambda box, count: _at_buildings(box, count, buildings, rng),
        Where.CROSSING: lambda _, count: (_crossings(ground, count, rng), np.full(count, -1)),
        Where.STREET: lambda _, count: (_along(ground, count, rng, main=False), np.full(count, -1)),
        Where.MAIN_STREET: lambda _, count: (_along(ground, count, rng, main=True), np.full(count, -1)),
        Where.UNDERPASS: lambda _, count: (_sites(_underpasses(ground), count, ground, rng), np.full(count, -1)),
        Where.BRIDGE: lambda _, count: (_sites(_bridges(ground), count, ground, rng), np.full(count, -1)),
        Where.METRO: lambda _, count: (_above_metro(ground, count, rng), np.full(count, -1)),
    }
    parts = [(row, there, *hooks[BOXES[row].where](BOXES[row], len(there))) for row, there in chosen]
    count = sum(len(there) for _, there, _, _ in parts)
    hung = Hung(
        kind=np.concatenate([np.full(len(there), row, np.int64) for row, there, _, _ in parts]),
        number=np.concatenate([np.arange(1, len(there) + 1) for _, there, _, _ in parts]),
        spots=Spots.joined([spots for _, _, spots, _ in parts]),
        building=np.concatenate([building for _, _, _, building in parts]),
        choice=rng.integers(0, 1 << 30, count),
    )
    first = np.cumsum([0, *(len(there) for _, there, _, _ in parts)])
    found = [np.nonzero(there) for _, there, _, _ in parts]
    box = np.concatenate([rows + begin for (rows, _), begin in zip(found, first.tolist()[:-1], strict=True)])
    return hung, Measured(box, np.concatenate([columns for _, columns in found]))


def _drawn(weights: Integers, count: int, rng: np.random.Generator) -> Integers:
    """Rows drawn in proportion to whole-numbered weights; a row may come several times. Ascending."""
    sums = np.cumsum(weights)
    if not len(sums) or sums[-1] == 0:
        raise AssertionError("nothing to draw from")
    return np.sort(np.searchsorted(sums, rng.integers(0, int(sums[-1]), count), side="right"))


def _at_buildings(box: Box, count: int, buildings: Buildings, rng: np.random.Generator) -> tuple[Spots, Integers]:
    weight = np.zeros(len(Use), np.int64)
    for use, times in box.uses.items():
        weight[use] = times
    wanted = weight[buildings.use]
    hosts = -(-count // box.together)
    rows = _drawn(wanted if wanted.any() else np.ones(len(wanted), np.int64), hosts, rng)
    rows = np.repeat(rows, box.together)[:count]
    spots = buildings.spots.some(rows)
    shift = 0.02 * (rng.random((2, count)) - 0.5)  # some metres: another room, another wall
    return Spots(
        spots.row,
        spots.column,
        (spots.east + shift[0]).clip(_KERB / 2, 1 - _KERB / 2),
        (spots.north + shift[1]).clip(_KERB / 2, 1 - _KERB / 2),
    ), rows


def _weights(ground: Ground) -> NDArray[np.int64]:
    """How likely a thing of the street stands in each block: where people are."""
    found: NDArray[np.int64] = np.where(ground.built, 6 + np.floor(100 * ground.urban).astype(np.int64), 0)
    return found


def _along(ground: Ground, count: int, rng: np.random.Generator, *, main: bool) -> Spots:
    """Along the streets around blocks; main: along main streets only."""
    weight = _weights(ground)
    rows, columns = np.nonzero(weight)
    sides = np.stack(
        [
            ground.main_rows[rows],
            ground.main_columns[columns + 1],
            ground.main_rows[rows + 1],
            ground.main_columns[columns],
        ],
        axis=1,
    )
    if not main:
        sides = np.ones_like(sides)
    weights = (weight[rows, columns][:, None] * sides).reshape(-1)
    picked = _drawn(weights, count, rng)
    block, side = picked // 4, picked % 4
    along = 0.06 + 0.88 * rng.random(count)
    kerb = np.full(count, _KERB)
    return Spots(
        rows[block],
        columns[block],
        np.choose(side, [along, 1 - kerb, along, kerb]),
        np.choose(side, [kerb, along, 1 - kerb, along]),
    )


def _crossings(ground: Ground, count: int, rng: np.random.Generator) -> Spots:
    """At crossings of which a street is a main one, on one of their four corners."""
    weight = np.pad(_weights(ground), 1)
    around = np.minimum.reduce([weight[:-1, :-1], weight[:-1, 1:], weight[1:, :-1], weight[1:, 1:]])
    busy = ground.main_rows[:, None].astype(np.int64) + ground.main_columns[None, :]
    heavy = around * busy * busy
    rows, columns = np.nonzero(heavy)
    picked = _drawn(heavy[rows, columns], count, rng)
    up, right = rng.integers(0, 2, count), rng.integers(0, 2, count)
    return Spots(
        rows[picked] - 1 + up,
        columns[picked] - 1 + right,
        np.where(right == 1, _KERB, 1 - _KERB),
        np.where(up == 1, _KERB, 1 - _KERB),
    )


def _underpasses(ground: Ground) -> list[tuple[int, int, float, float]]:
    """Main streets below the railway."""
    return [
        (row, column, 0.5, _KERB)
        for column in ground.railways
        for row in np.flatnonzero(ground.main_rows[:-1]).tolist()
        if ground.land[row, column] and row not in ground.rivers
    ]


def _bridges(ground: Ground) -> list[tuple[int, int, float, float]]:
    """Main streets across the river."""
    return [
        (row, column, _KERB, 0.5)
        for row in ground.rivers
        for column in np.flatnonzero(ground.main_columns[:-1]).tolist()
        if ground.land[row, column] and column not in ground.railways
    ]


def _sites(sites: list[tuple[int, int, float, float]], count: int, ground: Ground, rng: np.random.Generator) -> Spots:
    """Boxes at sites in turn, a few at each, the rest along streets."""
    there = min(count, AT_A_SITE * len(sites))
    turn = np.arange(there)
    table = np.array(sites, np.float64).reshape(-1, 4)[turn % max(1, len(sites))]
    spread = (turn // max(1, len(sites)) - 1) * 0.3  # over the length of a bridge or an underpass
    across = table[:, 2] == 0.5
    at = Spots(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.int64),
        np.where(across, table[:, 2] + spread, table[:, 2]),
        np.where(across, table[:, 3], table[:, 3] + spread),
    )
    return Spots.joined([at, _along(ground, count - there, rng, main=False)]) if there < count else at


def _above_metro(ground: Ground, count: int, rng: np.random.Generator) -> Spots:
    """Evenly along the metro lines, jittered."""
    built = ground.built
    blocks = [(line, int(column), 0) for line in ground.metro_rows for column in np.flatnonzero(built[line])]
    blocks += [(int(row), line, 1) for line in ground.metro_columns for row in np.flatnonzero(built[:, line])]
    way = np.sort(rng.random(count)) * len(blocks)
    which = way.astype(np.int64)
    table = np.array(blocks, np.int64)[which]
    along = 0.05 + 0.9 * (way - which)
    upright = table[:, 2] == 1
    beside = np.full(count, 0.06)
    return Spots(table[:, 0], table[:, 1], np.where(upright, beside, along), np.where(upright, along, beside))
