"""What every payload format is decoded into: columns of readings, and what could not be read, by message number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from ingest.formats.local_time import seconds_of_local
from ingest.model import Bools, Float64s, Int32s, Int64s, RefusalReason, Uint8s

SHOWN = 120
"""Most characters of a payload's own text that a refusal repeats."""

EARLIEST_S, LATEST_S = -62_135_596_800.0, 253_402_300_799.0
"""Unix seconds of the first and the last second that can be placed: years 1 to 9999, in UTC."""

ZonedTime = Annotated[datetime, msgspec.Meta(tz=True)]
"""An RFC 3339 time. One without zone is refused: a local time is never guessed at."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EXPECTED_TIME = "Unix seconds, or RFC 3339 with a zone"
EXPECTED_NUMBER = "a finite number"

READ_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises over bytes it cannot read (measured over random bytes in the tests)."""

_TIME_ERRORS = (msgspec.ValidationError, UnicodeEncodeError, OverflowError)  # UnicodeEncodeError: lone surrogates


@dataclass(frozen=True, slots=True)
class Unread:
    """One reading, or one whole message, that could not be read. message: its number in the payloads given.

    sensor_id: the id it names, None where it names none. device: see ``Decoded.devices``; of a listed device only the
    fields that somebody wants are refused, the others are passed over like all that nobody asked for.
    """

    message: int
    reason: RefusalReason
    found: str
    expected: str
    sensor_id: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a decoder wants published, with QoS 0: a node asked to say again what its numbers mean."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """Readings as columns of one length, in order of their messages.

    message: number in the payloads given, int32. event_us: of the years 1 to 9999.
    value: finite, in the unit given. units: None at a place, or for the whole column, where the payload
    names none. quality: GOOD, SIMULATED, DOUBTFUL, or LATE (history), as the device says. sequence: the device's own
    count of its readings, None at a place, or for the whole column, where it gives none.

    devices: where a format names devices and their fields, the device of each reading; its id is then
    ``{device}/{field}``, looked up in the city's ``fields.csv``. None where the ids are those of sensors. others: how
    many messages speak of something else than readings (a join, a birth, an object that still stands there): neither
    refused nor readings. passed_over: fields that say of themselves that they hold nothing (null). requests: what is to
    be published now; how often it may be is the decoder's duty.
    """

    message: Int32s
    ids: Sequence[str]
    event_us: Int64s
    value: Float64s
    units: Sequence[str | None] | None
    quality: Uint8s
    unread: Sequence[Unread]
    sequence: Sequence[int | None] | None = None
    devices: Sequence[str] | None = None
    others: int = 0
    passed_over: int = 0
    requests: Sequence[Request] = ()


class Decoder(Protocol):
    """Decodes payloads of one format. One that remembers former messages is an object with ``__call__``."""

    def __call__(
        self, payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
    ) -> Decoded:
        """Columns of payloads, whatever their bytes and topics are: never raises.

        topics: where each payload came from, as many. received_us: when each was received, shape (payloads,). zone: of
        times that are written without one; without it such times are refused.
        """
        ...


def shown(value: object) -> str:
    """A piece of a payload as a person may read it: JSON-like, cut at ``SHOWN``, safe to write as UTF-8."""
    text = repr(value) if isinstance(value, float) else _as_json(value)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _as_json(value: object) -> str:
    if isinstance(value, str):
        return f'"{value[: SHOWN + 1]}"'
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() < 4 * SHOWN else f"an integer of {value.bit_length()} bits"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return {True: "true", False: "false", None: "null"}.get(value, str(value))  # type: ignore[call-overload, no-any-return]  # the rest of JSON


def shown_payload(payload: bytes) -> str:
    """The beginning of a payload, for a person."""
    if not payload:
        return "an empty payload"
    text = payload[: SHOWN + 1].decode("utf-8", "backslashreplace")
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def column_us(seconds: Float64s) -> Int64s:
    """Microseconds of Unix seconds, rounded. Shape (n,) > (n,)."""
    return np.rint(seconds * 1e6).astype(np.int64)


def placeable(seconds: Float64s) -> Bools:
    """Which Unix seconds can be placed at all: finite, and within the years 1 to 9999."""
    # A comparison with NaN is False, so NaN is not placeable.
    answer: Bools = (seconds >= EARLIEST_S) & (seconds <= LATEST_S)
    return answer


def seconds_of(moment: datetime) -> float:
    """Unix seconds of an aware datetime."""
    return (moment - EPOCH).total_seconds()


def read_time(given: Any, zone: ZoneInfo | None = None, received_us: int = 0) -> float | None:
    """Unix seconds of a JSON number or an RFC 3339 text; None where it is neither, or a time that cannot be placed.

    zone, received_us: for a text without zone, see ``ingest.formats.local_time.seconds_of_local``.
    """
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        if isinstance(given, str):
            moment = msgspec.convert(given, datetime if zone else ZonedTime)
            seconds = seconds_of_any(moment, zone, received_us)
        else:
            seconds = float(given)
    except _TIME_ERRORS:
        return None
    return seconds if EARLIEST_S <= seconds <= LATEST_S else None


def read_time_us(given: Any, zone: ZoneInfo | None = None, received_us: int = 0) -> int | None:
    """The same in whole microseconds."""
    seconds = read_time(given, zone, received_us)
    return None if seconds is None else round(seconds * 1e6)


def seconds_of_any(moment: datetime, zone: ZoneInfo | None, received_us: int) -> float:
    """Unix seconds of a datetime, local in ``zone`` where it has none itself; NaN where it cannot be placed."""
    if moment.tzinfo is not None or zone is None:
        return seconds_of(moment)
    return seconds_of_local(moment, zone, received_us)


def read_number(given: Any) -> float | None:
    """A finite float of a JSON number; None for anything else (a text, true, null, NaN, 1e999)."""
    if type(given) is float:  # which is quicker to ask than whether it is one of several
        return given if isfinite(given) else None
    if type(given) is not int:
        return None
    try:
        return float(given)
    except OverflowError:
        return None


def expected_time(given: Any, zone: ZoneInfo | None) -> str:
    """What is expected in the place of a time that could not be placed."""
    if zone is None:
        return EXPECTED_TIME
    if isinstance(given, datetime):
        given = given.isoformat()
    try:
        msgspec.convert(given, datetime)
    except _TIME_ERRORS:
        return f"Unix seconds, or RFC 3339 (without a zone it is {zone.key})"
    return f"a time that there is in {zone.key} (its clocks skip this one), in the years 1 to 9999"


def explain_time(given: Any) -> str:
    """What to say of a time that could not be placed."""
    if isinstance(given, datetime):
        given = given.isoformat()
    if isinstance(given, int | float) and not isinstance(given, bool) and LATEST_S < given < LATEST_S * 1e6:
        return f"{shown(given)} (milliseconds or microseconds?)"
    return shown(given)
