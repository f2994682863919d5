"""The receiver against a real Mosquitto."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from config.clock import SystemClock
from config.settings import IngestSettings, MqttSettings
from ingest.intake import Intake
from ingest.local import DuckdbStore
from ingest.model import Message
from ingest.mqtt311 import MqttReceiver, ReceiverState
from tests.ingest.builders import NOW_S, NOW_US, city, sensor
from tests.support.servers import Server, free_port, mosquitto

pytestmark = pytest.mark.broker
PATIENCE_S = 20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with mosquitto(tmp_path / "mosquitto") as server:
        yield server


def settings(broker: Server | int, **more: object) -> MqttSettings:
    port = broker if isinstance(broker, int) else broker.port
    given = {"port": port, "client_id": "test", "reconnect_min_s": 0.02, "reconnect_max_s": 0.2, **more}
    return MqttSettings.model_validate(given)


def publish(broker: Server, payloads: Sequence[str], *, qos: int = 1, topic: str = "gridwhistle/readings/x") -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        handles = [client.publish(topic, payload, qos=qos) for payload in payloads]
        for handle in handles:
            handle.wait_for_publish(PATIENCE_S)
    finally:
        client.disconnect()
        client.loop_stop()


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds of the network thread's doing, looking often; fails after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # the thread has no event for every state
            await asyncio.sleep(0.005)


async def until(state: ReceiverState, receiver: MqttReceiver) -> None:
    await eventually(lambda: receiver.state is state)


async def collect(receiver: MqttReceiver, count: int, *, acknowledge: bool = True) -> list[Message]:
    got: list[Message] = []
    async with asyncio.timeout(PATIENCE_S):
        async for batch in receiver.batches():
            got += batch
            if acknowledge:
                receiver.acknowledge(batch)
            if len(got) >= count:
                break
    return got


@asynccontextmanager
async def receiving(broker: Server | int, **more: object) -> AsyncIterator[MqttReceiver]:
    async with MqttReceiver(settings(broker), SystemClock(), extra_topics=["gridwhistle/clock"], **more) as receiver:  # type: ignore[arg-type]  # the receiver's own keywords
        yield receiver


async def acknowledged(receiver: MqttReceiver, count: int) -> None:
    await eventually(lambda: receiver.counters["acknowledged"] >= count)


async def test_messages_come_in_order_with_what_was_sent(broker: Server) -> None:
    async with receiving(broker) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        sent = [str(number) for number in range(500)]
        await asyncio.to_thread(publish, broker, sent)
        got = await collect(receiver, 500)
        assert [message.payload.decode() for message in got] == sent
        assert {message.topic for message in got} == {"gridwhistle/readings/x"}
        assert all(message.token and message.received_us > 0 and not message.retained for message in got)


async def test_extra_topics_come_in_the_same_stream(broker: Server) -> None:
    async with receiving(broker) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        await asyncio.to_thread(publish, broker, ["time"], topic="gridwhistle/clock")
        await asyncio.to_thread(publish, broker, ["reading"])
        assert [message.payload for message in await collect(receiver, 2)] == [b"time", b"reading"]


async def test_what_was_not_acknowledged_is_delivered_again_and_nothing_else(broker: Server) -> None:
    async with receiving(broker) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        await asyncio.to_thread(publish, broker, [str(number) for number in range(100)])
        got = await collect(receiver, 100, acknowledge=False)
        receiver.acknowledge(got[:60])
        await acknowledged(receiver, 60)
    async with receiving(broker) as receiver:
        again = await collect(receiver, 40)
        assert [message.payload for message in again] == [message.payload for message in got[60:]]
        assert all(message.redelivered for message in again)
        await acknowledged(receiver, 40)
    async with receiving(broker) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        await asyncio.to_thread(publish, broker, ["fresh"])
        assert [message.payload for message in await collect(receiver, 1)] == [b"fresh"]


async def test_a_broker_restart_loses_nothing(broker: Server) -> None:
    async with receiving(broker) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        await asyncio.to_thread(publish, broker, [str(number) for number in range(50)])
        first = await collect(receiver, 50, acknowledge=False)
        await asyncio.to_thread(broker.stop)
        await until(ReceiverState.DISCONNECTED, receiver)
        assert receiver.disconnected_since_us is not None
        receiver.acknowledge(first)  # of a connection that has ended
        await asyncio.to_thread(broker.start)
        again = await collect(receiver, 50)
        assert [message.payload for message in again] == [message.payload for message in first]
        assert receiver.state is ReceiverState.CONNECTED
        assert receiver.connects == 2
        assert receiver.disconnected_since_us is None
        await acknowledged(receiver, 50)
        assert receiver.counters["stale_acks"] == 50


async def test_what_is_published_while_the_daemon_is_down_comes_when_it_is_back(broker: Server) -> None:
    async with receiving(broker) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
    sent = [str(number) for number in range(3000)]
    await asyncio.to_thread(publish, broker, sent)
    async with receiving(broker) as receiver:
        got = await collect(receiver, 3000)
        assert [message.payload.decode() for message in got] == sent


async def test_the_first_connection_is_tried_until_there_is_a_broker(tmp_path: Path) -> None:
    port = free_port()
    async with receiving(port) as receiver:
        await eventually(lambda: receiver.problem)
        assert receiver.state is ReceiverState.CONNECTING
        assert "refused" in receiver.problem
        with mosquitto(tmp_path / "mosquitto", extra=f"listener {port} 127.0.0.1"):
            await until(ReceiverState.CONNECTED, receiver)
            assert receiver.problem == ""


async def test_two_daemons_with_one_client_id_fight_ever_more_slowly(broker: Server) -> None:
    patient = {"reconnect_min_s": 0.02, "reconnect_max_s": 100}
    began = asyncio.get_running_loop().time()
    async with (
        MqttReceiver(settings(broker, **patient), SystemClock()) as one,
        MqttReceiver(settings(broker, **patient), SystemClock()) as other,
    ):
        await eventually(lambda: one.connects + other.connects >= 12)
    # They take turns: five falls of each, whose pauses double from at least 0.01 s, one after the other.
    # Were the pauses not to grow, ten of them would last 0.2 s at most.
    assert asyncio.get_running_loop().time() - began > 2 * 0.01 * (1 + 2 + 4 + 8 + 16) * 0.9


async def test_reading_stops_while_too_much_waits_and_goes_on_afterwards(broker: Server) -> None:
    async with receiving(broker, batch_messages=10, waiting_limit=50) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        sent = [str(number) for number in range(2000)]
        await asyncio.to_thread(publish, broker, sent, qos=0)
        await eventually(lambda: receiver.counters["pauses"])
        # One round of reading may pass the limit, then it stands.
        assert 50 <= receiver.waiting <= 50 + 256
        got = await collect(receiver, 2000)
        assert [message.payload.decode() for message in got] == sent


async def test_the_brokers_window_bounds_what_waits_unacknowledged(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "mosquitto", extra="max_inflight_messages 20") as broker:
        async with receiving(broker) as receiver:
            await until(ReceiverState.CONNECTED, receiver)
            await asyncio.to_thread(publish, broker, [str(number) for number in range(300)])
            got = await collect(receiver, 20, acknowledge=False)
            assert receiver.counters["received"] == 20
            receiver.acknowledge(got)
            assert len(await collect(receiver, 280)) == 280


async def test_a_full_batch_does_not_wait_for_the_clock(broker: Server) -> None:
    async with receiving(broker, batch_ms=1000, batch_messages=5) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        await asyncio.to_thread(publish, broker, [str(number) for number in range(20)])
        started = asyncio.get_running_loop().time()
        sizes = []
        async for batch in receiver.batches():
            sizes.append(len(batch))
            if sum(sizes) == 20:
                break
        assert sizes == [5, 5, 5, 5]
        assert asyncio.get_running_loop().time() - started < 1


async def test_a_refused_subscription_is_named() -> None:
    # Mosquitto grants every subscription of 3.1.1 and filters later, so the answer is given here.
    one = MqttReceiver(MqttSettings(), SystemClock(), extra_topics=["gridwhistle/clock"])
    codes = [ReasonCode(PacketTypes.SUBACK, identifier=code) for code in (1, 0x80, 0x87)]
    one.subscribed(codes)
    assert one.refused_filters == ("gridwhistle/senml/#", "gridwhistle/clock")


async def test_the_end_of_the_context_ends_the_stream(broker: Server) -> None:
    receiver = MqttReceiver(settings(broker), SystemClock())
    async with receiver:
        await until(ReceiverState.CONNECTED, receiver)
        reader = asyncio.create_task(collect(receiver, 1))
        await asyncio.sleep(0)
    assert await asyncio.wait_for(reader, PATIENCE_S) == []
    receiver.acknowledge([Message("t", b"", 0, token=1 << 16 | 1)])  # too late, and harmless


async def test_acknowledgements_given_at_the_last_moment_reach_the_broker(
    broker: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, held, go_on = threading.Event(), threading.Event(), threading.Event()
    really = paho.Client.loop_misc

    def slowly(client: paho.Client) -> MQTTErrorCode:
        if hold.is_set():  # behind the acknowledging of this round, before the look whether to stop
            held.set()
            go_on.wait(PATIENCE_S)
        return really(client)

    monkeypatch.setattr(paho.Client, "loop_misc", slowly)
    async with receiving(broker) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        await asyncio.to_thread(publish, broker, [str(number) for number in range(100)])
        got = await collect(receiver, 100, acknowledge=False)
        hold.set()
        assert await asyncio.to_thread(held.wait, PATIENCE_S)
        receiver.acknowledge(got)
        leaving = asyncio.create_task(receiver.__aexit__(None, None, None))
        await asyncio.sleep(0)
        go_on.set()
        await leaving
    hold.clear()
    async with receiving(broker) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        await asyncio.to_thread(publish, broker, ["fresh"])
        assert [message.payload for message in await collect(receiver, 1)] == [b"fresh"]


class EndlessBroker(threading.Thread):
    """Grants everything, and goes on sending whatever it is told."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.over = threading.Event()

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with connection, contextlib.suppress(OSError):  # the other side has gone, at last
            connection.recv(1000)
            connection.sendall(b"\x20\x02\x00\x00")
            identifier = connection.recv(1000)[2:4]
            connection.sendall(b"\x90\x04" + identifier + b"\x01\x01")
            while not self.over.wait(0.02):
                connection.sendall(b"\x30\x03\x00\x01a")


