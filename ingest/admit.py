"""The rules by which readings are admitted: units, ranges, times, repeats. Pure functions over columns."""

from dataclasses import dataclass

import numpy as np

from config.city import City
from config.clock import US_PER_SECOND
from config.limits import Side
from config.quantities import QUANTITIES
from config.settings import IngestSettings
from ingest.model import Bools, Float64s, Int32s, Int64s, Quality, Uint8s

REMEMBERED = 8
"""How many event times of a sensor are remembered to know a repeated reading by."""

STEP_RUN = 5
"""Readings in a row behind the newest, at the pace of life, after which the device's clock was put back."""

_NEVER = np.iinfo(np.int64).min


class UnitTable:
    """Factors and offsets into the kept unit, by quantity and unit, so that a whole column converts at once."""

    def __init__(self, city: City) -> None:
        names = {unit for quantity in QUANTITIES.values() for unit in (quantity.unit, *quantity.conversions)}
        self.codes: dict[str | None, int] = {unit: code for code, unit in enumerate(sorted(names))}
        self.unknown = len(names)
        order = {name: row for row, name in enumerate(QUANTITIES)}
        self.factor = np.full((len(QUANTITIES), len(names) + 1), np.nan)
        self.offset = np.zeros_like(self.factor)
        for name, quantity in QUANTITIES.items():
            for unit, code in self.codes.items():
                known = quantity.factor(unit)
                if known is not None:
                    self.factor[order[name], code], self.offset[order[name], code] = known
        sensors = city.sensors
        self.quantity: Int32s = np.array([order[sensor.quantity] for sensor in sensors], np.int32)
        # Without a unit in the payload the sensor's configured one holds.
        self.configured: Int32s = np.array([self.code(sensor.unit) for sensor in sensors], np.int32)

    def code(self, unit: str | None) -> int:
        """A unit's column; the last one, which converts to NaN, for a unit nobody knows."""
        return self.codes.get(unit, self.unknown)

    def convert(self, sensor: Int32s, value: Float64s, unit: Int32s | None) -> tuple[Float64s, Bools]:
        """Values in the kept unit, and which units are known for their quantity. All of shape (n,).

        unit: columns of ``code``, None where no payload named any.
        """
        unit = self.configured[sensor] if unit is None else unit
        quantity = self.quantity[sensor]
        factor = self.factor[quantity, unit]
        known: Bools = ~np.isnan(factor)
        with np.errstate(over="ignore"):  # an infinite result is out of every range
            kept: Float64s = factor * value + self.offset[quantity, unit]
        return kept, known


def reach_of(city: City) -> tuple[Float64s, Float64s]:
    """The lowest and the highest value that is admitted of each sensor, shape (sensors,), in the kept unit.

    Where a life is at stake an instrument beyond its scale must not fall silent: on the dangerous side of a limit what
    it may still mean is admitted (and counts as the end of the physical range).
    """
    ends = np.empty((2, len(city.sensors)), np.float64)
    for sensor in city.sensors:
        measures = sensor.measures
        low, high = measures.low, measures.high
        if measures.life_safety and measures.reach is not None:
            sides = {limit.side for limit in city.limits.of(sensor.id, sensor.quantity)}
            low = measures.reach[0] if Side.LOW in sides else low
            high = measures.reach[1] if Side.HIGH in sides else high
        ends[:, sensor.index] = low, high
    return ends[0], ends[1]


