"""Sparkplug B: births that name, data by alias, gaps, deaths, qualities; and whatever bytes come instead."""

import random
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import protobuf, sparkplug
from ingest.formats.protobuf import Wire
from ingest.formats.sparkplug import ASK_AGAIN_US, Decoder
from ingest.formats.sparkplug_payload import (
    BITS,
    BOOLEAN,
    DATATYPES,
    INT,
    LONG,
    SIGNED,
    Metric,
    number_of,
    read_metric,
    read_payload,
    value_of,
    write_metric,
    write_payload,
)
from ingest.model import Quality, RefusalReason
from tests.ingest.builders import NOW_US
from tests.ingest.formats.heard import Heard, Told, all_broken, hear

NOW_MS = NOW_US // 1000
INT8, INT16, INT32, INT64, UINT8, UINT32, UINT64, FLOAT, DOUBLE, SWITCH, TEXT = 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12


def metric(
    name: str | None = None,
    alias: int | None = None,
    *,
    value: float | None = None,
    datatype: int = DOUBLE,
    told: bool = False,
    at_ms: int | None = NOW_MS,
    **more: bool | int | None,
) -> Metric:
    """A metric; told: its datatype stands in the payload, as in a birth."""
    one = Metric(name, alias, at_ms, datatype if told else None)
    if value is not None:
        one.kind, one.raw = value_of(datatype, value)
    for key, given_value in more.items():
        setattr(one, key, given_value)
    return one


def message(
    kind: str, seq: int | None, *metrics: Metric, node: str = "N", device: str = "", at_ms: int | None = NOW_MS
) -> Told:
    topic = "/".join(["spBv1.0", "G", kind, node, *([device] if device else [])])
    return topic, write_payload(at_ms, seq, metrics)


def nbirth(*metrics: Metric, seq: int = 0, bdseq: int = 7, node: str = "N") -> Told:
    control = metric("Node Control/Rebirth", value=0, datatype=SWITCH, told=True)
    return message("NBIRTH", seq, metric("bdSeq", value=bdseq, datatype=INT64, told=True), control, *metrics, node=node)


def ndeath(bdseq: int, node: str = "N") -> Told:
    return message("NDEATH", None, metric("bdSeq", value=bdseq, datatype=INT64), node=node)


def born(decoder: Decoder) -> Heard:
    """A node with a temperature (alias 1) of its own and a device D with gas (2), a door (3) and a level (4)."""
    return hear(
        decoder,
        nbirth(metric("Temperature", 1, value=20.5, told=True)),
        message(
            "DBIRTH",
            1,
            metric("Inputs/Gas", 2, value=1.5, datatype=FLOAT, told=True),
            metric("Door", 3, value=0, datatype=SWITCH, told=True),
            metric("Level", 4, value=-5, datatype=INT16, told=True),
            device="D",
        ),
    )


