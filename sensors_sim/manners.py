"""Which boxes have which manners, drawn by a seed: clocks, batches, absences, restarts, batteries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.vocabulary import Kind
from sensors_sim.scenario import Manners
from sensors_sim.staging import Outage
from sensors_sim.truth import Fault, FaultKind
from sensors_sim.world import World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
CLOCK_OFF_S = (2.0, 600.0)
"""How far the clock of a box is off whose clock nobody sets: as many by seconds as by minutes."""
CLOCK_RATE = (0.0005, 0.01)
"""How fast one drifts that hangs on an RC oscillator (0.05 to 1 %; a quartz's 20 ppm are not worth telling)."""
CLOCK_FAULT_S = (300.0, 43_200.0)
BATCH_S = (120.0, 600.0)
OFFLINE_S = (180.0, 1800.0)
BACK_S = 30.0
"""Within so many seconds a box is back in the network once it can be."""
REBOOT_S = (30.0, 90.0)


class Spans:
    """Spans of time of some keys (sensors or boxes), any number of each, as columns over all keys."""

    def __init__(self, count: int, keys: Integers, from_us: Integers, to_us: Integers) -> None:
        """keys: of each span, 0 to ``count``; from_us, to_us: microseconds, the end left out."""
        self._count = count
        order = np.lexsort((from_us, keys))
        keys, from_us, to_us = keys[order], from_us[order], to_us[order]
        begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else order
        within = np.arange(len(keys)) - np.repeat(begins, np.diff(np.append(begins, len(keys))))
        self.layers: list[tuple[Integers, Integers]] = []
        for number in range(int(within.max(initial=-1)) + 1):
            first, last = np.full(count, NEVER), np.full(count, NEVER)
            these = within == number
            first[keys[these]], last[keys[these]] = from_us[these], to_us[these]
            self.layers.append((first, last))

    def any(self) -> Bools:
        """Which keys have a span at all, shape (count,)."""
        return self.layers[0][0] != NEVER if self.layers else np.zeros(self._count, np.bool_)

    def hold(self, keys: Integers, times_us: Integers) -> Bools:
        """Whether each time is within a span of its key."""
        inside = np.zeros(len(keys), np.bool_)
        for first, last in self.layers:
            inside |= (times_us >= first[keys]) & (times_us < last[keys])
        return inside

    def ends(self, keys: Integers, times_us: Integers) -> Integers:
        """The first moment from each time on that is in no span of its key."""
        for first, last in self.layers:
            times_us = np.where((times_us >= first[keys]) & (times_us < last[keys]), last[keys], times_us)
        return times_us


@dataclass(frozen=True, slots=True)
class Boxes:
    """The manners of every box, as columns over them. Spans and clocks in microseconds; NEVER, 0 or False for none.

    clock_us, clock_rate: off by so much, and by this share of the time since the beginning. batch_us: how often it
    sends, from batch_at on. away: without network, for whatever cause; left, back: by itself. reboot: when; up: when
    it is on again; jumps: whether its first values then are wrong (else its clock is). low: when its battery grows
    weak; dead: when it is empty.
    """

    clock_us: Integers
    clock_rate: Floats
    batch_us: Integers
    batch_at: Integers
    away: Spans
    left: Integers
    back: Integers
    reboot: Integers
    up: Integers
    jumps: Bools
    low: Integers
    dead: Integers
    retained: Bools


def either_sign(rng: np.random.Generator, span_s: tuple[float, float], count: int) -> Integers:
    """Microseconds (whole milliseconds) between the ends of the span, as many in each octave, before or after."""
    size = np.exp(rng.uniform(np.log(span_s[0]), np.log(span_s[1]), count))
    drawn: Integers = np.rint(np.where(rng.random(count) < 0.5, -1, 1) * size * 1000).astype(np.int64) * 1000
    return drawn


def fault_spans(world: World, faults: Sequence[Fault], kind: FaultKind) -> Spans:
    """When which sensors have a fault of one kind. Raises KeyError for a sensor that the city does not have."""
    these = [fault for fault in faults if fault.kind is kind]
    return Spans(
        len(world.city.columns),
        np.array([world.city.sensor_index[fault.sensor] for fault in these], np.int64),
        np.array([fault.from_us for fault in these], np.int64),
        np.array([fault.to_us for fault in these], np.int64),
    )


def outages_of(
    world: World, outages: Sequence[Outage], rng: np.random.Generator
) -> tuple[Spans, tuple[Integers, Integers, Integers]]:
    """(boxes without power, and of those without network: box, from, to)."""
    names = world.city.columns.device.names
    codes = dict(zip(names, range(len(names)), strict=True)) if outages else {}
    if unknown := sorted({name for outage in outages for name in outage.devices} - codes.keys()):
        raise ValueError(f"boxes of an outage that the city does not have: {', '.join(unknown[:5])}")
    entries: dict[bool, list[tuple[int, int, int]]] = {True: [], False: []}
    for outage in outages:
        boxes = sorted(codes[name] for name in outage.devices)
        entries[outage.keeps] += [(box, outage.from_us, outage.to_us) for box in boxes]
    dark = np.array(entries[False], np.int64).reshape(-1, 3)
    away = np.array(entries[True], np.int64).reshape(-1, 3)
    back = away[:, 2] + (rng.random(len(away)) * BACK_S * US_PER_SECOND).astype(np.int64)
    return Spans(len(names), dark[:, 0], dark[:, 1], dark[:, 2]), (away[:, 0], away[:, 1], back)


class Drawing:
    """Draws which boxes have which manners."""

    def __init__(
        self, world: World, manners: Manners, start_us: int, end_us: int, rng: np.random.Generator, *, spared: Integers
    ) -> None:
        """spared: rows of sensors whose boxes are punctual, whatever the shares say."""
        columns = world.city.columns
        self._manners, self._rng = manners, rng
        self._start_us, self._run_us = start_us, end_us - start_us
        self._box = columns.device.code
        self._count = len(columns.device.names)
        interval_us = np.rint(columns.interval_s * US_PER_SECOND).astype(np.int64)
        self._fastest, self._slowest = np.full(self._count, NEVER), np.zeros(self._count, np.int64)
        np.minimum.at(self._fastest, self._box, interval_us)
        np.maximum.at(self._slowest, self._box, interval_us)
        self._punctual = np.zeros(self._count, np.bool_)
        self._punctual[self._box[spared]] = True
        self._urgent = self._with(columns.measured(lambda quantity: quantity.life_safety, np.bool_))
        self._camera = self._with(columns.kind.each(lambda name: name == Kind.CAMERA.value, np.bool_))

    def _with(self, sensors: Bools) -> Bools:
        """Boxes that have such a sensor."""
        return np.bincount(self._box[sensors], minlength=self._count) > 0

    def _some(self, share: float, able: Bools) -> Integers:
        """``share`` of all boxes, as far as there are able ones."""
        wanted = round(share * self._count)
        return np.sort(self._rng.permutation(np.flatnonzero(able))[:wanted])

    def _moments(self, number: int, first: float, last: float) -> Integers:
        """Moments between two shares of the run, whole milliseconds."""
        drawn = self._start_us + self._rng.uniform(first, last, number) * self._run_us
        moments: Integers = drawn.astype(np.int64) // 1000 * 1000
        return moments

    def boxes(self, away: tuple[Integers, Integers, Integers], ill: Bools) -> Boxes:
        """The manners of all boxes. away: box, from, to of absences that come anyway.

        ill: sensors that are silent, or whose clock is wrong, anyway.
        """
        well = ~self._with(ill)
        retained = np.zeros(self._count, np.bool_)
        retained[self._some(self._manners.retained, np.ones(self._count, np.bool_))] = True
        clock_us, clock_rate = self._clocks(well)
        batch_us, batch_at = self._batches()
        reboot, up, jumps = self._reboots()
        low, dead = self._batteries(well)
        some, leave, again = self._absences()
        left, back = np.full(self._count, NEVER), np.full(self._count, NEVER)
        left[some], back[some] = leave, again
        joined = [np.concatenate(pair) for pair in zip(away, (some, leave, again), strict=True)]
        return Boxes(
            clock_us,
            clock_rate,
            batch_us,
            batch_at,
            Spans(self._count, joined[0], joined[1], joined[2]),
            left,
            back,
            reboot,
            up,
            jumps,
            low,
            dead,
            retained,
        )

    def _clocks(self, well: Bools) -> tuple[Integers, Floats]:
        off = self._some(self._manners.clock_off, well & ~self._punctual)
        by_us, rate = np.zeros(self._count, np.int64), np.zeros(self._count)
        drifts = self._rng.random(len(off)) < 0.5
        by_us[off] = np.where(drifts, 0, either_sign(self._rng, CLOCK_OFF_S, len(off)))
        speed = np.exp(self._rng.uniform(np.log(CLOCK_RATE[0]), np.log(CLOCK_RATE[1]), len(off)))
        rate[off] = np.where(drifts, speed * np.where(self._rng.random(len(off)) < 0.5, -1, 1), 0.0)
        return by_us, rate

    def _batches(self) -> tuple[Integers, Integers]:
        # nobody lets a gas or smoke detector wait
        some = self._some(self._manners.batching, ~self._urgent & ~self._punctual)
        every, begin = np.zeros(self._count, np.int64), np.full(self._count, self._start_us)
        drawn = self._rng.uniform(*BATCH_S, len(some)) * US_PER_SECOND
        every[some] = np.maximum(drawn.astype(np.int64), 3 * self._fastest[some]) // 1000 * 1000
        begin[some] += (self._rng.random(len(some)) * every[some]).astype(np.int64)
        return every, begin

    def _absences(self) -> tuple[Integers, Integers, Integers]:
        some = self._some(self._manners.offline, ~self._punctual)
        leave = self._moments(len(some), 0.1, 0.7)
        longest = min(OFFLINE_S[1], 0.3 * self._run_us / US_PER_SECOND)
        lasts_s = self._rng.uniform(min(OFFLINE_S[0], longest), longest, len(some))
        back = leave + ((lasts_s + self._rng.random(len(some)) * BACK_S) * US_PER_SECOND).astype(np.int64)
        return some, leave, back

    def _reboots(self) -> tuple[Integers, Integers, Bools]:
        some = self._some(self._manners.reboot, ~self._punctual)
        down, up = np.full(self._count, NEVER), np.full(self._count, NEVER)
        down[some] = self._moments(len(some), 0.1, 0.9)
        up[some] = down[some] + (self._rng.uniform(*REBOOT_S, len(some)) * US_PER_SECOND).astype(np.int64)
        # what keeps lives safe shows a fault, not a value, until it has settled (GB 15322.1-2019)
        jumps = (self._rng.random(self._count) < 0.5) & ~self._urgent
        return down, up, jumps

    def _batteries(self, well: Bools) -> tuple[Integers, Integers]:
        """Boxes that could run on a battery, and whose end can be seen within the run."""
        able = well & ~self._punctual & ~self._camera & (8 * self._slowest < 0.5 * self._run_us)
        some = self._some(self._manners.flat_battery, able)
        low, dead = np.full(self._count, NEVER), np.full(self._count, NEVER)
        dead[some] = self._moments(len(some), 0.3, 0.5) + (
            self._rng.random(len(some)) * np.maximum(0.4 * self._run_us - 8 * self._slowest[some], 0)
        ).astype(np.int64)
        low[some] = dead[some] - (self._rng.uniform(0.1, 0.3, len(some)) * self._run_us).astype(np.int64)
        return low, dead
