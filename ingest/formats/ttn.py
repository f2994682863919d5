"""The Things Stack v3, JSON: what LoRaWAN devices sent, as decoded by their payload formatter.

Source: "Data Formats" of The Things Stack's documentation (v3.34, thethingsindustries.com/docs/integrations) and
``api/messages.proto`` of TheThingsNetwork/lorawan-stack (``ApplicationUp``), published in QoS 0 alone under
``v3/{application}@{tenant}/devices/{device}/{up|join|down/...|location/solved|service/data}``. Which kind of message it
is says the payload. Read is ``uplink_message.decoded_payload``; the other kinds speak of something else, also
``uplink_normalized``, which says the same uplink once more.

Fields of messages that are zero, false or empty are left out (``f_cnt``, ``simulated``); within ``decoded_payload``
they stand. ``simulated``: somebody tries the integration out, and nobody is paged.

Of the times ``uplink_message.received_at`` is taken, when the network server received the frame: a LoRaWAN device has
no clock, the gateways' times (``rx_metadata.time``) may be missing or wrong, and the outer ``received_at`` is the
application server's, later by the deduplication.
"""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest.formats.columns import Decoded, Unread, explain_time, read_time_us, shown
from ingest.formats.gathered import Gathered, decode_each, read_json
from ingest.model import Int64s, Quality, RefusalReason

EXPECTED = (
    'a message of The Things Stack v3 in JSON, like {"end_device_ids": {"device_id": "dev1"}, "uplink_message":'
    ' {"received_at": "2020-02-12T15:15:45Z", "decoded_payload": {}}}'
)
EXPECTED_TIME = "uplink_message.received_at as RFC 3339 with a zone"

OTHERS: Final = frozenset(
    {
        *("join_accept", "uplink_normalized", "location_solved", "service_data"),
        *("downlink_ack", "downlink_nack", "downlink_sent", "downlink_failed", "downlink_queued"),
        "downlink_queue_invalidated",
    }
)
"""What a message can be instead of an uplink (``ApplicationUp``)."""


def decode(
    payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    del zone  # the times of this format bear theirs
    return decode_each(payloads, topics, received_us, _read)


def _read(gathered: Gathered, payload: bytes, topic: str, received_us: int) -> None:
    del topic  # the device stands in the payload
    given = read_json(payload, gathered.number, EXPECTED)
    if isinstance(given, Unread):
        gathered.unread(given)
        return
    uplink = given.get("uplink_message") if isinstance(given, dict) else None
    if isinstance(uplink, dict):
        _read_uplink(gathered, given, uplink, received_us)
    elif not isinstance(given, dict) or OTHERS.isdisjoint(given):
        gathered.refuse(RefusalReason.UNREADABLE, _kinds(given), EXPECTED)


def _read_uplink(gathered: Gathered, given: dict[str, Any], uplink: dict[str, Any], received_us: int) -> None:
    device = _device(given.get("end_device_ids"))
    if device is None:
        found = "neither end_device_ids.dev_eui nor end_device_ids.device_id"
        gathered.refuse(RefusalReason.MISSING_FIELD, found, EXPECTED)
        return
    time = uplink.get("received_at") or given.get("received_at")
    event_us = received_us if time is None else read_time_us(time)
    if event_us is None or isinstance(time, int | float):
        gathered.refuse(RefusalReason.BAD_TIME, f"received_at {explain_time(time)}", EXPECTED_TIME, device)
        return
    decoded, count = uplink.get("decoded_payload"), uplink.get("f_cnt", 0)
    if isinstance(decoded, dict):
        quality = Quality.SIMULATED if given.get("simulated") else Quality.GOOD
        sequence = count if isinstance(count, int) and not isinstance(count, bool) else None
        gathered.take_all(device, event_us, decoded, quality=quality, sequence=sequence)
    elif decoded is not None:
        expected = "decoded_payload as an object"
        gathered.refuse(RefusalReason.UNREADABLE, f"decoded_payload {shown(decoded)}", expected, device)
    elif uplink.get("frm_payload"):  # without it it is a frame of the network's own
        found = f"no decoded_payload, frm_payload {shown(uplink['frm_payload'])}"
        gathered.refuse(RefusalReason.MISSING_FIELD, found, "decoded_payload: set a payload formatter", device)


def _device(ids: Any) -> str | None:
    """The DevEUI in small letters, as ChirpStack writes it; the device id where there is none."""
    if not isinstance(ids, dict):
        return None
    eui, name = ids.get("dev_eui"), ids.get("device_id")
    if isinstance(eui, str) and eui:
        return eui.lower()
    return name if isinstance(name, str) and name else None


def _kinds(given: Any) -> str:
    return (
        f"an object with {', '.join(map(shown, list(given)[:5])) or 'nothing'}"
        if isinstance(given, dict)
        else shown(given)
    )
