"""What is remembered over a restart beside the ledger: the detectors' state, and how far a published clock came."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from alerting.ledger import Ledger
from config.city import City
from config.clock import US_PER_SECOND
from detectors.engine import Engine
from detectors.snapshot import Snapshot, SnapshotError, capture, restore

log = structlog.get_logger(__name__)

SNAPSHOT_EVERY_US = 30 * US_PER_SECOND
"""Of the daemon's wall time: a replay at a hundred times the speed of life is remembered a hundred times as often."""


def clock_of(data_dir: Path) -> int:
    """Wall time to which a published clock had come, microseconds; 0 where none was remembered or it is damaged."""
    path = data_dir / "clock"
    if not path.exists():
        return 0
    try:
        return int(path.read_text())
    except ValueError:
        log.warning("remembered clock is damaged and passed over", file=str(path), expected="a whole number")
        return 0


class Memory:
    """Writes down, before the broker is told so, up to where everything is judged and stored.

    trouble: why the last writing failed, None where it did not. What cannot be remembered is logged and costs some
    learning after a crash; it stops no alarm and no reading.
    """

    def __init__(self, data_dir: Path, engine: Engine, *, published_clock: bool) -> None:
        self._clock_path = data_dir / "clock" if published_clock else None
        self._snapshot_path = data_dir / "detectors.npz"
        self._engine = engine
        self._snapshot_us = 0
        self.trouble: str | None = None

    def resume(self, ledger: Ledger, city: City) -> None:
        """Take up where the last run ended. The ledger is right where the two differ.

        What it holds open goes on; what the detectors hold and it does not is forgotten, so that a reading that was
        judged but never filed is judged again when it comes again.
        """
        if self._snapshot_path.exists():
            try:
                restore(self._engine, self._snapshot_path)
            except SnapshotError as error:
                log.warning("detectors start afresh", why=str(error))
        kept = {
            (city.sensor_index[sensor_id], condition)
            for sensor_id, condition in ledger.open_conditions()
            if sensor_id in city.sensor_index
        }
        self._engine.forget(self._engine.standing() - kept)
        self._engine.adopt(kept)

    async def keep(self, now_us: int, captured: Callable[[], Awaitable[Snapshot]]) -> None:
        """Everything up to this wall time is judged and stored. captured: takes the state between two batches."""
        try:
            if now_us - self._snapshot_us >= SNAPSHOT_EVERY_US:
                self._snapshot_us = now_us
                snapshot = await captured()
                await asyncio.to_thread(snapshot.write, self._snapshot_path)
            if self._clock_path is not None:
                await asyncio.to_thread(_replace, self._clock_path, str(now_us))
        except OSError as error:
            self._note(error)
        else:
            self.trouble = None

    def close(self) -> None:
        """The last snapshot, at an orderly end."""
        try:
            capture(self._engine).write(self._snapshot_path)
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        if self.trouble is None:
            log.warning("state cannot be remembered; a restart would start from an older one", why=str(error))
        self.trouble = str(error)


def _replace(path: Path, content: str) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
