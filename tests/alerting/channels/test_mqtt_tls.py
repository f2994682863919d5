"""Pushes go over TLS where the settings say so."""

import asyncio
from pathlib import Path

import pytest

from alerting.channels.base import Notification
from alerting.channels.mqtt import MqttChannel
from config.clock import SystemClock
from config.errors import ConfigurationError
from config.settings import MqttSettings
from ingest.receiver import ReceiverState
from ingest.receivers import open_receiver
from tests.support.broker import eventually, ingest_settings, mqtt_settings, payloads, until
from tests.support.certificates import Certificates
from tests.support.servers import free_port, mosquitto

pytestmark = pytest.mark.broker
PUSH = Notification(1, "key", "event_opened", "worker-1", "mqtt", 2, {"id": "key"}, 0, 0, 1, None)


def settings(certificates: Certificates, port: int, ca: Path) -> MqttSettings:
    files = {"ca_file": ca, "cert_file": certificates.client, "key_file": certificates.client_key}
    given = {"enabled": True, "server_name": "broker.example", **files}
    topics = [{"filter": "gridwhistle/notify/#", "format": "native"}]
    return mqtt_settings(port, tls=given, subscriptions=topics)


async def test_a_push_arrives_encrypted(tmp_path: Path) -> None:
    certificates, port = Certificates(tmp_path), free_port()
    with mosquitto(tmp_path / "broker", extra=certificates.listener(port)):
        good = settings(certificates, port, certificates.ca)
        async with (
            open_receiver(good, ingest_settings(), SystemClock(), good.subscriptions) as receiver,
            MqttChannel(good, SystemClock()) as channel,
        ):
            await until(ReceiverState.CONNECTED, receiver)
            async with asyncio.timeout(20):
                await channel.send(PUSH)
            assert await payloads(receiver, 1) == ['{"id": "key"}']


async def test_a_broker_that_a_stranger_vouches_for_gets_no_push(tmp_path: Path) -> None:
    certificates, port = Certificates(tmp_path), free_port()
    with mosquitto(tmp_path / "broker", extra=certificates.listener(port)):
        wrong = settings(certificates, port, certificates.other_ca)
        async with MqttChannel(wrong, SystemClock()) as channel:
            await eventually(lambda: "certificate verify failed" in (channel.trouble or ""))


def test_a_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    missing = MqttSettings.model_validate({"tls": {"enabled": True, "ca_file": tmp_path / "gone.pem"}})
    with pytest.raises(ConfigurationError, match=r"mqtt\.tls\.ca_file"):
        MqttChannel(missing, SystemClock())
