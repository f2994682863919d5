"""Rounds: every good reading once, each sensor's in order of event time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.rounds import rounds
from ingest.model import Quality, ReadingBatch

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.sampled_from(list(Quality))), max_size=40)


def plainly(rows: list[tuple[int, int, Quality]]) -> list[list[tuple[int, int, float]]]:
    """The same with lists: the n-th reading of each sensor is in round n."""
    by_sensor: dict[int, list[tuple[int, int, float]]] = {}
    for place, (sensor, at, quality) in enumerate(rows):
        if quality is Quality.GOOD:
            by_sensor.setdefault(sensor, []).append((sensor, at, float(place)))
    ordered = [sorted(readings, key=lambda reading: reading[1]) for _, readings in sorted(by_sensor.items())]
    most = max(map(len, ordered), default=0)
    return [[readings[turn] for readings in ordered if len(readings) > turn] for turn in range(most)]


@given(ROWS, st.sampled_from([6, 1000]))
def test_each_sensors_readings_come_by_event_time_and_of_one_time_by_receipt(
    rows: list[tuple[int, int, Quality]], sensors: int
) -> None:
    times = [at for _, at, _ in rows]
    batch = ReadingBatch.of([s for s, _, _ in rows], times, times, list(range(len(rows))), [q for *_, q in rows])
    found = [list(zip(*(column.tolist() for column in turn), strict=True)) for turn in rounds(batch, sensors)]
    assert found == plainly(rows)


def test_readings_that_already_are_a_round_are_not_moved() -> None:
    batch = ReadingBatch.of([2, 5, 9], [3, 2, 1], [0, 0, 0], [0.1, 0.2, 0.3], [0, 0, 0])
    ((sensor, event_us, value),) = rounds(batch, 100)
    assert sensor.tolist() == [2, 5, 9]
    assert np.shares_memory(event_us, batch.event_us)
    assert np.shares_memory(value, batch.value)


def test_a_pack_of_very_many_readings_of_one_sensor_is_as_many_rounds() -> None:
    count = 70_000  # more than sixteen bits hold
    times = np.arange(count)[::-1].tolist()
    batch = ReadingBatch.of([0] * count, times, times, [0.0] * count, [0] * count)
    assert [int(event_us[0]) for _, event_us, _ in rounds(batch, 1)] == list(range(count))
