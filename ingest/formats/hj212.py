"""HJ 212-2017 text frames of environmental stations: ``##``, length, data segment, CRC, CR LF; several in one payload.

Sources: HJ 212-2017 (frame, CRC, Flag bits, data marks and the factor table of appendix B as public implementations
transcribe them), HJ/T 212-2005 (version 0) and HJ 212-2025 (version 2, in force since 2026-01-01; its ``RF=1`` for
what is sent later, its encrypted CP, its CRC example) as implementations quote the original. Not verified against the
printed text: which end of its period the DataTime of an average names (it is taken as it stands), and that times are
Beijing time: the wire names no zone, so it is the subscription's, Asia/Shanghai where that names none. The standard is
for TCP; over MQTT a gateway carries the frames, so a missing CR LF is no fault.

Device: ``MN``. Field: the name on the wire, ``a34004-Rtd``; what CN 2051, 2061 and 2031 sum up are other series, behind
``minute/``, ``hour/`` and ``day/``. Only these four commands carry readings.

Units do not stand on the wire. The standard's table and the stations differ (the table prints ng/m³ for PM2.5 and
mg/m³ for NO2, stations send µg/m³; pressure comes in kPa and in hPa), so no unit is claimed: it is said where the
sensor or its field is configured.

Data marks (``-Flag``): N is good; T (above the instrument's limit) too: the danger may be greater than the instrument
can show, and that must not make it fall silent; D, B, F, M, C and S are DOUBTFUL. Of 2005 there are besides P (power
failure), and for air stations 0 (calibration), 1 (weather), 2 (abnormal), 3 (normal). None, and an empty one, is N;
another letter is refused. Parts
of a split frame (PNUM, PNO) are put together when all are there, or refused when they do not come.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from math import isfinite, nan
from typing import Final
from zoneinfo import ZoneInfo

from ingest.formats.columns import EARLIEST_S, EXPECTED_NUMBER, LATEST_S, SHOWN, Decoded, shown
from ingest.formats.gathered import MOST_FIELDS, Gathered
from ingest.formats.local_time import seconds_of_local
from ingest.model import Int64s, Quality, RefusalReason

EXPECTED: Final = "an HJ 212 frame: ## + 4 digits of length + data + 4 hexadecimal digits of CRC"
EXPECTED_TIME: Final = "DataTime as YYYYMMDDhhmmss"

PERIODS: Final = {b"2011": "", b"2051": "minute/", b"2061": "hour/", b"2031": "day/"}
"""The commands that carry readings, and what their fields begin with."""

VERSIONS: Final = {0: "HJ/T 212-2005", 1: "HJ 212-2017", 2: "HJ 212-2025"}
QUALITIES: Final = dict.fromkeys((b"N", b"T", b"1", b"3"), Quality.GOOD) | dict.fromkeys(
    (b"D", b"B", b"F", b"M", b"C", b"S", b"P", b"0", b"2"), Quality.DOUBTFUL
)
MARKS: Final = "N, F, M, S, D, C, T or B (in 2005 also P, 0, 1, 2 or 3)"

BEIJING: Final = ZoneInfo("Asia/Shanghai")

MOST_SPLIT: Final = 256
"""Split frames that are waited for at once; beyond that the oldest is given up."""

MOST_PARTS: Final = 64
WAIT_US: Final = 120_000_000
"""How long the parts of a frame may take to come."""

_NUMBER: Final = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_DIGITS: Final = re.compile(rb"\d{14}(\d{3})?")
_KEY: Final = re.compile(rb"[A-Za-z0-9]+-[A-Za-z]+=")
_NO_VALUES: Final = (b"Flag", b"EFlag", b"SampleTime", b"Info")


def _table() -> tuple[int, ...]:
    """What eight shifts make of a byte: the check reads one byte a step."""
    rows = []
    for row in range(256):
        crc = row
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        rows.append(crc)
    return tuple(rows)


_TABLE: Final = _table()
_HIGH: Final = bytes(row >> 8 for row in _TABLE)


def crc16(data: bytes) -> int:
    """The check of HJ 212, appendix A: unlike that of Modbus the register's *high* byte meets the next one.

    >>> f"{crc16(b'QN=20240601085857223;ST=32;CN=1011;PW=123456;MN=010000A8900016F000169DC0;Flag=9;CP=&&&&'):04X}"
    '2200'
    """
    if not data:
        return 0xFFFF
    high = 0xFF  # of the low byte nothing is left after eight shifts but what the table says
    for byte in data[:-1]:
        high = _HIGH[high ^ byte]
    return _TABLE[high ^ data[-1]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame says beside its readings. parts, part: 0 where it is not split."""

    device: str
    command: bytes
    content: bytes
    parts: int = 0
    part: int = 0
    later: bool = False  # RF=1: sent again after a break


