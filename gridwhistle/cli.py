"""The command line. Thin: every command reads its options, calls one function and prints."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from config.city_files import load_city
from config.errors import GridwhistleError
from config.logs import configure_logs
from config.settings_files import load_settings
from config.texts import text
from config.vocabulary import Language
from gridwhistle import cli_score, cli_simulate
from gridwhistle.check import check_city, check_limits, check_settings
from gridwhistle.check_payload import check_message
from gridwhistle.cli_city import new_city
from gridwhistle.cli_common import (
    Bar,
    HostOption,
    LanguageOption,
    MinutesOption,
    PackOption,
    PortOption,
    SeedOption,
    SpeedOption,
    either,
    err,
    moment,
    until_stopped,
)
from gridwhistle.cli_spool import spool_app
from gridwhistle.cli_store import store_app
from gridwhistle.daemon import daemon
from gridwhistle.demo import PAGE_PORT, DemoOptions, Stage, demo
from gridwhistle.whole import whole
from sensors_sim.recordings.city_folder import make_city
from sensors_sim.replay import replay

app = typer.Typer(
    name="gridwhistle",
    help="Sensors blow the whistle, the right person comes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(spool_app)
app.add_typer(store_app)
cli_simulate.register(app)
cli_score.register(app)
app.command("new-city")(new_city)
out = Console(highlight=False, soft_wrap=True)  # never folds a line: addresses and passwords are copied from it


FILE_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""A path that somebody named: their own words tell it."""


def main() -> None:
    """Entry point of the console script: errors that we raise on purpose become one line each and exit code 1."""
    try:
        app()
    except (GridwhistleError, *FILE_ERRORS) as error:
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
    payload: Annotated[
        Path | None,
        typer.Option("--payload", help="File of one message (- reads it from stdin): show what it becomes."),
    ] = None,
    topic: Annotated[str, typer.Option("--topic", help="Topic of that message.")] = "",
    received: Annotated[
        str | None, typer.Option("--received", help="When it was received (RFC 3339); now if not given.")
    ] = None,
    language: LanguageOption = Language.ZH,
) -> None:
    """Check a city's folder, or all that the settings name, and report every mistake. Exit code 1 for an error.

    Of the broker it tells which limits would lose readings, and what to write against it into mosquitto.conf. With
    --payload it shows instead what one message of a device becomes.
    """
    if folder is None and config is None:
        raise typer.BadParameter("name the folder of a city, or the settings with --config")
    if payload is not None:
        if not topic:
            raise typer.BadParameter("name the topic of the message with --topic")
        at_us = moment(received)
        if not check_message(payload, topic, out, language, folder=folder, config=config, received_us=at_us):
            raise SystemExit(1)
        return
    settings = check_settings(config, out, language) if config is not None else None
    good = settings is not None or config is None
    city = folder or (settings.city if settings is not None else None)
    if city is not None:
        good = check_city(city, out, language) and good
    if settings is not None and broker:
        good = check_limits(settings.mqtt, out, language) and good
    if not good:
        raise SystemExit(1)


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
                    from_us=moment(begin),
                    to_us=moment(end),
                    host=host,
                    port=port,
                    pack=pack,
                    progress=bar.show,
                )
            )
            await either(playing, stop)
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
