"""What one call of the pipeline works on: verdicts, what the ledger knows about their sensors, what is to be kept."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import Select, and_, func, or_, select

from alerting import tables
from alerting.correlate import GROWTH, REACH, Bond, JoinReason, OpenEvent, OpenEvents, Spot, box_around
from alerting.ledger import OPEN_STATES
from alerting.model import CENTRE, Alarm, FaultTicket, GridEvent
from alerting.push import Cause
from alerting.responsible import Duty
from alerting.rows import Row, alarm_of, alarm_row, event_of, ticket_of
from alerting.transaction import Transaction, chunks
from config.city import City, Sensor
from config.vocabulary import Category, Severity
from detectors.model import Condition, Nature, Verdict

CENTRE_CHANNELS = ("mqtt",)
"""How the command centre is reached."""

SYSTEM = "system"
"""The actor of what no person did."""


@dataclass(slots=True)
class Touched:
    """An alarm that this call raised, changed or cleared.

    before: None where it is new. worst: the gravest it was within this call while it was not taken for a fault; None
    where it only ended. raised_again: it stood with a closed event.
    """

    before: Alarm | None
    after: Alarm
    worst: Severity | None = None
    raised_again: bool = False

    def now_is(self, alarm: Alarm) -> None:
        """It was raised or changed to this."""
        self.after = alarm
        if alarm.nature is not Nature.FAULT:
            self.worst = alarm.severity if self.worst is None else min(self.worst, alarm.severity)


@dataclass(slots=True)
class EventFile:
    """An open event at work. before: None where this call opens it. joined: new alarms of it, and why they joined."""

    event: GridEvent
    over_us: int | None
    before: GridEvent | None
    alarms: dict[int, Alarm] = field(default_factory=dict)
    joined: dict[int, JoinReason] = field(default_factory=dict)


@dataclass(slots=True)
class TicketFile:
    """An open fault ticket at work."""

    ticket: FaultTicket
    over_us: int | None
    new: bool
    because: Alarm
    alarms: dict[int, Alarm] = field(default_factory=dict)
    joined: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Work:
    """One call. The stages read and fill it in turn; ``keep`` hands the alarms to the transaction."""

    verdicts: Sequence[Verdict]
    now_us: int
    transaction: Transaction
    city: City
    duty: Duty
    latest: dict[tuple[str, Condition], Alarm] = field(default_factory=dict)
    touched: dict[int, Touched] = field(default_factory=dict)
    events: dict[int, EventFile] = field(default_factory=dict)
    tickets: dict[str, TicketFile] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    told: int = 0

    def count(self, name: str) -> None:
        """One more of these."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def sensor(self, alarm: Alarm) -> Sensor:
        """The sensor of an alarm of this call."""
        return self.city.sensor(alarm.sensor_id)

    def category(self, alarm: Alarm) -> Category:
        """What an event of this alarm is about."""
        return self.sensor(alarm).measures.category

    def set_alarm(self, alarm: Alarm) -> None:
        """The alarm is like this now."""
        touched = self.touched[alarm.id]
        touched.after = alarm
        self.latest[alarm.sensor_id, alarm.condition] = alarm

    def load_latest(self) -> None:
        """The latest alarm of every condition of the verdicts' sensors."""
        columns = tables.alarms.c
        for some in chunks(sorted({self.city.sensors[verdict.sensor].id for verdict in self.verdicts})):
            newest = select(func.max(columns.id)).where(columns.sensor_id.in_(some))
            newest = newest.group_by(columns.sensor_id, columns.condition)
            for row in self.transaction.rows(select(tables.alarms).where(columns.id.in_(newest))):
                alarm = alarm_of(row)
                self.latest[alarm.sensor_id, alarm.condition] = alarm

    def load_events(self, ids: Collection[int]) -> Iterator[tuple[GridEvent, int | None]]:
        """Those of these events that are open, with since when they are over."""
        columns = tables.grid_events.c
        query = select(tables.grid_events).where(columns.state.in_(OPEN_STATES))
        rows = self._in(query, columns.id, ids)
        lines = self._lines(tables.event_line, "event_id", [row["id"] for row in rows])
        return ((event_of(row, lines[row["id"]]), row["over_us"]) for row in rows)

    def load_open_events(self, alarms: Iterable[Alarm]) -> OpenEvents:
        """The open events that these alarms could belong to."""
        found = OpenEvents()
        by_category: dict[Category, list[Sensor]] = {}
        for alarm in alarms:
            by_category.setdefault(self.category(alarm), []).append(self.sensor(alarm))
        if not by_category:
            return found
        columns = tables.grid_events.c
        near = or_(*(_box(category, sensors) for category, sensors in by_category.items()))
        compared = select(
            columns.id, columns.category, columns.device, columns.place_zh, columns.lon, columns.lat, columns.over_us
        )
        rows = list(self.transaction.rows(compared.where(columns.state.in_(OPEN_STATES), near)))
        for row in rows:
            found.add(open_event(row))
        self._grow(found, [row["id"] for row in rows if REACH[Category(row["category"])].bond is Bond.NEAR])
        self._bind_sensors(found, {sensor.id for sensors in by_category.values() for sensor in sensors})
        return found

    def _grow(self, found: OpenEvents, ids: Collection[int]) -> None:
        alarms, links = tables.alarms.c, tables.event_alarms.c
        query = select(links.event_id, alarms.sensor_id).join(tables.alarms, links.alarm_id == alarms.id).distinct()
        for row in self._in(query, links.event_id, ids):
            index = self.city.sensor_index.get(row["sensor_id"])
            if index is not None:
                found.grow(row["event_id"], spot_of(self.city.sensors[index]))

    def _bind_sensors(self, found: OpenEvents, sensor_ids: Collection[str]) -> None:
        alarms, events, links = tables.alarms.c, tables.grid_events.c, tables.event_alarms.c
        query = (
            select(alarms.sensor_id, events.category, events.id, events.over_us)
            .join(tables.event_alarms, links.alarm_id == alarms.id)
            .join(tables.grid_events, links.event_id == events.id)
            .where(events.state.in_(OPEN_STATES))
            .order_by(events.id)
        )
        for row in self._in(query, alarms.sensor_id, sensor_ids):
            found.bind(row["sensor_id"], Category(row["category"]), row["id"], row["over_us"])

    def load_open_tickets(self, sensor_ids: Collection[str]) -> Iterator[tuple[FaultTicket, int | None]]:
        """The open tickets of these sensors, with since when they are over."""
        columns = tables.fault_tickets.c
        rows = self._in(select(tables.fault_tickets).where(columns.closed_us.is_(None)), columns.sensor_id, sensor_ids)
        lines = self._lines(tables.ticket_line, "ticket_id", [row["id"] for row in rows])
        return ((ticket_of(row, lines[row["id"]]), row["over_us"]) for row in rows)

    def load_standing_of_events(self, ids: Collection[int]) -> Iterator[tuple[int, Alarm]]:
        """(event id, alarm) of the uncleared alarms of these events, as kept before this call."""
        return self._load_standing(tables.event_alarms.c.event_id, tables.event_alarms.c.alarm_id, ids)

    def load_standing_of_tickets(self, ids: Collection[int]) -> Iterator[tuple[int, Alarm]]:
        """(ticket id, alarm) of the uncleared alarms of these tickets, as kept before this call."""
        return self._load_standing(tables.ticket_alarms.c.ticket_id, tables.ticket_alarms.c.alarm_id, ids)

    def _load_standing(self, owner: Any, alarm_id: Any, ids: Collection[int]) -> Iterator[tuple[int, Alarm]]:
        alarms = tables.alarms.c
        query = (
            select(owner.label("case_id"), tables.alarms)
            .join(tables.alarms, alarm_id == alarms.id)
            .where(alarms.cleared_us.is_(None))
        )
        return ((row["case_id"], alarm_of(row)) for row in self._in(query, owner, ids))

    def _in(self, query: Select[Any], column: Any, values: Collection[Any]) -> list[Row]:
        rows: list[Row] = []
        for some in chunks(sorted(values)):
            rows.extend(self.transaction.rows(query.where(column.in_(some))))
        return rows

    def _lines(self, table: Any, owner: str, ids: Collection[int]) -> dict[int, list[Row]]:
        lines: dict[int, list[Row]] = {case: [] for case in ids}
        for row in self._in(select(table).order_by(table.c.position), table.c[owner], ids):
            lines[row[owner]].append(row)
        return lines

    def tell(self, cause: Cause, worker: str, payload: dict[str, Any], severity: Severity) -> None:
        """Put a push for a worker into the outbox, once per channel."""
        self.told += put_into_outbox(
            self.transaction,
            self.city,
            cause,
            worker=worker,
            payload=payload,
            severity=severity,
            now_us=self.now_us,
        )

    def keep(self) -> None:
        """Hand the touched alarms to the transaction."""
        for touched in self.touched.values():
            after = alarm_row(touched.after)
            if touched.before is None:
                self.transaction.add(tables.alarms, after)
                continue
            before = alarm_row(touched.before)
            changed = {name: value for name, value in after.items() if value != before[name]}
            if changed:
                self.transaction.change(tables.alarms, touched.after.id, **changed)


