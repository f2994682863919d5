"""What admitting costs: CPU per reading by the shape of the batch and the number of sensors, beside plain ``json``.

``python -m benchmarks.intake [--sensors 1000,50000,500000] [--batches 20] [--repeats 3]``

CPU time of this process (decode, every rule, memory; no network, no disk), the least of several repeats. Every batch is
new: random sensors, event times that advance, topics and payloads that nobody has looked at before.
"""

import argparse
import gc
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from shapely.geometry import Polygon

from config.city import City, Grid
from config.limits import limit_table
from config.quantities import QUANTITIES
from config.sensors import SensorColumns, TextTable, labels
from config.settings import IngestSettings, MqttSettings
from config.vocabulary import GridLevel, LocalText
from ingest.intake import Intake
from ingest.model import Messages

BEGIN_US = 1_700_000_000_000_000
BATCH_US = 100_000
UNITS = {"ch4": "%LEL", "temperature": "Cel", "humidity": "%RH", "pm25": "µg/m³"}
PER_DEVICE = len(UNITS)


@dataclass(frozen=True)
class Shape:
    """One shape of a batch. packs: messages in it; size: readings in each (1: a bare object)."""

    name: str
    packs: int
    size: int
    unit: bool = False
    senml: bool = False
    one_sensor: bool = False  # all readings of a pack are of one sensor

    @property
    def readings(self) -> int:
        """Readings in a batch."""
        return self.packs * self.size


SHAPES = (
    Shape("5,000 singles", 5000, 1),
    Shape("5,000 singles with unit", 5000, 1, unit=True),
    Shape("200 singles", 200, 1),
    Shape("50 packs of 100", 50, 100),
    Shape("50 packs of 100 with unit", 50, 100, unit=True),
    Shape("50 packs of 100, one sensor each", 50, 100, one_sensor=True),
    Shape("50 SenML packs of 100", 50, 100, senml=True),
)


def made_up_city(sensors: int) -> City:
    """Boxes with four sensors each."""
    square = Polygon([(119, 29), (121, 29), (121, 31), (119, 31)])
    names = [QUANTITIES[name] for name in UNITS]
    rows = range(sensors)
    quantity = [names[row % PER_DEVICE] for row in rows]
    columns = SensorColumns(
        ids=tuple(f"box-{row // PER_DEVICE:06d}-{quantity[row].name}" for row in rows),
        kind=labels([one.kind for one in quantity]),
        quantity=labels([one.name for one in quantity]),
        unit=labels([one.unit for one in quantity]),
        lon=np.full(sensors, 120.0),
        lat=np.full(sensors, 30.0),
        place=np.zeros(sensors, np.int32),
        place_zh=TextTable(["某处"]),
        place_en=TextTable(["somewhere"]),
        interval_s=np.full(sensors, 10.0),
        owner=labels(["made-up owner"] * sensors),
        grid=labels(["330100-01"] * sensors),
        device=labels([f"box-{row // PER_DEVICE:06d}" for row in rows]),
        calibrated=np.zeros(sensors, np.int32),
    )
    name = LocalText("样例区", "Sample District")
    return City(
        name=LocalText("样例市", "Sample City"),
        timezone=ZoneInfo("Asia/Shanghai"),
        version="1",
        grids={"330100-01": Grid("330100-01", GridLevel.GRID, None, name, square)},
        sensors=columns,
        workers={},
        departments={},
        roster=(),
        limits=limit_table(),
    )


def batches(city: City, shape: Shape, count: int, first: int, seed: int) -> Iterator[tuple[Messages, int]]:
    """Batches of a stream, and the time at which each is admitted."""
    chance = random.Random(seed)  # noqa: S311  # a made-up stream
    for number in range(first, first + count):
        now_us = BEGIN_US + (number + 1) * BATCH_US
        topics, payloads = [], []
        for _ in range(shape.packs):
            row = chance.randrange(len(city.sensors))
            chosen = [row if shape.one_sensor else chance.randrange(len(city.sensors)) for _ in range(shape.size)]
            times = sorted(now_us - age for age in chance.sample(range(1000, BATCH_US), len(chosen)))
            room = "senml" if shape.senml else "readings"
            topics.append(f"gridwhistle/{room}/{city.columns.ids[chosen[0]].rpartition('-')[0]}")
            payloads.append(_payload(city, shape, chosen, times, chance))
        received = np.full(len(topics), now_us - 500, np.int64)
        no = np.zeros(len(topics), np.bool_)
        yield Messages(topics, payloads, received, no, no), now_us


