"""``gridwhistle simulate``: a day of a city, or a scenario, over MQTT or into a file, with its ground truth."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from config.city import City
from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock
from config.errors import ConfigurationError
from config.texts import text
from config.vocabulary import Language
from gridwhistle.cli_common import (
    Bar,
    HostOption,
    LanguageOption,
    PackOption,
    PortOption,
    SeedOption,
    SpeedOption,
    either,
    moment,
    until_stopped,
)
from sensors_sim.centre import Account
from sensors_sim.city_maker import load_world, write_world
from sensors_sim.city_maker.only import make_world_of
from sensors_sim.file_out import write_run
from sensors_sim.logins import Login, logins_from_table
from sensors_sim.publish import Broker, Pace, Progress, Run, Written, play, run_simulation
from sensors_sim.run import ScenarioRun
from sensors_sim.scenario import Scenario, library, load_scenario
from sensors_sim.truth import write_truth
from sensors_sim.wire import Timed, timed_messages
from sensors_sim.workers import Workers, WorkersWish

DAY_MINUTES = 30.0
"""Length of the example day where none is asked for."""

out = Console(highlight=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("simulate")(simulate)


_EVERYWHERE = {"host", "port", "username", "password", "speed", "language"}
_OF_A_RUN = {"city", "minutes", "seed", "start", "truth", "pack"}
_OF_A_SCENARIO = {"scenario", "sensors", "city_out", "qos"} | _OF_A_RUN
MODES: dict[str, set[str]] = {
    "--from": {"from_file"} | _EVERYWHERE,
    "--out": {"out_file", "language"} | _OF_A_SCENARIO,
    "a scenario": _OF_A_SCENARIO | {"logins", "workers", "workers_account", "workers_password"} | _EVERYWHERE,
    "the example day (no --scenario)": _OF_A_RUN | _EVERYWHERE,
}
"""The options that say something in each way of simulating; any other is refused beside it."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Where to, and how. workers: address of the command centre where simulated people act, None for nobody."""

    broker: Broker
    speed: float | None
    pack: int
    qos: int
    logins: Path | None
    workers: str | None
    account: Account
    language: Language

    def pace(self, city: City | None) -> Pace:
        """How a run of this city is played. Raises ConfigurationError for logins that do not fit it."""
        logins: Mapping[str, Login] | None = None
        if self.logins is not None and city is not None:
            logins = logins_from_table(self.logins, city.columns.device.names)
        return Pace(self.speed, self.pack, clock_topic=True, clock=SystemClock(), qos=self.qos, logins=logins)


def simulate(  # noqa: PLR0917 - options, each by its name
    ctx: typer.Context,
    scenario: Annotated[
        str | None,
        typer.Option("--scenario", help="A scenario's name, or its YAML file; without it the example day."),
    ] = None,
    sensors: Annotated[
        int | None, typer.Option("--sensors", min=100, max=500_000, help="Size of the made-up city of a scenario.")
    ] = None,
    city: Annotated[
        Path | None, typer.Option("--city", help="Folder of a city's files; else the example, or a made-up city.")
    ] = None,
    city_out: Annotated[
        Path | None, typer.Option("--city-out", help="Write the made-up city's folder, for the daemon.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=1, help="Simulated minutes; as the scenario says if not given.")
    ] = None,
    seed: SeedOption = 7,
    speed: SpeedOption = 1.0,
    start: Annotated[
        str | None,
        typer.Option("--start", help="Event time of the beginning; a scenario's own hour, else now, if not given."),
    ] = None,
    truth: Annotated[Path, typer.Option("--truth", help="File for the ground truth.")] = Path("truth.json"),
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Write what would be sent into this file, as fast as possible (.gz packs it)."),
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--from", help="Send what --out wrote into this file, as it stands there.")
    ] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 1883,
    username: Annotated[str | None, typer.Option("--username", help="Of the login at the broker.")] = None,
    password: Annotated[
        str | None, typer.Option("--password", envvar="GRIDWHISTLE_SIMULATE_PASSWORD", help="Of the login.")
    ] = None,
    logins: Annotated[
        Path | None,
        typer.Option("--logins", help="CSV file (device, username, password): every box has its own connection."),
    ] = None,
    qos: Annotated[int, typer.Option("--qos", min=0, max=1, help="Of the readings.")] = 1,
    pack: PackOption = 1,
    workers: Annotated[
        str | None, typer.Option("--workers", help="Address of the page: simulated workers answer what is pushed.")
    ] = None,
    workers_account: Annotated[str, typer.Option("--workers-account", help="Account they act by.")] = "admin",
    workers_password: Annotated[
        str, typer.Option("--workers-password", envvar="GRIDWHISTLE_WORKERS_PASSWORD", help="Its password.")
    ] = "",
    scenarios: Annotated[bool, typer.Option("--list", help="List the scenarios there are, and end.")] = False,
    language: LanguageOption = Language.ZH,
) -> None:
    """Publish a city that lives, with events and faults whose truth is written down."""
    if scenarios:
        _print_library(language)
        return
    _refuse_strays(ctx, "--from" if from_file else "a scenario" if scenario else "the example day (no --scenario)")
    if out_file is not None:
        _refuse_strays(ctx, "--out")
    if city is not None and (sensors is not None or city_out is not None):
        raise typer.BadParameter("--sensors and --city-out are for made-up cities, not for the one that --city names")
    sending = Sending(
        Broker(host, port, username, password), speed or None, pack, qos, logins, workers,
        Account(workers_account, workers_password), language,
    )  # fmt: skip
    if from_file is not None:
        _send_file(from_file, sending)
        return
    if scenario is None:
        _play_day(city or EXAMPLE, minutes or DAY_MINUTES, seed, moment(start), truth, sending)
        return
    wanted = load_scenario(scenario)
    with out.status(text("cli.simulate_making", language)):
        made = _made(
            wanted, scenario, seed, sensors=sensors, city=city, city_out=city_out, minutes=minutes, start=start
        )
    write_truth(made.truth, truth)
    for (kind, reason), times in Counter(made.truth.not_staged).items():
        params = {"kind": kind, "reason": reason, "times": times}
        out.print(text("cli.simulate_not_staged", language, params), markup=False)
    if out_file is None:
        _send(made, truth, sending)
    else:
        _write(made, out_file, truth, sending)


