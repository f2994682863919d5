"""Which sensor a device's field is, what is passed over, and devices that nobody lists."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.fields import FieldRule, FieldRules
from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.fields import FieldTable
from ingest.formats.columns import Decoded, Request
from ingest.formats.gathered import Gathered, flat
from ingest.intake import Intake
from ingest.model import Admission, Bools, Int64s, Message, Messages, RefusalReason
from tests.ingest.builders import NOW_US, city, sensor

TOPIC = "gridwhistle/devices/kitchen"


def devices_intake(*rules: FieldRule, mine: Bools | None = None) -> Intake:
    """An intake of a few sensors and these rules."""
    sensors = [
        sensor(0, "gas-1"),
        sensor(1, "air-1", "temperature", unit="K"),
        sensor(2, "kitchen/sensor/humidity", "humidity"),
        sensor(3, "hall-t", "temperature"),
        sensor(4, "hall-door", "door_open"),
    ]
    subscriptions = [Subscription(filter="gridwhistle/#", format=PayloadFormat.NATIVE)]
    return Intake(replace(city(sensors), fields=FieldRules.of(rules)), IngestSettings(), subscriptions, mine=mine)


def told(device: str, fields: dict[str, Any], *, unit: str | None = None) -> Gathered:
    gathered = Gathered()
    gathered.begin(0)
    for name, value in fields.items():
        gathered.take(device, name, NOW_US, value, unit=unit)
    return gathered


def admitted(into: Intake, gathered: Gathered) -> Admission:
    """The readings through the intake, as if a decoder had made them."""
    into._decoders = {PayloadFormat.NATIVE: lambda *_: gathered.columns()}
    admission = into.admit(Messages.of([Message(TOPIC, b"{}", NOW_US)]), NOW_US)
    counters = into.counters
    assert counters["readings"] == counters["admitted"] + counters["refused"]
    return admission


def values(admission: Admission) -> list[tuple[int, float]]:
    return list(zip(admission.batch.sensor.tolist(), admission.batch.value.tolist(), strict=True))


def reasons(admission: Admission) -> Sequence[RefusalReason]:
    return [refusal.reason for refusal in admission.refused]


def test_a_field_that_the_table_names_is_its_sensor_and_the_others_are_passed_over() -> None:
    into = devices_intake(FieldRule("24e1", "temperature", "air-1", "°C"))
    admission = admitted(into, told("24e1", {"temperature": 20.5, "battery": 98, "linkquality": 120}))
    assert values(admission) == [(1, 20.5)]
    assert admission.refused == ()
    assert into.counters["fields_passed_over"] == 2
    assert into.counters["readings"] == 1


def test_without_a_line_the_field_is_looked_up_as_a_sensor() -> None:
    into = devices_intake()
    admission = admitted(into, told("kitchen/sensor", {"humidity": 41.0, "linkquality": 120}))
    assert values(admission) == [(2, 41.0)]
    assert into.counters["fields_passed_over"] == 1


def test_a_line_for_any_device_names_the_sensor_by_the_device() -> None:
    into = devices_intake(FieldRule("*", "temperature", "{device}-t"), FieldRule("*", "contact", "{device}-door"))
    assert values(admitted(into, told("hall", {"temperature": 20.5, "contact": False}))) == [(3, 20.5), (4, 0.0)]
    assert reasons(admitted(into, told("attic", {"temperature": 20.5}))) == [RefusalReason.UNKNOWN_SENSOR]


def test_a_line_for_the_device_goes_before_one_for_any() -> None:
    into = devices_intake(FieldRule("*", "temperature", "{device}-t"), FieldRule("hall", "temperature", "air-1", "C"))
    assert values(admitted(into, told("hall", {"temperature": 20.5}))) == [(1, 20.5)]


@pytest.mark.parametrize(("closed", "is_open"), [(True, 0.0), (False, 1.0)])
def test_factor_and_offset_turn_a_switch_round(closed: bool, is_open: float) -> None:
    into = devices_intake(FieldRule("hall", "contact", "hall-door", None, -1, 1))
    assert values(admitted(into, told("hall", {"contact": closed}))) == [(4, is_open)]


@pytest.mark.parametrize(
    ("said", "listed", "kept"),
    [("F", None, 20.0), ("F", "K", 20.0), (None, "F", 20.0), (None, None, 68 - 273.15)],
)
def test_the_unit_is_the_formats_or_the_tables_or_the_sensors(
    said: str | None, listed: str | None, kept: float
) -> None:
    into = devices_intake(FieldRule("24e1", "temperature", "air-1", listed))
    admission = admitted(into, told("24e1", {"temperature": 68}, unit=said))
    if kept < -60:
        assert reasons(admission) == [RefusalReason.OUT_OF_RANGE]
    else:
        ((_, value),) = values(admission)
        assert value == pytest.approx(kept)


def test_a_device_that_nobody_lists_is_refused_once_a_message_and_counted_by_field() -> None:
    into = devices_intake()
    admission = admitted(into, told("attic", dict.fromkeys("abcdefg", 1) | {"state": "ON"}))
    (refusal,) = admission.refused
    assert (refusal.reason, refusal.sensor) == (RefusalReason.UNKNOWN_SENSOR, -1)
    assert refusal.found == 'device "attic" with state, a, b, c, d and 3 more'
    assert refusal.expected == 'a device in fields.csv, or a sensor with the id "attic/state"'
    assert into.counters["refused.unknown_sensor"] == 8
    assert into.counters["fields_passed_over"] == 0


def test_a_text_is_refused_where_somebody_wants_the_field_and_passed_over_elsewhere() -> None:
    into = devices_intake(FieldRule("24e1", "state", "hall-door"))
    admission = admitted(into, told("24e1", {"state": "ON", "model": "EM300"}))
    (refusal,) = admission.refused
    assert (refusal.reason, refusal.sensor) == (RefusalReason.NOT_A_NUMBER, 4)
    assert (refusal.found, refusal.expected) == ('state "ON"', "a finite number")
    assert into.counters["fields_passed_over"] == 1


def test_a_line_that_names_an_unknown_sensor_is_refused_and_not_passed_over() -> None:
    into = devices_intake(FieldRule("24e1", "temperature", "no-such"), FieldRule("24e1", "text", "nor-this"))
    admission = admitted(into, told("24e1", {"temperature": 20.5, "text": "x"}))
    assert sorted(reasons(admission)) == [RefusalReason.NOT_A_NUMBER, RefusalReason.UNKNOWN_SENSOR]
    assert 'id "no-such (24e1/temperature in fields.csv)"' in [refusal.found for refusal in admission.refused]


def test_null_is_passed_over_and_a_message_of_nothing_else_counts_as_one_without_readings() -> None:
    into = devices_intake(FieldRule("24e1", "temperature", "air-1"))
    admission = admitted(into, told("24e1", {"temperature": None}))
    assert (len(admission.batch), admission.refused) == (0, ())
    assert into.counters["fields_passed_over"] == 1
    assert into.counters["messages_without_readings"] == 1


def test_what_another_part_takes_is_refused_as_if_nobody_had_configured_it() -> None:
    into = devices_intake(FieldRule("24e1", "ch4", "gas-1"), mine=np.array([False, True, True, True, True]))
    assert reasons(admitted(into, told("24e1", {"ch4": 1.5}))) == [RefusalReason.UNKNOWN_SENSOR]


@pytest.mark.parametrize(("bound", "most"), [("_REMEMBERED", 100), ("_REMEMBERED_LETTERS", 1200)])
def test_answers_are_remembered_and_the_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(f"ingest.fields.{bound}", most)
    found = FieldTable(city([sensor(0, "hall/t", "temperature")]))
    for number in range(400):
        gathered = told(f"made-up-{number}", {"t": 1})
        gathered.begin(1)
        gathered.take("hall", "t", NOW_US, 20.0)
        resolved = found.resolve(gathered.columns())
        assert resolved.sensor.tolist() == [0]
        assert [stranger.device for stranger in resolved.strangers] == [f"made-up-{number}"]
    assert len(found._found.code) <= 102


def test_the_letters_of_devices_count_too_and_of_those_nobody_lists_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.fields._REMEMBERED_LETTERS", 10_000)
    found, most = FieldTable(city([sensor(0, "hall/t", "temperature")])), 0
    for number in range(50):
        found.resolve(told(f"{number:0500}", {"t": 1, "text": "x"}).columns())
        kept = found._found
        pairs, listed = sum(len(device) + len(name) for device, name in kept.code), sum(map(len, kept.listed))
        assert pairs + listed == kept.letters
        most = max(most, pairs + listed)
    assert 8_000 < most <= 10_000 + 2 * 1006 + 500  # and one message more


def test_objects_are_flattened_with_dots_and_lists_by_place() -> None:
    assert dict(flat({"a": {"b": 1, "c": [2, {"d": 3}]}, "e.f": 4, "g": {}, "h": []})) == {
        "a.b": 1,
        "a.c.0": 2,
        "a.c.1.d": 3,
        "e.f": 4,
    }


def test_what_lies_too_deep_is_one_field_that_is_no_number() -> None:
    given: dict[str, Any] = {"x": 1}
    for _ in range(40):
        given = {"x": given}
    ((name, value),) = flat(given)
    assert name.count(".") == 16
    assert isinstance(value, dict)


def test_requests_are_handed_out_once_and_those_that_nobody_takes_are_bounded_and_counted() -> None:
    into = devices_intake()
    gathered = Gathered()
    wanted = [Request(f"plant/NCMD/{number}", b"rebirth") for number in range(700)]
    for request in wanted:
        gathered.request(request)
    admitted(into, gathered)
    assert into.requests() == wanted
    assert into.requests() == []
    for _ in range(2):
        into._note(gathered.columns())
    assert into.counters["requests_forgone"] == 400
    assert into.requests() == [*wanted, *wanted[:300]]


def test_births_and_data_of_two_subscriptions_stay_in_the_order_in_which_they_came() -> None:
    seen: list[str] = []

    def decode(payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: object = None) -> Decoded:
        del payloads, received_us, zone
        seen.extend(topics)
        return Gathered().columns()

    filters = ("plant/birth/#", "plant/data/#", "other/#")
    subscriptions = [Subscription(filter=one, format=PayloadFormat.SPARKPLUG) for one in filters]
    into = Intake(city([sensor(0, "gas-1")]), IngestSettings(), subscriptions)
    into._decoders[PayloadFormat.SPARKPLUG] = decode
    topics = ["plant/data/a", "plant/birth/b", "plant/data/b", "other/x", "plant/data/b"]
    into.admit(Messages.of([Message(topic, b"", NOW_US) for topic in topics]), NOW_US)
    assert seen == topics


NAMES = st.sampled_from(["a", "b", "a/b", "b/a", "hall"])
RULE = st.builds(
    FieldRule,
    device=NAMES | st.just("*"),
    field=NAMES,
    sensor=st.sampled_from(["gas-1", "hall/t", "a/b/a", "{device}-x", "{device}/b", "no-such"]),
    unit=st.sampled_from([None, "K"]),
    factor=st.sampled_from([1.0, -1.0, 2.0]),
    offset=st.sampled_from([0.0, 1.0]),
)
TOLD = st.tuples(
    st.integers(0, 3), NAMES, NAMES, st.sampled_from([1.5, None, "text", True]), st.sampled_from([None, "F"])
)
SENSORS = ["gas-1", "hall/t", "a/b/a", "a-x", "b/b", "hall/a"]


@given(st.lists(RULE, max_size=6), st.lists(TOLD, max_size=12))
def test_many_fields_come_to_the_same_as_asking_of_each(rules: list[FieldRule], told_all: list[Any]) -> None:
    named = {(one.device, one.field): one for one in rules if one.device != "*"}
    patterns = {one.field: one for one in rules if one.device == "*"}

    def sensor_of(device: str, field: str) -> tuple[str | None, FieldRule | None]:
        rule = named.get((device, field))
        if rule is not None:
            return (rule.sensor if rule.sensor in SENSORS else "missing"), rule
        rule = patterns.get(field)
        if rule is not None and rule.sensor.replace("{device}", device) in SENSORS:
            return rule.sensor.replace("{device}", device), rule
        return (f"{device}/{field}" if f"{device}/{field}" in SENSORS else None), None

    def listed(device: str) -> bool:
        begins = any(one.startswith(f"{device}/") for one in SENSORS)
        fits = any(one.sensor.replace("{device}", device) in SENSORS for one in patterns.values())
        return begins or fits or any(one.device == device for one in named.values())

    gathered = Gathered()
    wanted: list[tuple[int, float, str | None]] = []
    refused: list[str | None] = []
    passed_over, strange = 0, 0
    told_all.sort(key=lambda one: one[0])
    for number in range(4):
        gathered.begin(number)
        for _, device, field, value, unit in (one for one in told_all if one[0] == number):
            gathered.take(device, field, NOW_US, value, unit=unit)
            found, rule = sensor_of(device, field)
            if value is None:
                continue
            if found is None:
                passed_over += listed(device)
                strange += not listed(device)
            elif isinstance(value, str):
                refused.append(found if found in SENSORS else None)
            else:
                scaled = float(value) if rule is None else rule.factor * value + rule.offset
                row = SENSORS.index(found) if found in SENSORS else -1
                wanted.append((row, scaled, unit or (rule.unit if rule is not None else None)))
    whole = replace(city([sensor(row, id_) for row, id_ in enumerate(SENSORS)]), fields=FieldRules.of(rules))
    resolved = FieldTable(whole).resolve(gathered.columns())
    decoded = resolved.decoded
    units = decoded.units or [None] * len(decoded.ids)
    assert list(zip(resolved.sensor.tolist(), decoded.value.tolist(), units, strict=True)) == wanted
    assert [one.sensor_id for one in decoded.unread] == refused
    assert resolved.passed_over == passed_over
    assert sum(len(one.fields) for one in resolved.strangers) == strange
