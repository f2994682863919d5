"""A dashboard on real parts: the example district, a ledger in SQLite, the alert path, readings in DuckDB."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from alerting.accounts import Accounts
from alerting.bell import Bell
from alerting.commands import Commands
from alerting.ledger import Ledger
from alerting.model import FaultTicket, GridEvent
from alerting.pipeline import Pipeline
from config.city import City, Sensor
from config.city_files import load_city
from config.clock import US_PER_SECOND, FollowingClock
from config.settings import DashboardSettings
from config.vocabulary import Language, Severity
from dashboard_api.ports import Health, LastValues, Ports
from detectors.bank import shown_unit
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from ingest.local import DuckdbStore
from ingest.model import ReadingBatch, Series

DISTRICT = Path(__file__).parents[2] / "config" / "examples" / "district"
START_US = 1_769_824_800_000_000  # 2026-01-31, a Saturday, 10:00 in Shanghai
ACCOUNT = "duty-officer"
PASSWORD = "made up for tests"


class StoredReadings:
    def __init__(self, store: DuckdbStore) -> None:
        self._store = store

    async def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        return await asyncio.to_thread(self._store.series, sensor, from_us, to_us, max_points)


@dataclass
class Desk:
    """The parts behind a dashboard, and the means to let things happen."""

    city: City
    ledger: Ledger
    store: DuckdbStore
    clock: FollowingClock
    session_clock: FollowingClock
    bell: Bell
    ports: Ports
    pipeline: Pipeline
    last: LastValues
    health: Health = field(default_factory=lambda: Health(True, {"broker": "ok"}, {"readings_admitted": 7}))

    def sensor(self, quantity: str, nth: int = 0) -> Sensor:
        return [sensor for sensor in self.city.sensors if sensor.quantity == quantity][nth]

    def read(self, sensor: Sensor, values: list[float], ending_us: int | None = None) -> None:
        """Keep readings at the sensor's own pace, the last one now."""
        end = self.clock.now_us() if ending_us is None else ending_us
        step = round(sensor.interval_s * US_PER_SECOND)
        times = [end - step * (len(values) - 1 - at) for at in range(len(values))]
        rows = [sensor.index] * len(values)
        self.store.write(ReadingBatch.of(rows, times, times, values, [0] * len(values)))
        self.last.event_us[sensor.index] = times[-1]
        self.last.value[sensor.index] = values[-1]

    def say(self, verdict: Verdict) -> None:
        self.pipeline.handle([verdict], self.clock.now_us())

    def alarm(
        self, sensor: Sensor, value: float, severity: Severity = Severity.MAJOR, phase: Phase = Phase.RAISED
    ) -> GridEvent:
        """Let a limit be passed; answers the newest grid event."""
        self.say(verdict_of(sensor, value, severity, self.clock.now_us(), phase))
        return self.ledger.events(limit=1)[0]

    def exceed(
        self, sensor: Sensor, value: float, phase: Phase = Phase.RAISED, since_us: int | None = None
    ) -> GridEvent:
        """Let the gravest of the city's own limits that the value passes be passed; answers the newest grid event."""
        limits = [one for one in self.city.limits.of(sensor.id, sensor.quantity) if one.threshold <= value]
        limit = min(limits, key=lambda one: one.severity)
        now_us = self.clock.now_us()
        verdict = verdict_of(sensor, value, limit.severity, now_us, phase)
        params = {
            **verdict.reason.params,
            "unit": shown_unit(sensor.unit),
            "threshold": limit.threshold,
            "source": limit.source,
        }
        self.say(
            replace(
                verdict,
                reason=Reason(verdict.reason.key, params),
                expected_low=sensor.measures.low,
                expected_high=limit.threshold,
                since_us=now_us if since_us is None else since_us,
            )
        )
        return self.ledger.events(limit=1)[0]

    def fault(self, sensor: Sensor, value: float = 21.0) -> FaultTicket:
        """Let a sensor be found stuck; answers the newest fault ticket."""
        now_us = self.clock.now_us()
        reason = Reason("reason.stuck.raised", {"value": value, "unit": "", "readings": 60, "minutes": 60})
        self.say(
            replace(
                verdict_of(sensor, value, Severity.GENERAL, now_us),
                condition=Condition.STUCK,
                nature=Nature.FAULT,
                detector="stuck",
                reason=reason,
                expected_high=float("inf"),
            )
        )
        return self.ledger.tickets(limit=1)[0]

    def advance_to(self, minutes: float) -> None:
        """Let it be so many minutes after the beginning."""
        self.clock.advance(START_US + round(minutes * 60 * US_PER_SECOND))

    def advance(self, seconds: float) -> None:
        self.clock.advance(self.clock.now_us() + round(seconds * US_PER_SECOND))


