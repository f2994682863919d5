"""The truth file says everything, and a broken one is refused with its place."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.clock import from_datetime
from config.errors import ConfigurationError
from sensors_sim.generate import Simulation
from sensors_sim.truth import FAULT_ROLES, Silence, on_duty, read_truth, write_truth
from tests.sensors_sim.cities import LIVELY, make_city

CITY = make_city(LIVELY)
CUT = Silence("power_cut", 120.0, 30.0, "D", 1_780_000_000_000_000, 1_780_000_060_000_000, ("a", "b"), False, None)
TRUTH = replace(Simulation(CITY, 1, 1_780_000_000_000_000).truth, silences=(CUT,))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_truth(TRUTH, tmp_path / "truth.json")
    assert read_truth(tmp_path / "truth.json") == TRUTH


def test_the_sample_in_the_manual_is_read_and_shows_every_field(tmp_path: Path) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    sample = manual.partition("### The truth\n")[2].partition("```json\n")[2].partition("```")[0]
    shown, again = tmp_path / "shown.json", tmp_path / "again.json"
    shown.write_text(sample, encoding="utf-8")
    truth = read_truth(shown)
    assert truth.scenario
    assert all((truth.episodes, truth.faults, truth.silences, truth.not_staged, truth.episodes[0].details))
    write_truth(truth, again)
    assert json.loads(again.read_text(encoding="utf-8")) == json.loads(sample)


def test_times_stand_in_the_file_as_rfc_3339(tmp_path: Path) -> None:
    write_truth(TRUTH, tmp_path / "truth.json")
    content = json.loads((tmp_path / "truth.json").read_text())
    assert content["from"] == "2026-05-28T20:26:40.000Z"
    assert content["episodes"][0]["from"] == "2026-05-28T20:28:40.000Z"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("version",), 3, "the file: version is 3, expected 2"),
        (("seed",), "x", "the file: seed is 'x', expected a whole number"),
        (("episodes",), {}, r"the file: episodes is \{\}, expected a list"),
        (("episodes", 0), 7, r"episodes\[0\]: found int, expected an object"),
        (("episodes", 0, "from"), "noon", r"episodes\[0\]: from is 'noon', expected an RFC 3339 time with zone"),
        (("episodes", 0, "from"), "2026-01-01T00:00:00", "expected an RFC 3339 time with zone"),
        (("episodes", 1, "category"), "plague", r"episodes\[1\]: category is 'plague', expected one of gas_leak, air"),
        (("episodes", 0, "severity"), 9, r"severity is 9, expected 1, 2, 3, 4 or null"),
        (("episodes", 0, "sensors"), [1], r"sensors is \[1\], expected a list of texts"),
        (("episodes", 0, "lon"), True, "lon is True, expected a number"),
        (("faults", 1, "kind"), "sad", r"faults\[1\]: kind is 'sad', expected one of stuck, silent"),
        (("episodes", 0, "responsible_at"), {"a": 1}, "expected an object of texts or nulls"),
        (("silences", 0, "keeps"), 1, r"silences\[0\]: keeps is 1, expected true or false"),
        (("faults", 0, "responsible"), 3, r"faults\[0\]: responsible is 3, expected a text or null"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    tmp_path: Path, place: tuple[Any, ...], value: object, message: str
) -> None:
    path = tmp_path / "truth.json"
    write_truth(TRUTH, path)
    content = json.loads(path.read_text())
    node = content
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=message):
        read_truth(path)


def test_a_sensor_that_a_power_cut_stilled_is_one_that_something_happened_to() -> None:
    assert {"a", "b"} <= TRUTH.touched()


@pytest.mark.parametrize(
    "key", ["version", "city", "seed", "from", "to", "episodes", "faults", "silences", "not_staged"]
)
def test_a_missing_field_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "truth.json"
    write_truth(TRUTH, path)
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=f"{key} is missing"):
        read_truth(path)


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text("{")
    with pytest.raises(ConfigurationError, match=r"truth\.json: not JSON"):
        read_truth(path)


def test_the_worker_is_called_by_day_the_leader_above_by_night_and_maintenance_for_faults() -> None:
    day = from_datetime(datetime(2026, 5, 20, 2, tzinfo=UTC))  # 10:00 in Shanghai
    night = from_datetime(datetime(2026, 5, 20, 14, tzinfo=UTC))  # 22:00
    assert on_duty(CITY, "G01", day) == "W-G01"
    assert on_duty(CITY, "G01", night) == "L-night"
    assert on_duty(CITY, "G01", night, FAULT_ROLES) == "M-1"
