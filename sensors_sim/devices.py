"""How devices send what they measure: late, twice, in batches, under a wrong clock, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.vocabulary import Kind
from sensors_sim.faults.duty import Duty
from sensors_sim.faults.instruments import INSTRUMENTS
from sensors_sim.physics.signals import SIGNALS
from sensors_sim.scenario import Manners
from sensors_sim.staging import Outage
from sensors_sim.truth import FAULT_ROLES, Fault, FaultKind
from sensors_sim.wire import Instant
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
CLOCK_TOLD_S = 60.0
"""A clock further off than this is a fault of the device."""
BATCH_S = (120.0, 600.0)
OFFLINE_S = (180.0, 1800.0)
BACK_S = 30.0
"""Within so many seconds a box is back in the network once it can be."""
REBOOT_S = (30.0, 90.0)
SPARING = 8.0
"""A box with a flat battery measures less and less often; at the end every so many intervals."""
OUT_OF_ORDER_S = 90.0
"""A duplicate that takes another way comes up to so much later."""
_MINUTE_US = 60 * US_PER_SECOND


class Gone(IntEnum):
    """Why a reading never arrives."""

    NOT = 0
    NO_POWER = 1
    REBOOTING = 2
    SILENT = 3
    BATTERY = 4
    LOST = 5


_POWER, _AWAY, _BATCH, _CLOCK, _SILENT, _REBOOT, _BATTERY, _WRONG_CLOCK = (np.uint8(1 << bit) for bit in range(8))
"""What is particular about a sensor, as bits: most have nothing, and cost nothing."""


class _Spans:
    """Spans of time of some keys (sensors or boxes), any number of each, as columns over all keys."""

    def __init__(self, count: int, keys: Integers, from_us: Integers, to_us: Integers) -> None:
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
class _Parcel:
    """Readings on their way, as columns. release_us: when they arrive; told_us: their time as the device tells it."""

    release_us: Integers
    sensors: Integers
    told_us: Integers
    values: Floats

    def __len__(self) -> int:
        return len(self.release_us)

    def some(self, which: Integers | Bools) -> "_Parcel":
        return _Parcel(self.release_us[which], self.sensors[which], self.told_us[which], self.values[which])

    @classmethod
    def joined(cls, parts: Sequence["_Parcel"]) -> "_Parcel":
        return cls(
            np.concatenate([part.release_us for part in parts]),
            np.concatenate([part.sensors for part in parts]),
            np.concatenate([part.told_us for part in parts]),
            np.concatenate([part.values for part in parts]),
        )


_NOTHING = np.empty(0, np.int64)
_EMPTY = _Parcel(_NOTHING, _NOTHING, _NOTHING, np.empty(0))


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The manners of every box, as columns over them. Spans and clocks in microseconds; NEVER, 0 or False for none.

    clock_us, clock_rate: off by so much, and by this share of the time since the beginning. batch_us: how often it
    sends, from batch_at on. reboot: when; up: when it is on again; jumps: whether its first values then are wrong
    (else its clock is). low: when its battery grows weak; dead: when it is empty.
    """

    clock_us: Integers
    clock_rate: Floats
    batch_us: Integers
    batch_at: Integers
    away: _Spans
    reboot: Integers
    up: Integers
    jumps: Bools
    low: Integers
    dead: Integers
    retained: Bools


