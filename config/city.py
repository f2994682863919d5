"""The city as the daemon knows it: grid tree, sensors, people, roster, departments, limits. Read-only once built.

Building it from files, with every mistake reported, is ``config.city_files``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from shapely.geometry import MultiPolygon, Polygon

from config.fields import NO_RULES, FieldRules
from config.limits import LimitTable
from config.sensors import Sensor, SensorColumns
from config.vocabulary import Category, GridLevel, LocalText, Role

__all__ = ["City", "Department", "Grid", "Sensor", "Shift", "Worker"]


@dataclass(frozen=True, slots=True)
class Grid:
    """A node of the grid tree. polygon: WGS-84 longitude, latitude. parent: its parent's code, None at the root."""

    code: str
    level: GridLevel
    parent: str | None
    name: LocalText
    polygon: Polygon | MultiPolygon


@dataclass(frozen=True, slots=True)
class Worker:
    """A person who can be called. channels: names of the ways to reach them, never empty (at least ``mqtt``)."""

    id: str
    name: LocalText
    phone: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Department:
    """A department of the city and what it is called to."""

    id: str
    name: LocalText
    categories: frozenset[Category]
    contact: str


@dataclass(frozen=True, slots=True)
class Shift:
    """A weekly duty. weekdays: 0 is Monday. From start to end local time; an end not after the start is next day's."""

    grid: str
    worker: str
    role: Role
    weekdays: frozenset[int]
    start: time
    end: time

    def covers(self, local: datetime) -> bool:
        """Whether the shift is on at a local time. A shift over midnight belongs to the weekday it starts on."""
        now, today = local.time().replace(tzinfo=None), local.weekday()
        if self.start < self.end:
            return today in self.weekdays and self.start <= now < self.end
        if today in self.weekdays and now >= self.start:
            return True
        yesterday = (local - timedelta(days=1)).weekday()
        return yesterday in self.weekdays and now < self.end


@dataclass(frozen=True)
class City:
    """Everything the daemon knows of the city. version: changes whenever a file of the folder does.

    sensors: in the order of the file; they are kept as ``columns`` (the same object), and what is made from one
    fact of every sensor takes it from there: ``city.columns.interval_s``. sensor_index: their rows by id. fields: which
    sensor each field is of devices that name their fields themselves.
    """

    name: LocalText
    timezone: ZoneInfo
    version: str
    grids: Mapping[str, Grid]
    sensors: Sequence[Sensor]
    workers: Mapping[str, Worker]
    departments: Mapping[str, Department]
    roster: tuple[Shift, ...]
    limits: LimitTable
    fields: FieldRules = NO_RULES
    columns: SensorColumns = field(init=False, repr=False, compare=False)
    sensor_index: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep the sensors as columns and index them by id."""
        columns = self.sensors if isinstance(self.sensors, SensorColumns) else SensorColumns.of(self.sensors)
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "sensors", columns)
        object.__setattr__(self, "sensor_index", dict(zip(columns.ids, range(len(columns)), strict=True)))

    def sensor(self, sensor_id: str) -> Sensor:
        """The sensor with this id. Raises KeyError."""
        return self.sensors[self.sensor_index[sensor_id]]

    def upwards(self, code: str) -> Iterator[Grid]:
        """The grid with this code and all above it, finest first. Raises KeyError for an unknown code."""
        node: str | None = code
        while node is not None:
            grid = self.grids[node]
            yield grid
            node = grid.parent

    def department_for(self, category: Category) -> Department | None:
        """The department called to a category; the first by id where several are, None where none is."""
        fitting = (dept for _, dept in sorted(self.departments.items()) if category in dept.categories)
        return next(fitting, None)
