"""The composition root: opens the rooms, plugs them together, keeps their loops running, closes them in reverse."""

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from alerting.accounts import Accounts
from alerting.channels.mqtt import MqttChannel
from alerting.ledger import Ledger
from alerting.outbox import Outbox
from alerting.pipeline import Pipeline
from config.city import City
from config.city_files import load_city
from config.clock import Clock, FollowingClock, SystemClock, today
from config.errors import ConfigurationError
from config.logs import mask_people
from config.settings import ClockSource, Part, Settings, Subscription
from dashboard_api.ports import Health
from detectors.engine import Engine
from gridwhistle.desk import Desk, StoredReadings
from gridwhistle.lane import Lane, read_position
from gridwhistle.latest import Latest, SharedClock
from gridwhistle.line import Line
from gridwhistle.memory import Memory, clock_of, noted
from gridwhistle.page_process import DeskAddress, PageProcess, kept_sensors, ledger_url, page_process
from gridwhistle.parts import mine, settings_of
from ingest.deadletter import DeadLetter
from ingest.intake import Intake
from ingest.liveness import Liveness
from ingest.model import Bools
from ingest.receiver import ReceiverState
from ingest.receivers import open_receiver
from ingest.spool import Spool
from ingest.spool_folder import FolderLock
from ingest.store import Store
from ingest.stores import open_store

log = structlog.get_logger(__name__)

