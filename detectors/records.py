"""How the state of all sensors lies in memory: what one reading touches lies together.

A batch touches some thousands of half a million sensors, so most of what it reads has to come from memory, in lines
of 64 bytes. Forty columns apart would cost forty lines for each reading. So three things are kept apart: the *face* of
a sensor, which others may look at when they judge their own (half a line); its *bodies*, one for each owner of state,
which only its own readings touch (half a line each, and only of the detectors that judge it); and columns that are
*rare*. For the outside all of them are columns by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.bank import Column, Columns
from ingest.model import Int64s

LINE = 64  # bytes in a line of the processor's cache
SHARED_OWNER = "shared"

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
    size = next((part for part in (1, 2, 4, 8, 16, 32) if end <= part), -(-end // 8) * 8)
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

    def __init__(self, fields: Mapping[str, tuple[str, bool]], faces: _Records, body: _Records, rare: Columns) -> None:
        super().__init__(rare)
        self._fields, self._faces, self._body = fields, faces, body

    def __missing__(self, name: str) -> npt.NDArray[Any]:
        field, seen = self._fields[name]
        self[name] = view = (self._faces if seen else self._body)[field]
        return view


class Part:
    """Copies of the records of some sensors, to be judged and put back: each named once."""

    def __init__(self, whole: "Records", sensor: Int64s, faces: _Records, shared: _Records) -> None:
        self._whole, self._sensor, self._faces, self._shared = whole, sensor, faces, shared
        self._bodies: dict[str, _Records] = {}

    def shared(self) -> Columns:
        """What every owner may read and write, as a detector gets it: views of the records, rare columns whole."""
        return self._views(SHARED_OWNER, self._shared)

    def columns(self, owner: str) -> Columns:
        """What an owner keeps for itself, alike; its body is copied when this is asked for."""
        body = self._bodies[owner] = self._whole.bodies[owner].take(self._sensor, mode="clip")
        return self._views(owner, body)

    def _views(self, owner: str, body: _Records) -> Columns:
        return _Views(self._whole.fields[owner], self._faces, body, self._whole.rare[owner])

    def some(self, rows: slice) -> "Part":
        """Some of them in a row. Of what is shared these are views: what is written there is written here."""
        return Part(self._whole, self._sensor[rows], self._faces[rows], self._shared[rows])

    def keep(self, owner: str) -> None:
        """Put back what an owner keeps for itself."""
        _put(self._whole.bodies[owner], self._sensor, self._bodies.pop(owner))

    def put(self) -> None:
        """Put back what is shared."""
        _put(self._whole.faces, self._sensor, self._faces)
        _put(self._whole.bodies[SHARED_OWNER], self._sensor, self._shared)


def _put(whole: _Records, sensor: Int64s, part: _Records) -> None:
    np.put(_plain(whole), sensor, _plain(part), mode="clip")


class Records:
    """The state of all sensors.

    faces: one record of each sensor, and behind them one of nobody. bodies: one of each sensor, by owner. tables: whole
    columns by owner and name. rare: of these the rare ones. fields: of the others, by owner and name, the name in the
    record and whether it is seen.
    """

    def __init__(self, count: int, owners: Owners) -> None:
        self._count = count
        self.faces = _records(count + 1, _layout(owners, seen=True))
        self.bodies = {owner: _records(count, _layout([(owner, columns)], seen=False)) for owner, columns in owners}
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
        return self.faces[field][: self._count] if column.seen else self.bodies[owner][field]

    def memories(self) -> Iterator[npt.NDArray[Any]]:
        """Everything that is kept."""
        yield self.faces
        yield from self.bodies.values()
        for columns in self.rare.values():
            yield from columns.values()

    def take(self, sensor: Int64s) -> Part:
        """Copies of what is shared of these sensors."""
        faces, shared = self.faces.take(sensor, mode="clip"), self.bodies[SHARED_OWNER].take(sensor, mode="clip")
        return Part(self, sensor, faces, shared)
