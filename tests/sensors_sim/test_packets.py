"""Our packets are those of the standard: another implementation reads what we write, and we read what it writes."""

import contextlib
from typing import Any

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors_sim import packets

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=30)


def read(data: bytes) -> Any:
    packet, length = mqtt5.read(memoryview(data))
    assert length == len(data)
    return packet


@given(
    topic=TEXT,
    payload=st.binary(max_size=300) | st.integers(0, 40_000).map(bytes),
    number=st.none() | st.integers(1, packets.MOST_IDS),
    retain=st.booleans(),
)
def test_a_message_is_read_by_others_as_it_was_written(
    topic: str, payload: bytes, number: int | None, *, retain: bool
) -> None:
    packet = read(packets.publish(topic, payload, number, retain=retain))
    assert (packet.topic, packet.payload, packet.packet_id, packet.retain) == (topic, payload, number, retain)
    assert packet.qos == (mqtt5.QoS.AT_MOST_ONCE if number is None else mqtt5.QoS.AT_LEAST_ONCE)
    assert not packet.duplicate


@given(client=TEXT, username=st.none() | TEXT, password=st.none() | TEXT, keep_alive=st.integers(0, 65_535))
def test_a_hello_is_read_by_others_as_it_was_written(
    client: str, username: str | None, password: str | None, keep_alive: int
) -> None:
    packet = read(packets.connect(client, username, password, keep_alive))
    assert (packet.client_id, packet.username, packet.keep_alive) == (client, username, keep_alive)
    assert packet.password == (None if password is None else password.encode())
    assert packet.clean_start


def fed(data: bytes, size: int = 1) -> list[tuple[int, bytes]]:
    inbox = packets.Inbox()
    return [packet for begin in range(0, len(data), size) for packet in inbox.fed(data[begin : begin + size])]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_packets_are_cut_right_however_they_come(size: int) -> None:
    told = mqtt5.ConnAckPacket(receive_max=20, max_packet_size=5000, retain_available=False, server_keep_alive=30)
    data = told.write() + mqtt5.PubAckPacket(7).write() + mqtt5.PingRespPacket().write() + mqtt5.PubAckPacket(8).write()
    kinds = [first for first, _ in fed(data, size)]
    assert kinds == [packets.CONNACK, packets.PUBACK, 0xD0, packets.PUBACK]
    greeting = packets.welcome(fed(data, size)[0][1])
    assert greeting == packets.Welcome(
        0, "", old=False, receive_maximum=20, keep_alive_s=30, confirms=True, keeps=False, longest=5000
    )
    assert [int.from_bytes(body[:2]) for first, body in fed(data, size) if first == packets.PUBACK] == [7, 8]


def test_a_refusal_is_told_in_the_words_of_the_standard_and_of_the_broker() -> None:
    no = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED, reason_str="not you")
    greeting = packets.welcome(fed(no.write())[0][1])
    assert packets.spoken(greeting.code, greeting.text) == "Not authorized (not you)"
    refused = mqtt5.PubAckPacket(9, reason_code=mqtt5.PubAckReasonCode.QUOTA_EXCEEDED, reason_str="full")
    assert packets.spoken(*packets.answer(fed(refused.write())[0][1], 2)) == "Quota exceeded (full)"
    assert packets.answer(fed(mqtt5.PubAckPacket(9).write())[0][1], 2) == (0, "")
    assert packets.spoken(0xEE) == "reason 0xee"


def test_an_answer_in_the_old_protocol_is_known_as_such() -> None:
    assert packets.welcome(b"\x00\x01").old
    assert packets.welcome(b"\x00\x01").code == 1


@given(st.binary(max_size=60))
def test_whatever_a_broker_sends_is_read_or_called_malformed(data: bytes) -> None:
    with contextlib.suppress(packets.MalformedError):
        for first, body in fed(data, 7):
            if first == packets.CONNACK:
                packets.welcome(body)
            elif first == packets.PUBACK:
                packets.answer(body, 2)
