"""A closed shop that overheats, and lines that carry too much."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import US_PER_SECOND
from config.limits import Limit, Side
from config.vocabulary import Category, Severity
from sensors_sim.happenings.electrical import overload, shop_overheats
from sensors_sim.physics.events import warmed
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Happening
from sensors_sim.world import Use, World, world_of
from tests.sensors_sim.cities import make_city
from tests.sensors_sim.happenings.stages import LEVELS, Steady, example, happen, peak, same, stage_of, values_of
from tests.sensors_sim.happenings.worlds import everything, in_one_building, moved, with_uses

KINDS: dict[str, Happening] = {"shop_overheats": shop_overheats, "overload": overload}


@settings(max_examples=8, deadline=None)
@given(kind=st.sampled_from(list(KINDS)), seed=st.integers(0, 1 << 20), strength=st.floats(0.5, 20))
def test_whatever_the_strength_and_the_seed_it_is_honest_and_always_the_same(
    kind: str, seed: int, strength: float
) -> None:
    wish = Wish(kind, at_s=1_200, strength=strength)
    one, other = (stage_of(everything(), seed=seed, hours=10) for _ in range(2))
    staged = happen(KINDS[kind], one, wish)
    assert same(staged, KINDS[kind](other, wish), one)
    assert staged.episodes[0].category is Category.ELECTRICAL


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_stronger_one_is_never_less(kind: str) -> None:
    before = 0.0
    for strength in (0.5, 1.0, 3.0):
        stage = stage_of(example(), hours=10)
        staged = KINDS[kind](stage, Wish(kind, at_s=600, strength=strength))
        top = peak(stage, staged, stage.world.city.sensor_index[staged.episodes[0].sensors[0]])
        assert top > before
        before = top


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_city_without_meters_says_so(kind: str) -> None:
    stage = stage_of(world_of(make_city((("ch4", 5),), side=2)))
    with pytest.raises(CannotError, match="the city has no free current sensor"):
        KINDS[kind](stage, Wish(kind))


def _shop_with_a_camera_and_a_thermometer() -> World:
    world = everything()
    meter, camera, thermometer = (int(world.measuring(what)[0]) for what in ("current", "smoke_score", "temperature"))
    world = in_one_building(world, [meter, thermometer])
    world = moved(world, [camera], [float(world.east[meter]) + 30.0], [float(world.north[meter])])
    return with_uses(world, {int(world.building[meter]): Use.SHOP})


def test_a_closed_shop_draws_a_heaters_current_from_one_moment_to_the_next_and_all_night() -> None:
    stage = stage_of(example(), hours=10)
    staged = happen(shop_overheats, stage, Wish("shop_overheats", at_s=3_600))
    (episode,) = staged.episodes
    row = stage.world.city.sensor_index[episode.sensors[0]]
    since_s = np.array([-1, 3, 3_600, 4 * 3_600, 8 * 3_600 - 1, 8 * 3_600 + 1])
    values = values_of(stage, staged, np.array([row]), episode.from_us + since_s * US_PER_SECOND)[:, 0]
    usual = LEVELS["current"][0]
    assert values[0] == values[-1] == usual
    assert values[1] - usual == pytest.approx(2_000 / 220)
    assert (np.diff(values[1:5]) > 0).all()
    assert values[4] - usual == pytest.approx(1.25 * 2_000 / 220, rel=0.01)
    # no limit tells it: only that it is night
    assert episode.over_limit == ()


def test_a_shop_gets_warm_and_its_smoke_is_seen_late_as_an_episode_of_its_own() -> None:
    world = _shop_with_a_camera_and_a_thermometer()
    stage = stage_of(world, hours=10)
    staged = happen(shop_overheats, stage, Wish("shop_overheats", at_s=600, place="shop"))
    hot, smoke = staged.episodes
    assert hot.category is Category.ELECTRICAL
    assert smoke.category is Category.FIRE
    quantities = [world.city.sensor(name).quantity for name in hot.sensors]
    assert sorted(quantities) == ["current", "temperature"]
    assert {world.city.sensor(name).quantity for name in smoke.sensors} == {"smoke_score"}
    assert (smoke.from_us - hot.from_us) / US_PER_SECOND == pytest.approx(0.8 * 8 * 3_600, abs=1)
    warm = world.city.sensor_index[hot.sensors[quantities.index("temperature")]]
    assert 20 < peak(stage, staged, warm) < 25
    camera = world.city.sensor_index[smoke.sensors[0]]
    times = smoke.from_us + np.array([600, 2_400, 5_700]) * US_PER_SECOND
    scores = values_of(stage, staged, np.array([camera]), times)[:, 0]
    assert scores[0] < 0.6
    assert scores.tolist() == sorted(scores.tolist())
    assert scores[2] > 0.8


def test_without_a_camera_near_or_when_somebody_comes_early_there_is_no_smoke() -> None:
    world = _shop_with_a_camera_and_a_thermometer()
    short = stage_of(world, hours=5)
    assert len(shop_overheats(short, Wish("shop_overheats", at_s=600, place="shop")).episodes) == 1
    assert len(shop_overheats(stage_of(example(), hours=10), Wish("shop_overheats", at_s=600)).episodes) == 1


def test_a_shop_is_preferred_and_one_that_a_camera_looks_at_most() -> None:
    world = _shop_with_a_camera_and_a_thermometer()
    for seed in range(6):
        staged = shop_overheats(stage_of(world, seed=seed, hours=10), Wish("shop_overheats", at_s=600))
        assert world.city.columns.ids[int(world.measuring("current")[0])] in staged.episodes[0].sensors


def test_a_building_climbs_past_its_limit_in_the_heat_and_comes_down_again() -> None:
    stage = stage_of(example(), hours=8, weather=Steady(warm=36.0))
    staged = happen(overload, stage, Wish("overload", at_s=1_800))
    (episode,) = staged.episodes
    assert episode.severity is Severity.LARGER
    assert episode.over_limit == episode.sensors
    row = stage.world.city.sensor_index[episode.sensors[0]]
    times = episode.from_us + np.arange(0, 6 * 3_600 + 1, 600) * US_PER_SECOND
    course = values_of(stage, staged, np.array([row]), times)[:, 0]
    top = int(course.argmax())
    assert 0.4 < top / len(course) < 0.7
    assert (np.diff(course[: top + 1]) > 0).all()
    assert (np.diff(course[top:]) < 0).all()
    assert course[-1] == pytest.approx(LEVELS["current"][0])
    cool = stage_of(example(), hours=8, weather=Steady(warm=20.0))
    assert peak(cool, overload(cool, Wish("overload", at_s=1_800)), row) < course.max() - LEVELS["current"][0]


def test_where_no_limit_is_set_the_current_grows_to_two_and_a_half_times_the_usual() -> None:
    stage = stage_of(everything(), hours=8)
    staged = happen(overload, stage, Wish("overload", at_s=600))
    (episode,) = staged.episodes
    assert episode.over_limit == ()
    row = stage.world.city.sensor_index[episode.sensors[0]]
    assert peak(stage, staged, row) == pytest.approx(1.5 * LEVELS["current"][0], rel=0.01)


def test_a_room_warms_towards_what_its_walls_let_through() -> None:
    found = warmed(np.array([-1.0, 0.0, 7_200.0, 1e6]), watts=2_000, watts_per_k=80, memory_s=7_200)
    assert found == pytest.approx([0, 0, 25 * (1 - np.exp(-1)), 25])


def test_the_limits_of_the_example_are_those_that_overload_is_made_for() -> None:
    world = example()
    row = int(world.measuring("current")[0])
    (limit,) = world.city.limits.of(world.city.columns.ids[row], "current")
    assert (limit.side, limit.threshold) == (Side.HIGH, 40)
    assert isinstance(limit, Limit)
