"""What only the receiver over MQTT 5 has to say; the rest stands in tests/contracts/test_receivers.py."""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import mqtt5
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import SystemClock
from config.settings import IngestSettings, MqttSettings
from gridwhistle.broker import broker_command
from ingest.mqtt5 import OLD_PROTOCOL, SILENT_REFUSAL, Inbox, Mqtt5Receiver, Parsed, pubacks
from ingest.receiver import ReceiverState
from tests.ingest.scripted import Script
from tests.support.broker import batches, eventually, ingest_settings, mqtt_settings, payloads, publish, until
from tests.support.servers import Server, free_port, mosquitto

CODEC_PRINTS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The codec tells the interpreter of text that is not UTF-8 before it panics."""

NOW_US = 1_700_000_000_000_000


def message(number: int, *, qos: int = 1, size: int = 5, duplicate: bool = False, retain: bool = False) -> bytes:
    packet_id = number % 65_535 + 1 if qos else None
    payload = str(number).encode().ljust(size, b" ")
    return mqtt5.PublishPacket(
        f"t/{number % 7}", payload, qos=mqtt5.QoS(qos), packet_id=packet_id, duplicate=duplicate, retain=retain
    ).write()


def feed(inbox: Inbox, data: bytes, cuts: list[int] | None = None) -> list[Parsed]:
    """Hand over bytes as a socket would, at most so many at once."""
    found, sizes = [], list(cuts or [])
    while data:
        space = inbox.space()
        count = min(len(data), len(space), sizes.pop(0) if sizes else len(data))
        space[:count] = data[:count]
        found.append(inbox.filled(count, NOW_US))
        data = data[count:]
    return found


class TestInbox:
    @given(
        st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 400), st.booleans(), st.booleans()), max_size=30),
        st.lists(st.integers(1, 300), max_size=60),
        st.integers(2, 100),
    )
    def test_however_the_stream_is_cut_the_same_messages_come_out(
        self, wanted: list[tuple[int, int, bool, bool]], cuts: list[int], buffer: int
    ) -> None:
        stream = b"".join(
            message(number, qos=qos, size=size, duplicate=bool(qos and again), retain=kept)
            for number, (qos, size, again, kept) in enumerate(wanted)
        )
        chunks = [parsed.chunk for parsed in feed(Inbox(3, buffer), stream, cuts) if parsed.chunk is not None]
        assert [payload for chunk in chunks for payload in chunk.payloads] == [
            str(number).encode().ljust(size, b" ") for number, (_, size, _, _) in enumerate(wanted)
        ]
        assert [topic for chunk in chunks for topic in chunk.topics] == [f"t/{n % 7}" for n in range(len(wanted))]
        assert [int(one) for chunk in chunks for one in chunk.ids] == [
            number % 65_535 + 1 if qos else 0 for number, (qos, *_) in enumerate(wanted)
        ]
        assert [bool(one) for chunk in chunks for one in chunk.redelivered] == [bool(q and a) for q, _, a, _ in wanted]
        assert [bool(one) for chunk in chunks for one in chunk.retained] == [kept for *_, kept in wanted]
        assert {chunk.generation for chunk in chunks} <= {3}
        assert {chunk.received_us for chunk in chunks} <= {NOW_US}
        assert sum(chunk.size for chunk in chunks) == len(stream)

    def test_control_packets_are_told_from_messages_in_the_same_read(self) -> None:
        ping = mqtt5.PingRespPacket().write()
        [parsed] = feed(Inbox(), message(1) + ping + message(2) + ping)
        assert parsed.chunk is not None
        assert [payload.strip() for payload in parsed.chunk.payloads] == [b"1", b"2"]
        assert [type(packet) for packet in parsed.control] == [mqtt5.PingRespPacket] * 2
        assert not parsed.malformed

    def test_a_packet_larger_than_the_buffer_makes_room_for_itself_and_gives_it_back(self) -> None:
        inbox = Inbox(size=64)
        found = feed(inbox, message(1, size=5000) + message(2))
        assert [len(payload) for parsed in found if parsed.chunk for payload in parsed.chunk.payloads] == [5000, 5]
        assert len(inbox.space()) == 64

    @CODEC_PRINTS
    @pytest.mark.parametrize(
        ("broken", "what"),
        [
            (b"\x00\x02aa", "Invalid PacketType"),
            (b"\x36\x05\x00\x01a\x00\x01\x00", "Invalid QoS"),
            (b"\x30\xff\xff\xff\xff\xff", "Invalid variable byte integer"),
            (b"\x30\x05\x00\x02\xff\xfe\x00", "not UTF-8"),
            (b"\xd1\x00", "Invalid fixed header flags"),
            (mqtt5.PublishPacket("t", b"", qos=mqtt5.QoS.EXACTLY_ONCE, packet_id=1).write(), "QoS 2"),
        ],
    )
    def test_what_stands_before_malformed_bytes_is_handed_on(self, broken: bytes, what: str) -> None:
        [parsed] = feed(Inbox(), message(1) + message(2) + broken)
        assert parsed.chunk is not None
        assert len(parsed.chunk) >= 2
        assert what in parsed.malformed

    @CODEC_PRINTS
    @given(st.binary(min_size=1, max_size=200))
    def test_no_bytes_whatever_raise_anything(self, junk: bytes) -> None:
        for parsed in feed(Inbox(size=256), junk):
            if parsed.malformed:
                break

    @given(st.lists(st.integers(1, 65_535), min_size=1, max_size=50))
    def test_acknowledgements_are_what_the_codec_would_write(self, ids: list[int]) -> None:
        assert pubacks(np.array(ids, np.uint16)) == b"".join(mqtt5.PubAckPacket(one).write() for one in ids)


WELCOME = mqtt5.ConnAckPacket().write()
GRANTED = b"".join(mqtt5.SubAckPacket(n, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write() for n in (1, 2, 3))


MALFORMED = ("what is not MQTT 5", "a second CONNACK", "answers nothing")


def listen(connection: socket.socket) -> None:
    """Until the other side goes."""
    while connection.recv(65_536):
        pass


def receiver(settings: MqttSettings, ingest: IngestSettings | None = None) -> Mqtt5Receiver:
    return Mqtt5Receiver(settings, ingest or IngestSettings(), SystemClock(), settings.subscriptions)


async def problem_with(broker: Script) -> str:
    async with receiver(mqtt_settings(broker.port)) as one:
        await eventually(lambda: one.problem)
        return one.problem


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"\x20\x02\x00\x01", OLD_PROTOCOL),
        (b"\x20\x02\x00\x05", OLD_PROTOCOL),
        (b"\x20\x03\x00\x84\x00", OLD_PROTOCOL),
        (b"", SILENT_REFUSAL),
        (b"\x20\x03\x00\x87\x00", "refused by the broker: Not authorized"),
        (b"\x20\x03\x00\x86\x00", "refused by the broker: Bad user name or password"),
        (b"\x20\x0b\x00\x89\x08\x1f\x00\x05later", "refused by the broker: Server busy (later)"),
        (b"\x00\x00SSH", "what is not MQTT 5"),
    ],
)
async def test_a_refusal_is_told_in_plain_words(answer: bytes, problem: str) -> None:
    with Script(answer) as broker:
        assert problem in await problem_with(broker)


@CODEC_PRINTS
@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"\xe0\x01\x8e", "ended by the broker: Session taken over"),
        (b"\xe0\x01\x8b", "ended by the broker: Server shutting down"),
        (b"\x30\x05\x00\x02\xff\xfe\x00", MALFORMED[0]),
        (WELCOME, MALFORMED[1]),
        (mqtt5.PubAckPacket(1).write(), MALFORMED[2]),
    ],
)
async def test_what_ends_a_connection_is_told_and_another_is_made(sent: bytes, problem: str) -> None:
    with Script(WELCOME, GRANTED, then=lambda connection: connection.sendall(sent)) as broker:
        async with receiver(mqtt_settings(broker.port)) as one:
            await eventually(lambda: problem in one.problem)
            await eventually(lambda: one.connects >= 2)
            assert bool(one.counters["malformed"]) == (problem in MALFORMED)


async def test_messages_that_come_right_behind_the_welcome_are_taken_and_acknowledged() -> None:
    def then(connection: socket.socket) -> None:
        heard.append(connection.recv(100))
        listen(connection)

    heard: list[bytes] = []
    with Script(WELCOME + message(6), GRANTED, then=then) as broker:
        async with receiver(mqtt_settings(broker.port)) as one:
            [batch] = await batches(one, 1)
            assert batch.topics == ["t/6"]
            await eventually(lambda: heard)
        assert heard == [b"\x40\x02\x00\x07"]


async def test_refused_subscriptions_are_named_and_the_others_hold() -> None:
    refused = mqtt5.SubAckPacket(2, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]).write()
    granted = mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write()
    shared = mqtt5.SubAckPacket(3, [mqtt5.SubAckReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED]).write()
    with Script(WELCOME, granted + refused + shared, then=listen) as broker:
        async with receiver(mqtt_settings(broker.port)) as one:
            await until(ReceiverState.CONNECTED, one)
            assert one.refused_filters == ("gridwhistle/readings/#", "gridwhistle/senml/#")


async def test_a_subscription_larger_than_the_broker_takes_is_not_sent_but_named() -> None:
    small = mqtt5.ConnAckPacket(max_packet_size=30).write()
    with Script(small, mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode(1)]).write(), then=listen) as broker:
        settings = mqtt_settings(
            broker.port,
            subscriptions=[{"filter": "a/#", "format": "native"}, {"filter": "b" * 40, "format": "native"}],
        )
        async with receiver(settings) as one:
            await until(ReceiverState.CONNECTED, one)
            assert one.refused_filters == ("b" * 40,)


async def test_the_session_is_asked_for_as_it_must_be() -> None:
    with Script(WELCOME, GRANTED, then=listen) as broker:
        settings = mqtt_settings(broker.port, username="u", password="made-up", receive_maximum=123)
        async with receiver(settings) as one:
            await until(ReceiverState.CONNECTED, one)
        hello, _ = mqtt5.read(memoryview(broker.heard[0]))
        assert isinstance(hello, mqtt5.ConnectPacket)
        assert (hello.client_id, hello.username, hello.password) == ("test", "u", b"made-up")
        assert not hello.clean_start
        assert hello.session_expiry_interval == 0xFFFFFFFF
        assert hello.receive_max == 123
        assert hello.topic_alias_max == 0
        assert hello.max_packet_size is None
        question, _ = mqtt5.read(memoryview(broker.heard[1]))
        assert isinstance(question, mqtt5.SubscribePacket)
        [wanted] = question.topic_filters
        assert int(wanted.max_qos) == 1
        assert not wanted.retain_as_published


async def test_the_brokers_own_keepalive_is_kept() -> None:
    heard: list[bytes] = []

    def then(connection: socket.socket) -> None:
        heard.append(connection.recv(100))
        connection.sendall(mqtt5.PingRespPacket().write())
        listen(connection)

    with Script(mqtt5.ConnAckPacket(server_keep_alive=1).write(), GRANTED, then=then) as broker:
        async with receiver(mqtt_settings(broker.port, keepalive_s=3600)) as one:
            await eventually(lambda: heard)
            assert heard == [mqtt5.PingReqPacket().write()]
            assert one.state is ReceiverState.CONNECTED


async def test_signs_of_life_are_given_while_the_answer_to_a_subscription_waits_behind_a_long_queue() -> None:
    heard: list[bytes] = []

    def then(connection: socket.socket) -> None:
        heard.append(connection.recv(1000))  # the subscriptions
        heard.append(connection.recv(100))
        listen(connection)

    flood = b"".join(message(number, qos=0) for number in range(100))
    with Script(mqtt5.ConnAckPacket(server_keep_alive=1).write() + flood, then=then) as broker:
        settings = mqtt_settings(broker.port)
        one = Mqtt5Receiver(
            settings, ingest_settings(batch_messages=1), SystemClock(), settings.subscriptions, waiting_messages=10
        )
        async with one:
            await eventually(lambda: len(heard) == 2)
            assert one.counters["pauses"]
            assert heard[1] == mqtt5.PingReqPacket().write()


async def test_a_broker_that_says_nothing_any_more_is_left() -> None:
    with Script(mqtt5.ConnAckPacket(server_keep_alive=1).write(), GRANTED, then=listen) as broker:
        async with receiver(mqtt_settings(broker.port)) as one:
            await eventually(lambda: "no sign of life" in one.problem)


def reset(connection: socket.socket) -> None:
    """End it as a firewall does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_connection_that_is_reset_is_made_anew() -> None:
    with Script(WELCOME, GRANTED, then=reset) as broker:
        async with receiver(mqtt_settings(broker.port)) as one:
            await eventually(lambda: one.connects >= 3)


