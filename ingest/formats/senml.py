"""SenML in JSON (RFC 8428): base values carried on, times resolved; texts, switches and sums refused by name.

What is the same in CBOR (``senml_cbor``) is shared: ``Rows`` and ``read_records``.
"""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from ingest.formats.columns import (
    EXPECTED_NUMBER,
    READ_ERRORS,
    Decoded,
    Unread,
    column_us,
    explain_time,
    placeable,
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


class Rows:
    """The growing columns of one call. expected: what a payload should be."""

    def __init__(self, expected: str) -> None:
        self.expected = expected
        self.message: list[int] = []
        self.ids: list[str] = []
        self.seconds: list[float] = []
        self.values: list[float] = []
        self.units: list[str | None] = []
        self.unread: list[Unread] = []
        self.number = -1
        self._before = 0

    def begin(self, number: int) -> None:
        """From here on it is this message, a number in the payloads given."""
        self._end()
        self.number, self._before = number, len(self.ids) + len(self.unread)

    def _end(self) -> None:
        if self.number >= 0 and len(self.ids) + len(self.unread) == self._before:
            found = "no record with a value"
            self.unread.append(Unread(self.number, RefusalReason.UNREADABLE, found, self.expected))

    def columns(self, received_us: Int64s) -> Decoded:
        """Columns of resolved records, without those of which adding their bases made no time or no number."""
        self._end()
        return _columns(self, received_us)

    def add(self, sensor_id: str, seconds: float, value: float, unit: str | None) -> None:
        """Take one resolved record."""
        self.message.append(self.number)
        self.ids.append(sensor_id)
        self.seconds.append(seconds)
        self.values.append(value)
        self.units.append(unit)


def decode(
    payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    del topics, zone  # ids stand in the payloads, and times are numbers
    rows = Rows(EXPECTED)
    for number, payload in enumerate(payloads):
        rows.begin(number)
        try:
            records = _decode(payload)
        except READ_ERRORS:
            given = load(payload, number, EXPECTED)
            if isinstance(given, Unread):
                rows.unread.append(given)
            else:
                read_records(given, number, rows)
        else:
            _resolve(records, number, rows)
    return rows.columns(received_us)


def _columns(rows: Rows, received_us: Int64s) -> Decoded:
    length = len(rows.ids)
    message = np.array(rows.message, np.int32)
    seconds, values = np.array(rows.seconds, np.float64), np.array(rows.values, np.float64)
    seconds = np.where(seconds < RELATIVE_BELOW_S, seconds + received_us[message] / 1e6, seconds)
    possible, finite = placeable(seconds), np.isfinite(values)
    good = possible & finite
    ids, units = rows.ids, rows.units
    if not good.all():
        for row in np.flatnonzero(~good).tolist():
            rows.unread.append(
                Unread(
                    rows.message[row], RefusalReason.NOT_A_NUMBER, shown(rows.values[row]), EXPECTED_NUMBER, ids[row]
                )
                if possible[row]
                else Unread(
                    rows.message[row],
                    RefusalReason.BAD_TIME,
                    explain_time(float(seconds[row])),
                    EXPECTED_TIME,
                    ids[row],
                )
            )
        keep = np.flatnonzero(good).tolist()
        ids, units = [ids[row] for row in keep], [units[row] for row in keep]
        message, seconds, values, length = message[good], seconds[good], values[good], len(keep)
    return Decoded(
        message=message,
        ids=ids,
        event_us=column_us(seconds),
        value=values,
        units=None if units.count(None) == length else units,
        quality=np.zeros(length, np.uint8),
        unread=rows.unread,
    )


def _resolve(records: list[Record], number: int, rows: Rows) -> None:
    version = max([record.bver for record in records], default=VERSION)
    if version > VERSION:
        rows.unread.append(_wrong_version(number, version))
        return
    names, times, values, units = rows.ids, rows.seconds, rows.values, rows.units
    base_name, base_time, base_value, base_unit = "", 0.0, 0.0, None
    for record in records:
        if record.bn is not None:
            base_name = record.bn
        if record.bt is not None:
            base_time = record.bt
        if record.bu is not None:
            base_unit = record.bu
        if record.bv is not None:
            base_value = record.bv
        names.append(base_name + record.n)
        times.append(base_time + record.t)
        values.append(base_value + record.v)
        units.append(base_unit if record.u is None else record.u)
    rows.message += [number] * len(records)


def _wrong_version(number: int, version: object) -> Unread:
    return Unread(number, RefusalReason.UNREADABLE, f"bver {shown(version)}", f"bver up to {VERSION}")


def read_records(given: Any, number: int, rows: Rows) -> None:
    """Read a pack in which something may be unusual, record by record, whatever it is."""
    if not isinstance(given, list):
        rows.unread.append(Unread(number, RefusalReason.UNREADABLE, shown(given), rows.expected))
        return
    versions = [record.get("bver") for record in given if isinstance(record, dict)]
    newest = max((one for one in versions if isinstance(one, int)), default=VERSION)
    if newest > VERSION:  # one version holds for all records of a pack (RFC 8428, 4.4)
        rows.unread.append(_wrong_version(number, newest))
        return
    base: dict[str, Any] = {}
    for place, record in enumerate(given):
        if not isinstance(record, dict):
            rows.unread.append(Unread(number, RefusalReason.UNREADABLE, shown(record), rows.expected))
            continue
        base.update((name, record[name]) for name in _BASES if record.get(name) is not None)
        wrong_base = _wrong_field(base, number, None)
        if wrong_base is not None:
            # A base holds for all that follow: none of them can be resolved.
            rows.unread.extend([wrong_base] * (len(given) - place))
            return
        _read_record(record, base, number, rows)


def _read_record(record: dict[str, Any], base: dict[str, Any], number: int, rows: Rows) -> None:
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
