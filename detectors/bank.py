"""What every detector of the bank looks like, and the columns they share.

A detector holds no state of its own: it names the columns it needs, the engine keeps them and hands them back with
every round of readings.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from detectors.model import Condition, Verdict
from ingest.model import Bools, Float64s, Int64s

NEVER = -1
"""Event time of what has not happened yet."""

GAP = 3.0
"""Expected intervals without a reading after which what was pending begins again."""

Columns = dict[str, npt.NDArray[Any]]
"""State by name; every column has one row per sensor of the city.

Columns of type i8 hold event times, and only they do.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of state: its type, the value of a sensor never seen, and how many numbers each sensor has.

    learned: holds what is usual for the sensor, which outlives what stands on it (see Engine.forget).
    """

    dtype: str
    start: float = 0
    width: int = 1
    learned: bool = False

    def fresh(self, count: int) -> npt.NDArray[Any]:
        """The column for so many sensors never seen."""
        return np.full(count if self.width == 1 else (count, self.width), self.start, dtype=self.dtype)


SHARED: Mapping[str, Column] = {
    "last_us": Column("i8", NEVER),  # event time of the last judged reading
    "last": Column("f8"),  # its value
    "deviation": Column("f4"),  # its distance from the sensor's own location, in spreads
    "spread": Column("f4"),  # that spread
    "ripe": Column("?"),  # enough was seen of the sensor to say what is usual
    "own": Column("i1"),  # -1 | 0 | 1: stands persistently below or above what is usual for the sensor
    "apart": Column("i1"),  # the same against its neighbours
    "apart_by": Column("f4"),  # distance from the neighbours, in spreads
    "apart_spread": Column("f4"),  # that spread
    "leapt": Column("?"),  # its deviation from its own past began with a jump that the world does not make
    "abrupt": Column("?"),  # its deviation from the neighbours began with such a jump
    "since_us": Column("i8", NEVER),  # event time of the first reading of the latest deviation
    "standing": Column("u1"),  # how many conditions stand
    "faulty": Column("u1"),  # how many of them speak against the sensor
}
"""The columns that every detector may read; the comment says what they hold."""


@dataclass(frozen=True, slots=True)
class Round:
    """Readings of one round: each sensor at most once, ordered by sensor, newer than anything judged of it before.

    sensor: indices. event_us: the device's time. value: kept unit. first: no reading was judged before. previous_us,
    previous: the reading before (meaningless where first). elapsed: expected intervals since it (0 where first).
    """

    sensor: Int64s
    event_us: Int64s
    value: Float64s
    first: Bools
    previous_us: Int64s
    previous: Float64s
    elapsed: Float64s

    def __len__(self) -> int:
        return len(self.sensor)


class Detector(Protocol):
    """One family of judgements. ``name`` is its entry in the registry, ``conditions`` what it may raise."""

    name: str
    conditions: frozenset[Condition]

    def columns(self) -> Mapping[str, Column]:
        """The state it needs."""
        ...

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """Score the readings, then learn from them: what began, changed or ended. Writes only into the columns."""
        ...

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """The conditions that stand, as (sensor, condition)."""
        ...

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """Take over a condition that stands elsewhere; False where it could never be ended here."""
        ...


def shown(value: float) -> float | int:
    """A number as people are shown it: four significant digits, no needless zeros.

    >>> shown(27.28000001), shown(1013.249), shown(12345.6), shown(150.0), shown(0.123456)
    (27.28, 1013, 12346, 150, 0.1235)
    """
    if value == 0 or not np.isfinite(value):
        return 0 if value == 0 else float(value)
    rounded = round(float(value), max(0, 3 - int(np.floor(np.log10(abs(value))))))
    return int(rounded) if rounded == int(rounded) else rounded


def shown_unit(unit: str) -> str:
    """A unit as it follows a number: with its space, or nothing for a bare count.

    >>> shown_unit("ppm"), shown_unit("1")
    (' ppm', '')
    """
    return "" if unit == "1" else f" {unit}"
