"""CBOR: the examples of RFC 8949, appendix A, and everything that is none."""

import contextlib
import math
import struct
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.fuzz_seeds import cbor
from ingest.formats.cbor import DEEPEST, CborError, loads

APPENDIX_A: list[tuple[str, Any]] = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1_000_000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("c249010000000000000000", 18446744073709551616),
    ("3bffffffffffffffff", -18446744073709551616),
    ("c349010000000000000000", -18446744073709551617),
    ("20", -1),
    ("3903e7", -1000),
    ("f90000", 0.0),
    ("fb3ff199999999999a", 1.1),
    ("f93e00", 1.5),
    ("f97bff", 65504.0),
    ("fa47c35000", 100000.0),
    ("fa7f7fffff", 3.4028234663852886e38),
    ("fb7e37e43c8800759c", 1.0e300),
    ("f90001", 5.960464477539063e-8),
    ("f9c400", -4.0),
    ("f97c00", math.inf),
    ("fb7ff0000000000000", math.inf),
    ("f9fc00", -math.inf),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("f7", None),  # undefined
    ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"),
    ("c11a514b67b0", 1363896240),
    ("c1fb41d452d9ec200000", 1363896240.5),
    ("d74401020304", b"\x01\x02\x03\x04"),
    ("d9d9f700", 0),  # "this is CBOR", RFC 8949, 3.4.6
    ("c48221196ab3", 273.15),  # 3.4.4
    ("c5822003", 1.5),  # 3.4.4
    ("40", b""),
    ("60", ""),
    ("6449455446", "IETF"),
    ("62c3bc", "ü"),
    ("64f0908591", "𐅑"),
    ("80", []),
    ("83010203", [1, 2, 3]),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
    ("7f657374726561646d696e67ff", "streaming"),
    ("9fff", []),
    ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ("826161bf61626163ff", ["a", {"b": "c"}]),
    ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
]


@pytest.mark.parametrize(("given_hex", "meant"), APPENDIX_A)
def test_the_examples_of_the_standard_are_read(given_hex: str, meant: Any) -> None:
    found = loads(bytes.fromhex(given_hex))
    assert found == meant
    assert type(found) is type(meant)


def test_a_float_that_is_no_number_is_one() -> None:
    for given_hex in ("f97e00", "fa7fc00000", "fb7ff8000000000000"):
        assert math.isnan(loads(bytes.fromhex(given_hex)))


@pytest.mark.parametrize(
    ("given_hex", "why"),
    [
        ("", "no bytes at all"),
        ("0000", "byte 1: 1 bytes behind the end"),
        ("18", "byte 1: breaks off, 1 bytes are missing"),
        ("8201", "byte 0: a list of 2 in 1 bytes"),
        ("9bffffffffffffffff00", "byte 0: a list of 18446744073709551615 in 1 bytes"),
        ("bbffffffffffffffff00", "byte 0: a map of 18446744073709551615 in 1 bytes"),
        ("5b7fffffffffffffff00", "byte 0: bytes of 9223372036854775807 in 1 bytes"),
        ("6261", "byte 0: a text of 2 in 1 bytes"),
        ("62c328", "byte 0: a text that is not UTF-8"),
        ("1c", "byte 0: 0x1c, which means nothing"),
        ("1f", "byte 0: 0x1f, which means nothing"),
        ("dfff", "byte 0: 0xdf, which means nothing"),
        ("ff", "byte 0: an end of nothing"),
        ("f8ff", "byte 0: 0xf8, a value that is not known"),
        ("e0", "byte 0: 0xe0, a value that is not known"),
        ("9f01", "byte 2: breaks off, an end is missing"),
        ("7f4101ff", "byte 1: a piece of a text that is none"),
        ("5f5f4101ffff", "byte 1: a piece of bytes that is none"),
        ("a18001", "byte 1: a key that is neither number nor text"),
        ("a1f601", "byte 1: a key that is neither number nor text"),
        ("bf01ff", "byte 2: an end of nothing"),
        ("c24180" + "00", "byte 3: 1 bytes behind the end"),
        ("c201", "byte 0: a whole number that is not up to 256 bytes"),
        ("c401", "byte 0: a fraction that is not a list of two whole numbers"),
        ("c482f93e0001", "byte 0: a fraction that is not a list of two whole numbers"),
        ("81" * (DEEPEST + 2) + "00", f"byte {DEEPEST + 1}: nested deeper than {DEEPEST}"),
        ("c1" * 5000 + "00", f"byte {DEEPEST + 1}: nested deeper than {DEEPEST}"),
    ],
)
def test_what_is_no_cbor_is_told_with_its_place(given_hex: str, why: str) -> None:
    with pytest.raises(CborError) as error:
        loads(bytes.fromhex(given_hex))
    assert str(error.value) == why


