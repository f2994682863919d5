"""Frigate, the camera recorder that finds objects: its events, reviews, counts, stats and states.

After docs/docs/integrations/mqtt.md and the sources of blakeblackshear/frigate (0.14 to 0.17). Device of a reading:
``{prefix}/{camera}``, with Frigate's ``topic_prefix``, which is unique where there are several Frigates.

``{prefix}/events`` tells of tracked objects, each a life of new, update, end. Fields, at the ``frame_time`` of the
event (of an end: ``end_time``): ``{label}/count`` tracked now, ``{label}/active`` of them not stationary, and
``{label}/score``, the greatest score among them, 0 where none is; the same in every zone concerned,
``{zone}/{label}/…``; and ``vehicles/count`` over the labels of VEHICLES. False positives do not count. Of a stationary
object that is told of again (each minute) counts are not news, but its score is where it changed, and always where it
may be a danger: fire and smoke stand still by nature and grow, and a limit that must hold for some time needs a second
reading (DANGERS, and INTRUDERS in a zone). An object ends when Frigate says so, or when nothing was heard of it for
FORGOTTEN_US, which only a lost message can cause. Frigate tells of every object at least once a minute: what is said of
all of them is DOUBTFUL in the first SETTLING_US after we began to listen, when objects may be there that we do not
know, and said again with the first message after that. Listening begins anew where ``{prefix}/available`` says that
Frigate went or came (its objects are then others), or where it told of no object for so long though there were.

``{prefix}/reviews``: ``review/alert`` and ``review/detection``, 1 while an item of that severity is going on, else 0;
at its ``start_time`` and ``end_time``.

What a message does not give the time of (an item that grows into an alert, counts said again, an object forgotten, an
end without one) is true as of receipt, less the lag of the last event and BEHIND_US: not so late as to overtake a
picture that is still on its way, whose news would come as old news then, and page nobody.

``{prefix}/stats``: ``camera_fps``, ``process_fps``, ``skipped_fps``, ``detection_fps``, ``detection_enabled``,
``audio_dBFS`` and ``audio_rms`` of every camera, at ``service.last_updated``.

``{prefix}/{camera}/…``: a payload that is a number, ON or OFF, online or offline is a reading of the field that the
rest of the topic names, at the time of receipt: Frigate's own counts ``person``, ``person/active`` (of a zone, the
device is ``{prefix}/{zone}``), ``motion``, ``detect/state``, ``status/detect`` and so on. Everything else (pictures,
commands, ``available``, ``camera_activity``, other texts) speaks of something else.

A prefix may hold slashes: it is what stands before ``events``, ``reviews``, ``stats`` and ``available``. Of a camera's
topic it is the longest one heard of in that way; where none was, what ends with the first level ``frigate``, and where
there is none, the first level.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest.formats.columns import Decoded, Unread, explain_time, read_number, read_time, shown
from ingest.formats.gathered import Gathered, read_json
from ingest.model import Int64s, Quality, RefusalReason

EXPECTED: Final = 'a Frigate message in JSON like {"type": "new", "before": {...}, "after": {...}}'
EXPECTED_STATS: Final = 'Frigate stats in JSON like {"cameras": {...}, "service": {"last_updated": 1700000000}}'
EXPECTED_TIME: Final = "Unix seconds"

USUAL: Final = "frigate"
"""Frigate's ``topic_prefix`` unless set otherwise."""

VEHICLES: Final = frozenset({"car", "truck", "bus", "motorcycle", "vehicle"})
"""Labels that ``vehicles/count`` adds up: motor vehicles of Frigate's models, and ``vehicle`` where they are merged."""

DANGERS: Final = frozenset({"fire", "smoke", "flame", "flames"})
INTRUDERS: Final = frozenset({"person"})
"""Labels, in small letters, whose score is said again though they stand still: anywhere, and in a zone."""

