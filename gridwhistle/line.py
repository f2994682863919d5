"""The way of a batch through the rooms: admit, keep what is refused, judge, open cases, store, acknowledge."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import structlog

from alerting.pipeline import Pipeline
from config.city import City
from config.clock import Clock, FollowingClock, from_datetime, isoformat
from config.errors import RetryableError
from dashboard_api.ports import LastValues
from detectors.engine import Engine
from detectors.model import Verdict
from detectors.snapshot import Snapshot, capture
from ingest.intake import Intake
from ingest.liveness import Liveness
from ingest.model import Admission, Message, Quality, ReadingBatch, Refusal, RefusalReason
from ingest.store import Store, StoreRefusedError

log = structlog.get_logger(__name__)

STORE_ROWS = 100_000
"""Most readings handed to the store in one write."""

SEGMENT_US = 5_000_000
"""Stretch of published time that may be judged in one go when a replay runs ahead of us."""


class DeadLetters(Protocol):
    """Where refused readings are kept for people to read."""

    def write(self, refused: Sequence[Refusal]) -> None:
        """Keep them durably."""
        ...


class Acknowledger(Protocol):
    """Tells the broker that messages are safe."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages of the present connection; others are redelivered anyway."""
        ...


@dataclass
class Latest:
    """The newest trusted reading of every sensor, as columns by sensor index."""

    event_us: np.ndarray[tuple[int], np.dtype[np.int64]]
    value: np.ndarray[tuple[int], np.dtype[np.float64]]
    silent: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @staticmethod
    def of(sensors: int) -> "Latest":
        """Nothing known yet."""
        return Latest(np.zeros(sensors, np.int64), np.full(sensors, np.nan), np.zeros(sensors, np.bool_))

    def see(self, batch: ReadingBatch) -> None:
        """Take over what is newer."""
        trusted = batch.take((batch.quality == Quality.GOOD) & (batch.event_us >= self.event_us[batch.sensor]))
        order = np.argsort(trusted.event_us, kind="stable")
        self.event_us[trusted.sensor[order]] = trusted.event_us[order]
        self.value[trusted.sensor[order]] = trusted.value[order]

    def values(self) -> LastValues:
        """A copy that no later reading changes."""
        return LastValues(self.event_us.copy(), self.value.copy(), self.silent.copy())


def segments(messages: Sequence[Message], clock_topic: str | None) -> Iterator[tuple[int | None, list[Message]]]:
    """Cut messages at the ticks of a published clock: (the time to move on to first, the readings then judged).

    Ticks less than SEGMENT_US apart are taken together at the last of them: messages that have waited together are
    judged together, as a micro-batch of life would be. Without a clock topic everything is one segment. A tick that
    cannot be read is passed over.
    """
    begun: int | None = None
    tick: int | None = None
    gathered: list[Message] = []
    for message in messages:
        if clock_topic is None or message.topic != clock_topic:
            gathered.append(message)
            continue
        if (heard := read_tick(message.payload)) is None:
            continue
        if begun is None or heard - begun >= SEGMENT_US:
            if gathered or tick is not None:
                yield tick, gathered
            begun, gathered = heard, []
        tick = heard
    if gathered or tick is not None:
        yield tick, gathered


def read_tick(payload: bytes) -> int | None:
    """Wall time in microseconds of a clock message; None, and a line in the log, where it cannot be read."""
    try:
        heard = from_datetime(datetime.fromisoformat(json.loads(payload)["time"]))
        isoformat(heard)  # a time that cannot be written cannot be lived in
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        log.warning("clock message unreadable", found=repr(payload[:80]), expected='{"time": RFC 3339}', why=str(error))
        return None
    return heard


