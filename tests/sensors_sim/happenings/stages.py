"""A stage to stage things on: a quiet, honest nature and a weather that holds still."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import config
from config.city_files import load_city
from config.clock import US_PER_SECOND
from sensors_sim.changes import Changes
from sensors_sim.scenario import Wish
from sensors_sim.staging import Happening, Stage, Staged
from sensors_sim.world import World, world_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EXAMPLE = Path(config.__file__).parent / "examples" / "district"
START_US = 1_773_273_600 * US_PER_SECOND  # 2026-03-12 08:00 in China
MEAN, NOISE = 0.3, 0.12


@dataclass(frozen=True)
class Still:
    """Every sensor reads the same all day: its level, and scatters around it.

    levels: by quantity, (mean, standard deviation of the noise); for others what a methane sensor has.
    """

    world: World
    levels: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def _column(self, sensors: Integers, part: int) -> Floats:
        quantity = self.world.city.columns.quantity
        values = np.array([self.levels.get(name, (MEAN, NOISE))[part] for name in quantity.names])
        return np.asarray(values[quantity.code[sensors]])

    def mean(self, sensors: Integers, time_us: int) -> Floats:
        assert isinstance(time_us, int)
        return self._column(sensors, 0)

    def noise(self, sensors: Integers) -> Floats:
        return self._column(sensors, 1)


LEVELS = {
    "pm25": (42.0, 2.8),
    "pm10": (78.0, 4.5),
    "no2": (40.0, 1.5),
    "o3": (55.0, 1.8),
    "co": (1.0, 0.55),
    "h2s": (0.1, 0.06),
    "o2": (20.9, 0.06),
    "co_air": (700.0, 18.0),
    "temperature": (18.0, 0.25),
    "smoke_score": (0.01, 0.02),
    "fire_score": (0.01, 0.015),
    "current": (4.0, 0.12),
    "people": (20.0, 4.0),
}
"""About what a quiet noon looks like."""


@dataclass(frozen=True)
class Steady:
    """A weather that holds still."""

    wind: float = 2.0
    from_deg: float = 270.0
    warm: float = 18.0
    light: float = 0.2

    def temperature_c(self, times_us: Integers) -> Floats:
        return np.full(times_us.shape, self.warm)

    def humidity_percent(self, times_us: Integers) -> Floats:
        return np.full(times_us.shape, 55.0)

    def pressure_hpa(self, times_us: Integers) -> Floats:
        return np.full(times_us.shape, 1013.0)

    def wind_m_s(self, times_us: Integers) -> Floats:
        return np.full(times_us.shape, self.wind)

    def wind_from_deg(self, times_us: Integers) -> Floats:
        return np.full(times_us.shape, self.from_deg)

    def rain_mm_h(self, times_us: Integers) -> Floats:
        return np.zeros(times_us.shape)

    def sun(self, times_us: Integers) -> Floats:
        return np.full(times_us.shape, self.light)


@cache
def example() -> World:
    """The example district."""
    return world_of(load_city(EXAMPLE))


def stage_of(
    world: World, *, seed: int = 1, hours: float = 3.0, weather: Any = None, levels: Mapping[str, Any] | None = None
) -> Stage:
    """A stage for some hours from eight in the morning."""
    return Stage(
        world=world,
        nature=Still(world, LEVELS if levels is None else levels),
        weather=weather or Steady(),
        rng=np.random.default_rng([seed, 99]),
        start_us=START_US,
        end_us=START_US + round(hours * 3600) * US_PER_SECOND,
    )


def values_of(stage: Stage, staged: Staged, rows: Integers, times_us: Integers) -> Floats:
    """What some sensors read while it happens, without noise, shape (times, rows)."""
    changes = Changes(staged.changes, len(stage.world.city.columns))
    found = np.empty((len(times_us), len(rows)))
    for index, time_us in enumerate(times_us.tolist()):
        values = stage.nature.mean(rows, time_us).copy()
        changes.apply(rows, np.full(rows.shape, time_us), values)
        found[index] = values
    return found


def times_of(stage: Stage, count: int = 250) -> Integers:
    """Moments of the whole run."""
    return np.linspace(stage.start_us, stage.end_us - 1, count).astype(np.int64)


def check_honest(stage: Stage, staged: Staged) -> None:
    """What holds of every happening: numbers, nothing outside its time, and truth about who could see it.

    Every sensor named stands out by five standard deviations at some time, or by less where the kind says so; what is
    not named is not touched.
    """
    world = stage.world
    every = np.arange(len(world.city.columns))
    times = times_of(stage)
    values = values_of(stage, staged, every, times)
    quiet = np.array([stage.nature.mean(every, time) for time in times.tolist()])
    assert np.isfinite(values).all()
    assert (values >= -1e-9).all()
    named = {world.city.sensor_index[name] for episode in staged.episodes for name in episode.sensors}
    touched = set(np.flatnonzero((values != quiet).any(axis=0)).tolist())
    assert touched <= named
    for change in staged.changes:
        outside = (times < change.from_us) | (times >= change.to_us)
        alone = change.sensors[
            ~np.isin(change.sensors, [r for o in staged.changes if o is not change for r in o.sensors])
        ]
        assert (values[np.ix_(outside, alone)] == quiet[np.ix_(outside, alone)]).all()
    for episode in staged.episodes:
        assert stage.start_us <= episode.from_us < episode.to_us <= stage.end_us
        assert episode.sensors
        rows = [world.city.sensor_index[name] for name in episode.sensors]
        fastest_us = float(world.city.columns.interval_s[rows].min()) * US_PER_SECOND
        assert episode.to_us - episode.from_us >= 2 * fastest_us, "nobody could be asked to see it"
        assert set(episode.over_limit) <= set(episode.sensors)
        assert set(episode.responsible_at) == set(episode.sensors)
        assert (episode.limit_us is None) == (not episode.over_limit)
        assert episode.limit_us is None or episode.from_us <= episode.limit_us


def same(one: Staged, other: Staged, stage: Stage) -> bool:
    """Whether two stagings are the same in everything."""
    every = np.arange(len(stage.world.city.columns))
    times = times_of(stage, 50)
    return one.episodes == other.episodes and bool(
        (values_of(stage, one, every, times) == values_of(stage, other, every, times)).all()
    )


def peak(stage: Stage, staged: Staged, row: int) -> float:
    """The largest difference to the quiet day at a sensor."""
    times = times_of(stage, 500)
    values = values_of(stage, staged, np.array([row]), times)[:, 0]
    return float(np.abs(values - stage.nature.mean(np.array([row]), START_US)[0]).max())


def peaks(stage: Stage, staged: Staged) -> dict[str, float]:
    """The largest difference to the quiet day at each sensor of the first episode, by id."""
    names = staged.episodes[0].sensors
    rows = np.array([stage.world.city.sensor_index[name] for name in names], np.int64)
    values = values_of(stage, staged, rows, times_of(stage, 500))
    tops = np.abs(values - stage.nature.mean(rows, START_US)).max(axis=0)
    return dict(zip(names, tops.tolist(), strict=True))


def happen(kind: Happening, stage: Stage, wish: Wish) -> Staged:
    """Stage it and check everything that must hold of any."""
    staged = kind(stage, wish)
    check_honest(stage, staged)
    return staged
