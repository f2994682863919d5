"""What happenings do to values, and who can see it."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import US_PER_SECOND
from sensors_sim.changes import (
    Added,
    Changes,
    Drawn,
    Made,
    Replaced,
    Scaled,
    Traced,
    clear,
    seen,
    sigmas_of_a_run,
)
from sensors_sim.physics.events import plateau
from tests.sensors_sim.happenings.stages import MEAN, NOISE, Floats, Integers, example, stage_of

FROM, TO = 1_000 * US_PER_SECOND, 1_100 * US_PER_SECOND
ROWS = np.array([3, 5, 9], np.int64)
ONES, NONE = np.ones(3), np.zeros(3)


def _full(elapsed_s: Floats) -> Floats:
    return np.ones_like(elapsed_s)


def _doubled(which: Integers, times_us: Integers, values: Floats) -> Floats:
    assert which.shape == times_us.shape == values.shape
    return 2 * values


MAKERS: dict[str, Callable[[], Made]] = {
    "added": lambda: Added(ROWS, 5 * ONES, NONE, FROM, TO, _full),
    "scaled": lambda: Scaled(ROWS, 0.5 * ONES, NONE, FROM, TO, _full),
    "replaced": lambda: Replaced(ROWS, 7 * ONES, NONE, FROM, TO, _full),
    "traced": lambda: Traced(ROWS, np.full((11, 3), 4.0), 10 * US_PER_SECOND, FROM, TO),
    "drawn": lambda: Drawn(ROWS, FROM, TO, _doubled),
}


@pytest.fixture(params=MAKERS)
def change(request: pytest.FixtureRequest) -> Made:
    return MAKERS[request.param]()


@pytest.mark.parametrize(
    ("name", "expected"), [("added", 15), ("scaled", 15), ("replaced", 7), ("traced", 14), ("drawn", 20)]
)
def test_each_way_changes_a_value_as_its_name_says(name: str, expected: float) -> None:
    found = MAKERS[name]().changed(np.array([1]), np.array([FROM + 1]), np.array([10.0]))
    assert found == pytest.approx([expected])


def test_nothing_is_changed_before_a_change_begins_and_from_its_end_on(change: Made) -> None:
    times = np.array([0, FROM - 1, FROM, TO - 1, TO, TO + 1])
    found = change.changed(np.zeros(6, np.int64), times, np.full(6, 10.0))
    assert (found != 10).tolist() == [False, False, True, True, False, False]


def test_a_change_leaves_the_array_it_is_given_alone(change: Made) -> None:
    values = np.full(2, 10.0)
    change.changed(np.array([0, 1]), np.array([FROM, TO]), values)
    assert values.tolist() == [10, 10]


def test_a_change_kept_to_some_sensors_does_the_same_to_these(change: Made) -> None:
    kept = change.only(np.array([0, 2]))
    assert kept.sensors.tolist() == [3, 9]
    times, values = np.array([FROM + 1, FROM + 50]), np.array([10.0, 20.0])
    assert np.array_equal(
        kept.changed(np.array([0, 1]), times, values), change.changed(np.array([0, 2]), times, values)
    )


def test_what_arrives_later_at_a_sensor_begins_its_course_later_there() -> None:
    ramp = Added(ROWS, ONES, np.array([0.0, 10.0, 200.0]), FROM, TO, lambda elapsed: elapsed)
    times = np.full(3, FROM + 30 * US_PER_SECOND)
    assert ramp.changed(np.arange(3), times, np.zeros(3)).tolist() == [30, 20, 0]


def test_a_table_is_read_straight_from_one_moment_to_the_next_and_holds_its_last() -> None:
    table = np.array([[0.0], [10.0], [30.0]], np.float32)
    traced = Traced(np.array([4]), table, 10 * US_PER_SECOND, FROM, TO)
    times = FROM + np.array([0, 5, 10, 15, 20, 99]) * US_PER_SECOND
    found = traced.changed(np.zeros(6, np.int64), times, np.zeros(6))
    assert found.tolist() == [0, 5, 10, 20, 30, 30]


@given(
    seed=st.integers(0, 1 << 30),
    count=st.integers(1, 40),
    span=st.tuples(st.integers(-200, 200), st.integers(1, 200)),
)
def test_many_changes_do_to_a_column_what_each_does_by_itself_in_order(
    seed: int, count: int, span: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    made = [MAKERS[name]() for name in rng.choice(list(MAKERS), 3)]
    rows = rng.integers(0, 12, count)
    times = np.sort(FROM + (span[0] + rng.integers(0, span[1], count)) * US_PER_SECOND)
    values = rng.uniform(0, 10, count)
    expected = values.copy()
    for change in made:
        for place, row in enumerate(rows.tolist()):
            at = np.flatnonzero(change.sensors == row)
            if at.size:
                expected[place] = change.changed(at, times[place : place + 1], expected[place : place + 1])[0]
    Changes(made, 12).apply(rows, times, values)
    assert np.array_equal(values, expected)


def test_a_change_of_no_sensor_costs_and_does_nothing() -> None:
    nobody = Added(np.empty(0, np.int64), np.empty(0), np.empty(0), FROM, TO, _full)
    values = np.array([1.0])
    Changes([nobody], 5).apply(np.array([2]), np.array([FROM]), values)
    Changes([], 5).apply(np.array([2]), np.array([FROM]), values)
    assert values.tolist() == [1]


def _on_stage(gain: Floats, *, at_s: float = 600, course: Callable[[Floats], Floats] = _full) -> tuple[Made, ...]:
    stage = stage_of(example())
    rows = np.array(stage.rows("ch4")[: len(gain)], np.int64)
    start = stage.start_us + round(at_s) * US_PER_SECOND
    return (Added(rows, gain, np.zeros(len(gain)), start, start + 1_200 * US_PER_SECOND, course),)


def test_who_sees_a_change_is_told_by_the_noise_of_each_sensor() -> None:
    stage = stage_of(example())
    gain = NOISE * np.array([0.0, 4.9, 5.1, -5.1])
    changes = _on_stage(gain)
    found = seen(stage, changes)
    assert found.rows.tolist() == changes[0].sensors[2:].tolist()
    assert found.peak == pytest.approx(gain[2:])
    assert seen(stage, changes, sigmas=4.0).rows.tolist() == changes[0].sensors[1:].tolist()


def test_it_is_seen_from_when_it_stands_clear_until_it_does_no_more() -> None:
    stage = stage_of(example())
    course = partial(plateau, rise_s=100.0, hold_s=500.0, fall_s=60.0)
    (change,) = _on_stage(np.array([100 * NOISE]), course=course)
    found = seen(stage, [change])
    assert change.from_us < found.from_us < change.from_us + 30 * US_PER_SECOND
    # 20 times the threshold: gone after three time constants
    assert found.to_us == pytest.approx(change.from_us + (600 + 60 * np.log(20)) * US_PER_SECOND, abs=6e6)


def test_a_change_is_kept_to_the_sensors_that_see_it() -> None:
    stage = stage_of(example())
    weak_and_strong = _on_stage(NOISE * np.array([1.0, 50.0, 2.0, 60.0]))
    too_weak = _on_stage(NOISE * np.array([1.0]))
    kept, found = clear(stage, [*weak_and_strong, *too_weak])
    assert len(kept) == 1
    assert kept[0].sensors.tolist() == found.rows.tolist() == weak_and_strong[0].sensors[[1, 3]].tolist()


def test_two_changes_that_nobody_sees_alone_can_be_seen_together() -> None:
    stage = stage_of(example())
    one = _on_stage(NOISE * np.array([3.0]))
    assert not seen(stage, one).rows.size
    assert seen(stage, [*one, *one]).rows.size == 1


def test_what_nobody_sees_and_what_happens_after_the_run_is_seen_by_nobody() -> None:
    stage = stage_of(example())
    assert not seen(stage, ()).rows.size
    assert not seen(stage, _on_stage(np.zeros(3))).rows.size
    assert not seen(stage, _on_stage(np.full(3, 50.0), at_s=4 * 3600)).rows.size


def test_a_change_of_factors_is_seen_by_what_it_makes_of_the_quiet_day() -> None:
    stage = stage_of(example())
    rows = np.array(stage.rows("ch4")[:2], np.int64)
    start = stage.start_us + 60 * US_PER_SECOND
    five = 5 * NOISE / MEAN
    scaled = Scaled(rows, np.array([five - 0.1, five + 0.1]), np.zeros(2), start, start + 600 * US_PER_SECOND, _full)
    assert seen(stage, [scaled]).rows.tolist() == rows[1:].tolist()


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_the_more_readings_the_less_must_each_stand_out(one: float, other: float) -> None:
    few, many = sorted((one, other))
    assert 0.5 <= sigmas_of_a_run(many) <= sigmas_of_a_run(few) <= 5
    assert sigmas_of_a_run(200) == pytest.approx(0.5)
