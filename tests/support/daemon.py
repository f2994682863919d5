"""The whole daemon for flow tests: in this process, or as a process of its own that can be killed."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from config.clock import FollowingClock
from config.settings import (
    ClockSettings,
    ClockSource,
    DashboardSettings,
    Influx1StoreSettings,
    IngestSettings,
    LocalStoreSettings,
    MqttSettings,
    Settings,
)
from config.vocabulary import Language
from gridwhistle.daemon import Running

PATIENCE_S = 60.0
STOP_S = 30.0
ROOT = Path(__file__).parents[2]


def recordings() -> Path:
    """Folder of the real recordings; absent on most machines."""
    return Path(os.environ.get("GRIDWHISTLE_DATA", ROOT.parent / "shared" / "data"))


def flow_settings(
    city: Path,
    data_dir: Path,
    mqtt_port: int,
    *,
    clock: ClockSource = ClockSource.BROKER,
    store: LocalStoreSettings | Influx1StoreSettings | None = None,
    ingest: IngestSettings | None = None,
) -> Settings:
    """Settings of a daemon on loopback with a page on a free port."""
    return Settings(
        city=city,
        data_dir=data_dir,
        language=Language.EN,
        mqtt=MqttSettings(port=mqtt_port, reconnect_min_s=0.05, reconnect_max_s=0.5),
        store=store or LocalStoreSettings(),
        ingest=ingest or IngestSettings(),
        clock=ClockSettings(source=clock),
        dashboard=DashboardSettings(port=0),
    )


async def eventually(true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until something holds; fail with what was waited for."""
    deadline = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience_s:.0f} s: {what}")
        await asyncio.sleep(0.02)


async def settled(running: Running, time_us: int, readings: int, *, patience_s: float = PATIENCE_S) -> None:
    """Wait until a replayed stream has been carried through: its last tick judged, its readings stored or refused."""
    line = running.line
    assert isinstance(line.clock, FollowingClock)

    def arrived() -> int:
        counted = line.counted()
        return counted.get("stored", 0) + counted.get("store_refused", 0) + counted["refused"]

    deadline = time.monotonic() + patience_s
    while arrived() < readings or line.clock.now_us() < time_us:
        if time.monotonic() > deadline:
            raise AssertionError(f"{readings} readings up to {time_us}: {arrived()} arrived by {line.clock.now_us()}")
        await asyncio.sleep(0.02)
    await line.beat()  # waits for its turn: the last tick may still be under way
    await line.drained()


@dataclass
class DaemonProcess:
    """``gridwhistle run`` as a process of its own. url, password: what it printed at its last start."""

    config: Path
    folder: Path
    process: subprocess.Popen[str] | None = field(default=None)
    url: str = ""
    password: str = ""

    def start(self) -> None:
        """Start it and wait until it has said where its page is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gridwhistle", "run", "--config", str(self.config)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.process = process
        too_late = threading.Timer(PATIENCE_S, process.kill)  # which ends the reading, too
        too_late.start()
        try:
            self._read_greeting(process)
        except BaseException:
            self.kill()
            raise
        finally:
            too_late.cancel()

    def _read_greeting(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"password (\S+) \(", line):
                self.password = found[1]
            if found := re.search(r"http://\S+", line):
                self.url = found[0]
                return
        log = (self.folder / "daemon.log").read_text()
        raise AssertionError(f"the daemon ended, or said nothing for {PATIENCE_S:.0f} s: {log[-2000:]}")

    def kill(self) -> None:
        """As the power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As the service manager would; fails where it has to be killed."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with process:  # closes its pipe, waits for its end
            process.send_signal(number)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
