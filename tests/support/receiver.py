"""A receiver that is fed by the test, for everything behind the broker."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

from ingest.model import Messages
from ingest.receiver import ReceiverState


class FedReceiver:
    """Yields what is put in; remembers what was acknowledged, in order."""

    def __init__(self) -> None:
        self.state = ReceiverState.CONNECTED
        self.connects = 1
        self.problem = ""
        self.refused_filters: tuple[str, ...] = ()
        self.waiting = 0
        self.waiting_since_us: int | None = None
        self.counters: Mapping[str, int] = {}
        self.acknowledged: list[Messages] = []
        self.published: list[tuple[str, bytes]] = []
        self.fed: asyncio.Queue[Messages] = asyncio.Queue()

    async def batches(self) -> AsyncIterator[Messages]:
        while True:
            yield await self.fed.get()

    def acknowledge(self, messages: Messages) -> None:
        self.acknowledged.append(messages)

    def publish(self, topic: str, payload: bytes) -> bool:
        self.published.append((topic, payload))
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
