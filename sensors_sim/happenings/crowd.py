"""Many people, many cars: a festival along some streets, a crowd at one place, a traffic jam."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.limits import Side
from config.vocabulary import Category
from sensors_sim.changes import Added, Made, Scaled, sigmas_of_a_run
from sensors_sim.happenings.common import event, knows, option
from sensors_sim.happenings.places import free_rows, of
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged
from sensors_sim.world import World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

OVER_CAPACITY = 1.8
"""A crowd of strength 1 in the middle, over the mildest limit of its camera: past what is left of free movement."""
TIMES_USUAL = 5.0
"""The same where a camera has no limit: times as many as it counts at that hour."""
CROWD_S = 1800.0
CROWD_RISE = 0.2
CROWD_FALL = 0.1

FESTIVAL_M = 450.0
"""Half the length of the streets that a festival fills."""
FESTIVAL_S = 4 * 3600.0
FESTIVAL_RISE = 0.3
FESTIVAL_FALL = 0.2
CLOSED_TO_CARS = 0.85
"""Share of the vehicles that a closed street loses."""
TALK_DB = 42.0
"""What one person who talks loudly brings at 10 m: 70 dB(A) of sound power (VDI 3770) less 28 dB of the way there."""
MUSIC_DB = 76.0
"""Loudspeakers as they are heard in the middle of a street festival."""

JAM_S = 2700.0
JAM_M = 500.0
JAM_MORE = 1.0
"""So many times more vehicles stand in a picture than flow through it at capacity: twice the density (Greenshields
1935: flow is greatest at half of the jam's)."""
JAM_SPREADS_M_S = 4.5
"""A jam grows backwards at about 16 km/h (Kerner and Rehborn 1996, Physical Review E 53, R4275)."""


def gathers(elapsed_s: Floats, *, lasts_s: float, rise: float, fall: float) -> Floats:
    """0 to 1 and back over a time: people come over the first part of it and leave over the last, both smoothly.

    rise, fall: these parts as shares of the time.
    """
    part = np.asarray(elapsed_s, np.float64) / lasts_s
    come = np.clip(part / rise, 0.0, 1.0)
    gone = np.clip((1 - part) / fall, 0.0, 1.0)
    value: Floats = come**2 * (3 - 2 * come) * gone**2 * (3 - 2 * gone)
    return value


def capacity(stage: Stage, row: int, time_us: int) -> float:
    """People that a camera's place holds: its mildest limit, else some times as many as there are at a time."""
    columns = stage.world.city.columns
    limits = stage.world.city.limits.of(columns.ids[row], "people")
    high = [limit.threshold for limit in limits if limit.side is Side.HIGH]
    if high:
        return min(high)
    usual = float(stage.nature.mean(np.array([row], np.int64), time_us)[0])
    return TIMES_USUAL / OVER_CAPACITY * max(usual, 5.0)


def _around(world: World, row: int, rows: Integers, wide_m: float) -> tuple[Integers, Floats]:
    """Those of some rows within three widths of one, and the share of a crowd's middle that each gets."""
    away = np.hypot(world.east[rows] - world.east[row], world.north[rows] - world.north[row])
    near = away <= 3 * wide_m
    return rows[near], np.exp(-0.5 * (away[near] / wide_m) ** 2)


def crowd(stage: Stage, wish: Wish) -> Staged:
    """Too many people at one camera's place. Strength 1 is 1.8 times what the place holds; ``lasts`` 30 min."""
    knows(wish)
    rows = free_rows(stage, wish, "camera that counts people", "people")
    limited = [row for row in rows if stage.world.city.limits.of(stage.world.city.columns.ids[row], "people")]
    row = stage.pick(limited or rows)
    from_us, lasts_us = stage.onset_us(wish), stage.lasts_us(wish, CROWD_S)
    gathered = OVER_CAPACITY * wish.strength * capacity(stage, row, from_us)
    course = partial(gathers, lasts_s=lasts_us / US_PER_SECOND, rise=CROWD_RISE, fall=CROWD_FALL)
    to_us = min(stage.end_us, from_us + lasts_us)
    change = Added(np.array([row], np.int64), np.array([gathered]), np.zeros(1), from_us, to_us, course)
    details = {"people": round(gathered)}
    return event(stage, (change,), row, kind="crowd", category=Category.CROWD, details=details)


def _louder_db(stage: Stage, rows: Integers, share: Floats, people: float, time_us: int) -> Floats:
    """By how many dB people and their music raise what noise sensors hear at a time: sound powers add (ISO 1996-1)."""
    usual = stage.nature.mean(rows, time_us)
    power = 10 ** (usual / 10) + share * (people * 10 ** (TALK_DB / 10) + 10 ** (MUSIC_DB / 10))
    value: Floats = 10 * np.log10(power) - usual
    return value


def festival(stage: Stage, wish: Wish) -> Staged:
    """A festival fills some streets for hours: people over the capacity of several cameras, few cars, much noise.

    ``lasts`` 4 h; strength 1 is 1.8 times the capacity in the middle. Option ``wide_m``: half its length (450 m).
    """
    knows(wish, "wide_m")
    rows = free_rows(stage, wish, "camera that counts people", "people")
    world, from_us, lasts_us = stage.world, stage.onset_us(wish), stage.lasts_us(wish, FESTIVAL_S)
    wide_m = option(wish, "wide_m", FESTIVAL_M)
    every = np.array(stage.rows("people"), np.int64)
    tried = [rows[index] for index in stage.rng.permutation(len(rows))[:40].tolist()]
    centre = max(tried, key=lambda row: len(_around(world, row, every, wide_m / 2)[0]))
    cameras, share = _around(world, centre, every, wide_m)
    best_us = from_us + int(lasts_us * FESTIVAL_RISE)
    room = np.array([capacity(stage, row, best_us) for row in cameras.tolist()])
    gathered = OVER_CAPACITY * wish.strength * room * share
    cars, cars_share = _around(world, centre, np.array(stage.rows("vehicles"), np.int64), wide_m)
    ears, ears_share = _around(world, centre, np.array(stage.rows("noise"), np.int64), wide_m)
    people = float(gathered.max(initial=0.0))
    course = partial(gathers, lasts_s=lasts_us / US_PER_SECOND, rise=FESTIVAL_RISE, fall=FESTIVAL_FALL)
    to_us = min(stage.end_us, from_us + lasts_us)
    louder = _louder_db(stage, ears, ears_share, people, best_us)
    fewer = -np.minimum(CLOSED_TO_CARS * cars_share * min(wish.strength, 1.0), 1.0)
    changes: tuple[Made, ...] = (
        Added(cameras, gathered, np.zeros(len(cameras)), from_us, to_us, course),
        Scaled(cars, fewer, np.zeros(len(cars)), from_us, to_us, course),
        Added(ears, louder, np.zeros(len(ears)), from_us, to_us, course),
    )
    readings = lasts_us / US_PER_SECOND * (1 - FESTIVAL_RISE) / _interval_s(stage, cameras)
    details = {"people": round(people), "wide_m": wide_m}
    sigmas = max(2.0, sigmas_of_a_run(readings))
    return event(stage, changes, centre, kind="festival", category=Category.CROWD, sigmas=sigmas, details=details)


def _interval_s(stage: Stage, rows: Integers) -> float:
    return float(stage.world.city.columns.interval_s[rows].max(initial=1.0))


def traffic_jam(stage: Stage, wish: Wish) -> Staged:
    """Cars stand: cameras count twice as many, one after the other as the jam grows backwards.

    ``lasts`` 45 min; strength 1 is twice as many.
    """
    knows(wish)
    row = stage.pick(free_rows(stage, wish, "camera that counts vehicles", "vehicles"))
    rows, share = _around(stage.world, row, of(stage, np.arange(len(stage.world.east)), "vehicles"), JAM_M)
    from_us, lasts_us = stage.onset_us(wish), stage.lasts_us(wish, JAM_S)
    world = stage.world
    delay = np.hypot(world.east[rows] - world.east[row], world.north[rows] - world.north[row]) / JAM_SPREADS_M_S
    course = partial(gathers, lasts_s=lasts_us / US_PER_SECOND, rise=0.1, fall=0.3)
    to_us = min(stage.end_us, from_us + lasts_us + int(float(delay.max(initial=0.0)) * US_PER_SECOND))
    more = JAM_MORE * wish.strength * share
    change = Scaled(rows, more, delay, from_us, to_us, course)
    readings = lasts_us / US_PER_SECOND * 0.6 / _interval_s(stage, rows)
    if readings < 2:
        raise CannotError("the jam would be over before a camera has counted twice")
    sigmas = max(2.0, sigmas_of_a_run(readings))
    details = {"times_usual": round(1 + JAM_MORE * wish.strength, 2)}
    return event(stage, (change,), row, kind="traffic_jam", category=Category.TRAFFIC, sigmas=sigmas, details=details)
