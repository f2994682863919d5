"""The newest trusted reading of every sensor, in a file that the core and its pages map: nothing is copied to a page.

Layout, little-endian: a head of 4,096 bytes; a row of 16 bytes for each sensor (event time int64 in microseconds,
value float64); a float64 for each sensor, the seconds by which its device's clock is behind; a byte for each sensor
that is 1 while it is silent; the sensors' ids, one a line, in UTF-8.

A row is written as one piece and lies in one sector of the disk, so that not even a power cut joins the time of one
reading with the value of another. A copy is taken again while somebody wrote meanwhile (the head counts turns: odd
while rows are written), at most TRIES times: after that a row in a million might show the time of one reading with the
value of the one before, until the page asks again.
"""

import hashlib
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import structlog

from config.clock import FollowingClock
from config.errors import RetryableError
from dashboard_api.ports import LastValues
from ingest.model import Float64s, Quality, ReadingBatch

log = structlog.get_logger(__name__)

HEAD = 4096
TRIES = 50

_MAGIC = b"gridwhistle latest 2"
_FORMER_MAGIC = b"gridwhistle latest 1"
"""Of a file without the clocks; its values are taken over."""

_ROW = np.dtype([("event_us", "<i8"), ("value", "<f8")])
_WIDTH = {_MAGIC: _ROW.itemsize + 8 + 1, _FORMER_MAGIC: _ROW.itemsize + 1}
"""Bytes of a sensor."""

_DIGEST_AT, _COUNT_AT, _TURN_AT, _CLOCK_AT = 32, 64, 72, 80


class LatestUnusableError(RetryableError):
    """The file cannot be made or mapped, or is of other sensors than those asked for."""


