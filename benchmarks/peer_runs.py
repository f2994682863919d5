"""Other ways from the broker to a store, measured like our own: same broker, same load, same store."""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.support import (
    broker,
    load,
    pid_of,
    report_of,
    scratch,
    victoria_count,
    victoria_metrics,
    victoria_taken,
)
from benchmarks.support_measure import Subject, measure, settle
from benchmarks.support_table import Row, cells, highest
from tests.support.daemon import ROOT
from tests.support.servers import free_port

LOST_SHARE = 0.001  # of what a peer may lose and still keep the rate
RIVER_SENSORS = 200  # each takes 1.2 MB of trees and some 50 ms to plant them: a hundred thousand would take 120 GB
FLOWS = Path(__file__).parent / "node_red"
NODE_RED = "node-red@4", "node-red-contrib-influxdb"
_READY_S = 60.0
_BLOCK = 4096  # bytes that a program may keep before it writes to a file


class NotHereError(Exception):
    """A peer cannot be run on this machine; says why."""


class Program:
    """A process whose lines are read in a thread: one that says it is ready, then its alarms."""

    def __init__(self, command: list[str], log: Path, ready: str, environment: dict[str, str] | None = None) -> None:
        self.lines: list[tuple[str, float]] = []
        self._ready = threading.Event()
        with log.open("ab") as err:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
            )
        if self.process.stdout is None:
            raise NotHereError(f"{command[0]} has no output")
        threading.Thread(target=self._read, args=(self.process.stdout, ready), daemon=True).start()
        if not self._ready.wait(_READY_S):
            self.stop()
            raise NotHereError(f"{command[0]} did not get ready: {log.read_text()[-500:]} {self.lines[-5:]}")

    def _read(self, out: IO[str], ready: str) -> None:
        for line in out:
            if ready in line:
                self._ready.set()
            self.lines.append((line.strip(), time.time()))

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def _stored(store_port: int) -> tuple[Callable[[], int], Callable[[], int]]:
    return partial(victoria_taken, store_port), partial(victoria_count, store_port, "peer_value")


@contextmanager
def script(module: str, name: str, folder: Path, port: int) -> Iterator[Subject]:
    """A Python script that prints its alarms."""
    with victoria_metrics(folder / "store") as store:
        address = f"http://127.0.0.1:{store.port}"
        program = Program([sys.executable, "-m", module, str(port), address], folder / "peer.log", "READY")
        arrived, count = _stored(store.port)
        pids = {"subject": program.process.pid, "store": pid_of(store)}
        subject = Subject(name, port, pids, arrived, count, _Alarms(program))
        try:
            yield subject
        finally:
            program.stop()


class _Alarms(dict[str, float]):
    """Sensor id > when its first alarm was printed, as far as the program has come."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program, self._read = program, 0

    def __contains__(self, sensor: object) -> bool:
        lines = self._program.lines
        for line, at in lines[self._read :]:
            if line.startswith("ALARM "):
                self.setdefault(line.split()[1], at)
        self._read = len(lines)
        return super().__contains__(sensor)


def listen(port: int, alarms: dict[str, float]) -> mqtt.Client:
    """Note when each sensor is first named on the topic peer/alarm, in a thread of its own."""

    def arrived(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        alarms.setdefault(message.payload.decode(), time.time())

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = arrived
    client.connect("127.0.0.1", port)
    client.subscribe("peer/alarm")
    client.loop_start()
    return client


def node_red_home() -> Path:
    """The folder where Node-RED is installed: NODE_RED_HOME, or a new one of npm's. Raises NotHereError."""
    home = Path(os.environ.get("NODE_RED_HOME", Path(os.environ.get("TMPDIR", "/tmp")) / "gridwhistle-node-red"))  # noqa: S108 - a cache that may be anybody's
    if (home / "node_modules" / "node-red" / "red.js").exists():
        return home
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NotHereError("npm and node are not installed")
    home.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", *NODE_RED]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise NotHereError(f"npm cannot install Node-RED: {done.stderr.strip()[-300:]}")
    return home


@contextmanager
def node_red(flow: str, name: str, folder: Path, port: int) -> Iterator[Subject]:
    """A flow of benchmarks/node_red; its alarms go to the topic peer/alarm."""
    home = node_red_home()
    own = folder / "node-red"
    own.mkdir(parents=True)
    shutil.copy(FLOWS / f"{flow}.json", own / "flows.json")
    (own / "settings.js").write_text(
        f"module.exports = {{flowFile: 'flows.json', uiPort: {free_port()}, uiHost: '127.0.0.1'}};\n"
    )
    with victoria_metrics(folder / "store") as store:
        address = f"http://127.0.0.1:{store.port}/write?db=peer&precision=u"
        environment = {"BROKER_PORT": str(port), "STORE_PORT": str(store.port), "WRITE_URL": address}
        red = str(home / "node_modules" / "node-red" / "red.js")
        program = Program(["node", red, "-u", str(own)], folder / "node-red.log", "Connected to broker", environment)
        alarms: dict[str, float] = {}
        bell = listen(port, alarms)
        time.sleep(1)  # it says that it is connected, and subscribes then
        arrived, count = _stored(store.port)
        pids = {"subject": program.process.pid, "store": pid_of(store)}
        try:
            yield Subject(name, port, pids, arrived, count, alarms)
        finally:
            program.stop()
            bell.loop_stop()


