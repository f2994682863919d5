"""What Tasmota publishes of its sensors."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.settings import PayloadFormat
from ingest.formats import tasmota
from ingest.formats.columns import Decoded
from ingest.model import RefusalReason
from tests.ingest.formats.devices import only_time, only_unread, read, units, us, values

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")
SAID: dict[str, Any] = {
    "Time": "2026-03-07T12:54:34",
    "BME280": {"Temperature": 20.7, "Humidity": 24.4, "DewPoint": -0.4, "Pressure": 1013.4, "SeaPressure": 1017.0},
    "PMS5003": {"CF1": 22, "PM2.5": 32, "PM10": 49, "PB0.3": 4146},
    "PressureUnit": "hPa",
    "TempUnit": "C",
}


def tas(payload: object, topic: str = "tele/yard/SENSOR", zone: ZoneInfo | None = SHANGHAI) -> Decoded:
    return read(PayloadFormat.TASMOTA, topic, payload, zone)


def test_every_number_is_a_reading_named_by_its_sensor_and_its_field() -> None:
    found = tas(SAID)
    assert values(found) == {
        "yard/BME280.Temperature": 20.7,
        "yard/BME280.Humidity": 24.4,
        "yard/BME280.DewPoint": -0.4,
        "yard/BME280.Pressure": 1013.4,
        "yard/BME280.SeaPressure": 1017.0,
        "yard/PMS5003.CF1": 22,
        "yard/PMS5003.PM2.5": 32,
        "yard/PMS5003.PM10": 49,
        "yard/PMS5003.PB0.3": 4146,
    }
    assert only_time(found) == us(2026, 3, 7, 4, 54, 34)
    assert not found.unread


@pytest.mark.parametrize(("temperature", "pressure"), [("C", "hPa"), ("F", "mmHg"), ("F", "inHg")])
def test_the_units_that_the_device_names_hold_for_their_fields(temperature: str, pressure: str) -> None:
    named = units(tas(SAID | {"TempUnit": temperature, "PressureUnit": pressure}))
    assert named["yard/BME280.Temperature"] == named["yard/BME280.DewPoint"] == temperature
    assert named["yard/BME280.Pressure"] == named["yard/BME280.SeaPressure"] == pressure
    assert named["yard/BME280.Humidity"] is None
    assert named["yard/PMS5003.PM2.5"] is None


def test_the_unit_of_temperatures_holds_for_all_kinds_of_them_and_for_nothing_else() -> None:
    names = ("Temperature1", "ProbeTemperature", "ReferenceTemperature", "ChipTemperature", "DewPoint")
    said = dict.fromkeys((*names, "TempOffset", "Humidity"), 1.0)
    named = units(tas({"Time": SAID["Time"], "X": said, "TempUnit": "F"}))
    assert {id_ for id_, unit in named.items() if unit == "F"} == {f"yard/X.{name}" for name in names}


def test_without_named_units_none_are_made_up() -> None:
    assert tas({"Time": SAID["Time"], "DS18B20": {"Temperature": 20.6}}).units is None


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("tele/yard/SENSOR", "yard"),
        ("tele/kitchen/plug/SENSOR", "kitchen/plug"),
        ("city/north/tele/yard/SENSOR", "yard"),
        ("tasmota_C26D46/tele/SENSOR", "tasmota_C26D46"),
        ("home/yard/tele/SENSOR", "home/yard"),
        ("home/yard/SENSOR", "home/yard"),
    ],
)
def test_the_device_is_found_whatever_the_full_topic(topic: str, device: str) -> None:
    assert set(tas(SAID, topic).devices or ()) == {device}


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("tele/yard/STATE", b'{"Time": "2024-02-25T11:27:00", "Uptime": "0T00:05:12", "Vcc": 3.1}'),
        ("tele/yard/LWT", b"Online"),
        ("tele/yard/INFO1", b"{}"),
        ("stat/yard/RESULT", b'{"POWER": "ON"}'),
        ("tele/yard/SENSOR", b""),
        ("tele/yard/SENSOR", b'{"Time": "2024-02-25T11:27:00"}'),
    ],
)
def test_what_is_no_reading_counts_as_something_else(topic: str, payload: bytes) -> None:
    found = tas(payload, topic)
    assert (found.others, list(found.unread), len(found.ids)) == (1, [], 0)


def test_local_time_is_refused_by_name_where_no_zone_is_named() -> None:
    unread = only_unread(tas(SAID, zone=None))
    assert (unread.reason, unread.device) == (RefusalReason.BAD_TIME, "yard")
    assert unread.found == 'Time "2026-03-07T12:54:34"'
    assert unread.expected == f"RFC 3339 with a zone: {tasmota.NAME_THE_ZONE}"


def test_a_time_with_its_offset_needs_no_zone() -> None:
    assert only_time(tas(SAID | {"Time": "2021-07-24T23:54:07+09:00"}, zone=None)) == us(2021, 7, 24, 14, 54, 7)


def test_a_time_that_the_clocks_skip_is_refused() -> None:
    unread = only_unread(tas(SAID | {"Time": "2024-03-31T02:30:00"}, zone=BERLIN))
    assert unread.expected.startswith("a time that there is in Europe/Berlin")


@pytest.mark.parametrize("time", [1_700_000_000, None, "yesterday", "2024-02-30T00:00:00"])
def test_a_time_that_is_none_is_named(time: object) -> None:
    assert only_unread(tas(SAID | {"Time": time})).reason is RefusalReason.BAD_TIME


def test_switches_energy_of_several_phases_and_serial_numbers() -> None:
    said = {
        "Time": SAID["Time"],
        "Switch1": "ON",
        "ENERGY": {"TotalStartTime": "2023-01-01T00:00:00", "Power": [25, 30], "Current": 0.11},
        "DS18B20-1": {"Id": "000008BD38BF", "Temperature": 26.1},
    }
    found = tas(said)
    assert values(found) == {
        "yard/Switch1": 1,
        "yard/ENERGY.Power.0": 25,
        "yard/ENERGY.Power.1": 30,
        "yard/ENERGY.Current": 0.11,
        "yard/DS18B20-1.Temperature": 26.1,
    }
    assert [one.sensor_id for one in found.unread] == ["yard/ENERGY.TotalStartTime", "yard/DS18B20-1.Id"]


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("tele/yard/SENSOR", b"[]", RefusalReason.UNREADABLE),
        ("tele/yard/SENSOR", b"{", RefusalReason.UNREADABLE),
        ("tele/yard/SENSOR", b'{"DS18B20": {"Temperature": 1}}', RefusalReason.MISSING_FIELD),
        ("tele/SENSOR", b'{"Time": "2024-02-25T11:27:00", "A": 1}', RefusalReason.UNREADABLE),
        ("SENSOR", b'{"Time": "2024-02-25T11:27:00", "A": 1}', RefusalReason.UNREADABLE),
    ],
)
def test_what_cannot_be_read_is_named(topic: str, payload: bytes, reason: RefusalReason) -> None:
    assert only_unread(tas(payload, topic)).reason is reason
