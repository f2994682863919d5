"""Pedestrian counters of Melbourne, hourly counts with the places of the counters (City of Melbourne open data).

Two kinds of files: counts (Date, Day_of_week, Hour, SensorID, SensorName, PedestrianCount) and places (Sensor ID,
Sensor Name, Sensor Description, ..., Latitude, Longitude). The counts alone do not say where a counter stands, so
the file of places must be among the files.

The hours are Melbourne's wall clock with daylight saving. In April one night has its hour 2 twice but the recording
has one count for it: that count is placed in the first of the two (still daylight saving). In October one night has
no hour 2, though the recording has a count for it: that hour never was, so its counts are skipped and counted as
"hour_never_was". A reading's event time is the hour that stands in its line.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from config.clock import from_datetime
from config.vocabulary import LocalText
from sensors_sim.recordings.model import Columns, Recording, RecordingError, Site, Station
from sensors_sim.recordings.rows import MISSING, header, number, table, whole

INTERVAL_S = 3600.0
MELBOURNE = ZoneInfo("Australia/Melbourne")
COUNTS = ("Date", "Hour", "SensorID", "SensorName", "PedestrianCount")
PLACES = ("Sensor ID", "Sensor Description", "Latitude", "Longitude")


class PeopleMelbourne:
    """See the module."""

    site = Site("ME", LocalText("墨尔本行人计数（回放）", "Melbourne pedestrians (replay)"), MELBOURNE, 400)
    header = frozenset(COUNTS)
    companion = frozenset(PLACES)

    def read(self, files: Sequence[Path]) -> Recording:
        """See Adapter.read."""
        places: dict[int, Station] = {}
        counts = []
        for path in files:
            if self.companion <= set(header(path)):
                places.update(_read_places(path))
            else:
                counts.append(path)
        if not places:
            raise RecordingError(
                f"{', '.join(str(path) for path in files)}: no file of places among them, "
                f"expected one with the columns {', '.join(PLACES)}"
            )
        columns = Columns()
        seen: dict[int, int] = {}
        for path in counts:
            _read_counts(path, places, columns, seen)
        return columns.recording([places[counter] for counter in sorted(seen)])


def _read_places(path: Path) -> dict[int, Station]:
    places = {}
    for line, (counter, name, lat, lon) in table(path, PLACES):
        row = whole(path, line, "Sensor ID", counter)
        y, x = number(path, line, "Latitude", lat), number(path, line, "Longitude", lon)
        if x is None or y is None:
            raise RecordingError(
                f"{path}: line {line}: Latitude and Longitude are {lat!r} and {lon!r}, expected degrees"
            )
        shown = name or f"counter {row}"
        places[row] = Station(
            f"me-{row:03d}", LocalText(f"{row} 号计数点 {shown}", shown), x, y, ("people",), INTERVAL_S
        )
    return places


def _read_counts(path: Path, places: dict[int, Station], columns: Columns, seen: dict[int, int]) -> None:
    for line, (date, hour, counter, _name, count) in table(path, COUNTS):
        if counter.lower() in MISSING:
            columns.skipped["no_counter"] += 1
            continue
        row = whole(path, line, "SensorID", counter)
        if row not in places:
            columns.skipped["place_unknown"] += 1
            continue
        value = number(path, line, "PedestrianCount", count)
        if value is None:
            columns.skipped["missing"] += 1
            continue
        try:
            time_us = moment_us(date, int(hour))
        except ValueError as error:
            raise RecordingError(
                f"{path}: line {line}: Date and Hour are {date!r} and {hour!r}, expected e.g. 01-Jan-2012 and 0 to 23"
            ) from error
        if time_us is None:
            columns.skipped["hour_never_was"] += 1
            continue
        if row not in seen:
            seen[row] = columns.series(places[row].id, "people")
        columns.add(seen[row], time_us, value)


@cache
def moment_us(date: str, hour: int) -> int | None:
    """Wall time of a Melbourne hour, None for one that daylight saving leaps over. Raises ValueError for no hour.

    >>> moment_us("07-Oct-2012", 2) is None
    True
    """
    naive = datetime.strptime(date, "%d-%b-%Y").replace(hour=hour)  # noqa: DTZ007 - its zone follows
    moment = naive.replace(tzinfo=MELBOURNE, fold=0)
    if moment.astimezone(UTC).astimezone(MELBOURNE).replace(tzinfo=None) != naive:
        return None
    return from_datetime(moment.astimezone(UTC))
