"""What every recording becomes: series with places, and readings as columns in order of time."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigurationError
from config.vocabulary import LocalText


class RecordingError(ConfigurationError):
    """A recording cannot be read; names the file, the line or field, what was found and what is expected."""


@dataclass(frozen=True, slots=True)
class Station:
    """A place of a recording where one or more quantities are measured.

    lon, lat: WGS-84 degrees. part: stations of one part share a grid; a station without one has a grid of its own.
    """

    id: str
    name: LocalText
    lon: float
    lat: float
    quantities: tuple[str, ...]
    interval_s: float
    part: LocalText | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """What a recording's city is called, where its clocks are, and how far around its stations its grids reach."""

    code: str
    name: LocalText
    timezone: ZoneInfo
    margin_m: float


@dataclass(frozen=True, slots=True)
class Recording:
    """All readings of some files, merged, in order of time.

    series: ids of the sensors ("<station>-<quantity>"). rows: index into series, one per reading. times_us: event
    times. values: in each quantity's kept unit. skipped: how many cells or lines gave no reading, by reason.
    """

    stations: tuple[Station, ...]
    series: tuple[str, ...]
    rows: NDArray[np.int64]
    times_us: NDArray[np.int64]
    values: NDArray[np.float64]
    skipped: Mapping[str, int]

    def __len__(self) -> int:
        """How many readings there are."""
        return len(self.values)


class Columns:
    """Gathers readings of any order into a Recording."""

    def __init__(self) -> None:
        self.skipped: Counter[str] = Counter()
        self._series: dict[str, int] = {}
        self._rows = array("q")
        self._times_us = array("q")
        self._values = array("d")

    def series(self, station: str, quantity: str) -> int:
        """The row of a series, a new one if it has none yet."""
        return self._series.setdefault(series_id(station, quantity), len(self._series))

    def add(self, series: int, time_us: int, value: float) -> None:
        """Take one reading."""
        self._rows.append(series)
        self._times_us.append(time_us)
        self._values.append(value)

    def recording(self, stations: Sequence[Station]) -> Recording:
        """Everything taken so far in order of time; of two readings of one series at one time the first is kept."""
        rows = np.array(self._rows, dtype=np.int64)
        times_us = np.array(self._times_us, dtype=np.int64)
        values = np.array(self._values, dtype=np.float64)
        order = np.lexsort((rows, times_us))
        rows, times_us, values = rows[order], times_us[order], values[order]
        fresh = np.ones(len(rows), dtype=np.bool_)
        fresh[1:] = (np.diff(times_us) != 0) | (np.diff(rows) != 0)
        skipped = dict(self.skipped)
        if doubles := int(len(fresh) - fresh.sum()):
            skipped["duplicate"] = doubles
        return Recording(
            stations=tuple(stations),
            series=tuple(self._series),
            rows=rows[fresh],
            times_us=times_us[fresh],
            values=values[fresh],
            skipped=MappingProxyType(skipped),
        )


def series_id(station: str, quantity: str) -> str:
    """The sensor id of a station's quantity."""
    return f"{station}-{quantity}"


class Adapter(Protocol):
    """What one family of recordings must tell."""

    @property
    def site(self) -> Site:
        """Where it was recorded."""
        ...

    @property
    def header(self) -> frozenset[str]:
        """Columns by which a file is recognised: all of them stand in its header."""
        ...

    @property
    def companion(self) -> frozenset[str]:
        """Columns of a second kind of file that belongs to it (places); empty where there is none."""
        ...

    def read(self, files: Sequence[Path]) -> Recording:
        """All readings of the files. Raises RecordingError, OSError."""
        ...
