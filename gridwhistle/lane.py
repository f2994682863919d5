"""A lane: one stream of readings from one receiver, with its own spool and its own way into the store.

The urgent lane and the bulk lane share the detectors, the cases and the store, but never wait for each other's broker
queue.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ingest.model import ReadingBatch, Refusal, RefusalReason
from ingest.receiver import Receiver
from ingest.spool import Spool

log = structlog.get_logger(__name__)

FRESH_ROWS = 200_000
"""Readings that a lane keeps in memory for the store; what is beyond is read from the spool again."""


@dataclass(frozen=True, slots=True)
class Unstored:
    """Readings on their way into the store. behind: the position after them.

    lost: refusals of spooled readings whose sensors are no longer in the city, for the dead-letter.
    """

    batches: Sequence[ReadingBatch]
    behind: int
    lost: Sequence[Refusal] = ()


@dataclass
class Lane:
    """One stream. stored: records of its spool below this position are in the store; ``stored_path`` keeps it.

    waiting: readings that are on disk and not in the store. connects: the connection that the last batch came over.
    heard_us: wall time of the last batch, None where there never was one.
    Making a lane reads what the last run left unstored, once, to count it. Raises RetryableError where the spool cannot
    be read.
    """

    name: str
    receiver: Receiver
    spool: Spool
    stored_path: Path
    stored: int = field(default=0, init=False)
    waiting: int = field(default=0, init=False)
    connects: int = field(default=0, init=False)
    heard_us: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Find out how far the store came."""
        self._fresh: deque[tuple[int, ReadingBatch]] = deque()
        self._fresh_rows = 0
        self._grown = asyncio.Event()
        self._shrunk = asyncio.Event()
        self.stored = min(max(read_position(self.stored_path), self.spool.first), self.spool.end)
        self.waiting = sum(len(record.admission.batch) for record in self.spool.records(self.stored))

    @property
    def unstored(self) -> int:
        """Records that are spooled and not yet in the store."""
        return self.spool.synced - self.stored

    def spooled(self, position: int, batch: ReadingBatch) -> None:
        """A record is on disk: its readings can go to the store, from memory while there is room."""
        if self._fresh and self._fresh_rows + len(batch) > FRESH_ROWS:
            self._fresh.clear()  # far behind: the store reads its way through the spool
            self._fresh_rows = 0
        self._fresh.append((position, batch))
        self._fresh_rows += len(batch)
        self.waiting += len(batch)
        self._grown.set()

    @property
    def fresh_rows(self) -> int:
        """Readings kept in memory for the store; many where the store has to read from the spool."""
        return self._fresh_rows if self._fresh and self._fresh[0][0] <= self.stored else FRESH_ROWS

    async def something_unstored(self) -> None:
        """Wait until there are readings that are not in the store."""
        while self.stored >= self.spool.synced:
            self._grown.clear()
            await self._grown.wait()

    async def unstored_readings(self, rows: int) -> Unstored:
        """The next readings that are not in the store, about ``rows`` at once. Raises RetryableError."""
        while self._fresh and self._fresh[0][0] < self.stored:
            self._drop()
        if self._fresh and self._fresh[0][0] == self.stored:
            return self._from_memory(rows)
        until = self._fresh[0][0] if self._fresh else self.spool.synced
        return await asyncio.to_thread(self._from_disk, until, rows)

    def _from_memory(self, rows: int) -> Unstored:
        batches: list[ReadingBatch] = []
        taken, behind = 0, self.stored
        while self._fresh and taken < rows:
            position, batch = self._drop()
            batches.append(batch)
            taken, behind = taken + len(batch), position + 1
        return Unstored(batches, behind)

    def _drop(self) -> tuple[int, ReadingBatch]:
        position, batch = self._fresh.popleft()
        self._fresh_rows -= len(batch)
        return position, batch

    def _from_disk(self, until: int, rows: int) -> Unstored:
        batches: list[ReadingBatch] = []
        lost: list[Refusal] = []
        taken, behind = 0, until  # what is damaged in between is passed over; the spool has said so
        for record in self.spool.records(self.stored, until):
            batches.append(record.admission.batch)
            lost += (one for one in record.admission.refused if one.reason is RefusalReason.UNKNOWN_SENSOR)
            taken += len(batches[-1]) + len(record.admission.refused)
            if taken >= rows:
                behind = record.position + 1
                break
        return Unstored(batches, behind, lost)

    async def note_stored(self, unstored: Unstored) -> None:
        """These are in the store now. Raises OSError where that cannot be written down."""
        try:
            await asyncio.to_thread(write_position, self.stored_path, unstored.behind)
        finally:
            self.stored = unstored.behind
            self.waiting -= sum(map(len, unstored.batches))
            self._shrunk.set()

    async def drained(self) -> None:
        """Wait until everything spooled is in the store."""
        while self.stored < self.spool.synced:
            self._shrunk.clear()
            await self._shrunk.wait()


def read_position(path: Path) -> int:
    """A position written down; 0 where there is none, or where it cannot be read, which is told to the log."""
    try:
        return max(0, int(path.read_text()))
    except FileNotFoundError:
        return 0
    except ValueError:
        log.warning("remembered position is damaged and passed over", file=str(path), expected="a whole number")
        return 0


def write_position(path: Path, position: int) -> None:
    """Write a position down, replacing the old one in one step, on disk when it returns. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w") as file:
        file.write(str(position))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
