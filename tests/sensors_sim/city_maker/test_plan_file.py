from pathlib import Path

import numpy as np
import pytest

from config.city_files import EXAMPLE, load_city
from config.errors import ConfigurationError
from sensors_sim.city_maker import load_world, make_world, write_world
from sensors_sim.city_maker.plan_file import EDITION, PLAN_FILE
from sensors_sim.world import World, world_of


@pytest.fixture(scope="module")
def made() -> World:
    return make_world(400, 5)


def test_a_folder_without_a_plan_is_taken_for_what_its_sensors_tell() -> None:
    world, told = load_world(EXAMPLE), world_of(load_city(EXAMPLE))
    assert (world.building == told.building).all()
    assert not world.plan.streets.size


def test_a_changed_limit_or_a_dropped_sensor_leaves_all_others_where_they_are(made: World, tmp_path: Path) -> None:
    write_world(made, tmp_path)
    table = tmp_path / "sensors.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([lines[0], *reversed(lines[2:])]) + "\n", encoding="utf-8")
    (tmp_path / "limits.csv").unlink()
    world = load_world(tmp_path)
    assert len(world.city.sensors) == 399
    before = np.array([made.city.sensor_index[id_] for id_ in world.city.columns.ids])
    for name in ("east", "north", "building", "indoor"):
        assert (getattr(world, name) == getattr(made, name)[before]).all()


def test_a_new_or_moved_sensor_takes_the_nearest_building(made: World, tmp_path: Path) -> None:
    write_world(made, tmp_path)
    table = tmp_path / "sensors.csv"
    columns = made.city.columns
    home = int(made.measuring("activity")[0])
    lamp = int(made.measuring("illuminance")[0])
    text = table.read_text(encoding="utf-8")
    for row in (home, lamp):
        text = text.replace(f"{columns.ids[row]},", f"{columns.ids[row]}-new,")
    table.write_text(text, encoding="utf-8")
    world = load_world(tmp_path)
    there = int(world.building[home])
    away = np.hypot(world.plan.east - world.east[home], world.plan.north - world.north[home])
    assert there == int(np.argmin(away))
    assert world.indoor[home]
    assert world.building[lamp] == -1
    assert not world.indoor[lamp]
    others = np.setdiff1d(np.arange(400), [home, lamp])
    assert (world.building[others] == made.building[others]).all()


def test_a_plan_of_another_edition_is_passed_over(made: World, tmp_path: Path) -> None:
    write_world(made, tmp_path)
    with np.load(tmp_path / PLAN_FILE) as file:
        content = {name: file[name] for name in file.files}
    content["edition"] = np.int64(EDITION + 1)
    np.savez(tmp_path / PLAN_FILE, **content)
    assert not load_world(tmp_path).plan.streets.size


@pytest.mark.parametrize("content", [b"", b"no plan", b"PK\x03\x04torn"])
def test_a_plan_that_is_none_is_named(made: World, tmp_path: Path, content: bytes) -> None:
    write_world(made, tmp_path)
    (tmp_path / PLAN_FILE).write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"plan\.npz: found .*, expected a street plan"):
        load_world(tmp_path)


def test_a_plan_that_misses_something_is_named(made: World, tmp_path: Path) -> None:
    write_world(made, tmp_path)
    np.savez(tmp_path / PLAN_FILE, edition=np.int64(EDITION))
    with pytest.raises(ConfigurationError, match="streets"):
        load_world(tmp_path)
