"""What broken sensors show: each kind does what its name says, to its victims, in its time, and to nothing else."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.quantities import QUANTITIES
from sensors_sim.faults import Faults, plan_faults
from sensors_sim.faults.broken import implied
from sensors_sim.faults.instruments import INSTRUMENTS
from sensors_sim.physics.signals import SIGNALS
from sensors_sim.scenario import Health
from sensors_sim.truth import Fault, FaultKind
from sensors_sim.world import world_of
from tests.sensors_sim.cities import LIVELY, make_city
from tests.sensors_sim.measuring import PICTURE, START_US, Air, Floats, Integers, Stretch, measured

CITY = make_city((*LIVELY, *PICTURE), side=2)
WORLD = world_of(CITY)
NOISE = np.full(len(CITY.sensors), 0.5)
RUN_S = 1800
END_US = START_US + RUN_S * 1_000_000
FROM_US, TO_US = START_US + 600_000_000, START_US + 1_500_000_000
STRETCHES: list[Stretch] = list(measured(CITY, RUN_S, tick_s=7))


def fault(kind: FaultKind, quantity: str, grid: int = 0, from_us: int = FROM_US, to_us: int = TO_US) -> Fault:
    name = [sensor for sensor in CITY.sensors if sensor.quantity == quantity][grid]
    return Fault(kind, name.id, name.lon, name.lat, name.grid, from_us, to_us, None)


def shown(faults: Sequence[Fault], seed: int = 1, stretches: Sequence[Stretch] = STRETCHES) -> list[Floats]:
    broken = Faults(WORLD, faults, np.random.default_rng(seed), NOISE, Air())
    found = []
    for _, sensors, times_us, values in stretches:
        mine = values.copy()
        broken.apply(sensors, times_us, mine)
        found.append(mine)
    return found


def series(quantity: str, found: Sequence[Floats], grid: int = 0) -> tuple[Integers, Floats, Floats]:
    """(times, what was measured, what was shown) of one sensor."""
    row = [sensor.index for sensor in CITY.sensors if sensor.quantity == quantity][grid]
    rows = np.concatenate([sensors for _, sensors, _, _ in STRETCHES])
    times = np.concatenate([times_us for _, _, times_us, _ in STRETCHES])
    true = np.concatenate([values for _, _, _, values in STRETCHES])
    mine = rows == row
    return times[mine], true[mine], np.concatenate(found)[mine]


def broken_part(kind: FaultKind, quantity: str, *, seed: int = 1) -> tuple[Integers, Floats, Floats]:
    """The same, from the fault's beginning to its end; outside of it nothing is touched."""
    times, true, seen = series(quantity, shown([fault(kind, quantity)], seed))
    on = (times >= FROM_US) & (times < TO_US)
    assert np.array_equal(true[~on], seen[~on])
    return times[on], true[on], seen[on]


def test_a_stuck_sensor_goes_on_showing_its_last_value() -> None:
    times, true, seen = series("pm25", shown([fault(FaultKind.STUCK, "pm25")]))
    last = true[times < FROM_US][-1]
    assert (seen[(times >= FROM_US) & (times < TO_US)] == last).all()
    assert len(set(true[times >= FROM_US].tolist())) > 3


def test_a_sensor_stuck_from_the_start_holds_the_first_value_it_would_have_shown() -> None:
    _, true, seen = series("pm25", shown([fault(FaultKind.STUCK, "pm25", from_us=START_US, to_us=END_US)]))
    assert (seen == true[0]).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_spiking_sensor_is_far_away_in_single_readings_and_true_in_the_others(seed: int) -> None:
    _, true, seen = broken_part(FaultKind.SPIKING, "ch4", seed=seed)
    away = np.abs(seen - true)
    assert 0 < (away > 0).mean() < 0.2
    assert away[away > 0].min() >= 10 * INSTRUMENTS["ch4"].accuracy or seen[away > 0].min() == INSTRUMENTS["ch4"].lowest


def test_a_noisy_sensor_scatters_five_to_twenty_times_as_much() -> None:
    _, true, seen = broken_part(FaultKind.NOISY, "noise")
    assert 5 * 0.7 < np.std(seen - true) / INSTRUMENTS["noise"].accuracy < 20 * 1.3 or seen.min() == 30


def test_a_biased_sensor_is_off_by_one_constant() -> None:
    _, true, seen = broken_part(FaultKind.BIAS, "temperature")
    off = seen - true
    assert np.ptp(off) <= 0.1 + 1e-9  # its resolution
    assert 4 * 0.5 <= abs(off.mean()) <= 12 * 0.5 + 0.1


