"""Events and metadata of ONVIF cameras as JSON over MQTT.

After the ONVIF Core specification (event broker: ``{prefix}/onvif-ej/{topic}[/&{source values}]``, grammar of the event
payload), the Analytics service specification (JSON over MQTT: ``{prefix}/onvif-mj/{type}/{profile}/{module}``, XML to
JSON rules) and the Imaging service specification (tampering events), as of the onvif/specs repository (2023-2025).
Seen in the field beside it and taken too: items as ``{"SimpleItem": [{"Name", "Value"}]}``, and topics with ``tns1:``.

Device: the topic prefix, one per camera. Field of an event: ``{topic}[/&{source values}]/{item}``, for instance
``VideoSource/ImageTooDark/ImagingService/&1/State``; where the MQTT topic leaves the source out, the payload's own is
put there. Numbers, true and false (quoted or not), and the states active and inactive (DeviceIO: relays, inputs) are
readings; other texts and structures are passed over. The topics of tampering and image health that the Imaging
specification names: ``VideoSource/{ImageTooBlurry|ImageTooDark|ImageTooBright|GlobalSceneChange}/{AnalyticsService|
ImagingService|RecordingService}``, ``VideoSource/SignalLoss`` and ``VideoSource/MotionAlarm``, each with ``State``.

Metadata: of every frame ``{type}/{profile}/{module}/objects/count`` and, of each class of object (its likeliest),
``.../{class}/count`` and ``.../{class}/likelihood`` (the greatest; 1 where none is given). A class that a module has
named before and that is in a frame no more counts nought.

``UtcTime`` is UTC, with or without its Z. A payload of no bytes says that a property is gone: no reading. Events of
properties are retained: what the broker replays is marked so by the intake.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest.formats.columns import SHOWN, Decoded, Unread, read_time, shown
from ingest.formats.gathered import MOST_FIELDS, Gathered, read_json
from ingest.model import Int64s, RefusalReason

EXPECTED_EVENT: Final = 'an ONVIF event in JSON like {"UtcTime": "...", "Source": {...}, "Data": {"State": true}}'
EXPECTED_FRAMES: Final = 'ONVIF metadata in JSON like {"Frame": [{"@UtcTime": "...", "Object": [...]}]}'
EXPECTED_TOPIC: Final = "{prefix}/onvif-ej/{topic}[/&{source}] or {prefix}/onvif-mj/{type}/{profile}/{module}"
EXPECTED_TIME: Final = "UtcTime, RFC 3339"

STATES: Final[Mapping[str, float]] = {"true": 1.0, "false": 0.0, "active": 1.0, "inactive": 0.0}

MOST_MODULES: Final = 10_000
MOST_CLASSES: Final = 100
"""What is remembered of the classes that modules name; beyond that a module forgets, or is forgotten."""

_UTC: Final = ZoneInfo("UTC")


class Decoder:
    """Decodes ONVIF events and metadata, and remembers which classes of objects each analytics module names."""

    def __init__(self) -> None:
        self._classes: OrderedDict[str, set[str]] = OrderedDict()

    def __call__(
        self, payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
    ) -> Decoded:
        """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
        del received_us, zone  # the times of this format are UTC
        gathered = Gathered()
        for number, (payload, topic) in enumerate(zip(payloads, topics, strict=True)):
            gathered.begin(number)
            device, kind, rest = _parted(topic)
            if not kind:
                gathered.refuse(RefusalReason.UNREADABLE, f"topic {shown(topic)}", EXPECTED_TOPIC)
            elif payload:
                given = read_json(payload, number, EXPECTED_EVENT if kind == "onvif-ej" else EXPECTED_FRAMES)
                if isinstance(given, Unread):
                    gathered.unread(given)
                elif kind == "onvif-ej":
                    _take_event(gathered, device, rest, given)
                else:
                    self._take_frames(gathered, device, rest, given)
        return gathered.columns()

    def _take_frames(self, gathered: Gathered, device: str, module: str, given: Any) -> None:
        frames = given.get("Frame") if isinstance(given, dict) else None
        if isinstance(frames, dict):
            frames = [frames]  # a list of one that was written as what is in it
        if not isinstance(frames, list):
            if not isinstance(given, dict):
                gathered.refuse(RefusalReason.UNREADABLE, shown(given), EXPECTED_FRAMES, device)
            return  # a position, a sound: metadata of another kind
        if len(frames) > MOST_FIELDS:
            gathered.refuse(RefusalReason.UNREADABLE, f"{len(frames)} frames", f"at most {MOST_FIELDS}", device)
            return
        for frame in frames:
            self._take_frame(gathered, device, module, frame)

    def _take_frame(self, gathered: Gathered, device: str, module: str, frame: Any) -> None:
        if not isinstance(frame, dict):
            gathered.refuse(RefusalReason.UNREADABLE, shown(frame), EXPECTED_FRAMES, device)
            return
        event_us = _time(gathered, device, f"{module}/objects/count", frame.get("@UtcTime"))
        if event_us is None:
            return
        found = _objects(frame.get("Object"))
        gathered.add(device, f"{module}/objects/count", event_us, float(len(found)))
        count: dict[str, int] = {}
        greatest: dict[str, float] = {}
        for kind, likelihood in found:
            count[kind] = count.get(kind, 0) + 1
            greatest[kind] = max(greatest.get(kind, 0.0), likelihood)
        for kind in sorted(self._known(f"{device}/{module}", set(count))):
            gathered.add(device, f"{module}/{kind}/count", event_us, float(count.get(kind, 0)))
            gathered.add(device, f"{module}/{kind}/likelihood", event_us, greatest.get(kind, 0.0))

    def _known(self, module: str, named: set[str]) -> set[str]:
        """The classes that a module has named, these included; never so many that they cannot be kept."""
        known = self._classes.pop(module, set()) | (named - {""})
        if len(known) > MOST_CLASSES:
            known = set(sorted(named - {""})[:MOST_CLASSES])
        self._classes[module] = known
        if len(self._classes) > MOST_MODULES:
            self._classes.popitem(last=False)
        return known


