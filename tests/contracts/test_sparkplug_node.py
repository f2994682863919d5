"""A Sparkplug node that was there before us is asked for its births and gives them: over a real Mosquitto."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from config.clock import SystemClock
from config.fields import FieldRule, FieldRules
from config.settings import IngestSettings, MqttProtocol, PayloadFormat, Subscription
from ingest.formats.sparkplug_payload import Metric, read_metric, read_payload, value_of, write_payload
from ingest.intake import Intake
from ingest.receiver import ReceiverState
from ingest.receivers import open_receiver
from tests.ingest.builders import city, sensor
from tests.support.broker import PATIENCE_S, ingest_settings, mqtt_settings, until
from tests.support.servers import Server, mosquitto

pytestmark = pytest.mark.broker

SUBSCRIPTION = Subscription(filter="spBv1.0/#", format=PayloadFormat.SPARKPLUG)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with mosquitto(tmp_path / "mosquitto") as server:
        yield server


class EdgeNode:
    """A node with one gas meter: data by alias, and births when it is told to (specification 3.0, chapter 5.17)."""

    def __init__(self, broker: Server) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self.client.on_message = self._commanded
        self.client.connect("127.0.0.1", broker.port)
        self.client.subscribe("spBv1.0/plant/NCMD/pit-1", qos=1)
        self.client.loop_start()
        self.seq = 100
        self.born = 0

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def say(self, kind: str, *metrics: Metric) -> None:
        device = "/box" if kind.startswith("D") else ""
        payload = write_payload(self._now_ms(), self.seq, metrics)
        self.client.publish(f"spBv1.0/plant/{kind}/pit-1{device}", payload, qos=0)
        self.seq = (self.seq + 1) % 256

    def gas(self, value: float, *, born: bool = False) -> Metric:
        kind, raw = value_of(9, value)
        return Metric("Gas" if born else None, 7, self._now_ms(), 9 if born else None, kind=kind, raw=raw)

    def _now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def _commanded(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        (command,) = map(read_metric, read_payload(bytes(message.payload)).metrics)
        if (command.name, command.raw) == ("Node Control/Rebirth", 1):
            self.seq = 0
            self.born += 1
            self.say("NBIRTH")
            self.say("DBIRTH", self.gas(1.5, born=True))
            self.say("DDATA", self.gas(2.5))


@pytest.mark.parametrize("protocol", list(MqttProtocol))
async def test_a_node_that_was_there_before_us_is_asked_and_answers(broker: Server, protocol: MqttProtocol) -> None:
    clock = SystemClock()
    fields = FieldRules.of([FieldRule("plant/pit-1/box", "Gas", "gas-1", "%LEL")])
    intake = Intake(replace(city([sensor(0, "gas-1")]), fields=fields), IngestSettings(), [SUBSCRIPTION])
    settings = mqtt_settings(broker, protocol=protocol)
    values: list[float] = []
    async with open_receiver(settings, ingest_settings(), clock, [SUBSCRIPTION]) as receiver:
        await until(ReceiverState.CONNECTED, receiver)
        node = EdgeNode(broker)
        try:
            await asyncio.to_thread(node.say, "DDATA", node.gas(0.5))
            async with asyncio.timeout(PATIENCE_S):
                async for messages in receiver.batches():
                    admission = intake.admit(messages, clock.now_us())
                    for request in intake.requests():
                        assert receiver.publish(request.topic, request.payload)
                    receiver.acknowledge(messages)
                    values += admission.batch.value.tolist()
                    if len(values) == 2:
                        break
        finally:
            node.close()
    assert values == [1.5, 2.5]
    assert node.born == 1
    assert intake.counters["refused.missing_field"] == 1  # what was said before anybody could name it
