"""What both receivers are: a thread that serves the network, and a reader on the event loop.

The thread alone touches the connection. It answers the broker's signs of life and empties the socket whatever the
event loop is busy with; what it costs more than a protocol on the loop itself stands in docs/decisions.md.
"""

import asyncio
import contextlib
import random
import selectors
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from config.clock import Clock
from config.errors import GridwhistleError
from config.settings import IngestSettings, MqttSettings, Subscription
from config.tls import NamedContext, tls_context
from ingest.gather import Receipt, Waiting, patience_s
from ingest.model import Messages
from ingest.receiver import ReceiverState
from ingest.subscriptions import SubscriptionMemory

_log = structlog.get_logger(__name__)

WAITING_MESSAGES: Final = 20_000
"""Messages that wait before the socket is left unread; at least two batches."""

WAITING_BYTES: Final = 16 * 1024 * 1024
"""Bytes that wait before the socket is left unread."""

BATCH_BYTES: Final = 1_500_000
"""Most bytes of a batch (one read of the socket more or less): thirty thousand readings in packs of a hundred."""

CONNECT_PATIENCE_S: Final = 5.0
"""How long the broker may take to accept a connection."""

TICK_S: Final = 0.25
"""Longest time between two looks at what is to be done."""

PAUSE_LOG_S: Final = 60.0
"""Shortest time between two lines of the log about a reader that is too slow."""

LONGEST_TOPIC: Final = 65_535
"""Bytes of a topic (MQTT 3.1.1, 1.5.3)."""

MOST_UNSENT: Final = 1000
"""Messages of our own that wait to be sent; more are not taken."""

DISCONNECT: Final = b"\xe0\x00"
"""The goodbye, the same in MQTT 3.1.1 (3.14) and MQTT 5 (3.14)."""

GOODBYE_S: Final = 2.0
"""How long the broker may take to read our last words."""


