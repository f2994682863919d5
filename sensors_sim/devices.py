"""How devices send what they measure: late, twice, in batches, under a wrong clock, or not at all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from sensors_sim.faults.instruments import INSTRUMENTS
from sensors_sim.faults.told import told
from sensors_sim.manners import CLOCK_FAULT_S, NEVER, Drawing, either_sign, fault_spans, outages_of
from sensors_sim.physics.signals import SIGNALS
from sensors_sim.scenario import Manners
from sensors_sim.staging import Outage
from sensors_sim.truth import Fault, FaultKind
from sensors_sim.wire import Instant
from sensors_sim.world import World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

CLOCK_TOLD_S = 60.0
"""A clock further off than this is a fault of the device."""
MISSED = 10
"""A box off line is a fault of the device once so many of its readings were due."""
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


@dataclass(frozen=True, slots=True)
class _Parcel:
    """Readings on their way, as columns. release_us: when they arrive; told_us: their time as the device tells it."""

    release_us: Integers
    sensors: Integers
    told_us: Integers
    values: Floats

    def __len__(self) -> int:
        return len(self.release_us)

    def some(self, which: Integers | Bools | slice) -> "_Parcel":
        return _Parcel(self.release_us[which], self.sensors[which], self.told_us[which], self.values[which])

    def in_order(self) -> "_Parcel":
        """By time of arrival; what arrives together stays in its order."""
        if (self.release_us[1:] >= self.release_us[:-1]).all():
            return self
        return self.some(np.argsort(self.release_us, kind="stable"))

    @classmethod
    def joined(cls, parts: Sequence["_Parcel"]) -> "_Parcel":
        return cls(
            np.concatenate([part.release_us for part in parts]),
            np.concatenate([part.sensors for part in parts]),
            np.concatenate([part.told_us for part in parts]),
            np.concatenate([part.values for part in parts]),
        )


_NOTHING = np.empty(0, np.int64)


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
        *,
        spared: Collection[str] = (),
    ) -> None:
        """outages: boxes that cannot send. faults: those of kind SILENT and CLOCK are done here, others not.

        spared: ids of sensors of which the truth promises something by the second. Their boxes are punctual: they may
        lose single readings, but are not off line, batching, out of time, restarted or out of battery by themselves.

        Raises KeyError for a sensor, ValueError for a box that the city does not have.
        """
        self._world, self._manners = world, manners
        self._start_us, self._end_us = start_us, end_us
        self._rng = np.random.default_rng([seed, 8])
        columns = world.city.columns
        self._box = columns.device.code.astype(np.int64)
        self._interval_us = np.rint(columns.interval_s * US_PER_SECOND).astype(np.int64)
        rng = np.random.default_rng([seed, 7])
        self._silent = fault_spans(world, faults, FaultKind.SILENT)
        self._wrong_clock = fault_spans(world, faults, FaultKind.CLOCK)
        self._wrong_by_us = either_sign(rng, CLOCK_FAULT_S, len(columns.device.names))
        self._power, away = outages_of(world, outages, rng)
        ill = self._silent.any() | self._wrong_clock.any()
        punctual = np.array(sorted(world.city.sensor_index[name] for name in spared), np.int64)
        self._boxes = Drawing(world, manners, start_us, end_us, rng, spared=punctual).boxes(away, ill)
        self._odd = self._oddities()
        self._fresh = self._boxes.reboot[self._box] != NEVER
        self._later: dict[int, list[_Parcel]] = {}
        self._soon: list[_Parcel] = []
        self.counts = {"measured": 0, "delivered": 0, "duplicated": 0}
        self.counts |= {gone.name.lower(): 0 for gone in Gone if gone is not Gone.NOT}

    @property
    def waiting(self) -> int:
        """Readings (and duplicates) that are measured and neither delivered nor lost."""
        return sum(len(part) for parts in (self._soon, *self._later.values()) for part in parts)

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
        """Faults that come of these manners and that a daemon should find.

        Flat batteries, clocks over a minute off, and boxes off line for so long that MISSED readings were due.
        """
        boxes = self._boxes
        since = np.where(np.abs(boxes.clock_us) > CLOCK_TOLD_S * US_PER_SECOND, self._start_us, NEVER).astype(np.int64)
        drifting = np.flatnonzero(boxes.clock_rate)
        reached = CLOCK_TOLD_S * US_PER_SECOND / np.abs(boxes.clock_rate[drifting])
        since[drifting] = self._start_us + np.minimum(reached, 1e17).astype(np.int64)
        end_us = self._end_us
        found = [(FaultKind.SILENT, row, int(boxes.dead[box]), end_us) for box, row in self._members(boxes.dead)]
        found += [(FaultKind.CLOCK, row, int(since[box]), end_us) for box, row in self._members(since)]
        found += [
            (FaultKind.SILENT, row, int(boxes.left[box]), min(int(boxes.back[box]), end_us))
            for box, row in self._members(boxes.left)
            if boxes.back[box] - boxes.left[box] >= MISSED * self._interval_us[row]
        ]
        return told(self._world.city, found)

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
            (_POWER, self._power.any()),
            (_AWAY, boxes.away.any()),
        ):
            of_box[has] |= flag
        odd = of_box[self._box]
        odd[self._silent.any()] |= _SILENT
        odd[self._wrong_clock.any()] |= _WRONG_CLOCK
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
        parts = self._kept(until_us)
        parts.append(arriving)
        if len(copies):
            self.counts["duplicated"] += len(copies)
            astray = np.maximum(self._rng.uniform(-OUT_OF_ORDER_S, OUT_OF_ORDER_S, len(copies)), 0)
            late_us = (astray * US_PER_SECOND).astype(np.int64)
            parts.append(_Parcel(copies.release_us + late_us, copies.sensors, copies.told_us, copies.values))
        whole = _Parcel.joined(parts) if len(parts) > 1 else parts[0]
        wait = whole.release_us >= until_us
        if wait.any():
            self._put_by(until_us, whole.some(wait))
            whole = whole.some(~wait)
        return whole.in_order()

    def _kept(self, until_us: int) -> list[_Parcel]:
        """What was put by and is due now."""
        minutes = sorted(minute for minute in self._later if minute <= until_us // _MINUTE_US)
        if minutes:
            self._soon.append(_Parcel.joined([part for one in minutes for part in self._later.pop(one)]).in_order())
        due, rest = [], []
        for part in self._soon:
            cut = int(np.searchsorted(part.release_us, until_us))
            if cut:
                due.append(part.some(slice(0, cut)))
            if cut < len(part):
                rest.append(part.some(slice(cut, None)))
        self._soon = rest
        return due

    def _put_by(self, until_us: int, rest: _Parcel) -> None:
        """Keep what waits: what is due within this minute at hand and in order, the rest by the minute."""
        minute, now = rest.release_us // _MINUTE_US, until_us // _MINUTE_US
        if (near := minute <= now).any():
            self._soon.append(rest.some(near).in_order())
        for one in np.unique(minute[~near]).tolist():
            self._later.setdefault(one, []).append(rest.some(minute == one))
