"""Event or fault, told apart by what neighbours do."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from detectors.bank import Round
from detectors.engine import Engine
from detectors.model import Condition, Nature, Phase, Verdict
from detectors.neighbours import MOST, Neighbourhood, neighbour_table
from detectors.traits import TRAITS
from tests.detectors.build import START_US, batch, city, city_of, feed, sensor

Series = list[npt.NDArray[np.float64]]


def calm(count: int = 5, steps: int = 400, seed: int = 0) -> Series:
    """A shared slow rhythm, an offset of each sensor, and its own noise."""
    rng = np.random.default_rng(seed)
    rhythm = 40 + 10 * np.sin(np.arange(steps) / 60)
    return [rhythm + rng.normal(0, 3) + rng.normal(0, 1.5, steps) for _ in range(count)]


def unusual(series: Series, quantity: str = "pm25") -> list[Verdict]:
    engine = Engine(city([quantity] * len(series)))
    return [v for v in feed(engine, [one.tolist() for one in series]) if v.condition is Condition.UNUSUAL]


def test_a_lonely_deviation_is_a_fault_once_the_neighbours_had_time_to_follow() -> None:
    series = calm()
    series[2][250:] -= np.minimum(np.arange(150) * 4, 60)
    verdicts = unusual(series)
    assert {v.sensor for v in verdicts} == {2}
    assert [(v.phase, v.nature) for v in verdicts] == [(Phase.RAISED, Nature.UNKNOWN), (Phase.CHANGED, Nature.FAULT)]
    assert verdicts[1].at_us - verdicts[0].at_us == 6 * 60_000_000
    assert verdicts[1].neighbours == (1, 3, 0, 4) or set(verdicts[1].neighbours) == {0, 1, 3, 4}


def test_a_deviation_that_neighbours_share_is_an_event() -> None:
    series = calm()
    for one in series[:4]:
        one[250:] += 240
    verdicts = unusual(series)
    opened = {v.sensor for v in verdicts if v.nature is Nature.EVENT}
    assert opened >= {0, 1, 2, 3} - {v.sensor for v in verdicts if v.nature is Nature.UNKNOWN}
    assert len(opened) >= 3
    assert not [v for v in verdicts if v.nature is Nature.FAULT and v.sensor != 4]


def test_a_common_rhythm_opens_nothing() -> None:
    assert not unusual(calm(8, 1000))


def test_one_broken_neighbour_of_two_accuses_nobody_else() -> None:
    series = calm(3)
    series[0][250:] += 70
    assert {v.sensor for v in unusual(series) if v.nature is Nature.FAULT} <= {0}


def test_without_neighbours_it_stays_unknown() -> None:
    series = calm(1)
    series[0][250:] += np.minimum(np.arange(150) * 10, 400)
    assert [(v.nature, v.reason.key) for v in unusual(series)] == [(Nature.UNKNOWN, "reason.unusual.alone")]


def test_without_neighbours_a_jump_that_the_world_does_not_make_is_a_fault() -> None:
    series = calm(1)
    series[0][250:] += 700
    assert [(v.nature, v.reason.key) for v in unusual(series)] == [(Nature.FAULT, "reason.unusual.jump")]


def test_neighbours_that_fell_silent_confirm_nothing() -> None:
    series = calm()
    for one in series[1:]:
        one[200:] = np.nan
    series[0][250:] += np.minimum(np.arange(150) * 10, 400)
    assert {v.nature for v in unusual(series)} == {Nature.UNKNOWN}


def test_a_change_of_weather_shared_by_all_calls_nobody() -> None:
    rng = np.random.default_rng(3)
    series = [np.r_[rng.normal(30, 0.2, 300), rng.normal(8, 0.2, 100)] for _ in range(5)]
    assert {v.nature for v in unusual(series, "temperature")} <= {Nature.UNKNOWN}


def test_a_fault_ends_when_the_sensor_is_back() -> None:
    series = calm(steps=700)
    series[2][250:300] -= 60
    verdicts = unusual(series)
    assert verdicts[-1].phase is Phase.CLEARED
    assert verdicts[-1].nature is Nature.FAULT


def test_neighbours_are_the_nearest_of_the_same_quantity_within_reach_and_not_of_the_same_device() -> None:
    near = [sensor(i, "pm25", lon=116.4 + 0.002 * i) for i in range(12)]
    far = sensor(12, "pm25", lon=117.0)
    other = sensor(13, "temperature", lon=116.4001)
    twin = dataclasses.replace(sensor(14, "pm25", lon=116.4), device=near[0].device)
    table = neighbour_table(city_of([*near, far, other, twin]))
    assert table.shape == (15, MOST)
    assert table[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (table[12] == -1).all()
    assert (table[13] == -1).all()
    assert 0 not in table[14]


@pytest.mark.parametrize("quantity", ["ch4", "noise", "tilt"])
def test_a_quantity_that_is_not_shared_has_no_neighbours(quantity: str) -> None:
    assert (neighbour_table(city([quantity] * 4)) == -1).all()


def test_the_table_is_that_of_measuring_every_distance() -> None:
    rng = np.random.default_rng(8)
    sensors = [
        dataclasses.replace(
            sensor(i, "pm25" if i % 3 else "pressure", lon=116.3 + 0.1 * rng.random(), lat=39.9 + 0.1 * rng.random()),
            device=f"box-{i // 2}",
        )
        for i in range(120)
    ]
    table = neighbour_table(city_of(sensors))
    for own in sensors:
        same = [s for s in sensors if s.quantity == own.quantity]
        shrink = np.cos(np.radians(np.mean([s.lat for s in same])))
        far = {s.index: 111_320 * np.hypot((s.lon - own.lon) * shrink, s.lat - own.lat) for s in same}
        reach = TRAITS[own.quantity].reach_m
        near = [s.index for s in same if s.device != own.device and far[s.index] <= reach]
        expected = sorted(near, key=far.__getitem__)[:MOST]
        assert table[own.index].tolist() == expected + [-1] * (MOST - len(expected))


def test_a_neighbour_that_speaks_seldom_is_fresh_for_as_long_as_it_may_be_silent() -> None:
    often, seldom = [sensor(i, "pm25", 10, 116.4 + 0.001 * i) for i in range(2)], sensor(2, "pm25", 600, 116.402)
    town = city_of([*often, seldom])
    engine, around = Engine(town), Neighbourhood(town)
    engine.process(batch([(1, 0, 40.0), (2, 0, 40.0), (0, 1000, 40.0)]), 0)
    asked = np.array([0])
    at_us = np.array([START_US + 1_000_000_000])
    first, nothing = np.array([False]), np.zeros(1)
    look = around.look(
        Round(
            asked,
            around.kind[asked],
            at_us,
            nothing,
            first,
            at_us,
            nothing,
            nothing,
            engine._records.faces,
            engine._glances,
        )
    )
    assert (look.count.tolist(), look.of(0)) == ([1], (2,))
