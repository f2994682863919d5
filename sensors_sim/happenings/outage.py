"""Boxes that cannot send: a community without power, a street without network. And boxes that send too often.

None of these is an event in the world, nor a fault of any sensor: the truth tells them as one ``Silence``.
"""

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.vocabulary import GridLevel
from sensors_sim.faults.told import told
from sensors_sim.happenings.common import below, knows, option
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Hurry, Outage, Stage, Staged
from sensors_sim.truth import FAULT_ROLES, Fault, FaultKind, Silence, on_duty
from sensors_sim.world import World

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

POWER_CUT_S = 2 * 3600.0
SPLIT_S = 3600.0
GAS_BATTERY_S = 1800.0
"""Gas alarms go on for half an hour on their own supply (GB/T 50493-2019, 5.1: UPS of at least 30 min)."""
RETURNS_S = 240.0
"""Boxes start and find their network within some minutes after the power, not all at once."""
GROUPS = 6
MAINS = frozenset({
    "pm25", "pm10", "so2", "no2", "o3", "co_air", "temperature", "humidity", "pressure", "wind_speed", "rain",
    "illuminance", "noise", "people", "vehicles", "smoke_score", "fire_score", "intrusion_score", "image_brightness",
    "image_sharpness", "image_change", "current", "vibration", "water_flow",
})  # fmt: skip
"""A box that measures one of these hangs on the mains: stations, cameras, meters, vibration recorders. Bracelets,
buttons, door contacts, levels in shafts and marks on walls have batteries of years."""
BACKED = frozenset({"ch4", "co", "h2s", "o2"})

JUMPING = 0.04
"""Share of the boxes whose zero is not the old one after power returns: electrochemical and optical cells lose their
baseline while they are cold."""
JUMPERS = frozenset({
    "ch4", "co", "h2s", "o2", "pm25", "pm10", "so2", "no2", "o3", "co_air", "temperature", "humidity", "pressure",
    "noise",
})  # fmt: skip

NOTHING_HIT = "no box would fall silent"
MOST_AT_ONCE = 0.5
MOST_CUT = 2 / 3
"""Of a city's sensors, so many at most are cut off for one cause; and have a part in anything at all."""

STORM_TIMES = 3.0
STORM_S = 4 * 3600.0
STORM_SHARE = 0.7


def _nodes(stage: Stage, level: GridLevel) -> list[str]:
    """Nodes of a level with sensors below, in the order of their codes."""
    city = stage.world.city
    names = city.columns.grid
    leaves = sorted({names.names[code] for code in np.unique(names.code).tolist()})
    return sorted({node.code for leaf in leaves for node in city.upwards(leaf) if node.level is level})


def _begins_us(stage: Stage, wish: Wish) -> int:
    """When it begins. Raises CannotError where the run has ended by then."""
    if (from_us := stage.onset_us(wish)) >= stage.end_us:
        raise CannotError("the run ends before it begins")
    return from_us


def _calm_node(stage: Stage, wish: Wish, level: GridLevel, hit: Bools) -> tuple[str, Bools]:
    """A node as wished or drawn in which nothing else happens, and which sensors it has; a finer one in a small city.

    hit: which sensors could be cut off; the node has some of them.

    What is cut off cannot be seen: an event there would be one that nobody could ever find. So something is left over
    for all the rest of the scenario. Raises CannotError where no node is so.
    """
    size = len(stage.world.east)
    taken = np.zeros(size, np.bool_)
    taken[list(stage.taken)] = True
    if wish.place is not None:
        if wish.place not in stage.world.city.grids:
            raise CannotError(f"the place {wish.place!r} is not a grid of the city")
        inside = below(stage.world, wish.place)
        if not (inside & hit).any() or (inside & taken).any():
            raise CannotError(f"in {wish.place} " + ("something else happens" if (inside & hit).any() else NOTHING_HIT))
        return wish.place, inside
    if not hit.any():
        raise CannotError(f"in the city {NOTHING_HIT}")
    for finer in list(GridLevel)[level.rank :]:
        nodes = _nodes(stage, finer)
        for index in stage.rng.permutation(len(nodes)).tolist():
            inside = below(stage.world, nodes[index])
            many = inside.sum() > MOST_AT_ONCE * size or (inside | taken).sum() > MOST_CUT * size
            if not (many or (inside & taken).any()) and (inside & hit).any():
                return nodes[index], inside
    raise CannotError(f"something else happens in every {level} of the city, or too little of it would be left")


def _boxes(world: World, rows: Bools) -> Integers:
    """Codes of the boxes that have a sensor among some rows, ascending."""
    return np.unique(world.city.columns.device.code[rows]).astype(np.int64)


def _named(world: World, boxes: Integers) -> frozenset[str]:
    names = world.city.columns.device.names
    return frozenset(names[code] for code in boxes.tolist())


def _measures(world: World, quantities: frozenset[str]) -> Bools:
    quantity = world.city.columns.quantity
    known: Bools = np.array([name in quantities for name in quantity.names], np.bool_)[quantity.code]
    return known