class TestNames:
    def test_births_carry_readings_and_data_by_alias_are_named_by_them(self) -> None:
        decoder = Decoder()
        first = born(decoder)
        assert first.values == {"G/N/Temperature": 20.5, "G/N/D/Inputs/Gas": 1.5, "G/N/D/Door": 0, "G/N/D/Level": -5}
        assert first.unread == []
        assert first.requests == []
        then = hear(
            decoder,
            message("NDATA", 2, metric(alias=1, value=21)),
            message(
                "DDATA",
                3,
                metric(alias=2, value=2.25, datatype=FLOAT),
                metric(alias=3, value=1, datatype=SWITCH),
                metric(alias=4, value=-300, datatype=INT16),
                device="D",
            ),
        )
        assert then.values == {"G/N/Temperature": 21, "G/N/D/Inputs/Gas": 2.25, "G/N/D/Door": 1, "G/N/D/Level": -300}
        assert set(then.times.values()) == {NOW_US}
        assert then.requests == []

    def test_names_do_without_aliases(self) -> None:
        decoder = Decoder()
        hear(decoder, nbirth(metric("Count", value=3, datatype=INT32, told=True)))
        assert hear(decoder, message("NDATA", 1, metric("Count", value=-4, datatype=INT32))).values == {"G/N/Count": -4}

    def test_what_is_only_called_by_number_before_a_birth_is_refused_and_asked_for(self) -> None:
        heard = hear(Decoder(), message("DDATA", 77, metric(alias=2, value=1), metric("Gas", value=2), device="D"))
        assert heard.values == {"G/N/D/Gas": 2}
        assert heard.reasons == [RefusalReason.MISSING_FIELD]
        assert heard.found == ["alias 2"]
        assert heard.expected == ["a birth that names it (asked for)"]
        (request,) = heard.requests
        assert request.topic == "spBv1.0/G/NCMD/N"
        asked = read_payload(request.payload)
        assert (asked.timestamp, asked.seq) == (NOW_MS, None)
        (command,) = map(read_metric, asked.metrics)
        assert command == Metric("Node Control/Rebirth", None, NOW_MS, SWITCH, kind=BOOLEAN, raw=1)

    def test_a_whole_number_means_nothing_before_its_birth(self) -> None:
        heard = hear(Decoder(), message("NDATA", 0, metric("Level", value=-5, datatype=INT16)))
        assert heard.readings == []
        assert heard.found == ["Level: int_value for an unknown datatype"]
        assert len(heard.requests) == 1

    def test_a_datatype_that_the_birth_left_out_may_come_with_the_data(self) -> None:
        decoder = Decoder()
        hear(decoder, nbirth(metric("Level", 5, datatype=INT16, null=True)))
        heard = hear(decoder, message("NDATA", 1, metric(alias=5, value=-7, datatype=INT16, told=True)))
        assert heard.values == {"G/N/Level": -7}

    def test_an_alias_of_another_device_is_not_taken(self) -> None:
        decoder = Decoder()
        born(decoder)
        heard = hear(decoder, message("DDATA", 2, metric(alias=1, value=9), device="D"))
        assert heard.readings == []
        assert heard.reasons == [RefusalReason.MISSING_FIELD]
        assert len(heard.requests) == 1

    def test_a_new_birth_of_a_device_binds_its_aliases_anew(self) -> None:
        decoder = Decoder()
        born(decoder)
        hear(decoder, message("DBIRTH", 2, metric("Smoke", 2, value=0, told=True), device="D"))
        heard = hear(decoder, message("DDATA", 3, metric(alias=2, value=1), metric(alias=3, value=1), device="D"))
        assert heard.values == {"G/N/D/Smoke": 1}
        assert heard.found == ["alias 3"]

    def test_a_value_that_does_not_fit_its_birth_is_refused_and_asked_about(self) -> None:
        decoder = Decoder()
        born(decoder)
        heard = hear(decoder, message("DDATA", 2, metric(alias=3, value=1.5, datatype=FLOAT), device="D"))
        assert heard.found == ["Door: float_value for Boolean"]
        assert heard.reasons == [RefusalReason.NOT_A_NUMBER]
        assert len(heard.requests) == 1


