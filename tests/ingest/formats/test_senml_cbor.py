"""SenML in CBOR means what the same records mean in JSON."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fuzz_seeds import cbor
from ingest.formats import senml, senml_cbor
from ingest.formats.columns import Decoded
from ingest.formats.senml_cbor import LABELS
from ingest.model import RefusalReason
from tests.ingest.builders import NOW_S, NOW_US

NUMBERS = {name: label for label, name in LABELS.items()}

# RFC 8428, section 6: the example of 5.1.3 (voltage and current of a device) in CBOR.
EXAMPLE = bytes.fromhex(
    "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a"
    "22fb41d303a15b0010622361412005006776 6f6c74616765016156 02fb405e066666666666"
    "a3006763757272656e74062402fb3ff3333333333333"
    "a3006763757272656e74062302fb3ff4cccccccccccd"
    "a3006763757272656e74062202fb3ff6666666666666"
    "a3006763757272656e74062102f93e00"
    "a3006763757272656e74062002fb3ff999999999999a"
    "a3006763757272656e74060002fb3ffb333333333333".replace(" ", "")
)


def decode(*payloads: bytes) -> Decoded:
    return senml_cbor.decode(payloads, [""] * len(payloads), np.full(len(payloads), NOW_US))


def numbered(records: list[dict[str, Any]]) -> bytes:
    return cbor([{NUMBERS[name]: value for name, value in record.items()} for record in records])


def test_the_example_of_the_standard_is_read() -> None:
    found = decode(EXAMPLE)
    assert found.unread == []
    name = "urn:dev:ow:10e2073a0108006:"
    assert list(found.ids) == [f"{name}voltage", *[f"{name}current"] * 6]
    assert found.value.tolist() == [120.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]
    assert found.units == ["V", "A", "A", "A", "A", "A", "A"]
    base_us = 1_276_020_076_001_000
    assert (found.event_us - base_us).tolist() == [second * 1_000_000 for second in (0, -5, -4, -3, -2, -1, 0)]


RECORD = st.fixed_dictionaries(
    {"n": st.sampled_from(["gas-1", "air-1", ""])},
    optional={
        "v": st.floats(-100, 100) | st.integers(-5, 5),
        "u": st.sampled_from(["Cel", "%LEL"]),
        "t": st.sampled_from([0, -5, NOW_S, NOW_S + 0.5]),
        "bn": st.sampled_from(["", "box-"]),
        "bt": st.sampled_from([0, NOW_S]),
        "bu": st.just("K"),
        "bv": st.integers(-3, 3),
        "bver": st.sampled_from([5, 10, 11]),
        "vs": st.just("text"),
        "s": st.just(3),
    },
)


@given(st.lists(RECORD, max_size=5))
def test_the_same_records_mean_the_same_in_both(records: list[dict[str, Any]]) -> None:
    text = json.dumps(records).encode()
    in_json, in_cbor = senml.decode([text], [""], np.full(1, NOW_US)), decode(numbered(records))
    assert (list(in_cbor.ids), in_cbor.units) == (list(in_json.ids), in_json.units)
    assert np.array_equal(in_cbor.value, in_json.value)
    assert np.array_equal(in_cbor.event_us, in_json.event_us)
    assert [one.reason for one in in_cbor.unread] == [one.reason for one in in_json.unread]


def test_texts_are_read_as_labels_too_and_unknown_numbers_are_passed_over() -> None:
    found = decode(cbor([{"n": "gas-1", 2: 1.5, 99: "new", -7: 1}]))
    assert (list(found.ids), found.value.tolist(), list(found.unread)) == (["gas-1"], [1.5], [])


@pytest.mark.parametrize(
    ("payload", "reason", "found", "expected"),
    [
        (b"", RefusalReason.UNREADABLE, "an empty payload", senml_cbor.EXPECTED),
        (b"\x82\xa0", RefusalReason.UNREADABLE, "byte 0: a list of 2 in 1 bytes: 0x82a0", senml_cbor.EXPECTED),
        (b"\xa0", RefusalReason.UNREADABLE, "an object", senml_cbor.EXPECTED),
        (b"\x80", RefusalReason.UNREADABLE, "no record with a value", senml_cbor.EXPECTED),
        (cbor([5]), RefusalReason.UNREADABLE, "5", senml_cbor.EXPECTED),
        (cbor([{0: "x", 3: "on"}]), RefusalReason.NOT_A_NUMBER, "a text (vs)", "one number (v)"),
        (cbor([{0: "x", 8: b"\x01"}]), RefusalReason.NOT_A_NUMBER, "data (vd)", "one number (v)"),
        (cbor([{0: b"x", 2: 1}]), RefusalReason.UNREADABLE, "n b'x'", "n as a text"),
        (cbor([{0: "x", 2: "1"}]), RefusalReason.NOT_A_NUMBER, '"1"', "a finite number"),
        (cbor([{-1: 11, 0: "x", 2: 1}]), RefusalReason.UNREADABLE, "bver 11", "bver up to 10"),
        (cbor([{0: "x", 2: 1, "y_": 1}]), RefusalReason.UNREADABLE, 'field "y_"', "fields of RFC 8428"),
        (b"\x81\xa2\x00\x61x\x02\xf9\x7e\x00", RefusalReason.NOT_A_NUMBER, "nan", "a finite number"),
    ],
)
def test_what_is_refused_says_what_was_found_and_expected(
    payload: bytes, reason: RefusalReason, found: str, expected: str
) -> None:
    (unread,) = decode(payload).unread
    assert (unread.reason, unread.found, unread.expected) == (reason, found, expected)