def _made(
    scenario: Scenario, name: str, seed: int, *, sensors: int | None, city: Path | None, city_out: Path | None,
    minutes: float | None, start: str | None,
) -> ScenarioRun:  # fmt: skip
    try:
        size = sensors or scenario.sensors
        world = load_world(city) if city else make_world_of(size, seed, scenario.quantities)
    except ValueError as error:
        raise ConfigurationError(f"no city can be made up: {error}") from error
    if city_out is not None:
        if city_out.exists() and (not city_out.is_dir() or any(city_out.iterdir())):
            raise ConfigurationError(f"{city_out}: there is something in it; --city-out takes a new or empty folder")
        write_world(world, city_out)
    lasts_s = None if minutes is None else minutes * 60
    return ScenarioRun(world, scenario, seed, name=name, start_us=moment(start), lasts_s=lasts_s)


def _refuse_strays(ctx: typer.Context, mode: str) -> None:
    """Options that say nothing beside what was asked for. Raises BadParameter."""
    for option in ctx.command.params:
        source = ctx.get_parameter_source(option.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        if given and option.name not in MODES[mode] | ({"out_file"} if mode == "a scenario" else set()):
            raise typer.BadParameter(f"{option.opts[0]} says nothing with {mode}")


def _print_library(language: Language) -> None:
    for name in library():
        about = load_scenario(name)
        title, told = (about.title.zh, about.about.zh) if language is Language.ZH else (about.title.en, about.about.en)
        out.print(f"{name}: {title}. {told}", markup=False)


def _tell_sent(readings: int, where: Path | None, language: Language) -> None:
    key = "cli.simulate_sent" if where is None else "cli.simulate_sent_truth"
    out.print(text(key, language, {"readings": f"{readings:,}", "truth": str(where)}), markup=False)


def _send_file(path: Path, sending: Sending) -> None:
    written = Written.of(path)

    async def work(stop: asyncio.Event) -> None:
        with Bar() as bar:
            playing = asyncio.create_task(play(written, sending.broker, sending.pace(None), bar.show))
            await either(playing, stop)
        _tell_sent(playing.result(), None, sending.language)

    until_stopped(work)


def _play_day(  # noqa: PLR0917 - as the command has them
    city: Path, minutes: float, seed: int, start_us: int | None, truth: Path, sending: Sending
) -> None:
    broker = sending.broker

    async def work(stop: asyncio.Event) -> None:
        with Bar() as bar:
            playing = asyncio.create_task(
                run_simulation(
                    load_city(city),
                    seed,
                    minutes,
                    speed=sending.speed,
                    start_us=start_us,
                    host=broker.host,
                    port=broker.port,
                    username=broker.username,
                    password=broker.password,
                    pack=sending.pack,
                    progress=bar.show,
                    on_truth=lambda found: write_truth(found, truth),
                )
            )
            await either(playing, stop)
        _tell_sent(playing.result().readings_sent, truth, sending.language)

    until_stopped(work)


def _send(run: ScenarioRun, truth: Path, sending: Sending) -> None:
    pace = sending.pace(run.city)

    async def work(stop: asyncio.Event) -> None:
        with Bar() as bar:
            playing = asyncio.create_task(_with_workers(run, pace, sending, bar))
            await either(playing, stop)
        _tell_sent(playing.result(), truth, sending.language)

    until_stopped(work)


async def _with_workers(run: ScenarioRun, pace: Pace, sending: Sending, bar: Bar) -> int:
    """Play the run, with people who answer where they were asked for."""
    played = Run(run.city, run.instants(), run.start_us, run.end_us)
    if sending.workers is None:
        return await play(played, sending.broker, pace, bar.show)
    wish = WorkersWish(
        sending.workers, sending.account, seed=run.truth.seed, language=sending.language, broker=sending.broker
    )
    people, over, listening = Workers(wish, run.city, run.truth), asyncio.Event(), asyncio.Event()
    acting = asyncio.create_task(people.run(over, listening))
    ready = asyncio.create_task(listening.wait())
    await asyncio.wait({acting, ready}, return_when=asyncio.FIRST_COMPLETED)
    playing = asyncio.create_task(play(played, sending.broker, pace, bar.show))
    try:
        await asyncio.wait({acting, playing}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():  # nobody acts any more: say why at once
            acting.result()
        sent = await playing
    finally:
        for task in (ready, playing):
            task.cancel()
        over.set()
        await asyncio.wait({playing, acting})
    acting.result()
    for deed, count in sorted(people.counts.items()):
        out.print(f"  {count:,} {deed}", markup=False)
    return sent


def _write(run: ScenarioRun, path: Path, truth: Path, sending: Sending) -> None:
    """Write a run into a file."""
    with Bar() as bar:
        messages = timed_messages(run.city, run.instants(), pack=sending.pack, clock_topic=True, boxes=False)
        sent = 0

        def watched() -> Iterator[Timed]:
            nonlocal sent
            for number, one in enumerate(messages):
                sent += one.message.readings
                if number % 1000 == 0:
                    bar.show(Progress(one.time_us, run.start_us, run.end_us, sent))
                yield one

        readings = write_run(watched(), path, qos=sending.qos)
    _tell_sent(readings, truth, sending.language)
