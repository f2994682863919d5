"""Tasmota: what is published every ``TelePeriod`` under ``tele/{topic}/SENSOR``.

Source: "MQTT" and "JSON Status Responses" of tasmota.github.io/docs; of arendst/Tasmota ``tasmota/include/i18n.h``
(names), ``tasmota/include/tasmota_types.h`` (options, v11.1 and later), ``MqttAppendSensorUnits`` and
``GetDateAndTime``: ``{"Time": ..., "<sensor>": {"<field>": ...}, "TempUnit": "C", "PressureUnit": "hPa"}``. Fields of a
sensor are named ``<sensor>.<field>``. ``STATE``, ``LWT``, ``INFO1`` and all else that is not ``SENSOR`` speak of
something else.

``FullTopic`` can be set: the device is what stands between ``tele`` and ``SENSOR`` (``tele/kitchen/plug/SENSOR``), and
where that is nothing, what stands before ``tele`` (``kitchen/plug/tele/SENSOR``).

``Time`` is the device's local time without its zone, which must be named in the subscription; with ``SetOption52 1`` it
bears its offset. ``TempUnit`` (``SetOption8``) is the unit of temperatures and dew points, ``PressureUnit``
(``SetOption24``, ``SetOption139``) that of pressures. ON and OFF are 1 and 0.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest.formats.columns import Decoded, Unread, expected_time, explain_time, read_time_us, shown
from ingest.formats.gathered import Gathered, decode_each, read_json
from ingest.model import Int64s, RefusalReason

EXPECTED = 'JSON of Tasmota, like {"Time": "2024-02-25T11:27:00", "DS18B20": {"Temperature": 20.6}, "TempUnit": "C"}'
EXPECTED_TOPIC = "a topic of Tasmota, like tele/kitchen/SENSOR"
NAME_THE_ZONE = "name the zone in the subscription (timezone), or set SetOption52 1"

PREFIX, SENSOR = "tele", "SENSOR"
BEGINNINGS: Final = {"TempUnit": ("Temperature", "DewPoint"), "PressureUnit": ("Pressure", "SeaPressure")}
ENDS: Final = {"TempUnit": "Temperature", "PressureUnit": "SeaPressure"}
"""What names a unit, and how the fields begin or end that it holds for (``ProbeTemperature``, ``Temperature1``)."""


def decode(
    payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    return decode_each(payloads, topics, received_us, partial(_read, zone=zone))


def _read(gathered: Gathered, payload: bytes, topic: str, received_us: int, *, zone: ZoneInfo | None) -> None:
    levels = topic.split("/")
    if levels[-1] != SENSOR or not payload:
        return
    given = read_json(payload, gathered.number, EXPECTED)
    device = _device(levels[:-1])
    if isinstance(given, Unread):
        gathered.unread(given)
    elif not isinstance(given, dict):
        gathered.refuse(RefusalReason.UNREADABLE, shown(given), EXPECTED)
    elif not device:
        gathered.refuse(RefusalReason.UNREADABLE, f"topic {shown(topic)}", EXPECTED_TOPIC)
    elif "Time" not in given:
        gathered.refuse(RefusalReason.MISSING_FIELD, "no Time", EXPECTED, device)
    else:
        _read_sensors(gathered, device, given, received_us, zone)


def _device(levels: list[str]) -> str:
    if PREFIX not in levels:
        return "/".join(levels)
    at = levels.index(PREFIX)
    return "/".join(levels[at + 1 :] or levels[:at])


def _read_sensors(
    gathered: Gathered, device: str, given: dict[str, Any], received_us: int, zone: ZoneInfo | None
) -> None:
    time = given.pop("Time")
    event_us = read_time_us(time, zone, received_us) if isinstance(time, str) else None
    if event_us is None:
        expected = expected_time(time, zone) if zone is not None else f"RFC 3339 with a zone: {NAME_THE_ZONE}"
        gathered.refuse(RefusalReason.BAD_TIME, f"Time {explain_time(time)}", expected, device)
        return
    said = {name: given.pop(name, None) for name in BEGINNINGS}
    units = [(unit, BEGINNINGS[name], ENDS[name]) for name, unit in said.items() if isinstance(unit, str)]

    def unit_of(field: str) -> str | None:
        name = field.rpartition(".")[2]
        return next((unit for unit, begins, end in units if name.startswith(begins) or name.endswith(end)), None)

    gathered.take_all(device, event_us, given, switches=True, unit_of=unit_of)
