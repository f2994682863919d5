"""What is remembered of the last readings of every sensor: repeats, places, what is late, clocks that were put back."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ingest.admit import earlier_at_once, segments
from ingest.model import Bools, Int32s, Int64s, Uint8s

REMEMBERED = 8
"""How many readings of a sensor are remembered to know a repeated one by."""

STEP_RUN = 5
"""Readings in a row behind the newest, at the pace of life, after which the device's clock was put back."""

NEVER = np.iinfo(np.int64).min

_SIXTEEN = np.dtype("V16")


class Recent:
    """The newest reading of every sensor, and the last few, in order of receipt.

    Memory: 16 * REMEMBERED + 46 bytes per sensor. A repeat of something older than the last few is not known here: it
    is older than the newest, so it is marked LATE and pages nobody, and the stores keep it once.

    Two readings of one sensor with one time and different values are no repeat: many devices count whole seconds, and
    a button may be pressed in the second of its heartbeat. The second one is placed a microsecond behind the first,
    so that it is judged and kept as well.

    No remembered time is newer than the sensor's newest: a newer reading that is alone of its sensor in its batch is no
    repeat, is kept at its own time and is not late. ``unusual`` finds the others; only these need the other questions.
    """

    def __init__(self, sensors: int) -> None:
        # Filled, not just asked for: the first readings do not pay for every page of memory.
        # What is written together stands together, so that it is one access to memory; the views are of sixteen bytes.
        self._newest_two: Int64s = np.full((sensors, 2), NEVER, np.int64)
        self._newest_whole = self._newest_two.view(_SIXTEEN).reshape(-1)
        self.newest: Int64s = self._newest_two[:, 0]  # as placed
        self._newest_given: Int64s = self._newest_two[:, 1]
        self._last: Int64s = np.full((sensors, REMEMBERED, 2), NEVER, np.int64)
        self._last_whole = self._last.view(_SIXTEEN).reshape(-1)
        self._times: Int64s = self._last[:, :, 0]  # as given
        self._identities: Int64s = self._last[:, :, 1]
        self._next: Uint8s = np.full(sensors, 0, np.uint8)
        # Readings in a row behind the newest: how many, the event time of the last, and both times of the first.
        self._run: Uint8s = np.full(sensors, 0, np.uint8)
        self._run_last_us: Int64s = np.zeros(sensors, np.int64)
        self._run_first_us: Int64s = np.zeros(sensors, np.int64)
        self._run_received_us: Int64s = np.zeros(sensors, np.int64)
        self._row_of: Int32s = np.full(sensors, 0, np.int32)  # scratch of ``unusual``

    def columns(self) -> dict[str, npt.NDArray[np.int64] | npt.NDArray[np.uint8]]:
        """All of it by name, each with a row per sensor: what a snapshot keeps and fills again, in place."""
        return {
            "newest_us": self._newest_two,
            "last": self._last,
            "next": self._next,
            "run": self._run,
            "run_last_us": self._run_last_us,
            "run_first_us": self._run_first_us,
            "run_received_us": self._run_received_us,
        }

    def unusual(self, sensor: Int32s, given_us: Int64s) -> Bools | None:
        """Readings of sensors that occur more than once here, or with one that is not newer than their newest.

        None where there are none.
        """
        rows = np.arange(len(sensor), dtype=np.int32)
        self._row_of[sensor] = rows
        last = self._row_of[sensor]
        odd = last != rows
        odd |= given_us <= self._newest_two.take(sensor, axis=0)[:, 0]
        if not odd.any():
            return None
        of_odd = np.zeros(len(sensor), np.bool_)
        of_odd[last[odd]] = True
        answer: Bools = of_odd[last]
        return answer

    def advance(self, sensor: Int32s, given_us: Int64s, identity: Int64s) -> None:
        """Take readings into memory of which none is unusual."""
        slot = self._next[sensor]
        place = sensor.astype(np.int64) * REMEMBERED
        place += slot
        self._last_whole[place] = _side_by_side(given_us, identity)
        slot += 1
        slot %= REMEMBERED
        self._next[sensor] = slot
        self._newest_whole[sensor] = _side_by_side(given_us, given_us)
        self._run[sensor] = 0

    def entangled(self, sensor: Int32s, given_us: Int64s) -> Bools:
        """Readings of sensors with one here that is not newer than their newest, or with two of one time.

        Those of the other sensors are all no repeats, kept at their own times, and not late.
        """
        odd: Bools = given_us <= self.newest[sensor]
        order = np.lexsort((given_us, sensor))
        times, sensors = given_us[order], sensor[order]
        odd[order[1:][(sensors[1:] == sensors[:-1]) & (times[1:] == times[:-1])]] = True
        return np.isin(sensor, sensor[odd]) if odd.any() else odd

    def knows(self, sensor: Int32s, given_us: Int64s, identity: Int64s) -> Bools:
        """Which readings were admitted recently."""
        same = (self._times[sensor] == given_us[:, None]) & (self._identities[sensor] == identity[:, None])
        answer: Bools = same.any(axis=1)
        return answer

    def placed(self, sensor: Int32s, given_us: Int64s) -> Int64s:
        """Event times at which readings that are no repeats are kept, each sensor's different ones apart."""
        known = np.count_nonzero(self._times[sensor] == given_us[:, None], axis=1)
        newest = given_us == self._newest_given[sensor]
        answer: Int64s = given_us + np.where(newest, self.newest[sensor] + 1 - given_us, known)
        answer += earlier_at_once(sensor, given_us)
        return answer

    def older(self, sensor: Int32s, placed_us: Int64s) -> Bools:
        """Which readings are older than the newest remembered of their sensor.

        What came together is in order of event time, however it was sent: none of it is behind the rest.
        """
        answer: Bools = placed_us < self.newest[sensor]
        return answer

    def stepped(self, sensor: Int32s, placed_us: Int64s, received_us: Int64s, older: Bools) -> Bools:
        """Which of the older readings are no history, but the present of a device whose clock was put back.

        Those from the STEP_RUN-th on of a run without a newer one between, as soon as their times advance as ours do
        (within a factor of two): what a device sends of its past comes faster.
        """
        self._run[sensor[~older]] = 0
        answer = np.zeros(len(sensor), bool)
        if not older.any():
            return answer
        begun: dict[int, int] = {}
        for row in np.flatnonzero(older & ~np.isin(sensor, sensor[~older])).tolist():
            one, event_us = int(sensor[row]), int(placed_us[row])
            if one in begun:
                answer[row] = event_us >= begun[one]
            elif self._runs_on(one, event_us, int(received_us[row])):
                begun[one] = event_us
                answer[row] = True
                self._run[one] = 0
        return answer

    def _runs_on(self, one: int, event_us: int, received_us: int) -> bool:
        """Note one more reading behind the newest; True where it shows that the clock was put back."""
        if self._run[one] and event_us > self._run_last_us[one]:
            self._run[one] += 1
        else:
            self._run[one] = 1
        self._run_last_us[one] = event_us
        if self._run[one] >= STEP_RUN:
            ours, its = received_us - int(self._run_received_us[one]), event_us - int(self._run_first_us[one])
            if its <= 2 * ours and ours <= 2 * its:
                return True
            self._run[one] = 1
        if self._run[one] == 1:
            self._run_first_us[one], self._run_received_us[one] = event_us, received_us
        return False

    def remember(
        self, sensor: Int32s, given_us: Int64s, identity: Int64s, placed_us: Int64s, stepped: Sequence[int] = ()
    ) -> None:
        """Take admitted readings into memory, in order of receipt.

        stepped: sensors whose time begins anew with these readings; what is remembered of a later time is forgotten.
        """
        begun = np.asarray(stepped, np.int64)
        self.newest[begun] = NEVER
        order, start = segments(sensor)
        place = np.arange(len(sensor)) - start
        count = np.bincount(start, minlength=len(sensor))[start]
        last = place >= count - REMEMBERED  # of many in one batch only the last few, so that no slot is hit twice
        rows = sensor[order]
        slot = (self._next[rows] + place) % REMEMBERED
        self._times[rows[last], slot[last]] = given_us[order][last]
        self._identities[rows[last], slot[last]] = identity[order][last]
        ends = place == count - 1
        self._next[rows[ends]] = (slot[ends] + 1) % REMEMBERED
        self._run[sensor[placed_us > self.newest[sensor]]] = 0
        np.maximum.at(self.newest, sensor, placed_us)
        newest = placed_us == self.newest[sensor]
        self._newest_given[sensor[newest]] = given_us[newest]
        if len(begun):
            times = self._times[begun]
            self._times[begun] = np.where(times > self.newest[begun][:, None], NEVER, times)


def _side_by_side(left: Int64s, right: Int64s) -> npt.NDArray[np.void]:
    """Two columns as one of sixteen bytes."""
    pairs = np.empty((len(left), 2), np.int64)
    pairs[:, 0], pairs[:, 1] = left, right
    return pairs.view(_SIXTEEN).reshape(-1)
