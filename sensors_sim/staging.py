"""What every kind of happening needs to be staged: the stage it stands on, and what it answers with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.limits import Limit, Side
from config.vocabulary import Category, Severity
from sensors_sim.faults.duty import Duty
from sensors_sim.physics.weather import Weather
from sensors_sim.scenario import Wish
from sensors_sim.truth import EVENT_ROLES, Episode, Fault, Silence
from sensors_sim.world import World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LATTICE = 2_000
"""Moments at which the truth about limits is computed, at most; and never closer together than LATTICE_S."""
LATTICE_S = 5.0
BLOCK = 2_000
"""So many sensors are looked at over the whole lattice at once, at most."""
LATE = 1.02
"""Devices are late by up to a fiftieth of their interval."""
SMOOTH_S = 180.0
"""Within so many seconds the means of a quiet day, its rhythms, fields and weather, move on a straight line."""


class CannotError(Exception):
    """This city has no place for it; says why, in plain English."""


class Nature(Protocol):
    """The quiet day."""

    def mean(self, sensors: Integers, time_us: int) -> Floats:
        """What some sensors would read without noise, at one time."""
        ...

    def noise(self, sensors: Integers) -> Floats:
        """Standard deviation of what they scatter by around it."""
        ...


class Change(Protocol):
    """Something done to the values of some sensors. sensors: their rows, ascending; nothing outside from_us..to_us.

    Whatever happens to many sensors alike should be one Change over all of them: each costs time at every instant.
    """

    @property
    def sensors(self) -> Integers:
        """Rows that it touches."""
        ...

    @property
    def from_us(self) -> int:
        """Before it nothing is changed."""
        ...

    @property
    def to_us(self) -> int:
        """From it on nothing is changed."""
        ...

    def changed(self, which: Integers, times_us: Integers, values: Floats) -> Floats:
        """What ``self.sensors[which]`` see at the given times instead of the given values, pairwise."""
        ...


@dataclass(frozen=True, slots=True)
class Outage:
    """Boxes that cannot send. devices: names. keeps: whether they store what they measure and send it afterwards.

    Without power nothing is measured either (keeps is False).
    """

    devices: frozenset[str]
    from_us: int
    to_us: int
    keeps: bool


@dataclass(frozen=True, slots=True)
class Hurry:
    """Sensors that sample ``times`` as often for a while, as devices do that report on change or on alarm."""

    sensors: Integers
    from_us: int
    to_us: int
    times: float


@dataclass(frozen=True, slots=True)
class Softening:
    """Structures under some accelerometers that lose stiffness: evenly down to ``factor`` of it within ``over_us``."""

    sensors: Integers
    from_us: int
    over_us: int
    factor: float


@dataclass(frozen=True, slots=True)
class Staged:
    """What a happening does, and the truth about it.

    faults: sensors that it makes lie (a covered lens is no event). silences: the truth about outages of many at once.
    """

    changes: tuple[Change, ...] = ()
    episodes: tuple[Episode, ...] = ()
    faults: tuple[Fault, ...] = ()
    outages: tuple[Outage, ...] = ()
    hurries: tuple[Hurry, ...] = ()
    silences: tuple[Silence, ...] = ()
    softenings: tuple[Softening, ...] = ()


@dataclass(slots=True)
class Stage:
    """Where happenings take place. taken: rows of sensors that have a part in something; busy_grids: grids that have.

    rng: of this happening alone, so that one more in the file changes no other.
    """

    world: World
    nature: Nature
    weather: Weather
    rng: np.random.Generator
    start_us: int
    end_us: int
    taken: set[int] = field(default_factory=set)
    busy_grids: set[str] = field(default_factory=set)
    duty: Duty | None = None

    def __post_init__(self) -> None:
        """Sort the roster once for this stage and all that are made of it."""
        self.duty = self.duty or Duty(self.world.city, EVENT_ROLES)

    def on_duty(self, grid: str, time_us: int) -> str | None:
        """Id of the person on duty for events of a grid at a time; see ``truth.on_duty``."""
        duty = self.duty or Duty(self.world.city, EVENT_ROLES)
        return duty.on(grid, time_us)

    def rows(self, *quantities: str) -> list[int]:
        """Rows of the free sensors of some quantities."""
        return [row for row in self.world.measuring(*quantities).tolist() if row not in self.taken]

    def pick(self, rows: Sequence[int]) -> int:
        """One of the rows, a free one in a grid where nothing else happens if there is any. Raises CannotError."""
        free = [row for row in rows if row not in self.taken]
        if not free:
            raise CannotError("every such sensor has a part in something else")
        columns = self.world.city.columns
        calm = [row for row in free if columns.grid.names[columns.grid.code[row]] not in self.busy_grids]
        choice = calm or free
        return choice[int(self.rng.integers(len(choice)))]

    def reserve(self, rows: Sequence[int] | Integers) -> None:
        """Nothing else happens to these sensors."""
        columns = self.world.city.columns
        for row in map(int, rows):
            self.taken.add(row)
            self.busy_grids.add(columns.grid.names[columns.grid.code[row]])

    def onset_us(self, wish: Wish) -> int:
        """When it begins: as wished, or drawn from the middle of the run. Whole seconds."""
        length_s = (self.end_us - self.start_us) / US_PER_SECOND
        at_s = wish.at_s if wish.at_s is not None else float(self.rng.uniform(0.25, 0.6)) * length_s
        return self.start_us + int(at_s) * US_PER_SECOND

    def lasts_us(self, wish: Wish, usual_s: float) -> int:
        """For how long, as wished or as usual."""
        return int((wish.lasts_s or usual_s) * US_PER_SECOND)


Happening = Callable[[Stage, Wish], Staged]
"""Stages one happening as wished. Raises CannotError where the city has no place for it."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What the truth says of limits. over: ids of the sensors that surely pass one for as long as it asks.

    limit_us: by when the first of them has, None where none does; severity: of the gravest so passed.
    """

    over: tuple[str, ...]
    limit_us: int | None
    severity: Severity | None


def quiet_means(nature: Nature, sensors: Integers, times_us: Integers) -> Floats:
    """Means of some sensors at evenly spaced times, shape (times, sensors).

    Where the times are closer together than SMOOTH_S, straight between some of them: a quiet day moves no faster.
    """
    if len(times_us) < 3:
        return np.array([nature.mean(sensors, int(time)) for time in times_us]).reshape(len(times_us), len(sensors))
    every = max(1, int(SMOOTH_S * US_PER_SECOND // max(1, int(times_us[1] - times_us[0]))))
    asked = np.unique(np.append(np.arange(0, len(times_us), every), len(times_us) - 1))
    known = np.array([nature.mean(sensors, int(time)) for time in times_us[asked]])
    place = np.arange(len(times_us))
    before = np.searchsorted(asked, place, side="right").clip(1, len(asked) - 1) - 1
    part = ((place - asked[before]) / (asked[before + 1] - asked[before]))[:, None]
    means: Floats = known[before] * (1 - part) + known[before + 1] * part
    return means


def over_time(changes: Sequence[Change], sensors: Integers, times_us: Integers, values: Floats) -> None:
    """Apply changes in order to values of shape (times, sensors), in place. sensors: rows, ascending."""
    for change in changes:
        if not len(change.sensors):
            continue
        which = np.searchsorted(change.sensors, sensors).clip(max=len(change.sensors) - 1)
        columns = np.flatnonzero(change.sensors[which] == sensors)
        if not columns.size:
            continue
        asked = np.broadcast_to(which[columns], (len(times_us), columns.size)).ravel()
        when = np.repeat(times_us, columns.size)
        values[:, columns] = change.changed(asked, when, values[:, columns].ravel()).reshape(-1, columns.size)


def passed_limits(stage: Stage, changes: Sequence[Change], *, margin: float = 5.0) -> Passed:
    """Which limits some changes surely pass, whatever the noise does.

    margin: in standard deviations of each sensor's noise, by which a value must be beyond the limit.
    """
    sensors = np.unique(np.concatenate([change.sensors for change in changes])) if changes else np.empty(0, np.int64)
    step_s = max(LATTICE_S, (stage.end_us - stage.start_us) / US_PER_SECOND / LATTICE)
    lattice = np.arange(stage.start_us, stage.end_us, round(step_s * US_PER_SECOND), dtype=np.int64)
    limits_of, intervals = stage.world.city.limits.of, stage.world.city.columns.interval_s
    limited = [row for row in sensors.tolist() if limits_of(*_named(stage.world, row))]
    over: dict[str, None] = {}
    moments: list[int] = []
    worst: list[Severity] = []
    for start in range(0, len(limited) if lattice.size else 0, BLOCK):  # as many as fit into memory over the lattice
        rows = np.array(limited[start : start + BLOCK], np.int64)
        values = quiet_means(stage.nature, rows, lattice)
        over_time(changes, rows, lattice, values)
        safe = margin * stage.nature.noise(rows)
        alike: dict[tuple[Limit, float], list[int]] = {}
        for column, row in enumerate(rows.tolist()):
            for limit in limits_of(*_named(stage.world, row)):
                alike.setdefault((limit, float(intervals[row])), []).append(column)
        passed: set[int] = set()
        for (limit, interval_s), columns in alike.items():
            beyond = _beyond(limit, values[:, columns], safe[columns])
            first = first_passing(beyond, max(1, int(np.ceil(_surely_told_s(limit, interval_s) / step_s))))
            found = np.flatnonzero(first >= 0)
            if found.size:
                passed.update(columns[one] for one in found.tolist())
                moments.append(int(lattice[first[found].min()]))
                worst.append(limit.severity)
        over |= dict.fromkeys(stage.world.city.columns.ids[int(rows[column])] for column in sorted(passed))
    return Passed(tuple(over), min(moments, default=None), min(worst, default=None))


def _named(world: World, row: int) -> tuple[str, str]:
    columns = world.city.columns
    return columns.ids[row], columns.quantity.names[columns.quantity.code[row]]


def _surely_told_s(limit: Limit, interval_s: float) -> float:
    """For how long a limit must be passed before any device has told it for as long as it asks.

    The first reading comes up to an interval late, the one that ends the hold so many intervals after it.
    """
    return LATE * interval_s * (1 + float(np.ceil(limit.hold_s / interval_s)))


def _beyond(limit: Limit, values: Floats, safe: Floats) -> NDArray[np.bool_]:
    high = limit.side is Side.HIGH
    return values - safe >= limit.threshold if high else values + safe <= limit.threshold


def first_passing(beyond: NDArray[np.bool_], need: int) -> Integers:
    """Where each column has been true for more than ``need`` moments in a row for the first time, -1 where never.

    beyond: shape (moments, columns).
    """
    count, columns = beyond.shape
    never = np.full(columns, -1, np.int64)
    if count <= need:
        return never
    before = np.zeros((count + 1, columns), np.int32)
    np.cumsum(beyond, axis=0, out=before[1:])
    whole = before[need + 1 :] - before[: -need - 1] == need + 1
    return np.where(whole.any(axis=0), whole.argmax(axis=0) + need, never)


def episode(
    stage: Stage,
    changes: Sequence[Change],
    centre: int,
    *,
    kind: str,
    category: Category,
    from_us: int,
    to_us: int,
    seen_by: Sequence[int] | Integers,
    details: Mapping[str, float | str] = MappingProxyType({}),
) -> Episode:
    """The truth about one event. centre: row of the sensor nearest to its cause. seen_by: rows that could see it."""
    city = stage.world.city
    place = city.sensors[centre]
    limits = passed_limits(stage, changes)
    called_us = from_us if limits.limit_us is None else limits.limit_us
    reached = [city.sensors[int(row)] for row in seen_by]
    called = {grid: stage.on_duty(grid, called_us) for grid in {place.grid, *(sensor.grid for sensor in reached)}}
    department = city.department_for(category)
    return Episode(
        name=f"{kind} {place.device}",
        kind=kind,
        category=category,
        lon=place.lon,
        lat=place.lat,
        grid=place.grid,
        from_us=from_us,
        to_us=min(stage.end_us, to_us),
        sensors=tuple(sensor.id for sensor in reached),
        over_limit=limits.over,
        limit_us=limits.limit_us,
        severity=limits.severity,
        responsible=called[place.grid],
        responsible_at={sensor.id: called[sensor.grid] for sensor in reached},
        department=None if department is None else department.id,
        details=dict(details),
    )
