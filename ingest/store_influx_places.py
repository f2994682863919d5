"""Where an InfluxDB keeps what: retention policies of 1.x, buckets of 2.x, and for how long."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from config.settings import Retention
from ingest.rollups import FIVE_MINUTES, HOURS
from ingest.store_influx_rollups import name

STATE = "state"
"""The place of what we note for ourselves; kept for ever."""

PLACES: tuple[str | None, ...] = (None, FIVE_MINUTES.name, HOURS.name, STATE)
"""Of the readings (in 1.x the database's default retention policy), of the aggregates, of our own notes."""

_UNITS = {"h": 1.0, "m": 1 / 60, "s": 1 / 3600}


@dataclass(frozen=True, slots=True)
class Policy:
    """A retention policy of 1.x. duration: as the server says it ("720h0m0s"; "0s" keeps for ever)."""

    name: str
    duration: str
    default: bool

    @property
    def hours(self) -> int:
        """Hours that it keeps, 0 for ever."""
        found = re.findall(r"(\d+)([hms])", self.duration)
        return round(sum(int(number) * _UNITS[unit] for number, unit in found))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of 2.x. wanted_seconds: how long it should keep what is in it; seconds: how long it does, 0 for ever.

    seconds is None where there is no such bucket.
    """

    name: str
    wanted_seconds: int
    seconds: int | None


def kept_hours(retention: Retention) -> dict[str | None, int]:
    """Whole hours, at least one, that each place keeps (None: that of the readings; 0: for ever)."""
    days = {None: retention.raw_days, FIVE_MINUTES.name: retention.five_minutes_days, HOURS.name: retention.hours_days}
    return {**{place: max(1, math.ceil(kept * 24)) for place, kept in days.items()}, STATE: 0}


def bucket_seconds(retention: Retention) -> dict[str | None, int]:
    """Seconds that each place keeps, 0 for ever."""
    return {place: hours * 3600 for place, hours in kept_hours(retention).items()}


def _lasting(hours: int) -> str:
    """Duration and shard duration: InfluxDB's own rule up to a year, then a month (fewer, larger files)."""
    if hours == 0:
        return "DURATION INF REPLICATION 1 SHARD DURATION 30d"
    shard = "1h" if hours < 48 else "1d" if hours <= 183 * 24 else "7d" if hours <= 400 * 24 else "30d"
    return f"DURATION {hours}h REPLICATION 1 SHARD DURATION {shard}"


def missing_policies(database: str, there: Mapping[str, Policy]) -> list[str]:
    """What creates the database (where it has no policies) and the policies that are missing.

    They keep everything for ever: a replay of old recordings would be refused by any other. ``store init`` limits them.
    """
    made = [] if there else [f"CREATE DATABASE {name(database)}"]
    return made + [
        f"CREATE RETENTION POLICY {name(place)} ON {name(database)} {_lasting(0)}"
        for place in PLACES
        if place is not None and place not in there
    ]


def changed_policies(database: str, retention: Retention, there: Mapping[str, Policy]) -> dict[str, str]:
    """By name of each policy that keeps something for another time than it should: what changes that."""
    default = next((policy.name for policy in there.values() if policy.default), None)
    changes = {}
    for place, hours in kept_hours(retention).items():
        policy = there.get(place if place is not None else default or "")
        if policy is not None and policy.hours != hours:
            statement = f"ALTER RETENTION POLICY {name(policy.name)} ON {name(database)} {_lasting(hours)}"
            changes[policy.name] = statement
    return changes
