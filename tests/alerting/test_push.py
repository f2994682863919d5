import json
import math
from dataclasses import replace
from itertools import product

import pytest

from alerting.ledger import Ledger
from alerting.model import Alarm, GridEvent
from alerting.pipeline import Pipeline
from alerting.push import Cause, event_push, not_reached_push, ticket_push
from config.city import City
from config.quantities import QUANTITIES
from config.texts import number, table
from config.vocabulary import Category, Language, Severity
from detectors.model import Condition, Nature, Reason
from tests.alerting import support
from tests.alerting.support import NOON_US, verdict

OVER = Reason("reason.high.raised", {"value": 27.34, "threshold": 25, "unit": " %LEL", "source": "GB/T 50493-2019"})
FROZEN = Reason("reason.stuck.raised", {"value": 27.3, "unit": " %LEL", "readings": 60, "minutes": 60})


@pytest.fixture
def event(pipeline: Pipeline, ledger: Ledger) -> GridEvent:
    pipeline.handle([replace(verdict(0, value=27.34), reason=OVER)], NOON_US)
    opened = ledger.event(1)
    assert opened is not None
    return opened


def test_a_push_says_where_what_how_bad_and_what_to_do_in_both_languages(event: GridEvent, city: City) -> None:
    payload = event_push(Cause.EVENT_OPENED, event, event.alarms[0], city)
    assert payload["title"] == {"zh": "【重大】燃气泄漏：place 0", "en": "[Major] Gas leak: place 0"}
    assert payload["body"] == {
        "zh": "place 0，甲烷：读数27.34 %LEL，达到或超过限值25 %LEL（GB/T 50493-2019）。级别：重大。"
        "事件编号 GW-20260131-0001。请接单并立即到现场核实处理。",
        "en": "place 0. Methane: 27.34 %LEL, at or over the limit of 25 %LEL (GB/T 50493-2019). Severity: Major. "
        "Event GW-20260131-0001. Please accept it and go there now to check and handle it.",
    }
    assert payload["reason"] == {
        "zh": "读数27.34 %LEL，达到或超过限值25 %LEL（GB/T 50493-2019）",
        "en": "27.34 %LEL, at or over the limit of 25 %LEL (GB/T 50493-2019)",
    }
    assert payload["opened"] == "2026-01-31T04:00:00.000Z"
    assert (payload["category"], payload["severity"], payload["colour"]) == ("gas_leak", 2, "orange")
    assert (payload["value"], payload["unit"], payload["expected_low"], payload["expected_high"]) == (
        27.34,
        "%LEL",
        None,
        25.0,
    )
    assert (payload["lon"], payload["lat"], payload["grid"]) == (113.001, 28.001, "G1")
    assert payload["responsible"]["id"] == "worker-1"
    assert [person["id"] for person in payload["next"]] == ["deputy-1", "leader-1"]
    assert payload["department"] == {
        "id": "gas",
        "name": {"zh": "gas company", "en": "gas company"},
        "contact": "made-up 1",
    }
    json.dumps(payload, allow_nan=False)


def test_every_cause_category_severity_condition_and_quantity_has_its_words(event: GridEvent) -> None:
    sensors = [support.sensor(index, name, 113.001, 28.001) for index, name in enumerate(QUANTITIES)]
    city = support.city(sensors)
    alarms: list[Alarm] = [
        replace(event.alarms[0], sensor_id=one.id, condition=condition, value=value, expected_low=low)
        for one in sensors
        for condition, value, low in product(Condition, (1.5, math.nan), (0.0, -math.inf))
    ]
    payloads = [
        event_push(cause, replace(event, category=category, severity=severity), alarms[0], city)
        for cause, category, severity in product(
            [one for one in Cause if one.value.startswith("event")], Category, Severity
        )
    ]
    payloads += [event_push(Cause.EVENT_OPENED, event, alarm, city) for alarm in alarms]
    for payload in payloads:
        for language in ("zh", "en"):
            text = payload["title"][language] + payload["body"][language]
            assert "{" not in text
            assert "nan" not in text
            assert "LocalText" not in text


def test_the_two_tables_have_the_same_keys_and_placeholders() -> None:
    def shape(language: Language) -> dict[str, set[str]]:
        return {
            key: {part.split("}")[0] for part in text.split("{")[1:]}
            for key, text in table(language).items()
            if key.split(".")[0] in {"push", "trail", "refused"}
        }

    assert shape(Language.ZH) == shape(Language.EN)


def test_a_ticket_push_speaks_of_the_device(pipeline: Pipeline, ledger: Ledger, city: City) -> None:
    fault = verdict(0, condition=Condition.STUCK, nature=Nature.FAULT, severity=Severity.GENERAL)
    pipeline.handle([replace(fault, reason=FROZEN)], NOON_US)
    ticket = ledger.ticket(1)
    assert ticket is not None
    payload = ticket_push(ticket, ticket.alarms[0], city)
    assert payload["body"]["en"] == (
        "Faulty sensor s0-ch4 (Methane) at place 0: has shown 27.3 %LEL without the slightest change for 60 readings "
        "(60 min), so it is probably frozen. "
        "Ticket FT-20260131-0001. Please mend it by 2026-02-01 12:00."
    )
    assert payload["reason"]["zh"] == "连续60次读数（60分钟）都是27.3 %LEL，一点变化也没有，很可能卡死了"
    assert payload["due"] == "2026-02-01T04:00:00.000Z"
    json.dumps(payload, allow_nan=False)


def test_an_event_whose_sensor_has_left_the_city_can_still_be_told(event: GridEvent) -> None:
    payload = event_push(Cause.EVENT_ASSIGNED, event, event.alarms[0], support.city(sensors=[]))
    assert "sensor" not in payload
    assert payload["body"]["en"].startswith("place 0. Gas leak: 27.34 %LEL, at or over the limit")


def test_an_event_without_a_deciding_alarm_says_its_category_and_no_reason(event: GridEvent, city: City) -> None:
    payload = event_push(Cause.EVENT_ASSIGNED, event, None, city)
    assert payload["reason"] is None
    assert payload["body"]["en"].startswith("place 0. Gas leak. Severity: Major.")


def test_the_centre_learns_who_was_not_reached_and_what_it_was_about(event: GridEvent, city: City) -> None:
    told = event_push(Cause.EVENT_OPENED, event, event.alarms[0], city)
    payload = not_reached_push(told, "worker-1", "sms")
    assert payload["title"]["en"] == "[Not delivered] Worker-1: [Major] Gas leak: place 0"
    assert payload["body"]["zh"].startswith("没能通知到 Worker-1（sms）：place 0")
    assert not_reached_push(told, "deputy-1", "sms")["title"]["en"].startswith("[Not delivered] Deputy-1: ")
    assert not_reached_push(told, "somebody", "sms")["title"]["en"].startswith("[Not delivered] somebody: ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (27.0, "27"), (-0.5, "-0.5"), (123456.0, "123456"), (1e-7, "0.0000001"), (math.inf, "-")],
)
def test_numbers_are_shown_as_people_write_them(value: float, shown: str) -> None:
    assert number(value) == shown
