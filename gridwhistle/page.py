"""The program of the page: the dashboard in a process of its own, which ``gridwhistle/page_process.py`` starts.

    python -m gridwhistle.page

Reads one line of JSON, its order, from standard input, says ``serving`` on standard output, and ends when its input
ends: the core closes it, or is gone. The listening socket is inherited, so that nobody is turned away meanwhile.
"""

import asyncio
import gc
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from alerting.accounts import Accounts
from alerting.bell import Bell
from alerting.commands import Commands
from alerting.ledger import Ledger
from config.city import City
from config.city_files import load_city
from config.clock import Clock, SystemClock, today
from config.errors import ConfigurationError
from config.logs import mask_people
from config.settings import ClockSource, LocalStoreSettings, Settings
from dashboard_api.app import create_app
from dashboard_api.ports import LastValues, Ports, Readings
from dashboard_api.server import serve as dashboard
from gridwhistle.child import obey, serve, told_to_end
from gridwhistle.core import Core, Cores
from gridwhistle.desk import StoredReadings
from gridwhistle.latest import Latest, SharedClock
from gridwhistle.page_process import Order, kept_sensors, ledger_url
from gridwhistle.parts import owners
from ingest.model import Int32s

FIRST_WORD_S = 5.0


def main() -> None:
    """Serve until standard input ends."""
    obey(lambda line: _run(msgspec.json.decode(line, type=Order)))


async def _run(order: Order) -> None:
    end = told_to_end()
    settings = Settings.model_validate(order.settings)
    listener = socket.socket(fileno=order.listener)
    async with AsyncExitStack() as house:
        ports = await _ports(order, settings, house)
        await house.enter_async_context(dashboard(create_app(ports), settings.dashboard, listener))
        await serve(end)


async def _ports(order: Order, settings: Settings, house: AsyncExitStack) -> Ports:
    city = await asyncio.to_thread(_city, settings, order.city_version)
    gc.collect()
    gc.freeze()  # a city stays for good: no collection needs to walk over it
    ledger = await asyncio.to_thread(Ledger.join, ledger_url(settings))
    house.callback(ledger.close)
    latest = [Latest.open(Path(one.latest), city.columns.ids, read_only=True) for one in order.desks]
    clock: Clock = SystemClock()
    if settings.clock.source is ClockSource.BROKER:
        clock = SharedClock(latest[0].clock)
    bell = Bell(ledger.last_trail_id())
    cores = [Core(Path(one.socket), clock, bell.ring) for one in order.desks]
    for core in cores:
        running = asyncio.create_task(core.run(), name="core")
        house.push_async_callback(_ended, running)
        await core.introduced(FIRST_WORD_S)
    owning = owners(settings.parts, city) if settings.parts else None
    all_cores = Cores(cores, owning)
    ledger.subscribe(bell.ring)
    ledger.subscribe(all_cores.changed)
    return Ports(
        city=city,
        clock=clock,
        settings=settings.dashboard,
        language=settings.language,
        cases=ledger,
        commands=Commands(ledger, city),
        accounts=Accounts(ledger, session_hours=settings.dashboard.session_hours),
        readings=_readings(settings, city, all_cores, house),
        last_values=lambda: together([one.values() for one in latest], owning),
        health=all_cores.health,
        bell=bell,
    )


def _city(settings: Settings, version: str) -> City:
    folder = settings.city
    city = load_city(folder, today=today(), kept_in=kept_sensors(settings))
    if city.version != version:
        raise ConfigurationError(
            f"{folder}: found version {city.version} of the city, expected {version}, with which the daemon runs;"
            " its files were changed meanwhile: restart the daemon"
        )
    mask_people(city.workers.values())
    return city


def _readings(settings: Settings, city: City, cores: Cores, house: AsyncExitStack) -> Readings:
    """Only the core may open the embedded store; a server answers us, too."""
    if isinstance(settings.store, LocalStoreSettings):
        return cores
    from ingest.stores import open_store  # noqa: PLC0415 - brings the embedded store along: 100 MB that we do not use

    store = open_store(settings.store, settings.data_dir, city)
    house.callback(store.close)
    readings = StoredReadings(store)
    house.callback(readings.close)
    return readings


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def together(known: Sequence[LastValues], owning: Int32s | None) -> LastValues:
    """What several cores know, of every sensor that of the core that has it. owning: which, None for one core."""
    if owning is None:
        return known[0]

    def of_owner(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        answer: npt.NDArray[Any] = np.stack(columns)[owning, np.arange(len(owning))]
        return answer

    return LastValues(
        of_owner([one.event_us for one in known]),
        of_owner([one.value for one in known]),
        of_owner([one.silent for one in known]),
        of_owner([one.offset_s for one in known]),
    )


if __name__ == "__main__":
    main()
