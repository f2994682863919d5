"""Between the ledger's rows and the dataclasses of ``alerting.model``."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from alerting.model import (
    Action,
    Alarm,
    AlarmState,
    EventState,
    FaultTicket,
    GridEvent,
    Responsible,
    Subject,
    TicketState,
    TrailEntry,
)
from config.clock import to_datetime
from config.vocabulary import Category, LocalText, Role, Severity
from detectors.model import Condition, Nature, Reason

Row = RowMapping


def number_or_none(value: float) -> float | None:
    """NaN has no place in SQL: what is not known is NULL."""
    return None if math.isnan(value) else float(value)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def finite(value: float) -> float | None:
    """A number for JSON, which knows neither NaN nor infinity; None for those."""
    return float(value) if math.isfinite(value) else None


def local_day(time_us: int, zone: ZoneInfo) -> int:
    """The local date as YYYYMMDD.

    >>> local_day(1_769_875_200_000_000, ZoneInfo("Asia/Shanghai"))
    20260201
    """
    local: datetime = to_datetime(time_us).astimezone(zone)
    return local.year * 10_000 + local.month * 100 + local.day


def event_code(day: int, number: int) -> str:
    """What people call an event.

    >>> event_code(20260131, 7)
    'GW-20260131-0007'
    """
    return f"GW-{day}-{number:04d}"


def ticket_code(day: int, number: int) -> str:
    """What people call a fault ticket.

    >>> ticket_code(20260131, 7)
    'FT-20260131-0007'
    """
    return f"FT-{day}-{number:04d}"


def alarm_row(alarm: Alarm) -> dict[str, Any]:
    """The row of an alarm."""
    return {
        "id": alarm.id,
        "sensor_id": alarm.sensor_id,
        "condition": alarm.condition.value,
        "nature": alarm.nature.value,
        "severity": int(alarm.severity),
        "state": alarm.state.value,
        "raised_us": alarm.raised_us,
        "cleared_us": alarm.cleared_us,
        "acknowledged_us": alarm.acknowledged_us,
        "acknowledged_by": alarm.acknowledged_by,
        "since_us": alarm.since_us,
        "at_us": alarm.at_us,
        "last_us": alarm.last_us,
        "value": number_or_none(alarm.value),
        "expected_low": number_or_none(alarm.expected_low),
        "expected_high": number_or_none(alarm.expected_high),
        "score": number_or_none(alarm.score),
        "detector": alarm.detector,
        "reason_key": alarm.reason.key,
        "reason_params": plain(alarm.reason.params),
        "event_id": alarm.event_id,
        "ticket_id": alarm.ticket_id,
    }


def alarm_of(row: Row) -> Alarm:
    """The alarm of a row."""
    return Alarm(
        id=row["id"],
        sensor_id=row["sensor_id"],
        condition=Condition(row["condition"]),
        nature=Nature(row["nature"]),
        severity=Severity(row["severity"]),
        state=AlarmState(row["state"]),
        raised_us=row["raised_us"],
        cleared_us=row["cleared_us"],
        acknowledged_us=row["acknowledged_us"],
        acknowledged_by=row["acknowledged_by"],
        since_us=row["since_us"],
        at_us=row["at_us"],
        last_us=row["last_us"],
        value=_number(row["value"]),
        expected_low=_number(row["expected_low"]),
        expected_high=_number(row["expected_high"]),
        score=_number(row["score"]),
        detector=row["detector"],
        reason=Reason(row["reason_key"], MappingProxyType(dict(row["reason_params"]))),
        event_id=row["event_id"],
        ticket_id=row["ticket_id"],
    )


def event_of(row: Row, line: Iterable[Row], alarms: Iterable[Alarm] = ()) -> GridEvent:
    """The grid event of a row, its line in order, and its alarms."""
    return GridEvent(
        id=row["id"],
        code=event_code(row["day"], row["number"]),
        category=Category(row["category"]),
        severity=Severity(row["severity"]),
        state=EventState(row["state"]),
        grid=row["grid"],
        lon=row["lon"],
        lat=row["lat"],
        place=LocalText(zh=row["place_zh"], en=row["place_en"]),
        opened_us=row["opened_us"],
        started_us=row["started_us"],
        line=tuple(responsible_of(entry) for entry in line),
        department=row["department"],
        city_version=row["city_version"],
        over=row["over_us"] is not None,
        acknowledged_us=row["acknowledged_us"],
        acknowledged_by=row["acknowledged_by"],
        closed_us=row["closed_us"],
        closed_by=row["closed_by"],
        alarms=tuple(alarms),
    )


def ticket_of(row: Row, line: Iterable[Row], alarms: Iterable[Alarm] = ()) -> FaultTicket:
    """The fault ticket of a row, its line in order, and its alarms."""
    return FaultTicket(
        id=row["id"],
        code=ticket_code(row["day"], row["number"]),
        sensor_id=row["sensor_id"],
        grid=row["grid"],
        state=TicketState(row["state"]),
        opened_us=row["opened_us"],
        due_us=row["due_us"],
        line=tuple(responsible_of(entry) for entry in line),
        over=row["over_us"] is not None,
        acknowledged_us=row["acknowledged_us"],
        acknowledged_by=row["acknowledged_by"],
        closed_us=row["closed_us"],
        closed_by=row["closed_by"],
        alarms=tuple(alarms),
    )


def responsible_of(row: Row) -> Responsible:
    """One person of a line."""
    return Responsible(
        row["worker"], LocalText(zh=row["name_zh"], en=row["name_en"]), Role(row["role"]), row["grid"] or None
    )


def person_of(state: EventState, person: Responsible) -> dict[str, Any]:
    """Who has a case in which state, as the trail keeps it before and after a change."""
    return {"state": state, "worker": person.worker, "name": {"zh": person.name.zh, "en": person.name.en}}


def line_rows(owner: str, owner_id: int, line: Iterable[Responsible]) -> list[dict[str, Any]]:
    """The rows of a line. owner: the column that names the case (``event_id`` or ``ticket_id``)."""
    return [
        {
            owner: owner_id,
            "position": position,
            "worker": person.worker,
            "name_zh": person.name.zh,
            "name_en": person.name.en,
            "role": person.role.value,
            "grid": person.grid,
        }
        for position, person in enumerate(line)
    ]


def trail_of(row: Row) -> TrailEntry:
    """The trail entry of a row."""
    return TrailEntry(
        id=row["id"],
        at_us=row["at_us"],
        actor=row["actor"],
        action=Action(row["action"]),
        subject=Subject(row["subject"]),
        subject_id=row["subject_id"],
        detail=MappingProxyType(dict(row["detail"])),
    )


def plain(value: Any) -> Any:
    """A value as JSON can keep it: enums by value, numbers finite or None, mappings and sequences likewise."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Iterable):
        return [plain(entry) for entry in value]
    raise TypeError(f"{value!r} cannot be kept as JSON")