_FPS: Final = ("camera_fps", "process_fps", "skipped_fps", "detection_fps")
STATS: Final = (*_FPS, "detection_enabled", "audio_dBFS", "audio_rms")
AVAILABLE: Final = frozenset({b"online", b"offline", b"stopped"})
STATES: Final[Mapping[bytes, float]] = {b"ON": 1.0, b"OFF": 0.0, b"online": 1.0, b"offline": 0.0}
SEVERITIES: Final = ("alert", "detection")
_TYPES: Final = ("new", "update", "end")
_GENERAL: Final = frozenset({"notifications", "model_state", "embeddings_reindex_progress"})
_COMMANDS: Final = frozenset({"set", "snapshot", "suspend", "ptz"})

SETTLING_US: Final = 70_000_000
"""Frigate tells of an object that is there at least every 60 s (its ``significant_change``); some more for the way."""

FORGOTTEN_US: Final = 600_000_000
REVIEW_FORGOTTEN_US: Final = 6 * 3_600_000_000
BEHIND_US: Final = 5_000_000
MOST_LAG_US: Final = 60_000_000
MOST_OBJECTS: Final = 100_000
MOST_REVIEWS: Final = 10_000
MOST_PREFIXES: Final = 1_000
"""What is remembered at most; beyond that what was heard of longest ago is forgotten."""

