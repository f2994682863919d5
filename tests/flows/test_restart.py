"""Kills, stops and broker restarts in the middle of life: no second case for one cause, none forgotten."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from alerting.ledger import Ledger
from config.city_files import EXAMPLE, load_city
from gridwhistle.score import cases_of, intervals_of, keep_score
from sensors_sim.publish import Progress, run_simulation
from sensors_sim.truth import FaultKind, Truth
from tests.support.daemon import PATIENCE_S, DaemonProcess, eventually
from tests.support.servers import Server, mosquitto

NINE_IN_THE_MORNING_US = 1_769_648_400_000_000
SPEED = 150.0  # 30 simulated minutes in 12 s

Disturbance = Callable[[DaemonProcess, Server], Coroutine[None, None, None]]


async def stop_and_start(daemon: DaemonProcess, _broker: Server) -> None:
    await asyncio.to_thread(daemon.stop)
    await asyncio.to_thread(daemon.start)


async def kill_and_start(daemon: DaemonProcess, _broker: Server) -> None:
    await asyncio.to_thread(daemon.kill)
    await asyncio.to_thread(daemon.start)


async def restart_broker(_daemon: DaemonProcess, broker: Server) -> None:
    await asyncio.to_thread(broker.stop)
    await asyncio.to_thread(broker.start)


def configuration(folder: Path, port: int) -> Path:
    path = folder / "gridwhistle.toml"
    path.write_text(
        f'city = "{EXAMPLE}"\ndata_dir = "{folder / "data"}"\nlanguage = "en"\n'
        f"[mqtt]\nport = {port}\nreconnect_min_s = 0.05\nreconnect_max_s = 0.5\n"
        f'[clock]\nsource = "broker"\n[dashboard]\nport = 0\n'
    )
    return path


def clock_file_us(folder: Path) -> int:
    path = folder / "data" / "clock"
    return int(path.read_text()) if path.exists() else 0


@asynccontextmanager
async def subscribed(folder: Path, port: int) -> AsyncIterator[DaemonProcess]:
    """A daemon as a process of its own that hears the broker; ended with the block."""
    daemon = DaemonProcess(configuration(folder, port), folder)
    try:
        await asyncio.to_thread(daemon.start)
        await hears(daemon)
        yield daemon
    finally:
        await asyncio.to_thread(daemon.stop)


async def hears(daemon: DaemonProcess) -> None:
    await eventually(lambda: httpx.get(f"{daemon.url}/healthz").status_code == 200, "the daemon is subscribed")


@pytest.mark.parametrize("disturb", [stop_and_start, kill_and_start, restart_broker])
async def test_life_goes_on_with_the_same_cases_after(tmp_path: Path, disturb: Disturbance) -> None:
    city = load_city(EXAMPLE)
    halfway = asyncio.Event()

    def progress(step: Progress) -> None:
        if step.share > 0.6:
            halfway.set()

    with mosquitto(tmp_path / "broker") as broker:
        async with (
            asyncio.timeout(2 * PATIENCE_S),
            subscribed(tmp_path, broker.port) as daemon,
            asyncio.TaskGroup() as group,  # a simulation that fails ends the waiting for its half
        ):
            playing = group.create_task(
                run_simulation(
                    city,
                    7,
                    30,
                    speed=SPEED,
                    start_us=NINE_IN_THE_MORNING_US,
                    port=broker.port,
                    pack=50,
                    progress=progress,
                )
            )
            await halfway.wait()
            before = codes(tmp_path)
            await disturb(daemon, broker)
            result = await playing
            await eventually(lambda: clock_file_us(tmp_path) >= result.truth.end_us, "the last instant is stored")

    ledger = Ledger.open(f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite'}")
    events, tickets = cases_of(ledger)
    ledger.close()
    assert before, "something was open when life was disturbed"
    assert before <= {event.code for event in events}
    score = keep_score(result.truth, events, tickets, intervals_of(city))
    assert all(len(found.opened) == 1 for found in score.episodes), score
    assert not score.false_events, score
    assert not score.false_tickets, score


def codes(folder: Path) -> set[str]:
    return {f"GW-{day}-{number:04d}" for day, number in rows(folder, "SELECT day, number FROM grid_events")}


def rows(folder: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "data" / "ledger.sqlite")) as connection:
        return connection.execute(query, values).fetchall()


@pytest.mark.parametrize("while_away", [False, True], ids=["speaks after the start", "spoke while nobody listened"])
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_the_ticket_of_a_silent_sensor_is_over_when_it_speaks_again_after_a_restart(
    tmp_path: Path, *, killed: bool, while_away: bool
) -> None:
    city = load_city(EXAMPLE)

    def over_of(sensor: str) -> list[tuple[Any, ...]]:
        return rows(tmp_path, "SELECT over_us IS NOT NULL FROM fault_tickets WHERE sensor_id = ?", sensor)

    with mosquitto(tmp_path / "broker") as broker:
        async with asyncio.timeout(2 * PATIENCE_S), subscribed(tmp_path, broker.port) as daemon:

            async def live(seed: int, minutes: float, start_us: int) -> Truth:
                result = await run_simulation(
                    city, seed, minutes, speed=None, start_us=start_us, port=broker.port, pack=50
                )
                return result.truth

            first = await live(7, 30, NINE_IN_THE_MORNING_US)
            sensor = next(fault.sensor for fault in first.faults if fault.kind is FaultKind.SILENT)
            await eventually(lambda: over_of(sensor) == [(0,)], "the silent sensor has a ticket")
            await eventually(lambda: clock_file_us(tmp_path) >= first.end_us, "the last instant is stored")
            await asyncio.to_thread(daemon.kill if killed else daemon.stop)
            if while_away:
                then = await live(8, 10, first.end_us)
                await asyncio.to_thread(daemon.start)
            else:
                await asyncio.to_thread(daemon.start)
                then = await live(8, 10, first.end_us)
            assert sensor not in {fault.sensor for fault in then.faults}
            await eventually(lambda: clock_file_us(tmp_path) >= then.end_us, "the last instant is stored")
            await eventually(lambda: over_of(sensor) == [(1,)], "the ticket is over, and no second one opened", 10)
