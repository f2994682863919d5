"""Grid events, alarms, fault tickets and the trail, as the API speaks of them."""

from dataclasses import asdict
from typing import Any

from pydantic import Field

from alerting.model import Action, AlarmState, EventState, Subject, TicketState
from alerting.reasons import reason_text
from config.vocabulary import Category, Severity
from dashboard_api.schemas.base import NAMES_EXAMPLE, PERSON_EXAMPLE, Json, Names, Person, Time, Wire, example
from detectors.model import Condition, Nature, Reason

_WHY = Reason("reason.high.raised", {"value": 31.2, "threshold": 25, "unit": " %LEL", "source": "GB/T 50493-2019"})
_REASON: Json = {"key": _WHY.key, "params": dict(_WHY.params), "text": asdict(reason_text(_WHY, "ch4"))}
_ALARM: Json = {
    "id": 12,
    "sensor": "gas-0042-ch4",
    "quantity": "ch4",
    "unit": "%LEL",
    "place": NAMES_EXAMPLE,
    "condition": "high",
    "nature": "event",
    "severity": 2,
    "state": "raised",
    "raised_at": "2026-01-31T02:00:05.120Z",
    "cleared_at": None,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "since": "2026-01-31T02:00:05.000Z",
    "decided_by_reading_at": "2026-01-31T02:00:05.000Z",
    "value": 31.2,
    "expected_low": None,
    "expected_high": 25.0,
    "score": None,
    "detector": "limit",
    "reason": _REASON,
    "event": 7,
    "ticket": None,
}
_EVENT: Json = {
    "id": 7,
    "code": "GW-20260131-0007",
    "category": "gas_leak",
    "severity": 2,
    "state": "dispatched",
    "grid": {"code": "G-01-02-03-04", "name": {"zh": "第四网格", "en": "Grid 4"}, "path": [NAMES_EXAMPLE]},
    "longitude": 116.39,
    "latitude": 39.91,
    "place": NAMES_EXAMPLE,
    "opened_at": "2026-01-31T02:00:05.120Z",
    "started_at": "2026-01-31T02:00:05.000Z",
    "line": [PERSON_EXAMPLE],
    "department": {"id": "gas-company", "name": {"zh": "示例燃气公司", "en": "Sample Gas Company"}},
    "over": False,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "closed_at": None,
    "closed_by": None,
}
_TICKET: Json = {
    "id": 3,
    "code": "FT-20260131-0003",
    "sensor": "env-0007-pm25",
    "quantity": "pm25",
    "unit": "µg/m³",
    "place": NAMES_EXAMPLE,
    "grid": _EVENT["grid"],
    "state": "open",
    "opened_at": "2026-01-31T02:10:00.000Z",
    "due_at": "2026-02-01T02:10:00.000Z",
    "line": [PERSON_EXAMPLE],
    "over": False,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "closed_at": None,
    "closed_by": None,
}
_ENTRY: Json = {
    "id": 91,
    "at": "2026-01-31T02:00:05.121Z",
    "actor": "system",
    "action": "event_opened",
    "subject": "event",
    "subject_id": 7,
    "detail": {},
}


class GridName(Wire):
    """A grid by code and name; path: the names above it, widest first."""

    code: str
    name: Names
    path: list[Names]

    model_config = example(**_EVENT["grid"])


class DepartmentName(Wire):
    """A department by id and name."""

    id: str
    name: Names

    model_config = example(**_EVENT["department"])


class ReasonOut(Wire):
    """Why: the key into the tables of messages, what was filled in, and the text in both languages."""

    key: str
    params: dict[str, str | float | int | None]
    text: Names

    model_config = example(**_REASON)


