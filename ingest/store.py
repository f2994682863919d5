"""What a store of readings must do; ``ingest.influx`` and ``ingest.local`` do it, and pass one contract test."""

from typing import Protocol

from config.errors import PermanentError
from ingest.model import Int64s, Quality, ReadingBatch, Series

TRUSTED = frozenset({Quality.GOOD, Quality.LATE, Quality.RETAINED})
"""What counts in anything that stands for several readings: a drill's and a doubtful device's readings do not."""


class StoreRefusedError(PermanentError):
    """The store will not take some readings of a batch; all others of it are kept.

    rows: their positions in the batch, in ascending order, at least one.
    """

    def __init__(self, message: str, rows: Int64s) -> None:
        super().__init__(message)
        self.rows = rows


class Store(Protocol):
    """Keeps readings. Calls block; the daemon makes them from a worker thread. One writer at a time.

    Writing the same reading (sensor and event time) twice keeps it once.
    """

    def prepare(self) -> None:
        """Create what is missing (database, table). Raises RetryableError when the store cannot be reached."""
        ...

    def write(self, batch: ReadingBatch) -> None:
        """Keep a batch durably before returning.

        Raises RetryableError when the same call may succeed later, be it that a person must mend a right or a token
        first; StoreRefusedError when the store refuses readings for what they are: the others are kept.
        """
        ...

    def maintain(self, now_us: int) -> None:
        """Bring the aggregates up to date, and delete what has been kept for long enough.

        To be called every few minutes, from any thread; readings may be written and read meanwhile. Raises
        RetryableError; a later call makes up for it.
        """
        ...

    def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """Readings of a sensor with from_us <= event time < to_us, as at most max_points points.

        A long stretch, and what is not kept as readings any more, is drawn from aggregates of 5 minutes or an hour
        (``ingest.rollups.pieces``). A point of its own shows any reading; one that stands for several, the trusted
        among them. The first and the last point may stand for readings of up to a stretch beyond the range.
        Raises RetryableError while the store cannot be read.
        """
        ...

    def count(self) -> int:
        """How many readings are kept in all. Raises RetryableError while the store cannot be read."""
        ...

    def close(self) -> None:
        """Flush and let go. The store is not used afterwards."""
        ...