def test_a_fraction_without_measure_is_beyond_all_numbers_and_takes_no_time() -> None:
    huge = bytes.fromhex("c4821b7fffffffffffffff01")
    assert loads(huge) == math.inf
    assert loads(bytes.fromhex("c4821b7fffffffffffffff20")) == -math.inf
    assert loads(bytes.fromhex("c5821b7fffffffffffffff01")) == math.inf
    assert loads(bytes.fromhex("c4823b7fffffffffffffff01")) == 0
    assert loads(bytes.fromhex("c482c25820" + "ff" * 32 + "01")) == math.inf


def fraction(mantissa: int, exponent: int, *, decimal: bool) -> bytes:
    def whole(number: int) -> bytes:
        size = -number - 1 if number < 0 else number
        return (b"\xc3" if number < 0 else b"\xc2") + cbor(size.to_bytes((size.bit_length() + 7) // 8, "big"))

    return (b"\xc4" if decimal else b"\xc5") + b"\x82" + whole(exponent) + whole(mantissa)


def nearest(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


@given(
    st.integers(-(2**2040), 2**2040) | st.integers(-(2**64), 2**64),
    st.integers(-3300, 1200) | st.integers(-20, 20),
    st.booleans(),
)
@example(2**1024, -1024, False)
@example(-(2**2040), -2040, False)
@example(2**54 + 1, -1076, False)  # rounded once, not to a float and then to one of the smallest
@example(10**600, -600, True)
@example(1, -1075, False)
@example(3, -1076, False)
def test_a_fraction_is_the_nearest_float_however_great_its_parts(mantissa: int, exponent: int, decimal: bool) -> None:
    exact = mantissa * Fraction(10 if decimal else 2) ** exponent
    assert loads(fraction(mantissa, exponent, decimal=decimal)) == nearest(exact)


@pytest.mark.parametrize("decimal", [True, False])
@pytest.mark.parametrize("mantissa", [0, 1, -1, 2**2040])
@pytest.mark.parametrize("exponent", [2**2040, -(2**2040), 10**6, -(10**6)])
def test_an_exponent_without_measure_takes_no_time(decimal: bool, mantissa: int, exponent: int) -> None:
    beyond = 0.0
    if mantissa and exponent > 0:
        beyond = math.inf if mantissa > 0 else -math.inf
    assert loads(fraction(mantissa, exponent, decimal=decimal)) == beyond


VALUES = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(-9, 9) | st.text(max_size=5), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert loads(cbor(value)) == value


@given(VALUES, st.data())
def test_every_beginning_of_it_breaks_off_and_nothing_may_follow(value: Any, data: st.DataObject) -> None:
    whole = cbor(value)
    with pytest.raises(CborError):
        loads(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CborError):
        loads(whole + b"\x00")


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(CborError):
        loads(data)


@given(st.floats(width=16), st.floats(width=32))
def test_short_floats_are_the_same_numbers(half: float, single: float) -> None:
    for code, head, value in ((">e", b"\xf9", half), (">f", b"\xfa", single)):
        found = loads(head + struct.pack(code, value))
        assert found == value or (math.isnan(found) and math.isnan(value))
