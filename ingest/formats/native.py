"""The project's own JSON: one object or a list of ``{"id", "t", "v", "u"?, "q"?, "s"?}``; see docs/formats.md."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from ingest.formats.columns import (
    EXPECTED_NUMBER,
    READ_ERRORS,
    Decoded,
    Unread,
    ZonedTime,
    column_us,
    expected_time,
    explain_time,
    placeable,
    read_number,
    read_time,
    seconds_of_any,
    shown,
)
from ingest.formats.loose import load
from ingest.model import Int32s, Int64s, Quality, RefusalReason, Uint8s

EXPECTED = 'JSON in UTF-8: an object or a list of objects like {"id": "gas-1", "t": 1700000000, "v": 1.5}'
Mark = Literal["good", "simulated", "doubtful"]
MARKS: dict[str, Mark] = {"good": "good", "simulated": "simulated", "doubtful": "doubtful"}
QUALITIES: dict[Mark | None, int] = {
    None: Quality.GOOD,
    "good": Quality.GOOD,
    "simulated": Quality.SIMULATED,
    "doubtful": Quality.DOUBTFUL,
}


class Item(msgspec.Struct, gc=False):
    """One reading as it stands in the payload; lives no longer than the batch's decoding."""

    id: str
    t: float | ZonedTime
    v: float
    u: str | None = None
    q: Mark | None = None
    s: int | float | str | bool | None = None


