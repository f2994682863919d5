"""``sensors.csv``: what measures where.

Hundreds of thousands of sensors are usual, so whole columns are read and checked at once; only where something is
wrong in a chunk its lines are looked at one by one.
"""

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from config.city import Grid
from config.geometry import PointFinder, off_globe
from config.kept_sensors import keep, kept, key_of
from config.problems import FileProblems, join
from config.quantities import QUANTITIES
from config.sensors import Float64s, Int32s, Labels, SensorColumns, TextTable, coded, labels
from config.tables import Chunk, Table, any_bad_id, bad_id, number, read_bytes
from config.vocabulary import Kind

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


@dataclass(frozen=True, slots=True)
class SensorRows:
    """What could be read. known: every id in the file, also of lines left out; None where a part is unreadable."""

    sensors: SensorColumns = field(default_factory=lambda: SensorColumns.of(()))
    known: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class _Measures:
    """What many sensors share: checked once."""

    kind: Kind
    quantity: str
    unit: str
    owner: str


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What the cells of some right lines say, shape (lines,). measures: row in ``_Reader.shared``. days: ordinals."""

    lon: Float64s
    lat: Float64s
    interval_s: Float64s
    measures: Int32s
    days: Int32s


@dataclass(slots=True)
class _Reader:
    """Reads and checks the lines. The mappings remember what has been read and checked already.

    seen: the line of every id. shared: what measures, each once.
    """

    problems: FileProblems
    owners: frozenset[str] | None
    owners_file: str
    today: date | None
    seen: dict[str, int] = field(default_factory=dict)
    shared: list[_Measures] = field(default_factory=list)
    measures: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    intervals: dict[str, float] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=lambda: {"": 0})

    def numbers(self, columns: Sequence[Sequence[str]]) -> _Numbers | None:
        """The numbers of lines in which all is right; None where some cell is wrong or new and wants a closer look."""
        _, kind, quantity, unit, lon, lat, zh, en, interval, owner, calibrated, device = columns
        measures = list(map(self.measures.get, zip(kind, quantity, unit, owner, strict=True)))
        intervals, days = list(map(self.intervals.get, interval)), list(map(self.days.get, calibrated))
        if None in measures or None in intervals or None in days or not (all(zh) and all(en)) or any_bad_id(device):
            return None
        x, y = _floats(lon), _floats(lat)
        if x is None or y is None or off_globe(x, y):
            return None
        return _Numbers(x, y, np.array(intervals, np.float64), np.array(measures, np.int32), np.array(days, np.int32))

    def take_ids(self, lines: Sequence[int], ids: Sequence[str]) -> bool:
        """Take note of ids that are all right and new; False, with nothing noted, where one is not."""
        if not all(ids) or any_bad_id(ids) or len(set(ids)) < len(ids) or not self.seen.keys().isdisjoint(ids):
            return False
        self.seen.update(zip(ids, lines, strict=True))
        return True

    def right(self, line: int, cells: Sequence[str]) -> bool:
        """Whether a line is right; every mistake in it is written down."""
        id_, kind, quantity, unit, lon, lat, zh, en, interval, owner, calibrated, device = cells
        checks = (
            self._check_id(line, id_),
            (kind, quantity, unit, owner) in self.measures or self._measures(line, kind, quantity, unit, owner),
            interval in self.intervals or self._interval(line, interval),
            calibrated in self.days or self._date(line, calibrated),
            self._place(line, zh, en),
            not bad_id(device) or self._bad_device(line, device),
            self._position(line, lon, lat),
        )
        return all(checks)

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

    def _bad_device(self, line: int, device: str) -> bool:
        self.problems.error("bad_id", row=line, field="device", found=device)
        return False

    def _measures(self, line: int, kind: str, name: str, unit: str, owner: str) -> bool:
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
            return False
        # unit: what the device sends where its payload names none; conversion is the intake's
        self.measures[kind, name, unit, owner] = len(self.shared)
        self.shared.append(_Measures(Kind(kind), quantity.name, unit or quantity.unit, owner))
        return True

    def _unknown(self, line: int, column: str, found: str, choices: str) -> None:
        code = "unknown_choice" if found else "missing_value"
        self.problems.error(code, row=line, field=column, found=found, choices=choices)

    def _interval(self, line: int, text: str) -> bool:
        value = number(text)
        if value is None or value <= 0:
            code = "not_a_number" if value is None else "not_positive"
            self.problems.error(code if text else "missing_value", row=line, field="interval_s", found=text)
            return False
        self.intervals[text] = value
        return True

    def _date(self, line: int, text: str) -> bool:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            self.problems.error("bad_date", row=line, field="calibrated_on", found=text)
            return False
        if self.today is not None and day > self.today:
            self.problems.error("future_date", row=line, field="calibrated_on", found=text, today=self.today)
            return False
        self.days[text] = day.toordinal()
        return True

    def _place(self, line: int, zh: str, en: str) -> bool:
        for column, text in (("place_zh", zh), ("place_en", en)):
            if not text:
                self.problems.error("missing_translation", row=line, field=column)
        return bool(zh and en)

    def _position(self, line: int, lon: str, lat: str) -> bool:
        x, y = number(lon), number(lat)
        if x is not None and y is not None and -180 <= x <= 180 and -90 <= y <= 90:
            return True
        for column, text, value in (("lon", lon, x), ("lat", lat, y)):
            if value is None:
                self.problems.error("not_a_number" if text else "missing_value", row=line, field=column, found=text)
        if x is not None and y is not None:
            code = "outside_world" if off_globe(y, x) else "swapped_coordinates"
            self.problems.error(code, row=line, field="lon", found=f"{lon}, {lat}")
        return False


@dataclass(slots=True)
class _Built:
    """The columns as they grow, a chunk at a time.

    devices: the code of each, in the order of their coming. A place is looked for within its chunk alone: sensors of
    one place stand together, and nothing but memory hangs on it.
    """

    ids: list[str] = field(default_factory=list)
    numbers: list[_Numbers] = field(default_factory=list)
    grids: list[Int32s] = field(default_factory=list)
    place: list[Int32s] = field(default_factory=list)
    device: list[Int32s] = field(default_factory=list)
    places: list[tuple[TextTable, TextTable]] = field(default_factory=list)
    placed: int = 0
    devices: dict[str, int] = field(default_factory=dict)

    def add(self, columns: Sequence[Sequence[str]], numbers: _Numbers, grids: Int32s) -> None:
        """More sensors, all of them right. grids: rows of the table of grids."""
        ids, devices = columns[0], self.devices
        self.ids += ids
        self.numbers.append(numbers)
        self.grids.append(grids)
        places, place = coded(list(zip(columns[6], columns[7], strict=True)))
        self.place.append(place + np.int32(self.placed))
        self.places.append((TextTable(zh for zh, _ in places), TextTable(en for _, en in places)))
        self.placed += len(places)
        boxes = [devices.setdefault(box or id_, len(devices)) for box, id_ in zip(columns[11], ids, strict=True)]
        self.device.append(np.array(boxes, np.int32))

    def columns(self, shared: Sequence[_Measures], codes: Sequence[str]) -> SensorColumns:
        """The columns of all. codes: of the grids."""
        if not self.ids:
            return SensorColumns.of(())
        which = np.concatenate([part.measures for part in self.numbers])
        return SensorColumns(
            ids=tuple(self.ids),
            kind=_spread([one.kind for one in shared], which),
            quantity=_spread([one.quantity for one in shared], which),
            unit=_spread([one.unit for one in shared], which),
            lon=np.concatenate([part.lon for part in self.numbers]),
            lat=np.concatenate([part.lat for part in self.numbers]),
            place=np.concatenate(self.place),
            place_zh=TextTable.joined([zh for zh, _ in self.places]),
            place_en=TextTable.joined([en for _, en in self.places]),
            interval_s=np.concatenate([part.interval_s for part in self.numbers]),
            owner=_spread([one.owner for one in shared], which),
            grid=Labels(tuple(codes), np.concatenate(self.grids)),
            device=Labels(TextTable(self.devices), np.concatenate(self.device)),
            calibrated=np.concatenate([part.days for part in self.numbers]),
        )


def _spread(values: Sequence[str], which: Int32s) -> Labels:
    once = labels(values)
    return Labels(once.names, once.code[which])


def _floats(texts: Sequence[str]) -> Float64s | None:
    """Numbers as ``number`` reads them, but for what is not finite; None where one is none."""
    if "_" in "".join(texts):
        return None
    try:
        return np.array(list(map(float, texts)), np.float64)
    except ValueError:
        return None


def read_sensors(
    folder: Path,
    problems: FileProblems,
    *,
    grids: Mapping[str, Grid],
    owners: frozenset[str] | None,
    owners_file: str,
    today: date | None,
    kept_in: Path | None = None,
) -> SensorRows:
    """Read the sensors and place each in the finest grid that holds it; a line with a mistake is left out.

    owners: the ids that may own a sensor, from the file ``owners_file``; None where they are not known.
    grids: those that could be read; no sensor is said to be outside where there are none. kept_in: a file in which
    a table without any mistake is kept as it was read, for the next time.
    """
    data = read_bytes(folder / FILE, problems)
    if data is None:
        return SensorRows()
    key = key_of(data, grids, owners) if kept_in is not None and grids and owners is not None else None
    if kept_in is not None and key is not None and (columns := kept(kept_in, key, today)) is not None:
        return SensorRows(columns, columns.ids)
    reader, built, places = _Reader(problems, owners, owners_file, today), _Built(), _Places(grids)
    with _no_collections():
        for chunk in TABLE.chunks(data, problems):
            _read_chunk(chunk, reader, built, places)
    sensors = built.columns(reader.shared, places.codes)
    if kept_in is not None and key is not None and not problems.count:
        keep(sensors, kept_in, key, today)
    return SensorRows(sensors, None if problems.incomplete else reader.seen.keys())


def _read_chunk(chunk: Chunk, reader: _Reader, built: _Built, places: "_Places") -> None:
    lines, columns = chunk.lines, chunk.columns
    if not lines:
        return
    numbers = reader.numbers(columns)
    if numbers is None or not reader.take_ids(lines, columns[0]):
        rows = list(zip(lines, zip(*columns, strict=True), strict=True))
        right = [reader.right(line, cells) for line, cells in rows]
        _tell_strays([row for row, good in zip(rows, right, strict=True) if not good], places, reader.problems)
        kept = [row for row, good in zip(rows, right, strict=True) if good]
        if not kept:
            return
        lines, columns = [line for line, _ in kept], list(zip(*(cells for _, cells in kept), strict=True))
        numbers = reader.numbers(columns)
        if numbers is None:
            raise AssertionError(f"{FILE}: lines {lines[0]} to {lines[-1]} are right one by one, but not together")
    grids = places.place(lines, numbers.lon, numbers.lat, reader.problems)
    if (grids < 0).any():
        inside = grids >= 0
        columns = [[cell for cell, good in zip(column, inside.tolist(), strict=True) if good] for column in columns]
        numbers = _Numbers(*(getattr(numbers, one)[inside] for one in _Numbers.__dataclass_fields__))
        grids = grids[inside]
    built.add(columns, numbers, grids)


def _tell_strays(rows: Sequence[tuple[int, Sequence[str]]], places: "_Places", problems: FileProblems) -> None:
    """Say of lines with other mistakes too where they are outside every grid."""
    spots = [(line, number(cells[4]), number(cells[5])) for line, cells in rows]
    known = [(line, x, y) for line, x, y in spots if x is not None and y is not None and not off_globe(x, y)]
    if known:
        lon, lat = np.array([x for _, x, _ in known]), np.array([y for _, _, y in known])
        places.place([line for line, _, _ in known], lon, lat, problems)


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
        self._finder = PointFinder([grid.polygon for grid in finest_first], [-grid.level.rank for grid in finest_first])

    def place(self, lines: Sequence[int], lon: Float64s, lat: Float64s, problems: FileProblems) -> Int32s:
        """Rows in ``codes`` of the finest grids that hold places, -1 and written down where none does.

        Where there are no grids nothing is written down: that is their file's mistake.
        """
        found = self._finder.find(lon, lat)
        stray = np.flatnonzero(found < 0)
        if self.codes and stray.size:
            swapped = self._finder.find(lat[stray], lon[stray])
            for row, other in zip(stray.tolist(), swapped.tolist(), strict=True):
                code = "swapped_coordinates" if other >= 0 else "outside_grids"
                problems.error(code, row=lines[row], field="lon", found=f"{lon[row]:g}, {lat[row]:g}")
        return found
