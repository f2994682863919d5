"""Receives over MQTT 3.1.1 with paho, for brokers that speak nothing newer (amqtt, the demonstration's, is one).

Nothing is acknowledged on receipt: a message of QoS 1 leaves the broker only after ``MqttReceiver.acknowledge``.
What waits in memory is bounded twice. For QoS 1 by the broker's in-flight window (``max_inflight_messages``: so many
are sent before the first must be acknowledged). For QoS 0, which knows no window, by reading the socket no further
while too much waits; after two keepalives of that the connection ends and is made anew.
"""

import selectors
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from ingest.gather import Chunk
from ingest.threaded import GOODBYE_S, TICK_S, ThreadedReceiver, part_in_peace, ready_to_write, reason

_PACKETS_PER_ROUND: Final = 256
"""Packets read between two looks at what is to be acknowledged."""


class MqttReceiver(ThreadedReceiver):
    """Receives messages in order over MQTT 3.1.1 and acknowledges them when told; see ``ingest.receiver.Receiver``."""

    def serve_one_connection(self) -> str:
        """See ThreadedReceiver.serve_one_connection.

        Every connection has a client of its own, so that nothing of an old one (above all no acknowledgement: message
        ids are used anew) can ever be sent on a new one.
        """
        connection = _Connection(self)
        client = self._client(connection)
        try:
            client.connect(self.settings.host, self.settings.port, self.settings.keepalive_s)
        except (OSError, ValueError) as error:
            return reason(error)
        try:
            return self._serve(client, connection)
        finally:
            if self.stopping:
                self._say_goodbye(client, connection)
            client.disconnect()
            if (open_socket := client.socket()) is not None:
                open_socket.close()

    def _client(self, connection: "_Connection") -> paho.Client:
        settings = self.settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=False,
            protocol=paho.MQTTv311,
            manual_ack=True,
        )
        if self.tls is not None:
            client.tls_set_context(self.tls)
        if settings.username is not None:
            client.username_pw_set(
                settings.username, settings.password.get_secret_value() if settings.password else None
            )
        client.on_connect = connection.on_connect
        client.on_subscribe = connection.on_subscribe
        client.on_unsubscribe = connection.on_unsubscribe
        client.on_message = connection.on_message
        client.on_disconnect = connection.on_disconnect
        return client

    def _serve(self, client: paho.Client, connection: "_Connection") -> str:
        while not self.stopping:
            sock = client.socket()
            if sock is None or connection.problem:
                return connection.problem or "the connection was lost"
            if self._wait_for_work(sock, reading=self.reading(), writing=client.want_write()):
                self._read(client, connection)
            if client.want_write():
                client.loop_write()
            self._send_acks(client, connection)
            for topic, payload in self.to_send():
                client.publish(topic, payload, qos=0)
            client.loop_misc()
        return "stopped"

    def _wait_for_work(self, sock: Any, *, reading: bool, writing: bool) -> bool:
        """Sleep until there is something to do; True if the broker sent something."""
        events = (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if writing else 0)
        # What TLS has decrypted already does not show at the socket.
        pending = reading and self.tls is not None and sock.pending() > 0
        wake = self.wake_socket
        with selectors.DefaultSelector() as selector:
            if wake is not None:
                selector.register(wake, selectors.EVENT_READ)
            if events:
                selector.register(sock, events)
            ready = {key.fileobj: mask for key, mask in selector.select(0 if pending else TICK_S)}
        if wake is not None and wake in ready:
            self.woken()
        return pending or bool(ready.get(sock, 0) & selectors.EVENT_READ)

    def _read(self, client: paho.Client, connection: "_Connection") -> None:
        for _ in range(_PACKETS_PER_ROUND):
            before = connection.packets
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or connection.packets == before:
                break
        if (chunk := connection.gathered(self.clock.now_us())) is not None:
            self.waiting_room.put(chunk)
            self.came(len(chunk), int(chunk.redelivered.sum()))

    def _send_acks(self, client: paho.Client, connection: "_Connection") -> None:
        for ids in self.due(connection.generation):
            sent = sum(client.ack(mid, 1) == MQTTErrorCode.MQTT_ERR_SUCCESS for mid in ids.tolist())
            self.acknowledged(sent)

    def _say_goodbye(self, client: paho.Client, connection: "_Connection") -> None:
        """Send the last acknowledgements, then part."""
        deadline = self.clock.monotonic() + GOODBYE_S
        self._send_acks(client, connection)
        while client.want_write() and (sock := client.socket()) is not None:
            if not ready_to_write(sock, deadline - self.clock.monotonic()):
                return
            client.loop_write()
        open_socket: Any = client.socket()
        if open_socket is not None:
            part_in_peace(open_socket, self.clock, deadline)


class _Connection:
    """One connection's callbacks, what they found out, and the messages of the present round of reading."""

    def __init__(self, receiver: MqttReceiver) -> None:
        self._receiver = receiver
        self._messages: list[paho.MQTTMessage] = []
        self.generation = 0
        self.packets = 0
        self.problem = ""

    def on_connect(self, client: paho.Client, _data: Any, flags: paho.ConnectFlags, code: ReasonCode, _p: Any) -> None:
        self.packets += 1
        if code.is_failure:
            self.problem = f"refused by the broker: {code}"
            return
        self.generation, gone = self._receiver.connected(session_present=flags.session_present)
        if gone:
            client.unsubscribe(gone)
        if self._receiver.filters:
            client.subscribe([(name, 1) for name in self._receiver.filters])
        else:
            self._receiver.subscribed({})

    def on_subscribe(self, _client: paho.Client, _data: Any, _mid: int, codes: Sequence[ReasonCode], _p: Any) -> None:
        self.packets += 1
        answers = zip(self._receiver.filters, codes, strict=False)
        self._receiver.subscribed({name: str(code) for name, code in answers if code.is_failure})

    def on_unsubscribe(self, _client: paho.Client, _data: Any, _mid: int, _codes: list[ReasonCode], _p: Any) -> None:
        self.packets += 1

    def on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self.packets += 1
        self._messages.append(message)

    def on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _p: Any) -> None:
        self.problem = self.problem or str(code)

    def gathered(self, received_us: int) -> Chunk | None:
        """The messages since the last time; None where there are none."""
        messages, self._messages = self._messages, []
        if not messages:
            return None
        topics = [_topic(message) for message in messages]
        payloads = [bytes(message.payload) for message in messages]
        return Chunk(
            topics,
            payloads,
            received_us,
            np.array([message.retain for message in messages], np.bool_),
            np.array([message.dup for message in messages], np.bool_),
            np.array([message.mid if message.qos else 0 for message in messages], np.uint16),
            self.generation,
            sum(map(len, topics)) + sum(map(len, payloads)),
        )


def _topic(message: paho.MQTTMessage) -> str:
    try:
        return message.topic
    except UnicodeDecodeError:
        return repr(message)
