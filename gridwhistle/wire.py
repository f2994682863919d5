"""What the core and a page say to each other: messages over a Unix-domain socket, each behind its length.

The core tells how it does every second and at once that the trail has grown; a page asks for readings that only the
core can read, and says when people changed something.
"""

import asyncio
import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np

from dashboard_api.ports import Health
from ingest.model import Series

LARGEST_FRAME = 64 << 20
"""Bytes; the largest honest answer, 40,000 points of four columns, has 1.3 million."""

MOST_UNSENT = 64 << 20
"""Bytes that may wait for a peer who takes nothing; then the link is given up."""

_LENGTH = struct.Struct(">I")
_LONGEST_ADDRESS = 100
"""A Unix-domain address has room for 108 bytes on Linux, 104 elsewhere."""


class Told(msgspec.Struct, frozen=True, tag="told"):
    """Core to page, every second: how it does (see ``dashboard_api.ports.Health``)."""

    ok: bool
    parts: Mapping[str, str]
    counters: Mapping[str, int]
    behind_s: float
    waiting: int

    @staticmethod
    def of(health: Health) -> "Told":
        """The message of a health."""
        return Told(health.ok, dict(health.parts), dict(health.counters), health.behind_s, health.waiting)

    def health(self) -> Health:
        """The health of the message."""
        return Health(self.ok, self.parts, self.counters, self.behind_s, self.waiting)


class Grown(msgspec.Struct, frozen=True, tag="grown"):
    """Core to page: the trail reaches to this id."""

    trail_id: int


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    """Page to core: people changed something; the trail reaches to this id."""

    trail_id: int


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Page to core: readings of a sensor (see ``ingest.store.Store.series``). number: comes back with the answer."""

    number: int
    sensor: int
    from_us: int
    to_us: int
    max_points: int


class Found(msgspec.Struct, frozen=True, tag="found"):
    """Core to page: the readings asked for, as the bytes of their columns (int64 and float64, little-endian)."""

    number: int
    event_us: bytes
    value: bytes
    low: bytes
    high: bytes

    @staticmethod
    def of(number: int, series: Series) -> "Found":
        """The message of a series."""
        return Found(
            number,
            series.event_us.astype("<i8").tobytes(),
            *(column.astype("<f8").tobytes() for column in (series.value, series.low, series.high)),
        )

    def series(self) -> Series:
        """The series of the message. Raises ValueError where a column is cut off."""
        value, low, high = (np.frombuffer(column, "<f8") for column in (self.value, self.low, self.high))
        return Series(np.frombuffer(self.event_us, "<i8"), value, low, high)


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Core to page: the readings asked for cannot be read. retryable: whether asking again may help."""

    number: int
    why: str
    retryable: bool


FromCore = Told | Grown | Found | Failed
FromPage = Changed | Ask

_encoder = msgspec.msgpack.Encoder()
FROM_CORE: msgspec.msgpack.Decoder[FromCore] = msgspec.msgpack.Decoder(FromCore)
FROM_PAGE: msgspec.msgpack.Decoder[FromPage] = msgspec.msgpack.Decoder(FromPage)


class LinkBrokenError(Exception):
    """What came over the link is not of this program: it is of no more use."""


class Link:
    """One end of a connection. Make it inside the running loop; ``send`` may be called from any thread.

    Nothing ever waits for the peer: what it does not take is kept, up to MOST_UNSENT bytes, then the link is closed.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._received = bytearray()
        self._receiving = False
        self._closed = False

    @property
    def lags(self) -> bool:
        """Whether the peer has not taken everything yet."""
        return bool(self._unsent)

    def send(self, message: FromCore | FromPage) -> None:
        """Send at once, in the calling thread; to a closed link nothing is sent."""
        packed = _encoder.encode(message)
        frame = _LENGTH.pack(len(packed)) + packed
        with self._lock:
            if self._closed:
                return
            waited = bool(self._unsent)
            self._unsent += frame
            if not waited:
                self._push()
            left, too_much = bool(self._unsent), len(self._unsent) > MOST_UNSENT
        if (too_much or (left and not waited)) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.close if too_much else self._watch)

    def _push(self) -> None:
        """Hand over what the socket takes now. The lock is held."""
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:  # the peer is gone: the reading end sees it, too, and ends the link
            self._unsent.clear()
            return
        del self._unsent[:sent]

    def _watch(self) -> None:
        if not self._closed:
            self._loop.add_writer(self._socket, self._flush)

    def _flush(self) -> None:
        with self._lock:
            self._push()
            done = not self._unsent
        if done:
            self._loop.remove_writer(self._socket)

    async def receive(self) -> list[bytes]:
        """The next messages; none where the peer or ``close`` has ended the link. Raises LinkBrokenError."""
        while not self._closed:
            self._receiving = True
            try:
                data = await self._loop.sock_recv(self._socket, 1 << 16)
            except OSError:
                return []
            finally:
                self._receiving = False
                if self._closed:
                    self._socket.close()
            if not data:
                return []
            self._received += data
            if frames := list(_cut(self._received)):
                return frames
        return []

    def close(self) -> None:
        """Let go; whoever waits in ``receive`` sees the end. May be called again. Call it in the loop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._unsent.clear()
        self._loop.remove_writer(self._socket)
        with contextlib.suppress(OSError):  # the peer was quicker
            self._socket.shutdown(socket.SHUT_RDWR)
        if not self._receiving:  # who waits is woken by the end of the stream, and would not be by a closed socket
            self._socket.close()


def _cut(buffer: bytearray) -> Iterator[bytes]:
    """Take every whole frame off the front of a buffer."""
    while len(buffer) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(buffer)
        if length > LARGEST_FRAME:
            raise LinkBrokenError(f"a message of {length} bytes, expected at most {LARGEST_FRAME}")
        end = _LENGTH.size + length
        if len(buffer) < end:
            return
        frame = bytes(buffer[_LENGTH.size : end])
        del buffer[:end]
        yield frame


@contextlib.contextmanager
def address_of(path: Path) -> Iterator[str]:
    """The address of a Unix-domain socket, valid inside the block; however long its path is."""
    plain = str(path)
    if len(os.fsencode(plain)) <= _LONGEST_ADDRESS:
        yield plain
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
