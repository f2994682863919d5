"""What writing costs each store of readings, against influxdb-client's own way.

    .venv/bin/python -m benchmarks.stores [--readings 1000000] [--sensors 20000]

Prints, for batches of 5,000, 20,000 and 100,000 readings: CPU of our process per reading (user and system, the median
of the batches, aggregates included), readings a second as this machine was loaded then, and in the end bytes on disk
per reading. The peer makes a Point for each reading and hands it to the batching WriteApi.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions
from influxdb_client.domain.write_precision import WritePrecision
from rich.console import Console
from rich.table import Table

from config.city import City
from config.settings import Influx1StoreSettings, LocalStoreSettings
from ingest.model import ReadingBatch
from ingest.store import Store
from ingest.stores import open_store
from tests.ingest.builders import city, sensor
from tests.support.servers import Server, free_port, influxdb1

SIZES = (5_000, 20_000, 100_000)
START_US = 1_700_000_000_000_000
SETTLED_WITHIN_S = 60.0


def batches(sensors: int, size: int, readings: int, begin_us: int) -> Iterator[ReadingBatch]:
    """Readings of all sensors in turn, ten seconds apart, with two decimals."""
    rng = np.random.default_rng(7)
    for first in range(0, readings, size):
        number = np.arange(first, min(first + size, readings), dtype=np.int64)
        at_us = begin_us + number // sensors * 10_000_000 + number % sensors * 10
        value = np.round(rng.normal(20, 5, len(number)), 2)
        yield ReadingBatch((number % sensors).astype(np.int32), at_us, at_us, value, np.zeros(len(number), np.uint8))


def bytes_of(folder: Path) -> int:
    """What a folder takes on disk (InfluxDB reserves much more for its index than it writes)."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def settled(folder: Path) -> int:
    """The bytes of a folder once they change no more."""
    seen, deadline = -1, time.monotonic() + SETTLED_WITHIN_S
    while (now := bytes_of(folder)) != seen and time.monotonic() < deadline:
        seen = now
        time.sleep(5)
    return now


@contextmanager
def victoria(folder: Path) -> Iterator[Server]:
    """A VictoriaMetrics of its own."""
    program = shutil.which("victoria-metrics")
    if program is None:
        raise SystemExit("victoria-metrics is not installed")
    port = free_port()
    folder.mkdir()
    options = [f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"]
    server = Server([program, *options], port, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def measure(write: Callable[[ReadingBatch], object], parts: Sequence[ReadingBatch]) -> tuple[float, float]:
    """(median CPU microseconds per reading, readings a second)."""
    costs = []
    begun = time.monotonic()
    for part in parts:
        before = time.process_time()
        write(part)
        costs.append((time.process_time() - before) / len(part) * 1e6)
    return statistics.median(costs), sum(map(len, parts)) / (time.monotonic() - begun)


def run(table: Table, name: str, store: Store, options: argparse.Namespace, folder: Path) -> None:
    """Measure a store that is prepared, and add its rows."""
    written, begin_us = 0, START_US
    store.maintain(begin_us)  # from here on aggregates are made
    begin_us += 600_000_000
    for size in SIZES:
        parts = list(batches(options.sensors, size, options.readings, begin_us))
        cpu_us, rate = measure(store.write, parts)
        written += options.readings
        begin_us = int(parts[-1].event_us[-1]) + 10_000_000
        last = size == SIZES[-1]
        if last:
            store.close()
        size_text = f"{settled(folder) / written:.1f}" if last else ""
        table.add_row(name, f"{size:,}", f"{cpu_us:.2f}", f"{rate:,.0f}", size_text)


def peer(table: Table, url: str, town: City, options: argparse.Namespace) -> None:
    """The same readings as Points through the batching WriteApi, a fifth of them."""
    client = InfluxDBClient(url, token="none", org="none")  # noqa: S106  # this server has no tokens
    readings = options.readings // 5
    parts = list(batches(options.sensors, 5_000, readings, START_US))
    ids, quantities = town.columns.ids, town.columns.quantity
    before, begun = time.process_time(), time.monotonic()
    with client.write_api(WriteOptions(batch_size=5_000, flush_interval=200)) as api:
        for part in parts:
            rows = zip(part.sensor.tolist(), part.value.tolist(), part.event_us.tolist(), strict=True)
            for one, value, at_us in rows:
                point = Point(quantities[one]).tag("sensor", ids[one]).field("value", value)  # type: ignore[no-untyped-call]  # has no types
                api.write("peer", record=point.time(at_us, WritePrecision.US))
    cost = (time.process_time() - before) / readings * 1e6
    table.add_row(
        "influxdb-client, Point and WriteApi",
        "5,000",
        f"{cost:.2f}",
        f"{readings / (time.monotonic() - begun):,.0f}",
        "",
    )
    client.close()  # type: ignore[no-untyped-call]  # has no types


def main() -> None:
    """Run them all."""
    options_of = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options_of.add_argument("--readings", type=int, default=1_000_000, help="per size of batch")
    options_of.add_argument("--sensors", type=int, default=20_000)
    options = options_of.parse_args()
    os.environ["INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION"] = "2s"  # sizes are those of its files, not its log
    town = city([sensor(number, f"330106-gas-{number:06d}") for number in range(options.sensors)])
    table = Table("store", "batch", "CPU us", "readings/s", "bytes")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run(table, "DuckDB", prepared(LocalStoreSettings(), folder / "duckdb", town), options, folder / "duckdb")
        with influxdb1(folder / "influx") as server:
            run(table, "InfluxDB 1.6", prepared(at(server), folder, town), options, folder / "influx")
        with victoria(folder / "victoria") as server:
            run(table, "VictoriaMetrics", prepared(at(server), folder, town), options, folder / "victoria")
            peer(table, f"http://127.0.0.1:{server.port}", town, options)
    Console(width=100).print(table)
    print("load of this machine:", *os.getloadavg())


def at(server: Server) -> Influx1StoreSettings:
    """Settings for a server."""
    return Influx1StoreSettings(type="influx1", url=f"http://127.0.0.1:{server.port}")


def prepared(settings: LocalStoreSettings | Influx1StoreSettings, folder: Path, town: City) -> Store:
    """A store that can be written to."""
    store = open_store(settings, folder, town)
    store.prepare()
    return store


if __name__ == "__main__":
    main()
