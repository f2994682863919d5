"""ChirpStack v4, JSON: what LoRaWAN devices sent, as decoded by the codec of their device profile.

Source: ``api/proto/integration/integration.proto`` of chirpstack/chirpstack (v4), whose messages are published as JSON
with camelCase names under ``application/{id}/device/{dev_eui}/event/{event}``. Read are the events ``up`` (every number
of ``object``) and ``status`` (``batteryLevel``, ``margin``, ``externalPowerSource``); ``join``, ``ack``, ``txack``,
``log``, ``location`` and ``integration`` speak of something else.

Of the times in an event ``time`` is taken: a LoRaWAN device has no clock, and ``time`` is when its frame was received,
by the GPS of a gateway, else by its clock, else by the network server's (``get_rx_timestamp`` in
``chirpstack/src/uplink/helpers.rs``). So an uplink that a gateway kept while its own link was away keeps its true time.
"""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest.formats.columns import Decoded, Unread, explain_time, read_time_us, shown
from ingest.formats.gathered import Gathered, decode_each, read_json
from ingest.model import Int64s, RefusalReason

EXPECTED = 'an event of ChirpStack v4 in JSON, like {"deviceInfo": {"devEui": "24e124136b502217"}, "object": {}}'
EXPECTED_TIME = "time as RFC 3339 with a zone"

OTHER_EVENTS: Final = frozenset({"join", "ack", "txack", "log", "location", "integration"})
STATUS_FIELDS: Final = ("margin", "externalPowerSource", "batteryLevel")


def decode(
    payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    del zone  # the times of this format bear theirs
    return decode_each(payloads, topics, received_us, _read)


def _read(gathered: Gathered, payload: bytes, topic: str, received_us: int) -> None:
    levels = topic.split("/")
    event = levels[-1] if levels[-2:-1] == ["event"] else ""
    if event in OTHER_EVENTS:
        return
    given = read_json(payload, gathered.number, EXPECTED)
    if isinstance(given, Unread):
        gathered.unread(given)
        return
    if not isinstance(given, dict):
        gathered.refuse(RefusalReason.UNREADABLE, shown(given), EXPECTED)
        return
    device = _device(given)
    if device is None:
        gathered.refuse(RefusalReason.MISSING_FIELD, "no deviceInfo.devEui", EXPECTED)
        return
    time = given.get("time")
    event_us = received_us if time is None else read_time_us(time)
    if event_us is None or isinstance(time, int | float):
        gathered.refuse(RefusalReason.BAD_TIME, f"time {explain_time(time)}", EXPECTED_TIME, device)
    elif event == "status" or (not event and "batteryLevel" in given):
        _read_status(gathered, device, event_us, given)
    elif event == "up" or "fCnt" in given:
        _read_uplink(gathered, device, event_us, given)


def _device(given: dict[str, Any]) -> str | None:
    info = given.get("deviceInfo")
    eui = info.get("devEui") if isinstance(info, dict) else None
    return eui.lower() if isinstance(eui, str) and eui else None


def _read_uplink(gathered: Gathered, device: str, event_us: int, given: dict[str, Any]) -> None:
    decoded, count = given.get("object"), given.get("fCnt")
    sequence = count if isinstance(count, int) and not isinstance(count, bool) else None
    if isinstance(decoded, dict):
        gathered.take_all(device, event_us, decoded, sequence=sequence)
    elif decoded is not None:
        gathered.refuse(RefusalReason.UNREADABLE, f"object {shown(decoded)}", "object as an object", device)
    elif given.get("data"):  # without data it is a frame of the network's own
        expected = "object: set a codec in the device profile"
        gathered.refuse(RefusalReason.MISSING_FIELD, f"no object, data {shown(given['data'])}", expected, device)


def _read_status(gathered: Gathered, device: str, event_us: int, given: dict[str, Any]) -> None:
    for field in STATUS_FIELDS:
        if field in given:
            unknown = field == "batteryLevel" and (
                given.get("batteryLevelUnavailable") or given.get("externalPowerSource")
            )
            gathered.take(device, field, event_us, None if unknown else given[field])
