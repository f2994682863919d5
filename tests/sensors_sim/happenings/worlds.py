"""Small worlds that hold what the example district does not."""

from dataclasses import replace
from functools import cache

import numpy as np

from sensors_sim.world import Use, World, world_of
from tests.sensors_sim.cities import make_city


@cache
def everything() -> World:
    """A box with nearly every quantity in each of nine grids, 400 m apart."""
    return world_of(
        make_city(
            (
                ("ch4", 5),
                ("co", 5),
                ("h2s", 10),
                ("o2", 10),
                ("pm25", 60),
                ("pm10", 60),
                ("o3", 60),
                ("no2", 60),
                ("co_air", 60),
                ("temperature", 60),
                ("smoke_score", 5),
                ("fire_score", 5),
                ("current", 60),
            ),
            side=3,
        )
    )


def in_the_open(world: World, *quantities: str) -> World:
    """The same with the sensors of some quantities in the street instead of a room."""
    rows = world.measuring(*quantities)
    indoor, building = world.indoor.copy(), world.building.copy()
    indoor[rows], building[rows] = False, -1
    return replace(world, indoor=indoor, building=building)


def with_uses(world: World, uses: dict[int, Use]) -> World:
    """The same with other uses of some buildings."""
    use = world.plan.use.copy()
    for building, what in uses.items():
        use[building] = what
    return replace(world, plan=replace(world.plan, use=use))


def moved(world: World, rows: list[int], east: list[float], north: list[float]) -> World:
    """The same with some sensors elsewhere, metres from the city's middle."""
    new_east, new_north = world.east.copy(), world.north.copy()
    new_east[rows], new_north[rows] = np.array(east), np.array(north)
    return replace(world, east=new_east, north=new_north)


def in_one_building(world: World, rows: list[int]) -> World:
    """The same with some sensors in the rooms of the building of the first of them."""
    building, indoor = world.building.copy(), world.indoor.copy()
    building[rows], indoor[rows] = building[rows[0]], True
    return replace(world, building=building, indoor=indoor)
