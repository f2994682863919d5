"""What is remembered over a restart beside the ledger, and how life is taken up again.

A snapshot holds the state of detectors and intake at a position of every lane's spool. After a restart the records
behind it are judged again, in the order of their admission; what they said is filed only where the ledger has not
filed it already. So the state is what it would have been without the restart, and nothing is told twice.
"""

import asyncio
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from alerting.ledger import Ledger
from alerting.pipeline import Pipeline
from config.city import City
from config.clock import Clock, isoformat
from detectors.bank import Columns
from detectors.engine import Engine
from detectors.snapshot import Snapshot, SnapshotError, capture, notes_of, restore
from gridwhistle.lane import Lane, read_position, write_position
from gridwhistle.latest import Latest
from gridwhistle.line import Line, judge
from ingest.intake import Intake
from ingest.liveness import Liveness
from ingest.model import Bools, Record

log = structlog.get_logger(__name__)

SNAPSHOT_EVERY_S = 30.0
"""Seconds between snapshots, or ``SNAPSHOT_SHARE`` times what one takes to write, whichever is longer."""

SNAPSHOT_SHARE = 20.0

CLOCK = "clock"
"""The note that says how far the wall time of a snapshot had come."""


def clock_of(data_dir: Path) -> int:
    """Wall time to which a published clock had come, microseconds; 0 where none was remembered or it is damaged."""
    return read_position(data_dir / "clock")


def snapshot_path(data_dir: Path) -> Path:
    """Where the snapshot is kept."""
    return data_dir / "detectors.npz"


def noted(data_dir: Path, lane: str) -> int:
    """The position of a lane's spool at which the snapshot was taken; 0 where there is none that can be read."""
    path = snapshot_path(data_dir)
    if not path.exists():
        return 0
    try:
        return notes_of(path).get(lane, 0)
    except SnapshotError:
        return 0  # said when it is to be restored


