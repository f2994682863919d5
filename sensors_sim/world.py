"""What a city's sensors stand in and on: buildings, streets and gas mains, in metres on a plane."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.vocabulary import Kind
from sensors_sim.physics.field import to_metres

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SITE_M = 15.0
"""Boxes this close together stand in one building, where no plan tells."""
_INDOOR = frozenset({Kind.GAS, Kind.BUILDING})
_STOREY_M3 = 600.0


class Use(IntEnum):
    """What a building is used for."""

    HOME = 0
    OLD_HOME = 1  # of an old quarter: old pipes, brick walls
    SHOP = 2
    OFFICE = 3
    SCHOOL = 4
    HOSPITAL = 5
    MARKET = 6
    STATION = 7  # of trains and metros
    PLANT = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """The street plan, as columns. Positions are metres east and north of the city's middle.

    streets, mains: (n, 4) segments, from east, north to east, north. Of buildings, shape (m,) each: east, north; use
    (``Use``); floors; volume_m3 of the air inside of one flat, shop or hall of it.
    """

    streets: Floats
    mains: Floats
    east: Floats
    north: Floats
    use: NDArray[np.uint8]
    floors: NDArray[np.int32]
    volume_m3: Floats


@dataclass(frozen=True, slots=True)
class World:
    """A city with its plan. lon0, lat0: the middle, degrees.

    Per sensor: east, north in metres; building: row in the plan's buildings that it is in or on, -1 in the open;
    indoor: whether it breathes the air of a room.
    """

    city: City
    plan: Plan
    lon0: float
    lat0: float
    east: Floats
    north: Floats
    building: Integers
    indoor: Bools

    def within(self, row: int, radius_m: float) -> Integers:
        """Rows of the sensors within a distance of one of them, ascending, itself among them."""
        near = np.hypot(self.east - self.east[row], self.north - self.north[row]) <= radius_m
        return np.flatnonzero(near)

    def measuring(self, *quantities: str) -> Integers:
        """Rows of the sensors of some quantities, ascending."""
        names = self.city.columns.quantity.names
        wanted = [code for code, name in enumerate(names) if name in quantities]
        return np.flatnonzero(np.isin(self.city.columns.quantity.code, wanted))


def world_of(city: City) -> World:
    """The world of any city folder, which tells no plan: boxes that stand together make a building each.

    Gas sensors and those of buildings are taken for indoor ones, unless the box also measures the open air.
    """
    columns = city.columns
    lon0 = float(columns.lon.mean()) if len(columns) else 0.0
    lat0 = float(columns.lat.mean()) if len(columns) else 0.0
    east, north = to_metres(columns.lon, columns.lat, lon0, lat0)
    kinds = [Kind(name) for name in columns.kind.names]
    inside = np.array([kind in _INDOOR for kind in kinds], np.bool_)[columns.kind.code]
    on_a_building = inside | np.array([kind is Kind.STRUCTURE for kind in kinds], np.bool_)[columns.kind.code]
    cell = np.round(np.column_stack((east, north)) / _SITE_M).astype(np.int64)
    sites, building = np.full((0, 2), 0, np.int64), np.full(len(columns), -1, np.int64)
    if on_a_building.any():
        sites, building[on_a_building] = np.unique(cell[on_a_building], axis=0, return_inverse=True)
    count = len(sites)
    plan = Plan(
        streets=np.empty((0, 4)),
        mains=np.empty((0, 4)),
        east=_SITE_M * sites[:, 0].astype(np.float64),
        north=_SITE_M * sites[:, 1].astype(np.float64),
        use=np.full(count, Use.HOME, np.uint8),
        floors=np.ones(count, np.int32),
        volume_m3=np.full(count, _STOREY_M3),
    )
    return World(city, plan, lon0, lat0, east, north, building, inside)
