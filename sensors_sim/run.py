"""A run of a scenario in a world: what happens, what breaks, what the devices send of it, and the truth about it all.

    quiet day > what happens > what the device shows > how it is broken > how it sends

Pure: world, scenario and seed decide every byte.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from config.clock import US_PER_SECOND, from_datetime
from sensors_sim.changes import Changes
from sensors_sim.devices import Delivery
from sensors_sim.faults import Faults, plan_faults
from sensors_sim.happenings import HAPPENINGS
from sensors_sim.model import District
from sensors_sim.physics.sky import make_weather
from sensors_sim.scenario import Scenario, Wish
from sensors_sim.staging import CannotError, Change, Hurry, Outage, Softening, Stage, Staged
from sensors_sim.truth import Episode, Fault, Silence, Truth
from sensors_sim.wire import Instant
from sensors_sim.world import World

READINGS_A_TICK, TICKS = 200, 8_000
"""An instant is long enough for about so many readings, or for so many instants in a run, within these bounds:"""
SHORTEST_S, LONGEST_S = 1.0, 60.0


@dataclass(slots=True)
class _Staging:
    """What has been staged so far."""

    changes: list[Change] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    hurries: list[Hurry] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    softenings: list[Softening] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)

    def add(self, staged: Staged) -> None:
        self.changes += staged.changes
        self.episodes += staged.episodes
        self.faults += staged.faults
        self.outages += staged.outages
        self.hurries += staged.hurries
        self.silences += staged.silences
        self.softenings += staged.softenings


class ScenarioRun:
    """One run. Iterate ``instants`` once; ``truth`` is known from the start."""

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        seed: int,
        *,
        name: str = "",
        start_us: int | None = None,
        lasts_s: float | None = None,
        tick_s: int | None = None,
    ) -> None:
        """name: of the scenario, for the truth. start_us, lasts_s: otherwise than the scenario says.

        tick_s: length of an instant, whole seconds; as ``tick_us`` finds it best where it is not given.

        Raises ValueError for a run that does not last.
        """
        lasts_s = scenario.lasts if lasts_s is None else lasts_s
        if lasts_s <= 0:
            raise ValueError(f"the run lasts {lasts_s} s, expected more than 0")
        self.world, self.city = world, world.city
        self.start_us = beginning_us(world, scenario) if start_us is None else start_us
        self.end_us = self.start_us + round(lasts_s * US_PER_SECOND)
        weather = make_weather(scenario.sky, seed, self.start_us, self.end_us, self.city.timezone, world.lat0)
        self._district = District(world, seed, self.start_us, weather, holiday=scenario.holiday)
        stage = Stage(world, self._district, weather, np.random.default_rng([seed, 3]), self.start_us, self.end_us)
        staging = _stage_all(stage, scenario.wishes(len(self.city.sensors)), seed)
        planned = plan_faults(
            world, scenario.health, self.start_us, self.end_us, np.random.default_rng([seed, 4]), stage.taken
        )
        broken = (*staging.faults, *planned)
        self._changes = Changes(staging.changes, len(self.city.sensors))
        noise = self._district.noise(np.arange(len(self.city.sensors)))
        self._faults = Faults(world, broken, np.random.default_rng([seed, 6]), noise, weather)
        promised = {sensor for one in staging.episodes for sensor in one.over_limit}
        self._delivery = Delivery(
            world, scenario.manners, staging.outages, broken, seed, self.start_us, self.end_us, spared=promised
        )
        self._district.hasten(staging.hurries)
        for weaker in staging.softenings:
            self._district.soften(weaker.sensors, weaker.from_us, weaker.factor, weaker.over_us)
        self._tick_us = tick_us(world, lasts_s) if tick_s is None else tick_s * US_PER_SECOND
        self.truth = Truth(
            city=self.city.version,
            seed=seed,
            start_us=self.start_us,
            end_us=self.end_us,
            episodes=_told_apart(staging.episodes),
            faults=(*self._faults.faults, *self._delivery.truth()),
            not_staged=tuple(staging.missing),
            scenario=name,
            silences=tuple(staging.silences),
        )

    def instants(self) -> Iterator[Instant]:
        """Every stretch of the run, also those without readings."""
        for begin_us in range(self.start_us, self.end_us, self._tick_us):
            until_us = min(begin_us + self._tick_us, self.end_us)
            sensors, times_us = self._district.take_due(until_us)
            values = self._district.sample(sensors, times_us, until_us)
            self._changes.apply(sensors, times_us, values)
            values = self._district.shown(sensors, values)
            self._faults.apply(sensors, times_us, values)
            yield self._delivery.deliver(until_us, sensors, times_us, values)


def beginning_us(world: World, scenario: Scenario) -> int:
    """When the scenario begins in this city, by its own local time."""
    return from_datetime(scenario.start.replace(tzinfo=world.city.timezone))


def tick_us(world: World, lasts_s: float) -> int:
    """Length of an instant of a run, whole seconds in microseconds."""
    columns = world.city.columns
    rate = float((1 / columns.interval_s).sum()) if len(columns) else 1.0
    seconds = min(READINGS_A_TICK / rate, lasts_s / TICKS)
    return round(min(LONGEST_S, max(SHORTEST_S, seconds))) * US_PER_SECOND


def _stage_all(stage: Stage, wishes: Sequence[Wish], seed: int) -> _Staging:
    """Stage every wish in the order of the file; what the city has no place for is told with its reason."""
    staging = _Staging()
    of_kind: dict[str, int] = {}
    for wish in wishes:
        number = of_kind[wish.kind] = of_kind.get(wish.kind, 0) + 1
        stage.rng = np.random.default_rng([seed, 3, zlib.crc32(wish.kind.encode()), number])
        happening = HAPPENINGS.get(wish.kind)
        if happening is None:
            staging.missing.append((wish.kind, f"expected one of {', '.join(sorted(HAPPENINGS))}"))
            continue
        try:
            staging.add(happening(stage, wish))
        except CannotError as error:
            staging.missing.append((wish.kind, str(error)))
    return staging


def _told_apart(episodes: Sequence[Episode]) -> tuple[Episode, ...]:
    """Episodes with a name each: the second of one name is called so."""
    seen: dict[str, int] = {}
    named = []
    for one in episodes:
        number = seen[one.name] = seen.get(one.name, 0) + 1
        named.append(one if number == 1 else replace(one, name=f"{one.name} {number}"))
    return tuple(named)
