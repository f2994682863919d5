"""The ticks of a published clock, which come in the same stream as the readings of a replay or a simulation."""

import json
from collections.abc import Iterator
from datetime import datetime

import structlog

from config.clock import from_datetime, isoformat
from ingest.model import Messages

log = structlog.get_logger(__name__)

SEGMENT_US = 5_000_000
"""Stretch of published time that may be judged in one go when a replay runs ahead of us."""


def segments(messages: Messages, clock_topic: str | None) -> Iterator[tuple[int | None, Messages]]:
    """Cut messages at the ticks of a published clock: (the time to move on to first, the readings then admitted).

    Ticks less than SEGMENT_US apart are taken together at the last of them: messages that have waited together are
    judged together, as a micro-batch of life would be. Without a clock topic everything is one segment. A tick that
    cannot be read is passed over.
    """
    if clock_topic is None:
        yield None, messages
        return
    begun: int | None = None
    tick: int | None = None
    gathered: list[int] = []
    for number, topic in enumerate(messages.topics):
        if topic != clock_topic:
            gathered.append(number)
            continue
        if (heard := read_tick(messages.payloads[number])) is None:
            continue
        if begun is None or heard - begun >= SEGMENT_US:
            if gathered or tick is not None:
                yield tick, messages.take(gathered)
            begun, gathered = heard, []
        tick = heard
    if gathered or tick is not None:
        yield tick, messages.take(gathered)


def read_tick(payload: bytes) -> int | None:
    """Wall time in microseconds of a clock message; None, and a line in the log, where it cannot be read."""
    try:
        heard = from_datetime(datetime.fromisoformat(json.loads(payload)["time"]))
        isoformat(heard)  # a time that cannot be written cannot be lived in
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        log.warning("clock message unreadable", found=repr(payload[:80]), expected='{"time": RFC 3339}', why=str(error))
        return None
    return heard
