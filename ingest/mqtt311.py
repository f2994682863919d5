"""The only door to the broker for readings: MQTT 3.1.1 with a persistent session, acknowledged by hand.

Nothing is acknowledged on receipt: a message of QoS 1 leaves the broker only after ``MqttReceiver.acknowledge``.
What waits in memory is bounded twice. For QoS 1 by the broker's in-flight window (``max_inflight_messages``: so many
are sent before the first must be acknowledged). For QoS 0, which knows no window, by reading the socket no further
while ``waiting_limit`` messages wait; after two keepalives of that the connection ends and is made anew.
"""

import asyncio
import contextlib
import random
import selectors
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from config.clock import Clock
from config.errors import GridwhistleError
from config.settings import MqttSettings
from ingest.model import Message
from ingest.subscriptions import SubscriptionMemory

_log = structlog.get_logger(__name__)

_PACKETS_PER_ROUND = 256
"""Packets read between two looks at what is to be acknowledged."""

_MID_BITS = 16
_TICK_S = 0.25
_GOODBYE_S = 2.0
_DISCONNECT = b"\xe0\x00"  # MQTT 3.1.1, 3.14


class ReceiverState(StrEnum):
    """How it stands with the broker."""

    CONNECTING = "connecting"  # never connected so far
    CONNECTED = "connected"  # subscribed: readings can come
    DISCONNECTED = "disconnected"  # was connected; trying again


