"""The air of a whole city, and smoke that the wind brings from its edge."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.vocabulary import Category
from sensors_sim.changes import Added, Made, Scaled, Traced
from sensors_sim.happenings.common import by_quantity, knows
from sensors_sim.happenings.places import below_the_wind, free_rows, lattice, of, staged
from sensors_sim.physics.events import plateau
from sensors_sim.physics.plume import downwind, plume, stability
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HAZE_UGM3 = {"pm25": 260.0, "pm10": 330.0}
"""What a winter haze adds: hourly fine particles of 300 to 600 µg/m³ were common in Beijing in January 2013 (Zheng et
al. 2015, Atmospheric Chemistry and Physics 15, 2969); four fifths of the coarser ones are fine ones."""
HAZE_SHARE = {"o3": -0.6, "no2": 0.5, "co_air": 1.2}
"""Gases under a haze: no sun and fresh nitric oxide use up ozone, what chimneys and cars let out stays."""
HAZE_WIND_M_S = 1.2
"""The wind at which a haze is as thick as above: a box of air over a city holds what it lets out in inverse proportion
to the wind (Hanna 1971, J. Air Pollution Control Association 21, 774)."""
HAZE_PARTS = (0.45, 0.25, 0.12)
"""Of its time: rise, full strength, and the time constant of its end."""
EXCESS_SHARE = 0.12
EXCESS = 1.4
"""At every eighth station something near adds to it."""


def air_episode(stage: Stage, wish: Wish) -> Staged:
    """A regional haze: fine and coarse particles rise for hours over the whole city, ozone falls.

    It drifts in with the wind, station after station, rises by 260 µg/m³ of PM2.5 times the strength in a wind of 1.2
    m/s (less in more wind), stands, and is cleared. At one station in eight something near adds up to four tenths.
    lasts_s: from its first trace until it clears, usually 14 h. place: a grid, whose stations alone are hit then.
    """
    knows(wish)
    world, weather = stage.world, stage.weather
    rows = np.array(sorted(free_rows(stage, wish, "pm25 or pm10 sensor", "pm25", "pm10")), np.int64)
    from_us = stage.onset_us(wish)
    lasts_s = stage.lasts_us(wish, 50_400.0) / US_PER_SECOND
    times = np.linspace(from_us, from_us + lasts_s * US_PER_SECOND, 50).astype(np.int64)
    wind = float(weather.wind_m_s(times).mean())
    heading = np.radians(weather.wind_from_deg(times))
    from_deg = float(np.degrees(np.arctan2(np.sin(heading).mean(), np.cos(heading).mean())) % 360)
    rise, hold, fall = (lasts_s * part for part in HAZE_PARTS)
    course = partial(plateau, rise_s=rise, hold_s=hold, fall_s=fall)
    thick = wish.strength * float(np.clip(HAZE_WIND_M_S / wind, 0.4, 1.3))
    to_us = from_us + round((lasts_s * (1 + 2 * HAZE_PARTS[2])) * US_PER_SECOND)

    def delay_s(which: Integers) -> Floats:
        along, _ = downwind(world.east[which], world.north[which], np.array(from_deg))
        # what drifts in meets what gathers everywhere: no station waits longer than a seventh of it all
        late: Floats = np.minimum((along - along.min(initial=0.0)) / max(wind, 0.5), lasts_s / 7)
        return late

    local = _local_excess(stage)
    gain = by_quantity(world, rows, HAZE_UGM3) * thick * local[world.city.columns.device.code[rows]]
    changes: list[Made] = [Added(rows, gain, delay_s(rows), from_us, to_us, course)]
    if wish.place is None:
        gases = of(stage, np.arange(len(world.east)), *HAZE_SHARE)
        if gases.size:
            share = np.clip(by_quantity(world, gases, HAZE_SHARE) * thick, -0.8, 3.0)
            changes.append(Scaled(gases, share, delay_s(gases), from_us, to_us, course))
    middle = np.hypot(world.east[rows] - world.east[rows].mean(), world.north[rows] - world.north[rows].mean())
    return staged(
        stage,
        changes,
        int(rows[middle.argmin()]),
        kind="air_episode",
        category=Category.AIR_POLLUTION,
        details={"wind_m_s": round(wind, 1), "wind_from_deg": round(from_deg), "pm25_more": round(260 * thick)},
    )


def _local_excess(stage: Stage) -> Floats:
    """How much of a haze each box gets, shape (boxes,): about 1, and up to 1.4 where something near adds to it."""
    boxes = len(stage.world.city.columns.device.names)
    spread = np.exp(0.06 * stage.rng.standard_normal(boxes).clip(-2, 2))
    more = np.where(stage.rng.random(boxes) < EXCESS_SHARE, stage.rng.uniform(1.15, EXCESS, boxes), 1.0)
    return spread * more


STRAW_KG_S = 1.4
"""A hectare with five tonnes of straw that burns for an hour."""
STRAW_G_KG = {"pm25": 11.7, "pm10": 13.0, "co_air": 45.0}
"""Let out per kg of straw: 11.7 ± 1.0 g of fine particles from maize, which are nearly all particles (Li et al. 2007,
Environmental Science & Technology 41, 6052); 27 to 47 g of carbon monoxide from rice, wheat and barley (open burning of
dry straw, Atmospheric Environment 2014, doi 10.1016/j.atmosenv.2014.06.023)."""
FIELD_M = 60.0
"""How wide the field burns."""
PLUME_RISE_M = 15.0
"""A low, smouldering fire in the field lifts its smoke little."""
PLUME_REACH_M = 8_000.0
_TRIED = 60
_AWAY_M = (400.0, 700.0, 1_100.0)


def smoke_plume(stage: Stage, wish: Wish) -> Staged:
    """Somebody burns straw or waste upwind: the stations under the plume are hit one after the other.

    1.4 kg/s times the strength for an hour (lasts_s), then it smoulders out; the wind of each moment carries the smoke,
    which spreads as a Gaussian plume over a city. Of the places 400 to 1,100 m upwind of a station the one is taken
    from which most stations are hit.
    """
    knows(wish)
    world, weather = stage.world, stage.weather
    stations = np.array(sorted(free_rows(stage, wish, "pm25 or pm10 sensor", "pm25", "pm10")), np.int64)
    from_us = stage.onset_us(wish)
    out_us = from_us + stage.lasts_us(wish, 3_600.0)
    times, step_us = lattice(from_us, min(stage.end_us, out_us + 7_200 * US_PER_SECOND), finest_s=30.0)
    victim, east, north = _upwind(stage, stations, times)
    everything = of(stage, np.arange(len(world.east)), *STRAW_G_KG)
    near = everything[np.hypot(world.east[everything] - east, world.north[everything] - north) <= PLUME_REACH_M]
    near = near[~world.indoor[near]]
    wind, from_deg = weather.wind_m_s(times), weather.wind_from_deg(times)
    along, across = downwind(world.east[near] - east, world.north[near] - north, from_deg[:, np.newaxis])
    share = plume(
        along,
        across,
        wind_m_s=wind[:, np.newaxis],
        classes=stability(wind, weather.sun(times))[:, np.newaxis],
        height_m=PLUME_RISE_M,
        wide_m=FIELD_M / 4.3,
        high_m=PLUME_RISE_M / 2.15,
    )
    since = (times[:, np.newaxis] - from_us) / US_PER_SECOND - np.maximum(along, 0) / wind[:, np.newaxis]
    burning = plateau(since, rise_s=600.0, hold_s=max(1.0, (out_us - from_us) / US_PER_SECOND - 600), fall_s=900.0)
    let_out = by_quantity(world, near, STRAW_G_KG) * STRAW_KG_S * wish.strength
    table = (burning * share * let_out * 1e6).astype(np.float32)  # g to µg
    return staged(
        stage,
        [Traced(near, table, step_us, int(times[0]), int(times[-1]))],
        victim,
        kind="smoke_plume",
        category=Category.AIR_POLLUTION,
        details={
            "straw_kg_s": STRAW_KG_S * wish.strength,
            "east_m": round(east),
            "north_m": round(north),
            "wind_m_s": round(float(wind.mean()), 1),
            "wind_from_deg": round(float(from_deg[0])) % 360,
        },
    )


def _upwind(stage: Stage, stations: Integers, times_us: Integers) -> tuple[int, float, float]:
    """(station, east, north of a fire upwind of it): of some tried, the one that most stations see."""
    world, weather = stage.world, stage.weather
    if not stations.size:
        raise CannotError("the city has no free pm25 or pm10 sensor")
    tried = stage.rng.choice(stations, min(len(stations), _TRIED), replace=False)
    first = times_us[: max(1, len(times_us) // 3)]
    heading = np.radians(weather.wind_from_deg(first))
    from_rad = float(np.arctan2(np.sin(heading).mean(), np.cos(heading).mean()))
    best: tuple[int, float, float] | None = None
    most = -1
    for away in _AWAY_M:
        east = world.east[tried] + away * np.sin(from_rad)
        north = world.north[tried] + away * np.cos(from_rad)
        places_m = np.column_stack((east, north))
        hit = below_the_wind(stage, stations, places_m, np.degrees(from_rad), reach_m=3_000, slope=0.2)
        counts = np.minimum(hit, 8)
        index = int(counts.argmax())
        if counts[index] > most:
            most, best = int(counts[index]), (int(tried[index]), float(east[index]), float(north[index]))
    if best is None:
        raise CannotError("the city has no place upwind of a station")
    return best
