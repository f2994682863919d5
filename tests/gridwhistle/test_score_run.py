"""A whole run judged: from a ledger on disk to tables, JSON and the page, as a browser shows it."""

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerting.reports import Records, records
from config.city import City
from config.clock import US_PER_SECOND
from config.errors import ConfigurationError
from config.vocabulary import Category, Language, Severity
from gridwhistle.cli import app
from gridwhistle.score import Outcome, as_json, make_report
from gridwhistle.score.confusion import Thing, Told
from gridwhistle.score.page import write_page
from sensors_sim.truth import Episode, Fault, FaultKind, Silence, Truth, write_truth
from tests.support.browser import chromium
from tests.support.dashboard import DISTRICT, START_US, desk, example_city, morning

MINUTE_US = 60 * US_PER_SECOND
runner = CliRunner()


@dataclass(frozen=True)
class Run:
    """A morning, and what really happened: a leak that was told, a lean and two faults, of which one was told."""

    folder: Path
    city: City
    truth: Truth
    records: Records


def sensors(city: City, quantity: str) -> list[str]:
    return [sensor.id for sensor in city.sensors if sensor.quantity == quantity]


def episode(city: City, sensor_id: str, category: Category, from_min: float, to_min: float) -> Episode:
    sensor = city.sensor(sensor_id)
    department = city.department_for(category)
    return Episode(
        name=f"{category} {sensor.device}",
        category=category,
        lon=sensor.lon,
        lat=sensor.lat,
        grid=sensor.grid,
        from_us=START_US + int(from_min * MINUTE_US),
        to_us=START_US + int(to_min * MINUTE_US),
        sensors=(sensor_id,),
        over_limit=(sensor_id,),
        limit_us=START_US + int(from_min * MINUTE_US) + 3 * MINUTE_US,
        severity=Severity.MAJOR,
        responsible="nobody",  # the roster is asked
        responsible_at={},
        department=None if department is None else department.id,
    )


def fault(city: City, sensor_id: str, kind: FaultKind, from_min: float) -> Fault:
    sensor = city.sensor(sensor_id)
    begin_us = START_US + int(from_min * MINUTE_US)
    return Fault(kind, sensor_id, sensor.lon, sensor.lat, sensor.grid, begin_us, START_US + 110 * MINUTE_US, None)


async def lived(folder: Path) -> Records:
    with desk(folder) as here:
        morning(here)
        return records(here.ledger)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    city = example_city()
    found = asyncio.run(lived(folder))
    episodes = (
        episode(city, sensors(city, "ch4")[6], Category.GAS_LEAK, 84, 110),
        episode(city, sensors(city, "tilt")[2], Category.STRUCTURE_DANGER, 20, 90),
    )
    faults = (
        fault(city, sensors(city, "temperature")[9], FaultKind.STUCK, 5),
        fault(city, sensors(city, "pm25")[4], FaultKind.DRIFT, 30),
        fault(city, sensors(city, "noise")[6], FaultKind.BIAS, 1),  # told as a grid event
        fault(city, sensors(city, "o3")[0] if sensors(city, "o3") else sensors(city, "pm10")[0], FaultKind.NOISY, 109),
    )
    truth = Truth(city.version, 7, START_US, START_US + 110 * MINUTE_US, episodes, faults)
    write_truth(truth, folder / "truth.json")
    return Run(folder, city, truth, found)


def test_every_thing_that_happened_is_judged_by_what_was_told_of_it(run: Run) -> None:
    report = make_report(run.truth, run.records, run.city)
    outcomes = [found.outcome for found in (*report.score.episodes, *report.score.faults)]
    assert outcomes == [
        Outcome.RIGHT,
        Outcome.MISSED,
        Outcome.RIGHT,
        Outcome.MISSED,
        Outcome.MISTAKEN,
        Outcome.NOT_SHOWN,
    ]
    assert report.confusion.row(Thing.EVENT) == (1, 0, 0, 1)
    assert report.confusion.row(Thing.FAULT) == (1, 1, 0, 1)
    assert sum(report.confusion.row(Thing.NOTHING)) == len(run.city.sensors) - len(run.truth.touched())
    assert report.confusion.count[Thing.NOTHING, Told.EVENT] == len(report.score.false_events) - 1
    assert (report.episodes.told, report.episodes.shown, report.faults.told, report.faults.shown) == (1, 2, 1, 3)
    assert report.load.events.most >= 1


async def test_who_hands_a_case_on_was_called_all_the_same(tmp_path: Path) -> None:
    city = example_city()
    with desk(tmp_path) as here:
        opened = morning(here)
        other = next(worker for worker in city.workers if worker not in {one.worker for one in opened.line})
        here.ports.commands.assign(opened.id, other, actor="tests", now_us=here.clock.now_us())
        found = records(here.ledger)
    assert next(event for event in found.events if event.id == opened.id).responsible.worker == other
    leak = episode(city, sensors(city, "ch4")[6], Category.GAS_LEAK, 84, 110)
    truth = Truth(city.version, 7, START_US, START_US + 110 * MINUTE_US, (leak,), ())
    assert make_report(truth, found, city).score.episodes[0].outcome is Outcome.RIGHT


