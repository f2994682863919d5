"""A square city of many sensors, and what its sensors show on an ordinary day.

Three tenths of them methane, three of temperature, two of humidity, two of fine dust, over a hundred grids with a
worker each. The last ``urgent`` sensors are methane and speak on the urgent topics.
"""

import json
from dataclasses import dataclass
from pathlib import Path

WEST, SOUTH, SIZE = 113.0, 30.0, 0.3  # degrees: about 29 by 33 km
GRIDS = 10  # along each side


@dataclass(frozen=True, slots=True)
class Kind:
    """What some sensors measure. level: where the first of them stands; apart: how far the others may stand from it.

    spread: standard deviation of a sensor around its own level.
    """

    name: str
    kind: str
    unit: str
    level: float
    apart: float
    spread: float


_CH4 = Kind("ch4", "gas", "%LEL", 2.0, 3.0, 0.3)
_TEMPERATURE = Kind("temperature", "environment", "°C", 18.0, 0.5, 0.1)
_HUMIDITY = Kind("humidity", "environment", "%", 55.0, 2.0, 0.4)
_PM25 = Kind("pm25", "environment", "µg/m³", 40.0, 5.0, 1.0)
_CYCLE = (_CH4, _CH4, _CH4, _TEMPERATURE, _TEMPERATURE, _TEMPERATURE, _HUMIDITY, _HUMIDITY, _PM25, _PM25)
URGENT_FROM = 900_000
"""Sensors with this number or a higher one are methane, on the urgent topics."""


def sensor_id(sensor: int) -> str:
    """The id of a sensor by its number (0 to 999,999)."""
    return f"S{sensor:06d}"


def quantity_of(sensor: int) -> Kind:
    """What a sensor measures."""
    return _CH4 if sensor >= URGENT_FROM else _CYCLE[sensor % len(_CYCLE)]


def level(sensor: int) -> float:
    """Where a sensor stands on an ordinary day: its quantity's level and a part of ``apart``, the same every time."""
    kind = quantity_of(sensor)
    return kind.level + kind.apart * (sensor * 2_654_435_761 % 2**32 / 2**32)


def write_city(folder: Path, sensors: int, *, urgent: int = 0, interval_s: float = 10.0) -> None:
    """Write the city's files into a new folder."""
    folder.mkdir(parents=True)
    (folder / "city.yaml").write_text("name: {zh: 测量城, en: Benchmark city}\ntimezone: Asia/Shanghai\n")
    (folder / "grids.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": _nodes()}))
    numbers = [*range(sensors), *range(URGENT_FROM, URGENT_FROM + urgent)]
    head = "id,kind,quantity,unit,lon,lat,place_zh,place_en,interval_s,owner,calibrated_on,device\n"
    side = int(len(numbers) ** 0.5) + 1
    lines = [_line(number, place, side, interval_s) for place, number in enumerate(numbers)]
    (folder / "sensors.csv").write_text(head + "".join(lines))
    _write_people(folder)


def _line(sensor: int, place: int, side: int, interval_s: float) -> str:
    kind, name = quantity_of(sensor), sensor_id(sensor)
    lon = WEST + SIZE * (0.005 + 0.99 * (place % side) / side)
    lat = SOUTH + SIZE * (0.005 + 0.99 * (place // side) / side)
    where = f"{lon:.6f},{lat:.6f},地点{place},Place {place}"
    return f"{name},{kind.kind},{kind.name},{kind.unit},{where},{interval_s:g},D1,2026-01-01,\n"


def _grid(column: int, row: int) -> str:
    return f"G{column}{row}"


def _node(code: str, level: str, parent: str | None, corner: tuple[float, float], size: float) -> dict[str, object]:
    west, south = corner
    east, north = round(west + size, 6), round(south + size, 6)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    names = {"name_zh": f"网格 {code}", "name_en": f"Grid {code}"}
    return {
        "type": "Feature",
        "properties": {"code": code, "level": level, "parent": parent, **names},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def _nodes() -> list[dict[str, object]]:
    whole = (WEST, SOUTH)
    above = [("D", "district", None), ("ST", "street", "D"), ("C", "community", "ST")]
    nodes = [_node(code, level, parent, whole, SIZE) for code, level, parent in above]
    part = SIZE / GRIDS
    for column in range(GRIDS):
        for row in range(GRIDS):
            corner = (round(WEST + column * part, 6), round(SOUTH + row * part, 6))
            nodes.append(_node(_grid(column, row), "grid", "C", corner, part))
    return nodes


def _write_people(folder: Path) -> None:
    codes = [_grid(column, row) for column in range(GRIDS) for row in range(GRIDS)]
    workers = [f"W-{code},测{code},Test {code},000-0000-0001,mqtt" for code in codes]
    workers.append("M1,测修,Test Repair,000-0000-0002,mqtt")
    (folder / "workers.csv").write_text("id,name_zh,name_en,phone,channels\n" + "\n".join(workers) + "\n")
    (folder / "departments.yaml").write_text(
        "D1:\n  name: {zh: 燃气公司, en: Gas company}\n  categories: [gas_leak]\n  contact: 000-0000-0003\n"
    )
    halves = ("00:00,12:00", "12:00,00:00")
    shifts = [f"{code},W-{code},worker,mon-sun,{half}" for code in codes for half in halves]
    shifts += [f"{code},M1,maintenance,mon-sun,{half}" for code in codes for half in halves]
    (folder / "roster.csv").write_text("grid,worker,role,weekdays,start,end\n" + "\n".join(shifts) + "\n")
