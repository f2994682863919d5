"""A made-up city in which only some quantities are measured: for runs of weeks, which are about slow ones."""

from collections.abc import Collection
from dataclasses import replace

from config.limits import LimitTable
from config.sensors import Labels, SensorColumns
from sensors_sim.city_maker.files import version_of
from sensors_sim.city_maker.make import MOST, make_world
from sensors_sim.city_maker.plan_file import placed
from sensors_sim.world import World

_FIRST = 8
"""A city so many times as large is tried first, then one that is as large as its share of the quantities asks for."""


def make_world_of(sensors: int, seed: int, quantities: Collection[str]) -> World:
    """A made-up city with about so many sensors, all of these quantities; of all of them where none is named.

    Raises ValueError as ``make_world`` does, and where the quantities are too rare for a city of its largest size.
    """
    if not quantities:
        return make_world(sensors, seed)
    first = make_world(min(MOST, _FIRST * sensors), seed)
    found = len(first.measuring(*quantities))
    size = MOST + 1 if not found else round(len(first.city.sensors) * sensors / found)
    if size > MOST:
        raise ValueError(f"{sensors} sensors of {', '.join(sorted(quantities))}: no city is as large as that")
    return only(make_world(max(100, size), seed), quantities)


def only(world: World, quantities: Collection[str]) -> World:
    """The same city without the sensors of other quantities."""
    rows = world.measuring(*quantities)
    kept = [replace(world.city.sensors[row], index=index) for index, row in enumerate(rows.tolist())]
    names = {sensor.id for sensor in kept}
    limits = world.city.limits
    by_sensor = {name: steps for name, steps in limits.by_sensor.items() if name in names}
    columns = SensorColumns.of(kept)
    grid = world.city.columns.grid  # its names are those of all grids, as reading the folder gives them
    columns = replace(columns, grid=Labels(grid.names, grid.code[rows]))
    city = replace(world.city, sensors=columns, limits=LimitTable(limits.by_quantity, by_sensor))
    city = replace(city, version=version_of(city))
    return placed(city, world.plan, (world.lon0, world.lat0), world.building[rows], world.indoor[rows])
