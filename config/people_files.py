"""``workers.csv``, ``departments.yaml`` and ``roster.csv``: who can be called, for what, where and when."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from config.city import Department, Grid, Shift, Worker
from config.problems import FileProblems, join
from config.tables import Row, Table, Tree, bad_id, read_bytes, read_yaml
from config.vocabulary import Category, GridLevel, LocalText, Role

WORKERS_FILE = "workers.csv"
WORKERS_TABLE = Table(columns=("id", "name_zh", "name_en", "phone", "channels"))

DEPARTMENTS_FILE = "departments.yaml"
DEPARTMENT_FIELDS = ("name", "categories", "contact")

ROSTER_FILE = "roster.csv"
ROSTER_TABLE = Table(columns=("grid", "worker", "role", "weekdays", "start", "end"))

CHANNELS = ("mqtt",)
"""The ways to reach a person that a worker can name."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

RESERVED_WORKERS = ("command-centre", "system")
"""Names of actors that are no person."""

_CALLED = frozenset({Role.WORKER, Role.DEPUTY, Role.LEADER})
_OF_THE_DISTRICT = frozenset({Role.MAINTENANCE, Role.CENTRE})
_PHONE = re.compile(r"\+?[0-9][0-9 -]{1,24}")
_TOPIC_SAFE = re.compile(r"[^/+#]+")
_CLOCK_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY_MIN = 24 * 60
_WEEK_MIN = 7 * _DAY_MIN

Minutes = npt.NDArray[np.bool_]


def read_workers(folder: Path, problems: FileProblems) -> tuple[Mapping[str, Worker], frozenset[str] | None]:
    """(the workers without mistakes by id, every id in the file; None where a part of it is unreadable)."""
    workers: dict[str, Worker] = {}
    lines: dict[str, int] = {}
    data = read_bytes(folder / WORKERS_FILE, problems)
    for row in WORKERS_TABLE.rows(data, problems) if data is not None else ():
        worker = _read_worker(row, problems)
        id_ = row["id"]
        if not id_:
            continue
        first = lines.setdefault(id_, row.line)
        if first != row.line:
            problems.error("duplicate_id", row=row.line, field="id", found=id_, first=first)
        elif worker is not None:
            workers[id_] = worker
    return workers, None if problems.incomplete else frozenset(lines)


def _read_worker(row: Row, problems: FileProblems) -> Worker | None:
    id_, zh, en, phone = row["id"], row["name_zh"], row["name_en"], row["phone"]
    right = True
    if not id_:
        problems.error("missing_value", row=row.line, field="id")
        right = False
    elif bad_id(id_) or not _TOPIC_SAFE.fullmatch(id_):
        problems.error("bad_worker_id", row=row.line, field="id", found=id_)
        right = False
    elif id_ in RESERVED_WORKERS:
        problems.error("reserved_id", row=row.line, field="id", found=id_, choices=join(RESERVED_WORKERS))
        right = False
    for column in ("name_zh", "name_en"):
        if not row[column]:
            problems.error("missing_translation", row=row.line, field=column)
            right = False
    if not _PHONE.fullmatch(phone):
        problems.error("bad_phone" if phone else "missing_value", row=row.line, field="phone", found=phone)
        right = False
    channels = tuple(dict.fromkeys(row["channels"].split()))
    if not channels:
        problems.error("no_channel", row=row.line, field="channels", choices=join(CHANNELS))
        right = False
    for channel in channels:
        if channel not in CHANNELS:
            problems.error("unknown_choice", row=row.line, field="channels", found=channel, choices=join(CHANNELS))
            right = False
    return Worker(id_, LocalText(zh=zh, en=en), phone, channels) if right else None


def read_departments(folder: Path, problems: FileProblems) -> tuple[Mapping[str, Department], frozenset[str] | None]:
    """(the departments without mistakes by id, every id in the file; None where a part of it is unreadable)."""
    tree = read_yaml(folder / DEPARTMENTS_FILE, problems)
    entries = (None if tree is None else tree.entries()) or {}
    departments: dict[str, Department] = {}
    for id_, entry in entries.items():
        if bad_id(id_):
            problems.error("bad_id", row=entry.line, field=id_, found=id_)
        department = _read_department(id_, entry, problems)
        if department is not None:
            departments[id_] = department
    if not problems.incomplete:
        served = {category for department in departments.values() for category in department.categories}
        for category in Category:
            if category not in served:
                problems.warning("unserved_category", field="categories", category=category)
    return departments, None if problems.incomplete else frozenset(entries)


def _read_department(id_: str, entry: Tree, problems: FileProblems) -> Department | None:
    fields = entry.fields(*DEPARTMENT_FIELDS)
    name = fields["name"].local_text() if "name" in fields else None
    contact = fields["contact"].text() if "contact" in fields else None
    categories = set()
    for item in (fields["categories"].items() if "categories" in fields else None) or []:
        found = item.text()
        if found is None:
            continue
        if found in set(Category):
            categories.add(Category(found))
        else:
            problems.error("unknown_choice", row=item.line, field=item.path, found=found, choices=join(Category))
    return None if name is None or contact is None else Department(id_, name, frozenset(categories), contact)


