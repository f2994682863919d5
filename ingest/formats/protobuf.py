"""The wire format of Protocol Buffers, read strictly and written: no schema, no code generated.

After the encoding page of protobuf.dev (proto2 and proto3 share it). Groups (wire types 3 and 4), long deprecated, are
refused. What it reads is bounded by the bytes it is given: it never recurses and holds one field at a time.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from math import inf
from typing import Final

LARGEST_NUMBER: Final = 2**29 - 1
"""Field numbers go from 1 up to here."""

_BITS_64: Final = 2**64 - 1
_FLOAT = struct.Struct("<f")
_DOUBLE = struct.Struct("<d")


class Wire(IntEnum):
    """How a field's value stands on the wire."""

    VARINT = 0
    FIXED64 = 1
    BYTES = 2  # its length comes first: texts, bytes, messages
    FIXED32 = 5


Field = tuple[int, int, int | bytes]
"""Number, wire type, value: an int of 64 bits for VARINT, else the bytes (8 or 4 little-endian ones where fixed)."""


class WireError(ValueError):
    """Bytes that are no protobuf message. found, expected: in words for a person."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}, expected {expected}")
        self.found = found
        self.expected = expected


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in order. Raises WireError where the bytes are no message.

    >>> list(fields(bytes([0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69])))
    [(1, 0, 150), (2, 2, b'hi')]
    """
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        key, at = (key, at + 1) if key < 0x80 else _varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number <= LARGEST_NUMBER:
            raise WireError(f"field number {number} at byte {at}", f"field numbers from 1 to {LARGEST_NUMBER}")
        if wire == 0 or wire == 2:  # noqa: PLR1714  # a set costs more, and so does an IntEnum
            # Most integers and lengths are of one byte: asking first saves the call.
            value = data[at] if at < end else 0x80
            value, at = (value, at + 1) if value < 0x80 else _varint(data, at)
            if wire == 0:
                yield number, wire, value
                continue
        elif wire == 5:
            value = 4
        elif wire == 1:
            value = 8
        else:
            raise WireError(f"wire type {wire} of field {number}", "wire type 0, 1, 2 or 5")
        if value > end - at:
            raise WireError(f"{end - at} bytes left of field {number}", f"{value} bytes of it")
        at += value
        yield number, wire, data[at - value : at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of up to 64 bits and the place behind it."""
    value, shift, place = 0, 0, at
    for byte in data[at : at + 10]:
        place += 1
        if byte < 0x80:
            value |= byte << shift
            if value > _BITS_64:
                break
            return value, place
        value |= (byte & 0x7F) << shift
        shift += 7
    if place == len(data) and place - at < 10:
        raise WireError(f"an integer that breaks off at byte {place}", "its last byte")
    raise WireError(f"an integer of more than 64 bits at byte {at}", "at most 64 bits")


def float_of(value: bytes) -> float:
    """The number of four little-endian bytes (IEEE 754)."""
    return float(_FLOAT.unpack(value)[0])


def double_of(value: bytes) -> float:
    """The number of eight little-endian bytes (IEEE 754)."""
    return float(_DOUBLE.unpack(value)[0])


def signed(value: int, bits: int) -> int:
    """The two's complement of the lowest ``bits`` bits.

    >>> signed(255, 8), signed(2**64 - 5, 32), signed(127, 8)
    (-1, -5, 127)
    """
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def integer(number: int, value: int) -> bytes:
    """A field with a whole number (or 1 for true); a negative one as 64 bits of two's complement."""
    return _key(number, Wire.VARINT) + _written(value & _BITS_64)


def blob(number: int, value: bytes | str) -> bytes:
    """A field with a text, bytes or another message."""
    raw = value.encode() if isinstance(value, str) else value
    return _key(number, Wire.BYTES) + _written(len(raw)) + raw


def fixed(number: int, value: bytes) -> bytes:
    """A field of four or eight little-endian bytes."""
    return _key(number, Wire.FIXED32 if len(value) == 4 else Wire.FIXED64) + value


def bytes_of(value: float, width: int) -> bytes:
    """The four or eight little-endian bytes of a number (IEEE 754); infinite where four cannot hold it."""
    if width == 8:
        return _DOUBLE.pack(value)
    try:
        return _FLOAT.pack(value)
    except OverflowError:
        return _FLOAT.pack(inf if value > 0 else -inf)


def _key(number: int, wire: Wire) -> bytes:
    return _written(number << 3 | wire)


def _written(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
