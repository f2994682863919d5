"""The main job on a bare machine: a broker, a simulated district, the daemon and its page, all on loopback."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock
from config.settings import ClockSettings, ClockSource, DashboardSettings, MqttSettings, Settings
from config.vocabulary import Language
from gridwhistle.broker import bare_broker
from gridwhistle.daemon import Running, daemon
from sensors_sim.publish import Progress, run_simulation
from sensors_sim.truth import write_truth


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demonstration stands on. broker: its name."""

    broker: str
    mqtt_port: int
    running: Running
    folder: Path


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """port: of the page. speed: simulated seconds per second. minutes: simulated minutes. keep: where to keep data."""

    port: int = 8080
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
    ConfigurationError where the page's port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="gridwhistle-demo-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        async with bare_broker(folder) as (broker, mqtt_port):
            settings = Settings(
                city=EXAMPLE,
                data_dir=folder / "data",
                language=options.language,
                mqtt=MqttSettings(port=mqtt_port),
                clock=ClockSettings(source=ClockSource.BROKER),
                dashboard=DashboardSettings(port=options.port),
            )
            async with daemon(settings) as running:
                await running.listening()
                ready(Stage(broker, mqtt_port, running, folder))
                playing = asyncio.create_task(_play(options, mqtt_port, folder, progress, done))
                stopping = asyncio.create_task(stop.wait())
                await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if playing.done():
                    playing.result()
                    await stopping
                playing.cancel()
                stopping.cancel()
                await asyncio.wait({playing, stopping})


async def _play(
    options: DemoOptions,
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
        start_us=SystemClock().now_us() // 1_000_000 * 1_000_000,
        port=mqtt_port,
        pack=50,
        progress=progress,
        on_truth=lambda truth: write_truth(truth, folder / "truth.json"),
    )
    done(folder / "truth.json")
