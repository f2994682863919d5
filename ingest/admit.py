"""The rules by which readings are admitted: units, ranges, times, repeats. Pure functions over columns."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from config.city import City
from config.clock import US_PER_SECOND
from config.limits import Side
from config.quantities import QUANTITIES
from config.settings import IngestSettings
from ingest.model import Bools, Float64s, Int32s, Int64s, Quality, Uint8s

Uint64s = npt.NDArray[np.uint64]
_U30, _U27, _U31 = np.uint64(30), np.uint64(27), np.uint64(31)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


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
        self.quantity: Int32s = city.columns.quantity.each(order.__getitem__, np.int32)
        # Without a unit in the payload the sensor's configured one holds.
        self.configured: Int32s = city.columns.unit.each(self.code, np.int32)

    def code(self, unit: str | None) -> int:
        """A unit's column; the last one, which converts to NaN, for a unit nobody knows."""
        return self.codes.get(unit, self.unknown)

    def scale(self, low: Float64s, high: Float64s) -> Float64s:
        """Factor and offset from each sensor's configured unit, and the ends of its range, in one row: (sensors, 4)."""
        rows = np.empty((len(self.quantity), 4), np.float64)
        rows[:, 0] = self.factor[self.quantity, self.configured]
        rows[:, 1] = self.offset[self.quantity, self.configured]
        rows[:, 2], rows[:, 3] = low, high
        return rows

    def convert(self, sensor: Int32s, value: Float64s, unit: Int32s | None) -> tuple[Float64s, Bools]:
        """Values in the kept unit, and which units are known for their quantity. All of shape (n,).

        unit: columns of ``code``, None where no payload named any.
        """
        unit = self.configured[sensor] if unit is None else unit
        place = self.quantity[sensor] * np.int32(self.factor.shape[1]) + unit
        factor = self.factor.take(place)
        known: Bools = ~np.isnan(factor)
        with np.errstate(over="ignore"):  # an infinite result is out of every range
            kept: Float64s = factor * value + self.offset.take(place)
        return kept, known


def reach_of(city: City) -> tuple[Float64s, Float64s]:
    """The lowest and the highest value that is admitted of each sensor, shape (sensors,), in the kept unit.

    Where a life is at stake an instrument beyond its scale must not fall silent: on the dangerous side of a limit what
    it may still mean is admitted (and counts as the end of the physical range).
    """
    columns = city.columns
    low = columns.measured(lambda quantity: quantity.low, np.float64)
    high = columns.measured(lambda quantity: quantity.high, np.float64)
    reaching = columns.measured(lambda quantity: quantity.life_safety and quantity.reach is not None, np.bool_)
    for row in np.flatnonzero(reaching).tolist():
        name = columns.quantity[row]
        sides = {limit.side for limit in city.limits.of(columns.ids[row], name)}
        reach = QUANTITIES[name].reach or (low[row], high[row])
        low[row] = reach[0] if Side.LOW in sides else low[row]
        high[row] = reach[1] if Side.HIGH in sides else high[row]
    return low, high


def mixed(bits: Uint64s) -> Uint64s:
    """Sixty-four bits, each depending on all of those given: the finaliser of splitmix64 (Steele et al., 2014)."""
    bits = (bits ^ (bits >> _U30)) * _M1
    bits = (bits ^ (bits >> _U27)) * _M2
    return bits ^ (bits >> _U31)


def identities(value: Float64s, count: Int64s | None) -> Int64s:
    """Sixty-four bits of each reading's value and of its device's own count, shape (n,).

    count: zero where the device gives none, None where none does.
    """
    bits = (value + 0.0).view(np.uint64)  # minus zero is zero
    if count is not None:
        bits = bits ^ mixed(count.view(np.uint64))  # nothing where it is zero
    return mixed(bits).view(np.int64)


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


def repeats_within(sensor: Int32s, given_us: Int64s, identity: Int64s) -> Bools:
    """Which rows repeat an earlier row's sensor, event time and identity."""
    keys = (identity, given_us, sensor)
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


@dataclass(frozen=True, slots=True)
class TimeRules:
    """When a device's time is too far from ours. All in microseconds; late: per sensor, shape (sensors,).

    clean: no reading of this age or less is late or too old, whatever its sensor.
    """

    future: int
    too_old: int
    late: Int64s
    clean: int

    @staticmethod
    def of(city: City, settings: IngestSettings) -> "TimeRules":
        """The rules of the settings: late is the longer of late_s and two intervals of the sensor."""
        late = np.maximum(settings.late_s, 2 * city.columns.interval_s) * US_PER_SECOND
        future, too_old = round(settings.future_s * US_PER_SECOND), round(settings.too_old_s * US_PER_SECOND)
        late_us = np.rint(np.minimum(late, 2.0**62)).astype(np.int64)
        return TimeRules(future, too_old, late_us, min(too_old, int(late_us.min(initial=too_old))))

    def late_rows(self, sensor: Int32s, given_us: Int64s, received_us: Int64s) -> Bools:
        """Which readings arrived too long after they were measured, by their age alone."""
        answer: Bools = given_us < received_us - self.late[sensor]
        return answer


class Outages:
    """When our own link was away, so that what waited for us is not called late where a life may depend on it.

    From the beginning of an outage until as long after its end as it lasted (what waited takes a while to come), the
    lateness of a reading counts from the end of that stretch.
    """

    KEPT = 8

    def __init__(self) -> None:
        self._stretches: deque[tuple[int, int]] = deque(maxlen=self.KEPT)

    def note(self, lost_us: int, restored_us: int) -> None:
        """Our link was away from ``lost_us`` to ``restored_us``."""
        end_us = restored_us + max(0, restored_us - lost_us)
        while self._stretches and self._stretches[-1][1] >= lost_us:  # one follows the other at once: they are one
            before = self._stretches.pop()
            lost_us, end_us = min(lost_us, before[0]), max(end_us, before[1])
        self._stretches.append((lost_us, end_us))

    def excuse(self, sensor: Int32s, given_us: Int64s, received_us: Int64s, rules: TimeRules) -> Bools:
        """Which readings may have come late because of us: they could have come in time, had we been there."""
        excused = np.zeros(len(sensor), np.bool_)
        late_us = rules.late[sensor]
        for lost_us, end_us in self._stretches:
            waited = (given_us >= lost_us - late_us) & (given_us <= end_us)
            excused |= waited & (received_us <= end_us + late_us)
        return excused


def quality_of(given: Uint8s, late: Bools, retained: Bools) -> Uint8s:
    """The quality kept: RETAINED before what the device says of itself, that before LATE."""
    kept = np.where(late & (given == Quality.GOOD), np.uint8(Quality.LATE), given)
    kept[retained] = Quality.RETAINED
    return kept.astype(np.uint8)
