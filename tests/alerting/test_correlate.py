import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.correlate import REACH, JoinReason, OpenEvent, OpenEvents, Spot, belongs, box_around, distance_m
from alerting.work import spot_of
from config.vocabulary import Category
from tests.alerting.support import NOON_US, SENSORS


def joined(first: int, second: int, *, over_us: int | None = None, now_us: int = NOON_US) -> int | None:
    events = OpenEvents([OpenEvent(1, spot_of(SENSORS[first]), over_us)])
    return events.join(SENSORS[second].id, spot_of(SENSORS[second]), now_us).event_id


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        (0, 1, True),  # gas, 98 m
        (0, 2, False),  # gas, 687 m
        (3, 4, True),  # air, 983 m, across the border of a grid
        (0, 3, False),  # the same place, another category
        (5, 6, True),  # tilt, the same house
        (5, 7, False),  # tilt, the house beside it
        (8, 9, False),  # two people's buttons under one roof
        (8, 8, True),
    ],
)
def test_what_is_one_event(first: int, second: int, one: bool) -> None:
    assert (joined(first, second) == 1) is one


def test_every_category_has_a_reach() -> None:
    assert set(REACH) == set(Category)


def test_an_event_that_has_been_over_for_longer_than_its_window_takes_no_further_sensor() -> None:
    window_us = REACH[Category.GAS_LEAK].window_us
    assert joined(0, 1, over_us=NOON_US, now_us=NOON_US + window_us) == 1
    assert joined(0, 1, over_us=NOON_US, now_us=NOON_US + window_us + 1) is None


def test_a_sensor_returns_to_its_own_open_event_whatever_the_distance_until_its_window_has_passed() -> None:
    window_us = REACH[Category.GAS_LEAK].window_us
    events = OpenEvents()
    events.bind(SENSORS[0].id, Category.GAS_LEAK, 1, NOON_US)
    for now_us, event_id, reason in (
        (NOON_US + window_us, 1, JoinReason.SAME_SENSOR),
        (NOON_US + window_us + 1, None, JoinReason.NONE_NEAR),
    ):
        join = events.join(SENSORS[0].id, spot_of(SENSORS[0]), now_us)
        assert (join.event_id, join.reason) == (event_id, reason)


def test_a_sensor_returns_to_an_event_that_stands_rather_than_to_a_newer_one_that_is_over() -> None:
    events = OpenEvents()
    events.bind(SENSORS[0].id, Category.GAS_LEAK, 1)
    events.bind(SENSORS[0].id, Category.GAS_LEAK, 2, NOON_US)
    assert events.join(SENSORS[0].id, spot_of(SENSORS[0]), NOON_US + 1).event_id == 1


def test_the_nearest_of_several_is_taken() -> None:
    events = OpenEvents([OpenEvent(1, spot_of(SENSORS[0]), None), OpenEvent(2, spot_of(SENSORS[1]), None)])
    near = Spot(Category.GAS_LEAK, "box", "place", 113.0019, 28.001)
    assert events.join("new", near, NOON_US).event_id == 2


def test_a_spreading_field_grows_sensor_by_sensor_but_not_without_end() -> None:
    step = 1400 / 111_320  # degrees of latitude, a little less than the reach of air pollution
    spots = [Spot(Category.AIR_POLLUTION, f"box-{n}", f"place {n}", 113.0, 28.0 + n * step) for n in range(5)]
    events = OpenEvents([OpenEvent(1, spots[0], None)])
    found = []
    for number, spot in enumerate(spots):
        found.append(events.join(f"s{number}", spot, NOON_US).event_id)
        events.grow(1, spot)
    assert found == [1, 1, 1, 1, None]


def test_thousands_of_sensors_of_one_field_stay_quick_to_compare() -> None:
    events = OpenEvents([OpenEvent(1, Spot(Category.AIR_POLLUTION, "b", "p", 113.0, 28.0), None)])
    for number in range(2000):
        spot = Spot(Category.AIR_POLLUTION, f"b{number}", "p", 113.0 + number % 50 * 1e-4, 28.0 + number // 50 * 1e-4)
        events.grow(1, spot)
    assert sum(map(len, events._cells.values())) < 60


def test_a_house_does_not_spread() -> None:
    spots = [Spot(Category.STRUCTURE_DANGER, f"box-{n}", "the same street", 113.0, 28.0 + n * 0.0008) for n in range(3)]
    events = OpenEvents([OpenEvent(1, spots[0], None)])
    events.grow(1, spots[1])
    assert events.join("s1", spots[1], NOON_US).event_id == 1
    assert events.join("s2", spots[2], NOON_US).event_id is None


places = st.tuples(st.floats(-179, 179), st.floats(-66, 66))


@given(places, st.floats(0, 360), st.floats(0, 2000), st.sampled_from(sorted(Category)))
def test_the_cells_find_whatever_comparing_with_every_event_finds(
    place: tuple[float, float], angle: float, metres: float, category: Category
) -> None:
    lon, lat = place
    east = metres * math.cos(math.radians(angle)) / 111_320 / math.cos(math.radians(lat))
    other = Spot(category, "box", "p", lon + east, lat + metres * math.sin(math.radians(angle)) / 111_320)
    here = Spot(category, "box", "p", lon, lat)
    event = OpenEvent(1, here, None)
    assert (OpenEvents([event]).join("x", other, NOON_US).event_id == 1) is belongs(other, event, NOON_US)


@given(places, st.floats(1, 2000), st.floats(0, 360))
def test_the_box_holds_the_circle(place: tuple[float, float], radius_m: float, angle: float) -> None:
    lon, lat = place
    west, south, east, north = box_around(lon, lat, radius_m)
    x = lon + 0.99 * radius_m * math.cos(math.radians(angle)) / 111_320 / math.cos(math.radians(lat))
    y = lat + 0.99 * radius_m * math.sin(math.radians(angle)) / 111_320
    assert west <= x <= east
    assert south <= y <= north


def test_distance_counts_the_short_way_round_the_date_line() -> None:
    assert distance_m(179.9995, 0, -179.9995, 0) == pytest.approx(111.3, rel=0.01)