class Bare(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One reading that has what it needs and nothing else: most have."""

    id: str
    t: float
    v: float


class LocalItem(msgspec.Struct, gc=False):
    """The same where times may be written without a zone."""

    id: str
    t: float | datetime
    v: float
    u: str | None = None
    q: Mark | None = None
    s: int | float | str | bool | None = None


AnyItem = Item | LocalItem | Bare

_decode_bare = msgspec.json.Decoder(Bare | list[Bare]).decode
_decode = msgspec.json.Decoder(Item | list[Item]).decode
_decode_local = msgspec.json.Decoder(LocalItem | list[LocalItem]).decode


def decode(
    payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    del topics  # the ids stand in the payloads
    reading = _Reading(received_us, zone)
    got = reading.read(payloads)
    try:
        ids = [item.id for item in got]
    except AttributeError:  # some are packs
        return reading.columns(*reading.flat(got))
    return reading.columns(got, ids, np.arange(len(got), dtype=np.int32))


class _Reading:
    """One call of decode."""

    def __init__(self, received_us: Int64s, zone: ZoneInfo | None) -> None:
        self.received_us = received_us
        self.zone = zone
        self.unread: list[Unread] = []
        self.bare = True  # every item is Bare

    def read(self, payloads: Sequence[bytes]) -> list[Any]:
        """Of every payload its item, or its list of those items that can be read."""
        # One call per payload, not one over all of them joined: a payload that breaks off in the middle would
        # be completed by the one behind it, and two wrong messages would become one reading nobody sent.
        try:
            return list(map(_decode_bare, payloads))
        except READ_ERRORS:
            self.bare = False
        decode_one = _decode if self.zone is None else _decode_local
        got: list[Any] = []
        rest = iter(payloads)
        while True:
            try:
                got.extend(map(decode_one, rest))
            except READ_ERRORS:  # what came before it is kept, what comes behind it is still in the iterator
                number = len(got)
                got.append(self._read_loosely(payloads[number], number))
            else:
                return got

    def flat(self, got: list[Any]) -> tuple[list[AnyItem], list[str], Int32s]:
        """Items, their ids, and the number of each one's payload, of payloads some of which hold lists."""
        packs = [one if isinstance(one, list) else [one] for one in got]
        sizes = np.fromiter(map(len, packs), np.int64, len(packs))
        if not sizes.all():
            explained = {unread.message for unread in self.unread}
            for number in np.flatnonzero(sizes == 0).tolist():
                if number not in explained:
                    self.unread.append(Unread(number, RefusalReason.UNREADABLE, "an empty list", EXPECTED))
        items = list(chain.from_iterable(packs))
        return items, [item.id for item in items], np.repeat(np.arange(len(packs), dtype=np.int32), sizes)

    def columns(self, items: list[AnyItem], ids: list[str], message: Int32s) -> Decoded:
        """Columns of items, without those whose time cannot be placed."""
        length = len(items)
        times: list[Any] = [item.t for item in items]
        try:
            seconds = np.fromiter(times, np.float64, length)
        except TypeError:  # some are datetimes
            seconds = np.fromiter(self._seconds(times, message), np.float64, length)
        possible = placeable(seconds)
        if not possible.all():
            for row in np.flatnonzero(~possible).tolist():
                self._refuse_time(items[row], int(message[row]))
            keep = np.flatnonzero(possible).tolist()
            items, ids = [items[row] for row in keep], [ids[row] for row in keep]
            message, seconds, length = message[possible], seconds[possible], len(keep)
        value = np.fromiter([item.v for item in items], np.float64, length)
        units, quality, sequence = (None, None, None) if self.bare else _optional(items)
        if quality is None:
            quality = np.zeros(length, np.uint8)
        return Decoded(message, ids, column_us(seconds), value, units, quality, self.unread, sequence)

    def _seconds(self, times: Sequence[float | datetime], message: Int32s) -> Iterator[float]:
        received_us = self.received_us[message].tolist()
        for given, at_us in zip(times, received_us, strict=True):
            yield given if isinstance(given, float) else seconds_of_any(given, self.zone, at_us)

    def _refuse_time(self, item: AnyItem, number: int) -> None:
        expected = expected_time(item.t, self.zone)
        self.unread.append(Unread(number, RefusalReason.BAD_TIME, explain_time(item.t), expected, item.id))

    def _read_loosely(self, payload: bytes, number: int) -> list[Item]:
        """The readable items of a payload in which something is wrong; what is wrong goes to ``unread``."""
        given = load(payload, number, EXPECTED)
        if isinstance(given, Unread):
            self.unread.append(given)
            return []
        good: list[Item] = []
        for thing in given if isinstance(given, list) else [given]:
            item = _check(thing, number, self.zone, int(self.received_us[number]))
            if isinstance(item, Item):
                good.append(item)
            else:
                self.unread.append(item)
        return good


def _optional(items: list[Any]) -> tuple[list[str | None] | None, Uint8s | None, list[int | None] | None]:
    """Units, qualities and counts, each None where no item names any."""
    units = [item.u for item in items]
    marks = [item.q for item in items]
    none = len(items)
    return (
        None if units.count(None) == none else units,
        None if marks.count(None) == none else np.array([QUALITIES[mark] for mark in marks], np.uint8),
        _counts([item.s for item in items]),
    )


def _counts(given: list[Any]) -> list[int | None] | None:
    """The devices' own counts; what is no whole number is passed over, as other fields are."""
    if given.count(None) == len(given):
        return None
    return [_count(one) for one in given]


def _count(given: Any) -> int | None:
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _check(thing: Any, number: int, zone: ZoneInfo | None, received_us: int) -> Item | Unread:
    """One item, or the first thing that is wrong with it."""
    if not isinstance(thing, dict):
        return Unread(number, RefusalReason.UNREADABLE, shown(thing), EXPECTED)
    sensor_id = thing.get("id")
    named = sensor_id if isinstance(sensor_id, str) else None
    missing = next((name for name in ("id", "t", "v") if name not in thing), None)
    if missing is not None:
        return Unread(number, RefusalReason.MISSING_FIELD, f"no {missing}", "id, t and v", named)
    if named is None:
        return Unread(number, RefusalReason.UNREADABLE, f"id {shown(sensor_id)}", "id as a text")
    seconds, value = read_time(thing["t"], zone, received_us), read_number(thing["v"])
    if seconds is None:
        expected = expected_time(thing["t"], zone)
        return Unread(number, RefusalReason.BAD_TIME, explain_time(thing["t"]), expected, named)
    if value is None:
        return Unread(number, RefusalReason.NOT_A_NUMBER, shown(thing["v"]), EXPECTED_NUMBER, named)
    return _check_optional(named, seconds, value, thing, number)


def _check_optional(named: str, seconds: float, value: float, thing: dict[str, Any], number: int) -> Item | Unread:
    unit, mark, count = thing.get("u"), thing.get("q"), _count(thing.get("s"))
    if unit is not None and not isinstance(unit, str):
        return Unread(number, RefusalReason.WRONG_UNIT, shown(unit), "u as a text, or none", named)
    if mark is None:
        return Item(named, seconds, value, unit, None, count)
    if not isinstance(mark, str) or mark not in MARKS:
        # Neither trusted nor thrown away unseen: a mark nobody knows is put before a person.
        return Unread(number, RefusalReason.UNREADABLE, f"q {shown(mark)}", "q as good, simulated or doubtful", named)
    return Item(named, seconds, value, unit, MARKS[mark], count)
