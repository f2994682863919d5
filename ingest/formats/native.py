"""The project's own JSON: one object or a list of ``{"id", "t", "v", "u"?, "q"?, "s"?}``; see docs/formats.md."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from ingest.formats.columns import (
    EXPECTED_NUMBER,
    EXPECTED_TIME,
    READ_ERRORS,
    Decoded,
    Unread,
    ZonedTime,
    column_us,
    explain_time,
    placeable,
    read_number,
    read_time,
    seconds_of,
    shown,
)
from ingest.formats.loose import load
from ingest.model import Int64s, Quality, RefusalReason

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


_decode = msgspec.json.Decoder(Item | list[Item]).decode


def decode(payloads: Sequence[bytes], received_us: Int64s) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    del received_us  # every reading of this format carries its own time
    items: list[Item] = []
    numbers: list[int] = []
    unread: list[Unread] = []
    # One call per payload, not one over all of them joined: a payload that breaks off in the middle would
    # be completed by the one behind it, and two wrong messages would become one reading nobody sent.
    for number, payload in enumerate(payloads):
        try:
            got = _decode(payload)
        except READ_ERRORS:
            got = _read_loosely(payload, number, unread)
        if isinstance(got, Item):
            items.append(got)
            numbers.append(number)
        elif got:
            items.extend(got)
            numbers.extend([number] * len(got))
        elif not unread or unread[-1].message != number:
            unread.append(Unread(number, RefusalReason.UNREADABLE, "an empty list", EXPECTED))
    return _columns(items, numbers, unread)


def _columns(items: list[Item], numbers: list[int], unread: list[Unread]) -> Decoded:
    try:
        seconds = np.array([item.t for item in items], np.float64)
    except TypeError:  # some are datetimes
        seconds = np.array([item.t if isinstance(item.t, float) else seconds_of(item.t) for item in items], np.float64)
    possible = placeable(seconds)
    if not possible.all():
        for row in np.flatnonzero(~possible).tolist():
            item = items[row]
            found = explain_time(item.t)
            unread.append(Unread(numbers[row], RefusalReason.BAD_TIME, found, EXPECTED_TIME, item.id))
        keep = np.flatnonzero(possible).tolist()
        items, numbers, seconds = [items[row] for row in keep], [numbers[row] for row in keep], seconds[possible]
    units = [item.u for item in items]
    marks = [item.q for item in items]
    none = len(items)
    return Decoded(
        message=np.array(numbers, np.int32),
        ids=[item.id for item in items],
        event_us=column_us(seconds),
        value=np.array([item.v for item in items], np.float64),
        units=None if units.count(None) == none else units,
        quality=np.zeros(none, np.uint8)
        if marks.count(None) == none
        else np.array([QUALITIES[mark] for mark in marks], np.uint8),
        unread=unread,
        sequence=_counts([item.s for item in items]),
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


def _read_loosely(payload: bytes, number: int, unread: list[Unread]) -> list[Item]:
    """The readable items of a payload in which something is wrong; what is wrong goes to ``unread``."""
    given = load(payload, number, EXPECTED)
    if isinstance(given, Unread):
        unread.append(given)
        return []
    good: list[Item] = []
    for thing in given if isinstance(given, list) else [given]:
        item = _check(thing, number)
        if isinstance(item, Item):
            good.append(item)
        else:
            unread.append(item)
    return good


def _check(thing: Any, number: int) -> Item | Unread:
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
    seconds, value = read_time(thing["t"]), read_number(thing["v"])
    if seconds is None:
        return Unread(number, RefusalReason.BAD_TIME, explain_time(thing["t"]), EXPECTED_TIME, named)
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
