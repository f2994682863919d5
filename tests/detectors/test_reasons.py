"""Every reason that a verdict can carry has words in both languages, with the placeholders it fills."""

import pytest

from config.texts import table, text
from config.vocabulary import Language
from detectors.checks import trouble
from detectors.engine import Engine
from detectors.model import Reason
from detectors.verdict import CASES
from ingest.model import LivenessChange
from tests.detectors.build import START_US, city
from tests.detectors.test_engine import refusal


@pytest.fixture(scope="module")
def reasons() -> list[Reason]:
    """Reasons of a bad day."""
    town = city(["pm25"] * 4 + ["temperature"] * 3 + ["ch4", "o2", "tilt", "noise"])
    engine = Engine(town)
    verdicts = [verdict for batch in trouble(town, 60) for verdict in engine.process(batch, 0)]
    for now in (True, False):
        verdicts += engine.liveness([LivenessChange(0, now, START_US, START_US - now, 60.0)], START_US)
    verdicts += engine.refused([refusal(0)] * 3, START_US)
    return [verdict.reason for verdict in verdicts]


@pytest.mark.parametrize("language", Language)
def test_every_reason_of_a_bad_day_can_be_read(reasons: list[Reason], language: Language) -> None:
    for reason in reasons:
        words = text(reason.key, language, reason.params)
        assert "{" not in words
        assert "nan" not in words


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("case", CASES)
def test_every_case_of_the_judgement_has_words(case: str, language: Language) -> None:
    assert f"reason.unusual.{case}" in table(language)
