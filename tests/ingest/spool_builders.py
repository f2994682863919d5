"""Admissions and spools for the tests of the spool."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
import pytest

from config.city import City
from ingest.model import Admission, ReadingBatch, Record, Refusal, RefusalReason
from ingest.spool import Spool
from ingest.spool_format import SEGMENT_HEAD
from ingest.spool_segments import Stored, walk
from tests.ingest.builders import NOW_US, small_city

LARGE = 2**30


def admission(number: int, *, readings: int = 3, plain: bool = True, refused: int = 0) -> Admission:
    """An admission that no other number has."""
    drawn = np.random.default_rng(number)
    received = NOW_US + number * 1_000_000 + np.arange(readings, dtype=np.int64)
    event = received - drawn.integers(0, 5_000_000, readings)
    value = drawn.normal(size=readings)
    batch = ReadingBatch(
        drawn.integers(0, 4, readings).astype(np.int32),
        event,
        received,
        value,
        drawn.integers(0, 5, readings).astype(np.uint8),
    )
    identity = value.view(np.int64) if plain else drawn.integers(-(2**63), 2**63 - 1, readings)
    refusals = tuple(
        Refusal(
            RefusalReason.OUT_OF_RANGE,
            NOW_US + row,
            f"gridwhistle/readings/{row}",
            b"{}",
            "9",
            "at most 8",
            row % 5 - 1,
        )
        for row in range(refused)
    )
    return Admission(batch, event - drawn.integers(0, 2, readings), identity, refusals, (1, 3) if refused else ())


def spool(folder: Path, *, city: City | None = None, max_bytes: int = LARGE, segment_bytes: int = 1000) -> Spool:
    return Spool(folder, city or small_city(), max_bytes=max_bytes, segment_bytes=segment_bytes)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def safe_bytes(path: Path, synced: int) -> int:
    """Bytes of a segment up to the last record below a number."""
    found = [one for one in walk(path, SEGMENT_HEAD, int(path.stem)) if isinstance(one, Stored)]
    return max([one.offset + len(one.data) for one in found if one.head.position < synced], default=0)


def same(record: Record, position: int, given: Admission) -> bool:
    """Whether a record is what was appended, as far as a record keeps it."""
    kept = tuple(replace(one, payload=b"") for one in given.refused if one.sensor >= 0)
    found = record.admission
    columns = ("sensor", "event_us", "received_us", "value", "quality")
    return (
        record.position == position
        and all(np.array_equal(getattr(found.batch, name), getattr(given.batch, name)) for name in columns)
        and all(getattr(found.batch, name).dtype == getattr(given.batch, name).dtype for name in columns)
        and np.array_equal(found.given_us, given.given_us)
        and np.array_equal(found.identity, given.identity)
        and tuple(found.refused) == kept
        and tuple(found.stepped) == tuple(given.stepped)
    )


def copied(folder: Path, to: Path) -> Path:
    """The folder as a crash would leave it if all that was written had reached the disk."""
    shutil.copytree(folder, to)
    return to


class Disk:
    """A folder on a disk of which is known what would be left of it if the power went just now.

    Of a file what was in it when it was synced last; of the names those that stood there when the folder was synced
    last. Names that go may come back, names that come may be gone.
    """

    def __enter__(self) -> Self:
        self._scratch = TemporaryDirectory()
        self.folder = Path(self._scratch.name) / "spool"
        self._names: dict[str, int] = {}
        self._contents: dict[int, bytes] = {}
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(os, "fdatasync", self._synced)
        self._patch.setattr(os, "fsync", self._synced)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        self._scratch.cleanup()

    def _synced(self, handle: int) -> None:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            if Path(f"/proc/self/fd/{handle}").resolve() == self.folder.resolve():
                self._names = {path.name: path.stat().st_ino for path in self.folder.iterdir()}
        else:
            self._contents[status.st_ino] = Path(f"/proc/self/fd/{handle}").read_bytes()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """While every sync of a file fails."""

        def fails(handle: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO), handle)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fdatasync", fails)
            yield

    def crashed(self) -> Path:
        """The folder as it would be found."""
        left = self.folder.with_name("left")
        left.mkdir()
        for name, inode in self._names.items():
            (left / name).write_bytes(self._contents.get(inode, b""))
        return left
