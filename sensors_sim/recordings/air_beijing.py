"""Twelve air stations of Beijing, hourly, March 2013 to February 2017 (UCI Machine Learning Repository 501).

Columns: No, year, month, day, hour, PM2.5, PM10, SO2, NO2, CO, O3 (µg/m³), TEMP, PRES, DEWP, RAIN, wd, WSPM, station.
The hours are Beijing's (UTC+8, no daylight saving); a reading's event time is the hour that stands in its line.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from config.clock import from_datetime
from config.vocabulary import LocalText
from sensors_sim.recordings.model import Columns, Recording, RecordingError, Site, Station
from sensors_sim.recordings.rows import number, table, whole

INTERVAL_S = 3600.0
BEIJING = timezone(timedelta(hours=8))

QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        "PM2.5": "pm25",
        "PM10": "pm10",
        "SO2": "so2",
        "NO2": "no2",
        "CO": "co_air",
        "O3": "o3",
        "TEMP": "temperature",
        "PRES": "pressure",
        "WSPM": "wind_speed",
        "RAIN": "rain",
    }
)
"""The recording's columns and the quantities they are; all are in the kept units already."""

# The positions published by the Beijing Municipal Environmental Monitoring Centre, as in the station list of the
# KDD Cup 2018 (Fresh Air): WGS-84 degrees to three places, good to some hundred metres.
# fmt: off
_PLACES: Mapping[str, tuple[float, float, str, str]] = MappingProxyType({
    "Aotizhongxin": (116.397, 39.982, "奥体中心", "Olympic Sports Centre"),
    "Changping": (116.230, 40.217, "昌平镇", "Changping Town"),
    "Dingling": (116.220, 40.292, "定陵", "Dingling"),
    "Dongsi": (116.417, 39.929, "东四", "Dongsi"),
    "Guanyuan": (116.339, 39.929, "官园", "Guanyuan"),
    "Gucheng": (116.184, 39.914, "古城", "Gucheng"),
    "Huairou": (116.628, 40.328, "怀柔镇", "Huairou Town"),
    "Nongzhanguan": (116.461, 39.937, "农展馆", "Agricultural Exhibition Hall"),
    "Shunyi": (116.655, 40.127, "顺义新城", "Shunyi New Town"),
    "Tiantan": (116.407, 39.886, "天坛", "Temple of Heaven"),
    "Wanliu": (116.287, 39.987, "海淀区万柳", "Wanliu, Haidian"),
    "Wanshouxigong": (116.352, 39.878, "万寿西宫", "Wanshou West Palace"),
})
# fmt: on


class AirBeijing:
    """See the module."""

    site = Site(
        "BJ", LocalText("北京空气站（回放）", "Beijing air stations (replay)"), ZoneInfo("Asia/Shanghai"), 5_000
    )
    header = frozenset({"year", "month", "day", "hour", "station", *QUANTITIES})
    companion: frozenset[str] = frozenset()

    def read(self, files: Sequence[Path]) -> Recording:
        """See Adapter.read."""
        columns = Columns()
        stations: dict[str, Station] = {}
        for path in files:
            self._read_file(path, columns, stations)
        return columns.recording(list(stations.values()))

    def _read_file(self, path: Path, columns: Columns, stations: dict[str, Station]) -> None:
        names = ("year", "month", "day", "hour", "station", *QUANTITIES)
        series: dict[str, list[int]] = {}
        for line, (year, month, day, hour, station, *cells) in table(path, names):
            if station not in series:
                stations[station] = _station(path, line, station)
                series[station] = [columns.series(station_id(station), quantity) for quantity in QUANTITIES.values()]
            parts = [whole(path, line, name, text) for name, text in zip(names, (year, month, day, hour), strict=False)]
            try:
                moment = datetime(parts[0], parts[1], parts[2], parts[3], tzinfo=BEIJING)
            except ValueError as error:
                raise RecordingError(f"{path}: line {line}: no such hour: {year}-{month}-{day} {hour}") from error
            time_us = from_datetime(moment)
            for row, name, cell in zip(series[station], QUANTITIES, cells, strict=True):
                value = number(path, line, name, cell)
                if value is None:
                    columns.skipped["missing"] += 1
                else:
                    columns.add(row, time_us, value)


def station_id(name: str) -> str:
    """The device id of a station."""
    return f"bj-{name.lower()}"


def _station(path: Path, line: int, name: str) -> Station:
    if name not in _PLACES:
        known = ", ".join(_PLACES)
        raise RecordingError(f"{path}: line {line}: station is {name!r}, expected one of {known}")
    lon, lat, zh, en = _PLACES[name]
    return Station(station_id(name), LocalText(zh, en), lon, lat, tuple(QUANTITIES.values()), INTERVAL_S)
