"""How long a large city takes to start, and what it weighs.

    .venv/bin/python -m benchmarks.scale [--sensors 500000] [--only parts|daemon]

Writes a made-up city once (kept in the temporary folder), then measures in processes of their own: what reading it and
building each part costs, and the whole daemon from its start to its first page, at rest, and after every sensor has
reported three times through a real Mosquitto. How soon a sensor is called silent is set to two hours: a city that has
not spoken yet is another measurement. Needs Debian's ``mosquitto``.
"""

import argparse
import csv
import gc
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmarks.big_city import write_city
from benchmarks.load import connect
from benchmarks.support import Daemon, broker, cpu_s, family, get, memory_mb, scratch
from benchmarks.support_fleet import publish_packet
from benchmarks.support_table import machine, markdown
from config.city import City
from tests.support.daemon import ROOT, DaemonProcess

if TYPE_CHECKING:
    from dashboard_api.routes.grids import Responsibility

START_LIMIT_S, LOAD_LIMIT_S = 30.0, 12.0
MEMORY_LIMIT_MB, CITY_LIMIT_MB = 1500.0, 350.0
"""What a daemon of 500,000 sensors may take: seconds to its first page, CPU for its city, resident memory."""

PACK, ROUNDS, WINDOW = 100, 3, 200
CALM = {"o2": 20.9, "pressure": 1010.0}
"""Values at which nobody needs to come; nought for all others."""

