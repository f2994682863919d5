"""Gas in rooms, streets and pits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import US_PER_SECOND
from config.vocabulary import Category, LocalText, Severity
from sensors_sim.happenings.gas import co_poisoning, gas_leak, small_leak, valve_pit
from sensors_sim.happenings.places import is_pit
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Happening, Stage, Staged
from sensors_sim.world import Use, World, world_of
from tests.sensors_sim.cities import make_city
from tests.sensors_sim.happenings.stages import (
    Steady,
    check_honest,
    example,
    happen,
    peak,
    peaks,
    same,
    stage_of,
    times_of,
    values_of,
)
from tests.sensors_sim.happenings.worlds import everything, in_one_building, in_the_open, moved, with_uses

SEEDS = st.integers(0, 1 << 20)
STRENGTHS = st.floats(0.2, 20)
KINDS: dict[str, tuple[Happening, float]] = {
    "gas_leak": (gas_leak, 3),
    "small_leak": (small_leak, 12),
    "co_poisoning": (co_poisoning, 6),
    "valve_pit": (valve_pit, 14),
}


def _victim(stage: Stage, staged: Staged) -> int:
    """The row that sees most of it."""
    rows = [stage.world.city.sensor_index[name] for name in staged.episodes[0].sensors]
    return max(rows, key=lambda row: peak(stage, staged, row))


@settings(max_examples=12, deadline=None)
@given(kind=st.sampled_from(list(KINDS)), seed=SEEDS, strength=STRENGTHS, wind=st.floats(0.2, 25))
def test_whatever_the_strength_the_seed_and_the_wind_it_is_honest_and_always_the_same(
    kind: str, seed: int, strength: float, wind: float
) -> None:
    how, hours = KINDS[kind]
    world = everything()
    if kind == "valve_pit" or (kind == "gas_leak" and seed % 2):
        world = in_the_open(world, "ch4", "h2s", "o2")
    wish = Wish(kind, at_s=1_200, strength=strength)
    one, other = (stage_of(world, seed=seed, hours=hours, weather=Steady(wind=wind)) for _ in range(2))
    try:
        staged = happen(how, one, wish)
    except CannotError as error:
        assert "too weak" in str(error)  # noqa: PT017 - a weak leak in a gale is seen by nobody
        return
    assert same(staged, how(other, wish), one)
    assert staged.episodes[0].kind == kind
    assert staged.episodes[0].category is Category.GAS_LEAK


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_stronger_one_is_never_less_at_any_sensor(kind: str) -> None:
    how, hours = KINDS[kind]
    world = example() if kind != "valve_pit" else in_the_open(everything(), "ch4", "h2s", "o2")
    before: dict[str, float] = {}
    for strength in (0.5, 1.0, 2.0, 8.0):
        stage = stage_of(world, hours=hours)
        staged = how(stage, Wish(kind, at_s=600, strength=strength))
        tops = peaks(stage, staged)
        assert set(before) <= set(tops)
        assert all(tops[name] >= value - 1e-6 for name, value in before.items())
        before = tops


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_city_without_such_sensors_says_so(kind: str) -> None:
    how, hours = KINDS[kind]
    stage = stage_of(world_of(make_city((("pm25", 60),), side=2)), hours=hours)
    with pytest.raises(CannotError, match="the city has no free"):
        how(stage, Wish(kind))


def test_a_kitchen_passes_the_alarm_level_within_minutes_and_is_aired_once_the_valve_is_shut() -> None:
    stage = stage_of(example())
    staged = happen(gas_leak, stage, Wish("gas_leak", at_s=600))
    (episode,) = staged.episodes
    assert episode.severity is Severity.EXTREME
    assert episode.over_limit == episode.sensors
    assert episode.limit_us is not None
    assert 4 * 60 < (episode.limit_us - episode.from_us) / US_PER_SECOND < 15 * 60
    assert episode.from_us == stage.start_us + 600 * US_PER_SECOND
    assert episode.department == "gas-company"
    times = times_of(stage, 1_000)
    course = values_of(stage, staged, np.array([_victim(stage, staged)]), times)[:, 0]
    top = int(course.argmax())
    # from the onset to the valve, then down to nothing
    assert (times[top] - episode.from_us) / US_PER_SECOND == pytest.approx(1_500, abs=20)
    assert (np.diff(course[: top + 1]) >= -1e-9).all()
    assert (np.diff(course[top:]) <= 1e-9).all()
    assert course[top] > 50
    assert course[-1] == pytest.approx(0.3)


def test_methane_in_a_kitchen_pushes_oxygen_aside() -> None:
    world = in_one_building(everything(), [int(everything().measuring(what)[0]) for what in ("ch4", "o2")])
    stage = stage_of(world)
    staged = happen(gas_leak, stage, Wish("gas_leak", at_s=600, place="G00", options={"where": "room"}))
    tops = peaks(stage, staged)
    assert set(tops) == {"G00-0-ch4", "G00-0-o2"}
    # 50 %LEL are two and a half hundredths of the air
    assert tops["G00-0-o2"] == pytest.approx(tops["G00-0-ch4"] / 20 * 0.209, rel=0.01)


def test_the_rest_of_a_house_sees_less_of_a_leak_and_other_houses_none() -> None:
    world = everything()
    rows = world.measuring("ch4").tolist()
    together = in_one_building(world, rows[:2])
    stage = stage_of(together)
    stage.taken.update(rows[2:])
    staged = happen(gas_leak, stage, Wish("gas_leak", at_s=600, options={"where": "room"}))
    less, more = sorted(peak(stage, staged, row) for row in rows[:2])
    assert set(staged.episodes[0].sensors) == {world.city.columns.ids[row] for row in rows[:2]}
    assert 0.6 < less < more / 3


def test_a_torn_service_line_reaches_sensors_downwind_one_after_the_other_and_none_upwind() -> None:
    world = in_the_open(everything(), "ch4")
    rows = world.measuring("ch4").tolist()[:4]
    # a wind from the west: one after the other to the east, and one to the west
    world = moved(world, rows, [0.0, 20.0, 40.0, -20.0], [0.0, 0.0, 0.0, 0.0])
    stage = stage_of(world, weather=Steady(wind=1.0, from_deg=270.0))
    stage.taken.update(world.measuring("ch4").tolist()[4:])
    first_grid = world.city.columns.grid[rows[0]]
    staged = happen(gas_leak, stage, Wish("gas_leak", at_s=600, strength=6, place=first_grid))
    ids = [world.city.columns.ids[row] for row in rows]
    assert set(staged.episodes[0].sensors) == set(ids[:3])
    times = stage.start_us + np.arange(590, 800, 1) * US_PER_SECOND
    values = values_of(stage, staged, np.array(rows), times)
    first = [int(np.flatnonzero(values[:, column] > 0.5)[0]) for column in range(3)]
    # at 1 m/s twenty metres take twenty seconds, read from a table with a step of some seconds
    assert first[1] - first[0] == pytest.approx(20, abs=6)
    assert first[2] - first[1] == pytest.approx(20, abs=6)
    assert values[:, :3].max(axis=0).tolist() == sorted(values[:, :3].max(axis=0).tolist(), reverse=True)
    assert (values[:, 3] == values[0, 3]).all()


def test_the_wind_decides_who_sees_a_torn_line() -> None:
    world = in_the_open(everything(), "ch4")
    rows = world.measuring("ch4").tolist()
    world = moved(world, rows[:3], [0.0, 15.0, -15.0], [0.0, 0.0, 0.0])
    for from_deg, seen, unseen in ((270.0, rows[1], rows[2]), (90.0, rows[2], rows[1])):
        stage = stage_of(world, weather=Steady(wind=1.5, from_deg=from_deg))
        stage.taken.update(rows[3:])
        stage.taken.update({unseen, seen})
        first = gas_leak(stage, Wish("gas_leak", at_s=600))
        assert first.episodes[0].sensors == (world.city.columns.ids[rows[0]],)
        # the same leak, with the neighbours free
        stage = stage_of(world, weather=Steady(wind=1.5, from_deg=from_deg))
        stage.taken.update(rows[3:])
        staged = gas_leak(stage, Wish("gas_leak", at_s=600, place=world.city.columns.grid[rows[0]]))
        check_honest(stage, staged)
        assert world.city.columns.ids[seen] in staged.episodes[0].sensors
        assert world.city.columns.ids[unseen] not in staged.episodes[0].sensors


def test_a_leak_takes_a_home_of_the_old_quarter_where_there_is_one() -> None:
    world = everything()
    rows = world.measuring("ch4").tolist()
    old = int(world.building[rows[4]])
    for seed in range(8):
        stage = stage_of(with_uses(world, {old: Use.OLD_HOME}), seed=seed)
        staged = gas_leak(stage, Wish("gas_leak", at_s=600, place="old_home"))
        assert world.city.columns.ids[rows[4]] in staged.episodes[0].sensors
    # none there: anywhere will do
    assert gas_leak(stage_of(world), Wish("gas_leak", at_s=600, place="old_home")).episodes


def test_a_leak_in_a_grid_stays_in_it_and_an_unknown_place_is_told() -> None:
    stage = stage_of(everything(), seed=5)
    assert gas_leak(stage, Wish("gas_leak", at_s=600, place="G12")).episodes[0].grid == "G12"
    with pytest.raises(CannotError, match="'nowhere' is neither a grid of the city nor one of home, old_home"):
        gas_leak(stage, Wish("gas_leak", place="nowhere"))
    with pytest.raises(CannotError, match="option where is 'roof', expected one of any, room, street"):
        gas_leak(stage, Wish("gas_leak", options={"where": "roof"}))


def test_what_would_begin_after_the_run_cannot_be_staged() -> None:
    with pytest.raises(CannotError, match="run ends before"):
        gas_leak(stage_of(example(), hours=1), Wish("gas_leak", at_s=7_200))


@given(strength=st.floats(0.3, 100), seed=SEEDS)
@settings(max_examples=6, deadline=None)
def test_a_small_leak_passes_no_limit_however_strong_it_is_wished(strength: float, seed: int) -> None:
    stage = stage_of(example(), seed=seed, hours=12)
    staged = happen(small_leak, stage, Wish("small_leak", at_s=600, strength=strength))
    (episode,) = staged.episodes
    assert episode.over_limit == ()
    assert episode.limit_us is None
    assert peak(stage, staged, _victim(stage, staged)) <= 0.6 * 25 + 1e-6


def test_a_small_leak_lasts_for_hours_and_settles() -> None:
    stage = stage_of(example(), hours=12)
    staged = small_leak(stage, Wish("small_leak", at_s=600))
    (episode,) = staged.episodes
    assert (episode.to_us - episode.from_us) / US_PER_SECOND > 5 * 3_600
    times = stage.start_us + np.arange(600, 600 + 21_600, 60) * US_PER_SECOND
    course = values_of(stage, staged, np.array([_victim(stage, staged)]), times)[:, 0]
    assert 1 < course.max() < 3.5
    assert np.diff(course)[-1] < np.diff(course)[0] / 3


def test_carbon_monoxide_rises_for_hours_in_a_shut_flat_and_not_outside() -> None:
    world = everything()
    stage = stage_of(world, hours=6)
    staged = happen(co_poisoning, stage, Wish("co_poisoning", at_s=600))
    (episode,) = staged.episodes
    assert all(world.city.sensor(name).quantity == "co" for name in episode.sensors)
    assert episode.severity is Severity.EXTREME
    assert episode.limit_us is not None
    assert 10 * 60 < (episode.limit_us - episode.from_us) / US_PER_SECOND < 40 * 60
    # 20 g an hour in 150 m³ for three hours, a third of it gone through the walls each hour
    assert 150 < peak(stage, staged, _victim(stage, staged)) < 300
    with pytest.raises(CannotError, match="no free co sensor in a room"):
        co_poisoning(stage_of(in_the_open(world, "co")), Wish("co_poisoning"))


def _pits() -> World:
    return in_the_open(everything(), "ch4", "h2s", "o2")


def test_a_pit_without_air_gathers_methane_and_hydrogen_sulphide_and_loses_oxygen() -> None:
    world = _pits()
    stage = stage_of(world, hours=14)
    staged = happen(valve_pit, stage, Wish("valve_pit", at_s=600))
    (episode,) = staged.episodes
    rows = {world.city.sensor(name).quantity: world.city.sensor_index[name] for name in episode.sensors}
    assert set(rows) == {"ch4", "h2s", "o2"}
    times = stage.start_us + np.arange(600, 600 + 36_000, 120) * US_PER_SECOND
    values = values_of(stage, staged, np.array([rows["ch4"], rows["h2s"], rows["o2"]]), times)
    assert (np.diff(values[:, :2], axis=0) >= -1e-9).all()
    assert (np.diff(values[:, 2]) <= 1e-9).all()
    assert values[-1, 0] > 25
    assert values[-1, 1] > 14.4
    assert values[-1, 2] < 19.5
    # five %LEL in the first hour, five ppm, half a percent
    hour = 30
    assert values[hour, 0] - values[0, 0] == pytest.approx(5.3, rel=0.1)
    assert values[hour, 1] - values[0, 1] == pytest.approx(5.0, rel=0.1)
    assert values[0, 2] - values[hour, 2] == pytest.approx(0.5, rel=0.2)


def test_a_pit_of_the_district_is_one_by_its_name() -> None:
    world = example()
    for seed in range(3):
        staged = valve_pit(stage_of(world, seed=seed, hours=14), Wish("valve_pit", at_s=600))
        place = world.city.sensor(staged.episodes[0].sensors[0]).place
        assert "阀门井" in place.zh


def test_leaks_of_one_run_are_kept_apart_where_the_city_is_large_enough() -> None:
    world = example()
    for seed in range(6):
        stage = stage_of(world, seed=seed)
        first = gas_leak(stage, Wish("gas_leak", at_s=600)).episodes[0]
        second = co_poisoning(stage, Wish("co_poisoning", at_s=600)).episodes[0]
        one, other = (world.city.sensor_index[episode.sensors[0]] for episode in (first, second))
        assert np.hypot(world.east[one] - world.east[other], world.north[one] - world.north[other]) >= 1_000
    # nine boxes on a square of 1.2 km: the tenth has to stand near another, and still finds its place
    stage = stage_of(everything())
    for _ in range(9):
        assert gas_leak(stage, Wish("gas_leak", at_s=600)).episodes


@pytest.mark.parametrize(
    ("zh", "en", "expected"),
    [
        ("福山街526号医院食堂", "Hospital canteen, 526 Fushan Street", False),
        ("竹阳大道45号阀门井", "Gas valve, 45 Zhuyang Avenue", True),
        ("x", "Gas valve pit, 24 Shiliu Road", True),
        ("x", "Sewer manhole, 362 Bailin Street", True),
    ],
)
def test_a_pit_is_told_by_its_name_and_a_hospital_is_none(zh: str, en: str, expected: bool) -> None:
    city = make_city((("ch4", 5),), side=1)
    named = replace(city, sensors=tuple(replace(one, place=LocalText(zh, en)) for one in city.sensors))
    assert is_pit(world_of(named), 0) is expected


def test_gas_in_a_room_is_never_more_than_pure() -> None:
    stage = stage_of(example(), hours=3)
    staged = happen(gas_leak, stage, Wish("gas_leak", at_s=60, strength=100, lasts_s=9_000))
    assert peak(stage, staged, _victim(stage, staged)) <= 2_000
    stage = stage_of(_pits(), hours=14)
    happen(valve_pit, stage, Wish("valve_pit", at_s=60, strength=100))