@dataclass
class Latest:
    """Columns by sensor index. event_us: 0 where there was no reading yet. clock: one cell, for ``SharedClock``.

    offset_s: how far the clock of the sensor's device is behind ours, negative: ahead, NaN: not known.
    One writer, any number of readers. event_us and value are views of ``rows``: change them through ``see``.
    """

    rows: npt.NDArray[np.void]
    offset_s: Float64s
    silent: npt.NDArray[np.bool_]
    turn: npt.NDArray[np.int64]
    clock: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Look at the columns of the rows."""
        self.event_us: npt.NDArray[np.int64] = self.rows["event_us"]
        self.value: npt.NDArray[np.float64] = self.rows["value"]

    @staticmethod
    def of(sensors: int) -> "Latest":
        """Nothing known yet; in memory alone."""
        cells = np.zeros(2, np.int64)
        return Latest(_fresh(sensors), np.full(sensors, np.nan), np.zeros(sensors, np.bool_), cells[:1], cells[1:])

    @classmethod
    def open(cls, path: Path, ids: Sequence[str], *, read_only: bool = False) -> Self:
        """Map the file. ids: of the sensors, by index (``city.columns.ids``).

        The writer makes it where it is missing, and takes over what is known of sensors that remain; for it nobody is
        silent at first, and no clock known: the core tells. Raises LatestUnusableError where the disk has no room for
        it, or where a reader's sensors are not those of the file.
        """
        try:
            if not read_only and not _fits(path, ids):
                _make(path, ids, _former(path))
            latest = cls(*_map(path, ids, read_only=read_only))
        except OSError as error:
            raise LatestUnusableError(f"{path}: {error}") from error
        if not read_only:
            latest.silent[:] = False
            latest.offset_s[:] = np.nan
            latest.turn[0] &= ~1  # killed while it wrote
        return latest

    def see(self, batch: ReadingBatch) -> None:
        """Take over what is newer."""
        sensor, event_us, value = batch.sensor, batch.event_us, batch.value
        newer = event_us >= self.event_us[sensor]
        newer &= batch.quality == Quality.GOOD
        if not newer.all():
            sensor, event_us, value = sensor[newer], event_us[newer], value[newer]
        if len(event_us) > 1 and (event_us[1:] < event_us[:-1]).any():
            order = np.argsort(event_us, kind="stable")
            sensor, event_us, value = sensor[order], event_us[order], value[order]
        rows = np.empty(len(sensor), _ROW)
        rows["event_us"], rows["value"] = event_us, value
        self.turn[0] += 1
        self.rows[sensor] = rows  # of one sensor's several the last one stays
        self.turn[0] += 1

    def forget(self, sensors: Sequence[int]) -> None:
        """The time of these sensors begins anew (their devices' clocks were put back): what comes next is newest."""
        self.event_us[list(sensors)] = 0

    def tell_offsets(self, offset_s: Float64s) -> None:
        """Keep how the clocks stand, shape (sensors,) (see ``offset_s``). What stays is not written."""
        known = self.offset_s
        moved = np.flatnonzero((known != offset_s) & ~(np.isnan(known) & np.isnan(offset_s)))
        known[moved] = offset_s[moved]

    def values(self) -> LastValues:
        """A copy that no later reading changes."""
        for _ in range(TRIES):
            turn = int(self.turn[0])
            rows = self.rows.copy()
            if turn % 2 == 0 and turn == int(self.turn[0]):
                break
        return LastValues(
            np.ascontiguousarray(rows["event_us"]),
            np.ascontiguousarray(rows["value"]),
            self.silent.copy(),
            self.offset_s.copy(),
        )


class SharedClock(FollowingClock):
    """A clock that follows, and whose time every process that maps the same cell knows at once."""

    def __init__(self, cell: npt.NDArray[np.int64], start_us: int | None = None) -> None:
        """start_us: where the one who advances it begins; None for those who only look."""
        super().__init__()
        self._cell = cell
        if start_us is not None:
            cell[0] = start_us

    def now_us(self) -> int:
        """See Clock.now_us."""
        return int(self._cell[0])

    def advance(self, now_us: int) -> None:
        """Move the wall time forward to ``now_us``."""
        self._cell[0] = max(self._cell[0], now_us)


def _fresh(sensors: int) -> npt.NDArray[np.void]:
    rows = np.zeros(sensors, _ROW)
    rows["value"] = np.nan
    return rows


def _digest(ids: Sequence[str]) -> bytes:
    return hashlib.sha256("\n".join(ids).encode()).digest()


def _size(sensors: int, magic: bytes = _MAGIC) -> int:
    """Of what is mapped; the ids stand behind it."""
    return HEAD + sensors * _WIDTH[magic]


def _head(ids: Sequence[str], magic: bytes = _MAGIC) -> bytes:
    return magic.ljust(_DIGEST_AT, b"\0") + _digest(ids) + len(ids).to_bytes(8, "little")


def _fits(path: Path, ids: Sequence[str]) -> bool:
    if not path.exists() or path.stat().st_size < _size(len(ids)):
        return False
    with path.open("rb") as file:
        return file.read(_TURN_AT) == _head(ids)


def _former(path: Path) -> dict[str, tuple[int, float]]:
    """(event time, value) by id, as far as a file of other sensors, or of the former layout, can be read."""
    if not path.exists():
        return {}
    data = path.read_bytes()
    count = int.from_bytes(data[_COUNT_AT:_TURN_AT], "little")
    magic = data[: len(_MAGIC)]
    ids = data[_size(count, magic) :].decode(errors="replace").split("\n") if magic in _WIDTH else []
    if not ids or len(ids) != count or data[:_TURN_AT] != _head(ids, magic):
        log.warning("last values cannot be read and begin afresh", file=str(path))
        return {}
    rows = np.frombuffer(data, _ROW, count, HEAD)
    return {one: (int(row["event_us"]), float(row["value"])) for one, row in zip(ids, rows, strict=True)}


def _make(path: Path, ids: Sequence[str], former: dict[str, tuple[int, float]]) -> None:
    rows = _fresh(len(ids))
    for index, one in enumerate(ids if former else ()):
        if one in former:
            rows[index] = former[one]
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        # Every byte is written, so that no later write through the mapping can find the disk full (SIGBUS).
        file.write(_head(ids).ljust(HEAD, b"\0"))
        file.write(rows.tobytes() + np.full(len(ids), np.nan).tobytes() + bytes(len(ids)))
        file.write("\n".join(ids).encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)  # who still maps the former file keeps it


def _map(
    path: Path, ids: Sequence[str], *, read_only: bool
) -> tuple[npt.NDArray[np.void], Float64s, npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if not _fits(path, ids):
        raise LatestUnusableError(f"{path}: it is missing or of other sensors, expected that of this city")
    with path.open("rb" if read_only else "r+b") as file:
        access = mmap.ACCESS_READ if read_only else mmap.ACCESS_WRITE
        mapped = mmap.mmap(file.fileno(), _size(len(ids)), access=access)
    cells = np.frombuffer(mapped, np.int64, 2, _TURN_AT)
    rows = np.frombuffer(mapped, _ROW, len(ids), HEAD)
    offset_s = np.frombuffer(mapped, "<f8", len(ids), HEAD + rows.nbytes)
    silent = np.frombuffer(mapped, np.bool_, len(ids), HEAD + rows.nbytes + offset_s.nbytes)
    return rows, offset_s, silent, cells[:1], cells[1:]
