"""The files of a spool's folder, and the walk over the records of one: what is sound, and where what is not stands."""

import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ingest.spool_format import RECORD_HEAD, RECORD_MAGIC, SEGMENT_HEAD, RecordHead, SegmentHead, sound

SUFFIX = ".spool"
_NAME = re.compile(r"\d{20}\.spool", re.ASCII)
_WINDOW = 2**20
_MARK_EVERY = 64 * 2**10
"""Bytes between two records whose places are remembered, for a reader that begins in the middle."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A sound record as it stands in a file: where, its head, and all its bytes."""

    offset: int
    head: RecordHead
    data: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a file that are no sound record, or records that should be in it and are not.

    begin, end: numbers of the records that are missing for it; end is None at the end of a file where nobody knows
    how many there were.
    """

    path: Path
    offset: int
    length: int
    begin: int
    end: int | None


@dataclass(slots=True)
class Segment:
    """A file of records. end: number after its last. size: bytes of it that count. sensors: None where unknown.

    handle: -1 where it is closed. ended: nothing may be appended to it any more.
    """

    path: Path
    first: int
    end: int
    size: int
    sensors: int | None
    handle: int = -1
    ended: bool = False
    marks: list[tuple[int, int]] = field(default_factory=list)

    def near(self, position: int) -> tuple[int, int]:
        """A record not after this one, and its offset, from where a walk to it is short."""
        place = bisect_right(self.marks, position, key=lambda mark: mark[0])
        return self.marks[place - 1] if place else (self.first, SEGMENT_HEAD)

    def mark(self, position: int, offset: int) -> None:
        """Remember where a record begins, if that is far enough from what is remembered."""
        last = self.marks[-1] if self.marks else (self.first, SEGMENT_HEAD)
        if position > last[0] and offset >= last[1] + _MARK_EVERY:
            self.marks.append((position, offset))

    def close(self) -> None:
        """Close the file, if it is open."""
        handle, self.handle = self.handle, -1
        if handle >= 0:
            os.close(handle)


def segment_path(folder: Path, first: int) -> Path:
    """The file whose first record has this number."""
    return folder / f"{first:020d}{SUFFIX}"


def segment_files(folder: Path) -> list[Path]:
    """All segments of a folder, oldest first. Raises OSError."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def first_of(path: Path) -> int:
    """Number of a segment's first record, by its name."""
    return int(path.stem)


def read_head(path: Path) -> SegmentHead | None:
    """What a segment says of itself; None where that is damaged or of another file. Raises OSError."""
    with path.open("rb") as file:
        head = SegmentHead.decode(file.read(SEGMENT_HEAD))
    return head if head is not None and head.first == first_of(path) else None


def walk(path: Path, offset: int, position: int, limit: int | None = None) -> Iterator[Stored | Damage]:
    """The records of a segment from an offset on, where the one with number ``position`` should begin.

    Ends before the record ``limit``; without one at the end of the file. Damage is told in its place, and the walk goes
    on at the next sound record. Raises OSError.
    """
    with path.open("rb", buffering=_WINDOW) as file:
        size = os.fstat(file.fileno()).st_size
        while limit is None or position < limit:
            if offset >= size:
                if limit is not None:
                    yield Damage(path, size, 0, position, limit)
                return
            stored = _at(file, offset, size)
            if stored is None or not position <= stored.head.position < (limit or stored.head.position + 1):
                begun = offset
                stored = _next(file, offset + 1, size, position, limit)
                if stored is None:
                    yield Damage(path, begun, size - begun, position, limit)
                    return
                yield Damage(path, begun, stored.offset - begun, position, stored.head.position)
            elif stored.head.position > position:
                yield Damage(path, offset, 0, position, stored.head.position)
            yield stored
            offset = stored.offset + len(stored.data)
            position = stored.head.position + 1


def _at(file: BinaryIO, offset: int, size: int) -> Stored | None:
    """The sound record at an offset, if there is one."""
    file.seek(offset)
    first = file.read(RECORD_HEAD)
    head = RecordHead.decode(first)
    if head is None or offset + RECORD_HEAD + head.length > size:
        return None
    data = first + file.read(head.length)
    return Stored(offset, head, data) if sound(head, data) else None


def _next(file: BinaryIO, offset: int, size: int, position: int, limit: int | None) -> Stored | None:
    """The first sound record behind an offset whose number is not below ``position``."""
    while offset < size:
        file.seek(offset)
        window = file.read(_WINDOW)
        found = window.find(RECORD_MAGIC)
        while found >= 0:
            stored = _at(file, offset + found, size)
            if stored is not None and position <= stored.head.position < (limit or stored.head.position + 1):
                return stored
            found = window.find(RECORD_MAGIC, found + 1)
        if len(window) < len(RECORD_MAGIC):
            return None
        offset += len(window) - len(RECORD_MAGIC) + 1
    return None
