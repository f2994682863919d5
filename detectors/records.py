"""How the state of all sensors lies in memory: what one reading touches lies together.

A batch touches some thousands of half a million sensors, so most of what it reads has to come from memory, in lines
of 64 bytes. Forty columns apart would cost forty lines for each reading. So three things are kept apart: the *face* of
a sensor, which others may look at when they judge their own (half a line); its *body*, which only its own readings
touch (two lines); and columns that are *rare*. For the outside all of them are columns by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.bank import Column, Columns
from ingest.model import Int64s

LINE = 64  # bytes in a line of the processor's cache

Owners = Sequence[tuple[str, Mapping[str, Column]]]
_Records = npt.NDArray[np.void]


def _layout(owners: Owners, *, seen: bool) -> np.dtype[np.void]:
    """Fields "owner/name", the widest first so that none lies across two lines; as wide as a part or some lines."""
    kept = [
        (f"{owner}/{name}", column)
        for owner, columns in owners
        for name, column in columns.items()
        if not column.rare and column.seen is seen
    ]
    kept.sort(key=lambda entry: -np.dtype(entry[1].dtype).itemsize)
    offsets, end = [], 0
    for name, column in kept:
        if column.width != 1:
            raise ValueError(f"{name} has {column.width} numbers for each sensor: only a rare column may")
        offsets.append(end)
        end += np.dtype(column.dtype).itemsize
    size = next((part for part in (8, 16, 32) if end <= part), -(-end // LINE) * LINE)
    formats = [column.dtype for _, column in kept]
    return np.dtype({"names": [name for name, _ in kept], "formats": formats, "offsets": offsets, "itemsize": size})


def _records(count: int, layout: np.dtype[np.void]) -> _Records:
    """So many records of zeros that begin with a line."""
    memory = np.zeros(count * layout.itemsize + LINE, np.uint8)
    begin = -memory.__array_interface__["data"][0] % LINE
    return memory[begin : begin + count * layout.itemsize].view(layout)


def _plain(records: _Records) -> npt.NDArray[np.void]:
    """The same memory without names: such records are copied whole, not field by field."""
    return records.view(np.dtype((np.void, records.dtype.itemsize)))


class _Views(dict[str, npt.NDArray[Any]]):
    """Columns of an owner, each looked up in the records when it is asked for."""

    def __init__(self, fields: Mapping[str, tuple[str, bool]], part: "Part", rare: Columns) -> None:
        super().__init__(rare)
        self._fields, self._part = fields, part

    def __missing__(self, name: str) -> npt.NDArray[Any]:
        field, seen = self._fields[name]
        self[name] = view = (self._part.faces if seen else self._part.bodies)[field]
        return view


class Part:
    """Copies of the records of some sensors, to be judged and put back."""

    def __init__(self, whole: "Records", faces: _Records, bodies: _Records) -> None:
        self._whole, self.faces, self.bodies = whole, faces, bodies

    def columns(self, owner: str) -> Columns:
        """What an owner keeps, by name, as a detector gets it: views of the records, and the whole of what is rare."""
        return _Views(self._whole.fields[owner], self, self._whole.rare[owner])

    def some(self, rows: slice) -> "Part":
        """Some of them in a row, as views: what is written there is written here."""
        return Part(self._whole, self.faces[rows], self.bodies[rows])


class Records:
    """The state of all sensors.

    faces: one record of each sensor, and behind them one of nobody. tables: whole columns by owner and name. rare: of
    these the rare ones. fields: of the others, by owner and name, the name in the record and whether it is seen.
    """

    def __init__(self, count: int, owners: Owners) -> None:
        self._count = count
        self.faces = _records(count + 1, _layout(owners, seen=True))
        self._bodies = _records(count, _layout(owners, seen=False))
        self._plain = _plain(self.faces), _plain(self._bodies)
        self.rare: dict[str, dict[str, npt.NDArray[Any]]] = {}
        self.fields: dict[str, dict[str, tuple[str, bool]]] = {}
        self.tables: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for owner, columns in owners:
            self.rare[owner] = {
                name: np.empty(count if column.width == 1 else (count, column.width), column.dtype)
                for name, column in columns.items()
                if column.rare
            }
            self.fields[owner] = {
                name: (f"{owner}/{name}", column.seen) for name, column in columns.items() if not column.rare
            }
            self.tables[owner] = {name: self._whole(owner, name, column) for name, column in columns.items()}
            for name, column in columns.items():
                self.tables[owner][name][...] = column.start
                if column.seen:
                    self.faces[f"{owner}/{name}"][count] = column.start

    def _whole(self, owner: str, name: str, column: Column) -> npt.NDArray[Any]:
        if column.rare:
            return self.rare[owner][name]
        field = f"{owner}/{name}"
        return self.faces[field][: self._count] if column.seen else self._bodies[field]

    def memories(self) -> Iterator[npt.NDArray[Any]]:
        """Everything that is kept."""
        yield from (self.faces, self._bodies)
        for columns in self.rare.values():
            yield from columns.values()

    def take(self, sensor: Int64s) -> Part:
        """Copies of the records of these sensors."""
        return Part(self, self.faces.take(sensor, mode="clip"), self._bodies.take(sensor, mode="clip"))

    def put(self, sensor: Int64s, part: Part) -> None:
        """Keep the records of these sensors, each of them named once."""
        for plain, records in zip(self._plain, (part.faces, part.bodies), strict=True):
            np.put(plain, sensor, _plain(records), mode="clip")
