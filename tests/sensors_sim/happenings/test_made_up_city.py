"""Gas, fire, air and electricity in a made-up city, on its own quiet day and in its own weather."""

from functools import cache

import numpy as np
import pytest

from config.clock import US_PER_SECOND
from sensors_sim.city_maker import make_world
from sensors_sim.happenings import HAPPENINGS
from sensors_sim.happenings.places import use_of
from sensors_sim.model import District
from sensors_sim.physics.sky import make_weather
from sensors_sim.run import ScenarioRun
from sensors_sim.scenario import Sky, Wish, load_scenario
from sensors_sim.staging import CannotError, Stage
from sensors_sim.world import Use, World
from tests.sensors_sim.happenings.stages import START_US, happen, same

KINDS: dict[str, tuple[float, Sky]] = {
    "gas_leak": (3, Sky.FAIR),
    "small_leak": (10, Sky.FAIR),
    "co_poisoning": (6, Sky.STAGNANT),
    "valve_pit": (13, Sky.RAIN),
    "fire": (3, Sky.FAIR),
    "air_episode": (20, Sky.STAGNANT),
    "smoke_plume": (4, Sky.FAIR),
    "shop_overheats": (10, Sky.FAIR),
    "overload": (8, Sky.HEAT),
}


@cache
def made_up() -> World:
    return make_world(600, 3)


def _stage(kind: str, seed: int) -> Stage:
    world = made_up()
    hours, sky = KINDS[kind]
    end_us = START_US + round(hours * 3_600) * US_PER_SECOND
    weather = make_weather(sky, seed, START_US, end_us, world.city.timezone, world.lat0)
    district = District(world, seed, START_US, weather)
    return Stage(world, district, weather, np.random.default_rng([seed, 3]), START_US, end_us)


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_finds_its_place_and_is_honest_in_a_weather_that_turns(kind: str) -> None:
    wish = Wish(kind, at_s=1_200)
    stage = _stage(kind, 1)
    staged = happen(HAPPENINGS[kind], stage, wish)
    assert staged.episodes
    assert same(staged, HAPPENINGS[kind](_stage(kind, 1), wish), stage)


@pytest.mark.parametrize("kind", [*KINDS, "false_fire"])
def test_an_option_that_a_kind_does_not_know_is_told(kind: str) -> None:
    stage = _stage(kind if kind in KINDS else "fire", 1)
    with pytest.raises(CannotError, match="option colour is unknown"):
        HAPPENINGS[kind](stage, Wish(kind, options={"colour": "blue"}))


def test_a_leak_of_the_old_quarter_is_in_an_old_home() -> None:
    for seed in range(4):
        stage = _stage("gas_leak", seed)
        staged = HAPPENINGS["gas_leak"](stage, Wish("gas_leak", at_s=1_200, place="old_home"))
        row = stage.world.city.sensor_index[staged.episodes[0].sensors[0]]
        assert use_of(stage.world, row) is Use.OLD_HOME


def test_a_torn_line_in_the_street_is_seen_in_a_wind_that_turns() -> None:
    for seed in range(4):
        stage = _stage("gas_leak", seed)
        staged = happen(HAPPENINGS["gas_leak"], stage, Wish("gas_leak", at_s=1_200, options={"where": "street"}))
        assert staged.episodes[0].over_limit
        assert staged.episodes[0].details["where"] == "street"


SCENARIOS = ("calm-day", "gas-leak-old-quarter", "air-episode", "closed-shop-overheats")


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", SCENARIOS)
def test_all_that_a_scenario_promises_finds_a_place_in_a_city_of_its_size(name: str, seed: int) -> None:
    scenario = load_scenario(name)
    run = ScenarioRun(make_world(scenario.sensors, seed), scenario, seed, name=name)
    assert run.truth.not_staged == ()
    kinds = {episode.kind for episode in run.truth.episodes}
    assert kinds == {wish.kind for wish in scenario.wishes(scenario.sensors)} - {"false_fire"}


def test_nothing_happens_on_a_calm_day_but_some_sensors_are_unwell() -> None:
    scenario = load_scenario("calm-day")
    truth = ScenarioRun(make_world(300, 1), scenario, 1).truth
    assert truth.episodes == ()
    assert truth.faults
