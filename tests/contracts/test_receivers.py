"""Whatever speaks MQTT for us loses nothing, keeps the order, acknowledges only what it is told to: real Mosquitto."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from config.clock import SystemClock
from config.errors import ConfigurationError
from config.settings import MqttProtocol, MqttSettings, Subscription
from ingest.model import Messages
from ingest.receiver import Receiver, ReceiverState
from ingest.receivers import RECEIVERS, open_receiver
from tests.support.broker import (
    PATIENCE_S,
    acknowledged,
    batches,
    eventually,
    ingest_settings,
    mqtt_settings,
    payloads,
    publish,
    until,
)
from tests.support.certificates import Certificates
from tests.support.servers import Server, free_port, mosquitto

pytestmark = pytest.mark.broker
PROTOCOLS = list(MqttProtocol)
READINGS = "gridwhistle/readings/#"


@pytest.fixture(params=PROTOCOLS, ids=[f"MQTT {protocol}" for protocol in PROTOCOLS])
def protocol(request: pytest.FixtureRequest) -> MqttProtocol:
    found: MqttProtocol = request.param
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with mosquitto(tmp_path / "mosquitto") as server:
        yield server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def receiving(
    settings: MqttSettings,
    *,
    filters: Sequence[str] = (READINGS,),
    extra_topics: Sequence[str] = (),
    suffix: str = "",
    memory: Path | None = None,
    wait: bool = True,
    **ingest: object,
) -> AsyncIterator[Receiver]:
    subscriptions = [Subscription.model_validate({"filter": name, "format": "native"}) for name in filters]
    async with open_receiver(
        settings,
        ingest_settings(**ingest),
        SystemClock(),
        subscriptions,
        extra_topics=extra_topics,
        client_id_suffix=suffix,
        memory=memory,
    ) as receiver:
        if wait:
            await until(ReceiverState.CONNECTED, receiver)
        yield receiver


async def send(broker: Server, sent: Sequence[str], topic: str = "gridwhistle/readings/x", qos: int = 1) -> None:
    await asyncio.to_thread(publish, broker, sent, topic=topic, qos=qos)


def test_every_protocol_that_can_be_set_has_its_receiver() -> None:
    assert set(RECEIVERS) == set(MqttProtocol)


@pytest.mark.parametrize("qos", [0, 1])
async def test_messages_come_in_order_with_what_was_sent(broker: Server, protocol: MqttProtocol, qos: int) -> None:
    before_us = SystemClock().now_us()
    async with receiving(mqtt_settings(broker, protocol=protocol)) as receiver:
        sent = [str(number) for number in range(500)]
        await send(broker, sent, qos=qos)
        got = await batches(receiver, 500)
        assert [payload.decode() for batch in got for payload in batch.payloads] == sent
        assert {topic for batch in got for topic in batch.topics} == {"gridwhistle/readings/x"}
        assert all(before_us <= batch.received_us.min() <= SystemClock().now_us() for batch in got)
        assert not any(batch.retained.any() or batch.redelivered.any() for batch in got)
        await acknowledged(receiver, 500 * qos)
        assert receiver.counters["received"] == 500
        assert receiver.counters["acknowledged"] == 500 * qos
        assert receiver.waiting == 0
        assert receiver.waiting_since_us is None


async def test_several_filters_and_extra_topics_come_in_one_stream(broker: Server, protocol: MqttProtocol) -> None:
    both = ["gridwhistle/readings/#", "gridwhistle/senml/#"]
    settings = mqtt_settings(broker, protocol=protocol)
    async with receiving(settings, filters=both, extra_topics=["gridwhistle/clock"]) as receiver:
        for number, topic in enumerate(("clock", "senml/a", "readings/b", "clock")):
            await send(broker, [str(number)], topic=f"gridwhistle/{topic}")
        await send(broker, ["not asked for"], topic="gridwhistle/notify/x")
        await send(broker, ["end"])
        assert await payloads(receiver, 5) == ["0", "1", "2", "3", "end"]


async def test_what_was_not_acknowledged_is_delivered_again_and_nothing_else(
    broker: Server, protocol: MqttProtocol
) -> None:
    settings = mqtt_settings(broker, protocol=protocol)
    async with receiving(settings, batch_messages=60) as receiver:
        await send(broker, [str(number) for number in range(60)])
        first = await batches(receiver, 60, acknowledge=False)
        await send(broker, [str(number) for number in range(60, 100)])
        await payloads(receiver, 40, acknowledge=False)
        for batch in first:
            receiver.acknowledge(batch)
        await acknowledged(receiver, 60)
    async with receiving(settings, wait=False) as receiver:
        again = await batches(receiver, 40)
        assert [payload.decode() for batch in again for payload in batch.payloads] == [str(n) for n in range(60, 100)]
        assert all(batch.redelivered.all() for batch in again)
        assert receiver.counters["redelivered"] == 40
        await acknowledged(receiver, 40)
    async with receiving(settings) as receiver:
        await send(broker, ["fresh"])
        assert await payloads(receiver, 1) == ["fresh"]


async def test_acknowledgements_given_at_the_last_moment_reach_the_broker(
    broker: Server, protocol: MqttProtocol
) -> None:
    settings = mqtt_settings(broker, protocol=protocol)
    for _ in range(3):
        async with receiving(settings) as receiver:
            await send(broker, [str(number) for number in range(500)])
            for batch in await batches(receiver, 500, acknowledge=False):
                receiver.acknowledge(batch)
    async with receiving(settings) as receiver:
        await send(broker, ["fresh"])
        assert await payloads(receiver, 1) == ["fresh"]


async def test_a_broker_restart_loses_nothing_and_old_acknowledgements_are_not_sent(
    broker: Server, protocol: MqttProtocol
) -> None:
    async with receiving(mqtt_settings(broker, protocol=protocol)) as receiver:
        sent = [str(number) for number in range(50)]
        await send(broker, sent)
        first = await batches(receiver, 50, acknowledge=False)
        await asyncio.to_thread(broker.stop)
        await until(ReceiverState.DISCONNECTED, receiver)
        for batch in first:  # of a connection that has ended
            receiver.acknowledge(batch)
        await eventually(lambda: receiver.problem)
        await asyncio.to_thread(broker.start)
        assert await payloads(receiver, 50) == sent
        await until(ReceiverState.CONNECTED, receiver)
        assert receiver.problem == ""
        assert receiver.connects == 2
        await acknowledged(receiver, 50)
        assert receiver.counters["stale_acks"] == 50


async def test_what_is_published_while_we_are_down_comes_when_we_are_back(
    broker: Server, protocol: MqttProtocol
) -> None:
    settings = mqtt_settings(broker, protocol=protocol)
    async with receiving(settings):
        pass
    sent = [str(number) for number in range(3000)]
    await send(broker, sent)
    async with receiving(settings, wait=False) as receiver:
        assert await payloads(receiver, 3000) == sent


async def test_the_first_connection_is_tried_until_there_is_a_broker(tmp_path: Path, protocol: MqttProtocol) -> None:
    port = free_port()
    async with receiving(mqtt_settings(port, protocol=protocol), wait=False) as receiver:
        await eventually(lambda: receiver.problem)
        assert receiver.state is ReceiverState.CONNECTING
        assert "refused" in receiver.problem
        with mosquitto(tmp_path / "mosquitto", extra=f"listener {port} 127.0.0.1"):
            await until(ReceiverState.CONNECTED, receiver)
            assert receiver.problem == ""


async def test_only_what_was_kept_before_is_called_retained(broker: Server, protocol: MqttProtocol) -> None:
    await asyncio.to_thread(publish, broker, ["before"], topic="gridwhistle/readings/x", retain=True)
    async with receiving(mqtt_settings(broker, protocol=protocol)) as receiver:
        [first] = await batches(receiver, 1)
        assert (first.payloads, first.retained.tolist()) == ([b"before"], [True])
        await asyncio.to_thread(publish, broker, ["now"], topic="gridwhistle/readings/x", retain=True)
        [second] = await batches(receiver, 1)
        assert (second.payloads, second.retained.tolist()) == ([b"now"], [False])


async def test_memory_is_bounded_and_the_stream_goes_on_afterwards(broker: Server, protocol: MqttProtocol) -> None:
    settings = mqtt_settings(broker, protocol=protocol)
    one = RECEIVERS[protocol](
        settings,
        ingest_settings(batch_messages=10),
        SystemClock(),
        [Subscription.model_validate({"filter": READINGS, "format": "native"})],
        waiting_messages=50,
    )
    async with one as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        sent = [f"{number:09}" + "x" * 4000 for number in range(2000)]
        await send(broker, sent, qos=0)
        await eventually(lambda: receiver.counters["pauses"])
        # One read of the socket may pass the limit, then it stands.
        assert 50 <= receiver.waiting <= 50 + 256
        oldest = receiver.waiting_since_us
        assert oldest is not None
        assert oldest <= SystemClock().now_us()
        assert await payloads(receiver, 2000) == sent


async def test_an_unacknowledged_window_bounds_what_the_broker_sends(tmp_path: Path, protocol: MqttProtocol) -> None:
    with mosquitto(tmp_path / "mosquitto", extra="max_inflight_messages 20") as broker:
        async with receiving(mqtt_settings(broker, protocol=protocol, receive_maximum=20)) as receiver:
            await send(broker, [str(number) for number in range(300)])
            held = await batches(receiver, 20, acknowledge=False)
            assert receiver.counters["received"] == 20
            for batch in held:
                receiver.acknowledge(batch)
            assert len(await payloads(receiver, 280)) == 280


async def test_full_batches_do_not_wait_for_the_clock(broker: Server, protocol: MqttProtocol) -> None:
    settings = mqtt_settings(broker, protocol=protocol)
    async with receiving(settings, batch_min_ms=1000, batch_ms=1000, batch_messages=5) as receiver:
        await send(broker, [str(number) for number in range(20)])
        started = asyncio.get_running_loop().time()
        assert [len(batch) for batch in await batches(receiver, 20)] == [5, 5, 5, 5]
        assert asyncio.get_running_loop().time() - started < 1


async def test_others_on_the_loop_get_their_turn_however_much_waits(broker: Server, protocol: MqttProtocol) -> None:
    settings = mqtt_settings(broker, protocol=protocol)
    async with receiving(settings, batch_messages=5) as receiver:
        await send(broker, [str(number) for number in range(500)])
        await eventually(lambda: receiver.waiting == 500)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        busy = asyncio.create_task(other())
        assert len(await batches(receiver, 500)) == 100
        busy.cancel()
        assert turns >= 100


async def test_what_nobody_wants_any_more_is_taken_back(broker: Server, protocol: MqttProtocol, tmp_path: Path) -> None:
    memory, settings = tmp_path / "deep" / "subscriptions", mqtt_settings(broker, protocol=protocol)
    async with receiving(settings, filters=["old/#", "older/#"], memory=memory):
        pass
    async with receiving(settings, filters=["new/#"], memory=memory) as receiver:
        await send(broker, ["stale"], topic="old/x")
        await send(broker, ["stale"], topic="older/x")
        await send(broker, ["fresh"], topic="new/x")
        assert await payloads(receiver, 1) == ["fresh"]
    assert json.loads(memory.read_text()) == ["new/#"]
    async with receiving(settings, filters=[], memory=memory):
        pass  # a receiver that nothing is left for still takes back
    assert json.loads(memory.read_text()) == []


async def test_two_sessions_in_one_group_share_the_stream(broker: Server, protocol: MqttProtocol) -> None:
    settings, shared = mqtt_settings(broker, protocol=protocol), ["$share/judges/gridwhistle/readings/#"]
    async with (
        receiving(settings, filters=shared, suffix="-1") as one,
        receiving(settings, filters=shared, suffix="-2") as other,
    ):
        sent = [str(number) for number in range(100)]
        await send(broker, sent)
        await eventually(lambda: one.waiting + other.waiting == 100)
        assert one.waiting
        assert other.waiting
        got = await payloads(one, one.waiting) + await payloads(other, other.waiting)
        assert sorted(got, key=int) == sent


async def test_two_daemons_with_one_client_id_fight_ever_more_slowly(broker: Server, protocol: MqttProtocol) -> None:
    settings = mqtt_settings(broker, protocol=protocol, reconnect_min_s=0.02, reconnect_max_s=100)
    began = asyncio.get_running_loop().time()
    async with receiving(settings, wait=False) as one, receiving(settings, wait=False) as other:
        await eventually(lambda: one.connects + other.connects >= 12)
    # They take turns: five falls of each, whose pauses double from at least 0.01 s, one after the other.
    # Were the pauses not to grow, ten of them would last 0.2 s at most.
    assert asyncio.get_running_loop().time() - began > 2 * 0.01 * (1 + 2 + 4 + 8 + 16) * 0.9


async def test_wrong_credentials_are_refused_in_plain_words(tmp_path: Path, protocol: MqttProtocol) -> None:
    passwords = tmp_path / "passwd"
    passwords.write_text("# nobody\n")
    passwords.chmod(0o600)
    extra = f"allow_anonymous false\npassword_file {passwords}"
    with mosquitto(tmp_path / "mosquitto", extra=extra) as broker:
        settings = mqtt_settings(broker, protocol=protocol, username="somebody", password="made-up")
        async with receiving(settings, wait=False) as receiver:
            await eventually(lambda: receiver.problem)
            assert "refused by the broker: Not authorized" in receiver.problem
            assert receiver.state is ReceiverState.CONNECTING


async def test_the_end_of_the_context_ends_the_stream(broker: Server, protocol: MqttProtocol) -> None:
    async with receiving(mqtt_settings(broker, protocol=protocol)) as receiver:
        await send(broker, ["late"])
        got = await batches(receiver, 1, acknowledge=False)
        reader = asyncio.create_task(payloads(receiver, 1))
        await asyncio.sleep(0)
    assert await asyncio.wait_for(reader, PATIENCE_S) == []
    receiver.acknowledge(got[0])  # too late, and harmless


async def test_only_whole_batches_of_a_receiver_can_be_acknowledged(broker: Server, protocol: MqttProtocol) -> None:
    async with receiving(mqtt_settings(broker, protocol=protocol)) as receiver:
        with pytest.raises(TypeError, match="no batch of this receiver"):
            receiver.acknowledge(Messages.of([]))


async def test_nothing_is_lost_while_broker_and_daemon_come_and_go(broker: Server, protocol: MqttProtocol) -> None:
    total, settings, kept = 1500, mqtt_settings(broker, protocol=protocol), list[bytes]()
    publisher = paho.Client(CallbackAPIVersion.VERSION2, "publisher", clean_session=False, protocol=paho.MQTTv311)
    publisher.reconnect_delay_set(1, 1)

    def publish_more(first: int, last: int) -> None:
        for number in range(first, last):
            publisher.publish("gridwhistle/readings/x", str(number), qos=1)

    async def life(*, forget_every: int = 0) -> None:
        """A daemon's life until it has kept all; every so often it dies after keeping, before acknowledging."""
        batches = 0
        async with receiving(settings, batch_messages=50, wait=False) as receiver, asyncio.timeout(PATIENCE_S):
            async for messages in receiver.batches():
                kept.extend(messages.payloads)
                batches += 1
                if forget_every and batches % forget_every == 0:
                    return
                receiver.acknowledge(messages)
                if len(set(kept)) == total:
                    return

    async with receiving(settings):  # the session exists before anything is published
        pass
    publisher.connect("127.0.0.1", broker.port)
    publisher.loop_start()
    try:
        publish_more(0, 500)
        await life(forget_every=3)
        await asyncio.to_thread(broker.stop)
        publish_more(500, 1000)
        await asyncio.to_thread(broker.start)
        await life(forget_every=5)
        await asyncio.to_thread(broker.stop)
        last = asyncio.create_task(life())  # this daemon is there before the broker is
        await asyncio.to_thread(broker.start)
        publish_more(1000, total)
        await last
    finally:
        publisher.disconnect()
        publisher.loop_stop()
    assert sorted(set(map(int, kept))) == list(range(total))
    # What was kept twice was kept before it was acknowledged: what two deaths and a restart of the broker left open.
    assert len(kept) < 2 * total