@dataclass
class Memory:
    """Writes down now and then up to where everything is judged; takes up from there.

    mine: which sensors are this process's, None for all. trouble: why the last writing failed, None where it did not.
    What cannot be remembered is logged and costs a longer way back after a crash; it stops no alarm and no reading.
    """

    data_dir: Path
    city: City
    clock: Clock
    engine: Engine
    intake: Intake
    liveness: Liveness
    lanes: Sequence[Lane]
    published_clock: bool
    mine: Bools | None = None
    trouble: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Nothing is remembered yet."""
        self._path = snapshot_path(self.data_dir)
        self._next_s = self.clock.monotonic() + SNAPSHOT_EVERY_S
        self._kept: Mapping[str, int] = {}
        self._kept_before: Mapping[str, int] = {}
        self._clock_us = 0

    def resume(self, ledger: Ledger, pipeline: Pipeline, latest: Latest) -> int:
        """Take up where the last run ended; wall time of the last record, 0 where there is none. Blocks.

        What the ledger holds open goes on; what the detectors hold and it does not is forgotten. Raises RetryableError
        where ledger or spool cannot be used.
        """
        self._kept = self._restored()
        filed = {lane.name: ledger.judged(lane.name) for lane in self.lanes}
        for lane in self.lanes:
            for record in lane.spool.records(lane.spool.first, self._begin(lane)):
                self.intake.recall(record)
                lane.heard_us = record.decided_us
        replayed, last_us = 0, self._kept.get(CLOCK, 0)
        for lane, record in self._records():
            self.intake.remember(record)
            verdicts = judge(self.engine, self.liveness, latest, record.admission, record.decided_us)
            if verdicts and record.position >= filed[lane.name]:
                pipeline.handle(verdicts, record.decided_us, (lane.name, record.position + 1))
            lane.heard_us = record.decided_us
            replayed, last_us = replayed + 1, max(last_us, record.decided_us)
        if replayed:
            log.info("judged again what came after the last snapshot", records=replayed, until=isoformat(last_us))
        self._agree(ledger)
        self.liveness.adopt(self.engine.silent())
        latest.silent[:] = self.engine.silent()
        return last_us

    def _restored(self) -> Mapping[str, int]:
        if not self._path.exists():
            return {}
        try:
            notes = restore(self._path, self.city, list(self._tables()))
        except SnapshotError as error:
            log.warning("detectors start afresh", why=str(error))
            return {}
        self.engine.restored()
        return notes

    def _records(self) -> Iterator[tuple[Lane, Record]]:
        """The records behind the snapshot of all lanes, in order of admission."""
        ways = [self._records_of(lane) for lane in self.lanes]
        return heapq.merge(*ways, key=lambda entry: entry[1].decided_us)

    def _records_of(self, lane: Lane) -> Iterator[tuple[Lane, Record]]:
        for record in lane.spool.records(self._begin(lane)):
            yield lane, record

    def _begin(self, lane: Lane) -> int:
        """Where the records begin that the snapshot does not hold."""
        return min(max(self._kept.get(lane.name, 0), lane.spool.first), lane.spool.end)

    def _agree(self, ledger: Ledger) -> None:
        index = self.city.sensor_index
        kept = {
            (index[sensor_id], condition)
            for sensor_id, condition in ledger.open_conditions()
            if sensor_id in index and (self.mine is None or self.mine[index[sensor_id]])
        }
        self.engine.forget(self.engine.standing() - kept)
        self.engine.adopt(kept)

    def _tables(self) -> Iterator[tuple[str, Columns]]:
        yield from self.engine.tables()
        yield from self.intake.tables()
        yield from self.liveness.tables()

    async def keep(self, line: Line) -> None:
        """Called every second: a snapshot when it is time, the published clock, and room in the spools."""
        try:
            if self.clock.monotonic() >= self._next_s:
                await self._snapshot(line)
            await self._keep_clock(line)
        except OSError as error:
            self._note(error)
        else:
            self.trouble = None
        for lane in self.lanes:
            # One snapshot further back than needed: what the broker sends again is known by the last records.
            lane.spool.release(min(lane.stored, self._kept_before.get(lane.name, 0)))

    async def _snapshot(self, line: Line) -> None:
        begun = self.clock.monotonic()
        self._next_s = begun + SNAPSHOT_EVERY_S
        captured = await line.between_batches(lambda: self._captured(line) if line.whole else None)
        if captured is None:
            return
        snapshot, positions = captured
        await asyncio.to_thread(snapshot.write, self._path)
        self._kept_before, self._kept = self._kept, positions
        took = self.clock.monotonic() - begun
        self._next_s = self.clock.monotonic() + max(SNAPSHOT_EVERY_S, SNAPSHOT_SHARE * took)

    def _captured(self, line: Line) -> tuple[Snapshot, Mapping[str, int]]:
        positions = {lane.name: lane.spool.end for lane in self.lanes} | (
            {CLOCK: line.judged_us} if self.published_clock else {}
        )
        return capture(self.city, self._tables(), positions), positions

    async def _keep_clock(self, line: Line) -> None:
        """Write a published clock down when everything up to it is judged and stored."""
        if not self.published_clock or line.judged_us <= self._clock_us or any(lane.unstored for lane in self.lanes):
            return
        now_us = line.judged_us
        await asyncio.to_thread(write_position, self.data_dir / "clock", now_us)
        self._clock_us = now_us

    def close(self, line: Line) -> None:
        """The last snapshot, at an orderly end; none where a batch was left in the middle."""
        if not line.whole:
            log.warning("stopped in the middle of a batch; the next start goes through the spool")
            return
        try:
            snapshot, _ = self._captured(line)
            snapshot.write(self._path)
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        if self.trouble is None:
            log.warning("state cannot be remembered; a restart would start from an older one", why=str(error))
        self.trouble = str(error)
