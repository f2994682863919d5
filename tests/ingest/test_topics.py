import pytest

from config.settings import PayloadFormat
from ingest.topics import TopicTable, matches


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+", "a/", True),
        ("+/+", "/a", True),
        ("+", "/a", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("#", "$SYS/uptime", False),
        ("+/uptime", "$SYS/uptime", False),
        ("$SYS/#", "$SYS/uptime", True),
        ("a/+/c/#", "a/b/c/d/e", True),
        ("a/+/c/#", "a/b/d/d/e", False),
        ("$share/group/a/#", "a/b", True),
        ("A", "a", False),
    ],
)
def test_filters_cover_topics_as_the_standard_says(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


def test_the_first_filter_that_covers_a_topic_decides() -> None:
    table = TopicTable([("a/senml/#", PayloadFormat.SENML), ("a/#", PayloadFormat.NATIVE)])
    asked = ["a/senml/1", "a/b", "a/senml/1", "b"]
    assert [table[topic] for topic in asked] == [
        PayloadFormat.SENML,
        PayloadFormat.NATIVE,
        PayloadFormat.SENML,
        None,
    ]
