"""The whole daemon for flow tests: in this process, or as a process of its own that can be killed."""

import asyncio
import os
import re
import signal
import subprocess
import sys
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


async def settled(running: Running, time_us: int, readings: int) -> None:
    """Wait until a replayed stream has been carried through: its last tick reached, all its readings stored."""
    clock = running.line.clock
    assert isinstance(clock, FollowingClock)

    def counted() -> bool:
        return running.line.counted()["readings"] >= readings and clock.now_us() >= time_us

    await eventually(counted, f"{readings} readings counted, have {running.line.counted()['readings']}")
    await running.line.drained()


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
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gridwhistle", "run", "--config", str(self.config)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"password (\S+) \(", line):
                self.password = found[1]
            if found := re.search(r"http://\S+", line):
                self.url = found[0]
                return
        raise AssertionError(f"the daemon ended: {(self.folder / 'daemon.log').read_text()[-2000:]}")

    def kill(self) -> None:
        """As the power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As the service manager would."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
