"""A subscriber that keeps every message it gets, for comparing with what was sent."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

PATIENCE_S = 20.0


@dataclass
class Listener:
    """Everything heard, in order of arrival: (topic, content)."""

    heard: list[tuple[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def readings(self) -> list[tuple[str, float, float]]:
        """(sensor id, time, value) of every reading heard, packs taken apart."""
        return [
            (entry["id"], entry["t"], entry["v"])
            for topic, content in self.heard
            if topic.startswith("gridwhistle/readings/")
            for entry in (content if isinstance(content, list) else [content])
        ]

    def wait_for_readings(self, count: int) -> None:
        with self.changed:
            arrived = self.changed.wait_for(lambda: len(self.readings()) >= count, PATIENCE_S)
        assert arrived, f"{len(self.readings())} of {count} readings arrived"


@contextmanager
def listening(port: int) -> Iterator[Listener]:
    """A persistent subscription to everything of gridwhistle, QoS 1."""
    listener = Listener()
    subscribed = threading.Event()
    name = f"listener-{uuid.uuid4()}"
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, protocol=MQTTProtocolVersion.MQTTv311
    )

    def on_message(_client: Client, _data: Any, message: MQTTMessage) -> None:
        with listener.changed:
            listener.heard.append((message.topic, json.loads(message.payload)))
            listener.changed.notify_all()

    def on_connect(*_: Any) -> None:
        client.subscribe("gridwhistle/#", qos=1)

    client.on_message = on_message
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: subscribed.set()
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        assert subscribed.wait(PATIENCE_S)
        yield listener
    finally:
        client.disconnect()
        client.loop_stop()