class TestOrder:
    def test_a_gap_asks_for_births_once_and_known_aliases_hold(self) -> None:
        decoder = Decoder()
        born(decoder)
        heard = hear(decoder, message("NDATA", 5, metric(alias=1, value=30)))
        assert heard.values == {"G/N/Temperature": 30}
        assert [request.topic for request in heard.requests] == ["spBv1.0/G/NCMD/N"]
        soon = hear(decoder, message("NDATA", 6, metric(alias=1, value=31)), at_us=NOW_US + ASK_AGAIN_US - 1)
        assert soon.requests == []
        later = hear(decoder, message("NDATA", 7, metric(alias=1, value=31)), at_us=NOW_US + ASK_AGAIN_US)
        assert len(later.requests) == 1  # still not answered

    def test_a_birth_answers(self) -> None:
        decoder = Decoder()
        born(decoder)
        hear(decoder, message("NDATA", 5, metric(alias=1, value=30)))
        hear(decoder, nbirth(metric("Temperature", 9, value=20.5, told=True)))
        heard = hear(decoder, message("NDATA", 1, metric(alias=9, value=31)), at_us=NOW_US + 2 * ASK_AGAIN_US)
        assert heard.values == {"G/N/Temperature": 31}
        assert heard.requests == []

    def test_the_count_runs_over_from_255_to_0(self) -> None:
        decoder = Decoder()
        hear(decoder, nbirth(metric("Temperature", 1, value=1, told=True), seq=254))
        heard = hear(decoder, *(message("NDATA", seq, metric(alias=1, value=seq)) for seq in (255, 0, 1)))
        assert heard.requests == []

    def test_encoders_that_leave_out_nought_are_understood(self) -> None:
        decoder = Decoder()
        hear(decoder, nbirth(metric("Temperature", 1, value=1, told=True), seq=255))
        assert hear(decoder, message("NDATA", None, metric(alias=1, value=2))).requests == []

    def test_the_last_message_once_more_is_no_gap(self) -> None:
        decoder = Decoder()
        born(decoder)
        again = message("NDATA", 2, metric(alias=1, value=30))
        heard = hear(decoder, again, again)
        assert [value for _, _, value, _ in heard.readings] == [30, 30]  # the intake knows a reading again
        assert heard.requests == []

    def test_a_message_that_was_overtaken_does_not_put_the_count_back(self) -> None:
        decoder = Decoder()
        born(decoder)
        messages = [message("NDATA", seq, metric(alias=1, value=seq)) for seq in (2, 4, 3, 5)]
        heard = hear(decoder, *messages)
        assert [value for _, _, value, _ in heard.readings] == [2, 4, 3, 5]
        assert len(heard.requests) == 1
        assert decoder._nodes["", "G", "N"].expected == 6

    def test_a_birth_in_the_same_batch_makes_asking_needless(self) -> None:
        decoder = Decoder()
        heard = hear(decoder, message("NDATA", 9, metric(alias=1, value=1)), nbirth(metric("T", 1, value=1, told=True)))
        assert heard.requests == []
        assert heard.values == {"G/N/T": 1}

    def test_each_node_is_asked_for_itself(self) -> None:
        heard = hear(Decoder(), *(message("NDATA", 0, metric(alias=1, value=1), node=node) for node in "ABA"))
        assert [request.topic for request in heard.requests] == ["spBv1.0/G/NCMD/A", "spBv1.0/G/NCMD/B"]

    @given(st.lists(st.sampled_from(["next", "next", "next", "lost", "again"]), max_size=40))
    def test_births_are_asked_for_exactly_after_a_loss(self, fates: list[str]) -> None:
        decoder = Decoder()
        hear(decoder, nbirth(metric("T", 1, value=1, told=True)))
        seq, lost, asked = 0, False, False
        for fate in fates:
            if fate == "lost":
                seq, lost = (seq + 1) % 256, True
                continue
            if fate == "next":
                seq = (seq + 1) % 256
            elif lost:
                continue  # nobody repeats what was lost
            heard = hear(decoder, message("NDATA", seq, metric(alias=1, value=1)))
            assert bool(heard.requests) == (lost and not asked)
            asked |= lost
            assert heard.values == {"G/N/T": 1}


class TestDeaths:
    def test_the_death_of_a_node_makes_it_unknown_and_invents_nothing(self) -> None:
        decoder = Decoder()
        born(decoder)
        heard = hear(decoder, ndeath(7))
        assert (heard.readings, heard.unread, heard.others, heard.requests) == ([], [], 1, [])
        after = hear(decoder, message("DDATA", 2, metric(alias=2, value=1, datatype=FLOAT), device="D"))
        assert after.reasons == [RefusalReason.MISSING_FIELD]
        assert len(after.requests) == 1

    def test_the_death_of_a_session_before_the_last_birth_is_passed_by(self) -> None:
        decoder = Decoder()
        born(decoder)
        hear(decoder, ndeath(6))
        assert hear(decoder, message("NDATA", 2, metric(alias=1, value=1))).values == {"G/N/Temperature": 1}

    def test_the_death_of_a_device_leaves_the_node(self) -> None:
        decoder = Decoder()
        born(decoder)
        assert hear(decoder, message("DDEATH", 2, device="D")).others == 1
        heard = hear(
            decoder,
            message("NDATA", 3, metric(alias=1, value=1)),
            message("DDATA", 4, metric(alias=2, value=1, datatype=FLOAT), device="D"),
        )
        assert heard.values == {"G/N/Temperature": 1}
        assert heard.found == ["alias 2"]


