"""Speaking with a real broker in tests: publish, wait, collect what a receiver yields."""

import asyncio
from collections.abc import Callable, Sequence

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from config.settings import IngestSettings, MqttSettings
from ingest.model import Messages
from ingest.receiver import Receiver, ReceiverState
from tests.support.servers import Server

PATIENCE_S = 20


def mqtt_settings(broker: Server | int, **more: object) -> MqttSettings:
    """Settings for a broker on loopback that connect again quickly."""
    port = broker if isinstance(broker, int) else broker.port
    given = {"port": port, "client_id": "test", "reconnect_min_s": 0.02, "reconnect_max_s": 0.2, **more}
    return MqttSettings.model_validate(given)


def ingest_settings(**more: object) -> IngestSettings:
    """Settings of the micro-batches."""
    return IngestSettings.model_validate(more)


def publish(
    broker: Server,
    payloads: Sequence[str],
    *,
    qos: int = 1,
    topic: str = "gridwhistle/readings/x",
    retain: bool = False,
    login: tuple[str, str] | None = None,
) -> None:
    """Publish in order; returns when the broker has all of it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    if login is not None:
        client.username_pw_set(*login)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        handles = [client.publish(topic, payload, qos=qos, retain=retain) for payload in payloads]
        for handle in handles:
            handle.wait_for_publish(PATIENCE_S)
    finally:
        client.disconnect()
        client.loop_stop()


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds of a network thread's doing, looking often; fails after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # the thread has no event for every state
            await asyncio.sleep(0.005)


async def until(state: ReceiverState, receiver: Receiver) -> None:
    """Wait until a receiver stands so."""
    await eventually(lambda: receiver.state is state)


async def acknowledged(receiver: Receiver, count: int) -> None:
    """Wait until it has acknowledged so many."""
    await eventually(lambda: receiver.counters["acknowledged"] >= count)


async def batches(receiver: Receiver, count: int, *, acknowledge: bool = True) -> list[Messages]:
    """The batches up to at least so many messages."""
    got: list[Messages] = []
    async with asyncio.timeout(PATIENCE_S):
        async for batch in receiver.batches():
            got.append(batch)
            if acknowledge:
                receiver.acknowledge(batch)
            if sum(map(len, got)) >= count:
                break
    return got


async def payloads(receiver: Receiver, count: int, *, acknowledge: bool = True) -> list[str]:
    """The payloads of at least so many messages, as text."""
    got = await batches(receiver, count, acknowledge=acknowledge)
    return [payload.decode() for batch in got for payload in batch.payloads]
