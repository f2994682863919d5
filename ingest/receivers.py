"""Which receiver speaks which version of MQTT: one table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from config.clock import Clock
from config.settings import IngestSettings, MqttProtocol, MqttSettings, Subscription
from ingest.mqtt5 import Mqtt5Receiver
from ingest.mqtt311 import MqttReceiver
from ingest.receiver import Receiver
from ingest.threaded import ThreadedReceiver

RECEIVERS: Final[Mapping[MqttProtocol, type[ThreadedReceiver]]] = {
    MqttProtocol.V5: Mqtt5Receiver,
    MqttProtocol.V311: MqttReceiver,
}


def open_receiver(
    settings: MqttSettings,
    ingest: IngestSettings,
    clock: Clock,
    subscriptions: Sequence[Subscription],
    *,
    extra_topics: Sequence[str] = (),
    client_id_suffix: str = "",
    memory: Path | None = None,
) -> Receiver:
    """A receiver for these subscriptions, speaking ``settings.protocol``; use it as an async context manager.

    subscriptions: those of ``settings.subscriptions`` that this one is to take; with none it takes back what earlier
    runs had subscribed to. extra_topics: further filters in the same stream. client_id_suffix: every receiver needs a
    session of its own, named ``<client_id><client_id_suffix>``. memory: a file of its own, too, that keeps what the
    session is subscribed to. Raises ConfigurationError for files of ``mqtt.tls`` that cannot be used.
    """
    return RECEIVERS[settings.protocol](
        settings,
        ingest,
        clock,
        subscriptions,
        extra_topics=extra_topics,
        client_id=settings.client_id + client_id_suffix,
        memory=memory,
    )
