"""Electricity: a closed shop that overheats, and a building whose lines carry too much in the heat."""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # type: ignore[import-untyped]  # SciPy ships no types

from config.clock import US_PER_SECOND
from config.limits import Side
from config.vocabulary import Category
from sensors_sim.changes import Added, Drawn, Made
from sensors_sim.happenings.common import knows
from sensors_sim.happenings.fire import Blaze, watched
from sensors_sim.happenings.places import both, free_rows, of, same_building, staged, use_of
from sensors_sim.physics.events import warmed
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged
from sensors_sim.world import Use

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

VOLTS = 220.0
HEATER_W = 2_000.0
"""A fan heater; a row of scooters on the charger takes as much."""
WARMS_W_K = 80.0
"""Heat that a shop of 60 m² loses per kelvin: 30 m² of outer wall and window at 2 W/(m² K), 60 m³ of air an hour."""
WARMS_MEMORY_S = 7_200.0
"""Time constant of its air, goods and inner walls (ISO 13790: light construction)."""
AGES = 0.25
"""By so much the current grows until it smoulders: insulation that chars conducts, and a fan that clogs draws more."""
SMOULDERS_AT = 0.8
"""Part of the time after which the first smoke comes."""
SMOULDERS_KW = 500.0
SHOP_CAMERA_M = 80.0
"""A camera this close looks at the shop's front."""
SWITCHED_S = 2.0
SHOPS = frozenset({Use.SHOP, Use.MARKET})


def shop_overheats(stage: Stage, wish: Wish) -> Staged:
    """A closed shop draws current all night: a heater was left on, or batteries charge; in the end it smoulders.

    2 kW times the strength at 220 V from one moment to the next, growing by a quarter over the night. Where the room's
    temperature is measured it rises by up to 25 K. After four fifths of the time the nearest camera within 80 m becomes
    surer and surer of smoke: a fire that smoulders, growing with the square of time to 500 kW when somebody comes. A
    shop that a camera looks at is preferred. lasts_s: until somebody comes, usually
    8 h. The truth tells the current and the warmth as one episode, the smoke as another, since it calls for others.
    """
    knows(wish)
    world = stage.world
    rows = free_rows(stage, wish, "current sensor", "current")
    shops = [row for row in rows if use_of(world, row) in SHOPS] if wish.place is None else rows
    victim = stage.pick(_looked_at(stage, shops or rows))
    from_us = stage.onset_us(wish)
    lasts_us = stage.lasts_us(wish, 28_800.0)
    to_us = from_us + lasts_us
    lasts_s = lasts_us / US_PER_SECOND
    watts = HEATER_W * wish.strength

    def drawn(elapsed_s: Floats) -> Floats:
        course: Floats = np.minimum(elapsed_s / SWITCHED_S, 1.0) * (1 + AGES * np.clip(elapsed_s / lasts_s, 0, 1) ** 2)
        return course

    own = np.array([victim], np.int64)
    changes: list[Made] = [Added(own, np.array([watts / VOLTS]), np.zeros(1), from_us, to_us, drawn)]
    warm = of(stage, same_building(world, victim), "temperature")
    warm = warm[world.indoor[warm]]
    if warm.size:
        course = partial(warmed, watts=watts, watts_per_k=WARMS_W_K, memory_s=WARMS_MEMORY_S)
        changes.append(Added(warm, np.ones(warm.size), np.zeros(warm.size), from_us, to_us, course))
    details: dict[str, float | str] = {"watts": watts}
    overheated = staged(stage, changes, victim, kind="shop_overheats", category=Category.ELECTRICAL, details=details)
    smoke = _smouldering(stage, victim, from_us + round(SMOULDERS_AT * lasts_us), to_us)
    if smoke is None:
        return overheated
    try:
        seen = staged(stage, [smoke], None, kind="shop_overheats", category=Category.FIRE, details=details)
    except CannotError:  # somebody came before it could be seen, or the run ends
        return overheated
    return both(overheated, seen)


