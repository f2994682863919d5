"""Zigbee2MQTT: one flat JSON object per device, under its friendly name.

Source: "MQTT Topics and Messages" and "MQTT" of zigbee2mqtt.io (2.x). ``{base}/{friendly name}``, where both may hold
``/``; the base is ``zigbee2mqtt`` unless set otherwise. Which levels are the base cannot be told from the topic alone:
it ends with the first level that begins with ``zigbee2mqtt``, and where there is none it is the first level.

``{base}/bridge/...``, ``.../availability``, ``.../set`` and ``.../get`` speak of something else. Where devices publish
each attribute by itself (``output: attribute``) the last level is the field and the payload its value: JSON, or a text
as it stands.

There is no time in the payload unless ``last_seen`` is switched on (RFC 3339, or Unix milliseconds): without it a value
counts as measured when it was received, also what is sent from memory when Zigbee2MQTT starts
(``cache_state_send_on_startup``). true and false, ON and OFF are 1 and 0.
"""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest.formats.columns import Decoded, Unread, explain_time, read_number, read_time_us, shown
from ingest.formats.gathered import SWITCHES, Gathered, decode_each, read_json
from ingest.model import Int64s, RefusalReason

EXPECTED = 'a JSON object of Zigbee2MQTT, like {"temperature": 27.34, "humidity": 44.72, "linkquality": 120}'
EXPECTED_TOPIC = "a topic of Zigbee2MQTT, like zigbee2mqtt/kitchen/sensor"
EXPECTED_TIME = "last_seen as RFC 3339 with a zone, or Unix milliseconds"

BASE: Final = "zigbee2mqtt"
OTHER_ENDS: Final = frozenset({"availability", "set", "get"})


def decode(
    payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    del zone  # the times of this format bear theirs
    return decode_each(payloads, topics, received_us, _read)


def _read(gathered: Gathered, payload: bytes, topic: str, received_us: int) -> None:
    levels = _behind_base(topic)
    if levels[:1] == ["bridge"] or OTHER_ENDS.intersection(levels[1:]) or not payload:
        return  # nothing at all is how a retained message is taken back
    given = read_json(payload, gathered.number, EXPECTED)
    if isinstance(given, Unread) and len(levels) > 1:
        given = _text(payload, given)
    if isinstance(given, Unread):
        gathered.unread(given)
    elif not any(levels):
        gathered.refuse(RefusalReason.UNREADABLE, f"topic {shown(topic)}", EXPECTED_TOPIC)
    elif isinstance(given, dict):
        _read_object(gathered, "/".join(levels), given, received_us)
    elif len(levels) == 1:
        gathered.refuse(RefusalReason.UNREADABLE, shown(given), EXPECTED)
    elif levels[-1] and any(levels[:-1]):
        said = SWITCHES.get(given, given) if isinstance(given, str) else given
        gathered.take("/".join(levels[:-1]), levels[-1], received_us, said)
    else:
        gathered.refuse(RefusalReason.UNREADABLE, f"topic {shown(topic)}", EXPECTED_TOPIC)


def _text(payload: bytes, unread: Unread) -> str | Unread:
    """The text that an attribute's payload is, or why it is none: broken JSON, or bytes that are no text."""
    if payload.lstrip()[:1] in (b"{", b"["):
        return unread
    try:
        return payload.decode().strip()
    except UnicodeDecodeError:
        return unread


def _behind_base(topic: str) -> list[str]:
    levels = topic.split("/")
    base = next((place for place, level in enumerate(levels) if level.startswith(BASE)), 0)
    return levels[base + 1 :]


def _read_object(gathered: Gathered, device: str, given: dict[str, Any], received_us: int) -> None:
    seen = given.pop("last_seen", None)
    milliseconds = read_number(seen)
    event_us = received_us if seen is None else read_time_us(seen if milliseconds is None else milliseconds / 1000)
    if event_us is None:
        gathered.refuse(RefusalReason.BAD_TIME, f"last_seen {explain_time(seen)}", EXPECTED_TIME, device)
        return
    gathered.take_all(device, event_us, given, switches=True)
