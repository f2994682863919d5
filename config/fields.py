"""Which sensor the values of a device's field belong to, where devices name their fields themselves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ANY_DEVICE: Final = "*"
"""Stands in the place of a device for all of them."""

PLACEHOLDER: Final = "{device}"
"""Stands in a sensor's name for the device's, where the device may be any."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field of a device, or of any device, and the sensor that it is.

    sensor: a sensor's id; where device is ``*`` a pattern with ``{device}`` in it. unit: of the field's values, None
    where nothing is said of it. factor, offset: value = factor * given + offset, before any unit is converted.
    """

    device: str
    field: str
    sensor: str
    unit: str | None = None
    factor: float = 1.0
    offset: float = 0.0

    def sensor_of(self, device: str) -> str:
        """The id of the sensor where it is this device."""
        return self.sensor.replace(PLACEHOLDER, device) if self.device == ANY_DEVICE else self.sensor


@dataclass(frozen=True, slots=True)
class FieldRules:
    """All rules of a city. named: by device and field. patterns: those for any device, by field."""

    named: Mapping[tuple[str, str], FieldRule]
    patterns: Mapping[str, FieldRule]

    @staticmethod
    def of(rules: Iterable[FieldRule]) -> "FieldRules":
        """The rules by what they are looked up with; of two for one field the last holds."""
        named: dict[tuple[str, str], FieldRule] = {}
        patterns: dict[str, FieldRule] = {}
        for rule in rules:
            if rule.device == ANY_DEVICE:
                patterns[rule.field] = rule
            else:
                named[rule.device, rule.field] = rule
        return FieldRules(MappingProxyType(named), MappingProxyType(patterns))

    def __len__(self) -> int:
        return len(self.named) + len(self.patterns)


NO_RULES: Final = FieldRules.of(())
"""Of a city whose devices name sensors themselves."""
