"""From a device's fields to the city's sensors: what is wanted, what is passed over, and devices that nobody lists."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from config.city import City
from ingest.formats.columns import Decoded, Unread
from ingest.model import Bools, Int32s

_REMEMBERED: Final = 500_000
_REMEMBERED_LETTERS: Final = 50_000_000
"""Fields whose answer is kept, and letters of them and of their devices; beyond either the memory starts anew, so that
made-up devices cannot fill it."""

UNWANTED: Final = -1
MISSING: Final = -2


@dataclass(frozen=True, slots=True)
class Stranger:
    """A device that nobody lists, in one message. message: its number in the payloads given."""

    message: int
    device: str
    fields: Sequence[str]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is wanted of some decoded messages.

    decoded: only the wanted readings, their values and units as the city's table says, and refusals worth keeping,
    naming sensors. sensor: rows of the readings' sensors, -1 where the table names one that is not configured. shape
    (readings,). passed_over: fields of listed devices that nobody asked for.
    """

    decoded: Decoded
    sensor: Int32s
    passed_over: int
    strangers: Sequence[Stranger]


class _Found:
    """What is known of the fields seen so far, as columns by code. row: UNWANTED, MISSING or a sensor's row."""

    def __init__(self) -> None:
        self.code: dict[tuple[str, str], int] = {}  # by device and id: two devices may make one id of their fields
        self.listed: dict[str, bool] = {}  # by device
        self.unit: list[str | None] = []
        self.letters = 0
        self.row = np.zeros(1024, np.int32)  # both longer than what is known
        self.scale = np.zeros((1024, 2), np.float64)  # factor and offset

    def add(self, device: str, field_id: str, row: int, scale: tuple[float, float], unit: str | None) -> int:
        """Remember a field; its code."""
        code = len(self.unit)
        if code == len(self.row):
            self.row = np.concatenate([self.row, np.zeros_like(self.row)])
            self.scale = np.concatenate([self.scale, np.zeros_like(self.scale)])
        self.code[device, field_id] = code
        self.letters += len(device) + len(field_id)
        self.row[code], self.scale[code] = row, scale
        self.unit.append(unit)
        return code


