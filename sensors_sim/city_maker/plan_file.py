"""A world's street plan in a file beside the city's, so that a folder is the same world again."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from config.city import City
from config.errors import ConfigurationError
from config.sensors import TextTable
from config.vocabulary import Kind
from sensors_sim.physics.field import to_metres
from sensors_sim.world import Bools, Floats, Integers, Plan, World

PLAN_FILE = "plan.npz"
"""The street plan beside the files of the city; the daemon does not read it."""
EDITION = 1
_CM = 100.0
_MILLIONTH = 1e6  # of a degree
_INDOOR = (Kind.GAS, Kind.BUILDING)
_REACH_M = 60.0


def to_the_centimetre(metres: Floats) -> Floats:
    """As the file keeps it."""
    rounded: Floats = np.rint(metres * _CM) / _CM
    return rounded


def write_plan(world: World, folder: Path) -> None:
    """Write the plan beside the city's files. Raises OSError."""
    plan, columns = world.plan, world.city.columns
    text, ends = TextTable(columns.ids).as_arrays()
    np.savez(
        folder / PLAN_FILE,
        edition=np.int64(EDITION),
        middle=np.array([world.lon0, world.lat0]),
        streets=_whole(plan.streets, _CM),
        mains=_whole(plan.mains, _CM),
        east=_whole(plan.east, _CM),
        north=_whole(plan.north, _CM),
        use=plan.use,
        floors=plan.floors.astype(np.int16),
        volume_m3=plan.volume_m3.astype(np.int32),
        ids=text,
        ids_end=ends,
        lon=_whole(columns.lon, _MILLIONTH),
        lat=_whole(columns.lat, _MILLIONTH),
        building=world.building.astype(np.int32),
        indoor=world.indoor,
    )


def _whole(values: Floats, steps: float) -> NDArray[np.int32]:
    return np.rint(values * steps).astype(np.int32)


def read_plan(folder: Path, city: City) -> World | None:
    """The world of a folder that ``write_plan`` was asked to write to; None where it has no plan of this edition.

    Sensors that the plan does not know, or knows elsewhere, are placed on it anew, as ``_nearest`` says. Raises
    ConfigurationError for a file that is none of ours.
    """
    path = folder / PLAN_FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        return _read(found, city) if int(found["edition"]) == EDITION else None
    except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path}: found {error}, expected a street plan as new-city writes it") from error


def _read(found: Mapping[str, NDArray[Any]], city: City) -> World:
    plan = Plan(
        streets=found["streets"] / _CM,
        mains=found["mains"] / _CM,
        east=found["east"] / _CM,
        north=found["north"] / _CM,
        use=found["use"],
        floors=found["floors"].astype(np.int32),
        volume_m3=found["volume_m3"].astype(np.float64),
    )
    lon0, lat0 = found["middle"].tolist()
    columns = city.columns
    ids = TextTable.of_arrays(found["ids"], found["ids_end"]).all()
    index = dict(zip(ids, range(len(ids)), strict=True))
    before = np.array([index.get(id_, -1) for id_ in columns.ids], np.int64)
    known = before >= 0
    for then, now in ((found["lon"], columns.lon), (found["lat"], columns.lat)):
        known[known] = then[before[known]] == _whole(now[known], _MILLIONTH)
    building, indoor = np.full(len(columns), -1, np.int64), np.zeros(len(columns), np.bool_)
    building[known], indoor[known] = found["building"][before[known]], found["indoor"][before[known]]
    world = placed(city, plan, (lon0, lat0), building, indoor)
    fresh = np.flatnonzero(~known)
    building[fresh], indoor[fresh] = _nearest(world, fresh)
    return world


def placed(city: City, plan: Plan, middle: tuple[float, float], building: Integers, indoor: Bools) -> World:
    """The world of a city whose sensors are known to be in or on these buildings. middle: longitude and latitude."""
    lon0, lat0 = middle
    east, north = to_metres(city.columns.lon, city.columns.lat, lon0, lat0)
    return World(city, plan, lon0, lat0, east, north, building, indoor)


def _nearest(world: World, rows: Integers) -> tuple[Integers, Bools]:
    """(building, indoor) of sensors of which nothing but their place is known.

    Gas sensors, those of buildings and those of structures are in or on the nearest building, if there is one within
    60 m; of these, gas sensors and those of buildings breathe its air.
    """
    columns, plan = world.city.columns, world.plan
    inside = columns.kind.each(lambda name: Kind(name) in _INDOOR, np.bool_)[rows]
    wanted = inside | columns.kind.each(lambda name: Kind(name) is Kind.STRUCTURE, np.bool_)[rows]
    building = np.full(len(rows), -1, np.int64)
    if wanted.any() and len(plan.east):
        east, north = world.east[rows[wanted]], world.north[rows[wanted]]
        tree = shapely.STRtree(np.asarray(shapely.points(plan.east, plan.north), object))
        nearest = np.asarray(tree.nearest(np.asarray(shapely.points(east, north), object)), np.int64)
        near = np.hypot(plan.east[nearest] - east, plan.north[nearest] - north) <= _REACH_M
        building[wanted] = np.where(near, nearest, -1)
    return building, inside & (building >= 0)
