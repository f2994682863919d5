"""What an alarm costs in the page's process: CPU of it, and how late an entry of the trail reaches a listener.

    .venv/bin/python -m benchmarks.page_alarms [--rate 50] [--seconds 10] [--listeners 1] [--calls 100]

A ledger that the alert path fills at a steady rate, alarms raised and as many cleared, each told to people by the
outbox; the page in its process, and listeners on its live feed. The CPU is what the kernel charges the page with,
without what it takes at rest; the delay is from the commit of an entry to its arrival at the first listener.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from alerting.channels.base import Notification
from alerting.outbox import Outbox
from config.clock import SystemClock
from config.vocabulary import Severity
from detectors.model import Phase, Verdict
from tests.support.core import CoreParts, core
from tests.support.dashboard import ACCOUNT, PASSWORD, verdict_of


class Willing:
    """A channel by which everything arrives at once."""

    name = "mqtt"
    trouble: str | None = None

    async def send(self, notification: Notification) -> None:
        """Take it."""


@dataclass
class Found:
    """What was measured. told: when the trail reached an id. heard: when the first listener had it, by id."""

    told: list[tuple[int, float]] = field(default_factory=list)
    heard: dict[int, float] = field(default_factory=dict)
    entries: int = 0
    cpu_s: float = 0.0
    rest_s: float = 0.0
    took_s: float = 0.0

    def delays_ms(self) -> Sequence[float]:
        """From the commit to the listener, of every entry that came."""
        delays, before = [], 0
        for newest, at in self.told:
            delays += [(self.heard[one] - at) * 1000 for one in range(before + 1, newest + 1) if one in self.heard]
            before = max(before, newest)
        return delays


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has had."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


async def listen(client: httpx.AsyncClient, found: Found | None, ready: asyncio.Event) -> None:
    """Follow the feed; found: where the arrivals are noted."""
    async with client.stream("GET", "/api/v1/live") as answer:
        rest = b""
        async for chunk in answer.aiter_raw():
            ready.set()
            if found is None:
                continue
            now = time.perf_counter()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"id: "):
                    found.heard[int(line[4:])] = now
                    found.entries += 1


def verdicts(parts: CoreParts, first: int, count: int, phase: Phase) -> list[Verdict]:
    """Limits of so many sensors passed, or over again, now."""
    sensors = parts.city.sensors
    now_us = SystemClock().now_us()
    return [
        verdict_of(sensors[(first + number) % len(sensors)], 61.0, Severity.MAJOR, now_us, phase)
        for number in range(count)
    ]


def fill(parts: CoreParts, rate: float, seconds: float, calls: float) -> None:
    """Raise ``rate`` alarms and clear as many a second, in ``calls`` transactions a second."""
    begun, done = time.perf_counter(), 0
    for call in range(round(seconds * calls / 2)):
        time.sleep(max(0.0, begun + call * 2 / calls - time.perf_counter()))
        due = round(rate * (call + 1) * 2 / calls) - done
        for phase in (Phase.RAISED, Phase.CLEARED):
            parts.pipeline.handle(verdicts(parts, done, due, phase), SystemClock().now_us())
        done += due


async def measure(folder: Path, rate: float, seconds: float, listeners: int, calls: float) -> Found:
    """Run it once."""
    found = Found()
    async with AsyncExitStack() as house:
        parts = await house.enter_async_context(core(folder))
        await parts.page.serving()
        outbox = Outbox(parts.ledger, {"mqtt": Willing()}, SystemClock())
        parts.ledger.subscribe(lambda _: outbox.wake())
        client = await house.enter_async_context(
            httpx.AsyncClient(base_url=parts.page.url, timeout=60, limits=httpx.Limits(max_connections=None))
        )
        answer = await client.post("/api/v1/session", json={"name": ACCOUNT, "password": PASSWORD, "token": True})
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        tasks = [asyncio.create_task(outbox.run())]
        for number in range(listeners):
            ready = asyncio.Event()
            tasks.append(asyncio.create_task(listen(client, None if number else found, ready)))
            await ready.wait()
        await asyncio.to_thread(fill, parts, rate, 1.0, calls)
        await asyncio.sleep(1)
        pid = parts.page.pid
        assert pid is not None  # noqa: S101 - it serves
        before = cpu_s(pid)
        await asyncio.sleep(2)
        found.rest_s = (cpu_s(pid) - before) / 2
        parts.ledger.subscribe(lambda newest: found.told.append((newest, time.perf_counter())))
        found.entries, before, begun = 0, cpu_s(pid), time.perf_counter()
        await asyncio.to_thread(fill, parts, rate, seconds, calls)
        await asyncio.sleep(0.5)
        found.took_s = time.perf_counter() - begun
        found.cpu_s = cpu_s(pid) - before - found.rest_s * found.took_s
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50, help="alarms raised, and as many cleared, a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--listeners", type=int, default=1)
    parser.add_argument("--calls", type=float, default=100, help="transactions a second that they come in")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridwhistle-alarms-") as folder:
        found = asyncio.run(measure(Path(folder), asked.rate, asked.seconds, asked.listeners, asked.calls))
    alarms = asked.rate * asked.seconds
    p50, p99 = np.percentile(found.delays_ms(), [50, 99])
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    print(f"{alarms:.0f} alarms raised and cleared in {found.took_s:.1f} s: {found.entries} entries of the trail")
    print(f"the page's CPU: {found.cpu_s / alarms * 1000:.2f} ms per alarm, {found.rest_s * 1000:.0f} ms/s at rest")
    print(f"from the commit to the first listener: p50 {p50:.0f} ms, p99 {p99:.0f} ms")


if __name__ == "__main__":
    main()
