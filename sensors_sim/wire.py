"""Readings as they travel: native JSON, one object or a pack, and the topic of each."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.clock import isoformat
from config.quantities import QUANTITIES
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
    """One MQTT message and how many readings it carries (0 for the clock). retain: the broker is to keep it.

    device: the box that sends it, None where it comes from no box alone (an edge node's pack, the clock).
    """

    topic: str
    payload: bytes
    readings: int
    retain: bool = False
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Timed:
    """A message and the simulated or recorded time at which it is sent, microseconds."""

    time_us: int
    message: Message


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
    (the street's) as lists of at most n, on the topic of the node. boxes: packs are those of one box, on its topic, as
    devices make them that have a connection of their own.
    """

    def __init__(self, city: City, pack: int = 1, *, boxes: bool = False) -> None:
        """Raises ValueError for a pack below 1."""
        if pack < 1:
            raise ValueError(f"pack is {pack}, expected 1 or more")
        self._pack = pack
        columns = city.columns
        self._heads = _heads(city)
        if pack == 1 or boxes:
            names, code = list(columns.device.names), columns.device.code
            self._devices: list[str | None] = [*names]
        else:
            nodes = [_gateway(city, grid) for grid in columns.grid.names]
            names = sorted(set(nodes))
            rows = {name: row for row, name in enumerate(names)}
            code = np.array([rows[node] for node in nodes], np.int32)[columns.grid.code]
            self._devices = [None] * len(names)
        self._topics = [f"{READINGS_TOPIC}/{quote(name, safe=' :@')}" for name in names]
        # sixteen bits are sorted in one pass
        self._topic_of = code.astype(np.uint16 if 2 * len(names) < 1 << 16 else np.int32)

    def messages(self, instant: Instant) -> Iterator[Message]:
        """The messages of an instant; readings of one topic stay in their order."""
        if not len(instant.sensors):
            return
        topics = self._topic_of[instant.sensors]
        kept = np.zeros(len(topics), np.bool_) if instant.retain is None else instant.retain
        if self._pack == 1:
            texts = _texts(self._heads, instant.sensors, instant.times_us, instant.values)
            for first, topic, retain in zip(range(0, len(texts), _PARTS), topics.tolist(), kept.tolist(), strict=True):
                payload = b"".join(texts[first : first + _PARTS])
                yield Message(self._topics[topic], payload, 1, retain, self._devices[topic])
            return
        group = topics * 2 + kept
        order = np.argsort(group, kind="stable")
        group = group[order]
        cuts = np.flatnonzero(group[1:] != group[:-1]) + 1
        texts = _texts(self._heads, instant.sensors[order], instant.times_us[order], instant.values[order])
        for begin, end in pairwise([0, *cuts.tolist(), len(group)]):
            topic, retain = divmod(int(group[begin]), 2)
            for first in range(begin, end, self._pack):
                last = min(first + self._pack, end)
                part = texts[first * _PARTS : last * _PARTS]
                part[0] = b"[" + part[0]
                part[_PARTS - 1 :: _PARTS] = [b"},"] * (last - first)
                part[-1] = b"}]"
                yield Message(self._topics[topic], b"".join(part), last - first, bool(retain), self._devices[topic])


def timed_messages(
    city: City, instants: Iterable[Instant], *, pack: int = 1, clock_topic: bool = True, boxes: bool = False
) -> Iterator[Timed]:
    """What instants become, in order: the clock before the readings of each where it is wanted; see Payloads."""
    payloads = Payloads(city, pack, boxes=boxes)
    for instant in instants:
        if clock_topic:
            yield Timed(instant.time_us, clock_message(instant.time_us))
        for message in payloads.messages(instant):
            yield Timed(instant.time_us, message)


_PARTS = 4
"""Pieces of a reading's text: head, time, value, end."""


def _heads(city: City) -> list[bytes]:
    """How each sensor's readings begin, up to the time."""
    columns, encode = city.columns, msgspec.json.encode
    # a device that usually speaks another unit must name the one in which the value stands
    kept = [QUANTITIES[name].unit for name in columns.quantity.names]
    units = {
        (usual, quantity): b"" if name == kept[quantity] else b',"u":' + encode(kept[quantity])
        for usual, name in enumerate(columns.unit.names)
        for quantity in range(len(kept))
    }
    pairs = zip(columns.unit.code.tolist(), columns.quantity.code.tolist(), strict=True)
    return [b'{"id":%b%b,"t":' % (encode(name), units[pair]) for name, pair in zip(columns.ids, pairs, strict=True)]


def _texts(
    heads: list[bytes], sensors: NDArray[np.int64], times_us: NDArray[np.int64], values: NDArray[np.float64]
) -> list[bytes]:
    """The readings as JSON objects, in ``_PARTS`` pieces each. Values are the shortest text that means the same."""
    moments, which = np.unique(times_us // 1000, return_inverse=True)
    times = [b'%d.%03d,"v":' % divmod(milli, 1000) for milli in moments.tolist()]
    texts = [b"}"] * (_PARTS * len(sensors))
    texts[0::_PARTS] = [heads[sensor] for sensor in sensors.tolist()]
    texts[1::_PARTS] = [times[moment] for moment in which.tolist()]
    texts[2::_PARTS] = msgspec.json.encode(values.tolist())[1:-1].split(b",")
    return texts
