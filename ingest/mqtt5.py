"""Receives over MQTT 5 on a socket of its own: a compiled codec reads packets, acknowledgements go out in bulk.

Nothing is acknowledged on receipt: a message of QoS 1 leaves the broker only after ``Mqtt5Receiver.acknowledge``.
What waits in memory is bounded twice. For QoS 1 by ``receive_maximum``: so many are sent before the first must be
acknowledged. For QoS 0, which knows no window, by reading the socket no further; meanwhile the broker goes on getting
our signs of life, so the connection stands.
"""

import selectors
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import mqtt5
import numpy as np
import structlog

from ingest.gather import Chunk, UInt16s
from ingest.threaded import (
    CONNECT_PATIENCE_S,
    GOODBYE_S,
    TICK_S,
    ThreadedReceiver,
    part_in_peace,
    ready_to_write,
    reason,
)

_log = structlog.get_logger(__name__)

BUFFER_BYTES: Final = 512 * 1024
"""Read at once. Smaller ones cost more calls, larger ones hold the interpreter longer than a thread's turn of 5 ms."""

REST_S: Final = 0.002
"""Pause between two reads while messages come. Brokers write each message by itself: a thread that woke up for each
would cost twice as much. A batch waits longer than this for its next message anyway."""

NEVER_EXPIRES: Final = 0xFFFF_FFFF
"""Session expiry interval: the broker keeps the session until somebody ends it (MQTT 5, 3.1.2.11.2)."""

_PUBLISH: Final = 0x30
_KIND: Final = 0xF0  # of the first byte of a packet (MQTT 5, 2.1)
_DUPLICATE, _QOS, _RETAIN = 0x08, 0x06, 0x01
_QOS_2: Final = 0x04
_FAILURE: Final = 0x80  # reason codes from here on (MQTT 5, 2.4)
_CONNACK_311: Final = b"\x20\x02"  # a CONNACK of MQTT 5 is at least three bytes long behind its length
OLD_PROTOCOL: Final = 'the broker speaks only MQTT 3.1.1: set mqtt.protocol = "3.1.1"'
_MAYBE_OLD: Final = 'a broker that speaks only MQTT 3.1.1 does so: set mqtt.protocol = "3.1.1"'
SILENT_REFUSAL: Final = f"closed by the broker before it answered; {_MAYBE_OLD}"
NO_ANSWER: Final = f"the broker did not answer in time; {_MAYBE_OLD}"

ANSWER_S: Final = 10.0
"""How long the broker may take to accept us, or to answer our subscriptions."""

_SERVER_BYTES: Final = 268_435_460
"""The longest packet there can be, its header included (MQTT 5, 2.1.4)."""


def spoken(code: Any, text: str | None = None) -> str:
    """A reason code in the words of the standard, with what the broker adds: "Not authorized"."""
    words = str(code.name).replace("_", " ").capitalize()
    return f"{words} ({text})" if text else words


def pubacks(ids: UInt16s) -> bytes:
    """Acknowledgements of these packet identifiers, in their order (MQTT 5, 3.4: four bytes each on success)."""
    packets = np.empty((len(ids), 4), np.uint8)
    packets[:, 0] = 0x40
    packets[:, 1] = 2
    packets[:, 2] = ids >> 8
    packets[:, 3] = ids & 0xFF
    return packets.tobytes()


