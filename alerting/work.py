"""What one call of the pipeline works on: verdicts, what the ledger knows about their sensors, what is to be kept."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

from sqlalchemy import Select, Table

from alerting import questions, tables
from alerting.correlate import REACH, Bond, JoinReason, OpenEvent, OpenEvents, Spot, alive, boxes
from alerting.model import CENTRE, Alarm, FaultTicket, GridEvent
from alerting.push import Cause
from alerting.responsible import Duty
from alerting.rows import Row, alarm_of, alarm_row, event_of, responsible_of, ticket_of
from alerting.transaction import Transaction, chunks
from config.city import City, Sensor
from config.quantities import QUANTITIES
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
    """An open event at work. before: None where this call opens it. joined: new alarms of it, and why they joined.

    event: a kept one is without its line (``Work.with_line``).
    """

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
    _sensors: dict[str, Sensor] = field(default_factory=dict)

    def count(self, name: str) -> None:
        """One more of these."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def sensor(self, alarm: Alarm) -> Sensor:
        """The sensor of an alarm of this call."""
        known = self._sensors.get(alarm.sensor_id)
        if known is None:
            known = self._sensors[alarm.sensor_id] = self.city.sensor(alarm.sensor_id)
        return known

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
        ids = self.city.columns.ids
        for row in self._of(questions.latest_alarms, {ids[verdict.sensor] for verdict in self.verdicts}):
            alarm = alarm_of(row)
            self.latest[alarm.sensor_id, alarm.condition] = alarm

    def load_events(self, ids: Collection[int]) -> Iterator[tuple[GridEvent, int | None]]:
        """Those of these events that are open, with since when they are over; without their lines (``with_line``)."""
        return ((event_of(row, ()), row["over_us"]) for row in self._of(questions.open_events, ids))

    def with_line(self, event: GridEvent) -> GridEvent:
        """An event with its people as kept: only where somebody is told are they read."""
        line = self._lines(tables.event_line, "event_id", [event.id])[event.id]
        return replace(event, line=tuple(responsible_of(row) for row in line))

    def load_open_events(self, alarms: Iterable[Alarm]) -> OpenEvents:
        """The open events that these alarms could belong to: what is open elsewhere in the city is not read."""
        found, sensors = OpenEvents(), {alarm.sensor_id: self.sensor(alarm) for alarm in alarms}
        settled = self._bind_sensors(found, sensors)
        spots: dict[Category, list[tuple[float, float]]] = {}
        for sensor in sensors.values():
            if sensor.id not in settled:
                spots.setdefault(sensor.measures.category, []).append((sensor.lon, sensor.lat))
        rows: dict[int, Row] = {}
        for category, places in spots.items():
            for west, south, east, north in boxes(category, places):
                within = {"category": category.value, "west": west, "south": south, "east": east, "north": north}
                rows.update((row["id"], row) for row in self.transaction.rows(questions.near_events(), within))
        for _, row in sorted(rows.items()):
            found.add(open_event(row))
        self._grow(found, [event for event, row in rows.items() if REACH[Category(row["category"])].bond is Bond.NEAR])
        return found

    def _grow(self, found: OpenEvents, ids: Collection[int]) -> None:
        columns, rows = self.city.columns, self.city.sensor_index
        for row in self._of(questions.sensors_of_events, ids):
            index = rows.get(row["sensor_id"])
            if index is not None:
                category = QUANTITIES[columns.quantity[index]].category
                spot = Spot(category, "", "", float(columns.lon[index]), float(columns.lat[index]))
                found.grow(row["event_id"], spot)

    def _bind_sensors(self, found: OpenEvents, sensors: Mapping[str, Sensor]) -> set[str]:
        """Bind these sensors to their own open events; those that have one which still takes their alarms."""
        settled = set()
        for row in self._of(questions.events_of_sensors, sensors):
            sensor_id, category, over_us = row["sensor_id"], Category(row["category"]), row["over_us"]
            found.bind(sensor_id, category, row["id"], over_us)
            if category is sensors[sensor_id].measures.category and alive(category, over_us, self.now_us):
                settled.add(sensor_id)
        return settled

    def load_open_tickets(self, sensor_ids: Collection[str]) -> Iterator[tuple[FaultTicket, int | None]]:
        """The open tickets of these sensors, with since when they are over."""
        rows = self._of(questions.open_tickets, sensor_ids)
        lines = self._lines(tables.ticket_line, "ticket_id", [row["id"] for row in rows])
        return ((ticket_of(row, lines[row["id"]]), row["over_us"]) for row in rows)

    def load_standing_of_events(self, ids: Collection[int]) -> Iterator[tuple[int, Alarm]]:
        """(event id, alarm) of the uncleared alarms of these events, as kept before this call."""
        return self._standing(tables.event_alarms, "event_id", ids)

    def load_standing_of_tickets(self, ids: Collection[int]) -> Iterator[tuple[int, Alarm]]:
        """(ticket id, alarm) of the uncleared alarms of these tickets, as kept before this call."""
        return self._standing(tables.ticket_alarms, "ticket_id", ids)

    def _standing(self, links: Table, owner: str, ids: Collection[int]) -> Iterator[tuple[int, Alarm]]:
        return (
            (row["case_id"], alarm_of(row)) for row in self._of(partial(questions.standing_alarms, links, owner), ids)
        )

    def _of(self, query: Callable[..., Select[Any]], values: Collection[Any]) -> list[Row]:
        if len(values) == 1:
            return list(self.transaction.rows(query(one=True), {"values": next(iter(values))}))
        rows: list[Row] = []
        for some in chunks(sorted(values)):
            rows.extend(self.transaction.rows(query(one=False), {"values": some}))
        return rows

    def _lines(self, table: Table, owner: str, ids: Collection[int]) -> dict[int, list[Row]]:
        lines: dict[int, list[Row]] = {case: [] for case in ids}
        for row in self._of(partial(questions.lines, table, owner), ids):
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
