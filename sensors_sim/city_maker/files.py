"""A city as the files of its folder, to the byte."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, time
from pathlib import Path

import numpy as np
import yaml
from shapely.geometry import mapping

from config.city import City, Shift
from config.city_files import CITY_FILE, CITY_FILES
from config.grid_files import FILE as GRIDS_FILE
from config.limit_files import LIMITS_FILE, LIMITS_TABLE, SEVERITIES
from config.limits import Limit
from config.people_files import DEPARTMENTS_FILE, ROSTER_FILE, ROSTER_TABLE, WEEKDAYS, WORKERS_FILE, WORKERS_TABLE
from config.sensor_files import FILE as SENSORS_FILE
from config.sensor_files import TABLE as SENSORS_TABLE
from config.vocabulary import Category, LocalText
from sensors_sim.city_maker.limits import own_limits

_AT_ONCE = 32_768

Pieces = Iterable[bytes]


def city_bytes(city: City) -> Iterator[tuple[str, Pieces]]:
    """(name, content in pieces) of each of CITY_FILES, in that order; what a city says decides every byte.

    A file that a made-up city does without has no piece.
    """
    makers = {
        CITY_FILE: _city,
        GRIDS_FILE: _grids,
        SENSORS_FILE: _sensors,
        WORKERS_FILE: _workers,
        DEPARTMENTS_FILE: _departments,
        ROSTER_FILE: _roster,
        LIMITS_FILE: _limits,
    }
    for name in CITY_FILES:
        yield name, makers[name](city) if name in makers else ()


def version_of(city: City) -> str:
    """The version that the city has once it is written to a folder, as ``config.city_files.folder_version`` gives."""
    return _version((name, list(pieces)) for name, pieces in city_bytes(city))


def _version(files: Iterable[tuple[str, Sequence[bytes]]]) -> str:
    digest = hashlib.sha256()
    for name, pieces in files:
        digest.update(f"{name}:{sum(map(len, pieces))}:".encode())
        for piece in pieces:
            digest.update(piece)
    return digest.hexdigest()[:12]


def write_city(city: City, folder: Path) -> None:
    """Write the folder's files, made if it is missing.

    Raises OSError, and ValueError, with nothing written, for a city whose folder would be another one's: this writes
    what it makes, not whatever people write.
    """
    files = [(name, list(pieces)) for name, pieces in city_bytes(city)]
    if (version := _version(files)) != city.version:
        raise ValueError(f"the city of version {city.version} would be written as {version}: it was not made up here")
    folder.mkdir(parents=True, exist_ok=True)
    for name, pieces in files:
        if pieces:
            (folder / name).write_bytes(b"".join(pieces))


def _yaml(content: object) -> bytes:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False).encode()


def _text(text: LocalText) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _city(city: City) -> Pieces:
    return [_yaml({"name": _text(city.name), "timezone": city.timezone.key})]


def _departments(city: City) -> Pieces:
    content = {
        department.id: {
            "name": _text(department.name),
            "categories": [category.value for category in Category if category in department.categories],
            "contact": department.contact,
        }
        for department in city.departments.values()
    }
    return [_yaml(content)]


def _grids(city: City) -> Pieces:
    features = []
    for grid in city.grids.values():
        properties = {
            "code": grid.code,
            "level": grid.level.value,
            "parent": grid.parent,
            "name_zh": grid.name.zh,
            "name_en": grid.name.en,
        }
        feature = {"type": "Feature", "properties": properties, "geometry": mapping(grid.polygon)}
        features.append(json.dumps(feature, ensure_ascii=False).encode())
    yield b'{"type": "FeatureCollection", "features": [\n'
    yield b",\n".join(features)
    yield b"\n]}\n"


def _table(rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _sensors(city: City) -> Pieces:
    columns = city.columns
    days = {day: date.fromordinal(day).isoformat() if day else "" for day in np.unique(columns.calibrated).tolist()}
    yield _table([SENSORS_TABLE.columns])
    for begin in range(0, len(columns), _AT_ONCE):
        rows = np.arange(begin, min(begin + _AT_ONCE, len(columns)))
        place, devices = columns.place[rows], columns.device
        names = (columns.kind, columns.quantity, columns.unit, columns.owner)
        kind, quantity, unit, owner = ([str(one.names[code]) for code in one.code[rows].tolist()] for one in names)
        box, which = np.unique(devices.code[rows], return_inverse=True)
        of_box = [devices.names[code] for code in box.tolist()]
        yield _table(
            zip(
                columns.ids[begin : begin + _AT_ONCE],
                kind,
                quantity,
                unit,
                [f"{lon:.6f}" for lon in columns.lon[rows].tolist()],
                [f"{lat:.6f}" for lat in columns.lat[rows].tolist()],
                columns.place_zh.some(place),
                columns.place_en.some(place),
                [f"{interval:g}" for interval in columns.interval_s[rows].tolist()],
                owner,
                [days[day] for day in columns.calibrated[rows].tolist()],
                [of_box[one] for one in which.tolist()],
                strict=True,
            )
        )


def _workers(city: City) -> Pieces:
    rows = [
        (worker.id, worker.name.zh, worker.name.en, worker.phone, " ".join(worker.channels))
        for worker in city.workers.values()
    ]
    return [_table([WORKERS_TABLE.columns, *rows])]


def _roster(city: City) -> Pieces:
    days: dict[frozenset[int], str] = {}

    def row(shift: Shift) -> tuple[str, ...]:
        if shift.weekdays not in days:
            days[shift.weekdays] = weekdays(shift.weekdays)
        end = "24:00" if shift.end == time(0) else shift.end.isoformat("minutes")
        start = shift.start.isoformat("minutes")
        return (shift.grid, shift.worker, shift.role.value, days[shift.weekdays], start, end)

    return [_table([ROSTER_TABLE.columns, *map(row, city.roster)])]


def weekdays(days: frozenset[int]) -> str:
    """How the roster's file says it.

    >>> weekdays(frozenset({0, 1, 2, 5}))
    'mon-wed,sat'
    """
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(WEEKDAYS[run[0]] + (f"-{WEEKDAYS[run[-1]]}" if len(run) > 1 else "") for run in runs)


def _limits(city: City) -> Pieces:
    severities = {severity: name for name, severity in SEVERITIES.items()}

    def row(sensor: str, limit: Limit) -> tuple[str, ...]:
        numbers = (f"{limit.threshold:g}", f"{limit.clear_at:g}", f"{limit.hold_s:g}")
        return (sensor, limit.quantity, limit.side.value, severities[limit.severity], *numbers, limit.source)

    rows = [row("", limit) for limit in own_limits(city.limits)]
    in_order = sorted(city.limits.by_sensor, key=city.sensor_index.__getitem__)
    rows += [row(sensor, limit) for sensor in in_order for limit in city.limits.by_sensor[sensor]]
    return [_table([LIMITS_TABLE.columns, *rows])]
