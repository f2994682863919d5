"""The outbox: what was decided to be told is told, and exactly recorded. The one place that tries again."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Any

import structlog
from sqlalchemy import Select, and_, bindparam, func, or_, select

from alerting import tables
from alerting.channels.base import Channel, Notification
from alerting.ledger import Ledger, LedgerUnavailableError
from alerting.model import CENTRE, Action, Subject
from alerting.push import Cause, name_in, not_reached_push
from alerting.rows import Row
from alerting.transaction import Transaction
from alerting.work import CENTRE_CHANNELS, SYSTEM, outbox_row
from config.clock import Clock
from config.errors import PermanentError, RetryableError
from config.vocabulary import Severity

_log = structlog.get_logger(__name__)

BATCH = 50
"""Most notifications on their way at once by one channel."""

SEND_PATIENCE_S = 30.0
"""A channel that takes longer for one notification has failed, and is tried again."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

GIVE_UP_AFTER_US = 24 * 3600 * 1_000_000
GIVE_UP_AFTER_ATTEMPTS = 20
"""A notification is given up when it is both so old and so often tried."""


LATE_AFTER_US = 120 * 1_000_000
"""A grave notification that has waited for so long is told to the command centre, while it is tried on."""

LATE_SEVERITY = Severity.MAJOR
"""The mildest severity for which that is done."""

TROUBLE_AFTER_US = 60 * 1_000_000
"""A notification that has waited for so long is trouble."""

WATCH_EVERY_S = 5.0


class NotificationState(StrEnum):
    """Where a notification stands."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


def pause_s(attempts: int, draw: float) -> float:
    """Seconds before the next attempt after so many failed ones (>= 1). draw: random, 0 to 1.

    >>> pause_s(1, 1.0), pause_s(3, 1.0), pause_s(3, 0.0), pause_s(40, 1.0)
    (1.0, 4.0, 2.0, 60.0)
    """
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 30)) * (0.5 + draw / 2)


# What is asked for every push is built once.


@cache
def _next(*, but: bool) -> Select[Any]:
    """Pending ones of a ``channel``, the gravest first, ``most`` of them. but: not those ``without``."""
    columns = tables.notifications.c
    query = select(tables.notifications).where(
        columns.state == NotificationState.PENDING.value, columns.channel == bindparam("channel")
    )
    if but:
        query = query.where(columns.id.not_in(bindparam("without", expanding=True)))
    return query.order_by(columns.severity, columns.id).limit(bindparam("most"))


@cache
def _elsewhere(channels: tuple[str, ...]) -> Select[Any]:
    """Pending ones of other channels, ``most`` of them. channels: in their order.

    Asked for by what lies between the channels, so that the index leads past all that waits for one of them.
    """
    columns = tables.notifications.c
    edges = (None, *channels, None)
    gaps = [
        and_(
            columns.state == NotificationState.PENDING.value,
            *(() if low is None else (columns.channel > low,)),
            *(() if high is None else (columns.channel < high,)),
        )
        for low, high in pairwise(edges)
    ]
    return select(tables.notifications).where(or_(*gaps)).limit(bindparam("most"))


@dataclass(frozen=True, slots=True)
class _Sending:
    """What became of one attempt. error: None where it was sent. final: whether trying again is no use."""

    notification: Notification
    error: str | None = None
    final: bool = False


@dataclass(slots=True)
class _Desk:
    """One channel's place in the outbox. not_before: monotonic seconds by notification that must wait."""

    channel: Channel
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    not_before: dict[int, float] = field(default_factory=dict)
    failures: int = 0


