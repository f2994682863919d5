"""Temperature and light of motes in the Intel Berkeley Research Lab, one week of 2004, clean and with injected faults.

From the benchmark of de Bruijn, Nguyen, Bucur and Tei (2016). Clean files have the columns timestamp, mote_id,
has_fault_type, temperature, light; faulty ones set_id before them, and their name says which quantity of which mote
was spoilt ("mote-6_sensortype-light_faulttype-random"). A faulty file replaces that one series of that mote; its
other column and every clean file of the mote give the rest.

The lines carry wall times without a zone. They are taken for the laboratory's in winter, UTC-8: the recording ends
before daylight saving began in April 2004.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np

from config.clock import from_datetime
from config.vocabulary import LocalText
from sensors_sim.physics.field import METRES_PER_DEGREE
from sensors_sim.recordings.model import Columns, Recording, RecordingError, Site, Station
from sensors_sim.recordings.rows import number, table, whole

INTERVAL_S = 31.0
BERKELEY = timezone(timedelta(hours=-8))
QUANTITIES: Mapping[str, str] = MappingProxyType({"temperature": "temperature", "light": "illuminance"})
_FAULTY = re.compile(r"mote-(\d+)_sensortype-(temperature|light)_faulttype-([a-z]+)")

CORNER = (-122.2737, 37.8690)
"""Longitude and latitude of the lab's lower left corner: the downtown Berkeley block where the lab was, roughly."""

# Metres east and north of the lab's corner, from the lab's published table mote_locs.txt.
# fmt: off
_MOTES: Mapping[int, tuple[float, float]] = MappingProxyType({
    1: (21.5, 23), 2: (24.5, 20), 3: (19.5, 19), 4: (22.5, 15), 5: (24.5, 12), 6: (19.5, 12), 7: (22.5, 8),
    8: (24.5, 4), 9: (21.5, 2), 10: (19.5, 5), 11: (16.5, 3), 12: (13.5, 1), 13: (12.5, 5), 14: (8.5, 6),
    15: (5.5, 3), 16: (1.5, 2), 17: (1.5, 8), 18: (5.5, 10), 19: (3.5, 13), 20: (0.5, 17), 21: (4.5, 18),
    22: (1.5, 23), 23: (6, 24), 24: (1.5, 30), 25: (4.5, 30), 26: (7.5, 31), 27: (8.5, 26), 28: (10.5, 31),
    29: (12.5, 26), 30: (13.5, 31), 31: (15.5, 28), 32: (17.5, 31), 33: (19.5, 26), 34: (21.5, 30), 35: (24.5, 27),
    36: (26.5, 31), 37: (27.5, 26), 38: (30.5, 31), 39: (30.5, 26), 40: (33.5, 28), 41: (36.5, 30), 42: (39.5, 30),
    43: (35.5, 24), 44: (40.5, 22), 45: (37.5, 19), 46: (34.5, 16), 47: (39.5, 14), 48: (35.5, 10), 49: (39.5, 6),
    50: (38.5, 1), 51: (35.5, 4), 52: (31.5, 6), 53: (28.5, 5), 54: (26.5, 2),
})
# fmt: on

MIDDLE = (20.5, 16.0)
_PARTS: Mapping[tuple[bool, bool], LocalText] = MappingProxyType(
    {
        (False, False): LocalText("实验室西南部", "South-west of the lab"),
        (False, True): LocalText("实验室东南部", "South-east of the lab"),
        (True, False): LocalText("实验室西北部", "North-west of the lab"),
        (True, True): LocalText("实验室东北部", "North-east of the lab"),
    }
)
"""Parts of the lab by (north of the middle, east of the middle)."""


class FaultsIntel:
    """See the module."""

    site = Site("IL", LocalText("英特尔实验室（回放）", "Intel lab (replay)"), ZoneInfo("America/Los_Angeles"), 3)
    header = frozenset({"timestamp", "mote_id", "has_fault_type", "temperature", "light"})
    companion: frozenset[str] = frozenset()

    def read(self, files: Sequence[Path]) -> Recording:
        """See Adapter.read. Raises RecordingError also where two files spoil one series."""
        columns = Columns()
        spoilt: dict[tuple[int, str], Path] = {}
        for path in files:
            if (mine := _spoils(path)) is not None:
                if mine in spoilt:
                    raise RecordingError(f"{path}: {mine[1]} of mote {mine[0]} stands in {spoilt[mine]} already")
                spoilt[mine] = path
        # a clean file comes before a faulty one of the same mote, whose other column only fills in
        given: dict[tuple[int, str], Path] = {key: spoilt[key] for key in spoilt}
        motes: set[int] = set()
        for path in sorted(files, key=lambda entry: _spoils(entry) is not None):
            for line, mote, time_us, cells in _lines(path):
                motes.add(mote)
                for name, cell in zip(QUANTITIES, cells, strict=True):
                    if given.setdefault((mote, name), path) != path:
                        columns.skipped["replaced"] += 1
                        continue
                    value = number(path, line, name, cell)
                    if value is None:
                        columns.skipped["missing"] += 1
                    else:
                        columns.add(columns.series(mote_id(mote), QUANTITIES[name]), time_us, value)
        return columns.recording([_station(mote) for mote in sorted(motes)])


def mote_id(mote: int) -> str:
    """The device id of a mote."""
    return f"mote-{mote:02d}"


def _spoils(path: Path) -> tuple[int, str] | None:
    """(mote, column) that a file spoils by its name, None for a clean one."""
    found = _FAULTY.search(path.name)
    return None if found is None else (int(found[1]), found[2])


def _lines(path: Path) -> Iterator[tuple[int, int, int, list[str]]]:
    """(line, mote, wall time, cells in the order of QUANTITIES)."""
    for line, (stamp, number_of_mote, *cells) in table(path, ("timestamp", "mote_id", *QUANTITIES)):
        text = stamp.strip("'")
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise RecordingError(
                f"{path}: line {line}: timestamp is {text!r}, expected like 2004-02-29T00:00:19"
            ) from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=BERKELEY)
        mote = whole(path, line, "mote_id", number_of_mote)
        if mote not in _MOTES:
            raise RecordingError(f"{path}: line {line}: mote_id is {mote}, expected 1 to {max(_MOTES)}")
        yield line, mote, from_datetime(moment), cells


def _station(mote: int) -> Station:
    east, north = _MOTES[mote]
    return Station(
        id=mote_id(mote),
        name=LocalText(f"实验室 {mote} 号节点", f"Lab, mote {mote}"),
        lon=CORNER[0] + east / (METRES_PER_DEGREE * float(np.cos(np.radians(CORNER[1])))),
        lat=CORNER[1] + north / METRES_PER_DEGREE,
        quantities=tuple(QUANTITIES.values()),
        interval_s=INTERVAL_S,
        part=_PARTS[north > MIDDLE[1], east > MIDDLE[0]],
    )
