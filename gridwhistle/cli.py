"""The command line. Thin: every command reads its options, calls one function and prints."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from alerting.ledger import Ledger
from config.city_files import EXAMPLE, load_city
from config.clock import from_datetime, isoformat
from config.errors import ConfigurationError, GridwhistleError
from config.logs import configure_logs
from config.settings_files import load_settings
from config.texts import text
from config.vocabulary import Language
from gridwhistle.check import check_city, check_limits, check_settings
from gridwhistle.cli_spool import spool_app
from gridwhistle.cli_store import store_app
from gridwhistle.daemon import daemon
from gridwhistle.demo import PAGE_PORT, DemoOptions, Stage, demo
from gridwhistle.score import cases_of, intervals_of, keep_score, print_score
from gridwhistle.whole import whole
from sensors_sim import publish
from sensors_sim.publish import run_simulation
from sensors_sim.recordings.city_folder import make_city
from sensors_sim.replay import replay
from sensors_sim.truth import read_truth, write_truth

app = typer.Typer(
    name="gridwhistle",
    help="Sensors blow the whistle, the right person comes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(spool_app)
app.add_typer(store_app)
out = Console(highlight=False, soft_wrap=True)  # never folds a line: addresses and passwords are copied from it
err = Console(stderr=True)
WIDE = 160
"""Columns of a table that goes into a file or a pipe."""

LanguageOption = Annotated[Language, typer.Option("--language", help="Language of what is printed.")]
HostOption = Annotated[str, typer.Option("--host", help="Name or address of the broker.")]
PortOption = Annotated[int, typer.Option("--port", help="Port of the broker.")]
SpeedOption = Annotated[
    float, typer.Option("--speed", min=0, help="Times as fast as life; 0 is as fast as the broker takes it.")
]
PackOption = Annotated[int, typer.Option("--pack", min=1, help="Most readings in one message.")]
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed makes the same city day.")]
MinutesOption = Annotated[float, typer.Option("--minutes", min=1, help="Simulated minutes.")]


def main() -> None:
    """Entry point of the console script: errors that we raise on purpose become one line each and exit code 1."""
    try:
        app()
    except GridwhistleError as error:
        _tell(error)
        raise SystemExit(1) from None
    except BaseExceptionGroup as group:
        known, unknown = group.split(GridwhistleError)
        for leaf in leaves(known):
            _tell(leaf)
        if unknown is not None:
            raise unknown from None
        raise SystemExit(1) from None


def leaves(group: BaseExceptionGroup[Exception] | None) -> list[Exception]:
    """The errors inside a group of groups, in their order; none for None."""
    if group is None:
        return []
    return [
        leaf
        for error in group.exceptions
        for leaf in (leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _tell(error: Exception) -> None:
    err.print(f"[bold red]gridwhistle:[/] {escape(str(error))}", soft_wrap=True)


def until_stopped(work: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> None:
    """Run until SIGINT or SIGTERM sets the event handed to ``work``; a second signal ends the process at once."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)

        def end() -> None:
            stop.set()
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)

        for number in numbers:
            loop.add_signal_handler(number, end)
        await work(stop)

    asyncio.run(run())


