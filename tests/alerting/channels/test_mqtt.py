import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from alerting.channels.base import Notification
from alerting.channels.mqtt import MqttChannel
from alerting.ledger import Ledger
from alerting.outbox import Outbox
from alerting.pipeline import Pipeline
from config.clock import SystemClock
from config.errors import PermanentError, RetryableError
from config.settings import MqttSettings
from tests.alerting.support import NOON_US, verdict
from tests.alerting.test_outbox import all_sent, running, until
from tests.support.servers import Server, mosquitto

pytestmark = pytest.mark.broker
PATIENCE_S = 30.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with mosquitto(tmp_path / "broker") as server:
        yield server


def settings(broker: Server) -> MqttSettings:
    return MqttSettings(port=broker.port, client_id="test", reconnect_min_s=0.02, reconnect_max_s=0.1)


def notification(worker: str = "worker-1", *, text: str = "你好") -> Notification:
    return Notification(1, "key", "event_opened", worker, "mqtt", 2, {"id": "key", "text": text}, 0, NOON_US, 1, None)


@asynccontextmanager
async def phone(broker: Server, worker: str) -> AsyncIterator[aiomqtt.Client]:
    """A worker's phone with a session that the broker keeps while it is away."""
    async with asyncio.timeout(PATIENCE_S):
        async with aiomqtt.Client(
            "127.0.0.1", broker.port, identifier=f"phone-{worker}", clean_session=False
        ) as client:
            await client.subscribe(f"gridwhistle/notify/{worker}", qos=1)
            yield client


async def received(client: aiomqtt.Client, count: int) -> list[Any]:
    found: list[Any] = []
    async for message in client.messages:
        assert isinstance(message.payload, bytes)
        assert message.qos == 1
        found.append(json.loads(message.payload))
        if len(found) == count:
            break
    return found


async def test_a_push_arrives_as_json_on_the_workers_own_topic(broker: Server) -> None:
    async with phone(broker, "worker-1") as client, MqttChannel(settings(broker), SystemClock()) as channel:
        await channel.send(notification("worker-2"))
        await channel.send(notification())
        assert await received(client, 1) == [{"id": "key", "text": "你好"}]


async def test_an_event_reaches_the_phone_through_outbox_and_broker(
    broker: Server, ledger: Ledger, pipeline: Pipeline
) -> None:
    clock = SystemClock()
    async with phone(broker, "worker-1") as client, MqttChannel(settings(broker), clock) as channel:
        outbox = Outbox(ledger, {channel.name: channel}, clock)
        ledger.subscribe(lambda _: outbox.wake())
        async with running(outbox):
            await asyncio.to_thread(pipeline.handle, [verdict(0)], NOON_US)
            (payload,) = await received(client, 1)
            (row,) = await until(ledger, all_sent)
    assert payload["id"] == row.key
    assert payload["code"] == "GW-20260131-0001"
    assert payload["title"]["zh"] == "【重大】燃气泄漏：place 0"


async def test_pushes_decided_while_the_broker_is_down_arrive_once_it_is_back(
    broker: Server, ledger: Ledger, pipeline: Pipeline
) -> None:
    clock = SystemClock()
    async with phone(broker, "worker-1"):
        pass  # the broker knows the session now
    async with MqttChannel(settings(broker), clock) as channel:
        outbox = Outbox(ledger, {channel.name: channel}, clock)
        ledger.subscribe(lambda _: outbox.wake())
        async with running(outbox):
            pipeline.handle([verdict(0)], NOON_US)
            await until(ledger, all_sent)
            await asyncio.to_thread(broker.stop)
            pipeline.handle([verdict(2)], NOON_US)
            await asyncio.to_thread(broker.start)
            await until(ledger, lambda found: len(found) == 2 and all_sent(found))
    async with phone(broker, "worker-1") as client:
        payloads = await received(client, 2)
    assert [payload["code"] for payload in payloads] == ["GW-20260131-0001", "GW-20260131-0002"]


async def test_without_a_broker_a_push_can_be_tried_again(broker: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.stop()
    monkeypatch.setattr("alerting.channels.mqtt.CONNECT_PATIENCE_S", 0.05)
    async with MqttChannel(settings(broker), SystemClock()) as channel:
        with pytest.raises(RetryableError, match="not connected"):
            await channel.send(notification())


@pytest.mark.parametrize("worker", ["", "a/b", "+", "#"])
async def test_a_worker_id_that_would_reach_others_is_refused(broker: Server, worker: str) -> None:
    async with MqttChannel(settings(broker), SystemClock()) as channel:
        with pytest.raises(PermanentError):
            await channel.send(notification(worker))


async def test_it_says_whether_it_is_connected(broker: Server) -> None:
    async with MqttChannel(settings(broker), SystemClock()) as channel:
        assert channel.trouble == "not connected to the broker yet"
        await channel.send(notification())
        assert channel.trouble is None
        await asyncio.to_thread(broker.stop)
        async with asyncio.timeout(PATIENCE_S):
            while channel.trouble is None:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        assert channel.trouble.startswith("not connected to the broker")


async def test_it_goes_on_trying_whatever_the_connection_raises(
    broker: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Exception] = [OSError("no such device"), ValueError("label too long"), RuntimeError("in use")]
    channel = MqttChannel(settings(broker), SystemClock())
    make = channel._new_client

    def fails_at_first() -> aiomqtt.Client:
        if failures:
            raise failures.pop(0)
        return make()

    monkeypatch.setattr(channel, "_new_client", fails_at_first)
    async with asyncio.timeout(PATIENCE_S), channel:
        await channel.send(notification())
    assert failures == []


async def test_a_host_name_that_cannot_be_encoded_is_told_and_ends_nothing(broker: Server) -> None:
    wrong = settings(broker).model_copy(update={"host": "a" * 64 + ".example"})
    async with asyncio.timeout(PATIENCE_S), MqttChannel(wrong, SystemClock()) as channel:
        while (channel.trouble or "").endswith("yet"):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        assert "label" in (channel.trouble or "")


async def test_many_pushes_at_once_are_no_reason_to_warn(broker: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with MqttChannel(settings(broker), SystemClock()) as channel:
        await asyncio.gather(*(channel.send(notification()) for _ in range(50)))
    assert "pending publish calls" not in caplog.text


async def test_a_push_that_no_broker_takes_is_refused_for_good(broker: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MqttChannel(settings(broker), SystemClock()) as channel:
        await channel.send(notification())

        async def too_large(*_: object, **__: object) -> None:
            raise ValueError("Payload too large.")

        monkeypatch.setattr(channel._client, "publish", too_large)
        with pytest.raises(PermanentError, match="too large"):
            await channel.send(notification())
