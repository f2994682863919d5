"""The plume keeps what Gauss, Briggs and Pasquill promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors_sim.physics.plume import CALM_M_S, Stability, downwind, plume, spreads, stability

CLASSES = st.sampled_from(list(Stability))


def _at(along: float, across: float, wind: float = 2.0, what: Stability = Stability.NEUTRAL, **more: float) -> float:
    found = plume(np.array([along]), np.array([across]), wind_m_s=np.array([wind]), classes=np.array([what]), **more)
    return float(found[0])


@given(CLASSES, st.floats(-5_000, 0))
def test_nothing_goes_upwind(what: Stability, along: float) -> None:
    assert _at(along, 0.0, what=what) == 0


@given(CLASSES, st.floats(1, 10_000), st.floats(0, 3_000))
def test_a_plume_is_the_same_on_both_sides_and_thickest_on_its_line(what: Stability, along: float, side: float) -> None:
    assert _at(along, side, what=what) == _at(along, -side, what=what)
    assert _at(along, side, what=what) <= _at(along, 0.0, what=what)


@given(CLASSES, st.floats(1, 5_000), st.floats(1.01, 3))
def test_a_plume_at_the_ground_thins_out_on_its_way_and_with_more_wind(
    what: Stability, along: float, more: float
) -> None:
    assert _at(along * more, 0.0, what=what) < _at(along, 0.0, what=what)
    assert _at(along, 0.0, 2 * more, what=what) == pytest.approx(_at(along, 0.0, what=what) / more)


@pytest.mark.parametrize("what", list(Stability))
@pytest.mark.parametrize("height", [0.0, 12.0])
def test_what_passes_a_section_of_a_plume_each_second_is_what_was_let_out(what: Stability, height: float) -> None:
    # through the half space above the ground at 500 m: the ground value carries a vertical profile of its own
    across = np.linspace(-3_000, 3_000, 6_001)
    ground = plume(
        np.full(across.shape, 500.0), across, wind_m_s=np.array([3.0]), classes=np.array([what]), height_m=height
    )
    _, sz = spreads(np.array([500.0]), np.array([what]))
    up = np.linspace(0, 3_000, 6_001)
    profile = 0.5 * (np.exp(-0.5 * ((up - height) / sz) ** 2) + np.exp(-0.5 * ((up + height) / sz) ** 2))
    profile /= profile[0]
    flux = 3.0 * float(np.trapezoid(ground, across)) * float(np.trapezoid(profile, up))
    assert flux == pytest.approx(1.0, rel=1e-3)


def test_briggs_figures_of_his_table() -> None:
    sy, sz = spreads(np.full(4, 1_000.0), np.arange(4))
    assert sy == pytest.approx(np.array([0.32, 0.22, 0.16, 0.11]) * 1_000 / np.sqrt(1.4))
    assert sz == pytest.approx([240 * np.sqrt(2), 200, 140 / np.sqrt(1.3), 80 / np.sqrt(2.5)])


@given(CLASSES, st.floats(0.1, 9_000), st.floats(1.001, 2))
def test_spreads_grow_with_distance_and_with_unrest(what: Stability, along: float, more: float) -> None:
    near = spreads(np.array([along]), np.array([what]))
    far = spreads(np.array([along * more]), np.array([what]))
    assert near[0][0] <= far[0][0]
    assert near[1][0] <= far[1][0]
    if what < Stability.STABLE:
        calmer = spreads(np.array([along]), np.array([what + 1]))
        assert calmer[0][0] < near[0][0]
        assert calmer[1][0] < near[1][0]


def test_a_source_high_up_or_wide_gives_less_near_it_and_a_calm_is_no_catastrophe() -> None:
    assert _at(50, 0, height_m=12.0) < _at(50, 0) / 1.5
    assert _at(5, 0, wide_m=20.0) < _at(5, 0) / 10
    assert _at(100, 0, 0.0) == _at(100, 0, CALM_M_S)
    assert np.isfinite(_at(1e-9, 0.0))


@given(st.floats(0, 360), st.floats(-5_000, 5_000), st.floats(-5_000, 5_000))
def test_along_and_across_only_turn_the_map(from_deg: float, east: float, north: float) -> None:
    along, across = downwind(np.array([east]), np.array([north]), np.array([from_deg]))
    assert np.hypot(along, across) == pytest.approx(np.hypot(east, north), abs=1e-6)


def test_a_wind_from_the_west_blows_to_the_east_with_the_south_on_its_right() -> None:
    along, across = downwind(np.array([100.0, 0.0]), np.array([0.0, -50.0]), np.array([270.0, 270.0]))
    assert along == pytest.approx([100, 0], abs=1e-9)
    assert across == pytest.approx([0, 50], abs=1e-9)


@pytest.mark.parametrize(
    ("wind", "sun", "expected"),
    [
        (1.5, 0.9, Stability.UNSTABLE),
        (5.0, 0.9, Stability.SLIGHTLY),
        (3.0, 0.5, Stability.SLIGHTLY),
        (7.0, 0.9, Stability.NEUTRAL),
        (4.0, 0.1, Stability.NEUTRAL),
        (1.5, 0.0, Stability.STABLE),
        (5.0, 0.0, Stability.NEUTRAL),
    ],
)
def test_pasquills_classes(wind: float, sun: float, expected: Stability) -> None:
    assert stability(np.array([wind]), np.array([sun])).tolist() == [expected]
