"""Festivals, crowds and cars that stand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.vocabulary import Category
from sensors_sim.happenings.crowd import capacity, crowd, festival, gathers, traffic_jam
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError
from tests.sensors_sim.happenings.stages import example, happen, peak, same, times_of, values_of
from tests.sensors_sim.happenings.wild import GROUND, HOUR_US, STREET, stage, town

SEEDS = st.integers(0, 1000)
SQUARE = (*STREET, *GROUND)


@settings(deadline=None)
@given(st.floats(60, 1e6), st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_people_come_and_go_smoothly(lasts_s: float, rise: float, fall: float) -> None:
    times = np.linspace(-0.1, 1.1, 200) * lasts_s
    there = gathers(times, lasts_s=lasts_s, rise=rise, fall=fall)
    assert np.all((there >= 0) & (there <= 1))
    assert there[0] == there[-1] == 0
    assert np.all(np.abs(np.diff(there)) < 0.3)


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.floats(1, 3))
def test_a_crowd_is_more_than_its_place_holds(seed: int, strength: float) -> None:
    square = stage(example(), seed=seed)
    wish = Wish("crowd", at_s=3600, lasts_s=3600, strength=strength)
    staged = happen(crowd, square, wish)
    told = staged.episodes[0]
    row = square.world.city.sensor_index[told.sensors[0]]
    assert peak(square, staged, row) == pytest.approx(1.8 * strength * capacity(square, row, 0), rel=0.01)
    assert told.category is Category.CROWD
    assert told.over_limit == told.sensors
    assert told.from_us >= square.start_us + HOUR_US
    assert told.to_us <= square.start_us + 2 * HOUR_US
    again = stage(example(), seed=seed)
    assert same(staged, crowd(again, wish), again)


def test_a_crowd_that_is_gone_before_two_readings_is_not_staged() -> None:
    square = stage(town(("people", 600.0)))
    with pytest.raises(CannotError, match="over before any sensor that sees it has sent 2 readings"):
        crowd(square, Wish("crowd", at_s=3600, lasts_s=900))
    assert not square.taken
    assert crowd(square, Wish("crowd", at_s=3600, lasts_s=3600)).episodes


def test_a_place_without_a_limit_holds_some_times_its_usual_people() -> None:
    square = stage(town(*STREET))
    limits = square.world.city.limits
    assert limits.of("G00-0-people", "people")
    assert capacity(square, square.world.city.sensor_index["G00-0-people"], 0) == 60
    assert capacity(square, square.world.city.sensor_index["G00-0-vehicles"], 0) == pytest.approx(5 / 1.8 * 18)


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.floats(1, 2))
def test_a_festival_fills_several_places_empties_the_road_and_is_loud(seed: int, strength: float) -> None:
    square = stage(town(*SQUARE), seed=seed)
    wish = Wish("festival", at_s=3600, lasts_s=4 * 3600, strength=strength)
    staged = happen(festival, square, wish)
    told = staged.episodes[0]
    over = [name for name in told.over_limit if name.endswith("people")]
    assert len(over) >= 1
    city = square.world.city
    assert {city.sensor(name).quantity for name in told.sensors} == {"people", "vehicles", "noise"}
    times = times_of(square, 200)
    middle = city.sensor_index[over[0]]
    for quantity, grows in (("people", True), ("vehicles", False), ("noise", True)):
        rows = np.array([city.sensor_index[name] for name in told.sensors if city.sensor(name).quantity == quantity])
        values = values_of(square, staged, rows, times)
        quiet = values[0]
        assert np.all(values >= quiet - 1e-9) if grows else np.all(values <= quiet + 1e-9)
    assert values_of(square, staged, np.array([middle]), times)[:, 0].max() > 60
    assert told.to_us - told.from_us > 2.5 * HOUR_US
    again = stage(town(*SQUARE), seed=seed)
    assert same(staged, festival(again, wish), again)


def test_far_from_a_festival_there_are_fewer_people() -> None:
    square = stage(town(*SQUARE))
    staged = festival(square, Wish("festival", at_s=3600, lasts_s=4 * 3600))
    people = next(change for change in staged.changes if "people" in square.world.city.columns.ids[change.sensors[0]])
    centre = next(
        row for row in people.sensors.tolist() if square.world.city.sensors[row].device in staged.episodes[0].name
    )
    away = np.hypot(
        square.world.east[people.sensors] - square.world.east[centre],
        square.world.north[people.sensors] - square.world.north[centre],
    )
    order = np.argsort(away)
    assert np.all(np.diff(people.gain[order]) <= 0)  # type: ignore[attr-defined]  # it is an Added


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.floats(0.7, 3))
def test_a_jam_doubles_what_cameras_count_and_grows_backwards(seed: int, strength: float) -> None:
    road = stage(town(*STREET), seed=seed)
    staged = happen(traffic_jam, road, Wish("traffic_jam", at_s=3600, lasts_s=3600, strength=strength))
    told = staged.episodes[0]
    assert told.category is Category.TRAFFIC
    change = staged.changes[0]
    first = change.sensors[int(np.argmin(change.delay_s))]  # type: ignore[attr-defined]  # it is a Scaled
    assert peak(road, staged, int(first)) == pytest.approx(18 * strength, rel=0.01)


def test_a_town_without_cameras_has_no_place_for_it() -> None:
    empty = stage(town(("pm25", 60.0)))
    for kind in (crowd, festival):
        with pytest.raises(CannotError, match="no free camera that counts people"):
            kind(empty, Wish("any"))
    with pytest.raises(CannotError, match="no free camera that counts vehicles"):
        traffic_jam(empty, Wish("any"))
