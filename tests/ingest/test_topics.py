import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import PayloadFormat, Subscription
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


def subscriptions(*filters: str) -> list[Subscription]:
    return [Subscription(filter=one, format=PayloadFormat.NATIVE) for one in filters]


def test_the_first_filter_that_covers_a_topic_decides() -> None:
    senml, rest = subscriptions("a/senml/#", "a/#")
    table = TopicTable([senml, rest])
    assert [table[topic] for topic in ["a/senml/1", "a/b", "a/senml/1", "b"]] == [senml, rest, senml, None]


@pytest.mark.parametrize(
    ("filters", "topics", "which"),
    [
        (["a/#", "b/#"], ["b/1", "b/2/3", "b/"], 1),
        (["a/#", "b/#"], ["b/1", "a/1"], None),
        (["a/#", "b/#"], ["b/1", "b"], None),  # covered all the same, but not at a glance
        (["$share/x/a/#"], ["a/1"], 0),
        (["a/x/#", "a/#"], ["a/y/1"], None),
        (["+/x", "a/#"], ["a/x"], None),
        (["a/+/x/#", "b/#"], ["b/1"], 1),
        (["#"], ["$SYS/1", "a"], None),
    ],
)
def test_what_all_topics_belong_to_is_seen_at_a_glance(
    filters: list[str], topics: list[str], which: int | None
) -> None:
    all_ = subscriptions(*filters)
    assert TopicTable(all_).common(topics) is (None if which is None else all_[which])


@given(
    st.lists(st.sampled_from(["a/#", "a/b/#", "a/+/#", "+/b", "a/b/c", "b/#", "$share/g/a/c/#", "#"]), min_size=1),
    st.lists(st.sampled_from(["a", "a/b", "a/b/c", "a/c/d", "b/x", "b", "$SYS/a", "a/"]), min_size=1),
)
def test_a_glance_never_says_anything_else_than_the_table(filters: list[str], topics: list[str]) -> None:
    table = TopicTable(subscriptions(*filters))
    common = table.common(topics)
    assert common is None or {id(table[topic]) for topic in topics} == {id(common)}
