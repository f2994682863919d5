"""SenML in JSON (RFC 8428): base values carried on, times resolved; texts, switches and sums refused by name."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ingest.formats.columns import (
    EARLIEST_S,
    EXPECTED_NUMBER,
    LATEST_S,
    READ_ERRORS,
    Decoded,
    Unread,
    column_us,
    explain_time,
    read_number,
    shown,
)
from ingest.formats.loose import load
from ingest.model import Int64s, RefusalReason

EXPECTED = 'SenML JSON in UTF-8: a list of records like [{"bn": "air-", "n": "1", "u": "Cel", "v": 21.5}]'
EXPECTED_TIME = "Unix seconds, or seconds before now below 2**28 (RFC 8428, 4.5.3)"
RELATIVE_BELOW_S = 2.0**28
"""A time below this is relative to now (RFC 8428, 4.5.3)."""

VERSION = 10
"""The SenML version that RFC 8428 defines."""

OTHER_VALUES = {"vs": "a text (vs)", "vb": "a switch (vb)", "vd": "data (vd)"}
_TEXTS = ("bn", "bu", "n", "u")
_NUMBERS = ("bt", "bv", "bs", "t", "s", "ut")
_BASES = ("bn", "bt", "bu", "bv", "bver", "bs")


class Record(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One record in which nothing is unusual; any other is read field by field.

    Unknown fields make it unusual: one whose name ends in ``_`` must be understood or refused (RFC 8428, 4.4).
    """

    v: float
    n: str = ""
    t: float = 0.0
    u: str | None = None
    bn: str | None = None
    bt: float | None = None
    bu: str | None = None
    bv: float | None = None
    bver: int = VERSION
    ut: float = 0.0


_decode = msgspec.json.Decoder(list[Record]).decode


class _Rows:
    """The growing columns of one call."""

    def __init__(self) -> None:
        self.message: list[int] = []
        self.ids: list[str] = []
        self.seconds: list[float] = []
        self.values: list[float] = []
        self.units: list[str | None] = []
        self.unread: list[Unread] = []
        self.number = 0
        self.now_s = 0.0

    def add(self, sensor_id: str, seconds: float, value: float, unit: str | None) -> None:
        """Take one resolved reading, or refuse what adding its bases made of it."""
        if seconds < RELATIVE_BELOW_S:
            seconds += self.now_s
        if not EARLIEST_S <= seconds <= LATEST_S:
            reason = Unread(self.number, RefusalReason.BAD_TIME, explain_time(seconds), EXPECTED_TIME, sensor_id)
            self.unread.append(reason)
        elif not np.isfinite(value):
            found = shown(value)
            self.unread.append(Unread(self.number, RefusalReason.NOT_A_NUMBER, found, EXPECTED_NUMBER, sensor_id))
        else:
            self.message.append(self.number)
            self.ids.append(sensor_id)
            self.seconds.append(seconds)
            self.values.append(value)
            self.units.append(unit)


def decode(payloads: Sequence[bytes], received_us: Int64s) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    rows = _Rows()
    for number, (payload, now_us) in enumerate(zip(payloads, received_us.tolist(), strict=True)):
        rows.number, rows.now_s = number, now_us / 1e6
        before = len(rows.ids) + len(rows.unread)
        try:
            records = _decode(payload)
        except READ_ERRORS:
            _read_loosely(payload, number, rows)
        else:
            _resolve(records, number, rows)
        if len(rows.ids) + len(rows.unread) == before:
            rows.unread.append(Unread(number, RefusalReason.UNREADABLE, "no record with a value", EXPECTED))
    length = len(rows.ids)
    return Decoded(
        message=np.array(rows.message, np.int32),
        ids=rows.ids,
        event_us=column_us(np.array(rows.seconds, np.float64)),
        value=np.array(rows.values, np.float64),
        units=None if rows.units.count(None) == length else rows.units,
        quality=np.zeros(length, np.uint8),
        unread=rows.unread,
    )


def _resolve(records: list[Record], number: int, rows: _Rows) -> None:
    base_name, base_time, base_value = "", 0.0, 0.0
    base_unit: str | None = None
    if any(record.bver > VERSION for record in records):
        version = max(record.bver for record in records)
        rows.unread.append(_wrong_version(number, version))
        return
    for record in records:
        if record.bn is not None:
            base_name = record.bn
        if record.bt is not None:
            base_time = record.bt
        if record.bu is not None:
            base_unit = record.bu
        if record.bv is not None:
            base_value = record.bv
        unit = base_unit if record.u is None else record.u
        rows.add(base_name + record.n, base_time + record.t, base_value + record.v, unit)