class TestTls:
    @pytest.fixture
    def broker(self, tmp_path: Path, certificates: Certificates) -> Iterator[Server]:
        self.port = free_port()
        with mosquitto(tmp_path / "mosquitto", extra=certificates.listener(self.port)) as server:
            yield server

    def settings(self, protocol: MqttProtocol, **tls: object) -> MqttSettings:
        return mqtt_settings(self.port, protocol=protocol, tls={"enabled": True, **tls})

    def good(self, certificates: Certificates) -> dict[str, object]:
        return {
            "ca_file": certificates.ca,
            "cert_file": certificates.client,
            "key_file": certificates.client_key,
            "server_name": "broker.example",
        }

    async def test_readings_come_encrypted_both_sides_proven(
        self, broker: Server, protocol: MqttProtocol, certificates: Certificates
    ) -> None:
        async with receiving(self.settings(protocol, **self.good(certificates))) as receiver:
            sent = [str(number) + "x" * 500 for number in range(1000)]
            await send(broker, sent)
            assert await payloads(receiver, 1000) == sent
        async with receiving(self.settings(protocol, **self.good(certificates))) as receiver:
            await send(broker, ["fresh"])  # so all else was acknowledged, to the last
            assert await payloads(receiver, 1) == ["fresh"]

    @pytest.mark.usefixtures("broker")
    async def test_a_broker_that_a_stranger_vouches_for_is_refused(
        self, protocol: MqttProtocol, certificates: Certificates
    ) -> None:
        wrong = {**self.good(certificates), "ca_file": certificates.other_ca}
        async with receiving(self.settings(protocol, **wrong), wait=False) as receiver:
            await eventually(lambda: receiver.problem)
            assert "the broker's certificate is not trusted" in receiver.problem
            assert "mqtt.tls.ca_file" in receiver.problem

    @pytest.mark.usefixtures("broker")
    async def test_a_certificate_of_another_name_is_refused(
        self, protocol: MqttProtocol, certificates: Certificates
    ) -> None:
        wrong = {**self.good(certificates), "server_name": "another.example"}
        async with receiving(self.settings(protocol, **wrong), wait=False) as receiver:
            await eventually(lambda: receiver.problem)
            assert "another.example" in receiver.problem

    def test_a_file_that_is_missing_is_named_with_its_setting(self, protocol: MqttProtocol, tmp_path: Path) -> None:
        self.port = 1883
        settings = self.settings(protocol, ca_file=tmp_path / "gone.pem")
        with pytest.raises(ConfigurationError, match=r"mqtt\.tls\.ca_file: .*gone\.pem is not found"):
            open_receiver(settings, ingest_settings(), SystemClock(), [])