DRAIN_S = 10.0
BEAT_EVERY_S = 1.0
MAINTAIN_EVERY_S = 300.0
MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon at work. url: of its page. first_password: of ``admin``, only when it was made at this start."""

    url: str
    first_password: str | None
    line: Line
    ledger: Ledger
    store: Store

    async def listening(self) -> None:
        """Wait until the broker has taken our subscriptions: from then on nothing that is published is missed."""
        while not _connected(self.line):  # noqa: ASYNC110 - its state lives in its threads
            await asyncio.sleep(0.02)

    @property
    def broker_counters(self) -> Mapping[str, int]:
        """What the receivers of all lanes count, together."""
        return broker_counters(self.line)


@asynccontextmanager
async def daemon(settings: Settings) -> AsyncIterator[Running]:
    """Run everything inside the block; on leaving it, stop taking readings, store what is on the way, and close.

    Raises ConfigurationError for a wrong city, RetryableError where the ledger, the spool or their folder cannot be
    opened. A broker or store that cannot be reached does not stop the start: the daemon goes on trying and says so.
    """
    async with AsyncExitStack() as house:
        yield await _open(settings, house)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the city. sensors: which of all, shape (sensors,)."""

    name: str
    sensors: Bools


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on: the city, the time, and what is kept over a restart."""

    city: City
    clock: Clock
    clock_topic: str | None
    ledger: Ledger
    store: Store
    pipeline: Pipeline
    latest: Latest


async def _ground(settings: Settings, house: AsyncExitStack) -> _Ground:
    house.callback(own(settings.data_dir).release)
    city = await asyncio.to_thread(load_city, settings.city, today=today(), kept_in=kept_sensors(settings))
    mask_people(city.workers.values())
    house.callback(gc.unfreeze)
    gc.freeze()  # a city stays for good: no collection needs to walk over it
    published = settings.clock.source is ClockSource.BROKER
    latest = await asyncio.to_thread(Latest.open, Path(address_of(settings).latest), city.columns.ids)
    clock: Clock = SharedClock(latest.clock, clock_of(settings.data_dir)) if published else SystemClock()
    ledger = await asyncio.to_thread(Ledger.open, ledger_url(settings))
    house.callback(ledger.close)
    store = await asyncio.to_thread(open_store, settings.store, settings.data_dir, city)
    house.callback(store.close)
    pipeline = Pipeline(ledger, city)
    return _Ground(city, clock, settings.clock.topic if published else None, ledger, store, pipeline, latest)


def address_of(settings: Settings) -> DeskAddress:
    """Where the core with these settings is found by a page."""
    return DeskAddress(str(settings.data_dir / "desk"), str(settings.data_dir / "latest"))


def streams(settings: Settings, *, published_clock: bool) -> Mapping[str, Sequence[Subscription]]:
    """Which subscriptions go by which lane. With a published clock all go by one, in the order of publication."""
    subscriptions = settings.mqtt.subscriptions
    if published_clock:
        return {"bulk": subscriptions}
    lanes = {
        "urgent": [subscription for subscription in subscriptions if subscription.urgent],
        "bulk": [subscription for subscription in subscriptions if not subscription.urgent],
    }
    return {name: served for name, served in lanes.items() if served}


def lanes_of(settings: Settings, *, published_clock: bool) -> Mapping[str, Sequence[Subscription]]:
    """The lanes to open: those of the settings, and those of earlier ones that left something behind.

    A lane without subscriptions brings what waits in its spool into the store, and takes its session's subscriptions
    back from the broker, which would keep messages for it for ever.
    """
    served = streams(settings, published_clock=published_clock)
    left = [name for name in ("urgent", "bulk") if name not in served and (settings.data_dir / "spool" / name).exists()]
    return {**served, **dict.fromkeys(left, ())}


def _lane(
    settings: Settings,
    ground: _Ground,
    name: str,
    served: Sequence[Subscription],
    house: AsyncExitStack,
    *,
    share: Share | None,
) -> Lane:
    known_as = name if share is None else f"{share.name}/{name}"
    stored_path = settings.data_dir / f"stored-{name}"
    spool = Spool(
        settings.data_dir / "spool" / name,
        ground.city,
        max_bytes=settings.spool.max_mb * MEGABYTE,
        segment_bytes=settings.spool.segment_mb * MEGABYTE,
        at_least=max(ground.ledger.judged(known_as), read_position(stored_path), noted(settings.data_dir, known_as)),
    )
    house.callback(spool.close)
    receiver = open_receiver(
        settings.mqtt,
        settings.ingest,
        ground.clock,
        served,
        extra_topics=(ground.clock_topic,) if ground.clock_topic else (),
        client_id_suffix="" if name == "bulk" else f"-{name}",
        memory=settings.data_dir / f"subscriptions-{name}",
    )
    return Lane(known_as, receiver, spool, stored_path)


async def _line(settings: Settings, ground: _Ground, house: AsyncExitStack, share: Share | None) -> tuple[Line, Memory]:
    """The line with its lanes, taken up where the last run ended; nothing is received yet."""
    city, clock = ground.city, ground.clock
    published = ground.clock_topic is not None
    engine = await asyncio.to_thread(Engine, city)
    sensors = None if share is None else share.sensors
    intake = Intake(city, settings.ingest, settings.mqtt.subscriptions, follows_broker=published, mine=sensors)
    liveness = Liveness(city, settings.ingest, clock.now_us(), mine=sensors)
    lanes = [
        await asyncio.to_thread(_lane, settings, ground, name, served, house, share=share)
        for name, served in lanes_of(settings, published_clock=published).items()
    ]
    line = Line(
        city=city,
        clock=clock,
        intake=intake,
        dead_letters=DeadLetter(settings.data_dir, city),
        liveness=liveness,
        latest=ground.latest,
        engine=engine,
        pipeline=ground.pipeline,
        store=ground.store,
        lanes=lanes,
        clock_topic=ground.clock_topic,
    )
    house.callback(line.close)
    memory = Memory(
        settings.data_dir, city, clock, engine, intake, liveness, lanes, published_clock=published, mine=sensors
    )
    last_us = await asyncio.to_thread(memory.resume, ground.ledger, ground.pipeline, ground.latest)
    line.judged_us = last_us
    if isinstance(clock, FollowingClock):
        clock.advance(last_us)
        liveness.link(False, clock.now_us())  # it was made at the time that was remembered of the clock
        liveness.link(True, clock.now_us())
    house.callback(memory.close, line)
    return line, memory


async def _open(settings: Settings, house: AsyncExitStack) -> Running:
    ground = await _ground(settings, house)
    await asyncio.to_thread(ground.pipeline.retire_missing, ground.clock.now_us())
    pages: list[PageProcess] = []
    channel = await house.enter_async_context(MqttChannel(settings.mqtt, ground.clock))
    outbox = Outbox(ground.ledger, {channel.name: channel}, ground.clock)
    line = await _core(settings, ground, house, Beside(outbox, pages))
    first_password = await first_account(settings, ground.ledger)
    page = await house.enter_async_context(page_process(settings, city=ground.city, desks=[address_of(settings)]))
    pages.append(page)
    await page.serving()
    return Running(page.url, first_password, line, ground.ledger, ground.store)


async def first_account(settings: Settings, ledger: Ledger) -> str | None:
    """The password of the first account where it had to be made."""
    accounts = Accounts(ledger, session_hours=settings.dashboard.session_hours)
    return await asyncio.to_thread(accounts.ensure_first_account, SystemClock().now_us())


@dataclass(frozen=True, slots=True)
class Beside:
    """What runs beside a core in the same process: the outbox, and the page's process, where they do."""

    outbox: Outbox | None = None
    pages: Sequence[PageProcess] = ()

    def changed(self) -> None:
        """The ledger may have been changed."""
        if self.outbox is not None:
            self.outbox.wake()

    def health(self, now_us: int) -> Mapping[str, str]:
        """What ails it, by part."""
        page = next((page.trouble for page in self.pages if page.trouble), None)
        told = {} if self.outbox is None else {"notify": self.outbox.trouble(now_us) or "ok"}
        return told | ({"page": page or "ok"} if self.pages else {})


