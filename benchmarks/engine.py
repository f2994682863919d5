"""What judging costs: the full bank over cities of two sizes, beside one river model per sensor; in one run.

    .venv/bin/python -m benchmarks.engine [--ticks 60] [--repeats 15]

A made-up city of mixed quantities (gas, air, weather, structure, cameras, meters), some sensors sharing a device,
spread so that neighbours exist. Every sensor has been seen often enough to be judged before anything is measured.
CPU is that of the whole process, all threads; wall times are those of this machine, with whatever else runs on it.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from river.anomaly import GaussianScorer
from river.drift import PageHinkley
from river.stats import Mean

from config.city import City
from config.limits import limit_table
from config.quantities import QUANTITIES
from config.sensors import Labels, SensorColumns, TextTable, labels
from config.vocabulary import LocalText
from detectors.engine import Engine
from ingest.model import Float64s, Int64s, Quality, ReadingBatch

WARM_UP = 36  # ticks of the whole city: more than any detector waits before it judges
BEGIN_US = 1_700_000_000_000_000
PEER_SENSORS = 2_000

_MIX = {  # quantity: (share of the sensors, usual level, its spread, seconds between readings)
    "ch4": (0.20, 2.0, 0.3, 10),
    "co": (0.05, 3.0, 0.5, 10),
    "temperature": (0.20, 18.0, 0.2, 60),
    "humidity": (0.12, 55.0, 0.6, 60),
    "pm25": (0.12, 40.0, 2.0, 60),
    "no2": (0.05, 30.0, 2.0, 60),
    "noise": (0.08, 55.0, 2.0, 10),
    "water_level": (0.04, 1.2, 0.01, 60),
    "tilt": (0.04, 0.3, 0.02, 300),
    "people": (0.04, 20.0, 4.0, 10),
    "smoke_score": (0.03, 0.05, 0.02, 10),
    "current": (0.03, 6.0, 0.4, 30),
}


@dataclass(frozen=True)
class Town:
    """A city and what its sensors show on an ordinary day, one row each."""

    city: City
    level: Float64s
    spread: Float64s
    interval_us: Int64s

    def batch(self, sensor: Int64s, tick: int, rng: np.random.Generator) -> ReadingBatch:
        """The readings of some sensors at one turn of each."""
        value = self.level[sensor] + self.spread[sensor] * rng.normal(size=len(sensor))
        event_us = BEGIN_US + tick * self.interval_us[sensor] + 1000 * (sensor % 997)
        good = np.full(len(sensor), Quality.GOOD, np.uint8)
        return ReadingBatch(sensor.astype(np.int32), event_us, event_us, np.maximum(value, 0.0), good)


def town(sensors: int, seed: int = 1) -> Town:
    """A city with so many sensors, two thirds of them alone in their device."""
    rng = np.random.default_rng(seed)
    names = list(_MIX)
    share = np.array([entry[0] for entry in _MIX.values()])
    code = rng.choice(len(names), sensors, p=share / share.sum()).astype(np.int32)
    device = np.arange(sensors) - (np.arange(sensors) % 3 == 1)
    place = rng.random((sensors, 2))[device]
    same = np.zeros(sensors, np.int32)
    kinds = [QUANTITIES[name] for name in names]
    columns = SensorColumns(
        ids=tuple(f"S{number:06d}" for number in range(sensors)),
        kind=Labels(tuple(kind.kind for kind in kinds), code),
        quantity=Labels(tuple(names), code),
        unit=Labels(tuple(kind.unit for kind in kinds), code),
        lon=113.0 + 0.3 * place[:, 0],
        lat=30.0 + 0.3 * place[:, 1],
        place=same,
        place_zh=TextTable(["某处"]),
        place_en=TextTable(["somewhere"]),
        interval_s=np.array([entry[3] for entry in _MIX.values()], np.float64)[code],
        owner=Labels(("",), same),
        grid=Labels(("G",), same),
        device=labels([f"D{number}" for number in device.tolist()]),
        calibrated=same,
    )
    name = LocalText(zh="测量城", en="Benchmark city")
    city = City(name, ZoneInfo("Asia/Shanghai"), "1", {}, columns, {}, {}, (), limit_table())
    level = np.array([entry[1] for entry in _MIX.values()])[code]
    spread = np.array([entry[2] for entry in _MIX.values()])[code]
    interval_us = (columns.interval_s * 1e6).astype(np.int64)
    return Town(city, level * (1 + 0.1 * rng.random(sensors)), spread, interval_us)


class Stream:
    """Every sensor at its turn, cut into batches."""

    def __init__(self, where: Town) -> None:
        self._where, self._rng, self._tick = where, np.random.default_rng(2), 0
        self._waiting = np.empty(0, np.int64)

    def some(self, rows: int) -> Iterator[ReadingBatch]:
        """Batches of so many readings in no order; in a tick each sensor comes once (or not, in the last of it)."""
        while True:
            if len(self._waiting) < rows:
                self._tick += 1
                self._waiting = self._rng.permutation(len(self._where.level))
            sensor, self._waiting = self._waiting[:rows], self._waiting[rows:]
            yield self._where.batch(sensor, self._tick, self._rng)

    def whole(self, *, shuffled: bool = False) -> Iterator[ReadingBatch]:
        """Batches of all sensors, in their order or in none."""
        everyone, self._waiting = np.arange(len(self._where.level)), np.empty(0, np.int64)
        while True:
            self._tick += 1
            sensor = self._rng.permutation(everyone) if shuffled else everyone
            yield self._where.batch(sensor, self._tick, self._rng)


def passes(engine: Engine, batches: Iterator[ReadingBatch], repeats: int) -> tuple[Float64s, Float64s, int]:
    """(CPU seconds, wall seconds) of each batch, and how many verdicts there were."""
    cpu, wall, told = np.empty(repeats), np.empty(repeats), 0
    for turn in range(repeats):
        batch = next(batches)
        begun_cpu, begun = time.process_time(), time.perf_counter()
        told += len(engine.process(batch, 0))
        cpu[turn], wall[turn] = time.process_time() - begun_cpu, time.perf_counter() - begun
    return cpu, wall, told


def river_us(where: Town) -> float:
    """CPU microseconds per reading of a Gaussian score, a Page-Hinkley test and a mean by river for every sensor."""
    # river's classes carry no types
    models: list[tuple[Any, Any, Any]] = [
        (GaussianScorer(), PageHinkley(), Mean())  # type: ignore[no-untyped-call]
        for _ in range(PEER_SENSORS)
    ]
    rng, best = np.random.default_rng(5), float("inf")
    for tick in range(6):
        values = where.batch(np.arange(PEER_SENSORS), tick, rng).value.tolist()
        begun = time.process_time()
        for (scorer, drift, mean), value in zip(models, values, strict=True):
            scorer.score_one(None, value)
            scorer.learn_one(None, value)
            drift.update(value)
            mean.update(value)
        best = min(best, time.process_time() - begun)
    return best / PEER_SENSORS * 1e6


def timed(make: Callable[[], Engine]) -> tuple[Engine, float, float]:
    """What was made, and in how many seconds by the wall and of CPU."""
    begun_cpu, begun = time.process_time(), time.perf_counter()
    made = make()
    return made, time.perf_counter() - begun, time.process_time() - begun_cpu


def resident() -> int:
    """Bytes of memory this process holds."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - a file of the kernel, not of a folder
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(sensors: int, batches: tuple[int, ...], asked: argparse.Namespace) -> None:
    """Build, warm up and measure one city; print its rows."""
    where = town(sensors)
    before = resident()
    engine, took, cpu = timed(lambda: Engine(where.city))
    held = (resident() - before) / sensors
    stream = Stream(where)
    passes(engine, stream.whole(), WARM_UP)
    state = engine.bytes_per_sensor
    print(
        f"\n{sensors:,} sensors: built in {took:.1f} s ({cpu:.1f} s CPU), "
        f"{state:.0f} B of state, {held:.0f} B resident for each sensor"
    )
    print(f"{'readings in a batch':30} {'CPU µs each':>12} {'wall p50 ms':>12} {'p99 ms':>8} {'verdicts':>9}")
    for rows in batches:
        found = passes(engine, stream.some(rows), asked.repeats)
        _row(f"{rows:,} in no order", rows, found)
    for shuffled in (False, True):
        found = passes(engine, stream.whole(shuffled=shuffled), asked.ticks)
        _row(f"{sensors:,}, {'in no order' if shuffled else 'in order'}", sensors, found)


def _row(name: str, rows: int, found: tuple[Float64s, Float64s, int]) -> None:
    cpu, wall, told = found
    p50, p99 = np.percentile(wall, [50, 99]) * 1e3
    print(f"{name:30} {np.min(cpu) / rows * 1e6:12.3f} {p50:12.2f} {p99:8.2f} {told:9,}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=60, help="ticks of a whole city")
    parser.add_argument("--repeats", type=int, default=15, help="batches of every smaller size")
    parser.add_argument("--sensors", type=int, nargs="+", default=[100_000, 500_000], help="sizes of the cities")
    asked = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}, Python {sys.version.split()[0]}, NumPy {np.__version__}; the least CPU of several batches")
    for sensors in asked.sensors:
        measure(sensors, (1, 50, 1_000, 3_000, 10_000, 30_000), asked)
    print(f"\nriver, one Gaussian scorer, Page-Hinkley and mean per sensor: {river_us(town(10_000)):.2f} µs each")


if __name__ == "__main__":
    main()
