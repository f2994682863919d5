"""docs/formats.md and the texts of this room cannot drift from the code."""

from pathlib import Path

import pytest

from config.settings import IngestSettings, PayloadFormat
from config.texts import table
from config.vocabulary import Language
from ingest.formats import FORMATS
from ingest.intake import Intake
from ingest.model import Messages, Quality, RefusalReason
from tests.ingest.builders import NOW_US, message
from tests.ingest.formats_page import EXAMPLES, LANGUAGES, PAGE, Example, name_of, page_city, subscription_for


def intake_for(one: Example, folder: Path) -> Intake:
    """An intake of the page's city that takes the topic of an example."""
    return Intake(page_city(folder), IngestSettings(), [subscription_for(one)])


@pytest.mark.parametrize("one", [one for one in EXAMPLES if not one.reason], ids=name_of)
def test_an_example_is_admitted_whole(one: Example, tmp_path: Path) -> None:
    admission = intake_for(one, tmp_path).admit(Messages.of([message(one.payload, one.topic)]), NOW_US)
    assert admission.refused == ()
    assert len(admission.batch) == one.readings > 0


@pytest.mark.parametrize("one", [one for one in EXAMPLES if one.reason], ids=name_of)
def test_an_example_is_refused_for_the_reason_it_shows(one: Example, tmp_path: Path) -> None:
    into = intake_for(one, tmp_path)
    admission = into.admit(Messages.of([message(one.payload, one.topic)]), NOW_US)
    if one.reason == "others":
        assert (len(admission.batch), admission.refused) == (0, ())
        assert into.counters["messages_without_readings"] == 1
    else:
        assert [refusal.reason for refusal in admission.refused] == [one.reason]


def test_there_are_examples_of_every_format_and_every_reason_is_named() -> None:
    assert {one.format for one in EXAMPLES if not one.reason} == set(FORMATS)
    assert len(EXAMPLES) == sum(PAGE.count(f"```{language}") for language in LANGUAGES)
    assert not [reason.value for reason in RefusalReason if f"`{reason}`" not in PAGE]
    assert not [found.value for found in FORMATS if f"`{found}`" not in PAGE and found is not PayloadFormat.NATIVE]


@pytest.mark.parametrize("language", list(Language))
def test_every_reason_and_quality_has_a_name_for_people(language: Language) -> None:
    texts = table(language)
    wanted = [f"refusal.{reason}" for reason in RefusalReason] + [f"quality.{q.name.lower()}" for q in Quality]
    assert not [key for key in wanted if key not in texts]
