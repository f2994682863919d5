"""The servers around a measurement, what each process costs, and what arrived in the store."""

import http.cookiejar
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.daemon import ROOT, DaemonProcess
from tests.support.servers import Server, free_port, influxdb1

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 300.0
STORES = ("victoria", "influx1", "local")
_BROKER_LIMITS = ROOT / "deploy" / "mosquitto" / "mosquitto.conf"
_OF_ITS_PLACE = ("listener", "allow_anonymous", "password_file", "acl_file", "persistence_location")


# --- what a process costs --------------------------------------------------------------------------------------------


def family(pid: int) -> list[int]:
    """A process and all its descendants that are alive."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found, to_do = [], [pid]
    while to_do:
        one = to_do.pop()
        found.append(one)
        to_do += parents.get(one, [])
    return found


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of a process and its descendants, those that ended and were waited for too."""
    total = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS_PER_S


def threads_cpu_s(pid: int) -> dict[str, float]:
    """CPU seconds of every thread of a process and its descendants, by ``process/thread``."""
    found = {}
    for one in family(pid):
        for thread in Path(f"/proc/{one}/task").glob("*/stat"):
            try:
                fields = thread.read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[f"{one}/{thread.parent.name}"] = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return found


def memory_mb(pid: int, what: str = "VmHWM") -> float:
    """Megabytes in memory of a process and its descendants: the most so far (VmHWM), or now (VmRSS)."""
    kilobytes = 0
    for one in family(pid):
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))
    return kilobytes / 1024


def pid_of(server: Server) -> int:
    """Of a server that runs. Raises RuntimeError otherwise."""
    if server.process is None:
        raise RuntimeError("the server does not run")
    return server.process.pid


def folder_mb(folder: Path) -> float:
    """Megabytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of our own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="gridwhistle-bench-") as folder:
        yield Path(folder)


# --- the broker ------------------------------------------------------------------------------------------------------


def broker_limits(text: str) -> str:
    """The lines of our Mosquitto file that do not depend on the place it runs at."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return "\n".join(line for line in lines if line.split()[0] not in _OF_ITS_PLACE) + "\n"


