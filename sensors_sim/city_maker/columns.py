"""The sensors of a made-up city as columns, name for name as reading them from the city's folder gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from config.city import Grid
from config.quantities import QUANTITIES
from config.sensors import Labels, SensorColumns, TextTable, coded
from config.vocabulary import GridLevel
from sensors_sim.city_maker.blocks import Buildings
from sensors_sim.city_maker.boxes import BOXES
from sensors_sim.city_maker.ground import Floats, Ground, Integers
from sensors_sim.city_maker.names import Roads
from sensors_sim.city_maker.places import place_names
from sensors_sim.city_maker.placing import Hung, Measured
from sensors_sim.city_maker.tree import GridTree
from sensors_sim.physics.field import METRES_PER_DEGREE

LON0, LAT0 = 112.8, 28.4
"""Where the middle of every made-up city lies."""
COS_LAT0 = 0.879_648_573
"""Of LAT0, written out so that no machine's cosine decides about the last digit of a place."""

_CALIBRATED = (date(2025, 4, 1).toordinal(), date(2025, 12, 31).toordinal())
_OVERDUE = (date(2023, 6, 1).toordinal(), date(2024, 12, 31).toordinal())
_OVERDUE_SHARE = 0.03


def degrees(east: Floats, north: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude, to a millionth of a degree (11 cm), exactly as six decimals say them."""
    lon = np.rint((LON0 + east / (METRES_PER_DEGREE * COS_LAT0)) * 1e6) / 1e6
    lat = np.rint((LAT0 + north / METRES_PER_DEGREE) * 1e6) / 1e6
    return lon, lat


@dataclass(frozen=True, slots=True)
class _OfSeries:
    """What the series of all kinds of boxes are, as tables over (kind, series)."""

    quantity: Integers
    interval_s: Integers
    owner: Integers
    quantities: list[str]
    owners: list[str]


def _of_series() -> _OfSeries:
    most = max(len(box.series) for box in BOXES)
    quantities, owners = list(QUANTITIES), sorted({box.owner for box in BOXES})
    table = np.zeros((3, len(BOXES), most), np.int64)
    for row, box in enumerate(BOXES):
        for column, one in enumerate(box.series):
            table[:, row, column] = (quantities.index(one.quantity), one.interval_s or 0, owners.index(box.owner))
    return _OfSeries(table[0], table[1], table[2], quantities, owners)


@dataclass(frozen=True, slots=True)
class Draft:
    """What the sensors follow from. grids: by code, those of the finest level in the order of the tree's."""

    ground: Ground
    buildings: Buildings
    tree: GridTree
    grids: Mapping[str, Grid]
    hung: Hung
    measured: Measured


def sensor_columns(draft: Draft, roads: Roads, rng: np.random.Generator) -> SensorColumns:
    """The sensors as ``load_city`` will read them: names in the order in which they first come."""
    known, hung, measured = _of_series(), draft.hung, draft.measured
    kind, box = hung.kind[measured.box], measured.box
    quantity, owner = known.quantity[kind, measured.series], known.owner[kind, measured.series]
    lon, lat = degrees(*draft.ground.metres(hung.spots))
    own = known.interval_s[kind, measured.series]
    interval = np.where(own > 0, own, _intervals(hung)[box])
    finest_first = sorted(draft.grids.values(), key=lambda grid: (-grid.level.rank, grid.code))
    row_of = {grid.code: row for row, grid in enumerate(finest_first)}
    of_node = np.array([row_of[code] for code, grid in draft.grids.items() if grid.level is GridLevel.GRID], np.int32)
    node = draft.tree.label[3][hung.spots.row, hung.spots.column]
    devices = [
        f"{BOXES[one].prefix}-{number:05d}"
        for one, number in zip(hung.kind.tolist(), hung.number.tolist(), strict=True)
    ]
    names = [known.quantities[one] for one in quantity.tolist()]
    zh, en = place_names(hung, draft.buildings, draft.ground, roads)
    # the reader keeps what sensors share in the order in which it first sees it
    shared = coded((quantity * len(known.owners) + owner).tolist())
    shared_quantity = [known.quantities[one // len(known.owners)] for one in shared[0]]
    shared_owner = [known.owners[one % len(known.owners)] for one in shared[0]]
    return SensorColumns(
        ids=tuple(f"{devices[one]}-{name}" for one, name in zip(box.tolist(), names, strict=True)),
        kind=_spread([QUANTITIES[name].kind for name in shared_quantity], shared[1]),
        quantity=_spread(shared_quantity, shared[1]),
        unit=_spread([QUANTITIES[name].unit for name in shared_quantity], shared[1]),
        lon=lon[box],
        lat=lat[box],
        place=box.astype(np.int32),
        place_zh=TextTable(zh),
        place_en=TextTable(en),
        interval_s=interval.astype(np.float64),
        owner=_spread(shared_owner, shared[1]),
        grid=Labels(tuple(grid.code for grid in finest_first), of_node[node][box]),
        device=Labels(TextTable(devices), box.astype(np.int32)),
        calibrated=_calibrations(hung, rng)[box],
    )


def _spread(values: Sequence[str], which: NDArray[np.int32]) -> Labels:
    names, code = coded(values)
    return Labels(tuple(names), code[which])


def _intervals(hung: Hung) -> Integers:
    most = max(len(box.intervals_s) for box in BOXES)
    table = np.array([(*box.intervals_s, *[0] * (most - len(box.intervals_s))) for box in BOXES], np.int64)
    choices = np.array([len(box.intervals_s) for box in BOXES], np.int64)
    return np.asarray(table[hung.kind, hung.choice % choices[hung.kind]], np.int64)


def _calibrations(hung: Hung, rng: np.random.Generator) -> NDArray[np.int32]:
    """Days of the last calibration; 0 where nobody calibrates. Gas detectors want it once a year (JJG 693-2011)."""
    count = len(hung.kind)
    usual = rng.integers(_CALIBRATED[0], _CALIBRATED[1] + 1, count)
    old = rng.integers(_OVERDUE[0], _OVERDUE[1] + 1, count)
    day = np.where(rng.random(count) < _OVERDUE_SHARE, old, usual)
    wanted = np.array([box.calibrated for box in BOXES])[hung.kind]
    return np.where(wanted, day, 0).astype(np.int32)
