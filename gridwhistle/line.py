"""The way of a batch through the rooms: admit, spool, acknowledge, judge, open cases; behind it, into the store."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import numpy as np
import structlog

from alerting.pipeline import Pipeline
from config.city import City
from config.clock import Clock, FollowingClock
from config.errors import RetryableError
from detectors.engine import DEVICE_REFUSALS, Engine
from detectors.model import Verdict
from gridwhistle.lane import Lane, Unstored
from gridwhistle.latest import Latest
from gridwhistle.ticks import segments
from ingest.intake import Intake
from ingest.liveness import Liveness
from ingest.model import Admission, Messages, ReadingBatch, Refusal, RefusalReason
from ingest.spool import SpoolFullError
from ingest.store import Store, StoreRefusedError

log = structlog.get_logger(__name__)

T = TypeVar("T")

HEADS_BYTES = 65_536
"""More than the heads of the records that one batch becomes; a reading's columns take less than its payload did."""

STORE_ROWS = 100_000
"""Most readings handed to the store in one write."""

STORE_FEW = 20_000
"""Fewer readings than this wait ``STORE_WAIT_S`` for company: a store likes few big writes."""

STORE_WAIT_S = 0.2

FILED_AT_ONCE = 1000
"""Silent sensors filed in one transaction: half a city that falls silent must not be held in memory at once."""

RECENT_US = 10_000_000
"""How old the last batch may be for its delay to say something of the present."""


class DeadLetters(Protocol):
    """Where refused readings are kept for people to read."""

    def write(self, refused: Sequence[Refusal]) -> None:
        """Keep them durably."""
        ...


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


def for_record(refused: Sequence[Refusal]) -> tuple[Refusal, ...]:
    """Of refusals what the detectors must know of: those that speak of a device, without their payloads."""
    return tuple(
        replace(refusal, payload=b"")
        for refusal in refused
        if refusal.sensor >= 0 and refusal.reason in DEVICE_REFUSALS
    )


def judge(engine: Engine, liveness: Liveness, latest: Latest, admission: Admission, now_us: int) -> list[Verdict]:
    """What a spooled admission says, in life as after a restart. now_us: wall time of its admission."""
    liveness.seen(admission.batch)
    if admission.stepped:
        latest.forget(admission.stepped)
        engine.step_back(admission.stepped, admission.batch)
    latest.see(admission.batch)
    verdicts = engine.process(admission.batch, now_us)
    if admission.refused:
        verdicts += engine.refused(admission.refused, now_us)
    return verdicts


@dataclass(frozen=True, slots=True)
class _Step:
    """One segment on its way: first the tick (None for none), then its admission under its position (None: nothing)."""

    tick: int | None
    now_us: int
    position: int | None
    admission: Admission