_LONGEST: Final = 40
"""Bytes of the longest payload that may be a plain number or state."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """One object as it was last told of. heard_us: when we last heard of it."""

    prefix: str
    device: str
    label: str
    zones: tuple[str, ...]
    score: float
    stationary: bool
    heard_us: int


Count = tuple[str, str, str]
"""What is counted: device, zone (empty for the whole picture) and label."""


@dataclass(slots=True)
class _Heard:
    """One Frigate: since when it was listened to, and what was said of it before that could be known for sure.

    lag_us: how long its last event was on the way, by its clock and ours. newest_us: of what was told of each camera.
    """

    since_us: int
    last_us: int
    unsure: set[Count] = field(default_factory=set)
    lag_us: int = 0
    newest_us: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def told(self, device: str, event_us: int) -> None:
        """Note what was told of a camera."""
        self.newest_us[device] = max(event_us, self.newest_us.pop(device, event_us))
        if len(self.newest_us) > MOST_REVIEWS:
            self.newest_us.popitem(last=False)

    def as_of(self, device: str, at_us: int) -> int:
        """When that was true of a camera of which a message gives no time."""
        after_newest = min(self.newest_us.get(device, 0) + 1000, at_us)  # one of the future does not count
        return max(after_newest, at_us - min(max(0, self.lag_us), MOST_LAG_US) - BEHIND_US)


class Decoder:
    """Decodes Frigate's messages, and remembers the objects and review items that are going on."""

    def __init__(self) -> None:
        self._objects: OrderedDict[str, Tracked] = OrderedDict()
        self._of: dict[str, dict[str, Tracked]] = {}  # the same by device and id
        self._reviews: OrderedDict[str, tuple[str, str, int]] = OrderedDict()  # device, severity, when heard of; by id
        self._heard: OrderedDict[str, _Heard] = OrderedDict()  # by prefix

    def __call__(
        self, payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
    ) -> Decoded:
        """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
        del zone  # the times of this format are numbers
        gathered = Gathered()
        for number, (payload, topic, at_us) in enumerate(zip(payloads, topics, received_us.tolist(), strict=True)):
            gathered.begin(number)
            prefix, _, last = topic.rpartition("/")
            if last in ("events", "reviews", "stats", "available"):
                heard = self._listen(prefix, at_us)
                self._forget(at_us)
                if last == "available":
                    self._begin_anew(heard, prefix, payload, at_us)
                elif last == "events":
                    self._event(gathered, heard, prefix, payload, at_us)
                elif last == "reviews":
                    self._review(gathered, heard, prefix, payload, at_us)
                else:
                    _take_stats(gathered, prefix, payload)
                self._settle(gathered, heard, at_us)
            elif len(payload) <= _LONGEST:
                prefix = self._prefix(topic)
                _take_state(gathered, prefix, topic[len(prefix) + 1 :], payload, at_us)
        return gathered.columns()

    def _prefix(self, topic: str) -> str:
        """What of a camera's topic is Frigate's ``topic_prefix``: the rule that the module's text gives."""
        levels = topic.split("/")
        for count in range(len(levels) - 1, 0, -1):
            prefix = "/".join(levels[:count])
            if prefix in self._heard:
                return prefix
        own = levels.index(USUAL) if USUAL in levels else 0
        return "/".join(levels[: own + 1])

    def _listen(self, prefix: str, at_us: int) -> _Heard:
        heard = self._heard.setdefault(prefix, _Heard(at_us, at_us))
        self._heard.move_to_end(prefix)
        if len(self._heard) > MOST_PREFIXES:
            self._heard.popitem(last=False)
        silent_us, heard.last_us = at_us - heard.last_us, at_us
        if silent_us > SETTLING_US and any(one.prefix == prefix for one in self._objects.values()):
            heard.since_us = at_us  # of those it must have told: messages were lost
        return heard

    def _begin_anew(self, heard: _Heard, prefix: str, payload: bytes, at_us: int) -> None:
        """Know nothing of a Frigate that went or came."""
        if payload.strip() not in AVAILABLE:
            return
        heard.since_us = at_us
        for key in [key for key, one in self._objects.items() if one.prefix == prefix]:
            heard.unsure.update(_counts(self._drop(key)))
        for key in [key for key in self._reviews if key.startswith(f"{prefix}/")]:
            del self._reviews[key]

    def _forget(self, at_us: int) -> None:
        """Forget objects and review items that must be gone: their end was lost."""
        while self._objects:
            key, oldest = next(iter(self._objects.items()))
            if len(self._objects) <= MOST_OBJECTS and at_us - oldest.heard_us <= FORGOTTEN_US:
                break
            self._drop(key)
            if oldest.prefix in self._heard:
                self._heard[oldest.prefix].unsure.update(_counts(oldest))
        while self._reviews and at_us - next(iter(self._reviews.values()))[2] > REVIEW_FORGOTTEN_US:
            self._reviews.popitem(last=False)

    def _settle(self, gathered: Gathered, heard: _Heard, at_us: int) -> None:
        """Say for sure what was said in doubt, once it can be said."""
        if heard.unsure and at_us - heard.since_us >= SETTLING_US:
            counts, heard.unsure = sorted(heard.unsure), set()
            as_of = {device: heard.as_of(device, at_us) for device, _, _ in counts}
            for count in counts:
                heard.told(count[0], as_of[count[0]])
                self._tell(gathered, [count], as_of[count[0]], Quality.GOOD)

    def _event(self, gathered: Gathered, heard: _Heard, prefix: str, payload: bytes, at_us: int) -> None:
        told = _told(gathered, prefix, payload)
        if told is None:
            return
        kind, device, after = told
        label, score = after.get("label"), read_number(after.get("score"))
        if not isinstance(label, str) or not label:
            gathered.refuse(RefusalReason.MISSING_FIELD, f"label {shown(label)}", "the label of an object", device)
            return
        gone = kind == "end" or after.get("false_positive") is True
        if score is None and not gone:
            found = f"score {shown(after.get('score'))}"
            gathered.refuse(RefusalReason.NOT_A_NUMBER, found, "a score of 0 to 1", device, f"{label}/score")
            return
        key = f"{prefix}/{after['id']}"
        before, now = self._drop(key), None
        if not gone:
            zones = tuple(one for one in _list(after.get("current_zones")) if isinstance(one, str))
            now = Tracked(prefix, device, label, zones, score or 0.0, _is_stationary(after), at_us)
            self._keep(key, now)
        if now is None and before is None and kind != "end":
            return
        again = now is not None and before is not None and _same(before, now)
        if now is not None and before is not None and again and not _scored(before, now):
            return
        event_us = _time(gathered, device, label, after.get("end_time" if kind == "end" else "frame_time"))
        if event_us is None:
            self._take_back(heard, key, before, now)
        else:
            heard.lag_us = at_us - event_us
            heard.told(device, event_us)
            counts = {(device, "", label), *_counts(before), *_counts(now)}
            sure = at_us - heard.since_us >= SETTLING_US
            if not sure and len(heard.unsure) < MOST_OBJECTS:
                heard.unsure |= counts
            self._tell(gathered, sorted(counts), event_us, Quality.GOOD if sure else Quality.DOUBTFUL, only_score=again)

    def _keep(self, key: str, tracked: Tracked) -> None:
        self._objects[key] = tracked
        self._of.setdefault(tracked.device, {})[key] = tracked

    def _take_back(self, heard: _Heard, key: str, before: Tracked | None, now: Tracked | None) -> None:
        """Know what was told before a message without a time. An end is one: it is told of as of receipt."""
        if now is None:
            heard.unsure.update(_counts(before))
            return
        self._drop(key)
        if before is not None:
            self._keep(key, replace(before, heard_us=now.heard_us))

    def _drop(self, key: str) -> Tracked | None:
        tracked = self._objects.pop(key, None)
        if tracked is not None:
            of = self._of[tracked.device]
            del of[key]
            if not of:
                del self._of[tracked.device]
        return tracked

    def _tell(
        self, gathered: Gathered, counts: Iterable[Count], event_us: int, trust: Quality, *, only_score: bool = False
    ) -> None:
        """Say how many objects of a label there are now, on a camera or in one of its zones.

        trust: of what is said of all objects. A score is somebody's, whoever else may be there.
        """
        for device, zone, label in counts:
            there = list(self._of.get(device, {}).values())
            of = [one for one in there if one.label == label and (not zone or zone in one.zones)]
            name = f"{zone}/{label}" if zone else label
            active = sum(not one.stationary for one in of)
            score = max((one.score for one in of), default=0.0)
            gathered.add(device, f"{name}/score", event_us, score, quality=Quality.GOOD if of else trust)
            if only_score:
                continue
            gathered.add(device, f"{name}/count", event_us, float(len(of)), quality=trust)
            gathered.add(device, f"{name}/active", event_us, float(active), quality=trust)
            if not zone and label in VEHICLES:
                vehicles = sum(one.label in VEHICLES for one in there)
                gathered.add(device, "vehicles/count", event_us, float(vehicles), quality=trust)

    def _review(self, gathered: Gathered, heard: _Heard, prefix: str, payload: bytes, at_us: int) -> None:
        told = _told(gathered, prefix, payload)
        if told is None:
            return
        kind, device, after = told
        severity = after.get("severity")
        if severity not in SEVERITIES:
            found = f"severity {shown(severity)}"
            gathered.refuse(RefusalReason.UNREADABLE, found, " or ".join(SEVERITIES), device, "review/alert")
            return
        key = f"{prefix}/{after['id']}"
        before = self._reviews.pop(key, None)
        if kind != "end":
            self._reviews[key] = device, severity, at_us
            if len(self._reviews) > MOST_REVIEWS:
                self._reviews.popitem(last=False)
            if before is not None and before[:2] == (device, severity):
                return
        if before and kind != "end":
            event_us: int | None = heard.as_of(f"{device}/review", at_us)
        else:
            name = "end_time" if kind == "end" else "start_time"
            event_us = _time(gathered, device, "review/alert", after.get(name))
        if event_us is not None:
            heard.told(f"{device}/review", event_us)
            for one in SEVERITIES:
                if one == severity or (before and one == before[1]):
                    going = any(item[:2] == (device, one) for item in self._reviews.values())
                    gathered.add(device, f"review/{one}", event_us, float(going))