@contextmanager
def broker(folder: Path) -> Iterator[Server]:
    """A Mosquitto with the limits of ``deploy/mosquitto``, on a free port."""
    folder.mkdir(parents=True)
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise SystemExit("mosquitto is not installed: apt-get install mosquitto")
    port = free_port()
    place = f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence_location {folder}/\nsys_interval 1\n"
    user = "user root\n" if os.geteuid() == 0 else ""
    (folder / "mosquitto.conf").write_text(place + user + broker_limits(_BROKER_LIMITS.read_text()))
    server = Server([program, "-c", str(folder / "mosquitto.conf")], port, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def broker_dropped(port: int) -> int:
    """Messages that the broker threw away, by its own count."""
    topic = "$SYS/broker/publish/messages/dropped"
    command = ["mosquitto_sub", "-p", str(port), "-t", topic, "-C", "1", "-W", "5"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(answer.stdout or 0)


# --- the stores ------------------------------------------------------------------------------------------------------


def get(url: str) -> bytes:
    """Body of a loopback address."""
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
        return body


@dataclass
class Store:
    """A store for a measurement: what the daemon's settings say of it, and its process where it has one."""

    name: str
    settings: str
    server: Server | None

    def count(self, names: str = "(ch4|temperature|humidity|pm25)_value") -> int | None:
        """Readings in it whose series match, each as often as it is there; None where only the daemon can count."""
        if self.server is None:
            return None
        return (victoria_count if self.name == "victoria" else influx_count)(self.server.port, names)


@contextmanager
def open_store(name: str, folder: Path) -> Iterator[Store]:
    """One of STORES, empty."""
    if name == "local":
        yield Store(name, 'type = "local"', None)
        return
    with victoria_metrics(folder) if name == "victoria" else influxdb1(folder) as server:
        yield Store(name, f'type = "influx1"\nurl = "http://127.0.0.1:{server.port}"', server)


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[Server]:
    """A VictoriaMetrics on a free port."""
    folder.mkdir(parents=True)
    port = free_port()
    program = shutil.which("victoria-metrics")
    if program is None:
        raise SystemExit("victoria-metrics is not installed: apt-get install victoria-metrics")
    command = [
        program,
        f"-storageDataPath={folder}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=1d",
        "-search.maxUniqueTimeseries=2000000",
        "-search.maxQueryDuration=300s",
    ]
    server = Server(command, port, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def victoria_count(port: int, name: str) -> int:
    """Readings in VictoriaMetrics whose series match; it keeps twice what comes twice."""
    get(f"http://127.0.0.1:{port}/internal/force_flush")
    query = urllib.parse.urlencode({"query": f'sum(count_over_time({{__name__=~"{name}"}}[3h]))', "nocache": "1"})
    result = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?{query}&timeout=300s"))["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def victoria_taken(port: int) -> int:
    """Rows that VictoriaMetrics took over ``/write``, by its own counter: cheap, and ahead of the count by a second."""
    for line in get(f"http://127.0.0.1:{port}/metrics").decode().splitlines():
        if line.startswith('vm_rows_inserted_total{type="influx"}'):
            return int(float(line.split()[-1]))
    return 0


def influx_count(port: int, names: str) -> int:
    """Readings in InfluxDB 1.x; ``names`` as for VictoriaMetrics, a measurement and its field."""
    del names
    query = urllib.parse.urlencode({"db": "gridwhistle", "q": "SELECT count(value) FROM /.*/"})
    found = json.loads(get(f"http://127.0.0.1:{port}/query?{query}"))["results"][0].get("series", [])
    return sum(int(series["values"][0][1]) for series in found)


# --- the daemon ------------------------------------------------------------------------------------------------------


class Daemon:
    """gridwhistle as a process of its own, and a session at its page."""

    def __init__(self, process: DaemonProcess, folder: Path) -> None:
        self.process, self.folder = process, folder
        self._opener = sign_in(process)

    @property
    def pid(self) -> int:
        """Of its first process. Raises RuntimeError where it does not run."""
        if self.process.process is None:
            raise RuntimeError("the daemon does not run")
        return self.process.process.pid

    def health(self) -> Mapping[str, Any]:
        """Its own account of how it does."""
        found: Mapping[str, Any] = json.loads(self._opener.open(f"{self.process.url}/api/v1/health").read())
        return found

    def stored(self) -> int:
        """Readings it has stored, by its own count."""
        return int(self.health()["counters"].get("stored", 0))

    def listen(self, alarms: dict[str, float]) -> None:
        """Note when the first alarm of each sensor comes in the live feed, in a thread of its own."""
        stream = self._opener.open(f"{self.process.url}/api/v1/live")

        def read() -> None:
            raised = False
            for line in stream:
                if line.startswith(b"event:"):
                    raised = b"alarm_raised" in line
                elif raised and line.startswith(b"data:") and (sensor := over_limit(line[5:])):
                    alarms.setdefault(sensor, time.time())

        threading.Thread(target=read, daemon=True).start()


def over_limit(data: bytes) -> str | None:
    """The sensor that a message of the live feed calls over its limit; None where it tells of something else."""
    detail = json.loads(data)["entry"]["detail"]
    sensor: str = detail["sensor"]
    return sensor if detail["condition"] == "high" else None


def sign_in(daemon: DaemonProcess) -> urllib.request.OpenerDirector:
    """An opener that carries the session of the first account."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    body = json.dumps({"name": "admin", "password": daemon.password}).encode()
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{daemon.url}/api/v1/session", body, {"Content-Type": "application/json", "Origin": daemon.url}
    )
    opener.open(request).close()
    return opener


@contextmanager
def gridwhistle(folder: Path, city: Path, port: int, store: Store) -> Iterator[Daemon]:
    """A daemon that listens to the broker and has all its parts in order.

    Its settings are the defaults, but for how soon a sensor is called silent: what comes after the load has ended is
    not to be measured.
    """
    folder.mkdir(parents=True)
    config = folder / "gridwhistle.toml"
    config.write_text(
        f'city = "{city}"\ndata_dir = "{folder}/data"\nlanguage = "en"\n[mqtt]\nport = {port}\n'
        f"[dashboard]\nport = 0\n[ingest]\nsilent_floor_s = 7200\n[store]\n{store.settings}\n"
    )
    process = DaemonProcess(config, folder)
    process.start()
    try:
        daemon = Daemon(process, folder)
        deadline = time.monotonic() + PATIENCE_S
        while not (health := daemon.health())["ok"]:
            if time.monotonic() > deadline:
                raise SystemExit(f"the daemon is not in order: {health}")
            time.sleep(0.1)
        yield daemon
    finally:
        if process.process is not None:
            process.stop()


# --- the load --------------------------------------------------------------------------------------------------------


@contextmanager
def load(port: int, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """The load generator at work, as a process of its own; its report is what it prints at its end."""
    command = [sys.executable, "-m", "benchmarks.load", "--port", str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def report_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the generator sent, when it has ended. Raises SystemExit where it failed."""
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the load generator ended with {process.returncode}")
    report: dict[str, Any] = json.loads(out)
    return report
