"""Readings as they travel: native JSON, one object or a pack, and the topic of each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.clock import isoformat
from config.vocabulary import GridLevel

READINGS_TOPIC = "gridwhistle/readings"
CLOCK_TOPIC = "gridwhistle/clock"


@dataclass(frozen=True, slots=True)
class Instant:
    """Readings that are sent in one short stretch of time, as columns in order of sending.

    time_us: the end of the stretch; nothing is sent later. sensors: rows in the city's sensors. times_us: event
    times as the devices tell them, whole milliseconds. values: in each quantity's kept unit. retain: which the broker
    is to keep for whoever comes later, None for none.
    """

    time_us: int
    sensors: NDArray[np.int64]
    times_us: NDArray[np.int64]
    values: NDArray[np.float64]
    retain: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message and how many readings it carries (0 for the clock)."""

    topic: str
    payload: bytes
    readings: int


def clock_message(time_us: int) -> Message:
    """The simulated or replayed wall time."""
    return Message(CLOCK_TOPIC, json.dumps({"time": isoformat(time_us)}).encode(), 0)


def _gateway(city: City, grid: str) -> str:
    """The edge node of a grid: that of its street, of the topmost node where the tree has no street."""
    code = grid
    for node in city.upwards(grid):
        code = node.code
        if node.level is GridLevel.STREET:
            break
    return code


class Payloads:
    """Turns instants into messages.

    pack 1: one object a message, on the topic of its box. pack n: the readings of one instant and one edge node
    (the street's) as lists of at most n, on the topic of the node.
    """

    def __init__(self, city: City, pack: int = 1) -> None:
        """Raises ValueError for a pack below 1."""
        if pack < 1:
            raise ValueError(f"pack is {pack}, expected 1 or more")
        self._pack = pack
        self._heads = []
        for sensor in city.sensors:
            # a device that usually speaks another unit must name the one in which the value stands
            unit = "" if sensor.unit == sensor.measures.unit else f',"u":{json.dumps(sensor.measures.unit)}'
            self._heads.append(f'{{"id":{json.dumps(sensor.id)}{unit},"t":')
        if pack == 1:
            names = [sensor.device for sensor in city.sensors]
        else:
            nodes = {code: _gateway(city, code) for code in {sensor.grid for sensor in city.sensors}}
            names = [nodes[sensor.grid] for sensor in city.sensors]
        distinct = sorted(set(names))
        self._topics = [f"{READINGS_TOPIC}/{quote(name, safe=' :@')}" for name in distinct]
        rows = {name: row for row, name in enumerate(distinct)}
        self._topic_of = np.array([rows[name] for name in names], dtype=np.int64)

    def messages(self, instant: Instant) -> Iterator[Message]:
        """The messages of an instant; readings of one topic stay in order of time."""
        topics = self._topic_of[instant.sensors]
        if self._pack == 1:
            for topic, text in zip(topics.tolist(), self._texts(instant), strict=True):
                yield Message(self._topics[topic], text.encode(), 1)
            return
        order = np.argsort(topics, kind="stable")
        sorted_topics = topics[order]
        texts = self._texts(
            Instant(instant.time_us, instant.sensors[order], instant.times_us[order], instant.values[order])
        )
        cuts = np.flatnonzero(np.diff(sorted_topics)) + 1
        bounds = [0, *cuts.tolist(), len(texts)]
        for begin, end in pairwise(bounds):
            for first in range(begin, end, self._pack):
                part = texts[first : min(first + self._pack, end)]
                topic = self._topics[int(sorted_topics[first])]
                yield Message(topic, ("[" + ",".join(part) + "]").encode(), len(part))

    def _texts(self, instant: Instant) -> list[str]:
        heads = self._heads
        seconds, millis = np.divmod(instant.times_us // 1000, 1000)
        columns = zip(instant.sensors.tolist(), seconds.tolist(), millis.tolist(), instant.values.tolist(), strict=True)
        return [f'{heads[sensor]}{second}.{milli:03d},"v":{value!r}}}' for sensor, second, milli, value in columns]
