"""docs/formats.md and the texts of this room cannot drift from the code."""

import re
from pathlib import Path

import pytest

from config.texts import table
from config.vocabulary import Language
from ingest.model import Messages, Quality, RefusalReason
from tests.ingest.builders import intake, message

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json (native|senml) ?(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ADMITTED = [(name, payload) for name, reason, payload in EXAMPLES if not reason]
REFUSED = [row for row in EXAMPLES if row[1]]
TOPICS = {"native": "gridwhistle/readings/x", "senml": "gridwhistle/senml/x"}


@pytest.mark.parametrize(("name", "payload"), ADMITTED)
def test_an_example_is_admitted_whole(name: str, payload: str) -> None:
    admission = intake().admit(Messages.of([message(payload.encode(), TOPICS[name])]), 1_700_000_000_000_000)
    assert admission.refused == ()
    assert len(admission.batch) == payload.count('"v"')


@pytest.mark.parametrize(("name", "reason", "payload"), REFUSED)
def test_an_example_is_refused_for_the_reason_it_shows(name: str, reason: str, payload: str) -> None:
    admission = intake().admit(Messages.of([message(payload.encode(), TOPICS[name])]), 1_700_000_000_000_000)
    assert [refusal.reason for refusal in admission.refused] == [reason]


def test_there_are_examples_of_every_format_and_every_reason_is_named() -> None:
    assert {name for name, _ in ADMITTED} == set(TOPICS)
    assert len(EXAMPLES) == PAGE.count("```json")
    assert not [reason.value for reason in RefusalReason if f"`{reason}`" not in PAGE]


@pytest.mark.parametrize("language", list(Language))
def test_every_reason_and_quality_has_a_name_for_people(language: Language) -> None:
    texts = table(language)
    wanted = [f"refusal.{reason}" for reason in RefusalReason] + [f"quality.{q.name.lower()}" for q in Quality]
    assert not [key for key in wanted if key not in texts]