def _parted(topic: str) -> tuple[str, str, str]:
    """The device, which of the two kinds of message (empty where it is neither), and what stands behind that."""
    for kind in ("onvif-ej", "onvif-mj"):
        device, found, rest = topic.partition(f"/{kind}/")
        if found and device and rest:
            return device, kind, rest
    return topic, "", ""


def _take_event(gathered: Gathered, device: str, rest: str, given: Any) -> None:
    if not isinstance(given, dict):
        gathered.refuse(RefusalReason.UNREADABLE, shown(given), EXPECTED_EVENT, device)
        return
    topic = _topic(rest, dict(_items(given.get("Source"))))
    items = list(_items(given.get("Data")))
    if len(items) > MOST_FIELDS:
        gathered.refuse(RefusalReason.UNREADABLE, f"{len(items)} items", f"at most {MOST_FIELDS} items", device)
        return
    values = [(name, number) for name, value in items if (number := _number(value)) is not None]
    if not values:
        return
    event_us = _time(gathered, device, f"{topic}/{values[0][0]}", given.get("UtcTime"))
    if event_us is not None:
        for name, number in values:
            gathered.take(device, f"{topic}/{name}", event_us, number)


def _topic(rest: str, source: Mapping[str, Any]) -> str:
    """The event's topic with the values of its source behind an ampersand, ONVIF's own namespace left out."""
    topic, found, values = rest.partition("/&")
    topic = "/".join(level.removeprefix("tns1:") for level in topic.rstrip("/").split("/"))
    if not found:
        values = "/".join(_text(value) for value in source.values())
    return f"{topic}/&{values}" if values else topic


def _text(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


def _items(given: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) of the items of a source or of data, in either way of writing them."""
    if not isinstance(given, dict):
        return
    simple = given.get("SimpleItem")
    if simple is None:
        yield from given.items()
        return
    for item in simple if isinstance(simple, list) else [simple]:
        if isinstance(item, dict) and isinstance(item.get("Name"), str):
            yield item["Name"], item.get("Value")


def _number(value: Any) -> float | int | bool | None:
    """The number of an item, quoted or not; None for what is none. One that is not finite stays, to be refused."""
    if isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        return None
    state = STATES.get(value.strip().lower())
    if state is not None:
        return state
    try:
        return float(value) if value[-1:].isdigit() and "_" not in value else None
    except ValueError:
        return None


def _time(gathered: Gathered, device: str, field: str, given: Any) -> int | None:
    """Unix microseconds of a UTC time, which may say so or not; None where it was refused."""
    seconds = read_time(given, _UTC) if isinstance(given, str) else None
    if seconds is None:
        missing = given is None
        reason = RefusalReason.MISSING_FIELD if missing else RefusalReason.BAD_TIME
        gathered.refuse(reason, "no UtcTime" if missing else shown(given), EXPECTED_TIME, device, field)
        return None
    return round(seconds * 1_000_000)


def _objects(given: Any) -> list[tuple[str, float]]:
    """(class, likelihood) of every object of a frame; an empty class where it has none."""
    objects = given if isinstance(given, list) else [] if given is None else [given]
    return [_class(one) for one in objects[:MOST_FIELDS] if isinstance(one, dict)]


def _class(thing: Mapping[str, Any]) -> tuple[str, float]:
    """The likeliest class of an object. Both ways of the specification: ``Type``, and the older ``ClassCandidate``."""
    appearance = thing.get("Appearance")
    described = appearance.get("Class") if isinstance(appearance, dict) else None
    best = "", 0.0
    if isinstance(described, dict):
        for key, name, likelihood in (("Type", "#text", "@Likelihood"), ("ClassCandidate", "Type", "Likelihood")):
            candidates = described.get(key)
            for one in candidates if isinstance(candidates, list) else [candidates]:
                best = max(best, _candidate(one, name, likelihood), key=lambda found: (found[0] != "", found[1]))
    return best


def _candidate(one: Any, name: str, likelihood: str) -> tuple[str, float]:
    if isinstance(one, str):
        one = {name: one}
    if not isinstance(one, dict) or not isinstance(one.get(name), str) or len(one[name]) > SHOWN:
        return "", 0.0
    given = _number(one.get(likelihood))
    return one[name], 1.0 if given is None or not 0 <= given <= 1 else float(given)
