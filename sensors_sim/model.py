"""The simulated district: one quiet, honest signal per sensor, as columns over all sensors of a city."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.clock import US_PER_SECOND
from sensors_sim.physics.burst import Structures
from sensors_sim.physics.chance import CONFUSED_PER_WEEK, LIVELY, come_and_go, confusions, open_or_shut, tally
from sensors_sim.physics.course import COURSES, Courses
from sensors_sim.physics.field import Fields
from sensors_sim.physics.noise import ar1, unit_hash
from sensors_sim.physics.places import density, rhythm_of
from sensors_sim.physics.quiet import OUTING_MORE, quiet_scale, top_score
from sensors_sim.physics.rhythm import RHYTHMS, Week, at_hours, switched_on
from sensors_sim.physics.schedule import Schedule
from sensors_sim.physics.signals import SIGNALS, Law
from sensors_sim.physics.table import SignalTable
from sensors_sim.physics.weather import Weather
from sensors_sim.world import World

if TYPE_CHECKING:
    from sensors_sim.staging import Hurry

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOURS_APART = 0.25
"""Nobody keeps the city's hours exactly: standard deviation of each sensor's own, hours; of elders and shops more."""
OWN_HOURS = {"elder": 0.8, "shop": 0.6}
OUTINGS = 0.25
"""Share of mornings that an elder spends out walking; always the same days of the week."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Samples of one law, as columns: what is expected of each, and what it was like before."""

    sensors: Integers
    times_us: Integers
    at_us: int
    expected: Floats
    before: Floats
    state: Floats
    elapsed_s: Floats
    memory_s: Floats


