"""What stands in the blocks: the lanes that cut them, the buildings along their streets, the gas mains below."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensors_sim.city_maker.ground import Bools, Floats, Ground, Integers, Spots, smooth
from sensors_sim.world import Use

SERVED = 0.15
"""From how urban on a block has gas."""

_RURAL, _HOMES, _CENTRE, _OLD, _PLANTS, _PARK = range(6)

# fmt: off
# share of each use by zone: behind, and along a main street
_USES = (Use.HOME, Use.OLD_HOME, Use.SHOP, Use.OFFICE, Use.PLANT)
_SHARES = {
    _RURAL:  ((0.80, 0.00, 0.08, 0.02, 0.10), (0.60, 0.00, 0.25, 0.05, 0.10)),
    _HOMES:  ((0.78, 0.00, 0.12, 0.08, 0.02), (0.52, 0.00, 0.36, 0.12, 0.00)),
    _CENTRE: ((0.46, 0.00, 0.26, 0.28, 0.00), (0.26, 0.00, 0.44, 0.30, 0.00)),
    _OLD:    ((0.00, 0.82, 0.18, 0.00, 0.00), (0.00, 0.50, 0.50, 0.00, 0.00)),
    _PLANTS: ((0.26, 0.00, 0.08, 0.10, 0.56), (0.26, 0.00, 0.14, 0.14, 0.46)),
    _PARK:   ((0.00, 0.00, 1.00, 0.00, 0.00), (0.00, 0.00, 1.00, 0.00, 0.00)),
}
# floors of a home, lowest and highest, by zone
_FLOORS = {_RURAL: (2, 5), _HOMES: (3, 7), _CENTRE: (5, 12), _OLD: (1, 3), _PLANTS: (2, 5), _PARK: (1, 1)}
# floors of the other uses, and cubic metres of air of one flat, shop or hall
_OF_USE = {
    Use.HOME: (None, (150, 260)), Use.OLD_HOME: (None, (70, 140)), Use.SHOP: ((1, 3), (180, 600)),
    Use.OFFICE: ((4, 16), (250, 900)), Use.SCHOOL: ((3, 5), (400, 900)), Use.HOSPITAL: ((5, 14), (400, 1_200)),
    Use.MARKET: ((1, 2), (4_000, 15_000)), Use.STATION: ((1, 2), (8_000, 30_000)), Use.PLANT: ((1, 3), (4_000, 30_000)),
}
# (blocks across, blocks along, how crooked, buildings at least, at most, set back from the street as a share)
_CUTS = {
    "whole": (1, 1, 0.0, 2, 5, 0.07), "halves": (2, 1, 0.3, 3, 6, 0.10),
    "quarters": (2, 2, 0.3, 3, 5, 0.11), "lanes": (3, 3, 0.62, 5, 8, 0.09), "park": (1, 1, 0.0, 0, 2, 0.07),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Buildings:
    """Every building, in the order of rows and columns of blocks. households: how many live there.

    foot: where its gas pipe leaves the street. front: whether it stands on a main street.
    """

    spots: Spots
    foot: Spots
    front: Bools
    use: NDArray[np.uint8]
    floors: NDArray[np.int32]
    volume_m3: Floats
    households: Integers


@dataclass(frozen=True, slots=True)
class Built:
    """What stands on the ground. lanes: (beginnings, ends) of the streets inside blocks."""

    buildings: Buildings
    lanes: tuple[Spots, Spots]


@dataclass(frozen=True, slots=True)
class _Parts:
    """Blocks cut into parts. east, north: (blocks, across + 1, along + 1), corners of parts as shares of the sides."""

    row: Integers
    column: Integers
    east: Floats
    north: Floats

    @property
    def number(self) -> int:
        """Parts of all blocks together."""
        return self.east[:, 1:, 1:].size

    def corners(self, i: int, j: int) -> Spots:
        """The same corner of every block."""
        return Spots(self.row, self.column, self.east[:, i, j], self.north[:, i, j])


def build(ground: Ground, rng: np.random.Generator) -> Built:
    """Cut the blocks by lanes and put buildings along every street."""
    zone = _zones(ground, rng)
    built, urban = ground.built, ground.urban
    kinds = {
        "whole": built & (zone != _PARK) & ~ground.old & (urban <= 0.18),
        "halves": built & (zone != _PARK) & ~ground.old & (urban > 0.18) & (urban <= 0.32),
        "quarters": built & (zone != _PARK) & ~ground.old & (urban > 0.32),
        "lanes": ground.old & built & (zone != _PARK),
        "park": built & (zone == _PARK),
    }
    spots: list[Spots] = []
    feet: list[Spots] = []
    begins: list[Spots] = []
    ends: list[Spots] = []
    for name, where in kinds.items():
        across, along, wobble, least, most, back = _CUTS[name]
        row, column = np.nonzero(where)
        parts = _Parts(row, column, *_cuts(rng, len(row), across, along, wobble))
        for begin, end in _lanes(parts):
            begins.append(begin)
            ends.append(end)
        house, foot = _along_streets(rng, parts, rng.integers(least, most + 1, parts.number), back)
        spots.append(house)
        feet.append(foot)
    house, foot = Spots.joined(spots), Spots.joined(feet)
    order = np.lexsort((house.column, house.row))
    buildings = _furnished(rng, ground, zone, house.some(order), foot.some(order))
    return Built(buildings, (Spots.joined(begins), Spots.joined(ends)))


def _zones(ground: Ground, rng: np.random.Generator) -> Integers:
    rows, columns = ground.land.shape
    y, x = 245.0 * np.arange(rows, dtype=np.float64), 245.0 * np.arange(columns, dtype=np.float64)
    taste, green = smooth(rng, y, x, 1_400.0), smooth(rng, y, x, 1_000.0)
    urban = ground.urban
    zone = np.full(urban.shape, _RURAL, np.int64)
    zone[urban > 0.18] = _HOMES
    zone[(urban > 0.72) | ((urban > 0.45) & (taste > 0.45))] = _CENTRE
    zone[(urban > 0.06) & (urban < 0.5) & (taste < -0.5)] = _PLANTS
    zone[(green > 0.72) & (urban > 0.1)] = _PARK
    zone[ground.old] = _OLD
    return zone


def _cuts(rng: np.random.Generator, count: int, across: int, along: int, wobble: float) -> tuple[Floats, Floats]:
    """Corners of the parts of each block, (blocks, across + 1, along + 1), as shares of its sides.

    Corners on the block's own streets move along them only.
    """
    shape = (count, across + 1, along + 1)
    s = np.broadcast_to((np.arange(across + 1) / across)[None, :, None], shape).copy()
    t = np.broadcast_to((np.arange(along + 1) / along)[None, None, :], shape).copy()
    s[:, 1:-1, :] += wobble / across * (rng.random((count, max(0, across - 1), along + 1)) - 0.5)
    t[:, :, 1:-1] += wobble / along * (rng.random((count, across + 1, max(0, along - 1))) - 0.5)
    return s, t


def _lanes(parts: _Parts) -> list[tuple[Spots, Spots]]:
    """The streets between the parts of blocks."""
    across, along = parts.east.shape[1] - 1, parts.east.shape[2] - 1
    upright = [((i, j), (i, j + 1)) for i in range(1, across) for j in range(along)]
    level = [((i, j), (i + 1, j)) for i in range(across) for j in range(1, along)]
    return [(parts.corners(*begin), parts.corners(*end)) for begin, end in upright + level]


def _along_streets(rng: np.random.Generator, parts: _Parts, counts: Integers, back: float) -> tuple[Spots, Spots]:
    """(buildings, where each meets its street): evenly around every part of a block, a little set back."""
    row, column, s, t = parts.row, parts.column, parts.east, parts.north
    each = (s.shape[1] - 1) * (s.shape[2] - 1)
    block = np.repeat(np.repeat(np.arange(len(row)), each), counts)
    part = np.repeat(np.arange(parts.number), counts)
    number = np.arange(len(part)) - np.repeat(np.cumsum(counts) - counts, counts)
    way = (number + 0.15 + 0.7 * rng.random(len(part))) / counts[part] * 4
    side = np.minimum(way.astype(np.int64), 3)
    f = way - side
    corners = [
        (s[:, i : i + s.shape[1] - 1, j : j + s.shape[2] - 1].reshape(-1)[part],
         t[:, i : i + s.shape[1] - 1, j : j + s.shape[2] - 1].reshape(-1)[part])
        for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))
    ]  # fmt: skip
    depth = back * (1 + 0.6 * rng.random(len(part)))
    found = []
    for inset in (depth, np.zeros(len(part))):
        along = depth + f * (1 - 2 * depth)
        u = np.choose(side, [along, 1 - inset, 1 - along, inset])
        v = np.choose(side, [inset, along, 1 - inset, 1 - along])
        weights = ((1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v)
        east = sum((w * c[0] for w, c in zip(weights, corners, strict=True)), np.zeros(len(part)))
        north = sum((w * c[1] for w, c in zip(weights, corners, strict=True)), np.zeros(len(part)))
        found.append(Spots(row[block], column[block], east, north))
    return found[0], found[1]


def _furnished(rng: np.random.Generator, ground: Ground, zone: Integers, house: Spots, foot: Spots) -> Buildings:
    """What each building is used for, how high it is and who lives there."""
    count = len(house)
    front = (
        ((house.north < 0.2) & ground.main_rows[house.row])
        | ((house.north > 0.8) & ground.main_rows[house.row + 1])
        | ((house.east < 0.2) & ground.main_columns[house.column])
        | ((house.east > 0.8) & ground.main_columns[house.column + 1])
    )
    of_zone = zone[house.row, house.column]
    bars = np.cumsum(np.array([_SHARES[key] for key in range(len(_SHARES))]), axis=2)[of_zone, front.astype(np.int64)]
    pick = (rng.random(count)[:, None] >= bars).sum(axis=1).clip(max=len(_USES) - 1)
    use = np.array(_USES, np.uint8)[pick]
    _give_special_uses(rng, use, ground.urban[house.row, house.column], ground, house)
    low, high = np.array([_FLOORS[key] for key in range(len(_FLOORS))])[of_zone].T
    least, most = np.zeros(count), np.zeros(count)
    for kind, (floors, air) in _OF_USE.items():
        mine = use == kind
        if floors is not None:
            low, high = np.where(mine, floors[0], low), np.where(mine, floors[1], high)
        least[mine], most[mine] = air
    storeys = rng.integers(low, high + 1)
    lived_in = (use == Use.HOME) | (use == Use.OLD_HOME)
    flats = np.where(use == Use.OLD_HOME, 1, np.where(of_zone == _RURAL, 2, 1 + (storeys < 6)))
    volume = np.rint(least + (most - least) * rng.random(count))
    return Buildings(
        house,
        foot,
        front,
        use,
        storeys.astype(np.int32),
        volume,
        np.where(lived_in, storeys * flats, 0).astype(np.int64),
    )


def _give_special_uses(
    rng: np.random.Generator, use: NDArray[np.uint8], urban: Floats, ground: Ground, house: Spots
) -> None:
    """Schools, hospitals and markets where people live, stations along the metro; at least one of each."""
    lived = np.flatnonzero(urban > 0.1)
    lived = lived if lived.size >= 40 else np.arange(len(use))
    for kind, one_in in ((Use.SCHOOL, 170), (Use.HOSPITAL, 700), (Use.MARKET, 260)):
        if lived.size:
            first = int(rng.integers(max(1, min(one_in, len(lived)))))
            use[lived[first::one_in]] = kind
    beside = np.zeros(len(use), np.bool_)
    for line in ground.metro_rows:
        beside |= (house.row == line) & (house.north < 0.2)
    for line in ground.metro_columns:
        beside |= (house.column == line) & (house.east < 0.2)
    stops = np.flatnonzero(beside & (urban > 0.12))
    along = np.where(np.isin(house.row[stops], ground.metro_rows), house.column[stops], house.row[stops])
    stops = stops[along % 4 == 1]
    _, first_of_stop = np.unique(house.row[stops] * 100_000 + house.column[stops], return_index=True)
    use[stops[first_of_stop]] = Use.STATION
    if not (use == Use.STATION).any() and len(use):
        use[int(np.argmax(urban))] = Use.STATION


def net(ground: Ground, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(streets, those of them below which a gas main lies): segments of the net, (n, 4) metres each.

    Local streets end at the river and the railway; every main street crosses both. In the fields half the local
    streets are missing.
    """
    land, urban = np.pad(ground.land, 1), np.pad(ground.urban, 1)
    streets: list[Floats] = []
    served: list[Floats] = []
    x, y = ground.east, ground.north
    barred = (ground.railways, ground.rivers)
    mains = (ground.main_rows[:, None], ground.main_columns[None, :])
    ways = (
        (land[:-1, 1:-1] | land[1:, 1:-1], np.maximum(urban[:-1, 1:-1], urban[1:, 1:-1])),
        (land[1:-1, :-1] | land[1:-1, 1:], np.maximum(urban[1:-1, :-1], urban[1:-1, 1:])),
    )
    for axis, (inside, near) in enumerate(ways):
        main = np.broadcast_to(mains[axis], inside.shape)
        open_ = np.ones(inside.shape, np.bool_)
        for line in barred[axis]:
            open_[(slice(None), line) if axis == 0 else (line, slice(None))] = False
        there = inside & (main | (open_ & ((near >= 0.12) | (rng.random(inside.shape) < 0.5))))
        if axis == 0:
            segments = np.stack([x[:, :-1], y[:, :-1], x[:, 1:], y[:, 1:]], axis=-1)
        else:
            segments = np.stack([x[:-1], y[:-1], x[1:], y[1:]], axis=-1)
        streets.append(segments[there])
        served.append(segments[there & (main | (near > SERVED))])
    return np.concatenate(streets), np.concatenate(served)


def segments(ground: Ground, begin: Spots, end: Spots) -> Floats:
    """Segments between places, (n, 4) metres."""
    return np.column_stack([*ground.metres(begin), *ground.metres(end)])
