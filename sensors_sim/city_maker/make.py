"""Making a city up: ground, buildings, grids, boxes, people and limits, put together into a World."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from shapely.geometry import Polygon

from config.city import City, Grid
from config.city_files import load_city
from config.vocabulary import GridLevel, LocalText
from sensors_sim.city_maker.blocks import SERVED, Built, build, net, segments
from sensors_sim.city_maker.boxes import BOXES
from sensors_sim.city_maker.columns import LAT0, LON0, Draft, degrees, sensor_columns
from sensors_sim.city_maker.files import version_of, write_city
from sensors_sim.city_maker.ground import Ground, Integers, lay_ground
from sensors_sim.city_maker.limits import place_limits
from sensors_sim.city_maker.names import Names, Roads
from sensors_sim.city_maker.people import Staff, departments
from sensors_sim.city_maker.placing import choose, hang, series_per_box
from sensors_sim.city_maker.plan_file import placed, read_plan, to_the_centimetre, write_plan
from sensors_sim.city_maker.tree import GridTree, grid_tree, outlines
from sensors_sim.world import Plan, World, world_of

FEWEST, MOST = 100, 500_000
BOXES_PER_KM2 = 12.0
"""What public plans count as sensors per km² are devices."""

TIMEZONE = "Asia/Shanghai"

_LEVELS = (GridLevel.DISTRICT, GridLevel.STREET, GridLevel.COMMUNITY, GridLevel.GRID)


@dataclass(frozen=True, slots=True)
class Layout:
    """A city without its sensors. households: of every block, (rows, columns)."""

    ground: Ground
    built: Built
    households: Integers
    tree: GridTree


def make_world(sensors: int, seed: int) -> World:
    """A made-up city with so many sensors: the same for the same seed, on every machine, to the byte.

    sensors: 100 to 500,000. seed: 0 or more. Its city has the version that it has once ``write_world`` wrote it.
    Raises ValueError for other numbers.
    """
    if not FEWEST <= sensors <= MOST:
        raise ValueError(f"{sensors} sensors, expected {FEWEST} to {MOST}")
    if seed < 0:
        raise ValueError(f"the seed is {seed}, expected 0 or more")
    layout = lay_out(sensors, seed)
    ground, buildings, tree = layout.ground, layout.built.buildings, layout.tree
    names = Names(_rng(seed, 3))
    hung, measured = hang(choose(sensors, _rng(seed, 4)), ground, buildings, _rng(seed, 5))
    staff = Staff()
    grids = _grids(ground, tree, names, staff)
    roads = Roads(names, ground.main_rows.tolist(), ground.main_columns.tolist())
    columns = sensor_columns(Draft(ground, buildings, tree, grids, hung, measured), roads, _rng(seed, 6))
    use = np.where(hung.building >= 0, buildings.use[hung.building].astype(np.int64), -1)[measured.box]
    name = names[0]
    city = City(
        name=LocalText(f"{name.zh}市（虚构）", f"{name.en} (made-up city)"),
        timezone=ZoneInfo(TIMEZONE),
        version="",
        grids=grids,
        sensors=columns,
        workers=staff.workers,
        departments=departments(),
        roster=tuple(staff.roster),
        limits=place_limits(
            columns.ids,
            [columns.quantity.names[code] for code in columns.quantity.code.tolist()],
            use.tolist(),
            hung.choice[measured.box].tolist(),
        ),
    )
    city = replace(city, version=version_of(city))
    indoor = np.array([box.indoor for box in BOXES])[hung.kind][measured.box]
    plan = _plan(ground, layout.built, _rng(seed, 7))
    return placed(city, plan, (LON0, LAT0), hung.building[measured.box], indoor)


def lay_out(sensors: int, seed: int) -> Layout:
    """Streets, buildings and grids of the city with so many sensors."""
    ground = lay_ground(sensors / series_per_box() / BOXES_PER_KM2, _rng(seed, 1))
    built = build(ground, _rng(seed, 2))
    spots = built.buildings.spots
    blocks = spots.row * ground.land.shape[1] + spots.column
    lived = np.bincount(blocks, built.buildings.households, ground.land.size)
    households = np.asarray(lived, np.int64).reshape(ground.land.shape)
    return Layout(ground, built, households, grid_tree(ground, households))


def write_world(world: World, folder: Path) -> None:
    """Write the folder of the world's city, and its plan beside. Files of the same names are overwritten.

    Raises OSError.
    """
    write_city(world.city, folder)
    write_plan(world, folder)


def load_world(folder: Path) -> World:
    """The world of any city folder: with its plan where ``write_world`` left one, else as ``world_of`` takes it for.

    Raises ConfigurationError as ``load_city`` does, and for a plan that cannot be read.
    """
    city = load_city(folder)
    return read_plan(folder, city) or world_of(city)


def _rng(seed: int, part: int) -> np.random.Generator:
    return np.random.default_rng([seed, 9_000 + part])


def _grids(ground: Ground, tree: GridTree, names: Names, staff: Staff) -> dict[str, Grid]:
    """The grid tree with its names, and people for every node of it. In the order of districts, streets, ..."""
    lon, lat = degrees(ground.east, ground.north)
    corners = np.column_stack([lon.reshape(-1), lat.reshape(-1)])
    city = names[0]
    capitals = city.en[:2].upper()
    codes: list[list[str]] = []
    found: dict[str, Grid] = {}
    towns = names_of_nodes(tree, names)
    for level, kind in enumerate(_LEVELS):
        rings = outlines(tree.label[level])
        parents = tree.parent[level].tolist()
        count: dict[int, int] = {}
        codes.append([])
        for node, (ring, parent) in enumerate(zip(rings, parents, strict=True)):
            number = count[parent] = count.get(parent, 0) + 1
            above = codes[level - 1][parent] if level else None
            code = f"{above}-{number:02d}" if above else f"{capitals}{number:02d}"
            codes[level].append(code)
            polygon = Polygon(corners[np.append(ring, ring[0])])
            found[code] = Grid(code, kind, above, _node_name(level, node, number, towns, tree), polygon)
    for code in codes[0]:
        staff.district(code)
    for code in codes[1]:
        staff.street(code)
    below: list[list[str]] = [[] for _ in codes[2]]
    for code, parent in zip(codes[3], tree.parent[3].tolist(), strict=True):
        below[parent].append(code)
    for code, grids in zip(codes[2], below, strict=True):
        staff.community(code, grids)
    return found


def names_of_nodes(tree: GridTree, names: Names) -> list[list[LocalText]]:
    """A word for each district, street and community, none twice; the first district has the city's."""
    first = 0
    found = []
    for parents in tree.parent[:3]:
        found.append([names[first + node] for node in range(len(parents))])
        first += len(parents)
    return found