async def test_what_is_published_arrives_in_order_and_readings_go_on(broker: Server, protocol: MqttProtocol) -> None:
    settings = mqtt_settings(broker, protocol=protocol)
    async with receiving(settings) as receiver, receiving(settings, filters=["plant/#"], suffix="-node") as node:
        await send(broker, ["1"])
        assert receiver.publish("plant/NCMD/edge", b"\x00\xff rebirth")
        assert receiver.publish("plant/NCMD/édge", b"")
        got = await batches(node, 2)
        assert [topic for batch in got for topic in batch.topics] == ["plant/NCMD/edge", "plant/NCMD/édge"]
        assert [payload for batch in got for payload in batch.payloads] == [b"\x00\xff rebirth", b""]
        assert not any(batch.retained.any() for batch in got)
        assert await payloads(receiver, 1) == ["1"]
        await eventually(lambda: receiver.counters["published"] == 2)
        assert receiver.counters["unpublished"] == 0


async def test_what_cannot_be_published_is_counted_and_ends_no_connection(
    broker: Server, protocol: MqttProtocol
) -> None:
    async with receiving(mqtt_settings(broker, protocol=protocol)) as receiver:
        for topic in ("", "plant/#", "plant/+/x", "plant/\0", "plant/\ud800", "p" * 65_536):
            assert not receiver.publish(topic, b"x")
        assert receiver.counters["unpublished"] == 6
        await send(broker, ["still here"])
        assert await payloads(receiver, 1) == ["still here"]
        assert receiver.connects == 1
        await asyncio.to_thread(broker.stop)
        await until(ReceiverState.DISCONNECTED, receiver)
        assert not receiver.publish("plant/NCMD/edge", b"x")
        assert receiver.counters["unpublished"] == 7
        assert receiver.counters["published"] == 0
