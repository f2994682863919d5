"""What a whole city shares at each minute, beyond the bare weather: lags, drains, traffic, the air's load."""

from collections.abc import Mapping
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter  # type: ignore[import-untyped]  # SciPy ships no types

from config.clock import US_PER_SECOND
from sensors_sim.physics.rhythm import Week, over_days
from sensors_sim.physics.sky import BEFORE_MIN, saturation_hpa
from sensors_sim.physics.weather import Weather

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MINUTE_US = 60 * US_PER_SECOND
_DAY_MIN = 1440
PUMPED_MM_H = 25.0
"""A sound pump of an underpass holds the water where it stands at that rain: below the line for driving slowly."""
_USUAL_WIND = 2.4
_VENT_S = 3 * 3600.0
"""How long the air of a city stays in it on a usual day: 20 km at 2 m/s."""

# fmt: off
SPANS: Mapping[str, tuple[float, float]] = MappingProxyType({
    # name: lowest and highest in fair weather between 20 and 45 degrees of latitude
    "one": (1, 1),
    "air": (-15, 42),
    "indoor_air": (14, 31),
    "heat_island": (0, 1.6),
    "damp": (15, 100),
    "indoor_damp": (5, 100),
    "pressure": (985, 1050),
    "wind": (0.2, 18),
    "rain_hour": (0, 0),
    "daylight": (0, 110_000),
    "lamps": (0, 1),
    "din": (-15, 1),
    "runoff": (0, 0),
    "ponded": (0, 0),
    "sewage": (0, 1),
    "wall": (-30, 35),
    "deck": (-15, 45),
    "shake": (0.2, 2.5),
    "zero": (-35, 25),
    "indoor_zero": (-6, 11),
    "oxygen": (19.9, 20.95),
    "traffic": (0, 1),
    "outdoors": (0, 1),
    "roads": (0, 1),
    "fine": (0.3, 1.7),
    "coarse": (0.3, 1.9),
    "sulphur": (0.3, 2.2),
    "nitrogen": (0.15, 2.4),
    "ozone": (0.1, 3.0),
    "monoxide": (0.3, 2.2),
    "picture": (0, 1),
    "murk": (0, 0),
    "low_sun": (0, 1),
})
# fmt: on
"""Every course with its range on quiet days."""

COURSES: Mapping[str, int] = MappingProxyType({name: row for row, name in enumerate(SPANS)})
"""The column of every course in what ``Courses.at`` answers with."""


class _Memory:
    """First-order filters that go on from day to day."""

    def __init__(self) -> None:
        self._kept: dict[str, Floats] = {}

    def slow(self, name: str, values: Floats, minutes: float) -> Floats:
        """Values as something sees them that forgets with a time constant: y' = (x - y) / minutes."""
        keep = np.exp(-1 / minutes)
        kept = self._kept.get(name)
        before = np.array([keep * values[0]]) if kept is None else kept
        found, self._kept[name] = lfilter([1 - keep], [1.0, -keep], values, zi=before)
        value: Floats = found
        return value

    def hour_of(self, name: str, values: Floats) -> Floats:
        """Mean over the hour before each minute."""
        kept = self._kept.get(name)
        before = np.zeros(59) if kept is None else kept
        found, self._kept[name] = lfilter(np.full(60, 1 / 60), [1.0], values, zi=before)
        value: Floats = found
        return value


