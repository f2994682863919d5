"""When devices sample: at their interval, a little late each time, and more often while they are told to hurry."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from sensors_sim.physics.noise import unit_hash

if TYPE_CHECKING:
    from sensors_sim.staging import Hurry

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LATE_SHARE = 0.02
"""A device samples up to this share of its interval late, and never more than LATE_MOST_S seconds."""
LATE_MOST_S = 2.0


class Schedule:
    """The next sample of every sensor. Sensors of one box sample together as long as they have one interval.

    interval_us, boxes, step_us, burst: shape (sensors,). boxes: the number of the box it sits in. burst: readings of
    one sampling (1 for nearly all), step_us apart.
    """

    def __init__(
        self, interval_us: Integers, boxes: Integers, seed: int, start_us: int, *, step_us: Integers, burst: Integers
    ) -> None:
        self._start_us = start_us
        self._interval_us = interval_us
        self._key = boxes + np.int64(seed % (1 << 31))
        self._step_us, self._burst = step_us, burst
        phase = (unit_hash(self._key, np.zeros_like(boxes)) * interval_us).astype(np.int64)
        self._nominal_us = start_us + phase
        self._number = np.zeros(len(boxes), dtype=np.int64)
        self._hurries: list[Hurry] = []
        self._begun = 0
        late = self._late_us(np.arange(len(boxes)), interval_us)
        self.next_us: Integers = (self._nominal_us + late) // 1000 * 1000
        self._running = np.empty(0, dtype=np.int64)
        self._ran_us = np.zeros(len(boxes), dtype=np.int64)
        self._ran = np.zeros(len(boxes), dtype=np.int64)

    def hasten(self, hurries: Sequence["Hurry"]) -> None:
        """Let some sensors sample more often for a while. Before a hurry's begin has been passed."""
        ordered = [replace(hurry, sensors=np.unique(hurry.sensors)) for hurry in hurries if len(hurry.sensors)]
        self._hurries = sorted([*self._hurries, *ordered], key=lambda hurry: hurry.from_us)

    def _late_us(self, sensors: Integers, interval_us: Integers) -> Integers:
        most = np.minimum(interval_us * LATE_SHARE, LATE_MOST_S * US_PER_SECOND)
        late: Integers = (unit_hash(self._key[sensors], self._number[sensors] + 1) * most).astype(np.int64)
        return late

    def _begin_hurries(self, until_us: int) -> None:
        """Whoever is in a hurry does not wait for the end of a long interval."""
        while self._begun < len(self._hurries) and self._hurries[self._begun].from_us < until_us:
            hurry = self._hurries[self._begun]
            self._begun += 1
            interval = np.maximum((self._interval_us[hurry.sensors] / hurry.times).astype(np.int64), 1000)
            wait_ms = unit_hash(self._key[hurry.sensors], np.full(len(interval), 7)) * interval // 1000
            first = (-(-hurry.from_us // 1000) + wait_ms.astype(np.int64)) * 1000
            sooner = (self.next_us[hurry.sensors] >= hurry.from_us) & (first < self.next_us[hurry.sensors])
            sensors = hurry.sensors[sooner]
            self._nominal_us[sensors] = first[sooner]
            self.next_us[sensors] = first[sooner]

    def _go_on(self, due: Integers) -> None:
        interval = self._interval_us[due]
        for hurry in self._hurries[: self._begun]:
            place = np.searchsorted(hurry.sensors, due).clip(max=len(hurry.sensors) - 1)
            nominal = self._nominal_us[due]
            hit = (hurry.sensors[place] == due) & (nominal >= hurry.from_us) & (nominal < hurry.to_us)
            interval = np.where(hit, np.maximum((interval / hurry.times).astype(np.int64), 1000), interval)
        self._number[due] += 1
        self._nominal_us[due] += interval
        self.next_us[due] = (self._nominal_us[due] + self._late_us(due, interval)) // 1000 * 1000

    def take_due(self, until_us: int) -> tuple[Integers, Integers]:
        """Sensors that sample before ``until_us`` with their times, in order of time; their next samples are set.

        A sensor with a short interval or a burst stands there several times. Times are whole milliseconds.
        """
        self._begin_hurries(until_us)
        sensors: list[Integers] = []
        times: list[Integers] = []
        if self._running.size:
            self._run(until_us, sensors, times)
        due = np.flatnonzero(self.next_us < until_us)
        while due.size:
            bursts = self._burst[due] > 1
            if bursts.any():
                self._start_bursts(due[bursts])
                sensors.append(due[~bursts])
                times.append(self.next_us[due[~bursts]])
            else:
                sensors.append(due)
                times.append(self.next_us[due])
            self._go_on(due)
            if self._running.size:
                self._run(until_us, sensors, times)
            due = due[self.next_us[due] < until_us]
        if not sensors:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        all_sensors, all_times = np.concatenate(sensors), np.concatenate(times)
        order = np.lexsort((all_sensors, all_times))
        return all_sensors[order], all_times[order]

    def _start_bursts(self, due: Integers) -> None:
        self._ran_us[due] = self.next_us[due]
        self._ran[due] = 0
        self._running = np.union1d(self._running, due)

    def _run(self, until_us: int, sensors: list[Integers], times: list[Integers]) -> None:
        """Readings of the bursts that have begun, as far as the time goes; the rest of them comes next time."""
        running = self._running
        step = self._step_us[running]
        upto = np.minimum(self._burst[running], -(-(until_us - self._ran_us[running]) // step))
        fresh = np.maximum(upto - self._ran[running], 0)
        row = np.repeat(np.arange(len(running)), fresh)
        number = np.arange(len(row)) - np.repeat(np.cumsum(fresh) - fresh, fresh) + self._ran[running][row]
        sensors.append(running[row])
        times.append(self._ran_us[running][row] + number * step[row])
        self._ran[running] += fresh
        self._running = running[self._ran[running] < self._burst[running]]
