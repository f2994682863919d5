"""A run: world, scenario and seed decide everything; the truth is told before the first reading."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from config.city_files import EXAMPLE
from config.clock import US_PER_SECOND
from sensors_sim.city_maker import load_world, make_world
from sensors_sim.run import LONGEST_S, ScenarioRun, tick_us
from sensors_sim.scenario import Happens, Health, Manners, Scenario, library
from sensors_sim.wire import Instant, timed_messages

TITLE = {"zh": "试", "en": "trial"}
SOUND = {"share": 0.0}
PLAIN = dict.fromkeys(("loss", "duplicates", "clock_off", "batching", "offline", "reboot", "flat_battery"), 0.0)
DOCS = Path(__file__).parents[2] / "docs" / "simulator.md"


def scenario(*happens: Happens, health: dict[str, float] = SOUND, manners: dict[str, float] = PLAIN) -> Scenario:
    return Scenario(
        title=TITLE, about=TITLE, lasts=1800.0, health=Health(**health), manners=Manners(**manners), happens=happens
    )


def sent(run: ScenarioRun) -> Iterator[bytes]:
    for timed in timed_messages(run.city, run.instants(), pack=100, clock_topic=True, boxes=False):
        yield timed.message.topic.encode() + timed.message.payload


def joined(instants: Iterator[Instant]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    every = list(instants)
    return (
        np.concatenate([one.sensors for one in every]),
        np.concatenate([one.times_us for one in every]),
        np.concatenate([one.values for one in every]),
    )


def test_two_runs_of_one_seed_send_the_same_bytes() -> None:
    wanted = scenario(Happens(kind="gas_leak"), health={"share": 0.2}, manners={})
    first, second = (ScenarioRun(make_world(150, 5), wanted, 5) for _ in range(2))
    assert first.truth == second.truth
    assert list(sent(first)) == list(sent(second))


def test_another_seed_lives_another_day() -> None:
    world = make_world(120, 5)
    assert list(sent(ScenarioRun(world, scenario(), 1)))[:50] != list(sent(ScenarioRun(world, scenario(), 2)))[:50]


def test_what_happens_touches_the_sensors_that_the_truth_names_and_no_others() -> None:
    world = make_world(200, 4)
    quiet = joined(ScenarioRun(world, scenario(), 9).instants())
    run = ScenarioRun(world, scenario(Happens(kind="gas_leak", at=300.0)), 9)
    loud = joined(run.instants())
    assert np.array_equal(quiet[0], loud[0])
    assert np.array_equal(quiet[1], loud[1])
    changed = {world.city.columns.ids[row] for row in np.unique(quiet[0][quiet[2] != loud[2]]).tolist()}
    (episode,) = run.truth.episodes
    assert set(episode.sensors) <= changed
    assert episode.from_us < episode.to_us
    first_us = min(quiet[1][quiet[2] != loud[2]])
    assert first_us >= run.start_us + 300 * US_PER_SECOND


def test_one_happening_more_leaves_the_others_as_they_were() -> None:
    world = make_world(600, 4)
    leak = Happens(kind="gas_leak", at=300.0)
    alone = ScenarioRun(world, scenario(leak), 9).truth.episodes[0]
    beside = ScenarioRun(world, scenario(leak, Happens(kind="crowd", at=600.0)), 9).truth.episodes
    assert alone in beside
    assert len(beside) == 2


def test_what_the_city_has_no_place_for_is_told_with_its_reason() -> None:
    run = ScenarioRun(load_world(EXAMPLE), scenario(Happens(kind="dragon")), 1)
    ((kind, reason),) = run.truth.not_staged
    assert kind == "dragon"
    assert "gas_leak" in reason


def test_about_the_wanted_share_of_the_sensors_is_unhealthy() -> None:
    world = make_world(3_000, 2)
    run = ScenarioRun(world, scenario(health={"share": 0.15}), 2, lasts_s=86_400)
    broken = {fault.sensor for fault in run.truth.faults}
    assert 0.12 <= len(broken) / len(world.city.sensors) <= 0.2


def test_episodes_have_a_name_each() -> None:
    run = ScenarioRun(make_world(2_000, 3), scenario(Happens(kind="crowd", count=6)), 3)
    names = [episode.name for episode in run.truth.episodes]
    assert len(set(names)) == len(names) >= 2


@pytest.mark.parametrize("lasts_s", [60.0, 86_400.0, 23 * 86_400.0])
def test_an_instant_is_whole_seconds_and_never_longer_than_a_minute(lasts_s: float) -> None:
    assert tick_us(make_world(100, 1), lasts_s) in range(
        US_PER_SECOND, int(LONGEST_S) * US_PER_SECOND + 1, US_PER_SECOND
    )
    assert tick_us(make_world(5_000, 1), lasts_s) <= 3 * US_PER_SECOND


def test_a_run_lasts() -> None:
    with pytest.raises(ValueError, match="expected more than 0"):
        ScenarioRun(make_world(100, 1), scenario(), 1, lasts_s=0)


def test_the_docs_name_every_scenario() -> None:
    told = DOCS.read_text("utf-8")
    assert [name for name in library() if f"| `{name}` |" not in told] == []
