import pytest

from benchmarks.support_table import Row, cells, highest, markdown, table


def row(**given: object) -> Row:
    values: dict[str, object] = {
        "name": "something",
        "offered": 1000.0,
        "sent": 30_000,
        "seconds": 30.0,
        "stored": 30_000,
        "behind_s": 0.4,
        "dropped": 0,
        "cpu_us": {"subject": 6.04},
        "memory_mb": {"subject": 1234.0},
    }
    return Row(**{**values, **given})  # type: ignore[arg-type]  # a builder: the values above have the right types


@pytest.mark.parametrize("capacity", [70.0, 4_999.0, 5_001.0, 60_000.0, 1_234_567.0])
def test_the_highest_rate_that_holds_is_found_from_either_side(capacity: float) -> None:
    asked: list[float] = []

    def holds(rate: float) -> bool:
        asked.append(rate)
        return rate <= capacity

    found = highest(holds, 5_000)
    assert found <= capacity < found * 1.09
    assert found in asked
    assert len(asked) < 20


def test_nothing_is_found_where_nothing_holds() -> None:
    assert highest(lambda _: False, 5_000) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"stored": 29_999}, False),
        ({"stored": 30_007}, True),
        ({"behind_s": 2.4}, True),
        ({"behind_s": 2.6}, False),
        ({"offered": 1030.0}, False),
        ({"offered": 0.0}, True),
    ],
)
def test_a_rate_holds_where_it_was_sent_as_asked_and_everything_is_soon_stored(
    given: dict[str, object], expected: bool
) -> None:
    assert row(**given).holds() is expected


def test_a_peer_may_lose_a_little() -> None:
    assert row(stored=29_980).holds(0.001)
    assert not row(stored=29_960).holds(0.001)


def test_what_is_lost_and_what_came_twice_is_said() -> None:
    assert (row(stored=29_990).lost, row(stored=29_990).twice) == (10, 0)
    assert (row(stored=30_010).lost, row(stored=30_010).twice) == (0, 10)


def test_a_row_says_what_was_not_measured() -> None:
    told = cells(row())
    assert told[:8] == ["something", "1,000", "1,000", "30,000", "0", "0", "0", "0.4"]
    assert told[8:12] == ["6.0", "–", "–", "–"]
    assert told[-5:-1] == ["–", "–", "–", "–"]
    assert cells(row(latencies_ms=[10.0, 20.0, 30.0], alarms=4))[-5:-1] == ["20", "30", "30", "3 of 4"]
    assert cells(row(offered=0.0))[1] == "most"


def test_the_table_is_markdown_with_columns_of_one_width() -> None:
    lines = markdown(("what", "a"), [["x", "1,000"], ["longer", "2"]]).splitlines()
    assert lines == [
        "| what   |     a |",
        "| ------ | ----: |",
        "| x      | 1,000 |",
        "| longer |     2 |",
    ]
    assert len(table([row(), row(name="another")]).splitlines()) == 6
