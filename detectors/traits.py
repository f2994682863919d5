"""What each quantity is like: the numbers by which a change of it is called small, usual or impossible.

A new quantity needs one entry here when it is to be judged by its own baseline; without one it is judged by its
limits alone. The numbers are engineering judgement (accuracy classes of field instruments, ordinary daily swings).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Trait:
    """How a quantity behaves, in its kept unit.

    floor: the scatter below which nothing is worth a word (an instrument's accuracy); lower bound of every spread.
    swing: what an ordinary day moves it to either side of its mean, as one standard deviation; stands in for the
    daily rhythm until a sensor has been seen for a day. relative: share of the level by which two sound instruments
    at one place may differ. reach_m: how far the field is the same, so that neighbours can be asked. abrupt: a change
    from one reading to the next that the world does not make (inf: it may jump).
    """

    floor: float
    swing: float
    relative: float = 0.0
    reach_m: float = 0.0
    abrupt: float = float("inf")


TRAITS: Mapping[str, Trait] = MappingProxyType(
    {
        "ch4": Trait(floor=1.0, swing=0.0),
        "co": Trait(floor=1.5, swing=1.0),
        "h2s": Trait(floor=0.4, swing=0.0),
        "o2": Trait(floor=0.1, swing=0.0),
        "pm25": Trait(floor=5, swing=20, relative=0.15, reach_m=3000, abrupt=500),
        "pm10": Trait(floor=8, swing=30, relative=0.15, reach_m=3000, abrupt=1000),
        "so2": Trait(floor=5, swing=10, relative=0.2, reach_m=3000, abrupt=500),
        "no2": Trait(floor=6, swing=15, relative=0.2, reach_m=3000, abrupt=300),
        "o3": Trait(floor=6, swing=30, relative=0.15, reach_m=3000, abrupt=300),
        "co_air": Trait(floor=200, swing=500, relative=0.2, reach_m=3000, abrupt=10_000),
        "temperature": Trait(floor=0.5, swing=3, reach_m=3000, abrupt=6),
        "humidity": Trait(floor=2, swing=10, reach_m=3000, abrupt=40),
        "pressure": Trait(floor=0.5, swing=3, reach_m=10_000, abrupt=20),
        "wind_speed": Trait(floor=1, swing=2, relative=0.4, reach_m=3000, abrupt=40),
        "illuminance": Trait(floor=20, swing=0, relative=0.7, reach_m=3000),
        "noise": Trait(floor=2, swing=4),
        "water_level": Trait(floor=0.03, swing=0.1, abrupt=5),
        "tilt": Trait(floor=0.1, swing=0.1),
        "settlement": Trait(floor=0.5, swing=0.5),
        "crack": Trait(floor=0.05, swing=0.03),
        "vibration": Trait(floor=0.05, swing=0.05),
        "people": Trait(floor=5, swing=20),
        "vehicles": Trait(floor=5, swing=20),
        "current": Trait(floor=0.5, swing=3),
    }
)
"""By name of the quantity. Scores, switches and habits (smoke_score, help_button, activity...) have none."""
