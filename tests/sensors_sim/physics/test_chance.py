"""Chance that counts is distributed as its sources say."""

import numpy as np
import pytest

from sensors_sim.physics.chance import CELL_S, come_and_go, confusions, open_or_shut

MANY = 60_000


@pytest.mark.parametrize("expected", [0.4, 6.0, 240.0])
@pytest.mark.parametrize("elapsed_s", [2.0, 60.0, 900.0])
def test_the_number_of_people_is_poisson_at_any_spacing_and_remembers_who_stayed(
    expected: float, elapsed_s: float
) -> None:
    rng = np.random.default_rng(1)
    before = rng.poisson(expected, MANY).astype(float)
    after = come_and_go(rng, before, np.full(MANY, expected), np.full(MANY, elapsed_s), np.full(MANY, 90.0))
    assert after.mean() == pytest.approx(expected, rel=0.03)
    assert after.var() / after.mean() == pytest.approx(1, abs=0.04)
    assert (after == 0).mean() == pytest.approx(np.exp(-expected), abs=0.01)
    assert np.corrcoef(before, after)[0, 1] == pytest.approx(np.exp(-elapsed_s / 90), abs=0.02)
    assert np.array_equal(after, np.rint(after))


def test_an_empty_place_fills_as_its_expectation_rises() -> None:
    rng = np.random.default_rng(2)
    after = come_and_go(rng, np.zeros(MANY), np.full(MANY, 10.0), np.full(MANY, 90.0), np.full(MANY, 90.0))
    assert after.mean() == pytest.approx(10 * (1 - np.exp(-1)), rel=0.01)


def test_a_door_stands_open_for_its_share_of_the_time_and_as_long_as_it_should() -> None:
    rng = np.random.default_rng(3)
    rate, stays = 1 / 50, 10.0
    share = rate / (rate + 1 / stays)
    door = (rng.random(MANY) < share).astype(float)
    later = open_or_shut(rng, door, np.full(MANY, rate), np.full(MANY, 3.0), np.full(MANY, stays))
    assert later.mean() == pytest.approx(share, abs=0.01)
    assert set(np.unique(later)) == {0, 1}
    still = share + (1 - share) * np.exp(-3 * (rate + 1 / stays))
    assert later[door == 1].mean() == pytest.approx(still, abs=0.01)


def test_classifiers_are_confused_a_few_times_a_week_for_some_seconds_and_always_the_same() -> None:
    cameras, per_week = 3000, 3.0
    seconds = np.arange(0, 12 * CELL_S, 2.0)
    begun, lasted, top = 0, 0, []
    for camera in range(cameras // 10):
        found = confusions(np.full(len(seconds), camera * 977), seconds, per_week)
        on = found > 0
        begun += int(np.sum(on[1:] & ~on[:-1]))
        lasted += int(on.sum()) * 2
        top += [found.max()] if on.any() else []
    expected = cameras / 10 * per_week * 12 / 168
    assert begun == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert 4 < lasted / begun < 40
    assert min(top) > 0.3
    assert max(top) <= 1
    again = confusions(np.full(len(seconds), 977 * 5), seconds, per_week)
    assert np.array_equal(again, confusions(np.full(len(seconds), 977 * 5), seconds, per_week))


def test_nobody_is_confused_where_nothing_can_be() -> None:
    assert confusions(np.arange(1000), np.full(1000, 5.0), 0.0).max() == 0