@dataclass(slots=True)
class _Split:
    """The parts of one frame that have come so far."""

    since_us: int
    frame: Frame
    contents: dict[int, bytes] = field(default_factory=dict)


class _Bad(Exception):  # noqa: N818  # a frame that cannot be read, not a fault of ours
    def __init__(self, reason: RefusalReason, found: str, expected: str, device: str | None = None) -> None:
        super().__init__(found)
        self.reason, self.found, self.expected, self.device = reason, found, expected, device


class Decoder:
    """Decodes HJ 212 frames, and keeps the parts of split ones until all are there."""

    def __init__(self) -> None:
        self._split: OrderedDict[tuple[str, bytes, int], _Split] = OrderedDict()

    def __call__(
        self, payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
    ) -> Decoded:
        """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
        del topics  # a frame names its station itself
        gathered = Gathered()
        for number, (payload, at_us) in enumerate(zip(payloads, received_us.tolist(), strict=True)):
            gathered.begin(number)
            self._give_up(gathered, at_us)
            for segment in _segments(payload):
                try:
                    frame = _frame(segment) if isinstance(segment, bytes) else _raise(segment)
                    for whole in self._whole(gathered, frame, at_us):
                        _take(gathered, whole, zone or BEIJING, at_us)
                except _Bad as bad:
                    gathered.refuse(bad.reason, bad.found, bad.expected, bad.device)
        return gathered.columns()

    def _whole(self, gathered: Gathered, frame: Frame, at_us: int) -> Iterator[Frame]:
        """The frame itself, or all parts of a split one once they are there."""
        if not frame.parts:
            yield frame
            return
        key = (frame.device, frame.command, frame.parts)
        split = self._split.get(key)
        if split is not None and frame.part in split.contents:
            if split.contents[frame.part] == frame.content:
                return  # the same part once more
            self._refuse(gathered, key)
            split = None
        if split is None:
            split = self._split[key] = _Split(at_us, frame)
            if len(self._split) > MOST_SPLIT:
                self._refuse(gathered, next(iter(self._split)))
        split.contents[frame.part] = frame.content
        if len(split.contents) == frame.parts:
            del self._split[key]
            for content in _joined([split.contents[part] for part in range(1, frame.parts + 1)]):
                yield Frame(frame.device, frame.command, content, later=frame.later or split.frame.later)

    def _give_up(self, gathered: Gathered, at_us: int) -> None:
        """Refuse what has waited too long for its other parts (or was there before the clock was put back)."""
        while self._split:
            key, split = next(iter(self._split.items()))
            if 0 <= at_us - split.since_us <= WAIT_US:
                return
            self._refuse(gathered, key)

    def _refuse(self, gathered: Gathered, key: tuple[str, bytes, int]) -> None:
        split = self._split.pop(key)
        came = ", ".join(map(str, sorted(split.contents)))
        found = f"PNO {came} of {key[2]} of an earlier frame of {shown(key[0])}"
        gathered.refuse(
            RefusalReason.MISSING_FIELD, found, f"all {key[2]} parts within {WAIT_US // 1_000_000} s", key[0]
        )


def _raise(bad: _Bad) -> Frame:
    raise bad


def _seen(piece: bytes) -> str:
    """The beginning of a piece for a person; Chinese in whatever encoding stations write it."""
    for encoding in ("utf-8", "gb18030"):
        try:
            text = piece[: 2 * SHOWN].decode(encoding)
        except UnicodeDecodeError:
            continue
        return text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return piece[:SHOWN].decode("ascii", "backslashreplace")


@lru_cache(maxsize=4096)
def _field(code: bytes, kind: bytes) -> str:
    return f"{_seen(code)}-{_seen(kind)}"


def _segments(payload: bytes) -> Iterator[bytes | _Bad]:
    """The data segments of all frames in a payload, and in the place of a broken one what is wrong with it."""
    rest = payload.strip(b"\r\n\t \x00")
    if not rest:
        yield _Bad(RefusalReason.UNREADABLE, "an empty payload", EXPECTED)
    while rest:
        segment, rest = _segment(rest)
        yield segment
        rest = rest.lstrip(b"\r\n\t \x00")


def _segment(rest: bytes) -> tuple[bytes | _Bad, bytes]:
    """The first frame's data segment or what is wrong with it, and what stands behind it."""
    behind = rest[_next(rest) :]
    if not rest.startswith(b"##") or not rest[2:6].isdigit():
        return _Bad(RefusalReason.UNREADABLE, _seen(rest[: len(rest) - len(behind)]), EXPECTED), behind
    if b"CP=&&{0x" in rest[: len(rest) - len(behind)]:
        found = "an encrypted CP (SM4)"
        return _Bad(RefusalReason.UNREADABLE, found, "a CP in plain text: this daemon holds no station's keys"), behind
    length = int(rest[2:6])
    data, check = rest[6 : 6 + length], rest[6 + length : 10 + length]
    if len(check) < 4:
        found = f"length {rest[2:6].decode()}, and {max(0, len(rest) - 10)} bytes of data"
        return _Bad(RefusalReason.UNREADABLE, found, "as many bytes of data as the length says, then the CRC"), behind
    wanted = f"{crc16(data):04X}"
    if check.upper() != wanted.encode():
        return _Bad(
            RefusalReason.UNREADABLE, f"CRC {_seen(check)} behind {length} bytes of data", f"CRC {wanted}"
        ), behind
    return data, rest[10 + length :]


