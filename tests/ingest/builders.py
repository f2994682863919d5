"""A small city and readings for the tests of this room."""

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from shapely.geometry import Polygon

from config.city import City, Grid, Sensor
from config.limits import limit_table
from config.quantities import QUANTITIES
from config.settings import IngestSettings, PayloadFormat, Subscription
from config.vocabulary import GridLevel, LocalText
from ingest.intake import Intake
from ingest.model import Admission, Message, Messages

NOW_US = 1_700_000_000_000_000
NOW_S = NOW_US // 1_000_000
SUBSCRIPTIONS = (
    Subscription(filter="gridwhistle/readings/#", format=PayloadFormat.NATIVE),
    Subscription(filter="gridwhistle/senml/#", format=PayloadFormat.SENML),
)


def sensor(index: int, sensor_id: str, quantity: str = "ch4", *, unit: str = "", interval_s: float = 10) -> Sensor:
    measured = QUANTITIES[quantity]
    return Sensor(
        index=index,
        id=sensor_id,
        kind=measured.kind,
        quantity=quantity,
        unit=unit or measured.unit,
        lon=120.0,
        lat=30.0,
        place=LocalText("某处", "somewhere"),
        interval_s=interval_s,
        owner="made-up owner",
        grid="330100-01",
        device=f"box-{sensor_id}",
    )


def city(sensors: Sequence[Sensor]) -> City:
    square = Polygon([(119, 29), (121, 29), (121, 31), (119, 31)])
    name = LocalText("样例区", "Sample District")
    return City(
        name=LocalText("样例市", "Sample City"),
        timezone=ZoneInfo("Asia/Shanghai"),
        version="1",
        grids={"330100-01": Grid("330100-01", GridLevel.GRID, None, name, square)},
        sensors=tuple(sensors),
        workers={},
        departments={},
        roster=(),
        limits=limit_table(),
    )


def small_city() -> City:
    return city(
        [
            sensor(0, "gas-1"),
            sensor(1, "air-1", "temperature", interval_s=600),
            sensor(2, "air-2", "temperature", unit="K"),
            sensor(3, "crack-1", "crack"),
        ]
    )


def intake(**settings: float) -> Intake:
    return Intake(small_city(), IngestSettings.model_validate(settings), SUBSCRIPTIONS)


def message(
    payload: object, topic: str = "gridwhistle/readings/x", *, received_us: int = NOW_US, retained: bool = False
) -> Message:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(topic, raw, received_us, retained)


def senml(payload: object) -> Message:
    return message(payload, "gridwhistle/senml/x")


def good(sensor_id: str = "gas-1", t: Any = NOW_S, v: Any = 1.5, **more: Any) -> dict[str, Any]:
    return {"id": sensor_id, "t": t, "v": v, **more}


def admit(*messages: Message, into: Intake | None = None, now_us: int = NOW_US) -> Admission:
    chosen = into or intake()
    admission = chosen.admit(Messages.of(messages), now_us)
    counters = chosen.counters
    assert counters["readings"] == counters["admitted"] + counters["refused"]
    return admission
