"""A city in parts: an ingest process for each, and beside them one outbox, one page, one ledger."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from alerting.channels.mqtt import MqttChannel
from alerting.ledger import Ledger, LedgerUnavailableError
from alerting.outbox import Outbox
from alerting.pipeline import Pipeline
from config.city import City
from config.city_files import load_city
from config.clock import SystemClock, today
from config.errors import ConfigurationError
from config.logs import mask_people
from config.settings import ClockSource, Settings
from gridwhistle.child import Child, kept
from gridwhistle.daemon import DRAIN_S, address_of, first_account, own
from gridwhistle.page_process import as_line, kept_sensors, ledger_url, page_process
from gridwhistle.part import PROGRAM, PartOrder
from gridwhistle.parts import owners, settings_of

log = structlog.get_logger(__name__)

STOP_S = 2 * DRAIN_S + 5.0
"""A part that was told to end and goes on for longer is killed: what it had not stored waits in its spool."""

LOOK_EVERY_S = 0.5
"""The outbox looks so often whether a part has filed something that somebody must be told."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A city at work in parts. url: of its page. first_password: of ``admin``, only when it was made at this start."""

    url: str
    first_password: str | None
    parts: Sequence[Child]


@asynccontextmanager
async def whole(settings: Settings) -> AsyncIterator[Whole]:
    """Run the parts of the settings, and all they share, inside the block.

    Raises ConfigurationError for parts that do not fit the city, for a published clock (a replay is one stream), and
    like ``gridwhistle.daemon.daemon``.
    """
    if settings.clock.source is ClockSource.BROKER:
        raise ConfigurationError("parts: a replay is one stream; leave parts out where clock.source is broker")
    async with AsyncExitStack() as house:
        yield await _open(settings, house)


async def _open(settings: Settings, house: AsyncExitStack) -> Whole:
    clock = SystemClock()
    house.callback(own(settings.data_dir).release)
    city = await asyncio.to_thread(_city, settings)
    ledger = await asyncio.to_thread(Ledger.open, ledger_url(settings))
    house.callback(ledger.close)
    await asyncio.to_thread(Pipeline(ledger, city).retire_missing, clock.now_us())
    first_password = await first_account(settings, ledger)
    settings_dict = settings.model_dump()
    parts = [
        Child(
            f"part {part.name}",
            PROGRAM,
            as_line(PartOrder(settings_dict, part.name, city.version)),
            clock,
            stop_s=STOP_S,
        )
        for part in settings.parts
    ]
    channel = await house.enter_async_context(MqttChannel(settings.mqtt, clock))
    outbox = Outbox(ledger, {channel.name: channel}, clock)
    await house.enter_async_context(_telling(ledger, outbox))  # what one part files is told, however another starts
    await house.enter_async_context(_all_kept(parts))
    await asyncio.gather(*(part.serving() for part in parts))
    desks = [address_of(settings_of(part, settings)) for part in settings.parts]
    page = await house.enter_async_context(page_process(settings, city=city, desks=desks))
    await page.serving()
    return Whole(page.url, first_password, parts)


@asynccontextmanager
async def _all_kept(parts: Sequence[Child]) -> AsyncIterator[None]:
    """Keep all parts running; on leaving they end side by side."""
    async with asyncio.TaskGroup() as group:
        leave = asyncio.Event()

        async def keep(part: Child) -> None:
            async with kept(part):
                await leave.wait()

        for part in parts:
            group.create_task(keep(part), name=part.name)
        try:
            yield
        finally:
            leave.set()


def _city(settings: Settings) -> City:
    city = load_city(settings.city, today=today(), kept_in=kept_sensors(settings))
    mask_people(city.workers.values())
    owners(settings.parts, city)
    for part in settings.parts:
        settings_of(part, settings)
    return city


@asynccontextmanager
async def _telling(ledger: Ledger, outbox: Outbox) -> AsyncIterator[None]:
    """Send what any part or page has filed, while the block runs."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outbox.run(), name="notify"), group.create_task(_look(ledger, outbox), name="look")]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _look(ledger: Ledger, outbox: Outbox) -> None:
    known = -1
    while True:
        try:
            newest = await asyncio.to_thread(ledger.last_trail_id)
        except LedgerUnavailableError as error:
            log.warning("the ledger cannot be read, pushes wait", why=str(error))
        else:
            if newest != known:
                known = newest
                outbox.wake()
        await asyncio.sleep(LOOK_EVERY_S)