@dataclass
class Line:
    """Carries messages through the rooms. One batch at a time, whichever lane it came by.

    clock_topic: the topic of a published clock, None where the system's is used. store_trouble, ledger_trouble,
    dead_letter_trouble, spool_trouble: what ails them, None if nothing does. judged_us: wall time up to which
    everything admitted is judged and filed.
    """

    city: City
    clock: Clock
    intake: Intake
    dead_letters: DeadLetters
    liveness: Liveness
    latest: Latest
    engine: Engine
    pipeline: Pipeline
    store: Store
    lanes: Sequence[Lane]
    clock_topic: str | None = None
    store_trouble: str | None = field(default=None, init=False)
    ledger_trouble: str | None = field(default=None, init=False)
    dead_letter_trouble: str | None = field(default=None, init=False)
    memory_trouble: str | None = field(default=None, init=False)
    judged_us: int = field(default=0, init=False)
    counters: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Start with nothing on the way."""
        self._turn = asyncio.Lock()
        self._pen = asyncio.Lock()  # the store has one writer at a time
        # Threads of their own: whatever else keeps the daemon's threads busy, readings are made safe, cases opened.
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="alerting")
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._ticked = False
        self._spool_troubles: dict[str, str] = {}  # by lane
        self._whole = True
        self._broken = False  # a batch was left in the middle: nothing that is in memory may be remembered any more
        self._in_hand_us: int | None = None
        self._held_us: int | None = None
        self._took_us = 0  # wall time of the last batch

    @property
    def whole(self) -> bool:
        """Whether detectors, intake, spools and ledger agree: false while a batch is under way."""
        return self._whole and not self._broken

    async def take(self, lane: Lane, messages: Messages) -> None:
        """Carry messages of a lane until their cases are open. Acknowledges them as soon as they are on disk."""
        await self._room(lane, messages)
        async with self._turn:
            try:
                await self._take(lane, messages)
            except BaseException:
                self._broken = True
                raise

    async def _room(self, lane: Lane, messages: Messages) -> None:
        """Wait until the lane's spool can take the messages; others have their turns meanwhile."""
        bytes_at_most = sum(map(len, messages.payloads)) + HEADS_BYTES
        retry = Retry(self.clock)
        while not lane.spool.has_room(bytes_at_most):
            self.make_room(lane)
            if lane.spool.has_room(bytes_at_most):
                break
            full = SpoolFullError(
                f"the spool of the {lane.name} lane is full (spool.max_mb): nothing of it is acknowledged until the"
                f" store has taken some of its {lane.waiting:,} readings"
            )
            await self._wait_for_spool(lane, retry, full)
        self._spool_well(lane)

    async def _take(self, lane: Lane, messages: Messages) -> None:
        self._in_hand_us = int(messages.received_us[0])
        self._took_us = self.clock.now_us()
        self._whole = False
        self._look_at_link(lane)
        steps = []
        for tick, segment in segments(messages, self.clock_topic):
            if tick is not None and isinstance(self.clock, FollowingClock):
                self.clock.advance(tick)
            steps.append(await self._admit(lane, tick, segment))
        await self._sync(lane)
        lane.receiver.acknowledge(messages)
        for step in steps:
            if step.position is not None:
                lane.spooled(step.position, step.admission.batch)
        for step in steps:
            await self._follow(lane, step)
        for request in self.intake.requests():
            lane.receiver.publish(request.topic, request.payload)
        self._whole = True
        self._in_hand_us = None

    async def _admit(self, lane: Lane, tick: int | None, messages: Messages) -> _Step:
        now_us = self.clock.now_us()
        admission = self.intake.admit(messages, now_us)
        if admission.refused:
            await self._keep_refused(admission.refused)
            admission = replace(admission, refused=for_record(admission.refused))
        if not len(admission.batch) and not admission.refused:
            return _Step(tick, now_us, None, admission)
        return _Step(tick, now_us, await self._append(lane, admission, now_us), admission)

    async def _append(self, lane: Lane, admission: Admission, now_us: int) -> int:
        retry = Retry(self.clock)
        while True:
            try:
                position = lane.spool.append(admission, now_us)
            except RetryableError as error:
                self.make_room(lane)
                await self._wait_for_spool(lane, retry, error)
            else:
                self._spool_well(lane)
                return position

    async def _sync(self, lane: Lane) -> None:
        retry = Retry(self.clock)
        loop = asyncio.get_running_loop()
        while lane.spool.synced < lane.spool.end:
            try:
                await loop.run_in_executor(self._disk, lane.spool.sync)
            except RetryableError as error:
                self.make_room(lane)
                await self._wait_for_spool(lane, retry, error)
        self._spool_well(lane)

    @property
    def spool_trouble(self) -> str | None:
        """What ails the spools, None if nothing does."""
        return "; ".join(self._spool_troubles.values()) or None

    async def _wait_for_spool(self, lane: Lane, retry: "Retry", error: Exception) -> None:
        self._spool_troubles[lane.name] = str(error)
        self._count("spool_retries", 1)
        self._held_up()
        await retry.pause("spool cannot be written, nothing is acknowledged", error)

    def _spool_well(self, lane: Lane) -> None:
        if self._spool_troubles.pop(lane.name, None) is not None:
            log.info("spool can be written again", lane=lane.name)
            if not self._spool_troubles:
                self._going_on()

    def make_room(self, lane: Lane) -> None:
        """Give up what the store has and only a restart would want, so that readings can be taken again."""
        if lane.spool.first < lane.stored:
            log.warning("spool is short of room: a crash now costs detectors some learning", lane=lane.name)
            self._count("forgone_records", lane.stored - lane.spool.first)
            lane.spool.release(lane.stored)

    async def _follow(self, lane: Lane, step: _Step) -> None:
        """What a segment means: its tick first, then its readings."""
        if step.tick is not None:
            await self._at_tick(step.now_us)
        if step.position is not None:
            verdicts = judge(self.engine, self.liveness, self.latest, step.admission, step.now_us)
            if verdicts:
                self._count("verdicts", len(verdicts))
                await self._handle(verdicts, step.now_us, (lane.name, step.position + 1))
        self.judged_us = max(self.judged_us, step.now_us)

    async def _at_tick(self, now_us: int) -> None:
        if not self._ticked:
            # Until its first tick a published clock stood; that time is not held against any device.
            self._ticked = True
            self.liveness.link(False, now_us)
            self.liveness.link(True, now_us)
        await self._beat(now_us)

    async def _keep_refused(self, refused: Sequence[Refusal]) -> None:
        retry = Retry(self.clock)
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._disk, self.dead_letters.write, refused)
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
            self._whole = False
            await self._beat(self.clock.now_us())
            self._whole = True

    async def _beat(self, now_us: int) -> None:
        changes = self.liveness.check(now_us)
        for change in changes:
            self.latest.silent[change.sensor] = change.silent
        if not changes and not self.pipeline.due(now_us):
            return
        verdicts = self.engine.liveness(changes, now_us) if changes else []
        for begin in range(0, max(1, len(verdicts)), FILED_AT_ONCE):
            await self._handle(verdicts[begin : begin + FILED_AT_ONCE], now_us)

    async def link(self, *, up: bool) -> None:
        """Say whether our own link to the broker stands: its silence is not the devices' silence."""
        async with self._turn:
            self.liveness.link(up, self.clock.now_us())

    async def _handle(self, verdicts: Sequence[Verdict], now_us: int, judged: tuple[str, int] | None = None) -> None:
        retry = Retry(self.clock)
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._desk, self.pipeline.handle, verdicts, now_us, judged)
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
        now_us = self.clock.now_us()
        self._held_us = now_us if self._held_us is None else self._held_us
        self.liveness.link(False, now_us)

    def _going_on(self) -> None:
        now_us = self.clock.now_us()
        self.liveness.link(True, now_us)
        self.intake.link_restored(now_us, self._held_us)
        self._held_us = None

    def _look_at_link(self, lane: Lane) -> None:
        """Before the first batch of a new connection: what comes now may have waited for us."""
        if lane.connects != lane.receiver.connects:
            lane.connects = lane.receiver.connects
            self.intake.link_restored(self.clock.now_us(), lane.heard_us)
        lane.heard_us = self.clock.now_us()

    async def between_batches(self, look: Callable[[], T]) -> T:
        """What ``look`` answers between two batches, when detectors, intake, spools and ledger agree."""
        async with self._turn:
            return look()

    async def prepare_store(self) -> None:
        """Have the store create what it misses; tries until it can be reached."""
        retry = Retry(self.clock)
        while True:
            try:
                await asyncio.to_thread(self.store.prepare)
            except RetryableError as error:
                self.store_trouble = str(error)
                await retry.pause("store cannot be prepared, readings wait on disk", error)
            else:
                self.store_trouble = None
                return

    async def maintain_store(self) -> None:
        """Have the store do its housekeeping (aggregates, retention); what fails is tried at the next call."""
        try:
            await asyncio.to_thread(self.store.maintain, self.clock.now_us())  # writes go on beside it
        except RetryableError as error:
            self._count("maintenance_failed", 1)
            log.warning("store could not be maintained; it is tried again", why=str(error))

    async def keep_storing(self, lane: Lane) -> None:
        """Bring a lane's spooled readings into the store. Runs until cancelled; gives up on nothing."""
        retry = Retry(self.clock)
        while True:
            await lane.something_unstored()
            if lane.fresh_rows < STORE_FEW:
                await self.clock.sleep(STORE_WAIT_S)
            try:
                unstored = await lane.unstored_readings(STORE_ROWS)
            except RetryableError as error:
                self.store_trouble = f"the spool cannot be read: {error}"
                await retry.pause("spool cannot be read, readings wait on disk", error)
                continue
            retry = Retry(self.clock)
            if unstored.lost:
                await self._keep_refused(unstored.lost)
            await self._store(merge(unstored.batches))
            await self._note_stored(lane, unstored)

    async def _note_stored(self, lane: Lane, unstored: Unstored) -> None:
        try:
            await lane.note_stored(unstored)
        except OSError as error:  # costs nothing but storing some readings again after a crash
            if self.memory_trouble is None:
                log.warning("how far the store is cannot be written down", why=str(error))
            self.memory_trouble = str(error)
        else:
            self.memory_trouble = None

    def close(self) -> None:
        """Let go of the threads."""
        self._desk.shutdown()
        self._disk.shutdown()

    async def drained(self) -> None:
        """Wait until everything taken so far is stored."""
        for lane in self.lanes:
            await lane.drained()

    async def _store(self, batch: ReadingBatch) -> None:
        retry = Retry(self.clock)
        while len(batch):
            try:
                async with self._pen:
                    await asyncio.to_thread(self.store.write, batch)
            except RetryableError as error:
                self.store_trouble = str(error)
                self._count("store_retries", 1)
                await retry.pause("store cannot be written, readings wait on disk", error)
            except StoreRefusedError as error:
                log.warning("store refused readings, kept in the dead-letter", rows=len(error.rows), why=str(error))
                await self._keep_refused(store_refusals(batch.take(error.rows), self.city, str(error)))
                self.store_trouble = None
                self._count("store_refused", len(error.rows))
                self._count("stored", len(batch) - len(error.rows))
                return
            else:
                if self.store_trouble is not None:
                    log.info("store can be written again")
                self.store_trouble = None
                self._count("stored", len(batch))
                return

    def behind_s(self) -> float:
        """For how long the oldest reading not judged yet has waited, here or in the broker's queue; 0 if none waits."""
        now_us = self.clock.now_us()
        waiting = [self._in_hand_us, *(lane.receiver.waiting_since_us for lane in self.lanes)]
        oldest_us = min((since_us for since_us in waiting if since_us is not None), default=now_us)
        delay_us = self.intake.delay_us if now_us - self._took_us < RECENT_US else 0
        return max(0, now_us - oldest_us, delay_us) / 1e6

    @property
    def waiting(self) -> int:
        """Readings that are safe on disk and not in the store yet."""
        return sum(lane.waiting for lane in self.lanes)

    def _count(self, name: str, by: int) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def counted(self) -> Mapping[str, int]:
        """Everything counted since the start, by name."""
        clocks_off = int(np.count_nonzero(self.intake.clocks_off()))
        return {**self.intake.counters, **self.counters, "waiting": self.waiting, "clocks_off": clocks_off}


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
