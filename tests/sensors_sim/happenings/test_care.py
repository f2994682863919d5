"""Elders who fall, buttons, doors, and people where none should be."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.vocabulary import Category, Severity
from sensors_sim.happenings.care import door_forced, elder_falls, help_pressed, in_view, intrusion
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Happening, Stage
from tests.sensors_sim.happenings.stages import example, happen, same, times_of, values_of
from tests.sensors_sim.happenings.wild import HOME, HOUR_US, STREET, stage, town

SEEDS = st.integers(0, 1000)
GUARDED = (("door_open", 30.0), *STREET)


def hour_of(ground: Stage, time_us: int) -> float:
    local = datetime.fromtimestamp(time_us / 1e6, ground.world.city.timezone)
    return local.hour + local.minute / 60


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([5.0, 24.0, 96.0]))
def test_an_elder_who_falls_by_day_moves_no_more(seed: int, hours: float) -> None:
    ground = stage(example(), seed=seed, hours=hours)
    staged = happen(elder_falls, ground, Wish("elder_falls"))
    told = staged.episodes[0]
    assert told.category is Category.CARE
    assert told.department == "civil-affairs"
    assert 8 <= hour_of(ground, told.from_us) <= 18
    row = ground.world.city.sensor_index[told.sensors[0]]
    assert ground.world.city.sensors[row].quantity == "activity"
    values = values_of(ground, staged, np.array([row]), times_of(ground))[:, 0]
    assert set(values.tolist()) <= {0.0, 12.0}
    assert 12.0 in values
    again = stage(example(), seed=seed, hours=hours)
    assert same(staged, elder_falls(again, Wish("elder_falls")), again)


def test_a_habit_is_known_before_anything_happens_in_a_run_of_days() -> None:
    for seed in range(10):
        ground = stage(example(), seed=seed, hours=120)
        assert elder_falls(ground, Wish("elder_falls")).episodes[0].from_us > ground.start_us + 60 * HOUR_US


def test_who_reaches_the_button_is_heard_minutes_later() -> None:
    ground = stage(example())
    wish = Wish("elder_falls", at_s=3600, lasts_s=7200, options={"presses": 1})
    told = happen(elder_falls, ground, wish).episodes[0]
    assert {ground.world.city.sensor(name).quantity for name in told.sensors} == {"activity", "help_button"}
    assert told.from_us == ground.start_us + HOUR_US
    assert told.severity is Severity.MAJOR
    assert told.limit_us is not None
    assert 120 <= (told.limit_us - told.from_us) / 1e6 <= 1000


def test_who_cannot_reach_it_passes_no_limit() -> None:
    told = elder_falls(stage(example()), Wish("elder_falls", at_s=3600)).episodes[0]
    assert told.limit_us is None
    assert told.over_limit == ()


def test_a_home_without_a_button_cannot_press_it() -> None:
    ground = stage(town(("activity", 60.0)))
    with pytest.raises(CannotError, match="no home with a free sensor of activity has a help button"):
        elder_falls(ground, Wish("elder_falls", options={"presses": 1}))


def test_a_pressed_button_passes_its_limit_at_once() -> None:
    ground = stage(example())
    told = happen(help_pressed, ground, Wish("help_pressed", at_s=3600, lasts_s=1800)).episodes[0]
    assert told.severity is Severity.MAJOR
    assert told.limit_us is not None
    assert 0 <= told.limit_us - told.from_us <= 60_000_000
    assert told.to_us == told.from_us + HOUR_US // 2


def test_a_forced_door_stands_open_longer_than_the_police_allow() -> None:
    ground = stage(example())
    staged = happen(door_forced, ground, Wish("door_forced", at_s=3600))
    told = staged.episodes[0]
    assert told.category is Category.INTRUSION
    assert told.over_limit == told.sensors
    assert told.limit_us is not None
    assert 300 <= (told.limit_us - told.from_us) / 1e6 < 400
    row = np.array([ground.world.city.sensor_index[told.sensors[0]]])
    times = ground.start_us + np.array([3599, 3601, 5399, 5401]) * 1_000_000
    assert values_of(ground, staged, row, times)[:, 0].tolist() == [0.04, 1, 1, 0.04]


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_somebody_comes_in_at_night_and_the_camera_sees_it_frame_after_frame(seed: int) -> None:
    ground = stage(town(*GUARDED), seed=seed, hours=24)
    staged = happen(intrusion, ground, Wish("intrusion"))
    told = staged.episodes[0]
    assert not 5 <= hour_of(ground, told.from_us) < 23
    assert {ground.world.city.sensor(name).quantity for name in told.sensors} == {"door_open", "intrusion_score"}
    row = next(ground.world.city.sensor_index[name] for name in told.sensors if name.endswith("intrusion_score"))
    frames = told.from_us + np.arange(0, 90, 5) * 1_000_000
    scores = values_of(ground, staged, np.array([row]), frames)[:, 0]
    assert (scores > 0.8).sum() >= 10
    again = stage(town(*GUARDED), seed=seed, hours=24)
    assert same(staged, intrusion(again, Wish("intrusion")), again)


@settings(deadline=None)
@given(st.floats(200, 5000))
def test_who_is_inside_is_in_the_picture_at_first_at_last_and_now_and_then(lasts_s: float) -> None:
    seen = in_view(np.array([-1.0, 0.0, 59.0, 100.0, lasts_s - 1]), lasts_s=lasts_s)
    assert seen.tolist() == [0, 1, 1, 1 if lasts_s - 60 <= 100 else 0, 1]


def test_by_day_nobody_breaks_in() -> None:
    with pytest.raises(CannotError, match="the run has no time between 23 and 5 o'clock"):
        intrusion(stage(town(*GUARDED)), Wish("intrusion"))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (elder_falls, "no free sensor of an elder's activity"),
        (help_pressed, "no free help button"),
        (door_forced, "no free door contact"),
        (intrusion, "neither a free door contact nor a free intrusion score"),
    ],
)
def test_a_town_without_such_sensors_has_no_place_for_it(kind: Happening, message: str) -> None:
    with pytest.raises(CannotError, match=message):
        kind(stage(town(("pm25", 60.0))), Wish("any"))


def test_nothing_begins_after_the_end_of_the_run() -> None:
    late: dict[str, Any] = {"at_s": 7 * 3600.0}
    for kind in (help_pressed, door_forced):
        with pytest.raises(CannotError, match="the run ends before it begins"):
            kind(stage(example()), Wish("any", **late))
    with pytest.raises(CannotError):
        elder_falls(stage(town(*HOME)), Wish("any", **late))


@pytest.mark.parametrize(("kind", "quantity"), [(help_pressed, "help_button"), (door_forced, "door_open")])
def test_what_is_set_right_before_two_readings_is_not_staged(kind: Happening, quantity: str) -> None:
    home = stage(town((quantity, 1200.0)))
    with pytest.raises(CannotError, match="over before any sensor that sees it has sent 2 readings"):
        kind(home, Wish(quantity, at_s=3600, lasts_s=2399))
    assert not home.taken
    assert kind(home, Wish(quantity, at_s=3600, lasts_s=2400)).episodes