class Courses:
    """Every course of SPANS at any time of a run.

    Worked out for a day at a time, when the day is first asked for, and kept: 200 kB a day.
    """

    def __init__(self, weather: Weather, zone: ZoneInfo, start_us: int, *, holiday: bool = False) -> None:
        self._weather = weather
        self._week = Week(zone, holiday=holiday)
        self._start_us = start_us
        self._memory = _Memory()
        self._days: list[NDArray[np.float32]] = []
        self._reckon(start_us - BEFORE_MIN * MINUTE_US, BEFORE_MIN)  # so that everything remembers something

    def at(self, time_us: int) -> Floats:
        """All courses at a time, shape (courses,); those of the beginning before it. Linear between minutes."""
        minutes = max(0.0, (time_us - self._start_us) / MINUTE_US)
        low = int(minutes)
        day, minute = divmod(low + 1, _DAY_MIN)
        while day >= len(self._days):
            begin_us = self._start_us + len(self._days) * _DAY_MIN * MINUTE_US
            self._days.append(self._reckon(begin_us, _DAY_MIN).astype(np.float32))
        upper = self._days[day][minute]
        lower = self._days[day][minute - 1] if minute else self._days[day - 1][_DAY_MIN - 1]
        value: Floats = lower + (upper.astype(np.float64) - lower) * (minutes - low)
        return value

    def _reckon(self, begin_us: int, count: int) -> Floats:
        """Every course for some minutes, shape (count, courses)."""
        times = begin_us + np.arange(count, dtype=np.int64) * MINUTE_US
        roads, outdoors = self._weathered(times)
        traffic = over_days(self._week, times, "traffic") * roads
        found = self._thermal(times) | self._wet(times, traffic) | self._loaded(times, traffic)
        found["one"] = np.ones(count)
        found |= {"traffic": traffic, "roads": roads, "outdoors": outdoors}
        return np.column_stack([found[name] for name in SPANS])

    def _weathered(self, times: Integers) -> tuple[Floats, Floats]:
        """Shares of the cars on the roads and of the people in the street that the weather leaves there.

        Rain of 10 mm/h halves those on foot and takes a tenth of the cars (walkers stay away by tens of percent, cars
        by a few: Aultman-Hall et al. 2009, Transportation Research Record 2140, 35; Keay and Simmonds 2005, Accident
        Analysis and Prevention 37, 109); a storm, in which walking is hard from 12 m/s on, takes more.
        """
        rain = self._memory.slow("umbrella", self._weather.rain_mm_h(times), 15)
        storm = self._memory.slow("storm", self._weather.wind_m_s(times), 30) / 15
        return 1 / (1 + rain / 90 + 0.3 * storm**4), 1 / (1 + rain / 10 + storm**4)

    def _thermal(self, times: Integers) -> dict[str, Floats]:
        """Temperatures of air, rooms and walls, and what follows them.

        heat_island: what a dense quarter is warmer by, as part of its most: of calm clear nights, fading with the root
        of the wind (Oke 1973, Atmospheric Environment 7, 769; 1982, Quarterly Journal 108, 1). Rooms: 17.8 + 0.31 * the
        mean outside (adaptive comfort: de Dear and Brager 1998, ASHRAE Transactions 104(1), 145) and little of the
        day's swing. Walls see the sol-air temperature, t + a I / h with a I / h of 12 K for a facade in full sun
        (ASHRAE Fundamentals 2017, 18.24), a wall remembers three hours of it and a bridge deck eight. oxygen: dry
        air's 20.946 % in moist air (Dalton). A sensor's zero follows its own temperature with an hour's lag.
        """
        memory, weather = self._memory, self._weather
        air, damp, sun = weather.temperature_c(times), weather.humidity_percent(times), weather.sun(times)
        pressure, wind = weather.pressure_hpa(times), weather.wind_m_s(times)
        vapour = damp / 100 * saturation_hpa(air)
        mean = memory.slow("mean", air, 1440)
        indoor = 17.8 + 0.31 * mean + 0.15 * (memory.slow("room", air, 180) - mean)
        night = memory.slow("night", np.clip(1 - sun / 0.3, 0, 1), 90)
        calm = 1.2 / np.sqrt(np.maximum(memory.slow("breeze", wind, 30), 0.5))
        room_vapour = memory.slow("vapour", vapour, 120)
        sol_air = air + 12 * sun
        return {
            "air": air,
            "indoor_air": indoor,
            "heat_island": (0.15 + 0.85 * night) * calm,
            "damp": damp,
            "indoor_damp": np.clip(100 * room_vapour / saturation_hpa(indoor), 5, 98),
            "pressure": pressure,
            "wind": wind,
            "daylight": 105_000 * sun,
            "lamps": 1 / (1 + (sun / 0.003) ** 2),
            "wall": memory.slow("wall", sol_air, 180) - 15,
            "deck": memory.slow("deck", sol_air, 480),
            "zero": memory.slow("case", air + 4 * sun, 60) - 20,
            "indoor_zero": indoor - 20,
            "oxygen": 20.946 * (1 - vapour / pressure),
            "picture": memory.slow("iris", np.maximum(sun, 0.0) ** 0.35, 3),
            "low_sun": np.where(sun > 0, sun / 0.1 * np.exp(1 - sun / 0.1), 0.0),
        }

    def _wet(self, times: Integers, traffic: Floats) -> dict[str, Floats]:
        """What rain does: to gauges, drains, the street's noise, pictures and the ground's trembling.

        rain_hour: mm within the last hour. runoff: mm/h through two equal linear reservoirs of 10 minutes, 0.8 of the
        rain running off (Nash 1957, IASH Publication 45, 114). ponded: of it, what stands until the pumps start. din:
        dB against the rush hour, 10 lg of the flow (Calculation of Road Traffic Noise 1988), twice to thrice as loud
        from wet tyres, and the rain itself.
        shake: root mean square against the rush hour; traffic adds energies, wind presses with its square.
        """
        rain, wind = self._weather.rain_mm_h(times), self._weather.wind_m_s(times)
        memory = self._memory
        runoff = memory.slow("basin", memory.slow("gutter", 0.8 * rain, 10), 10)
        wet = memory.slow("wet", np.minimum(rain, 2.0), 30)
        gust = memory.slow("gust", wind, 5) / 15
        return {
            "rain_hour": memory.hour_of("gauge", rain),
            "runoff": runoff,
            "ponded": np.minimum(runoff, PUMPED_MM_H),
            "sewage": over_days(self._week, times, "water"),
            "din": 10 * np.log10(traffic * (1 + wet) + 0.01 * rain),
            "shake": np.sqrt(0.05 + 0.95 * traffic + gust**4),
            "murk": np.minimum(memory.slow("murk", rain, 5) / 40, 1.0),
        }

    def _loaded(self, times: Integers, traffic: Floats) -> dict[str, Floats]:
        """What the air carries, as part of its usual mean: a box over the city (Seinfeld and Pandis 2016, ch. 25).

        Background and traffic, diluted by the wind and by a mixing height that grows with the sun; rain washes out
        with 6.7e-5 R^0.7 per second (Andronache 2003, Atmos. Chem. Phys. 3, 131), coarse dust three times as fast.
        Ozone is made by the sun and used up by fresh nitric oxide (Leighton 1961).
        """
        memory, weather = self._memory, self._weather
        rain = weather.rain_mm_h(times)
        breeze = memory.slow("vent", weather.wind_m_s(times), 60) / _USUAL_WIND
        sun = memory.slow("heat", weather.sun(times), 120)
        vent = np.clip(breeze, 0.1, 8.0) ** 0.6 * (0.85 + 0.7 * sun)
        washed = 6.7e-5 * rain**0.7 * _VENT_S
        fine = memory.slow("washed", 1 / (1 + washed), 40)
        coarse = memory.slow("washed coarse", 1 / (1 + 3 * washed), 30)
        near = memory.slow("exhaust", traffic, 20) / vent

        def load(part: float) -> Floats:
            value: Floats = np.clip((1 - part) * vent**-0.5 + part * 1.6 * near, 0.2, 4.0)
            return value

        dust = 0.15 * np.clip(breeze - 2.5, 0, 4)
        return {
            "fine": load(0.15) * fine,
            "coarse": (load(0.25) + dust) * coarse,
            "sulphur": load(0.15) * (0.4 + 0.6 * fine),
            "nitrogen": load(0.55) * (0.8 + 0.2 * fine),
            "monoxide": load(0.3),
            "ozone": np.clip((0.35 + 2.6 * sun) * np.clip(1.15 - 0.3 * near, 0.3, 1.2), 0.1, 4.0),
        }
