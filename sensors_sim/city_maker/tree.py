"""The grid tree of a made-up city: blocks gathered along main streets, 300 to 500 households each."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensors_sim.city_maker.ground import Bools, Ground, Integers

HOUSEHOLDS = 400
MOST_M2 = 1_850_000
"""No grid is larger; the rule is 2 km²."""

OF_DISTRICT, OF_STREET, OF_COMMUNITY = 1_200, 60, 7
"""Grids, at most, below one node of each level."""

Labels2d = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GridTree:
    """Nodes of each level in order: districts, streets, communities, grids.

    label: for each level the node of every block, (rows, columns), -1 outside the city. parent: for each level the
    row of each node's parent one level above (empty for districts).
    """

    label: tuple[Labels2d, ...]
    parent: tuple[Integers, ...]


@dataclass(frozen=True, slots=True)
class _Patch:
    """A rectangle of blocks, of which only those on land count."""

    south: int
    north: int
    west: int
    east: int


class _Cutter:
    """Halves patches along streets until they are grids."""

    def __init__(self, ground: Ground, households: Integers) -> None:
        self._land = ground.land
        self._people = np.where(ground.land, households, 0)
        self._area = np.where(ground.land, np.rint(ground.areas_m2()).astype(np.int64), 0)
        banks = {line for row in ground.rivers for line in (row, row + 1)}
        tracks = {line for column in ground.railways for line in (column, column + 1)}
        self._good_rows = _with(ground.main_rows, banks)
        self._good_columns = _with(ground.main_columns, tracks)

    def grids_in(self, patch: _Patch) -> int:
        """How many grids a patch makes."""
        part = np.s_[patch.south : patch.north, patch.west : patch.east]
        people, area = int(self._people[part].sum()), int(self._area[part].sum())
        return max(1, (people + HOUSEHOLDS // 2) // HOUSEHOLDS, -(-area // MOST_M2))

    def trimmed(self, patch: _Patch) -> _Patch:
        """Without the rows and columns that have no land."""
        land = self._land[patch.south : patch.north, patch.west : patch.east]
        rows, columns = np.flatnonzero(land.any(axis=1)), np.flatnonzero(land.any(axis=0))
        return _Patch(
            patch.south + int(rows[0]),
            patch.south + int(rows[-1]) + 1,
            patch.west + int(columns[0]),
            patch.west + int(columns[-1]) + 1,
        )

    def halves(self, patch: _Patch) -> tuple[_Patch, _Patch] | None:
        """Cut across the longer side; None where a block is all there is."""
        high, wide = patch.north - patch.south, patch.east - patch.west
        part = np.s_[patch.south : patch.north, patch.west : patch.east]
        people, area = self._people[part], self._area[part]
        if high >= wide and high > 1:
            good = self._good_rows[patch.south + 1 : patch.north]
            line = patch.south + _best(people.sum(axis=1), area.sum(axis=1), good)
            return (
                _Patch(patch.south, line, patch.west, patch.east),
                _Patch(line, patch.north, patch.west, patch.east),
            )
        if wide > 1:
            good = self._good_columns[patch.west + 1 : patch.east]
            line = patch.west + _best(people.sum(axis=0), area.sum(axis=0), good)
            return (
                _Patch(patch.south, patch.north, patch.west, line),
                _Patch(patch.south, patch.north, line, patch.east),
            )
        return None


def _with(main: Bools, more: set[int]) -> Bools:
    good = main.copy()
    good[sorted(more)] = True
    return good


def _best(people: Integers, area: Integers, good: Bools) -> int:
    """The line, 1 to len(people) - 1, that cuts best.

    Both sides shall make grids of about HOUSEHOLDS each, the cut shall lie near the middle, and on a main street, a
    bank or a railway (good) if one is near.
    """
    lives, lies = np.cumsum(people), np.cumsum(area)
    off = np.zeros(len(people) - 1)
    for before, there in ((lives[:-1], lies[:-1]), (lives[-1] - lives[:-1], lies[-1] - lies[:-1])):
        grids = np.maximum(np.maximum(1, (before + HOUSEHOLDS // 2) // HOUSEHOLDS), -(-there // MOST_M2))
        off = np.maximum(off, np.abs(before / grids - HOUSEHOLDS) / HOUSEHOLDS)
    weight = lives + lies // 20_000  # where nobody lives, area must do
    share = weight[:-1] / max(1, int(weight[-1]))
    return 1 + int(np.argmin(off + 0.7 * np.abs(share - 0.5) - np.where(good, 0.12, 0.0)))


def grid_tree(ground: Ground, households: Integers) -> GridTree:
    """Cut the city into grids. households: of every block, (rows, columns)."""
    cutter = _Cutter(ground, households)
    label = tuple(np.full(ground.land.shape, -1, np.int64) for _ in range(4))
    parents: tuple[list[int], ...] = ([], [], [], [])
    rows, columns = ground.land.shape
    waiting: list[tuple[_Patch, int, tuple[int, ...]]] = [(_Patch(0, rows, 0, columns), 0, ())]
    while waiting:
        patch, level, above = waiting.pop()
        patch = cutter.trimmed(patch)
        grids = cutter.grids_in(patch)
        halves = cutter.halves(patch) if grids > 1 else None
        for limit in (OF_DISTRICT, OF_STREET, OF_COMMUNITY)[level:]:
            if grids > limit and halves is not None:
                break
            parents[level].append(above[-1] if above else -1)
            above = (*above, len(parents[level]) - 1)
            level += 1
        if halves is None:
            parents[3].append(above[-1])
            part = np.s_[patch.south : patch.north, patch.west : patch.east]
            for which, node in enumerate((*above, len(parents[3]) - 1)):
                label[which][part][ground.land[part]] = node
        else:
            waiting += [(half, level, above) for half in reversed(halves)]
    return GridTree(label, tuple(np.array(one, np.int64) for one in parents))


def outlines(label: Labels2d) -> list[Integers]:
    """The ring of crossings around each node, counter-clockwise, first not repeated: rows of the flattened net.

    Neighbours share every crossing on their border, so that their polygons fit to the last digit.
    """
    rows, columns = label.shape
    wide = columns + 1
    framed = np.pad(label, 1, constant_values=-1)
    r, c = np.indices(label.shape)
    south_west = r * wide + c
    sides = (
        (framed[:-2, 1:-1], south_west, south_west + 1),
        (framed[1:-1, 2:], south_west + 1, south_west + wide + 1),
        (framed[2:, 1:-1], south_west + wide + 1, south_west + wide),
        (framed[1:-1, :-2], south_west + wide, south_west),
    )
    borders = [(label >= 0) & (label != beside) for beside, _, _ in sides]
    owner = np.concatenate([label[border] for border in borders])
    begin = np.concatenate([start[border] for border, (_, start, _) in zip(borders, sides, strict=True)])
    end = np.concatenate([stop[border] for border, (_, _, stop) in zip(borders, sides, strict=True)])
    nodes = (rows + 1) * wide
    order = np.argsort(owner * nodes + begin, kind="stable")
    owner, begin, end = owner[order], begin[order], end[order]
    after = np.searchsorted(owner * nodes + begin, owner * nodes + end).tolist()
    firsts = np.searchsorted(owner, np.arange(int(label.max()) + 2)).tolist()
    found = []
    for first, last in pairwise(firsts):
        ring, at = [first], after[first]
        while at != first:
            ring.append(at)
            at = after[at]
        if len(ring) != last - first:
            raise AssertionError(f"a node of the grid tree has {last - first} sides, of which {len(ring)} make a ring")
        found.append(begin[ring])
    return found
