"""What Zigbee2MQTT publishes of its devices."""

import pytest

from config.settings import PayloadFormat
from ingest.formats import zigbee2mqtt
from ingest.formats.columns import Decoded
from ingest.model import RefusalReason
from tests.ingest.builders import NOW_US
from tests.ingest.formats.devices import only_time, only_unread, read, us, values


def z2m(topic: str, payload: object) -> Decoded:
    return read(PayloadFormat.ZIGBEE2MQTT, topic, payload)


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("zigbee2mqtt/hall", "hall"),
        ("zigbee2mqtt/kitchen/sensor", "kitchen/sensor"),
        ("zigbee2mqtt/0x00158d00018255df", "0x00158d00018255df"),
        ("city/north/zigbee2mqtt/kitchen/sensor", "kitchen/sensor"),
        ("city/zigbee2mqtt-2/kitchen/sensor", "kitchen/sensor"),
        ("z2m/kitchen/sensor", "kitchen/sensor"),
        ("zigbee2mqtt/front door", "front door"),
    ],
)
def test_the_device_is_what_stands_behind_the_base_topic(topic: str, device: str) -> None:
    found = z2m(topic, {"temperature": 27.34, "humidity": 44.72})
    assert values(found) == {f"{device}/temperature": 27.34, f"{device}/humidity": 44.72}
    assert found.devices == [device, device]
    assert only_time(found) == NOW_US


def test_switches_are_one_and_nought_and_null_is_passed_over() -> None:
    said = {
        "contact": False,
        "water_leak": True,
        "state": "ON",
        "state_right": "OFF",
        "battery": None,
        "action": "single",
    }
    found = z2m("zigbee2mqtt/x", said)
    assert values(found) == {"x/contact": 0, "x/water_leak": 1, "x/state": 1, "x/state_right": 0}
    assert found.passed_over == 1
    assert [one.sensor_id for one in found.unread] == ["x/action"]


@pytest.mark.parametrize(
    "seen",
    ["2024-01-01T00:00:05.000Z", "2024-01-01T08:00:05+08:00", 1_704_067_205_000, 1_704_067_205_000.0],
)
def test_last_seen_is_the_time_and_no_reading(seen: object) -> None:
    found = z2m("zigbee2mqtt/x", {"temperature": 20, "last_seen": seen})
    assert values(found) == {"x/temperature": 20}
    assert only_time(found) == us(2024, 1, 1, 0, 0, 5)


@pytest.mark.parametrize("seen", ["2024-01-01T00:00:05", "never", True, 10**400, [], 1e300])
def test_a_last_seen_that_is_no_time_is_named(seen: object) -> None:
    unread = only_unread(z2m("zigbee2mqtt/x", {"temperature": 20, "last_seen": seen}))
    assert unread.reason is RefusalReason.BAD_TIME
    assert unread.found.startswith("last_seen ")
    assert unread.expected == zigbee2mqtt.EXPECTED_TIME


def test_without_last_seen_or_with_none_it_is_when_it_was_received() -> None:
    assert only_time(z2m("zigbee2mqtt/x", {"temperature": 20, "last_seen": None})) == NOW_US


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("zigbee2mqtt/bridge/state", b'{"state": "online"}'),
        ("zigbee2mqtt/bridge/devices", b"[]"),
        ("zigbee2mqtt/bridge/logging", b"not even JSON"),
        ("zigbee2mqtt/kitchen/sensor/availability", b'{"state": "online"}'),
        ("zigbee2mqtt/kitchen/sensor/availability", b"online"),
        ("zigbee2mqtt/kitchen/lamp/set", b'{"state": "ON"}'),
        ("zigbee2mqtt/kitchen/lamp/set/state", b"ON"),
        ("zigbee2mqtt/kitchen/lamp/get", b'{"state": ""}'),
        ("zigbee2mqtt/kitchen/lamp", b""),
        ("zigbee2mqtt/kitchen/lamp", b"{}"),
    ],
)
def test_what_is_no_reading_counts_as_something_else(topic: str, payload: bytes) -> None:
    found = z2m(topic, payload)
    assert (found.others, list(found.unread), len(found.ids)) == (1, [], 0)


