"""From broker to store with detection on, beside the plain script that most people write; in one run, on one machine.

    .venv/bin/python -m benchmarks.way [--readings 200000] [--sensors 20000] [--latency-seconds 20]

Single readings at QoS 1 through a real Mosquitto, sent as fast as it acknowledges; a rate counts from the first publish
to the last reading in the store. Then 1,000 readings/s, and now and then one over the limit: from its publish to the
live feed (for the plain script: to the line it prints). Needs Debian's ``mosquitto``, ``influxdb`` and
``victoria-metrics``; InfluxDB 1.x refuses the plain script's client, so both are measured on VictoriaMetrics too.
"""

import argparse
import http.cookiejar
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.load import Publisher, packets
from tests.support.daemon import DaemonProcess
from tests.support.servers import Server, free_port, influxdb1, mosquitto

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Row:
    """One line of the table. latencies_ms: from publish to feed, of every reading over the limit."""

    name: str
    rate: float
    cpu_us: float
    lost: int
    latencies_ms: list[float]


@dataclass(frozen=True)
class Load:
    """What is sent. sensors: how many. readings: for the rate. latency_s: how long 1,000 readings/s last."""

    sensors: int
    readings: int
    latency_s: int


@dataclass(frozen=True)
class Subject:
    """What is measured. pid: whose CPU counts. stored: readings in the store now. alarms: (sensor id, wall time)."""

    name: str
    pid: int
    stored: Callable[[], int]
    alarms: list[tuple[str, float]]


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def write_city(folder: Path, sensors: int) -> None:
    """A square city of methane sensors, one grid, one worker: the readings matter here, not the people."""
    folder.mkdir(parents=True)
    (folder / "city.yaml").write_text("name: {zh: 测量城, en: Benchmark city}\ntimezone: Asia/Shanghai\n")
    square = [[113.0, 30.0], [113.1, 30.0], [113.1, 30.1], [113.0, 30.1], [113.0, 30.0]]
    feature = {
        "type": "Feature",
        "properties": {"code": "G", "level": "district", "parent": None, "name_zh": "网格", "name_en": "Grid"},
        "geometry": {"type": "Polygon", "coordinates": [square]},
    }
    (folder / "grids.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    lines = ["id,kind,quantity,unit,lon,lat,place_zh,place_en,interval_s,owner,calibrated_on,device"]
    side = int(np.ceil(np.sqrt(sensors)))
    for index in range(sensors):
        lon, lat = 113.001 + 0.098 * (index % side) / side, 30.001 + 0.098 * (index // side) / side
        lines.append(f"S{index:06d},gas,ch4,%LEL,{lon:.6f},{lat:.6f},地点{index},Place {index},10,D1,2026-01-01,")
    (folder / "sensors.csv").write_text("\n".join(lines) + "\n")
    (folder / "workers.csv").write_text(
        "id,name_zh,name_en,phone,channels\nW1,测一,Test One,000-0000-0001,mqtt\nM1,测二,Test Two,000-0000-0002,mqtt\n"
    )
    (folder / "departments.yaml").write_text(
        "D1:\n  name: {zh: 燃气公司, en: Gas company}\n  categories: [gas_leak]\n  contact: none\n"
    )
    (folder / "roster.csv").write_text(
        "grid,worker,role,weekdays,start,end\nG,W1,worker,mon-sun,00:00,12:00\nG,W1,worker,mon-sun,12:00,00:00\n"
        "G,M1,maintenance,mon-sun,00:00,12:00\nG,M1,maintenance,mon-sun,12:00,00:00\n"
    )


def reading(sensor: int, value: float) -> tuple[str, bytes]:
    """Topic and payload of one reading taken now."""
    payload = b'{"id":"S%06d","t":%.6f,"v":%.3f}' % (sensor, time.time(), value)
    return f"gridwhistle/readings/S{sensor:06d}", payload


def measure(subject: Subject, port: int, load: Load) -> Row:
    """Rate, CPU and losses of a stream at full speed, then the way of readings over the limit at 1,000 a second."""
    rng = np.random.default_rng(7)
    values = rng.normal(2.0, 0.3, load.readings)
    made = packets((reading(i % load.sensors, values[i]) for i in range(load.readings)), qos=1)
    publisher = Publisher(port, "load")
    before, cpu_before, begun = subject.stored(), cpu_s(subject.pid), time.perf_counter()
    publisher.send(made, qos=1)
    lost = wait_for(lambda: subject.stored() - before, load.readings)
    took, cpu = time.perf_counter() - begun, cpu_s(subject.pid) - cpu_before
    published: dict[str, float] = {}
    for second in range(load.latency_s):
        for part in range(10):
            base = (second * 1000 + part * 100) % (load.sensors // 2)
            publisher.send(packets((reading(base + i, 2.0) for i in range(99)), qos=1), qos=1, rate=1000)
            victim = load.sensors - 1 - second * 10 - part
            over = packets([reading(victim, 60.0)], qos=1)
            published[f"S{victim:06d}"] = time.time()
            publisher.send(over, qos=1)
            time.sleep(max(0.0, 0.1 - 0.099))
    time.sleep(2)
    publisher.close()
    seen = dict(reversed(subject.alarms))
    latencies = [(seen[sensor] - at) * 1000 for sensor, at in published.items() if sensor in seen]
    return Row(subject.name, (load.readings - lost) / took, cpu / load.readings * 1e6, lost, latencies)


def wait_for(count: Callable[[], int], wanted: int) -> int:
    """Wait until so many are there, or until none has come for 10 s; answers how many are missing."""
    last, since = -1, time.monotonic()
    while (have := count()) < wanted and time.monotonic() - since < 10:
        if have != last:
            last, since = have, time.monotonic()
        time.sleep(0.05)
    return max(0, wanted - have)


def get(url: str) -> bytes:
    """Body of a loopback address."""
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
        return body


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[Server]:
    """A VictoriaMetrics on a free port."""
    folder.mkdir(parents=True)
    port = free_port()
    program = shutil.which("victoria-metrics")
    if program is None:
        raise SystemExit("victoria-metrics is not installed: apt-get install victoria-metrics")
    command = [program, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=1d"]
    server = Server(command, port, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def victoria_count(port: int, name: str) -> int:
    """Readings in VictoriaMetrics whose series are called so (a regular expression)."""
    get(f"http://127.0.0.1:{port}/internal/force_flush")
    query = urllib.parse.urlencode({"query": f'sum(count_over_time({{__name__=~"{name}"}}[1h]))', "nocache": "1"})
    result = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?{query}"))["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


@contextmanager
def gridwhistle(folder: Path, city: Path, port: int, store: str) -> Iterator[tuple[DaemonProcess, Callable[[], int]]]:
    """A daemon of its own; yields it and how many readings it has stored by its own count."""
    folder.mkdir(parents=True)
    config = folder / "gridwhistle.toml"
    config.write_text(
        f'city = "{city}"\ndata_dir = "{folder}/data"\nlanguage = "en"\n[mqtt]\nport = {port}\n'
        f"[dashboard]\nport = 0\n[store]\n{store}\n"
    )
    daemon = DaemonProcess(config, folder)
    daemon.start()
    try:
        opener = sign_in(daemon)
        while not json.loads(opener.open(f"{daemon.url}/healthz").read())["ok"]:
            time.sleep(0.1)

        def stored() -> int:
            counters = json.loads(opener.open(f"{daemon.url}/api/v1/health").read())["counters"]
            return int(counters.get("stored", 0))

        yield daemon, stored
    finally:
        daemon.stop()


def sign_in(daemon: DaemonProcess) -> urllib.request.OpenerDirector:
    """An opener that carries the session of the first account."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    body = json.dumps({"name": "admin", "password": daemon.password}).encode()
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{daemon.url}/api/v1/session", body, {"Content-Type": "application/json", "Origin": daemon.url}
    )
    opener.open(request).close()
    return opener


def listen_to_feed(daemon: DaemonProcess, alarms: list[tuple[str, float]]) -> None:
    """Note when each sensor's alarm arrives in the live feed, in a thread of its own."""
    stream = sign_in(daemon).open(f"{daemon.url}/api/v1/live")

    def read() -> None:
        for line in stream:
            if b"alarm_raised" in line or b"sensor" in line:
                alarms.extend((sensor, time.time()) for sensor in re.findall(r"S\d{6}", line.decode()))

    threading.Thread(target=read, daemon=True).start()


@contextmanager
def plain_script(folder: Path, port: int, store_port: int, alarms: list[tuple[str, float]]) -> Iterator[int]:
    """The plain script as a process of its own; yields its pid."""
    command = [sys.executable, "-m", "benchmarks.peer_paho_influx", str(port), f"http://127.0.0.1:{store_port}"]
    folder.mkdir(parents=True)
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    out = process.stdout
    if out is None or out.readline().strip() != "READY":
        raise SystemExit(f"the plain script ended: {(folder / 'peer.log').read_text()}")

    def read() -> None:
        for line in out:
            _, sensor, at = line.split()
            alarms.append((sensor, float(at)))

    threading.Thread(target=read, daemon=True).start()
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def ours(folder: Path, city: Path, load: Load, store: str, name: str) -> Row:
    """Measure this project with one store."""
    alarms: list[tuple[str, float]] = []
    with (
        mosquitto(folder / "broker") as broker,
        gridwhistle(folder / "daemon", city, broker.port, store) as (daemon, stored),
    ):
        listen_to_feed(daemon, alarms)
        assert daemon.process is not None  # noqa: S101 - it has been started
        return measure(Subject(name, daemon.process.pid, stored, alarms), broker.port, load)


def theirs(folder: Path, load: Load, store_port: int) -> Row:
    """Measure the plain script."""
    alarms: list[tuple[str, float]] = []
    with mosquitto(folder / "broker") as broker, plain_script(folder / "peer", broker.port, store_port, alarms) as pid:
        stored = lambda: victoria_count(store_port, "peer_value")  # noqa: E731 - said where it is used
        return measure(Subject("paho + influxdb-client > VictoriaMetrics", pid, stored, alarms), broker.port, load)


def table(rows: list[Row], load: Load) -> str:
    """The rows for a person, with the machine they come from."""
    head = f"{'':44} {'readings/s':>10} {'µs CPU each':>12} {'lost':>6} {'feed p50 ms':>12} {'p99 ms':>8} {'of':>4}"
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}",
        f"{load.readings:,} single readings at QoS 1, {load.sensors:,} sensors; feed at 1,000 readings/s",
        "",
        head,
    ]
    for row in rows:
        p50, p99 = np.percentile(row.latencies_ms, [50, 99]) if row.latencies_ms else (np.nan, np.nan)
        lines.append(
            f"{row.name:44} {row.rate:10,.0f} {row.cpu_us:12.1f} {row.lost:6,} {p50:12.0f} {p99:8.0f}"
            f" {len(row.latencies_ms):4}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=200_000, help="single readings sent for the rate")
    parser.add_argument("--sensors", type=int, default=20_000, help="sensors that send them")
    parser.add_argument("--latency-seconds", type=int, default=20, help="how long 1,000 readings/s last")
    asked = parser.parse_args()
    load = Load(asked.sensors, asked.readings, asked.latency_seconds)
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gridwhistle-bench-")))
        write_city(folder / "city", load.sensors)
        city = folder / "city"
        rows.append(ours(folder / "duckdb", city, load, 'type = "local"', "gridwhistle > DuckDB (embedded)"))
        with influxdb1(folder / "influxdb") as server:
            store = f'type = "influx1"\nurl = "http://127.0.0.1:{server.port}"'
            rows.append(ours(folder / "ours-influx", city, load, store, "gridwhistle > InfluxDB 1.x"))
        with victoria_metrics(folder / "vm-ours") as server:
            store = f'type = "influx1"\nurl = "http://127.0.0.1:{server.port}"'
            rows.append(ours(folder / "ours-vm", city, load, store, "gridwhistle > VictoriaMetrics"))
        with victoria_metrics(folder / "vm-peer") as server:
            rows.append(theirs(folder / "peer", load, server.port))
    print(table(rows, load))


if __name__ == "__main__":
    main()
