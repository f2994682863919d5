"""The weather of a run, made from a kind of sky, a date and a seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter  # type: ignore[import-untyped]  # SciPy ships no types

from config.clock import US_PER_SECOND, to_datetime
from sensors_sim.physics.storm import Vortex, cloudburst_mm_h, rises_and_fades
from sensors_sim.physics.sun import clear_sky, equation_of_time_h, sine_of_elevation, through_clouds
from sensors_sim.physics.weather import Weather
from sensors_sim.scenario import Sky

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MINUTE_US = 60 * US_PER_SECOND
BEFORE_MIN = 3 * 1440
"""Minutes that the weather is known before a run: what walls and drains remember."""
AFTER_MIN = 120

_WARMING_MIN = 180.0
"""Memory of the air near the ground for the sun's warmth: makes it warmest about two and a half hours after noon."""


@dataclass(frozen=True, slots=True)
class Climate:
    """What tells one kind of sky from another.

    warmer_k: than the season's mean. swing_k: what a day's sun adds at most. dry_k: by how much the dew point lies
    below the night's minimum. wind_m_s: mean. gusty: spread of its logarithm over minutes. cloud: mean share of the
    sky. high_hpa: pressure above the season's. turning_deg: how far the wind wanders.
    """

    warmer_k: float
    swing_k: float
    dry_k: float
    wind_m_s: float
    gusty: float
    cloud: float
    high_hpa: float
    turning_deg: float = 25.0


