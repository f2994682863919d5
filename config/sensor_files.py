"""``sensors.csv`` and ``limits.csv``: what measures where, and at which values somebody must come.

Hundreds of thousands of sensors are usual: texts that repeat are kept once, and places are looked up in bulk.
"""

import gc
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np

from config.city import Grid, Sensor
from config.geometry import PointFinder, off_globe
from config.limits import DEFAULT_LIMITS, Limit, LimitTable, Side, limit_table
from config.problems import FileProblems, join
from config.quantities import QUANTITIES
from config.tables import Row, Table, bad_id, read_bytes
from config.vocabulary import Kind, LocalText, Severity

FILE = "sensors.csv"
TABLE = Table(
    columns=(
        "id",
        "kind",
        "quantity",
        "unit",
        "lon",
        "lat",
        "place_zh",
        "place_en",
        "interval_s",
        "owner",
        "calibrated_on",
        "device",
    ),
    optional=frozenset({"unit", "calibrated_on", "device"}),
)

LIMITS_FILE = "limits.csv"
LIMITS_TABLE = Table(
    columns=("sensor", "quantity", "side", "severity", "threshold", "clear_at", "hold_s", "source"),
    optional=frozenset({"sensor"}),
)


@dataclass(frozen=True, slots=True)
class SensorRows:
    """What could be read. lines: the line of every id, also of those left out; None where a part is unreadable."""

    sensors: tuple[Sensor, ...] = ()
    lines: Mapping[str, int] | None = None


_CHUNK = 16_384  # lines read and placed at once: bounds what waits in memory

SEVERITIES: Mapping[str, Severity] = {severity.name.lower(): severity for severity in Severity}
"""How a severity is written in files."""


