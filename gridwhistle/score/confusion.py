"""Are faults told from events? What happened, against what people were told. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from alerting.reports import Records
from config.city import City
from detectors.model import Condition
from gridwhistle.score.found import Found, Outcome, Score
from sensors_sim.truth import AFTERMATH_US, Episode, Fault, FaultKind, Truth


class Thing(StrEnum):
    """What really was the matter. NOTHING: of a sensor to which nothing happened."""

    EVENT = "event"
    FAULT = "fault"
    NOTHING = "nothing"


class Told(StrEnum):
    """What people were told. SHOWN: an alarm whose cause is unknown; it is shown, nobody is called."""

    EVENT = "event"
    FAULT = "fault"
    SHOWN = "shown"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class KindRow:
    """How the faults of one kind were told.

    right: under an accepted condition, wrong_name: as a ticket under another; the rest as in ``Told``.
    conditions: of all first tickets, how often each was named.
    """

    kind: FaultKind
    all: int
    not_shown: int
    right: int
    wrong_name: int
    event: int
    shown: int
    nothing: int
    conditions: Mapping[Condition, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Confusion:
    """count: of episodes, of faults, of sensors to which nothing happened, by what was told of them.

    Each counts once: an episode or fault as what it was where that was told, else as a grid event, else as a fault
    ticket, else as shown; what could not be seen, and was not told, is left out (unseen, not_shown). A sensor to which
    nothing happened counts as the first of these too.
    """

    count: Mapping[tuple[Thing, Told], int]
    unseen: int
    not_shown: int
    kinds: tuple[KindRow, ...]

    def row(self, thing: Thing) -> tuple[int, ...]:
        """The counts of one thing in the order of ``Told``."""
        return tuple(self.count.get((thing, told), 0) for told in Told)


@dataclass(frozen=True, slots=True)
class _Heard:
    """When what was told of each sensor: opening times of events and tickets, and when mere alarms were raised."""

    events: Mapping[str, Sequence[int]]
    tickets: Mapping[str, Sequence[int]]
    shown: Mapping[str, Sequence[int]]

    def of(self, sensors: Iterable[str], from_us: int, to_us: int) -> set[Told]:
        """What was told of any of these sensors in a time."""
        found: set[Told] = set()
        for told, times in ((Told.EVENT, self.events), (Told.FAULT, self.tickets), (Told.SHOWN, self.shown)):
            if any(from_us <= time <= to_us for sensor in sensors for time in times.get(sensor, ())):
                found.add(told)
        return found


def confusion(truth: Truth, score: Score, records: Records, city: City) -> Confusion:
    """What was told of everything that happened, and of every sensor to which nothing did."""
    heard = _heard(records)
    count: Counter[tuple[Thing, Told]] = Counter()
    for episode, found in zip(truth.episodes, score.episodes, strict=True):
        if found.outcome is not Outcome.NOT_SHOWN:
            count[Thing.EVENT, _of_episode(episode, found, heard)] += 1
    told_of = [_of_fault(fault, found, heard) for fault, found in zip(truth.faults, score.faults, strict=True)]
    for told, found in zip(told_of, score.faults, strict=True):
        if found.outcome is not Outcome.NOT_SHOWN:
            count[Thing.FAULT, told] += 1
    touched = truth.touched()
    sound = Counter(_worst(heard, sensor) for sensor in city.columns.ids if sensor not in touched)
    count.update({(Thing.NOTHING, told): number for told, number in sound.items()})
    return Confusion(
        dict(count),
        sum(found.outcome is Outcome.NOT_SHOWN for found in score.episodes),
        sum(found.outcome is Outcome.NOT_SHOWN for found in score.faults),
        tuple(_kinds(truth, score, told_of)),
    )


def _heard(records: Records) -> _Heard:
    events: dict[str, list[int]] = {}
    tickets: dict[str, list[int]] = {}
    shown: dict[str, list[int]] = {}
    filed: set[int] = set()
    for event in records.events:
        filed.update(alarm.id for alarm in event.alarms)
        for sensor in {alarm.sensor_id for alarm in event.alarms}:
            events.setdefault(sensor, []).append(event.opened_us)
    for ticket in records.tickets:
        filed.update(alarm.id for alarm in ticket.alarms)
        tickets.setdefault(ticket.sensor_id, []).append(ticket.opened_us)
    for alarm in records.alarms:
        if alarm.id not in filed:
            shown.setdefault(alarm.sensor_id, []).append(alarm.raised_us)
    return _Heard(events, tickets, shown)


def _of_episode(episode: Episode, found: Found, heard: _Heard) -> Told:
    if found.told:
        return Told.EVENT
    told = heard.of(episode.sensors, episode.from_us, episode.to_us + AFTERMATH_US) - {Told.EVENT}
    return next((one for one in Told if one in told), Told.NOTHING)


def _of_fault(fault: Fault, found: Found, heard: _Heard) -> Told:
    if found.told:
        return Told.FAULT
    told = heard.of((fault.sensor,), fault.from_us, fault.to_us + AFTERMATH_US) - {Told.FAULT}
    return next((one for one in Told if one in told), Told.NOTHING)


def _worst(heard: _Heard, sensor: str) -> Told:
    if sensor in heard.events:
        return Told.EVENT
    if sensor in heard.tickets:
        return Told.FAULT
    return Told.SHOWN if sensor in heard.shown else Told.NOTHING


def _kinds(truth: Truth, score: Score, told_of: Sequence[Told]) -> Iterable[KindRow]:
    for kind in FaultKind:
        rows = [row for row, fault in enumerate(truth.faults) if fault.kind is kind]
        if not rows:
            continue
        seen = [row for row in rows if score.faults[row].outcome is not Outcome.NOT_SHOWN]
        told = Counter(told_of[row] for row in seen)
        right = sum(score.faults[row].right_category for row in seen)
        yield KindRow(
            kind,
            len(rows),
            len(rows) - len(seen),
            right,
            told[Told.FAULT] - right,
            told[Told.EVENT],
            told[Told.SHOWN],
            told[Told.NOTHING],
            dict(Counter(condition for row in seen for condition in score.faults[row].conditions)),
        )
