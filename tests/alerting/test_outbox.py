import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerting import tables
from alerting.channels.base import Channel, Notification
from alerting.ledger import Ledger
from alerting.model import CENTRE, Action
from alerting.outbox import (
    GIVE_UP_AFTER_ATTEMPTS,
    GIVE_UP_AFTER_US,
    LATE_AFTER_US,
    TROUBLE_AFTER_US,
    WATCH_EVERY_S,
    Outbox,
    pause_s,
)
from alerting.pipeline import Pipeline
from config.clock import FollowingClock
from config.errors import PermanentError, RetryableError
from config.vocabulary import Severity
from tests.alerting import support
from tests.alerting.support import NOON_US, verdict

PATIENCE_S = 20.0


class ManualClock(FollowingClock):
    """A clock whose pauses take no time but are written down; its monotonic time moves by them.

    The outbox looks after what is late when ``look`` lets it.
    """

    def __init__(self) -> None:
        super().__init__(NOON_US)
        self.look = asyncio.Event()
        self.slept: list[float] = []
        self._monotonic = 0.0

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds == WATCH_EVERY_S:
            await self.look.wait()
            await asyncio.sleep(0.001)
            return
        self.slept.append(seconds)
        self._monotonic += seconds
        await asyncio.sleep(0)


class ScriptedChannel:
    """Answers each attempt with the next error of its script, None for success; without script always success."""

    def __init__(self, *script: Exception | None, name: str = "mqtt") -> None:
        self.name = name
        self.trouble: str | None = None
        self.script = list(script)
        self.attempts: list[Notification] = []
        self.sent: list[Notification] = []

    async def send(self, notification: Notification) -> None:
        self.attempts.append(notification)
        answer = self.script.pop(0) if self.script else None
        if answer is not None:
            raise answer
        self.sent.append(notification)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def rows(ledger: Ledger) -> list[Any]:
    with ledger.read() as connection:
        return list(connection.execute(select(tables.notifications).order_by(tables.notifications.c.id)))


async def until(ledger: Ledger, holds: Callable[[list[Any]], bool]) -> list[Any]:
    """The rows of the outbox as soon as they are as asked; driven by the ledger's own commits."""
    grown, loop = asyncio.Event(), asyncio.get_running_loop()

    def hear(_: int) -> None:
        loop.call_soon_threadsafe(grown.set)

    ledger.subscribe(hear)
    async with asyncio.timeout(PATIENCE_S):
        while not holds(found := await asyncio.to_thread(rows, ledger)):
            try:
                async with asyncio.timeout(0.05):  # retries are recorded without a line in the trail
                    await grown.wait()
            except TimeoutError:
                continue
            grown.clear()
    return found


def states(found: list[Any]) -> list[str]:
    return [row.state for row in found]


def all_sent(found: list[Any]) -> bool:
    return bool(found) and all(row.state == "sent" for row in found)


