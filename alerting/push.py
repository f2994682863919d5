"""What a push says: who is called, where, why, how bad, what to do. In both languages, for any channel."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from alerting.model import Alarm, FaultTicket, GridEvent, Responsible
from alerting.reasons import reason_text
from alerting.rows import finite
from config.city import City, Sensor
from config.clock import isoformat, to_datetime
from config.texts import both
from config.vocabulary import Category, LocalText, Severity


class Cause(StrEnum):
    """Why somebody is told."""

    EVENT_OPENED = "event_opened"
    EVENT_ASSIGNED = "event_assigned"
    EVENT_WORSE = "event_worse"  # graver than it was when they were told
    EVENT_WIDER = "event_wider"  # life safety: a further sensor whistles
    EVENT_AGAIN = "event_again"  # life safety: it was over and has begun again
    TICKET_OPENED = "ticket_opened"
    NOT_REACHED = "not_reached"  # the centre learns that somebody could not be told


_OF_THE_SENSOR = frozenset({Cause.EVENT_WORSE, Cause.EVENT_WIDER, Cause.EVENT_AGAIN})
"""Causes that send people to the sensor that whistled, which may be far from where the event began."""

COLOURS: Mapping[Severity, str] = {
    Severity.EXTREME: "red",
    Severity.MAJOR: "orange",
    Severity.LARGER: "yellow",
    Severity.GENERAL: "blue",
}
"""The official colours."""


def severity_name(severity: Severity) -> LocalText:
    """The official name of a level."""
    return both(f"severity.{severity.name.lower()}")


def category_name(category: Category) -> LocalText:
    """The name of a category."""
    return both(f"category.{category.value}")


def quantity_name(quantity: str) -> LocalText:
    """The name of a quantity."""
    return both(f"quantity.{quantity}")


def fill(key: str, **params: object) -> LocalText:
    """A text in both languages; a parameter that is a LocalText is taken in the language of the text."""
    zh = {name: value.zh if isinstance(value, LocalText) else value for name, value in params.items()}
    en = {name: value.en if isinstance(value, LocalText) else value for name, value in params.items()}
    return LocalText(zh=both(key, zh).zh, en=both(key, en).en)


def event_push(cause: Cause, event: GridEvent, alarm: Alarm | None, city: City) -> dict[str, Any]:
    """The payload about a grid event, with its newest line and severity.

    alarm: the one that decided; without it there is no reason. Its reading is left out where its sensor is no longer in
    the city. The place is the event's, or the sensor's where that has whistled since (worse, wider, again).
    """
    severity, category = severity_name(event.severity), category_name(event.category)
    sensor = city.sensor(alarm.sensor_id) if alarm is not None and alarm.sensor_id in city.sensor_index else None
    there = sensor if sensor is not None and cause in _OF_THE_SENSOR else event
    title = fill(f"push.title.{cause.value}", severity=severity, category=category, place=there.place)
    why = None if alarm is None else reason_text(alarm.reason, sensor.quantity if sensor else "")
    what: LocalText = category
    if why is not None:
        what = fill("push.why", what=quantity_name(sensor.quantity) if sensor else category, reason=why)
    body = fill("push.body.event", place=there.place, what=what, severity=severity, code=event.code)
    return {
        **_told(cause, title, body, event.line),
        "reason": None if why is None else _texts(why),
        **({} if alarm is None or sensor is None else _reading(alarm, sensor)),
        "event_id": event.id,
        "code": event.code,
        "category": event.category.value,
        "category_name": _texts(category),
        **_severity(event.severity),
        "grid": there.grid,
        "place": _texts(there.place),
        "lon": there.lon,
        "lat": there.lat,
        "opened": isoformat(event.opened_us),
        "department": _department(event, city),
    }


def ticket_push(ticket: FaultTicket, alarm: Alarm, city: City) -> dict[str, Any]:
    """The payload about a fault ticket. alarm: the fault that opened it."""
    sensor = city.sensor(ticket.sensor_id)
    names = {"quantity": quantity_name(sensor.quantity), "place": sensor.place}
    title = fill("push.title.ticket_opened", **names)
    due = to_datetime(ticket.due_us).astimezone(city.timezone).strftime("%Y-%m-%d %H:%M")
    why = reason_text(alarm.reason, sensor.quantity)
    what = {"sensor": sensor.id, "reason": why, "code": ticket.code, "due": due}
    return {
        **_told(Cause.TICKET_OPENED, title, fill("push.body.ticket", **names, **what), ticket.line),
        "reason": _texts(why),
        **_reading(alarm, sensor),
        "ticket_id": ticket.id,
        "code": ticket.code,
        **_severity(alarm.severity),
        "grid": ticket.grid,
        "place": _texts(sensor.place),
        "lon": sensor.lon,
        "lat": sensor.lat,
        "opened": isoformat(ticket.opened_us),
        "due": isoformat(ticket.due_us),
    }


def not_reached_push(payload: Mapping[str, Any], worker: str, channel: str) -> dict[str, Any]:
    """The payload that tells the centre whom a push did not reach, and what it said."""
    name = name_in(payload, worker) or LocalText(zh=worker, en=worker)
    title = fill("push.title.not_reached", name=name, title=LocalText(**payload["title"]))
    body = fill("push.body.not_reached", name=name, channel=channel, body=LocalText(**payload["body"]))
    return {**payload, "cause": Cause.NOT_REACHED.value, "title": _texts(title), "body": _texts(body)}


def name_in(payload: Mapping[str, Any], worker: str) -> LocalText | None:
    """What a payload calls a worker, None where it does not name them."""
    people = (payload.get("responsible"), *payload.get("next", ()))
    return next((LocalText(**one["name"]) for one in people if one and one["id"] == worker), None)


def _told(cause: Cause, title: LocalText, body: LocalText, line: tuple[Responsible, ...]) -> dict[str, Any]:
    return {
        "cause": cause.value,
        "title": _texts(title),
        "body": _texts(body),
        "responsible": _person(line[0]),
        "next": [_person(person) for person in line[1:3]],
    }


def _reading(alarm: Alarm, sensor: Sensor) -> dict[str, Any]:
    return {
        "sensor": sensor.id,
        "quantity": sensor.quantity,
        "condition": alarm.condition.value,
        "value": finite(alarm.value),
        "unit": sensor.measures.unit,
        "expected_low": finite(alarm.expected_low),
        "expected_high": finite(alarm.expected_high),
    }


def _severity(severity: Severity) -> dict[str, Any]:
    return {"severity": int(severity), "severity_name": _texts(severity_name(severity)), "colour": COLOURS[severity]}


def _department(event: GridEvent, city: City) -> dict[str, Any] | None:
    department = city.departments.get(event.department) if event.department is not None else None
    if department is None:
        return None
    return {"id": department.id, "name": _texts(department.name), "contact": department.contact}


def _person(person: Responsible) -> dict[str, Any]:
    return {"id": person.worker, "name": _texts(person.name), "role": person.role.value}


def _texts(text: LocalText) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}
