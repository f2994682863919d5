"""In whole runs, with real weather and noise, the truth keeps its promises about limits, and nothing else alarms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from config.city_files import EXAMPLE, load_city
from config.limits import Limit, Side
from sensors_sim.city_maker import make_world
from sensors_sim.run import ScenarioRun
from sensors_sim.scenario import Scenario
from sensors_sim.world import World, world_of
from tests.sensors_sim.cities import make_city

PUNCTUAL = dict.fromkeys(("loss", "duplicates", "clock_off", "batching", "offline", "reboot", "flat_battery"), 0)
PEOPLE = ("crowd", "festival", "traffic_jam", "help_pressed", "door_forced", "elder_falls")
HOUSES = ("leaning_building", "crack_opens", "stiffness_loss", "burst_pipe")


def run_of(world: World, happens: Sequence[Mapping[str, Any]], *, hours: float, seed: int) -> ScenarioRun:
    title = {"zh": "试", "en": "test"}
    content = {"title": title, "about": title, "lasts": hours * 3600, "health": {"share": 0}, "manners": PUNCTUAL}
    return ScenarioRun(world, Scenario.model_validate({**content, "happens": list(happens)}), seed)


def longest_s(limit: Limit, times_us: np.ndarray, values: np.ndarray) -> float:
    """For how long readings in a row were beyond a limit; below 0 where none was."""
    beyond = values >= limit.threshold if limit.side is Side.HIGH else values <= limit.threshold
    longest, since = -1.0, None
    for time_us, is_beyond in zip(times_us.tolist(), beyond.tolist(), strict=True):
        since = (time_us if since is None else since) if is_beyond else None
        if since is not None:
            longest = max(longest, (time_us - since) / 1e6)
    return longest


def passed(run: ScenarioRun) -> set[str]:
    """Ids of the sensors whose readings were beyond one of their limits for as long as it asks."""
    parts = [(instant.sensors, instant.times_us, instant.values) for instant in run.instants()]
    sensors, times_us, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((times_us, sensors))
    sensors, times_us, values = sensors[order], times_us[order], values[order]
    found = set()
    for row, sensor in enumerate(run.city.sensors):
        first, last = np.searchsorted(sensors, [row, row + 1])
        for limit in run.city.limits.of(sensor.id, sensor.quantity):
            long_s = longest_s(limit, times_us[first:last], values[first:last])
            if long_s >= max(limit.hold_s, 0):
                found.add(sensor.id)
    return found


@pytest.mark.parametrize("kinds", [PEOPLE, HOUSES])
def test_exactly_what_the_truth_promises_passes_its_limits(kinds: tuple[str, ...]) -> None:
    world = world_of(load_city(EXAMPLE)) if kinds is PEOPLE else make_world(300, 5)
    hours = 1.25 if kinds is PEOPLE else 3.0  # bridges are measured once an hour
    run = run_of(world, [{"kind": kind, "at": 900, "lasts": 2400} for kind in kinds], hours=hours, seed=1)
    assert run.truth.not_staged == ()
    promised = {sensor for told in run.truth.episodes for sensor in told.over_limit}
    assert promised
    seen = passed(run)
    assert promised <= seen
    assert seen <= run.truth.touched()


def test_what_is_cut_off_says_nothing_and_sends_it_afterwards_only_where_it_had_power() -> None:
    world = world_of(load_city(EXAMPLE))
    cuts = ({"kind": "network_split", "at": 600, "lasts": 900}, {"kind": "power_cut", "at": 600, "lasts": 900})
    run = run_of(world, cuts, hours=0.6, seed=1)
    split, dark = run.truth.silences
    assert (split.kind, dark.kind) == ("network_split", "power_cut")
    heard: dict[int, list[tuple[int, int]]] = {}
    for instant in run.instants():
        for row, time_us in zip(instant.sensors.tolist(), instant.times_us.tolist(), strict=True):
            heard.setdefault(row, []).append((instant.time_us, time_us))
    for silence in (split, dark):
        margin_us = 300_000_000  # boxes come back one after the other
        for name in silence.sensors:
            readings = np.array(heard[world.city.sensor_index[name]])
            arrived, measured = readings[:, 0], readings[:, 1]
            silent = (arrived > silence.from_us + 2_000_000) & (arrived < silence.to_us - margin_us)
            inside = (measured > silence.from_us + 2_000_000) & (measured < silence.to_us - margin_us)
            assert not silent.any(), name
            assert inside.any() == silence.keeps, name
            assert (measured > silence.to_us + 120_000_000).any(), name


def test_a_bridge_that_softens_swings_more_slowly() -> None:
    world = world_of(make_city((("vibration", 60.0),), side=1))
    turns = []
    for strength in (1e-6, 2.0):
        wish = {"kind": "stiffness_loss", "at": 0, "lasts": 600, "strength": strength}
        run = run_of(world, [wish], hours=1, seed=1)
        assert len(run.truth.episodes) == (strength > 1)
        bursts = [instant.values[instant.times_us > run.start_us + 700_000_000] for instant in run.instants()]
        signs = np.sign(np.concatenate(bursts))
        assert len(signs) > 2000
        turns.append(float((np.diff(signs) != 0).mean()))
    assert turns[1] / turns[0] == pytest.approx(np.sqrt(0.5), rel=0.05)
