"""Haze over a city, and smoke from its edge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import US_PER_SECOND
from config.vocabulary import Category, Severity
from sensors_sim.happenings.air import air_episode, smoke_plume
from sensors_sim.physics.plume import downwind
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Happening, Stage
from sensors_sim.world import world_of
from tests.sensors_sim.cities import make_city
from tests.sensors_sim.happenings.stages import (
    LEVELS,
    Steady,
    example,
    happen,
    peaks,
    same,
    stage_of,
    values_of,
)
from tests.sensors_sim.happenings.worlds import everything

KINDS: dict[str, tuple[Happening, float]] = {"air_episode": (air_episode, 20), "smoke_plume": (smoke_plume, 4)}


@settings(max_examples=10, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    seed=st.integers(0, 1 << 20),
    strength=st.floats(0.5, 20),
    wind=st.floats(0.2, 20),
    deg=st.floats(0, 360),
)
def test_whatever_the_strength_the_seed_and_the_wind_it_is_honest_and_always_the_same(
    kind: str, seed: int, strength: float, wind: float, deg: float
) -> None:
    how, hours = KINDS[kind]
    wish = Wish(kind, at_s=1_200, strength=strength)
    one, other = (
        stage_of(everything(), seed=seed, hours=hours, weather=Steady(wind=wind, from_deg=deg)) for _ in range(2)
    )
    staged = happen(how, one, wish)
    assert same(staged, how(other, wish), one)
    assert staged.episodes[0].category is Category.AIR_POLLUTION


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_stronger_one_is_never_less_at_any_station(kind: str) -> None:
    how, hours = KINDS[kind]
    before: dict[str, float] = {}
    for strength in (0.5, 1.0, 3.0):
        stage = stage_of(everything(), hours=hours)
        staged = how(stage, Wish(kind, at_s=600, strength=strength))
        tops = peaks(stage, staged)
        assert set(before) <= set(tops)
        assert all(tops[name] >= value - 1e-6 for name, value in before.items())
        before = tops


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_city_without_stations_says_so(kind: str) -> None:
    stage = stage_of(world_of(make_city((("ch4", 5),), side=2)))
    with pytest.raises(CannotError, match=r"the city has no free pm25 or pm10 sensor"):
        KINDS[kind][0](stage, Wish(kind))


def _hazy() -> Stage:
    return stage_of(example(), hours=20, weather=Steady(wind=1.0, from_deg=270.0))


def test_a_haze_covers_every_station_and_passes_the_limits_after_hours() -> None:
    stage = _hazy()
    staged = happen(air_episode, stage, Wish("air_episode", at_s=3_600))
    (episode,) = staged.episodes
    named = {stage.world.city.sensor_index[name] for name in episode.sensors}
    assert named >= set(stage.world.measuring("pm25", "pm10").tolist())
    assert set(episode.over_limit) == {
        stage.world.city.columns.ids[row] for row in stage.world.measuring("pm25", "pm10").tolist()
    }
    assert episode.severity is Severity.MAJOR
    assert episode.limit_us is not None
    assert 1.5 < (episode.limit_us - episode.from_us) / US_PER_SECOND / 3_600 < 5
    assert 13 < (episode.to_us - episode.from_us) / US_PER_SECOND / 3_600 < 18


def test_a_haze_rises_for_hours_stands_and_clears() -> None:
    stage = _hazy()
    staged = air_episode(stage, Wish("air_episode", at_s=3_600))
    rows = stage.world.measuring("pm25")
    hours = stage.start_us + np.arange(0, 20) * 3_600 * US_PER_SECOND
    course = values_of(stage, staged, rows, hours)
    assert (course[:2] == LEVELS["pm25"][0]).all()
    assert (np.diff(course[2:8], axis=0) > 0).all()
    assert course.max() > 250
    assert (course[19] < 0.25 * course.max(axis=0)).all()
    # between two hours no more than is measured in real ones: some tens of micrograms
    assert np.diff(course, axis=0).max() < 110


def test_a_haze_drifts_with_the_wind() -> None:
    stage = _hazy()
    staged = air_episode(stage, Wish("air_episode", at_s=3_600))
    rows = stage.world.measuring("pm25")
    times = stage.start_us + np.arange(3_600, 5 * 3_600, 60) * US_PER_SECOND
    course = values_of(stage, staged, rows, times) - LEVELS["pm25"][0]
    half = np.array([int(np.flatnonzero(one > 0.25 * one.max())[0]) for one in course.T])
    along, _ = downwind(stage.world.east[rows], stage.world.north[rows], np.array(270.0))
    assert np.corrcoef(along, half)[0, 1] > 0.8


def test_a_haze_is_thinner_in_more_wind_and_thicker_at_some_stations() -> None:
    tops = {}
    for wind in (0.8, 2.0, 6.0):
        stage = stage_of(example(), hours=20, weather=Steady(wind=wind))
        staged = air_episode(stage, Wish("air_episode", at_s=3_600))
        tops[wind] = np.array([top for name, top in peaks(stage, staged).items() if name.endswith("pm25")])
    assert np.median(tops[0.8]) > np.median(tops[2.0]) > np.median(tops[6.0])
    assert tops[0.8].max() > 1.15 * np.median(tops[0.8])


def test_ozone_falls_and_never_below_nothing_while_nitrogen_dioxide_rises() -> None:
    world = everything()
    stage = stage_of(world, hours=20, weather=Steady(wind=0.5))
    staged = happen(air_episode, stage, Wish("air_episode", at_s=3_600, strength=50))
    middle = np.array([stage.start_us + 9 * 3_600 * US_PER_SECOND])
    ozone = values_of(stage, staged, world.measuring("o3"), middle)
    assert (ozone > 0).all()
    assert (ozone < 0.3 * LEVELS["o3"][0]).all()
    assert (values_of(stage, staged, world.measuring("no2"), middle) > LEVELS["no2"][0]).all()


def test_a_haze_of_one_grid_leaves_the_others_alone() -> None:
    stage = stage_of(everything(), hours=20)
    staged = happen(air_episode, stage, Wish("air_episode", at_s=3_600, place="G11"))
    assert {stage.world.city.sensor(name).grid for name in staged.episodes[0].sensors} == {"G11"}


@pytest.mark.parametrize("deg", [0.0, 135.0, 270.0])
def test_smoke_hits_the_stations_downwind_one_after_the_other_and_no_other(deg: float) -> None:
    stage = stage_of(example(), hours=4, weather=Steady(wind=2.0, from_deg=deg))
    staged = happen(smoke_plume, stage, Wish("smoke_plume", at_s=600))
    (episode,) = staged.episodes
    world = stage.world
    rows = np.array([world.city.sensor_index[name] for name in episode.sensors])
    east, north = float(episode.details["east_m"]), float(episode.details["north_m"])
    along, across = downwind(world.east[rows] - east, world.north[rows] - north, np.array(deg))
    assert (along > 0).all()
    assert (np.abs(across) < 0.7 * along + 100).all()
    assert len({world.city.columns.device[int(row)] for row in rows}) >= 2
    times = stage.start_us + np.arange(600, 4 * 3_600, 20) * US_PER_SECOND
    quiet = stage.nature.mean(rows, stage.start_us)
    more = values_of(stage, staged, rows, times) - quiet
    first = np.array([int(np.flatnonzero(one > 0.3 * one.max())[0]) for one in more.T]) * 20.0
    # each is reached when the wind gets there: 2 m/s
    assert first - first.min() == pytest.approx((along - along.min()) / 2.0, abs=61)


def test_smoke_of_a_burning_field_is_what_was_measured_at_such_distances() -> None:
    stage = stage_of(example(), hours=4)
    staged = smoke_plume(stage, Wish("smoke_plume", at_s=600))
    tops = peaks(stage, staged).values()
    assert 150 < max(tops) < 2_000
    assert staged.episodes[0].severity is not None
    assert 3_000 < (staged.episodes[0].to_us - staged.episodes[0].from_us) / US_PER_SECOND < 3 * 3_600