class Outbox:
    """Sends what the ledger holds as pending, the gravest first; each channel on its own.

    A notification that was sent, but not recorded before the daemon ended, is sent again with the same id.
    """

    def __init__(self, ledger: Ledger, channels: Mapping[str, Channel], clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._desks = {name: _Desk(channel) for name, channel in channels.items()}
        self._channels = tuple(sorted(self._desks))
        self._unknown = asyncio.Event()
        self._oldest_us: int | None = None
        self._waited_before: set[int] = set()
        self._told_late: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """There is something new to send. May be called from any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self._desks:  # a desk that looks sees what is for no desk, too
            self._unknown.set()
        for desk in self._desks.values():
            desk.woken.set()

    def trouble(self, now_us: int) -> str | None:
        """What keeps notifications from getting through, in English; None where nothing does. Never blocks.

        A channel that does not work, or a notification that has waited for more than a minute (as seen WATCH_EVERY_S
        ago at most).
        """
        for name, desk in self._desks.items():
            if desk.channel.trouble is not None:
                return f"{name}: {desk.channel.trouble}"
        if self._oldest_us is not None and now_us - self._oldest_us > TROUBLE_AFTER_US:
            return f"a notification has waited for {(now_us - self._oldest_us) // 1_000_000} s"
        return None

    async def run(self) -> None:
        """Send until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for name, desk in self._desks.items():
                group.create_task(self._serve(desk), name=f"notify by {name}")
            group.create_task(self._refuse_unknown(), name="notify by unknown channels")
            group.create_task(self._watch(), name="watch the outbox")

    async def _serve(self, desk: _Desk) -> None:
        while True:
            desk.woken.clear()
            try:
                await self._round(desk)
            except LedgerUnavailableError as error:
                _log.warning("outbox: the ledger cannot be used", why=str(error))
                await self._clock.sleep(FIRST_PAUSE_S)

    async def _round(self, desk: _Desk) -> None:
        now_s = self._clock.monotonic()
        waiting = [one for one, due_s in desk.not_before.items() if due_s > now_s]
        # While nothing gets through, one notification asks for all whether the channel works again.
        size = 1 if desk.failures else BATCH
        batch, elsewhere = await asyncio.to_thread(self._pending, desk.channel.name, waiting, size)
        if elsewhere:
            self._unknown.set()
        due_s = min((desk.not_before[one] for one in waiting), default=None)
        if not batch:
            await self._rest(desk.woken, None if due_s is None else due_s - now_s)
            return
        results = await asyncio.gather(*(self._send(desk.channel, one) for one in batch))
        await asyncio.to_thread(self._record, results)
        for result in results:
            desk.not_before.pop(result.notification.id, None)
            if result.error is not None and not result.final:
                pause = pause_s(result.notification.attempts + 1, random.random())  # noqa: S311 - spreads load
                desk.not_before[result.notification.id] = self._clock.monotonic() + pause
        if all(result.error is not None and not result.final for result in results):
            desk.failures += 1
            await self._rest(desk.woken, pause_s(desk.failures, random.random()))  # noqa: S311 - spreads load
            return
        desk.failures = 0
        if len(batch) < size and all(result.error is None for result in results):
            # That was all but what waits for its time: the rest comes with a wake, and is not looked for before.
            await self._rest(desk.woken, None if due_s is None else due_s - self._clock.monotonic())

    async def _rest(self, woken: asyncio.Event, seconds: float | None) -> None:
        if seconds is None:
            await woken.wait()
            return
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(woken.wait())]
        tasks.append(asyncio.create_task(self._clock_sleep(seconds)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _clock_sleep(self, seconds: float) -> None:
        await self._clock.sleep(max(0.0, seconds))

    async def _send(self, channel: Channel, notification: Notification) -> _Sending:
        try:
            async with asyncio.timeout(SEND_PATIENCE_S):
                await channel.send(notification)
        except PermanentError as error:
            return _Sending(notification, str(error), final=True)
        except RetryableError as error:
            return _Sending(notification, str(error), final=self._too_late(notification))
        except TimeoutError:
            return _Sending(notification, f"no answer within {SEND_PATIENCE_S:g} s", self._too_late(notification))
        return _Sending(notification)

    def _too_late(self, notification: Notification) -> bool:
        old = self._clock.now_us() - notification.created_us > GIVE_UP_AFTER_US
        return old and notification.attempts + 1 >= GIVE_UP_AFTER_ATTEMPTS

    async def _refuse_unknown(self) -> None:
        """A channel that nobody runs cannot reach anybody: recorded as failed at once."""
        while True:
            self._unknown.clear()
            try:
                lost = await asyncio.to_thread(self._pending_elsewhere)
                refusals = [_Sending(one, f"no channel {one.channel!r} is set up", final=True) for one in lost]
                if refusals:
                    await asyncio.to_thread(self._record, refusals)
                    self._wake()
                    continue
            except LedgerUnavailableError as error:
                _log.warning("outbox: the ledger cannot be used", why=str(error))
                await self._clock.sleep(FIRST_PAUSE_S)
                continue
            await self._unknown.wait()

    async def _watch(self) -> None:
        """Know how long the oldest waits, and tell the centre of what is grave and late."""
        while True:
            try:
                await asyncio.to_thread(self._look)
            except LedgerUnavailableError as error:
                _log.warning("outbox: the ledger cannot be used", why=str(error))
            await self._clock.sleep(WATCH_EVERY_S)

    def _look(self) -> None:
        columns, now_us = tables.notifications.c, self._clock.now_us()
        pending = columns.state == NotificationState.PENDING.value
        late = select(tables.notifications).where(
            pending,
            columns.severity <= int(LATE_SEVERITY),
            columns.created_us <= now_us - LATE_AFTER_US,
            columns.worker != CENTRE,
        )
        with self._ledger.read() as connection:
            self._oldest_us = connection.execute(select(func.min(columns.created_us)).where(pending)).scalar_one()
            waiting = {row["id"]: _notification(row) for row in connection.execute(late).mappings()}
        # Late at two looks: a history replayed at great speed is not late at once.
        due = [waiting[one] for one in sorted(waiting.keys() & self._waited_before - self._told_late)]
        self._waited_before = set(waiting)
        self._told_late &= waiting.keys()
        if due:
            with self._ledger.write() as transaction:
                for one in due:
                    _record_late(transaction, one, now_us)
            self._told_late.update(one.id for one in due)
            self.wake()

    def _pending(self, channel: str, without: Sequence[int], limit: int) -> tuple[list[Notification], bool]:
        """(the next of a channel, whether something waits for a channel that nobody runs)."""
        values: dict[str, object] = {"channel": channel, "most": limit}
        query = _next(but=bool(without))
        if without:
            values["without"] = without
        with self._ledger.read() as connection:
            rows = connection.execute(query, values).mappings().all()
            elsewhere = connection.execute(_elsewhere(self._channels), {"most": 1}).first()
        return [_notification(row) for row in rows], elsewhere is not None

    def _pending_elsewhere(self) -> list[Notification]:
        with self._ledger.read() as connection:
            rows = connection.execute(_elsewhere(self._channels), {"most": BATCH}).mappings().all()
        return [_notification(row) for row in rows]

    def _record(self, results: Sequence[_Sending]) -> None:
        now_us = self._clock.now_us()
        with self._ledger.write() as transaction:
            for result in results:
                _record_one(transaction, result, now_us)


def _record_one(transaction: Transaction, result: _Sending, now_us: int) -> None:
    one = result.notification
    attempts = one.attempts + 1
    if result.error is not None and not result.final:
        transaction.change(tables.notifications, one.id, attempts=attempts, last_error=result.error[:500])
        return
    sent = result.error is None
    transaction.change(
        tables.notifications,
        one.id,
        attempts=attempts,
        state=(NotificationState.SENT if sent else NotificationState.FAILED).value,
        last_error=None if sent else str(result.error)[:500],
        sent_us=now_us if sent else None,
    )
    _write_down(transaction, one, now_us, attempts=attempts, error=result.error, final=True)
    if not sent and one.worker != CENTRE and not _otherwise(transaction, one, _NOT_FAILED):
        _tell_centre(transaction, one, now_us)


def _record_late(transaction: Transaction, one: Notification, now_us: int) -> None:
    """A notification that waits for too long: the centre learns of it once, and it is tried on."""
    columns = tables.notifications.c
    still = select(columns.id).where(columns.id == one.id, columns.state == NotificationState.PENDING.value)
    if not transaction.rows(still) or _otherwise(transaction, one, [NotificationState.SENT.value]):
        return
    if _tell_centre(transaction, one, now_us):
        error = f"not delivered within {LATE_AFTER_US // 60_000_000} min, still being tried"
        _write_down(transaction, one, now_us, attempts=one.attempts, error=error, final=False)


def _write_down(
    transaction: Transaction, one: Notification, now_us: int, *, attempts: int, error: str | None, final: bool
) -> None:
    subject, subject_id = _case(one)
    transaction.trail(
        Action.NOTIFIED if error is None else Action.NOTIFY_FAILED,
        subject,
        subject_id,
        at_us=now_us,
        actor=SYSTEM,
        notification=one.key,
        code=one.payload.get("code"),
        cause=one.cause,
        worker=one.worker,
        name=_name(one),
        channel=one.channel,
        attempts=attempts,
        waited_us=now_us - one.created_us,
        error=error,
        final=final,
    )


def _case(one: Notification) -> tuple[Subject, int]:
    if one.event_id is None:
        return Subject.TICKET, one.ticket_id or 0
    return Subject.EVENT, one.event_id


def _tell_centre(transaction: Transaction, one: Notification, now_us: int) -> bool:
    """Tell the centre whom a notification did not reach, unless it was told before; whether it was told now."""
    columns = tables.trail.c
    subject, subject_id = _case(one)
    failures = select(columns.detail).where(
        columns.subject == subject.value,
        columns.subject_id == subject_id,
        columns.action == Action.NOTIFY_FAILED.value,
    )
    if any(row["detail"].get("notification") == one.key for row in transaction.rows(failures)):
        return False
    payload = not_reached_push(one.payload, one.worker, one.channel)
    for channel in CENTRE_CHANNELS:
        row = outbox_row(
            transaction,
            Cause.NOT_REACHED,
            worker=CENTRE,
            channel=channel,
            payload=payload,
            severity=Severity(one.severity),
            now_us=now_us,
        )
        transaction.add(tables.notifications, row)
    return True


def _name(one: Notification) -> object:
    name = name_in(one.payload, one.worker)
    return None if name is None else {"zh": name.zh, "en": name.en}


_NOT_FAILED = [NotificationState.PENDING.value, NotificationState.SENT.value]


def _otherwise(transaction: Transaction, one: Notification, states: Sequence[str]) -> bool:
    """Whether the same stands in one of these states for the same person by another channel."""
    columns = tables.notifications.c
    query = select(columns.id).where(
        columns.worker == one.worker,
        columns.cause == one.cause,
        columns.event_id.is_(None) if one.event_id is None else columns.event_id == one.event_id,
        columns.ticket_id.is_(None) if one.ticket_id is None else columns.ticket_id == one.ticket_id,
        columns.created_us == one.created_us,
        columns.state.in_(states),
        columns.id != one.id,
    )
    return bool(transaction.rows(query.limit(1)))


def _notification(row: Row) -> Notification:
    return Notification(
        id=row["id"],
        key=row["key"],
        cause=row["cause"],
        worker=row["worker"],
        channel=row["channel"],
        severity=row["severity"],
        payload=row["payload"],
        attempts=row["attempts"],
        created_us=row["created_us"],
        event_id=row["event_id"],
        ticket_id=row["ticket_id"],
    )
