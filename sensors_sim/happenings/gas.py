"""Gas in rooms, streets and pits: leaks, small leaks, carbon monoxide, pits that nobody aired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.limits import Side
from config.vocabulary import Category
from sensors_sim.changes import Traced, sigmas_of_a_run
from sensors_sim.happenings.common import choice, knows
from sensors_sim.happenings.places import (
    apart,
    free_rows,
    is_pit,
    lattice,
    of,
    pick_fitting,
    same_box,
    same_building,
    staged,
    use_of,
)
from sensors_sim.physics.events import LEL_KG_M3
from sensors_sim.physics.plume import downwind, plume, stability
from sensors_sim.physics.rooms import (
    Filling,
    House,
    fill,
    hole_kg_s,
    lel_percent,
    open_window_m3_s,
    ppm,
    seeped_in,
    settled_kg_s,
)
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged
from sensors_sim.world import Use

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOME_PA = 2_000.0
"""Pressure of natural gas in homes (GB 50028-2006: appliances are rated for 2 kPa)."""
STREET_PA = 200_000.0
"""Pressure in a service line before the regulator: medium pressure B goes up to 0.2 MPa (GB 50028-2006)."""
STREET_HOLE_M = 0.014
"""A digger tears off a service line of polyethylene: 20 mm wide, its wall 3 mm (GB/T 15558.1)."""
STREET_AWAY_M = 3.0
REACH_M = 500.0
"""Beyond it not even a torn service line is seen by a sensor that resolves 0.1 %LEL."""
INFILTRATION_H = 0.34
"""Air changes per hour of a shut Chinese home, the median of 294 (Hou et al. 2019, Indoor Air 29, 828)."""
WINDOW_M2 = 1.5
APART_M = 1_000.0
SETTLE_S = 5_400.0
"""For how long after the valve is shut the truth still follows what is left."""
CO_G_MOL = 28.01
H2S_G_MOL = 34.08
AIR_O2 = 20.9


@dataclass(frozen=True, slots=True)
class Kitchen:
    """Where gas is burnt, and the usual hole. rest_m3: of what the kitchen opens into; the others: see ``House``."""

    room_m3: float
    rest_m3: float
    changes_h: float
    door_m3_h: float
    hole_m: float


# Rooms by Chinese building practice (kitchen of 8 m², JGJ/GB 50096; halls by their own plan); changes of air per hour:
# homes as measured (Hou et al. 2019; old windows let in twice as much), others between 0.5 and 2 as measured in
# commercial buildings (Persily and Gorfain 2008, NISTIR 7145-R). Doors: the cracks of a shut one, 6 m at 3 mm, with a
# breath of 0.1 m/s each way, and as much again by its being opened now and then; swing doors several times that.
# Holes: a hose that slipped off half (3.5 mm free of the 9.5 mm bore), a commercial burner's tap left open (5 mm), the
# joint of a plant's line.
KITCHENS: Mapping[Use, Kitchen] = MappingProxyType(
    {
        Use.HOME: Kitchen(20, 130, INFILTRATION_H, 15, 0.0035),
        Use.OLD_HOME: Kitchen(18, 90, 2 * INFILTRATION_H, 15, 0.0035),
        Use.SHOP: Kitchen(45, 200, 1.0, 60, 0.005),
        Use.OFFICE: Kitchen(45, 600, 1.0, 60, 0.005),
        Use.SCHOOL: Kitchen(90, 800, 1.0, 60, 0.006),
        Use.HOSPITAL: Kitchen(90, 800, 1.5, 60, 0.006),
        Use.MARKET: Kitchen(120, 3_000, 1.5, 120, 0.007),
        Use.STATION: Kitchen(60, 5_000, 2.0, 60, 0.005),
        Use.PLANT: Kitchen(300, 5_000, 1.0, 120, 0.010),
    }
)
"""Kitchens and gas rooms by the use of their building."""


def _house(stage: Stage, row: int) -> tuple[House, Kitchen]:
    world = stage.world
    kitchen = KITCHENS[use_of(world, row) or Use.HOME]
    return House(kitchen.room_m3, kitchen.rest_m3, kitchen.changes_h, kitchen.door_m3_h), kitchen


def _aired(stage: Stage, house: House, times_us: Integers, shut_us: int) -> Floats:
    """Air through the window that is opened once the valve is shut, m³/s per moment."""
    wind = stage.weather.wind_m_s(times_us)
    # a window moves no less than warm rooms do by themselves, and no more than a gale through one sash
    opened = open_window_m3_s(WINDOW_M2 * (house.room_m3 / 20) ** (2 / 3), np.clip(wind, 0.8, 6.0))
    return np.where(times_us >= shut_us, opened, 0.0)


def _indoor_leak(stage: Stage, row: int, source_kg_s: float, times_us: Integers, shut_us: int) -> Filling:
    house, _ = _house(stage, row)
    source = np.where(times_us < shut_us, source_kg_s, 0.0)
    step_s = float(times_us[1] - times_us[0]) / US_PER_SECOND
    return fill(house, source, _aired(stage, house, times_us, shut_us), step_s)


def _outside(
    stage: Stage, rows: Integers, place_m: tuple[float, float], source_kg_s: Floats, times_us: Integers
) -> Floats:
    """Concentration of what is let out somewhere at some sensors, kg/m³, shape (times, rows); see ``plume``.

    The wind of each moment carries what was let out when it started on its way. Whoever is indoors breathes it in
    slowly through the walls of a shut home.
    """
    world, weather = stage.world, stage.weather
    wind, classes = weather.wind_m_s(times_us), stability(weather.wind_m_s(times_us), weather.sun(times_us))
    along, across = downwind(
        world.east[rows] - place_m[0], world.north[rows] - place_m[1], weather.wind_from_deg(times_us)[:, np.newaxis]
    )
    started = times_us[:, np.newaxis] - (np.maximum(along, 0) / wind[:, np.newaxis] * US_PER_SECOND)
    source = np.interp(started, times_us, source_kg_s, left=0.0)
    # a leak comes out of a crack or a window, half a metre wide, not of a point
    share = plume(along, across, wind_m_s=wind[:, np.newaxis], classes=classes[:, np.newaxis], wide_m=0.5, high_m=0.3)
    found: Floats = source * share
    indoor = world.indoor[rows]
    if indoor.any():
        step_s = float(times_us[1] - times_us[0]) / US_PER_SECOND
        found[:, indoor] = seeped_in(found[:, indoor], INFILTRATION_H, step_s)
    return found


def _traced(rows: Integers, table: Floats, times_us: Integers, step_us: int) -> Traced:
    return Traced(rows, table, step_us, int(times_us[0]), int(times_us[-1]))


@dataclass(frozen=True, slots=True)
class _Leak:
    """Gas that comes out somewhere. rows, table: who stands in it, ascending, and what they see, (times, rows).

    kg_s: of the leak itself. open_kg_s: what reaches the open at each time, at place_m (east, north).
    """

    kg_s: float
    rows: Integers
    table: Floats
    open_kg_s: Floats
    place_m: tuple[float, float]


def _in_a_kitchen(stage: Stage, victim: int, strength: float, times_us: Integers, shut_us: int) -> _Leak:
    world = stage.world
    _, kitchen = _house(stage, victim)
    kg_s = hole_kg_s(kitchen.hole_m, HOME_PA) * strength
    filling = _indoor_leak(stage, victim, kg_s, times_us, shut_us)
    rows = of(stage, same_building(world, victim), "ch4", "o2")
    rows = rows[world.indoor[rows]]
    near = np.isin(rows, same_box(world, victim))
    methane = lel_percent(np.where(near, filling.room_kg_m3[:, np.newaxis], filling.rest_kg_m3[:, np.newaxis]))
    is_methane = np.isin(rows, world.measuring("ch4"))
    table = np.where(is_methane, methane, -_pushed_aside(methane))
    return _Leak(kg_s, rows, table, filling.out_kg_s, (float(world.east[victim]), float(world.north[victim])))


def _in_the_street(stage: Stage, victim: int, strength: float, times_us: Integers, shut_us: int) -> _Leak:
    world = stage.world
    kg_s = hole_kg_s(STREET_HOLE_M, STREET_PA) * strength
    from_rad = np.radians(float(stage.weather.wind_from_deg(times_us[:1])[0]))
    place_m = (
        float(world.east[victim] + STREET_AWAY_M * np.sin(from_rad)),
        float(world.north[victim] + STREET_AWAY_M * np.cos(from_rad)),
    )
    nobody = np.empty(0, np.int64)
    return _Leak(kg_s, nobody, np.empty((len(times_us), 0)), np.where(times_us < shut_us, kg_s, 0.0), place_m)


def gas_leak(stage: Stage, wish: Wish) -> Staged:
    """Methane: a kitchen fills, or a service line in the street is torn.

    Indoors 2 kPa drive gas by a hole of some millimetres (0.3 g/s in a home) into a well-mixed kitchen until somebody
    shuts the valve and opens a window; a part reaches the rest of the house by the door, what leaves it goes with the
    wind. In the street 0.2 MPa drive 49 g/s out of a torn line 14 mm wide, three metres upwind of the sensor (of all
    places, one that is seen), and all sensors downwind follow at the speed of the wind. Methane pushes oxygen aside.

    strength: times the hole's area. lasts_s: until the valve is shut, usually 25 min. options: ``where``: any (as the
    sensor chosen stands), ``room``, ``street``.
    """
    knows(wish, "where")
    where = choice(wish, "where", ("any", "room", "street"))
    world = stage.world
    rows = free_rows(stage, wish, "ch4 sensor", "ch4")
    if where != "any":
        rows = [row for row in rows if bool(world.indoor[row]) == (where == "room")]
    elif wish.place is None:
        rows = _at_home(stage, rows)
    victim = pick_fitting(stage, _apart(stage, rows), lambda row: not is_pit(world, row))
    if victim is None:
        raise CannotError(f"the city has no free ch4 sensor {'outside of pits' if where == 'any' else f'in a {where}'}")
    from_us = stage.onset_us(wish)
    shut_us = from_us + stage.lasts_us(wish, 1_500.0)
    times, step_us = lattice(from_us, min(stage.end_us, shut_us + round(SETTLE_S * US_PER_SECOND)))
    indoor = bool(world.indoor[victim])
    leak = (_in_a_kitchen if indoor else _in_the_street)(stage, victim, wish.strength, times, shut_us)
    away = np.hypot(world.east - leak.place_m[0], world.north - leak.place_m[1])
    others = np.setdiff1d(of(stage, np.flatnonzero(away <= REACH_M), "ch4"), leak.rows)
    outside = lel_percent(_outside(stage, others, leak.place_m, leak.open_kg_s, times))
    order = np.argsort(np.concatenate((leak.rows, others)))
    change = _traced(
        np.concatenate((leak.rows, others))[order], np.hstack((leak.table, outside))[:, order], times, step_us
    )
    return staged(
        stage,
        [change],
        victim,
        kind="gas_leak",
        category=Category.GAS_LEAK,
        details={
            "leak_kg_s": round(leak.kg_s, 6),
            "where": "room" if indoor else "street",
            "wind_m_s": round(float(stage.weather.wind_m_s(times[:1])[0]), 1),
            "wind_from_deg": round(float(stage.weather.wind_from_deg(times[:1])[0])) % 360,
        },
    )


def _pushed_aside(methane_lel: Floats) -> Floats:
    """Oxygen that methane takes the place of, %VOL: pure gas, 2,000 %LEL, leaves none."""
    return AIR_O2 * methane_lel / 2_000


def _apart(stage: Stage, rows: Sequence[int]) -> list[int]:
    """Those far from other gas: of two leaks in one street nobody could say which one was found."""
    return apart(stage, rows, APART_M, "ch4", "co", "h2s", "o2")


def _at_home(stage: Stage, rows: Sequence[int]) -> list[int]:
    """Those in rooms, where most leaks happen, if there are any."""
    return [row for row in rows if stage.world.indoor[row]] or list(rows)


def small_leak(stage: Stage, wish: Wish) -> Staged:
    """A joint that weeps for hours and stays below every limit: only a trend, or the unusual, can be noticed.

    The room settles where as much leaves as seeps in, at 3 %LEL times the strength and never above six tenths of the
    sensor's mildest limit. lasts_s: usually 6 h, then the joint is tightened. The truth names no limit.
    """
    knows(wish)
    world = stage.world
    rows = [row for row in free_rows(stage, wish, "ch4 sensor", "ch4") if world.indoor[row]]
    if not rows:
        raise CannotError("the city has no free ch4 sensor in a room")
    victim = stage.pick(_apart(stage, rows))
    house, _ = _house(stage, victim)
    steps = world.city.limits.of(world.city.columns.ids[victim], "ch4")
    mildest = min((limit.threshold for limit in steps if limit.side is Side.HIGH), default=25.0)
    level = min(3.0 * wish.strength, 0.6 * mildest)
    source = settled_kg_s(house, level / 100 * LEL_KG_M3)
    from_us = stage.onset_us(wish)
    shut_us = from_us + stage.lasts_us(wish, 21_600.0)
    times, step_us = lattice(from_us, min(stage.end_us, shut_us + round(SETTLE_S * US_PER_SECOND)))
    filling = _indoor_leak(stage, victim, source, times, shut_us)
    own = of(stage, same_box(world, victim), "ch4")
    table = np.repeat(lel_percent(filling.room_kg_m3)[:, np.newaxis], len(own), axis=1)
    readings = (times[-1] - from_us) / US_PER_SECOND / float(world.city.columns.interval_s[victim])
    return staged(
        stage,
        [_traced(own, table, times, step_us)],
        victim,
        kind="small_leak",
        category=Category.GAS_LEAK,
        details={"leak_kg_s": float(f"{source:.3g}"), "level_lel": round(level, 2)},
        sigmas=sigmas_of_a_run(readings),
    )


CO_KG_S = 5.5e-6
"""20 g/h: a stove burning 0.3 kg of briquettes an hour at 65 g CO per kg (measured in stoves of Chinese homes: tens of
grams, Zhang et al. 2000, Atmospheric Environment 34, 4537), or a gas heater whose exhaust of 18 m³/h, 0.1 % of it CO,
stays in the flat."""
FLAT_M3 = 150.0
"""A flat of 60 m²."""
FLAT_DOOR_M3_H = 5.0
"""What the cracks of its shut front door let into the stairs."""


def co_poisoning(stage: Stage, wish: Wish) -> Staged:
    """Carbon monoxide rises in a shut flat: a heater without draught.

    One well-mixed flat of 60 m² (smaller where the plan says so) with the air changes of a shut home; 115 ppm more
    every hour at first. lasts_s: until it is found and aired, usually 3 h. strength: times the carbon monoxide.
    """
    knows(wish)
    world = stage.world
    rows = [row for row in free_rows(stage, wish, "co sensor", "co") if world.indoor[row]]
    homes = [row for row in rows if use_of(world, row) in {Use.HOME, Use.OLD_HOME}] if wish.place is None else []
    victim = pick_fitting(stage, _apart(stage, homes or rows), lambda row: not is_pit(world, row))
    if victim is None:
        raise CannotError("the city has no free co sensor in a room")
    building = int(world.building[victim])
    own_m3 = float(world.plan.volume_m3[building]) if building >= 0 else FLAT_M3
    flat = House(min(own_m3, FLAT_M3), max(own_m3, FLAT_M3), INFILTRATION_H, FLAT_DOOR_M3_H)
    from_us = stage.onset_us(wish)
    found_us = from_us + stage.lasts_us(wish, 10_800.0)
    times, step_us = lattice(from_us, min(stage.end_us, found_us + round(SETTLE_S * US_PER_SECOND)))
    source = np.where(times < found_us, CO_KG_S * wish.strength, 0.0)
    filling = fill(flat, source, _aired(stage, flat, times, found_us), step_us / US_PER_SECOND)
    own = of(stage, same_building(world, victim), "co")
    own = own[world.indoor[own]]
    same = np.isin(own, same_box(world, victim))
    table = ppm(np.where(same, filling.room_kg_m3[:, np.newaxis], filling.rest_kg_m3[:, np.newaxis]), CO_G_MOL)
    return staged(
        stage,
        [_traced(own, table, times, step_us)],
        victim,
        kind="co_poisoning",
        category=Category.GAS_LEAK,
        details={"co_kg_s": CO_KG_S * wish.strength, "room_m3": flat.room_m3},
    )


PIT_M3 = 6.0
"""A pit 1.2 m wide and 5 m deep."""
PIT_CHANGES_H = 0.1
"""Air changes per hour through the key holes of a cover: 0.6 m³ of air an hour, a breath of 0.2 m/s through 8 cm²."""
PIT_CH4_KG_S = 3e-6
"""A gland that weeps, or what the sludge below ferments: 5 %LEL more each hour in a pit of that size."""
PIT_H2S_KG_S = 1.2e-8
"""Sulphide leaving stale sewage: 5 ppm more each hour in a pit of that size."""
PIT_O2_H = 0.5
"""%VOL of oxygen that rust and sludge use up each hour (GB 8958-2006 names pits among the places short of oxygen)."""


def valve_pit(stage: Stage, wish: Wish) -> Staged:
    """A pit that nobody has aired for days: methane and hydrogen sulphide gather, oxygen goes.

    Well-mixed, with the little air that the holes of its cover let through; a box that measures several sees them all,
    and methane also pushes oxygen aside. lasts_s: until the cover is lifted, usually 10 h. strength: times all sources.
    """
    knows(wish)
    world = stage.world
    rows = free_rows(stage, wish, "ch4, h2s or o2 sensor", "ch4", "h2s", "o2")
    outdoors = [row for row in rows if not world.indoor[row]]
    victim = pick_fitting(stage, _apart(stage, outdoors or rows), lambda row: is_pit(world, row))
    if victim is None and not outdoors:
        raise CannotError("the city has no free ch4, h2s or o2 sensor in a pit or in the open")
    victim = stage.pick(outdoors) if victim is None else victim
    pit = House(PIT_M3, PIT_M3, PIT_CHANGES_H)
    from_us = stage.onset_us(wish)
    opened_us = from_us + stage.lasts_us(wish, 36_000.0)
    times, step_us = lattice(from_us, min(stage.end_us, opened_us + round(SETTLE_S * US_PER_SECOND)))
    extra = np.where(times >= opened_us, open_window_m3_s(0.3, np.clip(stage.weather.wind_m_s(times), 0.8, 6)), 0.0)

    def gathered(source: float) -> Floats:
        given = np.where(times < opened_us, source * wish.strength, 0.0)
        return fill(pit, given, extra, step_us / US_PER_SECOND).room_kg_m3

    methane = gathered(PIT_CH4_KG_S)
    # as parts of the pit's volume: what is used up comes back with the air as any gas goes with it
    used = np.minimum(gathered(PIT_O2_H / 100 * PIT_M3 / 3600), 0.9)
    courses = {
        "ch4": lel_percent(methane),
        "h2s": ppm(gathered(PIT_H2S_KG_S), H2S_G_MOL),
        "o2": -np.minimum(100 * used + _pushed_aside(lel_percent(methane)), AIR_O2),
    }
    box = of(stage, same_box(world, victim), *courses)
    names = [world.city.columns.quantity[row] for row in box.tolist()]
    table = np.column_stack([courses[name] for name in names])
    return staged(
        stage,
        [_traced(box, table, times, step_us)],
        victim,
        kind="valve_pit",
        category=Category.GAS_LEAK,
        details={"strength": wish.strength},
    )
