"""What becomes of messages: every broken payload is counted and named, every good reading admitted."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.limits import DEFAULT_LIMITS, Side, limit_table
from config.settings import IngestSettings
from ingest.intake import Intake
from ingest.model import Message, Quality, Refusal, RefusalReason
from tests.ingest.builders import (
    NOW_S,
    NOW_US,
    SUBSCRIPTIONS,
    admit,
    city,
    good,
    intake,
    message,
    senml,
    sensor,
    small_city,
)

SECOND = 1_000_000
R = RefusalReason


def one_refusal(*messages: Message) -> Refusal:
    chosen = intake()
    admission = admit(*messages, into=chosen)
    assert len(admission.batch) == 0
    (refusal,) = admission.refused
    assert chosen.counters["refused"] == chosen.counters[f"refused.{refusal.reason}"] == 1
    return refusal


def raw(value: str, field: str = "v") -> bytes:
    fields = {"id": '"gas-1"', "t": str(NOW_S), "v": "1.5", field: value}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


BROKEN: list[tuple[str, bytes, RefusalReason, str, str]] = [
    ("empty", b"", R.UNREADABLE, "an empty payload", "JSON in UTF-8"),
    ("truncated", b'{"id":"gas-1","t":17', R.UNREADABLE, '{"id":"gas-1","t":17', "JSON in UTF-8"),
    ("not UTF-8", b'{"id":"gas-\xff","t":1,"v":1}', R.UNREADABLE, "not UTF-8", "JSON in UTF-8"),
    ("binary", bytes(range(256)), R.UNREADABLE, "not UTF-8", "JSON in UTF-8"),
    ("deep nesting", b"[" * 100_000, R.UNREADABLE, "nested too deep", "JSON in UTF-8"),
    ("deep nesting aside", b'{"x":' + b"[" * 100_000, R.UNREADABLE, "nested too deep", "JSON in UTF-8"),
    ("two objects", raw("1") + raw("2"), R.UNREADABLE, "Extra data", "JSON in UTF-8"),
    ("a number alone", b"21.5", R.UNREADABLE, "21.5", "an object or a list"),
    ("null alone", b"null", R.UNREADABLE, "null", "an object or a list"),
    ("an empty list", b"[]", R.UNREADABLE, "an empty list", "an object or a list"),
    ("a list in a list", b"[[]]", R.UNREADABLE, "a list of 0", "an object or a list"),
    ("digits without end", raw("9" * 5000), R.UNREADABLE, "integer string conversion", "JSON in UTF-8"),
    ("no id", b'{"t":1,"v":1}', R.MISSING_FIELD, "no id", "id, t and v"),
    ("no time", b'{"id":"gas-1","v":1}', R.MISSING_FIELD, "no t", "id, t and v"),
    ("no value", b'{"id":"gas-1","t":1}', R.MISSING_FIELD, "no v", "id, t and v"),
    ("a number as id", raw("7", "id"), R.UNREADABLE, "id 7", "id as a text"),
    ("unknown sensor", raw('"gas-9"', "id"), R.UNKNOWN_SENSOR, 'id "gas-9"', "a configured sensor"),
    ("value as text", raw('"21.5"'), R.NOT_A_NUMBER, '"21.5"', "a finite number"),
    ("value null", raw("null"), R.NOT_A_NUMBER, "null", "a finite number"),
    ("value true", raw("true"), R.NOT_A_NUMBER, "true", "a finite number"),
    ("value NaN", raw("NaN"), R.NOT_A_NUMBER, "nan", "a finite number"),
    ("value -Infinity", raw("-Infinity"), R.NOT_A_NUMBER, "-inf", "a finite number"),
    ("value 1e999", raw("1e999"), R.NOT_A_NUMBER, "inf", "a finite number"),
    ("value of 400 digits", raw("9" * 400), R.NOT_A_NUMBER, "an integer of 1329 bits", "a finite number"),
    ("value a list", raw("[1,2]"), R.NOT_A_NUMBER, "a list of 2", "a finite number"),
    ("value an object", raw("{}"), R.NOT_A_NUMBER, "an object", "a finite number"),
    ("below the range", raw("-40"), R.OUT_OF_RANGE, "-40 %LEL", "-5 to 2000 %LEL"),
    ("above the range", raw("1e300"), R.OUT_OF_RANGE, "1e+300 %LEL", "-5 to 2000 %LEL"),
    ("unit unknown", json.dumps(good(u="bananas")).encode(), R.WRONG_UNIT, '"bananas"', "ch4 in %LEL, %VOL"),
    ("unit of another quantity", json.dumps(good(u="mm")).encode(), R.WRONG_UNIT, '"mm"', "ch4 in %LEL, %VOL"),
    ("unit a number", json.dumps(good(u=5)).encode(), R.WRONG_UNIT, "5", "u as a text"),
    ("quality unknown", json.dumps(good(q="fine")).encode(), R.UNREADABLE, 'q "fine"', "good, simulated or doubtful"),
    ("time null", raw("null", "t"), R.BAD_TIME, "null", "RFC 3339 with a zone"),
    ("time true", raw("true", "t"), R.BAD_TIME, "true", "RFC 3339 with a zone"),
    ("time in words", raw('"yesterday"', "t"), R.BAD_TIME, '"yesterday"', "RFC 3339 with a zone"),
    ("digits as text", raw(f'"{NOW_S}"', "t"), R.BAD_TIME, f'"{NOW_S}"', "Unix seconds"),
    ("naive local time", raw('"2023-11-14T22:13:20"', "t"), R.BAD_TIME, '"2023-11-14T22:13:20"', "with a zone"),
    ("impossible date", raw('"2023-02-30T00:00:00Z"', "t"), R.BAD_TIME, "2023-02-30", "RFC 3339"),
    ("time NaN", raw("NaN", "t"), R.BAD_TIME, "nan", "Unix seconds"),
    ("time 1e999", raw("1e999", "t"), R.BAD_TIME, "inf", "Unix seconds"),
    ("milliseconds", raw(f"{NOW_S}000", "t"), R.BAD_TIME, "milliseconds", "Unix seconds"),
    ("far future", raw(str(NOW_S + 121), "t"), R.IN_THE_FUTURE, "2023-11-14T22:15:21.000Z", "120 s after"),
    ("long ago", raw("0", "t"), R.TOO_OLD, "1970-01-01T00:00:00.000Z", "604800 s before"),
    ("year one", raw('"0001-01-01T00:00:00+08:00"', "t"), R.BAD_TIME, "0001-01-01", "Unix seconds"),
    ("before 1970", raw("-1e10", "t"), R.TOO_OLD, "16", "604800 s before"),
]


@pytest.mark.parametrize(
    ("payload", "reason", "found", "expected"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_a_broken_payload_is_refused_by_name(payload: bytes, reason: RefusalReason, found: str, expected: str) -> None:
    refusal = one_refusal(message(payload))
    assert refusal.reason is reason
    assert found in refusal.found
    assert expected in refusal.expected
    assert refusal.payload == payload


BROKEN_SENML: list[tuple[str, Any, RefusalReason, str, str]] = [
    ("an object", {"n": "gas-1", "v": 1}, R.UNREADABLE, "an object", "a list of records"),
    ("no records", [], R.UNREADABLE, "no record with a value", "a list of records"),
    ("only base values", [{"bn": "gas-1"}], R.UNREADABLE, "no record with a value", "a list of records"),
    ("a later version", [{"bver": 11, "n": "gas-1", "v": 1}], R.UNREADABLE, "bver 11", "bver up to 10"),
    ("a text", [{"n": "gas-1", "vs": "open"}], R.NOT_A_NUMBER, "a text (vs)", "one number (v)"),
    ("a switch", [{"n": "gas-1", "vb": True}], R.NOT_A_NUMBER, "a switch (vb)", "one number (v)"),
    ("data", [{"n": "gas-1", "vd": "AAA"}], R.NOT_A_NUMBER, "data (vd)", "one number (v)"),
    ("a sum only", [{"n": "gas-1", "s": 12}], R.NOT_A_NUMBER, "only a sum (s)", "one number (v)"),
    ("two values", [{"n": "gas-1", "v": 1, "vs": "x"}], R.NOT_A_NUMBER, "beside v", "one number (v)"),
    ("no value", [{"n": "gas-1", "t": 0}], R.MISSING_FIELD, "no v", "one number (v)"),
    ("must be understood", [{"n": "gas-1", "v": 1, "lock_": 1}], R.UNREADABLE, 'field "lock_"', "RFC 8428"),
    ("value as text", [{"n": "gas-1", "v": "1"}], R.NOT_A_NUMBER, '"1"', "a finite number"),
    ("name a number", [{"n": 1, "v": 1}], R.UNREADABLE, "n 1", "n as a text"),
    ("time as text", [{"n": "gas-1", "v": 1, "t": "now"}], R.BAD_TIME, 't "now"', "Unix seconds"),
    ("base unit wrong", [{"bu": 3, "n": "gas-1", "v": 1}], R.WRONG_UNIT, "bu 3", "bu as a text"),
    ("no such sensor", [{"bn": "gas-", "n": "9", "v": 1}], R.UNKNOWN_SENSOR, 'id "gas-9"', "a configured sensor"),
    ("bases overflow", [{"bv": 1e308, "n": "gas-1", "v": 1e308}], R.NOT_A_NUMBER, "inf", "a finite number"),
]


@pytest.mark.parametrize(
    ("payload", "reason", "found", "expected"), [row[1:] for row in BROKEN_SENML], ids=[row[0] for row in BROKEN_SENML]
)
def test_a_broken_senml_pack_is_refused_by_name(payload: Any, reason: RefusalReason, found: str, expected: str) -> None:
    refusal = one_refusal(senml(payload))
    assert refusal.reason is reason
    assert found in refusal.found
    assert expected in refusal.expected


def test_a_topic_without_format_is_refused() -> None:
    refusal = one_refusal(message(good(), "other/topic"))
    assert (refusal.reason, refusal.found) == (R.NO_FORMAT, '"other/topic"')


def test_one_broken_payload_among_a_thousand_spoils_no_other() -> None:
    messages = [message(good(t=NOW_S - number * 0.01)) for number in range(1000)]
    messages[500] = message(b'{"id":"gas-1"')
    messages[501] = message(b'"t":1,"v":1}')  # joined with the one before it would be a reading
    admission = admit(*messages)
    assert len(admission.batch) == 998
    assert [refusal.payload for refusal in admission.refused] == [messages[500].payload, messages[501].payload]


def test_the_good_items_of_a_list_are_admitted() -> None:
    payload = [
        good(v=1),
        good(v=None, t=NOW_S - 1),
        7,
        good(v=3, t=NOW_S - 2),
        good(v=True),
        good("nobody"),
        good("air-1", v=20),
    ]
    admission = admit(message(payload))
    assert admission.batch.value.tolist() == [1, 3, 20]
    assert admission.batch.sensor.tolist() == [0, 0, 1]
    assert {refusal.reason for refusal in admission.refused} == {R.NOT_A_NUMBER, R.UNREADABLE, R.UNKNOWN_SENSOR}
    assert len(admission.refused) == 4


def test_the_good_items_beside_nan_are_admitted() -> None:
    admission = admit(message(b"[" + raw("NaN") + b"," + raw("2") + b"," + raw("1e999") + b"]"))
    assert admission.batch.value.tolist() == [2]
    assert [refusal.found for refusal in admission.refused] == ["nan", "inf"]


@pytest.mark.parametrize(
    "t", [NOW_S, float(NOW_S), "2023-11-14T22:13:20Z", "2023-11-15T06:13:20+08:00", "2023-11-14T22:13:20.000000Z"]
)
def test_a_time_may_be_unix_seconds_or_rfc_3339(t: Any) -> None:
    assert admit(message(good(t=t))).batch.event_us.tolist() == [NOW_US]


@pytest.mark.parametrize(
    ("t", "expected_us"), [(NOW_S + 0.123456, NOW_US + 123_456), ("2023-11-14T22:13:20.999999Z", NOW_US + 999_999)]
)
def test_microseconds_of_a_time_are_kept(t: Any, expected_us: int) -> None:
    assert admit(message(good(t=t))).batch.event_us.tolist() == [expected_us]


def test_both_ways_of_writing_a_time_may_stand_in_one_list() -> None:
    admission = admit(message([good(t=NOW_S - 1), good(t="2023-11-14T22:13:20Z")]))
    assert admission.batch.event_us.tolist() == [NOW_US - SECOND, NOW_US]


def test_a_number_too_long_for_int64_is_still_a_number() -> None:
    assert one_refusal(message(raw("123456789012345678901234567890"))).reason is R.OUT_OF_RANGE


def test_of_two_equal_keys_the_last_holds_however_it_is_read() -> None:
    assert admit(message(b'{"id":"gas-1","t":%d,"v":1,"v":2}' % NOW_S)).batch.value.tolist() == [2]
    assert admit(message(b'[{"id":"gas-1","t":%d,"v":NaN,"v":2},0]' % NOW_S)).batch.value.tolist() == [2]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert admit(message(b"\xef\xbb\xbf" + raw("2"))).batch.value.tolist() == [2]


def test_a_lone_surrogate_can_be_written_down() -> None:
    refusal = one_refusal(message(b'{"id":"\\ud800","t":1,"v":1}'))
    assert refusal.found.encode("utf-8")


@pytest.mark.parametrize(
    ("sensor_id", "given_value", "unit", "kept"),
    [
        ("gas-1", 2, "%VOL", 40),
        ("gas-1", 2, "%LEL", 2),
        ("gas-1", 2, None, 2),
        ("air-1", 20, None, 20),
        ("air-1", 293.15, "K", 20),
        ("air-1", 68, "°F", 20),
        ("air-2", 293.15, None, 20),  # configured in kelvin
        ("air-2", 20, "Cel", 20),
    ],
)
def test_values_are_kept_in_the_quantitys_unit(
    sensor_id: str, given_value: float, unit: str | None, kept: float
) -> None:
    admission = admit(message(good(sensor_id, v=given_value, u=unit)))
    assert admission.batch.value.tolist() == pytest.approx([kept])


def test_a_range_refusal_names_the_value_as_given_and_as_kept() -> None:
    refusal = one_refusal(message(good(v=-2, u="%VOL")))
    assert (refusal.found, refusal.expected, refusal.sensor) == ("-2 %VOL (-40 %LEL)", "-5 to 2000 %LEL", 0)


BEYOND: list[tuple[str, float, float | None]] = [
    ("ch4", 115, 115),
    ("ch4", 1999, 1999),
    ("ch4", 2100, 2000),
    ("ch4", 2201, None),
    ("ch4", 1e9, None),
    ("ch4", -6, None),
    ("co", 65_535, 2000),
    ("co", 1_000_001, None),
    ("co", -11, None),
    ("h2s", 501, 500),
    ("o2", -0.5, 0),
    ("o2", 101, 100),
    ("o2", -40, None),
    ("smoke_score", 1.02, 1),
    ("fire_score", 95, None),
    ("help_button", 2, 1),
    ("help_button", -1, None),
    ("temperature", 86, None),
    ("door_open", 2, None),
]


@pytest.mark.parametrize(("quantity", "value", "kept"), BEYOND)
def test_a_value_beyond_the_scale_is_judged_where_a_life_may_depend_on_it(
    quantity: str, value: float, kept: float | None
) -> None:
    chosen = Intake(city([sensor(0, "one", quantity)]), IngestSettings(), SUBSCRIPTIONS)
    admission = admit(message(good("one", v=value)), into=chosen)
    assert admission.batch.value.tolist() == ([] if kept is None else [kept])
    assert admission.batch.quality.tolist() == [Quality.GOOD] * len(admission.batch)
    assert [refusal.reason for refusal in admission.refused] == ([R.OUT_OF_RANGE] if kept is None else [])
    assert chosen.counters["clipped"] == (kept is not None and kept != value)


def test_beyond_the_scale_only_the_side_of_a_limit_is_dangerous() -> None:
    only_low = replace(
        city([sensor(0, "one", "o2")]),
        limits=limit_table([limit for limit in DEFAULT_LIMITS if limit.side is Side.LOW]),
    )
    chosen = Intake(only_low, IngestSettings(), SUBSCRIPTIONS)
    admission = admit(message([good("one", v=-0.5), good("one", v=101, t=NOW_S - 1)]), into=chosen)
    assert admission.batch.value.tolist() == [0]
    assert [refusal.found for refusal in admission.refused] == ["101 %VOL"]


def test_what_the_device_says_of_its_reading_is_kept() -> None:
    batch = admit(message([good(q="good"), good("air-1", q="simulated"), good("crack-1", q="doubtful")])).batch
    assert batch.quality.tolist() == [Quality.GOOD, Quality.SIMULATED, Quality.DOUBTFUL]


def test_messages_of_two_formats_stay_in_order_of_receipt() -> None:
    batch = admit(
        message(good(t=NOW_S - 3)), senml([{"n": "gas-1", "v": 2, "t": -2}]), message(good(t=NOW_S - 1, v=3))
    ).batch
    assert batch.value.tolist() == [1.5, 2, 3]
    assert batch.quality.tolist() == [Quality.GOOD] * 3


def test_senml_base_values_are_carried_on() -> None:
    pack = [
        {"bn": "gas-", "bt": NOW_S - 10, "bu": "%VOL", "bv": 1, "n": "1", "v": 0.5},
        {"n": "1", "t": 5, "v": 1},
        {"bn": "air-1", "bu": "K", "bv": 0, "v": 300, "t": 6},
        {"bn": "crack-", "n": "1", "u": "mm", "v": 2.0},
    ]
    batch = admit(senml(pack)).batch
    assert batch.sensor.tolist() == [0, 0, 1, 3]
    assert batch.value.tolist() == pytest.approx([30, 40, 26.85, 2])
    assert batch.event_us.tolist() == [NOW_US - second * SECOND for second in (10, 5, 4, 10)]


def test_senml_base_values_are_carried_over_a_broken_record() -> None:
    pack = [{"bn": "gas-", "n": "1", "vs": "x", "bt": NOW_S}, {"n": "1", "v": 2, "note": "aside"}]
    admission = admit(senml(pack))
    assert admission.batch.value.tolist() == [2]
    assert admission.batch.event_us.tolist() == [NOW_US]
    assert [refusal.reason for refusal in admission.refused] == [R.NOT_A_NUMBER]


@pytest.mark.parametrize(
    ("fields", "age_s"), [({}, 0), ({"t": 0}, 0), ({"t": -30}, 30), ({"bt": -30, "t": 10}, 20), ({"t": NOW_S - 7}, 7)]
)
def test_senml_times_below_2_to_28_are_relative_to_receipt(fields: dict[str, Any], age_s: int) -> None:
    batch = admit(senml([{"n": "gas-1", "v": 1, **fields}])).batch
    assert batch.event_us.tolist() == [NOW_US - age_s * SECOND]


def test_senml_records_behind_a_broken_base_are_each_refused() -> None:
    pack = [{"n": "gas-1", "v": 1}, {"bt": "x", "n": "gas-1", "v": 1}, {"n": "air-1", "v": 1}]
    admission = admit(senml(pack))
    assert len(admission.batch) == 1
    assert [refusal.reason for refusal in admission.refused] == [R.BAD_TIME, R.BAD_TIME]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "t", "v", "u", "q", "s", "n", "bn", "bt", "bu", "bv", "bver", "bs", "vs", "vb", "x_"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
NEARLY = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["gas-1", "air-1", "no"]) | JSON,
        "t": st.integers(NOW_S - 900, NOW_S + 200) | JSON,
        "v": st.floats(-10, 120) | JSON,
    },
    optional={"u": st.sampled_from(["K", "%LEL", "?"]) | JSON, "q": st.sampled_from(["good", "simulated"]) | JSON},
)
NEARLY_SENML = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.sampled_from(["gas-1", "1"]) | JSON,
            "bn": st.sampled_from(["gas-", ""]) | JSON,
            "v": st.floats(-10, 120) | JSON,
            "bt": st.integers(NOW_S - 900, NOW_S) | JSON,
            "t": st.integers(-900, 100) | JSON,
            "bver": st.integers(9, 11) | JSON,
            "s": JSON,
        },
    ),
    max_size=4,
)
PAYLOADS = st.binary(max_size=60) | (NEARLY | st.lists(NEARLY, max_size=4) | NEARLY_SENML | JSON).map(
    lambda value: json.dumps(value).encode()
)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(
            PAYLOADS, st.sampled_from(["gridwhistle/readings/x", "gridwhistle/senml/x", "elsewhere"]), st.booleans()
        ),
        max_size=12,
    )
)
def test_whatever_comes_nothing_raises_and_nothing_vanishes(rows: list[tuple[bytes, str, bool]]) -> None:
    chosen = intake()
    messages = [Message(topic, payload, NOW_US, retained) for payload, topic, retained in rows]
    admission = admit(*messages, into=chosen)
    counters = chosen.counters
    assert counters["messages"] == len(messages)
    assert counters["refused"] == len(admission.refused) == sum(counters[f"refused.{reason}"] for reason in R)
    # Each message left at least one trace: the columns hold finite values of known sensors, the rest is refused.
    assert len(admission.batch) + len(admission.refused) >= len(messages)
    assert np.isfinite(admission.batch.value).all()
    assert set(admission.batch.sensor.tolist()) <= {0, 1, 2, 3}
    for refusal in admission.refused:
        assert refusal.found
        assert refusal.expected
        assert (refusal.found + refusal.expected + refusal.topic).encode("utf-8")


@settings(max_examples=60, deadline=None)
@given(st.lists(NEARLY, min_size=1, max_size=6))
def test_every_item_of_a_list_is_admitted_or_refused(items: list[dict[str, Any]]) -> None:
    admission = admit(message(items))
    assert len(admission.batch) + len(admission.refused) == len(items)


def test_sensors_that_another_process_takes_are_as_if_nobody_had_configured_them() -> None:
    chosen = Intake(small_city(), IngestSettings(), SUBSCRIPTIONS, mine=np.array([True, False, True, True]))
    admission = admit(message([good("gas-1"), good("air-1", v=20), good("crack-1", v=1)]), into=chosen)
    assert admission.batch.sensor.tolist() == [0, 3]
    assert [refusal.reason for refusal in admission.refused] == [R.UNKNOWN_SENSOR]