def everybody(city: City) -> Iterator[tuple[Messages, int]]:
    """One reading of every sensor, before the stream that is measured."""
    now_us = BEGIN_US - BATCH_US
    no = np.zeros(1, np.bool_)
    for begin in range(0, len(city.sensors), 10_000):
        items = [{"id": one, "t": now_us / 1e6, "v": 1} for one in city.columns.ids[begin : begin + 10_000]]
        received = np.full(1, now_us + 1000, np.int64)
        yield Messages(["gridwhistle/readings/all"], [json.dumps(items).encode()], received, no, no), now_us


def _payload(city: City, shape: Shape, chosen: list[int], times: list[int], chance: random.Random) -> bytes:
    items = []
    for row, time_us in zip(chosen, times, strict=True):
        value, name = round(chance.uniform(0, 50), 2), city.columns.ids[row]
        if shape.senml:
            items.append({"n": name, "t": time_us / 1e6, "v": value})
        else:
            item: dict[str, object] = {"id": name, "t": time_us / 1e6, "v": value}
            items.append(item | {"u": UNITS[city.columns.quantity[row]]} if shape.unit else item)
    made: object = items if shape.size > 1 or shape.senml else items[0]
    return json.dumps(made, separators=(",", ":"), ensure_ascii=False).encode()


def plain(city: City) -> Callable[[Messages, int], int]:
    """What a script would do: ``json``, a dict of sensors, range, age and repeats; answers how many it kept."""
    index = city.sensor_index
    last: dict[int, tuple[int, float]] = {}
    low, high = [], []
    for name in UNITS:
        low.append(QUANTITIES[name].low)
        high.append(QUANTITIES[name].high)

    def admit(messages: Messages, now_us: int) -> int:
        kept = []
        for payload in messages.payloads:
            given = json.loads(payload)
            for item in given if isinstance(given, list) else [given]:
                row = index.get(item["id"] if "id" in item else item["n"])
                if row is None:
                    continue
                event_us, value = round(item["t"] * 1e6), float(item["v"])
                if not low[row % PER_DEVICE] <= value <= high[row % PER_DEVICE] or event_us > now_us + 120_000_000:
                    continue
                if last.get(row) == (event_us, value):
                    continue
                last[row] = (event_us, value)
                kept.append((row, event_us, value))
        return len(kept)

    return admit


def cost_us(admit: Callable[[Messages, int], object], made: list[tuple[Messages, int]], readings: int) -> float:
    """CPU microseconds per reading."""
    start = time.process_time()
    for messages, now_us in made:
        admit(messages, now_us)
    return (time.process_time() - start) / (len(made) * readings) * 1e6


def measure(city: City, shape: Shape, count: int, repeats: int) -> tuple[float, float]:
    """Microseconds per reading of the intake and of the plain way. Raises ValueError where the intake refused any."""
    intake, peer = Intake(city, IngestSettings(), MqttSettings().subscriptions), plain(city)
    ours, theirs = [], []
    gc.collect()
    gc.freeze()  # as the daemon does with its city
    for messages, now_us in everybody(city):  # a stream that has been running for a while
        intake.admit(messages, now_us)
        peer(messages, now_us)
    for number in range(repeats):
        made = list(batches(city, shape, count, number * count, number))
        ours.append(cost_us(intake.admit, made, shape.readings))
        theirs.append(cost_us(peer, made[: max(1, count // 4)], shape.readings))
    gc.unfreeze()
    if intake.counters["refused"]:
        raise ValueError(f"{shape.name}: {intake.counters['refused']} readings were refused: {dict(intake.counters)}")
    return min(ours), min(theirs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sensors", default="1000,50000,500000", help="numbers of configured sensors")
    parser.add_argument("--batches", type=int, default=20, help="batches of a repeat")
    parser.add_argument("--repeats", type=int, default=3, help="repeats, of which the least counts")
    parser.add_argument("--only", default="", help="shapes whose name holds this")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; microseconds of CPU per reading")
    print(f"{'sensors':>8}  {'batch':34} {'intake':>7} {'json':>7}")
    for sensors in map(int, given.sensors.split(",")):
        city = made_up_city(sensors)
        for shape in SHAPES:
            if given.only in shape.name:
                ours, theirs = measure(city, shape, given.batches, given.repeats)
                print(f"{sensors:>8,}  {shape.name:34} {ours:7.2f} {theirs:7.2f}", flush=True)


if __name__ == "__main__":
    main()
