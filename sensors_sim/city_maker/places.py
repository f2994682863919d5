"""What people call the places where boxes hang: a street and a number, a crossing, a bridge."""

import numpy as np

from config.vocabulary import LocalText
from sensors_sim.city_maker.blocks import Buildings
from sensors_sim.city_maker.boxes import BOXES, Where, Words
from sensors_sim.city_maker.ground import Ground
from sensors_sim.city_maker.names import SECTION, Roads
from sensors_sim.city_maker.placing import Hung
from sensors_sim.world import Use

_BLOCK_NUMBERS = 24  # house numbers along one block


def place_names(hung: Hung, buildings: Buildings, ground: Ground, roads: Roads) -> tuple[list[str], list[str]]:
    """(in Chinese, in English) of every box."""
    spots = hung.spots
    # the nearest of the four streets around the block: south, east, north, west
    away = np.stack([spots.north, 1 - spots.east, 1 - spots.north, spots.east])
    side = np.argmin(away, axis=0)
    along = np.where(side % 2 == 0, spots.east, spots.north)
    block = np.where(side % 2 == 0, spots.column, spots.row) % SECTION
    number = 2 * (block * _BLOCK_NUMBERS + (along * _BLOCK_NUMBERS).astype(np.int64)) + 1 + (side // 2 == 0)
    use = np.where(hung.building >= 0, buildings.use[hung.building].astype(np.int64), -1)
    zh, en = [], []
    rows = zip(
        hung.kind.tolist(),
        spots.row.tolist(),
        spots.column.tolist(),
        side.tolist(),
        number.tolist(),
        use.tolist(),
        hung.choice.tolist(),
        (spots.east > 0.5).tolist(),
        (spots.north > 0.5).tolist(),
        strict=True,
    )
    rivers, railways = frozenset(ground.rivers), frozenset(ground.railways)
    for kind, row, column, nearest, house, of_use, choice, right, up in rows:
        box = BOXES[kind]
        at_row, at_column = row + up, column + right
        if box.where is Where.CROSSING:
            one, other = roads.along_row(at_row, column), roads.along_column(at_column, row)
            where = LocalText(f"{one.zh}与{other.zh}交叉口", f"Corner of {one.en} and {other.en}")
        elif box.where is Where.BRIDGE and row in rivers:
            road = roads.along_column(column, row)
            where = LocalText(f"{road.zh}大桥", f"Bridge of {road.en}")
        elif box.where is Where.UNDERPASS and column in railways:
            road = roads.along_row(row, column)
            where = LocalText(f"{road.zh}铁路下穿", f"Railway underpass of {road.en}")
        else:
            line = (row, column + 1, row + 1, column)[nearest]
            road = roads.along_row(line, column) if nearest % 2 == 0 else roads.along_column(line, row)
            where = LocalText(f"{road.zh}{house}号", f"{house} {road.en}")
        spot = _spot(box.spots, of_use, choice)
        zh.append(where.zh + spot[0])
        en.append(f"{spot[1]}, {where.en}")
    return zh, en


def _spot(spots: "dict[Use | None, tuple[Words, ...]]", use: int, choice: int) -> Words:
    words = spots.get(Use(use) if use >= 0 else None) or next(iter(spots.values()))
    return words[choice % len(words)]