class AlarmOut(Wire):
    """The state of one condition on one sensor. Values are in ``unit``; null where there is no such bound.

    value, the expected range, score and reason are those of the reading that made it as grave as it got.
    """

    id: int
    sensor: str
    quantity: str
    unit: str
    place: Names
    condition: Condition
    nature: Nature
    severity: Severity
    state: AlarmState
    raised_at: Time
    cleared_at: Time | None
    acknowledged_at: Time | None
    acknowledged_by: str | None
    since: Time = Field(description="time of the first reading that speaks of it, by the device's clock")
    decided_by_reading_at: Time = Field(
        description="time of the reading that made it as grave as it got, by the device's clock"
    )
    value: float | None
    expected_low: float | None
    expected_high: float | None
    score: float | None = Field(description="-log10 of how likely this is by chance; null where a limit was passed")
    detector: str
    reason: ReasonOut
    event: int | None
    ticket: int | None

    model_config = example(**_ALARM)


class TrailOut(Wire):
    """One change, as it is kept for ever."""

    id: int
    at: Time
    actor: str
    action: Action
    subject: Subject
    subject_id: int
    detail: dict[str, Any]

    model_config = example(**_ENTRY)


class EventOut(Wire):
    """One grid event. line: the responsible person first, then who is next."""

    id: int
    code: str
    category: Category
    severity: Severity
    state: EventState
    grid: GridName
    longitude: float
    latitude: float
    place: Names
    opened_at: Time
    started_at: Time
    line: list[Person]
    department: DepartmentName | None
    over: bool = Field(description="whether every alarm of it has cleared")
    acknowledged_at: Time | None
    acknowledged_by: str | None
    closed_at: Time | None
    closed_by: str | None

    model_config = example(**_EVENT)


class EventDetail(EventOut):
    """One grid event with its alarms and its trail."""

    alarms: list[AlarmOut]
    trail: list[TrailOut]

    model_config = example(**_EVENT, alarms=[_ALARM], trail=[_ENTRY])


class EventPage(Wire):
    """Grid events, newest first. next_before: give it as ``before`` for the next page; null on the last one."""

    items: list[EventOut]
    next_before: int | None

    model_config = example(items=[_EVENT], next_before=None)


class AlarmPage(Wire):
    """Alarms, newest first. next_before: give it as ``before`` for the next page; null on the last one."""

    items: list[AlarmOut]
    next_before: int | None

    model_config = example(items=[_ALARM], next_before=None)


class TicketOut(Wire):
    """A sensor that must be mended. due_at: 24 h after it was opened."""

    id: int
    code: str
    sensor: str
    quantity: str
    unit: str
    place: Names
    grid: GridName
    state: TicketState
    opened_at: Time
    due_at: Time
    line: list[Person]
    over: bool = Field(description="whether the sensor speaks plausibly again")
    acknowledged_at: Time | None
    acknowledged_by: str | None
    closed_at: Time | None
    closed_by: str | None

    model_config = example(**_TICKET)


class TicketDetail(TicketOut):
    """A fault ticket with its alarms."""

    alarms: list[AlarmOut]

    model_config = example(**_TICKET, alarms=[{**_ALARM, "nature": "fault", "condition": "stuck"}])


class TicketPage(Wire):
    """Fault tickets, newest first. next_before: give it as ``before`` for the next page; null on the last one."""

    items: list[TicketOut]
    next_before: int | None

    model_config = example(items=[_TICKET], next_before=None)


class LiveMessage(Wire):
    """The data of one message of the live feed: what happened, and how its case stands now."""

    entry: TrailOut
    event: EventOut | None
    ticket: TicketOut | None

    model_config = example(entry=_ENTRY, event=_EVENT, ticket=None)


class Heartbeat(Wire):
    """The data of a ``heartbeat``: the daemon's clock and the newest trail id."""

    now: Time
    newest: int

    model_config = example(now="2026-01-31T02:00:20.000Z", newest=91)


class Assignment(Wire):
    """To whom an event is given."""

    worker: str = Field(min_length=1, max_length=200, description="worker id")

    model_config = example(worker="w-017")


class NoteIn(Wire):
    """Something to write down."""

    text: str = Field(min_length=1, max_length=2000)

    model_config = example(text="Valve shut, airing the hall.")


class Closing(Wire):
    """How a case ended; the note may be empty."""

    note: str = Field("", max_length=2000)

    model_config = example(note="Valve mended and checked.")