class ThreadedReceiver(ABC):
    """The part of a receiver that does not depend on the protocol; see ``ingest.receiver.Receiver``.

    subscriptions, extra_topics: what it subscribes to, in one stream. client_id: the session's name. waiting_messages:
    see WAITING_MESSAGES. memory: a file that keeps what the session is subscribed to, so that what nobody wants any
    more is taken back after a restart. Raises ConfigurationError for files of ``mqtt.tls`` that cannot be used.

    It connects with exponential pauses (``reconnect_min_s`` doubling to ``reconnect_max_s``, each shortened by up to
    half at random) and never gives up, the first time neither.
    """

    def __init__(
        self,
        settings: MqttSettings,
        ingest: IngestSettings,
        clock: Clock,
        subscriptions: Sequence[Subscription],
        *,
        extra_topics: Sequence[str] = (),
        client_id: str | None = None,
        waiting_messages: int = WAITING_MESSAGES,
        waiting_bytes: int = WAITING_BYTES,
        memory: Path | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.client_id = client_id or settings.client_id
        self.tls: NamedContext | None = tls_context(settings.tls)
        wanted = [subscription.filter for subscription in subscriptions]
        self.filters = list(dict.fromkeys([*wanted, *extra_topics]))
        self.memory = SubscriptionMemory(memory)
        self.waiting_room = Waiting(max(waiting_messages, 2 * ingest.batch_messages), waiting_bytes)
        self._ingest = ingest
        self._receipts: deque[Receipt] = deque()
        self._unsent: deque[tuple[str, bytes]] = deque()
        self._generation = 0
        self._state = ReceiverState.CONNECTING
        self._refused_filters: tuple[str, ...] = ()
        self._counters = {
            "received": 0,
            "redelivered": 0,
            "acknowledged": 0,
            "stale_acks": 0,
            "pauses": 0,
            "malformed": 0,
            "published": 0,
            "unpublished": 0,
        }
        self._paused = False
        self._quiet_until = 0.0
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None  # to read in the thread, to write from outside
        self._wake_at = 1
        self._signalled = False
        self._last_problem = ""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()

    @property
    def state(self) -> ReceiverState:
        """See Receiver.state."""
        return self._state

    @property
    def connects(self) -> int:
        """See Receiver.connects."""
        return self._generation

    @property
    def problem(self) -> str:
        """See Receiver.problem."""
        return self._last_problem

    @property
    def refused_filters(self) -> tuple[str, ...]:
        """See Receiver.refused_filters."""
        return self._refused_filters

    @property
    def waiting(self) -> int:
        """See Receiver.waiting."""
        return len(self.waiting_room)

    @property
    def waiting_since_us(self) -> int | None:
        """See Receiver.waiting_since_us."""
        return self.waiting_room.since_us

    @property
    def counters(self) -> Mapping[str, int]:
        """See Receiver.counters; ``malformed`` counts connections that ended with what is not MQTT."""
        return dict(self._counters)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._wake = socket.socketpair()
        for end in self._wake:
            end.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"mqtt {self.client_id}", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._wake_network()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        self._ready.set()
        ends, self._wake = self._wake, None
        for end in ends or ():
            end.close()

    async def batches(self) -> AsyncIterator[Messages]:
        """See Receiver.batches. Raises GridwhistleError if the network thread failed in a way it does not know.

        How long a batch may fill is between ``batch_min_ms`` and ``batch_ms``, and follows from whether the reader is
        behind and how long it was busy with the batch before (``patience_s``): the time until it asks for the next.
        """
        most, busy_s, behind = self._ingest.batch_messages, 0.0, False
        shortest_s, longest_s = self._ingest.batch_min_ms / 1000, self._ingest.batch_ms / 1000
        while await self._enough(1, None):
            if not self._plenty(most):
                await self._enough(most, patience_s(busy_s, shortest_s, longest_s, behind=behind))
            else:
                await asyncio.sleep(0)  # others on the loop must get their turn, however much waits
            if self._stopping.is_set():
                break
            messages = self.waiting_room.take(most, BATCH_BYTES)
            if self._paused:
                self._wake_network()
            began = self.clock.monotonic()
            yield messages
            busy_s = self.clock.monotonic() - began
            behind = len(self.waiting_room) > 0
        if self._failure is not None:
            raise GridwhistleError(f"the MQTT receiver failed: {self._failure!r}") from self._failure

    def _plenty(self, count: int) -> bool:
        return len(self.waiting_room) >= count or self.waiting_room.size >= BATCH_BYTES

    async def _enough(self, count: int, timeout_s: float | None) -> bool:
        """Wait until so many messages wait, or for so long. False when the context ends or the thread failed."""
        self._ready.clear()
        self._signalled = False
        self._wake_at = count
        # The network thread appends before it looks at wake_at, this side the other way round: none is missed.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._plenty(count) and not self._stopping.is_set() and self._failure is None:
                    await self._ready.wait()
                    self._ready.clear()
                    self._signalled = False
        return not self._stopping.is_set() and bool(len(self.waiting_room))

    def acknowledge(self, messages: Messages) -> None:
        """See Receiver.acknowledge. Raises TypeError for messages of another kind of receiver, or a part of a batch."""
        receipt = messages.receipt
        if not isinstance(receipt, Receipt):
            raise TypeError(f"no batch of this receiver: its receipt is {receipt!r}")
        if receipt.parts:
            self._receipts.append(receipt)
            self._wake_network()

    def publish(self, topic: str, payload: bytes) -> bool:
        """See Receiver.publish."""
        if self._state is not ReceiverState.CONNECTED or len(self._unsent) >= MOST_UNSENT or not speakable(topic):
            self._counters["unpublished"] += 1
            return False
        self._unsent.append((topic, payload))
        self._wake_network()
        return True

    def _wake_network(self) -> None:
        if self._wake is not None:
            with contextlib.suppress(BlockingIOError):  # full: it is awake already
                self._wake[1].send(b"\0")

    # From here on: the network thread, and what the protocol's part asks of this one.

    @abstractmethod
    def serve_one_connection(self) -> str:
        """Connect and serve until the connection ends or ``stopping``; says why it ended."""

    @property
    def stopping(self) -> bool:
        """Whether the context has ended."""
        return self._stopping.is_set()

    @property
    def wake_socket(self) -> socket.socket | None:
        """Readable when there is something to be done."""
        return self._wake[0] if self._wake is not None else None

    def rest(self, seconds: float) -> None:
        """Do nothing for so long, unless the context ends."""
        self._stopping.wait(seconds)

    def woken(self) -> None:
        """Empty the wake socket."""
        if self._wake is not None:
            with contextlib.suppress(BlockingIOError):
                self._wake[0].recv(4096)

    def _run(self) -> None:
        try:
            self._connect_for_ever()
        except BaseException as error:  # noqa: BLE001  # handed over: batches() raises it
            self._failure = error
            self._last_problem = f"the receiver failed: {error!r}"
            self._state = ReceiverState.DISCONNECTED
            _log.error("mqtt_receiver_failed", error=repr(error))
            self._signal()

    def _connect_for_ever(self) -> None:
        pause_s = self.settings.reconnect_min_s
        while not self._stopping.is_set():
            began = self.clock.monotonic()
            problem = self.serve_one_connection()
            if self._stopping.is_set():
                return
            # Only a connection that lasted starts the pauses anew: two daemons with one client id throw each other
            # out as soon as they are in, and must not do so twice a second.
            if self.clock.monotonic() - began > self.settings.reconnect_max_s:
                pause_s = self.settings.reconnect_min_s
            self._note_down(problem)
            self._stopping.wait(pause_s * random.uniform(0.5, 1))  # noqa: S311  # spreads daemons, guards no secret
            pause_s = min(pause_s * 2, self.settings.reconnect_max_s)

    def _note_down(self, problem: str) -> None:
        if self._state is ReceiverState.CONNECTED:
            self._state = ReceiverState.DISCONNECTED
            self._last_problem = ""
        if problem != self._last_problem:
            _log.warning(
                "mqtt_not_connected",
                host=self.settings.host,
                port=self.settings.port,
                client_id=self.client_id,
                problem=problem,
            )
            self._last_problem = problem

    def connected(self, *, session_present: bool) -> tuple[int, list[str]]:
        """A connection is up. Returns its number, and the filters of earlier runs that are to be taken back."""
        self._generation += 1
        self._refused_filters = ()
        self._counters["unpublished"] += len(self._unsent)  # said to somebody who may know better by now
        self._unsent.clear()
        gone = self.memory.gone(self.filters)
        if gone:
            _log.info("mqtt_unsubscribed", filters=gone)
        self.memory.asked(self.filters)
        _log.info("mqtt_connected", connects=self._generation, session_present=session_present)
        return self._generation, gone

    def subscribed(self, refused: Mapping[str, str]) -> None:
        """The broker has answered every subscription. refused: filters it refused, and why."""
        self._refused_filters = tuple(refused)
        self.memory.answered(self.filters)  # in order: what was taken back is gone by now
        for name, why in refused.items():
            _log.error("mqtt_subscription_refused", filter=name, why=why)
        self._last_problem = ""
        self._state = ReceiverState.CONNECTED

    def came(self, received: int, redelivered: int) -> None:
        """Count what was put into the waiting room, and wake the reader if that is enough."""
        self._counters["received"] += received
        self._counters["redelivered"] += redelivered
        if not self._signalled and self._plenty(self._wake_at):
            self._signal()

    def reading(self) -> bool:
        """Whether the socket may be read just now."""
        full = self.waiting_room.full
        if full and not self._paused:
            self._counters["pauses"] += 1
            if self.clock.monotonic() >= self._quiet_until:  # the counter tells of each, the log of the first
                self._quiet_until = self.clock.monotonic() + PAUSE_LOG_S
                _log.warning("mqtt_reading_paused", waiting=len(self.waiting_room), bytes=self.waiting_room.size)
        self._paused = full
        return not full

    def due(self, generation: int) -> list[Any]:
        """Columns of packet identifiers to be acknowledged on this connection, in order."""
        found: list[Any] = []
        while self._receipts:
            for number, ids in self._receipts.popleft().parts:
                if number == generation:
                    found.append(ids)
                else:
                    self._counters["stale_acks"] += len(ids)
        return found

    def to_send(self) -> Iterator[tuple[str, bytes]]:
        """What ``publish`` took, in order, each counted as published once it is taken from here."""
        while self._unsent:
            yield self._unsent.popleft()
            self._counters["published"] += 1

    def acknowledged(self, count: int) -> None:
        """Count acknowledgements that were given to the connection."""
        self._counters["acknowledged"] += count

    def malformed(self) -> None:
        """Count a connection that ended with something that is not MQTT."""
        self._counters["malformed"] += 1

    def _signal(self) -> None:
        self._signalled = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._ready.set)


