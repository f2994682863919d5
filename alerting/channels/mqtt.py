"""Pushes over MQTT: ``<notify_prefix>/<worker id>``, QoS 1, JSON in UTF-8."""

import asyncio
import contextlib
import json
import random
from types import TracebackType
from typing import Self

import aiomqtt
import structlog

from alerting.channels.base import Notification
from config.clock import Clock
from config.errors import PermanentError, RetryableError
from config.settings import MqttSettings
from config.tls import tls_context

_log = structlog.get_logger(__name__)

CONNECT_PATIENCE_S = 5.0
"""How long a push waits for the connection before the outbox is told to try later."""

MOST_CALLS = 1000
"""Most pushes on their way at once; the outbox sends far fewer."""

PUBLISH_PATIENCE_S = 10.0
"""How long the broker may take to acknowledge a push."""


class MqttChannel:
    """A connection of its own to the broker, kept up by itself, encrypted where ``mqtt.tls`` says so.

    Use it as an async context manager. Raises ConfigurationError for files of ``mqtt.tls`` that cannot be used.

    It goes on trying to connect, with pauses from ``reconnect_min_s`` doubling to ``reconnect_max_s``, each shortened
    by up to half at random; meanwhile ``send`` raises RetryableError.
    """

    name = "mqtt"

    def __init__(self, settings: MqttSettings, clock: Clock) -> None:
        self._settings = settings
        self._tls = tls_context(settings.tls)
        self._clock = clock
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._problem: str = "not connected to the broker yet"
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep_connected(), name="notify over MQTT")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    @property
    def trouble(self) -> str | None:
        """See Channel.trouble."""
        return None if self._connected.is_set() else self._problem

    async def send(self, notification: Notification) -> None:
        """See Channel.send: returns when the broker has acknowledged it."""
        if not notification.worker or set(notification.worker) & set("+#/\0"):
            raise PermanentError(f"no topic can be made of the worker id {notification.worker!r}")
        try:
            async with asyncio.timeout(CONNECT_PATIENCE_S):
                await self._connected.wait()
        except TimeoutError as error:
            raise RetryableError("not connected to the broker") from error
        client = self._client
        if client is None:
            raise RetryableError("the connection to the broker was lost just now")
        topic = f"{self._settings.notify_prefix}/{notification.worker}"
        payload = json.dumps(notification.payload, ensure_ascii=False, allow_nan=False).encode()
        try:
            await client.publish(topic, payload, qos=1, timeout=PUBLISH_PATIENCE_S)
        except aiomqtt.MqttError as error:
            raise RetryableError(f"the broker did not take the push: {error}") from error
        except ValueError as error:  # paho: a topic or payload that no broker takes
            raise PermanentError(f"the push cannot be sent: {error}") from error
        except (OSError, RuntimeError) as error:  # the socket went away; a message id that is still in use
            raise RetryableError(f"the push could not be sent: {error}") from error

    async def _keep_connected(self) -> None:
        pause_s = self._settings.reconnect_min_s
        while True:
            try:
                async with self._new_client() as client:
                    _log.info("pushes: connected to the broker")
                    pause_s = self._settings.reconnect_min_s
                    self._client = client
                    self._connected.set()
                    # Nothing is subscribed: this only ends, with an MqttError, when the connection does.
                    async for message in client.messages:
                        _log.warning("pushes: unexpected message", topic=str(message.topic))
            except (aiomqtt.MqttError, OSError, ValueError, RuntimeError) as error:
                # ValueError: a host name that cannot be encoded. Whatever it is, one that gave up would call nobody.
                self._problem = f"not connected to the broker: {error}"
                _log.warning("pushes: not connected to the broker", why=repr(error), next_try_s=pause_s)
            finally:
                self._client = None
                self._connected.clear()
            await self._clock.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, keeps no secret
            pause_s = min(pause_s * 2, self._settings.reconnect_max_s)

    def _new_client(self) -> aiomqtt.Client:
        settings = self._settings
        client = aiomqtt.Client(
            settings.host,
            settings.port,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password is not None else None,
            identifier=f"{settings.client_id}-notify",
            keepalive=settings.keepalive_s,
            tls_context=self._tls,
            timeout=PUBLISH_PATIENCE_S,
            max_concurrent_outgoing_calls=MOST_CALLS,
        )
        client.pending_calls_threshold = MOST_CALLS  # many pushes on their way are no news
        return client
