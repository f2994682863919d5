"""Quiet districts and their readings, for the tests of this folder."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.clock import US_PER_SECOND, from_datetime
from sensors_sim.model import District
from sensors_sim.physics.sky import make_weather
from sensors_sim.physics.weather import Weather
from sensors_sim.scenario import Sky
from sensors_sim.world import world_of
from tests.sensors_sim.cities import make_city

ZONE = ZoneInfo("Asia/Shanghai")
DAY_US = 86_400 * US_PER_SECOND
MINUTE_US = 60 * US_PER_SECOND
LATITUDE = 30.0


def local_us(month: int, day: int, hour: int = 0, zone: ZoneInfo = ZONE) -> int:
    """A local time of 2026."""
    return from_datetime(datetime(2026, month, day, hour, tzinfo=zone))


@cache
def weather_of(sky: Sky, seed: int, start_us: int, days: float) -> Weather:
    """At 30 degrees north in China."""
    return make_weather(sky, seed, start_us, start_us + int(days * DAY_US), ZONE, LATITUDE)


def district_of(
    city: City, seed: int, start_us: int, *, days: float = 1, sky: Sky = Sky.FAIR, holiday: bool = False
) -> District:
    """A quiet district under a sky."""
    return District(world_of(city), seed, start_us, weather_of(sky, seed, start_us, days), holiday=holiday)


@dataclass(frozen=True)
class Run:
    """Readings as columns in order of time."""

    city: City
    sensors: NDArray[np.int64]
    times_us: NDArray[np.int64]
    values: NDArray[np.float64]

    def of(self, quantity: str) -> list[NDArray[np.float64]]:
        """The values of every sensor of a quantity."""
        rows = [sensor.index for sensor in self.city.sensors if sensor.quantity == quantity]
        return [self.values[self.sensors == row] for row in rows]


def run(district: District, start_us: int, days: float, *, tick_us: int = MINUTE_US, shown: bool = True) -> Run:
    """Let a district live for some days."""
    parts = []
    for begin_us in range(start_us, start_us + int(days * DAY_US), tick_us):
        sensors, times_us = district.take_due(begin_us + tick_us)
        values = district.sample(sensors, times_us, begin_us + tick_us)
        parts.append((sensors, times_us, district.shown(sensors, values) if shown else values))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Run(district.city, columns[0], columns[1], columns[2])


def one_box(*quantities: str, interval_s: float = 60, side: int = 1, crowd_limit: float = 60) -> City:
    """A small city with these quantities in every grid."""
    return make_city(tuple((name, interval_s) for name in quantities), side=side, crowd_limit=crowd_limit)
