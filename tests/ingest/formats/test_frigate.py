"""Frigate: lives of objects, reviews, stats and states; after a start of ours, after losses, and broken messages."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import frigate
from ingest.formats.frigate import BEHIND_US, FORGOTTEN_US, SETTLING_US, Decoder
from ingest.model import Quality, RefusalReason
from tests.ingest.builders import NOW_S, NOW_US
from tests.ingest.formats.heard import Heard, Told, all_broken, hear

YARD = "frigate/yard"


def event(kind: str, name: str = "1.0-abc", *, at: Any = NOW_S, **after: Any) -> Told:
    """An event as Frigate writes it, with what a test wants to be otherwise."""
    thing = {
        "id": name,
        "camera": "yard",
        "frame_time": at,
        "label": "person",
        "sub_label": None,
        "top_score": 0.96,
        "false_positive": False,
        "start_time": NOW_S - 5,
        "end_time": None,
        "score": 0.75,
        "box": [1, 2, 3, 4],
        "current_zones": [],
        "entered_zones": [],
        "active": True,
        "stationary": False,
        "motionless_count": 0,
    }
    thing |= after
    if kind == "end" and "end_time" not in after:
        thing["end_time"] = at
    return "frigate/events", json.dumps({"type": kind, "before": thing, "after": thing}).encode()


def review(kind: str, severity: str = "detection", name: str = "r1", end: Any = None) -> Told:
    item = {"id": name, "camera": "yard", "start_time": NOW_S - 5, "end_time": end, "severity": severity, "data": {}}
    return "frigate/reviews", json.dumps({"type": kind, "before": item, "after": item}).encode()


def settled() -> Decoder:
    """A decoder that has listened long enough to know every object."""
    decoder = Decoder()
    hear(decoder, ("frigate/stats", b'{"cameras": {}, "service": {}}'), at_us=NOW_US - SETTLING_US)
    return decoder


class TestObjects:
    def test_the_life_of_a_person(self) -> None:
        decoder = settled()
        new = hear(decoder, event("new", at=NOW_S + 0.25))
        assert new.values == {f"{YARD}/person/count": 1, f"{YARD}/person/active": 1, f"{YARD}/person/score": 0.75}
        assert set(new.times.values()) == {NOW_US + 250_000}
        assert set(new.qualities.values()) == {Quality.GOOD}
        better = hear(decoder, event("update", score=0.9))
        assert better.values[f"{YARD}/person/score"] == 0.9
        end = hear(decoder, event("end", at=NOW_S + 9))
        assert end.values == {f"{YARD}/person/count": 0, f"{YARD}/person/active": 0, f"{YARD}/person/score": 0}
        assert set(end.times.values()) == {NOW_US + 9_000_000}
        assert not decoder._objects
        assert not decoder._of

    def test_people_are_counted_and_the_greatest_score_is_told(self) -> None:
        decoder = settled()
        hear(decoder, event("new", "a", score=0.9), event("new", "b", score=0.6, stationary=True, active=False))
        heard = hear(decoder, event("new", "c", score=0.7))
        assert heard.values == {f"{YARD}/person/count": 3, f"{YARD}/person/active": 2, f"{YARD}/person/score": 0.9}

    def test_labels_and_cameras_and_frigates_are_kept_apart(self) -> None:
        decoder = settled()
        topic, payload = event("new", "d", camera="yard")
        hear(decoder, event("new", "a"), event("new", "b", label="dog"), event("new", "c", camera="gate"))
        heard = hear(decoder, ("south/events", payload))
        assert topic == "frigate/events"
        assert heard.values["south/yard/person/count"] == 1
        assert hear(decoder, event("update", "b", label="dog")).values[f"{YARD}/dog/count"] == 1

    def test_vehicles_are_added_up(self) -> None:
        decoder = settled()
        hear(
            decoder, event("new", "a", label="car"), event("new", "b", label="bus"), event("new", "c", label="bicycle")
        )
        assert hear(decoder, event("new", "d", label="car")).values[f"{YARD}/vehicles/count"] == 3
        assert hear(decoder, event("end", "b", label="bus")).values[f"{YARD}/vehicles/count"] == 2

    def test_zones_are_told_of_when_somebody_enters_and_when_he_leaves(self) -> None:
        decoder = settled()
        entered = hear(decoder, event("new", current_zones=["roof"]))
        assert entered.values[f"{YARD}/roof/person/count"] == 1
        assert entered.values[f"{YARD}/roof/person/score"] == 0.75
        left = hear(decoder, event("update", current_zones=["door"]))
        assert left.values[f"{YARD}/roof/person/count"] == 0
        assert left.values[f"{YARD}/roof/person/score"] == 0
        assert left.values[f"{YARD}/door/person/count"] == 1
        assert left.values[f"{YARD}/person/count"] == 1

    def test_a_stationary_object_that_is_told_of_again_is_not_news(self) -> None:
        decoder = settled()
        hear(decoder, event("new", label="car"))
        parked = hear(decoder, event("update", label="car", stationary=True, active=False))
        assert parked.values[f"{YARD}/car/active"] == 0
        again = hear(decoder, event("update", label="car", stationary=True, active=False))
        assert (again.readings, again.others) == ([], 1)
        surer = hear(decoder, event("update", label="car", stationary=True, active=False, score=0.8))
        assert surer.values == {f"{YARD}/car/score": 0.8}
        moved = hear(decoder, event("update", label="car", stationary=True, active=False, current_zones=["lot"]))
        assert moved.values[f"{YARD}/lot/car/count"] == 1

    @pytest.mark.parametrize("label", ["fire", "smoke", "Fire", "car"])
    def test_what_stands_still_and_grows_is_told_of(self, label: str) -> None:
        decoder = settled()
        still: dict[str, Any] = {"label": label, "stationary": True, "active": False, "current_zones": ["shed"]}
        hear(decoder, event("new", score=0.5, **still))
        for score in (0.7, 0.99, 0.6):
            grown = hear(decoder, event("update", score=score, **still))
            assert grown.values == {f"{YARD}/{label}/score": score, f"{YARD}/shed/{label}/score": score}

    @pytest.mark.parametrize(
        ("label", "zones"),
        [("fire", []), ("smoke", []), ("SMOKE", ["shed"]), ("person", ["shed"]), ("Person", ["shed"])],
    )
    def test_a_danger_that_stands_still_is_said_again_so_that_a_limit_can_hold(
        self, label: str, zones: list[str]
    ) -> None:
        decoder = settled()
        still: dict[str, Any] = {"label": label, "stationary": True, "active": False, "current_zones": zones}
        hear(decoder, event("new", **still))
        again = hear(decoder, event("update", at=NOW_S + 60, **still), at_us=NOW_US + 60_000_000)
        assert again.values[f"{YARD}/{label}/score"] == 0.75
        assert all(f"{YARD}/{zone}/{label}/score" in again.values for zone in zones)
        assert set(again.times.values()) == {NOW_US + 60_000_000}
        assert not any(name.endswith(("/count", "/active")) for name in again.values)

    def test_a_person_who_stands_still_in_no_zone_is_no_intrusion_and_no_news(self) -> None:
        decoder = settled()
        hear(decoder, event("new", stationary=True, active=False))
        assert hear(decoder, event("update", stationary=True, active=False)).others == 1

    def test_a_greater_fire_beside_it_is_the_score_that_is_said_again(self) -> None:
        decoder = settled()
        still: dict[str, Any] = {"label": "fire", "stationary": True, "active": False}
        hear(decoder, event("new", "a", score=0.9, **still), event("new", "b", score=0.5, **still))
        assert hear(decoder, event("update", "b", score=0.6, **still)).values == {f"{YARD}/fire/score": 0.9}

    def test_what_was_refused_for_its_time_is_told_with_the_next_good_one(self) -> None:
        decoder = settled()
        still: dict[str, Any] = {"label": "car", "stationary": True, "active": False}
        assert hear(decoder, event("new", at=None, **still)).reasons == [RefusalReason.MISSING_FIELD]
        first = hear(decoder, event("update", **still))
        assert first.values[f"{YARD}/car/count"] == 1
        assert hear(decoder, event("update", at="now", score=0.9, **still)).reasons == [RefusalReason.BAD_TIME]
        assert hear(decoder, event("update", score=0.9, **still)).values[f"{YARD}/car/score"] == 0.9

    def test_a_zone_left_in_a_message_that_was_refused_for_its_time_is_left_with_the_next(self) -> None:
        decoder = settled()
        hear(decoder, event("new", current_zones=["roof"]))
        assert hear(decoder, event("update", at=None)).reasons == [RefusalReason.MISSING_FIELD]
        assert hear(decoder, event("update")).values[f"{YARD}/roof/person/count"] == 0

    def test_false_positives_do_not_count(self) -> None:
        decoder = settled()
        assert hear(decoder, event("new", false_positive=True)).others == 1
        hear(decoder, event("new"))
        assert hear(decoder, event("update", false_positive=True)).values[f"{YARD}/person/count"] == 0

    def test_an_object_of_which_nothing_is_heard_is_gone(self) -> None:
        decoder = settled()
        hear(decoder, event("new", "lost"))
        later = hear(decoder, event("new", "b", at=NOW_S + 601), at_us=NOW_US + FORGOTTEN_US + 1)
        counts = [value for name, _, value, _ in later.readings if name == f"{YARD}/person/count"]
        assert counts == [1]
        assert list(decoder._objects) == ["frigate/b"]

    def test_a_lost_end_is_told_of_with_the_next_message_of_any_kind(self) -> None:
        decoder, stats = settled(), ("frigate/stats", b'{"cameras": {}, "service": {}}')
        hear(decoder, event("new", "lost", current_zones=["roof"]))
        for minute in range(1, 11):
            assert hear(decoder, stats, at_us=NOW_US + minute * 60_000_000).readings == []
        heard = hear(decoder, stats, at_us=NOW_US + FORGOTTEN_US + 1)
        assert heard.values[f"{YARD}/person/count"] == heard.values[f"{YARD}/roof/person/score"] == 0
        assert set(heard.times.values()) == {NOW_US + FORGOTTEN_US + 1 - BEHIND_US}

    def test_after_a_start_of_ours_what_is_said_of_all_is_doubtful_and_said_again(self) -> None:
        decoder = Decoder()
        early = hear(decoder, event("new"), event("end", "unknown", label="dog"))
        assert early.qualities[f"{YARD}/person/count"] is Quality.DOUBTFUL
        assert early.qualities[f"{YARD}/person/score"] is Quality.GOOD  # somebody is there, whoever else is
        assert early.qualities[f"{YARD}/dog/score"] is Quality.DOUBTFUL  # perhaps another one is
        at_us = NOW_US + SETTLING_US
        sure = hear(decoder, ("frigate/stats", b'{"cameras": {}, "service": {}}'), at_us=at_us)
        assert sure.values[f"{YARD}/person/count"] == 1
        assert sure.values[f"{YARD}/dog/score"] == 0
        assert set(sure.qualities.values()) == {Quality.GOOD}
        assert set(sure.times.values()) == {at_us - BEHIND_US}
        assert hear(decoder, ("frigate/stats", b'{"cameras": {}, "service": {}}'), at_us=at_us).readings == []

    def test_what_is_said_again_overtakes_no_picture_that_is_on_its_way(self) -> None:
        decoder = Decoder()
        hear(decoder, event("new", at=NOW_S - 2))  # two seconds on the way, or by the clocks
        at_us = NOW_US + SETTLING_US
        both = hear(
            decoder,
            ("frigate/stats", b'{"cameras": {}, "service": {}}'),
            event("new", "fire", label="person", at=at_us / 1e6 - 6.5),  # slower still
            at_us=at_us,
        )
        times = [event_us for name, event_us, _, _ in both.readings if name == f"{YARD}/person/count"]
        assert times == [at_us - 2_000_000 - BEHIND_US, at_us - 6_500_000]

    @pytest.mark.parametrize("said", [b"offline", b"online", b"stopped"])
    def test_a_frigate_that_went_or_came_has_other_objects(self, said: bytes) -> None:
        decoder = settled()
        hear(decoder, event("new", "a"), event("new", "b"), review("new", "alert"))
        assert hear(decoder, ("frigate/available", said)).others == 1
        again = hear(decoder, event("new", "c"))
        assert again.values[f"{YARD}/person/count"] == 1
        assert again.qualities[f"{YARD}/person/count"] is Quality.DOUBTFUL
        sure = hear(decoder, ("frigate/stats", b'{"cameras": {}, "service": {}}'), at_us=NOW_US + SETTLING_US)
        assert sure.values[f"{YARD}/person/count"] == 1
        assert sure.qualities[f"{YARD}/person/count"] is Quality.GOOD
        assert not decoder._reviews

    def test_a_frigate_that_was_silent_though_there_were_objects_was_not_heard(self) -> None:
        decoder = settled()
        hear(decoder, event("new", "a"))
        after = hear(decoder, event("new", "b", at=NOW_S + 100), at_us=NOW_US + 100_000_000)
        assert after.qualities[f"{YARD}/person/count"] is Quality.DOUBTFUL

    def test_of_too_many_frigates_the_longest_silent_is_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(frigate, "MOST_PREFIXES", 3)
        decoder = settled()
        for made_up in range(9):
            hear(decoder, (f"made-up-{made_up}/stats", b"{}"), ("frigate/stats", b"{}"))
        assert list(decoder._heard) == ["made-up-7", "made-up-8", "frigate"]
        assert hear(decoder, event("new")).qualities[f"{YARD}/person/count"] is Quality.GOOD

    def test_a_frigate_without_objects_may_be_silent_for_hours(self) -> None:
        decoder = settled()
        hear(decoder, event("new", "a"), event("end", "a"))
        after = hear(decoder, event("new", "b", at=NOW_S + 9000), at_us=NOW_US + 9_000_000_000)
        assert after.qualities[f"{YARD}/person/count"] is Quality.GOOD

    @pytest.mark.parametrize("odd_s", [0.0, 253_402_300_799.0, NOW_S + 1e6])
    def test_one_picture_with_an_odd_time_spoils_nothing_that_is_said_again(self, odd_s: float) -> None:
        decoder = Decoder()
        hear(decoder, event("new", at=odd_s))
        at_us = NOW_US + SETTLING_US
        sure = hear(decoder, ("frigate/stats", b'{"cameras": {}, "service": {}}'), at_us=at_us)
        assert all(at_us - BEHIND_US - 60_000_000 <= event_us <= at_us for event_us in sure.times.values())

    @pytest.mark.parametrize(
        ("after", "reason"),
        [
            ({"id": None}, RefusalReason.MISSING_FIELD),
            ({"camera": 5}, RefusalReason.MISSING_FIELD),
            ({"label": ""}, RefusalReason.MISSING_FIELD),
            ({"frame_time": None}, RefusalReason.MISSING_FIELD),
            ({"frame_time": "now"}, RefusalReason.BAD_TIME),
            ({"frame_time": 1e300}, RefusalReason.BAD_TIME),
            ({"score": None}, RefusalReason.NOT_A_NUMBER),
            ({"score": "high"}, RefusalReason.NOT_A_NUMBER),
        ],
    )
    def test_what_is_wrong_is_named(self, after: dict[str, Any], reason: RefusalReason) -> None:
        heard = hear(settled(), event("new", **after))
        assert heard.readings == []
        assert heard.reasons == [reason]

    def test_an_end_without_a_time_still_ends(self) -> None:
        decoder = settled()
        hear(decoder, event("new"))
        end = hear(decoder, event("end", end_time=None), at_us=NOW_US + 20_000_000)
        assert end.reasons == [RefusalReason.MISSING_FIELD]
        assert end.values == {f"{YARD}/person/count": 0, f"{YARD}/person/active": 0, f"{YARD}/person/score": 0}
        assert set(end.times.values()) == {NOW_US + 20_000_000 - BEHIND_US}
        assert not decoder._objects

    @pytest.mark.parametrize(
        "payload", [b"", b"{", b"\xff", b"[]", b"5", b'{"type": "odd", "after": {}}', b'{"type": "new"}']
    )
    def test_what_is_no_event_is_refused(self, payload: bytes) -> None:
        heard = hear(settled(), ("frigate/events", payload))
        assert heard.reasons == [RefusalReason.UNREADABLE]
        assert heard.expected == [frigate.EXPECTED]

    def test_objects_without_end_are_not_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(frigate, "MOST_OBJECTS", 5)
        decoder = settled()
        for place in range(20):
            hear(decoder, event("new", f"o{place}"))
        assert list(decoder._objects) == [f"frigate/o{place}" for place in range(14, 20)]  # and the one just told of
        assert sum(map(len, decoder._of.values())) == 6

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["new", "update", "update", "end"]),
                st.sampled_from("abcd"),
                st.sampled_from([[], ["roof"], ["roof", "door"]]),
                st.booleans(),
                st.sampled_from(["person", "car"]),
                st.sampled_from([0.5, 0.75, 0.99]),
            ),
            max_size=30,
        )
    )
    def test_what_was_said_last_is_always_true(self, steps: list[tuple[str, str, list[str], bool, str, float]]) -> None:
        decoder, there, last = settled(), dict[str, tuple[str, list[str], bool, float]](), dict[str, float]()
        for kind, name, zones, still, label, score in steps:
            fixed = there[name][0] if name in there else label  # an object keeps its label
            last |= hear(
                decoder,
                event(kind, name, label=fixed, current_zones=zones, stationary=still, active=not still, score=score),
            ).values
            if kind == "end":
                there.pop(name, None)
            else:
                there[name] = (fixed, zones, still, score)
        for label in ("person", "car"):
            for zone in ("", "roof", "door"):
                of = [one for one in there.values() if one[0] == label and (not zone or zone in one[1])]
                field = f"{YARD}/{zone}/{label}" if zone else f"{YARD}/{label}"
                assert last.get(f"{field}/count", 0) == len(of)
                assert last.get(f"{field}/active", 0) == sum(not one[2] for one in of)
                assert last.get(f"{field}/score", 0) == max((one[3] for one in of), default=0)


class TestReviews:
    def test_the_life_of_a_review_that_grows_into_an_alert(self) -> None:
        decoder = settled()
        new = hear(decoder, review("new"))
        assert new.values == {f"{YARD}/review/detection": 1}
        assert set(new.times.values()) == {(NOW_S - 5) * 1_000_000}
        assert hear(decoder, review("update")).others == 1
        grown = hear(decoder, review("update", "alert"))
        assert grown.values == {f"{YARD}/review/alert": 1, f"{YARD}/review/detection": 0}
        assert set(grown.times.values()) == {NOW_US - BEHIND_US + 1000}  # right after what was told of it last
        end = hear(decoder, review("end", "alert", end=NOW_S + 3))
        assert end.values == {f"{YARD}/review/alert": 0}
        assert set(end.times.values()) == {(NOW_S + 3) * 1_000_000}
        assert not decoder._reviews

    def test_an_alert_goes_on_while_another_one_does(self) -> None:
        decoder = settled()
        hear(decoder, review("new", "alert", "r1"), review("new", "alert", "r2"))
        assert hear(decoder, review("end", "alert", "r1", end=NOW_S)).values == {f"{YARD}/review/alert": 1}
        assert hear(decoder, review("end", "alert", "r2", end=NOW_S)).values == {f"{YARD}/review/alert": 0}

    def test_a_review_whose_end_was_lost_does_not_go_on_for_ever(self) -> None:
        decoder = settled()
        hear(decoder, review("new", "alert", "lost"))
        later_us = NOW_US + frigate.REVIEW_FORGOTTEN_US + 1
        hear(decoder, review("new", "alert", "r2"), at_us=later_us)
        assert hear(decoder, review("end", "alert", "r2", end=NOW_S), at_us=later_us).values == {
            f"{YARD}/review/alert": 0
        }

    def test_a_severity_nobody_knows_is_refused(self) -> None:
        heard = hear(settled(), review("new", "panic"))
        assert heard.found == ['severity "panic"']
        assert heard.expected == ["alert or detection"]

    def test_reviews_without_end_are_not_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(frigate, "MOST_REVIEWS", 3)
        decoder = settled()
        hear(decoder, *(review("new", "alert", f"r{place}") for place in range(9)))
        assert len(decoder._reviews) == 3


class TestStates:
    def test_stats_say_how_the_cameras_are(self) -> None:
        stats = {
            "cameras": {
                "yard": {"camera_fps": 5.1, "detection_fps": 0, "detection_enabled": True, "pid": 7},
                "gate": 5,
            },
            "service": {"last_updated": NOW_S},
        }
        heard = hear(settled(), ("frigate/stats", json.dumps(stats).encode()))
        assert heard.values == {f"{YARD}/camera_fps": 5.1, f"{YARD}/detection_fps": 0, f"{YARD}/detection_enabled": 1}
        assert set(heard.times.values()) == {NOW_US}
        assert heard.reasons == [RefusalReason.UNREADABLE]

    def test_stats_without_a_time_are_refused(self) -> None:
        heard = hear(settled(), ("frigate/stats", b'{"cameras": {"yard": {"camera_fps": 5}}, "service": {}}'))
        assert heard.reasons == [RefusalReason.MISSING_FIELD]

    @pytest.mark.parametrize(
        ("rest", "payload", "value"),
        [
            ("person", b"2", 2),
            ("person/active", b"1", 1),
            ("all", b"0", 0),
            ("motion", b"ON", 1),
            ("detect/state", b"OFF", 0),
            ("status/detect", b"offline", 0),
            ("audio/dBFS", b"-32.5", -32.5),
            ("audio/scream", b"ON", 1),
        ],
    )
    def test_plain_numbers_and_states_are_readings_of_their_topic(
        self, rest: str, payload: bytes, value: float
    ) -> None:
        heard = hear(settled(), (f"{YARD}/{rest}", payload))
        assert heard.readings == [(f"{YARD}/{rest}", NOW_US, value, Quality.GOOD)]

    @pytest.mark.parametrize("kind", ["events", "stats", "available", "reviews"])
    @pytest.mark.parametrize("prefix", ["north", "city/north", "city/north/frigate-2", "frigate", "a/frigate", "/x"])
    def test_a_camera_is_one_device_whatever_its_prefix(self, prefix: str, kind: str) -> None:
        decoder = settled()
        stats = {"cameras": {"yard": {"camera_fps": 5}}, "service": {"last_updated": NOW_S}}
        told = {"events": event("new")[1], "stats": json.dumps(stats).encode(), "available": b"online"}
        told["reviews"] = review("new")[1]
        hear(decoder, (f"{prefix}/{kind}", told[kind]))
        decoded = decoder(
            [b"ON", told["events"]], [f"{prefix}/yard/detect/state", f"{prefix}/events"], np.full(2, NOW_US)
        )
        assert {f"{prefix}/yard/person/count", f"{prefix}/yard/detect/state"} <= {*decoded.ids}
        assert {*(decoded.devices or ())} == {f"{prefix}/yard"}

    @pytest.mark.parametrize(
        ("topic", "name"),
        [
            ("city/frigate/yard/person", "city/frigate/yard/person"),
            ("a/b/frigate/yard/detect/state", "a/b/frigate/yard/detect/state"),
            ("frigate/frigate/motion", "frigate/frigate/motion"),
            ("north/yard/person/active", "north/yard/person/active"),
        ],
    )
    def test_a_prefix_not_heard_of_ends_with_the_level_frigate_else_the_first(self, topic: str, name: str) -> None:
        decoder = Decoder()
        decoded = decoder([b"1"], [topic], np.array([NOW_US]))
        assert list(decoded.ids) == [name]
        prefix = topic[: topic.index("frigate") + 7] if "frigate" in topic else "north"
        assert decoded.devices == ["/".join(topic.split("/")[: prefix.count("/") + 2])]

    def test_a_topic_of_a_whole_frigate_with_a_prefix_of_several_levels_is_no_camera(self) -> None:
        decoder = settled()
        hear(decoder, ("city/north/available", b"online"))
        assert hear(decoder, ("city/north/restart", b"1"), ("city/north/notifications/state", b"ON")).others == 2

    def test_of_two_prefixes_that_fit_the_longer_one_is_meant(self) -> None:
        decoder = settled()
        told = [(f"{prefix}/available", b"online") for prefix in ("city", "city/frigate/north")]
        hear(decoder, *told)
        decoded = decoder([b"1", b"1"], ["city/frigate/north/yard/person", "city/gate/person"], np.full(2, NOW_US))
        assert decoded.devices == ["city/frigate/north/yard", "city/gate"]

    @pytest.mark.parametrize(
        "topic",
        ["site/frigate/notifications/state", "site/frigate/yard", "site/frigate", "site/frigate//x", "a/frigate/yard/"],
    )
    def test_behind_a_prefix_with_slashes_too_general_topics_are_no_cameras(self, topic: str) -> None:
        assert hear(settled(), (topic, b"1")).others == 1

    @pytest.mark.parametrize(
        ("topic", "payload"),
        [
            ("frigate/available", b"online"),
            ("frigate/available", b"stopped"),
            ("frigate/yard/person/snapshot", b"\xff\xd8\xff\xe0" + b"\x00" * 500),
            ("frigate/yard/person/snapshot", b"1"),
            ("frigate/yard/detect/set", b"ON"),
            ("frigate/yard/status/detect", b"disabled"),
            ("frigate/yard/birdseye_mode/state", b"CONTINUOUS"),
            ("frigate/notifications/state", b"ON"),
            ("frigate/camera_activity", b"{}"),
            ("frigate/tracked_object_update", b'{"type": "description"}'),
            ("frigate/yard/person", b"1e999"),
            ("frigate/yard/person", b"two"),
            ("frigate/yard/person", b""),
            ("", b"1"),
        ],
    )
    def test_everything_else_speaks_of_something_else(self, topic: str, payload: bytes) -> None:
        heard = hear(settled(), (topic, payload))
        assert (heard.readings, heard.unread, heard.others) == ([], [], 1)


def sound() -> list[Told]:
    return [
        *(event(kind, name, current_zones=["roof"]) for kind in ("new", "update", "end") for name in "abc"),
        *(review(kind, "alert", end=NOW_S) for kind in ("new", "update", "end")),
        (
            "frigate/stats",
            json.dumps({"cameras": {"yard": {"camera_fps": 5}}, "service": {"last_updated": 1}}).encode(),
        ),
        ("frigate/yard/person", b"2"),
        ("frigate/yard/motion", b"ON"),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_broken_messages_raise_nothing_and_none_vanishes(seed: int) -> None:
    decoder = Decoder()
    heard: Heard = all_broken(decoder, sound(), seed, 150)
    assert len(heard.readings) > 1500
    assert set(heard.reasons) >= {RefusalReason.UNREADABLE}
    assert {*decoder._objects} == {key for of in decoder._of.values() for key in of}


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["new", "end", "yard"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "before", "after", "id", "camera", "label", "score", "frame_time", "end_time"])
            | st.sampled_from(["current_zones", "severity", "cameras", "service", "last_updated", "camera_fps"]),
            inner,
            max_size=7,
        )
    ),
    max_leaves=20,
)


@given(st.lists(ANYTHING, max_size=3), st.sampled_from(["events", "reviews", "stats", "yard/person"]))
def test_any_json_is_read_or_refused(payloads: list[Any], topic: str) -> None:
    hear(Decoder(), *((f"frigate/{topic}", json.dumps(payload).encode()) for payload in payloads))
