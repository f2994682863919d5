"""A database that stands still stops no alarm and loses no reading."""

import json
from pathlib import Path

import aiomqtt

from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock, isoformat
from config.settings import ClockSource, Influx1StoreSettings
from config.vocabulary import Category
from gridwhistle.daemon import daemon
from tests.support.daemon import eventually, flow_settings
from tests.support.servers import influxdb1, mosquitto


async def test_a_leak_is_told_while_the_database_is_down_and_its_reading_is_stored_afterwards(tmp_path: Path) -> None:
    sensor = next(sensor for sensor in load_city(EXAMPLE).sensors if sensor.quantity == "ch4")
    with mosquitto(tmp_path / "broker") as broker, influxdb1(tmp_path / "influxdb") as database:
        store = Influx1StoreSettings(type="influx1", url=f"http://127.0.0.1:{database.port}", database="flow")
        settings = flow_settings(EXAMPLE, tmp_path / "data", broker.port, clock=ClockSource.SYSTEM, store=store)
        async with daemon(settings) as running, aiomqtt.Client("127.0.0.1", broker.port) as device:
            await running.listening()

            async def send(value: float) -> None:
                reading = {"id": sensor.id, "t": isoformat(SystemClock().now_us()), "v": value}
                await device.publish(f"gridwhistle/readings/{sensor.id}", json.dumps(reading), qos=1)

            await send(1.0)
            await eventually(lambda: running.store.count() == 1, "all is well")
            database.stop()
            await send(61.0)
            await eventually(lambda: running.line.store_trouble is not None, "the trouble is known")
            await eventually(lambda: len(running.ledger.events()) == 1, "the leak is told meanwhile")
            assert [event.category for event in running.ledger.events()] == [Category.GAS_LEAK]
            await eventually(lambda: running.broker_counters["acknowledged"] == 2, "it is safe on disk")
            assert running.line.waiting == 1
            database.start()
            await eventually(lambda: running.line.waiting == 0, "the reading is stored")
            assert running.store.count() == 2
            assert running.line.store_trouble is None