def _told(gathered: Gathered, prefix: str, payload: bytes) -> tuple[str, str, dict[str, Any]] | None:
    """(type, device, what is now) of an event or a review item; None where it was refused."""
    given = read_json(payload, gathered.number, EXPECTED)
    if isinstance(given, Unread):
        gathered.unread(given)
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    after = given.get("after") if isinstance(given, dict) else None
    if kind not in _TYPES or not isinstance(after, dict):
        found = f"type {shown(kind)}" if isinstance(given, dict) else shown(given)
        gathered.refuse(RefusalReason.UNREADABLE, found, EXPECTED)
        return None
    for name in ("id", "camera"):
        if not isinstance(after.get(name), str) or not after[name]:
            found = f"{name} {shown(after.get(name))} in after"
            gathered.refuse(RefusalReason.MISSING_FIELD, found, "id and camera as texts")
            return None
    return kind, f"{prefix}/{after['camera']}", after


def _time(gathered: Gathered, device: str, field: str, given: Any) -> int | None:
    """Unix microseconds of Unix seconds; None where it was refused."""
    seconds = None if isinstance(given, str) else read_time(given)
    if seconds is None:
        reason = RefusalReason.MISSING_FIELD if given is None else RefusalReason.BAD_TIME
        gathered.refuse(reason, "no time" if given is None else explain_time(given), EXPECTED_TIME, device, field)
        return None
    return round(seconds * 1_000_000)


