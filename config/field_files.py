"""``fields.csv``: which sensor each field of a device is, for devices that know nothing of the city's sensor ids."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config.fields import ANY_DEVICE, NO_RULES, PLACEHOLDER, FieldRule, FieldRules
from config.problems import FileProblems, join
from config.quantities import QUANTITIES
from config.sensor_files import FILE, SensorRows
from config.tables import Table, number, read_bytes

FIELDS_FILE = "fields.csv"
FIELDS_TABLE = Table(
    columns=("device", "field", "sensor", "unit", "factor", "offset"),
    optional=frozenset({"unit", "factor", "offset"}),
)


def read_fields(folder: Path, sensors: SensorRows, problems: FileProblems) -> FieldRules:
    """The rules of the city; none where there is no file. A line with a mistake is left out."""
    path = folder / FIELDS_FILE
    if not path.exists():
        return NO_RULES
    data = read_bytes(path, problems)
    if data is None:
        return NO_RULES
    reader = _Reader(problems, sensors, dict(zip(sensors.sensors.ids, range(len(sensors.sensors)), strict=True)))
    rules = [reader.rule(line, cells) for line, cells in FIELDS_TABLE.cells(data, problems)]
    return FieldRules.of(rule for rule in rules if rule is not None)


@dataclass(slots=True)
class _Reader:
    """Reads and checks the lines. index: rows of sensors by id. fields, named: lines of every field, every sensor."""

    problems: FileProblems
    sensors: SensorRows
    index: dict[str, int]
    fields: dict[tuple[str, str], int] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)

    def rule(self, line: int, cells: Sequence[str]) -> FieldRule | None:
        """What a line says; None where it is wrong. Every mistake in it is written down."""
        device, name, sensor, unit, factor_text, offset_text = cells
        given = {"device": device, "field": name, "sensor": sensor}
        for column, text in given.items():
            if not text:
                self.problems.error("missing_value", row=line, field=column)
        factor = self._number(line, "factor", factor_text, 1.0)
        offset = self._number(line, "offset", offset_text, 0.0)
        if factor == 0:
            self.problems.error("zero_factor", row=line, field="factor", found=factor_text)
        if not all(given.values()) or not factor or offset is None:
            return None
        rule = FieldRule(device, name, sensor, unit or None, factor, offset)
        good = self._once(line, rule) and self._pattern(line, rule)
        return rule if good and self._measured(line, rule) else None

    def _number(self, line: int, column: str, text: str, left_out: float) -> float | None:
        value = number(text) if text else left_out
        if value is None:
            self.problems.error("not_a_number", row=line, field=column, found=text)
        return value

    def _once(self, line: int, rule: FieldRule) -> bool:
        first = self.fields.setdefault((rule.device, rule.field), line)
        if first != line:
            self.problems.error(
                "duplicate_id", row=line, field="field", found=f"{rule.device}, {rule.field}", first=first
            )
        return first == line

    def _pattern(self, line: int, rule: FieldRule) -> bool:
        if rule.device == ANY_DEVICE and PLACEHOLDER not in rule.sensor:
            self.problems.error(
                "pattern_without_device", row=line, field="sensor", found=rule.sensor, placeholder=PLACEHOLDER
            )
            return False
        return True

    def _measured(self, line: int, rule: FieldRule) -> bool:
        """Whether the unit is one of the sensor's quantity, or of each sensor that fits the pattern."""
        quantities = self._quantities(line, rule)
        for name in sorted(quantities):
            quantity = QUANTITIES[name]
            if quantity.factor(rule.unit) is None:
                choices = join([quantity.unit, *quantity.conversions])
                self.problems.error(
                    "unknown_unit", row=line, field="unit", found=rule.unit, choices=choices, quantity=name
                )
                return False
        return True

    def _quantities(self, line: int, rule: FieldRule) -> Collection[str]:
        columns, known = self.sensors.sensors, self.sensors.known
        if rule.device == ANY_DEVICE:
            before, after = rule.sensor.split(PLACEHOLDER)[0], rule.sensor.split(PLACEHOLDER)[-1]
            shortest = len(before) + len(after) + 1
            rows = [
                row
                for id_, row in self.index.items()
                if len(id_) >= shortest and id_.startswith(before) and id_.endswith(after)
            ]
            if not rows and known is not None:
                self.problems.warning("pattern_fits_none", row=line, field="sensor", found=rule.sensor, target=FILE)
            return {columns.quantity.names[code] for code in set(columns.quantity.code[rows].tolist())}
        row = self.index.get(rule.sensor)
        if row is None:
            if known is not None and rule.sensor not in known:  # one left out for a mistake has its word already
                self.problems.warning("unknown_reference", row=line, field="sensor", found=rule.sensor, target=FILE)
            return ()
        first = self.named.setdefault(rule.sensor, line)
        if first != line:
            self.problems.warning("sensor_of_two_fields", row=line, field="sensor", found=rule.sensor, first=first)
        return (columns.quantity[row],)