def _moment(value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return from_datetime(datetime.fromisoformat(value))
    except ValueError as error:
        raise typer.BadParameter(f"{value!r} is not an RFC 3339 time with its zone: {error}") from None


class Bar:
    """A progress bar for a run over event time."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=err, transient=True)
        self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, step: publish.Progress) -> None:
        """Show how far the run has come."""
        self._bar.update(self._task, completed=step.share, description=f"{isoformat(step.time_us)}  {step.sent:,}")


@app.command()
def run(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings file, TOML or YAML.")] = None,
) -> None:
    """Run the daemon until it is told to stop (Ctrl-C or SIGTERM)."""
    configure_logs()
    settings = load_settings(config)

    async def work(stop: asyncio.Event) -> None:
        async with whole(settings) if settings.parts else daemon(settings) as running:
            if running.first_password is not None:
                out.print(_first_password(running.first_password, settings.language))
            out.print(f"gridwhistle: {running.url}")
            await stop.wait()

    until_stopped(work)


def _first_password(password: str, language: Language) -> str:
    return text("cli.first_password", language, {"name": "admin", "password": password})


@app.command("demo")
def demo_command(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help=f"Port of the page; 0 takes a free one. {PAGE_PORT} if free, by default."
        ),
    ] = None,
    speed: Annotated[float, typer.Option("--speed", min=1, help="Simulated seconds per second.")] = 30.0,
    minutes: MinutesOption = 30.0,
    seed: SeedOption = 7,
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep everything written in this folder.")] = None,
    language: LanguageOption = Language.ZH,
) -> None:
    """Bring up a broker, a simulated district, the daemon and its page; needs no server and no settings."""
    configure_logs()

    def ready(stage: Stage) -> None:
        if stage.running.first_password is not None:
            out.print(_first_password(stage.running.first_password, language))
        if stage.port_taken:
            out.print(text("cli.demo_port_taken", language, {"port": PAGE_PORT, "url": stage.running.url}))
        params = {"url": stage.running.url, "broker": stage.broker, "port": stage.mqtt_port}
        out.print(text("cli.demo_ready", language, params))

    def done(truth: Path) -> None:
        out.print(text("cli.demo_done", language, {"truth": truth}))

    options = DemoOptions(port, speed, minutes, seed, language, keep)

    def work(stop: asyncio.Event) -> Coroutine[None, None, None]:
        return demo(options, stop, ready, lambda _: None, done)

    until_stopped(work)


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of the city's files; that of the settings if not given.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file: check it, too, its city and its broker.")
    ] = None,
    broker: Annotated[
        bool, typer.Option("--broker/--no-broker", help="Try the limits of the broker that the settings name.")
    ] = True,
    language: LanguageOption = Language.ZH,
) -> None:
    """Check a city's folder, or all that the settings name, and report every mistake. Exit code 1 for an error.

    Of the broker it tells which limits would lose readings, and what to write against it into mosquitto.conf.
    """
    if folder is None and config is None:
        raise typer.BadParameter("name the folder of a city, or the settings with --config")
    settings = check_settings(config, out, language) if config is not None else None
    good = settings is not None or config is None
    city = folder or (settings.city if settings is not None else None)
    if city is not None:
        good = check_city(city, out, language) and good
    if settings is not None and broker:
        good = check_limits(settings.mqtt, out, language) and good
    if not good:
        raise SystemExit(1)


@app.command()
def simulate(
    city: Annotated[Path, typer.Option("--city", help="Folder of the city's files.")] = EXAMPLE,
    minutes: MinutesOption = 30.0,
    seed: SeedOption = 7,
    speed: SpeedOption = 1.0,
    start: Annotated[str | None, typer.Option("--start", help="Event time of the beginning; now if not given.")] = None,
    truth: Annotated[Path, typer.Option("--truth", help="File for the ground truth.")] = Path("truth.json"),
    host: HostOption = "127.0.0.1",
    port: PortOption = 1883,
    pack: PackOption = 1,
) -> None:
    """Publish a plausible district over MQTT, with events and faults whose truth is written down."""

    async def work(stop: asyncio.Event) -> None:
        with Bar() as bar:
            playing = asyncio.create_task(
                run_simulation(
                    load_city(city),
                    seed,
                    minutes,
                    speed=speed or None,
                    start_us=_moment(start),
                    host=host,
                    port=port,
                    pack=pack,
                    progress=bar.show,
                    on_truth=lambda found: write_truth(found, truth),
                )
            )
            await _either(playing, stop)
        result = playing.result()
        out.print(f"{result.readings_sent:,} readings sent; truth in {truth}")

    until_stopped(work)


async def _either(playing: "asyncio.Task[object]", stop: asyncio.Event) -> None:
    """Wait for the work or for the wish to stop, whichever comes first; on that wish the program ends."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not playing.done():
        playing.cancel()
        await asyncio.wait({playing})
        raise SystemExit(130)


@app.command("replay")
def replay_command(
    files: Annotated[list[Path], typer.Argument(help="Recordings (CSV, plain or gzip).")],
    city: Annotated[Path, typer.Option("--city", help="City folder that make-city wrote for them.")],
    adapter: Annotated[str | None, typer.Option("--adapter", help="Kind of recording; told by the header.")] = None,
    begin: Annotated[str | None, typer.Option("--from", help="Replay from this time on (RFC 3339).")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Replay up to this time (RFC 3339).")] = None,
    speed: SpeedOption = 0.0,
    host: HostOption = "127.0.0.1",
    port: PortOption = 1883,
    pack: PackOption = 100,
) -> None:
    """Publish recordings through MQTT with their own times. The daemon needs clock.source = "broker" for it."""

    async def work(stop: asyncio.Event) -> None:
        with Bar() as bar:
            playing = asyncio.create_task(
                replay(
                    files,
                    load_city(city),
                    adapter=adapter,
                    speed=speed or None,
                    from_us=_moment(begin),
                    to_us=_moment(end),
                    host=host,
                    port=port,
                    pack=pack,
                    progress=bar.show,
                )
            )
            await _either(playing, stop)
        result = playing.result()
        out.print(f"{result.sent:,} readings sent")
        for reason, count in sorted(result.skipped.items()):
            out.print(f"  {count:,} skipped: {reason}")

    until_stopped(work)


@app.command("make-city")
def make_city_command(
    files: Annotated[list[Path], typer.Argument(help="Recordings (CSV, plain or gzip).")],
    folder: Annotated[Path, typer.Option("--out", help="Folder to write; made if missing.")],
    adapter: Annotated[str | None, typer.Option("--adapter", help="Kind of recording; told by the header.")] = None,
) -> None:
    """Make a city folder from recordings: their stations become grids, with made-up workers."""
    make_city(files, folder, adapter)
    city = load_city(folder)
    out.print(f"{folder}: {len(city.grids)} grids, {len(city.sensors)} sensors")


@app.command("score")
def score_command(
    data_dir: Annotated[Path, typer.Argument(help="The daemon's data_dir.")],
    truth: Annotated[Path, typer.Argument(help="Truth file of the simulation.")],
    city: Annotated[Path, typer.Option("--city", help="Folder of the city's files that was simulated.")] = EXAMPLE,
    language: LanguageOption = Language.ZH,
) -> None:
    """Compare what the daemon opened with what really happened. Exit code 1 where anything is missed or wrong."""
    path = data_dir / "ledger.sqlite"
    if not path.exists():
        raise ConfigurationError(f"{path}: not found; expected the ledger of a daemon's data_dir")
    happened = read_truth(truth)
    simulated = load_city(city)
    if simulated.version != happened.city:
        raise ConfigurationError(
            f"{truth}: city is {happened.city}, expected {simulated.version}, the version of {city}; name its folder"
            " with --city"
        )
    ledger = Ledger.open(f"sqlite:///{path.resolve()}")
    try:
        score = keep_score(happened, *cases_of(ledger), intervals_of(simulated))
    finally:
        ledger.close()
    print_score(score, out if out.is_terminal else Console(width=WIDE), language)
    if not score.perfect:
        raise SystemExit(1)
