"""Devices sample when they should, in bursts where they do, and more often in a hurry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import US_PER_SECOND
from sensors_sim.physics.schedule import Schedule
from sensors_sim.staging import Hurry

START_US = 1_780_000_000 * US_PER_SECOND


def schedule(intervals_s: list[float], *, seed: int = 1, burst: int = 1, step_us: int = 10_000) -> Schedule:
    count = len(intervals_s)
    interval_us = (np.array(intervals_s) * US_PER_SECOND).astype(np.int64)
    return Schedule(
        interval_us, np.arange(count), seed, START_US, step_us=np.full(count, step_us), burst=np.full(count, burst)
    )


def taken(made: Schedule, seconds: float, tick_s: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    ends = START_US + (np.arange(1, round(seconds / tick_s) + 1) * tick_s * US_PER_SECOND).astype(np.int64)
    parts = [made.take_due(int(end)) for end in ends]
    for (_, times), end in zip(parts, ends, strict=True):
        assert np.all(times < end)
        assert np.all(times >= end - round(tick_s * US_PER_SECOND))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


@settings(max_examples=25, deadline=None)
@given(
    interval=st.floats(0.5, 400),
    tick=st.sampled_from([1.0, 5.0, 60.0]),
    seed=st.integers(0, 2**40),
    burst=st.sampled_from([1, 16]),
)
def test_the_length_of_an_instant_changes_nothing(interval: float, tick: float, seed: int, burst: int) -> None:
    one = taken(schedule([interval, 7.0], seed=seed, burst=burst), 600, tick)
    other = taken(schedule([interval, 7.0], seed=seed, burst=burst), 600, 600)
    assert np.array_equal(one[1], other[1])
    assert np.array_equal(one[0], other[0])
    assert np.all(one[1] % 1000 == 0)
    assert np.all(np.diff(one[1]) >= 0)


def test_a_burst_is_evenly_spaced_and_whole_and_comes_once_an_interval() -> None:
    sensors, times = taken(schedule([60.0], burst=128, step_us=20_000), 600)
    assert len(times) == pytest.approx(1280, abs=128)
    gaps = np.diff(times)
    assert np.sum(gaps == 20_000) >= len(times) - 11
    pauses = gaps[gaps != 20_000]
    assert len(pauses) in {9, 10}
    assert np.all(np.abs(pauses - (60 - 127 * 0.02) * 1e6) < 1.3e6)
    assert set(sensors) == {0}


def test_those_in_a_hurry_sample_so_many_times_as_often_and_only_then() -> None:
    made = schedule([60.0, 60.0, 600.0])
    begin, end = START_US + 1000 * US_PER_SECOND, START_US + 2200 * US_PER_SECOND
    made.hasten([Hurry(np.array([2, 0]), begin, end, 12.0)])
    sensors, times = taken(made, 3600)
    for row, interval, hurried in ((0, 60.0, 5.0), (1, 60.0, 60.0), (2, 600.0, 50.0)):
        mine = times[sensors == row]
        within = mine[(mine >= begin) & (mine < end)]
        assert len(within) == pytest.approx(1200 / hurried, abs=2)
        assert np.diff(within) / 1e6 == pytest.approx(np.full(len(within) - 1, hurried), rel=0.03)
        outside = np.concatenate((np.diff(mine[mine < begin]), np.diff(mine[mine >= end])))
        assert outside / 1e6 == pytest.approx(np.full(len(outside), interval), rel=0.03)
        assert np.all(np.diff(mine) > 0)


def test_who_is_not_in_a_hurry_samples_as_if_nobody_were() -> None:
    calm, other = schedule([30.0] * 8), schedule([30.0] * 8)
    other.hasten([Hurry(np.array([3]), START_US + 10**8, START_US + 2 * 10**8, 5.0)])
    one, two = taken(calm, 300), taken(other, 300)
    for row in range(8):
        same = np.array_equal(one[1][one[0] == row], two[1][two[0] == row])
        assert same == (row != 3)


def test_two_hurries_at_once_multiply_and_nobody_is_faster_than_a_millisecond() -> None:
    made = schedule([60.0])
    made.hasten([Hurry(np.array([0]), START_US, START_US + 10**9, 4.0)])
    made.hasten([Hurry(np.array([0]), START_US, START_US + 10**9, 5.0), Hurry(np.empty(0, np.int64), START_US, 1, 9.0)])
    _, times = taken(made, 300)
    assert np.diff(times[2:]) / 1e6 == pytest.approx(np.full(len(times) - 3, 3.0), rel=0.03)
    wild = schedule([0.01])
    wild.hasten([Hurry(np.array([0]), START_US, START_US + 10**9, 1e6)])
    assert np.all(np.diff(taken(wild, 1)[1]) >= 1000)
