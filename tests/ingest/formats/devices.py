"""Reading one message of a device format in tests."""

import json
from calendar import timegm
from zoneinfo import ZoneInfo

import numpy as np

from config.settings import PayloadFormat
from ingest.formats import FORMATS
from ingest.formats.columns import Decoded, Unread
from tests.ingest.builders import NOW_US


def read(found: PayloadFormat, topic: str, payload: object, zone: ZoneInfo | None = None) -> Decoded:
    """One message by a new decoder, received at NOW_US."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return FORMATS[found]()([raw], [topic], np.array([NOW_US]), zone)


def values(decoded: Decoded) -> dict[str, float]:
    """The readings by id."""
    return dict(zip(decoded.ids, decoded.value.tolist(), strict=True))


def units(decoded: Decoded) -> dict[str, str | None]:
    """The units by id."""
    return dict(zip(decoded.ids, decoded.units or [None] * len(decoded.ids), strict=True))


def only_time(decoded: Decoded) -> int:
    """The one time of all readings."""
    (at_us,) = set(decoded.event_us.tolist())
    return int(at_us)


def only_unread(decoded: Decoded) -> Unread:
    """The one refusal."""
    assert len(decoded.ids) == 0
    (unread,) = decoded.unread
    return unread


def us(*moment: int) -> int:
    """Microseconds of a moment in UTC: year, month, day, hour, minute, second."""
    return timegm(moment) * 1_000_000
