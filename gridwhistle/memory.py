"""What is remembered over a restart beside the ledger: the detectors' state, and how far a published clock came."""

import asyncio
import os
from pathlib import Path

import structlog

from alerting.ledger import Ledger
from config.city import City
from config.clock import US_PER_SECOND
from detectors.engine import Engine
from detectors.snapshot import SnapshotError, capture, restore, save

log = structlog.get_logger(__name__)

SNAPSHOT_EVERY_US = 30 * US_PER_SECOND
"""Of the daemon's wall time: a replay at a hundred times the speed of life is remembered a hundred times as often."""


def clock_of(data_dir: Path) -> int:
    """Wall time to which a published clock had come, microseconds; 0 where none was remembered."""
    path = data_dir / "clock"
    return int(path.read_text()) if path.exists() else 0


class Memory:
    """Writes down, before the broker is told so, up to where everything is judged and stored."""

    def __init__(self, data_dir: Path, engine: Engine, *, published_clock: bool) -> None:
        self._clock_path = data_dir / "clock" if published_clock else None
        self._snapshot_path = data_dir / "detectors.npz"
        self._engine = engine
        self._snapshot_us = 0

    def resume(self, ledger: Ledger, city: City) -> None:
        """Take up where the last run ended: the detectors' state, and every condition the ledger still holds open."""
        if self._snapshot_path.exists():
            try:
                restore(self._engine, self._snapshot_path)
            except SnapshotError as error:
                log.warning("detectors start afresh", why=str(error))
        self._engine.adopt(
            {
                (city.sensor_index[sensor_id], condition)
                for sensor_id, condition in ledger.open_conditions()
                if sensor_id in city.sensor_index
            }
        )

    async def keep(self, now_us: int) -> None:
        """Everything up to this wall time is judged and stored."""
        if now_us - self._snapshot_us >= SNAPSHOT_EVERY_US:
            self._snapshot_us = now_us
            taken = capture(self._engine)  # here, where no batch is under way; written beside
            await asyncio.to_thread(taken.write, self._snapshot_path)
        if self._clock_path is not None:
            fresh = self._clock_path.with_suffix(".new")
            fresh.write_text(str(now_us))
            os.replace(fresh, self._clock_path)  # noqa: PTH105 - atomic by definition

    def close(self) -> None:
        """The last snapshot, at an orderly end."""
        save(self._engine, self._snapshot_path)