PATIENCE_S = 400.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step cost. memory_mb: how much the process grew by it. limit: in words, empty where none is set."""

    name: str
    cpu_s: float
    wall_s: float
    memory_mb: float
    limit: str = ""


def status_mb(pid: int | str, entry: str) -> float:
    """A figure of one process, MB: what it has in memory now (VmRSS) or had at most (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{entry}:")) / 1024


class Steps:
    """Measures one step after another in this process."""

    def __init__(self) -> None:
        self.costs: list[Cost] = []

    def take(self, name: str, step: Callable[[], T], limit: str = "") -> T:
        """Do a step and note what it cost; what it answers stays alive, so that its memory counts."""
        gc.collect()
        memory, cpu, wall = status_mb("self", "VmRSS"), time.process_time(), time.perf_counter()
        made = step()
        took = time.process_time() - cpu, time.perf_counter() - wall
        gc.collect()
        self.costs.append(Cost(name, *took, status_mb("self", "VmRSS") - memory, limit))
        return made


def measure_parts(folder: Path, data_dir: Path) -> list[Cost]:
    """Build what the daemon builds, one part after another."""
    steps = Steps()
    steps.take("modules", _import_all)
    from alerting.ledger import Ledger  # noqa: PLC0415 - importing is what the step above measures
    from alerting.pipeline import Pipeline  # noqa: PLC0415
    from config.city_files import load_city  # noqa: PLC0415
    from config.logs import mask_people  # noqa: PLC0415
    from config.settings import IngestSettings, LocalStoreSettings, MqttSettings  # noqa: PLC0415
    from dashboard_api.routes import grids, sensors  # noqa: PLC0415
    from detectors.engine import Engine  # noqa: PLC0415
    from ingest.deadletter import DeadLetter  # noqa: PLC0415
    from ingest.intake import Intake  # noqa: PLC0415
    from ingest.liveness import Liveness  # noqa: PLC0415
    from ingest.stores import open_store  # noqa: PLC0415

    now_us, ingest = time.time_ns() // 1000, IngestSettings()
    limit = f"{LOAD_LIMIT_S:.0f} s CPU, {CITY_LIMIT_MB:.0f} MB"
    city: City = steps.take("city", lambda: load_city(folder, today=datetime.now(UTC).date()), limit)
    steps.take("people masked in logs", lambda: mask_people(city.workers.values()))
    gc.freeze()
    ledger = steps.take("ledger", lambda: Ledger.open(f"sqlite:///{data_dir / 'ledger.sqlite'}"))
    pipeline = steps.take("alert path", lambda: Pipeline(ledger, city))
    steps.take("gone sensors retired", lambda: pipeline.retire_missing(now_us))
    store = steps.take("local store", lambda: open_store(LocalStoreSettings(), data_dir, city))
    steps.take("local store prepared", store.prepare)
    kept: list[object] = [
        steps.take("engine", lambda: Engine(city)),
        steps.take("liveness", lambda: Liveness(city, ingest, now_us)),
        steps.take("intake", lambda: Intake(city, ingest, MqttSettings().subscriptions)),
        steps.take("dead-letter", lambda: DeadLetter(data_dir, city)),
        steps.take("page: shapes", lambda: grids.shapes(city)),
        steps.take("page: places", lambda: sensors.Places(city)),
        steps.take("page: who is responsible", lambda: _asked(grids.Responsibility(city), now_us)),
        steps.take("every sensor as an object, once", lambda: sum(1 for _ in city.sensors)),
    ]
    store.close()
    ledger.close()
    steps.costs.append(Cost(f"all {len(kept) + 9} together", time.process_time(), 0.0, status_mb("self", "VmRSS")))
    steps.costs.append(Cost("the most memory meanwhile", 0.0, 0.0, status_mb("self", "VmHWM")))
    return steps.costs


def _asked(responsibility: "Responsibility", now_us: int) -> object:
    responsibility.at(now_us)
    return responsibility


def _import_all() -> None:
    import gridwhistle.daemon  # noqa: PLC0415 - that is what is measured
    import gridwhistle.page  # noqa: F401, PLC0415


@contextmanager
def started(process: DaemonProcess) -> Iterator[Cost]:
    """The daemon from its start to its first page, however long it takes."""
    begun = time.perf_counter()
    with (process.folder / "daemon.log").open("ab") as log:
        command = [sys.executable, "-u", "-m", "gridwhistle", "run", "--config", str(process.config)]
        process.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
    too_late = threading.Timer(PATIENCE_S, process.process.kill)
    too_late.start()
    try:
        process._read_greeting(process.process)  # noqa: SLF001 - waits longer than a test may
        too_late.cancel()
        get(process.url)
        took = time.perf_counter() - begun
        pid = process.process.pid
        yield Cost("first page", cpu_s(pid), took, memory_mb(pid, "VmRSS"), f"{START_LIMIT_S:.0f} s")
    finally:
        too_late.cancel()
        if process.process.poll() is None:
            process.process.terminate()
            process.process.wait(PATIENCE_S)
        else:
            print((process.folder / "daemon.log").read_text()[-4000:], file=sys.stderr)
        process.process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
        process.process = None


def measure_daemon(folder: Path, sensors: Sequence[tuple[str, str]]) -> list[Cost]:
    """The whole daemon: to its first page, started again, and after every sensor has reported ROUNDS times."""
    limit = f"{MEMORY_LIMIT_MB:,.0f} MB"
    with scratch() as place, broker(place / "broker") as server:
        config = place / "gridwhistle.toml"
        config.write_text(
            f'city = "{folder}"\ndata_dir = "{place}/data"\nlanguage = "en"\n[mqtt]\nport = {server.port}\n'
            "[dashboard]\nport = 0\n[ingest]\nsilent_floor_s = 7200\n"
        )
        process = DaemonProcess(config, place)
        with started(process) as first:
            costs = [first]
            daemon = Daemon(process, place)
            costs += [_now("at rest", daemon.pid, limit)]
            begun, cpu = time.perf_counter(), cpu_s(daemon.pid)
            _report(server.port, sensors)
            _wait(lambda: daemon.stored() >= ROUNDS * len(sensors), daemon)
            took = time.perf_counter() - begun
            after = _now(f"every sensor heard {ROUNDS} times", daemon.pid, limit)
            costs.append(Cost(after.name, cpu_s(daemon.pid) - cpu, took, after.memory_mb, limit))
            costs += [
                Cost(f"  of it process {number}", 0.0, 0.0, status_mb(pid, "VmRSS"))
                for number, pid in enumerate(family(daemon.pid), start=1)
            ]
            costs.append(Cost("the most memory meanwhile", 0.0, 0.0, memory_mb(daemon.pid)))
            told = time.perf_counter()
        costs.append(Cost("told to end, until it has ended", 0.0, time.perf_counter() - told, 0.0))
        with started(process) as second:
            costs.append(Cost("first page, started again", second.cpu_s, second.wall_s, second.memory_mb, second.limit))
    return costs


def _now(name: str, pid: int, limit: str) -> Cost:
    return Cost(name, cpu_s(pid), 0.0, memory_mb(pid, "VmRSS"), limit)


def _wait(done: Callable[[], bool], daemon: Daemon) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"not stored within {PATIENCE_S:.0f} s: {daemon.health()}")
        time.sleep(0.2)


