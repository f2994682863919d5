"""The composition root: opens the rooms, plugs them together, keeps their loops running, closes them in reverse."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from alerting.accounts import Accounts
from alerting.bell import Bell
from alerting.channels.mqtt import MqttChannel
from alerting.commands import Commands
from alerting.ledger import Ledger
from alerting.outbox import Outbox
from alerting.pipeline import Pipeline
from config.city import City
from config.city_files import load_city
from config.clock import Clock, FollowingClock, SystemClock, today
from config.errors import ConfigurationError
from config.logs import mask_people
from config.settings import ClockSource, Settings
from dashboard_api.app import create_app
from dashboard_api.ports import Health, Ports
from dashboard_api.server import serve
from detectors.engine import Engine
from gridwhistle.line import Line
from gridwhistle.memory import Memory, clock_of
from ingest.deadletter import DeadLetter
from ingest.intake import Intake
from ingest.liveness import Liveness
from ingest.model import Series
from ingest.mqtt311 import MqttReceiver, ReceiverState
from ingest.store import Store
from ingest.stores import open_store

log = structlog.get_logger(__name__)

DRAIN_S = 10.0
BEAT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon at work. url: of its page. first_password: of ``admin``, only when it was made at this start."""

    url: str
    first_password: str | None
    line: Line
    receiver: MqttReceiver
    ledger: Ledger
    store: Store

    async def listening(self) -> None:
        """Wait until the broker has taken our subscriptions: from then on nothing that is published is missed."""
        while self.receiver.state is not ReceiverState.CONNECTED:  # noqa: ASYNC110 - its state lives in its thread
            await asyncio.sleep(0.02)


class StoredReadings:
    """Kept readings for the dashboard, read in a worker thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """See ``ingest.store.Store.series``."""
        return await asyncio.to_thread(self._store.series, sensor, from_us, to_us, max_points)


@asynccontextmanager
async def daemon(settings: Settings) -> AsyncIterator[Running]:
    """Run everything inside the block; on leaving it, stop taking readings, store what is on the way, and close.

    Raises ConfigurationError for a wrong city, RetryableError where the ledger or its folder cannot be opened.
    A broker or store that cannot be reached does not stop the start: the daemon goes on trying and says so.
    """
    async with AsyncExitStack() as house:
        yield await _open(settings, house)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on: the city, the time, and what is kept over a restart."""

    city: City
    clock: Clock
    clock_topic: str | None
    ledger: Ledger
    store: Store
    pipeline: Pipeline
    engine: Engine
    memory: Memory


async def _ground(settings: Settings, house: AsyncExitStack) -> _Ground:
    city = await asyncio.to_thread(load_city, settings.city, today=today())
    mask_people(city.workers.values())
    house.callback(gc.unfreeze)
    gc.freeze()  # a city stays for good: no collection needs to walk over it
    _own(settings.data_dir)
    published = settings.clock.source is ClockSource.BROKER
    clock: Clock = FollowingClock(clock_of(settings.data_dir)) if published else SystemClock()
    ledger = await asyncio.to_thread(
        Ledger.open, settings.ledger.url or f"sqlite:///{(settings.data_dir / 'ledger.sqlite').resolve()}"
    )
    house.callback(ledger.close)
    store = await asyncio.to_thread(open_store, settings.store, settings.data_dir, city)
    house.callback(store.close)
    pipeline = Pipeline(ledger, city)
    await asyncio.to_thread(pipeline.retire_missing, clock.now_us())
    engine = Engine(city)
    memory = Memory(settings.data_dir, engine, published_clock=published)
    memory.resume(ledger, city)
    topic = settings.clock.topic if published else None
    return _Ground(city, clock, topic, ledger, store, pipeline, engine, memory)


def _receiver(settings: Settings, ground: _Ground) -> MqttReceiver:
    return MqttReceiver(
        settings.mqtt,
        ground.clock,
        extra_topics=(ground.clock_topic,) if ground.clock_topic else (),
        batch_ms=settings.ingest.batch_ms,
        batch_messages=settings.ingest.batch_messages,
        memory=settings.data_dir / "subscriptions",
    )


def _line(settings: Settings, ground: _Ground, receiver: MqttReceiver, house: AsyncExitStack) -> Line:
    city, engine, memory = ground.city, ground.engine, ground.memory
    liveness = Liveness(city, settings.ingest, ground.clock.now_us())
    liveness.adopt(engine.silent())
    published = ground.clock_topic is not None
    intake = Intake(city, settings.ingest, settings.mqtt.subscriptions, follows_broker=published)
    intake.adopt(*engine.latest())
    line = Line(
        city=city,
        clock=ground.clock,
        intake=intake,
        dead_letters=DeadLetter(settings.data_dir, city),
        liveness=liveness,
        engine=engine,
        pipeline=ground.pipeline,
        store=ground.store,
        acknowledger=receiver,
        clock_topic=ground.clock_topic,
        remember=lambda now_us: memory.keep(now_us, line.captured),
    )
    line.latest.silent |= engine.silent()
    house.callback(line.close)
    house.callback(lambda: None if line.unfiled else memory.close())
    return line


