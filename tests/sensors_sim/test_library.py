"""Every scenario that is shipped can be run."""

from pathlib import Path

import pytest

from sensors_sim.happenings import HAPPENINGS
from sensors_sim.scenario import Scenario, library, load_scenario
from sensors_sim.world import Use

NAMES = sorted(library())
USES = {use.name.lower() for use in Use}


def test_the_library_holds_the_scenarios_it_promises() -> None:
    assert {"calm-day", "gas-leak-old-quarter", "air-episode", "closed-shop-overheats"} <= set(NAMES)


@pytest.fixture(params=NAMES)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return load_scenario(request.param)


def test_a_scenario_names_only_kinds_that_can_be_staged(scenario: Scenario) -> None:
    assert {wish.kind for wish in scenario.wishes(scenario.sensors)} <= set(HAPPENINGS)


def test_a_scenario_that_fits_any_city_asks_for_uses_of_buildings_and_for_no_grid(scenario: Scenario) -> None:
    assert {wish.place for wish in scenario.wishes(scenario.sensors)} <= USES | {None}


def test_everything_in_a_scenario_begins_while_it_lasts(scenario: Scenario) -> None:
    for wish in scenario.wishes(scenario.sensors):
        assert wish.at_s is None or wish.at_s < scenario.lasts, wish.kind


def test_a_scenario_speaks_to_people_in_both_languages(scenario: Scenario) -> None:
    for text in (scenario.title, scenario.about):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text.zh)
        assert text.en.isascii() or "\u4e00" not in text.en
        assert text.zh != text.en
    assert len(scenario.about.zh) > len(scenario.title.zh)


def test_every_file_of_the_folder_is_a_scenario() -> None:
    assert {path.suffix for path in Path(library()["calm-day"]).parent.iterdir() if path.is_file()} == {".yaml"}
