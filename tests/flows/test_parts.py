"""A city in two parts: each by its own process, one ledger, one page; one killed, the other goes on."""

import asyncio
import json
import os
import signal
from pathlib import Path

import aiomqtt
import httpx

from config.city import Sensor
from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock, isoformat
from tests.support.daemon import DaemonProcess, eventually
from tests.support.servers import mosquitto


def configuration(folder: Path, port: int) -> Path:
    parts = "".join(
        f'[[parts]]\nname = "{name}"\nnodes = ["{node}"]\n'
        f'subscriptions = [{{filter = "{name}/#", format = "native"}}]\n'
        for name, node in (("east", "YR-RQ"), ("west", "YR-WC"))
    )
    path = folder / "gridwhistle.toml"
    path.write_text(
        f'city = "{EXAMPLE}"\ndata_dir = "{folder / "data"}"\nlanguage = "en"\n{parts}'
        f"[mqtt]\nport = {port}\nreconnect_min_s = 0.05\nreconnect_max_s = 0.5\n[dashboard]\nport = 0\n"
    )
    return path


def pid_of(name: str, parent: int) -> int:
    """The process of a part, by the lock on its spool: the one that has its folder open."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in map(int, children):
        files = {str(entry.readlink()) for entry in Path(f"/proc/{child}/fd").iterdir() if entry.is_symlink()}
        if any(f"/parts/{name}/" in file for file in files):
            return child
    raise AssertionError(f"no process has the folder of {name} open")


async def test_each_part_files_into_one_ledger_and_comes_back_after_a_kill(tmp_path: Path) -> None:
    city = load_city(EXAMPLE)

    def methane(street: str) -> list[Sensor]:
        return [sensor for sensor in city.sensors if sensor.quantity == "ch4" and sensor.grid.startswith(street)]

    east, west = methane("YR-RQ"), methane("YR-WC")
    with mosquitto(tmp_path / "broker") as broker:
        daemon = DaemonProcess(configuration(tmp_path, broker.port), tmp_path)
        try:
            await asyncio.to_thread(daemon.start)
            assert daemon.process is not None
            async with aiomqtt.Client("127.0.0.1", broker.port) as device, httpx.AsyncClient() as reader:
                reader.base_url = httpx.URL(daemon.url)
                answer = await reader.post(
                    "/api/v1/session",
                    json={"name": "admin", "password": daemon.password},
                    headers={"Origin": daemon.url},
                )
                assert answer.status_code < 300

                async def leak(part: str, sensor: Sensor) -> None:
                    reading = {"id": sensor.id, "t": isoformat(SystemClock().now_us()), "v": 61.0}
                    await device.publish(f"{part}/{sensor.id}", json.dumps(reading), qos=1)

                async def alarms(*sensors: Sensor) -> None:
                    """Wait until exactly these have an alarm."""
                    found: set[str] = set()
                    async with asyncio.timeout(60):
                        while len(found) < len(sensors):
                            listed = (await reader.get("/api/v1/alarms")).json()
                            found = {alarm["sensor"] for alarm in listed["items"]}
                            await asyncio.sleep(0.05)
                    assert found == {sensor.id for sensor in sensors}

                await eventually(lambda: httpx.get(f"{daemon.url}/healthz").status_code == 200, "both parts are well")
                await leak("east", east[0])
                await leak("west", west[0])
                await alarms(east[0], west[0])
                os.kill(pid_of("west", daemon.process.pid), signal.SIGKILL)
                await leak("east", east[1])
                await alarms(east[0], west[0], east[1])
                await leak("west", west[1])  # nobody is there to hear it: the broker keeps it
                await alarms(east[0], west[0], east[1], west[1])
                await eventually(lambda: httpx.get(f"{daemon.url}/healthz").status_code == 200, "west is well again")
                span = {"from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
                kept: list[float] = []
                async with asyncio.timeout(60):
                    while not kept:  # the store follows at its own pace
                        answer = await reader.get(f"/api/v1/sensors/{west[1].id}/readings", params=span)
                        kept = answer.json()["value"]
                        await asyncio.sleep(0.05)
                assert kept == [61.0]
        finally:
            await asyncio.to_thread(daemon.stop)
