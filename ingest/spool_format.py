"""How the spool stands on disk: the head of a segment, and one record as bytes and back. All little-endian.

A segment is a head of 40 bytes and then records. A record is a head of 88 bytes, the columns, and what is small and
rare (sensors whose clock stepped back, refusals) in MessagePack. A CRC-32 (zlib's) covers all of a record behind it.

Columns of times are kept as differences from their smallest, in as many bytes as the largest needs: the time of
receipt; how far event time is ahead of it; how far the placed event time is ahead of the given one. Identity is left
out where it equals the bits of the value. So a reading of a lively batch takes 16 to 29 bytes.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from ingest.model import Admission, Int64s, ReadingBatch, Record, Refusal, RefusalReason

SEGMENT_MAGIC = b"GWSPOOL\x01"
RECORD_MAGIC = b"\x89GWR"
LONGEST_RECORD = 2**30
"""Bytes. What claims to be longer is no record."""

_SEGMENT = struct.Struct("<8sIIQQQ")
_RECORD = struct.Struct("<4sIIIQqQI6BHqqqq4x")
SEGMENT_HEAD = _SEGMENT.size
RECORD_HEAD = _RECORD.size
_COVERED = 8
"""Where the part of a record begins that its checksum covers."""
_WIDTHS = {0: "<u1", 1: "<u1", 2: "<u2", 4: "<u4", 8: "<i8"}


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """What a segment says of itself.

    first: number of its first record. after: number that followed the last record before it; below ``first`` where
    numbers were left out on purpose. sensors: fingerprint of the table of sensors its records speak of.
    """

    first: int
    after: int
    sensors: int

    def encode(self) -> bytes:
        """Forty bytes."""
        covered = _SEGMENT.pack(SEGMENT_MAGIC, 0, 0, self.first, self.after, self.sensors)
        return _SEGMENT.pack(SEGMENT_MAGIC, zlib.crc32(covered[16:]), 0, self.first, self.after, self.sensors)

    @staticmethod
    def decode(data: bytes) -> "SegmentHead | None":
        """From the first bytes of a file; None where they are not the head of a segment."""
        if len(data) < SEGMENT_HEAD:
            return None
        magic, crc, _, first, after, sensors = _SEGMENT.unpack_from(data)
        if magic != SEGMENT_MAGIC or zlib.crc32(data[16:SEGMENT_HEAD]) != crc or after > first:
            return None
        return SegmentHead(first, after, sensors)


@dataclass(frozen=True, slots=True)
class RecordHead:
    """What stands before a record's columns. length: bytes behind the head. rest: how many of them are MessagePack.

    widths, bases: bytes per entry and smallest entry of received, event, given and quality. identity: bytes per entry.
    """

    crc: int
    length: int
    rest: int
    position: int
    decided_us: int
    sensors: int
    count: int
    widths: tuple[int, int, int, int]
    identity: int
    bases: tuple[int, int, int, int]

    @staticmethod
    def decode(data: bytes) -> "RecordHead | None":
        """From the first bytes of a record; None where they cannot be that."""
        if len(data) < RECORD_HEAD or data[:4] != RECORD_MAGIC:
            return None
        (_, crc, length, rest, position, decided_us, sensors, count,
         w0, w1, w2, w3, identity, _, _, b0, b1, b2, b3) = _RECORD.unpack_from(data)  # fmt: skip
        widths = (w0, w1, w2, w3)
        wide = all(width in _WIDTHS for width in widths) and identity in {0, 8}
        if not wide or length != count * (4 + 8 + sum(widths) + identity) + rest or length > LONGEST_RECORD:
            return None
        return RecordHead(crc, length, rest, position, decided_us, sensors, count, widths, identity, (b0, b1, b2, b3))


class _Refused(msgspec.Struct, array_like=True, frozen=True):
    reason: RefusalReason
    received_us: int
    topic: str
    found: str
    expected: str
    sensor: int


class _Rest(msgspec.Struct, array_like=True, frozen=True):
    stepped: list[int]
    refused: list[_Refused]


_REST = msgspec.msgpack.Decoder(_Rest)


def encode_record(position: int, decided_us: int, sensors: int, admission: Admission) -> bytes:
    """A record's bytes. sensors: fingerprint of the table its rows belong to. Raises OverflowError beyond 1 GiB."""
    batch = admission.batch
    received = _packed(batch.received_us)
    event = _packed(batch.event_us - batch.received_us)
    given = _packed(batch.event_us - admission.given_us)
    quality = _packed(batch.quality.astype(np.int64))
    value = np.ascontiguousarray(batch.value, "<f8")
    plain = bool(np.array_equal(value.view(np.int64), admission.identity))
    rest = _encode_rest(admission)
    body = b"".join((
        np.ascontiguousarray(batch.sensor, "<i4").tobytes(),
        received[2], event[2], given[2], quality[2],
        value.tobytes(),
        b"" if plain else np.ascontiguousarray(admission.identity, "<i8").tobytes(),
        rest,
    ))  # fmt: skip
    if len(body) > LONGEST_RECORD:
        raise OverflowError(f"a record of {len(body)} bytes, expected at most {LONGEST_RECORD}")
    fields = (
        len(body), len(rest), position, decided_us, sensors, len(batch),
        received[1], event[1], given[1], quality[1], 0 if plain else 8, 0, 0,
        received[0], event[0], given[0], quality[0],
    )  # fmt: skip
    covered = _RECORD.pack(RECORD_MAGIC, 0, *fields)[_COVERED:]
    crc = zlib.crc32(body, zlib.crc32(covered))
    return b"".join((RECORD_MAGIC, crc.to_bytes(4, "little"), covered, body))


