"""What the spool costs for a reading: append, sync, read back; beside SQLite in WAL mode doing the same, in one run.

    .venv/bin/python -m benchmarks.spool [--folder FOLDER] [--readings 600000]

CPU time of this process, the least of some repeats, for records of 1 to 30,000 readings; the sync is wall time and is
the disk's. Times of receipt and of events spread as in a lively stream; with a sequence the identity is kept too.
"""

import argparse
import os
import platform
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from config.city import City
from config.limits import limit_table
from config.vocabulary import LocalText
from ingest.model import Admission, Int64s, ReadingBatch
from ingest.spool import Spool

NOW_US = 1_700_000_000_000_000
SENSORS = 500_000
REPEATS = 3
SIZES = (1, 30, 300, 3_000, 30_000)


@dataclass(frozen=True)
class Cost:
    """Microseconds of CPU for a reading, milliseconds of wall time for a sync, bytes for a reading."""

    append: float
    sync_ms: float
    read: float
    size: float


def admissions(readings: int, count: int, *, sequenced: bool) -> list[Admission]:
    """A stream of 60,000 readings a second in batches."""
    drawn = np.random.default_rng(7)
    made = []
    for number in range(count):
        received: Int64s = NOW_US + ((number * readings + np.arange(readings)) // 60 * 1000).astype(np.int64)
        event = received - drawn.integers(0, 2_000_000, readings)
        value = drawn.normal(20, 3, readings)
        identity = drawn.integers(0, 2**62, readings) if sequenced else value.view(np.int64)
        sensor = drawn.integers(0, SENSORS, readings).astype(np.int32)
        made.append(
            Admission(ReadingBatch(sensor, event, received, value, np.zeros(readings, np.uint8)), event, identity)
        )
    return made


def city() -> City:
    """A city without sensors: the spool asks nothing of it while rows stay the same."""
    zone = ZoneInfo("Asia/Shanghai")
    return City(LocalText("空", "empty"), zone, "1", {}, (), {}, {}, (), limit_table())


def of_spool(folder: Path, given: list[Admission]) -> Cost:
    """Append all, sync a few times, read all back."""
    shutil.rmtree(folder, ignore_errors=True)
    spool = Spool(folder, city(), max_bytes=2**34, segment_bytes=2**25)
    readings = sum(len(one.batch) for one in given)
    begun = time.process_time()
    for one in given:
        spool.append(one, NOW_US)
    appended = time.process_time() - begun
    spool.sync()
    size = spool.bytes / readings
    begun = time.process_time()
    found = sum(len(record.admission.batch) for record in spool.records(0))
    read = time.process_time() - begun
    if found != readings:
        raise SystemExit(f"{found} readings came back, {readings} went in")
    syncs = []
    for one in given[:20]:
        spool.append(one, NOW_US)
        syncs.append(_wall(spool.sync))
    spool.close()
    return Cost(appended / readings * 1e6, sorted(syncs)[len(syncs) // 2] * 1e3, read / readings * 1e6, size)


def of_sqlite(folder: Path, given: list[Admission]) -> Cost:
    """A table of readings, one transaction for a batch; synced by the commit (synchronous FULL)."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "spool.sqlite"
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("pragma journal_mode = wal")
    base.execute("pragma synchronous = normal")  # appends are timed without the disk, as the spool's are
    base.execute(
        "create table reading (record int, sensor int, event int, given int, received int, value, quality, id)"
    )
    readings = sum(len(one.batch) for one in given)
    begun = time.process_time()
    for number, one in enumerate(given):
        _insert(base, number, one)
    appended = time.process_time() - begun
    base.execute("pragma wal_checkpoint(truncate)")
    size = path.stat().st_size / readings
    begun = time.process_time()
    rows = base.execute("select * from reading").fetchall()
    found = sum(len(np.array(column)) for column in list(zip(*rows, strict=True))[1:2])
    read = time.process_time() - begun
    if found != readings:
        raise SystemExit(f"{found} readings came back, {readings} went in")
    base.execute("pragma synchronous = full")
    syncs = [_wall(lambda one=one: _insert(base, 0, one)) for one in given[:20]]  # type: ignore[misc]
    base.close()
    return Cost(appended / readings * 1e6, sorted(syncs)[len(syncs) // 2] * 1e3, read / readings * 1e6, size)


def _insert(base: sqlite3.Connection, number: int, one: Admission) -> None:
    batch = one.batch
    columns = (batch.sensor, batch.event_us, one.given_us, batch.received_us, batch.value, batch.quality, one.identity)
    rows = zip([number] * len(batch), *(column.tolist() for column in columns), strict=True)
    base.execute("begin")
    base.executemany("insert into reading values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    base.execute("commit")


def _wall(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to write; decides which disk is measured")
    parser.add_argument("--readings", type=int, default=600_000)
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}"
    )
    print(f"{'':8} {'':>9} {'record':>8} {'append':>12} {'read back':>12} {'sync median':>12} {'size':>10}")
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        for readings in SIZES:
            count = max(20, min(options.readings // readings, 30_000))
            for sequenced in (False, True):
                given = admissions(readings, count, sequenced=sequenced)
                for name, work in (("spool", of_spool), ("sqlite", of_sqlite)):
                    costs = [work(Path(scratch) / name, given) for _ in range(REPEATS)]
                    best = Cost(
                        min(cost.append for cost in costs),
                        min(cost.sync_ms for cost in costs),
                        min(cost.read for cost in costs),
                        costs[0].size,
                    )
                    print(
                        f"{name:8} {'sequence' if sequenced else '':>9} {readings:8,} {best.append:9.3f} µs "
                        f"{best.read:9.3f} µs {best.sync_ms:9.2f} ms {best.size:8.1f} B"
                    )


if __name__ == "__main__":
    main()