def read_roster(
    folder: Path,
    grids: Mapping[str, Grid],
    grid_codes: frozenset[str] | None,
    worker_ids: frozenset[str] | None,
    problems: FileProblems,
) -> tuple[Shift, ...]:
    """The shifts without mistakes.

    grids: those that could be read. grid_codes, worker_ids: all that stand in their files, so that one mistake
    there is not written down a second time here; None where that is not known.
    """
    data = read_bytes(folder / ROSTER_FILE, problems)
    if data is None:
        return ()
    shifts = []
    for row in ROSTER_TABLE.rows(data, problems):
        shift = _read_shift(row, grid_codes, worker_ids, problems)
        if shift is None:
            continue
        shifts.append(shift)
        grid = grids.get(shift.grid)
        if grid is not None and (grid.level is GridLevel.DISTRICT) is not (shift.role in _OF_THE_DISTRICT):
            level = "district" if shift.role in _OF_THE_DISTRICT else "street, community, grid"
            problems.warning("role_level", row=row.line, field="grid", found=shift.grid, role=shift.role, level=level)
    if not problems.incomplete:
        _check_cover(shifts, grids, problems)
    return tuple(shifts)


def _read_shift(
    row: Row, grid_codes: frozenset[str] | None, worker_ids: frozenset[str] | None, problems: FileProblems
) -> Shift | None:
    right = True
    for column, known, target in (("grid", grid_codes, "grids.geojson"), ("worker", worker_ids, WORKERS_FILE)):
        if not row[column] or (known is not None and row[column] not in known):
            code = "unknown_reference" if row[column] else "missing_value"
            problems.error(code, row=row.line, field=column, found=row[column], target=target)
            right = False
    if row["role"] not in set(Role):
        code = "unknown_choice" if row["role"] else "missing_value"
        problems.error(code, row=row.line, field="role", found=row["role"], choices=join(Role))
        right = False
    weekdays = parse_weekdays(row["weekdays"])
    if weekdays is None:
        problems.error(
            "bad_weekdays" if row["weekdays"] else "missing_value",
            row=row.line,
            field="weekdays",
            found=row["weekdays"],
            choices=join(WEEKDAYS),
        )
    start, end = parse_time(row["start"]), parse_time("00:00" if row["end"] == "24:00" else row["end"])
    for column, moment in (("start", start), ("end", end)):
        if moment is None:
            code = "bad_time" if row[column] else "missing_value"
            problems.error(code, row=row.line, field=column, found=row[column])
    if start is not None and row["start"] == row["end"]:
        problems.error("empty_shift", row=row.line, field="end", found=f"{row['start']}-{row['end']}")
        right = False
    if not right or weekdays is None or start is None or end is None:
        return None
    return Shift(row["grid"], row["worker"], Role(row["role"]), weekdays, start, end)


def parse_weekdays(text: str) -> frozenset[int] | None:
    """``mon-fri`` or ``sat,sun`` or both joined by commas, 0 for Monday; None where it is none. May wrap: ``sat-mon``.

    >>> sorted(parse_weekdays("sat-mon,wed"))
    [0, 2, 5, 6]
    """
    days: set[int] = set()
    for part in text.split(","):
        ends = [end.strip() for end in part.split("-")]
        if len(ends) > 2 or any(end not in WEEKDAYS for end in ends):
            return None
        first, last = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[-1])
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(days)


def parse_time(text: str) -> time | None:
    """``HH:MM``, 00:00 to 23:59; None where it is none."""
    found = _CLOCK_TIME.fullmatch(text)
    return None if found is None else time(int(found[1]), int(found[2]))


def minutes_of_week(shift: Shift) -> Minutes:
    """Which minutes of the week, from Monday 00:00, a shift covers: bool, 10,080 long, not to be written."""
    return _minutes(shift.weekdays, shift.start, shift.end)


@lru_cache(maxsize=1024)  # the shifts of a city begin and end at a few hours only
def _minutes(weekdays: frozenset[int], starts: time, ends: time) -> Minutes:
    week = np.zeros(_WEEK_MIN, dtype=np.bool_)
    start = starts.hour * 60 + starts.minute
    length = (ends.hour * 60 + ends.minute - start) % _DAY_MIN or _DAY_MIN
    for weekday in weekdays:
        week[(weekday * _DAY_MIN + start + np.arange(length)) % _WEEK_MIN] = True
    week.setflags(write=False)
    return week


def _check_cover(shifts: Iterable[Shift], grids: Mapping[str, Grid], problems: FileProblems) -> None:
    """Look at the finest grids: whether a person of the grid or above it is on duty at every hour, and leads it."""
    covered: dict[str, Minutes] = defaultdict(lambda: np.zeros(_WEEK_MIN, dtype=np.bool_))
    led: set[str] = set()
    mended = False
    for shift in shifts:
        if shift.role in _CALLED:
            covered[shift.grid] |= minutes_of_week(shift)
        if shift.role is Role.LEADER:
            led.add(shift.grid)
        mended = mended or shift.role is Role.MAINTENANCE
    parents = {grid.parent for grid in grids.values()}
    for code in sorted(grids.keys() - parents):
        way = _upwards(code, grids)
        week = np.logical_or.reduce([covered[node] for node in way if node in covered] or [np.zeros(_WEEK_MIN, bool)])
        if not week.all():
            bare = np.flatnonzero(~week)
            first = int(bare[0])
            since = f"{WEEKDAYS[first // _DAY_MIN]} {first % _DAY_MIN // 60:02d}:{first % 60:02d}"
            problems.warning("uncovered_hours", field="grid", found=code, hours=f"{len(bare) / 60:g}", since=since)
        if not led.intersection(way):
            problems.warning("no_leader", field="grid", found=code)
    if grids and not mended:
        problems.warning("no_maintenance", field="role")


def _upwards(code: str, grids: Mapping[str, Grid]) -> list[str]:
    way: list[str] = []
    node: str | None = code
    while node is not None and node in grids and node not in way:
        way.append(node)
        node = grids[node].parent
    return way