def _silence(stage: Stage, kind: str, node: str, boxes: Integers, *, from_us: int, to_us: int, keeps: bool) -> Silence:
    """The truth about it; takes all sensors of the boxes."""
    world = stage.world
    columns = world.city.columns
    rows = np.flatnonzero(np.isin(columns.device.code, boxes))
    stage.reserve(rows)
    return Silence(
        kind=kind,
        lon=round(float(columns.lon[rows].mean()), 6),
        lat=round(float(columns.lat[rows].mean()), 6),
        grid=node,
        from_us=from_us,
        to_us=to_us,
        sensors=tuple(columns.ids[row] for row in rows.tolist()),
        keeps=keeps,
        responsible=on_duty(world.city, node, from_us, FAULT_ROLES),
    )


def network_split(stage: Stage, wish: Wish) -> Staged:
    """One street (or the node wished) cannot send for ``lasts`` (1 h): its boxes measure on, and send it afterwards."""
    knows(wish)
    from_us = _begins_us(stage, wish)
    node, inside = _calm_node(stage, wish, GridLevel.STREET, np.ones(len(stage.world.east), np.bool_))
    to_us = min(stage.end_us, from_us + stage.lasts_us(wish, SPLIT_S))
    boxes = _boxes(stage.world, inside)
    silence = _silence(stage, "network_split", node, boxes, from_us=from_us, to_us=to_us, keeps=True)
    outage = Outage(_named(stage.world, boxes), from_us, to_us, keeps=True)
    return Staged(outages=(outage,), silences=(silence,))


def power_cut(stage: Stage, wish: Wish) -> Staged:
    """A community (or the node wished) has no power for ``lasts`` (2 h): what hangs on the mains measures nothing.

    Gas alarms last half an hour on their own supply, boxes with batteries all the while. When power returns the boxes
    start one after the other, and some stand on a new zero, which is a fault of theirs (option ``jumps``: their share).
    """
    knows(wish, "jumps")
    world = stage.world
    from_us = _begins_us(stage, wish)
    returns_us = from_us + stage.lasts_us(wish, POWER_CUT_S)
    empty_us = from_us + round(GAS_BATTERY_S * US_PER_SECOND)
    on_mains, on_supply = _measures(world, MAINS), _measures(world, BACKED)
    if empty_us >= min(returns_us, stage.end_us):
        on_supply[:] = False
    node, inside = _calm_node(stage, wish, GridLevel.COMMUNITY, on_mains | on_supply)
    mains = _boxes(world, inside & on_mains)
    backed = np.setdiff1d(_boxes(world, inside & on_supply), mains)
    group = stage.rng.integers(GROUPS, size=len(mains) + len(backed))
    outages: list[Outage] = []
    for number in range(GROUPS):
        to_us = returns_us + round((number + 1) / GROUPS * RETURNS_S * US_PER_SECOND)
        both = ((mains, group[: len(mains)], from_us), (backed, group[len(mains) :], empty_us))
        outages += [
            Outage(_named(world, boxes[mine == number]), begins_us, min(to_us, stage.end_us), keeps=False)
            for boxes, mine, begins_us in both
            if (mine == number).any()
        ]
    boxes = np.union1d(mains, backed)
    silence = _silence(
        stage, "power_cut", node, boxes, from_us=from_us, to_us=max(outage.to_us for outage in outages), keeps=False
    )
    faults = _jumped(stage, option(wish, "jumps", JUMPING) * wish.strength, boxes, returns_us)
    return Staged(faults=faults, outages=tuple(outages), silences=(silence,))


def _jumped(stage: Stage, share: float, boxes: Integers, returns_us: int) -> tuple[Fault, ...]:
    """Sensors that come back with another zero, for the rest of the run."""
    world = stage.world
    rows = np.flatnonzero(np.isin(world.city.columns.device.code, boxes) & _measures(world, JUMPERS))
    rows = rows[stage.rng.random(len(rows)) < share]
    if returns_us >= stage.end_us:
        return ()
    return tuple(told(world.city, ((FaultKind.BIAS, row, returns_us, stage.end_us) for row in rows.tolist())))


def storm_load(stage: Stage, wish: Wish) -> Staged:
    """Devices that report on change report far more often while the weather is wild, for ``lasts`` (4 h).

    Options: ``share`` of the boxes (0.7), ``times`` as often (3, times the strength). No event: only load.
    """
    knows(wish, "share", "times")
    share, times = option(wish, "share", STORM_SHARE), option(wish, "times", STORM_TIMES) * wish.strength
    if not 0 < share <= 1 or times < 1:
        raise CannotError(f"share is {share} and times {times}, expected above 0 to 1 and at least 1")
    device = stage.world.city.columns.device
    sensors = np.flatnonzero((stage.rng.random(len(device.names)) < share)[device.code])
    from_us = _begins_us(stage, wish)
    to_us = min(stage.end_us, from_us + stage.lasts_us(wish, STORM_S))
    if not sensors.size:
        raise CannotError("the share is too small for a single box of this city")
    return Staged(hurries=(Hurry(sensors, from_us, to_us, times),))
