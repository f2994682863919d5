"""Scenario files: spans and times as people write them, and every mistake with its field."""

from pathlib import Path

import pytest

from config.errors import ConfigurationError
from sensors_sim.scenario import Scenario, load_scenario

TITLES = "title: {zh: 试, en: trial}\nabout: {zh: 试, en: trial}\n"


def written(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(TITLES + text, "utf-8")
    return str(path)


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(
    ("span", "seconds"),
    [("36:00", 129_600), ("08:30", 30_600), ("00:20:30", 1_230), ("2d 12:00", 216_000), ("90", 90), ("1.5", 1.5)],
)
def test_a_span_means_the_same_with_and_without_quotes(tmp_path: Path, span: str, seconds: float, quote: str) -> None:
    if quote and span in {"90", "1.5"}:
        return
    scenario = load_scenario(written(tmp_path, f"lasts: {quote}{span}{quote}\n"))
    assert scenario.lasts == seconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lasts: 0\n", "lasts"),
        ("start: 2026-13-45T08:00:00\n", "start|month"),
        ("start: 2026-03-12T08:00:00+08:00\n", "without zone"),
        ("sky: purple\n", "sky"),
        ("weather: fair\n", "weather"),
        ("happens: [{kind: flood, count: 0}]\n", r"happens\.0\.count"),
        ("health: {share: 2}\n", r"health\.share"),
        ("health: {kinds: {sad: 1}}\n", r"health\.kinds"),
        ("quantities: [phlogiston]\n", "quantities"),
        ("happens: [\n", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_field(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError, match=says) as error:
        load_scenario(path)
    assert path in str(error.value)


def test_a_name_that_is_no_scenario_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"calm-day.*typhoon"):
        load_scenario("no-such-thing")


def test_a_count_for_every_thousand_sensors_grows_with_the_city() -> None:
    scenario = Scenario.model_validate(
        {"title": {"zh": "试", "en": "t"}, "about": {"zh": "试", "en": "t"}}
        | {"happens": [{"kind": "flood", "per_1000_sensors": 0.5}, {"kind": "crowd", "count": 2}]}
    )
    kinds = [wish.kind for wish in scenario.wishes(12_000)]
    assert (kinds.count("flood"), kinds.count("crowd")) == (6, 2)
    assert [wish.kind for wish in scenario.wishes(100)].count("flood") == 1
