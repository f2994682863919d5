import hashlib
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon

from config.city import City
from config.city_files import EXAMPLE, folder_version, read_city
from config.geometry import area_m2
from config.limits import DEFAULT_LIMITS
from config.quantities import QUANTITIES
from config.sensors import SensorColumns
from config.vocabulary import Category, GridLevel, Kind, Role
from sensors_sim.city_maker import load_world, make_world, write_world
from sensors_sim.city_maker.boxes import BOXES
from sensors_sim.city_maker.make import lay_out
from sensors_sim.city_maker.only import make_world_of
from sensors_sim.truth import FAULT_ROLES, on_duty
from sensors_sim.world import Use, World
from tests.support.daemon import ROOT

seeds = st.integers(0, 2**31)


@cache
def made(sensors: int, seed: int = 1) -> World:
    return make_world(sensors, seed)


@cache
def quantities(sensors: int) -> Counter[str]:
    columns = made(sensors).city.columns
    return Counter(columns.quantity.names[code] for code in columns.quantity.code.tolist())


def finest(city: City) -> dict[str, Polygon | MultiPolygon]:
    return {code: grid.polygon for code, grid in city.grids.items() if grid.level is GridLevel.GRID}


def digest(folder: Path) -> str:
    content = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()


def same_columns(one: SensorColumns, other: SensorColumns) -> bool:
    """Whether two tables of sensors are the same, code for code."""
    for name in ("kind", "quantity", "unit", "owner", "grid", "device"):
        left, right = getattr(one, name), getattr(other, name)
        if list(left.names) != list(right.names) or (left.code != right.code).any():
            return False
    numbers = all(
        (getattr(one, name) == getattr(other, name)).all() for name in ("lon", "lat", "interval_s", "calibrated")
    )
    places = all(
        getattr(one, name).some(one.place) == getattr(other, name).some(other.place)
        for name in ("place_zh", "place_en")
    )
    return one.ids == other.ids and numbers and places


def same_city(one: City, other: City) -> bool:
    plain = ("name", "timezone", "version", "grids", "workers", "departments", "roster", "limits")
    return all(getattr(one, name) == getattr(other, name) for name in plain) and same_columns(
        one.columns, other.columns
    )


def same_world(one: World, other: World) -> bool:
    plans = all(
        (getattr(one.plan, name) == getattr(other.plan, name)).all()
        for name in ("streets", "mains", "east", "north", "use", "floors", "volume_m3")
    )
    sensors = all(
        (getattr(one, name) == getattr(other, name)).all() for name in ("east", "north", "building", "indoor")
    )
    return same_city(one.city, other.city) and plans and sensors and (one.lon0, one.lat0) == (other.lon0, other.lat0)


# ---- the same everywhere


def test_two_processes_on_unlike_machines_make_the_same_city_to_the_byte(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sensors_sim.city_maker import make_world, write_world;"
        "write_world(make_world(700, 11), Path(sys.argv[1]))"
    )
    # the second one as on a machine with another processor: NumPy adds up and rounds in other instructions
    plain = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX2 AVX512F", "PYTHONHASHSEED": "2"}
    for name, differs in (("one", {"PYTHONHASHSEED": "1"}), ("two", plain)):
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / name)],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), **differs},
            check=True,
        )
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_a_seed_and_a_size_each_make_another_city() -> None:
    versions = {made(300).city.version, make_world(300, 2).city.version, make_world(301, 1).city.version}
    assert len(versions) == 3


# ---- the folder


