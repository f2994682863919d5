"""The journal on disk between what is acknowledged to the broker and what is stored: append, sync, read, release.

Records are numbered from 0 without gaps, over restarts too, and stand in segments: append-only files named by their
first record's number (``ingest.spool_format``). A record is safe when ``sync`` has returned a number above its own.

After a failed write the file is cut back, or ended where that fails too. After a failed fsync nobody knows what of the
unsynced is on disk, and a later fsync that succeeds says nothing about it (the kernel has forgotten those pages), so
what was not synced is kept in memory until it is, and written anew into another file.
"""

import errno
import os
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from config.city import City
from config.errors import ConfigurationError, RetryableError
from ingest.model import Admission, Record
from ingest.spool_folder import DRAFT, FolderLock, make_folder, sync_folder, write_all
from ingest.spool_format import SEGMENT_HEAD, RecordHead, SegmentHead, decode_record, encode_record
from ingest.spool_reading import Reading
from ingest.spool_segments import Damage, Segment, Stored, first_of, read_head, segment_files, segment_path, walk
from ingest.spool_sensors import SensorTable, table_files, table_path, write_table

_log = structlog.get_logger(__name__)

_FULL = {errno.ENOSPC, errno.EDQUOT}
_SEGMENTS_AT_LEAST = 4
"""Segments are made smaller where fewer of them would fit within the bound, for only whole ones can be deleted."""
_COUNTERS = ("appended", "torn_bytes", "failed_writes", "failed_syncs", "rewritten")


_Bytes = bytes  # inside the class the name is that of a property


class SpoolFullError(RetryableError):
    """Nothing more fits within the bound, or on the disk."""


@dataclass(frozen=True, slots=True)
class _Unsynced:
    """A record that is not on disk for certain, and where it was written."""

    position: int
    data: bytes
    segment: Segment
    offset: int


