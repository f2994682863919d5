"""Kills, stops and broker restarts in the middle of life: no second case for one cause, none forgotten."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path

import httpx
import pytest

from alerting.ledger import Ledger
from config.city_files import EXAMPLE, load_city
from gridwhistle.score import cases_of, intervals_of, keep_score
from sensors_sim.publish import Progress, run_simulation
from tests.support.daemon import DaemonProcess, eventually
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


@pytest.mark.parametrize("disturb", [stop_and_start, kill_and_start, restart_broker])
async def test_life_goes_on_with_the_same_cases_after(tmp_path: Path, disturb: Disturbance) -> None:
    city = load_city(EXAMPLE)
    with mosquitto(tmp_path / "broker") as broker:
        daemon = DaemonProcess(configuration(tmp_path, broker.port), tmp_path)
        await asyncio.to_thread(daemon.start)
        await eventually(lambda: httpx.get(f"{daemon.url}/healthz").status_code == 200, "the daemon is subscribed")
        try:
            halfway = asyncio.Event()

            def progress(step: Progress) -> None:
                if step.share > 0.6:
                    halfway.set()

            playing = asyncio.create_task(
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
        finally:
            await asyncio.to_thread(daemon.stop)

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
    with sqlite3.connect(folder / "data" / "ledger.sqlite") as connection:
        rows = connection.execute("SELECT day, number FROM grid_events").fetchall()
    return {f"GW-{day}-{number:04d}" for day, number in rows}
