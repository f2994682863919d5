"""An exact memory of the last two million readings, asked of what the broker sends again."""

import numpy as np
import numpy.typing as npt

from ingest.admit import mixed
from ingest.model import Bools, Int32s, Int64s

REMEMBERED_READINGS = 2**21
"""How many admitted readings are known again; more than a broker may have on the way to us unacknowledged.

Two connections with ten thousand messages of a hundred readings each (``mqtt.receive_maximum``) have fewer.
"""

_RETAINED = np.uint64(0xA0761D6478BD642F)
_RESORTED = 2**16  # readings beyond the sorted part that are searched as they are

Uint64s = npt.NDArray[np.uint64]


class Redelivered:
    """Hashes of admitted readings in order of admission: a ring, the oldest is forgotten first. 8 bytes a reading.

    Of two different readings 64 bits are the same once in 2**64: with two million remembered, one reading in
    10**13 that is sent again for the first time is taken for known.
    """

    def __init__(self, readings: int = REMEMBERED_READINGS) -> None:
        self._ring: Uint64s = np.full(readings, 0, np.uint64)
        self._written = 0  # since the beginning
        self._sorted: Uint64s = np.zeros(0, np.uint64)
        self._sorted_at = 0  # how much was written when it was sorted

    def remember(self, sensor: Int32s, given_us: Int64s, identity: Int64s, retained: Bools | None) -> None:
        """Take admitted readings into memory. retained: which of them the broker kept; None where none."""
        hashes = _hashes(sensor, given_us, identity, retained)[-len(self._ring) :]
        place = self._written % len(self._ring)
        first = min(len(hashes), len(self._ring) - place)
        self._ring[place : place + first] = hashes[:first]
        self._ring[: len(hashes) - first] = hashes[first:]
        self._written += len(hashes)

    def knows(self, sensor: Int32s, given_us: Int64s, identity: Int64s, retained: Bools | None) -> Bools:
        """Which of these readings were admitted before."""
        if self._written - self._sorted_at > _RESORTED or len(self._sorted) == 0:
            self._sorted = np.sort(self._ring[: min(self._written, len(self._ring))])
            self._sorted_at = self._written
        hashes = _hashes(sensor, given_us, identity, retained)
        if not len(self._sorted):
            return np.zeros(len(hashes), np.bool_)
        place = np.minimum(np.searchsorted(self._sorted, hashes), len(self._sorted) - 1)
        answer: Bools = self._sorted[place] == hashes
        since = np.arange(self._sorted_at, self._written) % len(self._ring)
        return answer | np.isin(hashes, self._ring[since])


def _hashes(sensor: Int32s, given_us: Int64s, identity: Int64s, retained: Bools | None) -> Uint64s:
    hashes = mixed(given_us.view(np.uint64) ^ mixed(identity.view(np.uint64) + sensor.astype(np.uint64)))
    if retained is not None:
        hashes[retained] ^= _RETAINED
    return hashes