def _report(port: int, sensors: Sequence[tuple[str, str]]) -> None:
    """Let every sensor say a calm value ROUNDS times, in packs, at QoS 1."""
    link = connect(port, "scale")
    link.setblocking(True)
    acknowledged = threading.Semaphore(WINDOW)

    def count() -> None:
        rest = 0
        while data := link.recv(65_536):
            whole, rest = divmod(rest + len(data), 4)
            for _ in range(whole):
                acknowledged.release()

    threading.Thread(target=count, daemon=True).start()
    sent = 0
    for turn in range(ROUNDS):
        for begin in range(0, len(sensors), PACK):
            now = time.time()
            pack = ",".join(
                f'{{"id":"{id_}","t":{now:.3f},"v":{CALM.get(quantity, 0.0) + turn / 100}}}'
                for id_, quantity in sensors[begin : begin + PACK]
            )
            acknowledged.acquire()
            sent += 1
            link.sendall(publish_packet("gridwhistle/readings/scale", f"[{pack}]".encode(), sent % 65_535 + 1))
    for _ in range(WINDOW):
        acknowledged.acquire()
    link.close()


def cached_city(sensors: int) -> Path:
    """The made-up city's folder, written where it is not there yet."""
    made_by = Path(__file__).with_name("big_city.py").read_bytes()
    folder = Path(tempfile.gettempdir()) / f"gridwhistle-city-{sensors}-{zlib.crc32(made_by):08x}"
    if not folder.exists():
        half = folder.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        write_city(half, sensors)
        half.rename(folder)
    return folder


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sensors", type=int, default=500_000)
    parser.add_argument("--only", choices=("parts", "daemon"))
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    folder = cached_city(asked.sensors)
    if asked.in_this_process:
        with tempfile.TemporaryDirectory() as data_dir:
            print(json.dumps([asdict(cost) for cost in measure_parts(folder, Path(data_dir))]))
        return
    print(f"{machine()}; {asked.sensors:,} sensors\n")
    if asked.only != "daemon":
        command = [sys.executable, "-m", "benchmarks.scale", "--sensors", str(asked.sensors), "--in-this-process"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        print(_table("part", [Cost(**cost) for cost in json.loads(done.stdout.splitlines()[-1])]), "\n")
    if asked.only != "parts":
        with (folder / "sensors.csv").open(encoding="utf-8", newline="") as file:
            sensors = [(row["id"], row["quantity"]) for row in csv.DictReader(file)]
        print(_table("whole daemon", measure_daemon(folder, sensors)))


def _table(what: str, costs: Sequence[Cost]) -> str:
    lines = [
        [
            cost.name,
            f"{cost.cpu_s:.2f}",
            f"{cost.wall_s:.1f}" if cost.wall_s else "–",
            f"{cost.memory_mb:,.0f}",
            cost.limit,
        ]
        for cost in costs
    ]
    return markdown([what, "CPU s", "wall s", "MB", "limit"], lines)


if __name__ == "__main__":
    main()