def put_into_outbox(
    transaction: Transaction,
    city: City,
    cause: Cause,
    *,
    worker: str,
    payload: Mapping[str, Any],
    severity: Severity,
    now_us: int,
) -> int:
    """One pending notification for each of the worker's channels; how many. Who left the city: the centre's."""
    known = city.workers.get(worker)
    if known is None:
        worker = CENTRE
    channels = CENTRE_CHANNELS if known is None else known.channels
    for channel in channels:
        row = outbox_row(
            transaction, cause, worker=worker, channel=channel, payload=payload, severity=severity, now_us=now_us
        )
        transaction.add(tables.notifications, row)
    return len(channels)


def outbox_row(
    transaction: Transaction,
    cause: Cause,
    *,
    worker: str,
    channel: str,
    payload: Mapping[str, Any],
    severity: Severity,
    now_us: int,
) -> dict[str, Any]:
    """A pending notification, with an id that it keeps over every attempt."""
    key = uuid4().hex
    return {
        "id": transaction.next_id(tables.notifications),
        "key": key,
        "cause": cause.value,
        "event_id": payload.get("event_id"),
        "ticket_id": payload.get("ticket_id"),
        "worker": worker,
        "channel": channel,
        "severity": int(severity),
        "payload": {**payload, "id": key},
        "state": "pending",
        "attempts": 0,
        "last_error": None,
        "created_us": now_us,
        "sent_us": None,
    }


def open_event(row: Row) -> OpenEvent:
    """What is compared of an event's row."""
    spot = Spot(Category(row["category"]), row["device"], row["place_zh"], row["lon"], row["lat"])
    return OpenEvent(row["id"], spot, row["over_us"])


def spot_of(sensor: Sensor) -> Spot:
    """Where a sensor's alarm comes from."""
    return Spot(sensor.measures.category, sensor.device, sensor.place.zh, sensor.lon, sensor.lat)


def _box(category: Category, sensors: Sequence[Sensor]) -> Any:
    reach = REACH[category]
    radius_m = reach.radius_m * (GROWTH if reach.bond is Bond.NEAR else 1)
    boxes = [box_around(sensor.lon, sensor.lat, radius_m) for sensor in sensors]
    columns = tables.grid_events.c
    return and_(
        columns.category == category.value,
        columns.lat.between(min(box[1] for box in boxes), max(box[3] for box in boxes)),
        columns.lon.between(min(box[0] for box in boxes), max(box[2] for box in boxes)),
    )
