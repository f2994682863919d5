"""What every way of reaching a person has in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one person by one channel.

    id: its row in the outbox. key: stable over every attempt; the receiver drops repeats by it (``payload["id"]``).
    attempts: how often it was tried before.
    """

    id: int
    key: str
    cause: str
    worker: str
    channel: str
    severity: int
    payload: Mapping[str, Any]
    attempts: int
    created_us: int
    event_id: int | None
    ticket_id: int | None


class Channel(Protocol):
    """A way to reach a person."""

    @property
    def name(self) -> str:
        """As it stands among a worker's channels."""
        ...

    @property
    def trouble(self) -> str | None:
        """What keeps it from working right now, in English; None where nothing is known to."""
        ...

    async def send(self, notification: Notification) -> None:
        """Hand the notification over; return when the other side has it.

        Raises RetryableError where the same may succeed later, PermanentError where it never will. Does not retry:
        the outbox does.
        """
        ...
