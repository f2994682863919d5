"""The sensors of a city, kept as columns: half a million fit into some hundred megabytes.

Whoever needs one fact of all sensors takes its column; a ``Sensor`` object is made when somebody asks for one sensor.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate, pairwise, starmap
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from config.quantities import QUANTITIES, Quantity
from config.vocabulary import Kind, LocalText

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
T = TypeVar("T")

_BLOCK = 4096  # sensors made in one go when all are asked for: what waits stays small


@dataclass(frozen=True, slots=True)
class Sensor:
    """One series of readings of one quantity at one place.

    index: its row in every column of the daemon (0-based, the order of the file). lon, lat: WGS-84 degrees.
    interval_s: seconds expected between two readings (> 0). grid: the code of the finest grid that holds it.
    device: the box it sits in (its own id where it sits alone).
    """

    index: int
    id: str
    kind: Kind
    quantity: str
    unit: str
    lon: float
    lat: float
    place: LocalText
    interval_s: float
    owner: str
    grid: str
    device: str
    calibrated_on: date | None = None

    @property
    def measures(self) -> Quantity:
        """The quantity's entry in the table."""
        return QUANTITIES[self.quantity]


class TextTable(Sequence[str]):
    """Many texts in one buffer of UTF-8, made into ``str`` when asked for: no object for each."""

    __slots__ = ("_bytes", "_ends")

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode() for text in texts]
        self._ends: Int64s = np.fromiter(accumulate(map(len, encoded), initial=0), np.int64, len(encoded) + 1)
        self._bytes = b"".join(encoded)

    @classmethod
    def joined(cls, tables: Sequence["TextTable"]) -> "TextTable":
        """All texts of several tables, one after the other."""
        whole = cls(())
        lengths = [np.diff(table._ends) for table in tables]  # noqa: SLF001 - its own class
        whole._ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
        whole._bytes = b"".join(table._bytes for table in tables)  # noqa: SLF001 - its own class
        return whole

    @classmethod
    def of_arrays(cls, content: npt.NDArray[np.uint8], ends: Int64s) -> "TextTable":
        """The table that ``as_arrays`` was asked of. Raises ValueError where these cannot be its arrays."""
        whole = cls(())
        if not len(ends) or ends[0] != 0 or ends[-1] != len(content) or (np.diff(ends) < 0).any():
            raise ValueError("the ends of the texts do not fit their bytes")
        whole._ends, whole._bytes = ends, content.tobytes()
        return whole

    def as_arrays(self) -> tuple[npt.NDArray[np.uint8], Int64s]:
        """(all texts as UTF-8, where each ends after a leading 0)."""
        return np.frombuffer(self._bytes, np.uint8), self._ends

    def all(self) -> list[str]:
        """Every text, faster than one by one."""
        content = self._bytes
        return [content[begin:end].decode() for begin, end in pairwise(self._ends.tolist())]

    def some(self, rows: npt.NDArray[np.integer]) -> list[str]:
        """The texts of some rows, faster than one by one. Raises IndexError."""
        content, begins, ends = self._bytes, self._ends[rows].tolist(), self._ends[rows + 1].tolist()
        return [content[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        """One text, or a tuple of several. Raises IndexError."""
        if isinstance(row, slice):
            return tuple(self.some(np.arange(len(self))[row]))
        row = range(len(self))[row]
        return self._bytes[int(self._ends[row]) : int(self._ends[row + 1])].decode()


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of texts of which many repeat.

    names: every text once. code: shape (sensors,), int32, which of the names it is.
    """

    names: Sequence[str]
    code: Int32s

    def __getitem__(self, row: int) -> str:
        """The text of one sensor."""
        return self.names[int(self.code[row])]

    def each(self, value: Callable[[str], Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A column of what follows from the text, shape (sensors,): worked out once for each name."""
        return np.array([value(name) for name in self.names], dtype)[self.code]


@dataclass(frozen=True, slots=True, eq=False)
class SensorColumns(Sequence[Sensor]):
    """Every sensor of a city: a sequence of ``Sensor`` in the order of the file, and their columns.

    All columns have the shape (sensors,) and are read-only. ids: texts, shared with ``City.sensor_index``. lon, lat,
    interval_s: float64. calibrated: int32, days as ``date.toordinal`` counts them, 0 where there is none. place:
    int32, row in place_zh and place_en.
    """

    ids: tuple[str, ...]
    kind: Labels
    quantity: Labels
    unit: Labels
    lon: Float64s
    lat: Float64s
    place: Int32s
    place_zh: TextTable
    place_en: TextTable
    interval_s: Float64s
    owner: Labels
    grid: Labels
    device: Labels
    calibrated: Int32s
    _days: dict[int, date | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Close the columns against writing, and make every date once."""
        labels = (self.kind, self.quantity, self.unit, self.owner, self.grid, self.device)
        numbers: tuple[npt.NDArray[Any], ...] = (self.lon, self.lat, self.place, self.interval_s, self.calibrated)
        for column in (*numbers, *(one.code for one in labels)):
            if column.shape != (len(self.ids),):
                raise ValueError(f"a column has the shape {column.shape}, expected ({len(self.ids)},)")
            column.setflags(write=False)
        days = {day: date.fromordinal(day) if day else None for day in np.unique(self.calibrated).tolist()}
        object.__setattr__(self, "_days", days)

    @classmethod
    def of(cls, sensors: Iterable[Sensor]) -> "SensorColumns":
        """The columns of these sensors. Raises ValueError where an index is not the sensor's place in the order."""
        all_ = sensors if isinstance(sensors, Sequence) else tuple(sensors)
        for row, sensor in enumerate(all_):
            if sensor.index != row:
                raise ValueError(f"sensor {sensor.id} has the index {sensor.index}, expected {row}: its place in order")
        places, place = coded([sensor.place for sensor in all_])
        return cls(
            ids=tuple(sensor.id for sensor in all_),
            kind=labels([sensor.kind for sensor in all_]),
            quantity=labels([sensor.quantity for sensor in all_]),
            unit=labels([sensor.unit for sensor in all_]),
            lon=np.array([sensor.lon for sensor in all_], np.float64),
            lat=np.array([sensor.lat for sensor in all_], np.float64),
            place=place,
            place_zh=TextTable(one.zh for one in places),
            place_en=TextTable(one.en for one in places),
            interval_s=np.array([sensor.interval_s for sensor in all_], np.float64),
            owner=labels([sensor.owner for sensor in all_]),
            grid=labels([sensor.grid for sensor in all_]),
            device=labels([sensor.device for sensor in all_]),
            calibrated=np.array([s.calibrated_on.toordinal() if s.calibrated_on else 0 for s in all_], np.int32),
        )

    def measured(self, value: Callable[[Quantity], Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A column of what follows from the quantity, shape (sensors,): ``measured(lambda q: q.low, float)``."""
        return self.quantity.each(lambda name: value(QUANTITIES[name]), dtype)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Sensor: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sensor]: ...
    def __getitem__(self, index: int | slice) -> Sensor | Sequence[Sensor]:
        """One sensor, or a tuple of several. Costs some microseconds each. Raises IndexError."""
        if isinstance(index, slice):
            return tuple(self._some(np.arange(len(self))[index]))
        row = range(len(self))[index]
        place = int(self.place[row])
        return Sensor(
            row,
            self.ids[row],
            Kind(self.kind[row]),
            self.quantity[row],
            self.unit[row],
            float(self.lon[row]),
            float(self.lat[row]),
            LocalText(self.place_zh[place], self.place_en[place]),
            float(self.interval_s[row]),
            self.owner[row],
            self.grid[row],
            self.device[row],
            self._days[int(self.calibrated[row])],
        )

    def __iter__(self) -> Iterator[Sensor]:
        for begin in range(0, len(self), _BLOCK):
            yield from self._some(np.arange(begin, min(begin + _BLOCK, len(self))))

    def _some(self, rows: Int64s) -> Iterator[Sensor]:
        kinds, days = [Kind(name) for name in self.kind.names], self._days
        place, which = np.unique(self.place[rows], return_inverse=True)
        places = list(map(LocalText, self.place_zh.some(place), self.place_en.some(place)))
        columns: Iterator[tuple[Any, ...]] = zip(
            rows.tolist(),
            (self.ids[row] for row in rows.tolist()),
            (kinds[code] for code in self.kind.code[rows].tolist()),
            _named(self.quantity, rows),
            _named(self.unit, rows),
            self.lon[rows].tolist(),
            self.lat[rows].tolist(),
            (places[one] for one in which.tolist()),
            self.interval_s[rows].tolist(),
            _named(self.owner, rows),
            _named(self.grid, rows),
            _named(self.device, rows),
            (days[day] for day in self.calibrated[rows].tolist()),
            strict=True,
        )
        return starmap(Sensor, columns)


def _named(column: Labels, rows: Int64s) -> Iterator[str]:
    names = column.names
    if isinstance(names, TextTable):
        return iter(names.some(column.code[rows]))
    return (names[code] for code in column.code[rows].tolist())


def coded(values: Sequence[T]) -> tuple[list[T], Int32s]:
    """(every value once in the order of its first appearance, shape (values,): which of them each is)."""
    order: dict[T, int] = {}
    code = np.fromiter((order.setdefault(value, len(order)) for value in values), np.int32, len(values))
    return list(order), code


def labels(values: Sequence[str]) -> Labels:
    """A column of texts, each kept once."""
    names, code = coded(values)
    return Labels(tuple(names), code)
