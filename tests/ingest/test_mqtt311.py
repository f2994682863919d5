"""What only the receiver over MQTT 3.1.1 has to say; the rest stands in tests/contracts/test_receivers.py."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from config.clock import SystemClock
from config.settings import IngestSettings, MqttSettings
from ingest import threaded
from ingest.mqtt311 import MqttReceiver, _Connection
from ingest.receiver import ReceiverState
from tests.support.broker import eventually, mqtt_settings, until


def receiver(settings: MqttSettings) -> MqttReceiver:
    return MqttReceiver(
        settings, IngestSettings(), SystemClock(), settings.subscriptions, extra_topics=["gridwhistle/clock"]
    )


def test_a_refused_subscription_is_named() -> None:
    # Mosquitto grants every subscription of 3.1.1 and filters later, so the answer is given here.
    one = receiver(MqttSettings())
    codes = [ReasonCode(PacketTypes.SUBACK, identifier=code) for code in (1, 0x80, 1, 0x87)]
    _Connection(one).on_subscribe(paho.Client(CallbackAPIVersion.VERSION2), None, 1, codes, None)
    assert one.refused_filters == ("gridwhistle/readings/#", "gridwhistle/clock")
    assert one.state is ReceiverState.CONNECTED


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
            connection.sendall(b"\x90\x06" + identifier + b"\x01\x01\x01\x01")
            while not self.over.wait(0.02):
                connection.sendall(b"\x30\x03\x00\x01a")


@pytest.fixture
def endless() -> Iterator[EndlessBroker]:
    broker = EndlessBroker()
    broker.start()
    yield broker
    broker.over.set()
    broker.join()
    broker.listener.close()


async def test_a_broker_that_goes_on_sending_does_not_keep_us_from_stopping(
    endless: EndlessBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.mqtt311.GOODBYE_S", 0.2)
    clock = SystemClock()
    async with receiver(mqtt_settings(endless.port)) as one:
        await until(ReceiverState.CONNECTED, one)
        began = clock.monotonic()
    assert clock.monotonic() - began < threaded.GOODBYE_S


async def test_what_has_no_readable_topic_is_handed_on_all_the_same() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"\x20\x02\x00\x00")
                identifier = connection.recv(1000)[2:4]
                connection.sendall(b"\x90\x06" + identifier + b"\x01\x01\x01\x01" + b"\x30\x04\x00\x01\xff!")
                connection.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        async with receiver(mqtt_settings(listener.getsockname()[1])) as one:
            await eventually(lambda: one.waiting)
            async for messages in one.batches():
                assert messages.payloads == [b"!"]
                assert isinstance(messages.topics[0], str)
                break
        thread.join()
