"""A load generator that is never the slow part: packets made beforehand, sent over plain sockets (MQTT 3.1.1).

    .venv/bin/python -m benchmarks.load --port 1883 --sensors 100000 --rate 60000 --seconds 60 [--qos 1] [--pack 100]

Times are those of sending, to within the tick. At the end it prints one JSON object: what it really sent, second by
second, how late it was, what the broker did not acknowledge, its own CPU, and which sensors it put over their limit
when. At QoS 1 a connection has up to 60,000 messages in flight; acknowledgements are counted by their bytes.
"""

import argparse
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from benchmarks.support_city import URGENT_FROM
from benchmarks.support_fleet import URGENT, Fleet, Made

TICK_S = 0.005
HASTE_S = 0.001  # pause where there is always more to send
CHUNK_BYTES = 262_144  # made and handed to the kernel in one go
WINDOW = 60_000  # messages of QoS 1 not yet acknowledged, per connection (packet ids end at 65,535)
LATE_S = 0.05  # further behind its rate than this is late
ACKNOWLEDGED_WITHIN_S = 60.0
URGENT_EVERY_S = 10.0  # an urgent sensor speaks so often
_PUBACK_BYTES = 4


@dataclass
class Report:
    """What was sent. per_second: readings in each whole second. ticks, late_ticks: looks at the clock, and late ones.

    alarms: sensor id > Unix time of its reading over the limit; urgent_alarms: those on the urgent topics.
    """

    readings: int = 0
    messages: int = 0
    seconds: float = 0.0
    per_second: list[int] = field(default_factory=list)
    ticks: int = 0
    late_ticks: int = 0
    most_late_s: float = 0.0
    unacknowledged: int = 0
    cpu_s: float = 0.0
    alarms: dict[str, float] = field(default_factory=dict)
    urgent_alarms: dict[str, float] = field(default_factory=dict)


def connect(port: int, client_id: str) -> socket.socket:
    """A connected socket, accepted by the broker. Raises ConnectionError."""
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack("!H", len(name)) + name
    link.sendall(b"\x10" + bytes([len(body)]) + body)
    if link.recv(4) != b"\x20\x02\x00\x00":
        raise ConnectionError("the broker did not accept the load generator")
    link.setblocking(False)
    return link


