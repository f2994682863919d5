"""Limits: the values at which the law, a standard or a site's engineer wants somebody to come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from config.vocabulary import Severity


class Side(StrEnum):
    """Which side of the threshold is bad."""

    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Limit:
    """One step of a limit.

    threshold: reached or passed means over it. clear_at: the value that must be reached again before it counts
    as over (hysteresis; below the threshold for HIGH, above it for LOW). hold_s: how long readings must stay
    over it, by event time, before it is raised. source: the standard, or who set it.
    """

    quantity: str
    side: Side
    severity: Severity
    threshold: float
    clear_at: float
    hold_s: float
    source: str

    def __post_init__(self) -> None:
        """Refuse a limit that could never clear. Raises ValueError."""
        if (self.clear_at > self.threshold) if self.side is Side.HIGH else (self.clear_at < self.threshold):
            raise ValueError(
                f"{self.quantity}: a {self.side} limit of {self.threshold} cannot clear at {self.clear_at}"
            )
        if self.hold_s < 0:
            raise ValueError(f"{self.quantity}: hold_s is {self.hold_s}, expected 0 or more")


_GAS = "GB/T 50493-2019"
_TOXIC = "GB/T 50493-2019, GBZ 2.1-2019"  # 100 % and 200 % of the short-term exposure limit
_AIR = "HJ 633-2012"  # air quality index above 200, above 300, above 400
_SCORE = "厂商建议 / camera maker's advice"

DEFAULT_LIMITS: tuple[Limit, ...] = (
    Limit("ch4", Side.HIGH, Severity.MAJOR, 25, 20, 0, _GAS),
    Limit("ch4", Side.HIGH, Severity.EXTREME, 50, 40, 0, _GAS),
    Limit("co", Side.HIGH, Severity.MAJOR, 26, 20, 0, _TOXIC),  # 30 mg/m³ at 25 °C
    Limit("co", Side.HIGH, Severity.EXTREME, 52, 40, 0, _TOXIC),
    Limit("h2s", Side.HIGH, Severity.MAJOR, 7.2, 5.5, 0, _TOXIC),  # ceiling 10 mg/m³ at 25 °C
    Limit("h2s", Side.HIGH, Severity.EXTREME, 14.4, 11, 0, _TOXIC),
    Limit("o2", Side.LOW, Severity.MAJOR, 19.5, 20, 0, _GAS),
    Limit("o2", Side.LOW, Severity.EXTREME, 18, 18.5, 0, "GB 8958-2006"),
    Limit("o2", Side.HIGH, Severity.MAJOR, 23.5, 23, 0, _GAS),
    Limit("pm25", Side.HIGH, Severity.GENERAL, 150, 130, 600, _AIR),
    Limit("pm25", Side.HIGH, Severity.LARGER, 250, 220, 600, _AIR),
    Limit("pm25", Side.HIGH, Severity.MAJOR, 350, 320, 600, _AIR),
    Limit("pm10", Side.HIGH, Severity.GENERAL, 350, 320, 600, _AIR),
    Limit("pm10", Side.HIGH, Severity.LARGER, 420, 390, 600, _AIR),
    Limit("pm10", Side.HIGH, Severity.MAJOR, 500, 460, 600, _AIR),
    Limit("tilt", Side.HIGH, Severity.LARGER, 4, 3.5, 120, "GB 50007-2011"),  # table 5.3.4: 4 ‰, up to 24 m high
    Limit("tilt", Side.HIGH, Severity.MAJOR, 10, 9, 120, "JGJ 125-2016"),  # inclination of 1 %
    Limit("smoke_score", Side.HIGH, Severity.MAJOR, 0.8, 0.5, 10, _SCORE),
    Limit("fire_score", Side.HIGH, Severity.EXTREME, 0.8, 0.5, 5, _SCORE),
    Limit("help_button", Side.HIGH, Severity.MAJOR, 1, 0, 0, "一键求助 / help button"),
)
"""What holds where the city says nothing else."""


@dataclass(frozen=True, slots=True)
class LimitTable:
    """The limits of a city: by sensor where the site's engineer set some, else by quantity."""

    by_quantity: Mapping[str, tuple[Limit, ...]]
    by_sensor: Mapping[str, tuple[Limit, ...]]

    def of(self, sensor_id: str, quantity: str) -> tuple[Limit, ...]:
        """The limits that hold for a sensor, mildest first; empty where none is set."""
        own = self.by_sensor.get(sensor_id)
        return own if own is not None else self.by_quantity.get(quantity, ())


def limit_table(
    limits: Iterable[Limit] = DEFAULT_LIMITS, by_sensor: Mapping[str, Iterable[Limit]] = MappingProxyType({})
) -> LimitTable:
    """Put limits into a table, mildest step first."""

    def ordered(steps: Iterable[Limit]) -> tuple[Limit, ...]:
        return tuple(sorted(steps, key=lambda limit: (limit.side, -limit.severity)))

    grouped: dict[str, list[Limit]] = {}
    for limit in limits:
        grouped.setdefault(limit.quantity, []).append(limit)
    return LimitTable(
        MappingProxyType({quantity: ordered(steps) for quantity, steps in grouped.items()}),
        MappingProxyType({sensor: ordered(steps) for sensor, steps in by_sensor.items()}),
    )
