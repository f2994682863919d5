"""What happenings do to the values of sensors: the general ways, how to apply many at once, and who can see them.

Every change leaves what it is given untouched before ``from_us`` and from ``to_us`` on, also in ``changed``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from sensors_sim.staging import BLOCK, LATTICE, LATTICE_S, Change, Stage, over_time, quiet_means

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

Course = Callable[[Floats], Floats]
"""Strength (usually 0 to 1) at seconds since the onset at a sensor; it is asked for no negative ones."""

SIGMAS = 5.0
"""So many standard deviations of its noise must something stand out by to count as seen in a single reading."""


def _strength(course: Course, from_us: int, to_us: int, times_us: Integers, delay_s: Floats) -> Floats:
    """What a course says at some times where it begins ``delay_s`` after ``from_us``; 0 outside from_us..to_us."""
    since = (times_us - from_us) / US_PER_SECOND - delay_s
    on = (since >= 0) & (times_us >= from_us) & (times_us < to_us)
    return np.where(on, course(np.maximum(since, 0.0)), 0.0)


@dataclass(frozen=True, slots=True)
class Added:
    """value + gain x course(time since from_us - delay).

    gain: per sensor, in its unit, may be negative. delay_s: how much later it begins at each, at least 0.
    """

    sensors: Integers
    gain: Floats
    delay_s: Floats
    from_us: int
    to_us: int
    course: Course

    def changed(self, which: Integers, times_us: Integers, values: Floats) -> Floats:
        """See ``Change``."""
        strength = _strength(self.course, self.from_us, self.to_us, times_us, self.delay_s[which])
        return values + self.gain[which] * strength

    def only(self, keep: Integers) -> "Added":
        """The same for some of its sensors. keep: places in ``sensors``, ascending."""
        return replace(self, sensors=self.sensors[keep], gain=self.gain[keep], delay_s=self.delay_s[keep])


@dataclass(frozen=True, slots=True)
class Scaled:
    """value x (1 + share x course(time since from_us - delay)).

    share: per sensor; 1 doubles at full strength, -1 leaves nothing. delay_s: as of ``Added``.
    """

    sensors: Integers
    share: Floats
    delay_s: Floats
    from_us: int
    to_us: int
    course: Course

    def changed(self, which: Integers, times_us: Integers, values: Floats) -> Floats:
        """See ``Change``."""
        strength = _strength(self.course, self.from_us, self.to_us, times_us, self.delay_s[which])
        return values * (1 + self.share[which] * strength)

    def only(self, keep: Integers) -> "Scaled":
        """The same for some of its sensors. keep: places in ``sensors``, ascending."""
        return replace(self, sensors=self.sensors[keep], share=self.share[keep], delay_s=self.delay_s[keep])


@dataclass(frozen=True, slots=True)
class Replaced:
    """value + (target - value) x course(time since from_us - delay): at full strength nothing but the target is left.

    target: per sensor, in its unit. delay_s: as of ``Added``.
    """

    sensors: Integers
    target: Floats
    delay_s: Floats
    from_us: int
    to_us: int
    course: Course

    def changed(self, which: Integers, times_us: Integers, values: Floats) -> Floats:
        """See ``Change``."""
        strength = _strength(self.course, self.from_us, self.to_us, times_us, self.delay_s[which])
        return values + (self.target[which] - values) * strength

    def only(self, keep: Integers) -> "Replaced":
        """The same for some of its sensors. keep: places in ``sensors``, ascending."""
        return replace(self, sensors=self.sensors[keep], target=self.target[keep], delay_s=self.delay_s[keep])


@dataclass(frozen=True, slots=True)
class Traced:
    """value + what a table tells, straight from one of its moments to the next; for what no formula gives.

    table: shape (moments, sensors), in each sensor's unit, the first moment at from_us and one every ``step_us``.
    After the last moment its last row holds until to_us.
    """

    sensors: Integers
    table: NDArray[np.float32] | Floats
    step_us: int
    from_us: int
    to_us: int

    def changed(self, which: Integers, times_us: Integers, values: Floats) -> Floats:
        """See ``Change``."""
        position = np.clip((times_us - self.from_us) / self.step_us, 0, len(self.table) - 1)
        before = position.astype(np.int64)
        after = np.minimum(before + 1, len(self.table) - 1)
        part = position - before
        added = self.table[before, which] * (1 - part) + self.table[after, which] * part
        return np.where((times_us >= self.from_us) & (times_us < self.to_us), values + added, values)

    def only(self, keep: Integers) -> "Traced":
        """The same for some of its sensors. keep: places in ``sensors``, ascending."""
        return replace(self, sensors=self.sensors[keep], table=self.table[:, keep])


@dataclass(frozen=True, slots=True)
class Drawn:
    """Whatever a function makes of values: function(which, times_us, values) > values, pairwise.

    It is only asked about times within from_us..to_us.
    """

    sensors: Integers
    from_us: int
    to_us: int
    function: Callable[[Integers, Integers, Floats], Floats]

    def changed(self, which: Integers, times_us: Integers, values: Floats) -> Floats:
        """See ``Change``."""
        on = (times_us >= self.from_us) & (times_us < self.to_us)
        if on.all():
            return self.function(which, times_us, values)
        found = values.copy()
        if on.any():
            found[on] = self.function(which[on], times_us[on], values[on])
        return found

    def only(self, keep: Integers) -> "Drawn":
        """The same for some of its sensors. keep: places in ``sensors``, ascending."""
        function = self.function
        return replace(
            self,
            sensors=self.sensors[keep],
            function=lambda which, times_us, values: function(keep[which], times_us, values),
        )


Made = Added | Scaled | Replaced | Traced | Drawn
"""Any of the changes of this file."""


class Changes:
    """Many changes, applied in the order given.

    Costs one look-up per reading where nothing happens, and some microseconds for each change that has a reading in the
    column, however many there are.
    """

    def __init__(self, changes: Sequence[Change], count: int) -> None:
        """count: of the sensors of the whole city."""
        self._changes = tuple(changes)
        self._from_us = np.array([change.from_us for change in changes], np.int64)
        self._to_us = np.array([change.to_us for change in changes], np.int64)
        sizes = [len(change.sensors) for change in changes]
        rows = np.concatenate([np.empty(0, np.int64), *(change.sensors for change in changes)])
        order = np.argsort(rows, kind="stable")
        # of each row the changes that touch it, in their order, and its place in each
        self._number = np.repeat(np.arange(len(changes), dtype=np.int32), sizes)[order]
        self._place = np.concatenate([np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in sizes)])[
            order
        ]
        self._many = np.bincount(rows, minlength=count)
        self._touched: Bools = self._many > 0
        self._first = np.concatenate(([0], np.cumsum(self._many)))

    def apply(self, sensors: Integers, times_us: Integers, values: Floats) -> None:
        """Change a column of values in place. sensors, times_us: whose and when, pairwise with the values."""
        if not len(sensors) or not self._changes:
            return
        active = (self._from_us <= times_us.max()) & (self._to_us > times_us.min())
        if not active.any():
            return
        reading = np.flatnonzero(self._touched[sensors])
        many = self._many[sensors[reading]]
        ends = np.cumsum(many)
        entry = np.repeat(self._first[sensors[reading]] - (ends - many), many) + np.arange(many.sum())
        number, reading = self._number[entry], np.repeat(reading, many)
        kept = np.flatnonzero(active[number])
        kept = kept[np.argsort(number[kept], kind="stable")]
        number, place, reading = number[kept], self._place[entry[kept]].astype(np.int64), reading[kept]
        cuts = [*np.flatnonzero(np.diff(number, prepend=-1)).tolist(), len(number)]
        for start, end in pairwise(cuts):
            whose = reading[start:end]
            change = self._changes[int(number[start])]
            values[whose] = change.changed(place[start:end], times_us[whose], values[whose])


def moments(stage: Stage, from_us: int, to_us: int, most: int = LATTICE) -> Integers:
    """A lattice of at most so many times within a span and the run, as fine as the one of the truth about limits."""
    first, last = max(from_us, stage.start_us), min(to_us, stage.end_us)
    step_us = round(max(LATTICE_S, (last - first) / US_PER_SECOND / most) * US_PER_SECOND)
    return np.arange(first, last, step_us, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Seen:
    """Where and when some changes stand out. rows: of the sensors, ascending.

    From the first moment at which one of them does until the last; peak: the largest difference each shows.
    """

    rows: Integers
    from_us: int
    to_us: int
    peak: Floats


def seen(stage: Stage, changes: Sequence[Change], *, sigmas: float = SIGMAS) -> Seen:
    """Which sensors see some changes stand clear of their own noise while the run lasts, and from when to when.

    sigmas: standard deviations of a sensor's noise that the difference to the quiet day must reach; 5 for a single
    reading, less where a run of readings tells (see ``sigmas_of_a_run``). What stands out at nobody gives no rows.
    """
    rows: list[Integers] = []
    peaks: list[Floats] = []
    first, last = stage.end_us, stage.start_us
    blocks = _blocks(changes)
    # what a whole city sees is told on a coarser lattice: nobody waits for the second in which a haze ends
    most = LATTICE if len(blocks) <= 1 else LATTICE // 4
    for sensors in blocks:
        times = moments(stage, min(change.from_us for change in changes), max(change.to_us for change in changes), most)
        if not times.size:
            break
        difference = _differences(stage, changes, sensors, times)
        out = np.abs(difference) >= np.maximum(sigmas * stage.nature.noise(sensors), 1e-9)
        kept = np.flatnonzero(out.any(axis=0))
        if not kept.size:
            continue
        when = np.flatnonzero(out.any(axis=1))
        first, last = min(first, int(times[when[0]])), max(last, int(times[when[-1]]))
        largest = np.abs(difference[:, kept]).argmax(axis=0)
        rows.append(sensors[kept])
        peaks.append(difference[largest, kept])
    if not rows:
        return Seen(np.empty(0, np.int64), first, first, np.empty(0))
    return Seen(np.concatenate(rows), first, last, np.concatenate(peaks))


def clear(stage: Stage, changes: Sequence[Made], *, sigmas: float = SIGMAS) -> tuple[tuple[Made, ...], Seen]:
    """The same changes at those sensors alone that see them, and what they see; see ``seen``.

    A trace too weak to be sworn to is left out of the world rather than out of the truth: else nobody could say whether
    somebody who noticed it was right.
    """
    found = seen(stage, changes, sigmas=sigmas)
    kept: list[Made] = []
    for change in changes:
        keep = np.flatnonzero(np.isin(change.sensors, found.rows))
        if keep.size:
            kept.append(change.only(keep))
    return tuple(kept), found


def _blocks(changes: Sequence[Change]) -> list[Integers]:
    """The rows that changes touch, ascending, in blocks that fit into memory over a whole lattice."""
    if not changes:
        return []
    rows = np.unique(np.concatenate([change.sensors for change in changes]))
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]


def _differences(stage: Stage, changes: Sequence[Change], sensors: Integers, times_us: Integers) -> Floats:
    """What changes make of the quiet day's means, less these, shape (times, sensors)."""
    quiet = quiet_means(stage.nature, sensors, times_us)
    values = quiet.copy()
    over_time(changes, sensors, times_us, values)
    difference: Floats = values - quiet
    return difference


def sigmas_of_a_run(readings: float) -> float:
    """Sigmas at which the mean of so many readings in a row stands out as a single one does at ``SIGMAS``.

    The standard error of a mean falls with the square root of their number; half of them count, since the noise of
    a device remembers itself, and no run sees less than half a standard deviation (the drift of its own day).
    """
    return float(max(0.5, SIGMAS / np.sqrt(max(1.0, readings / 2))))