def speakable(topic: str) -> bool:
    """Whether a topic can be published to (MQTT 3.1.1, 4.7); a broker ends the connection over one that cannot."""
    if not topic or set("+#\0") & set(topic):
        return False
    try:
        return len(topic.encode()) <= LONGEST_TOPIC
    except UnicodeEncodeError:
        return False


def reason(error: Exception) -> str:
    """Why a connection could not be made or kept, in words that say what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the broker's certificate is not trusted: {error.verify_message};"
            " look at mqtt.tls.ca_file, mqtt.tls.server_name and mqtt.host"
        )
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or getattr(error, "reason", "") == (
        "WRONG_VERSION_NUMBER"
    ):
        return f"no TLS could be agreed on: {error}; look at mqtt.port and mqtt.tls"
    if isinstance(error, TimeoutError):
        return str(error) or "the broker did not answer in time"
    return str(error)


def ready_to_write(sock: Any, timeout_s: float) -> bool:
    """Wait until something can be written, up to a time."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        return timeout_s > 0 and bool(selector.select(timeout_s))


def part_in_peace(sock: Any, clock: Clock, deadline: float) -> None:
    """Say goodbye and wait, not too long, until the broker has read all that was sent before.

    Closed at once, acknowledgements can be lost: a broker that sees the next connection of this client first throws
    away what it has not read of the old one, and sends those messages again.
    """
    with contextlib.suppress(OSError):  # gone already
        sock.settimeout(GOODBYE_S)
        sock.sendall(DISCONNECT)
        sock.shutdown(socket.SHUT_WR)
        while (left := deadline - clock.monotonic()) > 0:  # it may go on sending for ever
            sock.settimeout(left)
            if not sock.recv(65536):
                return
