"""A run as a file: what would be sent and when, a line of JSON for each message, to be published later or elsewhere.

    {"t": 1767225600000000, "topic": "gridwhistle/readings/S1", "payload": {...}, "qos": 1, "retain": false}

t: simulated wall time at which it is sent, microseconds since 1970. payload: the message itself where it is JSON, else
its text. device: the box that sends it, where it comes from one alone. Names that end in ``.gz`` are compressed. One
run makes the same bytes every time.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from config.errors import ConfigurationError
from sensors_sim.wire import CLOCK_TOPIC, Message, Timed

_BLOCK: Final = 1 << 20
_LEVEL: Final = 1
"""Of compression: readings shrink to a sixth in a third of the time that the usual level takes for a ninth."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    t: int
    topic: str
    payload: msgspec.Raw
    qos: int = 1
    retain: bool = False
    device: str | None = None


def write_run(messages: Iterable[Timed], path: Path, *, qos: int = 1) -> int:
    """Write messages in their order, over whatever stood there; answers how many readings they carry.

    messages: as ``wire.timed_messages`` makes them. Raises OSError where the file cannot be written, ValueError for a
    payload that is neither JSON nor text.
    """
    readings = 0
    encode = msgspec.json.encode
    tail = {retain: b',"qos":%d,"retain":%b' % (qos, b"true" if retain else b"false") for retain in (False, True)}
    topics: dict[str, bytes] = {}
    with _writing(path) as file:
        block: list[bytes] = []
        size = 0
        for timed in messages:
            message = timed.message
            if (topic := topics.get(message.topic)) is None:
                topic = topics[message.topic] = encode(message.topic)
            device = b"" if message.device is None else b',"device":' + encode(message.device)
            line = b'{"t":%d,"topic":%b,"payload":%b%b%b}\n' % (
                timed.time_us,
                topic,
                _as_json(message.payload),
                tail[message.retain],
                device,
            )
            block.append(line)
            size += len(line)
            readings += message.readings
            if size >= _BLOCK:
                file.write(b"".join(block))
                block, size = [], 0
        file.write(b"".join(block))
    return readings


def _as_json(payload: bytes) -> bytes:
    """A payload inside of a line: itself where it is an object or a list on one line, else a text."""
    if payload[:1] in {b"{", b"["} and b"\n" not in payload:
        try:
            msgspec.json.decode(payload, type=msgspec.Raw)
        except msgspec.DecodeError:
            pass  # it only looks like it
        else:
            return payload
    try:
        return msgspec.json.encode(payload.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"a payload that is neither JSON nor text: {payload[:40]!r}") from error


@contextmanager
def _writing(path: Path) -> Iterator[IO[bytes]]:
    with path.open("wb") as plain:
        if path.suffix != ".gz":
            yield plain
            return
        # no name and no time inside: the same run makes the same bytes under every name, at every hour
        with gzip.GzipFile(filename="", mode="wb", fileobj=plain, compresslevel=_LEVEL, mtime=0) as packed:
            yield cast("IO[bytes]", packed)


def read_run(path: Path) -> Iterator[Timed]:
    """The messages of a file, in its order. What a message carries is counted again.

    Raises ConfigurationError naming the file, the line, what was found and what is expected, also where the file ends
    in the middle or its times run backwards; OSError where it cannot be read.
    """
    decode = msgspec.json.Decoder(_Line).decode
    before = 0
    for number, line in _lines(path):
        try:
            found = decode(line)
        except msgspec.DecodeError as error:
            raise ConfigurationError(
                f"{path}: line {number}: {error}; expected an object of t, topic, payload, qos and retain"
            ) from error
        if found.t < before:
            raise ConfigurationError(f"{path}: line {number}: t is {found.t}, earlier than the {before} before it")
        before = found.t
        yield Timed(found.t, _message(found))


def span(path: Path) -> tuple[int, int, int]:
    """When the first and the last message of a file are sent, microseconds, and the QoS of them all.

    Raises like ``read_run``.
    """
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise ConfigurationError(f"{path}: found nothing in it, expected a message on each line")
    last = first
    for entry in lines:
        last = entry
    found = []
    for number, line in (first, last):
        try:
            found.append(msgspec.json.decode(line, type=_Line))
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{path}: line {number}: {error}") from error
    if found[0].qos not in {0, 1}:
        raise ConfigurationError(f"{path}: line {first[0]}: qos is {found[0].qos}, expected 0 or 1")
    return found[0].t, found[1].t, found[0].qos


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number, line) of a file, from 1 on. Raises ConfigurationError for a compressed file that is damaged."""
    number = 0
    with path.open("rb") as plain:
        file = gzip.GzipFile(fileobj=plain, mode="rb") if path.suffix == ".gz" else plain
        lines = iter(cast("Iterable[bytes]", file))
        while True:
            try:
                line = next(lines, b"")
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ConfigurationError(
                    f"{path}: behind line {number}: compressed data is damaged: {error}"
                ) from error
            if not line:
                return
            number += 1
            yield number, line


def _message(found: _Line) -> Message:
    raw = bytes(found.payload)
    payload = msgspec.json.decode(raw, type=str).encode() if raw.startswith(b'"') else raw
    return Message(found.topic, payload, _readings(found.topic, raw), found.retain, found.device)


def _readings(topic: str, raw: bytes) -> int:
    if topic == CLOCK_TOPIC or not raw.startswith((b"{", b"[")):
        return 0
    return len(msgspec.json.decode(raw, type=list[msgspec.Raw])) if raw.startswith(b"[") else 1