class Delivery:
    """From what the devices measure to what arrives. Owns what is on its way, and counts what never arrives.

    Call ``deliver`` for one stretch of time after the other. A box's readings arrive in the order in which they were
    measured, duplicates left aside.
    """

    def __init__(  # noqa: PLR0917 - called by position, as staging is
        self,
        world: World,
        manners: Manners,
        outages: Sequence[Outage],
        faults: Sequence[Fault],
        seed: int,
        start_us: int,
        end_us: int,
    ) -> None:
        """outages: boxes that cannot send. faults: those of kind SILENT and CLOCK are done here, others not.

        Raises KeyError for a sensor, ValueError for a box that the city does not have.
        """
        self._world, self._manners = world, manners
        self._start_us, self._end_us = start_us, end_us
        self._rng = np.random.default_rng([seed, 8])
        columns = world.city.columns
        self._box = columns.device.code.astype(np.int64)
        self._interval_us = np.rint(columns.interval_s * US_PER_SECOND).astype(np.int64)
        rng = np.random.default_rng([seed, 7])
        self._silent = _fault_spans(world, faults, FaultKind.SILENT)
        self._wrong_clock = _fault_spans(world, faults, FaultKind.CLOCK)
        self._wrong_by_us = _either_sign(rng, CLOCK_FAULT_S, len(columns.device.names))
        self._power, away = _outages(world, outages, rng)
        ill = _any(self._silent, len(columns)) | _any(self._wrong_clock, len(columns))
        self._boxes = _Drawing(world, manners, start_us, end_us, rng).boxes(away, ill)
        self._odd = self._oddities()
        self._fresh = self._boxes.reboot[self._box] != NEVER
        self._later: dict[int, list[_Parcel]] = {}
        self._soon = _EMPTY
        self.counts = {"measured": 0, "delivered": 0, "duplicated": 0}
        self.counts |= {gone.name.lower(): 0 for gone in Gone if gone is not Gone.NOT}

    @property
    def waiting(self) -> int:
        """Readings (and duplicates) that are measured and neither delivered nor lost."""
        return len(self._soon) + sum(len(part) for parts in self._later.values() for part in parts)

    def deliver(self, until_us: int, sensors: Integers, times_us: Integers, values: Floats) -> Instant:
        """What arrives before ``until_us``, in order of arrival, given what is measured from the last call on.

        sensors, times_us, values: shape (readings,), in order of time, none from ``until_us`` on; not changed.
        The answer's times are those that the devices tell.
        """
        gone = np.zeros(len(sensors), np.int8)
        parcel = _Parcel(times_us, sensors, times_us, values)
        odd = self._odd[sensors]
        some = np.flatnonzero(odd)
        if some.size:
            parcel = self._oddly(parcel, odd[some], some, gone)
        twice = self._chance(gone)
        self._count(gone)
        copies = parcel.some(twice)
        here = gone == Gone.NOT
        arriving = parcel if here.all() else parcel.some(here)
        due = self._due(until_us, arriving, copies)
        self.counts["delivered"] += len(due)
        retained = self._boxes.retained[self._box[due.sensors]] if self._manners.retained else None
        return Instant(until_us, due.sensors, due.told_us, due.values, retained)

    def truth(self) -> list[Fault]:
        """Faults that come of these manners and that a daemon should find: flat batteries, clocks over a minute off."""
        boxes = self._boxes
        since = np.where(np.abs(boxes.clock_us) > CLOCK_TOLD_S * US_PER_SECOND, self._start_us, NEVER).astype(np.int64)
        drifting = np.flatnonzero(boxes.clock_rate)
        reached = CLOCK_TOLD_S * US_PER_SECOND / np.abs(boxes.clock_rate[drifting])
        since[drifting] = self._start_us + np.minimum(reached, 1e17).astype(np.int64)
        found = [(FaultKind.SILENT, row, int(boxes.dead[box])) for box, row in self._members(boxes.dead)]
        found += [(FaultKind.CLOCK, row, int(since[box])) for box, row in self._members(since)]
        columns, duty = self._world.city.columns, Duty(self._world.city, FAULT_ROLES)
        return [
            Fault(
                kind,
                columns.ids[row],
                float(columns.lon[row]),
                float(columns.lat[row]),
                columns.grid[row],
                from_us,
                self._end_us,
                duty.on(columns.grid[row], from_us),
            )
            for kind, row, from_us in found
        ]

    def _members(self, when: Integers) -> list[tuple[int, int]]:
        """(box, row) of every sensor of the boxes whose time comes within the run."""
        rows = np.flatnonzero(when[self._box] < self._end_us)
        return list(zip(self._box[rows].tolist(), rows.tolist(), strict=True))

    def _oddities(self) -> NDArray[np.uint8]:
        boxes, count = self._boxes, len(self._boxes.clock_us)
        of_box = np.zeros(count, np.uint8)
        for flag, has in (
            (_BATCH, boxes.batch_us > 0),
            (_CLOCK, (boxes.clock_us != 0) | (boxes.clock_rate != 0)),
            (_REBOOT, boxes.reboot != NEVER),
            (_BATTERY, boxes.dead != NEVER),
            (_POWER, _any(self._power, count)),
            (_AWAY, _any(boxes.away, count)),
        ):
            of_box[has] |= flag
        odd = of_box[self._box]
        odd[_any(self._silent, len(odd))] |= _SILENT
        odd[_any(self._wrong_clock, len(odd))] |= _WRONG_CLOCK
        return odd

    def _oddly(self, parcel: _Parcel, odd: NDArray[np.uint8], some: Integers, gone: NDArray[np.int8]) -> _Parcel:
        """What becomes of the readings of odd sensors. odd: their flags; some: their places; gone: filled in place."""
        why = self._missing(odd, parcel.sensors[some], parcel.told_us[some])
        gone[some] = why
        some, odd = some[why == Gone.NOT], odd[why == Gone.NOT]
        sensors, release = parcel.sensors[some], parcel.release_us[some]
        told, values = release.copy(), parcel.values[some]
        self._tell_times(odd, sensors, release, told)
        self._start_anew(odd, sensors, release, told, values)
        self._hold_back(odd, self._box[sensors], release)
        all_release, all_told, all_values = parcel.release_us.copy(), parcel.told_us.copy(), parcel.values.copy()
        all_release[some], all_told[some], all_values[some] = release, told, values
        return _Parcel(all_release, parcel.sensors, all_told, all_values)

    def _missing(self, odd: NDArray[np.uint8], sensors: Integers, times_us: Integers) -> NDArray[np.int8]:
        """Why each reading is never sent."""
        why, box, boxes = np.zeros(len(sensors), np.int8), self._box[sensors], self._boxes
        if (which := np.flatnonzero(odd & _BATTERY)).size:
            why[which[self._spared(sensors[which], times_us[which])]] = Gone.BATTERY
        if (which := np.flatnonzero(odd & _SILENT)).size:
            why[which[self._silent.hold(sensors[which], times_us[which])]] = Gone.SILENT
        if (which := np.flatnonzero(odd & _REBOOT)).size:
            down = (times_us[which] >= boxes.reboot[box[which]]) & (times_us[which] < boxes.up[box[which]])
            why[which[down]] = Gone.REBOOTING
        if (which := np.flatnonzero(odd & _POWER)).size:
            why[which[self._power.hold(box[which], times_us[which])]] = Gone.NO_POWER
        return why

    def _spared(self, sensors: Integers, times_us: Integers) -> Bools:
        """Which samples a weak battery leaves out.

        The interval grows evenly from 1 to SPARING times its length, so the number of samples since the battery grew
        weak is the integral of 1 / (interval * growth); a sample is sent whenever that number has passed a whole one.
        """
        low, dead = self._boxes.low[self._box[sensors]], self._boxes.dead[self._box[sensors]]
        interval = self._interval_us[sensors]
        slope = (SPARING - 1) / (dead - low)

        def number(since_us: Floats | Integers) -> Floats:
            passed: Floats = np.floor(np.log1p(slope * np.maximum(since_us, 0)) / (slope * interval))
            return passed

        sent = number(times_us - low) > number(times_us - low - interval)
        return (times_us >= low) & ((times_us >= dead) | ~sent)

    def _tell_times(self, odd: NDArray[np.uint8], sensors: Integers, times_us: Integers, told: Integers) -> None:
        """Put each box's own time in the place of the true one, in place."""
        box, boxes = self._box[sensors], self._boxes
        if (which := np.flatnonzero(odd & _CLOCK)).size:
            mine = box[which]
            drift = (boxes.clock_rate[mine] * (times_us[which] - self._start_us)).astype(np.int64)
            told[which] = (told[which] + boxes.clock_us[mine] + drift) // 1000 * 1000
        if (which := np.flatnonzero(odd & _WRONG_CLOCK)).size:
            wrong = which[self._wrong_clock.hold(sensors[which], times_us[which])]
            told[wrong] += self._wrong_by_us[box[wrong]]

    def _start_anew(
        self, odd: NDArray[np.uint8], sensors: Integers, times_us: Integers, told: Integers, values: Floats
    ) -> None:
        """The first reading of each sensor after its box was started anew: its clock is at 1970, or its value jumps.

        told and values are changed in place.
        """
        box, boxes = self._box[sensors], self._boxes
        which = np.flatnonzero(odd & _REBOOT)
        which = which[self._fresh[sensors[which]] & (times_us[which] >= boxes.up[box[which]])]
        if not which.size:
            return
        which = which[np.unique(sensors[which], return_index=True)[1]]
        self._fresh[sensors[which]] = False
        jumps = boxes.jumps[box[which]]
        forgetful, jumping = which[~jumps], which[jumps]
        told[forgetful] = (times_us[forgetful] - boxes.up[box[forgetful]]) // 1000 * 1000
        values[jumping] = self._jumped(sensors[jumping], values[jumping])

    def _jumped(self, sensors: Integers, values: Floats) -> Floats:
        """Values of instruments that have not settled: six times their accuracy too much, at the most their scale."""
        quantity = self._world.city.columns.quantity
        names = [quantity.names[code] for code in quantity.code[sensors].tolist()]
        shown = []
        for name, value in zip(names, values.tolist(), strict=True):
            instrument = INSTRUMENTS.get(name)
            if instrument is not None:
                steps = SIGNALS[name].steps
                value = min(round((value + 6 * instrument.accuracy) * steps) / steps, instrument.highest)  # noqa: PLW2901
            shown.append(value)
        return np.array(shown, np.float64)

    def _hold_back(self, odd: NDArray[np.uint8], box: Integers, release: Integers) -> None:
        boxes = self._boxes
        if (which := np.flatnonzero(odd & _BATCH)).size:
            every, begin = boxes.batch_us[box[which]], boxes.batch_at[box[which]]
            release[which] = begin - (begin - release[which]) // every * every
        if (which := np.flatnonzero(odd & _AWAY)).size:
            release[which] = boxes.away.ends(box[which], release[which])

    def _chance(self, gone: NDArray[np.int8]) -> Integers:
        """Lose some at random, in place; answers the places of those that arrive twice."""
        manners = self._manners
        if not (manners.loss or manners.duplicates):
            return _NOTHING
        drawn = self._rng.random(len(gone))
        there = gone == Gone.NOT
        gone[there & (drawn < manners.loss)] = Gone.LOST
        twice = manners.loss + (1 - manners.loss) * manners.duplicates
        return np.flatnonzero(there & (drawn >= manners.loss) & (drawn < twice))

    def _count(self, gone: NDArray[np.int8]) -> None:
        self.counts["measured"] += len(gone)
        numbers = np.bincount(gone, minlength=len(Gone)).tolist()
        for why in Gone:
            if why is not Gone.NOT:
                self.counts[why.name.lower()] += numbers[why]

    def _due(self, until_us: int, arriving: _Parcel, copies: _Parcel) -> _Parcel:
        """Everything that arrives before ``until_us``, in order; the rest is put by."""
        parts = [self._soon]
        for minute in sorted(minute for minute in self._later if minute <= until_us // _MINUTE_US):
            parts += self._later.pop(minute)
        parts.append(arriving)
        if len(copies):
            self.counts["duplicated"] += len(copies)
            astray = np.maximum(self._rng.uniform(-OUT_OF_ORDER_S, OUT_OF_ORDER_S, len(copies)), 0)
            late_us = (astray * US_PER_SECOND).astype(np.int64)
            parts.append(_Parcel(copies.release_us + late_us, copies.sensors, copies.told_us, copies.values))
        parts = [part for part in parts if len(part)]
        if not parts:
            return _EMPTY
        whole = _Parcel.joined(parts) if len(parts) > 1 else parts[0]
        wait = whole.release_us >= until_us
        if wait.any():
            self._put_by(until_us, whole.some(wait))
            whole = whole.some(~wait)
        else:
            self._soon = _EMPTY
        if (whole.release_us[1:] < whole.release_us[:-1]).any():
            whole = whole.some(np.argsort(whole.release_us, kind="stable"))
        return whole

    def _put_by(self, until_us: int, rest: _Parcel) -> None:
        """Keep what waits: by the minute of its release, what is due within this one at hand."""
        minute = rest.release_us // _MINUTE_US
        now = until_us // _MINUTE_US
        self._soon = rest.some(minute <= now)
        for one in np.unique(minute[minute > now]).tolist():
            self._later.setdefault(one, []).append(rest.some(minute == one))


def _any(spans: _Spans, count: int) -> Bools:
    return spans.layers[0][0] != NEVER if spans.layers else np.zeros(count, np.bool_)


def _either_sign(rng: np.random.Generator, span_s: tuple[float, float], count: int) -> Integers:
    """Microseconds (whole milliseconds) between the ends of the span, as many in each octave, before or after."""
    size = np.exp(rng.uniform(np.log(span_s[0]), np.log(span_s[1]), count))
    drawn: Integers = np.rint(np.where(rng.random(count) < 0.5, -1, 1) * size * 1000).astype(np.int64) * 1000
    return drawn


def _fault_spans(world: World, faults: Sequence[Fault], kind: FaultKind) -> _Spans:
    these = [fault for fault in faults if fault.kind is kind]
    return _Spans(
        len(world.city.columns),
        np.array([world.city.sensor_index[fault.sensor] for fault in these], np.int64),
        np.array([fault.from_us for fault in these], np.int64),
        np.array([fault.to_us for fault in these], np.int64),
    )


def _outages(
    world: World, outages: Sequence[Outage], rng: np.random.Generator
) -> tuple[_Spans, tuple[Integers, Integers, Integers]]:
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
    return _Spans(len(names), dark[:, 0], dark[:, 1], dark[:, 2]), (away[:, 0], away[:, 1], back)


class _Drawing:
    """Draws which boxes have which manners."""

    def __init__(self, world: World, manners: Manners, start_us: int, end_us: int, rng: np.random.Generator) -> None:
        columns = world.city.columns
        self._manners, self._rng = manners, rng
        self._start_us, self._run_us = start_us, end_us - start_us
        self._box = columns.device.code
        self._count = len(columns.device.names)
        interval_us = np.rint(columns.interval_s * US_PER_SECOND).astype(np.int64)
        self._fastest, self._slowest = np.full(self._count, NEVER), np.zeros(self._count, np.int64)
        np.minimum.at(self._fastest, self._box, interval_us)
        np.maximum.at(self._slowest, self._box, interval_us)
        self._urgent = self._with(columns.measured(lambda quantity: quantity.life_safety, np.bool_))
        self._camera = self._with(columns.kind.each(lambda name: name == Kind.CAMERA.value, np.bool_))

    def _with(self, sensors: Bools) -> Bools:
        """Boxes that have such a sensor."""
        return np.bincount(self._box[sensors], minlength=self._count) > 0

    def _some(self, share: float, able: Bools) -> Integers:
        """``share`` of all boxes, among the able ones."""
        wanted = round(share * self._count)
        return np.sort(self._rng.permutation(np.flatnonzero(able))[:wanted])

    def _moments(self, number: int, first: float, last: float) -> Integers:
        """Moments between two shares of the run, whole milliseconds."""
        drawn = self._start_us + self._rng.uniform(first, last, number) * self._run_us
        moments: Integers = drawn.astype(np.int64) // 1000 * 1000
        return moments

    def boxes(self, away: tuple[Integers, Integers, Integers], ill: Bools) -> _Boxes:
        """The manners of all boxes. ill: sensors that are silent, or whose clock is wrong, anyway."""
        every, well = np.ones(self._count, np.bool_), ~self._with(ill)
        retained = np.zeros(self._count, np.bool_)
        retained[self._some(self._manners.retained, every)] = True
        clock_us, clock_rate = self._clocks(well)
        batch_us, batch_at = self._batches()
        reboot, up, jumps = self._reboots()
        low, dead = self._batteries(well)
        return _Boxes(
            clock_us,
            clock_rate,
            batch_us,
            batch_at,
            self._absences(away),
            reboot,
            up,
            jumps,
            low,
            dead,
            retained,
        )

    def _clocks(self, well: Bools) -> tuple[Integers, Floats]:
        off = self._some(self._manners.clock_off, well)
        by_us, rate = np.zeros(self._count, np.int64), np.zeros(self._count)
        drifts = self._rng.random(len(off)) < 0.5
        by_us[off] = np.where(drifts, 0, _either_sign(self._rng, CLOCK_OFF_S, len(off)))
        speed = np.exp(self._rng.uniform(np.log(CLOCK_RATE[0]), np.log(CLOCK_RATE[1]), len(off)))
        rate[off] = np.where(drifts, speed * np.where(self._rng.random(len(off)) < 0.5, -1, 1), 0.0)
        return by_us, rate

    def _batches(self) -> tuple[Integers, Integers]:
        # nobody lets a gas or smoke detector wait
        some = self._some(self._manners.batching, ~self._urgent)
        every, begin = np.zeros(self._count, np.int64), np.full(self._count, self._start_us)
        drawn = self._rng.uniform(*BATCH_S, len(some)) * US_PER_SECOND
        every[some] = np.maximum(drawn.astype(np.int64), 3 * self._fastest[some]) // 1000 * 1000
        begin[some] += (self._rng.random(len(some)) * every[some]).astype(np.int64)
        return every, begin

    def _absences(self, away: tuple[Integers, Integers, Integers]) -> _Spans:
        some = self._some(self._manners.offline, np.ones(self._count, np.bool_))
        leave = self._moments(len(some), 0.1, 0.7)
        longest = min(OFFLINE_S[1], 0.3 * self._run_us / US_PER_SECOND)
        lasts_s = self._rng.uniform(min(OFFLINE_S[0], longest), longest, len(some))
        back = leave + ((lasts_s + self._rng.random(len(some)) * BACK_S) * US_PER_SECOND).astype(np.int64)
        joined = [np.concatenate(pair) for pair in zip(away, (some, leave, back), strict=True)]
        return _Spans(self._count, joined[0], joined[1], joined[2])

    def _reboots(self) -> tuple[Integers, Integers, Bools]:
        some = self._some(self._manners.reboot, np.ones(self._count, np.bool_))
        down, up = np.full(self._count, NEVER), np.full(self._count, NEVER)
        down[some] = self._moments(len(some), 0.1, 0.9)
        up[some] = down[some] + (self._rng.uniform(*REBOOT_S, len(some)) * US_PER_SECOND).astype(np.int64)
        # what keeps lives safe shows a fault, not a value, until it has settled (GB 15322.1-2019)
        jumps = (self._rng.random(self._count) < 0.5) & ~self._urgent
        return down, up, jumps

    def _batteries(self, well: Bools) -> tuple[Integers, Integers]:
        """Boxes that could run on a battery, and whose end can be seen within the run."""
        able = well & ~self._camera & (8 * self._slowest < 0.5 * self._run_us)
        some = self._some(self._manners.flat_battery, able)
        low, dead = np.full(self._count, NEVER), np.full(self._count, NEVER)
        dead[some] = self._moments(len(some), 0.3, 0.5) + (
            self._rng.random(len(some)) * np.maximum(0.4 * self._run_us - 8 * self._slowest[some], 0)
        ).astype(np.int64)
        low[some] = dead[some] - (self._rng.uniform(0.1, 0.3, len(some)) * self._run_us).astype(np.int64)
        return low, dead
