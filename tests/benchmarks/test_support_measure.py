import pytest

from benchmarks.support_measure import NOTHING_COMES_S, busy, delays, settle


def test_a_delay_is_from_the_reading_to_its_alarm_and_missing_ones_are_left_out() -> None:
    assert delays({"S1": 10.0, "S2": 11.0, "S3": 12.0}, {"S2": 11.25, "S1": 10.5, "S9": 1.0}) == [500.0, 250.0]


def test_the_busiest_threads_come_first_and_new_ones_count_from_their_start() -> None:
    before, after = {"1/1": 2.0, "1/2": 0.5}, {"1/1": 3.0, "1/2": 0.5, "1/3": 2.0}
    assert busy(before, after, 1_000_000) == "1/3 2.0, 1/1 1.0, 1/2 0.0"


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_waiting_ends_when_all_has_arrived() -> None:
    clock = Time()
    assert settle(lambda: round((clock.now_s - 100) * 10), 50, lambda: clock.now_s, clock.sleep) == pytest.approx(5)
    assert clock.now_s == pytest.approx(105)


def test_waiting_ends_when_nothing_comes_any_more() -> None:
    clock = Time()
    arrived = lambda: min(7, round((clock.now_s - 100) * 10))  # noqa: E731 - said where it is used
    assert settle(arrived, 50, lambda: clock.now_s, clock.sleep) == pytest.approx(0.8, abs=0.2)
    assert clock.now_s == pytest.approx(100.8 + NOTHING_COMES_S, abs=0.5)
