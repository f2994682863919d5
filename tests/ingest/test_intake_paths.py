"""What is done with less work where nothing is unusual comes to the same as asking every question of every reading."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats import native
from ingest.formats.columns import Decoded
from ingest.ids import SensorTable
from ingest.intake import Intake
from ingest.model import Message, Messages
from tests.ingest.builders import NOW_US, good, intake, message, senml

SECOND = 1_000_000
IDS = ["gas-1", "air-1", "air-2", "crack-1", "nobody"]


def thorough() -> Intake:
    """An intake that takes no short way."""
    chosen = intake(late_s=30)
    patch = pytest.MonkeyPatch()
    patch.setattr(chosen._plausible, "_clean", lambda *_: None)  # the way of a batch in which something is wrong
    patch.setattr(chosen._recent, "unusual", lambda sensor, _: np.ones(len(sensor), bool))
    patch.setattr(chosen._recent, "entangled", lambda sensor, _: np.ones(len(sensor), bool))
    patch.setattr(chosen._topics, "common", lambda _: None)
    return chosen


def assert_same(one: Intake, other: Intake) -> None:
    assert one.counters == other.counters
    for (owner, had), (_, has) in zip(one.tables(), other.tables(), strict=True):
        for name, column in had.items():
            assert np.array_equal(column, has[name]), f"{owner}.{name}"


READING = st.fixed_dictionaries(
    {
        "one": st.integers(0, 3) | st.integers(0, 4),
        "age": st.integers(-3, 20) | st.integers(-130, 700_000),
        "v": st.sampled_from([0.0, -0.0, 1.5, 2, 50]) | st.floats(-100, 3000),
    },
    optional={
        "u": st.sampled_from(["%LEL", "%VOL", "Cel", "K", "mm", "?"]),
        "q": st.sampled_from(["good", "simulated", "doubtful"]),
        "s": st.sampled_from([1, 2, -1, 2**80, 1.5, "x"]),
    },
)
BATCH = st.lists(
    st.tuples(
        st.lists(READING, min_size=1, max_size=5), st.sampled_from(["native", "native", "native", "senml", "no"])
    ),
    max_size=8,
)


def made(rows: list[tuple[list[dict[str, Any]], str]], now_us: int) -> list[Message]:
    messages = []
    for readings, topic in rows:
        items = []
        for reading in readings:
            rest = {name: reading[name] for name in ("u", "q", "s") if name in reading}
            items.append(good(IDS[reading["one"]], t=now_us // SECOND - reading["age"], v=reading["v"], **rest))
        if topic == "senml":
            pack = [{"n": item["id"], "t": item["t"], "v": item["v"]} for item in items]
            messages.append(senml(pack))
        else:
            name = "gridwhistle/readings/x" if topic == "native" else "elsewhere"
            messages.append(message(items if len(items) > 1 else items[0], name, received_us=now_us))
    return messages


@settings(max_examples=50, deadline=None)
@given(st.lists(BATCH, max_size=5))
def test_the_short_way_comes_to_the_same_as_the_long_one(
    batches: list[list[tuple[list[dict[str, Any]], str]]],
) -> None:
    short, long = intake(late_s=30), thorough()
    for number, rows in enumerate(batches):
        now_us = NOW_US + number * 7 * SECOND
        messages = Messages.of(made(rows, now_us))
        one, other = short.admit(messages, now_us), long.admit(messages, now_us)
        for column in ("sensor", "event_us", "received_us", "value", "quality"):
            assert np.array_equal(getattr(one.batch, column), getattr(other.batch, column)), column
        assert np.array_equal(one.given_us, other.given_us)
        assert np.array_equal(one.identity, other.identity)
        assert sorted(map(repr, one.refused)) == sorted(map(repr, other.refused))
        assert (tuple(one.stepped), short.delay_us) == (tuple(other.stepped), long.delay_us)
    assert_same(short, long)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(READING, min_size=1, max_size=3), max_size=5), st.binary(max_size=9))
def test_bare_readings_are_decoded_as_any_others(packs: list[list[dict[str, Any]]], odd: bytes) -> None:
    payloads = [one.payload for one in made([(readings, "native") for readings in packs], NOW_US)]
    payloads += [odd] * (len(odd) % 2)
    received_us = np.full(len(payloads), NOW_US, np.int64)
    short = native.decode(payloads, [""] * len(payloads), received_us)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "_decode_bare", msgspec.json.Decoder(int).decode)  # never what comes
        long = native.decode(payloads, [""] * len(payloads), received_us)
    for name in Decoded.__slots__:
        one, other = getattr(short, name), getattr(long, name)
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, name


@pytest.mark.parametrize("known", [0, 1, 2, 3, 4, 7, 8, 100])
def test_every_id_finds_its_sensor_and_no_other_finds_one(known: int) -> None:
    table = SensorTable({f"sensor-{row}": row for row in range(known)})
    assert table.find([f"sensor-{row}" for row in range(known + 50)]).tolist() == [*range(known), *[-1] * 50]
    assert [table.one("sensor-0"), table.one("x"), table.one(None)] == [0 if known else -1, -1, -1]


@pytest.mark.parametrize("value", [0, 5, -1, 2**61 - 2])
def test_ids_of_one_hash_are_still_told_apart(value: int) -> None:
    table = SensorTable({"a": 0, "b": 1, "c": 2}, hashed=lambda _: value)
    assert table.find(["c", "x", "a"]).tolist() == [2, -1, 0]


def test_ids_that_want_the_same_place_are_told_apart_without_a_second_look() -> None:
    table = SensorTable({"a": 0, "b": 1, "c": 2}, hashed=lambda name: ord(name) * 2**40)
    assert table._apart
    assert table.find(["c", "x", "a", "b"]).tolist() == [2, -1, 0, 1]


def test_no_readings_and_no_messages_are_no_trouble() -> None:
    chosen = intake()
    assert len(chosen.admit(Messages.of([]), NOW_US).batch) == 0
    assert len(chosen.admit(Messages.of([message(b"")]), NOW_US).batch) == 0
    assert chosen.delay_us == 0
