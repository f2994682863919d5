"""``limits.csv``: the values at which somebody must come, where the city sets its own."""

from collections.abc import Collection, Mapping
from pathlib import Path

from config.limits import DEFAULT_LIMITS, Limit, LimitTable, Side, limit_table
from config.problems import FileProblems, join
from config.quantities import QUANTITIES
from config.sensor_files import FILE, SensorRows
from config.tables import Row, Table, number, read_bytes
from config.vocabulary import Severity

LIMITS_FILE = "limits.csv"
LIMITS_TABLE = Table(
    columns=("sensor", "quantity", "side", "severity", "threshold", "clear_at", "hold_s", "source"),
    optional=frozenset({"sensor"}),
)


SEVERITIES: Mapping[str, Severity] = {severity.name.lower(): severity for severity in Severity}
"""How a severity is written in files."""


def read_limits(folder: Path, sensors: SensorRows, problems: FileProblems) -> LimitTable:
    """The limits of the city: the defaults, but for each quantity or sensor in the file its own steps instead."""
    path = folder / LIMITS_FILE
    if not path.exists():
        return limit_table()
    data = read_bytes(path, problems)
    rows = list(LIMITS_TABLE.rows(data, problems)) if data is not None else []
    wanted = {row["sensor"] for row in rows}
    columns = sensors.sensors
    standing = None if sensors.known is None else wanted.intersection(sensors.known)
    measured = {id_: columns.quantity[row] for row, id_ in enumerate(columns.ids) if id_ in wanted} if wanted else {}
    by_quantity: dict[str, list[Limit]] = {}
    by_sensor: dict[str, list[Limit]] = {}
    seen: dict[tuple[str, str, Side, Severity], int] = {}
    for row in rows:
        limit, sensor = _read_limit(row, problems), row["sensor"]
        if (sensor and not _fits(row, standing, measured, problems)) or limit is None:
            continue
        first = seen.setdefault((sensor, limit.quantity, limit.side, limit.severity), row.line)
        if first != row.line:
            found = f"{sensor or limit.quantity} {limit.side} {limit.severity.name.lower()}"
            problems.error("duplicate_id", row=row.line, field="severity", found=found, first=first)
        elif sensor:
            by_sensor.setdefault(sensor, []).append(limit)
        else:
            by_quantity.setdefault(limit.quantity, []).append(limit)
    kept = [limit for limit in DEFAULT_LIMITS if limit.quantity not in by_quantity]
    return limit_table([*kept, *(limit for steps in by_quantity.values() for limit in steps)], by_sensor)


def _fits(row: Row, standing: Collection[str] | None, measured: Mapping[str, str], problems: FileProblems) -> bool:
    sensor, quantity = row["sensor"], row["quantity"]
    if standing is not None and sensor not in standing:
        problems.error("unknown_reference", row=row.line, field="sensor", found=sensor, target=FILE)
        return False
    actual = measured.get(sensor, quantity)  # a sensor left out for a mistake has its word already
    if quantity in QUANTITIES and actual != quantity:
        problems.error("limit_quantity", row=row.line, field="quantity", found=quantity, sensor=sensor, quantity=actual)
        return False
    return True


def _read_limit(row: Row, problems: FileProblems) -> Limit | None:
    quantity = QUANTITIES.get(row["quantity"])
    choices: Mapping[str, list[str]] = {
        "quantity": list(QUANTITIES),
        "side": [side.value for side in Side],
        "severity": list(SEVERITIES),
    }
    wrong = False
    for column, allowed in choices.items():
        if row[column] not in allowed:
            code = "unknown_choice" if row[column] else "missing_value"
            problems.error(code, row=row.line, field=column, found=row[column], choices=join(allowed))
            wrong = True
    numbers = {column: number(row[column]) for column in ("threshold", "clear_at", "hold_s")}
    for column, value in numbers.items():
        if value is None:
            code = "not_a_number" if row[column] else "missing_value"
            problems.error(code, row=row.line, field=column, found=row[column])
            wrong = True
    if not row["source"]:
        problems.error("missing_value", row=row.line, field="source")
        wrong = True
    threshold, clear_at, hold_s = numbers.values()
    if wrong or quantity is None or threshold is None or clear_at is None or hold_s is None:
        return None
    side = Side(row["side"])
    if hold_s < 0:
        problems.error("negative", row=row.line, field="hold_s", found=row["hold_s"])
        return None
    if not quantity.low <= threshold <= quantity.high:
        bounds = {"low": f"{quantity.low:g}", "high": f"{quantity.high:g}", "unit": quantity.unit}
        problems.error("limit_outside_range", row=row.line, field="threshold", found=row["threshold"], **bounds)
        return None
    if (clear_at > threshold) if side is Side.HIGH else (clear_at < threshold):
        code = "limit_clears_above" if side is Side.HIGH else "limit_clears_below"
        problems.error(code, row=row.line, field="clear_at", found=row["clear_at"], threshold=row["threshold"])
        return None
    return Limit(quantity.name, side, SEVERITIES[row["severity"]], threshold, clear_at, hold_s, row["source"])
