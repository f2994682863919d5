import itertools

import pytest

from benchmarks import support_measure
from benchmarks.support_measure import busy, delays, settle


def test_a_delay_is_from_the_reading_to_its_alarm_and_missing_ones_are_left_out() -> None:
    assert delays({"S1": 10.0, "S2": 11.0, "S3": 12.0}, {"S2": 11.25, "S1": 10.5, "S9": 1.0}) == [500.0, 250.0]


def test_the_busiest_threads_come_first_and_new_ones_count_from_their_start() -> None:
    before, after = {"1/1": 2.0, "1/2": 0.5}, {"1/1": 3.0, "1/2": 0.5, "1/3": 2.0}
    assert busy(before, after, 1_000_000) == "1/3 2.0, 1/1 1.0, 1/2 0.0"


def test_waiting_ends_when_all_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_measure, "_LOOK_S", 0.0)
    seen = itertools.count(0, 10)
    assert settle(lambda: next(seen), 50) >= 0
    assert next(seen) == 60


def test_waiting_ends_when_nothing_comes_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_measure, "_LOOK_S", 0.0)
    monkeypatch.setattr(support_measure, "NOTHING_COMES_S", 0.01)
    looked = itertools.count()
    assert settle(lambda: min(next(looked), 7), 50) < 1
    assert next(looked) > 8