async def _core(
    settings: Settings, ground: _Ground, house: AsyncExitStack, beside: Beside, share: Share | None = None
) -> Line:
    """Everything from the broker to the ledger and the store, at work until the house is left."""
    line, memory = await _line(settings, ground, house, share)
    for lane in line.lanes:
        await house.enter_async_context(lane.receiver)
    readings = StoredReadings(ground.store)
    house.callback(readings.close)
    desk = Desk(
        Path(address_of(settings).socket),
        health=lambda: health(line, memory, beside),
        series=readings.series,
        on_changed=beside.changed,
        trail_id=ground.ledger.last_trail_id(),
    )
    await house.enter_async_context(desk)
    ground.ledger.subscribe(desk.ring)
    ground.ledger.subscribe(lambda _: beside.changed())
    others: dict[str, Callable[[], Coroutine[None, None, None]]] = {
        "beat": lambda: _beat(line, memory, ground.clock),
        "maintain": lambda: _maintain(line),
    }
    if beside.outbox is not None:
        others["notify"] = beside.outbox.run
    await house.enter_async_context(loops(line, others))
    return line


@asynccontextmanager
async def part_of_city(settings: Settings, part: Part, city_version: str) -> AsyncIterator[Line]:
    """Run one part of the city, without page and outbox, beside others on the same ledger. Raises like ``daemon``.

    settings: those of the whole city. city_version: with which the others run; another is a
    ConfigurationError.
    """
    async with AsyncExitStack() as house:
        own_settings = settings_of(part, settings)
        ground = await _ground(own_settings, house)
        if ground.city.version != city_version:
            raise ConfigurationError(
                f"{settings.city}: found version {ground.city.version} of the city, expected {city_version}, with"
                " which the other processes run; its files were changed meanwhile: restart the daemon"
            )
        share = Share(part.name, mine(part, settings.parts, ground.city))
        yield await _core(own_settings, ground, house, Beside(), share)


