"""Uplinks of LoRaWAN devices by way of The Things Stack v3."""

from typing import Any

import pytest

from config.settings import PayloadFormat
from ingest.formats import ttn
from ingest.formats.columns import Decoded
from ingest.model import Quality, RefusalReason
from tests.ingest.builders import NOW_US
from tests.ingest.formats.devices import only_time, only_unread, read, us, values

EUI = "24e124136b502217"

TTN_UP: dict[str, Any] = {
    "end_device_ids": {
        "device_id": "dev1",
        "application_ids": {"application_id": "app1"},
        "dev_eui": "24E124136B502217",
        "join_eui": "800000000000000C",
        "dev_addr": "00BCB929",
    },
    "correlation_ids": ["as:up:01E0WZGT6Y7657CPFPE5WEYDSQ"],
    "received_at": "2020-02-12T15:15:46.123456789Z",
    "uplink_message": {
        "session_key_id": "AXA50tQUEUucLSQTt9bT9A==",
        "f_cnt": 1,
        "f_port": 1,
        "frm_payload": "gkHe",
        "decoded_payload": {"temperature": 1.0, "gas": {"ch4": 0}, "leak": False},
        "rx_metadata": [{"gateway_ids": {"gateway_id": "gtw1"}, "time": "2020-02-12T15:15:45.787Z", "rssi": -35}],
        "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "868300000"},
        "received_at": "2020-02-12T15:15:45.500000000Z",
    },
}


def things(payload: object, kind: str = "up") -> Decoded:
    return read(PayloadFormat.TTN, f"v3/app1@tenant1/devices/dev1/{kind}", payload)


def test_every_number_of_an_uplink_is_a_reading_also_nought() -> None:
    found = things(TTN_UP)
    assert values(found) == {f"{EUI}/temperature": 1, f"{EUI}/gas.ch4": 0, f"{EUI}/leak": 0}
    assert only_time(found) == us(2020, 2, 12, 15, 15, 45) + 500_000
    assert found.sequence == [1, 1, 1]
    assert set(found.quality.tolist()) == {Quality.GOOD}


def test_the_first_frame_of_a_session_has_the_count_nought_which_is_left_out() -> None:
    uplink = {key: value for key, value in TTN_UP["uplink_message"].items() if key != "f_cnt"}
    assert things(TTN_UP | {"uplink_message": uplink}).sequence == [0, 0, 0]


def test_what_is_simulated_is_a_drill() -> None:
    assert set(things(TTN_UP | {"simulated": True}).quality.tolist()) == {Quality.SIMULATED}


def test_a_device_without_eui_is_known_by_its_id() -> None:
    found = things(TTN_UP | {"end_device_ids": {"device_id": "dev1"}})
    assert set(found.devices or ()) == {"dev1"}


def test_without_its_own_time_an_uplink_has_that_of_the_message_or_of_receipt() -> None:
    uplink = {key: value for key, value in TTN_UP["uplink_message"].items() if key != "received_at"}
    assert only_time(things(TTN_UP | {"uplink_message": uplink})) == us(2020, 2, 12, 15, 15, 46) + 123_457
    assert only_time(things(TTN_UP | {"uplink_message": uplink, "received_at": None})) == NOW_US


@pytest.mark.parametrize("kind", sorted(ttn.OTHERS))
def test_messages_of_other_kinds_are_no_readings(kind: str) -> None:
    assert things({"end_device_ids": TTN_UP["end_device_ids"], kind: {"f_port": 1}}, kind).others == 1


def test_a_frame_of_the_networks_own_is_no_reading() -> None:
    assert things(TTN_UP | {"uplink_message": {"f_cnt": 3}}).others == 1


@pytest.mark.parametrize(
    ("change", "reason", "found", "expected"),
    [
        ({"end_device_ids": {}}, RefusalReason.MISSING_FIELD,
         "neither end_device_ids.dev_eui nor end_device_ids.device_id", ttn.EXPECTED),
        ({"uplink_message": {"frm_payload": "gkHe"}}, RefusalReason.MISSING_FIELD,
         'no decoded_payload, frm_payload "gkHe"', "decoded_payload: set a payload formatter"),
        ({"uplink_message": {"decoded_payload": 5}}, RefusalReason.UNREADABLE, "decoded_payload 5",
         "decoded_payload as an object"),
        ({"uplink_message": {"received_at": "now"}}, RefusalReason.BAD_TIME, 'received_at "now"',
         ttn.EXPECTED_TIME),
        ({"uplink_message": 5}, RefusalReason.UNREADABLE,
         'an object with "end_device_ids", "correlation_ids", "received_at", "uplink_message"', ttn.EXPECTED),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: dict[str, Any], reason: RefusalReason, found: str, expected: str) -> None:
    unread = only_unread(things(TTN_UP | change))
    assert (unread.reason, unread.found, unread.expected) == (reason, found, expected)
