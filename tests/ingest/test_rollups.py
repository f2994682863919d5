"""Which pieces a chart is drawn from, and that aggregates made from a stream are those of its readings."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import Quality, ReadingBatch
from ingest.rollups import FIRST, FIVE_MINUTES, HOURS, Aggregates, Kept, Level, Points, Watermark, drawn, pieces
from ingest.store import TRUSTED
from ingest.store_accumulate import Accumulator

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, HOURS.width_us
NOON = HOURS.floor(1_700_000_000 * SECOND)
times = st.integers(0, 200 * HOUR).map(lambda after: NOON + after)


@st.composite
def kept_by_a_store(draw: st.DrawFn) -> Kept:
    raw, five = sorted((draw(times), draw(times)), reverse=True)
    done = FIVE_MINUTES.floor(draw(times))
    hours_done = HOURS.floor(done) - draw(st.integers(0, 5)) * HOUR
    return Kept(raw, five, done, hours_done, draw(st.one_of(st.just(FIRST), times.map(HOURS.floor))))


@given(times, st.integers(1, 400 * HOUR), st.integers(1, 3000), st.floats(0.01, 100_000), kept_by_a_store())
def test_pieces_follow_each_other_without_gap_or_overlap(
    begin: int, span: int, points: int, interval_s: float, kept: Kept
) -> None:
    found = pieces(begin, begin + span, points, interval_s, kept)
    assert (found[0].from_us, found[-1].to_us) == (begin, begin + span)
    for left, right in itertools.pairwise(found):
        assert left.to_us == right.from_us
        widest = max((piece.level.width_us for piece in (left, right) if piece.level), default=1)
        assert left.to_us % widest == 0, "no stretch lies on both sides of a seam"
    for piece in found:
        if piece.level is not None:
            until = {FIVE_MINUTES: kept.five_done_us, HOURS: kept.hours_done_us}[piece.level]
            assert piece.to_us <= max(until, piece.from_us)


def test_the_finest_level_is_taken_that_is_affordable_and_kept() -> None:
    now = NOON + 1000 * 24 * HOUR
    kept = Kept(now - 30 * 24 * HOUR, now - 366 * 24 * HOUR, now - HOUR, now - HOUR)

    def levels(days: float, until: int = now, interval_s: float = 10) -> list[Level | None]:
        begin = until - round(days * 24 * HOUR)
        return [piece.level for piece in pieces(begin, until, 2000, interval_s, kept)]

    assert levels(1) == [None]
    assert levels(20) == [FIVE_MINUTES, None]
    assert levels(20, interval_s=600) == [None], "aggregates of a slow sensor would save nothing"
    assert levels(365) == [HOURS, None]
    assert levels(1, now - 60 * 24 * HOUR) == [FIVE_MINUTES]
    assert levels(1, now - 500 * 24 * HOUR) == [HOURS]
    assert levels(1, now - 30 * 24 * HOUR + 12 * HOUR) == [FIVE_MINUTES, None]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 90 * 60).map(lambda after: NOON + after * SECOND),
            st.integers(-5, 5),
            st.sampled_from(Quality),
        ),
        max_size=60,
        unique_by=lambda row: row[:2],
    ),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_what_is_told_is_right_or_named_as_stale(rows: list[tuple[int, int, int, Quality]], cuts: list[int]) -> None:
    accumulator = Accumulator(FIVE_MINUTES, 3)
    told: dict[tuple[int, int], tuple[float, ...]] = {}

    def note(closed: Aggregates) -> None:
        columns = (closed.mean, closed.low, closed.high, closed.count, closed.quality)
        for one, at, *figures in zip(closed.sensor.tolist(), closed.at_us.tolist(), *columns, strict=True):
            told[one, at] = tuple(float(figure) for figure in figures)

    bounds = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for begin, end in itertools.pairwise(bounds):
        some = rows[begin:end]
        sensors, at, values, qualities = zip(*some, strict=True)
        accumulator.add(ReadingBatch.of(sensors, at, at, values, qualities))
        note(accumulator.close(NOON + 30 * MINUTE))
    note(accumulator.close(NOON + 10 * HOUR))
    stale = accumulator.stale(NOON + 10 * HOUR, 3)
    spoilt = {
        (one, at)
        for one, begin, end in zip(stale.sensor.tolist(), stale.from_us.tolist(), stale.to_us.tolist(), strict=True)
        for at in range(begin, end, FIVE_MINUTES.width_us)
    }
    stretches: dict[tuple[int, int], list[tuple[int, Quality]]] = {}
    for one, time, value, quality in rows:
        stretches.setdefault((one, FIVE_MINUTES.floor(time)), []).append((value, quality))
    for key, inside in stretches.items():
        trusted = [value for value, quality in inside if quality in TRUSTED]
        if key in spoilt:
            continue
        if not trusted:
            assert key not in told
            continue
        worst = max(quality for _, quality in inside)
        wanted = (sum(trusted) / len(trusted), min(trusted), max(trusted), len(trusted), worst)
        assert told[key] == pytest.approx(wanted)
    assert set(told) <= set(stretches)


def test_the_slowest_way_counts_and_an_outage_moves_nothing() -> None:
    mark = Watermark()
    assert mark.known_us(100) == 100
    mark.wrote(90)
    mark.wrote(20)
    mark.wrote(95)
    assert mark.known_us(100) == 20
    assert mark.known_us(200) == 95, "nothing was written meanwhile"
    mark.wrote(300)
    assert mark.known_us(250) == 250


def test_readings_in_order_leave_nothing_stale() -> None:
    accumulator = Accumulator(FIVE_MINUTES, 10)
    every = np.arange(0, 7200, 7, dtype=np.int64) * SECOND + NOON
    for part in np.array_split(every, 13):
        sensors = np.tile(np.arange(10, dtype=np.int32), len(part))
        at = np.repeat(part, 10)
        accumulator.add(ReadingBatch(sensors, at, at, at.astype(np.float64), np.zeros(len(at), np.uint8)))
    closed = accumulator.close(NOON + 10 * HOUR)
    assert len(closed) == 10 * 24
    assert int(closed.count.sum()) == 10 * len(every)
    assert accumulator.first_stale_us() > NOON + 10 * HOUR


def test_folding_weighs_means_by_their_readings() -> None:
    five = Aggregates(
        np.array([1, 1, 0], np.int32),
        NOON + np.array([0, 5, 61]) * MINUTE,
        np.array([1.0, 4.0, 9.0]),
        np.array([0.0, 4.0, 9.0]),
        np.array([2.0, 4.0, 9.0]),
        np.array([2, 1, 1]),
        np.array([0, 3, 1], np.uint8),
    )
    hours = five.folded(HOURS)
    assert hours.sensor.tolist() == [0, 1]
    assert hours.at_us.tolist() == [NOON + HOUR, NOON]
    assert hours.mean.tolist() == [9, 2]
    assert (hours.low.tolist(), hours.high.tolist()) == ([9, 0], [9, 4])
    assert (hours.count.tolist(), hours.quality.tolist()) == ([1, 3], [1, 3])


def test_joined_parts_are_thinned_by_the_readings_they_stand_for() -> None:
    one, two = np.array([1.0, 2.0]), np.array([10.0])
    parts = [
        Points(np.array([0, 10]), one, one - 1, one + 1, np.array([3, 1])),
        Points(np.array([20]), two, two, two, np.array([1])),
    ]
    whole = drawn(parts, 5, 10)
    assert whole.event_us.tolist() == [5, 10, 20]
    thinned = drawn(parts, 0, 2)
    assert thinned.event_us.tolist() == [0, 20]
    assert thinned.value.tolist() == [1.25, 10]
    assert (thinned.low.tolist(), thinned.high.tolist()) == ([0, 10], [3, 10])
    assert len(drawn([], 0, 1).value) == 0
