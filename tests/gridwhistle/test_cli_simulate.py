"""``gridwhistle simulate``: scenarios into files and over a real broker, and what makes no sense is said."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.city_files import load_city
from config.texts import text
from config.vocabulary import Language
from gridwhistle.cli import app
from sensors_sim.scenario import library
from sensors_sim.truth import read_truth
from tests.sensors_sim.listener import listening
from tests.support.servers import mosquitto

LEAK = ["--scenario", "gas-leak-old-quarter", "--sensors", "100", "--seed", "3", "--minutes", "20"]


def simulate(*options: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *options], catch_exceptions=True)


@pytest.mark.parametrize("language", list(Language))
def test_every_scenario_is_listed_with_what_it_is_about(language: Language) -> None:
    told = simulate("--list", "--language", language.value)
    assert told.exit_code == 0
    assert [name for name in library() if f"{name}: " not in told.output] == []


def test_a_scenario_goes_into_a_file_with_its_city_and_its_truth_the_same_each_time(tmp_path: Path) -> None:
    files = [tmp_path / "one.jsonl.gz", tmp_path / "two.jsonl.gz"]
    cities: tuple[list[str], list[str]] = (["--city-out", str(tmp_path / "city")], [])
    for file, city in zip(files, cities, strict=True):
        told = simulate(*LEAK, "--out", str(file), "--truth", str(tmp_path / "truth.json"), "--pack", "50", *city)
        assert told.exit_code == 0, told.output
    assert files[0].read_bytes() == files[1].read_bytes()
    truth = read_truth(tmp_path / "truth.json")
    assert truth.scenario == "gas-leak-old-quarter"
    assert truth.city == load_city(tmp_path / "city").version
    lines = gzip.decompress(files[0].read_bytes()).splitlines()
    assert {"gridwhistle/clock"} < {json.loads(line)["topic"] for line in lines}


def test_a_file_is_sent_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    assert simulate(*LEAK, "--minutes", "2", "--out", str(file), "--truth", str(tmp_path / "t.json")).exit_code == 0
    payloads = [json.loads(line) for line in file.read_text().splitlines()]
    written = [
        (reading["id"], reading["t"], reading["v"])
        for line in payloads
        if line["topic"] != "gridwhistle/clock"
        for reading in (line["payload"] if isinstance(line["payload"], list) else [line["payload"]])
    ]
    with mosquitto(tmp_path / "broker") as broker, listening(broker.port) as listener:
        told = simulate("--from", str(file), "--port", str(broker.port), "--speed", "0")
        assert told.exit_code == 0, told.output
        listener.wait_for_readings(len(written))
        assert sorted(listener.readings()) == sorted(written)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--scenario", "no-such-thing"], "expected one of"),
        (["--sensors", "200"], "--sensors says nothing with the example day"),
        (["--qos", "0"], "--qos says nothing with the example day"),
        (["--out", "x.jsonl"], "--out says nothing with the example day"),
        (["--from", "x.jsonl", "--pack", "7"], "--pack says nothing with --from"),
        (["--scenario", "calm-day", "--out", "x.jsonl", "--workers", "http://x"], "--workers says nothing with --out"),
        (["--scenario", "calm-day", "--sensors", "7"], "--sensors"),
        (["--scenario", "calm-day", "--seed", "-1"], "--seed"),
        (["--scenario", "calm-day", "--city", ".", "--sensors", "200"], "made-up cities"),
        (["--scenario", "calm-day", "--start", "yesterday"], "RFC 3339"),
        (["--scenario", "calm-day", "--sensors", "100", "--city-out", "."], "new or empty folder"),
        (["--from", "no-such-file.jsonl"], "no-such-file.jsonl"),
    ],
)
def test_what_makes_no_sense_is_said(options: list[str], says: str) -> None:
    told = simulate(*options)
    assert told.exit_code != 0
    assert says in " ".join(f"{told.output} {told.exception}".replace("│", " ").split())


def test_a_scenario_of_a_folder_tells_what_it_has_no_place_for(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "title: {zh: 试, en: trial}\nabout: {zh: 试, en: trial}\nlasts: '00:05'\nhappens: [{kind: dragon}]\n", "utf-8"
    )
    told = simulate(
        "--scenario", str(file), "--sensors", "100", "--out", str(tmp_path / "out.jsonl"), "--truth",
        str(tmp_path / "t.json"), "--language", "en",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    assert (
        text("cli.simulate_not_staged", Language.EN, {"kind": "dragon", "reason": "", "times": 1}).strip()
        in told.output
    )