class District:
    """All sensors of a city on a quiet day. Owns what the signals remember between two samples.

    world: the city and its plan. start_us: when the simulation begins. holiday: every day of the run is one.
    confusing: times as often as usual that cameras take something harmless for smoke, fire or an intruder; above 1
    they may even be sure of it, at 1 and below they never reach a limit.
    """

    def __init__(
        self,
        world: World,
        seed: int,
        start_us: int,
        weather: Weather,
        *,
        holiday: bool = False,
        confusing: float = 1.0,
    ) -> None:
        columns = world.city.columns
        count = len(columns)
        self.city: City = world.city
        self.east, self.north = world.east, world.north
        self.weather = weather
        self._rng = np.random.default_rng([seed, 1])
        self._start_us = start_us
        self._confused_per_week = CONFUSED_PER_WEEK * confusing
        self._week = Week(world.city.timezone, holiday=holiday)
        self._courses = Courses(weather, world.city.timezone, start_us, holiday=holiday)
        self._table = SignalTable()
        self._key = np.arange(count, dtype=np.int64) + np.int64(seed % (1 << 31)) * 1_048_576
        self._signal = self._table.rows(columns.quantity, world.indoor)
        self._fields = Fields(np.random.default_rng([seed, 12]), len(SIGNALS), self.east, self.north)
        self._characters(world, np.random.default_rng([seed, 13]))
        self._scale = quiet_scale(world.city, self._signal, self._table, self._place)
        self._top = top_score(world.city, confusing)
        self._draws = (
            (Law.COUNT, self._count),
            (Law.TALLY, self._tally),
            (Law.SWITCH, self._switch),
            (Law.SCORE, self._score),
        )
        self._begin(seed, columns.interval_s, np.asarray(columns.device.code, dtype=np.int64))

    def _characters(self, world: World, rng: np.random.Generator) -> None:
        """What every sensor has of its own: its place, its neighbourhood, its people's hours."""
        table, signal, count = self._table, self._signal, len(self._signal)
        dense = density(world)
        self._place = table.place[signal] * rng.standard_normal(count).clip(-2, 2)
        self._place += table.dense[signal] * (dense - 0.5)
        own = rng.standard_normal(count).clip(-2, 2)
        self._own = np.where(table.by_density[signal], dense, own)
        names = np.array(world.city.columns.quantity.names or ("",))
        quantities = names[world.city.columns.quantity.code]
        self._rhythm = rhythm_of(world, quantities, table.rhythm[signal], unit_hash(self._key, np.full(count, 201)))
        apart = np.full(len(RHYTHMS), HOURS_APART)
        for name, hours in OWN_HOURS.items():
            apart[RHYTHMS[name]] = hours
        self._later_h = apart[self._rhythm] * rng.standard_normal(count).clip(-2, 2)

    def _begin(self, seed: int, interval_s: Floats, boxes: Integers) -> None:
        count, law = len(self._signal), self._table.law[self._signal]
        interval_us = np.rint(interval_s * US_PER_SECOND).astype(np.int64)
        shaken = np.flatnonzero(law == Law.BURST)
        self._structures = Structures(shaken, interval_us[shaken], seed, self._start_us)
        step_us, burst = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
        step_us[shaken], burst[shaken] = self._structures.step_us, self._structures.count
        self._schedule = Schedule(interval_us, boxes, seed, self._start_us, step_us=step_us, burst=burst)
        self._last_us = np.full(count, self._start_us, dtype=np.int64)
        self._turn = np.zeros(count, dtype=np.int64)
        self._state = self._rng.standard_normal(count)
        counted = np.flatnonzero(law == Law.COUNT)
        self._state[counted] = self._rng.poisson(self._expected(counted, self._start_us))
        self._state[law == Law.SWITCH] = 0.0

    def take_due(self, until_us: int) -> tuple[Integers, Integers]:
        """Sensors that sample before ``until_us`` with their times, in order of time; their next samples are set.

        A sensor with a short interval stands there several times, an accelerometer with its whole burst.
        """
        return self._schedule.take_due(until_us)

    def hasten(self, hurries: Sequence["Hurry"]) -> None:
        """Let some sensors sample more often for a while, as devices do that report on change."""
        self._schedule.hasten(hurries)

    def soften(self, sensors: Integers, from_us: int, factor: float, over_us: int = 0) -> None:
        """Let the structures under some accelerometers lose stiffness: times ``factor`` from a time on.

        Reached evenly within ``over_us``. Modal frequencies fall with its root. sensors: rows of vibration sensors;
        others among them are not touched.
        """
        rows = np.flatnonzero(np.isin(self._structures.sensors, sensors))
        self._structures.soften(rows, from_us, factor, over_us)

    def frequency_hz(self, sensors: Integers, time_us: int) -> Floats:
        """First modal frequency of the structures under some accelerometers, Hz. Raises ValueError for others."""
        rows = np.searchsorted(self._structures.sensors, sensors)
        if not np.isin(sensors, self._structures.sensors).all():
            raise ValueError("expected rows of vibration sensors")
        deck = float(self._courses.at(time_us)[COURSES["deck"]])
        return self._structures.frequency_hz(rows, np.full(len(rows), time_us), deck)

    def _expected(self, sensors: Integers, time_us: int) -> Floats:
        """What stands behind the values: means, counts expected, rates an hour, root mean squares."""
        table, signal = self._table, self._signal[sensors]
        courses = self._courses.at(time_us)
        seconds = (time_us - self._start_us) / US_PER_SECOND
        shared = table.city * self._fields.city_wide(seconds)[table.field]
        common = table.level + table.gain * courses[table.course]
        apart = table.own_gain * courses[table.own_course]
        own = self._own[sensors]
        if (lived := np.flatnonzero(table.rhythmic[signal])).size:
            own[lived] = self._lived(sensors[lived], time_us)
        base = common[signal] + apart[signal] * own
        z = shared[signal] + self._place[sensors]
        if (near := np.flatnonzero(table.local[signal])).size:
            z[near] += table.local[signal[near]] * self._fields.local(sensors[near], table.field[signal[near]], seconds)
        times = np.flatnonzero(table.scaled[signal])
        value: Floats = base + z
        value[times] = base[times] * np.exp(z[times])
        value *= self._scale[sensors]
        return value

    def _lived(self, sensors: Integers, time_us: int) -> Floats:
        """How far each sensor's people are in their day; shops open at once, elders go out on their own days."""
        hour, rhythms = self._week.course(time_us)
        rhythm = self._rhythm[sensors]
        found = at_hours(rhythms, rhythm, hour - self._later_h[sensors])
        if (shops := np.flatnonzero(rhythm == RHYTHMS["shop"])).size:
            found[shops] = switched_on(found[shops])
        if (old := np.flatnonzero(rhythm == RHYTHMS["elder"])).size:
            day = (time_us + self._week.offset_us(time_us)) // (86_400 * US_PER_SECOND)
            keys = self._key[sensors[old]]
            out = unit_hash(keys, np.full(len(old), 300 + day % 7)) < OUTINGS
            since = hour - 48 - 8.5 - 2 * unit_hash(keys, np.full(len(old), 310))
            found[old] *= 1 + OUTING_MORE * out * np.clip(np.minimum(since, 2.0 - since) * 4, 0.0, 1.0)
        return found

    def mean(self, sensors: Integers, time_us: int) -> Floats:
        """What the given sensors would read on a quiet day without noise, at one time.

        Counts: expected ones; a door: the share of time that it is open; an accelerometer: 0.
        """
        value = self._expected(sensors, time_us)
        law = self._table.law[self._signal[sensors]]
        if (doors := law == Law.SWITCH).any():
            open_h = value * self._table.memory_s[self._signal[sensors]] / 3600
            value = np.where(doors, open_h / (1 + open_h), value)
        return np.where(law == Law.BURST, 0.0, value)

    def noise(self, sensors: Integers) -> Floats:
        """Standard deviation of what the sensors scatter by around their mean; of counts at the mean of a workday."""
        table, signal = self._table, self._signal[sensors]
        law = table.law[signal]
        value = table.noise[signal] * self._scale[sensors]
        usual = table.workday[signal] * np.exp(self._place[sensors]) * self._scale[sensors]
        value = np.where(law == Law.COUNT, np.sqrt(usual), value)
        value = np.where(law == Law.TALLY, np.sqrt(usual + (LIVELY * usual) ** 2), value)
        value = np.where(law == Law.BURST, value * np.exp(self._place[sensors]), value)
        share = usual * table.memory_s[signal] / 3600
        share = share / (1 + share)
        return np.where(law == Law.SWITCH, np.sqrt(share * (1 - share)), value)

    def sample(self, sensors: Integers, times_us: Integers, at_us: int) -> Floats:
        """Values on a quiet day, not yet rounded, for sensors and times as ``take_due`` gave them (or some of them).

        Fields and rhythms are taken once, at ``at_us``: they do not move within the second or so of one call. What a
        sensor remembers goes on from each of its samples to the next, however many of them one call has.
        """
        values = self._expected(sensors, at_us)
        law = self._table.law[self._signal[sensors]]
        swinging = law == Law.BURST
        rest = np.arange(len(sensors))
        if swinging.any():
            shaken, rest = rest[swinging], rest[~swinging]
            values[shaken] *= self._swings(sensors[shaken], times_us[shaken], at_us)
        while rest.size:
            # where a sensor stands several times its first sample goes first
            self._turn[sensors[rest[::-1]]] = rest[::-1]
            first = self._turn[sensors[rest]] == rest
            which, rest = (rest, rest[:0]) if first.all() else (rest[first], rest[~first])
            values[which] = self._next(sensors[which], times_us[which], values[which], law[which], at_us)
        return values

    def _next(self, sensors: Integers, times_us: Integers, expected: Floats, law: Integers, at_us: int) -> Floats:
        """One more sample of each of some different sensors, where so much is expected."""
        signal = self._signal[sensors]
        elapsed = (times_us - self._last_us[sensors]) / US_PER_SECOND
        memory_s = self._table.memory_s[signal]
        before = self._state[sensors]
        state = ar1(before, elapsed, memory_s, self._rng.standard_normal(len(sensors)))
        values = expected + self._table.noise[signal] * self._scale[sensors] * state
        for kind, draw in self._draws:
            if (which := np.flatnonzero(law == kind)).size:
                drawn = _Drawn(
                    sensors=sensors[which],
                    times_us=times_us[which],
                    at_us=at_us,
                    expected=expected[which],
                    before=before[which],
                    state=state[which],
                    elapsed_s=elapsed[which],
                    memory_s=memory_s[which],
                )
                values[which], state[which] = draw(drawn)
        self._state[sensors] = state
        self._last_us[sensors] = times_us
        return values

    def _count(self, drawn: _Drawn) -> tuple[Floats, Floats]:
        present = come_and_go(self._rng, drawn.before, drawn.expected, drawn.elapsed_s, drawn.memory_s)
        return present, present

    def _tally(self, drawn: _Drawn) -> tuple[Floats, Floats]:
        return tally(self._rng, drawn.expected, drawn.state), drawn.state

    def _switch(self, drawn: _Drawn) -> tuple[Floats, Floats]:
        stands = open_or_shut(self._rng, drawn.before, drawn.expected / 3600, drawn.elapsed_s, drawn.memory_s)
        return stands, stands

    def _score(self, drawn: _Drawn) -> tuple[Floats, Floats]:
        noise = self._table.noise[self._signal[drawn.sensors]] * self._scale[drawn.sensors] * np.abs(drawn.state)
        seconds = drawn.times_us / US_PER_SECOND
        apt = 0.5 + 1.5 * float(self._courses.at(drawn.at_us)[COURSES["low_sun"]])
        mistaken = confusions(self._key[drawn.sensors], seconds, apt * self._confused_per_week)
        return np.maximum(drawn.expected + noise, self._top[drawn.sensors] * mistaken), drawn.state

    def _swings(self, sensors: Integers, times_us: Integers, at_us: int) -> Floats:
        rows = np.searchsorted(self._structures.sensors, sensors)
        deck = float(self._courses.at(at_us)[COURSES["deck"]])
        return self._structures.swings(self._rng, rows, times_us, deck)

    def shown(self, sensors: Integers, values: Floats) -> Floats:
        """What the devices show of values: kept inside the physical range and rounded to their resolution."""
        table, signal = self._table, self._signal[sensors]
        steps = table.steps[signal]
        inside = np.clip(values, table.low[signal], table.high[signal])
        rounded: Floats = np.rint(inside * steps) / steps + 0.0
        return rounded