def _smouldering(stage: Stage, shop: int, from_us: int, to_us: int) -> Drawn | None:
    """What the nearest free camera sees of a shop that smoulders, None where there is none."""
    world = stage.world
    cameras = np.array(stage.rows("smoke_score"), np.int64)
    if not cameras.size or from_us >= stage.end_us:
        return None
    away = np.hypot(world.east[cameras] - world.east[shop], world.north[cameras] - world.north[shop])
    if away.min() > SHOP_CAMERA_M:
        return None
    growth = SMOULDERS_KW / ((to_us - from_us) / US_PER_SECOND) ** 2
    blaze = Blaze(float(world.east[shop]), float(world.north[shop]), from_us, to_us, growth, SMOULDERS_KW)
    return watched(stage, blaze, cameras[[int(away.argmin())]], flames=False)


def _looked_at(stage: Stage, shops: list[int]) -> list[int]:
    """Those of some shops near a camera, if there are any."""
    world = stage.world
    cameras = np.array(stage.rows("smoke_score"), np.int64)
    if not cameras.size:
        return shops
    tree = cKDTree(np.column_stack((world.east[cameras], world.north[cameras])))
    away, _ = tree.query(np.column_stack((world.east[shops], world.north[shops])))
    return [shop for shop, metres in zip(shops, away.tolist(), strict=True) if metres <= SHOP_CAMERA_M] or shops


COOL_C = 26.0
"""Above it people cool: GB 50736 designs rooms for 26 °C in summer."""
PER_K = 0.06
"""How much more a building draws per kelvin above it. In 800,000 homes of Shanghai consumption rises steeply from 23 °C
on (Li, Pizer and Wu 2019, PNAS 116, 472); a house of homes and shops follows more tamely."""
OVER_LIMIT = 1.12
"""At the usual strength it ends this far above the sensor's mildest limit."""
NO_LIMIT = 2.5
"""Times the usual current, where no limit is set."""
CLIMBS = 0.55
"""Part of the time until the peak."""


def overload(stage: Stage, wish: Wish) -> Staged:
    """The current of a building climbs with the heat: air conditioners on lines that were not laid for them.

    Everybody draws 6 % more per kelvin above 26 °C; and from hour to hour more machines run, until the current stands
    an eighth above the mildest limit of its sensor, or at two and a half times the usual where that is more (both times
    the strength). Then it goes as it came. lasts_s: usually 6 h.
    """
    knows(wish)
    world = stage.world
    rows = free_rows(stage, wish, "current sensor", "current")
    victim = stage.pick(rows)
    from_us = stage.onset_us(wish)
    to_us = from_us + stage.lasts_us(wish, 21_600.0)
    middle_us = from_us + round(CLIMBS * (to_us - from_us))
    own = np.array([victim], np.int64)
    usual = max(0.5, float(stage.nature.mean(own, middle_us)[0]))
    steps = world.city.limits.of(world.city.columns.ids[victim], "current")
    mildest = min((limit.threshold for limit in steps if limit.side is Side.HIGH), default=0.0)
    target = max(OVER_LIMIT * mildest, NO_LIMIT * usual) * wish.strength
    weather = stage.weather

    def loaded(which: Integers, times_us: Integers, values: Floats) -> Floats:  # noqa: ARG001 - there is one
        part = np.clip((times_us - from_us) / (to_us - from_us), 0, 1)
        course = np.where(
            part <= CLIMBS,
            np.sin(np.pi / 2 * part / CLIMBS) ** 2,
            np.cos(np.pi / 2 * (part - CLIMBS) / (1 - CLIMBS)) ** 2,
        )
        hot = 1 + PER_K * np.maximum(weather.temperature_c(times_us) - COOL_C, 0.0) * course
        return values * hot + max(target - usual, 0.0) * course

    return staged(
        stage,
        [Drawn(own, from_us, to_us, loaded)],
        victim,
        kind="overload",
        category=Category.ELECTRICAL,
        details={"peak_a": round(target, 1), "limit_a": mildest},
    )
