"""Everything that was refused, kept where a person can read it: JSON lines by day under ``dead-letter``.

A line holds one message and all that was refused of it::

    {"received": "2026-01-31T08:00:00.000Z", "topic": "...", "payload": "...", "refused": [
        {"reason": "out_of_range", "found": "-40 %LEL", "expected": "-5 to 2000 %LEL", "sensor": "gas-1"}]}

``payload_base64`` stands in the place of ``payload`` where the bytes are not UTF-8.
"""

import base64
import binascii
import contextlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import msgspec
import structlog

from config.city import City
from config.clock import US_PER_SECOND, isoformat
from config.errors import RetryableError
from ingest.model import Refusal, RefusalReason

_log = structlog.get_logger(__name__)

PART_BYTES = 16 * 2**20
TOTAL_BYTES = 512 * 2**20

_DAY_US = 86_400 * US_PER_SECOND
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}\.\d{4,}\.jsonl", re.ASCII)


class _RefusedLine(msgspec.Struct, omit_defaults=True):
    reason: str
    found: str
    expected: str
    sensor: str | None = None


class _MessageLine(msgspec.Struct, omit_defaults=True):
    received: str
    topic: str
    refused: list[_RefusedLine]
    payload: str | None = None
    payload_base64: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterEntry:
    """One refusal, read back. received: RFC 3339. sensor_id: None where it names no configured sensor."""

    reason: RefusalReason
    received: str
    topic: str
    payload: bytes
    found: str
    expected: str
    sensor_id: str | None


