"""How the clock of each device stands against ours, seen from when its readings arrive."""

import numpy as np
import numpy.typing as npt

from config.city import City
from config.clock import US_PER_SECOND
from ingest.model import Float64s, Int32s, Int64s

WINDOW_US = 3600 * US_PER_SECOND
"""Stretch over which the least delay is taken; a clock of 50 parts in a million moves 0.2 s in it."""

_UNKNOWN = np.iinfo(np.int64).max


class Offsets:
    """The usual delay of every device: the least (received - event) of the present window and the one before it.

    A delay is the error of the device's clock plus the time on the way, and that is never negative: the least one is
    nearest to the error, and a few slow or back-filled readings do not move it (the clock filter of NTP, RFC 5905,
    section 10, seen one-way; Paxson, "On calibrating measurements of packet transit times", 1998). A clock that is put
    ahead shows at once, one that is put back after two windows at most, or at once where ``restart`` is told.

    Kept in the row of each device's first sensor, 24 bytes a sensor.
    """

    def __init__(self, city: City) -> None:
        code = city.columns.device.code
        _, first, device = np.unique(code, return_index=True, return_inverse=True)
        self._head: Int32s = first[device].astype(np.int32)
        sensors = len(city.sensors)
        self._both: Int64s = np.full((sensors, 2), _UNKNOWN, np.int64)  # read together
        self._usual: Int64s = self._both[:, 0]
        self._least: Int64s = self._both[:, 1]  # of the present window
        self._before: Int64s = np.full(sensors, _UNKNOWN, np.int64)  # of the window before it
        self._begun_us: int | None = None

    def columns(self) -> dict[str, npt.NDArray[np.int64]]:
        """All of it by name, each with a row per sensor."""
        return {"usual_and_least_us": self._both, "before_us": self._before}

    def see(self, sensor: Int32s, delay_us: Int64s) -> Int64s:
        """Note delays; the part of each that its device does not usually have. Shape (n,).

        A device heard for the first time is taken to have a right clock, unless it is ahead of ours.
        """
        device = self._head[sensor]
        known = self._both.take(device, axis=0)
        usual = known[:, 0]
        less = np.flatnonzero(delay_us < known[:, 1])
        if len(less):
            rows = device[less]
            usual = np.where(usual == _UNKNOWN, np.minimum(delay_us, 0), usual)
            np.minimum.at(self._least, rows, delay_us[less])
            self._usual[rows] = np.minimum(self._least[rows], self._before[rows])
        return delay_us - usual

    def turn(self, now_us: int) -> None:
        """Begin a new window where the present one is over."""
        if self._begun_us is None:
            self._begun_us = now_us
        elif now_us - self._begun_us >= WINDOW_US:
            self._begun_us = now_us
            seen = self._least != _UNKNOWN
            self._before[seen] = self._usual[seen] = self._least[seen]
            self._least[seen] = _UNKNOWN

    def restart(self, sensor: Int64s) -> None:
        """Forget the devices of these sensors: their clocks were set."""
        device = self._head[sensor]
        self._usual[device] = self._least[device] = self._before[device] = _UNKNOWN

    def seconds(self) -> Float64s:
        """Of every sensor's device, how far its clock is behind ours (negative: ahead), NaN unknown. Seconds."""
        usual = self._usual[self._head]
        return np.where(usual == _UNKNOWN, np.nan, usual / US_PER_SECOND)


def middle(delays_us: Int64s) -> int:
    """The median of delays (the lower of two); of many, of a thousand evenly picked ones. Raises ValueError of none."""
    picked = delays_us[:: len(delays_us) // 1000 + 1]
    place = (len(picked) - 1) // 2
    return int(np.partition(picked, place)[place])
