"""Sparkplug B, after the Eclipse Sparkplug specification 3.0.0: births name what data messages then call by a number.

Topics ``spBv1.0/{group}/{type}/{node}[/{device}]``. The device of a reading is ``{group}/{node}/{device}``, or
``{group}/{node}`` for the node's own metrics; its field is the metric's name, which may hold slashes. Levels that a
bridge between brokers put before the namespace stand before the group, and before the topic of a request.

What must be known of a node comes with its births, and they are not retained: after a start of ours, after a gap in
the node's count (``seq``), an alias that nobody named or data before a birth, the node is asked for its births again
(NCMD ``Node Control/Rebirth``), at most once in ``ASK_AGAIN_US``, until they come; a message of another order is not
waited for. What cannot be named is refused. After a gap aliases that are known hold on: a lost data message is the
ordinary cause, only births bind aliases, and a value that does not fit the datatype of its birth is refused.

Decided here: deaths make what they speak of unknown and invent no readings. A null value holds nothing (passed over).
``is_historical`` is Quality.LATE. The property ``Quality``: 192 is good, 0 (bad), 500 (stale) and what the
specification does not name are DOUBTFUL. Transient metrics ("not to be stored"), ``bdSeq``, ``Node Control/…`` and
``Device Control/…``, texts, times, data sets, templates and arrays are passed over. Compressed payloads (a vendor's
addition) are refused by name.
"""

from collections import OrderedDict
from collections.abc import Sequence
from math import isfinite
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from ingest.formats.columns import EXPECTED_NUMBER, LATEST_S, Decoded, Request, shown, shown_payload
from ingest.formats.gathered import MOST_FIELDS, Gathered
from ingest.formats.protobuf import WireError
from ingest.formats.sparkplug_payload import (
    DATATYPES,
    Metric,
    Payload,
    number_of,
    read_metric,
    read_payload,
    rebirth,
)
from ingest.model import Int64s, Quality, RefusalReason

NAMESPACE: Final = "spBv1.0"
EXPECTED: Final = "a Sparkplug B payload (protobuf)"
EXPECTED_TOPIC: Final = "spBv1.0/{group}/{N|D}{BIRTH|DATA|DEATH|CMD}/{node}[/{device}]"
EXPECTED_BIRTH: Final = "a birth that names it (asked for)"
EXPECTED_TIME: Final = "a timestamp in Unix milliseconds"

ASK_AGAIN_US: Final = 60_000_000
"""A node is asked for its births at most once in this time."""

MOST_NODES: Final = 20_000
MOST_METRICS: Final = 1_000_000
"""What is remembered at most, over all nodes; beyond that the node is forgotten that was silent for longest."""

EARLIER: Final = 16
"""A count that is behind by at most this many is a message that was overtaken, not a new gap."""

GOOD: Final = 192
_LATEST_MS: Final = int(LATEST_S * 1000)
_CONTROL: Final = ("Node Control/", "Device Control/")


Key = tuple[str, str, str]
"""Whose node it is: what stands before the namespace, mostly nothing; the group; the node."""


class Named(NamedTuple):
    """What a birth says of a metric. device: as in the topic, "" for the node itself."""

    device: str
    field: str
    datatype: int | None


class Node:
    """What is known of one node since its birth."""

    __slots__ = ("aliases", "asked_us", "bdseq", "devices", "expected", "named", "owes")

    def __init__(self) -> None:
        self.owes = True  # its births
        self.expected = 0  # the next count
        self.bdseq: int | None = None
        self.aliases: dict[int, Named] = {}
        self.devices: dict[str, dict[str, Named]] = {}
        self.named = 0  # metrics and devices
        self.asked_us: int | None = None

    def forget(self, device: str | None = None) -> None:
        """Know nothing more of one device, or of the node and all its devices."""
        if device is None:
            self.owes, self.bdseq, self.named = True, None, 0
            self.aliases, self.devices = {}, {}
        elif device in self.devices:
            self.named -= len(self.devices.pop(device)) + 1
            self.aliases = {alias: named for alias, named in self.aliases.items() if named.device != device}

    def learn(self, device: str, named: dict[str, Named]) -> None:
        """Know what a birth says of a device."""
        self.devices[device] = named
        self.named += len(named) + 1


class _Place(NamedTuple):
    """Whom a message is about."""

    kind: str
    key: Key
    device: str

    @property
    def named(self) -> str:
        """The device as readings name it."""
        return "/".join(level for level in (*self.key, self.device) if level)


