import math
from string import Formatter

import pytest
from structlog.testing import capture_logs

from alerting.reasons import reason_text
from config.quantities import QUANTITIES
from config.texts import table
from config.vocabulary import Language
from detectors.model import Reason

PRESSED = Reason("reason.high.raised", {"value": 1, "threshold": 1, "unit": "", "source": "one press is a call"})


def placeholders(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


@pytest.mark.parametrize(
    ("value", "shown"), [(0.00001234, "0.00001234"), (27.280000001, "27.28"), (1013, "1013"), (math.nan, "-")]
)
def test_numbers_in_a_reason_are_shown_as_people_write_them(value: float, shown: str) -> None:
    said = reason_text(Reason("reason.unusual.cleared", {"value": value, "unit": " m"}), "tilt")
    assert said.zh == f"读数{shown} m，已恢复平时水平"
    assert said.en == f"{shown} m is usual again"


def test_a_button_is_pressed_and_not_over_its_limit() -> None:
    assert reason_text(PRESSED, "help_button").zh == "有人按下了求助按钮"
    assert reason_text(PRESSED, "help_button").en == "somebody has pressed the button for help"


def test_a_quantity_without_words_of_its_own_has_those_of_all() -> None:
    assert reason_text(PRESSED, "people") == reason_text(PRESSED)
    assert "at or over the limit of 1" in reason_text(PRESSED, "people").en


@pytest.mark.parametrize("language", Language)
def test_words_of_its_own_belong_to_a_quantity_and_fill_in_no_more_than_the_common_ones(language: Language) -> None:
    texts = table(language)
    own = {key: text for key, text in texts.items() if key.startswith("reason_of.")}
    assert own
    for key, text in own.items():
        _, quantity, rest = key.split(".", 2)
        assert quantity in QUANTITIES
        assert placeholders(text) <= placeholders(texts[f"reason.{rest}"])


@pytest.mark.parametrize("reason", [Reason("reason.never.written"), Reason("reason.high.raised", {"value": 1})])
def test_a_reason_without_fitting_words_shows_as_its_key_and_is_logged(reason: Reason) -> None:
    with capture_logs() as logs:
        said = reason_text(reason, "ch4")
    assert (said.zh, said.en) == (reason.key, reason.key)
    assert [(line["log_level"], line["key"], line["language"]) for line in logs] == [
        ("error", reason.key, "zh"),
        ("error", reason.key, "en"),
    ]
