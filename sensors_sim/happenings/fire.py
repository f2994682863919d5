"""Fires, and what only looks like one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.vocabulary import Category
from sensors_sim.changes import Drawn, Made, Traced
from sensors_sim.happenings.common import choice, knows
from sensors_sim.happenings.places import below_the_wind, both, free_rows, lattice, of, seconds, staged
from sensors_sim.physics.events import GROWTH_KW_S2, fire_kw, flame_m, in_view
from sensors_sim.physics.noise import unit_hash
from sensors_sim.physics.plume import AIR_J_KG_K, AIR_KG_M3, downwind, plume, stability
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PEAK_KW = 6_000.0
"""What a shop or a flat on fire releases by its openings: some megawatts (SFPE Handbook, fires ruled by their air)."""
FADES_S = 600.0
"""Time constant of a fire that is being put out."""
FADED_S = 2_400.0
HEAT_KJ_KG = 18_000.0
"""Effective heat of combustion of a mix of wood and plastics (SFPE Handbook: wood 13, polystyrene 27 MJ/kg)."""
SOOT = 0.05
"""Soot per fuel burnt, of the same mix (Tewarson, SFPE Handbook: wood 0.015, foams 0.1 to 0.2)."""
COARSE = 1.15
"""PM10 for each PM2.5 of a fresh smoke: nearly all of it is fine."""
CONVECTED = 0.7
"""Share of the heat that goes with the smoke; the rest is radiated (Heskestad 1983)."""
SMOKE_REACH_M = 3_000.0
STANDING = 4.0
"""The column of smoke that can be seen is some times as high as the flames."""
SMOKE_HALF_RAD = 0.1
FLAME_HALF_RAD = 0.05
"""At this angle a classifier is as sure as not; see ``in_view``. Flames have an outline, smoke has none."""
SUREST = 0.98
FLICKER = 0.12
"""How far a score jumps from frame to frame while the classifier hesitates."""
SEES_M = 150.0
"""As far as a street's camera sees anything for certain; houses stand in the way of most."""
HALF_SEES_M = 400.0
STREET_M = 12.0
_TRIED = 100


@dataclass(frozen=True, slots=True)
class Blaze:
    """A fire that is staged. east, north: metres of the world. from_us: ignition; out_us: when it is fought down."""

    east: float
    north: float
    from_us: int
    out_us: int
    growth_kw_s2: float
    peak_kw: float

    def heat_kw(self, times_us: Integers) -> Floats:
        """What it releases at some times."""
        return fire_kw(
            seconds(self.from_us, times_us),
            growth_kw_s2=self.growth_kw_s2,
            peak_kw=self.peak_kw,
            burns_s=(self.out_us - self.from_us) / US_PER_SECOND,
            fades_s=FADES_S,
        )

    @property
    def to_us(self) -> int:
        """When nothing of it is left."""
        return self.out_us + round(FADED_S * US_PER_SECOND)