@contextmanager
def sub(name: str, folder: Path, port: int) -> Iterator[Subject]:
    """``mosquitto_sub`` that writes each payload to a file: what the broker alone can deliver."""
    kept = folder / "payloads"
    folder.mkdir(parents=True, exist_ok=True)
    with kept.open("wb") as out:
        command = ["mosquitto_sub", "-p", str(port), "-t", "gridwhistle/readings/#", "-q", "1", "-i", "peer", "-c"]
        process = subprocess.Popen(command, stdout=out)
    line = len(b'{"id":"S000123","t":1767225600.123456,"v":2.3104}\n')

    def arrived() -> int:
        size = kept.stat().st_size
        return (size + _BLOCK) // line if size else 0  # the last block is in its hands

    def count() -> int:
        process.terminate()
        process.wait(10)
        return kept.stat().st_size // line

    try:
        time.sleep(1)
        yield Subject(name, port, {"subject": process.pid}, arrived, count)
    finally:
        process.terminate()
        process.wait(10)


@dataclass(frozen=True)
class Peer:
    """Another way. first: readings a second from which its best rate is looked for.

    sensors: the most that its memory carries, where that is few; they speak once before anything is measured.
    judges: whether it raises alarms.
    """

    name: str
    run: Callable[[str, Path, int], AbstractContextManager[Subject]]
    first: float
    sensors: int | None = None
    judges: bool = True


def _script(module: str) -> Callable[[str, Path, int], AbstractContextManager[Subject]]:
    return lambda name, folder, port: script(module, name, folder, port)


def _flow(flow: str) -> Callable[[str, Path, int], AbstractContextManager[Subject]]:
    return lambda name, folder, port: node_red(flow, name, folder, port)


PEERS = {
    "sub": Peer("mosquitto_sub > file, no limits", sub, 60_000, judges=False),
    "paho": Peer("paho + influxdb-client", _script("benchmarks.peer_paho_influx"), 8_000),
    "river": Peer("the same + river HalfSpaceTrees, 200 sensors", _script("benchmarks.peer_river"), 400, RIVER_SENSORS),
    "gathered": Peer("Node-RED, writes gathered by hand", _flow("gathered"), 8_000),
    "each": Peer("Node-RED, influxdb node per reading", _flow("each"), 3_000),
}


def run_peer(peer: Peer, asked: argparse.Namespace, rate: float) -> Row:
    """Everything fresh, so many readings a second for the time asked. Raises NotHereError."""
    sensors = min(asked.sensors, peer.sensors or asked.sensors)
    arguments = [
        *("--sensors", str(sensors), "--rate", str(rate), "--seconds", str(asked.minutes * 60)),
        *(
            "--qos",
            str(asked.qos),
            "--connections",
            str(asked.connections),
            "--alarms",
            str(asked.alarms if peer.judges else 0),
        ),
    ]
    with (
        scratch() as folder,
        broker(folder / "broker") as mosquitto,
        peer.run(peer.name, folder / "peer", mosquitto.port) as subject,
    ):
        pids = {**subject.pids, "broker": pid_of(mosquitto)}
        if peer.sensors:
            warm = ["--sensors", str(sensors), "--rate", str(sensors), "--seconds", "1.5", "--name", "warm"]
            with load(mosquitto.port, warm) as generator:
                settle(subject.arrived, report_of(generator)["readings"])
        row = measure(replace(subject, pids=pids), arguments, rate)
    print("  " + "  ".join(cells(row)), flush=True)
    return row


def peers(asked: argparse.Namespace) -> list[Row]:
    """Each peer at the highest rate that it keeps with less than 0.1 % lost, beside ours from the other scenarios."""
    rows: list[Row] = []
    for key in asked.only or PEERS:
        found: list[Row] = []

        def holds(rate: float, peer: Peer = PEERS[key], found: list[Row] = found) -> bool:
            found.append(run_peer(peer, asked, rate))
            return found[-1].holds(LOST_SHARE)

        try:
            best = highest(holds, asked.rate or PEERS[key].first)
        except NotHereError as reason:
            print(f"  {PEERS[key].name} is left out: {reason}", flush=True)
            continue
        rows += [row for row in found if row.offered == best and row.holds(LOST_SHARE)] or found[-1:]
    return rows