def sound(head: RecordHead, data: bytes) -> bool:
    """Whether a whole record (head and body) is as it was written."""
    return len(data) == RECORD_HEAD + head.length and zlib.crc32(memoryview(data)[_COVERED:]) == head.crc


def decode_record(head: RecordHead, data: bytes) -> Record:
    """The record of sound bytes. Raises ValueError where they do not hold what a record holds."""
    pieces = _Pieces(data, head.count)
    sensor = pieces.take("<i4", 4).astype(np.int32)
    received_us, ahead, placed, quality = (
        _unpacked(pieces, base, width) for base, width in zip(head.bases, head.widths, strict=True)
    )
    event_us = received_us + ahead
    value = pieces.take("<f8", 8).astype(np.float64)
    identity = pieces.take("<i8", 8).astype(np.int64) if head.identity else value.view(np.int64).copy()
    batch = ReadingBatch(sensor, event_us, received_us, value, quality.astype(np.uint8))
    stepped, refused = _decode_rest(data[len(data) - head.rest :])
    return Record(
        head.position, head.decided_us, Admission(batch, event_us - placed, identity, tuple(refused), stepped)
    )


class _Pieces:
    """The columns of a record, one behind the other."""

    def __init__(self, data: bytes, count: int) -> None:
        self._data = data
        self._count = count
        self._offset = RECORD_HEAD

    def take(self, kind: str, width: int) -> Int64s:
        """The next column, as it stands in the bytes."""
        column: Int64s = np.frombuffer(self._data, kind, self._count, self._offset)
        self._offset += width * self._count
        return column


def _packed(column: Int64s) -> tuple[int, int, bytes]:
    """Smallest entry, bytes per entry, and the entries' differences from the smallest."""
    if not len(column):
        return 0, 0, b""
    low = int(column.min())
    span = int(column.max()) - low
    if span == 0:
        return low, 0, b""
    for width in (1, 2, 4):
        if span < 1 << 8 * width:
            return low, width, (column - low).astype(_WIDTHS[width]).tobytes()
    return 0, 8, column.astype("<i8").tobytes()


def _unpacked(pieces: _Pieces, base: int, width: int) -> Int64s:
    kind = _WIDTHS[width]
    column = pieces.take(kind, width).astype(np.int64) if width else np.zeros(pieces._count, np.int64)  # noqa: SLF001
    column += base
    return column


def _encode_rest(admission: Admission) -> bytes:
    refused = [refusal for refusal in admission.refused if refusal.sensor >= 0]
    if not refused and not len(admission.stepped):
        return b""
    rows = [
        _Refused(
            refusal.reason,
            refusal.received_us,
            _utf8(refusal.topic),
            _utf8(refusal.found),
            _utf8(refusal.expected),
            int(refusal.sensor),
        )
        for refusal in refused
    ]
    return msgspec.msgpack.encode(_Rest([int(sensor) for sensor in admission.stepped], rows))


def _decode_rest(data: bytes) -> tuple[tuple[int, ...], Iterator[Refusal]]:
    if not data:
        return (), iter(())
    rest = _REST.decode(data)
    return tuple(rest.stepped), (
        Refusal(row.reason, row.received_us, row.topic, b"", row.found, row.expected, row.sensor)
        for row in rest.refused
    )


def _utf8(text: str) -> str:
    """The text without what UTF-8 cannot carry (lone surrogates)."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