class Decoder:
    """Decodes Sparkplug B payloads, and remembers of every node what its births said."""

    def __init__(self) -> None:
        self._nodes: OrderedDict[Key, Node] = OrderedDict()
        self._metrics = 0
        self._asking: dict[Key, int] = {}

    def __call__(
        self, payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
    ) -> Decoded:
        """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
        del zone  # the times of this format are numbers
        gathered = Gathered()
        for number, (payload, topic, at_us) in enumerate(zip(payloads, topics, received_us.tolist(), strict=True)):
            gathered.begin(number)
            place = _place(topic)
            if isinstance(place, _Place):
                self._read(gathered, place, payload, at_us)
            elif place:
                gathered.refuse(RefusalReason.UNREADABLE, place, EXPECTED_TOPIC)
        self._request(gathered)
        return gathered.columns()

    def _read(self, gathered: Gathered, place: _Place, raw: bytes, at_us: int) -> None:
        try:
            payload = read_payload(raw)
        except WireError as error:
            gathered.refuse(
                RefusalReason.UNREADABLE, f"{error.found}: {shown_payload(raw)}", f"{EXPECTED}, {error.expected}"
            )
            return
        if len(payload.metrics) > MOST_FIELDS:
            found = f"{len(payload.metrics)} metrics"
            gathered.refuse(RefusalReason.UNREADABLE, found, f"at most {MOST_FIELDS} metrics in a message")
            return
        if payload.body and not payload.metrics:
            gathered.refuse(RefusalReason.UNREADABLE, "a body (compressed?)", "metrics")
            return
        metrics = self._parsed(gathered, place, payload)
        node = self._node(place.key)
        if place.kind == "NDEATH":
            self._die(node, metrics)
            return
        self._count(node, place, payload, at_us)
        if place.kind == "DDEATH":
            self._change(node, place.device)
        elif place.kind.endswith("BIRTH"):
            self._bear(node, place, metrics)
            _take(gathered, node, place, payload, metrics)
        elif not _take(gathered, node, place, payload, metrics):
            node.owes = True
            self._asking.setdefault(place.key, at_us)

    def _parsed(self, gathered: Gathered, place: _Place, payload: Payload) -> list[Metric]:
        metrics = []
        for raw in payload.metrics:
            try:
                metrics.append(read_metric(raw))
            except WireError as error:
                gathered.refuse(RefusalReason.UNREADABLE, error.found, f"a metric, {error.expected}", place.named)
        return metrics

    def _node(self, key: Key) -> Node:
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node()
            if len(self._nodes) > MOST_NODES:
                self._metrics -= self._nodes.popitem(last=False)[1].named
        else:
            self._nodes.move_to_end(key)
        return node

    def _change(self, node: Node, device: str | None = None) -> None:
        """Forget a device, or a node and all its devices."""
        self._metrics -= node.named
        node.forget(device)
        self._metrics += node.named

    def _die(self, node: Node, metrics: Sequence[Metric]) -> None:
        """Forget a node that died, unless the death is that of a session before its last birth."""
        bdseq = next((_bdseq(metric) for metric in metrics if metric.name == "bdSeq"), None)
        if node.bdseq is None or bdseq is None or bdseq == node.bdseq:
            self._change(node)

    def _count(self, node: Node, place: _Place, payload: Payload, at_us: int) -> None:
        """Follow the node's own count of its messages; ask for its births where one is missing."""
        seq = (payload.seq or 0) % 256  # encoders that leave out what is nought leave out this one too
        behind = (node.expected - seq) % 256
        if place.kind == "NBIRTH":
            self._change(node)
            node.owes, behind = False, 0
            self._asking.pop(place.key, None)
        elif behind > 1:  # behind by one is the last message once more
            node.owes = True
        if behind == 0 or behind > EARLIER:
            node.expected = (seq + 1) % 256
        if node.owes:
            self._asking.setdefault(place.key, at_us)

    def _bear(self, node: Node, place: _Place, metrics: Sequence[Metric]) -> None:
        """Learn what a birth says of its metrics."""
        self._change(node, place.device)
        named: dict[str, Named] = {}
        for metric in metrics:
            if metric.name is None or metric.name in named:
                continue
            if metric.name == "bdSeq" and place.kind == "NBIRTH":
                node.bdseq = _bdseq(metric)
                continue
            one = named[metric.name] = Named(place.device, metric.name, metric.datatype)
            if metric.alias is not None:
                node.aliases[metric.alias] = one
        self._metrics -= node.named
        node.learn(place.device, named)
        self._metrics += node.named
        while self._metrics > MOST_METRICS and len(self._nodes) > 1:
            self._metrics -= self._nodes.popitem(last=False)[1].named
        if self._metrics > MOST_METRICS:
            self._change(node)

    def _request(self, gathered: Gathered) -> None:
        """Ask those nodes for their births that have not just been asked."""
        for key, at_us in self._asking.items():
            node = self._nodes.get(key)
            if node is None or (node.asked_us is not None and 0 <= at_us - node.asked_us < ASK_AGAIN_US):
                continue
            node.asked_us = at_us
            before, group, name = key
            topic = f"{NAMESPACE}/{group}/NCMD/{name}"
            gathered.request(Request(f"{before}/{topic}" if before else topic, rebirth(at_us // 1000)))
        self._asking = {}


def _place(topic: str) -> _Place | str:
    """Whom a topic is about; "" for one that carries no readings, else what is wrong with it."""
    levels = topic.split("/")
    start = levels.index(NAMESPACE) if NAMESPACE in levels else len(levels)
    before, own = levels[:start], levels[start + 1 :]
    if (own or levels)[0] == "STATE":
        return ""  # a host application's own state, since and before edition 3
    if not all(levels) or len(own) not in (3, 4):
        return f"topic {shown(topic)}"
    group, kind, node, *device = own
    if kind in ("NCMD", "DCMD"):
        return ""  # what a host application wants, ourselves included
    if kind not in ("NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH") or bool(device) != (kind[0] == "D"):
        return f"topic {shown(topic)}"
    return _Place(kind, ("/".join(before), group, node), device[0] if device else "")


def _bdseq(metric: Metric) -> int | None:
    return metric.raw if isinstance(metric.raw, int) and metric.kind and not metric.null else None


def _take(gathered: Gathered, node: Node, place: _Place, payload: Payload, metrics: Sequence[Metric]) -> bool:
    """Take the readings of a message; whether all of it agrees with what is known of the node."""
    known, device = node.devices.get(place.device, {}), place.named
    agrees = True
    for metric in metrics:
        if metric.name:
            datatype = metric.datatype or (known[metric.name].datatype if metric.name in known else None)
            named = Named(place.device, metric.name, datatype)
        elif metric.alias is None:
            gathered.refuse(RefusalReason.MISSING_FIELD, "neither name nor alias", "a metric's name or alias", device)
            continue
        else:
            found = node.aliases.get(metric.alias)
            if found is None or found.device != place.device:
                gathered.refuse(RefusalReason.MISSING_FIELD, f"alias {metric.alias}", EXPECTED_BIRTH, device)
                agrees = False
                continue
            named = found if found.datatype else found._replace(datatype=metric.datatype)
        agrees &= _reading(gathered, device, named, payload, metric)
    return agrees


def _reading(gathered: Gathered, device: str, named: Named, payload: Payload, metric: Metric) -> bool:
    """Take one metric's reading, if it is one; whether it agrees with its birth."""
    field, datatype = named.field, named.datatype or None
    if metric.transient or field == "bdSeq" or field.startswith(_CONTROL):
        return True
    if metric.null or (datatype is not None and datatype not in DATATYPES):
        gathered.pass_over(int(metric.null))
        return True
    value = number_of(metric, datatype)
    if isinstance(value, str):
        expected = "a value of its datatype" if datatype else EXPECTED_BIRTH
        reason = RefusalReason.NOT_A_NUMBER if metric.kind else RefusalReason.MISSING_FIELD
        gathered.refuse(reason, f"{field}: {value}", expected, device, field)
        return not metric.kind
    at_ms = payload.timestamp if metric.timestamp is None else metric.timestamp
    if not isfinite(value):
        gathered.refuse(RefusalReason.NOT_A_NUMBER, f"{field} {shown(value)}", EXPECTED_NUMBER, device, field)
    elif at_ms is None or at_ms > _LATEST_MS:
        found = "no timestamp" if at_ms is None else f"timestamp {at_ms}"
        gathered.refuse(RefusalReason.BAD_TIME, f"{field}: {found}", EXPECTED_TIME, device, field)
    else:
        gathered.add(device, field, at_ms * 1000, value, quality=_quality(metric))
    return True


def _quality(metric: Metric) -> Quality:
    if metric.quality not in (None, GOOD):
        return Quality.DOUBTFUL
    return Quality.LATE if metric.historical else Quality.GOOD
