"""The simulator's door to the broker: QoS 1, many messages in flight, and nothing left behind unacknowledged."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from paho.mqtt.client import MQTT_ERR_NO_CONN, MQTT_ERR_SUCCESS, Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from config.city import City
from config.clock import US_PER_SECOND, Clock, SystemClock
from config.errors import PermanentError, RetryableError
from sensors_sim.generate import Simulation
from sensors_sim.truth import Truth
from sensors_sim.wire import Instant, Message, Payloads, clock_message

IN_FLIGHT = 200
"""paho-mqtt spends more on each message the more of them are in flight; 200 measured best."""
PATIENCE_S = 30.0
PROGRESS_EVERY_S = 0.2
_HUNG_UP = "connection closed without an answer"
_WRONG_PROTOCOL = {"Unsupported protocol version", "Protocol error", "Malformed packet", _HUNG_UP}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to publish."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The work was cancelled from outside."""


def _no_delay(_client: Client, _data: Any, connection: Any) -> None:
    """Send small messages at once: the last of every window must not wait for the broker's delayed TCP answer."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Publisher:
    """A connection that publishes at QoS 1 from one thread. A lost connection is made again and all is sent again.

    Speaks MQTT 5, in which a broker says when it refuses a message, and 3.1.1 to brokers that know no other.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        in_flight: int = IN_FLIGHT,
        patience_s: float = PATIENCE_S,
        stop: threading.Event | None = None,
    ) -> None:
        """in_flight: most messages waiting for their PUBACK. patience_s: longest silence of the broker."""
        self._broker = broker
        self._in_flight = in_flight
        self._patience_s = patience_s
        self._stop = stop or threading.Event()
        self._changed = threading.Condition()
        self._sent = 0
        self._acknowledged = 0
        self._refused: dict[str, int] = {}
        self._greeting: str | None = None
        self._gone = False
        self._client: Client | None = None

    def __enter__(self) -> Self:
        """Connect. Raises RetryableError where nobody listens, PermanentError where the broker says no."""
        try:
            greeting = self._connect(MQTTProtocolVersion.MQTTv5)
            if greeting in _WRONG_PROTOCOL:
                self._close()
                greeting = self._connect(MQTTProtocolVersion.MQTTv311)
            self._welcome(greeting)
        except BaseException:
            self._close()
            raise
        return self

    def _welcome(self, greeting: str) -> None:
        if greeting != "Success":
            raise PermanentError(f"the broker at {self._address} refuses the connection: {greeting}")

    def __exit__(self, *_: object) -> None:
        """Disconnect. Messages that are not acknowledged by then are lost: call ``drain`` first."""
        self._close()

    @property
    def in_flight(self) -> int:
        """Most messages that may wait for their PUBACK: ours or the broker's wish, whichever is smaller."""
        return self._in_flight

    @property
    def _address(self) -> str:
        return f"{self._broker.host}:{self._broker.port}"

    def _connect(self, protocol: MQTTProtocolVersion) -> str:
        """The broker's answer, "Success" where it lets us in."""
        client = Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        client.max_inflight_messages_set(self._in_flight)
        client.reconnect_delay_set(1, 5)
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        client.on_socket_open = _no_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client, self._greeting, self._gone = client, None, False
        try:
            client.connect(self._broker.host, self._broker.port, keepalive=60)
        except OSError as error:
            raise RetryableError(f"no broker answers at {self._address}: {error}") from error
        client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._greeting is not None or self._gone, self._patience_s)
        if self._greeting is None and not self._gone:
            raise RetryableError(f"the broker at {self._address} does not answer within {self._patience_s:g} s")
        return self._greeting or _HUNG_UP  # as brokers of 3.1.1 do

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _on_connect(
        self, _client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, props: Properties | None
    ) -> None:
        # paho-mqtt does not heed how many a broker of MQTT 5 wants in flight at most
        most = getattr(props, "ReceiveMaximum", self._in_flight)
        with self._changed:
            self._in_flight = min(self._in_flight, int(most))
            self._greeting = code.getName()
            self._changed.notify_all()

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, _code: ReasonCode, _props: Properties | None
    ) -> None:
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _on_publish(self, _client: Client, _data: Any, _mid: int, code: ReasonCode, _props: Properties) -> None:
        with self._changed:
            self._acknowledged += 1
            if code.is_failure:
                self._refused[code.getName()] = self._refused.get(code.getName(), 0) + 1
            if self._sent - self._acknowledged <= self._in_flight // 2:
                self._changed.notify_all()

    def publish(self, message: Message) -> None:
        """Send one message; waits while too many are in flight. Raises like ``drain``."""
        if self._sent - self._acknowledged >= self._in_flight:
            self._wait_for(self._in_flight // 2)
        if self._refused or self._stop.is_set():
            self._check()
        if self._client is None:
            raise RuntimeError("publish outside of the with block")
        with self._changed:
            self._sent += 1
        info = self._client.publish(message.topic, message.payload, qos=1)
        if info.rc not in {MQTT_ERR_SUCCESS, MQTT_ERR_NO_CONN}:  # without connection it is kept and sent later
            raise RetryableError(f"the message could not be queued: error {info.rc} of paho-mqtt")

    def drain(self) -> None:
        """Wait until every message is acknowledged.

        Raises PermanentError where the broker refused any, RetryableError where it acknowledges nothing for the
        whole of its patience, Stopped where the work was cancelled.
        """
        self._wait_for(0)
        self._check()

    def _wait_for(self, most: int) -> None:
        with self._changed:
            before, waited_s = self._acknowledged, 0.0
            while self._sent - self._acknowledged > most and not self._stop.is_set():
                self._changed.wait(0.1)
                moved = self._acknowledged != before
                before, waited_s = self._acknowledged, 0.0 if moved else waited_s + 0.1
                if waited_s >= self._patience_s:
                    missing = self._sent - self._acknowledged
                    raise RetryableError(
                        f"the broker at {self._address} acknowledged nothing for {self._patience_s:g} s; "
                        f"{missing} of {self._sent} messages may not have arrived"
                    )
        self._check()

    def _check(self) -> None:
        if self._refused:
            reasons = ", ".join(f"{count} times {reason}" for reason, count in sorted(self._refused.items()))
            raise PermanentError(f"the broker at {self._address} refused messages: {reasons}")
        if self._stop.is_set():
            raise Stopped


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come. time_us: event time reached, between from_us and to_us. sent: readings handed over."""

    time_us: int
    from_us: int
    to_us: int
    sent: int

    @property
    def share(self) -> float:
        """Part of the stretch of event time that is done, 0 to 1."""
        if self.time_us >= self.to_us:
            return 1.0
        return max(0.0, (self.time_us - self.from_us) / (self.to_us - self.from_us))


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run is played. speed: event seconds per real second, None for as fast as the broker acknowledges.

    clock_topic: whether the time is published before the readings of each instant.
    """

    speed: float | None
    pack: int
    clock_topic: bool
    clock: Clock


@dataclass(frozen=True, slots=True)
class Run:
    """What is played: instants of a city in order of time, between two event times."""

    city: City
    instants: Iterable[Instant]
    from_us: int
    to_us: int


def _play(run: Run, broker: Broker, pace: Pace, tell: ProgressCallback, stop: threading.Event) -> int:
    """Publish the instants, each no sooner than its time has come; answers how many readings were sent."""
    payloads = Payloads(run.city, pace.pack)
    sent = 0
    with Publisher(broker, stop=stop) as publisher:
        begun = told = pace.clock.monotonic()
        for instant in run.instants:
            if pace.speed is not None:
                due = begun + (instant.time_us - run.from_us) / US_PER_SECOND / pace.speed
                stop.wait(max(0.0, due - pace.clock.monotonic()))
            if stop.is_set():
                raise Stopped
            if pace.clock_topic:
                publisher.publish(clock_message(instant.time_us))
            for message in payloads.messages(instant):
                publisher.publish(message)
                sent += message.readings
            if (now := pace.clock.monotonic()) - told >= PROGRESS_EVERY_S:
                told = now
                tell(Progress(instant.time_us, run.from_us, run.to_us, sent))
        publisher.drain()
    tell(Progress(run.to_us, run.from_us, run.to_us, sent))
    return sent


async def play(run: Run, broker: Broker, pace: Pace, progress: ProgressCallback | None) -> int:
    """Publish instants from a thread of their own; ``progress`` is called on the event loop.

    Answers how many readings were sent, all of them acknowledged. Cancelling ends the thread before it returns.
    Raises ValueError for a speed that is not above 0; RetryableError and PermanentError as Publisher does.
    """
    if pace.speed is not None and pace.speed <= 0:
        raise ValueError(f"speed is {pace.speed}, expected a number above 0, or none for as fast as possible")
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def tell(step: Progress) -> None:
        if progress is not None:
            loop.call_soon_threadsafe(progress, step)

    work = asyncio.ensure_future(asyncio.to_thread(_play, run, broker, pace, tell, stop))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # Stopped, which nobody needs to hear of
        raise


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What a simulation sent, all of it acknowledged by the broker, and what was true."""

    readings_sent: int
    truth: Truth


async def run_simulation(
    city: City,
    seed: int,
    minutes: float = 30.0,
    *,
    speed: float | None = 1.0,
    start_us: int | None = None,
    host: str = "127.0.0.1",
    port: int = 1883,
    username: str | None = None,
    password: str | None = None,
    pack: int = 1,
    clock: bool = True,
    first_event_s: float = 120.0,
    progress: ProgressCallback | None = None,
    on_truth: Callable[[Truth], None] | None = None,
    time_source: Clock | None = None,
) -> SimulationResult:
    """Simulate a city and publish its readings; returns when the broker has acknowledged every message.

    speed: simulated seconds per real second, None for as fast as the broker acknowledges; faster than 1 needs a
    daemon whose clock follows the broker. start_us: event time of the beginning, the present whole second if not
    given; the city's time zone decides which hour of the day that is. pack: most readings in a message. clock:
    publish the simulated time. progress: called on the event loop, some times a second and at the end. on_truth:
    called with the truth before the first reading, for a run that may be cut short.

    Raises RetryableError (no broker, no acknowledgement), PermanentError (the broker refuses), ValueError.
    """
    source = time_source or SystemClock()
    begin_us = source.now_us() // US_PER_SECOND * US_PER_SECOND if start_us is None else start_us
    simulation = await asyncio.to_thread(Simulation, city, seed, begin_us, minutes, first_event_s=first_event_s)
    if on_truth is not None:
        on_truth(simulation.truth)
    sent = await play(
        Run(city, simulation.instants(), simulation.start_us, simulation.end_us),
        Broker(host, port, username, password),
        Pace(speed, pack, clock, source),
        progress,
    )
    return SimulationResult(sent, simulation.truth)