class TestValues:
    @pytest.mark.parametrize("datatype", sorted(DATATYPES))
    @given(data=st.data())
    def test_every_number_comes_back(self, datatype: int, data: st.DataObject) -> None:
        if datatype in BITS:
            bits = BITS[datatype]
            low = -(2 ** (bits - 1)) if datatype in SIGNED else 0
            value: float = data.draw(st.integers(low, low + 2**bits - 1))
        elif datatype == SWITCH:
            value = data.draw(st.integers(0, 1))
        else:
            value = data.draw(st.floats(width=32 if datatype == FLOAT else 64, allow_nan=False))
        one = metric("x", value=value, datatype=datatype, told=True)
        assert number_of(read_metric(write_metric(one)), datatype) == float(value)

    @pytest.mark.parametrize("raw", [0xFB, 0xFFFFFFFB, 0xFFFFFFFFFFFFFFFB])
    def test_a_negative_byte_may_be_extended_to_32_or_64_bits(self, raw: int) -> None:
        assert number_of(Metric(kind=INT, raw=raw), INT8) == -5

    @pytest.mark.parametrize(
        ("kind", "raw", "datatype"), [(INT, 300, UINT8), (INT, 300, INT8), (LONG, 2**32, UINT32), (LONG, 2**40, INT32)]
    )
    def test_a_number_too_large_for_its_datatype_is_refused(self, kind: int, raw: int, datatype: int) -> None:
        assert number_of(Metric(kind=kind, raw=raw), datatype) == f"{raw} for {DATATYPES[datatype]}"

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_what_is_not_finite_is_refused(self, value: float) -> None:
        heard = hear(Decoder(), nbirth(metric("T", value=value, datatype=FLOAT, told=True)))
        assert heard.reasons == [RefusalReason.NOT_A_NUMBER]
        assert heard.expected == ["a finite number"]

    def test_a_null_holds_nothing(self) -> None:
        heard = hear(Decoder(), nbirth(metric("T", told=True, null=True)))
        assert (heard.readings, heard.unread, heard.passed_over) == ([], [], 1)

    def test_no_value_is_named(self) -> None:
        heard = hear(Decoder(), nbirth(metric("T", told=True)))
        assert heard.reasons == [RefusalReason.MISSING_FIELD]
        assert heard.found == ["T: no value"]

    def test_texts_controls_and_transients_are_passed_over(self) -> None:
        text = metric("Make", datatype=TEXT, told=True)
        text.kind, text.raw = 15, b"Pibrella"
        reboot = metric("Device Control/Reboot", value=1, datatype=SWITCH, told=True)
        heard = hear(Decoder(), nbirth(text, reboot, metric("T", value=1, told=True, transient=True)))
        assert (heard.readings, heard.unread, heard.others) == ([], [], 1)

    def test_a_text_where_a_number_was_born_is_refused(self) -> None:
        decoder = Decoder()
        born(decoder)
        text = metric(alias=1)
        text.kind, text.raw = 15, b"hot"
        assert hear(decoder, message("NDATA", 2, text)).found == ["Temperature: string_value"]

    @pytest.mark.parametrize(
        ("quality", "historical", "kept"),
        [
            (None, False, Quality.GOOD),
            (192, False, Quality.GOOD),
            (0, False, Quality.DOUBTFUL),
            (500, False, Quality.DOUBTFUL),
            (64, False, Quality.DOUBTFUL),
            (None, True, Quality.LATE),
            (192, True, Quality.LATE),
            (0, True, Quality.DOUBTFUL),
        ],
    )
    def test_how_far_a_value_may_be_trusted(self, quality: int | None, historical: bool, kept: Quality) -> None:
        heard = hear(Decoder(), nbirth(metric("T", value=1, told=True, quality=quality, historical=historical)))
        assert heard.qualities == {"G/N/T": kept}

    def test_the_time_is_the_metrics_or_the_payloads(self) -> None:
        heard = hear(
            Decoder(), nbirth(metric("A", value=1, told=True, at_ms=5000), metric("B", value=1, told=True, at_ms=None))
        )
        assert heard.times == {"G/N/A": 5_000_000, "G/N/B": NOW_US}

    @pytest.mark.parametrize(("at_ms", "found"), [(None, "T: no timestamp"), (2**63, f"T: timestamp {2**63}")])
    def test_a_time_that_cannot_be_placed_is_refused(self, at_ms: int | None, found: str) -> None:
        heard = hear(Decoder(), message("NDATA", 0, metric("T", value=1, at_ms=at_ms), at_ms=None))
        assert heard.reasons == [RefusalReason.BAD_TIME]
        assert heard.found == [found]