class FieldTable:
    """Looks up fields, and remembers the answers: about 0.3 µs a reading."""

    def __init__(self, city: City) -> None:
        self._rules = city.fields
        self._index = city.sensor_index
        self._ids = city.columns.ids
        self._found = _Found()

    def resolve(self, decoded: Decoded) -> Resolved:
        """Take of decoded messages of a device format what the city wants."""
        codes = self._codes(decoded.ids, decoded.devices or ())
        row = self._found.row[codes]
        wanted = row != UNWANTED
        unread, strange, passed_over = self._sorted_unread(decoded.unread)
        if not wanted.all():
            for place in np.flatnonzero(~wanted).tolist():
                device = (decoded.devices or ())[place]
                if self.is_listed(device):
                    passed_over += 1
                else:
                    field = decoded.ids[place][len(device) + 1 :]
                    strange.setdefault((int(decoded.message[place]), device), []).append(field)
            decoded, row, codes = _taken(decoded, wanted), row[wanted], codes[wanted]
        if (row == MISSING).any():
            ids = [self._said(one, device) for one, device in zip(decoded.ids, decoded.devices or (), strict=True)]
            decoded = replace(decoded, ids=ids)
        strangers = [Stranger(message, device, fields) for (message, device), fields in strange.items()]
        return Resolved(
            replace(self._measured(decoded, codes), unread=unread), np.maximum(row, -1), passed_over, strangers
        )

    def sensor(self, field_id: str, device: str) -> int:
        """The row of the sensor that a field is: UNWANTED or MISSING where it is none."""
        code = self._code(field_id, device)
        return int(self._found.row[code])

    def _codes(self, ids: Sequence[str], devices: Sequence[str]) -> Int32s:
        if len(self._found.code) > _REMEMBERED or self._found.letters > _REMEMBERED_LETTERS:
            self._found = _Found()
        known = self._found.code
        codes = [known.get(pair, -1) for pair in zip(devices, ids, strict=True)]
        if -1 in codes:
            codes = [self._code(one, device) for one, device in zip(ids, devices, strict=True)]
        return np.array(codes, np.int32)

    def _code(self, field_id: str, device: str) -> int:
        code = self._found.code.get((device, field_id))
        return self._found.add(device, field_id, *self.look_up(field_id, device)) if code is None else code

    def look_up(self, field_id: str, device: str) -> tuple[int, tuple[float, float], str | None]:
        """(row of the field's sensor, UNWANTED or MISSING; factor and offset; unit) as the city's table says."""
        field = field_id[len(device) + 1 :]
        rule = self._rules.named.get((device, field))
        if rule is not None:
            return self._index.get(rule.sensor, MISSING), (rule.factor, rule.offset), rule.unit
        rule = self._rules.patterns.get(field)
        if rule is not None:
            row = self._index.get(rule.sensor_of(device))
            if row is not None:
                return row, (rule.factor, rule.offset), rule.unit
        return self._index.get(field_id, UNWANTED), (1.0, 0.0), None

    def _said(self, field_id: str, device: str) -> str:
        """A field's id, or what the table calls it where it names a sensor that there is not."""
        rule = self._rules.named.get((device, field_id[len(device) + 1 :]))
        missing = rule is not None and rule.sensor not in self._index
        return f"{rule.sensor} ({field_id} in fields.csv)" if rule is not None and missing else field_id

    def is_listed(self, device: str) -> bool:
        """Whether anything of a device is wanted: by the table, or by a sensor whose id begins with its name."""
        listed = self._found.listed.get(device)
        if listed is None:
            listed = device in self._listing or any(
                rule.sensor_of(device) in self._index for rule in self._rules.patterns.values()
            )
            self._found.listed[device] = listed
            self._found.letters += len(device)
        return listed

    @cached_property
    def _listing(self) -> frozenset[str]:
        """Every device that the table names, and every beginning of a sensor's id that could be one."""
        devices = {rule.device for rule in self._rules.named.values()}
        for one in self._ids:
            at = one.find("/")
            while at >= 0:
                devices.add(one[:at])
                at = one.find("/", at + 1)
        return frozenset(devices)

    def _sorted_unread(self, unread: Sequence[Unread]) -> tuple[list[Unread], dict[tuple[int, str], list[str]], int]:
        """(refusals worth keeping, fields of strangers by message and device, fields that nobody asked for)."""
        kept: list[Unread] = []
        strange: dict[tuple[int, str], list[str]] = {}
        passed_over = 0
        for one in unread:
            if one.device is None or one.sensor_id is None:
                kept.append(one)
                continue
            row = self.sensor(one.sensor_id, one.device)
            if row != UNWANTED:
                kept.append(replace(one, sensor_id=self._ids[row] if row >= 0 else None))
            elif self.is_listed(one.device):
                passed_over += 1
            else:
                strange.setdefault((one.message, one.device), []).append(one.sensor_id[len(one.device) + 1 :])
        return kept, strange, passed_over

    def _measured(self, decoded: Decoded, codes: Int32s) -> Decoded:
        """The readings with what the table says of their values and units."""
        scale, unit = self._found.scale[codes], self._found.unit
        with np.errstate(over="ignore"):  # an infinite result is out of every range
            value = scale[:, 0] * decoded.value + scale[:, 1]
        said = [unit[code] for code in codes.tolist()]
        units = said if decoded.units is None else [a or b for a, b in zip(decoded.units, said, strict=True)]
        return replace(decoded, value=value, units=None if units.count(None) == len(units) else units)


def _taken(decoded: Decoded, keep: Bools) -> Decoded:
    """The readings named by a mask."""
    rows = np.flatnonzero(keep).tolist()
    ids, units, sequence, devices = decoded.ids, decoded.units, decoded.sequence, decoded.devices
    return replace(
        decoded,
        message=decoded.message[keep],
        ids=[ids[row] for row in rows],
        event_us=decoded.event_us[keep],
        value=decoded.value[keep],
        units=None if units is None else [units[row] for row in rows],
        quality=decoded.quality[keep],
        sequence=None if sequence is None else [sequence[row] for row in rows],
        devices=None if devices is None else [devices[row] for row in rows],
    )
