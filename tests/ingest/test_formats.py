"""What every decoder keeps to, whatever it is given: it never raises, and every message leaves its trace once."""

import random
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import BREAKERS, sound
from benchmarks.fuzz_seeds import MAKERS, RULES
from benchmarks.intake import made_up_city
from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.formats import FORMATS
from ingest.formats.columns import EARLIEST_S, LATEST_S, Decoded
from ingest.intake import Intake
from ingest.model import Message, Messages, Quality

NOW_US = 1_700_000_000_000_000
CITY = replace(made_up_city(40), fields=RULES)
ZONE = ZoneInfo("Asia/Shanghai")
EVERY = list(FORMATS)


def decoded(found: PayloadFormat, messages: list[tuple[str, bytes]], zone: ZoneInfo | None = ZONE) -> Decoded:
    """What a new decoder makes of messages, checked against what every decoder keeps to."""
    received_us = np.full(len(messages), NOW_US, np.int64)
    made = FORMATS[found]()([payload for _, payload in messages], [topic for topic, _ in messages], received_us, zone)
    count = len(made.ids)
    assert {len(made.message), len(made.event_us), len(made.value), len(made.quality)} == {count}
    assert made.units is None or len(made.units) == count
    assert made.sequence is None or len(made.sequence) == count
    columns = (made.message, made.event_us, made.value, made.quality)
    assert [column.dtype.name for column in columns] == ["int32", "int64", "float64", "uint8"]
    assert (np.diff(made.message) >= 0).all(), "readings in order of their messages"
    assert np.isfinite(made.value).all()
    assert ((made.event_us >= EARLIEST_S * 1e6) & (made.event_us <= LATEST_S * 1e6)).all()
    assert set(made.quality.tolist()) <= {Quality.GOOD, Quality.SIMULATED, Quality.DOUBTFUL, Quality.LATE}
    if made.devices is not None:
        assert len(made.devices) == count
        assert all(one.startswith(f"{device}/") for one, device in zip(made.ids, made.devices, strict=True))
    touched = {*made.message.tolist(), *(unread.message for unread in made.unread)}
    assert touched <= set(range(len(messages)))
    assert len(touched) + made.others == len(messages), "every message leaves its trace once"
    for unread in made.unread:
        assert unread.found
        assert unread.expected
        (unread.found + unread.expected).encode()  # can be written down
    return made


def sound_messages(found: PayloadFormat, count: int, seed: int) -> list[tuple[str, bytes]]:
    chance = random.Random(seed)  # noqa: S311  # repeatable, not secret
    return [sound(chance, CITY, found) for _ in range(count)]


def test_every_format_that_can_be_set_has_a_decoder_of_its_own_for_each_intake() -> None:
    assert set(MAKERS) == set(FORMATS)
    assert list(FORMATS) == [found for found in PayloadFormat if found in FORMATS]


@pytest.mark.parametrize("found", EVERY)
def test_sound_messages_are_mostly_admitted(found: PayloadFormat) -> None:
    messages = sound_messages(found, 300, 1)
    made = decoded(found, messages)
    assert len(made.ids) > 150
    subscriptions = [Subscription(filter="#", format=found, timezone=ZONE.key)]
    intake = Intake(CITY, IngestSettings(), subscriptions)
    admission = intake.admit(Messages.of([Message(topic, payload, NOW_US) for topic, payload in messages]), NOW_US)
    counters = intake.counters
    assert len(admission.batch) > 100
    assert counters["readings"] == counters["admitted"] + counters["refused"]


@pytest.mark.parametrize("found", EVERY)
def test_no_payload_at_all_makes_empty_columns(found: PayloadFormat) -> None:
    assert len(decoded(found, []).ids) == 0


@pytest.mark.parametrize("found", EVERY)
def test_sound_messages_broken_in_every_way_raise_nothing(found: PayloadFormat) -> None:
    chance = random.Random(2)  # noqa: S311  # repeatable, not secret
    messages = []
    for topic, payload in sound_messages(found, 400, 3):
        for _ in range(chance.choice([1, 1, 2, 3])):
            payload = chance.choice(BREAKERS)(chance, payload, b'{"a": 1}')[:20_000]  # noqa: PLW2901
        messages.append((topic, payload))
    decoded(found, messages)
    decoded(found, messages, None)


@pytest.mark.parametrize("found", EVERY)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_bytes_and_no_topic_raise(found: PayloadFormat, data: st.DataObject) -> None:
    own = [topic for topic, _ in sound_messages(found, 3, 4)]
    topics = st.sampled_from(own) | st.text(max_size=30)
    payloads = st.binary(max_size=60) | st.sampled_from([payload for _, payload in sound_messages(found, 5, 5)])
    decoded(found, data.draw(st.lists(st.tuples(topics, payloads), max_size=6)))


@pytest.mark.parametrize("found", EVERY)
@pytest.mark.parametrize(
    "deep", [b"[" * 50_000, b'{"object":' * 20_000, b'{"Time":[' * 9000, b"\x81" * 50_000, b"\x9f" * 50_000]
)
def test_nesting_without_end_raises_nothing(found: PayloadFormat, deep: bytes) -> None:
    for topic, _ in sound_messages(found, 20, 6):
        decoded(found, [(topic, deep)])


@pytest.mark.parametrize("found", EVERY)
def test_a_wrong_message_takes_nothing_from_its_neighbours(found: PayloadFormat) -> None:
    messages = sound_messages(found, 30, 7)
    alone = len(decoded(found, messages).ids)
    mixed = [pair for topic, payload in messages for pair in ((topic, payload), (topic, b"\xff{"))]
    assert len(decoded(found, mixed).ids) == alone
