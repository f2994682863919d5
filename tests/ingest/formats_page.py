"""The examples of docs/formats.md, as messages.

An example is a block whose first line names its format, then the topic (with a ``/``), the reason for which it is
refused (or ``others``: it is no reading) and how many readings it holds, each where it matters. ``hex`` blocks hold
bytes. Blocks of ``csv fields`` are lines of fields.csv for all examples.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from config.city import City
from config.field_files import read_fields
from config.problems import ProblemLog
from config.sensor_files import SensorRows
from config.settings import PayloadFormat, Subscription
from tests.ingest.builders import city, sensor, small_city

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


def page_city(folder: Path) -> City:
    """The small city, what the page adds to it, and the page's fields.csv, which is written to the folder."""
    base = small_city()
    more = [sensor(len(base.sensors) + row, id_, name) for row, (id_, name) in enumerate(MORE_SENSORS.items())]
    whole = city([*base.sensors, *more])
    (folder / "fields.csv").write_text(FIELDS, encoding="utf-8")
    log = ProblemLog()
    rules = read_fields(folder, SensorRows(whole.columns, whole.columns.ids), log.of("fields.csv"))
    assert not log.broken, [problem.message.en for problem in log.all()]
    return replace(whole, fields=rules)


def subscription_for(one: Example) -> Subscription:
    """A subscription to the topic of an example."""
    zone = None if one.topic.startswith("zoneless/") or one.format is not PayloadFormat.TASMOTA else "Asia/Shanghai"
    return Subscription(filter="#", format=one.format, timezone=zone)


def name_of(one: Example) -> str:
    """What tests call it."""
    return f"{one.format}-{one.reason or one.readings}"