async def test_a_broker_that_goes_on_sending_does_not_keep_us_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.mqtt311._GOODBYE_S", 0.2)
    endless = EndlessBroker()
    endless.start()
    try:
        async with asyncio.timeout(PATIENCE_S / 2), MqttReceiver(settings(endless.port), SystemClock()) as receiver:
            await until(ReceiverState.CONNECTED, receiver)
    finally:
        endless.over.set()
        endless.join()
        endless.listener.close()


async def test_what_the_settings_no_longer_name_is_taken_back_from_the_session(broker: Server, tmp_path: Path) -> None:
    memory = tmp_path / "deep" / "subscriptions"

    def subscribed(name: str) -> MqttReceiver:
        given = settings(broker, subscriptions=[{"filter": name, "format": "native"}])
        return MqttReceiver(given, SystemClock(), memory=memory)

    async with subscribed("old/#") as receiver:
        await until(ReceiverState.CONNECTED, receiver)
    async with subscribed("new/#") as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        await asyncio.to_thread(publish, broker, ["stale"], topic="old/x")
        await asyncio.to_thread(publish, broker, ["fresh"], topic="new/x")
        assert [message.payload for message in await collect(receiver, 1)] == [b"fresh"]
    assert json.loads(memory.read_text()) == ["new/#"]


