"""A city folder for a recording: its stations become sensors, the land around each a grid, made-up people walk them."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import yaml
from shapely import MultiPoint, Point, get_parts, set_precision, transform, union_all, voronoi_polygons
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from config import sensor_files
from config.quantities import QUANTITIES
from config.vocabulary import Category, Kind, LocalText
from sensors_sim.physics.field import METRES_PER_DEGREE
from sensors_sim.recordings import adapter_for
from sensors_sim.recordings.model import Site, Station, series_id

DEGREES = 1e-7
"""Precision of the polygons written, about a centimetre."""

ALL_WEEK = "mon-sun"
SHIFTS = (("08:00", "20:00"), ("20:00", "08:00"))

# fmt: off
_DEPARTMENTS = {
    "environment-bureau": ("生态环境局", "Environment bureau",
                           (Category.AIR_POLLUTION, Category.WEATHER, Category.NOISE)),
    "police": ("公安局", "Police", (Category.CROWD, Category.TRAFFIC, Category.INTRUSION)),
    "fire-brigade": ("消防救援大队", "Fire brigade", (Category.FIRE, Category.ELECTRICAL, Category.GAS_LEAK)),
    "water-bureau": ("水务局", "Water bureau", (Category.FLOODING, Category.WATER_SUPPLY)),
    "housing-bureau": ("住房和建设局", "Housing bureau", (Category.STRUCTURE_DANGER,)),
    "civil-affairs": ("民政局", "Civil affairs bureau", (Category.CARE,)),
}
# fmt: on


def make_city(files: Sequence[Path], out_dir: Path, adapter: str | None = None) -> Path:
    """Write a folder that ``config.city_files`` reads without error, for the stations that stand in the files.

    The grids are the stations' Voronoi cells (each place belongs to the nearest station), cut off some way around
    the outermost stations; people, departments and telephone numbers are made up. Files of an earlier call are
    overwritten. Answers the folder.

    Raises RecordingError as the adapter does, OSError where the folder cannot be written.
    """
    _, family = adapter_for(files, adapter)
    return write_city(family.site, family.read(files).stations, out_dir)


def write_city(site: Site, stations: Sequence[Station], out_dir: Path) -> Path:
    """Write the folder for stations that are known already; see ``make_city``. At least one station."""
    out_dir.mkdir(parents=True, exist_ok=True)
    codes = _write_grids(site, stations, out_dir)
    _write_yaml(out_dir / "city.yaml", {"name": _texts(site.name), "timezone": str(site.timezone)})
    _write_yaml(
        out_dir / "departments.yaml",
        {
            key: {
                "name": {"zh": zh, "en": en},
                "categories": [category.value for category in categories],
                "contact": f"000-0000-1{number:03d}",
            }
            for number, (key, (zh, en, categories)) in enumerate(_DEPARTMENTS.items(), start=1)
        },
    )
    _write_sensors(stations, out_dir)
    _write_people(site, codes, out_dir)
    return out_dir


def _texts(text: LocalText) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def cells(stations: Sequence[Station], margin_m: float) -> list[BaseGeometry]:
    """The land around each station, WGS-84: nearer to it than to any other, within ``margin_m`` of their hull."""
    lon0 = float(np.mean([station.lon for station in stations]))
    lat0 = float(np.mean([station.lat for station in stations]))
    east_m = METRES_PER_DEGREE * float(np.cos(np.radians(lat0)))
    points = [Point((station.lon - lon0) * east_m, (station.lat - lat0) * METRES_PER_DEGREE) for station in stations]
    land = MultiPoint(points).convex_hull.buffer(margin_m, quad_segs=4)
    parts = list(get_parts(voronoi_polygons(MultiPoint(points), extend_to=land))) if len(set(points)) > 1 else [land]
    found: list[BaseGeometry] = []
    for point in points:
        cell = next(part for part in parts if part.covers(point)).intersection(land)
        degrees = transform(
            cell, lambda metres: metres / np.array([east_m, METRES_PER_DEGREE]) + np.array([lon0, lat0])
        )
        found.append(set_precision(degrees, DEGREES))
    return found


def _write_grids(site: Site, stations: Sequence[Station], out_dir: Path) -> list[str]:
    """Write the grid tree; answers the codes of its grids."""
    street, community = f"{site.code}-01", f"{site.code}-01-01"
    areas: dict[LocalText, list[BaseGeometry]] = {}
    for station, cell in zip(stations, cells(stations, site.margin_m), strict=True):
        areas.setdefault(station.part or station.name, []).append(cell)
    grids = {name: union_all(parts) for name, parts in areas.items()}
    whole = union_all(list(grids.values()))
    top = LocalText(f"{site.name.zh}·街道", f"{site.name.en}, street")
    below = LocalText(f"{site.name.zh}·社区", f"{site.name.en}, community")
    features = [
        _feature(site.code, "district", None, site.name, whole),
        _feature(street, "street", site.code, top, whole),
        _feature(community, "community", street, below, whole),
    ]
    codes = [f"{community}-{number:02d}" for number in range(1, len(grids) + 1)]
    features += [
        _feature(code, "grid", community, name, area) for code, (name, area) in zip(codes, grids.items(), strict=True)
    ]
    content = {"type": "FeatureCollection", "features": features}
    (out_dir / "grids.geojson").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    return codes


def _feature(code: str, level: str, parent: str | None, name: LocalText, area: BaseGeometry) -> dict[str, object]:
    properties = {"code": code, "level": level, "parent": parent, "name_zh": name.zh, "name_en": name.en}
    return {"type": "Feature", "properties": properties, "geometry": mapping(area)}


def _write_sensors(stations: Sequence[Station], out_dir: Path) -> None:
    rows = []
    for station in stations:
        for name in station.quantities:
            quantity = QUANTITIES[name]
            owner = "police" if quantity.kind is Kind.CAMERA else "environment-bureau"
            rows.append(
                (
                    series_id(station.id, name),
                    quantity.kind.value,
                    name,
                    quantity.unit,
                    f"{station.lon:.7f}",
                    f"{station.lat:.7f}",
                    station.name.zh,
                    station.name.en,
                    f"{station.interval_s:g}",
                    owner,
                    "",
                    station.id,
                )
            )
    _write_csv(out_dir / "sensors.csv", sensor_files.TABLE.columns, rows)


def _write_people(site: Site, codes: Sequence[str], out_dir: Path) -> None:
    """Two workers a grid, two leaders, two at the centre and two menders, day and night of all the week."""
    workers: list[tuple[str, str, str, str, str]] = []
    roster: list[tuple[str, str, str, str, str, str]] = []
    posts = [(code, "worker", "网格员", "Worker") for code in codes]
    posts += [
        (f"{site.code}-01", "leader", "网格长", "Leader"),
        (site.code, "centre", "指挥中心值班员", "Centre"),
        (site.code, "maintenance", "设备维修员", "Maintenance"),
    ]
    for grid, role, zh, en in posts:
        for start, end in SHIFTS:
            number = len(workers) + 1
            worker = f"w{number:03d}"
            workers.append(
                (worker, f"样例{zh}{number:03d}", f"Sample {en} {number:03d}", f"000-0000-{number:04d}", "mqtt")
            )
            roster.append((grid, worker, role, ALL_WEEK, start, end))
    _write_csv(out_dir / "workers.csv", ("id", "name_zh", "name_en", "phone", "channels"), workers)
    _write_csv(out_dir / "roster.csv", ("grid", "worker", "role", "weekdays", "start", "end"), roster)