class Spool:
    """A spool in a folder of its own; one process at a time, from any of its threads.

    ``append`` is called by one thread, ``sync`` by another while that goes on, ``records`` and ``release`` by any.
    """

    def __init__(self, folder: Path, city: City, *, max_bytes: int, segment_bytes: int, at_least: int = 0) -> None:
        """Open the folder, made if missing; check the newest segment and cut a torn end off, which is logged.

        max_bytes: bound of all files together. segment_bytes: a segment is ended near it, and near a quarter of the
        bound at the latest. at_least: numbers below it were given before, as those know who kept them, so no record
        gets one of them again even where the folder was emptied by hand.

        Raises ConfigurationError where the folder cannot be used at all or another process has it, RetryableError
        where the disk fails.
        """
        self._folder = folder
        self._table = SensorTable.of_city(city)
        self._max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes, max_bytes // _SEGMENTS_AT_LEAST)
        self._lock = threading.RLock()  # of everything below; never held while the disk is waited for in ``sync``
        self._syncing = threading.Lock()
        self._segments: list[Segment] = []
        self._unsynced: deque[_Unsynced] = deque()
        self._suspect = False  # an fsync failed: what is unsynced must be written anew
        self._folder_changed = False
        self._end = self._synced = self._released = 0
        self._settled_bytes = 0  # of all files but the newest segment
        self._tables: dict[int, int] = {}  # fingerprints to bytes
        self._reading = Reading(folder, self._table)
        self._counters = dict.fromkeys(_COUNTERS, 0)
        self._closed = False
        try:
            make_folder(folder)
        except OSError as error:
            raise ConfigurationError(f"{folder}: cannot be made or used for the spool: {error}") from error
        self._held = FolderLock(folder)
        try:
            self._open(at_least)
        except OSError as error:
            self.close()
            raise self._failure("cannot be opened", error) from error
        except RetryableError:
            self.close()
            raise

    @property
    def end(self) -> int:
        """Number of the next record."""
        return self._end

    @property
    def synced(self) -> int:
        """Records below this are on disk."""
        return self._synced

    @property
    def first(self) -> int:
        """Number of the oldest record still kept; ``end`` where none is."""
        with self._lock:
            return self._segments[0].first if self._segments else self._synced

    @property
    def bytes(self) -> int:
        """Bytes of all files of the spool."""
        with self._lock:
            return self._settled_bytes + (self._segments[-1].size if self._segments else 0)

    @property
    def counters(self) -> dict[str, int]:
        """What happened since the start, by name.

        ``appended`` records; ``damaged`` places met, and ``lost_records`` in them as far as known; ``torn_bytes`` cut
        off; ``failed_writes``; ``failed_syncs``; ``rewritten`` records after a failed sync.
        """
        return {**self._counters, **self._reading.counters}

    def append(self, admission: Admission, decided_us: int) -> int:
        """Write a record; its number. On disk for certain only after ``sync``.

        Raises SpoolFullError where the bound is reached or the disk is full, RetryableError where it fails otherwise;
        then nothing of it is left behind.
        """
        with self._lock:
            self._usable()
            if self._suspect:
                self._write_anew()
            position = self._end
            data = encode_record(position, decided_us, self._table.fingerprint, admission)
            segment = self._segment_for(len(data))
            offset = segment.size
            self._write(segment, position, data)
            self._unsynced.append(_Unsynced(position, data, segment, offset))
            self._end += 1
            self._counters["appended"] += 1
            return position

    def has_room(self, length: int) -> bool:
        """Whether a record of so many bytes fits within the bound, whatever the disk says of it."""
        with self._lock:
            return self.bytes + length + SEGMENT_HEAD <= self._max_bytes or self._released == self._end

    def sync(self) -> int:
        """Bring all that is appended so far to the disk; the number below which everything is there.

        Raises RetryableError where the disk fails: then ``synced`` is as it was, and the next ``sync`` or ``append``
        begins by writing anew what is unsynced.
        """
        with self._syncing:
            with self._lock:
                self._usable()
                if self._suspect:
                    self._write_anew()
                target = self._end
                if target == self._synced:
                    return target
                waiting = [one for one in self._segments if one.handle >= 0 and one.end > self._synced]
                folder_changed, self._folder_changed = self._folder_changed, False
            try:
                for segment in waiting:
                    os.fdatasync(segment.handle)
                if folder_changed:
                    sync_folder(self._folder)
            except OSError as error:
                with self._lock:
                    self._suspect = self._folder_changed = True
                    self._counters["failed_syncs"] += 1
                raise self._failure("cannot be brought to the disk", error) from error
            with self._lock:
                self._synced = target
                while self._unsynced and self._unsynced[0].position < target:
                    self._unsynced.popleft()
                for segment in waiting:
                    if segment is not self._segments[-1] and segment.end <= target:
                        segment.close()
            return target

    def records(self, begin: int, end: int | None = None) -> Iterator[Record]:
        """Records ``begin`` to ``end`` (excluded; all there are at the first step if not given), in the city's rows.

        Damage is logged with file and offset, counted, and passed over. For readings of sensors that are gone from the
        city see ``ingest.spool_sensors.moved``. Raises, at the first step, ValueError where ``begin`` is older than
        ``first``; RetryableError where the disk cannot be read.
        """
        with self._lock:
            if begin < self.first:
                raise ValueError(f"{self._folder}: record {begin} is no longer kept, the oldest is {self.first}")
            end = self._end if end is None else min(end, self._end)
            in_memory = [one.data for one in self._unsynced if begin <= one.position < end]
            on_disk = min(end, self._synced)
            parts = [
                (segment, *segment.near(max(begin, segment.first)), min(segment.end, on_disk))
                for segment in self._segments
                if segment.end > begin and segment.first < on_disk
            ]
        for segment, position, offset, limit in parts:
            try:
                for found in walk(segment.path, offset, position, limit):
                    if isinstance(found, Stored):
                        with self._lock:
                            segment.mark(found.head.position, found.offset)
                        if found.head.position < begin:
                            continue
                    record = self._reading.read(segment.path, found)
                    if record is not None:
                        yield record
            except OSError as error:
                raise RetryableError(f"{segment.path}: the spool cannot be read: {error}") from error
        for data in in_memory:
            head = RecordHead.decode(data)
            if head is not None:
                yield decode_record(head, data)

    def release(self, before: int) -> None:
        """Say that records below a number are needed no more: segments that hold no others are deleted.

        What is not synced is kept all the same. A file that cannot be deleted is logged and tried again next time.
        """
        with self._lock:
            self._usable()
            self._released = max(self._released, min(before, self._synced))
            gone = 0
            while gone < len(self._segments) - 1 and self._segments[gone].end <= self._released:
                gone += 1
            self._delete(gone)

    def close(self) -> None:
        """Close all files. What is not synced stays unsynced."""
        with self._syncing, self._lock:
            self._closed = True
            for segment in self._segments:
                segment.close()
            self._held.release()

    def _usable(self) -> None:
        if self._closed:
            raise ValueError(f"{self._folder}: the spool is closed")

    # Opening

    def _open(self, at_least: int) -> None:
        for path in self._folder.glob(f"*{DRAFT}"):
            path.unlink()
        self._tables = {fingerprint: path.stat().st_size for fingerprint, path in table_files(self._folder).items()}
        self._find_segments()
        if at_least > self._end:
            if self._segments:
                _log.error("spool_behind", folder=str(self._folder), end=self._end, expected=at_least)
            self._begin_segment(at_least)
            self._end = at_least
        for segment in self._segments:  # what a killed process wrote may still be in the system's memory alone
            handle = segment.handle if segment.handle >= 0 else os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(handle)
            finally:
                if segment.handle < 0:
                    os.close(handle)
        sync_folder(self._folder)
        self._folder_changed = False
        self._synced = self._end
        self._forget_tables()
        self._count_bytes()

    def _find_segments(self) -> None:
        files = segment_files(self._folder)
        heads = [read_head(path) for path in files]
        firsts = [first_of(path) for path in files]
        for number, (path, head) in enumerate(zip(files, heads, strict=True)):
            end = firsts[number]
            if number + 1 < len(files):
                following = heads[number + 1]
                end = max(end, firsts[number + 1] if following is None else following.after)
            sensors = None if head is None else head.sensors
            self._segments.append(Segment(path, firsts[number], end, path.stat().st_size, sensors))
        if self._segments:
            self._check_newest(self._segments[-1], headed=heads[-1] is not None)
            self._end = self._segments[-1].end

    def _check_newest(self, segment: Segment, *, headed: bool) -> None:
        """Find the end of the newest segment, cut what is torn off, and make it ready to be appended to."""
        segment.handle = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
        if not headed:
            before = self._segments[-2].end if len(self._segments) > 1 else segment.first
            write_all(segment.handle, SegmentHead(segment.first, before, self._table.fingerprint).encode(), 0)
            self._reading.tell(Damage(segment.path, 0, min(segment.size, SEGMENT_HEAD), segment.first, segment.first))
        size = SEGMENT_HEAD
        for found in walk(segment.path, SEGMENT_HEAD, segment.first):
            if isinstance(found, Stored):
                size, segment.end = found.offset + len(found.data), found.head.position + 1
                segment.mark(found.head.position, found.offset)
            elif found.end is not None:
                self._reading.tell(found)
            else:
                _log.warning("spool_tail_cut", file=str(segment.path), offset=found.offset, bytes=found.length)
                self._counters["torn_bytes"] += found.length
        os.ftruncate(segment.handle, size)
        segment.size = size
        if not headed:
            segment.ended = segment.end > segment.first
            segment.sensors = None if segment.ended else self._table.fingerprint

    # Writing

    def _segment_for(self, length: int) -> Segment:
        """The segment that a record of this length goes to. Raises like ``append``."""
        newest = self._segments[-1] if self._segments else None
        if newest is not None and newest.ended and newest.end == newest.first:
            self._mend(newest)
        fits = newest is not None and newest.handle >= 0 and not newest.ended
        if newest is not None and newest.end > newest.first:
            fits = fits and newest.sensors == self._table.fingerprint and newest.size + length <= self._segment_bytes
        all_released = newest is not None and newest.end > newest.first and self._released == self._end
        needed = length + (0 if fits else SEGMENT_HEAD)
        if self.bytes + needed > self._max_bytes:
            if not all_released:
                raise self._full(needed)
            fits = False  # a new segment lets the last old one go
        if newest is not None and fits:
            if newest.sensors != self._table.fingerprint:  # it is empty, from a run with other sensors
                self._name_sensors(newest)
            return newest
        segment = self._begin_segment(self._end)
        if all_released:
            self._let_old_go()
            if self.bytes + length > self._max_bytes:
                raise self._full(length)
        return segment

    def _mend(self, segment: Segment) -> None:
        """Cut the half record off that is all a segment holds: no other can have its name."""
        try:
            os.ftruncate(segment.handle, segment.size)
        except OSError as error:
            raise self._failure("cannot be cut back", error) from error
        segment.ended = False

    def _full(self, needed: int) -> SpoolFullError:
        return SpoolFullError(
            f"{self._folder}: the spool is full: it holds {self.bytes:,} bytes, {needed:,} more are needed and "
            f"{self._max_bytes:,} are allowed (spool.max_mb); it empties as the store takes readings"
        )

    def _name_sensors(self, segment: Segment) -> None:
        head = read_head(segment.path)
        after = segment.first if head is None else head.after
        try:
            self._keep_table()
            write_all(segment.handle, SegmentHead(segment.first, after, self._table.fingerprint).encode(), 0)
        except OSError as error:
            raise self._failure("cannot be written", error) from error
        segment.sensors = self._table.fingerprint

    def _let_old_go(self) -> None:
        """Delete everything before the newest segment, once that is on disk and tells the numbers onwards."""
        try:
            os.fdatasync(self._segments[-1].handle)
            sync_folder(self._folder)
        except OSError as error:
            raise self._failure("cannot be brought to the disk", error) from error
        self._delete(len(self._segments) - 1)

    def _begin_segment(self, first: int) -> Segment:
        """A new segment, empty, behind all others. Raises like ``append``."""
        after = self._end if self._segments else first
        segment = self._new_file(segment_path(self._folder, first), first, after)
        self._segments.append(segment)
        self._count_bytes()
        return segment

    def _new_file(self, path: Path, first: int, after: int) -> Segment:
        segment = Segment(path, first, first, SEGMENT_HEAD, self._table.fingerprint)
        try:
            self._keep_table()
            segment.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            self._folder_changed = True
            write_all(segment.handle, SegmentHead(first, after, self._table.fingerprint).encode(), 0)
        except OSError as error:
            self._counters["failed_writes"] += 1
            self._drop(segment)
            raise self._failure("cannot be written", error) from error
        return segment

    def _keep_table(self) -> None:
        """The sensors of today beside the records that speak of them; not before, so a full disk can still be read."""
        if self._table.fingerprint not in self._tables:
            self._tables[self._table.fingerprint] = write_table(self._folder, self._table)
            self._folder_changed = True
            self._count_bytes()

    def _drop(self, segment: Segment) -> None:
        """Take back a file that was just made."""
        if segment.handle >= 0:
            segment.close()
            try:
                segment.path.unlink(missing_ok=True)
            except OSError as error:
                _log.error("spool_not_deleted", file=str(segment.path), why=str(error))

    def _write(self, segment: Segment, position: int, data: _Bytes) -> None:
        """Write a record at the end of a segment, all or nothing."""
        try:
            write_all(segment.handle, data, segment.size)
        except OSError as error:
            self._counters["failed_writes"] += 1
            try:
                os.ftruncate(segment.handle, segment.size)
            except OSError as second:  # readers stop before the half record, for the next segment begins with it
                segment.ended = True
                _log.error("spool_segment_ended", file=str(segment.path), offset=segment.size, why=str(second))
            raise self._failure("cannot be written", error) from error
        segment.mark(position, segment.size)
        segment.size += len(data)
        segment.end = position + 1

    def _write_anew(self) -> None:
        """Write all that is unsynced into a new file, after an fsync failed. Raises like ``append``.

        It is cut from the old files first, so that a full disk has room; a crash then loses what nobody was promised.
        """
        begin = self._synced
        try:
            while self._segments and self._segments[-1].first > begin:
                self._segments[-1].close()
                self._segments[-1].path.unlink(missing_ok=True)
                self._segments.pop()
            old = self._segments[-1] if self._segments else None
            if old is not None:
                first = next((one for one in self._unsynced if one.segment is old), None)
                size = old.size if first is None else first.offset
                old.end, old.ended = begin, True
                old.marks = [mark for mark in old.marks if mark[0] < begin]
                os.truncate(old.path, size)
                old.size = size
                old.close()
        except OSError as error:
            raise self._failure("cannot be cut back", error) from error
        finally:
            self._count_bytes()
        path = segment_path(self._folder, begin)
        fresh = self._new_file(path.with_suffix(DRAFT), begin, begin)
        try:
            unsynced = deque(self._copied(fresh))
            fresh.path.replace(path)
        except OSError as error:
            self._drop(fresh)
            raise self._failure("cannot be written anew", error) from error
        fresh.path = path
        if old is not None and old.path == path:
            self._segments.pop()
        self._segments.append(fresh)
        self._count_bytes()
        self._unsynced = unsynced
        self._suspect = False
        self._counters["rewritten"] += len(unsynced)
        _log.warning("spool_written_anew", file=str(path), records=len(unsynced))

    def _copied(self, fresh: Segment) -> Iterator[_Unsynced]:
        for one in self._unsynced:
            write_all(fresh.handle, one.data, fresh.size)
            yield replace(one, segment=fresh, offset=fresh.size)
            fresh.mark(one.position, fresh.size)
            fresh.size += len(one.data)
            fresh.end = one.position + 1

    # Deleting

    def _delete(self, count: int) -> None:
        """Delete the oldest segments."""
        for _ in range(count):
            segment = self._segments[0]
            segment.close()
            try:
                segment.path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("spool_not_deleted", file=str(segment.path), why=str(error))
                return
            self._segments.pop(0)
            self._count_bytes()
        if count:
            self._forget_tables()
            self._count_bytes()

    def _forget_tables(self) -> None:
        """Delete the tables of sensors that no segment speaks of."""
        needed = {self._table.fingerprint, *(segment.sensors for segment in self._segments)}
        if None in needed:
            return
        for fingerprint in self._tables.keys() - needed:
            try:
                table_path(self._folder, fingerprint).unlink(missing_ok=True)
            except OSError as error:
                _log.warning("spool_not_deleted", file=str(table_path(self._folder, fingerprint)), why=str(error))
                continue
            del self._tables[fingerprint]

    def _count_bytes(self) -> None:
        """To be called whenever segments or tables come or go."""
        self._settled_bytes = sum(segment.size for segment in self._segments[:-1]) + sum(self._tables.values())

    def _failure(self, what: str, error: OSError) -> RetryableError:
        if error.errno in _FULL:
            return SpoolFullError(
                f"{self._folder}: the disk is full ({error.strerror}): the spool holds {self.bytes:,} bytes of at most "
                f"{self._max_bytes:,} (spool.max_mb)"
            )
        return RetryableError(f"{self._folder}: the spool {what}: {error}")