def _wrong_version(number: int, version: object) -> Unread:
    return Unread(number, RefusalReason.UNREADABLE, f"bver {shown(version)}", f"bver up to {VERSION}")


def _read_loosely(payload: bytes, number: int, rows: _Rows) -> None:
    """Read a pack in which something is unusual, record by record."""
    given = load(payload, number, EXPECTED)
    if isinstance(given, Unread):
        rows.unread.append(given)
        return
    if not isinstance(given, list):
        rows.unread.append(Unread(number, RefusalReason.UNREADABLE, shown(given), EXPECTED))
        return
    base: dict[str, Any] = {}
    for place, record in enumerate(given):
        if not isinstance(record, dict):
            rows.unread.append(Unread(number, RefusalReason.UNREADABLE, shown(record), EXPECTED))
            continue
        base.update((name, record[name]) for name in _BASES if record.get(name) is not None)
        wrong_base = _wrong_field(base, number, None)
        if wrong_base is not None:
            # A base holds for all that follow: none of them can be resolved.
            rows.unread.extend([wrong_base] * (len(given) - place))
            return
        _read_record(record, base, number, rows)


def _read_record(record: dict[str, Any], base: dict[str, Any], number: int, rows: _Rows) -> None:
    name = record.get("n")
    named = base.get("bn", "") + name if isinstance(name, str) else base.get("bn")
    wrong = _wrong_field(record, number, named) or _wrong_value(record, base, number, named)
    if wrong is not None:
        rows.unread.append(wrong)
        return
    if not any(field in record for field in ("v", "n", "t", "u")):
        return  # only base values: says something of the records behind it, and measures nothing itself
    value = float(base.get("bv", 0.0)) + float(record.get("v", 0.0))
    seconds = float(base.get("bt", 0.0)) + float(record.get("t") or 0.0)
    unit = record.get("u")
    rows.add(named or "", seconds, value, base.get("bu") if unit is None else unit)


def _wrong_field(record: dict[str, Any], number: int, named: str | None) -> Unread | None:
    """The first field of a record that is not of its kind, if any."""
    for name in _TEXTS:
        given = record.get(name)
        if given is not None and not isinstance(given, str):
            reason = RefusalReason.WRONG_UNIT if name in ("u", "bu") else RefusalReason.UNREADABLE
            return Unread(number, reason, f"{name} {shown(given)}", f"{name} as a text", named)
    for name in _NUMBERS:
        given = record.get(name)
        if given is not None and read_number(given) is None:
            time = name in ("t", "bt", "ut")
            reason = RefusalReason.BAD_TIME if time else RefusalReason.NOT_A_NUMBER
            found, expected = f"{name} {shown(given)}", EXPECTED_TIME if time else EXPECTED_NUMBER
            return Unread(number, reason, found, expected, named)
    version = record.get("bver")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version > VERSION):
        return _wrong_version(number, version)
    for name in record:
        if name.endswith("_"):
            return Unread(number, RefusalReason.UNREADABLE, f"field {shown(name)}", "fields of RFC 8428", named)
    return None


def _wrong_value(record: dict[str, Any], base: dict[str, Any], number: int, named: str | None) -> Unread | None:
    """Why a record holds no one number to read, if so."""
    others = [words for name, words in OTHER_VALUES.items() if name in record]
    if others:
        found = others[0] if "v" not in record else f"{others[0]} beside v"
        return Unread(number, RefusalReason.NOT_A_NUMBER, found, "one number (v)", named)
    if "v" in record:
        if read_number(record["v"]) is None:
            return Unread(number, RefusalReason.NOT_A_NUMBER, shown(record["v"]), EXPECTED_NUMBER, named)
        return None
    if "s" in record or ("bs" in base and "n" in record):
        return Unread(number, RefusalReason.NOT_A_NUMBER, "only a sum (s)", "one number (v)", named)
    if any(field in record for field in ("n", "t", "u")):
        return Unread(number, RefusalReason.MISSING_FIELD, "no v", "one number (v)", named)
    return None
