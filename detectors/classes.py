"""Sensors by who judges them, so that a round can be ordered into runs: a detector gets views, nothing is sifted."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.model import Bools, Int64s


def classes(sensors: int, judges: Sequence[Bools]) -> tuple[npt.NDArray[Any], Int64s]:
    """Sensors by who judges them: shape (sensors,), the class of each; shape (classes,), a bit per detector.

    Classes that differ little follow one another, so that of sensors ordered by class each detector mostly judges one
    run.
    """
    judged = np.zeros(sensors, np.int64)
    for place, column in enumerate(judges):
        judged |= column.astype(np.int64) << place
    found, which = np.unique(judged, return_inverse=True)
    chains = [_chain(found.tolist(), start) for start in found.tolist()]
    chain = min(chains, key=_breaks, default=[])
    place_of = np.array([chain.index(bits) for bits in found.tolist()], np.uint8 if len(chain) <= 256 else np.uint32)
    return place_of[which], np.array(chain, np.int64)


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


def runs(of: npt.NDArray[Any], judged_by: Int64s, detectors: int) -> Iterator[list[slice]]:
    """For each detector the runs of rows that it judges, of rows ordered by class."""
    ends = [0, *((of[1:] != of[:-1]).nonzero()[0] + 1).tolist(), len(of)]
    bits = judged_by[of[ends[:-1]]].tolist()
    for place in range(detectors):
        found: list[slice] = []
        for begin, end, judges in zip(ends, ends[1:], bits, strict=False):
            if judges >> place & 1:
                joins = found and found[-1].stop == begin
                found.append(slice(found.pop().start if joins else begin, end))
        yield found
