"""The ground of a made-up city: a bent net of streets, a river, railways, metro lines, and how urban it is where.

Everything here is made of sums, products, quotients and square roots of random numbers, which every machine works out
alike to the last bit; sines and logarithms it need not. The street net is a lattice of blocks in rows (south to north)
and columns (west to east), drawn out of shape by smooth noise; what lies in a block is told by shares of its sides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

BLOCK_M = (200, 290)
"""Sides of a block between two streets of the net: Chinese superblocks halved."""
RIVER_M = (150, 200)
RAILWAY_M = (55, 70)
_FILL = 0.883  # of its bounding box that a superellipse of the third power covers
_TURNS = ((1.0, 0.0), (40 / 41, 9 / 41), (24 / 25, 7 / 25), (12 / 13, 5 / 13), (40 / 41, -9 / 41), (24 / 25, -7 / 25))


@dataclass(frozen=True, slots=True)
class Spots:
    """Places in blocks: the block's row and column, and the shares of its sides east and north, 0 to 1."""

    row: Integers
    column: Integers
    east: Floats
    north: Floats

    def __len__(self) -> int:
        return len(self.row)

    def some(self, which: Integers | Bools) -> "Spots":
        """Some of them."""
        return Spots(self.row[which], self.column[which], self.east[which], self.north[which])

    @classmethod
    def joined(cls, parts: "list[Spots]") -> "Spots":
        """All of several."""
        return cls(
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.column for part in parts]),
            np.concatenate([part.east for part in parts]),
            np.concatenate([part.north for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class _Barriers:
    """Rows of blocks that are rivers, columns that are railways."""

    rivers: tuple[int, ...]
    railways: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """The street net. Metres from the city's middle.

    east, north: (rows + 1, columns + 1) of the crossings. Of blocks, (rows, columns): land, whether it belongs to the
    city; urban, 0 in the fields to 1 in the middle; old, whether it is of an old quarter. main_rows, main_columns:
    which lines of the net are main streets. rivers: rows of blocks that are water; railways: columns that are tracks;
    metro_rows, metro_columns: lines of the net with a metro below.
    """

    east: Floats
    north: Floats
    land: Bools
    urban: Floats
    old: Bools
    main_rows: Bools
    main_columns: Bools
    rivers: tuple[int, ...]
    railways: tuple[int, ...]
    metro_rows: tuple[int, ...]
    metro_columns: tuple[int, ...]

    @property
    def built(self) -> Bools:
        """Blocks of the city that are neither river nor railway."""
        found: Bools = self.land.copy()
        found[list(self.rivers), :] = False
        found[:, list(self.railways)] = False
        return found

    def metres(self, spots: Spots) -> tuple[Floats, Floats]:
        """East and north of places: bilinear between the corners of the block."""
        r, c, s, t = spots.row, spots.column, spots.east, spots.north
        found = []
        for axis in (self.east, self.north):
            south = axis[r, c] * (1 - s) + axis[r, c + 1] * s
            found.append(south * (1 - t) + (axis[r + 1, c] * (1 - s) + axis[r + 1, c + 1] * s) * t)
        return found[0], found[1]

    def areas_m2(self) -> Floats:
        """Of every block, (rows, columns): half the cross product of the diagonals."""
        x, y = self.east, self.north
        up_x, up_y = x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1]
        down_x, down_y = x[1:, :-1] - x[:-1, 1:], y[1:, :-1] - y[:-1, 1:]
        area: Floats = (up_x * down_y - up_y * down_x) / 2
        return area


def lay_ground(area_km2: float, rng: np.random.Generator) -> Ground:
    """A city of about this area."""
    mean_m = sum(BLOCK_M) / 2
    blocks = area_km2 * 1e6 / (mean_m * mean_m) / _FILL
    rows = max(7, round(float(np.sqrt(blocks / 1.2))))
    columns = max(8, round(blocks / rows))
    land = _land(rows, columns)
    rivers = _spread_lines(rng, rows, 1 + rows // 250, 0.36)
    railways = _spread_lines(rng, columns, 1 + columns // 150, 0.64)
    barriers = _Barriers(rivers, railways)
    main_rows, main_columns = _main_lines(rng, rows, rivers), _main_lines(rng, columns, railways)
    heights = rng.integers(*BLOCK_M, rows)
    heights[list(rivers)] = rng.integers(*RIVER_M, len(rivers))
    widths = rng.integers(*BLOCK_M, columns)
    widths[list(railways)] = rng.integers(*RAILWAY_M, len(railways))
    y, x = _lines(heights), _lines(widths)
    urban, old = _urban(rng, (y[1:] + y[:-1]) / 2, (x[1:] + x[:-1]) / 2, land)
    for row in rivers:
        urban[row] *= 0.6
    east, north = _rounded(land, *_bent(rng, x, y, old, barriers), barriers)
    percent = np.rint(100 * urban).astype(np.int64)  # sums of whole numbers are the same in any order
    turn_cos, turn_sin = _TURNS[int(rng.integers(len(_TURNS)))]
    return Ground(
        east=east * turn_cos - north * turn_sin,
        north=east * turn_sin + north * turn_cos,
        land=land,
        urban=urban,
        old=old,
        main_rows=main_rows,
        main_columns=main_columns,
        rivers=rivers,
        railways=railways,
        metro_rows=_metro(main_rows, percent.sum(axis=1), 1 + rows // 60),
        metro_columns=_metro(main_columns, percent.sum(axis=0), columns // 40),
    )


def _lines(sides: Integers) -> Floats:
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sides)])
    return np.asarray(ends - int(ends[-1]) // 2, np.float64)


def _land(rows: int, columns: int) -> Bools:
    """A rounded oblong. Convex: whatever a row or a column cuts out of it hangs together, and so does any rectangle."""
    y = np.abs((2 * np.arange(rows) + 1 - rows) / rows)
    x = np.abs((2 * np.arange(columns) + 1 - columns) / columns)
    return np.asarray((y * y * y)[:, None] + (x * x * x)[None, :] <= 1.0, np.bool_)


def _spread_lines(rng: np.random.Generator, length: int, count: int, first: float) -> tuple[int, ...]:
    """Rows or columns that a river or railway takes, spread over the city."""
    share = [first] if count == 1 else [(number + 0.5) / count for number in range(count)]
    slack = max(1, length // (12 * count))
    return tuple(int(length * part) + int(rng.integers(-slack, slack + 1)) for part in share)


def _main_lines(rng: np.random.Generator, length: int, taken: tuple[int, ...]) -> Bools:
    """Every third to fifth line is a main street, none of them a bank or an embankment."""
    main = np.zeros(length + 1, np.bool_)
    line = int(rng.integers(2, 4))
    while line <= length - 1:
        beside = any(line in {row, row + 1} for row in taken)
        main[line + 1 if beside and line - 1 in taken else line - 1 if beside else line] = True
        line += int(rng.integers(3, 6))
    return main


def _metro(main: Bools, weight: Integers, count: int) -> tuple[int, ...]:
    """The main lines through the most urban blocks."""
    lines = np.flatnonzero(main)
    beside = weight[np.minimum(lines, len(weight) - 1)] + weight[lines - 1]
    best = lines[np.argsort(-beside, kind="stable")[:count]]
    return tuple(sorted(best.tolist()))


def smooth(rng: np.random.Generator, north: Floats, east: Floats, step_m: float) -> Floats:
    """Value noise over a net of lines, (rows, columns), -1 to 1: random corners, smoothstep between them.

    Ken Perlin's easing 3f² - 2f³ between lattice values ("An Image Synthesizer", SIGGRAPH 1985).
    """
    i, f = _eased(north, step_m)
    j, g = _eased(east, step_m)
    corners = rng.random((int(i.max()) + 2, int(j.max()) + 2)) * 2 - 1
    south = corners[i][:, j] * (1 - g) + corners[i][:, j + 1] * g
    above = corners[i + 1][:, j] * (1 - g) + corners[i + 1][:, j + 1] * g
    value: Floats = south * (1 - f)[:, None] + above * f[:, None]
    return value


def _eased(lines: Floats, step_m: float) -> tuple[Integers, Floats]:
    at = (lines - lines[0]) / step_m
    whole = np.floor(at).astype(np.int64)
    part = at - whole
    return whole, part * part * (3 - 2 * part)


def _urban(rng: np.random.Generator, y: Floats, x: Floats, land: Bools) -> tuple[Floats, Bools]:
    """How urban each block is, and which are of an old quarter: one middle, and towns of its own farther out."""
    size_m = float(min(y[-1] - y[0], x[-1] - x[0])) / 2
    area_km2 = float(land.sum()) * 0.06
    towns = [(0.0, 0.0, min(9_000.0, max(800.0, 0.75 * size_m)), 1.0)]
    rows, columns = np.nonzero(land)
    for _ in range(int(area_km2 / 70)):
        spot = int(rng.integers(len(rows)))
        radius, strength = 1_200 + 1_900 * float(rng.random()), 0.45 + 0.4 * float(rng.random())
        towns.append((float(y[rows[spot]]), float(x[columns[spot]]), radius, strength))
    urban, old = np.zeros(land.shape), np.zeros(land.shape, np.bool_)
    ragged = smooth(rng, y, x, 500.0)
    for number, (north, east, radius, strength) in enumerate(towns):
        near_y = np.flatnonzero(np.abs(y - north) < radius)
        near_x = np.flatnonzero(np.abs(x - east) < radius)
        if not near_y.size or not near_x.size:
            continue
        part = np.ix_(near_y, near_x)
        away2 = ((y[near_y] - north)[:, None] ** 2 + (x[near_x] - east)[None, :] ** 2) / (radius * radius)
        urban[part] = np.maximum(urban[part], strength * np.maximum(0.0, 1 - away2))
        # the old quarter lies off the new middle; a town out there has kept a few old lanes
        shift = 0.35 * radius if number == 0 else 0.0
        reach = min(1_400.0, max(330.0, 0.25 * radius)) if number == 0 else 260.0
        old2 = (y[near_y] - north - shift)[:, None] ** 2 + (x[near_x] - east + shift)[None, :] ** 2
        old[part] |= old2 < reach * reach * (1 + 0.7 * ragged[part])
    urban += 0.13 * smooth(rng, y, x, 900.0)
    urban[old] = np.maximum(urban[old], 0.4)
    return np.clip(urban, 0.0, 1.0), old & land


def _bent(rng: np.random.Generator, x: Floats, y: Floats, old: Bools, barriers: _Barriers) -> tuple[Floats, Floats]:
    """The crossings of the net drawn out of shape, while every block stays convex."""
    wide = float(min(x[-1] - x[0], y[-1] - y[0]))
    smooth_parts = []
    for _ in range(2):
        sway = smooth(rng, y, x, 0.45 * wide) * (0.035 * wide) + smooth(rng, y, x, 1_900.0) * 85.0
        smooth_parts.append(sway)
    near_old = np.zeros((len(y), len(x)), np.bool_)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        near_old[i : i + old.shape[0], j : j + old.shape[1]] |= old
    reach = np.where(near_old, 34.0, 13.0)
    jitter = [reach * (2 * rng.random(reach.shape) - 1) for _ in range(2)]
    for part in jitter:  # both banks of a river and both sides of a railway bend alike
        for row in barriers.rivers:
            part[row + 1] = part[row]
        for column in barriers.railways:
            part[:, column + 1] = part[:, column]
    scale = np.ones(reach.shape)
    for _ in range(6):
        east = x[None, :] + smooth_parts[0] + scale * jitter[0]
        north = y[:, None] + smooth_parts[1] + scale * jitter[1]
        bad = ~_convex(east, north)
        if not bad.any():
            return east, north
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            scale[i : i + bad.shape[0], j : j + bad.shape[1]][bad] *= 0.4
    raise AssertionError("a block of the street net cannot be made convex")


def _rounded(land: Bools, east: Floats, north: Floats, barriers: _Barriers) -> tuple[Floats, Floats]:
    """The same crossings, but for those on the city's border: they move between their neighbours on it.

    The border is a flight of steps otherwise. A crossing stays where a block would not stay convex.
    """
    framed = np.pad(land, 1)
    quarters = (framed[:-1, :-1], framed[:-1, 1:], framed[1:, :-1], framed[1:, 1:])
    around = sum((quarter.astype(np.int64) for quarter in quarters), np.zeros(east.shape, np.int64))
    border = (around > 0) & (around < 4)
    # two neighbours on the border: along a side that has land on one hand only
    along_row = framed[:-1, 1:-1] ^ framed[1:, 1:-1]  # (rows + 1, columns)
    along_column = framed[1:-1, :-1] ^ framed[1:-1, 1:]  # (rows, columns + 1)
    moved = []
    for axis in (east, north):
        total = np.zeros(axis.shape)
        total[:, :-1] += np.where(along_row, axis[:, 1:], 0.0)
        total[:, 1:] += np.where(along_row, axis[:, :-1], 0.0)
        total[:-1] += np.where(along_column, axis[1:], 0.0)
        total[1:] += np.where(along_column, axis[:-1], 0.0)
        moved.append(np.where(border, 0.45 * axis + 0.275 * total, axis))
    bad = ~_convex(moved[0], moved[1]) & land
    held = np.zeros(border.shape, np.bool_)
    for row in barriers.rivers:
        held[row : row + 2] = True
    for column in barriers.railways:
        held[:, column : column + 2] = True
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        held[i : i + bad.shape[0], j : j + bad.shape[1]] |= bad
    kept = [np.where(held, axis, new) for axis, new in zip((east, north), moved, strict=True)]
    if (~_convex(kept[0], kept[1]) & land).any():
        return east, north
    return kept[0], kept[1]


def _convex(x: Floats, y: Floats) -> Bools:
    """Whether each block turns left at each of its corners, by a good margin."""
    ring = ((slice(None, -1), slice(None, -1)), (slice(None, -1), slice(1, None)))
    corners = [ring[0], ring[1], (slice(1, None), slice(1, None)), (slice(1, None), slice(None, -1))]
    good = np.ones((x.shape[0] - 1, x.shape[1] - 1), np.bool_)
    for number in range(4):
        a, b, c = (corners[(number + step) % 4] for step in range(3))
        cross = (x[b] - x[a]) * (y[c] - y[b]) - (y[b] - y[a]) * (x[c] - x[b])
        good &= cross > 2_000.0
    return good
