"""A full disk under the daemon: nothing is acknowledged that is not safe, it says so, and it goes on by itself."""

import json
from pathlib import Path

import aiomqtt

from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock, isoformat
from config.settings import ClockSource, Influx1StoreSettings
from gridwhistle.daemon import daemon
from tests.support.daemon import eventually, flow_settings
from tests.support.disk import small_disk
from tests.support.servers import influxdb1, mosquitto

READINGS = 200


async def test_a_full_disk_stops_acknowledgements_is_told_and_is_got_over(tmp_path: Path) -> None:
    sensor = next(sensor for sensor in load_city(EXAMPLE).sensors if sensor.quantity == "ch4")
    with (
        small_disk(tmp_path / "disk", megabytes=16) as disk,
        mosquitto(tmp_path / "broker") as broker,
        influxdb1(tmp_path / "influxdb") as database,
    ):
        store = Influx1StoreSettings(type="influx1", url=f"http://127.0.0.1:{database.port}", database="flow")
        settings = flow_settings(EXAMPLE, disk / "data", broker.port, clock=ClockSource.SYSTEM, store=store)
        async with daemon(settings) as running, aiomqtt.Client("127.0.0.1", broker.port) as device:
            await running.listening()

            async def send(value: float) -> None:
                reading = {"id": sensor.id, "t": isoformat(SystemClock().now_us()), "v": value}
                await device.publish(f"gridwhistle/readings/{sensor.id}", json.dumps(reading), qos=1)

            await send(1.0)
            await eventually(lambda: running.store.count() == 1, "all is well")
            fill(disk / "filler")
            for number in range(READINGS):
                await send(1.0 + number / READINGS)
            await eventually(lambda: running.line.spool_trouble is not None, "the full disk is known")
            await eventually(lambda: running.broker_counters["received"] == READINGS + 1, "everything has come")
            safe = sum(len(one.admission.batch) for lane in running.line.lanes for one in lane.spool.records(0))
            assert running.broker_counters["acknowledged"] <= safe < READINGS + 1
            assert "full" in str(running.line.spool_trouble)
            (disk / "filler").unlink()
            await eventually(lambda: running.broker_counters["acknowledged"] == READINGS + 1, "all is acknowledged")
            await eventually(lambda: running.store.count() == READINGS + 1, "all is stored")
            assert running.line.spool_trouble is None


def fill(path: Path) -> None:
    """Take all room that the disk has."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
