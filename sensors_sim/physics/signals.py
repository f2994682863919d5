"""The one table of what each quantity looks like on a quiet day. A new quantity is one entry here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from config.quantities import QUANTITIES


class Law(IntEnum):
    """How level, rhythm, fields and noise make a value."""

    SUM = 0  # level + z + noise
    PRODUCT = 1  # level * exp(z) + noise: concentrations are log-normal (Ott 1990, J. Air Waste Manage. 40, 1378)
    COUNT = 2  # around level * exp(z) with the spread of a Poisson number (Gaussian approximation)
    SCORE = 3  # level + |noise|: what a classifier says of nothing
    SWITCH = 4  # 1 while the noise is above the level, else 0: opens now and then, and stays open a while
    REST = 5  # the level


@dataclass(frozen=True, slots=True)
class Signal:
    """One quantity's quiet day, in its kept unit.

    z = swing * rhythm + city * (what the city shares) + local * (what neighbours share) + place * (fixed, its own).
    noise: standard deviation of the device's noise; memory_s: how long it remembers. steps: resolution, as steps
    per unit (10 means 0.1). field: the quantity whose fields it shares (itself where empty).
    """

    law: Law
    level: float
    steps: float
    rhythm: str = "flat"
    swing: float = 0
    city: float = 0
    local: float = 0
    place: float = 0
    noise: float = 0
    memory_s: float = 60
    field: str = ""


_SUM, _PRODUCT, _COUNT, _SCORE = Law.SUM, Law.PRODUCT, Law.COUNT, Law.SCORE

# fmt: off
SIGNALS: Mapping[str, Signal] = MappingProxyType({
    # gas: catalytic and electrochemical cells rest near zero (resolution as in GB 15322.1 and makers' sheets)
    "ch4": Signal(_SUM, 0.3, 10, place=0.1, noise=0.12, memory_s=30),
    "co": Signal(_SUM, 1.0, 1, rhythm="traffic", swing=0.3, place=0.2, noise=0.55, memory_s=15),
    "h2s": Signal(_SUM, 0.1, 10, place=0.03, noise=0.06, memory_s=40),
    "o2": Signal(_SUM, 20.9, 10, place=0.03, noise=0.06, memory_s=30),
    # air: levels of a northern city on a fair day; micro stations resolve 1 µg/m³
    "pm25": Signal(_PRODUCT, 42, 1, rhythm="traffic", swing=0.12, city=0.10, local=0.06, place=0.05, noise=2.8),
    "pm10": Signal(_PRODUCT, 78, 1, rhythm="traffic", swing=0.14, city=0.10, local=0.07, place=0.05, noise=4.5,
                   field="pm25"),
    "so2": Signal(_PRODUCT, 9, 1, rhythm="traffic", swing=0.1, city=0.1, local=0.1, place=0.05, noise=0.8),
    "no2": Signal(_PRODUCT, 40, 1, rhythm="traffic", swing=0.25, city=0.1, local=0.1, place=0.06, noise=1.5),
    "o3": Signal(_PRODUCT, 55, 1, rhythm="warmth", swing=0.6, city=0.08, local=0.06, place=0.05, noise=1.8),
    "co_air": Signal(_PRODUCT, 700, 0.1, rhythm="traffic", swing=0.15, city=0.1, local=0.08, place=0.05, noise=18),
    # weather
    "temperature": Signal(_SUM, 18, 10, rhythm="warmth", swing=5, city=0.5, local=0.25, place=0.3, noise=0.25),
    "humidity": Signal(_SUM, 55, 1, rhythm="damp", swing=15, city=2, local=1, place=1.2, noise=0.7),
    "pressure": Signal(_SUM, 1013, 10, city=0.6, local=0.05, place=0.2, noise=0.08),
    "wind_speed": Signal(_PRODUCT, 2.4, 10, rhythm="warmth", swing=0.3, city=0.2, local=0.15, place=0.1, noise=0.35,
                         memory_s=20),
    "rain": Signal(Law.REST, 0, 10),
    "illuminance": Signal(_PRODUCT, 25, 1, rhythm="sun", swing=7.3, city=0.05, local=0.05, place=0.15, noise=0.8),
    "noise": Signal(_SUM, 57, 10, rhythm="traffic", swing=5, city=0.4, local=0.5, place=2, noise=1.6, memory_s=20),
    "water_level": Signal(_SUM, 0.03, 1000, city=0.002, local=0.001, place=0.005, noise=0.0015),
    # structure: a wall follows the sun by some hundredths of mm/m
    "tilt": Signal(_SUM, 0.6, 100, rhythm="warmth", swing=0.06, place=0.25, noise=0.015, memory_s=120),
    "settlement": Signal(_SUM, 2, 100, rhythm="warmth", swing=0.05, place=0.6, noise=0.03, memory_s=120),
    "crack": Signal(_SUM, 0.3, 1000, rhythm="warmth", swing=0.01, place=0.08, noise=0.003, memory_s=120),
    "vibration": Signal(_SUM, 0, 1000, noise=0.012, memory_s=0.5),
    # cameras
    "people": Signal(_COUNT, 30, 1, rhythm="street", swing=0.7, city=0.08, local=0.08, place=0.2, noise=0.8,
                     memory_s=90),
    "vehicles": Signal(_COUNT, 18, 1, rhythm="traffic", swing=0.7, city=0.08, local=0.08, place=0.2, noise=0.8,
                       memory_s=60),
    "smoke_score": Signal(_SCORE, 0.01, 100, place=0.004, noise=0.02, memory_s=10),
    "fire_score": Signal(_SCORE, 0.01, 100, place=0.004, noise=0.015, memory_s=10),
    "intrusion_score": Signal(_SCORE, 0.02, 100, place=0.006, noise=0.03, memory_s=10),
    "image_brightness": Signal(_SUM, 0.45, 100, rhythm="sun", swing=0.15, place=0.04, noise=0.012, memory_s=120),
    "image_sharpness": Signal(_SUM, 0.6, 100, place=0.05, noise=0.015, memory_s=60),
    "image_change": Signal(_SUM, 0.12, 1000, rhythm="street", swing=0.05, place=0.01, noise=0.015, memory_s=10),
    # building
    "door_open": Signal(Law.SWITCH, 1.8, 1, memory_s=25),
    "help_button": Signal(Law.REST, 0, 1),
    "activity": Signal(_COUNT, 12, 1, rhythm="street", swing=0.8, place=0.2, noise=0.9, memory_s=300),
    "current": Signal(_PRODUCT, 6, 100, rhythm="shop", swing=0.8, city=0.02, place=0.2, noise=0.12, memory_s=120),
    "water_flow": Signal(_PRODUCT, 1.5, 100, rhythm="water", swing=0.6, city=0.05, place=0.2, noise=0.05,
                         memory_s=120),
})
# fmt: on
"""The quiet day of every quantity."""

if missing := QUANTITIES.keys() - SIGNALS.keys():  # pragma: no cover
    raise LookupError(f"quantities without a signal: {', '.join(sorted(missing))}")
