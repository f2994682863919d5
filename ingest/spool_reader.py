"""A spool as a person reads it: without writing, beside a daemon that is at work, and without the city's files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from config.errors import ConfigurationError
from ingest.model import Record
from ingest.spool_format import SEGMENT_HEAD, decode_record
from ingest.spool_segments import Damage, Stored, first_of, read_head, segment_files, walk
from ingest.spool_sensors import SensorTable, read_table


@dataclass(frozen=True, slots=True)
class SegmentSummary:
    """What one file holds. begin_us, end_us: first and last time of admission, 0 where it holds no record.

    damage: in order; without what stands half written at the end of the newest file, whose bytes are ``unfinished``.
    """

    path: Path
    first: int
    records: int
    readings: int
    bytes: int
    begin_us: int
    end_us: int
    damage: tuple[Damage, ...]
    unfinished: int


@dataclass(frozen=True, slots=True)
class Spooled:
    """A record, and the sensors that its rows mean."""

    record: Record
    sensors: SensorTable


def spool_folders(path: Path) -> list[Path]:
    """The spools at a path: the folder itself, or those within two levels of it.

    Raises ConfigurationError where there is none, or where it cannot be read.
    """
    try:
        if not path.is_dir():
            raise ConfigurationError(f"{path}: not a folder; expected a spool or a daemon's data_dir")
        candidates = [path, *sorted(path.glob("*")), *sorted(path.glob("*/*"))]
        found = [folder for folder in candidates if folder.is_dir() and segment_files(folder)]
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    if not found:
        raise ConfigurationError(f"{path}: no spool is in it; expected files named like 00000000000000000000.spool")
    return found


class SpoolReader:
    """Reads the spool of a folder. A file that a daemon deletes meanwhile is passed over: it was needed no more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[int, SensorTable | None] = {}

    def segments(self) -> Iterator[SegmentSummary]:
        """Every file, oldest first, read from beginning to end. Raises ConfigurationError where one cannot be read."""
        for path, limit in self._files():
            records = readings = begin_us = end_us = unfinished = 0
            damage: list[Damage] = []
            for found in self._walk(path, limit):
                if isinstance(found, Stored):
                    records += 1
                    readings += found.head.count
                    begin_us, end_us = begin_us or found.head.decided_us, found.head.decided_us
                elif found.end is None:
                    unfinished = found.length
                else:
                    damage.append(found)
            size = path.stat().st_size if path.exists() else 0
            yield SegmentSummary(
                path, first_of(path), records, readings, size, begin_us, end_us, tuple(damage), unfinished
            )

    def records(self, begin: int = 0, end: int | None = None) -> Iterator[Spooled | Damage]:
        """Records ``begin`` to ``end`` (excluded) that are there, with the damage between them. Raises as above."""
        for path, limit in self._files():
            if limit is not None and limit <= begin:
                continue
            if end is not None and first_of(path) >= end:
                return
            for found in self._walk(path, limit):
                if isinstance(found, Damage):
                    if found.end is not None and begin < found.end and (end is None or found.begin < end):
                        yield found
                elif begin <= found.head.position and (end is None or found.head.position < end):
                    yield self._read(path, found)

    def _read(self, path: Path, found: Stored) -> Spooled | Damage:
        key = found.head.sensors
        if key not in self._tables:
            self._tables[key] = read_table(self._folder, key)
        table = self._tables[key]
        whole = Damage(path, found.offset, len(found.data), found.head.position, found.head.position + 1)
        if table is None:
            return whole
        try:
            record = decode_record(found.head, found.data)
        except (ValueError, msgspec.MsgspecError):
            return whole
        sensor = record.admission.batch.sensor
        return (
            whole if sensor.min(initial=0) < 0 or sensor.max(initial=-1) >= len(table.ids) else Spooled(record, table)
        )

    def _files(self) -> list[tuple[Path, int | None]]:
        """Files, and the number after the last record that should be in each; None for the newest."""
        try:
            files = segment_files(self._folder)
            limits: list[int | None] = []
            for path in files[1:]:
                head = read_head(path)
                limits.append(first_of(path) if head is None else head.after)
        except OSError as error:
            raise ConfigurationError(f"{self._folder}: cannot be read: {error}") from error
        return list(zip(files, [*limits, None], strict=True))

    def _walk(self, path: Path, limit: int | None) -> Iterator[Stored | Damage]:
        try:
            yield from walk(path, SEGMENT_HEAD, first_of(path), limit)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}") from error
