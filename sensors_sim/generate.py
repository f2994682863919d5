"""The run itself: a district and a script, turned into readings instant by instant. Pure: a seed decides every byte."""

from collections.abc import Iterator

import numpy as np

from config.city import City
from config.clock import US_PER_SECOND
from sensors_sim.model import District
from sensors_sim.physics.sky import make_weather
from sensors_sim.scenario import Sky
from sensors_sim.script import Script, write_script
from sensors_sim.truth import Truth
from sensors_sim.wire import Instant
from sensors_sim.world import world_of

TICK_S = 1.0
"""Length of an instant, simulated seconds."""


class Simulation:
    """One seeded run of a city. Iterate ``instants`` once; ``truth`` is known from the start."""

    def __init__(
        self,
        city: City,
        seed: int,
        start_us: int,
        minutes: float = 30.0,
        *,
        first_event_s: float = 120.0,
        tick_s: float = TICK_S,
        quiet: bool = False,
    ) -> None:
        """quiet: nothing happens at all, only normal life. Raises ValueError for a length or tick that is not > 0."""
        if minutes <= 0 or tick_s <= 0:
            raise ValueError(f"minutes is {minutes} and tick_s is {tick_s}, both must be above 0")
        self.city = city
        self.start_us = start_us
        self.end_us = start_us + round(minutes * 60 * US_PER_SECOND)
        self._tick_us = round(tick_s * US_PER_SECOND)
        world = world_of(city)
        weather = make_weather(Sky.FAIR, seed, start_us, self.end_us, city.timezone, world.lat0)
        self._district = District(world, seed, start_us, weather)
        nothing = Script((), (), Truth(city.version, seed, start_us, self.end_us, (), ()))
        script = write_script(city, self._district, seed, start_us, self.end_us, first_event_s=first_event_s)
        self._script = nothing if quiet else script
        self._frozen = np.full(len(city.sensors), np.nan)

    @property
    def truth(self) -> Truth:
        """What the run does to the world and to its sensors."""
        return self._script.truth

    def instants(self) -> Iterator[Instant]:
        """Every stretch of the run, also those without readings."""
        for begin_us in range(self.start_us, self.end_us, self._tick_us):
            yield self._instant(min(begin_us + self._tick_us, self.end_us))

    def _instant(self, until_us: int) -> Instant:
        sensors, times_us = self._district.take_due(until_us)
        values = self._district.sample(sensors, times_us, until_us)
        for effect in self._script.effects:
            effect.apply(sensors, times_us, values)
        values = self._district.shown(sensors, values)
        for damage in self._script.broken:
            mine = np.flatnonzero(sensors == damage.sensor)
            if not mine.size:
                continue
            late = times_us[mine] >= damage.from_us
            if damage.silent:
                gone = mine[late]
                sensors, times_us = np.delete(sensors, gone), np.delete(times_us, gone)
                values = np.delete(values, gone)
                continue
            if (before := mine[~late]).size:
                self._frozen[damage.sensor] = values[before[-1]]
            elif np.isnan(self._frozen[damage.sensor]):
                self._frozen[damage.sensor] = values[mine[0]]
            values[mine[late]] = self._frozen[damage.sensor]
        return Instant(until_us, sensors, times_us, values)


def readings(
    city: City, seed: int, start_us: int, minutes: float = 30.0, *, first_event_s: float = 120.0
) -> Iterator[tuple[int, list[tuple[str, float]]]]:
    """Every reading of a run in order of time: (event time, [(sensor id, value), ...]), byte-identical for one seed."""
    ids = [sensor.id for sensor in city.sensors]
    for instant in Simulation(city, seed, start_us, minutes, first_event_s=first_event_s).instants():
        together: dict[int, list[tuple[str, float]]] = {}
        columns = zip(instant.times_us.tolist(), instant.sensors.tolist(), instant.values.tolist(), strict=True)
        for time_us, sensor, value in columns:
            together.setdefault(time_us, []).append((ids[sensor], value))
        yield from together.items()