def _list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _is_stationary(after: Mapping[str, Any]) -> bool:
    """``stationary``, or where an edition tells only that: not ``active``."""
    stationary, active = after.get("stationary"), after.get("active")
    return stationary if isinstance(stationary, bool) else active is False


def _same(before: Tracked, now: Tracked) -> bool:
    """Whether a stationary object is only told of again: it counts as before, whatever its score."""
    return before.stationary and now.stationary and (before.zones, before.label) == (now.zones, now.label)


def _scored(before: Tracked, now: Tracked) -> bool:
    """Whether the score of an object that is told of again is news."""
    label = now.label.lower()
    return before.score != now.score or label in DANGERS or bool(label in INTRUDERS and now.zones)


def _counts(tracked: Tracked | None) -> list[Count]:
    """All that an object counts in."""
    if tracked is None:
        return []
    return [(tracked.device, zone, tracked.label) for zone in ("", *tracked.zones)]


def _take_stats(gathered: Gathered, prefix: str, payload: bytes) -> None:
    given = read_json(payload, gathered.number, EXPECTED_STATS)
    if isinstance(given, Unread):
        gathered.unread(given)
        return
    cameras = given.get("cameras") if isinstance(given, dict) else None
    service = given.get("service") if isinstance(given, dict) else None
    if not isinstance(cameras, dict) or not isinstance(service, dict):
        gathered.refuse(RefusalReason.UNREADABLE, shown(given), EXPECTED_STATS)
        return
    for camera, stats in cameras.items():
        device = f"{prefix}/{camera}"
        if not isinstance(stats, dict):
            gathered.refuse(RefusalReason.UNREADABLE, shown(stats), EXPECTED_STATS, device)
            continue
        event_us = _time(gathered, device, "camera_fps", service.get("last_updated"))
        if event_us is None:
            continue
        for name in STATS:
            if name in stats:
                gathered.take(device, name, event_us, stats[name])


def _take_state(gathered: Gathered, prefix: str, rest: str, payload: bytes, at_us: int) -> None:
    """Take a camera's topic with a plain number or state. rest: what stands behind the prefix."""
    camera, _, field = rest.partition("/")
    if not camera or not field or camera in _GENERAL or field.rpartition("/")[2] in _COMMANDS:
        return
    text = payload.strip()
    value = STATES.get(text)
    if value is None and text[-1:].isdigit():
        given = read_json(text, gathered.number, "")
        value = None if isinstance(given, Unread) else read_number(given)
    if value is not None:
        gathered.add(f"{prefix}/{camera}", field, at_us, value)