class TestTopics:
    @pytest.mark.parametrize(
        "topic",
        ["spBv1.0/STATE/scada", "STATE/scada", "north/spBv1.0/STATE/scada", "spBv1.0/G/NCMD/N", "spBv1.0/G/DCMD/N/D"],
    )
    def test_what_host_applications_say_is_no_reading(self, topic: str) -> None:
        heard = hear(Decoder(), (topic, b'{"online": true}'))
        assert (heard.unread, heard.others) == ([], 1)

    @pytest.mark.parametrize(
        "topic",
        [
            *("", "x", "spAv1.0/G/NDATA/N", "spBv1.0/G/NDATA", "spBv1.0/G/NDATA/N/D", "spBv1.0/G/DDATA/N"),
            *("x/STATE/y", "spBv1.0//NDATA/N", "spBv1.0/G/XDATA/N", "spBv1.0/G/NDATA/N/D/E", "\ud800"),
        ],
    )
    def test_a_topic_that_is_none_of_sparkplugs_is_refused(self, topic: str) -> None:
        heard = hear(Decoder(), (topic, write_payload(NOW_MS, 0, [metric("T", value=1)])))
        assert heard.reasons == [RefusalReason.UNREADABLE]
        assert heard.expected == [sparkplug.EXPECTED_TOPIC]

    def test_what_a_bridge_puts_before_the_namespace_stands_before_all_names(self) -> None:
        topic, payload = message("NDATA", 0, metric("T", value=1))
        heard = hear(Decoder(), (f"sites/north/{topic}", payload), (topic, payload))
        assert heard.values == {"sites/north/G/N/T": 1, "G/N/T": 1}
        assert [one.topic for one in heard.requests] == ["sites/north/spBv1.0/G/NCMD/N", "spBv1.0/G/NCMD/N"]

    def test_payloads_that_are_no_protobuf_are_refused_by_what_is_wrong(self) -> None:
        heard = hear(Decoder(), ("spBv1.0/G/NDATA/N", b"\x12\x7fabc"))
        assert heard.reasons == [RefusalReason.UNREADABLE]
        assert heard.found[0].startswith("3 bytes left of field 2")

    def test_a_compressed_body_is_refused_by_name(self) -> None:
        body = protobuf.blob(4, "SPBV1.0_COMPRESSED") + protobuf.blob(5, b"\x1f\x8b...")
        heard = hear(Decoder(), ("spBv1.0/G/NBIRTH/N", body))
        assert heard.found == ["a body (compressed?)"]

    def test_one_broken_metric_does_not_take_the_others_with_it(self) -> None:
        good = protobuf.blob(2, write_metric(metric("T", value=1, told=True)))
        bad = protobuf.blob(2, protobuf.blob(1, b"\xff\xfe") + protobuf.integer(2, 1))
        heard = hear(Decoder(), ("spBv1.0/G/NBIRTH/N", good + bad + good))
        assert heard.found == ["a metric's name that is not UTF-8"]
        assert len(heard.readings) == 2

    def test_unknown_fields_are_passed_over(self) -> None:
        one = write_metric(metric("T", value=1, told=True)) + protobuf.blob(99, b"x") + protobuf.integer(50, 1)
        raw = protobuf.blob(2, one) + protobuf.integer(77, 5) + protobuf.integer(3, 0) + protobuf.integer(1, NOW_MS)
        assert hear(Decoder(), ("spBv1.0/G/NBIRTH/N", raw)).values == {"G/N/T": 1}

    def test_a_known_field_of_another_wire_type_is_refused(self) -> None:
        raw = protobuf.blob(2, protobuf.blob(1, "T") + protobuf.blob(13, b"x"))
        heard = hear(Decoder(), ("spBv1.0/G/NBIRTH/N", raw))
        assert heard.found == [f"double_value of wire type {Wire.BYTES}"]