def test_a_drift_is_a_straight_line_from_nothing_and_a_curved_one_is_bent() -> None:
    for kind, power in ((FaultKind.DRIFT, 1.0), (FaultKind.CURVED_DRIFT, 2.0)):
        times, true, seen = broken_part(kind, "temperature")
        age = (times - FROM_US) / (TO_US - FROM_US)
        off = np.abs(seen - true)
        assert off[0] <= 1.0
        assert off[-1] >= 2.5
        half = off[np.searchsorted(age, 0.5)] / off[-1]
        assert half == pytest.approx(0.5, abs=0.1) if power == 1 else half < 0.32


@pytest.mark.parametrize("quantity", ["ch4", "pm25", "temperature", "tilt"])
def test_a_saturated_sensor_stands_at_an_end_of_its_scale(quantity: str) -> None:
    ends = set()
    for seed in range(8):
        _, _, seen = broken_part(FaultKind.SATURATED, quantity, seed=seed)
        assert len(set(seen.tolist())) == 1
        ends.add(float(seen[0]))
    assert ends == set(INSTRUMENTS[quantity].stands_at)


def test_a_loose_contact_falls_to_a_code_and_comes_back() -> None:
    _, true, seen = broken_part(FaultKind.DROPOUT, "temperature")
    fallen = seen != true
    assert set(seen[fallen].tolist()) <= set(INSTRUMENTS["temperature"].falls_to)
    assert 0.05 < fallen.mean() < 0.95
    assert np.count_nonzero(np.diff(fallen.astype(int))) >= 4


@pytest.mark.parametrize("quantity", ["temperature", "pm25", "ch4", "current"])
def test_a_wrong_unit_is_one_that_the_quantity_knows(quantity: str) -> None:
    _, true, seen = broken_part(FaultKind.UNIT, quantity)
    step = 0.5 / SIGNALS[quantity].steps
    fitting = [
        unit
        for unit, (factor, offset) in QUANTITIES[quantity].conversions.items()
        if (factor, offset) != (1.0, 0.0) and np.abs(factor * seen + offset - true).max() <= step
    ]
    assert fitting


def test_swapped_sensors_show_what_the_other_one_sees() -> None:
    found = shown([fault(FaultKind.SWAPPED, "pm25", 0), fault(FaultKind.SWAPPED, "pm25", 3)])
    for mine, other in ((0, 3), (3, 0)):
        times, own, seen = series("pm25", found, mine)
        _, theirs, _ = series("pm25", found, other)
        on = (times >= FROM_US + 60_000_000) & (times < TO_US)
        assert np.isin(seen[on], theirs).all()
        assert (seen[on] != own[on]).mean() > 0.5
        assert np.array_equal(seen[~on & (times < FROM_US)], own[~on & (times < FROM_US)])


def test_a_swapped_sensor_without_a_partner_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"swapped sensors without one .* G00-0-pm25"):
        shown([fault(FaultKind.SWAPPED, "pm25")])


def test_a_temperature_leak_follows_the_temperature() -> None:
    times, true, seen = broken_part(FaultKind.TEMPERATURE_LEAK, "tilt")
    warmer = Air().temperature_c(times) - 20
    slope, rest = np.polyfit(warmer, seen - true, 1)
    assert 0.02 * 20 < abs(slope) < 0.5 * 4  # one to three times the noise, per degree
    assert abs(rest) < 0.02


def test_a_dark_image_is_dark_and_shows_nobody() -> None:
    found = shown([fault(FaultKind.DARK_IMAGE, "image_brightness")])
    for quantity, at_most in (("image_brightness", 0.02), ("people", 0.0), ("smoke_score", 0.0)):
        times, _, seen = series(quantity, found)
        assert seen[(times >= FROM_US) & (times < TO_US)].max() <= at_most
    times, true, seen = series("ch4", found)
    assert np.array_equal(true, seen)


def test_a_frozen_image_stands_still_with_everything_that_is_counted_in_it() -> None:
    found = shown([fault(FaultKind.FROZEN_IMAGE, "image_change")])
    for quantity in ("image_brightness", "image_sharpness", "people", "smoke_score"):
        times, _, seen = series(quantity, found)
        assert len(set(seen[(times >= FROM_US) & (times < TO_US)].tolist())) == 1
    times, _, seen = series("image_change", found)
    assert (seen[(times >= FROM_US) & (times < TO_US)] == 0).all()  # every frame is the one before


def test_a_blurred_and_a_covered_image_lose_their_edges() -> None:
    for kind, most in ((FaultKind.BLURRED_IMAGE, 0.21), (FaultKind.COVERED_LENS, 0.031)):
        times, true, seen = series("image_sharpness", shown([fault(kind, "image_sharpness")]))
        on = (times >= FROM_US) & (times < TO_US)
        assert (seen[on] <= most * np.maximum(true[on], 1)).all()


def test_a_fault_of_a_picture_told_of_one_sensor_is_told_of_all_that_are_read_from_it() -> None:
    more = implied(WORLD, [fault(FaultKind.COVERED_LENS, "image_brightness")])
    assert sorted(one.sensor for one in more) == [
        f"G00-0-{name}" for name in ("image_brightness", "image_change", "image_sharpness", "people", "smoke_score")
    ]
    assert implied(WORLD, more) == more


