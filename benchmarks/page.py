"""From a device's publish to the page: how long until a person at the command centre can see it.

    .venv/bin/python -m benchmarks.page [--events 40]

A real Mosquitto, the daemon with its embedded store as a process of its own, two pages in a headless Chromium. Times
are from the publish to the item in the first page's feed, and from the click on "accept" there to the second page.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import aiomqtt
import httpx
import numpy as np

from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock, isoformat
from tests.support.browser import Centre, chromium, command_centre
from tests.support.daemon import DaemonProcess, eventually
from tests.support.servers import mosquitto


async def measure(folder: Path, events: int) -> tuple[list[float], list[float]]:
    """Milliseconds from publish to feed, and from click to the other page."""
    sensors = [sensor for sensor in load_city(EXAMPLE).sensors if sensor.quantity == "ch4"][:events]
    seen: list[float] = []
    accepted: list[float] = []
    with mosquitto(folder / "broker") as broker:
        config = folder / "gridwhistle.toml"
        config.write_text(
            f'city = "{EXAMPLE}"\ndata_dir = "{folder / "data"}"\nlanguage = "en"\n[mqtt]\nport = {broker.port}\n'
            "[dashboard]\nport = 0\n"
        )
        daemon = DaemonProcess(config, folder)
        await asyncio.to_thread(daemon.start)
        try:
            await eventually(lambda: httpx.get(f"{daemon.url}/healthz").status_code == 200, "the daemon listens")
            async with (
                chromium() as browser,
                command_centre(browser, daemon.url) as first,
                command_centre(browser, daemon.url) as second,
                aiomqtt.Client("127.0.0.1", broker.port) as device,
            ):
                await asyncio.gather(*(page.sign_in("admin", daemon.password) for page in (first, second)))
                for sensor in sensors:
                    reading = {"id": sensor.id, "t": isoformat(SystemClock().now_us()), "v": 61.0}
                    shown = await shown_ids(first)
                    begun = time.perf_counter()
                    await device.publish(f"gridwhistle/readings/{sensor.id}", json.dumps(reading), qos=1)
                    event_id = await first_new(first, shown)
                    if event_id is None:
                        continue  # it joined an event that is shown already
                    seen.append((time.perf_counter() - begun) * 1000)
                    await second.wait_for_event(event_id)
                    await first.open_event(event_id)
                    begun = time.perf_counter()
                    await first.page.click(".actions button.main")
                    await second.wait_for_accepted(event_id)
                    accepted.append((time.perf_counter() - begun) * 1000)
        finally:
            await asyncio.to_thread(daemon.stop)
    return seen, accepted


async def shown_ids(centre: Centre) -> set[int]:
    """Ids of the events in the feed."""
    found = await centre.page.evaluate("[...document.querySelectorAll('.item[data-event]')].map(e => e.dataset.event)")
    return {int(one) for one in found}


async def first_new(centre: Centre, shown: set[int], patience_s: float = 3.0) -> int | None:
    """Id of the first event that was not shown before; None where none appears."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        fresh = await shown_ids(centre) - shown
        if fresh:
            return min(fresh)
        await asyncio.sleep(0.002)
    return None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40, help="leaks to publish")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridwhistle-page-") as folder:
        seen, accepted = asyncio.run(measure(Path(folder), asked.events))
    print(
        f"{os.uname().machine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}"
    )
    print(f"{'':40} {'p50 ms':>8} {'p99 ms':>8} {'worst ms':>9} {'of':>4}")
    for name, values in (("publish > item in the feed", seen), ("accept > the other page", accepted)):
        p50, p99 = np.percentile(values, [50, 99])
        print(f"{name:40} {p50:8.0f} {p99:8.0f} {max(values):9.0f} {len(values):4}")


if __name__ == "__main__":
    main()
