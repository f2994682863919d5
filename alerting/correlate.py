"""Which open event an alarm belongs to: one event for one thing that happens. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from config.vocabulary import Category

M_PER_DEGREE = 111_320.0
"""Metres of a degree of latitude, and of longitude at the equator."""

_MINUTE_US = 60 * 1_000_000
_HOUR_US = 60 * _MINUTE_US


class Bond(StrEnum):
    """What else must be the same for two alarms to be one event, beside category, distance and time."""

    NEAR = "near"  # nothing: the field spreads
    PLACE = "place"  # the same named place or the same box
    DEVICE = "device"  # the same box: one person's button, one meter


@dataclass(frozen=True, slots=True)
class Reach:
    """How far an event reaches. window_us: how long after its last alarm ended another one still belongs to it."""

    radius_m: float
    window_us: int
    bond: Bond


REACH: Mapping[Category, Reach] = MappingProxyType(
    {
        Category.GAS_LEAK: Reach(300, 30 * _MINUTE_US, Bond.NEAR),
        Category.AIR_POLLUTION: Reach(1500, 3 * _HOUR_US, Bond.NEAR),
        Category.WEATHER: Reach(1500, 3 * _HOUR_US, Bond.NEAR),
        Category.NOISE: Reach(100, 30 * _MINUTE_US, Bond.PLACE),
        Category.FLOODING: Reach(300, _HOUR_US, Bond.NEAR),
        Category.STRUCTURE_DANGER: Reach(100, 24 * _HOUR_US, Bond.PLACE),
        Category.CROWD: Reach(300, 30 * _MINUTE_US, Bond.NEAR),
        Category.TRAFFIC: Reach(300, 30 * _MINUTE_US, Bond.NEAR),
        Category.FIRE: Reach(100, 30 * _MINUTE_US, Bond.NEAR),
        Category.INTRUSION: Reach(50, 15 * _MINUTE_US, Bond.PLACE),
        Category.CARE: Reach(30, 30 * _MINUTE_US, Bond.DEVICE),
        Category.ELECTRICAL: Reach(30, _HOUR_US, Bond.PLACE),
        Category.WATER_SUPPLY: Reach(30, _HOUR_US, Bond.PLACE),
    }
)
"""The one table of reaches. Two buttons of two homes are never one event, whatever their distance."""


GROWTH = 3.0
"""How many reaches an event of a spreading field (Bond.NEAR) may grow from where it began, sensor by sensor."""


THINNING = 0.25
"""Part of a reach within which one sensor of a growing event stands for all: thousands stay quick to compare with."""


class JoinReason(StrEnum):
    """Why an alarm joins an open event, or none."""

    SAME_SENSOR = "same_sensor"  # its sensor has an alarm in that event already
    IN_REACH = "in_reach"
    NONE_NEAR = "none_near"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an alarm comes from. place: the name of the place. lon, lat: WGS-84 degrees."""

    category: Category
    device: str
    place: str
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class OpenEvent:
    """What is compared of an event that is not closed. over_us: since when none of its alarms stands.

    spot: where one of its alarms comes from. began: longitude and latitude of its first alarm, None if that is spot.
    """

    id: int
    spot: Spot
    over_us: int | None
    began: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """The event an alarm belongs to, None for a new one, and why."""

    event_id: int | None
    reason: JoinReason


