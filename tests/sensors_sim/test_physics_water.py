"""Water is neither made nor lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors_sim.physics.water import jet_m3_s, pond_m3, routed, runoff_m3_s, sag_depth_m

FLOWS = st.lists(st.floats(0, 2), min_size=1, max_size=60).map(np.array)


def test_an_hour_of_rain_sends_its_depth_times_the_area() -> None:
    flow = runoff_m3_s(np.full(3600, 50.0), catchment_m2=10_000, runs_off=0.9)
    assert float(flow.sum()) == pytest.approx(0.9 * 0.05 * 10_000)


@settings(deadline=None)
@given(FLOWS, st.floats(30, 3000))
def test_what_goes_through_a_catchment_comes_out_later_but_all_of_it(inflow: np.ndarray, memory_s: float) -> None:
    tail = np.zeros(int(40 * memory_s / 30) + 40)
    out = routed(np.concatenate((inflow, tail)), step_s=30, memory_s=memory_s)
    assert float(out.sum()) == pytest.approx(float(inflow.sum()), rel=1e-6, abs=1e-9)
    assert float(out.max()) <= float(inflow.max()) + 1e-12
    assert np.all(out >= 0)


@settings(deadline=None)
@given(FLOWS)
def test_without_pumps_the_pond_holds_everything_that_ran_in(inflow: np.ndarray) -> None:
    pond = pond_m3(inflow, np.zeros(inflow.shape), step_s=30, starts_m3=0, most_m3=1e9)
    assert pond == pytest.approx(np.cumsum(np.append(0, inflow[:-1])) * 30)


@settings(deadline=None)
@given(FLOWS, st.floats(0, 3), st.floats(0, 50))
def test_a_pond_is_never_below_nothing_nor_above_its_rim(inflow: np.ndarray, pump: float, starts: float) -> None:
    pumped = np.full(inflow.shape, pump)
    pond = pond_m3(inflow, pumped, step_s=30, starts_m3=starts, most_m3=80)
    dry = pond_m3(inflow, pumped + 0.5, step_s=30, starts_m3=starts, most_m3=80)
    assert np.all((pond >= 0) & (pond <= 80))
    assert np.all(dry <= pond + 1e-9), "more pump, less water"


def test_four_times_the_water_stands_twice_as_deep() -> None:
    one, four = sag_depth_m(np.array([25.2, 100.8]), gradient=0.04, width_m=14)
    assert four == pytest.approx(2 * one)
    assert one == pytest.approx(0.268, abs=0.001)


def test_a_split_of_four_square_centimetres_loses_twenty_cubic_metres_an_hour() -> None:
    assert jet_m3_s(4e-4, head_m=28) * 3600 == pytest.approx(20.25, abs=0.05)
