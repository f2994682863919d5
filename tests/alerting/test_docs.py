import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerting import tables
from alerting.commands import RefusedReason
from alerting.correlate import REACH, Bond
from alerting.ledger import Ledger
from alerting.pipeline import Pipeline
from alerting.push import Cause
from config.city_files import EXAMPLE, load_city
from config.texts import table
from config.vocabulary import Language
from detectors.engine import Engine
from detectors.model import Condition, Nature, Reason
from ingest.model import Quality, ReadingBatch
from tests.alerting.support import NOON_US

DOC = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
ALSO = {Bond.NEAR: "", Bond.PLACE: "place or device", Bond.DEVICE: "device"}


def test_every_reach_stands_in_the_document_as_in_the_code() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOC.splitlines() if line.count("|") == 5]
    names = table(Language.EN)
    for category, reach in REACH.items():
        name = names[f"category.{category.value}"].lower()
        found = [row for row in rows if len(row) == 4 and _named(name, row[0])]
        assert len(found) == 1, name
        minutes = reach.window_us // 60_000_000
        window = f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"
        assert found[0][1:3] == [f"{reach.radius_m:,.0f} m", window], name
        assert found[0][3].split(":")[0] == ALSO[reach.bond], name


def _named(name: str, cell: str) -> bool:
    return any(part.strip() and part.strip() in name for part in cell.split(","))


def test_every_cause_and_every_refusal_is_documented() -> None:
    assert [one.value for one in (*Cause, *RefusedReason) if f"`{one.value}`" not in DOC] == []


@pytest.fixture
def pushed(ledger: Ledger) -> list[dict[str, Any]]:
    """What goes out in the shipped district for gas in a kitchen and for a sensor that goes silent."""
    city = load_city(EXAMPLE)
    batch = ReadingBatch.of([city.sensor_index["gas-001-ch4"]], [NOON_US], [NOON_US], [27.34], [Quality.GOOD])
    (gas,) = Engine(city).process(batch, NOON_US)
    silent = Reason("reason.silent.raised", {"minutes": 1.0, "allowed": 0.5})
    fault = replace(gas, sensor=1, condition=Condition.SILENT, nature=Nature.FAULT, reason=silent)
    Pipeline(ledger, city).handle([gas, fault], NOON_US)
    with ledger.read() as connection:
        return list(connection.execute(select(tables.notifications.c.payload)).scalars())


def test_the_push_in_the_document_is_what_is_sent(pushed: list[dict[str, Any]]) -> None:
    (example,) = re.findall(r"```json\n(.+?)```", DOC, flags=re.DOTALL)
    (sent,) = [payload for payload in pushed if payload["cause"] == "event_opened"]
    shown = json.loads(example)
    assert re.fullmatch("[0-9a-f]{32}", shown["id"])
    assert shown | {"id": sent["id"]} == sent


def test_every_field_of_a_push_is_in_the_table(pushed: list[dict[str, Any]]) -> None:
    described = {name for line in DOC.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)}
    assert {payload["cause"] for payload in pushed} == {"event_opened", "ticket_opened"}
    assert [name for payload in pushed for name in payload if name not in described] == []
