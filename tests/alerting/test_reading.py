"""What a call of the pipeline reads: it does not grow with what is open elsewhere in the city."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.correlate import GROWTH, REACH, Bond, box_around, boxes
from alerting.ledger import Ledger
from alerting.pipeline import Pipeline
from alerting.rows import Row
from alerting.transaction import Transaction
from config.city import City
from config.vocabulary import Category
from tests.alerting import support
from tests.alerting.support import NOON_US, SECOND_US, cleared, verdict

APART = 0.02  # degrees of longitude between two sensors: further than any event of gas may grow
CALLED = (0, 50, 99)
LATER_US = NOON_US + 60 * SECOND_US


@pytest.fixture
def wide_city() -> City:
    return support.city([support.sensor(index, "ch4", 113.0 + APART * index, 28.001) for index in range(100)])


def read_by(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, indexes: Sequence[int]) -> tuple[int, int]:
    """(selects, rows) of a call that raises alarms of these sensors and one that clears them."""
    seen: list[int] = []
    ask = Transaction.rows

    def counted(self: Transaction, statement: Any, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        found = ask(self, statement, parameters)
        seen.append(len(found))
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "rows", counted)
        raised = [verdict(index, at_us=LATER_US) for index in indexes]
        assert pipeline.handle(raised, LATER_US).raised == len(indexes)
        ended = [cleared(one, LATER_US + SECOND_US) for one in raised]
        assert pipeline.handle(ended, LATER_US + SECOND_US).cleared == len(indexes)
    return len(seen), sum(seen)


def test_alarms_all_over_the_city_do_not_read_the_events_between_them(
    wide_city: City, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = [verdict(index) for index in range(100) if index not in CALLED]
    full = Pipeline(ledger, wide_city)
    assert full.handle(elsewhere, NOON_US).events_opened == 97
    (tmp_path / "empty").mkdir()
    other = support.new_ledger(tmp_path / "empty")
    empty = Pipeline(other, wide_city)
    try:
        assert read_by(full, monkeypatch, CALLED) == read_by(empty, monkeypatch, CALLED)
    finally:
        other.close()


def test_an_alarm_beside_an_open_event_reads_that_event_alone(
    wide_city: City, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = support.sensor(100, "ch4", 113.0 + APART * 50 + 0.001, 28.001)
    pipeline = Pipeline(ledger, support.city([*wide_city.sensors, beside]))
    assert pipeline.handle([verdict(index) for index in range(100)], NOON_US).events_opened == 100
    _, rows = read_by(pipeline, monkeypatch, [100])
    assert rows < 20  # the event, its alarms, its line of people; a hundred events are open
    event = ledger.event(51)
    assert event is not None
    assert [alarm.sensor_id for alarm in event.alarms] == ["s50-ch4", "s100-ch4"]


places = st.lists(st.tuples(st.floats(-179, 179), st.floats(-75, 75)), min_size=1, max_size=20)


@given(places, st.sampled_from(list(Category)))
def test_what_an_alarm_could_belong_to_lies_within_one_of_the_boxes(
    spots: list[tuple[float, float]], category: Category
) -> None:
    found, reach = boxes(category, spots), REACH[category]
    radius_m = reach.radius_m * (GROWTH if reach.bond is Bond.NEAR else 1)
    for west, south, east, north in (box_around(lon, lat, radius_m) for lon, lat in spots):
        assert any(box[0] <= west and box[1] <= south and box[2] >= east and box[3] >= north for box in found)


@given(places, st.sampled_from(list(Category)))
def test_no_box_is_wider_than_what_lies_around_near_sensors(
    spots: list[tuple[float, float]], category: Category
) -> None:
    assert len(boxes(category, spots)) <= len(spots)
    reach = REACH[category]
    high = 2 * reach.radius_m * (GROWTH if reach.bond is Bond.NEAR else 1) / 111_320
    assert all(north - south <= 2 * high * 1.001 for _, south, _, north in boxes(category, spots))
