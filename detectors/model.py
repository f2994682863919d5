"""What flows out of this room: verdicts about one condition on one sensor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from config.vocabulary import Severity


class Nature(StrEnum):
    """What a deviation is taken for."""

    EVENT = "event"  # something is wrong with the world: the grid worker's
    FAULT = "fault"  # something is wrong with the sensor: maintenance's
    UNKNOWN = "unknown"  # not told apart yet: shown, but nobody is called


class Condition(StrEnum):
    """What can be the matter with one sensor's readings. A sensor has each at most once at a time."""

    HIGH = "high"  # at or over a high limit
    LOW = "low"  # at or under a low limit
    UNUSUAL = "unusual"  # outside what is usual for this sensor
    STUCK = "stuck"  # the same value for longer than the world allows
    SPIKING = "spiking"  # single readings that jump away and back
    NOISY = "noisy"  # scatters far more than is usual for this sensor
    OUT_OF_RANGE = "out_of_range"  # keeps sending values that no world can have
    SILENT = "silent"  # does not send


class Phase(StrEnum):
    """What a verdict says of its condition."""

    RAISED = "raised"
    CHANGED = "changed"  # severity or nature is another one now
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as a key into the tables of messages and what to fill in (numbers already in the kept unit)."""

    key: str
    params: Mapping[str, str | float | int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition of a sensor that began, changed or ended.

    sensor: index into City.sensors. score: how unlikely, as -log10 of the tail probability (>= 0; 3 is one in a
    thousand), infinite where a limit of the law is passed. value: the reading that decided. expected_low,
    expected_high: the range expected then, in the kept unit. since_us, at_us: event times of the first reading that
    speaks and of the one that decided. detector: its name in the registry. neighbours: indices of the sensors asked.
    """

    sensor: int
    condition: Condition
    phase: Phase
    nature: Nature
    severity: Severity
    score: float
    value: float
    expected_low: float
    expected_high: float
    since_us: int
    at_us: int
    detector: str
    reason: Reason
    neighbours: tuple[int, ...] = ()
