"""The cases of the city: alarms, grid events, fault tickets, who is called, and the trail of every change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from config.vocabulary import Category, LocalText, Role, Severity
from detectors.model import Condition, Nature, Reason

CENTRE = "command-centre"
"""Who is responsible where no person is on duty: the chain of people ends here, so it is never empty."""


class AlarmState(StrEnum):
    """Life of an alarm."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Alarm:
    """The state of one condition on one sensor. At most one uncleared alarm exists per sensor and condition.

    Times in microseconds; raised_us and cleared_us are decision times, since_us, at_us and last_us event times.
    value, expected range, score and reason are those of at_us, the reading that made it as grave as it got; last_us:
    of the last verdict that counted.
    """

    id: int
    sensor_id: str
    condition: Condition
    nature: Nature
    severity: Severity
    state: AlarmState
    raised_us: int
    cleared_us: int | None
    acknowledged_us: int | None
    acknowledged_by: str | None
    since_us: int
    at_us: int
    last_us: int
    value: float
    expected_low: float
    expected_high: float
    score: float
    detector: str
    reason: Reason
    event_id: int | None
    ticket_id: int | None


class EventState(StrEnum):
    """Where a grid event stands in the closed loop (as far as it is built)."""

    DISPATCHED = "dispatched"  # 已派遣: the responsible person has been told
    ACCEPTED = "accepted"  # 已接单: somebody took it
    CLOSED = "closed"  # 已关闭


@dataclass(frozen=True, slots=True)
class Responsible:
    """A person in line for a case. worker: worker id, or CENTRE. grid: the node of the roster that named them."""

    worker: str
    name: LocalText
    role: Role
    grid: str | None


@dataclass(frozen=True, slots=True)
class GridEvent:
    """One case to be handled, whatever it came from.

    code: what people call it, ``GW-20260131-0007`` (local date of opening, running number of that day).
    line: the responsible person first, then who is next; never empty. over: whether every alarm of it has cleared.
    """

    id: int
    code: str
    category: Category
    severity: Severity
    state: EventState
    grid: str
    lon: float
    lat: float
    place: LocalText
    opened_us: int
    started_us: int
    line: tuple[Responsible, ...]
    department: str | None
    city_version: str
    over: bool
    acknowledged_us: int | None = None
    acknowledged_by: str | None = None
    closed_us: int | None = None
    closed_by: str | None = None
    alarms: tuple[Alarm, ...] = ()

    @property
    def responsible(self) -> Responsible:
        """Who has it now."""
        return self.line[0]


class TicketState(StrEnum):
    """Life of a fault ticket."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class FaultTicket:
    """A sensor that must be mended. Never mixed with grid events. due_us: 24 h after it was opened.

    line: the maintenance people on duty first; never empty. over: whether the sensor speaks plausibly again.
    """

    id: int
    code: str
    sensor_id: str
    grid: str
    state: TicketState
    opened_us: int
    due_us: int
    line: tuple[Responsible, ...]
    over: bool
    acknowledged_us: int | None = None
    acknowledged_by: str | None = None
    closed_us: int | None = None
    closed_by: str | None = None
    alarms: tuple[Alarm, ...] = ()


class Action(StrEnum):
    """What can happen to a case; every entry of the trail names one."""

    ALARM_RAISED = "alarm_raised"
    ALARM_CHANGED = "alarm_changed"
    ALARM_CLEARED = "alarm_cleared"
    EVENT_OPENED = "event_opened"
    EVENT_CHANGED = "event_changed"
    EVENT_OVER = "event_over"
    EVENT_ACKNOWLEDGED = "event_acknowledged"
    EVENT_ASSIGNED = "event_assigned"
    EVENT_NOTE = "event_note"
    EVENT_CLOSED = "event_closed"
    TICKET_OPENED = "ticket_opened"
    TICKET_OVER = "ticket_over"
    TICKET_ACKNOWLEDGED = "ticket_acknowledged"
    TICKET_NOTE = "ticket_note"
    TICKET_CLOSED = "ticket_closed"
    NOTIFIED = "notified"
    NOTIFY_FAILED = "notify_failed"
    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    ACCOUNT_CREATED = "account_created"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - what happened, not a password


class Subject(StrEnum):
    """What a trail entry is about."""

    ALARM = "alarm"
    EVENT = "event"
    TICKET = "ticket"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One change, as it is kept for ever. id: rises by one; the feed resumes by it. actor: account or ``system``."""

    id: int
    at_us: int
    actor: str
    action: Action
    subject: Subject
    subject_id: int
    detail: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