def _next(rest: bytes) -> int:
    """Where the next frame may begin behind the first two bytes."""
    place = rest.find(b"##", 2)
    return len(rest) if place < 0 else place


def _frame(data: bytes) -> Frame:
    """The frame of a data segment. Raises _Bad."""
    head, found, content = data.partition(b"CP=&&")
    if not found or not content.endswith(b"&&"):
        raise _Bad(RefusalReason.MISSING_FIELD, f"no CP=&&…&& in {_seen(data)}", "CP=&&…&& at the end of the data")
    fields = dict(one.split(b"=", 1) for one in head.split(b";") if b"=" in one)
    device, command = _seen(fields.get(b"MN", b"")).strip(), fields.get(b"CN", b"")
    for name in (b"MN", b"CN"):
        if not fields.get(name, b"").strip():
            raise _Bad(RefusalReason.MISSING_FIELD, f"no {name.decode()} in {_seen(head)}", "MN and CN")
    flag = _number(fields, b"Flag", 0, 255, device)
    if flag >> 2 not in VERSIONS:
        found_version = f"version {flag >> 2} (Flag={flag})"
        raise _Bad(
            RefusalReason.UNREADABLE, found_version, " or ".join(f"{n} ({v})" for n, v in VERSIONS.items()), device
        )
    later = fields.get(b"RF", b"").strip() == b"1"
    if not flag & 2 and b"PNUM" not in fields:
        return Frame(device, command, content[:-2], later=later)
    parts = _number(fields, b"PNUM", 1, MOST_PARTS, device)
    part = _number(fields, b"PNO", 1, parts or 1, device)
    if not parts or not part:
        raise _Bad(RefusalReason.MISSING_FIELD, f"Flag={flag} without PNUM and PNO", "both, for a split frame", device)
    return Frame(device, command, content[:-2], parts if parts > 1 else 0, part, later)


def _number(fields: dict[bytes, bytes], name: bytes, low: int, high: int, device: str) -> int:
    """A whole number of the head, 0 where there is none. Raises _Bad."""
    text = fields.get(name, b"").strip()
    if not text:
        return 0
    if not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
        raise _Bad(
            RefusalReason.UNREADABLE,
            f"{name.decode()} {shown(_seen(text))}",
            f"{name.decode()} {low} to {high}",
            device,
        )
    return int(text)


