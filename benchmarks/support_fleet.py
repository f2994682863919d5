"""Sensors that speak MQTT: one row of bytes for each message, whose digits are written over before it is sent.

A reading is ``{"id":"S000123","t":1767225600.123456,"v":2.3104}``, always of the same width. Values walk around each
sensor's own level and come back to it, with a spread that an instrument has: the detectors judge every one of them,
and find nothing.
"""

import struct
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from benchmarks.support_city import level, quantity_of, sensor_id

READINGS, URGENT = "gridwhistle/readings", "gridwhistle/urgent"
OVER_LIMIT = 60.0  # %LEL of methane: over both steps of the law's limit
PERSISTENCE = 0.9  # of a sensor's distance from its level, from one reading to the next
_TIME_DIGITS, _VALUE_DIGITS = 17, 6
_PACKET_IDS = 65_535

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Made = tuple[str, float]
"""A sensor over its limit, and the Unix time of that reading."""


def remaining_length(size: int) -> bytes:
    """A packet's length as MQTT writes it (3.1.1, 2.2.3): seven bits a byte, the lowest first."""
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(out)


def publish_packet(topic: str, payload: bytes, packet_id: int | None) -> bytes:
    """An MQTT 3.1.1 PUBLISH packet: QoS 1 with a packet id (1 to 65,535), QoS 0 without."""
    name = topic.encode()
    body = struct.pack("!H", len(name)) + name + (b"" if packet_id is None else struct.pack("!H", packet_id)) + payload
    return bytes([0x30 if packet_id is None else 0x32]) + remaining_length(len(body)) + body


@cache
def value_digits() -> Bytes:
    """(100,000, 6), read only: the digits of all values from 0 to 99.999 by thousandths: ``2.3100``, ``23.100``."""
    texts = [b"%.4f" % (milli / 1000) if milli < 10_000 else b"%.3f" % (milli / 1000) for milli in range(100_000)]
    return np.frombuffer(b"".join(texts), np.uint8).reshape(len(texts), _VALUE_DIGITS)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where in a row the digits stand: of its first reading, and how far its readings are apart."""

    time: int
    value: int
    element: int
    packet_id: int


class Fleet:
    """Some sensors in a fixed order, one message after the other, round and round.

    sensors: their numbers, as many as fill whole messages. pack: readings in a message (1: a plain object, otherwise a
    list). share: of the readings that are over the limit, each of a methane sensor that was not over it before.
    """

    def __init__(
        self, sensors: Numbers, *, qos: int, pack: int = 1, share: float = 0.0, root: str = READINGS, seed: int = 7
    ) -> None:
        if len(sensors) == 0 or len(sensors) % pack:
            raise ValueError(f"{len(sensors)} sensors do not fill messages of {pack}")
        self.qos, self.pack, self.share, self.root = qos, pack, share, root
        self.made = 0  # messages so far
        self._sensors = sensors
        self._rng = np.random.default_rng(seed)
        self._rows, self._places = _rows(sensors, qos, pack, root)
        self._views = _views(self._rows, self._places, pack)
        self._level = np.array([level(int(sensor)) for sensor in sensors], np.float32)
        self._spread = np.array([quantity_of(int(sensor)).spread for sensor in sensors], np.float32)
        self._away = np.zeros(len(sensors), np.float32)
        self._noise = self._rng.standard_normal(1 << 18, np.float32) * np.float32(np.sqrt(1 - PERSISTENCE**2))
        self._fresh = np.array([quantity_of(int(sensor)).name == "ch4" for sensor in sensors], np.bool_)
        self._owed = 0.0
        self._digits = value_digits()

    @property
    def width(self) -> int:
        """Bytes of one message."""
        return int(self._rows.shape[1])

    def make(self, count: int, now: float) -> tuple[memoryview, list[Made]]:
        """The next ``count`` messages or fewer (as far as the last row, or the noise kept ready).

        Valid until the next call. now: Unix time of their readings.
        """
        row = self.made % len(self._rows)
        count = min(count, len(self._rows) - row, len(self._noise) // (2 * self.pack))
        rows = slice(row, row + count)
        readings = slice(row * self.pack, (row + count) * self.pack)
        milli = self._walk(readings)
        over = self._exceed(readings, milli, now)
        times, values, ids = self._views
        times[rows] = np.frombuffer(b"%.6f" % now, np.uint8)
        values[rows] = self._digits[milli].reshape(count, self.pack, _VALUE_DIGITS)
        if ids is not None:
            number = (self.made + np.arange(count)) % _PACKET_IDS + 1
            ids[rows, 0], ids[rows, 1] = number >> 8, number & 0xFF
        self.made += count
        return self._rows[rows].reshape(-1).data, over

    def _walk(self, readings: slice) -> npt.NDArray[np.int32]:
        """The next values, in thousandths."""
        away = self._away[readings]
        begin = int(self._rng.integers(len(self._noise) - len(away)))
        away *= np.float32(PERSISTENCE)
        away += self._noise[begin : begin + len(away)]
        value = self._level[readings] + self._spread[readings] * away
        return np.clip(value * np.float32(1000), 0, 99_999).astype(np.int32)

    def _exceed(self, readings: slice, milli: npt.NDArray[np.int32], now: float) -> list[Made]:
        """Put what is due over its limit, in place."""
        self._owed += self.share * len(milli)
        due = int(self._owed)
        if not due:
            return []
        chosen = np.flatnonzero(self._fresh[readings])[:due]
        self._owed -= len(chosen)
        self._fresh[readings][chosen] = False
        milli[chosen] = round(OVER_LIMIT * 1000)
        return [(sensor_id(int(self._sensors[readings.start + place])), now) for place in chosen]


def _reading(sensor: int) -> bytes:
    return b'{"id":"%s","t":%s,"v":%s}' % (sensor_id(sensor).encode(), b"0" * _TIME_DIGITS, b"0" * _VALUE_DIGITS)


def _rows(sensors: Numbers, qos: int, pack: int, root: str) -> tuple[Bytes, _Places]:
    packet_id = 1 if qos else None
    packets = []
    for first in range(0, len(sensors), pack):
        texts = [_reading(int(sensor)) for sensor in sensors[first : first + pack]]
        topic = f"{root}/{sensor_id(int(sensors[first]))}" if pack == 1 else f"{root}/gateway{first // pack:06d}"
        payload = texts[0] if pack == 1 else b"[" + b",".join(texts) + b"]"
        packets.append(publish_packet(topic, payload, packet_id))
    start = len(packets[0]) - len(payload) + (pack > 1)
    within = texts[0].index(b'"t":') + 4
    value = texts[0].index(b'"v":') + 4
    places = _Places(start + within, start + value, len(texts[0]) + 1, len(packets[0]) - len(payload) - 2)
    return np.frombuffer(bytearray(b"".join(packets)), np.uint8).reshape(len(packets), -1), places


def _views(rows: Bytes, places: _Places, pack: int) -> tuple[Bytes, Bytes, Bytes | None]:
    """The digits of the times (rows, pack, 17), of the values (rows, pack, 6), and of the packet ids (rows, 2)."""

    def digits(first: int, width: int) -> Bytes:
        strides = (rows.strides[0], places.element, 1)
        return np.lib.stride_tricks.as_strided(rows[:, first:], (len(rows), pack, width), strides)

    ids = rows[:, places.packet_id : places.packet_id + 2] if rows[0, 0] & 0x06 else None
    return digits(places.time, _TIME_DIGITS), digits(places.value, _VALUE_DIGITS), ids
