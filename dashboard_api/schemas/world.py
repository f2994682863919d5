"""Sensors, grids, people, health, sessions and texts, as the API speaks of them."""

from typing import Any, Literal

from pydantic import Field

from config.limits import Side
from config.vocabulary import GridLevel, Kind, Language, Role, Severity
from dashboard_api.schemas.base import NAMES_EXAMPLE, PERSON_EXAMPLE, Json, Names, Person, Time, Wire, example

_SENSOR: Json = {
    "id": "gas-0042-ch4",
    "kind": "gas",
    "quantity": "ch4",
    "unit": "%LEL",
    "longitude": 116.39,
    "latitude": 39.91,
    "place": NAMES_EXAMPLE,
    "grid": "G-01-02-03-04",
    "device": "gas-0042",
    "interval_seconds": 30.0,
    "last_value": 3.1,
    "last_at": "2026-01-31T02:00:00.000Z",
    "silent": False,
    "clock_offset_seconds": 0.4,
}
_LIMIT: Json = {"side": "high", "severity": 2, "threshold": 25.0, "clear_at": 20.0, "source": "GB/T 50493-2019"}
_PROPERTIES: Json = {
    "code": "G-01-02-03-04",
    "level": "grid",
    "parent": "G-01-02-03",
    "name": {"zh": "第四网格", "en": "Grid 4"},
    "worst": 2,
    "open_events": 1,
    "responsible": PERSON_EXAMPLE,
}
_FEATURE: Json = {
    "type": "Feature",
    "id": "G-01-02-03-04",
    "geometry": {"type": "Polygon", "coordinates": [[[116.3, 39.9], [116.4, 39.9], [116.4, 40.0], [116.3, 39.9]]]},
    "properties": _PROPERTIES,
}


class SensorOut(Wire):
    """One series of one quantity with its last good reading; last_at is null where there was none yet."""

    id: str
    kind: Kind
    quantity: str
    unit: str
    longitude: float
    latitude: float
    place: Names
    grid: str
    device: str
    interval_seconds: float = Field(description="seconds expected between two readings")
    last_value: float | None
    last_at: Time | None
    silent: bool
    clock_offset_seconds: float | None = Field(
        description="how far the clock of its device is behind the daemon's; negative: ahead; null: not known"
    )

    model_config = example(**_SENSOR)


class SensorPage(Wire):
    """Sensors in a viewport. total: how many lie in it, of which at most ``limit`` are listed."""

    items: list[SensorOut]
    total: int

    model_config = example(items=[_SENSOR], total=1)


class LimitOut(Wire):
    """One step of a limit that holds for a sensor."""

    side: Side
    severity: Severity
    threshold: float
    clear_at: float
    source: str

    model_config = example(**_LIMIT)


class SensorDetail(SensorOut):
    """One sensor with whose it is, when it was calibrated and its limits."""

    owner: str
    calibrated_on: str | None
    limits: list[LimitOut]

    model_config = example(**_SENSOR, owner="Sample Gas Company", calibrated_on="2025-06-01", limits=[_LIMIT])


class SeriesOut(Wire):
    """Readings of a sensor as columns of one length; low and high are the extremes each point stands for."""

    sensor: str
    quantity: str
    unit: str
    at: list[Time]
    value: list[float]
    low: list[float]
    high: list[float]

    model_config = example(
        sensor="gas-0042-ch4",
        quantity="ch4",
        unit="%LEL",
        at=["2026-01-31T02:00:00.000Z"],
        value=[3.1],
        low=[3.1],
        high=[3.1],
    )


class GridProperties(Wire):
    """How a grid stands. worst, open_events: of the events not closed in it or below it. responsible: now."""

    code: str
    level: GridLevel
    parent: str | None
    name: Names
    worst: Severity | None
    open_events: int
    responsible: Person

    model_config = example(**_PROPERTIES)


class GridFeature(Wire):
    """A grid as a GeoJSON feature; the geometry is null where it was not asked for."""

    type: Literal["Feature"] = "Feature"
    id: str
    geometry: dict[str, Any] | None
    properties: GridProperties

    model_config = example(**_FEATURE)


class GridCollection(Wire):
    """The grid tree as a GeoJSON FeatureCollection, widest level first."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[GridFeature]

    model_config = example(type="FeatureCollection", features=[_FEATURE])


class Duty(Wire):
    """A place on the roster."""

    grid: str
    role: Role

    model_config = example(grid="G-01-02-03-04", role="worker")


class PersonOut(Wire):
    """Somebody who can be called. duties: on the roster where asked; on_duty: whether one of these is on now."""

    worker: str
    name: Names
    duties: list[Duty]
    on_duty: bool

    model_config = example(
        worker="w-017",
        name={"zh": "示例甲", "en": "Sample Worker A"},
        duties=[{"grid": "G-01-02-03-04", "role": "worker"}],
        on_duty=True,
    )


class People(Wire):
    """People whom an event can be given to, those on duty first."""

    items: list[PersonOut]

    model_config = example(
        items=[
            {
                "worker": "w-017",
                "name": {"zh": "示例甲", "en": "Sample Worker A"},
                "duties": [{"grid": "G-01-02-03-04", "role": "worker"}],
                "on_duty": True,
            }
        ]
    )


class HealthOut(Wire):
    """How the daemon does. parts: "ok" or what ails it. counters: since the start. now: the daemon's clock.

    time_zone: the city's, by its IANA name; the page shows times in it. behind_seconds: for how long readings wait
    until they are judged; 0 while the daemon keeps up. waiting: readings that are on disk and not in the store yet.
    """

    ok: bool
    now: Time
    time_zone: str
    city: Names
    city_version: str
    behind_seconds: float
    waiting: int
    parts: dict[str, str]
    counters: dict[str, int]

    model_config = example(
        ok=True,
        now="2026-01-31T02:00:20.000Z",
        time_zone="Asia/Shanghai",
        city={"zh": "示例市", "en": "Sample City"},
        city_version="4f1c",
        behind_seconds=0.0,
        waiting=1800,
        parts={"broker": "ok", "store": "ok"},
        counters={"readings_admitted": 120000},
    )


class Alive(Wire):
    """Whether the daemon does its work."""

    ok: bool

    model_config = example(ok=True)


class SignIn(Wire):
    """Name and password. token: true for a program that wants a Bearer token instead of a cookie."""

    name: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=1000)
    token: bool = False

    model_config = example(name="duty-officer", password="a long pass phrase", token=False)  # noqa: S106 - made up


class Session(Wire):
    """Who is signed in; null where nobody is. token: only where it was asked for."""

    account: str | None
    token: str | None = None

    model_config = example(account="duty-officer", token=None)


class Texts(Wire):
    """The texts of the screens in one language by key, and the language that the daemon speaks first."""

    language: Language
    first_language: Language
    texts: dict[str, str]

    model_config = example(language="en", first_language="zh", texts={"ui.title": "Command centre"})