def segments(sensor: Int32s) -> tuple[Int64s, Int64s]:
    """A stable order by sensor, and for each row in that order the place where its sensor's rows begin.

    >>> order, start = segments(np.array([7, 3, 7], np.int32))
    >>> order.tolist(), start.tolist()
    ([1, 0, 2], [0, 1, 1])
    """
    order = np.argsort(sensor, kind="stable")
    ordered = sensor[order]
    begins = np.ones(len(sensor), bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    start = np.maximum.accumulate(np.where(begins, np.arange(len(sensor)), 0))
    return order, start


def repeats_within(sensor: Int32s, event_us: Int64s, value: Float64s | None = None) -> Bools:
    """Which rows repeat an earlier row's sensor and event time (and value, where given)."""
    keys = (event_us, sensor) if value is None else (value, event_us, sensor)
    order = np.lexsort(keys)
    same = np.ones(max(len(sensor) - 1, 0), bool)
    for column in keys:
        ordered = column[order]
        same &= ordered[1:] == ordered[:-1]
    repeated = np.zeros(len(sensor), bool)
    repeated[order[1:][same]] = True
    return repeated


def earlier_at_once(sensor: Int32s, event_us: Int64s) -> Int64s:
    """For each row, how many earlier rows have its sensor and event time.

    >>> earlier_at_once(np.array([1, 2, 1, 1], np.int32), np.array([5, 5, 5, 6])).tolist()
    [0, 0, 1, 0]
    """
    order = np.lexsort((event_us, sensor))
    times, sensors = event_us[order], sensor[order]
    place = np.arange(len(sensor))
    begins = np.ones(len(sensor), bool)
    begins[1:] = (times[1:] != times[:-1]) | (sensors[1:] != sensors[:-1])
    earlier = np.empty(len(sensor), np.int64)
    earlier[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return earlier


class Recent:
    """The newest reading of every sensor, and the last few, in order of receipt.

    Memory: 16 * (REMEMBERED + 2) + 26 bytes per sensor. A repeat of something older than the last few is not known
    here: it is older than the newest, so it is marked LATE and pages nobody, and the stores keep it once.

    Two readings of one sensor with one time and different values are no repeat: many devices count whole seconds, and
    a button may be pressed in the second of its heartbeat. The second one is placed a microsecond behind the first,
    so that it is judged and kept as well.
    """

    def __init__(self, sensors: int) -> None:
        self.newest: Int64s = np.full(sensors, _NEVER, np.int64)  # as placed
        self._newest_given: Int64s = np.full(sensors, _NEVER, np.int64)
        self._times: Int64s = np.full((sensors, REMEMBERED), _NEVER, np.int64)  # as given
        self._values: Float64s = np.zeros((sensors, REMEMBERED), np.float64)
        self._next: Uint8s = np.zeros(sensors, np.uint8)
        # Readings in a row behind the newest: how many, the event time of the last, and both times of the first.
        self._run: Uint8s = np.zeros(sensors, np.uint8)
        self._run_last_us, self._run_first_us, self._run_received_us = np.zeros((3, sensors), np.int64)
        self._adopted_us: Int64s = np.full(sensors, _NEVER, np.int64)  # as placed before a restart
        self._adopted_value: Float64s = np.full(sensors, np.nan, np.float64)

    def adopt(self, event_us: Int64s, value: Float64s) -> None:
        """Take over the newest reading of every sensor as placed before a restart; negative times where none is."""
        if event_us.shape != self.newest.shape or value.shape != self.newest.shape:
            raise ValueError(f"adopted shapes {event_us.shape} and {value.shape}, expected {self.newest.shape}")
        newer = (event_us >= 0) & (event_us > self.newest)
        self.newest[newer] = self._newest_given[newer] = self._adopted_us[newer] = event_us[newer]
        self._adopted_value[newer] = value[newer]

    def knows(self, sensor: Int32s, event_us: Int64s, value: Float64s) -> Bools:
        """Which readings were admitted recently."""
        same = (self._times[sensor] == event_us[:, None]) & (self._values[sensor] == value[:, None])
        answer: Bools = same.any(axis=1)
        return answer

    def placed(self, sensor: Int32s, event_us: Int64s, value: Float64s) -> Int64s:
        """Event times at which readings that are no repeats are kept, each sensor's different ones apart.

        The reading of before a restart, delivered again, is kept where it was: it may have been given up to a few
        microseconds earlier than it was placed, behind others of its time.
        """
        adopted_us, newest_us = self._adopted_us[sensor], self.newest[sensor]
        near = (event_us <= adopted_us) & (event_us > adopted_us - REMEMBERED)
        again = near & (value == self._adopted_value[sensor])
        known = np.count_nonzero(self._times[sensor] == event_us[:, None], axis=1)
        newest = (event_us == self._newest_given[sensor]) | (near & (newest_us == adopted_us))
        answer: Int64s = event_us + np.where(newest, newest_us + 1 - event_us, known)
        answer[~again] += earlier_at_once(sensor[~again], event_us[~again])
        answer[again] = adopted_us[again]
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
        (within a factor of two): what a device sends of its past comes faster. The sensor's newest begins anew there.
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
                self.newest[one] = self._newest_given[one] = event_us
                self._adopted_us[one] = _NEVER
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

    def remember(self, sensor: Int32s, event_us: Int64s, value: Float64s, placed_us: Int64s) -> None:
        """Take admitted readings into memory, in order of receipt."""
        order, start = segments(sensor)
        place = np.arange(len(sensor)) - start
        count = np.bincount(start, minlength=len(sensor))[start]
        last = place >= count - REMEMBERED  # of many in one batch only the last few, so that no slot is hit twice
        rows = sensor[order]
        slot = (self._next[rows] + place) % REMEMBERED
        self._times[rows[last], slot[last]] = event_us[order][last]
        self._values[rows[last], slot[last]] = value[order][last]
        ends = place == count - 1
        self._next[rows[ends]] = (slot[ends] + 1) % REMEMBERED
        np.maximum.at(self.newest, sensor, placed_us)
        newest = placed_us == self.newest[sensor]
        self._newest_given[sensor[newest]] = event_us[newest]


@dataclass(frozen=True, slots=True)
class TimeRules:
    """When a device's time is too far from ours. All in microseconds; late: per sensor, shape (sensors,)."""

    future: int
    too_old: int
    late: Int64s

    @staticmethod
    def of(city: City, settings: IngestSettings) -> "TimeRules":
        """The rules of the settings: late is the longer of late_s and two intervals of the sensor."""
        interval = np.array([sensor.interval_s for sensor in city.sensors], np.float64)
        late = np.maximum(settings.late_s, 2 * interval) * US_PER_SECOND
        return TimeRules(
            future=round(settings.future_s * US_PER_SECOND),
            too_old=round(settings.too_old_s * US_PER_SECOND),
            late=np.rint(np.minimum(late, 2.0**62)).astype(np.int64),
        )


def quality_of(given: Uint8s, late: Bools, retained: Bools) -> Uint8s:
    """The quality kept: RETAINED before what the device says of itself, that before LATE."""
    kept = np.where(late & (given == Quality.GOOD), np.uint8(Quality.LATE), given)
    kept[retained] = Quality.RETAINED
    return kept.astype(np.uint8)
