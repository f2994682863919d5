"""What every detector of the bank looks like, and the columns they share.

A detector holds no state of its own: it names the columns it needs, the engine keeps them and hands the rows of a
round's sensors to it (``detectors.records`` says how they lie in memory).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from detectors.glances import Glances
from detectors.model import Condition, Verdict
from ingest.model import Bools, Float64s, Int64s

NEVER = -1
"""Event time of what has not happened yet."""

GAP = 3.0
"""Expected intervals without a reading after which what was pending begins again."""

Columns = Mapping[str, npt.NDArray[Any]]
"""State by name; every column has one row per sensor of the city, or one per reading of a round.

Columns of type i8 hold event times, and only they do.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of state: its type, the value of a sensor never seen, and how many numbers each sensor has.

    learned: holds what is usual for the sensor, which outlives what stands on it (see Engine.forget). seen: others may
    look at it when they judge their own sensor. rare: only a reading with which something is the matter touches it; a
    detector finds the whole column and indexes it by sensor, where of any other it finds one row per reading. Only
    a rare column may have several numbers for each sensor.
    """

    dtype: str
    start: float = 0
    width: int = 1
    learned: bool = False
    seen: bool = False
    rare: bool = False


SHARED: Mapping[str, Column] = {
    "last_us": Column("i8", NEVER, seen=True),  # event time of the last judged reading
    "last": Column("f8", seen=True),  # its value
    "deviation": Column("f4", seen=True),  # its distance from the sensor's own location, in spreads
    "spread": Column("f4"),  # that spread
    "ripe": Column("?", seen=True),  # enough was seen of the sensor to say what is usual
    "own": Column("i1", seen=True),  # -1 | 0 | 1: stands persistently below or above what is usual for the sensor
    "apart": Column("i1", seen=True),  # the same against its neighbours
    "apart_by": Column("f4"),  # distance from the neighbours, in spreads
    "apart_spread": Column("f4"),  # that spread
    "leapt": Column("?", seen=True),  # its deviation from its own past began with a jump that the world does not make
    "abrupt": Column("?", seen=True),  # its deviation from the neighbours began with such a jump
    "since_us": Column("i8", NEVER, rare=True),  # event time of the first reading of the latest deviation
    "standing": Column("u1", seen=True),  # how many conditions stand
    "faulty": Column("u1", seen=True),  # how many of them speak against the sensor
}
"""The columns that every detector may read; the comment says what they hold."""


@dataclass(frozen=True, slots=True)
class Round:
    """Readings of one round: each sensor at most once, newer than anything judged of it before.

    sensor: indices. kind: which of the kinds of ``detectors.kinds`` each is. event_us: the device's time. value: kept
    unit. first: no reading was judged before. previous_us, previous: the reading before (meaningless where first).
    elapsed: expected intervals since it (0 where first). others: one record per sensor of the city, and one of nobody
    behind them, with the columns that may be seen (event time and value: those of this round). glances: of these the
    latest value and its time, for who looks at many.
    """

    sensor: Int64s
    kind: Int64s
    event_us: Int64s
    value: Float64s
    first: Bools
    previous_us: Int64s
    previous: Float64s
    elapsed: Float64s
    others: npt.NDArray[np.void]
    glances: Glances

    def __len__(self) -> int:
        return len(self.sensor)

    def some(self, rows: Int64s | slice) -> "Round":
        """These readings alone."""
        return Round(
            self.sensor[rows], self.kind[rows], self.event_us[rows], self.value[rows], self.first[rows],
            self.previous_us[rows], self.previous[rows], self.elapsed[rows], self.others, self.glances,
        )  # fmt: skip


class Detector(Protocol):
    """One family of judgements. ``name`` is its entry in the registry, ``conditions`` what it may raise.

    judges: shape (sensors,), of which sensors it may have anything to say. The others' readings are not shown to it.
    """

    name: str
    conditions: frozenset[Condition]
    judges: Bools

    def columns(self) -> Mapping[str, Column]:
        """The state it needs."""
        ...

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """Score the readings, then learn from them: what began, changed or ended. Writes only into the columns.

        state, shared: row i is that of reading i; columns that are rare are whole. A round may be judged in several
        parts at once, so nothing else may be read or written, but of ``readings.others`` the event time, the value
        and ``faulty``; counts of what stands are those before the round.
        """
        ...

    def concerns(self, state: Columns, shared: Columns) -> Bools | None:
        """None where it judges with the others. A mask of the readings that it wants to judge when all have done so.

        It then finds what they found, of other sensors too.
        """
        del state, shared
        return None

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """The conditions that stand, as (sensor, condition). state: whole columns."""
        ...

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """Take over a condition that stands elsewhere; False where it could never be ended here."""
        ...


def chosen(mask: Bools) -> slice | Int64s:
    """An index of the rows of a mask; a slice where it is all of them, which makes views and no copies."""
    return slice(None) if np.count_nonzero(mask) == len(mask) else rows_of(mask)


def rows_of(mask: Bools) -> Int64s:
    """The rows of a mask, shape (rows,); quicker than np.flatnonzero where there are few."""
    return mask.nonzero()[0]


def holds(mask: Bools) -> bool:
    """Whether a mask has any row; quicker than mask.any() where there are few."""
    return bool(np.count_nonzero(mask))


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
