"""What the simulator writes is what the daemon reads."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.city import City, Sensor
from config.vocabulary import GridLevel
from ingest.formats.native import decode
from sensors_sim.generate import Simulation
from sensors_sim.wire import Instant, Payloads, clock_message
from tests.sensors_sim.cities import LIVELY, make_city

CITY = make_city(LIVELY, side=3)
START_US = 1_780_000_000_000_000


def instant(rows: list[int]) -> Instant:
    times = np.full(len(rows), START_US + 123_000)
    return Instant(START_US + 1_000_000, np.array(rows, dtype=np.int64), times, np.full(len(rows), 1.5))


@pytest.mark.parametrize("pack", [1, 4, 1000])
def test_the_daemons_decoder_reads_every_reading_back(pack: int) -> None:
    payloads = Payloads(CITY, pack)
    for moment in list(Simulation(CITY, 1, START_US, 1).instants()):
        messages = list(payloads.messages(moment))
        found = decode(
            [message.payload for message in messages], [""] * len(messages), np.full(len(messages), START_US)
        )
        assert not found.unread
        expected = sorted(
            (CITY.sensors[sensor].id, time_us, value)
            for sensor, time_us, value in zip(
                moment.sensors.tolist(), moment.times_us.tolist(), moment.values.tolist(), strict=True
            )
        )
        seen = zip(list(found.ids), found.event_us.tolist(), found.value.tolist(), strict=True)
        assert sorted(seen) == expected
        assert sum(message.readings for message in messages) == len(expected)


def test_a_device_that_speaks_another_unit_names_the_one_it_sends() -> None:
    sensors = (replace(CITY.sensors[0], unit="%VOL"), *CITY.sensors[1:])
    city = with_sensors(sensors)
    first, second = Payloads(city).messages(instant([0, 1]))
    assert json.loads(first.payload)["u"] == "%LEL"
    assert "u" not in json.loads(second.payload)


def test_an_id_with_quotes_and_wildcards_travels_safely() -> None:
    sensors = (replace(CITY.sensors[0], id='a"b\\', device="box/+#%"), *CITY.sensors[1:])
    (message,) = Payloads(with_sensors(sensors)).messages(instant([0]))
    assert json.loads(message.payload)["id"] == 'a"b\\'
    assert message.topic == "gridwhistle/readings/box%2F%2B%23%25"


def test_packs_hold_one_streets_readings_in_order_and_never_too_many() -> None:
    streets = {code: replace(grid, level=GridLevel.STREET) for code, grid in CITY.grids.items() if code != "D"}
    city = replace(CITY, grids={**CITY.grids, **streets})
    rows = list(range(len(city.sensors)))
    messages = list(Payloads(city, 4).messages(instant(rows)))
    for message in messages:
        entries = json.loads(message.payload)
        street = message.topic.rsplit("/", 1)[1]
        assert 1 <= len(entries) <= 4
        assert all(entry["id"].startswith(street) for entry in entries)
    assert len(messages) == 9 * 3  # eleven sensors a street


def test_retained_readings_travel_by_themselves_with_the_flag() -> None:
    rows = list(range(12))
    kept = np.array([row % 3 == 0 for row in rows])
    plain = instant(rows)
    flagged = Instant(plain.time_us, plain.sensors, plain.times_us, plain.values, kept)
    for pack in (1, 5):
        messages = list(Payloads(CITY, pack).messages(flagged))
        seen = {}
        for message in messages:
            content = json.loads(message.payload)
            for entry in content if isinstance(content, list) else [content]:
                seen[entry["id"]] = message.retain
        assert seen == {CITY.columns.ids[row]: bool(kept[row]) for row in rows}
        assert sum(message.readings for message in messages) == len(rows)


def test_packs_of_boxes_hold_one_boxs_readings_on_its_own_topic() -> None:
    messages = list(Payloads(CITY, 4, boxes=True).messages(instant(list(range(len(CITY.sensors))))))
    for message in messages:
        assert message.device is not None
        assert message.topic == f"gridwhistle/readings/{message.device}"
        assert {CITY.sensor(entry["id"]).device for entry in json.loads(message.payload)} == {message.device}
    assert [message.readings for message in messages] == [4, 4, 3] * 9


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_a_value_travels_exactly(values: list[float]) -> None:
    count = len(values)
    moment = Instant(START_US, np.zeros(count, np.int64), np.full(count, START_US), np.array(values))
    for pack in (1, 7):
        found = [json.loads(message.payload) for message in Payloads(CITY, pack).messages(moment)]
        flat = [entry["v"] for content in found for entry in (content if isinstance(content, list) else [content])]
        assert [float(value).hex() for value in flat] == [value.hex() for value in values]


@given(st.lists(st.integers(0, 4_000_000_000_000), min_size=1, max_size=30))
def test_a_time_travels_to_the_millisecond(millis: list[int]) -> None:
    times = np.array(millis) * 1000
    moment = Instant(int(times.max()), np.zeros(len(millis), np.int64), times, np.ones(len(millis)))
    (message,) = Payloads(CITY, 1000).messages(moment)
    assert [round(entry["t"] * 1000) for entry in json.loads(message.payload)] == millis


def test_an_instant_without_readings_makes_no_message() -> None:
    assert list(Payloads(CITY, 10).messages(instant([]))) == []
    assert list(Payloads(CITY, 1).messages(instant([]))) == []


def test_the_clock_speaks_rfc_3339() -> None:
    assert clock_message(START_US).payload == b'{"time": "2026-05-28T20:26:40.000Z"}'


def test_a_pack_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="pack is 0"):
        Payloads(CITY, 0)


def with_sensors(sensors: tuple[Sensor, ...]) -> City:
    return replace(CITY, sensors=sensors)
