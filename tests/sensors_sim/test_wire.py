"""What the simulator writes is what the daemon reads."""

import json
from dataclasses import replace

import numpy as np
import pytest

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
