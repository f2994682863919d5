import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import Admission, ReadingBatch, Refusal, RefusalReason
from ingest.spool_format import RECORD_HEAD, RecordHead, SegmentHead, decode_record, encode_record, sound
from tests.ingest.spool_builders import admission, same

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=20)


@st.composite
def admissions(draw: st.DrawFn) -> Admission:
    """Any columns at all, with extremes that no subtraction survives unnoticed."""
    times = draw(
        st.sampled_from([INT64, st.integers(0, 300), st.integers(1_700_000_000_000_000, 1_700_000_000_070_000)])
    )
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 2**31 - 1), times, times, times, st.floats(), st.integers(0, 255), INT64),
            max_size=30,
        )
    )
    sensor, event, received, placed, value, quality, identity = zip(*rows, strict=True) if rows else ((),) * 7
    values = np.array(value, np.float64)
    plain = draw(st.booleans())
    refusal = st.builds(
        Refusal, st.sampled_from(RefusalReason), INT64, TEXT, st.just(b""), TEXT, TEXT, st.integers(0, 2**31 - 1)
    )
    return Admission(
        ReadingBatch.of(sensor, event, received, values, quality),  # type: ignore[arg-type]
        np.array(placed if draw(st.booleans()) else event, np.int64),
        values.view(np.int64) if plain else np.array(identity, np.int64),
        tuple(draw(st.lists(refusal, max_size=3))),
        tuple(draw(st.lists(st.integers(0, 2**31 - 1), max_size=3))),
    )


@settings(max_examples=300, deadline=None)
@given(admissions(), st.integers(0, 2**64 - 1), INT64, st.integers(0, 2**64 - 1))
def test_any_admission_comes_back_bit_for_bit(one: Admission, position: int, decided_us: int, sensors: int) -> None:
    data = encode_record(position, decided_us, sensors, one)
    head = RecordHead.decode(data)
    assert head is not None
    assert sound(head, data)
    assert (head.position, head.decided_us, head.sensors, head.count) == (position, decided_us, sensors, len(one.batch))
    record = decode_record(head, data)
    assert record.decided_us == decided_us
    assert record.admission.batch.value.tobytes() == one.batch.value.tobytes()  # NaN too
    clean = Admission(_without_values(one.batch), one.given_us, one.identity, one.refused, one.stepped)
    found = record.admission
    assert same(
        record.__class__(
            record.position,
            record.decided_us,
            Admission(_without_values(found.batch), found.given_us, found.identity, found.refused, found.stepped),
        ),
        position,
        clean,
    )


def _without_values(batch: ReadingBatch) -> ReadingBatch:
    return ReadingBatch(batch.sensor, batch.event_us, batch.received_us, np.zeros(len(batch)), batch.quality)


def test_any_flipped_bit_of_a_record_is_noticed() -> None:
    data = encode_record(3, 4, 5, admission(1, refused=2))
    for bit in range(len(data) * 8):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        head = RecordHead.decode(bytes(broken))
        assert head is None or not sound(head, bytes(broken))


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange_to_be_looked_at(data: bytes) -> None:
    head = RecordHead.decode(data)
    assert head is None or not sound(head, data)
    assert SegmentHead.decode(data) is None


def test_a_text_that_utf8_cannot_carry_is_kept_readable() -> None:
    refusal = Refusal(RefusalReason.WRONG_UNIT, 1, "t", b"", "\ud800", "e", 0)
    data = encode_record(0, 0, 0, Admission(ReadingBatch.empty(), *(np.zeros(0, np.int64),) * 2, (refusal,)))
    head = RecordHead.decode(data)
    assert head is not None
    assert decode_record(head, data).admission.refused[0].found == "\\ud800"


def test_a_refusal_of_no_configured_sensor_is_left_out_and_no_payload_is_kept() -> None:
    refused = tuple(Refusal(RefusalReason.WRONG_UNIT, 1, "t", b"long" * 99, "f", "e", sensor) for sensor in (-1, 2))
    data = encode_record(0, 0, 0, Admission(ReadingBatch.empty(), *(np.zeros(0, np.int64),) * 2, refused))
    head = RecordHead.decode(data)
    assert head is not None
    (kept,) = decode_record(head, data).admission.refused
    assert (kept.sensor, kept.payload) == (2, b"")


def test_a_record_whose_rest_is_of_another_kind_is_an_error_not_a_crash() -> None:
    data = encode_record(0, 0, 0, admission(1, refused=2))
    head = RecordHead.decode(data)
    assert head is not None
    broken = data[: RECORD_HEAD + head.length - head.rest] + b"\xff" * head.rest
    with pytest.raises(msgspec.MsgspecError):
        decode_record(head, broken)


def test_a_reading_of_a_lively_batch_takes_few_bytes() -> None:
    drawn = np.random.default_rng(1)
    received = 1_700_000_000_000_000 + np.arange(3000, dtype=np.int64) * 20
    event = received - drawn.integers(0, 60_000_000, 3000)
    value = drawn.normal(size=3000)
    batch = ReadingBatch(np.arange(3000, dtype=np.int32), event, received, value, np.zeros(3000, np.uint8))
    assert len(encode_record(0, 0, 0, Admission(batch, event, value.view(np.int64)))) / 3000 < 20.1