def test_the_command_tells_writes_and_says_by_its_exit_code_that_something_is_wrong(run: Run, tmp_path: Path) -> None:
    told, drawn = tmp_path / "score.json", tmp_path / "score.html"
    arguments = ["score", str(run.folder), str(run.folder / "truth.json"), "--city", str(DISTRICT), "--language", "en"]
    result = runner.invoke(app, [*arguments, "--json", str(told), "--page", str(drawn)])
    assert result.exit_code == 1, result.output
    assert "mixed up" in result.output
    assert "Something was missed or wrong" in result.output
    content = json.loads(told.read_text())
    assert content["summary"]["episodes"]["missed"] == 1
    assert [one["outcome"] for one in content["faults"]] == ["right", "missed", "mistaken", "not_shown"]
    assert content["confusion"]["table"]["fault"] == {"event": 1, "fault": 1, "shown": 0, "nothing": 1}
    assert content["from"].endswith("Z")
    assert "<svg" in drawn.read_text()


def test_a_folder_that_cannot_be_written_to_is_named(run: Run, tmp_path: Path) -> None:
    arguments = ["score", str(run.folder), str(run.folder / "truth.json"), "--city", str(DISTRICT)]
    result = runner.invoke(app, [*arguments, "--json", str(tmp_path / "missing" / "score.json")])
    assert isinstance(result.exception, ConfigurationError)
    assert "missing/score.json: cannot be written" in str(result.exception)


def test_json_holds_nothing_but_plain_values_and_no_time_as_a_number(run: Run) -> None:
    content = as_json(make_report(run.truth, run.records, run.city))
    keys: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            keys.update(node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
        else:
            assert node is None or type(node) in {str, int, float, bool}

    walk(content)
    assert not [key for key in keys if key.endswith("_us")]


@pytest.mark.browser
@pytest.mark.parametrize("language", Language)
async def test_the_page_shows_everything_asks_for_nothing_and_complains_of_nothing(
    run: Run, tmp_path: Path, language: Language
) -> None:
    somewhere = run.city.sensor(sensors(run.city, "pm25")[0])
    silence = Silence(
        "network_split", somewhere.lon, somewhere.lat, somewhere.grid, START_US, START_US + 9 * MINUTE_US,
        (somewhere.id,), keeps=True, responsible=None,
    )  # fmt: skip
    report = make_report(replace(run.truth, silences=(silence,)), run.records, run.city)
    path = tmp_path / "score.html"
    write_page(report, run.city, run.folder, path, language=language)
    asked: list[str] = []
    complaints: list[str] = []
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(path.as_uri())
        counts = {
            selector: await page.locator(selector).count()
            for selector in (
                "#map .episode",
                "#map .episode.missed",
                "#map .map .case.false",
                "#map .dots",
                "#map .silence",
                "#timeline .silence",
                "#map .broken",
                "#timeline .case",
                "#timeline .broken",
                "#curves_events figure",
                "#curves_events .readings",
                "#curves_events .limit",
                "#curves_events .raised",
                "#curves_faults figure",
                "#confusion td.right",
                "#confusion td.wrong",
                "#silences tbody tr",
                "#people .pushes rect",
                "#cases tbody tr",
            )
        }
        assert not [selector for selector, count in counts.items() if count == 0], counts
        assert counts["#map .episode"] == 2
        assert counts["#map .map .case.false"] == len(report.score.false_events)
        assert counts["#cases tbody tr"] == 6
        assert await page.get_attribute("html", "lang") == {"zh": "zh-CN", "en": "en"}[language]
        widest = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(widest) == 0
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await page.evaluate(widest) == 0
    assert asked == [path.as_uri()]
    assert complaints == []


def test_a_run_without_readings_of_its_own_says_why_there_are_no_curves(run: Run, tmp_path: Path) -> None:
    report = make_report(run.truth, run.records, run.city)
    write_page(report, run.city, tmp_path, tmp_path / "score.html", language=Language.EN)
    page = (tmp_path / "score.html").read_text()
    assert "holds no readings.duckdb" in page
    assert "<figure" not in page


def test_names_of_the_city_cannot_bring_markup_into_the_page(run: Run, tmp_path: Path) -> None:
    evil = replace(run.truth, scenario="<script>alert(1)</script>")
    path = tmp_path / "score.html"
    write_page(make_report(evil, run.records, run.city), run.city, tmp_path, path, language=Language.EN)
    assert "<script" not in path.read_text()
