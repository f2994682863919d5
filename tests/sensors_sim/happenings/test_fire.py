"""Fires, and what only looks like one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import US_PER_SECOND
from config.vocabulary import Category, Severity
from sensors_sim.happenings.fire import Blaze, false_fire, fire
from sensors_sim.physics.events import GROWTH_KW_S2, fire_kw, flame_m, in_view
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged
from sensors_sim.world import world_of
from tests.sensors_sim.cities import make_city
from tests.sensors_sim.happenings.stages import (
    Steady,
    example,
    happen,
    peak,
    same,
    stage_of,
    times_of,
    values_of,
)
from tests.sensors_sim.happenings.worlds import everything, moved

CAUSES = ("glare", "steam", "welding")


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1 << 20), strength=st.floats(0.2, 20), wind=st.floats(0.2, 25), deg=st.floats(0, 360))
def test_whatever_the_strength_the_seed_and_the_wind_a_fire_is_honest_and_always_the_same(
    seed: int, strength: float, wind: float, deg: float
) -> None:
    wish = Wish("fire", at_s=1_200, strength=strength)
    one, other = (stage_of(everything(), seed=seed, weather=Steady(wind=wind, from_deg=deg)) for _ in range(2))
    staged = happen(fire, one, wish)
    assert same(staged, fire(other, wish), one)
    assert [episode.category for episode in staged.episodes][:1] == [Category.FIRE]
    every = np.arange(len(one.world.city.columns))
    scores = one.world.measuring("smoke_score", "fire_score")
    assert values_of(one, staged, every, times_of(one, 60))[:, scores].max() <= 1


def test_a_fire_is_told_by_cameras_and_its_smoke_by_stations_each_in_an_episode_of_its_own() -> None:
    stage = stage_of(example(), seed=2)
    staged = happen(fire, stage, Wish("fire", at_s=600))
    burning, smoke = staged.episodes
    quantity = {name: stage.world.city.sensor(name).quantity for one in staged.episodes for name in one.sensors}
    assert {quantity[name] for name in burning.sensors} <= {"smoke_score", "fire_score", "temperature"}
    assert {quantity[name] for name in smoke.sensors} <= {"pm25", "pm10"}
    assert (burning.category, burning.department) == (Category.FIRE, "fire-brigade")
    assert (smoke.category, smoke.department) == (Category.AIR_POLLUTION, "environment-bureau")
    assert burning.severity is Severity.MAJOR
    assert burning.limit_us is not None
    assert 60 < (burning.limit_us - burning.from_us) / US_PER_SECOND < 600


def _course(stage: Stage, staged: Staged, quantity: str, step_s: int = 5) -> tuple[np.ndarray, np.ndarray]:
    names = [name for one in staged.episodes for name in one.sensors]
    rows = [stage.world.city.sensor_index[name] for name in names if name.endswith(quantity)]
    best = max(rows, key=lambda row: peak(stage, staged, row))
    times = np.arange(stage.start_us, stage.end_us, step_s * US_PER_SECOND)
    return times, values_of(stage, staged, np.array([best]), times)[:, 0]


def test_a_camera_becomes_surer_over_minutes_persists_over_frames_and_lets_go_after_the_fire() -> None:
    stage = stage_of(everything(), seed=1)
    staged = fire(stage, Wish("fire", at_s=600))
    times, smoke = _course(stage, staged, "smoke_score")
    since = (times - staged.episodes[0].from_us) / US_PER_SECOND
    assert (smoke[since < 0] == 0.01).all()
    assert smoke[(since > 60) & (since < 90)].mean() < smoke[(since > 240) & (since < 300)].mean()
    # nobody doubts a fire of six megawatts from frame to frame
    assert (smoke[(since > 800) & (since < 2_300)] > 0.8).all()
    assert smoke[since > 2_400 + 3_000].max() < 0.1


def test_a_camera_sees_smoke_before_it_sees_flames() -> None:
    stage = stage_of(everything(), seed=1)
    staged = fire(stage, Wish("fire", at_s=600))
    times, smoke = _course(stage, staged, "smoke_score")
    _, flames = _course(stage, staged, "fire_score")
    assert times[smoke > 0.5][0] < times[flames > 0.5][0]


def test_the_faster_a_fire_grows_the_sooner_it_is_seen() -> None:
    seen = []
    for growth in ("slow", "medium", "fast", "ultrafast"):
        stage = stage_of(everything(), seed=3)
        staged = fire(stage, Wish("fire", at_s=600, options={"growth": growth}))
        assert staged.episodes[0].limit_us is not None
        seen.append(staged.episodes[0].limit_us)
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 4
    with pytest.raises(CannotError, match="option growth is 'sudden', expected one of medium, slow, fast, ultrafast"):
        fire(stage, Wish("fire", options={"growth": "sudden"}))


def test_stations_downwind_are_reached_at_the_speed_of_the_wind_and_none_upwind() -> None:
    world = everything()
    cameras = world.measuring("smoke_score", "fire_score").tolist()
    stations = world.measuring("pm25").tolist()[:3]
    home = cameras[0]
    world = moved(
        world,
        stations,
        [float(world.east[home]) + metres for metres in (200.0, 500.0, -200.0)],
        [float(world.north[home])] * 3,
    )
    stage = stage_of(world, seed=4, weather=Steady(wind=2.0, from_deg=270.0))
    stage.taken.update(world.measuring("pm10").tolist())
    stage.taken.update(world.measuring("pm25").tolist()[3:])
    stage.taken.update(row for row in cameras if world.city.columns.grid[row] != world.city.columns.grid[home])
    staged = happen(fire, stage, Wish("fire", at_s=600))
    smoke = staged.episodes[1]
    ids = [world.city.columns.ids[row] for row in stations]
    assert set(smoke.sensors) == set(ids[:2])
    times = np.arange(stage.start_us, stage.end_us, 5 * US_PER_SECOND)
    values = values_of(stage, staged, np.array(stations), times)
    # both follow the same fire: one comes later by 300 m at 2 m/s
    half = [int(np.flatnonzero(values[:, column] - 42 > 0.5 * (values[:, column].max() - 42))[0]) for column in (0, 1)]
    assert (half[1] - half[0]) * 5 == pytest.approx(150, abs=20)
    assert (values[:, 2] == 42).all()


@pytest.mark.parametrize("kind", [fire, false_fire])
def test_a_city_without_cameras_says_so(kind: object) -> None:
    stage = stage_of(world_of(make_city((("pm25", 60),), side=2)))
    with pytest.raises(CannotError, match="the city has no free camera"):
        (fire if kind is fire else false_fire)(stage, Wish("fire"))


@pytest.mark.parametrize("cause", CAUSES)
def test_what_only_looks_like_a_fire_is_no_episode_and_no_fault_and_lasts_minutes(cause: str) -> None:
    stage = stage_of(example(), seed=1)
    staged = false_fire(stage, Wish("false_fire", at_s=1_200, options={"cause": cause}))
    check_honest_of_nothing(stage, staged)
    (change,) = staged.changes
    assert change.to_us - change.from_us == 900 * US_PER_SECOND
    assert stage.taken == set(change.sensors.tolist())


def check_honest_of_nothing(stage: Stage, staged: Staged) -> None:
    """One camera alone is touched, within its time, and the truth is silent."""
    assert not any((staged.episodes, staged.faults, staged.outages, staged.hurries))
    (change,) = staged.changes
    every, times = np.arange(len(stage.world.city.columns)), times_of(stage, 600)
    values = values_of(stage, staged, every, times)
    assert np.isfinite(values).all()
    assert ((values >= 0) & (values[:, change.sensors] <= 0.98).all()).all()
    quiet = stage.nature.mean(every, int(times[0]))
    touched = np.flatnonzero((values != quiet).any(axis=0))
    assert touched.tolist() == change.sensors.tolist()
    when = times[(values != quiet).any(axis=1)]
    assert change.from_us <= when[0]
    assert when[-1] < change.to_us


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 20), cause=st.sampled_from(CAUSES), phase=st.floats(0, 1))
def test_a_temptation_at_its_usual_strength_passes_no_limit_for_as_long_as_limits_ask(
    seed: int, cause: str, phase: float
) -> None:
    stage = stage_of(example(), seed=seed)
    staged = false_fire(stage, Wish("false_fire", at_s=600, options={"cause": cause}))
    row = int(staged.changes[0].sensors[0])
    interval_us = round(float(stage.world.city.columns.interval_s[row]) * US_PER_SECOND)
    times = np.arange(stage.start_us + round(phase * interval_us), stage.end_us, interval_us)
    over = values_of(stage, staged, np.array([row]), times)[:, 0] >= 0.8 - 0.05
    assert not (over[1:] & over[:-1]).any()


def test_every_cause_comes_up_by_itself_and_unknown_ones_are_told() -> None:
    tops = set()
    for seed in range(12):
        stage = stage_of(example(), seed=seed)
        staged = false_fire(stage, Wish("false_fire", at_s=600))
        _, course = times_of(stage), values_of(stage, staged, staged.changes[0].sensors, times_of(stage, 2_000))[:, 0]
        tops.add((course > 0.01).mean() > 0.07)
    assert tops == {True, False}
    with pytest.raises(CannotError, match="option cause is 'ghosts', expected one of any, glare, steam, welding"):
        false_fire(stage_of(example()), Wish("false_fire", options={"cause": "ghosts"}))


def test_nothing_is_seen_of_a_temptation_after_the_run() -> None:
    with pytest.raises(CannotError, match="run ends before"):
        false_fire(stage_of(example(), hours=1), Wish("false_fire", at_s=4_000))


@pytest.mark.parametrize(("growth", "seconds"), [("slow", 600), ("medium", 300), ("fast", 150), ("ultrafast", 75)])
def test_a_fire_of_each_class_reaches_a_megawatt_when_its_standard_says(growth: str, seconds: float) -> None:
    heat = fire_kw(np.array([seconds]), growth_kw_s2=GROWTH_KW_S2[growth], peak_kw=9_000, burns_s=3_600, fades_s=600)
    assert heat == pytest.approx([1_055], rel=0.01)


@given(st.floats(-1e4, 1e5), st.floats(1, 1e5))
def test_a_fire_never_releases_more_than_its_peak_and_nothing_before_it_begins(second: float, most: float) -> None:
    heat = fire_kw(np.array([second]), growth_kw_s2=0.0469, peak_kw=most, burns_s=2_000, fades_s=600)[0]
    assert 0 <= heat <= most
    assert second > 0 or heat == 0


@given(st.floats(0, 100), st.floats(1, 1e4), st.floats(1.01, 10))
def test_a_camera_is_surer_of_what_is_larger_and_nearer(size: float, away: float, more: float) -> None:
    def sure(metres: float, distance: float) -> float:
        return float(in_view(np.array([metres]), np.array([distance]), half_rad=0.1)[0])

    assert 0 <= sure(size, away * more) <= sure(size, away) <= sure(size * more, away) <= 1
    assert sure(away * 0.1, away) == pytest.approx(0.5)


def test_flames_of_a_megawatt_stand_about_four_metres_high() -> None:
    assert flame_m(np.array([1_000.0, 0.0])) == pytest.approx([3.72, 0], abs=0.01)


def test_a_blaze_is_over_when_little_is_left() -> None:
    blaze = Blaze(0, 0, 0, 600 * US_PER_SECOND, 0.0469, 6_000)
    assert blaze.heat_kw(np.array([blaze.to_us]))[0] < 0.02 * 6_000
