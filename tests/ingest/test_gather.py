"""What waits is handed out in order, whole, in batches of the right size; nothing is lost or forgotten on the way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.gather import Chunk, Receipt, Waiting, patience_s


def chunk(names: list[int], *, generation: int = 1, received_us: int = 5, size: int = 10) -> Chunk:
    """Messages with these packet identifiers (0: QoS 0), their payload says which."""
    ids = np.array(names, np.uint16)
    return Chunk(
        [f"t/{name}" for name in names],
        [b"%d" % name for name in names],
        received_us,
        ids % 2 == 0,
        ids % 3 == 0,
        ids,
        generation,
        size,
    )


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 3), st.integers(1, 1000)), max_size=12),
    st.integers(1, 40),
    st.integers(1, 2000),
)
def test_everything_comes_out_once_in_order_with_what_belongs_to_it(
    reads: list[tuple[int, int, int]], most: int, most_bytes: int
) -> None:
    waiting = Waiting(1000, 10_000)
    names: list[int] = []
    generations: list[int] = []
    times: list[int] = []
    for at, (count, generation, size) in enumerate(reads):
        mine = list(range(len(names), len(names) + count))
        waiting.put(chunk(mine, generation=generation, received_us=at, size=size))
        names += mine
        generations += [generation] * count
        times += [at] * count
    assert len(waiting) == len(names)
    assert waiting.size == sum(size for _, _, size in reads)
    at = 0
    while len(waiting):
        assert waiting.since_us == times[at]
        batch = waiting.take(most, most_bytes)
        end = at + len(batch)
        assert 0 < len(batch) <= most
        assert batch.payloads == [b"%d" % name for name in names[at:end]]
        assert batch.topics == [f"t/{name}" for name in names[at:end]]
        assert batch.received_us.tolist() == times[at:end]
        assert batch.retained.tolist() == [name % 2 == 0 for name in names[at:end]]
        assert batch.redelivered.tolist() == [name % 3 == 0 for name in names[at:end]]
        receipt = batch.receipt
        assert isinstance(receipt, Receipt)
        given_back = [(generation, name) for generation, ids in receipt.parts for name in ids.tolist()]
        expected = list(zip(generations[at:end], names[at:end], strict=True))
        assert given_back == [(generation, name) for generation, name in expected if name]
        assert len(receipt) == len(given_back)
        at = end
    assert at == len(names)
    assert waiting.since_us is None
    assert waiting.size == 0


def test_a_batch_takes_whole_reads_up_to_its_bytes_and_at_least_one() -> None:
    waiting = Waiting(100, 1000)
    for _ in range(3):
        waiting.put(chunk([1, 2], size=60))
    assert len(waiting.take(100, 130)) == 4
    assert len(waiting.take(100, 50)) == 2


def test_it_is_full_by_messages_or_by_bytes() -> None:
    waiting = Waiting(3, 1000)
    waiting.put(chunk([1, 2], size=10))
    assert not waiting.full
    waiting.put(chunk([3], size=10))
    assert waiting.full
    waiting.take(1, 1000)
    assert not waiting.full
    waiting.put(chunk([4], size=990))
    assert waiting.full


def test_where_nothing_waits_nothing_can_be_taken() -> None:
    with pytest.raises(IndexError):
        Waiting(1, 1).take(1, 1)


@pytest.mark.parametrize(
    ("busy_s", "expected_s"), [(0, 0.005), (0.001, 0.005), (0.02, 0.08), (0.2, 0.1), (float("inf"), 0.1)]
)
def test_a_batch_fills_longer_the_longer_its_reader_is_busy(busy_s: float, expected_s: float) -> None:
    assert patience_s(busy_s, 0.005, 0.1, behind=True) == pytest.approx(expected_s)


def test_where_nothing_waited_a_slow_reader_makes_no_message_wait_longer() -> None:
    assert patience_s(0.05, 0.005, 0.1, behind=False) == 0.005


def test_the_shortest_wait_holds_even_where_it_is_above_the_longest() -> None:
    assert patience_s(0, 0.2, 0.1, behind=True) == 0.2