async def test_nothing_is_lost_between_publisher_and_store_while_broker_and_daemon_come_and_go(
    broker: Server, tmp_path: Path
) -> None:
    total, gas = 1500, city([sensor(0, "gas-1")])
    publisher = paho.Client(CallbackAPIVersion.VERSION2, "publisher", clean_session=False, protocol=paho.MQTTv311)
    publisher.reconnect_delay_set(1, 1)
    store = DuckdbStore(tmp_path / "readings.duckdb", gas)
    store.prepare()

    async def send(first: int, last: int) -> None:
        for number in range(first, last):
            payload = json.dumps({"id": "gas-1", "t": NOW_S + number, "v": number % 100})
            publisher.publish("gridwhistle/readings/gas-1", payload, qos=1)

    async def keep(count: int, *, forget_every: int = 0) -> None:
        """A daemon's life until so many readings are kept; every so often it dies before it acknowledges."""
        batches = 0
        async with receiving(broker, batch_messages=50) as receiver, asyncio.timeout(PATIENCE_S):
            intake = Intake(gas, IngestSettings(), MqttSettings().subscriptions, follows_broker=True)
            async for messages in receiver.batches():
                admission = intake.admit(messages, NOW_US + total * 1_000_000)
                store.write(admission.batch)
                batches += 1
                if forget_every and batches % forget_every == 0:
                    return
                receiver.acknowledge(messages)
                if store.count() >= count:
                    await acknowledged(receiver, 1)
                    return

    async with receiving(broker) as receiver:  # the session exists before anything is published
        await until(ReceiverState.CONNECTED, receiver)
    publisher.connect("127.0.0.1", broker.port)
    publisher.loop_start()
    try:
        await send(0, 500)
        await keep(total, forget_every=3)
        await asyncio.to_thread(broker.stop)
        await send(500, 1000)
        await asyncio.to_thread(broker.start)
        await keep(total, forget_every=5)
        await asyncio.to_thread(broker.stop)
        life = asyncio.create_task(keep(total))  # this daemon is there before the broker is
        await asyncio.to_thread(broker.start)
        await send(1000, total)
        await life
    finally:
        publisher.disconnect()
        publisher.loop_stop()
    assert store.count() == total
    assert store.series(0, 0, 2 * NOW_US, total).value.tolist() == [number % 100 for number in range(total)]
    store.close()
