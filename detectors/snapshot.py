"""Save and restore what was learned of every sensor, so that a restart forgets nothing.

One file (NumPy's .npz, no pickles), written beside and moved into place: a crash leaves the old one or the new one.
Rows are kept by sensor id; sensors that are gone are left out, new ones begin afresh, and so does a sensor whose
quantity became another one. Beside the tables of all owners (the engine's, and whoever else keeps a row for every
sensor) stand notes: small numbers that are true at the same moment, such as positions in a spool.
"""

import contextlib
import os
import struct
import tokenize
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from config.city import City
from config.errors import PermanentError
from detectors.bank import Columns
from ingest.model import Int64s

VERSION = 2
"""Rises whenever a column changes its meaning; a file of another version is refused."""

Tables = Iterable[tuple[str, Columns]]
"""State by the name of its owner; every column has one row for every sensor of the city."""

_DAMAGED = (
    BadZipFile, ValueError, EOFError, KeyError, TypeError, OSError, NotImplementedError, SyntaxError, MemoryError,
    OverflowError, struct.error, tokenize.TokenError, zlib.error,
)  # fmt: skip
"""What reading a file of which some bytes were changed was seen to raise."""

_OWN = ("version", "ids", "quantities")  # what the file holds beside tables and notes


class SnapshotError(PermanentError):
    """The file cannot be used; the message says why. Starting without it is safe: everything is learned anew."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of one moment, which nothing changes any more. arrays: by name as they stand in the file."""

    city: City
    arrays: Mapping[str, npt.NDArray[Any]]

    def write(self, path: Path) -> None:
        """Write it to ``path``, replacing what was there in one step. May run in a worker thread. Raises OSError."""
        beside = path.with_name(path.name + ".part")
        try:
            with beside.open("wb") as file:
                np.savez(file, allow_pickle=False, **_labels(self.city), **self.arrays)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):  # half a snapshot only takes room that others need
                beside.unlink()
            raise
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def capture(city: City, tables: Tables, notes: Mapping[str, int] = MappingProxyType({})) -> Snapshot:
    """Copy the state (some 250 bytes a sensor) between two batches. notes: given back by ``restore``.

    0.02 to 0.15 s for 500,000 sensors, nearly all of it memory being copied.
    """
    names = [(f"{owner}/{name}", column) for owner, columns in tables for name, column in columns.items()]
    arrays = dict(zip((name for name, _ in names), _copied(column for _, column in names), strict=True))
    arrays |= {f"note:{name}": np.array(note, np.int64) for name, note in notes.items()}
    arrays["version"] = np.array(VERSION, np.int64)
    return Snapshot(city, arrays)


def _copied(columns: Iterable[npt.NDArray[Any]]) -> Iterator[npt.NDArray[Any]]:
    """Copies; what is a view of one memory is copied with it in one go, and is a view of the copy."""
    whole: dict[int, npt.NDArray[Any]] = {}
    for column in columns:
        base = column.base
        if not isinstance(base, np.ndarray) or not base.flags.c_contiguous:
            yield column.copy()
            continue
        copy = whole.get(id(base))
        if copy is None:
            whole[id(base)] = copy = base.copy()
        offset = column.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        yield np.ndarray(column.shape, column.dtype, copy.data.cast("B"), offset, column.strides)


def restore(path: Path, city: City, tables: Tables) -> Mapping[str, int]:
    """Fill the tables from ``path``; the notes that were captured with them.

    Raises FileNotFoundError where there is none, SnapshotError where it is damaged, of another version, or written
    with other tables (another bank of detectors); the tables are untouched then.
    """
    found = _read(path)
    wanted = {f"{owner}/{name}": column for owner, columns in tables for name, column in columns.items()}
    notes = {name.removeprefix("note:"): int(found.pop(name)) for name in list(found) if name.startswith("note:")}
    if (held := set(found) - set(_OWN)) != set(wanted):
        odd = sorted(held ^ set(wanted))
        raise SnapshotError(f"{path}: written with another bank of detectors (differs in {', '.join(odd[:5])})")
    for name, column in wanted.items():
        if found[name].dtype != column.dtype or found[name].ndim != column.ndim:
            raise SnapshotError(f"{path}: {name} holds {found[name].dtype}, expected {column.dtype}")
    there, here = _matched(city, found["ids"], found["quantities"])
    for name, column in wanted.items():
        if column.ndim == 1:
            column[here] = found[name][there]
        else:  # steps of limits: the configuration may have more or fewer of them now
            width = min(column.shape[1], found[name].shape[1])
            column[here, :width] = found[name][there, :width]
    return notes


def notes_of(path: Path) -> Mapping[str, int]:
    """The notes that stand in ``path``, without the tables. Raises like ``restore``."""
    found = _read(path, lambda name: name.startswith("note:") or name == "version")
    return {name.removeprefix("note:"): int(note) for name, note in found.items() if name.startswith("note:")}


def _read(path: Path, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, npt.NDArray[Any]]:
    with path.open("rb") as opened:
        try:
            with np.load(opened, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files if wanted(name)}
            version = int(found.get("version", np.array(-1)))
        except _DAMAGED as error:
            raise SnapshotError(f"{path}: not a readable snapshot ({error!r})") from error
    if version != VERSION:
        raise SnapshotError(f"{path}: snapshot of version {version}, expected {VERSION}")
    return found


def _labels(city: City) -> Mapping[str, npt.NDArray[np.bytes_]]:
    """Ids and quantities of all sensors in UTF-8."""
    quantities = np.array([name.encode() for name in city.columns.quantity.names], np.bytes_)
    return {
        "ids": np.array([name.encode() for name in city.columns.ids], np.bytes_),
        "quantities": quantities[city.columns.quantity.code],
    }


def _matched(city: City, ids: npt.NDArray[Any], quantities: npt.NDArray[Any]) -> tuple[Int64s, Int64s]:
    """Rows in the file and rows here of the sensors that are the same."""
    index, quantity = city.sensor_index, city.columns.quantity
    pairs = [
        (row, index[sensor_id])
        for row, (sensor_id, measured) in enumerate(zip(_words(ids), _words(quantities), strict=True))
        if sensor_id in index and quantity[index[sensor_id]] == measured
    ]
    there, here = np.array(pairs, np.int64).reshape(-1, 2).T
    return there, here


def _words(column: npt.NDArray[Any]) -> list[str]:
    """A column of UTF-8 bytes, or of text as files held it before, as words."""
    return [word.decode() if isinstance(word, bytes) else str(word) for word in column.tolist()]
