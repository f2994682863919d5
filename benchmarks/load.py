"""A publisher that is never the slow part: packets made beforehand, written to a plain socket (MQTT 3.1.1)."""

import socket
import struct
import threading
import time
from collections.abc import Iterable, Sequence

_PUBACK_BYTES = 4


def _remaining_length(size: int) -> bytes:
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
    return bytes([0x30 if packet_id is None else 0x32]) + _remaining_length(len(body)) + body


def packets(topics_and_payloads: Iterable[tuple[str, bytes]], qos: int) -> list[bytes]:
    """Packets for (topic, payload) pairs, packet ids counting round."""
    return [
        publish_packet(topic, payload, None if qos == 0 else index % 65_535 + 1)
        for index, (topic, payload) in enumerate(topics_and_payloads)
    ]


class Publisher:
    """One connection. Counts acknowledgements in a thread of its own, so that it need not wait for each."""

    WINDOW = 20_000

    def __init__(self, port: int, client_id: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = client_id.encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack("!H", len(name)) + name
        self._socket.sendall(b"\x10" + _remaining_length(len(body)) + body)
        if self._socket.recv(4) != b"\x20\x02\x00\x00":
            raise ConnectionError("the broker did not accept the load generator")
        self.acknowledged = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        rest = 0
        while data := self._socket.recv(65_536):
            whole, rest = divmod(rest + len(data), _PUBACK_BYTES)
            self.acknowledged += whole

    def send(self, made: Sequence[bytes], qos: int, rate: float | None = None, chunk: int = 100) -> None:
        """Send packets, at ``rate`` a second or as fast as the broker takes them, until all are acknowledged."""
        start, before = time.perf_counter(), self.acknowledged
        for first in range(0, len(made), chunk):
            if rate is not None:
                time.sleep(max(0.0, start + first / rate - time.perf_counter()))
            while qos and first - (self.acknowledged - before) > self.WINDOW:
                time.sleep(0.0005)
            self._socket.sendall(b"".join(made[first : first + chunk]))
        while qos and self.acknowledged - before < len(made):
            time.sleep(0.001)

    def close(self) -> None:
        """Say goodbye."""
        self._socket.sendall(b"\xe0\x00")
        self._socket.close()