async def _open(settings: Settings, house: AsyncExitStack) -> Running:
    ground = await _ground(settings, house)
    city, clock, ledger = ground.city, ground.clock, ground.ledger
    receiver = await house.enter_async_context(_receiver(settings, ground))
    channel = await house.enter_async_context(MqttChannel(settings.mqtt, clock))
    line = _line(settings, ground, receiver, house)
    outbox = Outbox(ledger, {channel.name: channel}, clock)
    bell = Bell(ledger.last_trail_id())
    ledger.subscribe(bell.ring)
    ledger.subscribe(lambda _: outbox.wake())
    accounts = Accounts(ledger, session_hours=settings.dashboard.session_hours)
    first_password = await asyncio.to_thread(accounts.ensure_first_account, SystemClock().now_us())
    ports = Ports(
        city=city,
        clock=clock,
        settings=settings.dashboard,
        language=settings.language,
        cases=ledger,
        commands=Commands(ledger, city),
        accounts=accounts,
        readings=StoredReadings(ground.store),
        last_values=line.latest.values,
        health=lambda: health(line, receiver, ground.memory, outbox),
        bell=bell,
    )
    url = await house.enter_async_context(serve(create_app(ports), settings.dashboard))
    others = {
        "store": lambda: _keep_storing(line),
        "beat": lambda: _beat(line, receiver, clock),
        "notify": outbox.run,
    }
    await house.enter_async_context(loops(line, receiver, others))
    return Running(url, first_password, line, receiver, ledger, ground.store)


def health(line: Line, receiver: MqttReceiver, memory: Memory, outbox: Outbox) -> Health:
    """How the daemon does, for the page and for monitoring."""
    parts = {
        "broker": _broker_state(receiver),
        "store": line.store_trouble or "ok",
        "ledger": line.ledger_trouble or "ok",
        "dead_letter": line.dead_letter_trouble or "ok",
        "memory": memory.trouble or "ok",
        "notify": outbox.trouble(line.clock.now_us()) or "ok",
    }
    counters = {**line.counted(), **{f"broker.{name}": count for name, count in receiver.counters.items()}}
    return Health(all(state == "ok" for state in parts.values()), parts, counters)


def _own(data_dir: Path) -> None:
    """Make the folder for everything we write. Raises ConfigurationError where that cannot be."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        probe = data_dir / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(f"data_dir: found {data_dir} ({error}); expected a folder we may write to") from error


def _broker_state(receiver: MqttReceiver) -> str:
    if receiver.state is not ReceiverState.CONNECTED:
        return receiver.problem or receiver.state.value
    if receiver.refused_filters:
        return f"the broker refuses to send {', '.join(receiver.refused_filters)}"
    return "ok"


@asynccontextmanager
async def loops(
    line: Line, receiver: MqttReceiver, others: Mapping[str, Callable[[], Coroutine[None, None, None]]]
) -> AsyncIterator[None]:
    """Keep the daemon's loops running; one that fails ends the daemon with its error.

    On leaving: no new readings, then what is on the way goes into the store (for DRAIN_S at most: what is not
    stored by then is not acknowledged either, and comes again), then everything stops.
    """
    async with asyncio.TaskGroup() as group:
        receiving = group.create_task(_receive(line, receiver), name="receive")
        tasks = [group.create_task(loop(), name=name) for name, loop in others.items()]
        try:
            yield
            receiving.cancel()
            await asyncio.wait([receiving])
            await _drain(line)
        finally:
            for task in (receiving, *tasks):
                task.cancel()


async def _drain(line: Line) -> None:
    try:
        await asyncio.wait_for(line.drained(), DRAIN_S)
    except TimeoutError:
        log.warning("stopped before everything was stored; the broker sends it again", why=line.store_trouble)


async def _receive(line: Line, receiver: MqttReceiver) -> None:
    async for messages in receiver.batches():
        await line.take(messages)


async def _keep_storing(line: Line) -> None:
    await line.prepare_store()
    await line.keep_storing()


async def _beat(line: Line, receiver: MqttReceiver, clock: Clock) -> None:
    connects = receiver.connects
    while True:
        if receiver.connects != connects:  # the link broke, however shortly: devices get their whole allowance again
            connects = receiver.connects
            await line.link(up=False)
        await line.link(up=receiver.state is ReceiverState.CONNECTED)
        await line.beat()
        await clock.sleep(BEAT_EVERY_S)
