"""Real servers for tests: started on free loopback ports, stopped and wiped afterwards."""

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 30.0


def free_port() -> int:
    """A loopback TCP port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"server ended with {process.returncode}: {log.read_text()[-2000:]}")
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port} after {PATIENCE_S} s: {log.read_text()[-2000:]}")


@dataclass
class Server:
    """A server process that can be stopped, killed and started again on the same port."""

    command: list[str]
    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        log = self.folder / "server.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(self.command, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder)
        try:
            _wait_until_listening(self.port, self.process, log)
        except BaseException:
            self.stop(kill=True)
            raise

    def stop(self, *, kill: bool = False) -> None:
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None


def _find(program: str) -> str:
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")
    if found is None:
        raise RuntimeError(f"{program} is not installed: run scripts/test, which installs what the tests need")
    return found


@contextmanager
def mosquitto(folder: Path, *, extra: str = "") -> Iterator[Server]:
    """A real Mosquitto that keeps its queues over a restart and drops nothing within reason."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 1000000\n"
        f"max_inflight_messages 1000\npersistence true\npersistence_location {folder}/\n"
        f"user root\n{extra}\n"
    )
    server = Server([_find("mosquitto"), "-c", str(folder / "mosquitto.conf")], port, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def plain_mosquitto(folder: Path, *, extra: str = "") -> Iterator[Server]:
    """A real Mosquitto with the limits it has when nobody sets any."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{extra}\n")
    server = Server([_find("mosquitto"), "-c", str(folder / "mosquitto.conf")], port, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def influxdb1(folder: Path) -> Iterator[Server]:
    """A real InfluxDB 1.x with HTTP on ``port``."""
    folder.mkdir(parents=True, exist_ok=True)
    port, rpc = free_port(), free_port()
    (folder / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n'
        f'[meta]\n  dir = "{folder}/meta"\n'
        f'[data]\n  dir = "{folder}/data"\n  wal-dir = "{folder}/wal"\n  query-log-enabled = false\n'
        f'[http]\n  bind-address = "127.0.0.1:{port}"\n  log-enabled = false\n'
        "[monitor]\n  store-enabled = false\n"
    )
    server = Server([_find("influxd"), "-config", str(folder / "influxdb.conf")], port, folder)
    try:
        server.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=PATIENCE_S):
            pass
        yield server
    finally:
        server.stop()
