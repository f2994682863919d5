"""What a store of readings must do; ``ingest.influx`` and ``ingest.local`` do it, and pass one contract test."""

from typing import Protocol

from ingest.model import ReadingBatch, Series


class Store(Protocol):
    """Keeps readings. Calls block; the daemon makes them from a worker thread. One writer at a time.

    Writing the same reading (sensor and event time) twice keeps it once.
    """

    def prepare(self) -> None:
        """Create what is missing (database, table). Raises RetryableError when the store cannot be reached."""
        ...

    def write(self, batch: ReadingBatch) -> None:
        """Keep a batch durably before returning.

        Raises RetryableError when the same call may succeed later, PermanentError when the store refuses the data.
        """
        ...

    def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """Readings of a sensor with from_us <= event time < to_us, thinned to at most max_points buckets."""
        ...

    def count(self) -> int:
        """How many readings are kept in all."""
        ...

    def close(self) -> None:
        """Flush and let go. The store is not used afterwards."""
        ...
