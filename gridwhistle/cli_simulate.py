"""``gridwhistle simulate``: a day of a city, or a scenario, over MQTT or into a file, with its ground truth."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock
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
from sensors_sim.city_maker import load_world, write_world
from sensors_sim.city_maker.only import make_world_of
from sensors_sim.publish import Broker, Pace, Run, play, run_simulation
from sensors_sim.run import ScenarioRun
from sensors_sim.scenario import Scenario, library, load_scenario
from sensors_sim.truth import write_truth

DAY_MINUTES = 30.0
"""Length of the example day where none is asked for."""

out = Console(highlight=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("simulate")(simulate)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line, of a scenario."""

    scenario: Scenario
    name: str
    seed: int
    sensors: int | None
    city: Path | None
    city_out: Path | None
    minutes: float | None
    start_us: int | None

    def make(self) -> ScenarioRun:
        """The run. Raises ConfigurationError for a city's folder, ValueError for a size that no city has."""
        size = self.sensors or self.scenario.sensors
        world = load_world(self.city) if self.city else make_world_of(size, self.seed, self.scenario.quantities)
        if self.city_out is not None:
            write_world(world, self.city_out)
        lasts_s = None if self.minutes is None else self.minutes * 60
        return ScenarioRun(world, self.scenario, self.seed, name=self.name, start_us=self.start_us, lasts_s=lasts_s)


def simulate(  # noqa: PLR0917 - options, each by its name
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
        Path | None, typer.Option("--out", help="Write into this file, as fast as possible, what would be published.")
    ] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 1883,
    pack: PackOption = 1,
    scenarios: Annotated[bool, typer.Option("--list", help="List the scenarios there are, and end.")] = False,
    language: LanguageOption = Language.ZH,
) -> None:
    """Publish a city that lives, with events and faults whose truth is written down."""
    if scenarios:
        _print_library(language)
        return
    broker, start_us = Broker(host, port), moment(start)
    if scenario is None:
        _refuse_without_scenario(sensors=sensors, city_out=city_out, out_file=out_file)
        _play_day(
            city or EXAMPLE, minutes or DAY_MINUTES, seed, speed=speed, start_us=start_us, truth=truth, broker=broker,
            pack=pack,
        )  # fmt: skip
        return
    wanted = Wanted(load_scenario(scenario), scenario, seed, sensors, city, city_out, minutes, start_us)
    with out.status(text("cli.simulate_making", language)):
        made = wanted.make()
    write_truth(made.truth, truth)
    for kind, reason in made.truth.not_staged:
        out.print(text("cli.simulate_not_staged", language, {"kind": kind, "reason": reason}))
    _publish(made, broker, Pace(speed or None, pack, clock_topic=True, clock=SystemClock()), truth)


def _refuse_without_scenario(**options: object) -> None:
    """Options that make no sense for the example day. Raises BadParameter."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise typer.BadParameter(f"--{given[0].replace('_', '-')} is for scenarios: name one with --scenario")


def _print_library(language: Language) -> None:
    for name in library():
        about = load_scenario(name)
        title, told = (about.title.zh, about.about.zh) if language is Language.ZH else (about.title.en, about.about.en)
        out.print(f"{name}: {title}. {told}", markup=False)


def _play_day(
    city: Path, minutes: float, seed: int, *, speed: float, start_us: int | None, truth: Path, broker: Broker, pack: int
) -> None:
    async def work(stop: asyncio.Event) -> None:
        with Bar() as bar:
            playing = asyncio.create_task(
                run_simulation(
                    load_city(city),
                    seed,
                    minutes,
                    speed=speed or None,
                    start_us=start_us,
                    host=broker.host,
                    port=broker.port,
                    pack=pack,
                    progress=bar.show,
                    on_truth=lambda found: write_truth(found, truth),
                )
            )
            await either(playing, stop)
        result = playing.result()
        out.print(f"{result.readings_sent:,} readings sent; truth in {truth}")

    until_stopped(work)


def _publish(run: ScenarioRun, broker: Broker, pace: Pace, truth: Path) -> None:
    async def work(stop: asyncio.Event) -> None:
        with Bar() as bar:
            played = Run(run.city, run.instants(), run.start_us, run.end_us)
            playing = asyncio.create_task(play(played, broker, pace, bar.show))
            await either(playing, stop)
        out.print(f"{playing.result():,} readings sent; truth in {truth}")

    until_stopped(work)
