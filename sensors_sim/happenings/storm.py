"""What a storm does all over the city: doors blown open, trees on lines, hoardings that sway, loose sheets that bang.

Hundreds of small true events, as one change for each sort of them. Cameras that shake in the gusts are no event at all:
whoever raises one for them is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.quantities import QUANTITIES
from sensors_sim.changes import Drawn, Made, seen
from sensors_sim.happenings.common import Certain, knows, narrowed, option, showing
from sensors_sim.happenings.places import wanted
from sensors_sim.physics.weather import Weather
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged, episode
from sensors_sim.truth import Episode

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STORM_M_S = 15.0
"""Mean wind at which the gains below hold: a whole gale by its gusts. Forces go with its square."""
WAKES_M_S = 8.0
"""Below that nothing comes loose: fresh breeze, Beaufort 5."""
INTENSITY = 0.3
"""Turbulence intensity in a city at low height (EN 1991-1-4, terrain IV: 0.3 to 0.4)."""
GUSTS_S = (11.0, 23.0, 47.0, 90.0)
"""Periods of the gusts, about the peak of Davenport's spectrum (1961): 1200 m over the wind."""
SHAKEN_SHARE = 0.3
"""Share of the cameras on poles that shake visibly."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One sort of damage. gain: in the sensor's unit at ``STORM_M_S``; held: shows exactly that, wind or not.

    lasts_s: shortest and longest until somebody has seen to it. gusts: share of the gusts that a reading shows.
    """

    quantity: str
    gain: float
    held: bool
    lasts_s: tuple[float, float]
    weight: float
    gusts: float = 1.0


DAMAGES: Mapping[str, Damage] = MappingProxyType(
    {
        "door": Damage("door_open", 1.0, True, (600, 3600), 3),
        # a tree on the line of a house: its meter stands still until the line is up again
        "line": Damage("current", 0.0, True, (3600, 14400), 3),
        "sheet": Damage("noise", 20.0, False, (900, 7200), 2),  # a metal sheet that bangs, some metres away
        # a hoarding or scaffold whose anchor is loose; tiltmeters filter what is faster than a minute
        "sway": Damage("tilt", 5.0, False, (1800, 10800), 2, gusts=0.2),
    }
)
"""The sorts, by name."""

SHAKING = Damage("image_change", 0.12, False, (0, 0), 0)
"""A tenth of the picture changes more when its pole shakes."""


def gusty(weather: Weather, times_us: Integers, phase: Floats, share: float = 1.0) -> Floats:
    """Square of the wind over ``STORM_M_S``, gust by gust, each place with gusts of its own (phase: 0 to 1).

    share: of the gusts, 0 is the mean wind alone.

    Wind pressure goes with the square (Bernoulli); the gusts are a sum of waves (Shinozuka and Deodatis 1991) whose
    standard deviation is the turbulence intensity times the mean.
    """
    seconds = times_us / US_PER_SECOND
    waves = sum(np.sin(2 * np.pi * (seconds / period + phase * (3 + number))) for number, period in enumerate(GUSTS_S))
    gust = 1 + share * INTENSITY * np.sqrt(2 / len(GUSTS_S)) * waves
    value: Floats = (np.maximum(weather.wind_m_s(times_us) * gust, 0.0) / STORM_M_S) ** 2
    return value


def _spells(stage: Stage, rows: Integers, begins_us: Integers, ends_us: Integers, damage: Damage) -> Drawn:
    """One change over many sensors, each for a while of its own."""
    phase = stage.rng.random(len(rows))
    weather = stage.weather

    def damaged(which: Integers, times_us: Integers, values: Floats) -> Floats:
        on = (times_us >= begins_us[which]) & (times_us < ends_us[which])
        if damage.held:
            return np.where(on, damage.gain, values)
        return values + np.where(on, damage.gain * gusty(weather, times_us, phase[which], damage.gusts), 0.0)

    return Drawn(rows, int(begins_us.min()), int(ends_us.max()), damaged)


