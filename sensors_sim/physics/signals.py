"""The one table of what each quantity looks like on a quiet day. A new quantity is one entry here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from config.quantities import QUANTITIES


class Law(IntEnum):
    """How level, courses, fields and chance make a value."""

    SUM = 0  # expected + noise
    PRODUCT = 1  # as SUM, but places and fields are factors: concentrations are log-normal (Ott 1990, J. Air Waste
    # Manage. Assoc. 40, 1378)
    COUNT = 2  # who is there: arrivals and departures
    TALLY = 3  # what has been counted since the last sample: Poisson around a lively mean
    SCORE = 4  # what a classifier says of nothing, and now and then of something harmless
    SWITCH = 5  # 1 while it is open, else 0; level: times an hour that it is opened when it is busiest
    REST = 6  # the level
    BURST = 7  # an accelerometer's swings around 0


@dataclass(frozen=True, slots=True)
class Signal:
    """One quantity's quiet day, in its kept unit.

    expected = level + gain * course + own_gain * own course * (what is the sensor's own), see ``physics.course`` for
    the courses. own: "density" of the quarter (0 open, 1 dense), "sign" (its own factor, about -2 to 2), or the name of
    a rhythm, which each sensor keeps in its own hours (``physics.rhythm``).
    z = city * (what the city shares) + local * (what neighbours share) + place * (fixed, its own) + dense * (density
    - 0.5); added by SUM, a factor exp(z) in PRODUCT, COUNT and TALLY.
    noise: standard deviation of the device's noise; memory_s: how long it remembers (how long people stay, how long a
    door stands open). steps: resolution, as steps per unit (10 means 0.1). field: the quantity whose fields it shares
    (itself where empty). indoors: the courses taken instead in a room. given: by nature,
    whatever a limit says.
    """

    law: Law
    level: float
    steps: float
    course: str = "one"
    gain: float = 0
    own: str = "sign"
    own_course: str = "one"
    own_gain: float = 0
    city: float = 0
    local: float = 0
    place: float = 0
    dense: float = 0
    noise: float = 0
    memory_s: float = 60
    field: str = ""
    indoors: tuple[str, str] | None = None
    given: bool = False


_SUM, _PRODUCT, _COUNT, _SCORE = Law.SUM, Law.PRODUCT, Law.COUNT, Law.SCORE
_ROOM_ZERO = ("one", "indoor_zero")

# fmt: off
SIGNALS: Mapping[str, Signal] = MappingProxyType({
    # gas: catalytic and electrochemical cells rest near zero, which drifts with the temperature of the case (resolution
    # as in GB 15322.1 and makers' sheets); a wet gas holds less oxygen
    "ch4": Signal(_SUM, 0.3, 10, own_course="zero", own_gain=0.005, place=0.1, noise=0.12, memory_s=30,
                  indoors=_ROOM_ZERO),
    "co": Signal(_SUM, 0.7, 1, course="traffic", gain=0.6, own_course="zero", own_gain=0.01, place=0.2, noise=0.5,
                 memory_s=15, indoors=("traffic", "indoor_zero")),
    "h2s": Signal(_SUM, 0.1, 10, own_course="zero", own_gain=0.002, place=0.03, noise=0.06, memory_s=40,
                  indoors=_ROOM_ZERO),
    "o2": Signal(_SUM, 0, 10, course="oxygen", gain=1, own_course="zero", own_gain=0.002, place=0.03, noise=0.06,
                 memory_s=30, indoors=("oxygen", "indoor_zero"), given=True),
    # air: levels of a northern city on a fair day, higher between houses; micro stations resolve 1 µg/m³
    "pm25": Signal(_PRODUCT, 0, 1, course="fine", gain=38, city=0.10, local=0.06, place=0.05, dense=0.1, noise=2.8,
                   memory_s=20),
    "pm10": Signal(_PRODUCT, 0, 1, course="coarse", gain=72, city=0.10, local=0.07, place=0.05, dense=0.1, noise=4.4,
                   memory_s=20, field="pm25"),
    "so2": Signal(_PRODUCT, 0, 1, course="sulphur", gain=9, city=0.1, local=0.1, place=0.05, noise=0.8),
    "no2": Signal(_PRODUCT, 0, 1, course="nitrogen", gain=38, city=0.1, local=0.1, place=0.06, dense=0.2, noise=1.5),
    "o3": Signal(_PRODUCT, 0, 1, course="ozone", gain=55, city=0.08, local=0.06, place=0.05, dense=-0.15, noise=1.8),
    "co_air": Signal(_PRODUCT, 0, 0.1, course="monoxide", gain=700, city=0.1, local=0.08, place=0.05, dense=0.15,
                     noise=18),
    # weather. Dense quarters are up to 2.5 K warmer at night and so drier: 1 K costs air of 60 % some 4 % (Magnus)
    "temperature": Signal(_SUM, 0, 10, course="air", gain=1, own="density", own_course="heat_island", own_gain=1.6,
                          city=0.2, local=0.25, place=0.3, noise=0.2, indoors=("indoor_air", "one"), given=True),
    "humidity": Signal(_SUM, 0, 1, course="damp", gain=1, own="density", own_course="heat_island", own_gain=-6,
                       city=0.8, local=0.8, place=1.2, noise=0.7, indoors=("indoor_damp", "one"), given=True),
    "pressure": Signal(_SUM, 0, 10, course="pressure", gain=1, city=0.15, local=0.05, place=0.2, noise=0.08,
                       given=True),
    # between houses less than half of the wind over open ground is left (Oke 1987, Boundary Layer Climates, 8.2)
    "wind_speed": Signal(_PRODUCT, 0, 10, course="wind", gain=0.75, city=0.1, local=0.15, place=0.1, dense=-0.8,
                         noise=0.3, memory_s=20, given=True),
    # mm within the last hour, as warnings of heavy rain are worded
    "rain": Signal(_PRODUCT, 0, 10, course="rain_hour", gain=1, local=0.2, place=0.05, given=True),
    # main roads are lit with 10 to 20 lx (CJJ 45-2015)
    "illuminance": Signal(_PRODUCT, 0.5, 1, course="daylight", gain=0.35, own="density", own_course="lamps",
                          own_gain=20, city=0.03, local=0.05, place=0.15, dense=-0.5, noise=0.8, given=True),
    "noise": Signal(_SUM, 62, 10, course="din", gain=0.8, city=0.4, local=0.5, place=2, dense=3, noise=1.6,
                    memory_s=20),
    # an underpass: 3.5 mm of water for each mm/h that its drain is given until pumps start; the sewage of the street
    "water_level": Signal(_SUM, 0.025, 1000, course="ponded", gain=0.0035, own_course="sewage", own_gain=0.003,
                          city=0.001, local=0.001, place=0.004, noise=0.0015),
    # structure: a wall leans some micrometres per metre and kelvin, its cracks close as it grows warm (10e-6 per kelvin
    # over some decimetres of masonry: GB 50003-2011, table 3.2.5-2)
    "tilt": Signal(_SUM, 0.6, 100, own_course="wall", own_gain=0.006, place=0.25, noise=0.015, memory_s=120),
    "settlement": Signal(_SUM, 2, 100, own_course="wall", own_gain=0.01, place=0.6, noise=0.03, memory_s=120),
    "crack": Signal(_SUM, 0.3, 1000, course="wall", gain=-0.002, own_course="wall", own_gain=0.001, place=0.08,
                    noise=0.003, memory_s=120),
    "vibration": Signal(Law.BURST, 0, 10_000, course="shake", gain=0.012, place=0.3, noise=0.012),
    # cameras; people stay in the picture for a minute and a half, cars for a minute
    "people": Signal(_COUNT, 0, 1, own="street", own_course="outdoors", own_gain=45, city=0.08,
                     local=0.08, place=0.2, noise=1, memory_s=90),
    "vehicles": Signal(_COUNT, 0, 1, own="traffic", own_course="roads", own_gain=30, city=0.08,
                       local=0.08, place=0.2, noise=1, memory_s=60),
    "smoke_score": Signal(_SCORE, 0.01, 100, place=0.004, noise=0.02, memory_s=10),
    "fire_score": Signal(_SCORE, 0.01, 100, place=0.004, noise=0.015, memory_s=10),
    "intrusion_score": Signal(_SCORE, 0.02, 100, place=0.006, noise=0.03, memory_s=10),
    "image_brightness": Signal(_SUM, 0.32, 100, course="picture", gain=0.26, place=0.04, noise=0.012, memory_s=120),
    "image_sharpness": Signal(_SUM, 0.6, 100, course="murk", gain=-0.15, place=0.05, noise=0.015, memory_s=60),
    "image_change": Signal(_SUM, 0.07, 1000, own="street", own_course="outdoors", own_gain=0.09, place=0.01,
                           noise=0.015, memory_s=10),
    # building
    "door_open": Signal(Law.SWITCH, 0, 1, own="home", own_gain=8, place=0.3, memory_s=15),
    "help_button": Signal(Law.REST, 0, 1),
    "activity": Signal(Law.TALLY, 0, 1, own="elder", own_gain=24, place=0.2, noise=1, memory_s=300),
    "current": Signal(_PRODUCT, 0, 100, own="shop", own_gain=12, city=0.02, place=0.2, noise=0.08, memory_s=120),
    "water_flow": Signal(_PRODUCT, 0, 100, own="water", own_gain=2.5, city=0.05, place=0.2, noise=0.03, memory_s=120),
})
# fmt: on
"""The quiet day of every quantity."""

if missing := QUANTITIES.keys() - SIGNALS.keys():  # pragma: no cover
    raise LookupError(f"quantities without a signal: {', '.join(sorted(missing))}")
