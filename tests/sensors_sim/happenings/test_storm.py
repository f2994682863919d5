"""What wind breaks, and when."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.vocabulary import Category
from sensors_sim.happenings.storm import gusty, storm_damage
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError
from tests.sensors_sim.happenings.stages import check_honest, happen, same, times_of, values_of
from tests.sensors_sim.happenings.wild import HOUR_US, Stormy, stage, town

SEEDS = st.integers(0, 1000)
WILD = (("door_open", 30.0), ("current", 60.0), ("noise", 10.0), ("tilt", 60.0), ("image_change", 10.0))


def test_wind_presses_with_its_square() -> None:
    times = np.arange(0, 7200_000_000, 1_000_000)
    phase = np.full(times.shape, 0.3)
    weak, strong = (gusty(Stormy(wind=wind), times, phase) for wind in (8.0, 16.0))
    assert strong == pytest.approx(4 * weak)
    assert float(np.sqrt(weak).mean()) == pytest.approx(8 / 15, rel=0.01)
    assert float(np.sqrt(weak).std() / np.sqrt(weak).mean()) == pytest.approx(0.3, rel=0.03)


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.floats(0.7, 2))
def test_hundreds_of_small_events_are_a_change_for_each_sort(seed: int, strength: float) -> None:
    wild = stage(town(*WILD, side=5), seed=seed, storm=True)
    wish = Wish("storm_damage", strength=strength, options={"per_1000": 120, "shaken": 0})
    staged = happen(storm_damage, wild, wish)
    assert 15 <= len(staged.episodes) <= 30
    assert len(staged.changes) <= 4
    every = {Category.INTRUSION, Category.NOISE, Category.STRUCTURE_DANGER, Category.ELECTRICAL}
    categories = {found.category for found in staged.episodes}
    assert categories <= every
    assert len(categories) >= 3, "a small town need not have all of them in one storm"
    sensors = [name for found in staged.episodes for name in found.sensors]
    assert len(sensors) == len(set(sensors)) == len(staged.episodes), "each has a sensor of its own"
    assert len({found.from_us for found in staged.episodes}) > 10
    again = stage(town(*WILD, side=5), seed=seed, storm=True)
    assert same(staged, storm_damage(again, wish), again)


def test_nothing_is_told_that_is_over_before_two_readings() -> None:
    seldom = tuple((quantity, 1200.0) for quantity, _ in WILD)
    staged = storm_damage(stage(town(*seldom, side=5), storm=True), Wish("storm_damage", options={"per_1000": 250}))
    lasted_s = [(told.to_us - told.from_us) / 1e6 for told in staged.episodes]
    assert len(lasted_s) >= 5
    assert min(lasted_s) >= 2400


def test_a_door_blown_open_stays_open_and_a_house_without_its_line_dark_until_somebody_has_seen_to_it() -> None:
    wild = stage(town(*WILD, side=5), storm=True)
    staged = storm_damage(wild, Wish("storm_damage", options={"per_1000": 150, "shaken": 0}))
    held = {"door": (0.04, 1.0), "line": (4.0, 0.0)}
    assert {told.details["sort"] for told in staged.episodes} >= held.keys()
    for told in staged.episodes:
        if told.details["sort"] not in held:
            continue
        quiet, broken = held[str(told.details["sort"])]
        row = np.array([wild.world.city.sensor_index[told.sensors[0]]])
        times = np.array([told.from_us - 1_000_000, told.from_us, (told.from_us + told.to_us) // 2, told.to_us])
        values = values_of(wild, staged, row, times)[:, 0]
        assert values.tolist()[:3] == [quiet, broken, broken]
        assert told.to_us == wild.end_us or values[3] == quiet
        assert 600 <= (told.to_us - told.from_us) / 1e6 <= 14_400 or told.to_us == wild.end_us


def test_cameras_that_shake_are_no_event() -> None:
    wild = stage(town(*WILD, side=5), storm=True)
    staged = storm_damage(wild, Wish("storm_damage", options={"per_1000": 50, "shaken": 0.5}))
    shaken = staged.changes[-1].sensors
    assert 0 < len(shaken) < 50
    named = {name for told in staged.episodes for name in told.sensors}
    assert not named & {wild.world.city.columns.ids[row] for row in shaken.tolist()}
    values = values_of(wild, staged, shaken, times_of(wild, 50))
    assert np.all(values >= 0.12)
    assert float(values.max()) > 0.25


def test_damage_comes_with_the_wind() -> None:
    wild = stage(town(*WILD), storm=True)
    staged = storm_damage(wild, Wish("storm_damage", at_s=3600, lasts_s=3600, options={"events": 5}))
    check_honest(wild, staged)
    for told in staged.episodes:
        assert HOUR_US <= told.from_us - wild.start_us < 2.2 * HOUR_US
    with pytest.raises(CannotError, match="the wind of this run stays below 8 m/s"):
        storm_damage(stage(town(*WILD)), Wish("storm_damage"))


def test_a_town_with_nothing_loose_has_no_place_for_it() -> None:
    with pytest.raises(CannotError, match="no free sensor of anything that a storm could break"):
        storm_damage(stage(town(("pm25", 60.0)), storm=True), Wish("storm_damage"))