def _moments(stage: Stage, wish: Wish, count: int) -> Integers:
    """When the wind breaks things: drawn with the cube of its speed (its power), only where it blows hard enough."""
    first = stage.onset_us(wish) if wish.at_s is not None else stage.start_us
    last = stage.end_us if wish.lasts_s is None else min(stage.end_us, first + stage.lasts_us(wish, 1.0))
    times = np.linspace(first, last, 2000, endpoint=False).astype(np.int64)
    wind = stage.weather.wind_m_s(times)
    weight = np.where(wind >= WAKES_M_S, wind, 0.0) ** 3
    if last <= first or not weight.any():
        raise CannotError(f"the wind of this run stays below {WAKES_M_S:g} m/s: nothing comes loose")
    drawn = stage.rng.choice(times, size=count, p=weight / weight.sum())
    return np.asarray(drawn // US_PER_SECOND * US_PER_SECOND, np.int64)


def storm_damage(stage: Stage, wish: Wish) -> Staged:
    """Small true events all over the city while it storms.

    Options: ``events`` (1), or ``per_1000``: for every 1,000 sensors; ``shaken``: share of the cameras that shake (0.3
    where per_1000 is given). strength: times what wind does to noise and tilt. Needs wind: at least 8 m/s at some time.
    """
    knows(wish, "events", "per_1000", "shaken")
    size = len(stage.world.east)
    per_1000 = option(wish, "per_1000", 0.0)
    count = max(1, round(per_1000 * size / 1000) if per_1000 else round(option(wish, "events", 1)))
    moments = np.sort(_moments(stage, wish, count))
    free = {name: wanted(stage, stage.rows(damage.quantity), wish.place) for name, damage in DAMAGES.items()}
    names = [name for name in DAMAGES if free[name]]
    if not names:
        raise CannotError("the city has no free sensor of anything that a storm could break")
    weights = np.array([DAMAGES[name].weight for name in names])
    sorts = stage.rng.choice(len(names), size=count, p=weights / weights.sum())
    changes: list[Made] = []
    episodes: list[Episode] = []
    for number, name in enumerate(names):
        made, told = _sort(stage, wish, name, free[name], moments[sorts == number])
        changes += made
        episodes += told
    if not episodes:
        raise CannotError("the wind is too weak, or the damage seen to too soon, for any sensor to notice it")
    changes += _shaken(stage, option(wish, "shaken", SHAKEN_SHARE if per_1000 else 0.0))
    return Staged(changes=tuple(changes), episodes=tuple(episodes))


def _sort(
    stage: Stage, wish: Wish, name: str, free: list[int], begins_us: Integers
) -> tuple[list[Made], list[Episode]]:
    """All damages of one sort: one change, an episode for each that is seen."""
    damage = DAMAGES[name]
    count = min(len(begins_us), len(free))
    if not count:
        return [], []
    rows = np.sort(stage.rng.choice(np.array(free, np.int64), size=count, replace=False))
    begins_us = stage.rng.permutation(begins_us)[:count]
    lasts_us = (stage.rng.uniform(*damage.lasts_s, size=count)).astype(np.int64) * US_PER_SECOND
    ends_us = np.minimum(begins_us + lasts_us, stage.end_us)
    if not damage.held:
        damage = replace(damage, gain=damage.gain * wish.strength)
    whole = _spells(stage, rows, begins_us, ends_us, damage)
    kept: list[int] = []
    told: list[Episode] = []
    for place, row in enumerate(rows.tolist()):
        own = narrowed(stage, int(begins_us[place]), int(ends_us[place]))
        if damage.held:
            own.nature = Certain(stage.nature)
        one = whole.only(np.array([place], np.int64))
        found = seen(own, (one,))
        to_us = int(ends_us[place]) if damage.held else found.to_us
        if not found.rows.size or not showing(stage, [row], found.from_us, to_us):
            continue
        kept.append(place)
        stage.reserve([row])
        told.append(
            episode(
                own,
                (one,),
                row,
                kind="storm_damage",
                category=QUANTITIES[damage.quantity].category,
                from_us=found.from_us,
                to_us=to_us,
                seen_by=[row],
                details={"sort": name},
            )
        )
    return ([whole.only(np.array(kept, np.int64))] if kept else []), told


def _shaken(stage: Stage, share: float) -> list[Made]:
    """Poles that shake: more of the picture changes from frame to frame with every gust."""
    rows = np.array(stage.rows("image_change"), np.int64)
    rows = rows[stage.rng.random(len(rows)) < share]
    if not rows.size:
        return []
    always = np.full(len(rows), stage.start_us), np.full(len(rows), stage.end_us)
    return [_spells(stage, rows, *always, SHAKING)]