async def test_what_waits_is_sent_and_recorded_to_the_letter(
    ledger: Ledger, pipeline: Pipeline, clock: ManualClock
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    channel = ScriptedChannel()
    clock.advance(NOON_US + 7)
    async with running(Outbox(ledger, {"mqtt": channel}, clock)):
        (row,) = await until(ledger, all_sent)
    assert (row.attempts, row.last_error, row.sent_us) == (1, None, NOON_US + 7)
    (sent,) = channel.sent
    assert (sent.worker, sent.payload["id"], sent.payload["event_id"]) == ("worker-1", row.key, 1)
    entry = ledger.trail()[-1]
    assert (entry.action, entry.subject_id, entry.detail["notification"]) == (Action.NOTIFIED, 1, row.key)
    assert (entry.detail["worker"], entry.detail["waited_us"]) == ("worker-1", 7)


async def test_a_failure_worth_retrying_is_retried_after_growing_pauses_with_the_same_id(
    ledger: Ledger, pipeline: Pipeline, clock: ManualClock
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    channel = ScriptedChannel(RetryableError("down"), RetryableError("still down"), RetryableError("yet"))
    async with running(Outbox(ledger, {"mqtt": channel}, clock)):
        (row,) = await until(ledger, all_sent)
    assert row.attempts == 4
    assert [one.key for one in channel.attempts] == [row.key] * 4
    assert 0.5 <= clock.slept[0] <= 1.0
    assert sum(clock.slept) >= 0.5 + 1 + 2
    assert [entry.action for entry in ledger.trail()].count(Action.NOTIFIED) == 1


async def test_a_refusal_is_final_and_the_centre_learns_of_it(
    ledger: Ledger, pipeline: Pipeline, clock: ManualClock
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    channel = ScriptedChannel(PermanentError("no such number"))
    outbox = Outbox(ledger, {"mqtt": channel}, clock)
    ledger.subscribe(lambda _: outbox.wake())
    async with running(outbox):
        first, second = await until(ledger, lambda found: len(found) == 2 and found[1].state == "sent")
    assert (first.state, first.last_error, first.attempts, first.sent_us) == ("failed", "no such number", 1, None)
    assert (second.worker, second.cause) == (CENTRE, "not_reached")
    assert second.payload["id"] == second.key != first.key
    failed = next(entry for entry in ledger.trail() if entry.action is Action.NOTIFY_FAILED)
    assert failed.detail["error"] == "no such number"


async def test_a_channel_nobody_runs_fails_at_once(ledger: Ledger, pipeline: Pipeline, clock: ManualClock) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    async with running(Outbox(ledger, {}, clock)):
        found = await until(ledger, lambda found: len(found) == 2 and {row.state for row in found} == {"failed"})
    assert "no channel 'mqtt' is set up" in found[0].last_error


async def test_a_channel_nobody_runs_fails_at_once_beside_one_that_somebody_runs(
    ledger: Ledger, clock: ManualClock
) -> None:
    city = support.city()
    worker = city.workers["worker-1"]
    both = {**city.workers, "worker-1": type(worker)(worker.id, worker.name, worker.phone, ("sms", "mqtt"))}
    object.__setattr__(city, "workers", both)
    pipeline, channel = Pipeline(ledger, city), ScriptedChannel()
    outbox = Outbox(ledger, {"mqtt": channel}, clock)
    async with running(outbox):
        for index, number in ((0, 2), (2, 4)):
            await asyncio.to_thread(pipeline.handle, [verdict(index)], NOON_US)
            outbox.wake()
            found = await until(ledger, lambda found, n=number: len(found) == n and "pending" not in states(found))  # type: ignore[misc] # a default binds the number
            assert states(found) == ["failed", "sent"] * (number // 2)


async def test_a_restart_sends_what_was_left_once_and_nothing_twice(
    ledger: Ledger, pipeline: Pipeline, clock: ManualClock, tmp_path: Path
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    first = ScriptedChannel()
    async with running(Outbox(ledger, {"mqtt": first}, clock)):
        await until(ledger, all_sent)
    pipeline.handle([verdict(2)], NOON_US)
    again = support.reopen(ledger, tmp_path)
    second = ScriptedChannel()
    async with running(Outbox(again, {"mqtt": second}, clock)):
        await until(again, all_sent)
    again.close()
    assert [one.id for one in first.sent + second.sent] == [1, 2]


async def test_the_gravest_goes_first(ledger: Ledger, pipeline: Pipeline, clock: ManualClock) -> None:
    pipeline.handle([verdict(3, severity=Severity.GENERAL), verdict(0), verdict(5, severity=Severity.EXTREME)], NOON_US)
    channel = ScriptedChannel()
    async with running(Outbox(ledger, {"mqtt": channel}, clock)):
        await until(ledger, all_sent)
    assert [one.severity for one in channel.sent] == [1, 2, 4]


async def test_something_new_is_sent_at_once_after_a_wake(
    ledger: Ledger, pipeline: Pipeline, clock: ManualClock
) -> None:
    channel = ScriptedChannel()
    outbox = Outbox(ledger, {"mqtt": channel}, clock)
    ledger.subscribe(lambda _: outbox.wake())
    async with running(outbox):
        for index in (0, 2, 10):
            await asyncio.to_thread(pipeline.handle, [verdict(index)], NOON_US)
            await until(ledger, all_sent)
    assert len(channel.sent) == 3


async def test_one_broken_channel_does_not_hold_up_another(ledger: Ledger, clock: ManualClock) -> None:
    class Hangs(ScriptedChannel):
        async def send(self, notification: Notification) -> None:
            self.attempts.append(notification)
            await asyncio.Event().wait()

    city = support.city()
    worker = city.workers["worker-1"]
    both = {**city.workers, "worker-1": type(worker)(worker.id, worker.name, worker.phone, ("sms", "mqtt"))}
    object.__setattr__(city, "workers", both)
    Pipeline(ledger, city).handle([verdict(0)], NOON_US)
    hangs, works = Hangs(name="sms"), ScriptedChannel()
    channels: dict[str, Channel] = {"sms": hangs, "mqtt": works}
    async with running(Outbox(ledger, channels, clock)):
        await until(ledger, lambda found: found[1].state == "sent")
    assert len(works.sent) == 1


async def test_after_a_day_of_failures_it_is_given_up(ledger: Ledger, pipeline: Pipeline, clock: ManualClock) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    clock.advance(NOON_US + GIVE_UP_AFTER_US + 1)
    channel = ScriptedChannel(*[RetryableError("down")] * GIVE_UP_AFTER_ATTEMPTS)
    async with running(Outbox(ledger, {"mqtt": channel}, clock)):
        found = await until(ledger, lambda found: found[0].state == "failed")
    assert found[0].attempts == GIVE_UP_AFTER_ATTEMPTS


@pytest.mark.parametrize("attempts", [1, 2, 5, 10, 1000])
def test_pauses_grow_and_scatter_but_never_beyond_a_minute(attempts: int) -> None:
    shortest, longest = pause_s(attempts, 0.0), pause_s(attempts, 1.0)
    assert 0.5 <= shortest < longest <= 60
    assert longest == min(60, 2.0 ** (attempts - 1))


class Silent(ScriptedChannel):
    """Reaches the command centre, and nobody else."""

    async def send(self, notification: Notification) -> None:
        if notification.worker != CENTRE:
            raise RetryableError("out of reach")
        self.sent.append(notification)


def of_the_centre(found: list[Any]) -> list[Any]:
    return [row for row in found if row.worker == CENTRE]


async def test_a_grave_push_that_does_not_get_through_for_two_minutes_is_told_to_the_centre_once(
    ledger: Ledger, pipeline: Pipeline, clock: ManualClock
) -> None:
    pipeline.handle([verdict(0), verdict(3, severity=Severity.LARGER)], NOON_US)
    channel = Silent()
    outbox = Outbox(ledger, {"mqtt": channel}, clock)
    ledger.subscribe(lambda _: outbox.wake())
    clock.look.set()
    clock.advance(NOON_US + LATE_AFTER_US - 1)
    async with running(outbox):
        await until(ledger, lambda found: min(row.attempts for row in found) > 3)
        assert of_the_centre(rows(ledger)) == []
        clock.advance(NOON_US + LATE_AFTER_US)
        await until(ledger, lambda found: any(row.state == "sent" for row in of_the_centre(found)))
        attempts = rows(ledger)[0].attempts
        await until(ledger, lambda found: found[0].attempts > attempts + 2)
    again = Outbox(ledger, {"mqtt": channel}, clock)
    async with running(again):
        attempts = rows(ledger)[0].attempts
        await until(ledger, lambda found: found[0].attempts > attempts + 3)
    (sent,) = channel.sent
    assert (sent.cause, sent.payload["event_id"], sent.severity) == ("not_reached", 1, 2)
    assert len(of_the_centre(rows(ledger))) == 1
    (failed,) = [entry for entry in ledger.trail() if entry.action is Action.NOTIFY_FAILED]
    assert (failed.detail["final"], failed.detail["waited_us"]) == (False, LATE_AFTER_US)


async def test_what_was_late_and_fails_for_good_is_not_told_to_the_centre_twice(
    ledger: Ledger, pipeline: Pipeline, clock: ManualClock
) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    channel = ScriptedChannel()
    outbox = Outbox(ledger, {"mqtt": channel}, clock)
    clock.advance(NOON_US + LATE_AFTER_US)
    outbox._look()
    assert of_the_centre(rows(ledger)) == []
    outbox._look()
    outbox._look()
    assert len(of_the_centre(rows(ledger))) == 1
    channel.script = [PermanentError("no such number"), None]
    async with running(outbox):
        await until(ledger, lambda found: [row.state for row in found] == ["failed", "sent"])
    assert len(of_the_centre(rows(ledger))) == 1


async def test_what_is_wrong_with_it_can_be_asked_at_any_time(
    ledger: Ledger, pipeline: Pipeline, clock: ManualClock
) -> None:
    channel = ScriptedChannel()
    outbox = Outbox(ledger, {"mqtt": channel}, clock)
    assert outbox.trouble(NOON_US) is None
    pipeline.handle([verdict(0)], NOON_US)
    outbox._look()
    assert outbox.trouble(NOON_US + TROUBLE_AFTER_US) is None
    assert outbox.trouble(NOON_US + TROUBLE_AFTER_US + 1) == "a notification has waited for 60 s"
    channel.trouble = "not connected"
    assert outbox.trouble(NOON_US) == "mqtt: not connected"
    channel.trouble = None
    clock.look.set()
    async with running(outbox), asyncio.timeout(PATIENCE_S):
        await until(ledger, all_sent)
        while outbox.trouble(NOON_US + TROUBLE_AFTER_US + 1) is not None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
