"""What was received and not yet handed on: columns by read of the socket, given out as micro-batches."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ingest.model import Bools, Messages

UInt16s = npt.NDArray[np.uint16]

SHARE: Final = 4
"""Times the reader's own time that is waited for a batch to fill: it spends a fifth of its time on batches at most,
as long as the longest wait allows it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The messages of one read of the socket, in order of receipt.

    received_us: wall time of that read. ids: their packet identifiers, 0 for QoS 0. size: bytes they took on the wire.
    generation: number of the connection they came on.
    """

    topics: list[str]
    payloads: list[bytes]
    received_us: int
    retained: Bools
    redelivered: Bools
    ids: UInt16s
    generation: int
    size: int

    def __len__(self) -> int:
        return len(self.topics)

    def part(self, begin: int, end: int) -> "Chunk":
        """Messages begin to end (excluded)."""
        return Chunk(
            self.topics[begin:end],
            self.payloads[begin:end],
            self.received_us,
            self.retained[begin:end],
            self.redelivered[begin:end],
            self.ids[begin:end],
            self.generation,
            self.size * (end - begin) // len(self),
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is to be acknowledged once a batch is safe: packet identifiers in order of receipt, by connection."""

    parts: tuple[tuple[int, UInt16s], ...]

    def __len__(self) -> int:
        return sum(len(ids) for _, ids in self.parts)


class Waiting:
    """Chunks that wait for the reader. One thread puts, another takes.

    most: messages, most_bytes: bytes from which on it is full. It takes what comes all the same: who puts must ask.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._chunks: deque[Chunk] = deque()
        self._lock = threading.Lock()
        self._count = 0
        self._size = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    @property
    def full(self) -> bool:
        """Whether nothing more should be read."""
        return self._count >= self._most or self._size >= self._most_bytes

    @property
    def since_us(self) -> int | None:
        """Receive time of the oldest; None where nothing waits."""
        with self._lock:
            return self._chunks[0].received_us if self._chunks else None

    def put(self, chunk: Chunk) -> None:
        """Add what was just received."""
        with self._lock:
            self._chunks.append(chunk)
            self._count += len(chunk)
            self._size += chunk.size

    def take(self, most: int, most_bytes: int) -> Messages:
        """Up to so many messages, and whole chunks up to so many bytes, at least one; with their Receipt.

        Raises IndexError where nothing waits.
        """
        with self._lock:
            parts = [self._first(most)]
            count, size = len(parts[0]), parts[0].size
            while self._chunks and count < most and size + self._chunks[0].size <= most_bytes:
                parts.append(self._first(most - count))
                count += len(parts[-1])
                size += parts[-1].size
            self._count -= count
            self._size -= size
        return _merged(parts)

    def _first(self, most: int) -> Chunk:
        chunk = self._chunks.popleft()
        if len(chunk) <= most:
            return chunk
        begin = chunk.part(0, most)
        rest = chunk.part(most, len(chunk))
        # Neither half rounds away what the other must give back.
        self._size -= chunk.size - begin.size - rest.size
        self._chunks.appendleft(rest)
        return begin


def _merged(parts: list[Chunk]) -> Messages:
    receipt = Receipt(tuple((part.generation, ids) for part in parts if len(ids := part.ids[part.ids != 0])))
    if len(parts) == 1:
        only = parts[0]
        received = np.full(len(only), only.received_us, np.int64)
        return Messages(only.topics, only.payloads, received, only.retained, only.redelivered, receipt)
    topics: list[str] = []
    payloads: list[bytes] = []
    for part in parts:
        topics += part.topics
        payloads += part.payloads
    return Messages(
        topics,
        payloads,
        np.repeat(np.array([part.received_us for part in parts], np.int64), [len(part) for part in parts]),
        np.concatenate([part.retained for part in parts]),
        np.concatenate([part.redelivered for part in parts]),
        receipt,
    )


def patience_s(busy_s: float, shortest_s: float, longest_s: float, *, behind: bool) -> float:
    """How long a batch may fill. busy_s: how long the reader was busy with the one before.

    behind: whether something waited already when it came back. Then each batch costs something of itself (a
    synchronised disk, above all): the longer one takes, the fewer there should be. An idle stream waits the shortest
    time, however slow its reader.
    """
    return max(shortest_s, min(longest_s, SHARE * busy_s)) if behind else shortest_s
