"""A batch cut into rounds: of each sensor one reading at most, each sensor's in order of event time."""

from collections.abc import Iterator

import numpy as np

from detectors.bank import holds, rows_of
from ingest.model import Float64s, Int64s, Quality, ReadingBatch

MUCH = 4
"""A batch of one part in so many of the city is put in order by writing rows down by sensor; else it is sorted."""

_ROW = 32  # bits of a key that hold the row; the sensor stands above them


def rounds(batch: ReadingBatch, sensors: int) -> Iterator[tuple[Int64s, Int64s, Float64s]]:
    """(sensor, event_us, value) of the good readings, ordered by sensor within each round. sensors: of the city.

    A sensor's readings go into one round after the other by event time; of one time, in order of receipt.
    """
    sensor, event_us, value = batch.sensor, batch.event_us, batch.value
    good = batch.quality == Quality.GOOD
    if holds(~good):
        sensor, event_us, value = sensor[good], event_us[good], value[good]
    if not len(sensor):
        return
    if not holds(sensor[1:] <= sensor[:-1]):  # one reading each, in order: as a gateway or a simulator sends
        yield sensor.astype(np.int64), event_us, value
        return
    if len(sensor) * MUCH >= sensors:
        row = np.full(sensors, -1, np.int32)
        row[sensor] = np.arange(len(sensor), dtype=np.int32)
        found = rows_of(row >= 0)
        if len(found) == len(sensor):  # nobody comes twice
            order = row[found]
            yield found, event_us[order], value[order]
            return
    key = sensor.astype(np.int64) << _ROW
    key |= np.arange(len(sensor))
    key.sort()  # far quicker than sorting the rows, and stable as the row is part of the key
    order, by_sensor = key & ((1 << _ROW) - 1), key >> _ROW
    event_us, value = event_us[order], value[order]
    again = by_sensor[1:] == by_sensor[:-1]
    if not holds(again):
        yield by_sensor, event_us, value
        return
    if (again & (event_us[1:] < event_us[:-1])).any():
        late = np.lexsort((event_us, by_sensor))
        event_us, value = event_us[late], value[late]
    starts = np.flatnonzero(np.r_[True, ~again])
    nth = np.arange(len(by_sensor)) - np.repeat(starts, np.diff(np.r_[starts, len(by_sensor)]))
    most = int(nth.max())
    by_round = np.argsort(nth.astype(np.uint16) if most < 65536 else nth, kind="stable")
    for rows in np.split(by_round, np.cumsum(np.bincount(nth))[:-1]):
        yield by_sensor[rows], event_us[rows], value[rows]
