"""The city as the daemon knows it: grid tree, sensors, people, roster, departments, limits. Read-only once built.

Building it from files, with every mistake reported, is ``config.city_files``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shapely.geometry import MultiPolygon, Polygon

from config.limits import LimitTable
from config.quantities import QUANTITIES, Quantity
from config.vocabulary import Category, GridLevel, Kind, LocalText, Role


@dataclass(frozen=True, slots=True)
class Grid:
    """A node of the grid tree. polygon: WGS-84 longitude, latitude. parent: its parent's code, None at the root."""

    code: str
    level: GridLevel
    parent: str | None
    name: LocalText
    polygon: Polygon | MultiPolygon


@dataclass(frozen=True, slots=True)
class Sensor:
    """One series of readings of one quantity at one place.

    index: its row in every column of the daemon (0-based, the order of the file). lon, lat: WGS-84 degrees.
    interval_s: seconds expected between two readings (> 0). grid: the code of the finest grid that holds it.
    device: the box it sits in (its own id where it sits alone).
    """

    index: int
    id: str
    kind: Kind
    quantity: str
    unit: str
    lon: float
    lat: float
    place: LocalText
    interval_s: float
    owner: str
    grid: str
    device: str
    calibrated_on: date | None = None

    @property
    def measures(self) -> Quantity:
        """The quantity's entry in the table."""
        return QUANTITIES[self.quantity]


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
    """Everything the daemon knows of the city. version: changes whenever a file of the folder does."""

    name: LocalText
    timezone: ZoneInfo
    version: str
    grids: Mapping[str, Grid]
    sensors: tuple[Sensor, ...]
    workers: Mapping[str, Worker]
    departments: Mapping[str, Department]
    roster: tuple[Shift, ...]
    limits: LimitTable
    sensor_index: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the sensors by id."""
        object.__setattr__(self, "sensor_index", {sensor.id: sensor.index for sensor in self.sensors})

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
