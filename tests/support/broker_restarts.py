"""A broker restarted again and again in the middle of a stream: what was acknowledged must be in the store."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.city_files import EXAMPLE, load_city
from config.settings import ClockSource, Influx1StoreSettings
from gridwhistle.daemon import Running, daemon
from sensors_sim.publish import Broker, Publisher
from sensors_sim.wire import READINGS_TOPIC, Message
from tests.support.daemon import eventually, flow_settings
from tests.support.servers import Server, influxdb1, mosquitto

RATE = 1000.0
FLOWING_S = 1.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """sent: readings that the broker acknowledged to their device. resumed_s: seconds from the broker's return."""

    sent: int
    stored: int
    late: int
    resumed_s: list[float]


class Device:
    """Publishes readings at QoS 1 in a thread of its own until told to stop, and has every one acknowledged."""

    def __init__(self, port: int) -> None:
        self._sensors = [sensor.id for sensor in load_city(EXAMPLE).sensors if sensor.quantity == "ch4"]
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failure: BaseException | None = None
        self.sent = 0

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> int:
        """Stop, wait until all is acknowledged, and say how many."""
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self.sent

    def _run(self) -> None:
        try:
            with Publisher(Broker(port=self._port)) as publisher:
                while not self._stop.wait(1 / RATE):
                    sensor = self._sensors[self.sent % len(self._sensors)]
                    reading = {"id": sensor, "t": round(time.time(), 6), "v": 1.0 + self.sent % 10 / 10}
                    publisher.publish(Message(f"{READINGS_TOPIC}/{sensor}", json.dumps(reading).encode(), 1))
                    self.sent += 1
                publisher.drain()
        except BaseException as error:  # noqa: BLE001 - handed over: finish() raises it
            self._failure = error


async def restarts(folder: Path, times: int, tell: Callable[[str], None]) -> Restarts:
    """Run a daemon and a device, and restart their broker so often."""
    with mosquitto(folder / "broker") as broker, influxdb1(folder / "influxdb") as database:
        store = Influx1StoreSettings(type="influx1", url=f"http://127.0.0.1:{database.port}", database="flow")
        settings = flow_settings(EXAMPLE, folder / "data", broker.port, clock=ClockSource.SYSTEM, store=store)
        settings = settings.model_copy(
            update={"mqtt": settings.mqtt.model_copy(update={"reconnect_min_s": 0.5, "reconnect_max_s": 3.0})}
        )
        async with daemon(settings) as running:
            await running.listening()
            device = Device(broker.port)
            device.start()
            resumed = []
            for number in range(1, times + 1):
                await asyncio.sleep(FLOWING_S)
                resumed.append(await _restart(running, broker))
                tell(f"{number:4d} readings flow again {resumed[-1]:.2f} s after the broker's return")
            sent = await asyncio.to_thread(device.finish)
            await eventually(lambda: running.store.count() >= sent, f"{sent} readings are stored")
            await running.line.drained()
            counted = running.line.counted()
            return Restarts(sent, running.store.count(), counted["late"], resumed)


async def _restart(running: Running, broker: Server) -> float:
    await asyncio.to_thread(broker.stop)
    before = running.broker_counters["received"]
    await asyncio.to_thread(broker.start)
    back = time.monotonic()
    await eventually(lambda: running.broker_counters["received"] > before, "readings flow again")
    return time.monotonic() - back