CLIMATES: Mapping[Sky, Climate] = MappingProxyType(
    {
        Sky.FAIR: Climate(0, 14, 2, 2.4, 0.16, 0.3, 3),
        Sky.HEAT: Climate(5, 16, 3, 1.3, 0.25, 0.15, -2, 40),
        Sky.STAGNANT: Climate(-1, 9, 0.5, 0.7, 0.25, 0.55, 9, 60),
        Sky.RAIN: Climate(-1, 10, -0.5, 2.6, 0.28, 0.7, -5, 30),
        Sky.TYPHOON: Climate(1, 8, -1, 3.0, 0.15, 0.8, -3, 15),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Columns of minutes, between which it is linear; the first and the last hold beyond."""

    begin_us: int
    temperature: Floats
    humidity: Floats
    pressure: Floats
    wind: Floats
    wind_from: Floats
    rain: Floats
    daylight: Floats

    def _at(self, column: Floats, times_us: Integers) -> Floats:
        minutes = np.clip((np.asarray(times_us) - self.begin_us) / MINUTE_US, 0.0, len(column) - 1.0)
        low = np.minimum(minutes.astype(np.int64), len(column) - 2)
        part = minutes - low
        value: Floats = column[low] * (1 - part) + column[low + 1] * part
        return value

    def temperature_c(self, times_us: Integers) -> Floats:
        return self._at(self.temperature, times_us)

    def humidity_percent(self, times_us: Integers) -> Floats:
        return self._at(self.humidity, times_us)

    def pressure_hpa(self, times_us: Integers) -> Floats:
        return self._at(self.pressure, times_us)

    def wind_m_s(self, times_us: Integers) -> Floats:
        return self._at(self.wind, times_us)

    def wind_from_deg(self, times_us: Integers) -> Floats:
        value: Floats = self._at(self.wind_from, times_us) % 360
        return value

    def rain_mm_h(self, times_us: Integers) -> Floats:
        return self._at(self.rain, times_us)

    def sun(self, times_us: Integers) -> Floats:
        return self._at(self.daylight, times_us)


def wander(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """A smooth random course: mean 0, standard deviation 1, ``memory`` steps until half forgotten. Shape (count,).

    White noise through two equal first-order filters, x = e / (1 - a B)^2 with a = exp(-1.7 / memory), whose variance
    is (1 + a^2) / (1 - a^2)^3 (Box and Jenkins, Time Series Analysis, 3.2). A longer course begins as a shorter one.
    """
    keep = np.exp(-1.7 / max(memory, 1.0))
    settle = int(8 * memory)
    noise = rng.standard_normal(settle + count)
    course = lfilter([1.0], [1.0, -2 * keep, keep * keep], noise)[settle:]
    value: Floats = course * np.sqrt((1 - keep**2) ** 3 / (1 + keep**2))
    return value


def saturation_hpa(temperature_c: Floats) -> Floats:
    """Vapour pressure that air can hold over water: 6.112 exp(17.62 t / (243.12 + t)) (WMO-No. 8, annex 4.B)."""
    value: Floats = 6.112 * np.exp(17.62 * temperature_c / (243.12 + temperature_c))
    return value


def season_c(day_of_year: Floats, latitude_deg: float) -> Floats:
    """Mean temperature of the season: a yearly wave with its crest on the 19th of July, half a year later in the south.

    Mean 31.5 - 0.48 * latitude and amplitude 0.46 * latitude - 2.5 follow the normals of Guangzhou, Changsha, Shanghai
    and Beijing within about 3 K; kept between the tropics' and the far north's.
    """
    height = min(max(abs(latitude_deg), 8.0), 60.0)
    turn = 200.0 if latitude_deg >= 0 else 17.0
    wave = np.cos(2 * np.pi * (day_of_year - turn) / 365)
    value: Floats = 31.5 - 0.48 * height + (0.46 * height - 2.5) * wave
    return value


@dataclass(slots=True, eq=False)
class _Making:
    """The weather while it is made: minutes since the beginning of the run, and what has been decided for each."""

    sky: Sky
    climate: Climate
    seed: int
    latitude_deg: float
    length_min: int
    minutes: Floats
    day: Floats
    hour: Floats
    cloud: Floats
    rain: Floats
    chill: Floats
    lift_hpa: Floats
    wind_east: Floats
    wind_north: Floats
    soaked: Floats

    def rng(self, own: int) -> np.random.Generator:
        """Numbers for one process alone, so that none depends on how long another is."""
        return np.random.default_rng([self.seed, 11, own])

    def wander(self, own: int, memory: float) -> Floats:
        return wander(self.rng(own), len(self.minutes), memory)


def _local(begin_us: int, count: int, zone: ZoneInfo) -> tuple[Floats, Floats]:
    """Day of the year and hour by the sun on the zone's meridian, for each minute; summer time does not move it."""
    local = to_datetime(begin_us).astimezone(zone)
    standard = (local.utcoffset() or timedelta(0)) - (local.dst() or timedelta(0))
    stood = to_datetime(begin_us).replace(tzinfo=None) + standard
    hours = np.arange(count) / 60 + stood.hour + stood.minute / 60 + stood.second / 3600
    days = stood.timetuple().tm_yday + hours / 24
    return days, (hours + equation_of_time_h(days)) % 24


def _winds(making: _Making) -> None:
    climate = making.climate
    by_day = 1 + 0.35 * np.cos((making.hour - 14.5) * (np.pi / 12))
    slow = np.exp(0.2 * making.wander(1, 360) - 0.02)
    gusts = np.exp(climate.gusty * making.wander(2, 4) - climate.gusty**2 / 2)
    speed = climate.wind_m_s * by_day * slow * gusts
    prevailing = making.rng(3).uniform(0, 360)
    bearing = np.radians(prevailing + climate.turning_deg * (making.wander(4, 240) + 0.3 * making.wander(5, 8)))
    making.wind_east = -speed * np.sin(bearing)
    making.wind_north = -speed * np.cos(bearing)


def _fronts(making: _Making) -> None:
    """Fronts one after another, each with its gust front, its shower, and the rain that stays behind it.

    Some minutes before the rain the air that fell with it arrives: colder by some kelvins, gusty, under a pressure 1 to
    3 hPa higher (Wakimoto 1982, Mon. Wea. Rev. 110, 1060). The first comes within the first third of a short run, the
    others half a day to a day and a half apart.
    """
    rng = making.rng(6)
    onset = float(rng.uniform(0.15, 0.33)) * min(making.length_min, 600)
    cells = np.exp(0.5 * making.wander(7, 7) - 0.125)
    while onset < making.length_min + AFTER_MIN:
        since = making.minutes - onset
        lasts = float(rng.uniform(50, 130))
        shower = cloudburst_mm_h(
            since, lasts_min=lasts, return_years=float(np.exp(rng.uniform(np.log(0.08), np.log(0.7))))
        )
        steady = rng.uniform(1, 4) * rises_and_fades(since, rise_min=40, fade_min=rng.uniform(90, 240))
        making.rain += (shower + np.where(since < 900, steady, 0) * np.clip((900 - since) / 60, 0, 1)) * cells
        gust = rises_and_fades(since + 12, rise_min=3, fade_min=25)
        blow, bearing = rng.uniform(6, 12), rng.uniform(0, 2 * np.pi)
        making.wind_east += blow * gust * np.sin(bearing)
        making.wind_north += blow * gust * np.cos(bearing)
        making.lift_hpa += rng.uniform(1, 3) * rises_and_fades(since + 12, rise_min=6, fade_min=60)
        making.lift_hpa -= rng.uniform(1, 4) * np.exp(-0.5 * (since / 240) ** 2)
        making.chill += rng.uniform(3, 7) * rises_and_fades(since + 12, rise_min=8, fade_min=300)
        making.cloud = np.maximum(making.cloud, np.exp(-0.5 * (np.clip(np.abs(since - 60) - 180, 0, None) / 120) ** 2))
        making.soaked = np.maximum(making.soaked, rises_and_fades(since + 5, rise_min=15, fade_min=400))
        onset += float(rng.uniform(700, 2200))


def _typhoon(making: _Making) -> None:
    rng = making.rng(8)
    vortex = Vortex(
        deficit_hpa=float(rng.uniform(34, 46)),
        calm_km=float(rng.uniform(35, 50)),
        shape=float(rng.uniform(1.2, 1.5)),
        speed_m_s=float(rng.uniform(4, 7)),
        heading_deg=float(rng.uniform(280, 330)),
        miss_km=float(rng.choice([-1, 1]) * rng.uniform(25, 70)),
    )
    nearest_min = float(rng.uniform(0.45, 0.6)) * min(making.length_min, 5 * 1440)
    seconds = (making.minutes - nearest_min) * 60
    distance = np.hypot(*vortex.away(seconds))
    east, north = vortex.wind(seconds, making.latitude_deg)
    # what blows anyway gives way to the storm
    weak = np.clip(1 - np.hypot(east, north) / 12, 0.0, 1.0)
    gusts = np.exp(making.climate.gusty * making.wander(2, 4) - making.climate.gusty**2 / 2)
    making.wind_east = making.wind_east * weak + east * gusts
    making.wind_north = making.wind_north * weak + north * gusts
    making.lift_hpa += vortex.pressure_hpa(distance)
    # spiral bands: heavy and hardly any rain take turns, the mean stays
    making.rain += vortex.rain_mm_h(distance) * np.exp(0.9 * making.wander(7, 12) - 0.405)
    near = np.exp(-distance / 400_000)
    making.cloud = np.maximum(making.cloud, np.clip(1.6 * near, 0, 1))
    making.chill += 3 * near
    making.soaked = np.maximum(making.soaked, np.clip(1.5 * near, 0, 1))


def _air(making: _Making) -> tuple[Floats, Floats, Floats]:
    """Temperature, relative humidity and daylight of each minute.

    The air near the ground warms with the sun and forgets it in three hours (a first-order response, as of the surface
    layer in Stull 1988, An Introduction to Boundary Layer Meteorology, ch. 7): coldest at dawn, warmest after noon,
    and hardly a rhythm under clouds. Its water stays nearly the same all day, so relative humidity runs against it.
    """
    climate = making.climate
    clear = clear_sky(sine_of_elevation(making.day, making.hour, making.latitude_deg))
    daylight = clear * through_clouds(making.cloud)
    keep = np.exp(-1 / _WARMING_MIN)
    warmth = lfilter([1 - keep], [1.0, -keep], daylight)
    sums = np.concatenate((np.zeros(1), np.cumsum(clear)))
    usual = (sums[1440:] - sums[:-1440]) / 1440  # what a clear day brings, of the day before each minute
    usual = np.concatenate((np.full(len(clear) - len(usual), usual[0]), usual))
    season = season_c(making.day, making.latitude_deg)
    mass = 1.2 * making.wander(9, 1800)
    temperature = season + climate.warmer_k + mass + climate.swing_k * (warmth - usual) - making.chill
    dew = season + climate.warmer_k + mass - climate.swing_k * usual - climate.dry_k + 0.8 * making.wander(10, 900)
    wet = np.clip(making.soaked, 0.0, 1.0)
    dew = dew * (1 - wet) + (temperature - 0.6) * wet
    # fog keeps the nights from getting drier than saturated
    humidity = 100 * saturation_hpa(np.minimum(dew, temperature - 0.3)) / saturation_hpa(temperature)
    return temperature, np.clip(humidity, 3.0, 100.0), daylight


def _pressure(making: _Making) -> Floats:
    """At sea level: the season's, what passes, and the tide of the air.

    The tide comes twice a day, 1.16 hPa * cos(latitude)^3, highest about ten o'clock (Haurwitz and Cowley 1973, Pure
    and Applied Geophysics 102, 193). Winters in East Asia are about 20 hPa higher than summers.
    """
    tide = 1.16 * np.cos(np.radians(making.latitude_deg)) ** 3 * np.cos((making.hour - 9.8) * (np.pi / 6))
    turn = 200.0 if making.latitude_deg >= 0 else 17.0
    season = 1014 - 10 * np.cos(2 * np.pi * (making.day - turn) / 365)
    value: Floats = season + making.climate.high_hpa + 2.5 * making.wander(13, 1500) + tide + making.lift_hpa
    return value


def make_weather(  # noqa: PLR0917 - what a weather depends on, and nothing else
    sky: Sky, seed: int, start_us: int, end_us: int, zone: ZoneInfo, latitude_deg: float
) -> Weather:
    """The weather between two times (int microseconds), known also some days before and two hours after.

    The sun stands highest at noon of the zone's standard time (and the equation of time), wherever in the zone the city
    lies. latitude_deg: negative in the south. The same arguments always give the same weather; everything is
    continuous. Rain fronts and the typhoon come within the run however short it is; in fair weather it never rains.
    """
    length = int(np.ceil((end_us - start_us) / MINUTE_US))
    begin_us = start_us - BEFORE_MIN * MINUTE_US
    count = BEFORE_MIN + length + AFTER_MIN
    day, hour = _local(begin_us, count, zone)
    climate = CLIMATES[sky]
    making = _Making(
        sky, climate, seed, latitude_deg, length, np.arange(count, dtype=np.float64) - BEFORE_MIN, day, hour,
        *(np.zeros(count) for _ in range(7)),
    )  # fmt: skip
    sway = making.wander(14, 200)
    making.cloud = 1 / (1 + np.exp(-(np.log(climate.cloud / (1 - climate.cloud)) + 0.9 * sway)))
    _winds(making)
    if sky is Sky.RAIN:
        _fronts(making)
    if sky is Sky.TYPHOON:
        _typhoon(making)
    temperature, humidity, daylight = _air(making)
    speed = np.maximum(np.hypot(making.wind_east, making.wind_north), 0.2)
    bearing = np.unwrap(np.arctan2(-making.wind_east, -making.wind_north))
    return _Table(
        begin_us=begin_us,
        temperature=temperature,
        humidity=humidity,
        pressure=_pressure(making),
        wind=speed,
        wind_from=np.degrees(bearing),
        rain=np.maximum(making.rain, 0.0),
        daylight=daylight,
    )
