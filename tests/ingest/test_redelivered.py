"""The ring of what was admitted: everything of late is known, nothing else is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import redelivered
from ingest.model import Bools
from ingest.redelivered import Redelivered


def asked(ring: Redelivered, numbers: list[int], *, tell: bool, retained: bool = False) -> Bools | None:
    column = np.array(numbers, np.int64)
    flags = np.full(len(numbers), retained)
    both = (column.astype(np.int32) % 7, column * 1000, column * 31, flags)
    if tell:
        ring.remember(*both)
        return None
    return ring.knows(*both)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 50))
def test_the_last_readings_are_known_and_those_never_seen_are_not(sizes: list[int], room: int) -> None:
    ring, told = Redelivered(room), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redelivered, "_RESORTED", 20)
        for size in sizes:
            asked(ring, list(range(told, told + size)), tell=True)
            told += size
            last = list(range(max(0, told - room), told))
            known = asked(ring, [*last, told, told + 1, -1], tell=False)
            assert known is not None
            assert known.tolist() == [True] * len(last) + [False] * 3


def test_what_left_the_ring_is_forgotten() -> None:
    ring = Redelivered(10)
    asked(ring, list(range(25)), tell=True)
    known = asked(ring, list(range(25)), tell=False)
    assert known is not None
    assert known.tolist() == [False] * 15 + [True] * 10


def test_a_retained_reading_and_the_live_one_are_two() -> None:
    ring = Redelivered(10)
    asked(ring, [1], tell=True, retained=True)
    assert asked(ring, [1], tell=False) == [False]
    assert asked(ring, [1], tell=False, retained=True) == [True]