def test_two_faults_of_one_sensor_follow_each_other() -> None:
    first = fault(FaultKind.BIAS, "noise", from_us=START_US, to_us=FROM_US)
    second = fault(FaultKind.STUCK, "noise")
    times, true, seen = series("noise", shown([second, first]))
    assert (np.abs(seen - true)[times < FROM_US] > 5).all()
    assert len(set(seen[(times >= FROM_US) & (times < TO_US)].tolist())) == 1
    assert np.array_equal(seen[times >= TO_US], true[times >= TO_US])


KINDS = st.dictionaries(st.sampled_from(list(FaultKind)), st.floats(0.1, 5), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1), kinds=KINDS, seed=st.integers(0, 10_000))
def test_whatever_breaks_nobody_else_and_no_other_time_is_touched(
    share: float, kinds: dict[FaultKind, float], seed: int
) -> None:
    health = Health(share=share, kinds=kinds)
    faults = plan_faults(WORLD, health, START_US, END_US, np.random.default_rng(seed), ())
    spans = {CITY.sensor_index[one.sensor]: (one.from_us, one.to_us) for one in faults}
    begin = np.array([spans.get(row, (0, 0))[0] for row in range(len(CITY.sensors))])
    end = np.array([spans.get(row, (0, 0))[1] for row in range(len(CITY.sensors))])
    first, again = shown(faults, seed), shown(faults, seed)
    for (_, sensors, times_us, values), one, other in zip(STRETCHES, first, again, strict=True):
        well = (times_us < begin[sensors]) | (times_us >= end[sensors])
        assert np.array_equal(one[well], values[well])
        assert np.array_equal(one, other)
        assert np.isfinite(one).all()


@pytest.mark.parametrize("seed", range(6))
def test_whoever_the_truth_calls_broken_shows_it(seed: int) -> None:
    kinds = dict.fromkeys(set(FaultKind) - {FaultKind.SILENT, FaultKind.CLOCK}, 1.0)
    faults = plan_faults(WORLD, Health(share=0.9, kinds=kinds), START_US, END_US, np.random.default_rng(seed), ())
    touched = np.zeros(len(CITY.sensors), np.int64)
    for (_, sensors, _, values), mine in zip(STRETCHES, shown(faults, seed), strict=True):
        np.add.at(touched, sensors, mine != values)
    well = {fault.sensor: fault.kind for fault in faults if not touched[CITY.sensor_index[fault.sensor]]}
    assert not well


ROWS, TIMES_US, VALUES = (np.concatenate([stretch[part] for stretch in STRETCHES]) for part in (1, 2, 3))


def cut(cuts_us: Sequence[int]) -> list[Stretch]:
    """All that was measured, in order of time, as instants that end at these times."""
    order = np.argsort(TIMES_US, kind="stable")
    bounds = [0, *np.searchsorted(TIMES_US[order], sorted(cuts_us)).tolist(), len(order)]
    parts = [order[begin:end] for begin, end in pairwise(bounds)]
    return [(END_US, ROWS[part], TIMES_US[part], VALUES[part]) for part in parts]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cuts_us=st.lists(st.integers(START_US, END_US), max_size=60))
def test_an_answer_does_not_depend_on_how_the_run_is_cut(seed: int, cuts_us: list[int]) -> None:
    kinds = dict.fromkeys(FaultKind, 1.0) | dict.fromkeys((FaultKind.SWAPPED, FaultKind.STUCK), 5.0)
    faults = plan_faults(WORLD, Health(share=0.9, kinds=kinds), START_US, END_US, np.random.default_rng(seed), ())
    whole, pieces = (np.concatenate(shown(faults, seed, cut(cuts))) for cuts in ((), cuts_us))
    assert whole.tobytes() == pieces.tobytes()


@pytest.mark.parametrize("cuts_s", [(), (10, 20, 30, 40, 50), (25, 45)])
def test_a_sensor_that_is_well_again_within_an_instant_was_stuck_at_what_came_before(cuts_s: tuple[int, ...]) -> None:
    row = next(sensor.index for sensor in CITY.sensors if sensor.quantity == "pm25")
    times_us = START_US + np.arange(6) * 10_000_000
    stuck = fault(FaultKind.STUCK, "pm25", from_us=START_US + 20_000_000, to_us=START_US + 45_000_000)
    bounds = [0, *(second // 10 + (second % 10 > 0) for second in cuts_s), 6]
    values = np.arange(1.0, 7.0)
    stretches = [
        (END_US, np.full(end - begin, row), times_us[begin:end], values[begin:end]) for begin, end in pairwise(bounds)
    ]
    assert np.concatenate(shown([stuck], stretches=stretches)).tolist() == [1, 2, 2, 2, 2, 6]
