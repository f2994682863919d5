"""A weather that storms, and what sensors of houses, streets and homes read on a quiet day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sensors_sim.staging import Stage
from sensors_sim.world import World, world_of
from tests.sensors_sim.cities import make_city
from tests.sensors_sim.happenings.stages import LEVELS, START_US, Steady, stage_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOUR_US = 3_600_000_000

QUIET: Mapping[str, tuple[float, float]] = {
    **LEVELS,
    "tilt": (0.6, 0.015),
    "settlement": (2.0, 0.03),
    "crack": (0.3, 0.003),
    "water_level": (0.03, 0.0015),
    "water_flow": (1.5, 0.05),
    "noise": (57.0, 1.6),
    "people": (30.0, 4.4),
    "vehicles": (18.0, 3.4),
    "activity": (12.0, 3.1),
    "door_open": (0.04, 0.2),
    "help_button": (0.0, 0.0),
    "intrusion_score": (0.03, 0.03),
    "image_brightness": (0.45, 0.012),
    "image_sharpness": (0.6, 0.015),
    "image_change": (0.12, 0.015),
}
"""Mean and standard deviation of the noise, by quantity."""


@dataclass(frozen=True)
class Stormy(Steady):
    """A gale all day, and one storm of rain two hours long in the middle of the first six."""

    wind: float = 17.0
    rain: float = 40.0
    rains_us: tuple[int, int] = field(default=(START_US + 2 * HOUR_US, START_US + 4 * HOUR_US))

    def rain_mm_h(self, times_us: Integers) -> Floats:
        begin, end = self.rains_us
        return np.where((times_us >= begin) & (times_us < end), self.rain, 0.0)


STREET = (
    ("people", 10.0),
    ("vehicles", 10.0),
    ("intrusion_score", 5.0),
    ("image_brightness", 10.0),
    ("image_sharpness", 10.0),
    ("image_change", 10.0),
)
"""What a camera tells."""
HOUSE = (("tilt", 60.0), ("settlement", 60.0), ("crack", 60.0))
HOME = (("activity", 60.0), ("help_button", 30.0))
GROUND = (("water_level", 60.0), ("water_flow", 60.0), ("noise", 10.0), ("pm25", 60.0))


@cache
def town(*quantities: tuple[str, float], side: int = 3, per_grid: int = 2) -> World:
    """A small town; each box measures everything that is asked for."""
    return world_of(make_city(quantities, side=side, per_grid=per_grid))


def stage(world: World, *, seed: int = 1, hours: float = 6.0, storm: bool = False) -> Stage:
    """A stage for some hours from eight in the morning, quiet or in a storm."""
    return stage_of(world, seed=seed, hours=hours, weather=Stormy() if storm else Steady(), levels=QUIET)