class TestBounds:
    def test_the_nodes_silent_for_longest_are_forgotten_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sparkplug, "MOST_NODES", 3)
        decoder = Decoder()
        for node in "ABCAD":
            hear(decoder, nbirth(metric("T", 1, value=1, told=True), node=node))
        assert [key[2] for key in decoder._nodes] == ["C", "A", "D"]
        assert decoder._metrics == sum(node.named for node in decoder._nodes.values())

    def test_names_are_bounded_over_all_nodes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sparkplug, "MOST_METRICS", 12)
        decoder = Decoder()
        for node in "ABC":
            hear(decoder, nbirth(*(metric(f"T{place}", place, value=1, told=True) for place in range(4)), node=node))
        assert [key[2] for key in decoder._nodes] == ["B", "C"]
        assert decoder._metrics == sum(node.named for node in decoder._nodes.values())

    def test_devices_and_aliases_without_names_are_bounded_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sparkplug, "MOST_METRICS", 10)
        decoder = Decoder()
        hear(decoder, nbirth(*(metric("T", alias, value=1, told=True) for alias in range(50)), node="A"))
        assert len(decoder._nodes["", "G", "A"].aliases) == 1
        for place in range(20):
            hear(decoder, message("DBIRTH", place, node="B", device=f"D{place}"))
        assert [key[2] for key in decoder._nodes] == ["B"]
        assert decoder._metrics == decoder._nodes["", "G", "B"].named <= 10

    def test_a_message_with_too_many_metrics_is_refused_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sparkplug, "MOST_FIELDS", 3)
        heard = hear(Decoder(), nbirth(*(metric(f"T{place}", value=1, told=True) for place in range(4))))
        assert heard.found == ["6 metrics"]
        assert heard.readings == []

    def test_a_name_without_end_is_refused(self) -> None:
        heard = hear(Decoder(), nbirth(metric("x" * 2000, value=1, told=True)))
        assert heard.found == ["a metric's name of 2000 bytes"]


def made() -> Iterator[Told]:
    """Messages of a life of a node."""
    yield nbirth(
        metric("Temperature", 1, value=20.5, told=True), metric("Level", 2, value=-5, datatype=INT16, told=True)
    )
    yield message("DBIRTH", 1, metric("Gas", 3, value=1, datatype=FLOAT, told=True, quality=0), device="D")
    for seq in range(2, 6):
        yield message(
            "NDATA", seq, metric(alias=1, value=seq), metric(alias=2, value=-seq, datatype=INT16, historical=True)
        )
        yield message("DDATA", seq, metric(alias=3, value=seq, datatype=FLOAT, null=seq == 4), device="D")
    yield message("DDEATH", 6, device="D")
    yield ndeath(7)


@pytest.mark.parametrize("seed", range(3))
def test_broken_messages_raise_nothing_and_none_vanishes(seed: int) -> None:
    heard = all_broken(Decoder(), made(), seed, 150)
    assert len(heard.readings) > 600
    assert set(heard.reasons) >= {RefusalReason.UNREADABLE, RefusalReason.MISSING_FIELD}
    assert 1 <= len(heard.requests) <= 150


@given(st.lists(st.binary(max_size=80), max_size=4), st.sampled_from(["NBIRTH/N", "NDATA/N", "DDATA/N/D", "NDEATH/N"]))
def test_any_bytes_are_read_or_refused(payloads: list[bytes], kind: str) -> None:
    verb, _, rest = kind.partition("/")
    hear(Decoder(), *((f"spBv1.0/G/{verb}/{rest}", payload) for payload in payloads))


@given(st.integers(0, 2**32))
def test_metrics_that_are_written_are_read_back(seed: int) -> None:
    chance, number = random.Random(seed), count()  # noqa: S311  # repeatable, not secret
    one = Metric(
        chance.choice([None, f"Übung/{next(number)}"]),
        chance.choice([None, chance.randrange(2**64)]),
        chance.choice([None, NOW_MS]),
        chance.choice([None, chance.choice(sorted(DATATYPES))]),
        historical=chance.random() < 0.5,
        transient=chance.random() < 0.5,
        null=chance.random() < 0.5,
        quality=chance.choice([None, 0, 192, 500]),
    )
    if chance.random() < 0.8:
        one.kind, one.raw = value_of(chance.choice(sorted(DATATYPES)), chance.choice([0, 1, 99, 1.5]))
    assert read_metric(write_metric(one)) == one
