"""What a broker would lose, found out before it does: its limits as far as they can be seen or tried from outside.

Brokers throw messages away in silence, with the publisher acknowledged, as soon as a queue is full. So this tries: a
session of its own is left behind, messages are published to it, and what is still there afterwards is counted.
"""

import contextlib
import secrets
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import mqtt5
import numpy as np

from config.clock import Clock
from config.problems import Level
from config.settings import MqttProtocol, MqttSettings
from config.texts import both
from config.tls import tls_context
from config.vocabulary import Language, LocalText
from ingest.gather import Chunk
from ingest.mqtt5 import ANSWER_S, NO_ANSWER, OLD_PROTOCOL, SILENT_REFUSAL, Inbox, Parsed, pubacks, spoken
from ingest.threaded import CONNECT_PATIENCE_S, part_in_peace, reason

TOPIC: Final = "gridwhistle/check"
"""Below it everything is published; the account needs to read and write there."""

TRIED: Final = 20_000
"""Messages published to the session that is away; a third of a second of a city's stream of single readings."""

TRIED_SLOWLY: Final = 2_000
"""The same where the broker takes few at once: twice what a Mosquitto without limits of its own keeps."""

FEW_AT_ONCE: Final = 1_000
QOS_0: Final = 10
LARGE_BYTES: Final = 200_000
"""A message that must pass: four thousand readings, or a camera's report with its picture."""

_EXPIRES_S: Final = 600
_QUIET_S: Final = 1.0
"""So long nothing must come before nothing more is expected."""

_OLD: Final = frozenset({OLD_PROTOCOL, SILENT_REFUSAL, NO_ANSWER})


class _NoAnswerError(Exception):
    """The broker could not be reached, or did not let us in, or went; in plain words."""