def health(line: Line, memory: Memory, beside: Beside) -> Health:
    """How the daemon does, for the page and for monitoring."""
    parts = {
        "broker": _broker_state(line),
        "spool": line.spool_trouble or "ok",
        "store": line.store_trouble or "ok",
        "ledger": line.ledger_trouble or "ok",
        "dead_letter": line.dead_letter_trouble or "ok",
        "memory": memory.trouble or line.memory_trouble or "ok",
        **beside.health(line.clock.now_us()),
    }
    counters = {**line.counted(), **{f"broker.{name}": count for name, count in broker_counters(line).items()}}
    return Health(
        ok=all(state == "ok" for state in parts.values()),
        parts=parts,
        counters=counters,
        behind_s=line.behind_s(),
        waiting=line.waiting,
    )


def broker_counters(line: Line) -> Counter[str]:
    """What the receivers of all lanes count, together."""
    together: Counter[str] = Counter()
    for lane in line.lanes:
        together.update(lane.receiver.counters)
    return together


def _connected(line: Line) -> bool:
    return all(lane.receiver.state is ReceiverState.CONNECTED for lane in line.lanes)


def own(data_dir: Path) -> FolderLock:
    """Make the folder for everything we write, and keep other daemons out of it.

    Raises ConfigurationError where it cannot be written to, or another daemon has it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        probe = data_dir / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(f"data_dir: found {data_dir} ({error}); expected a folder we may write to") from error
    return FolderLock(data_dir, "data_dir")


def _broker_state(line: Line) -> str:
    for lane in line.lanes:
        if lane.receiver.state is not ReceiverState.CONNECTED:
            return lane.receiver.problem or lane.receiver.state.value
    refused = [name for lane in line.lanes for name in lane.receiver.refused_filters]
    return f"the broker refuses to send {', '.join(refused)}" if refused else "ok"


@asynccontextmanager
async def loops(line: Line, others: Mapping[str, Callable[[], Coroutine[None, None, None]]]) -> AsyncIterator[None]:
    """Keep the daemon's loops running; one that fails ends the daemon with its error.

    On leaving: no new readings, then what is spooled goes into the store (for DRAIN_S at most: the rest is on disk and
    goes there after the next start), then everything stops.
    """
    async with asyncio.TaskGroup() as group:
        receiving = [group.create_task(_receive(line, lane), name=f"receive {lane.name}") for lane in line.lanes]
        storing = group.create_task(_keep_storing(line), name="store")
        tasks = [group.create_task(loop(), name=name) for name, loop in others.items()]
        try:
            yield
            with contextlib.suppress(TimeoutError):  # something holds a batch up: it stays unacknowledged
                async with asyncio.timeout(DRAIN_S):
                    await line.between_batches(lambda: [task.cancel() for task in receiving])
            for task in receiving:
                task.cancel()
            await asyncio.wait(receiving)
            await _drain(line)
        finally:
            for task in (*receiving, storing, *tasks):
                task.cancel()


async def _drain(line: Line) -> None:
    try:
        await asyncio.wait_for(line.drained(), DRAIN_S)
    except TimeoutError:
        log.warning("stopped before everything was stored; the rest waits in the spool", why=line.store_trouble)


async def _receive(line: Line, lane: Lane) -> None:
    async for messages in lane.receiver.batches():
        await line.take(lane, messages)


async def _keep_storing(line: Line) -> None:
    await line.prepare_store()
    async with asyncio.TaskGroup() as group:
        for lane in line.lanes:
            group.create_task(line.keep_storing(lane), name=f"store {lane.name}")


async def _maintain(line: Line) -> None:
    while True:
        await line.clock.sleep(MAINTAIN_EVERY_S)
        await line.maintain_store()


async def _beat(line: Line, memory: Memory, clock: Clock) -> None:
    connects = [lane.receiver.connects for lane in line.lanes]
    while True:
        now_connects = [lane.receiver.connects for lane in line.lanes]
        if now_connects != connects:  # the link broke, however shortly: devices get their whole allowance again
            connects = now_connects
            await line.link(up=False)
        await line.link(up=_connected(line))
        await line.beat()
        line.latest.tell_offsets(line.intake.offsets())
        await memory.keep(line)
        await clock.sleep(BEAT_EVERY_S)
