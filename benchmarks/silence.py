"""What watching for silence costs: noting who spoke, and looking who has not, for half a million sensors.

    .venv/bin/python -m benchmarks.silence [--sensors 500000]

CPU time, the least of some repeats. Four sensors in a box, an interval of 10 s; readings of random sensors.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from config.city import City, Sensor
from config.limits import limit_table
from config.quantities import QUANTITIES
from config.settings import IngestSettings
from config.vocabulary import LocalText
from ingest.liveness import Liveness
from ingest.model import Int64s, ReadingBatch

NOW_US = 1_700_000_000_000_000
SECOND_US = 1_000_000
REPEATS = 15


def city(count: int) -> City:
    """Sensors of methane, four in a box."""
    measured, place = QUANTITIES["ch4"], LocalText("某处", "somewhere")
    sensors = tuple(
        Sensor(row, f"gas-{row}", measured.kind, "ch4", measured.unit, 120.0, 30.0, place, 10.0, "-", "g",
               f"box-{row // 4}", date(2026, 1, 1))
        for row in range(count)
    )  # fmt: skip
    return City(place, ZoneInfo("Asia/Shanghai"), "1", {}, sensors, {}, {}, (), limit_table())


def spoken(sensor: Int64s, received_us: Int64s) -> ReadingBatch:
    """Readings of these sensors at these times."""
    count = len(sensor)
    return ReadingBatch(sensor.astype(np.int32), received_us, received_us, np.ones(count), np.zeros(count, np.uint8))


def least(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of CPU."""
    spent = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return min(spent)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=500_000)
    count = parser.parse_args().sensors
    drawn = np.random.default_rng(7)
    liveness = Liveness(city(count), IngestSettings(), NOW_US)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {count:,} sensors")
    for size in (1, 100, 3_000, 10_000, 30_000):
        batches = iter(
            [spoken(drawn.integers(0, count, size), np.sort(NOW_US + drawn.integers(0, SECOND_US, size)))]
            + [spoken(drawn.integers(0, count, size), np.full(size, NOW_US + SECOND_US)) for _ in range(REPEATS)]
        )
        cost = least(lambda batches=batches: liveness.seen(next(batches)))  # type: ignore[misc]
        print(f"seen, {size:7,} readings      {cost / size * 1e6:9.4f} µs a reading")
    everybody = np.arange(count)
    now_us = NOW_US + 100 * SECOND_US
    liveness.seen(spoken(everybody, np.full(count, now_us)))
    print(f"check, nobody falls silent  {least(lambda: liveness.check(now_us)) * 1e3:9.3f} ms")
    for fallen in (400, count):
        now_us += 61 * SECOND_US
        liveness.seen(spoken(everybody[fallen:], np.full(count - fallen, now_us)))
        begun = time.process_time()
        found = len(liveness.check(now_us))
        print(f"check, {found:7,} fall silent {(time.process_time() - begun) * 1e3:9.3f} ms")


if __name__ == "__main__":
    main()