def _joined(contents: list[bytes]) -> list[bytes]:
    """Contents to be read: parts that all have their own DataTime one by one, else the one text they were cut from."""
    if all(b"DataTime=" in content for content in contents):
        return contents
    whole = contents[0]
    for content in contents[1:]:
        # A station that leaves the separator out between its parts cut behind a whole item, not within a name.
        item = whole.replace(b";", b",").rpartition(b",")[2]
        whole += (b";" if b"=" in item and _KEY.match(content) else b"") + content
    return [whole]


def _take(gathered: Gathered, frame: Frame, zone: ZoneInfo, at_us: int) -> None:
    """Take the readings of a whole frame. Raises _Bad."""
    period = PERIODS.get(frame.command.strip())
    if period is None:
        return
    items = [item.split(b"=", 1) for item in frame.content.replace(b";", b",").split(b",") if item.strip()]
    if len(items) > MOST_FIELDS:
        found = f"{len(items)} items"
        raise _Bad(RefusalReason.UNREADABLE, found, f"at most {MOST_FIELDS} items in a frame", frame.device)
    for block in _blocks([item for item in items if len(item) == 2]):
        marks, values, event_us = _sorted(block, frame, zone, at_us)
        for code, kind, text in values:
            named = period + _field(code, kind)
            _take_value(gathered, frame, named, event_us, text, mark=marks.get(code, b"N"))


def _blocks(items: list[list[bytes]]) -> Iterator[list[list[bytes]]]:
    """Items by their DataTime, where there are several; one holds for all of the frame, wherever it stands."""
    starts = [place for place, (key, _) in enumerate(items) if key.strip() == b"DataTime"]
    if len(starts) <= 1:
        yield items
        return
    for place, start in enumerate(starts):
        begin = 0 if place == 0 else start
        yield items[begin : starts[place + 1] if place + 1 < len(starts) else len(items)]


_Values = list[tuple[bytes, bytes, bytes]]


def _sorted(
    items: list[list[bytes]], frame: Frame, zone: ZoneInfo, at_us: int
) -> tuple[dict[bytes, bytes], _Values, int]:
    """The marks by factor, the values as (factor, kind, text), and their time. Raises _Bad."""
    marks: dict[bytes, bytes] = {}
    values: _Values = []
    event_us: int | None = None
    for name, given in items:
        code, dash, kind = name.strip().partition(b"-")
        if code == b"DataTime":
            event_us = _time(given.strip(), zone, at_us, frame.device)
        elif kind == b"Flag":
            if mark := given.strip():
                marks[code] = mark.upper()
        elif dash and kind not in _NO_VALUES:
            values.append((code, kind, given.strip()))
    if values and event_us is None:
        raise _Bad(RefusalReason.MISSING_FIELD, "no DataTime", EXPECTED_TIME, frame.device)
    return marks, values, event_us or 0


def _take_value(gathered: Gathered, frame: Frame, named: str, event_us: int, text: bytes, *, mark: bytes) -> None:
    quality = QUALITIES.get(mark)
    if not text:
        gathered.pass_over()
    elif _NUMBER.fullmatch(text) is None or not isfinite(float(text)):
        found = f"{named} {shown(_seen(text))}"
        gathered.refuse(RefusalReason.NOT_A_NUMBER, found, EXPECTED_NUMBER, frame.device, named)
    elif quality is None:
        found = f"{named} with Flag {shown(_seen(mark))}"
        gathered.refuse(RefusalReason.UNREADABLE, found, MARKS, frame.device, named)
    else:
        kept = Quality.LATE if frame.later and quality is Quality.GOOD else quality
        gathered.add(frame.device, named, event_us, float(text), quality=kept)


def _time(text: bytes, zone: ZoneInfo, at_us: int, device: str) -> int:
    """Unix microseconds of a local time. Raises _Bad."""
    seconds = nan
    if _DIGITS.fullmatch(text):
        parts = [int(text[begin:end]) for begin, end in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))]
        with suppress(ValueError):  # a month, day, hour, minute or second that there is not
            seconds = seconds_of_local(datetime(*parts), zone, at_us)  # type: ignore[arg-type] # noqa: DTZ001
    if not EARLIEST_S <= seconds <= LATEST_S:
        found = f"DataTime {shown(_seen(text))}"
        raise _Bad(RefusalReason.BAD_TIME, found, f"{EXPECTED_TIME}, a time that there is in {zone.key}", device)
    return round(seconds) * 1_000_000 + (int(text[14:]) * 1000 if len(text) == 17 else 0)