class Retry:
    """Pauses between attempts, doubling from 0.2 s to 10 s; the first one is told to the log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pause_s = 0.1

    async def pause(self, what: str, error: Exception) -> None:
        """Wait before the next attempt."""
        if self._pause_s == 0.1:
            log.warning(what, why=str(error))
        self._pause_s = min(10.0, self._pause_s * 2)
        await self._clock.sleep(self._pause_s)


@dataclass
class Stored:
    """Readings on their way into the store, with the messages to acknowledge after, and the time they were judged."""

    batch: ReadingBatch
    messages: Sequence[Message]
    now_us: int


async def _forget(now_us: int) -> None:
    """Remember nothing."""


@dataclass
class Line:
    """Carries messages through the rooms. One batch at a time; the store may lag behind by a bounded queue.

    clock_topic: the topic of a published clock, None where the system's is used. remember: called with the time up to
    which everything is stored, before the broker is told so. store_trouble, ledger_trouble, dead_letter_trouble:
    what ails them, None if nothing does. unfiled: whether the detectors know something that no case says yet.
    """

    city: City
    clock: Clock
    intake: Intake
    dead_letters: DeadLetters
    liveness: Liveness
    engine: Engine
    pipeline: Pipeline
    store: Store
    acknowledger: Acknowledger
    clock_topic: str | None = None
    remember: Callable[[int], Awaitable[None]] = _forget
    latest: Latest = field(init=False)
    store_trouble: str | None = field(default=None, init=False)
    ledger_trouble: str | None = field(default=None, init=False)
    dead_letter_trouble: str | None = field(default=None, init=False)
    unfiled: bool = field(default=False, init=False)
    counters: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Start with nothing known and an empty way to the store."""
        self.latest = Latest.of(len(self.city.sensors))
        self._to_store: asyncio.Queue[Stored] = asyncio.Queue(maxsize=64)
        self._turn = asyncio.Lock()
        # A thread of its own: whatever else keeps the daemon's threads busy, cases are opened.
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="alerting")
        self._ticked = False

    async def take(self, messages: Sequence[Message]) -> None:
        """Carry messages as far as the queue to the store. Waits while that queue is full (back-pressure)."""
        async with self._turn:
            batches = []
            for tick, segment in segments(messages, self.clock_topic):
                if tick is not None:
                    await self._move_clock(tick)
                if segment:
                    batches.append(await self._judge(segment))
        kept = merge(batches)
        await self._to_store.put(Stored(kept, messages, self.clock.now_us()))

    async def _move_clock(self, tick: int) -> None:
        if isinstance(self.clock, FollowingClock):
            self.clock.advance(tick)
        if not self._ticked:
            # Until its first tick a published clock stood; that time is not held against any device.
            self._ticked = True
            self.liveness.link(False, self.clock.now_us())
            self.liveness.link(True, self.clock.now_us())
        await self._beat()

    async def _judge(self, messages: Sequence[Message]) -> ReadingBatch:
        now_us = self.clock.now_us()
        admission: Admission = self.intake.admit(messages, now_us)
        if admission.refused:
            await self._keep_refused(admission.refused)
        self.liveness.seen(admission.batch)
        self.latest.see(admission.batch)
        self.unfiled = True
        if admission.stepped:
            self.engine.step_back(admission.stepped, admission.batch)
        verdicts = self.engine.process(admission.batch, now_us)
        if admission.refused:
            verdicts += self.engine.refused(admission.refused, now_us)
        await self._open_cases(verdicts, now_us)
        self.unfiled = False
        return admission.batch

    async def _keep_refused(self, refused: Sequence[Refusal]) -> None:
        retry = Retry(self.clock)
        while True:
            try:
                await asyncio.to_thread(self.dead_letters.write, refused)
            except RetryableError as error:
                self.dead_letter_trouble = str(error)
                self._held_up()
                await retry.pause("dead-letter cannot be written, messages wait", error)
            else:
                if self.dead_letter_trouble is not None:
                    self._going_on()
                self.dead_letter_trouble = None
                return

    async def beat(self) -> None:
        """Look who has fallen silent or speaks again. Called every second, and at every tick of a published clock."""
        async with self._turn:
            await self._beat()

    async def _beat(self) -> None:
        now_us = self.clock.now_us()
        changes = self.liveness.check(now_us)
        for change in changes:
            self.latest.silent[change.sensor] = change.silent
        if not changes and not self.pipeline.due(now_us):
            return
        self.unfiled = True
        await self._handle(self.engine.liveness(changes, now_us) if changes else [], now_us)
        self.unfiled = False

    async def link(self, *, up: bool) -> None:
        """Say whether our own link to the broker stands: its silence is not the devices' silence.

        Neither is it theirs while we take no messages because the store is far behind.
        """
        async with self._turn:
            self.liveness.link(up and not self._to_store.full(), self.clock.now_us())

    async def _open_cases(self, verdicts: Sequence[Verdict], now_us: int) -> None:
        if verdicts:
            self._count("verdicts", len(verdicts))
            await self._handle(verdicts, now_us)

    async def _handle(self, verdicts: Sequence[Verdict], now_us: int) -> None:
        retry = Retry(self.clock)
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._desk, self.pipeline.handle, verdicts, now_us)
            except RetryableError as error:
                self.ledger_trouble = str(error)
                self._count("ledger_retries", 1)
                self._held_up()
                await retry.pause("ledger cannot be written, cases wait", error)
            else:
                if self.ledger_trouble is not None:
                    self._going_on()
                self.ledger_trouble = None
                return

    def _held_up(self) -> None:
        """Readings wait for us: nobody is silent because of it."""
        self.liveness.link(False, self.clock.now_us())

    def _going_on(self) -> None:
        self.liveness.link(True, self.clock.now_us())

    async def captured(self) -> Snapshot:
        """The detectors' state between two batches, when all it says is in the ledger."""
        async with self._turn:
            return capture(self.engine)

    async def prepare_store(self) -> None:
        """Have the store create what it misses; tries until it can be reached."""
        retry = Retry(self.clock)
        while True:
            try:
                await asyncio.to_thread(self.store.prepare)
            except RetryableError as error:
                self.store_trouble = str(error)
                await retry.pause("store cannot be prepared, readings wait", error)
            else:
                self.store_trouble = None
                return

    async def keep_storing(self) -> None:
        """Write to the store what has been judged, then acknowledge it. Runs until cancelled; gives up on nothing."""
        while True:
            waiting = [await self._to_store.get()]
            rows = len(waiting[0].batch)
            while rows < STORE_ROWS and not self._to_store.empty():
                waiting.append(self._to_store.get_nowait())
                rows += len(waiting[-1].batch)
            await self._store(merge([item.batch for item in waiting]))
            await self.remember(waiting[-1].now_us)
            for item in waiting:
                self.acknowledger.acknowledge(item.messages)
                self._to_store.task_done()

    def close(self) -> None:
        """Let go of the thread that opens cases."""
        self._desk.shutdown()

    async def drained(self) -> None:
        """Wait until everything taken so far is stored and acknowledged."""
        await self._to_store.join()

    async def _store(self, batch: ReadingBatch) -> None:
        retry = Retry(self.clock)
        while len(batch):
            try:
                await asyncio.to_thread(self.store.write, batch)
            except RetryableError as error:
                self.store_trouble = str(error)
                self._count("store_retries", 1)
                await retry.pause("store cannot be written, readings wait", error)
            except StoreRefusedError as error:
                log.warning("store refused readings, kept in the dead-letter", rows=len(error.rows), why=str(error))
                await self._keep_refused(store_refusals(batch.take(error.rows), self.city, str(error)))
                self.store_trouble = None
                self._count("store_refused", len(error.rows))
                self._count("stored", len(batch) - len(error.rows))
                return
            else:
                self.store_trouble = None
                self._count("stored", len(batch))
                return

    def _count(self, name: str, by: int) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def counted(self) -> Mapping[str, int]:
        """Everything counted since the start, by name."""
        return {**self.intake.counters, **self.counters, "store_queue": self._to_store.qsize()}


def merge(batches: Sequence[ReadingBatch]) -> ReadingBatch:
    """Batches one after the other as one."""
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return ReadingBatch.empty()
    return ReadingBatch(
        np.concatenate([batch.sensor for batch in batches]),
        np.concatenate([batch.event_us for batch in batches]),
        np.concatenate([batch.received_us for batch in batches]),
        np.concatenate([batch.value for batch in batches]),
        np.concatenate([batch.quality for batch in batches]),
    )


def store_refusals(batch: ReadingBatch, city: City, why: str) -> list[Refusal]:
    """Admitted readings that the store will not take, in the form of the dead-letter: nothing is lost."""
    return [
        Refusal(
            RefusalReason.STORE_REFUSED,
            int(received_us),
            "",
            json.dumps({"id": city.sensors[sensor].id, "t": int(event_us) / 1e6, "v": float(value)}).encode(),
            found=why,
            expected="a store that takes the reading",
            sensor=int(sensor),
        )
        for sensor, event_us, received_us, value in zip(
            batch.sensor, batch.event_us, batch.received_us, batch.value, strict=True
        )
    ]
