"""What a receiver of readings must do; ``ingest.mqtt5`` and ``ingest.mqtt311`` do it, and pass one contract test."""

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from ingest.model import Messages


class ReceiverState(StrEnum):
    """How it stands with the broker."""

    CONNECTING = "connecting"  # never connected so far
    CONNECTED = "connected"  # subscribed: readings can come
    DISCONNECTED = "disconnected"  # was connected; trying again


class Receiver(Protocol):
    """Receives messages in order over one persistent session, and acknowledges them when told.

    An async context manager. It connects by itself, with exponential pauses, and never gives up. What waits in memory
    is bounded; beyond the bound it reads no further.
    """

    @property
    def state(self) -> ReceiverState:
        """How it stands with the broker just now."""
        ...

    @property
    def connects(self) -> int:
        """How often a connection was made."""
        ...

    @property
    def problem(self) -> str:
        """Why there is no connection, in the words of the broker or the network; empty while there is one."""
        ...

    @property
    def refused_filters(self) -> tuple[str, ...]:
        """Subscriptions that the broker refused on the present connection: from there no reading will come."""
        ...

    @property
    def waiting(self) -> int:
        """Messages received and not yet yielded."""
        ...

    @property
    def waiting_since_us(self) -> int | None:
        """Receive time of the oldest of them; None where none waits."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """What happened so far, by name.

        ``received``, ``redelivered`` (sent again by the broker), ``acknowledged``, ``stale_acks`` (of an ended
        connection, so not sent), ``pauses`` (times the socket was left unread because too much waited), ``published``,
        ``unpublished`` (what could not be sent, see ``publish``).
        """
        ...

    def batches(self) -> AsyncIterator[Messages]:
        """Yield micro-batches in order of receipt, never empty, until the context ends. One reader only.

        When idle a batch is yielded ``batch_min_ms`` after its first message; while the reader is slower than the
        stream it finds up to ``batch_messages`` waiting, and gets them at once.
        """
        ...

    def acknowledge(self, messages: Messages) -> None:
        """Tell the broker that a batch that was yielded is safe. Returns at once. Call it once for each batch.

        One of an ended connection is passed over: the broker sends its messages again on the new one.
        """
        ...

    def publish(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 0. Returns at once; False where it is not sent: no connection, or too much waits already.

        For the little that must be said back to devices; nothing assures that it arrives.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
