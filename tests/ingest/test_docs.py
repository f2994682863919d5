"""docs/formats.md and the texts of this room cannot drift from the code.

An example is a block whose first line names its format, then the topic (with a ``/``), the reason for which it is
refused (or ``others``: it is no reading) and how many readings it holds, each where it matters. ``hex`` blocks hold
bytes. Blocks of ``csv fields`` are lines of fields.csv for all examples.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from config.field_files import read_fields
from config.problems import ProblemLog
from config.sensor_files import SensorRows
from config.settings import IngestSettings, PayloadFormat, Subscription
from config.texts import table
from config.vocabulary import Language
from ingest.formats import FORMATS
from ingest.intake import Intake
from ingest.model import Messages, Quality, RefusalReason
from tests.ingest.builders import NOW_US, city, message, sensor, small_city

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
LANGUAGES = ("json", "hex", "text")
BLOCKS = re.findall(r"^```(\w+) (\w+) ?(.*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
FIELDS = "".join(content for language, name, _, content in BLOCKS if (language, name) == ("csv", "fields"))
MORE_SENSORS = {"door-1": "door_open", "pressure-1": "pressure"}
MORE_SENSORS |= {"people-1": "people", "dust-1": "pm25", "picture-1": "image_change"}
"""Sensors of the examples that the small city does not have, and what they measure."""


@dataclass(frozen=True)
class Example:
    """One message of the page. reason: why it is refused, "others", or "". readings: how many are admitted."""

    format: PayloadFormat
    payload: bytes
    topic: str
    reason: str
    readings: int


def example(language: str, name: str, words: str, content: str) -> Example:
    """What the first line of a block and the block say."""
    payload = bytes.fromhex(content) if language == "hex" else content.strip("\n").encode()
    said = words.split()
    topic = next((word for word in said if "/" in word), f"gridwhistle/{name}/x")
    count = next((int(word) for word in said if word.isdigit()), content.count('"v"'))
    reason = next((word for word in said if "/" not in word and not word.isdigit()), "")
    return Example(PayloadFormat(name), payload, topic, reason, 0 if reason else count)


EXAMPLES = [example(*block) for block in BLOCKS if block[0] in LANGUAGES]


def intake_for(one: Example, tmp_path: Path) -> Intake:
    """An intake of the small city and what the page adds to it, that takes the topics of an example."""
    base = small_city()
    more = [sensor(len(base.sensors) + row, id_, name) for row, (id_, name) in enumerate(MORE_SENSORS.items())]
    whole = city([*base.sensors, *more])
    (tmp_path / "fields.csv").write_text(FIELDS, encoding="utf-8")
    log = ProblemLog()
    rules = read_fields(tmp_path, SensorRows(whole.columns, whole.columns.ids), log.of("fields.csv"))
    assert not log.broken, [problem.message.en for problem in log.all()]
    zone = None if one.topic.startswith("zoneless/") or one.format is not PayloadFormat.TASMOTA else "Asia/Shanghai"
    subscriptions = [Subscription(filter="#", format=one.format, timezone=zone)]
    return Intake(replace(whole, fields=rules), IngestSettings(), subscriptions)


def name_of(one: Example) -> str:
    return f"{one.format}-{one.reason or one.readings}"


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