def test_an_attribute_by_itself_is_a_field() -> None:
    assert values(z2m("zigbee2mqtt/kitchen/sensor/temperature", b"27.34")) == {"kitchen/sensor/temperature": 27.34}
    assert values(z2m("zigbee2mqtt/door/contact", b"true")) == {"door/contact": 1}


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"ON", 1),
        (b"OFF", 0),
        (b'"ON"', 1),
        (b'"OFF"', 0),
        (b"ON\n", 1),
        (b"true", 1),
        (b"false", 0),
        (b"0", 0),
        (b"-5", -5),
        (b"1e2", 100),
    ],
)
def test_an_attribute_by_itself_is_read_as_within_an_object(payload: bytes, value: float) -> None:
    assert values(z2m("zigbee2mqtt/hall/lamp/state", payload)) == {"hall/lamp/state": value}


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (b"single", 'action "single"'),
        (b'"single"', 'action "single"'),
        (b"online", 'action "online"'),
        (b"2023-11-14T22:13:19Z", 'action "2023-11-14T22:13:19Z"'),
        (b"NaN", "action nan"),
        (b"1e999", "action inf"),
        (b"[1]", "action a list of 1"),
    ],
)
def test_an_attribute_that_is_no_number_is_refused_by_its_device_and_field(payload: bytes, found: str) -> None:
    unread = only_unread(z2m("zigbee2mqtt/hall/lamp/action", payload))
    assert (unread.reason, unread.found) == (RefusalReason.NOT_A_NUMBER, found)
    assert (unread.device, unread.sensor_id) == ("hall/lamp", "hall/lamp/action")


def test_an_attribute_that_is_null_is_passed_over() -> None:
    found = z2m("zigbee2mqtt/hall/lamp/action", b"null")
    assert (found.passed_over, list(found.unread), len(found.ids)) == (1, [], 0)


@pytest.mark.parametrize("payload", [b'{"temperature": 2', b"[1", b"\xff\xfe", b'{"temperature": 2}}'])
def test_a_broken_object_is_no_text_of_an_attribute(payload: bytes) -> None:
    unread = only_unread(z2m("zigbee2mqtt/kitchen/sensor", payload))
    assert (unread.reason, unread.expected) == (RefusalReason.UNREADABLE, zigbee2mqtt.EXPECTED)
    assert unread.device is None


@pytest.mark.parametrize("topic", ["zigbee2mqtt/x/", "zigbee2mqtt//x"])
def test_an_attribute_without_a_name_or_a_device_is_refused(topic: str) -> None:
    unread = only_unread(z2m(topic, b"5"))
    assert (unread.reason, unread.expected) == (RefusalReason.UNREADABLE, zigbee2mqtt.EXPECTED_TOPIC)


@pytest.mark.parametrize(
    ("topic", "payload", "found"),
    [
        ("zigbee2mqtt/x", b"[1]", "a list of 1"),
        ("zigbee2mqtt/x", b"5", "5"),
        ("zigbee2mqtt", b"{}", 'topic "zigbee2mqtt"'),
        ("zigbee2mqtt/", b'{"a": 1}', 'topic "zigbee2mqtt/"'),
    ],
)
def test_what_cannot_be_read_is_named(topic: str, payload: bytes, found: str) -> None:
    unread = only_unread(z2m(topic, payload))
    assert (unread.reason, unread.found) == (RefusalReason.UNREADABLE, found)


def test_a_value_that_is_no_number_is_named_beside_the_good_ones() -> None:
    found = z2m("zigbee2mqtt/x", b'{"temperature": NaN, "humidity": 44.72}')
    assert values(found) == {"x/humidity": 44.72}
    (unread,) = found.unread
    assert (unread.found, unread.expected, unread.sensor_id) == ("temperature nan", "a finite number", "x/temperature")
