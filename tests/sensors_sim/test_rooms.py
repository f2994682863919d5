"""Rooms keep what goes in, and forget it as fast as their air is changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors_sim.physics.rooms import (
    House,
    fill,
    hole_kg_s,
    lel_percent,
    open_window_m3_s,
    ppm,
    seeped_in,
    settled_kg_s,
)

HOUSES = st.builds(
    House,
    room_m3=st.floats(5, 500),
    rest_m3=st.floats(20, 5_000),
    changes_h=st.floats(0.05, 5),
    door_m3_h=st.floats(0, 200),
)


@given(
    house=HOUSES,
    step_s=st.floats(1, 60),
    seed=st.integers(0, 1 << 30),
)
def test_what_is_let_out_is_in_the_room_in_the_house_or_in_the_open(house: House, step_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, extra = rng.uniform(0, 1e-3, 60), rng.uniform(0, 0.05, 60) * (rng.random(60) < 0.3)
    found = fill(house, source, extra, step_s)
    let_out = np.concatenate(([0.0], np.cumsum(source[:-1]) * step_s))
    assert found.room + found.rest + found.out_kg == pytest.approx(let_out, rel=1e-9, abs=1e-12)
    for masses in (found.room, found.rest, found.out_kg):
        assert np.isfinite(masses).all()
        assert (masses >= 0).all()


def test_a_closed_room_fills_as_the_formula_says() -> None:
    house = House(25.0, 100.0, 0.5)
    times = np.arange(0, 7_200, 5.0)
    found = fill(house, np.full(times.shape, 3e-4), np.zeros(times.shape), 5.0)
    rate = 0.5 / 3600
    expected = 3e-4 / (25 * rate) * (1 - np.exp(-rate * times))
    assert found.room_kg_m3 == pytest.approx(expected, rel=1e-6)


def test_an_open_window_clears_a_room_with_the_time_constant_of_its_air() -> None:
    house = House(20.0, 100.0, 0.34)
    count = 600
    source = np.where(np.arange(count) < 300, 3e-4, 0.0)
    extra = np.where(np.arange(count) < 300, 0.0, 0.075)
    found = fill(house, source, extra, 5.0)
    rate = 0.34 / 3600 + 0.075 / 20
    assert found.room[500] == pytest.approx(found.room[300] * np.exp(-rate * 1_000), rel=1e-6)


@given(HOUSES, st.floats(1.1, 10))
def test_twice_the_leak_is_twice_the_gas_everywhere(house: House, more: float) -> None:
    source, extra = np.full(30, 1e-4), np.zeros(30)
    one, other = fill(house, source, extra, 20.0), fill(house, source * more, extra, 20.0)
    assert other.room == pytest.approx(one.room * more)
    assert other.rest == pytest.approx(one.rest * more)


def test_the_rest_of_a_house_follows_later_and_with_less() -> None:
    found = fill(House(20.0, 130.0, 0.34, 15.0), np.full(500, 3e-4), np.zeros(500), 5.0)
    assert (found.rest_kg_m3[1:] < found.room_kg_m3[1:]).all()
    assert found.rest_kg_m3[100] / found.room_kg_m3[100] < found.rest_kg_m3[400] / found.room_kg_m3[400]


@given(HOUSES, st.floats(1e-5, 1e-2))
def test_a_room_settles_at_the_concentration_that_its_leak_was_made_for(house: House, level: float) -> None:
    source = settled_kg_s(house, level)
    days = fill(house, np.full(3_000, source), np.zeros(3_000), 600.0)
    assert days.room_kg_m3[-1] == pytest.approx(level, rel=0.01)
    assert days.room_kg_m3.max() <= level * (1 + 1e-9)


def test_an_open_door_makes_one_room_of_two() -> None:
    apart = fill(House(20.0, 130.0, 0.34, 2_000.0), np.full(2_000, 3e-4), np.zeros(2_000), 5.0)
    one = fill(House(150.0, 150.0, 0.34), np.full(2_000, 3e-4), np.zeros(2_000), 5.0)
    assert apart.room_kg_m3[-1] == pytest.approx(one.room_kg_m3[-1], rel=0.15)
    assert apart.rest_kg_m3[-1] == pytest.approx(one.room_kg_m3[-1], rel=0.15)


def test_what_leaves_is_what_the_open_gains() -> None:
    found = fill(House(20.0, 130.0, 2.0, 15.0), np.full(2_000, 3e-4), np.zeros(2_000), 2.0)
    gained = np.diff(found.out_kg) / 2.0
    assert (found.out_kg_s[1:] + found.out_kg_s[:-1]) / 2 == pytest.approx(gained, rel=1e-3, abs=1e-9)


def test_a_hole_in_a_home_lets_out_what_the_orifice_formula_says_and_a_service_line_is_choked() -> None:
    area = np.pi * 0.0035**2 / 4
    density = (101_325 + 2_000) * 0.01604 / (8.314 * 293.15)
    assert hole_kg_s(0.0035, 2_000) == pytest.approx(0.62 * area * np.sqrt(2 * 2_000 * density), rel=0.02)
    # choked: as much more as the pressure inside, whatever it is outside
    assert hole_kg_s(0.01, 598_675) == pytest.approx(2 * hole_kg_s(0.01, 248_675))
    assert 0.02 < hole_kg_s(0.01, 200_000) < 0.04


@given(st.floats(1e-4, 0.05), st.floats(100, 400_000), st.floats(1.01, 4))
def test_a_larger_hole_and_more_pressure_let_out_more(hole: float, over: float, more: float) -> None:
    assert hole_kg_s(hole * more, over) == pytest.approx(hole_kg_s(hole, over) * more**2)
    assert hole_kg_s(hole, over * more) > hole_kg_s(hole, over)


def test_units_of_gas() -> None:
    assert lel_percent(np.array([0.0327, 1.0])).tolist() == [100, 2_000]
    assert ppm(np.array([1.145e-6]), 28.01)[0] == pytest.approx(1, rel=0.01)  # carbon monoxide: 1 ppm is 1.145 mg/m³
    assert open_window_m3_s(1.5, np.array([2.0])) == pytest.approx([0.075])


def test_a_room_breathes_in_what_stands_outside_and_never_more() -> None:
    outside = np.concatenate((np.zeros(10), np.full(2_000, 4.0)))[:, np.newaxis]
    inside = seeped_in(outside, 0.34, 60.0)[:, 0]
    assert (inside[:11] == 0).all()
    assert (np.diff(inside) >= 0).all()
    assert inside[10 + 176] == pytest.approx(4 * (1 - np.exp(-1)), rel=0.01)
    assert inside[-1] == pytest.approx(4.0, rel=0.01)
