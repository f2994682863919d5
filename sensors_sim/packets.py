"""The few packets of MQTT 5 that a publisher needs, as bytes. Knows no socket.

Numbers in brackets are sections of the standard (OASIS MQTT 5.0, 2019).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

PING = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
CONNACK, PUBACK, DISCONNECT = 0x20, 0x40, 0xE0
FAILURE = 0x80  # reason codes from here on [2.4]
NOBODY_LISTENS = 0x10
MOST_IDS = 65_535
OLD_PROTOCOL = 0x84
"""Unsupported protocol version."""

# fmt: off
_REASONS: Mapping[int, str] = MappingProxyType({
    0x00: "Success", 0x10: "No matching subscribers", 0x80: "Unspecified error", 0x81: "Malformed packet",
    0x82: "Protocol error", 0x83: "Implementation specific error", 0x84: "Unsupported protocol version",
    0x85: "Client identifier not valid", 0x86: "Bad user name or password", 0x87: "Not authorized",
    0x88: "Server unavailable", 0x89: "Server busy", 0x8A: "Banned", 0x8B: "Server shutting down",
    0x8C: "Bad authentication method", 0x8D: "Keep alive timeout", 0x8E: "Session taken over",
    0x90: "Topic name invalid", 0x91: "Packet identifier in use", 0x93: "Receive maximum exceeded",
    0x95: "Packet too large", 0x96: "Message rate too high", 0x97: "Quota exceeded", 0x98: "Administrative action",
    0x99: "Payload format invalid", 0x9A: "Retain not supported", 0x9B: "QoS not supported",
    0x9C: "Use another server", 0x9D: "Server moved", 0x9F: "Connection rate exceeded",
})
# widths of the properties that a broker can send [2.2.2.2]; 0 is a length of two bytes and so many more
_WIDTHS: Mapping[int, int] = MappingProxyType({
    0x11: 4, 0x12: 0, 0x13: 2, 0x15: 0, 0x16: 0, 0x1A: 0, 0x1C: 0, 0x1F: 0, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1,
    0x26: 0, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
})
# fmt: on
_KEEP_ALIVE, _REASON, _RECEIVE_MAXIMUM, _MAXIMUM_QOS, _RETAIN, _LONGEST, _PAIR = (
    0x13,
    0x1F,
    0x21,
    0x24,
    0x25,
    0x27,
    0x26,
)  # fmt: skip


class MalformedError(ValueError):
    """Not MQTT 5."""


def spoken(code: int, text: str = "") -> str:
    """A reason code in the words of the standard, with what the broker adds."""
    words = _REASONS.get(code, f"reason {code:#04x}")
    return f"{words} ({text})" if text else words


def _length(size: int) -> bytes:
    """A variable byte integer [1.5.5]: seven bits a byte, the lowest first."""
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(out)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("!H", len(encoded)) + encoded


def connect(client_id: str, username: str | None, password: str | None, keep_alive_s: int) -> bytes:
    """CONNECT [3.1] of a session that begins clean and ends with the connection."""
    flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    credentials = b"".join(_text(one) for one in (username, password) if one is not None)
    body = b"\x00\x04MQTT\x05" + struct.pack("!BHB", flags, keep_alive_s, 0) + _text(client_id) + credentials
    return b"\x10" + _length(len(body)) + body


@lru_cache(maxsize=4096)
def _named(topic: str) -> bytes:
    return _text(topic)


def publish(topic: str, payload: bytes, packet_id: int | None, *, retain: bool = False) -> bytes:
    """PUBLISH [3.3]: QoS 1 with a packet identifier (1 to 65,535), QoS 0 without."""
    name = _named(topic)
    if packet_id is None:
        return b"".join((b"\x31" if retain else b"\x30", _length(len(name) + 1 + len(payload)), name, b"\0", payload))
    size = _length(len(name) + 3 + len(payload))
    return b"".join((b"\x33" if retain else b"\x32", size, name, packet_id.to_bytes(2), b"\0", payload))


@dataclass(frozen=True, slots=True)
class Welcome:
    """A CONNACK [3.2]. old: a broker of MQTT 3.1.1 said it. longest: bytes of a packet, None for any.

    receive_maximum: messages in flight. keep_alive_s: what the broker wants instead of ours, None for nothing else.
    """

    code: int
    text: str
    old: bool
    receive_maximum: int
    keep_alive_s: int | None
    confirms: bool
    keeps: bool
    longest: int | None


def welcome(body: bytes) -> Welcome:
    """Read the body of a CONNACK. Raises MalformedError."""
    if len(body) == 2:  # without properties: 3.1.1
        return Welcome(
            body[1], "", old=True, receive_maximum=0, keep_alive_s=None, confirms=True, keeps=True, longest=None
        )
    if len(body) < 3:
        raise MalformedError("a CONNACK without a reason")
    found, text = _properties(body, 2)
    return Welcome(
        body[1],
        text,
        old=False,
        receive_maximum=found.get(_RECEIVE_MAXIMUM, MOST_IDS),
        keep_alive_s=found.get(_KEEP_ALIVE),
        confirms=found.get(_MAXIMUM_QOS, 1) >= 1,
        keeps=bool(found.get(_RETAIN, 1)),
        longest=found.get(_LONGEST),
    )


def answer(body: bytes, at: int) -> tuple[int, str]:
    """(reason code, what the broker adds) of a PUBACK (at 2) or DISCONNECT (at 0). Raises MalformedError."""
    if len(body) <= at:
        return 0, ""
    return body[at], _properties(body, at + 1)[1] if len(body) > at + 1 else ""


def _properties(body: bytes, at: int) -> tuple[dict[int, int], str]:
    """(numbers by property, the reason string) of the properties that stand from ``at`` on."""
    size, at = _read_length(body, at) or (0, len(body))
    end = at + size
    if end > len(body):
        raise MalformedError("properties longer than their packet")
    numbers: dict[int, int] = {}
    text = ""
    while at < end:
        what = body[at]
        width = _WIDTHS.get(what)
        if width is None:
            raise MalformedError(f"an unknown property {what:#04x}")
        at += 1
        for _ in range(2 if what == _PAIR else 1):
            wide = width or 2 + int.from_bytes(body[at : at + 2])
            if at + wide > end:
                raise MalformedError("a property longer than its packet")
            if width:
                numbers[what] = int.from_bytes(body[at : at + width])
            elif what == _REASON:
                text = body[at + 2 : at + wide].decode(errors="replace")
            at += wide
    return numbers, text


def _read_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """(value, where it ends) of a variable byte integer; None where it is not whole. Raises MalformedError."""
    value = 0
    for number in range(4):
        if at + number >= len(data):
            return None
        digit = data[at + number]
        value |= (digit & 0x7F) << (7 * number)
        if not digit & 0x80:
            return value, at + number + 1
    raise MalformedError("a length of more than four bytes")


class Inbox:
    """Bytes in, packets out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def fed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(first byte, body) of every packet that is whole by now. Raises MalformedError."""
        self._held += data
        held, at, packets = self._held, 0, []
        while at < len(held):
            sized = _read_length(held, at + 1)
            if sized is None or sized[0] + sized[1] > len(held):
                break
            size, begin = sized
            packets.append((held[at], bytes(held[begin : begin + size])))
            at = begin + size
        del held[:at]
        return packets