def _node_name(level: int, node: int, number: int, towns: Sequence[Sequence[LocalText]], tree: GridTree) -> LocalText:
    if level == 3:
        town = towns[2][int(tree.parent[3][node])]
        return LocalText(f"{town.zh}社区第{number}网格", f"{town.en} Community, grid {number}")
    zh, en = (("区", "District"), ("街道", "Street Office"), ("社区", "Community"))[level]
    town = towns[level][node]
    return LocalText(town.zh + zh, f"{town.en} {en}")


def _plan(ground: Ground, built: Built, rng: np.random.Generator) -> Plan:
    buildings, lanes = built.buildings, built.lanes
    streets, mains = net(ground, rng)
    served = ground.urban[lanes[0].row, lanes[0].column] > SERVED
    inner = segments(ground, *lanes)
    piped = ground.urban[buildings.spots.row, buildings.spots.column] > SERVED
    service = segments(ground, buildings.foot.some(piped), buildings.spots.some(piped))
    east, north = ground.metres(buildings.spots)
    return Plan(
        streets=to_the_centimetre(np.concatenate([streets, inner])),
        mains=to_the_centimetre(np.concatenate([mains, inner[served], service])),
        east=to_the_centimetre(east),
        north=to_the_centimetre(north),
        use=buildings.use,
        floors=buildings.floors,
        volume_m3=buildings.volume_m3,
    )