def distance_m(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    """Metres between two places, on a plane through them (good to 0.1 % within 10 km).

    >>> round(distance_m(113.0, 28.0, 113.0, 28.001))
    111
    """
    east = (lon_b - lon_a + 180) % 360 - 180
    return math.hypot(east * M_PER_DEGREE * math.cos(math.radians((lat_a + lat_b) / 2)), (lat_b - lat_a) * M_PER_DEGREE)


def box_around(lon: float, lat: float, radius_m: float) -> tuple[float, float, float, float]:
    """(west, south, east, north) of a box in degrees that holds the circle."""
    north = radius_m / M_PER_DEGREE
    east = north / max(math.cos(math.radians(lat)), 0.01)
    return lon - east, lat - north, lon + east, lat + north


def boxes(category: Category, places: Iterable[tuple[float, float]]) -> list[tuple[float, float, float, float]]:
    """(west, south, east, north) of boxes in degrees around all that an alarm at one of these places could belong to.

    places: (longitude, latitude). Near ones share a box, far ones never do: an event has its place where it began, so a
    box is as wide as an event of the category may grow around its places.
    """
    reach = REACH[category]
    radius_m = reach.radius_m * (GROWTH if reach.bond is Bond.NEAR else 1)
    shared: dict[tuple[int, int], tuple[float, float, float, float]] = {}
    for lon, lat in places:
        west, south, east, north = box_around(lon, lat, radius_m)
        cell = math.floor(lat / (north - south)), math.floor(lon / (east - west))
        box = shared.get(cell, (west, south, east, north))
        shared[cell] = min(west, box[0]), min(south, box[1]), max(east, box[2]), max(north, box[3])
    return list(shared.values())


def alive(category: Category, over_us: int | None, now_us: int) -> bool:
    """Whether an event still takes alarms: something of it stands, or it has been over for its window at most."""
    return over_us is None or now_us - over_us <= REACH[category].window_us


def belongs(spot: Spot, event: OpenEvent, now_us: int) -> bool:
    """Whether an alarm at a spot belongs to an open event of other sensors."""
    reach, other = REACH[spot.category], event.spot
    if other.category is not spot.category:
        return False
    if not alive(spot.category, event.over_us, now_us) or not _in_reach(spot, event, reach):
        return False
    match reach.bond:
        case Bond.NEAR:
            return True
        case Bond.PLACE:
            return spot.device == other.device or spot.place == other.place
        case Bond.DEVICE:
            return spot.device == other.device


def _in_reach(spot: Spot, event: OpenEvent, reach: Reach) -> bool:
    if distance_m(spot.lon, spot.lat, event.spot.lon, event.spot.lat) > reach.radius_m:
        return False
    return event.began is None or distance_m(spot.lon, spot.lat, *event.began) <= GROWTH * reach.radius_m


class OpenEvents:
    """Open events sorted into cells as wide as their category's reach, so that only near ones are compared."""

    def __init__(self, events: Iterable[OpenEvent] = ()) -> None:
        self._cells: dict[tuple[Category, int, int], list[OpenEvent]] = {}
        self._first: dict[int, OpenEvent] = {}
        self._grown: set[tuple[int, int, int]] = set()
        self._of_sensor: dict[tuple[str, Category], dict[int, int | None]] = {}
        for event in events:
            self.add(event)

    def add(self, event: OpenEvent) -> None:
        """One more open event."""
        self._first.setdefault(event.id, event)
        self._cells.setdefault((event.spot.category, *_cell(event.spot)), []).append(event)

    def grow(self, event_id: int, spot: Spot) -> None:
        """An event has an alarm at this spot too: a spreading field is near wherever it has been seen."""
        first = self._first.get(event_id)
        if first is None or REACH[spot.category].bond is not Bond.NEAR:
            return
        patch = (event_id, *_cell(spot, THINNING))
        if patch not in self._grown:
            self._grown.add(patch)
            self.add(OpenEvent(event_id, spot, first.over_us, (first.spot.lon, first.spot.lat)))

    def bind(self, sensor_id: str, category: Category, event_id: int, over_us: int | None = None) -> None:
        """A sensor has an alarm in this open event. over_us: since when that is over."""
        self._of_sensor.setdefault((sensor_id, category), {})[event_id] = over_us

    def join(self, sensor_id: str, spot: Spot, now_us: int) -> Join:
        """The event that an alarm of a sensor belongs to: its own one, else the nearest in reach.

        Of several of its own: one that is not over, then the newest.
        """
        own = self._of_sensor.get((sensor_id, spot.category), {})
        living = [event_id for event_id, over_us in own.items() if alive(spot.category, over_us, now_us)]
        if living:
            return Join(max(living, key=lambda event_id: (own[event_id] is None, event_id)), JoinReason.SAME_SENSOR)
        fitting = [event for event in self._around(spot) if belongs(spot, event, now_us)]
        if not fitting:
            return Join(None, JoinReason.NONE_NEAR)
        nearest = min(
            fitting, key=lambda event: (distance_m(spot.lon, spot.lat, event.spot.lon, event.spot.lat), event.id)
        )
        return Join(nearest.id, JoinReason.IN_REACH)

    def _around(self, spot: Spot) -> Iterator[OpenEvent]:
        column, row = _cell(spot)
        for across in (-1, 0, 1):
            for down in (-1, 0, 1):
                yield from self._cells.get((spot.category, column + across, row + down), ())


def _cell(spot: Spot, share: float = 1.0) -> tuple[int, int]:
    # Cells are as wide as the reach at 75 degrees of latitude, so wider anywhere people live.
    north = share * REACH[spot.category].radius_m / M_PER_DEGREE
    return math.floor(spot.lon / (north / 0.25)), math.floor(spot.lat / north)
