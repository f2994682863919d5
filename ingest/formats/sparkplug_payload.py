"""The payload of Sparkplug B: ``org.eclipse.tahu.protobuf.Payload`` as printed in the specification 3.0, chapter 6.4.

Only what a reading needs is read; data sets, templates, bytes and metadata are known by their kind alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

from ingest.formats import protobuf
from ingest.formats.protobuf import Wire, WireError

INT, LONG, FLOAT, DOUBLE, BOOLEAN = 10, 11, 12, 13, 14
"""Field numbers of the values that are numbers."""

KINDS: Final = {
    INT: "int_value",
    LONG: "long_value",
    FLOAT: "float_value",
    DOUBLE: "double_value",
    BOOLEAN: "boolean_value",
    15: "string_value",
    16: "bytes_value",
    17: "dataset_value",
    18: "template_value",
    19: "extension_value",
}
_WIRES: Final = {
    1: 2,
    **dict.fromkeys(range(2, 8), 0),
    9: 2,
    INT: 0,
    LONG: 0,
    FLOAT: 5,
    DOUBLE: 1,
    BOOLEAN: 0,
} | dict.fromkeys(range(15, 20), 2)
"""The wire type of each field of a metric that is read."""

BITS: Final = {1: 8, 2: 16, 3: 32, 4: 64, 5: 8, 6: 16, 7: 32, 8: 64}
"""Width of the whole-number datatypes, Int8 to UInt64."""

SIGNED: Final = frozenset({1, 2, 3, 4})
"""Int8 to Int64: two's complement."""

_NUMBERS: Final = "Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float Double Boolean"

DATATYPES: Final = dict(enumerate(_NUMBERS.split(), 1))
"""The datatypes that are numbers; a switch is one or nought. The others (texts, times, sets, arrays) are none."""

DATATYPE_BOOLEAN: Final = 11
DATATYPE_INT32: Final = 3

LONGEST_NAME: Final = 1024
"""Bytes of the longest name that is read: names are remembered."""


@dataclass(slots=True)
class Metric:
    """One metric as it stands in the payload. kind: field number of its value, 0 where it has none.

    quality: the code of its ``Quality`` property, None where it has none.
    """

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    historical: bool = False
    transient: bool = False
    null: bool = False
    quality: int | None = None
    kind: int = 0
    raw: int | bytes = 0


@dataclass(slots=True)
class Payload:
    """One payload. metrics: each as bytes, so that a broken one does not take the others with it."""

    timestamp: int | None = None
    seq: int | None = None
    metrics: tuple[bytes, ...] = ()
    body: bool = False


def read_payload(data: bytes) -> Payload:
    """The payload of some bytes. Raises WireError."""
    payload, metrics = Payload(), []
    for number, wire, value in protobuf.fields(data):
        if number == 2:
            metrics.append(_bytes(value, wire, "metrics"))
        elif number == 1:
            payload.timestamp = _int(value, wire, "timestamp")
        elif number == 3:
            payload.seq = _int(value, wire, "seq")
        elif number == 5:
            payload.body = True
    payload.metrics = tuple(metrics)
    return payload


def read_metric(data: bytes) -> Metric:
    """The metric of some bytes. Raises WireError."""
    said: dict[int, int] = {}
    name: str | None = None
    quality: int | None = None
    kind, raw = 0, cast("int | bytes", 0)
    for number, wire, value in protobuf.fields(data):
        wanted = _WIRES.get(number)
        if wanted is None:
            continue
        if wire != wanted:
            what = KINDS.get(number, f"metric field {number}")
            raise WireError(f"{what} of wire type {wire}", f"wire type {wanted}")
        if number >= INT:
            kind, raw = number, value
        elif isinstance(value, int):
            said[number] = value
        elif number == 1:
            name = _text(value, wire, "a metric's name")
        else:
            quality = _quality(value)
    flags = bool(said.get(5)), bool(said.get(6)), bool(said.get(7))
    return Metric(name, said.get(2), said.get(3), said.get(4), *flags, quality, kind, raw)


@lru_cache(maxsize=256)
def _quality(properties: bytes) -> int | None:
    """The code of the property ``Quality`` (chapter 6.4.8): keys and values are two lists of one length."""
    keys: list[str] = []
    values: list[bytes] = []
    for number, wire, value in protobuf.fields(properties):
        if number == 1:
            keys.append(_text(value, wire, "a property's name"))
        elif number == 2:
            values.append(_bytes(value, wire, "property"))
    if len(keys) != len(values):
        raise WireError(f"{len(keys)} names of {len(values)} properties", "as many names as properties")
    if "Quality" not in keys:
        return None
    for number, wire, value in protobuf.fields(values[keys.index("Quality")]):
        if number in (3, 4):  # int_value; long_value where somebody writes it so
            return _int(value, wire, "Quality")
    return None


def _int(value: int | bytes, wire: int, what: str) -> int:
    if wire != Wire.VARINT or not isinstance(value, int):
        raise WireError(f"{what} of wire type {wire}", "wire type 0")
    return value


