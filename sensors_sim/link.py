"""Connections of MQTT 5 that only publish, many of them from one thread: plain sockets, acknowledgements counted.

Nothing here waits: ``Links.turn`` does what can be done, for at most as long as it is told. A lost connection is made
again, and what was not acknowledged is sent again, in its order.
"""

import contextlib
import selectors
import socket
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from config.clock import Clock
from config.errors import PermanentError, RetryableError
from sensors_sim import packets
from sensors_sim.wire import Message

KEEP_ALIVE_S: Final = 60
CONNECT_S: Final = 10.0
AGAIN_S: Final = 1.0
"""Pause before a lost connection is tried again."""
CHUNK_BYTES: Final = 65_536
"""So much is handed to the kernel at once; what waits for more goes after FLUSH_S anyway."""
FLUSH_S: Final = 0.001
UNSENT_BYTES: Final = 1 << 20
"""More than this never waits to be sent."""
_BUSY = frozenset({0x88, 0x89, 0x9F})  # server unavailable, busy, too many connections: try again


@dataclass(frozen=True, slots=True)
class Address:
    """Where a connection goes, and as whom."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True, eq=False)
class Link:
    """One connection. window: most messages in flight.

    greeting: what the broker answered last, None before it did. hung_up: it closed the connection instead.
    acknowledged, refused: messages, the latter by reason.
    """

    address: Address
    window: int
    qos: int
    clock: Clock
    selector: selectors.BaseSelector
    greeting: packets.Welcome | None = None
    hung_up: bool = False
    said: str = ""
    acknowledged: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    unacknowledged: dict[int, bytes] = field(default_factory=dict)
    _socket: socket.socket | None = None
    _inbox: packets.Inbox = field(default_factory=packets.Inbox)
    _queue: deque[bytes] = field(default_factory=deque)
    _queued: int = 0  # bytes
    _chunk: memoryview = field(default_factory=lambda: memoryview(b""))
    _open: bool = False
    _writing: bool = False
    _id: int = 0
    _at: float = 0.0  # of the last bytes sent, or of the last attempt to connect
    _keep_alive_s: float = KEEP_ALIVE_S

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._queued + len(self._chunk)

    @property
    def has_room(self) -> bool:
        """Whether one more message may be sent."""
        return len(self.unacknowledged) < self.window and self._queued < UNSENT_BYTES

    def open(self) -> None:
        """Connect and say hello; the answer comes later. Raises OSError."""
        self._at = self.clock.monotonic()
        sock = socket.create_connection((self.address.host, self.address.port), CONNECT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        name = f"gridwhistle-{uuid.uuid4().hex[:12]}"
        hello = packets.connect(name, self.address.username, self.address.password, KEEP_ALIVE_S)
        sock.send(hello)  # a fresh socket takes so little at once
        self._socket, self._inbox, self._open, self._writing = sock, packets.Inbox(), False, False
        self.greeting, self.hung_up = None, False
        self.selector.register(sock, selectors.EVENT_READ, self)

    def send(self, message: Message) -> None:
        """Queue a message. Raises PermanentError where the broker has said that it takes no such message."""
        number = self._next_id() if self.qos else None
        packet = packets.publish(message.topic, message.payload, number, retain=message.retain)
        if self.greeting is not None and self._open:
            self._fits(packet, message)
        if number is not None:
            self.unacknowledged[number] = packet
        if self._open or number is None:  # else all that is unacknowledged goes out once the broker has answered
            self._queue.append(packet)
            self._queued += len(packet)
            if self._queued >= CHUNK_BYTES or self.clock.monotonic() - self._at >= FLUSH_S:
                self.flush()

    def _fits(self, packet: bytes, message: Message) -> None:
        greeting = self.greeting
        if greeting is None:
            return
        if greeting.longest is not None and len(packet) > greeting.longest:
            raise PermanentError(
                f"a message on {message.topic} has {len(packet)} bytes, the broker at {self.address} takes "
                f"{greeting.longest} at most"
            )
        if message.retain and not greeting.keeps:
            raise PermanentError(f"the broker at {self.address} keeps no messages, and a device wants one retained")

    def _next_id(self) -> int:
        while True:
            self._id = self._id % packets.MOST_IDS + 1
            if self._id not in self.unacknowledged:
                return self._id

    def flush(self) -> None:
        """Hand the kernel what it takes."""
        if self._socket is None or not self._open:
            return
        try:
            while self._chunk or self._queue:
                if not self._chunk:
                    self._chunk = memoryview(b"".join(self._queue))
                    self._queue.clear()
                    self._queued = 0
                self._chunk = self._chunk[self._socket.send(self._chunk) :]
                self._at = self.clock.monotonic()
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(str(error))
            return
        if bool(self._chunk) != self._writing:
            self._writing = bool(self._chunk)
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._writing else 0)
            self.selector.modify(self._socket, wanted, self)

    def read(self) -> None:
        """Take what has come."""
        if self._socket is None:
            return
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(str(error))
            return
        if not data:
            self._lost("")
            return
        try:
            for first, body in self._inbox.fed(data):
                self._heard(first, body)
        except packets.MalformedError as error:
            self._lost(f"the broker sent what is not MQTT 5: {error}")

    def _heard(self, first: int, body: bytes) -> None:
        if first == packets.PUBACK:
            if self.unacknowledged.pop(int.from_bytes(body[:2]), None) is not None:
                self.acknowledged += 1
            code, text = packets.answer(body, 2)
            if code >= packets.FAILURE:
                words = packets.spoken(code, text)
                self.refused[words] = self.refused.get(words, 0) + 1
        elif first == packets.CONNACK:
            self._welcomed(packets.welcome(body))
        elif first == packets.DISCONNECT:
            self.said = packets.spoken(*packets.answer(body, 0))

    def _welcomed(self, greeting: packets.Welcome) -> None:
        self.greeting = greeting
        if greeting.old or greeting.code:
            return
        self._open = True
        self.window = min(self.window, greeting.receive_maximum)
        self._keep_alive_s = KEEP_ALIVE_S if greeting.keep_alive_s is None else greeting.keep_alive_s
        if self.qos:
            self._queue = deque(self.unacknowledged.values())
            self._queued = sum(map(len, self._queue))
        self.flush()

    def _lost(self, why: str) -> None:
        self.said = why or self.said
        self.hung_up = True
        self.close()
        self._at = self.clock.monotonic()

    def tend(self, now: float) -> None:
        """Connect again where the connection is lost, and give a sign of life where there was none for long."""
        if self._socket is None:
            if now - self._at >= AGAIN_S:
                try:
                    self.open()
                except OSError as error:
                    self.said = str(error)
        elif self._open and self._keep_alive_s and now - self._at >= self._keep_alive_s / 2 and not self.unsent:
            self._queue.append(packets.PING)
            self._queued += len(packets.PING)
        self.flush()

    def close(self) -> None:
        """Part from the broker; what is not acknowledged stays."""
        sock, self._socket = self._socket, None
        if sock is None:
            return
        self.selector.unregister(sock)
        if self._open and not self._chunk:
            with contextlib.suppress(OSError):  # it is gone already
                sock.send(packets.GOODBYE)
        self._open, self._chunk = False, memoryview(b"")
        sock.close()


class Links:
    """Connections by the name of their device, None for what comes from none."""

    def __init__(self, addresses: dict[str | None, Address], *, window: int, qos: int, clock: Clock) -> None:
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._by_name = {name: Link(address, window, qos, clock, self._selector) for name, address in addresses.items()}
        self._all = tuple(self._by_name.values())

    def open(self, patience_s: float) -> bool:
        """Connect all; whether the broker speaks MQTT 5.

        Raises RetryableError where nobody listens or answers, PermanentError where the broker says no.
        """
        for link in self._all:
            try:
                link.open()
            except OSError as error:
                raise RetryableError(f"no broker answers at {link.address}: {error}") from error
        deadline = self._clock.monotonic() + patience_s
        while any(link.greeting is None for link in self._all) and not any(map(_says_no, self._all)):
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise RetryableError(f"the broker at {self._all[0].address} does not answer within {patience_s:g} s")
            self._poll(min(0.1, left))
        for link in self._all:
            if link.hung_up or (link.greeting is not None and _is_old(link.greeting)):
                return False
        for link in self._all:
            _refuse(link)
        return True

    def _link(self, message: Message) -> Link:
        """The connection of a device, or the one for all where it has none of its own."""
        return self._by_name.get(message.device) or self._by_name[None]

    def has_room(self, message: Message) -> bool:
        """Whether this message may be sent now."""
        return self._link(message).has_room

    def half_free(self, message: Message) -> bool:
        """Whether so much is acknowledged that it is worth while to go on."""
        link = self._link(message)
        return len(link.unacknowledged) <= link.window // 2 and link.unsent < UNSENT_BYTES // 2

    def send(self, message: Message) -> None:
        """Queue a message on its connection. Raises PermanentError where the broker said that it takes none such."""
        self._link(message).send(message)

    @property
    def alone(self) -> bool:
        """Whether one connection carries everything, so that the broker gets everything in our order."""
        return len(self._all) == 1

    @property
    def window(self) -> int:
        """Most messages in flight on one connection."""
        return min(link.window for link in self._all)

    @property
    def waiting(self) -> int:
        """Messages that are not acknowledged, or at QoS 0 not all sent."""
        return sum(len(link.unacknowledged) or int(link.unsent > 0) for link in self._all)

    @property
    def acknowledged(self) -> int:
        """Messages, of all connections."""
        return sum(link.acknowledged for link in self._all)

    @property
    def refused(self) -> dict[str, int]:
        """How many messages were refused, by reason."""
        found: dict[str, int] = {}
        for link in self._all:
            for words, count in link.refused.items():
                found[words] = found.get(words, 0) + count
        return found

    @property
    def said(self) -> str:
        """What was last heard of a connection that was lost, empty for nothing."""
        return next((link.said for link in self._all if link.said), "")

    def turn(self, seconds: float) -> None:
        """Send, read and tend all connections; waits for something to happen, at most so long."""
        now = self._clock.monotonic()
        for link in self._all:
            link.tend(now)
        self._poll(seconds)
        for link in self._all:
            if link.greeting is not None and link.greeting.code:
                _refuse(link)

    def _poll(self, seconds: float) -> None:
        for key, mask in self._selector.select(seconds):
            link: Link = key.data
            if mask & selectors.EVENT_READ:
                link.read()
            if mask & selectors.EVENT_WRITE:
                link.flush()

    def close(self) -> None:
        """Part from the broker."""
        for link in self._all:
            link.close()
        self._selector.close()


def _says_no(link: Link) -> bool:
    return link.hung_up or (link.greeting is not None and link.greeting.code != 0)


def _is_old(greeting: packets.Welcome) -> bool:
    """Whether this is how a broker answers that knows no MQTT 5; some hang up without a word."""
    return greeting.old or greeting.code in {0x81, 0x82, packets.OLD_PROTOCOL}


def _refuse(link: Link) -> None:
    """Raise where the broker has said no."""
    greeting = link.greeting
    if greeting is None or not greeting.code:
        if greeting is not None and link.qos and not greeting.confirms:
            raise PermanentError(f"the broker at {link.address} acknowledges no messages (its maximum QoS is 0)")
        return
    words = packets.spoken(greeting.code, greeting.text)
    kind = RetryableError if greeting.code in _BUSY else PermanentError
    raise kind(f"the broker at {link.address} refuses the connection: {words}")