@pytest.mark.broker
class TestMosquitto:
    @pytest.fixture
    def broker(self, tmp_path: Path) -> Iterator[Server]:
        with mosquitto(tmp_path / "mosquitto") as server:
            yield server

    async def test_a_loop_busy_for_longer_than_the_keepalive_costs_no_connection(self, broker: Server) -> None:
        settings = mqtt_settings(broker).model_copy(update={"keepalive_s": 1})  # Mosquitto cuts after one and a half
        async with receiver(settings) as one:
            await until(ReceiverState.CONNECTED, one)
            await asyncio.to_thread(publish, broker, ["first"])
            [held] = await batches(one, 1, acknowledge=False)
            time.sleep(2.5)  # noqa: ASYNC251  # judging, not waiting: the loop stands still
            one.acknowledge(held)
            await asyncio.to_thread(publish, broker, ["second"])
            assert await payloads(one, 1) == ["second"]
            assert one.connects == 1
            assert one.counters["stale_acks"] == 0

    async def test_a_pause_longer_than_the_keepalive_costs_no_connection(self, broker: Server) -> None:
        settings = mqtt_settings(broker).model_copy(update={"keepalive_s": 1})
        one = Mqtt5Receiver(
            settings,
            ingest_settings(batch_messages=10),
            SystemClock(),
            settings.subscriptions,
            waiting_messages=20,
        )
        async with one:
            await until(ReceiverState.CONNECTED, one)
            sent = [f"{number:09}" + "x" * 20_000 for number in range(500)]
            await asyncio.to_thread(publish, broker, sent, qos=0)
            await eventually(lambda: one.counters["pauses"])
            began = time.monotonic()
            await eventually(lambda: time.monotonic() - began > 2.5)
            assert await payloads(one, 500) == sent
            assert one.connects == 1

    async def test_a_message_far_larger_than_the_buffer_comes_whole(self, broker: Server) -> None:
        async with receiver(mqtt_settings(broker)) as one:
            await until(ReceiverState.CONNECTED, one)
            large = "x" * 3_000_000
            await asyncio.to_thread(publish, broker, ["before", large, "after"])
            assert await payloads(one, 3) == ["before", large, "after"]


async def test_the_demonstrations_broker_is_told_to_be_of_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("ingest.mqtt5.ANSWER_S", 1.0)  # it says nothing at all
    port = free_port()
    name, command = broker_command(tmp_path, port)
    assert name == "amqtt"
    server = Server(command, port, tmp_path)
    server.start()
    try:
        async with receiver(mqtt_settings(port)) as one:
            await eventually(lambda: '"3.1.1"' in one.problem)
    finally:
        server.stop()
