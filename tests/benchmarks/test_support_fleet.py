import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support_city import URGENT_FROM, quantity_of, sensor_id
from benchmarks.support_fleet import OVER_LIMIT, URGENT, Fleet, publish_packet, remaining_length, value_digits


def parse(data: bytes) -> list[tuple[int, str, int | None, bytes]]:
    """(QoS, topic, packet id, payload) of PUBLISH packets that stand one after the other."""
    found, place = [], 0
    while place < len(data):
        qos = (data[place] >> 1) & 3
        assert data[place] & 0xF9 == 0x30
        size, shift = 0, 0
        while True:
            place += 1
            size |= (data[place] & 0x7F) << shift
            shift += 7
            if data[place] < 0x80:
                break
        body, place = data[place + 1 : place + 1 + size], place + 1 + size
        assert len(body) == size
        (name,) = struct.unpack_from("!H", body)
        topic, rest = body[2 : 2 + name].decode(), body[2 + name :]
        number = struct.unpack("!H", rest[:2])[0] if qos else None
        found.append((qos, topic, number, rest[2:] if qos else rest))
    return found


@given(size=st.integers(0, 268_435_455))
def test_a_length_is_read_back_as_it_was_written(size: int) -> None:
    written = remaining_length(size)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(written)) == size
    assert all(byte & 0x80 for byte in written[:-1])
    assert not written[-1] & 0x80


@given(topic=st.text(min_size=1, max_size=40), payload=st.binary(max_size=300), number=st.integers(1, 65_535))
def test_a_packet_is_read_back_as_it_was_written(topic: str, payload: bytes, number: int) -> None:
    both = publish_packet(topic, payload, None) + publish_packet(topic, payload, number)
    assert parse(both) == [(0, topic, None, payload), (1, topic, number, payload)]


def test_every_value_has_six_digits_and_is_a_json_number() -> None:
    digits = value_digits()
    assert digits.shape == (100_000, 6)
    for milli in (0, 1, 999, 9_999, 10_000, 99_999):
        assert msgspec.json.decode(digits[milli].tobytes()) == milli / 1000


@pytest.mark.parametrize("qos", [0, 1])
def test_every_sensor_speaks_in_its_turn_with_the_time_of_sending(qos: int) -> None:
    fleet = Fleet(np.array([5, 3, 8]), qos=qos)
    messages = []
    for turn in range(4):
        data, over = fleet.make(2, 1_767_225_600.25 + turn)
        assert not over
        messages += parse(bytes(data))
    readings = [msgspec.json.decode(payload) for _, _, _, payload in messages]
    assert [reading["id"] for reading in readings] == ["S000005", "S000003", "S000008"] * 2
    assert [topic for _, topic, _, _ in messages[:2]] == [
        "gridwhistle/readings/S000005",
        "gridwhistle/readings/S000003",
    ]
    assert [reading["t"] - 1_767_225_600.25 for reading in readings] == [0, 0, 1, 2, 2, 3]
    assert [number for _, _, number, _ in messages] == ([1, 2, 3, 4, 5, 6] if qos else [None] * 6)
    assert fleet.made == 6


def test_a_pack_holds_the_readings_of_its_sensors_in_order() -> None:
    fleet = Fleet(np.arange(20), qos=1, pack=10)
    data, _ = fleet.make(5, 1_767_225_600.5)
    messages = parse(bytes(data))
    assert len(messages) == 2
    readings = [msgspec.json.decode(payload) for _, _, _, payload in messages]
    assert [reading["id"] for pack in readings for reading in pack] == [sensor_id(number) for number in range(20)]
    assert {reading["t"] for pack in readings for reading in pack} == {1_767_225_600.5}


def test_packet_ids_begin_anew_after_the_last_and_are_never_nought() -> None:
    fleet = Fleet(np.arange(100), qos=1)
    seen: list[int | None] = []
    while fleet.made < 65_600:
        seen += [number for _, _, number, _ in parse(bytes(fleet.make(100, 1_767_225_600.0)[0]))]
    assert seen == [number % 65_535 + 1 for number in range(65_600)]


def test_values_stay_around_each_sensors_own_level() -> None:
    fleet = Fleet(np.arange(1000), qos=0, pack=100)
    values = []
    for _ in range(40):
        packs = parse(bytes(fleet.make(10, 1_767_225_600.0)[0]))
        values.append([reading["v"] for pack in packs for reading in msgspec.json.decode(pack[3])])
    shown = np.array(values)
    for number in (0, 3, 6, 8):
        kind = quantity_of(number)
        mine = shown[:, number]
        assert abs(mine.mean() - (kind.level + kind.apart / 2)) < kind.apart
        assert 0 < mine.std() < 3 * kind.spread
        assert len(set(mine)) > 30


def test_so_many_readings_are_over_their_limit_each_of_another_methane_sensor() -> None:
    fleet = Fleet(np.arange(10_000), qos=0, share=0.001)
    noted: list[tuple[str, float]] = []
    sent = []
    for turn in range(200):
        data, over = fleet.make(100, 1_767_225_600.0 + turn)
        noted += over
        sent += [msgspec.json.decode(payload) for _, _, _, payload in parse(bytes(data))]
    above = [(reading["id"], reading["t"]) for reading in sent if reading["v"] == OVER_LIMIT]
    assert noted == above
    assert len(noted) == len({sensor for sensor, _ in noted}) == pytest.approx(20, abs=1)
    assert all(quantity_of(int(sensor[1:])).name == "ch4" for sensor, _ in noted)


def test_urgent_sensors_are_methane_and_speak_on_their_own_topics() -> None:
    fleet = Fleet(np.arange(URGENT_FROM, URGENT_FROM + 10), qos=1, share=1.0, root=URGENT)
    data, over = fleet.make(3, 1_767_225_600.0)
    assert next(topic for _, topic, _, _ in parse(bytes(data))) == f"gridwhistle/urgent/S{URGENT_FROM}"
    assert [sensor for sensor, _ in over] == [sensor_id(URGENT_FROM + number) for number in range(3)]


def test_sensors_that_do_not_fill_their_packs_are_refused() -> None:
    with pytest.raises(ValueError, match="150 sensors do not fill messages of 100"):
        Fleet(np.arange(150), qos=0, pack=100)
