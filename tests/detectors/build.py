"""Small cities and batches for the tests of this room."""

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import numpy as np

from config.city import City, Sensor
from config.limits import LimitTable, limit_table
from config.quantities import QUANTITIES
from config.vocabulary import LocalText
from detectors.engine import Engine
from detectors.model import Verdict
from ingest.model import Quality, ReadingBatch

START_US = 1_700_000_000_000_000
NOWHERE = LocalText(zh="某处", en="somewhere")


def sensor(index: int, quantity: str, interval_s: float = 60, lon: float = 116.4, lat: float = 39.9) -> Sensor:
    kept = QUANTITIES[quantity]
    name = f"{quantity}-{index}"
    return Sensor(index, name, kept.kind, quantity, kept.unit, lon, lat, NOWHERE, interval_s, "", "g", name)


def city(quantities: Sequence[str], interval_s: float = 60, limits: LimitTable | None = None) -> City:
    """One sensor per quantity named, 100 m from one another."""
    return city_of(
        [sensor(i, quantity, interval_s, 116.4 + i * 0.001) for i, quantity in enumerate(quantities)], limits
    )


def city_of(sensors: Iterable[Sensor], limits: LimitTable | None = None) -> City:
    return City(
        name=NOWHERE,
        timezone=ZoneInfo("Asia/Shanghai"),
        version="1",
        grids={},
        sensors=tuple(sensors),
        workers={},
        departments={},
        roster=(),
        limits=limits or limit_table(),
    )


def batch(rows: Iterable[tuple[int, float, float]], quality: Quality = Quality.GOOD) -> ReadingBatch:
    """Readings as (sensor, seconds after START_US, value)."""
    listed = list(rows)
    event_us = [START_US + round(second * 1e6) for _, second, _ in listed]
    return ReadingBatch.of(
        [s for s, _, _ in listed], event_us, event_us, [v for *_, v in listed], [quality] * len(listed)
    )


def feed(engine: Engine, series: Sequence[Sequence[float]], interval_s: float = 60, start: int = 0) -> list[Verdict]:
    """One batch per instant: series[i] are the values of sensor i (NaN: sends nothing then)."""
    verdicts: list[Verdict] = []
    for step, values in enumerate(zip(*series, strict=True)):
        second = (start + step) * interval_s
        rows = [(i, second, value) for i, value in enumerate(values) if not np.isnan(value)]
        verdicts += engine.process(batch(rows), START_US + round(second * 1e6))
    return verdicts