def number(text: str) -> float | None:
    """A finite number as people write it, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


@dataclass(slots=True)
class _Draft:
    """A line that is right so far, waiting for its grid."""

    id: str
    measures: "_Measures"
    place: LocalText
    interval_s: float
    device: str
    calibrated_on: date | None


@dataclass(frozen=True, slots=True)
class _Measures:
    """What many sensors share: checked once."""

    kind: Kind
    quantity: str
    unit: str
    owner: str


@dataclass(slots=True)
class _Reader:
    """Reads the lines. The mappings remember what has been read and checked already."""

    problems: FileProblems
    owners: frozenset[str] | None
    owners_file: str
    today: date | None
    seen: dict[str, int] = field(default_factory=dict)
    measures: dict[tuple[str, str, str, str], "_Measures | None"] = field(default_factory=dict)
    intervals: dict[str, float] = field(default_factory=dict)
    dates: dict[str, date] = field(default_factory=dict)
    places: dict[tuple[str, str], LocalText] = field(default_factory=dict)

    def read(self, line: int, cells: list[str]) -> tuple[_Draft | None, float, float]:
        """(the sensor or None where anything is wrong with it, longitude, latitude; NaN where there is none)."""
        id_, kind, quantity, unit, lon, lat, zh, en, interval, owner, calibrated, device = cells
        right = self._check_id(line, id_)
        measures = self.measures.get((kind, quantity, unit, owner))
        if measures is None:
            measures = self._measures(line, kind, quantity, unit, owner)
        interval_s = self.intervals.get(interval) or self._interval(line, interval)
        calibrated_on = None
        if calibrated:
            calibrated_on = self.dates.get(calibrated) or self._date(line, calibrated)
            right = right and calibrated_on is not None
        place_ = self.places.get((zh, en)) or self._place(line, zh, en)
        if device and bad_id(device):
            self.problems.error("bad_id", row=line, field="device", found=device)
            right = False
        x, y = self._position(line, lon, lat)
        if not right or measures is None or interval_s is None or place_ is None or x != x:  # noqa: PLR0124 - NaN
            return None, x, y
        return _Draft(id_, measures, place_, interval_s, device or id_, calibrated_on), x, y

    def _check_id(self, line: int, id_: str) -> bool:
        if not id_:
            self.problems.error("missing_value", row=line, field="id")
            return False
        if bad_id(id_):
            self.problems.error("bad_id", row=line, field="id", found=id_)
            return False
        first = self.seen.setdefault(id_, line)
        if first != line:
            self.problems.error("duplicate_id", row=line, field="id", found=id_, first=first)
        return first == line

    def _measures(self, line: int, kind: str, name: str, unit: str, owner: str) -> _Measures | None:
        problems, before = self.problems, True
        quantity = QUANTITIES.get(name)
        if quantity is None:
            self._unknown(line, "quantity", name, join(QUANTITIES))
            before = False
        elif quantity.factor(unit or None) is None:
            choices = join([quantity.unit, *quantity.conversions])
            problems.error("unknown_unit", row=line, field="unit", found=unit, choices=choices, quantity=name)
            before = False
        if kind not in set(Kind):
            self._unknown(line, "kind", kind, join(Kind))
            before = False
        elif quantity is not None and quantity.kind is not Kind(kind):
            problems.error("kind_mismatch", row=line, field="kind", found=kind, quantity=name, kind=quantity.kind)
            before = False
        if not owner or (self.owners is not None and owner not in self.owners):
            code = "unknown_reference" if owner else "missing_value"
            problems.error(code, row=line, field="owner", found=owner, target=self.owners_file)
            before = False
        if not before or quantity is None:
            return None
        # unit: what the device sends where its payload names none; conversion is the intake's
        measures = _Measures(Kind(kind), quantity.name, unit or quantity.unit, owner)
        return self.measures.setdefault((kind, name, unit, owner), measures)

    def _unknown(self, line: int, column: str, found: str, choices: str) -> None:
        code = "unknown_choice" if found else "missing_value"
        self.problems.error(code, row=line, field=column, found=found, choices=choices)

    def _interval(self, line: int, text: str) -> float | None:
        value = number(text)
        if value is None or value <= 0:
            code = "not_a_number" if value is None else "not_positive"
            self.problems.error(code if text else "missing_value", row=line, field="interval_s", found=text)
            return None
        return self.intervals.setdefault(text, value)

    def _date(self, line: int, text: str) -> date | None:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            self.problems.error("bad_date", row=line, field="calibrated_on", found=text)
            return None
        if self.today is not None and day > self.today:
            self.problems.error("future_date", row=line, field="calibrated_on", found=text, today=self.today)
            return None
        return self.dates.setdefault(text, day)

    def _place(self, line: int, zh: str, en: str) -> LocalText | None:
        for column, text in (("place_zh", zh), ("place_en", en)):
            if not text:
                self.problems.error("missing_translation", row=line, field=column)
        return self.places.setdefault((zh, en), LocalText(zh=zh, en=en)) if zh and en else None

    def _position(self, line: int, lon: str, lat: str) -> tuple[float, float]:
        x, y = number(lon), number(lat)
        if x is not None and y is not None and -180 <= x <= 180 and -90 <= y <= 90:
            return x, y
        for column, text, value in (("lon", lon, x), ("lat", lat, y)):
            if value is None:
                self.problems.error("not_a_number" if text else "missing_value", row=line, field=column, found=text)
        if x is not None and y is not None:
            code = "outside_world" if off_globe(y, x) else "swapped_coordinates"
            self.problems.error(code, row=line, field="lon", found=f"{lon}, {lat}")
        return math.nan, math.nan


def read_sensors(
    folder: Path,
    problems: FileProblems,
    *,
    grids: Mapping[str, Grid],
    owners: frozenset[str] | None,
    owners_file: str,
    today: date | None,
) -> SensorRows:
    """Read the sensors and place each in the finest grid that holds it; a line with a mistake is left out.

    owners: the ids that may own a sensor, from the file ``owners_file``; None where they are not known.
    grids: those that could be read; no sensor is said to be outside where there are none.
    """
    data = read_bytes(folder / FILE, problems)
    if data is None:
        return SensorRows()
    reader = _Reader(problems, owners, owners_file, today)
    places = _Places(grids)
    sensors: list[Sensor] = []
    lines = TABLE.cells(data, problems)
    with _no_collections():
        while chunk := [(line, *reader.read(line, cells)) for line, cells in islice(lines, _CHUNK)]:
            _add_sensors(chunk, places, sensors, problems)
    return SensorRows(tuple(sensors), None if problems.incomplete else reader.seen)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Nothing made meanwhile refers back to itself, yet every collection would walk all of it: a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Places:
    """The grids as shapes, finest first."""

    def __init__(self, grids: Mapping[str, Grid]) -> None:
        finest_first = sorted(grids.values(), key=lambda grid: (-grid.level.rank, grid.code))
        self.codes = [grid.code for grid in finest_first]
        self.finder = PointFinder([grid.polygon for grid in finest_first])


def _add_sensors(
    chunk: list[tuple[int, _Draft | None, float, float]],
    places: _Places,
    sensors: list[Sensor],
    problems: FileProblems,
) -> None:
    lon, lat = np.array([x for _, _, x, _ in chunk]), np.array([y for _, _, _, y in chunk])
    placed = places.finder.find(lon, lat).tolist()
    swapped = places.finder.find(lat, lon).tolist() if -1 in placed else placed
    for (line, draft, x, y), index, other in zip(chunk, placed, swapped, strict=True):
        if index < 0:
            if places.codes and x == x:  # noqa: PLR0124 - not NaN: the line has a place, and it is no grid's
                code = "swapped_coordinates" if other >= 0 else "outside_grids"
                problems.error(code, row=line, field="lon", found=f"{x:g}, {y:g}")
        elif draft is not None:
            shared = draft.measures
            sensors.append(
                Sensor(
                    len(sensors), draft.id, shared.kind, shared.quantity, shared.unit, x, y, draft.place,
                    draft.interval_s, shared.owner, places.codes[index], draft.device, draft.calibrated_on,
                )
            )  # fmt: skip


def read_limits(folder: Path, sensors: SensorRows, problems: FileProblems) -> LimitTable:
    """The limits of the city: the defaults, but for each quantity or sensor in the file its own steps instead."""
    path = folder / LIMITS_FILE
    if not path.exists():
        return limit_table()
    data = read_bytes(path, problems)
    rows = list(LIMITS_TABLE.rows(data, problems)) if data is not None else []
    wanted = {row["sensor"] for row in rows}
    measured = {sensor.id: sensor.quantity for sensor in sensors.sensors if sensor.id in wanted}
    by_quantity: dict[str, list[Limit]] = {}
    by_sensor: dict[str, list[Limit]] = {}
    seen: dict[tuple[str, str, Side, Severity], int] = {}
    for row in rows:
        limit, sensor = _read_limit(row, problems), row["sensor"]
        if (sensor and not _fits(row, sensors, measured, problems)) or limit is None:
            continue
        first = seen.setdefault((sensor, limit.quantity, limit.side, limit.severity), row.line)
        if first != row.line:
            found = f"{sensor or limit.quantity} {limit.side} {limit.severity.name.lower()}"
            problems.error("duplicate_id", row=row.line, field="severity", found=found, first=first)
        elif sensor:
            by_sensor.setdefault(sensor, []).append(limit)
        else:
            by_quantity.setdefault(limit.quantity, []).append(limit)
    kept = [limit for limit in DEFAULT_LIMITS if limit.quantity not in by_quantity]
    return limit_table([*kept, *(limit for steps in by_quantity.values() for limit in steps)], by_sensor)


def _fits(row: Row, sensors: SensorRows, measured: Mapping[str, str], problems: FileProblems) -> bool:
    sensor, quantity = row["sensor"], row["quantity"]
    if sensors.lines is not None and sensor not in sensors.lines:
        problems.error("unknown_reference", row=row.line, field="sensor", found=sensor, target=FILE)
        return False
    actual = measured.get(sensor, quantity)  # a sensor left out for a mistake has its word already
    if quantity in QUANTITIES and actual != quantity:
        problems.error("limit_quantity", row=row.line, field="quantity", found=quantity, sensor=sensor, quantity=actual)
        return False
    return True


def _read_limit(row: Row, problems: FileProblems) -> Limit | None:
    quantity = QUANTITIES.get(row["quantity"])
    choices: Mapping[str, list[str]] = {
        "quantity": list(QUANTITIES),
        "side": [side.value for side in Side],
        "severity": list(SEVERITIES),
    }
    wrong = False
    for column, allowed in choices.items():
        if row[column] not in allowed:
            code = "unknown_choice" if row[column] else "missing_value"
            problems.error(code, row=row.line, field=column, found=row[column], choices=join(allowed))
            wrong = True
    numbers = {column: number(row[column]) for column in ("threshold", "clear_at", "hold_s")}
    for column, value in numbers.items():
        if value is None:
            code = "not_a_number" if row[column] else "missing_value"
            problems.error(code, row=row.line, field=column, found=row[column])
            wrong = True
    if not row["source"]:
        problems.error("missing_value", row=row.line, field="source")
        wrong = True
    threshold, clear_at, hold_s = numbers.values()
    if wrong or quantity is None or threshold is None or clear_at is None or hold_s is None:
        return None
    side = Side(row["side"])
    if hold_s < 0:
        problems.error("negative", row=row.line, field="hold_s", found=row["hold_s"])
        return None
    if not quantity.low <= threshold <= quantity.high:
        bounds = {"low": f"{quantity.low:g}", "high": f"{quantity.high:g}", "unit": quantity.unit}
        problems.error("limit_outside_range", row=row.line, field="threshold", found=row["threshold"], **bounds)
        return None
    if (clear_at > threshold) if side is Side.HIGH else (clear_at < threshold):
        code = "limit_clears_above" if side is Side.HIGH else "limit_clears_below"
        problems.error(code, row=row.line, field="clear_at", found=row["clear_at"], threshold=row["threshold"])
        return None
    return Limit(quantity.name, side, SEVERITIES[row["severity"]], threshold, clear_at, hold_s, row["source"])