class Stream:
    """One connection and the sensors that speak over it. rate: readings a second, None for as fast as it goes."""

    def __init__(self, fleet: Fleet, link: socket.socket, rate: float | None, window: int = WINDOW) -> None:
        self.fleet, self.rate = fleet, rate
        self._window = window if fleet.qos else sys.maxsize
        self.link = link
        self._chunk = max(1, CHUNK_BYTES // fleet.width)
        self._unsent = memoryview(b"")
        self._got = bytearray(1 << 16)
        self._bytes_back = 0

    @property
    def held(self) -> bool:
        """Whether the kernel takes no more just now, because the broker does not read."""
        return len(self._unsent) > 0

    @property
    def in_flight(self) -> int:
        """Messages that are not acknowledged (0 for QoS 0)."""
        return self.fleet.made - self._bytes_back // _PUBACK_BYTES if self.fleet.qos else 0

    @property
    def readings(self) -> int:
        """Readings made so far."""
        return self.fleet.made * self.fleet.pack

    def owed(self, since_s: float) -> int:
        """Messages that should have been sent by now and are not."""
        return sys.maxsize if self.rate is None else int(self.rate * since_s / self.fleet.pack) - self.fleet.made

    def turn(self, since_s: float) -> list[Made]:
        """Count acknowledgements, send what is due as far as kernel and window take it; answers what was over a limit.

        Raises ConnectionError where the broker hung up.
        """
        over: list[Made] = []
        self._read()
        self.flush()
        until = time.perf_counter() + TICK_S
        while not self.held and time.perf_counter() < until:
            count = min(self.owed(since_s), self._chunk, self._window - self.in_flight)
            if count <= 0:
                break
            self._unsent, alarms = self.fleet.make(count, time.time())
            over += alarms
            self.flush()
        return over

    def flush(self) -> None:
        """Hand the kernel what it takes."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self.link.send(self._unsent) :]
        except BlockingIOError:
            return

    def _read(self) -> None:
        try:
            while count := self.link.recv_into(self._got):
                self._bytes_back += count
                if count < len(self._got):
                    return
        except BlockingIOError:
            return
        raise ConnectionError("the broker hung up on the load generator")

    def settle(self) -> bool:
        """Finish what is under way; whether nothing is any more."""
        self._read()
        self.flush()
        return not self.held and not self.in_flight

    def close(self) -> None:
        """Say goodbye."""
        self.link.settimeout(ACKNOWLEDGED_WITHIN_S)
        self.link.sendall(bytes(self._unsent) + b"\xe0\x00")
        self.link.close()


def send(streams: Sequence[Stream], seconds: float) -> Report:
    """Drive all streams from this thread for so long, wait for acknowledgements, and report."""
    report, cpu, begun = Report(), time.process_time(), time.perf_counter()
    counted = ticks = 0
    while (since := time.perf_counter() - begun) < seconds:
        for stream in streams:
            _note_lateness(report, stream, since)
            over = stream.turn(since)
            (report.urgent_alarms if stream.fleet.root == URGENT else report.alarms).update(over)
        if since >= len(report.per_second) + 1:
            done = sum(stream.readings for stream in streams)
            report.per_second.append(done - counted)
            counted = done
        ticks = max(ticks + 1, int(since / TICK_S) + 1)
        if held := [stream.link for stream in streams if stream.held]:
            select.select([], held, [], HASTE_S)  # goes on as soon as the broker reads: its window may be small
        elif any(stream.rate is None for stream in streams):
            time.sleep(HASTE_S)
        else:
            time.sleep(max(0.0, begun + ticks * TICK_S - time.perf_counter()))
    deadline = time.perf_counter() + ACKNOWLEDGED_WITHIN_S
    while not all(stream.settle() for stream in streams) and time.perf_counter() < deadline:
        time.sleep(HASTE_S)
    report.seconds = time.perf_counter() - begun
    report.readings = sum(stream.readings for stream in streams)
    report.messages = sum(stream.fleet.made for stream in streams)
    report.unacknowledged = sum(stream.in_flight for stream in streams)
    for stream in streams:
        stream.close()
    report.cpu_s = time.process_time() - cpu
    return report


def _note_lateness(report: Report, stream: Stream, since: float) -> None:
    if stream.rate is None:
        return
    behind = stream.owed(since) * stream.fleet.pack / stream.rate
    report.ticks += 1
    report.late_ticks += behind > LATE_S
    report.most_late_s = max(report.most_late_s, behind)


def streams_for(asked: argparse.Namespace) -> list[Stream]:
    """The connections of a run: the sensors dealt out among them, and one for the urgent topics where asked for.

    The sensors of single readings speak in a random order; those of a pack stand side by side.
    """
    rng = np.random.default_rng(7)
    whole = asked.sensors // asked.pack
    order = (rng.permutation(whole)[:, None] * asked.pack + np.arange(asked.pack)).astype(np.int64)
    parts = np.array_split(order, asked.connections)
    rate = asked.rate / asked.connections if asked.rate else None
    streams = []
    for number, part in enumerate(parts):
        fleet = Fleet(part.reshape(-1), qos=asked.qos, pack=asked.pack, share=asked.alarms, seed=number)
        streams.append(Stream(fleet, connect(asked.port, f"load-{asked.name}-{number}"), rate, asked.window))
    if asked.urgent:
        sensors = np.arange(URGENT_FROM, URGENT_FROM + asked.urgent, dtype=np.int64)
        rate = asked.urgent / URGENT_EVERY_S
        fleet = Fleet(sensors, qos=1, share=asked.urgent_alarms / rate, root=URGENT)
        streams.append(Stream(fleet, connect(asked.port, f"load-{asked.name}-urgent"), rate))
    return streams


def arguments() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="the broker's port on this machine")
    parser.add_argument("--name", default="a", help="part of the client ids: one for each generator at a broker")
    parser.add_argument("--sensors", type=int, default=100_000, help="how many speak, S000000 and on")
    parser.add_argument("--rate", type=float, default=0, help="readings a second; 0: as fast as the broker takes them")
    parser.add_argument("--seconds", type=float, default=60, help="for how long")
    parser.add_argument("--qos", type=int, choices=(0, 1), default=0)
    parser.add_argument("--pack", type=int, default=1, help="readings in a message")
    parser.add_argument("--connections", type=int, default=1, help="publishers")
    parser.add_argument("--window", type=int, default=WINDOW, help="messages of QoS 1 in flight on each connection")
    parser.add_argument("--alarms", type=float, default=0, help="share of the readings that are over their limit")
    parser.add_argument("--urgent", type=int, default=0, help="more sensors, on the urgent topics, every 10 s each")
    parser.add_argument("--urgent-alarms", type=float, default=0, help="of them so many a second go over their limit")
    return parser


def main() -> None:
    """Send and report."""
    asked = arguments().parse_args()
    print(json.dumps(asdict(send(streams_for(asked), asked.seconds))))


if __name__ == "__main__":
    main()