def watched(stage: Stage, blaze: Blaze, cameras: Integers, *, flames: bool) -> Drawn:
    """What cameras make of a fire: they become surer as smoke or flames grow, hesitating from frame to frame."""
    # no camera looks at the wall that it hangs on: it sees the other side of a street
    away = np.maximum(
        np.hypot(stage.world.east[cameras] - blaze.east, stage.world.north[cameras] - blaze.north), STREET_M
    )
    half = FLAME_HALF_RAD if flames else SMOKE_HALF_RAD

    def scored(which: Integers, times_us: Integers, values: Floats) -> Floats:
        size = flame_m(blaze.heat_kw(times_us)) * (1.0 if flames else STANDING)
        sure = in_view(size, away[which], half_rad=half)
        jump = unit_hash(cameras[which], times_us // US_PER_SECOND) - 0.5
        # surest at both ends: who is certain does not hesitate
        seen = SUREST * np.clip(sure + FLICKER * 4 * sure * (1 - sure) * jump, 0, 1)
        return np.maximum(values, seen)

    return Drawn(cameras, blaze.from_us, blaze.to_us, scored)


def _carried(stage: Stage, blaze: Blaze, wide_m: float, *quantities: str) -> list[Made]:
    """What stations downwind measure of a fire: fine and coarse particles, or its heat."""
    world, weather = stage.world, stage.weather
    times, step_us = lattice(blaze.from_us, min(stage.end_us, blaze.to_us))
    wind, classes = weather.wind_m_s(times), stability(weather.wind_m_s(times), weather.sun(times))
    near = np.flatnonzero(np.hypot(world.east - blaze.east, world.north - blaze.north) <= SMOKE_REACH_M)
    near = near[~world.indoor[near]]
    changes: list[Made] = []
    for quantity in quantities:
        rows = of(stage, near, quantity)
        if not rows.size:
            continue
        along, across = downwind(
            world.east[rows] - blaze.east, world.north[rows] - blaze.north, weather.wind_from_deg(times)[:, np.newaxis]
        )
        started = times[:, np.newaxis] - np.maximum(along, 0) / wind[:, np.newaxis] * US_PER_SECOND
        share = plume(
            along,
            across,
            wind_m_s=wind[:, np.newaxis],
            classes=classes[:, np.newaxis],
            height_m=HOUSE_M,
            wide_m=wide_m / 4.3,
            high_m=HOUSE_M / 2.15,
        )
        heat_kw = np.where(started >= blaze.from_us, blaze.heat_kw(started.astype(np.int64)), 0.0)
        if quantity == "temperature":
            table = CONVECTED * heat_kw * 1_000 * share / (AIR_KG_M3 * AIR_J_KG_K)
        else:
            table = heat_kw / HEAT_KJ_KG * SOOT * share * 1e9 * (COARSE if quantity == "pm10" else 1.0)
        changes.append(Traced(rows, table, step_us, int(times[0]), int(times[-1])))
    return changes


HOUSE_M = 12.0
"""Smoke leaves by windows and doors and is drawn down in the lee of the house: it starts at about this height, spread
over the house (initial spreads of a volume source: width / 4.3 and height / 2.15, U.S. EPA 1995, ISC3 guide)."""


def fire(stage: Stage, wish: Wish) -> Staged:
    """A house burns in view of a camera.

    It grows with the square of time (NFPA 92) to 6 MW times the strength. Cameras within 150 m see it, half of those up
    to 400 m do; smoke first, then flames. Fine and coarse particles reach the stations downwind, one after the other,
    at the speed of the wind, and so does a little warmth. The truth tells the smoke at the stations as an episode of
    its own, since polluted air calls for other people. lasts_s: until it is being put out, usually 40 min. options:
    ``growth``: medium, slow, fast, ultrafast.
    """
    knows(wish, "growth")
    world = stage.world
    cameras = free_rows(stage, wish, "camera that tells smoke or fire", "smoke_score", "fire_score")
    growth = choice(wish, "growth", ("medium", "slow", "fast", "ultrafast"))
    from_us = stage.onset_us(wish)
    victim = stage.pick(_upwind_of_stations(stage, cameras, from_us))
    bearing, away = float(stage.rng.uniform(0, 2 * np.pi)), float(stage.rng.uniform(15, 45))
    blaze = Blaze(
        east=float(world.east[victim] + away * np.sin(bearing)),
        north=float(world.north[victim] + away * np.cos(bearing)),
        from_us=from_us,
        out_us=from_us + stage.lasts_us(wish, 2_400.0),
        growth_kw_s2=GROWTH_KW_S2[growth],
        peak_kw=PEAK_KW * wish.strength,
    )
    changes: list[Made] = []
    for quantity in ("smoke_score", "fire_score"):
        rows = in_sight(stage, blaze, of(stage, np.arange(len(world.east)), quantity))
        if rows.size:
            changes.append(watched(stage, blaze, rows, flames=quantity == "fire_score"))
    changes += _carried(stage, blaze, 20.0, "temperature")
    smoke = _carried(stage, blaze, 20.0, "pm25", "pm10")
    details: dict[str, float | str] = {"growth": growth, "peak_kw": blaze.peak_kw, "distance_m": round(away)}
    seen = staged(stage, changes, victim, kind="fire", category=Category.FIRE, details=details)
    try:
        smelt = staged(stage, smoke, None, kind="fire", category=Category.AIR_POLLUTION, details=details)
    except CannotError:  # no station is near enough downwind: cameras alone tell
        return seen
    return both(seen, smelt)


def _upwind_of_stations(stage: Stage, cameras: list[int], from_us: int) -> list[int]:
    """Those of some cameras from which the wind blows towards a station, if there are any: a fire that many see."""
    world = stage.world
    stations = np.array(stage.rows("pm25", "pm10"), np.int64)
    tried = np.array(cameras, np.int64)
    if len(tried) > _TRIED:
        tried = np.sort(stage.rng.choice(tried, _TRIED, replace=False))
    from_deg = float(stage.weather.wind_from_deg(np.array([from_us], np.int64))[0])
    places_m = np.column_stack((world.east[tried], world.north[tried]))
    seen = below_the_wind(stage, stations, places_m, from_deg, reach_m=SMOKE_REACH_M / 2, slope=0.15)
    return tried[seen > 0].tolist() or cameras


def in_sight(stage: Stage, blaze: Blaze, cameras: Integers) -> Integers:
    """Which cameras see a fire: all within SEES_M, and every second box of those up to HALF_SEES_M."""
    away = np.hypot(stage.world.east[cameras] - blaze.east, stage.world.north[cameras] - blaze.north)
    box = stage.world.city.columns.device.code[cameras].astype(np.int64)
    salt = int(stage.rng.integers(1 << 30))
    turned = unit_hash(box, np.full(box.shape, salt, np.int64)) < 0.5
    return cameras[(away <= SEES_M) | ((away <= HALF_SEES_M) & turned)]


def false_fire(stage: Stage, wish: Wish) -> Staged:
    """What only looks like a fire: nothing happened, no sensor is broken, and the truth names no episode for it.

    A temptation: whoever raises an alarm here raises a false one, since the truth does not name the camera. One camera
    alone sees it, and at the usual strength it passes no limit for as long as limits ask. Low sun on a wall glows for a
    quarter of an hour, up to a score of 0.6; steam of a kitchen comes in puffs of half a minute, up to 0.7; welding
    flashes in single frames, up to 0.9. lasts_s: of it all, usually 15 min. strength: times the score, which ends at
    0.98. options: ``cause``: any, glare, steam, welding.
    """
    knows(wish, "cause")
    cause = choice(wish, "cause", ("any", "glare", "steam", "welding"))
    if cause == "any":
        cause = ("glare", "steam", "welding")[int(stage.rng.integers(3))]
    victim = stage.pick(free_rows(stage, wish, "camera that tells smoke", "smoke_score"))
    from_us = stage.onset_us(wish)
    to_us = from_us + stage.lasts_us(wish, 900.0)
    if from_us >= stage.end_us:
        raise CannotError("the run ends before it begins")
    salt = int(stage.rng.integers(1 << 30))
    frame_s = float(stage.world.city.columns.interval_s[victim])
    most = {"glare": 0.6, "steam": 0.7, "welding": 0.9}[cause] * wish.strength

    def scored(which: Integers, times_us: Integers, values: Floats) -> Floats:  # noqa: ARG001 - there is one
        part = (times_us - from_us) / (to_us - from_us)
        if cause == "glare":
            share = np.sin(np.pi * part)
        elif cause == "steam":
            puff = (times_us - from_us) // (30 * US_PER_SECOND)
            share = _drawn(puff, salt) * (_drawn(puff, salt + 1) < 0.4)
        else:
            # a flash fills one frame in ten: never two in a row, however often the camera looks
            frame = (times_us - from_us) // round(10 * frame_s * US_PER_SECOND)
            within = (times_us - from_us) % round(10 * frame_s * US_PER_SECOND)
            share = (0.7 + 0.3 * _drawn(frame, salt)) * (within < round(0.9 * frame_s * US_PER_SECOND))
        return np.maximum(values, np.minimum(most * share, SUREST))

    stage.reserve([victim])
    return Staged(changes=(Drawn(np.array([victim], np.int64), from_us, to_us, scored),))


def _drawn(number: Integers, salt: int) -> Floats:
    return unit_hash(number, np.full(number.shape, salt, np.int64))
