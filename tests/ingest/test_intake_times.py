"""When readings count: repeats, lateness, clocks that were put back, what was admitted before a restart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import IngestSettings
from ingest.intake import Intake
from ingest.model import Admission, Quality, RefusalReason
from tests.ingest.builders import NOW_S, NOW_US, SUBSCRIPTIONS, admit, good, intake, message, small_city

SECOND = 1_000_000
R = RefusalReason


def test_a_repeated_reading_is_refused_in_the_batch_and_later() -> None:
    chosen = intake()
    first = admit(message(good()), message(good()), into=chosen)
    again = admit(message(good()), message(good("air-1")), into=chosen)
    assert (len(first.batch), len(again.batch)) == (1, 1)
    assert [refusal.reason for refusal in (*first.refused, *again.refused)] == [R.DUPLICATE, R.DUPLICATE]
    assert again.refused[0].found == "gas-1 at 2023-11-14T22:13:20.000Z again"


def test_another_value_in_the_same_second_is_no_repeat_and_is_neither_late_nor_lost() -> None:
    chosen = intake()
    first = admit(message([good(v=0), good(v=1), good(v=0)]), into=chosen)
    again = admit(message([good(v=2), good(v=1)]), into=chosen)
    assert first.batch.value.tolist() == [0, 1]
    assert first.batch.event_us.tolist() == [NOW_US, NOW_US + 1]
    assert again.batch.value.tolist() == [2]
    assert again.batch.event_us.tolist() == [NOW_US + 2]
    assert {*first.batch.quality.tolist(), *again.batch.quality.tolist()} == {Quality.GOOD}
    assert [refusal.reason for refusal in (*first.refused, *again.refused)] == [R.DUPLICATE, R.DUPLICATE]


def test_a_burst_within_one_second_is_kept_whole_however_long_it_is() -> None:
    chosen = intake()
    values = np.linspace(0, 100, 150).tolist()
    placed: list[int] = []
    for first in range(0, 150, 15):
        batch = admit(*[message(good(v=value)) for value in values[first : first + 15]], into=chosen).batch
        assert set(batch.quality.tolist()) == {Quality.GOOD}
        placed += batch.event_us.tolist()
    assert placed == list(range(NOW_US, NOW_US + 150))


def test_the_last_few_readings_of_a_sensor_are_remembered() -> None:
    chosen = intake()
    admit(message([good(t=NOW_S + number) for number in range(20)]), into=chosen)
    again = admit(message([good(t=NOW_S + number) for number in range(20)]), into=chosen)
    assert [refusal.reason for refusal in again.refused] == [R.DUPLICATE] * 8
    assert again.batch.quality.tolist() == [Quality.LATE] * 12  # not remembered, and judged by nobody


def test_a_reading_older_than_the_newest_of_its_sensor_is_late() -> None:
    chosen = intake()
    admit(message([good(t=NOW_S - 5), good("air-1", t=NOW_S - 9)]), into=chosen)
    later = admit(message([good(t=NOW_S - 6), good(t=NOW_S - 4)]), into=chosen).batch
    assert later.quality.tolist() == [Quality.LATE, Quality.GOOD]
    assert chosen.counters["late"] == 1


def test_a_press_that_its_release_overtook_is_not_late() -> None:
    chosen = intake()
    admit(message(good(v=0, t=NOW_S - 9)), into=chosen)
    batch = admit(message(good(v=0, t=NOW_S - 1)), message(good(v=1, t=NOW_S - 2)), into=chosen).batch
    assert batch.quality.tolist() == [Quality.GOOD, Quality.GOOD]


def sent(chosen: Intake, t: float, at_s: float) -> Admission:
    now_us = NOW_US + round(at_s * SECOND)
    return admit(message(good(t=NOW_S + t), received_us=now_us), into=chosen, now_us=now_us)


def test_a_clock_that_was_put_back_begins_anew_with_the_fifth_reading() -> None:
    chosen = intake()
    sent(chosen, 100, 0)
    found = [sent(chosen, second, second) for second in range(10, 80, 10)]
    qualities = [int(one.batch.quality[0]) for one in found]
    assert qualities == [Quality.LATE] * 4 + [Quality.GOOD] * 3
    assert [tuple(one.stepped) for one in found] == [()] * 4 + [(0,)] + [()] * 2
    assert chosen.counters["clock_steps"] == 1
    assert sent(chosen, 65, 80).batch.quality.tolist() == [Quality.LATE]


def test_a_clock_that_was_put_back_is_found_within_one_batch_too() -> None:
    chosen = intake()
    sent(chosen, 100, 0)
    back = [message(good(t=NOW_S + second), received_us=NOW_US + second * SECOND) for second in range(10, 80, 10)]
    admission = admit(*back, into=chosen, now_us=NOW_US + 70 * SECOND)
    assert admission.batch.quality.tolist() == [Quality.LATE] * 4 + [Quality.GOOD] * 3
    assert tuple(admission.stepped) == (0,)


def test_history_that_is_sent_later_is_no_clock_put_back() -> None:
    chosen = intake()
    sent(chosen, 0, 0)
    in_a_burst = [sent(chosen, second, 1 + second / 1e6) for second in range(-200, -100, 10)]
    among_live_ones = [sent(chosen, t, second) for second in range(10, 200, 10) for t in (second - 100, second)]
    qualities = [int(one.batch.quality[0]) for one in (*in_a_burst, *among_live_ones[::2])]
    assert set(qualities) == {Quality.LATE}
    assert chosen.counters["clock_steps"] == 0


@pytest.mark.parametrize(
    ("sensor_id", "age_s", "quality"),
    [
        ("gas-1", 300, Quality.GOOD),
        ("gas-1", 301, Quality.LATE),
        ("air-1", 1200, Quality.GOOD),
        ("air-1", 1201, Quality.LATE),
    ],
)
def test_a_reading_is_late_after_late_s_and_two_intervals(sensor_id: str, age_s: int, quality: Quality) -> None:
    assert admit(message(good(sensor_id, t=NOW_S - age_s))).batch.quality.tolist() == [quality]


def test_a_retained_message_is_marked_and_does_not_stand_in_the_way_of_the_live_one() -> None:
    chosen = intake()
    assert admit(message(good(), retained=True), into=chosen).batch.quality.tolist() == [Quality.RETAINED]
    assert admit(message(good()), into=chosen).batch.quality.tolist() == [Quality.GOOD]
    assert admit(message(good(), retained=True), into=chosen).refused[0].reason is R.DUPLICATE
    both = admit(message(good("air-1"), retained=True), message(good("air-1")), into=chosen)
    assert both.batch.quality.tolist() == [Quality.RETAINED, Quality.GOOD]


def test_a_drill_that_comes_late_is_still_a_drill() -> None:
    assert admit(message(good(t=NOW_S - 1000, q="simulated"))).batch.quality.tolist() == [Quality.SIMULATED]


def test_when_time_follows_the_broker_readings_count_as_received_now() -> None:
    chosen = Intake(small_city(), IngestSettings(), SUBSCRIPTIONS, follows_broker=True)
    batch = admit(message(good(), received_us=0), into=chosen).batch
    assert (batch.received_us.tolist(), batch.quality.tolist()) == ([NOW_US], [Quality.GOOD])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 2)), max_size=30),
    st.lists(st.integers(1, 7), min_size=1),
)
def test_repeats_and_places_are_the_same_however_readings_are_cut_into_batches(
    rows: list[tuple[int, int, int]], cuts: list[int]
) -> None:
    ids = ["gas-1", "air-1", "air-2", "crack-1"]
    messages = [
        message(good(ids[one], t=NOW_S - second, v=value, u=None if one != 2 else "Cel")) for one, second, value in rows
    ]
    whole, pieces = intake(), intake()
    at_once = admit(*messages, into=whole)
    kept: list[list[int]] = []
    place = 0
    while place < len(messages):
        step = cuts[place % len(cuts)]
        batch = admit(*messages[place : place + step], into=pieces).batch
        kept += np.column_stack([batch.sensor, batch.event_us]).tolist()
        place += step
    batch = at_once.batch
    if all(sum(one == other for other, _, _ in rows) <= 8 for one, _, _ in rows):  # what is remembered suffices
        assert np.column_stack([batch.sensor, batch.event_us]).tolist() == kept
        assert {**whole.counters, "late": 0} == {**pieces.counters, "late": 0}
    assert whole.counters["late"] == 0  # what came together is put in order
