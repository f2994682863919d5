"""What an InfluxDB, or what stands in for one, says about itself."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from config.city import City
from config.errors import RetryableError
from config.settings import Influx1StoreSettings, Retention
from ingest.store_influx_places import Policy, kept_hours
from ingest.store_influx_rollups import name
from ingest.store_info import Arrangement, Note, PlaceInfo, StoreInfo, notes_on

_NEARLY = 0.9
_METRIC = re.compile(rb"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
READINGS = "readings"


class Asks(Protocol):
    """Asks a server over HTTP."""

    def get(self, path: str) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers of an answer."""
        ...

    def query(self, *statements: str, database: str | None = None) -> list[list[dict[str, Any]]]:
        """The series that each InfluxQL statement found."""
        ...


def policy_of(place: str | None, there: Mapping[str, Policy]) -> Policy | None:
    """The retention policy that is a place; that of the readings is the default one."""
    if place is not None:
        return there.get(place)
    return next((policy for policy in there.values() if policy.default), None)


def influx1_info(asks: Asks, settings: Influx1StoreSettings, city: City, there: Mapping[str, Policy]) -> StoreInfo:
    """An InfluxDB 1.x with a database that is there. Raises GridwhistleError."""
    _, _, headers = asks.get("/ping")
    database = settings.database
    sizes = _sizes(asks, database)
    places = []
    for place, hours in kept_hours(settings).items():
        policy = policy_of(place, there)
        size = None if policy is None else sizes.get(policy.name, 0)
        places.append(PlaceInfo(place or READINGS, hours, None if policy is None else policy.hours, size))
    series = None
    if there:
        (counted,) = asks.query(f"SHOW SERIES CARDINALITY ON {name(database)}")
        series = int(counted[0]["values"][0][0]) if counted else 0
    notes = [*notes_on(places), *_limits(asks, city, series or 0), *_earlier_model(asks, database, there)]
    return StoreInfo("InfluxDB", headers.get("X-Influxdb-Version", "?"), settings.url, places, series, notes=notes)


def _sizes(asks: Asks, database: str) -> dict[str, int]:
    """Bytes on disk by retention policy."""
    sizes: Counter[str] = Counter()
    (shards,) = asks.query("SHOW STATS FOR 'shard'")
    for one in shards:
        if one["tags"].get("database") == database:
            row = dict(zip(one["columns"], one["values"][0], strict=True))
            sizes[one["tags"]["retentionPolicy"]] += int(row.get("diskBytes", 0))
    return dict(sizes)


def _limits(asks: Asks, city: City, series: int) -> list[Note]:
    """Whether the limits of the server's settings have room for the city."""
    (found,) = asks.query("SHOW DIAGNOSTICS FOR 'config-data'")
    if not found:
        return []
    data = dict(zip(found[0]["columns"], found[0]["values"][0], strict=True))
    notes = []
    values, most = data.get("max-values-per-tag", 0), data.get("max-series-per-database", 0)
    for quantity, sensors in _per_quantity(city).items():
        if values and sensors > _NEARLY * values:
            notes.append(Note("max_values", {"quantity": quantity, "sensors": sensors, "limit": values}))
    needed = max(series, len(city.sensors))
    if most and needed > _NEARLY * most:
        notes.append(Note("max_series", {"series": needed, "limit": most}))
    return notes


def _per_quantity(city: City) -> dict[str, int]:
    """How many sensors measure each quantity."""
    quantity = city.columns.quantity
    counted = np.bincount(quantity.code, minlength=len(quantity.names)).tolist()
    return dict(zip(quantity.names, counted, strict=True))


def _earlier_model(asks: Asks, database: str, there: Mapping[str, Policy]) -> list[Note]:
    """Whether there are readings with more tags than the sensor (version 0.1): they are read, but stay series apart."""
    if not there:
        return []
    (found,) = asks.query(f"SHOW TAG KEYS ON {name(database)}")
    keys = {row[0] for one in found for row in one["values"]}
    return [Note("earlier_model")] if keys & {"grid", "kind"} else []


def influx2_info(asks: Asks, address: str, places: Sequence[PlaceInfo]) -> StoreInfo:
    """An InfluxDB 2.x or 3.x; of its series and sizes nothing can be asked. No places: it knows no buckets (3.x)."""
    _, _, headers = asks.get("/ping")
    notes = notes_on(places) if places else [Note("no_buckets")]
    return StoreInfo("InfluxDB", headers.get("X-Influxdb-Version", "?"), address, places, notes=notes)


def victoria_info(asks: Asks, address: str, retention: Retention) -> StoreInfo:
    """A VictoriaMetrics. Raises RetryableError where it is something else that does not understand InfluxQL."""
    status, said, _ = asks.get("/metrics")
    metrics = [
        (metric.decode(), dict(_LABEL.findall(labels.decode())), value)
        for metric, labels, value in _METRIC.findall(said)
    ]
    version = next((labels for metric, labels, _ in metrics if metric == "vm_app_version"), None)
    if status != 200 or version is None:
        raise RetryableError(f"{address} takes readings, but is neither InfluxDB nor VictoriaMetrics")
    period = next(
        (
            labels["value"]
            for metric, labels, _ in metrics
            if metric == "flag" and labels.get("name") == "retentionPeriod"
        ),
        "",
    )

    def summed(wanted: str) -> int:
        parts = [float(value) for metric, labels, value in metrics if metric == wanted and "storage/" in labels["type"]]
        return round(sum(parts))

    wanted = kept_hours(retention)[None]
    place = PlaceInfo(READINGS, wanted, period_hours(period), summed("vm_data_size_bytes"), summed("vm_rows"))
    notes = [Note("no_influxql"), Note("retention_flag", {"days": f"{wanted / 24:g}", "found": period or "?"})]
    number = version.get("short_version") or version.get("version") or "?"
    return StoreInfo("VictoriaMetrics", number, address, [place], notes=notes)


def victoria_arrangement(retention: Retention) -> Arrangement:
    """Nothing can be set up from outside."""
    days = f"{kept_hours(retention)[None] / 24:g}"
    return Arrangement([], [Note("no_influxql"), Note("retention_flag", {"days": days, "found": "?"})])


def period_hours(period: str) -> int | None:
    """Hours of VictoriaMetrics' retention period: a number of months (31 days) or with h, d, w or y behind it.

    >>> period_hours("30d"), period_hours("1"), period_hours("100y")
    (720, 744, 876000)
    """
    found = re.fullmatch(r"([\d.]+)([hdwy]?)", period)
    if found is None:
        return None
    hours = {"h": 1, "d": 24, "w": 168, "y": 8760, "": 744}[found[2]]
    return round(float(found[1]) * hours)
