"""Uplinks of LoRaWAN devices by way of ChirpStack v4."""

from typing import Any

import pytest

from config.settings import PayloadFormat
from ingest.formats import chirpstack
from ingest.formats.columns import Decoded
from ingest.model import RefusalReason
from tests.ingest.builders import NOW_US
from tests.ingest.formats.devices import only_time, only_unread, read, us, values

EUI = "24e124136b502217"

CHIRPSTACK_UP: dict[str, Any] = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2022-07-18T09:34:15.775023242+00:00",
    "deviceInfo": {
        "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
        "tenantName": "ChirpStack",
        "applicationId": "17c82e96-be03-4f38-aef3-f83d48582d97",
        "applicationName": "Test application",
        "deviceProfileId": "14855bf7-d10d-4aee-b618-ebfcb64dc7ad",
        "deviceProfileName": "Test device-profile",
        "deviceName": "Test device",
        "devEui": "24E124136B502217",
        "tags": {"key": "value"},
    },
    "devAddr": "00189440",
    "dr": 1,
    "fCnt": 17,
    "fPort": 1,
    "data": "qg==",
    "object": {"temperatureSensor": {"1": 25}, "humiditySensor": {"1": 32}, "alarm": False, "mode": "auto"},
    "rxInfo": [
        {
            "gatewayId": "0016c001f153a14c",
            "uplinkId": 4217106255,
            "rssi": -36,
            "snr": 10.5,
            "context": "E3OWOQ==",
            "metadata": {"region_name": "eu868", "region_common_name": "EU868"},
        }
    ],
    "txInfo": {"frequency": 867100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 11}}},
}
CHIRPSTACK_STATUS = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2022-07-18T09:34:15.775023242+00:00",
    "deviceInfo": CHIRPSTACK_UP["deviceInfo"],
    "margin": 10,
    "externalPowerSource": False,
    "batteryLevelUnavailable": False,
    "batteryLevel": 75.5,
}


def chirp(payload: object, event: str = "up", prefix: str = "") -> Decoded:
    return read(PayloadFormat.CHIRPSTACK, f"{prefix}application/17c82e96/device/{EUI}/event/{event}", payload)


@pytest.mark.parametrize("prefix", ["", "city/north/"])
def test_every_number_of_an_uplink_is_a_reading_at_the_time_of_the_network(prefix: str) -> None:
    found = chirp(CHIRPSTACK_UP, prefix=prefix)
    assert values(found) == {
        f"{EUI}/temperatureSensor.1": 25,
        f"{EUI}/humiditySensor.1": 32,
        f"{EUI}/alarm": 0,
    }
    assert only_time(found) == us(2022, 7, 18, 9, 34, 15) + 775_023
    assert found.sequence == [17, 17, 17]
    assert found.devices == [EUI] * 3
    (text,) = found.unread
    assert (text.reason, text.sensor_id, text.device) == (RefusalReason.NOT_A_NUMBER, f"{EUI}/mode", EUI)


def test_a_status_tells_of_the_battery() -> None:
    assert values(chirp(CHIRPSTACK_STATUS, "status")) == {
        f"{EUI}/margin": 10,
        f"{EUI}/externalPowerSource": 0,
        f"{EUI}/batteryLevel": 75.5,
    }


@pytest.mark.parametrize("why", ["batteryLevelUnavailable", "externalPowerSource"])
def test_a_battery_level_that_is_none_is_passed_over(why: str) -> None:
    found = chirp(CHIRPSTACK_STATUS | {why: True, "batteryLevel": 0}, "status")
    assert f"{EUI}/batteryLevel" not in values(found)
    assert found.passed_over == 1


@pytest.mark.parametrize("event", ["join", "ack", "txack", "log", "location", "integration"])
def test_other_events_are_no_readings_whatever_they_hold(event: str) -> None:
    found = chirp(b"\xff", event)
    assert (found.others, list(found.unread), len(found.ids)) == (1, [], 0)


def test_on_a_topic_of_ones_own_the_payload_says_what_it_is() -> None:
    for payload, count in ((CHIRPSTACK_UP, 3), (CHIRPSTACK_STATUS, 3)):
        assert len(read(PayloadFormat.CHIRPSTACK, "lora/somewhere", payload).ids) == count
    joined = {"time": "2022-07-18T09:34:15Z", "deviceInfo": {"devEui": EUI}, "devAddr": "00189440"}
    assert read(PayloadFormat.CHIRPSTACK, "lora/somewhere", joined).others == 1


def test_a_frame_of_the_networks_own_is_no_reading() -> None:
    frame = {key: value for key, value in CHIRPSTACK_UP.items() if key not in {"object", "data", "fPort"}}
    assert chirp(frame).others == 1


def test_without_time_it_is_when_it_was_received() -> None:
    assert only_time(chirp({key: value for key, value in CHIRPSTACK_UP.items() if key != "time"})) == NOW_US


@pytest.mark.parametrize(
    ("change", "reason", "found", "expected"),
    [
        ({"deviceInfo": None}, RefusalReason.MISSING_FIELD, "no deviceInfo.devEui", chirpstack.EXPECTED),
        ({"deviceInfo": {"devEui": 5}}, RefusalReason.MISSING_FIELD, "no deviceInfo.devEui", chirpstack.EXPECTED),
        ({"object": None}, RefusalReason.MISSING_FIELD, 'no object, data "qg=="',
         "object: set a codec in the device profile"),
        ({"object": [1]}, RefusalReason.UNREADABLE, "object a list of 1", "object as an object"),
        ({"time": "yesterday"}, RefusalReason.BAD_TIME, 'time "yesterday"', chirpstack.EXPECTED_TIME),
        ({"time": 1658136855}, RefusalReason.BAD_TIME, "time 1658136855", chirpstack.EXPECTED_TIME),
        ({"time": "2022-07-18T09:34:15"}, RefusalReason.BAD_TIME, 'time "2022-07-18T09:34:15"',
         chirpstack.EXPECTED_TIME),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: dict[str, Any], reason: RefusalReason, found: str, expected: str) -> None:
    unread = only_unread(chirp(CHIRPSTACK_UP | change))
    assert (unread.reason, unread.found, unread.expected) == (reason, found, expected)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"5", b'"x"', b"null", b'{"a":'])
def test_what_is_no_event_is_unreadable(payload: bytes) -> None:
    assert only_unread(chirp(payload)).reason in {RefusalReason.UNREADABLE, RefusalReason.MISSING_FIELD}
