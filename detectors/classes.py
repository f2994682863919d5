"""Sensors by who judges them, so that a round can be ordered into runs: a detector gets views, nothing is sifted."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from ingest.model import Bools, Int64s

Run = tuple[int, int]
"""Rows from the first to before the second."""


class Classes:
    """Sensors that the same detectors judge are of one class. of: shape (sensors,), the class of each.

    Classes that differ little follow one another, so that of sensors ordered by class each detector mostly judges one
    run.
    """

    def __init__(self, sensors: int, judges: Sequence[Bools]) -> None:
        judged = np.zeros(sensors, np.int64)
        for place, column in enumerate(judges):
            judged |= column.astype(np.int64) << place
        found, which = np.unique(judged, return_inverse=True)
        known = found.tolist()
        chain = min((_chain(known, start) for start in known), key=_breaks, default=[])
        self.of = np.array([chain.index(bits) for bits in known], np.uint8 if len(chain) <= 256 else np.uint32)[which]
        self._every = np.arange(len(chain) + 1)
        self._judged = [
            _joined((c, c + 1) for c, bits in enumerate(chain) if bits >> d & 1) for d in range(len(judges))
        ]

    def runs(self, sensor: Int64s) -> list[list[Run]]:
        """For each detector the runs of rows that it judges, of sensors ordered by class."""
        ends = np.searchsorted(self.of[sensor], self._every).tolist()
        rows = ([(ends[first], ends[last]) for first, last in mine] for mine in self._judged)
        return [[(begin, end) for begin, end in mine if begin < end] for mine in rows]


def _joined(runs: Iterable[Run]) -> list[Run]:
    """Runs that follow one another as one."""
    joined: list[Run] = []
    for begin, end in runs:
        joined.append((joined.pop()[0] if joined and joined[-1][1] == begin else begin, end))
    return joined


def _chain(classes: Sequence[int], start: int) -> list[int]:
    """The classes from one on, each followed by the one that differs least of those left."""
    chain, left = [start], set(classes) - {start}
    while left:
        chain.append(min(left, key=lambda bits: ((bits ^ chain[-1]).bit_count(), bits)))
        left.remove(chain[-1])
    return chain


def _breaks(chain: Sequence[int]) -> int:
    """In how many runs the detectors would judge, all together."""
    return sum((after & ~before).bit_count() for before, after in pairwise([0, *chain]))
