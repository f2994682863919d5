"""ONVIF events and metadata over MQTT: the specifications' own examples, tampering, and whatever comes instead."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import onvif
from ingest.formats.onvif import Decoder
from ingest.model import Quality, RefusalReason
from tests.ingest.builders import NOW_US
from tests.ingest.formats.heard import Heard, Told, all_broken, hear

AT = "2023-11-14T22:13:20Z"


def event(topic: str, data: Any, source: Any = None, at: Any = AT, camera: str = "cam-1") -> Told:
    payload = {"UtcTime": at, "Source": {} if source is None else source, "Data": data}
    return f"{camera}/onvif-ej/{topic}", json.dumps(payload).encode()


def frames(*objects: Any, at: str = AT, topic: str = "cam-1/onvif-mj/VideoAnalytics/1/Classifier") -> Told:
    return topic, json.dumps({"Frame": [{"@UtcTime": at, "Object": list(objects)}]}).encode()


def thing(*classes: Any, number: int = 1) -> dict[str, Any]:
    return {"@ObjectId": number, "Appearance": {"Class": {"Type": list(classes)}}}


def human(likelihood: Any = 0.8) -> dict[str, Any]:
    return thing({"@Likelihood": likelihood, "#text": "Human"})


def read(*told: Told) -> Heard:
    return hear(Decoder(), *told)


class TestEvents:
    def test_the_example_of_the_core_specification(self) -> None:
        payload = b"""{
          "UtcTime": "2008-10-10T12:24:57.321Z",
          "Source": {"VideoSource": "1", "AnalyticsConfiguration": "2", "Rule": "MyImportantFence1"},
          "Data": {"ObjectId": "15"}
        }"""
        heard = read(("MyDevice/onvif-ej/RuleEngine/LineDetector/Crossed/&1/2/MyImportantFence1", payload))
        ((name, at_us, value, quality),) = heard.readings
        assert name == "MyDevice/RuleEngine/LineDetector/Crossed/&1/2/MyImportantFence1/ObjectId"
        assert (at_us, value, quality) == (1_223_641_497_321_000, 15, Quality.GOOD)

    @pytest.mark.parametrize("alarm", ["ImageTooBlurry", "ImageTooDark", "ImageTooBright", "GlobalSceneChange"])
    @pytest.mark.parametrize("service", ["AnalyticsService", "ImagingService", "RecordingService"])
    @pytest.mark.parametrize(("state", "value"), [(True, 1), ("true", 1), (False, 0), ("false", 0), ("True", 1)])
    def test_tampering_is_one_or_nought(self, alarm: str, service: str, state: Any, value: float) -> None:
        heard = read(event(f"VideoSource/{alarm}/{service}/&src0", {"State": state}, {"Source": "src0"}))
        assert heard.values == {f"cam-1/VideoSource/{alarm}/{service}/&src0/State": value}
        assert heard.times == {f"cam-1/VideoSource/{alarm}/{service}/&src0/State": NOW_US}

    def test_a_source_that_the_topic_leaves_out_comes_from_the_payload(self) -> None:
        with_it = event("VideoSource/SignalLoss/&src0", {"State": True}, {"Source": "src0"})
        without = event("VideoSource/SignalLoss", {"State": True}, {"Source": "src0"})
        assert read(with_it).values == read(without).values == {"cam-1/VideoSource/SignalLoss/&src0/State": 1}
        assert read(event("Device/Trigger", {"On": 1})).values == {"cam-1/Device/Trigger/On": 1}

    def test_items_may_stand_as_simple_items_and_topics_with_their_namespace(self) -> None:
        heard = read(
            event(
                "Device/tns1:Trigger/tns1:Relay/&Relay-1",
                {"SimpleItem": [{"Name": "LogicalState", "Value": "active"}, {"Name": "Text", "Value": "x"}, 5]},
                {"SimpleItem": [{"Name": "RelayToken", "Value": "Relay-1"}]},
            )
        )
        assert heard.values == {"cam-1/Device/Trigger/Relay/&Relay-1/LogicalState": 1}

    @pytest.mark.parametrize(
        ("given_value", "value"), [("15", 15), (15, 15), ("-3.5e2", -350), (True, 1), ("inactive", 0), (" false ", 0)]
    )
    def test_numbers_and_states_quoted_or_not(self, given_value: Any, value: float) -> None:
        assert read(event("Some/Topic", {"Item": given_value})).values == {"cam-1/Some/Topic/Item": value}

    @pytest.mark.parametrize("given_value", ["", "open", "1_0", "nan", "0x1", {"Polyline": {"Point": []}}, [1], None])
    def test_other_texts_and_structures_are_passed_over(self, given_value: Any) -> None:
        heard = read(event("Some/Topic", {"Item": given_value}))
        assert (heard.readings, heard.unread, heard.others) == ([], [], 1)

    def test_a_number_that_is_not_finite_is_refused(self) -> None:
        topic, payload = event("Some/Topic", {"Item": 1})
        heard = read((topic, payload.replace(b'"Item": 1', b'"Item": 1e999, "Other": 2')))
        assert heard.values == {"cam-1/Some/Topic/Other": 2}
        assert heard.reasons == [RefusalReason.NOT_A_NUMBER]

    def test_no_bytes_say_that_a_property_is_gone(self) -> None:
        heard = read(("cam-1/onvif-ej/VideoSource/MotionAlarm/&1", b""))
        assert (heard.readings, heard.unread, heard.others) == ([], [], 1)

    @pytest.mark.parametrize("at", ["2023-11-14T22:13:20", "2023-11-14T22:13:20Z", "2023-11-15T06:13:20+08:00"])
    def test_utc_time_is_utc_with_or_without_saying_so(self, at: str) -> None:
        assert read(event("Some/Topic", {"Item": 1}, at=at)).times == {"cam-1/Some/Topic/Item": NOW_US}

    @pytest.mark.parametrize(
        ("at", "reason"),
        [(None, RefusalReason.MISSING_FIELD), ("yesterday", RefusalReason.BAD_TIME), (1, RefusalReason.BAD_TIME)],
    )
    def test_a_time_that_cannot_be_placed_is_refused(self, at: Any, reason: RefusalReason) -> None:
        heard = read(event("Some/Topic", {"Item": 1}, at=at))
        assert heard.reasons == [reason]
        assert heard.unread[0].sensor_id == "cam-1/Some/Topic/Item"

    @pytest.mark.parametrize("payload", [b"{", b"\xff", b"5", b"[]", b'"x"', b"[" * 5000])
    def test_what_is_no_event_is_refused(self, payload: bytes) -> None:
        heard = read(("cam-1/onvif-ej/Some/Topic", payload))
        assert heard.reasons == [RefusalReason.UNREADABLE]
        assert heard.expected == [onvif.EXPECTED_EVENT]

    @pytest.mark.parametrize("topic", ["", "x", "onvif-ej/x", "/onvif-ej/x", "cam/onvif-ej/", "cam/onvif/x", "\ud800"])
    def test_a_topic_that_is_none_of_onvifs_is_refused(self, topic: str) -> None:
        heard = read((topic, b"{}"))
        assert heard.reasons == [RefusalReason.UNREADABLE]
        assert heard.expected == [onvif.EXPECTED_TOPIC]

    def test_a_prefix_may_have_levels(self) -> None:
        assert read(event("A/B", {"C": 1}, camera="yard/north/cam")).values == {"yard/north/cam/A/B/C": 1}

    def test_too_many_items_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onvif, "MOST_FIELDS", 3)
        assert read(event("A/B", dict.fromkeys("abcd", 1))).found == ["4 items"]


class TestMetadata:
    MODULE = "cam-1/VideoAnalytics/1/Classifier"

    def test_objects_are_counted_by_their_likeliest_class(self) -> None:
        heard = read(
            frames(
                human(0.6),
                human("0.9"),
                thing({"@Likelihood": 0.2, "#text": "Human"}, {"@Likelihood": 0.7, "#text": "Car"}),
                thing("Bag"),
                {"@ObjectId": 9},
            )
        )
        assert heard.values == {
            f"{self.MODULE}/objects/count": 5,
            f"{self.MODULE}/Human/count": 2,
            f"{self.MODULE}/Human/likelihood": 0.9,
            f"{self.MODULE}/Car/count": 1,
            f"{self.MODULE}/Car/likelihood": 0.7,
            f"{self.MODULE}/Bag/count": 1,
            f"{self.MODULE}/Bag/likelihood": 1,
        }
        assert set(heard.times.values()) == {NOW_US}

    def test_a_class_that_was_there_counts_nought_when_it_is_gone(self) -> None:
        decoder = Decoder()
        assert hear(decoder, frames()).values == {f"{self.MODULE}/objects/count": 0}
        hear(decoder, frames(human()))
        gone = hear(decoder, frames(thing("Car")))
        assert gone.values[f"{self.MODULE}/Human/count"] == 0
        assert gone.values[f"{self.MODULE}/Human/likelihood"] == 0
        assert gone.values[f"{self.MODULE}/Car/count"] == 1

    def test_modules_are_kept_apart(self) -> None:
        decoder = Decoder()
        hear(decoder, frames(human()))
        other = hear(decoder, frames(topic="cam-1/onvif-mj/VideoAnalytics/2/Classifier"))
        assert other.values == {"cam-1/VideoAnalytics/2/Classifier/objects/count": 0}

    def test_the_older_way_of_naming_classes(self) -> None:
        one = {"Appearance": {"Class": {"ClassCandidate": [{"Type": "Vehicle", "Likelihood": 0.75}]}}}
        assert read(frames(one)).values[f"{self.MODULE}/Vehicle/likelihood"] == 0.75

    def test_a_list_of_one_may_stand_as_what_is_in_it(self) -> None:
        payload = {"Frame": {"@UtcTime": AT, "Object": human()}}
        heard = read(("cam-1/onvif-mj/VideoAnalytics/1/Classifier", json.dumps(payload).encode()))
        assert heard.values[f"{self.MODULE}/Human/count"] == 1

    def test_the_time_of_the_specifications_example_has_no_z(self) -> None:
        assert read(frames(at="2021-10-05T15:13:27.321")).times == {
            f"{self.MODULE}/objects/count": 1_633_446_807_321_000
        }

    def test_a_frame_without_time_is_refused(self) -> None:
        heard = read(("cam-1/onvif-mj/VideoAnalytics/1/Classifier", b'{"Frame": [{}, 5]}'))
        assert heard.reasons == [RefusalReason.MISSING_FIELD, RefusalReason.UNREADABLE]

    def test_metadata_of_other_kinds_speak_of_something_else(self) -> None:
        heard = read(("cam-1/onvif-mj/PTZ/1/Dome", b'{"PTZStatus": {"Position": {}}}'))
        assert (heard.readings, heard.unread, heard.others) == ([], [], 1)

    def test_classes_without_end_are_not_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onvif, "MOST_CLASSES", 3)
        monkeypatch.setattr(onvif, "MOST_MODULES", 2)
        decoder = Decoder()
        for place in range(20):
            hear(decoder, frames(thing(f"class-{place}"), topic=f"cam/onvif-mj/VideoAnalytics/{place % 3}/M"))
        assert len(decoder._classes) <= 2
        assert max(map(len, decoder._classes.values())) <= 3


def sound() -> list[Told]:
    return [
        event("VideoSource/ImageTooDark/ImagingService/&src0", {"State": "true"}, {"Source": "src0"}),
        event("RuleEngine/CountAggregation/Counter/&1", {"Count": "17", "Rate": 2.5}, {"Rule": "in"}),
        event("Device/Trigger/Relay", {"SimpleItem": [{"Name": "LogicalState", "Value": "active"}]}),
        frames(human(), thing("Car"), human(0.3)),
        frames(),
        ("cam-1/onvif-ej/VideoSource/MotionAlarm/&1", b""),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_broken_messages_raise_nothing_and_none_vanishes(seed: int) -> None:
    heard = all_broken(Decoder(), sound(), seed, 150)
    assert len(heard.readings) > 1500
    assert set(heard.reasons) >= {RefusalReason.UNREADABLE, RefusalReason.BAD_TIME}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just(AT),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["UtcTime", "Source", "Data", "SimpleItem", "Name", "Value", "Frame", "@UtcTime", "Object"])
            | st.sampled_from(["Appearance", "Class", "Type", "#text", "@Likelihood", "x/y", ""]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(ANYTHING, max_size=3), st.sampled_from(["onvif-ej/A/&b", "onvif-mj/VideoAnalytics/1/M"]))
def test_any_json_is_read_or_refused(payloads: list[Any], topic: str) -> None:
    read(*((f"cam/{topic}", json.dumps(payload).encode()) for payload in payloads))
