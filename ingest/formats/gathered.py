"""What device formats share: named fields of devices gathered into columns, nested values flattened, JSON read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from ingest.formats.columns import EXPECTED_NUMBER, READ_ERRORS, Decoded, Request, Unread, read_number, shown
from ingest.formats.loose import load
from ingest.model import Int64s, Quality, RefusalReason

DEEPEST: Final = 16
"""Objects within objects up to here are flattened; what lies deeper counts as one field that is no number."""

MOST_FIELDS: Final = 10_000
"""Fields of one message; one with more is refused whole."""

_CONTAINERS: Final = (dict, list)
_decode = msgspec.json.Decoder().decode


def read_json(payload: bytes, message: int, expected: str) -> Any | Unread:
    """The JSON of a payload, numbers that are not finite included, or why there is none."""
    try:
        return _decode(payload)
    except READ_ERRORS:
        return load(payload, message, expected)


def flat(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of everything within an object: names joined by dots, members of lists by their place from 0.

    >>> list(flat({"a": {"b": 1}, "c": [2, {"d": 3}]}))
    [('a.b', 1), ('c.0', 2), ('c.1.d', 3)]
    """
    for key, value in given.items():
        if isinstance(value, _CONTAINERS):
            yield from _within(value, str(key), 1)
        else:
            yield str(key), value


def _within(given: Any, name: str, deep: int) -> Iterator[tuple[str, Any]]:
    for key, value in given.items() if isinstance(given, dict) else enumerate(given):
        if isinstance(value, _CONTAINERS) and deep < DEEPEST:
            yield from _within(value, f"{name}.{key}", deep + 1)
        else:
            yield f"{name}.{key}", value


SWITCHES: Final[Mapping[str, float]] = {"ON": 1.0, "OFF": 0.0}
"""Texts in which some devices say how a switch stands."""


class Gathered:
    """The growing columns of one call of a decoder. Say ``begin`` for each message, then what it holds.

    A message that leaves neither a reading nor a refusal counts as one that speaks of something else.
    """

    def __init__(self) -> None:
        self.number = -1
        self._message: list[int] = []
        self._ids: list[str] = []
        self._devices: list[str] = []
        self._times: list[int] = []
        self._values: list[float] = []
        self._units: list[str | None] = []
        self._quality: list[int] = []
        self._sequence: list[int | None] = []
        self._unread: list[Unread] = []
        self._requests: list[Request] = []
        self._passed_over = 0
        self._others = 0
        self._before = 0

    def begin(self, number: int) -> None:
        """From here on it is this message, a number in the payloads given."""
        self._end()
        self.number = number
        self._before = len(self._ids) + len(self._unread)

    def _end(self) -> None:
        if self.number >= 0 and len(self._ids) + len(self._unread) == self._before:
            self._others += 1

    def add(
        self,
        device: str,
        field: str,
        event_us: int,
        value: float,
        *,
        unit: str | None = None,
        quality: Quality = Quality.GOOD,
        sequence: int | None = None,
    ) -> None:
        """Take one reading. value: finite. event_us: of the years 1 to 9999."""
        self._message.append(self.number)
        self._ids.append(f"{device}/{field}")
        self._devices.append(device)
        self._times.append(event_us)
        self._values.append(value)
        self._units.append(unit)
        self._quality.append(quality)
        self._sequence.append(sequence)

    def take(
        self,
        device: str,
        field: str,
        event_us: int,
        given: Any,
        *,
        unit: str | None = None,
        quality: Quality = Quality.GOOD,
        sequence: int | None = None,
    ) -> None:
        """Take one value as JSON holds it: a number, true as 1 and false as 0; null is passed over, others refused."""
        if given is None:
            self._passed_over += 1
            return
        value = float(given) if isinstance(given, bool) else read_number(given)
        if value is None:
            self.refuse(RefusalReason.NOT_A_NUMBER, f"{field} {shown(given)}", EXPECTED_NUMBER, device, field)
        else:
            self.add(device, field, event_us, value, unit=unit, quality=quality, sequence=sequence)

    def take_all(
        self,
        device: str,
        event_us: int,
        given: Mapping[str, Any],
        *,
        quality: Quality = Quality.GOOD,
        sequence: int | None = None,
        switches: bool = False,
        unit_of: Callable[[str], str | None] | None = None,
    ) -> None:
        """Take every value within an object, under its name.

        switches: ON and OFF are read as 1 and 0. unit_of: the unit of a field, where the format says one.
        """
        fields = list(flat(given))
        if len(fields) > MOST_FIELDS:
            found = f"{len(fields)} fields"
            self.refuse(RefusalReason.UNREADABLE, found, f"at most {MOST_FIELDS} fields in a message", device)
            return
        for field, value in fields:
            unit = unit_of(field) if unit_of is not None else None
            said = SWITCHES.get(value, value) if switches and isinstance(value, str) else value
            self.take(device, field, event_us, said, unit=unit, quality=quality, sequence=sequence)

    def refuse(
        self, reason: RefusalReason, found: str, expected: str, device: str | None = None, field: str | None = None
    ) -> None:
        """Refuse one field of a device, or without a field the message.

        A field that no sensor is named for is not refused but passed over, see ``Unread.device``.
        """
        named = f"{device}/{field}" if device is not None and field is not None else None
        self._unread.append(Unread(self.number, reason, found, expected, named, device))

    def unread(self, unread: Unread) -> None:
        """Take what ``read_json`` could not read."""
        self._unread.append(unread)

    def pass_over(self, fields: int = 1) -> None:
        """Count fields that hold nothing."""
        self._passed_over += fields

    def request(self, request: Request) -> None:
        """Ask for something to be published."""
        self._requests.append(request)

    def columns(self) -> Decoded:
        """The columns of all messages so far. Call it once, at the end."""
        self._end()
        units, sequence, length = self._units, self._sequence, len(self._ids)
        return Decoded(
            message=np.array(self._message, np.int32),
            ids=self._ids,
            event_us=np.array(self._times, np.int64),
            value=np.array(self._values, np.float64),
            units=None if units.count(None) == length else units,
            quality=np.array(self._quality, np.uint8),
            unread=self._unread,
            sequence=None if sequence.count(None) == length else sequence,
            devices=self._devices,
            others=self._others,
            passed_over=self._passed_over,
            requests=self._requests,
        )


def decode_each(
    payloads: Sequence[bytes],
    topics: Sequence[str],
    received_us: Int64s,
    read: Callable[[Gathered, bytes, str, int], None],
) -> Decoded:
    """Columns of payloads, each read by itself. read: takes the payload, its topic and when it was received."""
    gathered = Gathered()
    for number, (payload, topic, at_us) in enumerate(zip(payloads, topics, received_us.tolist(), strict=True)):
        gathered.begin(number)
        read(gathered, payload, topic, at_us)
    return gathered.columns()
