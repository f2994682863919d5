"""Which sensors are silent: pure over columns, from the first second, blind while our own link is down."""

import numpy as np

from config.city import City
from config.clock import US_PER_SECOND
from config.settings import IngestSettings
from ingest.model import Bools, Int64s, LivenessChange, Quality, ReadingBatch

_LONGEST_US = 2.0**60


class Liveness:
    """Watches every configured sensor, those that never spoke too.

    A sensor is silent when it was not heard for longer than it is allowed: ``silent_after`` of its intervals, at least
    ``silent_floor_s``. Counted from its last reading by receive time, or from the start, or from when our own link
    to the broker came back, whichever is later. Memory: 26 bytes per sensor.
    """

    def __init__(self, city: City, settings: IngestSettings, start_us: int) -> None:
        interval = np.array([sensor.interval_s for sensor in city.sensors], np.float64)
        self._allowed_s = np.maximum(interval * settings.silent_after, settings.silent_floor_s)
        self._allowed_us: Int64s = np.minimum(self._allowed_s * US_PER_SECOND, _LONGEST_US).astype(np.int64)
        self._last_us: Int64s = np.zeros(len(interval), np.int64)
        self._heard = np.zeros(len(interval), bool)  # since the last check
        self._silent = np.zeros(len(interval), bool)
        self._since_us = start_us
        self._up = True

    @property
    def silent(self) -> int:
        """How many sensors are silent just now."""
        return int(np.count_nonzero(self._silent))

    def adopt(self, silent: Bools) -> None:
        """Take over who was silent before a restart, shape (sensors,): nobody hears of it twice, but of their return.

        Raises ValueError for another shape.
        """
        if silent.shape != self._silent.shape:
            raise ValueError(f"silent has the shape {silent.shape}, expected {self._silent.shape}")
        self._silent |= silent

    def seen(self, batch: ReadingBatch) -> None:
        """Take note of who spoke. A retained message is what was, so it is no sign of life; a late one is."""
        live = batch.quality != Quality.RETAINED
        sensor = batch.sensor[live]
        np.maximum.at(self._last_us, sensor, batch.received_us[live])
        self._heard[sensor] = True

    def link(self, up: bool, now_us: int) -> None:  # the one thing it is told
        """Say whether readings can reach us at all. While not, nobody is called silent.

        When they can again every sensor has its full allowance anew. Saying the same twice changes nothing.
        """
        if up and not self._up:
            self._since_us = now_us
        self._up = up

    def check(self, now_us: int) -> list[LivenessChange]:
        """Who fell silent and who speaks again since the last check, in order of sensors."""
        back = self._silent & self._heard
        self._silent &= ~back
        self._heard[:] = False
        fallen = np.zeros_like(back)
        if self._up:
            fallen = (np.maximum(self._last_us, self._since_us) < now_us - self._allowed_us) & ~self._silent
            self._silent |= fallen
        # Heard since the last check and silent for too long again: nothing changed that anybody could see.
        changed = np.flatnonzero(back ^ fallen)
        columns = (changed, self._silent[changed], self._last_us[changed], self._allowed_s[changed])
        return [
            LivenessChange(sensor, silent, now_us, last_us, allowed_s)
            for sensor, silent, last_us, allowed_s in zip(*(column.tolist() for column in columns), strict=True)
        ]
