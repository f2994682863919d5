"""Underpasses that fill, pipes that burst."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.vocabulary import Category, Severity
from sensors_sim.happenings.water import burst_pipe, flood
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError
from tests.sensors_sim.happenings.stages import example, happen, peak, same, times_of, values_of
from tests.sensors_sim.happenings.wild import GROUND, HOUR_US, stage, town

SEEDS = st.integers(0, 1000)


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.floats(0.3, 3))
def test_an_underpass_fills_while_it_rains_and_its_pump_stands_still(seed: int, strength: float) -> None:
    wet = stage(example(), seed=seed, storm=True)
    wish = Wish("flood", at_s=3600, lasts_s=2.5 * 3600, strength=strength)
    staged = happen(flood, wet, wish)
    row = int(staged.changes[0].sensors[0])
    times = wet.start_us + (np.array([1.9, 2.5, 3.0, 3.45]) * HOUR_US).astype(np.int64)
    dry, *rising = (values_of(wet, staged, np.array([row]), times)[:, 0] - 0.03).tolist()
    assert dry == 0, "no rain, no flood, though the pump stands still"
    assert 0 < rising[0] < rising[1] < rising[2] <= 4
    assert staged.episodes[0].category is Category.FLOODING
    assert staged.episodes[0].from_us >= wet.start_us + 2 * HOUR_US
    again = stage(example(), seed=seed, storm=True)
    assert same(staged, flood(again, wish), again)


def test_what_stands_there_is_what_ran_down_from_the_catchment() -> None:
    wet = stage(example(), storm=True)
    staged = flood(wet, Wish("flood", at_s=3600, lasts_s=5 * 3600, options={"catchment_m2": 5000}))
    deepest_m = float(staged.episodes[0].details["deepest_m"])
    assert 14 * deepest_m**2 / 0.04 == pytest.approx(0.9 * 0.080 * 5000, rel=0.01)  # 80 mm of rain
    assert staged.episodes[0].details["rain_mm"] == pytest.approx(80, abs=0.5)


def test_the_gravest_flood_passes_the_line_that_closes_the_road() -> None:
    told = flood(stage(example(), storm=True), Wish("flood", at_s=3600, lasts_s=3 * 3600)).episodes[0]
    assert told.severity is Severity.MAJOR
    assert told.limit_us is not None
    assert told.from_us < told.limit_us < told.to_us


def test_a_pump_that_is_mended_empties_the_underpass() -> None:
    wet = stage(example(), storm=True)
    staged = flood(wet, Wish("flood", at_s=3600, lasts_s=2 * 3600))
    row = staged.changes[0].sensors
    times = wet.start_us + np.array([2.95, 3.5, 5.5]) * HOUR_US
    full, less, dry = (values_of(wet, staged, row, times.astype(np.int64))[:, 0] - 0.03).tolist()
    assert full > less
    assert dry == 0
    assert staged.episodes[0].to_us < wet.start_us + 5.5 * HOUR_US


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_a_wider_catchment_fills_it_deeper(seed: int) -> None:
    depths = []
    for strength in (0.5, 1.0, 2.0):
        wet = stage(example(), seed=seed, storm=True)
        staged = flood(wet, Wish("flood", at_s=3600, lasts_s=2 * 3600, strength=strength))
        depths.append(peak(wet, staged, int(staged.changes[0].sensors[0])))
    assert depths[0] < depths[1] < depths[2]


def test_without_rain_there_is_no_flood() -> None:
    with pytest.raises(CannotError, match="too little rain falls"):
        flood(stage(example()), Wish("flood"))


def test_a_pump_that_nobody_timed_fails_in_the_rain() -> None:
    for seed in range(5):
        told = flood(stage(example(), seed=seed, storm=True), Wish("flood")).episodes[0]
        assert 2 * HOUR_US <= told.from_us - stage(example()).start_us <= 4 * HOUR_US


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.floats(0.2, 3))
def test_a_burst_pipe_lets_as_much_through_as_its_hole(seed: int, strength: float) -> None:
    street = stage(town(*GROUND), seed=seed)
    staged = happen(burst_pipe, street, Wish("burst_pipe", at_s=3600, lasts_s=5400, strength=strength))
    told = staged.episodes[0]
    assert told.category is Category.WATER_SUPPLY
    meter = next(street.world.city.sensor_index[name] for name in told.sensors if name.endswith("water_flow"))
    flow = values_of(street, staged, np.array([meter]), times_of(street, 300))[:, 0] - 1.5
    assert float(flow.max()) == pytest.approx(20.25 * strength, rel=0.01)
    assert flow[0] == flow[-1] == 0


def test_some_of_the_water_runs_to_the_next_low_place() -> None:
    street = stage(town(*GROUND))
    staged = burst_pipe(street, Wish("burst_pipe", at_s=3600, strength=3))
    assert {street.world.city.sensor(name).quantity for name in staged.episodes[0].sensors} == {
        "water_flow",
        "water_level",
    }
    level = staged.changes[1].sensors
    found = values_of(street, staged, level, times_of(street, 300))[:, 0] - 0.03
    assert 0.02 < float(found.max()) < 0.3, "the pump there holds it down"


def test_a_town_without_such_sensors_has_no_place_for_it() -> None:
    dry = stage(town(("pm25", 60.0)), storm=True)
    with pytest.raises(CannotError, match="no free water_level sensor"):
        flood(dry, Wish("flood"))
    with pytest.raises(CannotError, match="no free water_flow sensor"):
        burst_pipe(dry, Wish("burst_pipe"))