@settings(max_examples=12, deadline=None)
@given(sensors=st.integers(100, 900), seed=seeds)
def test_any_small_city_is_read_from_its_folder_without_a_word_and_is_the_same(
    sensors: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("city")
    world = make_world(sensors, seed)
    write_world(world, folder)
    report = read_city(folder, today=datetime(2026, 1, 1, tzinfo=UTC).date())
    assert report.problems == ()
    assert report.city is not None
    assert len(report.city.sensors) == sensors
    assert same_city(report.city, world.city)


@pytest.mark.parametrize("sensors", [100, 1_000, 12_000])
def test_a_city_of_each_usual_size_comes_back_from_its_folder_with_its_plan(sensors: int, tmp_path: Path) -> None:
    world = made(sensors)
    write_world(world, tmp_path)
    assert read_city(tmp_path).problems == ()
    assert folder_version(tmp_path) == world.city.version
    assert same_world(load_world(tmp_path), world)


def test_a_city_read_from_its_folder_is_written_as_it_was(tmp_path: Path) -> None:
    write_world(made(300), tmp_path / "first")
    write_world(load_world(tmp_path / "first"), tmp_path / "second")
    assert digest(tmp_path / "first") == digest(tmp_path / "second")


def test_a_city_of_some_quantities_comes_back_as_it_was(tmp_path: Path) -> None:
    world = make_world_of(300, 2, {"tilt", "settlement", "crack", "temperature"})
    assert set(world.city.columns.quantity.names) == {"tilt", "settlement", "crack", "temperature"}
    assert len(world.city.sensors) == pytest.approx(300, rel=0.2)
    write_world(world, tmp_path)
    assert read_city(tmp_path).problems == ()
    assert same_world(load_world(tmp_path), world)


def test_a_city_that_people_wrote_is_not_written_anew(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not made up here"):
        write_world(load_world(EXAMPLE), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(("sensors", "seed"), [(99, 1), (500_001, 1), (1000, -1)])
def test_a_size_or_seed_that_cannot_be_is_refused(sensors: int, seed: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        make_world(sensors, seed)


# ---- the grids


@pytest.mark.parametrize("sensors", [100, 1_000, 12_000])
def test_every_sensor_stands_in_its_grid(sensors: int) -> None:
    columns, shapes = made(sensors).city.columns, finest(made(sensors).city)
    where = np.array([shapes[columns.grid[row]] for row in range(len(columns))], object)
    assert shapely.contains_xy(where, columns.lon, columns.lat).all()


def test_the_tree_has_four_levels_and_sensible_numbers_on_each() -> None:
    grids = made(12_000).city.grids
    counts = Counter(grid.level for grid in grids.values())
    assert counts[GridLevel.DISTRICT] == 1
    below = Counter(grid.parent for grid in grids.values() if grid.level is GridLevel.GRID)
    assert max(below.values()) <= 9
    assert 3 <= counts[GridLevel.COMMUNITY] / counts[GridLevel.STREET] <= 20
    names = [grid.name.zh for grid in grids.values()]
    assert len(set(names)) == len(names)


def test_no_grid_is_larger_than_two_square_kilometres() -> None:
    for sensors in (100, 1_000, 12_000):
        assert max(area_m2(shape) for shape in finest(made(sensors).city).values()) <= 2_000_000


def test_most_grids_have_300_to_500_households() -> None:
    layout = lay_out(12_000, 1)
    inside = layout.ground.land
    per_grid = np.bincount(layout.tree.label[3][inside], layout.households[inside])
    assert ((per_grid >= 300) & (per_grid <= 500)).mean() > 0.7
    assert 350 <= np.median(per_grid) <= 450


# ---- the sensors


def test_boxes_stand_as_dense_as_plans_have_them() -> None:
    world = made(12_000)
    columns = world.city.columns
    km2 = sum(map(area_m2, finest(world.city).values())) / 1e6
    assert 10 <= len(columns.device.names) / km2 <= 14
    _, first = np.unique(columns.device.code, return_index=True)
    east, north = world.east[first], world.north[first]
    busy = np.flatnonzero(np.isin(world.plan.use, [Use.SCHOOL, Use.HOSPITAL, Use.MARKET]))
    near = [
        (np.hypot(east - world.plan.east[row], north - world.plan.north[row]) < 300).sum() / (np.pi * 0.09)
        for row in busy.tolist()
    ]
    assert 20 <= np.mean(near) <= 60


@pytest.mark.parametrize("sensors", [1_000, 12_000])
def test_every_quantity_is_measured(sensors: int) -> None:
    assert quantities(sensors).keys() == QUANTITIES.keys()


def test_the_kinds_keep_their_proportions() -> None:
    columns = made(12_000).city.columns
    share = {kind: count / 12_000 for kind, count in Counter(sensor.kind for sensor in columns).items()}
    expected = {Kind.GAS: 0.18, Kind.ENVIRONMENT: 0.35, Kind.STRUCTURE: 0.08, Kind.CAMERA: 0.24, Kind.BUILDING: 0.15}
    assert share == pytest.approx(expected, abs=0.03)
    boxes = Counter(columns.device.names[code].rsplit("-", 1)[0] for code in range(len(columns.device.names)))
    whole = sum(box.share for box in BOXES)
    for box in BOXES:
        assert boxes[box.prefix] / boxes.total() == pytest.approx(box.share / whole, rel=0.2, abs=0.002)


def test_a_box_is_one_place_and_some_boxes_measure_many_things() -> None:
    columns = made(1_000).city.columns
    for code in range(len(columns.device.names)):
        rows = np.flatnonzero(columns.device.code == code)
        assert len(set(columns.lon[rows])) == len(set(columns.lat[rows])) == 1
        assert len(set(columns.place[rows])) == 1
        assert (np.diff(rows) == 1).all()
    assert np.bincount(columns.device.code).max() >= 7


def test_not_every_camera_tells_how_its_picture_is_but_whoever_does_tells_all_three() -> None:
    columns = made(12_000).city.columns
    seen: dict[str, set[str]] = {}
    for sensor in columns:
        if sensor.kind is Kind.CAMERA:
            seen.setdefault(sensor.device, set()).add(sensor.quantity)
    image = {"image_brightness", "image_sharpness", "image_change"}
    tells = [image & found for found in seen.values() if image & found]
    assert all(found == image for found in tells)
    assert 0.4 < len(tells) / len(seen) < 0.7


def test_intervals_are_those_of_the_field() -> None:
    usual = {"ch4": (1, 60), "pm25": (60, 600), "tilt": (60, 3600), "settlement": (600, 3600), "people": (1, 10)}
    for sensor in made(12_000).city.columns:
        low, high = usual.get(sensor.quantity, (1, 3600))
        assert low <= sensor.interval_s <= high


def test_a_few_of_those_that_somebody_calibrates_are_overdue() -> None:
    columns = made(12_000).city.columns
    days = columns.calibrated[columns.calibrated > 0]
    overdue = (days < datetime(2025, 1, 1, tzinfo=UTC).date().toordinal()).mean()
    assert 0.01 < overdue < 0.06
    assert (columns.calibrated[columns.kind.code == list(columns.kind.names).index(Kind.GAS)] > 0).all()


def test_gas_meters_of_homes_breathe_a_room_and_walls_are_on_buildings() -> None:
    world = made(12_000)
    columns = world.city.columns
    prefix = np.array([columns.device.names[code].split("-")[0] for code in columns.device.code.tolist()])
    for box in BOXES:
        mine = prefix == box.prefix
        assert (world.indoor[mine] == box.indoor).all()
        assert not box.indoor or (world.building[mine] >= 0).all()
        assert not box.uses or set(world.plan.use[world.building[mine]].tolist()) <= {int(use) for use in box.uses}
    assert (world.building[world.measuring("water_level")] == -1).all()
    assert (world.plan.use[world.building[np.flatnonzero(prefix == "elder")]] <= Use.OLD_HOME).all()


def test_a_leaning_house_has_several_sensors_that_tell() -> None:
    world = made(12_000)
    per_house = np.unique(world.building[world.measuring("tilt")], return_counts=True)[1]
    assert np.median(per_house) >= 3


def test_a_sensor_in_a_building_is_a_few_steps_from_its_middle() -> None:
    world = made(12_000)
    inside = world.building >= 0
    there = world.building[inside]
    away = np.hypot(world.plan.east[there] - world.east[inside], world.plan.north[there] - world.north[inside])
    assert away.max() < 25


# ---- the plan


def test_buildings_stand_apart_from_the_water_and_gas_runs_below_the_streets() -> None:
    world = made(1_000)
    plan = world.plan
    assert set(plan.use.tolist()) == {int(use) for use in Use}
    assert (plan.volume_m3 > 0).all()
    assert (plan.floors >= 1).all()
    for segments in (plan.streets, plan.mains):
        assert segments.shape[1] == 4
        lengths = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
        assert lengths.max() < 600
    tree = shapely.STRtree(np.asarray(shapely.points(plan.east, plan.north), object))
    mains = np.asarray(shapely.linestrings(plan.mains.reshape(-1, 2, 2)), object)
    homes = world.building[np.flatnonzero(world.indoor & np.isin(np.arange(1_000), world.measuring("ch4")))]
    pairs = tree.query(mains, predicate="dwithin", distance=60)
    urban = np.isin(homes, pairs[1]).mean()
    assert urban > 0.7  # those in the fields use bottles


# ---- the people


@pytest.mark.parametrize("sensors", [100, 1_000])
def test_at_every_hour_of_a_week_somebody_is_called_for_every_grid(sensors: int) -> None:
    city = made(sensors).city
    begin = datetime(2026, 3, 2, tzinfo=city.timezone)
    for hour in range(0, 168, 3):
        time_us = int((begin + timedelta(hours=hour, minutes=15)).timestamp()) * 1_000_000
        for grid in finest(city):
            assert on_duty(city, grid, time_us) is not None
            mender = on_duty(city, grid, time_us, FAULT_ROLES)
            assert mender is not None
            assert mender.startswith("maintenance")


def test_a_grid_has_its_worker_by_day_another_on_one_day_of_the_weekend_and_a_deputy_at_night() -> None:
    city = made(1_000).city
    grid = next(iter(finest(city)))
    saturday_noon = datetime(2026, 3, 7, 12, tzinfo=city.timezone)
    by_day = {
        on_duty(city, grid, int((saturday_noon + timedelta(days=day)).timestamp()) * 1_000_000) for day in range(7)
    }
    assert len(by_day) == 2
    midnight = int(datetime(2026, 3, 4, 1, tzinfo=city.timezone).timestamp()) * 1_000_000
    at_night = on_duty(city, grid, midnight, (Role.DEPUTY,))
    assert at_night is not None


def test_people_are_plainly_made_up_and_no_two_share_a_number() -> None:
    workers = made(12_000).city.workers.values()
    assert all(worker.name.zh.startswith("样例") and worker.name.en.startswith("Sample ") for worker in workers)
    assert all(worker.phone.startswith("000-") for worker in workers)
    assert len({worker.phone for worker in workers}) == len(workers)
    assert "虚构" in made(12_000).city.name.zh


def test_every_category_has_a_department_and_every_sensor_an_owner() -> None:
    city = made(1_000).city
    assert len(city.departments) == 12
    assert all(city.department_for(category) for category in Category)
    assert set(city.columns.owner.names) <= city.departments.keys()


# ---- the limits


def test_every_limit_names_its_source_and_the_life_safety_ones_stay_as_the_standards_have_them() -> None:
    city = made(1_000).city
    limits = [limit for steps in city.limits.by_quantity.values() for limit in steps]
    limits += [limit for steps in city.limits.by_sensor.values() for limit in steps]
    assert all(limit.source for limit in limits)
    for default in DEFAULT_LIMITS:
        assert default in city.limits.by_quantity[default.quantity]
    assert {"water_level", "noise", "current", "settlement", "crack", "door_open"} <= city.limits.by_quantity.keys()


def test_places_where_crowds_come_have_a_capacity_of_their_own() -> None:
    world = made(12_000)
    capacities = set()
    for row in world.measuring("people").tolist():
        own = world.city.limits.by_sensor.get(world.city.columns.ids[row])
        building = int(world.building[row])
        counted = building >= 0 and world.plan.use[building] in {Use.MARKET, Use.STATION, Use.SCHOOL, Use.HOSPITAL}
        assert not counted or own is not None
        if own is not None:
            assert own[1].threshold > own[0].threshold
            capacities.add(own[0].threshold)
    assert len(capacities) > 20
