"""What the intake makes of formats that mark, ask and name units nowhere: through fields.csv to the city's sensors."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from config.fields import FieldRule, FieldRules
from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.formats.sparkplug_payload import Metric, value_of, write_payload
from ingest.intake import Intake
from ingest.model import Admission, Message, Messages, Quality, RefusalReason
from tests.ingest.builders import NOW_S, NOW_US, city, sensor
from tests.ingest.formats.test_hj212 import AT, MN, frame

NAMES = ("ch4", "pm25", "pressure", "image_change", "people")
RULES = (
    FieldRule("G/N/pit", "Gas", "ch4-1", "%LEL"),
    FieldRule(MN, "a34004-Rtd", "pm25-1", "mg/m³"),
    FieldRule(MN, "a01006-Rtd", "pressure-1", "kPa"),
    FieldRule("cam", "VideoSource/GlobalSceneChange/ImagingService/&0/State", "image_change-1"),
    FieldRule("frigate/yard", "person/count", "people-1"),
)


def into(found: PayloadFormat) -> Intake:
    sensors = [sensor(row, f"{name}-1", name) for row, name in enumerate(NAMES)]
    subscriptions = [Subscription(filter="#", format=found)]
    return Intake(replace(city(sensors), fields=FieldRules.of(RULES)), IngestSettings(), subscriptions)


def admit(intake: Intake, *told: tuple[str, bytes], retained: bool = False) -> Admission:
    messages = Messages.of([Message(topic, payload, NOW_US, retained) for topic, payload in told])
    admission = intake.admit(messages, NOW_US)
    counters = intake.counters
    assert counters["readings"] == counters["admitted"] + counters["refused"]
    return admission


def values(admission: Admission) -> list[tuple[str, float, Quality]]:
    rows = zip(
        admission.batch.sensor.tolist(), admission.batch.value.tolist(), admission.batch.quality.tolist(), strict=True
    )
    return [(NAMES[row], value, Quality(quality)) for row, value, quality in rows]


def gas(name: str | None, value: float, *, at_ms: int = NOW_S * 1000, seq: int = 0, **more: Any) -> tuple[str, bytes]:
    kind, raw = value_of(9, value)
    metric = Metric(name, 1, at_ms, 9 if name else None, kind=kind, raw=raw, **more)
    return f"spBv1.0/G/{'DBIRTH' if name else 'DDATA'}/N/pit", write_payload(NOW_S * 1000, seq, [metric])


def test_history_of_sparkplug_pages_nobody_however_fresh_it_looks() -> None:
    intake = into(PayloadFormat.SPARKPLUG)
    admission = admit(intake, gas("Gas", 1.5), gas(None, 60, seq=1, at_ms=NOW_S * 1000 + 500, historical=True))
    assert values(admission) == [("ch4", 1.5, Quality.GOOD), ("ch4", 60, Quality.LATE)]
    assert intake.counters["late"] == 1


def test_a_node_is_asked_once_and_what_it_then_says_is_admitted() -> None:
    intake = into(PayloadFormat.SPARKPLUG)
    admission = admit(intake, gas(None, 1.5))
    assert [refusal.reason for refusal in admission.refused] == [RefusalReason.MISSING_FIELD]
    assert [request.topic for request in intake.requests()] == ["spBv1.0/G/NCMD/N"]
    assert intake.requests() == []
    assert values(admit(intake, gas("Gas", 2.5, seq=1))) == [("ch4", 2.5, Quality.GOOD)]


def test_what_one_intake_learned_another_one_does_not_know() -> None:
    admit(into(PayloadFormat.SPARKPLUG), gas("Gas", 1.5))
    assert len(admit(into(PayloadFormat.SPARKPLUG), gas(None, 1.5)).batch) == 0


def test_the_same_message_of_a_node_once_more_is_a_duplicate_and_no_gap() -> None:
    intake = into(PayloadFormat.SPARKPLUG)
    born = "spBv1.0/G/NBIRTH/N", write_payload(NOW_S * 1000, 255, [])
    admit(intake, born, gas("Gas", 1.5), gas(None, 2.5, seq=1))
    again = admit(intake, gas(None, 2.5, seq=1))
    assert [refusal.reason for refusal in again.refused] == [RefusalReason.DUPLICATE]
    assert intake.requests() == []


def test_units_of_a_station_are_what_the_table_says() -> None:
    admission = admit(into(PayloadFormat.HJ212), ("x", frame(f"DataTime={AT};a34004-Rtd=0.0355,a01006-Rtd=101.3")))
    assert [name for name, *_ in values(admission)] == ["pm25", "pressure"]
    assert [value for _, value, _ in values(admission)] == pytest.approx([35.5, 1013])


def test_what_a_station_sends_later_is_late_and_its_faults_are_doubtful() -> None:
    content = f"DataTime={AT};a34004-Rtd=0.04,a34004-Flag=N;a01006-Rtd=101,a01006-Flag=D"
    admission = admit(into(PayloadFormat.HJ212), ("x", frame(content, head="RF=1;", flag=8)))
    assert [quality for *_, quality in values(admission)] == [Quality.LATE, Quality.DOUBTFUL]


def test_a_property_that_the_broker_replays_is_retained() -> None:
    payload = json.dumps({"UtcTime": "2023-11-14T22:13:19Z", "Source": {"S": "0"}, "Data": {"State": "true"}}).encode()
    told = ("cam/onvif-ej/VideoSource/GlobalSceneChange/ImagingService/&0", payload)
    intake = into(PayloadFormat.ONVIF)
    assert values(admit(intake, told, retained=True)) == [("image_change", 1, Quality.RETAINED)]
    assert values(admit(intake, told)) == [("image_change", 1, Quality.GOOD)]


def test_a_station_that_nobody_lists_is_refused_once_a_message() -> None:
    intake = into(PayloadFormat.HJ212)
    admission = admit(intake, ("x", frame(f"DataTime={AT};a34004-Rtd=1;LA-Rtd=2;L5-Rtd=x", mn="STRANGER")))
    (refusal,) = admission.refused
    assert refusal.reason is RefusalReason.UNKNOWN_SENSOR
    assert "STRANGER" in refusal.found
    assert intake.counters["refused"] == 3


def test_people_are_counted_as_they_come_and_go() -> None:
    intake = into(PayloadFormat.FRIGATE)
    told: list[tuple[str, bytes]] = []
    for kind, name in (("new", "a"), ("new", "b"), ("end", "a")):
        thing = {
            "id": name,
            "camera": "yard",
            "frame_time": NOW_S - 3 + len(told),
            "end_time": NOW_S,
            "label": "person",
        }
        thing |= {"score": 0.8, "current_zones": [], "false_positive": False, "stationary": False}
        told.append(("frigate/events", json.dumps({"type": kind, "before": thing, "after": thing}).encode()))
    admission = admit(intake, *told)
    assert [value for _, value, _ in values(admission)] == [1, 2, 1]
    assert (np.diff(admission.batch.event_us) > 0).all()
    assert intake.counters["fields_passed_over"] == 6  # active and score, that nobody wants
