"""Which sensors are silent: pure over columns, from the first second, blind while our own link is down."""

from collections.abc import Iterator

import numpy as np

from config.city import City
from config.clock import US_PER_SECOND
from config.settings import IngestSettings
from ingest.model import Bools, Int64s, LivenessChange, Quality, ReadingBatch, Silence

_LONGEST_US = 2.0**60
FALLS = 3
"""So many falls into silence within ``WINDOW`` allowances are flapping.

ISA-18.2 calls three transitions in a minute chattering; a fall takes a whole allowance to be seen, so the minute of an
alarm that is looked at every few seconds becomes twenty allowances.
"""
WINDOW = 20
STEADY = 5
"""Allowances without a fall after which a sensor that flapped speaks steadily again."""
NAMED = 12
"""Sensors of the same box that a change names at most."""


class Liveness:
    """Watches every configured sensor, those that never spoke too.

    A sensor is silent when it was not heard for longer than it is allowed: ``silent_after`` of its intervals, at least
    ``silent_floor_s``. Counted from its last reading by receive time, or from the start, or from when our own link
    to the broker came back, whichever is later; after those two at least ``grace_s`` pass too. One that falls silent
    ``FALLS`` times within ``WINDOW`` allowances flaps: it is told as such once, and its return when it has spoken
    steadily for ``STEADY`` allowances. Memory: 68 bytes per sensor.
    """

    def __init__(self, city: City, settings: IngestSettings, start_us: int, *, mine: Bools | None = None) -> None:
        interval = city.columns.interval_s
        count = len(interval)
        self._allowed_s = np.maximum(interval * settings.silent_after, settings.silent_floor_s)
        if mine is not None:
            self._allowed_s[~mine] = np.inf  # another process hears them
        self._allowed_us: Int64s = np.minimum(self._allowed_s * US_PER_SECOND, _LONGEST_US).astype(np.int64)
        self._interval_us: Int64s = np.minimum(interval * US_PER_SECOND, _LONGEST_US).astype(np.int64)
        self._grace_us = int(settings.grace_s * US_PER_SECOND)
        self._last_us: Int64s = np.zeros(count, np.int64)
        self._falls_us: tuple[Int64s, ...] = tuple(np.zeros(count, np.int64) for _ in range(FALLS))  # newest last
        self._fell_us: Int64s = np.zeros(count, np.int64)  # last_us of the silent when they were found to be
        self._silent = np.zeros(count, bool)  # just now
        self._flapping = np.zeros(count, bool)
        self._told = np.zeros(count, bool)  # that it is silent
        self._boxes = _Boxes(city)
        self._up = True
        self._since_us = start_us

    @property
    def silent(self) -> int:
        """How many sensors are silent just now."""
        return int(np.count_nonzero(self._silent))

    @property
    def flapping(self) -> int:
        """How many sensors fall silent and speak again too often."""
        return int(np.count_nonzero(self._flapping))

    def tables(self) -> Iterator[tuple[str, dict[str, Int64s | Bools]]]:
        """What is worth remembering over a restart, by the name of its owner; each column of shape (sensors,).

        Fill them before ``adopt``: when each was heard last, and who flaps.
        """
        falls = {f"fall_{number}_us": column for number, column in enumerate(self._falls_us)}
        yield "liveness", {"last_us": self._last_us, "flapping": self._flapping, **falls}

    def adopt(self, silent: Bools) -> None:
        """Take over who was silent before a restart, shape (sensors,): nobody hears of it twice, but of their return.

        Raises ValueError for another shape.
        """
        if silent.shape != self._silent.shape:
            raise ValueError(f"silent has the shape {silent.shape}, expected {self._silent.shape}")
        self._silent |= silent
        self._told |= silent
        self._fell_us[silent] = self._last_us[silent]  # what was heard before is not their return
        self._flapping &= self._told

    def seen(self, batch: ReadingBatch) -> None:
        """Take note of who spoke. A retained message is what was, so it is no sign of life; a late one is."""
        sensor, received_us = batch.sensor, batch.received_us
        retained = batch.quality == Quality.RETAINED
        if retained.any():
            sensor, received_us = sensor[~retained], received_us[~retained]
        if (received_us[1:] < received_us[:-1]).any():  # the last of a sensor's entries must be its newest
            order = np.argsort(received_us, kind="stable")
            sensor, received_us = sensor[order], received_us[order]
        self._last_us[sensor] = received_us

    def link(self, up: bool, now_us: int) -> None:  # the one thing it is told
        """Say whether readings can reach us at all. While not, nobody is called silent.

        When they can again every sensor has its full allowance anew. Saying the same twice changes nothing.
        """
        if up and not self._up:
            self._since_us = now_us
        self._up = up

    def check(self, now_us: int) -> list[LivenessChange]:
        """Who fell silent and who speaks again since the last check, in order of sensors."""
        silent = np.flatnonzero(self._silent)
        self._silent[silent[self._last_us[silent] != self._fell_us[silent]]] = False
        if self._up and now_us - self._since_us > self._grace_us:
            fallen = np.flatnonzero(self._overdue(now_us))
            self._silent[fallen] = True
            self._fell_us[fallen] = self._last_us[fallen]
            self._note_falls(fallen, now_us)
        steady = self._grown_steady(now_us)
        # Heard since the last check and silent for too long again: nothing changed that anybody could see.
        changed = np.flatnonzero((self._silent | self._flapping) != self._told)
        if not len(changed):
            return []
        self._told[changed] = ~self._told[changed]
        return self._changes(changed, steady, now_us)

    def _overdue(self, now_us: int) -> Bools:
        """Who has not been heard for longer than allowed and is not called silent yet."""
        late_us = np.maximum(self._last_us, self._since_us)
        np.subtract(now_us, late_us, out=late_us)
        overdue: Bools = late_us > self._allowed_us
        overdue &= ~self._silent
        return overdue

    def _note_falls(self, fallen: Int64s, now_us: int) -> None:
        if not len(fallen):
            return
        for older, newer in zip(self._falls_us, self._falls_us[1:], strict=False):
            older[fallen] = newer[fallen]
        self._falls_us[-1][fallen] = now_us
        first = self._falls_us[0][fallen]
        often = (first > 0) & ((now_us - first) // WINDOW < self._allowed_us[fallen])
        self._flapping[fallen[often]] = True

    def _grown_steady(self, now_us: int) -> Int64s:
        """Who no longer flaps from now on: they speak, and have not fallen silent for long enough."""
        flapping = np.flatnonzero(self._flapping & ~self._silent)
        still = (now_us - self._falls_us[-1][flapping]) // STEADY < self._allowed_us[flapping]
        steady: Int64s = flapping[~still]
        self._flapping[steady] = False
        return steady

    def _changes(self, changed: Int64s, steady: Int64s, now_us: int) -> list[LivenessChange]:
        silent = self._silent[changed] | self._flapping[changed]
        flapped = self._flapping[changed] | np.isin(changed, steady)
        heard_us, alive, overdue = self._boxes.state(changed, self._last_us, self._interval_us, self._since_us, now_us)
        columns = (changed, silent, flapped, self._last_us[changed], self._allowed_s[changed], heard_us, alive, overdue)
        found = []
        for sensor, now_silent, flaps, last_us, allowed_s, box, lives, late in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            size, others = self._boxes.others(sensor)
            silence = Silence.SENSOR
            if flaps:
                silence = Silence.FLAPPING
            elif size > 1 and now_silent:
                silence = Silence.CHILD if lives else Silence.BOX if late else Silence.SENSOR
            window = (WINDOW if now_silent else STEADY) * allowed_s if flaps else 0.0
            times = FALLS if flaps and now_silent else 0
            box_us = box if size > 1 else 0
            found.append(
                LivenessChange(
                    sensor, now_silent, now_us, last_us, allowed_s, silence, box_us, size, others, times, window
                )
            )
        return found


class _Boxes:
    """Which sensors sit in the same box."""

    def __init__(self, city: City) -> None:
        self._of = city.columns.device.code
        names = len(city.columns.device.names)
        self._members = np.argsort(self._of, kind="stable").astype(np.int32)  # box by box, in order within each
        self._bounds = np.searchsorted(self._of[self._members], np.arange(names + 1))

    def others(self, sensor: int) -> tuple[int, tuple[int, ...]]:
        """How many sensors its box has, and the first of the others."""
        box = int(self._of[sensor])
        begin, end = int(self._bounds[box]), int(self._bounds[box + 1])
        named = self._members[begin : min(end, begin + NAMED + 1)].tolist()
        return end - begin, tuple(one for one in named if one != sensor)[:NAMED]

    def state(
        self, sensors: Int64s, last_us: Int64s, interval_us: Int64s, since_us: int, now_us: int
    ) -> tuple[Int64s, Bools, Bools]:
        """Of the box of each sensor: when it was heard last, whether it lives, and whether all of it is overdue.

        It lives where another spoke two intervals after this one did last, when this one must have spoken too. All is
        overdue where each should have spoken by now, half an interval allowed for.
        """
        boxes, box = np.unique(self._of[sensors], return_inverse=True)
        sizes = self._bounds[boxes + 1] - self._bounds[boxes]
        begins = np.cumsum(sizes) - sizes
        rows = self._members[np.repeat(self._bounds[boxes] - begins, sizes) + np.arange(int(sizes.sum()))]
        last = last_us[rows]
        heard_us = np.maximum.reduceat(last, begins)[box]
        expected_us = np.maximum(last, since_us) + interval_us[rows] + interval_us[rows] // 2
        overdue = np.maximum.reduceat(expected_us, begins)[box] < now_us
        alive = heard_us >= np.maximum(last_us[sensors], since_us) + 2 * interval_us[sensors]
        return heard_us, alive, overdue