def what_is_wrong(error: BaseException) -> str:
    """What the codec finds wrong with a packet. Raises the error itself where it says something else."""
    if isinstance(error, ValueError):
        return str(error)
    # Text that is not UTF-8 makes the codec panic, and a panic is no Exception.
    if type(error).__name__ == "PanicException":
        return "text that is not UTF-8"
    raise error


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one read of the socket brought. chunk: its messages, None where there are none. malformed: see Inbox."""

    chunk: Chunk | None
    control: Sequence[Any]
    malformed: str = ""


@dataclass(slots=True)
class _Columns:
    """What one read of the socket brought, packet by packet. heads: first bytes; numbers: packet identifiers."""

    topics: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    heads: bytearray = field(default_factory=bytearray)
    numbers: list[int | None] = field(default_factory=list)
    control: list[Any] = field(default_factory=list)


class Inbox:
    """Bytes in, columns out; knows no socket. Read into ``space()``, then say how much with ``filled``.

    The buffer grows for a packet that is larger, and shrinks again behind it. What stands before malformed bytes is
    handed on; after them nothing more can be understood.
    """

    def __init__(self, generation: int = 0, size: int = BUFFER_BYTES) -> None:
        self.generation = generation
        self._size = size
        self._buffer = bytearray(size)
        self._view = memoryview(self._buffer)
        self._held = 0

    def space(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._view[self._held :]

    def beginning(self, length: int) -> bytes:
        """The first bytes that are held and not yet understood."""
        return bytes(self._view[: min(length, self._held)])

    def filled(self, count: int, received_us: int) -> Parsed:
        """So many bytes were read into the space."""
        end = self._held + count
        columns = _Columns()
        position, malformed = self._fill(columns, end)
        self._keep(position, end)
        first = np.frombuffer(columns.heads, np.uint8)
        if not malformed and ((first & _QOS) == _QOS_2).any():
            malformed = "a message of QoS 2, which was not asked for"
        chunk = self._chunk(columns, first, position, received_us) if len(first) else None
        return Parsed(chunk, columns.control, malformed)

    def _fill(self, columns: "_Columns", end: int) -> tuple[int, str]:
        """Take apart whole packets up to ``end``; where they end, and what is wrong behind them.

        Each packet goes at once, so that the next one finds its memory still in the processor's cache.
        """
        view, read = self._view, mqtt5.read
        topic, payload = columns.topics.append, columns.payloads.append
        head, number = columns.heads.append, columns.numbers.append
        position = 0
        try:
            while position < end:  # the hot loop
                packet: Any
                packet, length = read(view[position:end])
                first = view[position]
                if first & _KIND == _PUBLISH:
                    topic(packet.topic)
                    payload(packet.payload)
                    number(packet.packet_id)
                    head(first)
                else:
                    columns.control.append(packet)
                position += length
        except IndexError:  # the last one is not whole yet
            pass
        except BaseException as error:  # noqa: BLE001  # raises again what says nothing about the packet
            return position, what_is_wrong(error)
        return position, ""

    def _chunk(self, columns: "_Columns", first: "np.typing.NDArray[np.uint8]", size: int, received_us: int) -> Chunk:
        confirmed = (first & _QOS) != 0
        if confirmed.all():
            ids = np.array(columns.numbers, np.uint16)
        elif confirmed.any():
            ids = np.array([number or 0 for number in columns.numbers], np.uint16)
        else:
            ids = np.zeros(len(first), np.uint16)
        return Chunk(
            columns.topics,
            columns.payloads,
            received_us,
            (first & _RETAIN) != 0,
            (first & _DUPLICATE) != 0,
            ids,
            self.generation,
            size,
        )

    def _keep(self, position: int, end: int) -> None:
        rest = end - position
        if rest == len(self._buffer):  # one packet fills it, and is not whole
            self._room(min(2 * len(self._buffer), _SERVER_BYTES), position, end)
        elif len(self._buffer) > self._size >= rest * 2:
            self._room(self._size, position, end)
        elif position and rest:
            self._buffer[:rest] = self._buffer[position:end]
        self._held = rest

    def _room(self, size: int, position: int, end: int) -> None:
        fresh = bytearray(size)
        fresh[: end - position] = self._buffer[position:end]
        self._buffer, self._view = fresh, memoryview(fresh)


class Mqtt5Receiver(ThreadedReceiver):
    """Receives messages in order over MQTT 5 and acknowledges them when told; see ``ingest.receiver.Receiver``.

    ``redelivered`` and ``retained`` mean what they mean in MQTT 3.1.1: retained is what the broker had kept when we
    subscribed. A retained message comes with the first subscription of a session, not with every connection.
    """

    def serve_one_connection(self) -> str:
        """See ThreadedReceiver.serve_one_connection."""
        settings = self.settings
        try:
            plain = socket.create_connection((settings.host, settings.port), CONNECT_PATIENCE_S)
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be encoded
            return reason(error)
        # SO_RCVBUF is left to the system: one that is set is never adapted to the stream any more.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock = self.tls.wrap_socket(plain, server_hostname=settings.host) if self.tls is not None else plain
        except (OSError, ValueError) as error:
            plain.close()
            return reason(error)
        sock.setblocking(False)
        connection = _Connection(self, sock)
        try:
            return connection.serve()
        except OSError as error:
            return connection.problem or reason(error)
        finally:
            try:
                if self.stopping:
                    connection.say_goodbye()
            finally:
                sock.close()


class _Connection:
    """One connection: what it has sent and heard, and what is still to go out."""

    def __init__(self, receiver: Mqtt5Receiver, sock: socket.socket) -> None:
        self._receiver = receiver
        self._clock = receiver.clock
        self._sock = sock
        self._inbox = Inbox(receiver.connects + 1)
        self._out = bytearray()
        self._keepalive_s = float(receiver.settings.keepalive_s)
        self._sent_at = self._heard_at = self._began = self._clock.monotonic()
        self._pinged_at: float | None = None
        self._blocked_at: float | None = None  # since when the broker does not read what we send
        self._accepted = False
        self._asked: dict[int, str] = {}  # packet identifier > filter that waits for its answer
        self._refused: dict[str, str] = {}
        self.problem = ""

    def serve(self) -> str:
        """Speak with the broker until the connection ends or the receiver stops; says why it ended."""
        receiver = self._receiver
        self._send(self._hello())
        with selectors.DefaultSelector() as selector:
            wake = receiver.wake_socket
            if wake is not None:
                selector.register(wake, selectors.EVENT_READ)
            interest = 0
            while not receiver.stopping and not self.problem:
                reading = receiver.reading() or not self._accepted
                interest = self._watch(selector, interest, reading=reading)
                pending = reading and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0
                ready = {key.fileobj: mask for key, mask in selector.select(0 if pending else TICK_S)}
                if wake is not None and wake in ready:
                    receiver.woken()
                came = pending or bool(ready.get(self._sock, 0) & selectors.EVENT_READ)
                more = came and self._read()
                if not reading:  # we do not listen, so its silence says nothing
                    self._heard_at = self._began = self._clock.monotonic()
                if self._accepted:
                    self._send_acks()
                    self._publish()
                self._keep_alive()
                self._flush()
                if came and self._accepted and not more:
                    receiver.rest(REST_S)
        return self.problem or "stopped"

    def _watch(self, selector: selectors.BaseSelector, interest: int, *, reading: bool) -> int:
        wanted = (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if self._out else 0)
        if wanted != interest:
            if not interest:
                selector.register(self._sock, wanted)
            elif not wanted:
                selector.unregister(self._sock)
            else:
                selector.modify(self._sock, wanted)
        return wanted

    def _hello(self) -> bytes:
        settings = self._receiver.settings
        return mqtt5.ConnectPacket(
            self._receiver.client_id,
            username=settings.username,
            password=settings.password.get_secret_value().encode() if settings.password is not None else None,
            clean_start=False,
            keep_alive=settings.keepalive_s,
            session_expiry_interval=NEVER_EXPIRES,
            receive_max=settings.receive_maximum,
            topic_alias_max=0,
            # No maximum packet size: a broker throws larger messages away and says nothing (MQTT 5, 3.1.2.11.4).
        ).write()

    def _read(self) -> bool:
        """Read what has come; whether there may be much more."""
        # With TLS one call gives one record of at most 16 KiB: fill the buffer before it is looked at.
        space = self._inbox.space()
        count = 0
        while count < len(space):
            try:
                got = self._sock.recv_into(space[count:])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            if not got:
                self.problem = self.problem or self._hung_up()
                break
            count += got
        much = count > len(space) // 2
        space.release()
        if not count:
            return False
        self._heard_at = self._clock.monotonic()
        self._handle(self._inbox.filled(count, self._clock.now_us()))
        return much

    def _hung_up(self) -> str:
        return "the connection was lost" if self._accepted else SILENT_REFUSAL

    def _handle(self, parsed: Parsed) -> None:
        for packet in parsed.control:
            self._answer(packet)
        if parsed.chunk is not None:
            if self._accepted:
                self._receiver.waiting_room.put(parsed.chunk)
                self._receiver.came(len(parsed.chunk), int(parsed.chunk.redelivered.sum()))
            else:
                self._malformed("a message before the connection was accepted")
        if parsed.malformed and not self._accepted and self._inbox.beginning(2) == _CONNACK_311:
            self.problem = OLD_PROTOCOL
        elif parsed.malformed:
            self._malformed(parsed.malformed)

    def _malformed(self, what: str) -> None:
        self._receiver.malformed()
        self.problem = f"the broker sent what is not MQTT 5: {what}"

    def _answer(self, packet: Any) -> None:
        if isinstance(packet, mqtt5.ConnAckPacket):
            self._welcomed(packet)
        elif isinstance(packet, mqtt5.SubAckPacket):
            self._subscribed(packet)
        elif isinstance(packet, mqtt5.PingRespPacket):
            self._pinged_at = None
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self.problem = f"ended by the broker: {spoken(packet.reason_code, packet.reason_str)}"
        elif not isinstance(packet, mqtt5.UnsubAckPacket):
            self._malformed(f"a {type(packet).__name__} that answers nothing")

    def _welcomed(self, answer: mqtt5.ConnAckPacket) -> None:
        if self._accepted:
            self._malformed("a second CONNACK")
            return
        if answer.reason_code is mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            self.problem = OLD_PROTOCOL
        elif answer.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            self.problem = f"refused by the broker: {spoken(answer.reason_code, answer.reason_str)}"
        else:
            self._accepted = True
            if answer.server_keep_alive is not None:
                self._keepalive_s = float(answer.server_keep_alive)
            if answer.session_expiry_interval not in (None, NEVER_EXPIRES):
                _log.warning("mqtt_session_will_expire", seconds=answer.session_expiry_interval)
            self._subscribe(answer)

    def _subscribe(self, answer: mqtt5.ConnAckPacket) -> None:
        receiver = self._receiver
        _, gone = receiver.connected(session_present=answer.session_present)
        for number, name in enumerate(gone, len(receiver.filters) + 1):
            self._send(mqtt5.UnsubscribePacket(number, [name]).write())
        for number, name in enumerate(receiver.filters, 1):
            wanted = mqtt5.TopicFilter(
                name,
                max_qos=mqtt5.QoS.AT_LEAST_ONCE,
                retain_as_published=False,  # or a fresh message that is to be kept could not be told from a kept one
                retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
            )
            packet = mqtt5.SubscribePacket(number, [wanted]).write()
            if answer.max_packet_size is not None and len(packet) > answer.max_packet_size:
                self._refused[name] = f"longer than the broker's maximum packet size of {answer.max_packet_size} bytes"
            else:
                self._asked[number] = name
                self._send(packet)
        self._all_answered()

    def _subscribed(self, answer: mqtt5.SubAckPacket) -> None:
        name = self._asked.pop(answer.packet_id, None)
        if name is None or len(answer.reason_codes) != 1:
            self._malformed("an answer to a subscription that nobody asked for")
            return
        code = answer.reason_codes[0]
        if int(code) >= _FAILURE:
            self._refused[name] = spoken(code, answer.reason_str)
        elif code is mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE:
            _log.warning("mqtt_subscription_without_acknowledgement", filter=name)
        self._all_answered()

    def _all_answered(self) -> None:
        if not self._asked:
            # Answers come in the order of the questions: what was taken back is gone by now.
            self._receiver.subscribed(self._refused)

    def _send_acks(self) -> None:
        due = self._receiver.due(self._inbox.generation)
        if due:
            ids = np.concatenate(due)
            self._send(pubacks(ids))
            self._receiver.acknowledged(len(ids))

    def _publish(self) -> None:
        for topic, payload in self._receiver.to_send():
            self._send(mqtt5.PublishPacket(topic, payload=payload, qos=mqtt5.QoS.AT_MOST_ONCE).write())

    def _keep_alive(self) -> None:
        now = self._clock.monotonic()
        if (not self._accepted or self._asked) and now - max(self._began, self._heard_at) > ANSWER_S:
            self.problem = "the broker did not answer our subscriptions in time" if self._accepted else NO_ANSWER
        if not self._accepted or not self._keepalive_s:  # 0: the broker wants no signs of life
            return
        # Half of what was agreed: a busy machine may be late by as much again, and the broker waits one and a half.
        if now - self._sent_at >= self._keepalive_s / 2 and not self._out:
            self._send(mqtt5.PingReqPacket().write())
            self._pinged_at = self._pinged_at or now
        since = self._pinged_at or self._blocked_at
        if since is not None and now - max(since, self._heard_at) > self._keepalive_s:
            self.problem = f"no sign of life from the broker for {self._keepalive_s:g} s"

    def _send(self, packet: bytes) -> None:
        self._out += packet

    def _flush(self) -> None:
        while self._out:
            try:
                sent = self._sock.send(self._out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self._blocked_at = self._blocked_at or self._clock.monotonic()
                return
            del self._out[:sent]
            self._sent_at = self._clock.monotonic()
            self._blocked_at = None

    def say_goodbye(self) -> None:
        """Send the last acknowledgements, then part."""
        deadline = self._clock.monotonic() + GOODBYE_S
        try:
            if self._accepted:
                self._send_acks()
            self._flush()
            while self._out:
                if not ready_to_write(self._sock, deadline - self._clock.monotonic()):
                    return
                self._flush()
        except OSError:
            return  # gone already: what it has not heard comes again
        part_in_peace(self._sock, self._clock, deadline)
