"""What a decoder makes of some messages, as tests like to compare it; and broken messages without end."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np

from ingest.formats.columns import EARLIEST_S, LATEST_S, Decoded, Decoder, Request, Unread
from ingest.model import Quality, RefusalReason
from tests.ingest.builders import NOW_US

Told = tuple[str, bytes]
"""Topic and payload."""


@dataclass
class Heard:
    """All that came of some messages. readings: (id, event time in µs, value, quality)."""

    readings: list[tuple[str, int, float, Quality]] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    others: int = 0
    passed_over: int = 0
    messages: int = 0

    @property
    def values(self) -> dict[str, float]:
        """The last value of each id."""
        return {name: value for name, _, value, _ in self.readings}

    @property
    def qualities(self) -> dict[str, Quality]:
        return {name: quality for name, _, _, quality in self.readings}

    @property
    def times(self) -> dict[str, int]:
        return {name: at_us for name, at_us, _, _ in self.readings}

    @property
    def reasons(self) -> list[RefusalReason]:
        return [one.reason for one in self.unread]

    @property
    def found(self) -> list[str]:
        return [one.found for one in self.unread]

    @property
    def expected(self) -> list[str]:
        return [one.expected for one in self.unread]


def hear(decoder: Decoder, *told: Told, at_us: int = NOW_US, zone: ZoneInfo | None = None) -> Heard:
    """What a decoder makes of messages that are received at once."""
    topics, payloads = [topic for topic, _ in told], [payload for _, payload in told]
    decoded = decoder(payloads, topics, np.full(len(told), at_us, np.int64), zone)
    hold(decoded, len(told))
    columns = zip(decoded.ids, decoded.event_us.tolist(), decoded.value.tolist(), decoded.quality.tolist(), strict=True)
    return Heard(
        [(name, event_us, value, Quality(quality)) for name, event_us, value, quality in columns],
        list(decoded.unread),
        list(decoded.requests),
        decoded.others,
        decoded.passed_over,
        len(told),
    )


def hold(decoded: Decoded, messages: int) -> None:
    """What every decoder promises of whatever it was given."""
    length = len(decoded.ids)
    columns: list[Sequence[object]] = [decoded.message.tolist(), decoded.event_us.tolist(), decoded.value.tolist()]
    columns += [decoded.quality.tolist(), decoded.devices or [], decoded.units or [None] * length]
    assert {len(column) for column in columns} <= {length}
    assert np.isfinite(decoded.value).all()
    assert ((decoded.event_us >= EARLIEST_S * 1e6) & (decoded.event_us < (LATEST_S + 1) * 1e6)).all()
    assert (np.diff(decoded.message) >= 0).all()
    for name, device in zip(decoded.ids, decoded.devices or (), strict=True):
        assert name.startswith(f"{device}/")
        assert len(name) > len(device) + 1
    for one in decoded.unread:
        assert one.found
        assert one.expected
        (one.found + one.expected).encode()
        assert 0 <= one.message < messages
    left_a_trace = {*decoded.message.tolist(), *(one.message for one in decoded.unread)}
    assert decoded.others + len(left_a_trace) == messages


def broken(chance: random.Random, payload: bytes) -> bytes:
    """A payload with some of its bytes changed, cut, doubled or put in."""
    spoilt = bytearray(payload)
    for _ in range(chance.randrange(1, 4)):
        begin, end = sorted((chance.randrange(len(spoilt) + 1), chance.randrange(len(spoilt) + 1)))
        way = chance.randrange(5)
        if way == 0 and spoilt:
            spoilt[begin % len(spoilt)] ^= 1 << chance.randrange(8)
        elif way == 1:
            del spoilt[begin:end]
        elif way == 2:
            spoilt[begin:begin] = spoilt[begin:end]
        elif way == 3:
            spoilt[begin:begin] = chance.choice([b"\xff", b"\x00", b"null", b"}", b"&&", b"##", b"\x80" * 11, b"1e999"])
        else:
            del spoilt[end:]
    return bytes(spoilt)


def all_broken(decoder: Decoder, told: Iterable[Told], seed: int, rounds: int) -> Heard:
    """Broken messages through one decoder, each beside a sound one; Heard of all, every promise held."""
    chance, sound = random.Random(seed), list(told)  # noqa: S311  # repeatable, not secret
    everything = Heard()
    for turn in range(rounds):
        some = []
        for _ in range(8):
            topic, payload = chance.choice(sound)
            some.append((topic, broken(chance, payload)))
            some.append(chance.choice(sound))
        heard = hear(decoder, *some, at_us=NOW_US + turn * 1_000_000)
        everything.readings += heard.readings
        everything.unread += heard.unread
        everything.requests += heard.requests
        everything.messages += heard.messages
    return everything
