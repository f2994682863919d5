"""The simulator's door to the broker: many messages in flight, and nothing left behind unacknowledged."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from paho.mqtt.client import MQTT_ERR_NO_CONN, MQTT_ERR_SUCCESS, Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from config.city import City
from config.clock import US_PER_SECOND, Clock, SystemClock
from config.errors import PermanentError, RetryableError
from sensors_sim.file_out import read_run, span
from sensors_sim.generate import Simulation
from sensors_sim.link import Address, Links
from sensors_sim.logins import Login, allow_connections
from sensors_sim.truth import Truth
from sensors_sim.wire import CLOCK_TOPIC, Instant, Message, Timed, timed_messages

IN_FLIGHT = 1000
PAHO_IN_FLIGHT = 200
"""paho-mqtt spends more on each message the more of them are in flight; 200 measured best."""
PATIENCE_S = 30.0
PROGRESS_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to publish."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """For messages to people."""
        return f"{self.host}:{self.port}"


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The work was cancelled from outside."""


def _no_delay(_client: Client, _data: Any, connection: Any) -> None:
    """Send small messages at once: the last of every window must not wait for the broker's delayed TCP answer."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Way(Protocol):
    """How messages get to the broker. Counts are of messages."""

    @property
    def window(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def acknowledged(self) -> int: ...
    @property
    def refused(self) -> dict[str, int]: ...
    @property
    def said(self) -> str: ...
    def has_room(self, message: Message) -> bool: ...
    def half_free(self, message: Message) -> bool: ...
    def send(self, message: Message) -> None: ...
    def turn(self, seconds: float) -> None: ...
    def close(self) -> None: ...


class _Paho:
    """The way of MQTT 3.1.1, for brokers that know no other: paho-mqtt and its thread."""

    def __init__(self, broker: Broker, *, window: int, qos: int, patience_s: float) -> None:
        """Connect. Raises RetryableError where nobody listens, PermanentError where the broker says no."""
        self.window = min(window, PAHO_IN_FLIGHT)
        self.said = ""
        self.acknowledged = 0
        self._sent, self._qos = 0, qos
        self._changed = threading.Condition()
        self._greeting: str | None = None
        client = self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        client.max_inflight_messages_set(self.window)
        client.reconnect_delay_set(1, 5)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        client.on_socket_open = _no_delay
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        try:
            client.connect(broker.host, broker.port, keepalive=60)
        except OSError as error:
            raise RetryableError(f"no broker answers at {broker.address}: {error}") from error
        client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._greeting is not None, patience_s)
        if self._greeting != "Success":
            self.close()
            said = f"does not answer within {patience_s:g} s" if self._greeting is None else "refuses the connection"
            kind = RetryableError if self._greeting is None else PermanentError
            raise kind(f"the broker at {broker.address} {said}{f': {self._greeting}' if self._greeting else ''}")

    @property
    def waiting(self) -> int:
        return self._sent - self.acknowledged

    @property
    def refused(self) -> dict[str, int]:
        return {}  # 3.1.1 has no word for it

    def _on_connect(
        self, _client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _props: Properties | None
    ) -> None:
        with self._changed:
            self._greeting = code.getName()
            self._changed.notify_all()

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _props: Properties | None
    ) -> None:
        with self._changed:
            self.said = code.getName()
            self._greeting = self._greeting or "connection closed without an answer"
            self._changed.notify_all()

    def _on_publish(self, _client: Client, _data: Any, _mid: int, _code: ReasonCode, _props: Properties) -> None:
        with self._changed:
            self.acknowledged += 1
            if self.waiting <= self.window // 2:
                self._changed.notify_all()

    def has_room(self, _message: Message) -> bool:
        return self.waiting < self.window

    def half_free(self, _message: Message) -> bool:
        return self.waiting <= self.window // 2

    def send(self, message: Message) -> None:
        with self._changed:
            self._sent += 1
        info = self._client.publish(message.topic, message.payload, qos=self._qos, retain=message.retain)
        if info.rc not in {MQTT_ERR_SUCCESS, MQTT_ERR_NO_CONN}:  # without connection it is kept and sent later
            raise RetryableError(f"the message could not be queued: error {info.rc} of paho-mqtt")

    def turn(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait(seconds)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Publisher:
    """Publishes from one thread, at QoS 1 unless told otherwise. A lost connection is made again and all sent again.

    Speaks MQTT 5, in which a broker says when it refuses a message, and 3.1.1 to brokers that know no other.
    Between messages call ``rest`` rather than sleep: it gives the broker its signs of life.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        in_flight: int = IN_FLIGHT,
        patience_s: float = PATIENCE_S,
        stop: threading.Event | None = None,
        qos: int = 1,
        logins: Mapping[str, Login] | None = None,
    ) -> None:
        """in_flight: most messages waiting for their PUBACK on a connection. patience_s: longest silence of the broker.

        logins: of boxes that have a connection of their own each, by device. Raises ValueError for another QoS.
        """
        if qos not in {0, 1}:
            raise ValueError(f"qos is {qos}, expected 0 or 1")
        self._broker, self._qos = broker, qos
        self._in_flight = in_flight
        self._patience_s = patience_s
        self._stop = stop or threading.Event()
        self._logins = logins or {}
        self._clock = SystemClock()
        self._sent = 0
        self._way: _Way | None = None

    def __enter__(self) -> Self:
        """Connect. Raises RetryableError where nobody listens, PermanentError where the broker says no."""
        broker = self._broker
        places: dict[str | None, Login] = {None: Login(broker.username, broker.password)}
        places.update(self._logins)
        allow_connections(len(self._logins))
        links = Links(
            {name: Address(broker.host, broker.port, one.username, one.password) for name, one in places.items()},
            window=self._in_flight,
            qos=self._qos,
            clock=self._clock,
        )
        try:
            speaks = links.open(self._patience_s)
        except BaseException:
            links.close()
            raise
        if speaks:
            self._way = links
            return self
        links.close()
        if self._logins:
            raise PermanentError(f"the broker at {broker.address} speaks no MQTT 5, which boxes of their own need")
        self._way = _Paho(broker, window=self._in_flight, qos=self._qos, patience_s=self._patience_s)
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect. Messages that are not acknowledged by then are lost: call ``drain`` first."""
        way, self._way = self._way, None
        if way is not None:
            way.close()

    @property
    def in_flight(self) -> int:
        """Most messages that may wait for their PUBACK: ours or the broker's wish, whichever is smaller."""
        return self._in_flight if self._way is None else self._way.window

    def publish(self, message: Message) -> None:
        """Send one message; waits while too many are in flight. Raises like ``drain``.

        With connections of several boxes, a message that belongs to none of them (the clock) comes to the broker
        after everything before and before everything behind it.
        """
        way = self._connected()
        if not way.has_room(message):
            self._wait_until(lambda: way.half_free(message))
        if self._stop.is_set() or way.refused:
            self._check()
        between = bool(self._logins) and message.device not in self._logins
        if between:
            self._wait_until(lambda: not way.waiting)
        self._sent += 1
        way.send(message)
        if between:
            self._wait_until(lambda: not way.waiting)

    def rest(self, seconds: float) -> None:
        """Let so much time pass, or less where the work is cancelled; all that was published is on its way by then."""
        way, until = self._connected(), self._clock.monotonic() + seconds
        way.turn(0)
        while (left := until - self._clock.monotonic()) > 0 and not self._stop.is_set():
            way.turn(min(left, 0.1))

    def drain(self) -> None:
        """Wait until every message is acknowledged (at QoS 0: handed over).

        Raises PermanentError where the broker refused any, RetryableError where it acknowledges nothing for the
        whole of its patience, Stopped where the work was cancelled.
        """
        way = self._connected()
        self._wait_until(lambda: not way.waiting)

    def _connected(self) -> _Way:
        if self._way is None:
            raise RuntimeError("publish outside of the with block")
        return self._way

    def _wait_until(self, done: Callable[[], bool]) -> None:
        way = self._connected()
        before, since = way.acknowledged, self._clock.monotonic()
        while not done() and not self._stop.is_set():
            way.turn(0.1)
            now = self._clock.monotonic()
            if way.acknowledged != before:
                before, since = way.acknowledged, now
            elif now - since >= self._patience_s:
                said = f" (last heard: {way.said})" if way.said else ""
                raise RetryableError(
                    f"the broker at {self._broker.address} acknowledged nothing for {self._patience_s:g} s; "
                    f"{way.waiting} of {self._sent} messages may not have arrived{said}"
                )
        self._check()

    def _check(self) -> None:
        refused = self._connected().refused
        if refused:
            reasons = ", ".join(f"{count} times {reason}" for reason, count in sorted(refused.items()))
            raise PermanentError(f"the broker at {self._broker.address} refused messages: {reasons}")
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

    clock_topic: whether the time is published before the readings of each instant. qos: 0 or 1. logins: of boxes
    that have a connection of their own each, by device; packs are those of one box then.
    """

    speed: float | None
    pack: int
    clock_topic: bool
    clock: Clock
    qos: int = 1
    logins: Mapping[str, Login] | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What is played: instants of a city in order of time, between two event times."""

    city: City
    instants: Iterable[Instant]
    from_us: int
    to_us: int

    def timed(self, pace: Pace) -> Iterator[Timed]:
        """Its messages, in order."""
        return timed_messages(
            self.city, self.instants, pack=pace.pack, clock_topic=pace.clock_topic, boxes=bool(pace.logins)
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What is played: a file that ``file_out.write_run`` wrote; packs and QoS are as they were written."""

    path: Path
    from_us: int
    to_us: int
    qos: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Raises ConfigurationError for a file that is none of these, OSError where it cannot be read."""
        return cls(path, *span(path))

    def timed(self, pace: Pace) -> Iterator[Timed]:
        """Its messages, in order."""
        wanted = read_run(self.path)
        return wanted if pace.clock_topic else (one for one in wanted if one.message.topic != CLOCK_TOPIC)


def _play(run: Run | Written, broker: Broker, pace: Pace, tell: ProgressCallback, stop: threading.Event) -> int:
    """Publish the messages, each no sooner than its time has come; answers how many readings were sent."""
    sent, now_us = 0, run.from_us - 1
    qos = run.qos if isinstance(run, Written) else pace.qos
    with Publisher(broker, stop=stop, qos=qos, logins=pace.logins) as publisher:
        begun = told = pace.clock.monotonic()
        for timed in run.timed(pace):
            if timed.time_us > now_us:
                now_us = timed.time_us
                if pace.speed is not None:
                    due = begun + (now_us - run.from_us) / US_PER_SECOND / pace.speed
                    publisher.rest(max(0.0, due - pace.clock.monotonic()))
                if stop.is_set():
                    raise Stopped
                if (now := pace.clock.monotonic()) - told >= PROGRESS_EVERY_S:
                    told = now
                    tell(Progress(now_us, run.from_us, run.to_us, sent))
            publisher.publish(timed.message)
            sent += timed.message.readings
        publisher.drain()
    tell(Progress(run.to_us, run.from_us, run.to_us, sent))
    return sent


async def play(run: Run | Written, broker: Broker, pace: Pace, progress: ProgressCallback | None) -> int:
    """Publish a run from a thread of its own; ``progress`` is called on the event loop.

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
