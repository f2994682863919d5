from pathlib import Path

from alerting.commands import RefusedReason
from alerting.correlate import REACH, Bond
from alerting.push import Cause
from config.texts import table
from config.vocabulary import Language

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
