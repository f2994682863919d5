"""Every scenario of the library through the whole daemon, small: nothing is lost on the way, and it is scored."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from alerting.reports import records
from config.city import City
from config.city_files import load_city
from config.clock import SystemClock
from config.vocabulary import Language
from gridwhistle.daemon import Running, daemon
from gridwhistle.score.page import write_page
from gridwhistle.score.report import Report, make_report, write_json
from gridwhistle.score.table import print_report
from ingest.model import Int64s
from sensors_sim.city_maker import write_world
from sensors_sim.city_maker.only import make_world_of
from sensors_sim.publish import Broker, Pace, Run, play
from sensors_sim.run import ScenarioRun
from sensors_sim.scenario import library, load_scenario
from sensors_sim.wire import Instant
from tests.support.browser import chromium
from tests.support.daemon import flow_settings, settled
from tests.support.servers import mosquitto

SEED = 3
SENSORS = {"subsidence": 60, "lone-elder-falls": 60, "air-episode": 100, "calm-day": 100, "typhoon": 180}
HOURS = {"typhoon": 7.0, "subsidence": 14 * 24.0}
"""Small and short enough for some seconds each; any other scenario gets MOST, and lasts as long as it does."""
MOST = 160
PICTURED = "gas-leak-old-quarter"
PATIENCE_S = 300.0
INSTANTS, COARSEST_S = 1_500, 240
"""Every instant costs the daemon a beat of its own; a reading may be five minutes late before it is called so."""


@dataclass(frozen=True)
class Lived:
    """What was left of a scenario. different: readings sent that differ in sensor or time. counted: by the daemon."""

    run: ScenarioRun
    city: City
    report: Report
    sent: int
    different: int
    stored: int
    counted: dict[str, int]


async def live(name: str, folder: Path) -> Lived:
    """Make a small city, let the scenario happen in it, and see what the daemon made of it."""
    scenario = load_scenario(name)
    world = make_world_of(SENSORS.get(name, MOST), SEED, scenario.quantities)
    write_world(world, folder / "city")
    lasts_s = HOURS[name] * 3600 if name in HOURS else scenario.lasts
    tick_s = max(1, min(COARSEST_S, round(lasts_s / INSTANTS)))
    run = ScenarioRun(world, scenario, SEED, name=name, lasts_s=lasts_s, tick_s=tick_s)
    with mosquitto(folder / "broker") as broker:
        async with daemon(flow_settings(folder / "city", folder / "data", broker.port)) as running:
            await running.listening()
            keys: list[Int64s] = []
            sent = await play(
                Run(run.city, _noted(run.instants(), keys), run.start_us, run.end_us),
                Broker(port=broker.port),
                Pace(None, 100, clock_topic=True, clock=SystemClock()),
                None,
            )
            await settled(running, run.end_us, sent, patience_s=PATIENCE_S)
            return _seen(run, running, folder, sent=sent, different=len(np.unique(np.concatenate(keys))))


def _noted(instants: Iterable[Instant], keys: list[Int64s]) -> Iterator[Instant]:
    """The same instants; of every reading a number for its sensor and time goes into ``keys``."""
    for instant in instants:
        keys.append(instant.times_us // 1000 * 1024 + instant.sensors)
        yield instant


def _seen(run: ScenarioRun, running: Running, folder: Path, *, sent: int, different: int) -> Lived:
    city = load_city(folder / "city")
    report = make_report(run.truth, records(running.ledger), city)
    return Lived(run, city, report, sent, different, running.store.count(), dict(running.line.counted()))


async def _picture(page: Path) -> None:
    """Keep what the manual shows of a score."""
    async with chromium() as browser:
        tab = await browser.new_page(viewport={"width": 1280, "height": 2300})
        await tab.goto(page.as_uri())
        await tab.screenshot(path=Path(__file__).parents[2] / "docs" / "score.png")


@pytest.mark.parametrize("name", sorted(library()))
async def test_a_scenario_lives_through_the_whole_daemon_and_is_scored(name: str, tmp_path: Path) -> None:
    lived = await live(name, tmp_path)
    counted = lived.counted
    assert lived.sent == counted["admitted"] + counted["refused"], "every reading is admitted or refused by name"
    others = counted["refused"] - counted["refused.duplicate"]
    assert lived.different - others <= lived.stored <= lived.different, "and every admitted one is in the store once"
    print_report(lived.report, Console(width=160), Language.EN)  # read with pytest -s
    write_json(lived.report, tmp_path / "score.json")
    assert json.loads((tmp_path / "score.json").read_text())["scenario"] == name
    page = tmp_path / "score.html"
    write_page(lived.report, lived.city, tmp_path / "data", page, language=Language.EN, world=lived.run.world)
    assert page.stat().st_size > 20_000
    if name == PICTURED and os.environ.get("GRIDWHISTLE_SCREENSHOTS"):
        await _picture(page)
    told = zip(lived.run.truth.episodes, lived.report.score.episodes, strict=True)
    missed = [found for episode, found in told if episode.limit_us is not None and not found.told]
    assert missed == [], "what surely passes a limit is found"
