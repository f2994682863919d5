"""Reading a city from its folder: every mistake in every file is found in one go.

The files: ``city.yaml``, ``grids.geojson``, ``sensors.csv``, ``workers.csv``, ``departments.yaml``,
``roster.csv`` and, where the city sets its own, ``limits.csv``; where devices name fields and not sensors,
``fields.csv``. docs/city-folder.md explains each.
"""

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from config.city import City
from config.errors import ConfigurationError
from config.field_files import FIELDS_FILE, read_fields
from config.grid_files import FILE as GRIDS_FILE
from config.grid_files import read_grids
from config.limit_files import LIMITS_FILE, read_limits
from config.people_files import DEPARTMENTS_FILE, ROSTER_FILE, WORKERS_FILE, read_departments, read_roster, read_workers
from config.problems import FileProblems, Level, Problem, ProblemLog
from config.sensor_files import FILE as SENSORS_FILE
from config.sensor_files import read_sensors
from config.tables import read_yaml
from config.vocabulary import Language, LocalText

CITY_FILE = "city.yaml"
CITY_FIELDS = ("name", "timezone")
CITY_FILES = (
    *(CITY_FILE, GRIDS_FILE, SENSORS_FILE, WORKERS_FILE, DEPARTMENTS_FILE, ROSTER_FILE, LIMITS_FILE),
    FIELDS_FILE,
)
"""Every file of a city folder, in the order in which they are explained."""

MOST_LINES = 200
"""How many errors the message of one exception holds; the report holds all."""

EXAMPLE = Path(__file__).parent / "examples" / "district"
"""The folder of a small made-up district that has no mistake."""


@dataclass(frozen=True, slots=True)
class CityReport:
    """What came of reading a folder. city: None where any problem is an error. problems: errors first."""

    city: City | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems with which the city cannot be used."""
        return tuple(problem for problem in self.problems if problem.level is Level.ERROR)


def read_city(folder: Path, *, today: date | None = None, kept_in: Path | None = None) -> CityReport:
    """Read and check a city folder; never raises for what stands in it.

    today: the day after which no calibration can have been; not checked where None. kept_in: a file of ours in which
    sensors that were read without mistake are kept, so that reading the same again is quick (``kept_sensors``).
    """
    log = ProblemLog()
    if not folder.is_dir():
        log.of(folder.name).error("folder_missing", found=folder)
        return CityReport(None, log.all())
    name, zone = _read_city_file(folder, log.of(CITY_FILE))
    tree = read_grids(folder, log.of(GRIDS_FILE))
    workers, worker_ids = read_workers(folder, log.of(WORKERS_FILE))
    departments, owners = read_departments(folder, log.of(DEPARTMENTS_FILE))
    sensors = read_sensors(
        folder,
        log.of(SENSORS_FILE),
        grids=tree.grids,
        owners=owners,
        owners_file=DEPARTMENTS_FILE,
        today=today,
        kept_in=kept_in,
    )
    roster = read_roster(folder, tree.grids, tree.codes, worker_ids, log.of(ROSTER_FILE))
    limits = read_limits(folder, sensors, log.of(LIMITS_FILE))
    fields = read_fields(folder, sensors, log.of(FIELDS_FILE))
    if log.broken or name is None or zone is None:
        return CityReport(None, log.all())
    city = City(
        name=name,
        timezone=zone,
        version=folder_version(folder),
        grids=tree.grids,
        sensors=sensors.sensors,
        workers=workers,
        departments=departments,
        roster=roster,
        limits=limits,
        fields=fields,
    )
    return CityReport(city, log.all())


def load_city(folder: Path, *, today: date | None = None, kept_in: Path | None = None) -> City:
    """The city of a folder, read as ``read_city`` does. Raises ConfigurationError with its errors, one a line."""
    report = read_city(folder, today=today, kept_in=kept_in)
    if report.city is None:
        lines = [problem.text(Language.EN) for problem in report.errors[:MOST_LINES]]
        if len(report.errors) > MOST_LINES:
            lines.append(f"and {len(report.errors) - MOST_LINES} more; gridwhistle check {folder} names them all")
        raise ConfigurationError("\n".join([f"the city folder {folder} cannot be used:", *lines]))
    return report.city


def folder_version(folder: Path) -> str:
    """Twelve hexadecimal digits that change whenever a byte of a city's file does."""
    digest = hashlib.sha256()
    for name in CITY_FILES:
        path = folder / name
        data = path.read_bytes() if path.is_file() else b""
        digest.update(f"{name}:{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()[:12]


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _read_city_file(folder: Path, problems: FileProblems) -> tuple[LocalText | None, ZoneInfo | None]:
    tree = read_yaml(folder / CITY_FILE, problems)
    fields = {} if tree is None else tree.fields(*CITY_FIELDS)
    name = fields["name"].local_text() if "name" in fields else None
    key = fields["timezone"].text() if "timezone" in fields else None
    if key is not None and key not in _zones():
        problems.error("unknown_timezone", row=fields["timezone"].line, field="timezone", found=key)
        key = None
    return name, None if key is None else ZoneInfo(key)
