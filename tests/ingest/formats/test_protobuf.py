"""The wire format of Protocol Buffers."""

import doctest
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import protobuf
from ingest.formats.protobuf import LARGEST_NUMBER, Wire, WireError

NUMBERS = st.integers(1, LARGEST_NUMBER)
FIELDS = st.lists(
    st.one_of(
        st.tuples(NUMBERS, st.just(Wire.VARINT), st.integers(0, 2**64 - 1)),
        st.tuples(NUMBERS, st.just(Wire.BYTES), st.binary(max_size=300)),
        st.tuples(NUMBERS, st.just(Wire.FIXED32), st.binary(min_size=4, max_size=4)),
        st.tuples(NUMBERS, st.just(Wire.FIXED64), st.binary(min_size=8, max_size=8)),
    ),
    max_size=8,
)


def by_hand(number: int, wire: int, value: int | bytes) -> bytes:
    """A field written by another way than the module's own: bits as text, seven at a time."""

    def varint(given: int) -> bytes:
        bits = f"{given:b}"
        groups = [bits[max(0, end - 7) : end] for end in range(len(bits), 0, -7)]
        return bytes(
            int(group, 2) | (0x80 if more else 0)
            for more, group in zip([*[1] * (len(groups) - 1), 0], groups, strict=True)
        )

    key = varint(number * 8 + wire)
    if isinstance(value, int):
        return key + varint(value)
    return key + (varint(len(value)) if wire == Wire.BYTES else b"") + value


@given(FIELDS)
def test_what_is_written_by_hand_is_read_back(fields: list[tuple[int, Wire, int | bytes]]) -> None:
    assert list(protobuf.fields(b"".join(by_hand(*one) for one in fields))) == fields


@given(FIELDS)
def test_the_writer_writes_what_is_written_by_hand(fields: list[tuple[int, Wire, int | bytes]]) -> None:
    for number, wire, value in fields:
        if wire is Wire.VARINT and isinstance(value, int):
            assert protobuf.integer(number, value) == by_hand(number, wire, value)
        elif wire is Wire.BYTES and isinstance(value, bytes):
            assert protobuf.blob(number, value) == by_hand(number, wire, value)


@given(st.floats(width=32, allow_nan=False), st.floats(allow_nan=False))
def test_floats_come_back(narrow: float, wide: float) -> None:
    ((_, _, four), (_, _, eight)) = protobuf.fields(
        protobuf.fixed(1, protobuf.bytes_of(narrow, 4)) + protobuf.fixed(2, protobuf.bytes_of(wide, 8))
    )
    assert isinstance(four, bytes)
    assert isinstance(eight, bytes)
    assert protobuf.float_of(four) == narrow
    assert protobuf.double_of(eight) == wide == struct.unpack("<d", eight)[0]


@given(st.binary(max_size=200))
def test_any_bytes_are_fields_or_a_wire_error(data: bytes) -> None:
    with suppress(WireError):
        assert all(0 < number <= LARGEST_NUMBER for number, _, _ in protobuf.fields(data))


@given(FIELDS, st.data())
def test_a_message_that_breaks_off_within_a_field_is_an_error(
    fields: list[tuple[int, Wire, int | bytes]], data: st.DataObject
) -> None:
    written = [by_hand(*one) for one in fields]
    whole = b"".join(written)
    ends = {sum(map(len, written[:count])) for count in range(len(written) + 1)}
    at = data.draw(st.integers(0, len(whole)))
    if at in ends:
        assert len(list(protobuf.fields(whole[:at]))) <= len(fields)
    else:
        with pytest.raises(WireError):
            list(protobuf.fields(whole[:at]))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x00\x01", "field number 0"),
        (b"\x0b", "wire type 3"),
        (b"\x0f\x00", "wire type 7"),
        (b"\x12\x05ab", "2 bytes left"),
        (b"\x0d\x00\x00", "2 bytes left"),
        (b"\x08" + b"\x80" * 9 + b"\x02", "more than 64 bits"),
        (b"\x08" + b"\xff" * 12, "more than 64 bits"),
        (b"\x08\x80", "breaks off"),
        (b"\xff", "breaks off"),
        (b"\x80\x80\x80\x80\x10\x00", "field number 536870912"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, found: str) -> None:
    with pytest.raises(WireError) as raised:
        list(protobuf.fields(data))
    assert found in raised.value.found
    assert raised.value.expected in str(raised.value)


def test_the_largest_integer_is_read() -> None:
    assert list(protobuf.fields(b"\x08" + b"\xff" * 9 + b"\x01")) == [(1, 0, 2**64 - 1)]


def test_a_negative_integer_is_written_as_64_bits() -> None:
    ((_, _, value),) = protobuf.fields(protobuf.integer(1, -5))
    assert isinstance(value, int)
    assert protobuf.signed(value, 64) == -5


@given(st.sampled_from([8, 16, 32, 64]), st.data())
def test_twos_complement_comes_back(bits: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    assert protobuf.signed(value % 2**64, bits) == value
    assert protobuf.signed(value % 2**bits, bits) == value


def test_examples_in_docstrings_hold() -> None:
    tried = doctest.testmod(protobuf)
    assert tried.attempted > 0
    assert tried.failed == 0
