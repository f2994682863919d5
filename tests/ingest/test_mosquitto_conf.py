"""The broker configuration that is shipped, in a real Mosquitto: limits hold nothing back, rights hold."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from config.clock import SystemClock
from config.settings import MqttSettings
from ingest.mqtt import MqttReceiver, ReceiverState
from tests.support.servers import Server, free_port

pytestmark = pytest.mark.broker
PROGRAMS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto"
PATIENCE_S = 20
AS_ROOT = "\nuser root" if os.geteuid() == 0 else ""  # or it could not read the test's files


def program(name: str) -> str:
    found = shutil.which(name, path=PROGRAMS)
    assert found is not None, f"{name} is not installed"
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    port, passwords, rules = free_port(), tmp_path / "passwd", tmp_path / "acl"
    passwords.touch(mode=0o600)
    for name in ("gridwhistle", "box-1"):
        subprocess.run([program("mosquitto_passwd"), "-b", str(passwords), name, "made-up"], check=True)
    rules.write_text((SHIPPED / "gridwhistle.acl").read_text())
    conf = (SHIPPED / "mosquitto.conf").read_text()
    for shipped, here in {
        "listener 1883 127.0.0.1": f"listener {port} 127.0.0.1",
        "/etc/mosquitto/gridwhistle.passwd": str(passwords),
        "/etc/mosquitto/conf.d/gridwhistle.acl": str(rules),
        "persistence_location /var/lib/mosquitto/": f"persistence_location {tmp_path}/" + AS_ROOT,
    }.items():
        assert shipped in conf
        conf = conf.replace(shipped, here)
    (tmp_path / "mosquitto.conf").write_text(conf)
    server = Server([program("mosquitto"), "-c", str(tmp_path / "mosquitto.conf")], port, tmp_path)
    server.start()
    yield server
    server.stop()


def receiver(broker: Server) -> MqttReceiver:
    given = {"port": broker.port, "username": "gridwhistle", "password": "made-up", "reconnect_min_s": 0.02}
    return MqttReceiver(MqttSettings.model_validate(given), SystemClock())


async def subscribed(one: MqttReceiver) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while one.state is not ReceiverState.CONNECTED:  # noqa: ASYNC110  # the thread has no event for it
            await asyncio.sleep(0.005)


def publish(broker: Server, name: str, topics: list[str]) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(name, "made-up")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    handles = [client.publish(topic, f"{number}", qos=1) for number, topic in enumerate(topics)]
    for handle in handles:
        handle.wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


async def receive(one: MqttReceiver, count: int) -> list[tuple[str, bytes]]:
    got: list[tuple[str, bytes]] = []
    async with asyncio.timeout(PATIENCE_S):
        async for batch in one.batches():
            got += [(message.topic, message.payload) for message in batch]
            one.acknowledge(batch)
            if len(got) >= count:
                break
    return got


async def test_five_thousand_readings_wait_for_a_daemon_that_is_down(broker: Server) -> None:
    async with receiver(broker) as one:
        await subscribed(one)
    count = 5000
    await asyncio.to_thread(publish, broker, "box-1", ["gridwhistle/readings/box-1/ch4"] * count)
    await asyncio.to_thread(broker.stop)  # and the broker restarts meanwhile
    await asyncio.to_thread(broker.start)
    async with receiver(broker) as one:
        assert [payload for _, payload in await receive(one, count)] == [b"%d" % number for number in range(count)]


async def test_a_device_writes_below_its_own_name_only(broker: Server) -> None:
    async with receiver(broker) as one:
        await subscribed(one)
        topics = ["gridwhistle/readings/box-2/ch4", "gridwhistle/clock", "gridwhistle/readings/box-1/ch4"]
        await asyncio.to_thread(publish, broker, "box-1", topics)
        assert await receive(one, 1) == [("gridwhistle/readings/box-1/ch4", b"2")]


async def test_a_stranger_is_not_let_in(broker: Server) -> None:
    settings = MqttSettings.model_validate({"port": broker.port, "reconnect_min_s": 0.02})
    async with MqttReceiver(settings, SystemClock()) as one, asyncio.timeout(PATIENCE_S):
        while not one.problem:  # noqa: ASYNC110  # the thread has no event for it
            await asyncio.sleep(0.005)
        assert "refused by the broker: Not authorized" in one.problem
        assert one.state is ReceiverState.CONNECTING
