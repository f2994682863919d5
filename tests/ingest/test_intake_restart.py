"""What the intake knows after a restart is what it would have known without."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.intake import Intake
from ingest.model import Admission, Message, Messages, Quality, Record, RefusalReason
from tests.ingest.builders import NOW_S, NOW_US, admit, good, intake, message

SECOND = 1_000_000
IDS = ["gas-1", "air-1", "air-2", "crack-1"]


def record(admission: Admission, now_us: int = NOW_US, position: int = 0) -> Record:
    """As the spool keeps it: nothing of what was refused but the sensors."""
    return Record(position, now_us, replace(admission, refused=()))


def again(*messages: Message) -> list[Message]:
    return [replace(one, redelivered=True) for one in messages]


def restore(from_: Intake, into: Intake) -> None:
    for (_, had), (_, has) in zip(from_.tables(), into.tables(), strict=True):
        for name, column in had.items():
            has[name][:] = column


def assert_same(one: Intake, other: Intake) -> None:
    for (owner, had), (_, has) in zip(one.tables(), other.tables(), strict=True):
        for name, column in had.items():
            assert np.array_equal(column, has[name]), f"{owner}.{name}"


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),  # sensor
        st.integers(-40, 60),  # age, seconds
        st.sampled_from([1, 2, 21]),
        st.sampled_from([None, "simulated", "doubtful"]),
        st.booleans(),  # retained
        st.sampled_from([None, 1, 2]),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(ROWS, max_size=6), st.integers(0, 6))
def test_state_after_a_restart_is_what_it_would_have_been(batches: list[list[tuple]], snapshot_at: int) -> None:  # type: ignore[type-arg]
    straight, restarted = intake(late_s=30), intake(late_s=30)
    for number, rows in enumerate(batches):
        if number == snapshot_at:
            restore(straight, restarted)
        now_us = NOW_US + number * 15 * SECOND
        messages = [
            message(
                good(IDS[one], t=now_us // SECOND - age, v=value, u="Cel" if one == 2 else None, q=mark, s=count),
                received_us=now_us,
                retained=retained,
            )
            for one, age, value, mark, retained, count in rows
        ]
        admission = straight.admit(Messages.of(messages), now_us)
        (restarted.remember if number >= snapshot_at else restarted.recall)(record(admission, now_us, number))
    if snapshot_at <= len(batches):
        if snapshot_at == len(batches):
            restore(straight, restarted)
        assert_same(straight, restarted)


def test_a_clock_that_was_put_back_stays_put_back_over_a_restart() -> None:
    straight, restarted = intake(), intake()
    for t, at_s in [(100, 0), (10, 10), (20, 20), (30, 30), (40, 40), (50, 50), (60, 60)]:
        now_us = NOW_US + at_s * SECOND
        admission = admit(message(good(t=NOW_S + t), received_us=now_us), into=straight, now_us=now_us)
        restarted.remember(record(admission, now_us))
    assert straight.counters["clock_steps"] == 1
    assert_same(straight, restarted)
    late = admit(
        message(good(t=NOW_S + 55), received_us=NOW_US + 70 * SECOND), into=restarted, now_us=NOW_US + 70 * SECOND
    )
    assert late.batch.quality.tolist() == [Quality.LATE]


def test_a_press_in_the_second_of_the_heartbeat_of_before_a_restart_is_kept_behind_it() -> None:
    restarted = intake()
    restarted.remember(record(admit(message(good(v=0)))))
    batch = admit(message([good(v=0), good(v=1)]), into=restarted).batch
    assert (batch.value.tolist(), batch.event_us.tolist()) == ([1], [NOW_US + 1])
    assert batch.quality.tolist() == [Quality.GOOD]


@pytest.mark.parametrize("through", ["the same process", "remember", "recall"])
def test_however_deep_the_window_was_what_is_sent_again_is_refused(through: str) -> None:
    messages = [message([good(t=NOW_S - 250 + pack * 10 + n / 100) for n in range(100)]) for pack in range(25)]
    chosen = intake()
    first = admit(*messages, into=chosen)
    assert len(first.batch) == 2500
    if through != "the same process":
        chosen = intake()
        getattr(chosen, through)(record(first))
    second = admit(*again(*messages), into=chosen)
    assert len(second.batch) == 0
    assert [refusal.reason for refusal in second.refused] == [RefusalReason.DUPLICATE] * 25  # one for each message
    assert second.refused[0].found.endswith("and 99 more of this message")
    counters = chosen.counters
    assert counters["redelivered_duplicates"] == counters["refused.duplicate"] == counters["refused"] == 2500


def test_what_was_not_admitted_before_is_admitted_when_it_is_sent_again() -> None:
    chosen = intake()
    admit(message(good(v=1)), into=chosen)
    both = admit(*again(message([good(v=1), good(v=2), good(v=1, s=7)])), into=chosen)
    assert both.batch.value.tolist() == [2, 1]
    assert chosen.counters["redelivered_duplicates"] == 1


def test_a_retained_message_that_is_sent_again_is_known_and_stands_in_nobodys_way() -> None:
    kept = replace(message(good()), retained=True)
    chosen = intake()
    admit(kept, into=chosen)
    assert len(admit(*again(kept), into=chosen).batch) == 0
    assert admit(*again(message(good())), into=chosen).batch.quality.tolist() == [Quality.GOOD]


def test_the_sequence_tells_readings_apart_that_are_otherwise_equal() -> None:
    chosen = intake()
    counted = [good(), good(s=1), good(s=2), good(s=-1), good(s=2**70)]
    first = admit(message(counted), into=chosen)
    assert first.batch.event_us.tolist() == [NOW_US + place for place in range(5)]
    assert len(set(first.identity.tolist())) == 5
    second = admit(message([*counted, good(s=2.0), good(s="x"), good(s=True)]), into=chosen)
    assert len(second.batch) == 0  # what is no whole number is passed over


def test_the_event_time_as_given_is_handed_on_beside_the_place() -> None:
    admission = admit(message([good(v=1), good(v=2)]))
    assert admission.batch.event_us.tolist() == [NOW_US, NOW_US + 1]
    assert admission.given_us.tolist() == [NOW_US, NOW_US]


def test_remembering_counts_nothing() -> None:
    restarted, before = intake(), dict(intake().counters)
    restarted.remember(record(admit(message(json.dumps(good()).encode()))))
    assert restarted.counters == before
