"""The ground obeys its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors_sim.physics.ground import (
    YEAR_S,
    accelerating,
    andrade,
    consolidated,
    consolidation,
    deepest_mm,
    trough_curvature,
    trough_mm,
    trough_slope_mm_m,
    trough_strain,
    trough_volume_m3_m,
)

DEEP = st.floats(0.1, 500)
WIDE = st.floats(2, 40)


@pytest.mark.parametrize(
    ("time_factor", "share"),
    # Terzaghi's table, as in every textbook (Craig's Soil Mechanics, table 7.1)
    [
        (0.008, 0.10), (0.031, 0.20), (0.071, 0.30), (0.126, 0.40), (0.197, 0.50), (0.287, 0.60), (0.403, 0.70),
        (0.567, 0.80), (0.848, 0.90),
    ],
)  # fmt: skip
def test_consolidation_is_that_of_terzaghis_table(time_factor: float, share: float) -> None:
    assert float(consolidated(np.array(time_factor))) == pytest.approx(share, abs=0.004)


def test_the_early_and_the_late_formula_meet() -> None:
    around = consolidated(np.array([0.05 - 1e-9, 0.05 + 1e-9]))
    assert around[1] == pytest.approx(around[0], abs=1e-5)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 20), min_size=2, max_size=20))
def test_consolidation_only_grows_and_never_passes_the_end(factors: list[float]) -> None:
    shares = consolidated(np.sort(np.array(factors)))
    assert np.all(np.diff(shares) >= -1e-9)
    assert np.all((shares >= 0) & (shares <= 1))
    assert consolidated(np.array(-0.5)) == 0


@settings(deadline=None)
@given(st.floats(0.1, 50), st.floats(0.2, 10), st.floats(1, 1e8))
def test_twice_the_way_of_the_water_takes_four_times_as_long(cv: float, way: float, time_s: float) -> None:
    near = consolidation(np.array(time_s), cv_m2_year=cv, drainage_m=way)
    far = consolidation(np.array(4 * time_s), cv_m2_year=cv, drainage_m=2 * way)
    assert float(far) == pytest.approx(float(near), abs=1e-9)


def test_half_of_it_is_reached_after_the_time_that_engineers_compute() -> None:
    half_s = 0.197 * 1.0**2 / 5.0 * YEAR_S
    assert float(consolidation(np.array(half_s), cv_m2_year=5.0, drainage_m=1.0)) == pytest.approx(0.5, abs=0.002)


@settings(deadline=None)
@given(st.floats(0.1, 50), st.floats(0.2, 10), st.floats(0.5, 100))
def test_a_load_that_comes_bit_by_bit_settles_as_the_sum_of_its_parts(cv: float, way: float, days: float) -> None:
    ramp_s = days * 86_400
    times = np.array([0.0, 0.01, 0.1, 0.5, 1.0, 1.5, 3.0, 30.0]) * ramp_s
    whole = consolidation(times, cv_m2_year=cv, drainage_m=way, ramp_s=ramp_s)
    parts = (np.arange(2000) + 0.5) / 2000 * ramp_s
    summed = consolidation(times[:, None] - parts, cv_m2_year=cv, drainage_m=way).mean(axis=1)
    assert whole == pytest.approx(summed, abs=2e-3)
    assert np.all(np.diff(whole) >= -1e-9)
    at_once = consolidation(times, cv_m2_year=cv, drainage_m=way)
    assert np.all(whole <= at_once + 1e-9)


@settings(deadline=None)
@given(DEEP, WIDE)
def test_the_trough_holds_its_volume(deep: float, wide: float) -> None:
    across = np.linspace(-10 * wide, 10 * wide, 4001)
    settled_m = trough_mm(across, deepest_mm=deep, inflexion_m=wide) / 1000
    volume = float(settled_m.sum() * (across[1] - across[0]))
    assert volume == pytest.approx(trough_volume_m3_m(deepest_mm=deep, inflexion_m=wide), rel=1e-6)


@settings(deadline=None)
@given(st.floats(0.001, 0.1), st.floats(2, 15), WIDE)
def test_a_tunnel_leaves_a_trough_of_what_it_lost(loss: float, diameter: float, wide: float) -> None:
    deep = deepest_mm(volume_loss=loss, diameter_m=diameter, inflexion_m=wide)
    assert trough_volume_m3_m(deepest_mm=deep, inflexion_m=wide) == pytest.approx(loss * np.pi * diameter**2 / 4)


@settings(deadline=None)
@given(DEEP, WIDE)
def test_the_slope_is_that_of_the_trough_and_steepest_at_the_inflexion(deep: float, wide: float) -> None:
    across = np.linspace(0, 6 * wide, 2001)
    slope = trough_slope_mm_m(across, deepest_mm=deep, inflexion_m=wide)
    measured = -np.gradient(trough_mm(across, deepest_mm=deep, inflexion_m=wide), across)
    assert np.allclose(slope[1:-1], measured[1:-1], atol=1e-4 * deep / wide)
    assert across[int(np.argmax(slope))] == pytest.approx(wide, rel=0.01)
    assert float(slope.max()) == pytest.approx(0.6065 * deep / wide, rel=0.001)


@settings(deadline=None)
@given(DEEP, WIDE)
def test_the_ground_is_pulled_outside_the_inflexion_and_pressed_inside(deep: float, wide: float) -> None:
    across = np.array([0.0, 0.5, 1.0, 1.5, 2.0]) * wide
    strain = trough_strain(across, deepest_mm=deep, inflexion_m=wide, depth_m=2 * wide)
    assert np.all(strain[:2] < 0)
    assert strain[2] == pytest.approx(0, abs=1e-12)
    assert np.all(strain[3:] > 0)
    assert float(trough_curvature(across[2:3], deepest_mm=deep, inflexion_m=wide)[0]) == pytest.approx(0, abs=1e-12)


@settings(deadline=None)
@given(st.floats(60, 1e7), st.lists(st.floats(0, 2), min_size=2, max_size=20))
def test_creep_gets_faster_until_it_is_stopped(failure_s: float, shares: list[float]) -> None:
    moved = accelerating(np.sort(np.array(shares)) * failure_s, failure_s=failure_s)
    assert np.all(np.diff(moved) >= 0)
    assert np.all((moved >= 0) & (moved <= 1 + 1e-12))
    thirds = accelerating(np.array([0.0, 0.3, 0.6, 0.9]) * failure_s, failure_s=failure_s)
    assert np.all(np.diff(thirds, 2) > 0)
    assert accelerating(np.array(failure_s), failure_s=failure_s) == pytest.approx(1)


def test_the_inverse_of_the_velocity_falls_on_a_line_that_ends_at_the_failure() -> None:
    times = np.linspace(0, 900, 400)
    velocity = np.gradient(accelerating(times, failure_s=1000.0), times)[5:-5]
    slope, at_zero = np.polyfit(times[5:-5], 1 / velocity, 1)
    assert -at_zero / slope == pytest.approx(1000, rel=0.01)


def test_a_crack_opens_at_once_and_creeps_ever_slower() -> None:
    opened = andrade(np.array([-1.0, 0.0, 100.0, 200.0, 300.0, 1000.0, 2000.0]), step=0.4, span_s=1000.0)
    assert opened[0] == 0
    assert opened[1] == 0.4
    assert opened[2] - opened[1] > opened[3] - opened[2] > opened[4] - opened[3] > 0
    assert opened[5] == opened[6] == 1