class _NotAllowedError(Exception):
    """The account may not read and write below TOPIC."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What could be seen of a broker, from what it says and from what it did.

    version, dropped: from ``$SYS``; None where it does not tell. window: messages sent before the first was
    acknowledged. tried, kept: messages of QoS 1 published to a session that was away, and how many were still there;
    tried is 0 where the account was not allowed to try. qos_0_kept: of QOS_0 messages of QoS 0. session_kept: whether
    the session was still there. large_passes: whether a message of LARGE_BYTES came through. max_packet_bytes: None
    where the broker names no limit.
    """

    version: str | None = None
    dropped: int | None = None
    max_qos: int = 2
    max_packet_bytes: int | None = None
    wildcards: bool = True
    shared: bool = True
    allowed: bool = True
    tried: int = 0
    kept: int = 0
    qos_0_kept: int = 0
    window: int = 0
    session_kept: bool = True
    large_passes: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the broker that costs readings.

    code: its texts are ``broker.finding.<code>``. lines: what to write where (``mosquitto.conf``, the access list or
    the settings, as the text says), one line each; empty where no line would help.
    """

    level: Level
    code: str
    what: LocalText
    lines: tuple[str, ...] = ()

    def text(self, language: Language) -> str:
        """What is wrong, in one sentence or two."""
        return self.what.zh if language is Language.ZH else self.what.en


def _finding(level: Level, code: str, *lines: str, **params: object) -> Finding:
    return Finding(level, code, both(f"broker.finding.{code}", params), lines)


def judge(seen: Observed, settings: MqttSettings) -> tuple[Finding, ...]:
    """What of the observed costs readings, errors first."""
    found = [*_of_what_it_says(seen, settings), *_of_what_it_did(seen, settings)]
    return tuple(sorted(found, key=lambda finding: finding.level is not Level.ERROR))


def _of_what_it_says(seen: Observed, settings: MqttSettings) -> Iterator[Finding]:
    filters = [subscription.filter for subscription in settings.subscriptions]
    if seen.max_qos < 1:
        yield _finding(Level.ERROR, "no_acknowledgement", "max_qos 2")
    if not seen.wildcards and any(set("+#") & set(name) for name in filters):
        yield _finding(Level.ERROR, "no_wildcards")
    if not seen.shared and any(name.startswith("$share/") for name in filters):
        yield _finding(Level.ERROR, "no_shared")
    if seen.dropped:
        yield _finding(Level.WARNING, "dropped", dropped=seen.dropped)
    if seen.max_packet_bytes is not None and seen.max_packet_bytes < LARGE_BYTES:
        yield _finding(Level.WARNING, "packets_too_small", "max_packet_size 1048576", bytes=seen.max_packet_bytes)


def _of_what_it_did(seen: Observed, settings: MqttSettings) -> Iterator[Finding]:
    if not seen.allowed:
        if seen.max_qos:
            yield _finding(Level.WARNING, "not_allowed", f"topic readwrite {TOPIC}/#", topic=f"{TOPIC}/#")
        return
    if not seen.session_kept:
        yield _finding(Level.ERROR, "session_forgotten", "persistent_client_expiration 30d")
        return
    if seen.kept < seen.tried:
        lines = ("max_queued_messages 10000000", "max_queued_bytes 4294967296")
        yield _finding(Level.WARNING, "queue_too_short", *lines, kept=seen.kept, tried=seen.tried)
    if seen.qos_0_kept < QOS_0:
        yield _finding(Level.WARNING, "qos_0_not_kept", "queue_qos0_messages true")
    wanted = settings.receive_maximum if settings.protocol is MqttProtocol.V5 else FEW_AT_ONCE
    if seen.window < min(wanted, seen.kept):
        yield _finding(Level.WARNING, "window_too_small", "max_inflight_messages 20000", window=seen.window)
    if not seen.large_passes and (seen.max_packet_bytes is None or seen.max_packet_bytes >= LARGE_BYTES):
        yield _finding(Level.WARNING, "large_lost", "message_size_limit 0", bytes=LARGE_BYTES)


def check_broker(settings: MqttSettings, clock: Clock) -> tuple[Observed | None, tuple[Finding, ...]]:
    """Look at the broker, try its limits and judge them. Takes seconds and blocks: call it from a thread or a command.

    Nothing remains at the broker. Of the daemon's own sessions nothing is touched. Without a broker that could be
    looked at there is one finding that says why, and None for what was seen. Raises ConfigurationError for files of
    ``mqtt.tls`` that cannot be used.
    """
    try:
        seen = _observe(settings, clock)
    except _NoAnswerError as error:
        why = str(error)
        params = {"host": settings.host, "port": settings.port, "why": why}
        if why in _OLD and settings.protocol is MqttProtocol.V311:
            return None, (Finding(Level.WARNING, "not_tried", both("broker.finding.not_tried", params)),)
        lines = ('mqtt.protocol = "3.1.1"',) if why == OLD_PROTOCOL else ()
        code = "old_protocol" if lines else "unreachable"
        return None, (Finding(Level.ERROR, code, both(f"broker.finding.{code}", params), lines),)
    return seen, judge(seen, settings)


def _observe(settings: MqttSettings, clock: Clock) -> Observed:
    with _Link(settings, clock, "check") as link:
        said = link.welcome
        status = link.status(("$SYS/broker/version", "$SYS/broker/publish/messages/dropped"))
        dropped = status.get("$SYS/broker/publish/messages/dropped", "")
        seen: dict[str, Any] = {
            "version": status.get("$SYS/broker/version"),
            "dropped": int(dropped) if dropped.isdecimal() else None,
            "max_qos": int(said.max_qos),
            "max_packet_bytes": said.max_packet_size,
            "wildcards": said.wildcard_subscription_available,
            "shared": said.shared_subscription_available,
        }
        if seen["max_qos"] < 1:
            return Observed(**seen, allowed=False)
        try:
            return Observed(**seen, **_try(settings, clock, link))
        except _NotAllowedError:
            return Observed(**seen, allowed=False)


def _try(settings: MqttSettings, clock: Clock, link: "_Link") -> dict[str, Any]:
    """Publish to a session that is away and see what is left when it is back."""
    topic = f"{TOPIC}/{secrets.token_hex(8)}"
    with _Link(settings, clock, "check-probe", clean=True, expires_s=_EXPIRES_S) as probe:
        probe.subscribe(topic)
    try:
        link.publish([topic] * QOS_0, qos=0)
        tried = TRIED if link.welcome.receive_max >= FEW_AT_ONCE else TRIED_SLOWLY
        link.publish([topic] * tried, qos=1)
        with _Link(settings, clock, "check-probe", clean=False, expires_s=_EXPIRES_S) as probe:
            if not probe.welcome.session_present:
                return {"session_kept": False}
            came, window = probe.count(tried)
    finally:
        with contextlib.suppress(_NoAnswerError):  # the broker itself ends the session after _EXPIRES_S
            _Link(settings, clock, "check-probe", clean=True).__enter__().close()
    return {
        "tried": tried,
        "kept": came[1],
        "qos_0_kept": came[0],
        # Over MQTT 3.1.1 nobody says how much may be on its way; Mosquitto's own limit shows in what it takes from us.
        "window": min(window, link.welcome.receive_max) if settings.protocol is MqttProtocol.V311 else window,
        "large_passes": _large_passes(link, topic),
    }


def _large_passes(link: "_Link", topic: str) -> bool:
    limit = link.welcome.max_packet_size
    if limit is not None and limit < LARGE_BYTES:
        return False
    link.subscribe(topic)
    try:
        link.publish([topic], qos=1, payload=b" " * LARGE_BYTES)
        return any(LARGE_BYTES in map(len, chunk.payloads) for chunk in link.chunks())
    except _NoAnswerError:  # some say so with a reason code that the standard does not know, some hang up
        return False


@dataclass(slots=True)
class _Link:
    """One connection that waits for its answers: simple, and quick enough to try a broker."""

    settings: MqttSettings
    clock: Clock
    suffix: str
    clean: bool = True
    expires_s: int = 0
    welcome: mqtt5.ConnAckPacket = field(init=False)
    _sock: socket.socket = field(init=False)
    _inbox: Inbox = field(init=False)
    _unread: list[Parsed] = field(init=False)

    def __enter__(self) -> Self:
        settings = self.settings
        self._inbox, self._unread = Inbox(), []
        context = tls_context(settings.tls)
        try:
            sock = socket.create_connection((settings.host, settings.port), CONNECT_PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock = sock if context is None else context.wrap_socket(sock, server_hostname=settings.host)
        except (OSError, ValueError) as error:
            raise _NoAnswerError(reason(error)) from error
        try:
            self._greet()
        except BaseException:
            self._sock.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye; the broker has read everything afterwards."""
        part_in_peace(self._sock, self.clock, self.clock.monotonic() + _QUIET_S)
        self._sock.close()

    def _greet(self) -> None:
        settings = self.settings
        self._send(
            mqtt5.ConnectPacket(
                f"{settings.client_id}-{self.suffix}",
                username=settings.username,
                password=settings.password.get_secret_value().encode() if settings.password is not None else None,
                clean_start=self.clean,
                keep_alive=0,
                session_expiry_interval=self.expires_s,
                receive_max=settings.receive_maximum,
            ).write()
        )
        answer = self._control(mqtt5.ConnAckPacket)
        if answer.reason_code is mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            raise _NoAnswerError(OLD_PROTOCOL)
        if answer.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            raise _NoAnswerError(f"refused by the broker: {spoken(answer.reason_code, answer.reason_str)}")
        self.welcome = answer

    def _send(self, data: bytes) -> None:
        try:
            self._sock.settimeout(ANSWER_S)
            self._sock.sendall(data)
        except OSError as error:
            raise _NoAnswerError(reason(error)) from error

    def _receive(self, patience_s: float) -> Parsed | None:
        """What comes next; None where nothing comes for so long."""
        if self._unread:
            return self._unread.pop(0)
        try:
            self._sock.settimeout(patience_s)
            if sys.platform == "linux":  # or each small window waits 40 ms for a broker without set_tcp_nodelay
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            count = self._sock.recv_into(self._inbox.space())
        except (TimeoutError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise _NoAnswerError(reason(error)) from error
        if not count:
            raise _NoAnswerError("the connection was lost" if hasattr(self, "welcome") else SILENT_REFUSAL)
        parsed = self._inbox.filled(count, self.clock.now_us())
        if parsed.malformed:
            old = self._inbox.beginning(2) == b"\x20\x02"
            raise _NoAnswerError(OLD_PROTOCOL if old else f"the broker sent what is not MQTT 5: {parsed.malformed}")
        for packet in parsed.control:
            if isinstance(packet, mqtt5.DisconnectPacket):
                raise _NoAnswerError(f"ended by the broker: {spoken(packet.reason_code, packet.reason_str)}")
        return parsed

    def _control(self, kind: type[Any]) -> Any:
        """The next packet of this kind; messages that come before it are kept for later."""
        later: list[Parsed] = []
        try:
            while True:
                parsed = self._receive(ANSWER_S)
                if parsed is None:
                    raise _NoAnswerError(NO_ANSWER)
                if parsed.chunk is not None:
                    later.append(Parsed(parsed.chunk, ()))
                for packet in parsed.control:
                    if isinstance(packet, kind):
                        return packet
        finally:
            self._unread += later

    def chunks(self) -> Iterator[Chunk]:
        """Everything that comes until it is quiet."""
        while (parsed := self._receive(_QUIET_S)) is not None:
            if parsed.chunk is not None:
                yield parsed.chunk

    def subscribe(self, name: str) -> None:
        """Subscribe with QoS 1. Raises _NotAllowedError where the broker refuses."""
        self._send(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(name, max_qos=mqtt5.QoS.AT_LEAST_ONCE)]).write())
        answer = self._control(mqtt5.SubAckPacket)
        if any(int(code) >= 0x80 for code in answer.reason_codes):
            raise _NotAllowedError

    def status(self, topics: Sequence[str]) -> dict[str, str]:
        """What the broker says about itself on these topics, as far as it does."""
        for name in topics:
            with contextlib.suppress(_NotAllowedError):
                self.subscribe(name)
        said: dict[str, str] = {}
        for chunk in self.chunks():
            payloads = (payload.decode(errors="replace") for payload in chunk.payloads)
            said |= dict(zip(chunk.topics, payloads, strict=True))
            if len(said) == len(topics):
                break
        return said

    def publish(self, topics: Sequence[str], *, qos: int, payload: bytes = b"x") -> None:
        """Publish, and wait for the acknowledgements. Raises _NotAllowedError where the broker refuses."""
        if not qos:
            self._send(b"".join(mqtt5.PublishPacket(topic, payload).write() for topic in topics))
            return
        at_once = min(self.welcome.receive_max, 5_000)
        for begin in range(0, len(topics), at_once):
            part = topics[begin : begin + at_once]
            packets = [
                mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number).write()
                for number, topic in enumerate(part, 1)
            ]
            self._send(b"".join(packets))
            self._acknowledged(len(part))

    def _acknowledged(self, count: int) -> None:
        later: list[Parsed] = []
        while count > 0:
            parsed = self._receive(ANSWER_S)
            if parsed is None:
                raise _NoAnswerError("the broker did not acknowledge in time")
            if parsed.chunk is not None:
                later.append(Parsed(parsed.chunk, ()))
            answers = [packet for packet in parsed.control if isinstance(packet, mqtt5.PubAckPacket)]
            if any(answer.reason_code is mqtt5.PubAckReasonCode.NOT_AUTHORIZED for answer in answers):
                raise _NotAllowedError
            count -= len(answers)
        self._unread += later

    def count(self, most: int) -> tuple[tuple[int, int], int]:
        """How many messages of QoS 0 and 1 come, and how many of QoS 1 before the first is acknowledged."""
        came, window, unconfirmed = [0, 0], 0, np.empty(0, np.uint16)
        while came[1] < most or not came[0]:
            parsed = self._receive(_QUIET_S)
            if parsed is None and not len(unconfirmed):
                break
            if parsed is not None and parsed.chunk is not None:
                ids = parsed.chunk.ids[parsed.chunk.ids != 0]
                came[0] += len(parsed.chunk) - len(ids)
                came[1] += len(ids)
                unconfirmed = np.concatenate([unconfirmed, ids])
            if parsed is None or window:  # it has stopped once: from here on it is fed
                window = window or sum(came)  # Mosquitto lets messages of QoS 0 take room in the window
                self._send(pubacks(unconfirmed))
                unconfirmed = unconfirmed[:0]
        return (came[0], came[1]), window or sum(came)