def verdict_of(sensor: Sensor, value: float, severity: Severity, at_us: int, phase: Phase = Phase.RAISED) -> Verdict:
    """A limit passed, or over again, as the limit detector says it."""
    threshold = 25.0
    params: dict[str, str | float | int] = {
        "value": value,
        "unit": f" {sensor.unit}",
        "threshold": threshold,
        "source": "GB/T 50493-2019",
    }
    step = "cleared" if phase is Phase.CLEARED else "raised"
    return Verdict(
        sensor=sensor.index,
        condition=Condition.HIGH,
        phase=phase,
        nature=Nature.EVENT,
        severity=severity,
        score=float("inf"),
        value=value,
        expected_low=float("-inf"),
        expected_high=threshold,
        since_us=at_us,
        at_us=at_us,
        detector="limit",
        reason=Reason(f"reason.high.{step}", params),
    )


def morning(desk: Desk) -> GridEvent:
    """Let a Saturday morning happen, 10:00 to 11:36, that ends with a gas leak; answers the leak."""
    do = desk.ports.commands

    def accept(event: GridEvent, after_s: float, note: str = "") -> None:
        desk.advance(after_s)
        do.acknowledge(event.id, actor=ACCOUNT, now_us=desk.clock.now_us())
        if note:
            do.note(event.id, note, actor=ACCOUNT, now_us=desk.clock.now_us())

    desk.advance_to(4)
    accept(desk.exceed(desk.sensor("noise", 6), 77.4), 130)
    desk.advance_to(13)
    ticket = desk.fault(desk.sensor("temperature", 9), 21.4)
    do.acknowledge_ticket(ticket.id, actor=ACCOUNT, now_us=desk.clock.now_us())
    desk.advance_to(24)
    accept(desk.exceed(desk.sensor("tilt", 6), 4.3), 95)
    desk.advance_to(41)
    desk.exceed(desk.sensor("water_level", 3), 0.19)
    desk.advance_to(52)
    desk.fault(desk.sensor("humidity", 5), 48.0)
    desk.advance_to(68)
    accept(desk.exceed(desk.sensor("help_button", 1), 1.0), 40)
    desk.advance_to(77)
    desk.exceed(desk.sensor("people", 9), 241.0)
    return _leak(desk, desk.sensor("ch4", 6), begins_s=84 * 60, now_s=96 * 60)


def _leak(desk: Desk, sensor: Sensor, begins_s: float, now_s: float) -> GridEvent:
    """Gas fills a room: concentration rises towards 62 %LEL with a time constant of 4 min."""
    seconds = np.arange(0, now_s, sensor.interval_s)
    scatter = np.random.default_rng(7).normal(0, 1, len(seconds))
    risen = 58 * -np.expm1(-np.clip(seconds - begins_s, 0, None) / 240)
    value = np.round(3.2 + risen + scatter * (0.25 + risen * 0.018), 1)
    times = START_US + np.round(seconds * US_PER_SECOND).astype(np.int64)
    rows, quality = np.full(len(times), sensor.index), np.zeros(len(times), np.uint8)
    desk.store.write(ReadingBatch.of(rows.tolist(), times.tolist(), times.tolist(), value.tolist(), quality.tolist()))
    desk.last.event_us[sensor.index], desk.last.value[sensor.index] = times[-1], value[-1]
    began, worse = (int(np.argmax(value >= threshold)) for threshold in (25.0, 50.0))
    desk.advance_to(seconds[began] / 60)
    desk.exceed(sensor, float(value[began]))
    desk.advance_to(seconds[worse] / 60)
    event = desk.exceed(sensor, float(value[worse]), Phase.CHANGED, since_us=int(times[began]))
    desk.advance_to(now_s / 60)
    return event


@cache
def example_city() -> City:
    return load_city(DISTRICT)


@cache
def fresh_ledger() -> bytes:
    """A ledger that knows one account, as its file: building one costs more than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        ledger = Ledger.open(f"sqlite:///{path}")
        Accounts(ledger, session_hours=1).create(ACCOUNT, PASSWORD, actor="tests", now_us=START_US)
        ledger.close()
        return path.read_bytes()


@contextmanager
def desk(folder: Path, settings: DashboardSettings | None = None, language: Language = Language.ZH) -> Iterator[Desk]:
    """Build the parts inside a running loop. One account exists: ACCOUNT with PASSWORD."""
    settings = settings or DashboardSettings(port=0)
    city = example_city()
    (folder / "ledger.sqlite").write_bytes(fresh_ledger())
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}")
    store = DuckdbStore(folder / "readings.duckdb", city)
    store.prepare()
    clock, session_clock = FollowingClock(START_US), FollowingClock(START_US)
    accounts = Accounts(ledger, session_hours=settings.session_hours)
    bell = Bell(ledger.last_trail_id())
    ledger.subscribe(bell.ring)
    count = len(city.sensors)
    last = LastValues(np.zeros(count, np.int64), np.zeros(count), np.zeros(count, np.bool_), np.full(count, np.nan))
    parts: list[Desk] = []
    ports = Ports(
        city=city,
        clock=clock,
        settings=settings,
        language=language,
        cases=ledger,
        commands=Commands(ledger, city),
        accounts=accounts,
        readings=StoredReadings(store),
        last_values=lambda: last,
        health=lambda: parts[0].health,
        bell=bell,
        session_clock=session_clock,
    )
    parts.append(Desk(city, ledger, store, clock, session_clock, bell, ports, Pipeline(ledger, city), last))
    try:
        yield parts[0]
    finally:
        store.close()
        ledger.close()
