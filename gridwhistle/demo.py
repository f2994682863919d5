"""The main job on a bare machine: a broker, a simulated district, the daemon and its page, all on loopback."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from config.city_files import EXAMPLE, load_city
from config.clock import US_PER_SECOND, SystemClock
from config.errors import ConfigurationError
from config.settings import ClockSettings, ClockSource, DashboardSettings, MqttProtocol, MqttSettings, Settings
from config.vocabulary import Language
from gridwhistle.broker import bare_broker, is_free
from gridwhistle.daemon import Running, daemon
from gridwhistle.memory import clock_of
from sensors_sim.publish import Progress, run_simulation
from sensors_sim.truth import write_truth

PAGE_PORT = 8080
"""Of the page where none is asked for, if it is free."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demonstration stands on. broker: its name. port_taken: whether the page had to leave PAGE_PORT."""

    broker: str
    mqtt_port: int
    running: Running
    folder: Path
    port_taken: bool


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """port: of the page, None for PAGE_PORT or a free one. speed: simulated seconds per second.

    minutes: simulated minutes. keep: where to keep data.
    """

    port: int | None = None
    speed: float = 30.0
    minutes: float = 30.0
    seed: int = 7
    language: Language = Language.ZH
    keep: Path | None = None


async def demo(
    options: DemoOptions,
    stop: asyncio.Event,
    ready: Callable[[Stage], None],
    progress: Callable[[Progress], None],
    done: Callable[[Path], None],
) -> None:
    """Run until ``stop`` is set. ready: called when the page can be opened; done: with the truth file, at the end.

    The page stays up when the simulation has ended. Raises RetryableError where no broker can be started, and
    ConfigurationError where the page's port is taken that was asked for, or the folder cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix="gridwhistle-demo-") as temporary:
        folder = _folder(options.keep) if options.keep else Path(temporary)
        port_taken = options.port is None and not is_free(PAGE_PORT)
        port = PAGE_PORT if options.port is None else options.port
        async with bare_broker(folder) as (broker, mqtt_port):
            settings = Settings(
                city=EXAMPLE,
                data_dir=folder / "data",
                language=options.language,
                # amqtt speaks 3.1.1 only
                mqtt=MqttSettings(port=mqtt_port, protocol=MqttProtocol.V311 if broker == "amqtt" else MqttProtocol.V5),
                clock=ClockSettings(source=ClockSource.BROKER),
                dashboard=DashboardSettings(port=0 if port_taken else port),
            )
            start_us = await asyncio.to_thread(beginning, settings.data_dir, SystemClock().now_us())
            async with daemon(settings) as running:
                if not await unless_stopped(stop, running.listening()):
                    return
                ready(Stage(broker, mqtt_port, running, folder, port_taken))
                playing = _play(
                    options, start_us=start_us, mqtt_port=mqtt_port, folder=folder, progress=progress, done=done
                )
                if await unless_stopped(stop, playing):
                    await stop.wait()


def _folder(keep: Path) -> Path:
    """Made if missing; absolute, since the broker works in it."""
    folder = keep.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be made: {error}; expected a folder to keep data in") from error
    return folder


def beginning(data_dir: Path, now_us: int) -> int:
    """First event time of a run: now, or where an earlier run in the same folder came to; that clock never goes back.

    Whole seconds, microseconds since the epoch.
    """
    came_to_us = -(-clock_of(data_dir) // US_PER_SECOND) * US_PER_SECOND
    return max(now_us // US_PER_SECOND * US_PER_SECOND, came_to_us)


async def unless_stopped(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Whether the work came to its end (its error is raised); it is cancelled where ``stop`` is set before that."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait({working, stopping})


async def _play(
    options: DemoOptions,
    *,
    start_us: int,
    mqtt_port: int,
    folder: Path,
    progress: Callable[[Progress], None],
    done: Callable[[Path], None],
) -> None:
    city = await asyncio.to_thread(load_city, EXAMPLE)
    await run_simulation(
        city,
        options.seed,
        options.minutes,
        speed=options.speed,
        start_us=start_us,
        port=mqtt_port,
        pack=50,
        progress=progress,
        on_truth=lambda truth: write_truth(truth, folder / "truth.json"),
    )
    done(folder / "truth.json")