def _bytes(value: int | bytes, wire: int, what: str) -> bytes:
    if wire != Wire.BYTES or not isinstance(value, bytes):
        raise WireError(f"{what} of wire type {wire}", "wire type 2")
    return value


def _text(value: int | bytes, wire: int, what: str) -> str:
    raw = _bytes(value, wire, what)
    if len(raw) > LONGEST_NAME:
        raise WireError(f"{what} of {len(raw)} bytes", f"at most {LONGEST_NAME} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise WireError(f"{what} that is not UTF-8", "UTF-8") from error


def number_of(metric: Metric, datatype: int | None) -> float | str:
    """The number that a metric's value means as this datatype, or what is wrong with it.

    Whole numbers stand as unsigned ones on the wire, some senders' negative ones extended to 32 or 64 bits: without
    the datatype they mean nothing, other kinds do.
    """
    kind, raw = metric.kind, metric.raw
    if kind in (INT, LONG) and isinstance(raw, int):
        return _whole(kind, raw, datatype)
    if kind == BOOLEAN:
        return float(bool(raw)) if datatype in (None, DATATYPE_BOOLEAN) else f"{KINDS[kind]} for {_named(datatype)}"
    if kind not in (FLOAT, DOUBLE) or not isinstance(raw, bytes):
        return KINDS.get(kind, "no value")
    if datatype not in (None, 9, 10):
        return f"{KINDS[kind]} for {_named(datatype)}"
    return protobuf.float_of(raw) if kind == FLOAT else protobuf.double_of(raw)


def _whole(kind: int, raw: int, datatype: int | None) -> float | str:
    bits, negative = BITS.get(datatype or 0), datatype in SIGNED
    if bits is None:
        return f"{KINDS[kind]} for {_named(datatype)}"
    if not _fits(raw, bits, negative):
        return f"{raw} for {_named(datatype)}"
    return float(protobuf.signed(raw, bits) if negative else raw)


def _fits(raw: int, bits: int, negative: bool) -> bool:
    """Whether the bits above those of the datatype say nothing else: all zero, or a sign that was extended."""
    if raw < 1 << bits or not negative:
        return raw < 1 << bits
    wide = 32 if raw < 1 << 32 else 64
    return -(1 << (bits - 1)) <= protobuf.signed(raw, wide) < 0


def _named(datatype: int | None) -> str:
    return "an unknown datatype" if datatype is None else DATATYPES.get(datatype, f"datatype {datatype}")


def value_of(datatype: int, number: float) -> tuple[int, int | bytes]:
    """The kind and the wire value of a number as a numeric datatype; the inverse of ``number_of``."""
    if datatype == DATATYPE_BOOLEAN:
        return BOOLEAN, int(bool(number))
    if datatype not in BITS:
        return (FLOAT, protobuf.bytes_of(number, 4)) if datatype == 9 else (DOUBLE, protobuf.bytes_of(number, 8))
    return (LONG if BITS[datatype] == 64 else INT), int(number) % (1 << BITS[datatype])


def write_metric(metric: Metric) -> bytes:
    """A metric as bytes."""
    parts = []
    if metric.name is not None:
        parts.append(protobuf.blob(1, metric.name))
    for number, value in ((2, metric.alias), (3, metric.timestamp), (4, metric.datatype)):
        if value is not None:
            parts.append(protobuf.integer(number, value))
    for number, flag in ((5, metric.historical), (6, metric.transient), (7, metric.null)):
        if flag:
            parts.append(protobuf.integer(number, 1))
    if metric.quality is not None:
        quality = protobuf.integer(1, DATATYPE_INT32) + protobuf.integer(3, metric.quality)
        parts.append(protobuf.blob(9, protobuf.blob(1, "Quality") + protobuf.blob(2, quality)))
    if isinstance(metric.raw, int):
        parts += [protobuf.integer(metric.kind, metric.raw)] if metric.kind else []
    elif _WIRES[metric.kind] == Wire.BYTES:
        parts.append(protobuf.blob(metric.kind, metric.raw))
    else:
        parts.append(protobuf.fixed(metric.kind, metric.raw))
    return b"".join(parts)


def write_payload(timestamp: int | None, seq: int | None, metrics: Iterable[Metric]) -> bytes:
    """A payload as bytes. timestamp: Unix milliseconds. seq: 0 to 255; commands and deaths of nodes have none."""
    parts = [] if timestamp is None else [protobuf.integer(1, timestamp)]
    parts += [protobuf.blob(2, write_metric(metric)) for metric in metrics]
    return b"".join(parts if seq is None else [*parts, protobuf.integer(3, seq)])


def rebirth(at_ms: int) -> bytes:
    """The payload of a command that asks a node to be born again (chapter 5.17): by its name, for it has no alias."""
    command = Metric("Node Control/Rebirth", None, at_ms, DATATYPE_BOOLEAN, kind=BOOLEAN, raw=1)
    return write_payload(at_ms, None, [command])
