"""The broker configuration that is shipped, in a real Mosquitto: limits hold nothing back, rights hold."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.clock import SystemClock
from config.settings import MqttSettings
from ingest.broker_limits import check_broker
from ingest.receiver import Receiver, ReceiverState
from ingest.receivers import open_receiver
from tests.support.broker import batches, eventually, ingest_settings, mqtt_settings, payloads, publish, until
from tests.support.certificates import Certificates
from tests.support.servers import Server, free_port

pytestmark = pytest.mark.broker
PROGRAMS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto"
AS_ROOT = "\nuser root" if os.geteuid() == 0 else ""  # or it could not read the test's files
TLS_BLOCK = (
    "# listener 8883\n# cafile /etc/mosquitto/certs/ca.pem\n# certfile /etc/mosquitto/certs/broker.pem\n"
    "# keyfile /etc/mosquitto/certs/broker.key\n# tls_version tlsv1.2\n"
)


def program(name: str) -> str:
    found = shutil.which(name, path=PROGRAMS)
    assert found is not None, f"{name} is not installed"
    return found


def shipped(folder: Path, port: int, changes: dict[str, str]) -> Server:
    """A broker with our files, only paths and ports changed."""
    passwords, rules = folder / "passwd", folder / "acl"
    passwords.touch(mode=0o600)
    for name in ("gridwhistle", "box-1"):
        subprocess.run([program("mosquitto_passwd"), "-b", str(passwords), name, "made-up"], check=True)
    rules.write_text((SHIPPED / "gridwhistle.acl").read_text())
    conf = (SHIPPED / "mosquitto.conf").read_text()
    for before, here in {
        "listener 1883 127.0.0.1": f"listener {port} 127.0.0.1",
        "/etc/mosquitto/gridwhistle.passwd": str(passwords),
        "/etc/mosquitto/conf.d/gridwhistle.acl": str(rules),
        "persistence_location /var/lib/mosquitto/": f"persistence_location {folder}/" + AS_ROOT,
        **changes,
    }.items():
        assert before in conf
        conf = conf.replace(before, here)
    (folder / "mosquitto.conf").write_text(conf)
    return Server([program("mosquitto"), "-c", str(folder / "mosquitto.conf")], port, folder)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    server = shipped(tmp_path, free_port(), {})
    server.start()
    yield server
    server.stop()


def daemon_settings(broker: Server | int, **more: object) -> MqttSettings:
    return mqtt_settings(broker, client_id="gridwhistle", username="gridwhistle", password="made-up", **more)


def receiver(settings: MqttSettings) -> Receiver:
    return open_receiver(settings, ingest_settings(), SystemClock(), settings.subscriptions)


def send(broker: Server, name: str, topics: list[str]) -> None:
    for number, topic in enumerate(topics):
        publish(broker, [str(number)], topic=topic, login=(name, "made-up"))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_five_thousand_readings_wait_for_a_daemon_that_is_down(broker: Server, protocol: str) -> None:
    async with receiver(daemon_settings(broker, protocol=protocol)) as one:
        await until(ReceiverState.CONNECTED, one)
    sent = [str(number) for number in range(5000)]
    topic = "gridwhistle/readings/box-1/ch4"
    await asyncio.to_thread(publish, broker, sent, topic=topic, login=("box-1", "made-up"))
    await asyncio.to_thread(broker.stop)  # and the broker restarts meanwhile
    await asyncio.to_thread(broker.start)
    async with receiver(daemon_settings(broker, protocol=protocol)) as one:
        assert await payloads(one, 5000) == sent


async def test_a_device_writes_below_its_own_name_only(broker: Server) -> None:
    async with receiver(daemon_settings(broker)) as one:
        await until(ReceiverState.CONNECTED, one)
        assert one.refused_filters == ()
        allowed = [f"gridwhistle/{kind}/box-1/ch4" for kind in ("urgent", "readings", "senml")]
        forbidden = ["gridwhistle/readings/box-2/ch4", "gridwhistle/urgent/box-2/ch4", "gridwhistle/clock"]
        await asyncio.to_thread(send, broker, "box-1", [*forbidden, *allowed])
        assert [topic for batch in await batches(one, 3) for topic in batch.topics] == allowed


async def test_a_stranger_is_not_let_in(broker: Server) -> None:
    async with receiver(mqtt_settings(broker)) as one:
        await eventually(lambda: one.problem)
        assert "refused by the broker: Not authorized" in one.problem
        assert one.state is ReceiverState.CONNECTING


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_no_limit_that_loses_readings_is_found(broker: Server, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.broker_limits._QUIET_S", 0.3)
    seen, found = check_broker(daemon_settings(broker, protocol=protocol), SystemClock())
    assert found == ()
    assert seen is not None
    assert (seen.kept, seen.window, seen.qos_0_kept) == (20_000, 10_000, 10)


async def test_the_listener_with_tls_works_as_it_is_described(tmp_path: Path) -> None:
    certificates, secure = Certificates(tmp_path), free_port()
    block = (
        f"listener {secure}\ncafile {certificates.ca}\ncertfile {certificates.broker}\n"
        f"keyfile {certificates.broker_key}\ntls_version tlsv1.2\n"
    )
    server = shipped(tmp_path, free_port(), {TLS_BLOCK: block})
    server.start()
    try:
        tls = {"enabled": True, "ca_file": certificates.ca, "server_name": "broker.example"}
        async with receiver(daemon_settings(secure, tls=tls)) as one:
            await until(ReceiverState.CONNECTED, one)
            await asyncio.to_thread(send, server, "box-1", ["gridwhistle/readings/box-1/ch4"])
            assert await payloads(one, 1) == ["0"]
    finally:
        server.stop()
