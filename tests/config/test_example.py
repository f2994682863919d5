from collections import Counter
from datetime import datetime

import numpy as np
import pytest
import shapely

from config.city_files import EXAMPLE, load_city, read_city
from config.geometry import area_m2, metres_per_degree
from config.vocabulary import Category, GridLevel, Kind, Role
from tests.config.helpers import DAY


def test_the_example_has_no_problem_at_all() -> None:
    assert read_city(EXAMPLE, today=DAY).problems == ()


def test_the_example_is_a_complete_district() -> None:
    city = load_city(EXAMPLE)
    levels = Counter(grid.level for grid in city.grids.values())
    assert levels == {
        GridLevel.DISTRICT: 1,
        GridLevel.STREET: 2,
        GridLevel.COMMUNITY: 6,
        GridLevel.GRID: 24,
    }
    assert len(city.sensors) >= 300
    assert {sensor.kind for sensor in city.sensors} == set(Kind)
    assert len(city.workers) == 30
    assert {shift.role for shift in city.roster} == set(Role)
    assert all(city.department_for(category) for category in Category)
    assert city.timezone.key == "Asia/Shanghai"


def test_the_examples_grids_tile_each_level_of_the_district_exactly() -> None:
    grids = load_city(EXAMPLE).grids.values()
    whole = next(grid.polygon for grid in grids if grid.level is GridLevel.DISTRICT)
    for level in GridLevel:
        parts = [grid.polygon for grid in grids if grid.level is level]
        assert area_m2(shapely.union_all(parts)) == pytest.approx(area_m2(whole), abs=0.1)
        assert sum(area_m2(part) for part in parts) == pytest.approx(area_m2(whole), abs=20)
    areas = [area_m2(grid.polygon) / 1e6 for grid in grids if grid.level is GridLevel.GRID]
    assert 0.1 <= min(areas) <= max(areas) <= 1


def test_every_dust_sensor_of_the_example_has_three_neighbours_within_a_kilometre() -> None:
    spots = np.array([(s.lon, s.lat) for s in load_city(EXAMPLE).sensors if s.quantity == "pm25"])
    metres = (spots[:, None] - spots[None]) * metres_per_degree(float(spots[0, 1]))
    near = (np.hypot(metres[..., 0], metres[..., 1]) < 1000).sum(axis=1) - 1
    assert near.min() >= 3


def test_somebody_is_on_duty_in_every_grid_at_every_hour() -> None:
    city = load_city(EXAMPLE)
    for code in (grid.code for grid in city.grids.values() if grid.level is GridLevel.GRID):
        way = {grid.code for grid in city.upwards(code)}
        for hour in range(7 * 24):
            local = datetime(2026, 1, 5 + hour // 24, hour % 24, 45, tzinfo=city.timezone)
            on_duty = {s.role for s in city.roster if s.grid in way and s.covers(local)}
            assert on_duty & {Role.WORKER, Role.DEPUTY}
            assert Role.LEADER in on_duty


def test_each_sensor_stands_in_the_finest_grid_that_holds_it() -> None:
    city = load_city(EXAMPLE)
    for sensor in city.sensors:
        grid = city.grids[sensor.grid]
        assert grid.level is GridLevel.GRID
        assert grid.polygon.covers(shapely.Point(sensor.lon, sensor.lat))