class DeadLetter:
    """Keeps refusals in files of a folder; one process writes, from any of its threads.

    A file is named by the day of receipt (UTC) and a part, ``2026-01-31.0001.jsonl``. A part is ended near
    ``part_bytes``; when all together pass ``total_bytes`` the oldest are deleted, which is counted and logged. Files
    of other names are left alone.
    """

    def __init__(
        self, data_dir: Path, city: City, *, part_bytes: int = PART_BYTES, total_bytes: int = TOTAL_BYTES
    ) -> None:
        self._folder = data_dir / "dead-letter"
        self._ids = city.columns.ids
        self._part_bytes = part_bytes
        self._total_bytes = total_bytes
        self._writing = threading.Lock()
        self._counters = {"written": 0, "deleted_files": 0, "deleted_messages": 0}

    @property
    def counters(self) -> dict[str, int]:
        """``written`` refusals; ``deleted_files`` and the ``deleted_messages`` in them, since the start."""
        return dict(self._counters)

    def write(self, refused: Sequence[Refusal]) -> None:
        """Keep refusals; on disk when it returns. Raises RetryableError when the disk does not take them."""
        if not refused:
            return
        days = groupby(refused, key=lambda refusal: refusal.received_us // _DAY_US)
        of_days = [
            (_time(day * _DAY_US)[:10], b"".join(self._line(list(of_message)) for of_message in _by_message(of_day)))
            for day, of_day in days
        ]
        with self._writing:
            before: list[tuple[Path, int]] = []
            try:
                if not self._folder.is_dir():
                    self._folder.mkdir(parents=True, exist_ok=True)
                    _sync_folder(self._folder.parent)
                for day, lines in of_days:
                    self._append(day, lines, before)
            except OSError as error:
                _cut_back(before)
                raise RetryableError(f"{self._folder}: refused readings cannot be kept: {error}") from error
            self._counters["written"] += len(refused)
            try:
                self._make_room()
            except OSError as error:  # what is written is written: it must not come twice
                _log.warning("dead_letter_not_deleted", folder=str(self._folder), why=str(error))

    def _line(self, refused: Sequence[Refusal]) -> bytes:
        first = refused[0]
        line = _MessageLine(
            received=_time(first.received_us),
            topic=_utf8(first.topic),
            refused=[
                _RefusedLine(
                    refusal.reason.value,
                    _utf8(refusal.found),
                    _utf8(refusal.expected),
                    self._ids[refusal.sensor] if refusal.sensor >= 0 else None,
                )
                for refusal in refused
            ],
        )
        try:
            line.payload = first.payload.decode("utf-8")
        except UnicodeDecodeError:
            line.payload_base64 = base64.b64encode(first.payload).decode("ascii")
        return msgspec.json.encode(line) + b"\n"

    def _append(self, day: str, lines: bytes, before: list[tuple[Path, int]]) -> None:
        """Add lines to a day's newest part, on disk when it returns. before: takes the file and its size until now."""
        parts = [path for path in self._parts() if path.name.startswith(f"{day}.")]
        path = parts[-1] if parts else self._folder / f"{day}.0001.jsonl"
        size = path.stat().st_size if parts else 0
        if parts and size + len(lines) > self._part_bytes:
            path, size = self._folder / f"{day}.{_part(path)[1] + 1:04d}.jsonl", 0
        new = not path.exists()
        before.append((path, size))
        with path.open("ab") as file:
            if not new and _torn(path):
                file.write(b"\n")  # a crash broke the last line off; the next must not continue it
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync_folder(self._folder)

    def _make_room(self) -> None:
        parts = self._parts()
        sizes = [path.stat().st_size for path in parts]
        total = sum(sizes)
        for path, size in list(zip(parts, sizes, strict=True))[:-1]:  # the newest always stays
            if total <= self._total_bytes:
                return
            messages = path.read_bytes().count(b"\n")
            path.unlink()
            total -= size
            self._counters["deleted_files"] += 1
            self._counters["deleted_messages"] += messages
            _log.warning("dead_letter_deleted", file=path.name, messages=messages, bytes=size)

    def _parts(self) -> list[Path]:
        """All files of ours, oldest first."""
        ours = (path for path in self._folder.glob("*.jsonl") if _NAME.fullmatch(path.name) and path.is_file())
        return sorted(ours, key=_part)

    def tail(self, n: int, reason: RefusalReason | None = None) -> list[DeadLetterEntry]:
        """The last n refusals (of a reason), newest last. A line that a crash broke off is passed over."""
        found: list[DeadLetterEntry] = []
        for path in reversed(self._parts()):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # deleted meanwhile to make room
            for line in reversed(content.splitlines()):
                entries = [entry for entry in _entries(line) if reason is None or entry.reason is reason]
                found.extend(reversed(entries))
                if len(found) >= n:
                    return found[:n][::-1]
        return found[::-1]


@lru_cache(maxsize=1024)
def _time(time_us: int) -> str:
    """RFC 3339; what is refused together was mostly received together."""
    return isoformat(time_us)


def _part(path: Path) -> tuple[str, int]:
    """Day and number of a file."""
    day, number, _ = path.name.split(".")
    return day, int(number)


def _cut_back(before: list[tuple[Path, int]]) -> None:
    """Take back what was written of a write that failed, so that its repetition does not come twice."""
    for path, size in before:
        with contextlib.suppress(OSError):  # what cannot be taken back is there twice, which is better than not at all
            os.truncate(path, size)


def _by_message(refused: Iterator[Refusal]) -> Iterator[Iterator[Refusal]]:
    """Refusals that follow each other and are of one message, so that its payload is written once."""
    for _, of_message in groupby(
        refused, key=lambda refusal: (id(refusal.payload), refusal.topic, refusal.received_us)
    ):
        yield of_message


def _entries(line: bytes) -> Iterator[DeadLetterEntry]:
    try:
        read = msgspec.json.decode(line, type=_MessageLine)
        payload = base64.b64decode(read.payload_base64 or "") if read.payload is None else read.payload.encode()
        reasons = [RefusalReason(refused.reason) for refused in read.refused]
    except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error, ValueError):
        return
    for reason, one in zip(reasons, read.refused, strict=True):
        yield DeadLetterEntry(reason, read.received, read.topic, payload, one.found, one.expected, one.sensor)


def _utf8(text: str) -> str:
    """The text without what UTF-8 cannot carry (lone surrogates)."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