class MqttReceiver:
    """Receives messages in order and acknowledges them when told. An async context manager.

    extra_topics: further filters in the same stream. batch_ms, batch_messages: a batch is complete when the first of
    its messages has waited so long, or when it holds so many. waiting_limit: see the module. memory: a file that keeps
    what the session is subscribed to, so that what the settings no longer name is taken back after a restart.

    The network is served by a thread of its own, which alone touches the MQTT client. It connects with exponential
    pauses (``reconnect_min_s`` doubling to ``reconnect_max_s``, each shortened by up to half at random) and never
    gives up, the first time neither.
    """

    def __init__(
        self,
        settings: MqttSettings,
        clock: Clock,
        *,
        extra_topics: Sequence[str] = (),
        batch_ms: int = 20,
        batch_messages: int = 1000,
        waiting_limit: int = 20_000,
        memory: Path | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        filters = [subscription.filter for subscription in settings.subscriptions]
        self._filters = [*filters, *extra_topics]
        self._subscriptions = SubscriptionMemory(memory)
        self._batch_s = batch_ms / 1000
        self._batch_messages = batch_messages
        self._waiting_limit = max(waiting_limit, batch_messages)
        self._waiting: deque[Message] = deque()
        self._acks: deque[int] = deque()  # tokens
        self._generation = 0
        self._state = ReceiverState.CONNECTING
        self._disconnected_since_us: int | None = None
        self._refused_filters: tuple[str, ...] = ()
        self._counters = {"received": 0, "redelivered": 0, "acknowledged": 0, "stale_acks": 0, "pauses": 0}
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
        """How it stands with the broker just now."""
        return self._state

    @property
    def connects(self) -> int:
        """How often a connection was made."""
        return self._generation

    @property
    def disconnected_since_us(self) -> int | None:
        """Since when there is no connection (wall time); None while there is one."""
        return self._disconnected_since_us

    @property
    def problem(self) -> str:
        """Why there is no connection, in the words of the broker or the network; empty while there is one."""
        return self._last_problem

    @property
    def refused_filters(self) -> tuple[str, ...]:
        """Subscriptions that the broker refused on the present connection: from there no reading will come."""
        return self._refused_filters

    @property
    def waiting(self) -> int:
        """Messages received and not yet yielded."""
        return len(self._waiting)

    @property
    def counters(self) -> dict[str, int]:
        """What happened so far, by name.

        ``received``, ``redelivered`` (sent again by the broker), ``acknowledged``, ``stale_acks`` (of an ended
        connection, so not sent), ``pauses`` (times the socket was left unread because too much waited).
        """
        return dict(self._counters)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._wake = socket.socketpair()
        for end in self._wake:
            end.setblocking(False)
        self._disconnected_since_us = self._clock.now_us()
        self._thread = threading.Thread(target=self._run, name="mqtt-receiver", daemon=True)
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

    async def batches(self) -> AsyncIterator[list[Message]]:
        """Yield messages in order of receipt, at least one at a time, until the context ends. One reader only.

        Raises GridwhistleError if the network thread failed in a way it does not know.
        """
        while await self._enough(1, None):
            if len(self._waiting) < self._batch_messages:
                await self._enough(self._batch_messages, self._batch_s)
            count = min(len(self._waiting), self._batch_messages)
            batch = [self._waiting.popleft() for _ in range(count)]
            if len(self._waiting) + count >= self._waiting_limit:
                self._wake_network()
            yield batch
            if not self._waiting:
                # Taking from a full queue never waits; others on the loop must still get their turn.
                await asyncio.sleep(0)
        if self._failure is not None:
            raise GridwhistleError(f"the MQTT receiver failed: {self._failure!r}") from self._failure

    async def _enough(self, count: int, timeout_s: float | None) -> bool:
        """Wait until so many messages wait, or for so long. False when the context ends or the thread failed."""
        self._ready.clear()
        self._signalled = False
        self._wake_at = count
        # The network thread appends before it looks at wake_at, this side the other way round: none is missed.
        while len(self._waiting) < count and not self._stopping.is_set() and self._failure is None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._ready.wait()
            except TimeoutError:
                break
            self._ready.clear()
            self._signalled = False
        return not self._stopping.is_set() and (bool(self._waiting) or self._failure is None)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these messages are safe. Returns at once; the network thread sends it.

        Messages of an ended connection are passed over: the broker sends them again on the new one. So are all once the
        context has ended.
        """
        self._acks.extend(message.token for message in messages if message.token)
        self._wake_network()

    def _wake_network(self) -> None:
        if self._wake is not None:
            with contextlib.suppress(BlockingIOError):  # full: it is awake already
                self._wake[1].send(b"\0")

    # From here on: the network thread.

    def _run(self) -> None:
        try:
            self._connect_for_ever()
        except BaseException as error:  # noqa: BLE001  # handed over: batches() raises it
            self._failure = error
            _log.error("mqtt_receiver_failed", error=repr(error))
            self._signal()

    def _connect_for_ever(self) -> None:
        pause_s = self._settings.reconnect_min_s
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            problem = self._serve_one_connection()
            if self._stopping.is_set():
                return
            # Only a connection that lasted starts the pauses anew: two daemons with one client id throw each other
            # out as soon as they are in, and must not do so twice a second.
            if self._clock.monotonic() - began > self._settings.reconnect_max_s:
                pause_s = self._settings.reconnect_min_s
            self._note_down(problem)
            self._stopping.wait(pause_s * random.uniform(0.5, 1))  # noqa: S311  # spreads daemons, guards no secret
            pause_s = min(pause_s * 2, self._settings.reconnect_max_s)

    def _note_down(self, problem: str) -> None:
        if self._state is ReceiverState.CONNECTED:
            self._state = ReceiverState.DISCONNECTED
            self._disconnected_since_us = self._clock.now_us()
            self._last_problem = ""
        if problem != self._last_problem:
            _log.warning("mqtt_not_connected", host=self._settings.host, port=self._settings.port, problem=problem)
            self._last_problem = problem

    def _serve_one_connection(self) -> str:
        """Connect and serve until the connection ends; says why it ended.

        Every connection has a client of its own, so that nothing of an old one (above all no acknowledgement: message
        ids are used anew) can ever be sent on a new one.
        """
        connection = _Connection(self)
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=False,
            protocol=paho.MQTTv311,
            manual_ack=True,
        )
        if settings.username is not None:
            client.username_pw_set(
                settings.username, settings.password.get_secret_value() if settings.password else None
            )
        client.on_connect = connection.on_connect
        client.on_subscribe = connection.on_subscribe
        client.on_unsubscribe = connection.on_unsubscribe
        client.on_message = connection.on_message
        client.on_disconnect = connection.on_disconnect
        try:
            client.connect(settings.host, settings.port, settings.keepalive_s)
        except (OSError, ValueError) as error:
            return str(error)
        try:
            return self._serve(client, connection)
        finally:
            if self._stopping.is_set():
                self._part_in_peace(client, connection)
            client.disconnect()
            if (open_socket := client.socket()) is not None:
                open_socket.close()

    def _serve(self, client: paho.Client, connection: "_Connection") -> str:
        paused = False
        while not self._stopping.is_set():
            sock = client.socket()
            if sock is None or connection.problem:
                return connection.problem or "the connection was lost"
            too_many = len(self._waiting) >= self._waiting_limit
            if too_many and not paused:
                self._counters["pauses"] += 1
                _log.warning("mqtt_reading_paused", waiting=len(self._waiting))
            paused = too_many
            if self._wait_for_work(sock, reading=not paused, writing=client.want_write()):
                self._read(client, connection)
            if client.want_write():
                client.loop_write()
            self._send_acks(client, connection)
            client.loop_misc()
        return "stopped"

    def _wait_for_work(self, sock: Any, *, reading: bool, writing: bool) -> bool:
        """Sleep until there is something to do; True if the broker sent something."""
        events = (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if writing else 0)
        wake = self._wake[0] if self._wake is not None else None
        with selectors.DefaultSelector() as selector:
            if wake is not None:
                selector.register(wake, selectors.EVENT_READ)
            if events:
                selector.register(sock, events)
            ready = {key.fileobj: mask for key, mask in selector.select(_TICK_S)}
        if wake is not None and wake in ready:
            with contextlib.suppress(BlockingIOError):
                wake.recv(4096)
        return bool(ready.get(sock, 0) & selectors.EVENT_READ)

    def _read(self, client: paho.Client, connection: "_Connection") -> None:
        for _ in range(_PACKETS_PER_ROUND):
            before = connection.packets
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or connection.packets == before:
                break
        if self._waiting:
            self._signal_if_enough()

    def _send_acks(self, client: paho.Client, connection: "_Connection") -> None:
        while self._acks:
            token = self._acks.popleft()
            if token >> _MID_BITS != connection.generation:
                self._counters["stale_acks"] += 1
            elif client.ack(token & 0xFFFF, 1) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._counters["acknowledged"] += 1

    def _part_in_peace(self, client: paho.Client, connection: "_Connection") -> None:
        """Send the last acknowledgements, say goodbye and wait, not too long, until the broker has read all of it.

        Closed at once, acknowledgements can be lost: a broker that sees the next connection of this client first
        throws away what it has not read of the old one, and sends those messages again.
        """
        deadline = self._clock.monotonic() + _GOODBYE_S
        self._send_acks(client, connection)
        while client.want_write() and (sock := client.socket()) is not None:
            if not _ready_to_write(sock, deadline - self._clock.monotonic()):
                return
            client.loop_write()
        open_socket: Any = client.socket()
        if open_socket is None:
            return
        with contextlib.suppress(OSError):  # gone already
            open_socket.settimeout(_GOODBYE_S)
            open_socket.sendall(_DISCONNECT)
            open_socket.shutdown(socket.SHUT_WR)
            while (left := deadline - self._clock.monotonic()) > 0:  # it may go on sending for ever
                open_socket.settimeout(left)
                if not open_socket.recv(65536):
                    return

    def _signal_if_enough(self) -> None:
        if len(self._waiting) >= self._wake_at and not self._signalled:
            self._signal()

    def _signal(self) -> None:
        self._signalled = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._ready.set)

    def connected(self, client: paho.Client, *, session_present: bool) -> int:
        """A connection is up (called in the network thread): subscribe to everything. Returns its generation.

        What an earlier run had subscribed to and nobody wants any more is taken back first.
        """
        self._generation += 1
        self._refused_filters = ()
        self._last_problem = ""
        if gone := self._subscriptions.gone(self._filters):
            client.unsubscribe(gone)
            _log.info("mqtt_unsubscribed", filters=gone)
        self._subscriptions.asked(self._filters)
        client.subscribe([(name, 1) for name in self._filters])
        _log.info("mqtt_connected", connects=self._generation, session_present=session_present)
        return self._generation

    def subscribed(self, codes: Sequence[ReasonCode]) -> None:
        """The broker answered the subscriptions (called in the network thread)."""
        refused = [name for name, code in zip(self._filters, codes, strict=False) if code.is_failure]
        self._refused_filters = tuple(refused)
        self._subscriptions.answered(self._filters)  # in order: what was taken back is gone by now
        for name in refused:
            _log.error("mqtt_subscription_refused", filter=name)
        self._state = ReceiverState.CONNECTED
        self._disconnected_since_us = None

    def take(self, message: paho.MQTTMessage, generation: int) -> None:
        """One message came (called in the network thread)."""
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = repr(message)
        counters = self._counters
        counters["received"] += 1
        counters["redelivered"] += message.dup
        token = generation << _MID_BITS | message.mid if message.qos else 0
        self._waiting.append(
            Message(topic, bytes(message.payload), self._clock.now_us(), message.retain, message.dup, token)
        )


def _ready_to_write(sock: Any, timeout_s: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        return timeout_s > 0 and bool(selector.select(timeout_s))


class _Connection:
    """One connection's callbacks and what they found out."""

    def __init__(self, receiver: MqttReceiver) -> None:
        self._receiver = receiver
        self.generation = 0
        self.packets = 0
        self.problem = ""

    def on_connect(self, client: paho.Client, _data: Any, flags: paho.ConnectFlags, code: ReasonCode, _p: Any) -> None:
        self.packets += 1
        if code.is_failure:
            self.problem = f"refused by the broker: {code}"
        else:
            self.generation = self._receiver.connected(client, session_present=flags.session_present)

    def on_subscribe(self, _client: paho.Client, _data: Any, _mid: int, codes: list[ReasonCode], _p: Any) -> None:
        self.packets += 1
        self._receiver.subscribed(codes)

    def on_unsubscribe(self, _client: paho.Client, _data: Any, _mid: int, _codes: list[ReasonCode], _p: Any) -> None:
        self.packets += 1

    def on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self.packets += 1
        self._receiver.take(message, self.generation)

    def on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _p: Any) -> None:
        self.problem = self.problem or str(code)
