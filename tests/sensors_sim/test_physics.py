"""The formulas keep what their sources promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors_sim.physics.events import creep, plateau, plume_lel, room_leak, smoke_spread
from sensors_sim.physics.field import Fields
from sensors_sim.physics.noise import ar1, unit_hash


def test_a_room_fills_towards_its_end_and_airs_with_the_time_constants_given() -> None:
    times = np.array([-5.0, 0, 80, 360, 360 + 320, 360 + 640])
    found = room_leak(times, leak_s=360, fill_s=80, air_s=320)
    peak = 1 - np.exp(-4.5)
    assert found == pytest.approx([0, 0, 1 - np.exp(-1), peak, peak * np.exp(-1), peak * np.exp(-2)])


def test_a_plume_thins_out_with_distance_and_wind() -> None:
    near, far = plume_lel(np.array([10.0, 100.0]), leak_kg_s=0.01, wind_m_s=2)
    assert 1 < near < 5
    assert far < near / 80
    assert plume_lel(np.array([10.0]), leak_kg_s=0.01, wind_m_s=4)[0] == pytest.approx(near / 2)


def test_smoke_goes_downwind_and_not_upwind() -> None:
    along = np.array([-1000.0, 0, 1000])
    share = smoke_spread(along, np.zeros(3), width_m=700)
    assert share[0] == 0
    assert share[1] == 1
    assert 0.8 < share[2] < 1
    assert smoke_spread(np.array([0.0]), np.array([2100.0]), width_m=700)[0] < 0.02


@given(st.floats(-1e5, 1e5))
def test_every_course_stays_between_0_and_1_and_is_0_before_its_onset(second: float) -> None:
    time = np.array([second])
    for value in (
        room_leak(time, leak_s=60, fill_s=20, air_s=90)[0],
        plateau(time, rise_s=30, hold_s=60, fall_s=20)[0],
        creep(time, duration_s=600)[0],
    ):
        assert 0 <= value <= 1
        assert second > 0 or value == 0


def test_the_noise_forgets_as_fast_as_it_is_told_at_any_spacing() -> None:
    rng = np.random.default_rng(1)
    one = rng.standard_normal(200_000)
    for elapsed, memory in ((1.0, 60.0), (60.0, 60.0), (600.0, 60.0)):
        other = ar1(one, np.full(one.shape, elapsed), np.full(one.shape, memory), rng.standard_normal(one.shape))
        assert other.std() == pytest.approx(1, abs=0.01)
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(np.exp(-elapsed / memory), abs=0.01)


def test_the_hash_is_even_and_always_the_same() -> None:
    numbers = np.arange(100_000)
    found = unit_hash(numbers, np.ones_like(numbers))
    assert np.array_equal(found, unit_hash(numbers, np.ones_like(numbers)))
    assert np.histogram(found, 10, (0, 1))[0] == pytest.approx(10_000, rel=0.05)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.02


def test_a_field_is_alike_nearby_and_unlike_far_away() -> None:
    rng = np.random.default_rng(2)
    near, far = [], []
    place, field = np.array([0, 1, 2]), np.zeros(3, dtype=np.int64)
    for _ in range(800):
        fields = Fields(rng, 1, np.array([0.0, 200, 9000]), np.zeros(3))
        values = fields.local(place, field, 0.0)
        near.append((values[0], values[1]))
        far.append((values[0], values[2]))
    assert np.std(near) == pytest.approx(1, abs=0.1)
    assert np.corrcoef(np.array(near).T)[0, 1] > 0.85
    assert abs(np.corrcoef(np.array(far).T)[0, 1]) < 0.4
