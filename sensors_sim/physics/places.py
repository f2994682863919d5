"""What a place has of its own: how densely it is built, and by whose hours it lives."""

import numpy as np
from numpy.typing import NDArray

from sensors_sim.physics.rhythm import RHYTHMS
from sensors_sim.world import Use, World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CELL_M = 250.0

_OF_USE = {
    Use.HOME: "home",
    Use.OLD_HOME: "home",
    Use.SHOP: "shop",
    Use.OFFICE: "office",
    Use.SCHOOL: "school",
    Use.HOSPITAL: "flat",
    Use.MARKET: "market",
    Use.STATION: "traffic",
    Use.PLANT: "office",
}
"""The rhythm of a building's doors and current by what it is used for; its water runs by it too, except in homes."""
_STREETS = (("street", 0.6), ("market", 0.15), ("traffic", 0.25))
"""How the places that cameras look at share out: shopping streets, markets, ways to work."""


def density(world: World) -> Floats:
    """How densely the quarter of each sensor is built, 0 (open) to 1 (as dense as the densest twentieth).

    The floors within squares of 250 m; where the plan has no buildings, the sensors themselves stand for them.
    """
    cells = np.floor(np.column_stack((world.east, world.north)) / _CELL_M).astype(np.int64)
    if not len(cells):
        return np.empty(0)
    east, north, floors = world.plan.east, world.plan.north, world.plan.floors.astype(np.float64)
    if not len(world.plan.streets):
        east, north, floors = world.east, world.north, np.ones(len(cells))
    built = np.floor(np.column_stack((east, north)) / _CELL_M).astype(np.int64)
    low = np.minimum(cells.min(axis=0), built.min(axis=0))
    wide = int(max(cells[:, 1].max(), built[:, 1].max()) - low[1]) + 1
    keys, place = np.unique((built[:, 0] - low[0]) * wide + built[:, 1] - low[1], return_inverse=True)
    sums = np.bincount(place, weights=floors)
    wanted = (cells[:, 0] - low[0]) * wide + cells[:, 1] - low[1]
    found = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    here = np.where(keys[found] == wanted, sums[found], 0.0)
    value: Floats = np.clip(here / max(float(np.quantile(sums, 0.95)), 1e-9), 0.0, 1.0)
    return value


def rhythm_of(world: World, quantities: NDArray[np.str_], usual: Integers, chance: Floats) -> Integers:
    """The rhythm that each sensor's people keep, as a row of RHYTHMS.

    quantities: names, shape (sensors,). usual: that of the quantity. chance: a number in [0, 1) for each sensor.
    Only a plan with streets tells what its buildings are used for.
    """
    found = usual.copy()
    watched = np.isin(quantities, ("people", "image_change"))
    bounds = np.cumsum([share for _, share in _STREETS])
    kinds = np.array([RHYTHMS[name] for name, _ in _STREETS])
    found[watched] = kinds[np.searchsorted(bounds, chance[watched], side="right").clip(max=len(kinds) - 1)]
    if not len(world.plan.streets):
        return found
    inside = (world.building >= 0) & np.isin(quantities, ("door_open", "current", "water_flow"))
    use = world.plan.use[world.building[inside]]
    by_use = np.array([RHYTHMS[_OF_USE[one]] for one in Use])[use]
    homely = np.isin(use, (Use.HOME, Use.OLD_HOME)) & (quantities[inside] != "door_open")
    found[inside] = np.where(homely, RHYTHMS["water"], by_use)
    return found
