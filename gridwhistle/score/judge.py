"""What the daemon opened, held against what really happened. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from alerting.model import FaultTicket, GridEvent
from config.city import City
from config.clock import US_PER_SECOND
from detectors.model import Condition, Nature
from gridwhistle.score.kinds import SHOWS_AFTER, told_as
from sensors_sim.truth import Episode, Fault, Silence, Truth

GRACE_US = 30 * US_PER_SECOND
"""On top of two readings of the slowest sensor: how much later than the truth's limit an event may be opened."""

AFTERMATH_US = 15 * 60 * US_PER_SECOND
"""A case that begins later than this after the end of an episode has another cause."""

SAYS_SOMETHING = (Nature.EVENT, Nature.FAULT)


class Outcome(StrEnum):
    """What became of a thing that happened, and why it is not right: the first of these that applies."""

    NOT_SHOWN = "not_shown"  # it could not be seen in the readings of the run; counts neither way
    MISSED = "missed"
    MERGED = "merged"  # one case speaks of this and of another thing
    SPLIT = "split"  # several cases for one cause
    WRONG_KIND = "wrong_kind"  # under the wrong category or condition
    WRONG_PERSON = "wrong_person"
    WRONG_DEPARTMENT = "wrong_department"
    MILD = "mild"  # taken for less than it was
    LATE = "late"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one thing that happened.

    kind: a Category of the world or a FaultKind of a sensor. sensors: ids of all that could see it. opened: codes of
    the cases opened for it, the first one first. delay_s: from its first effect to the first case. right_person,
    right_category, in_time, grave_enough: of the first case, the last two true where the truth sets no limit. expected,
    called: who should have been, who was. name: of the episode, or the sensor. happening: which kind of happening it
    was. late_s: seconds from the truth's limit to the first case (below 0: before it), None where either is missing.
    department, reported_to: who should have been called in, who was (ids). joined: codes of cases that were opened
    before it, and took its alarms in. shared_with: names of what else its cases speak of. shown: whether it could be
    seen. conditions: of the alarms in the first case, for a fault.
    """

    kind: str
    sensors: tuple[str, ...]
    opened: tuple[str, ...]
    delay_s: float | None
    right_person: bool
    right_category: bool
    expected: str
    called: str
    in_time: bool = True
    grave_enough: bool = True
    name: str = ""
    happening: str = ""
    late_s: float | None = None
    right_department: bool = True
    department: str = ""
    reported_to: str = ""
    joined: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    shown: bool = True
    conditions: tuple[Condition, ...] = ()

    @property
    def right(self) -> bool:
        """Exactly one case, for the right people, under the right name, in time and no milder than it was."""
        return self.outcome is Outcome.RIGHT

    @property
    def told(self) -> bool:
        """Whether anybody was told of it at all."""
        return bool(self.opened or self.joined)

    @property
    def outcome(self) -> Outcome:
        """See ``Outcome``."""
        if not self.told:
            return Outcome.MISSED if self.shown else Outcome.NOT_SHOWN
        wrongs = (
            (not self.opened or bool(self.shared_with), Outcome.MERGED),
            (len(self.opened) > 1, Outcome.SPLIT),
            (not self.right_category, Outcome.WRONG_KIND),
            (not self.right_person, Outcome.WRONG_PERSON),
            (not self.right_department, Outcome.WRONG_DEPARTMENT),
            (not self.grave_enough, Outcome.MILD),
            (not self.in_time, Outcome.LATE),
        )
        return next((outcome for wrong, outcome in wrongs if wrong), Outcome.RIGHT)


@dataclass(frozen=True, slots=True)
class Stilled:
    """What one cause that stilled many sensors made: codes of tickets and of grid events. One ticket is right."""

    silence: Silence
    tickets: tuple[str, ...]
    events: tuple[str, ...]

    @property
    def right(self) -> bool:
        """At most one ticket, and nobody sent out to look at the world."""
        return len(self.tickets) <= 1 and not self.events


class Blame(StrEnum):
    """What a case that the truth does not explain may come from."""

    FAULT = "fault"  # a broken sensor, told as something of the world
    EVENT = "event"  # something of the world, told as a fault, or at the wrong time
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Score:
    """What was found, and what was opened for nothing (codes with the sensors that spoke).

    episodes, faults: in the order of the truth. false_alarms: code of a right case, and the sensor whose alarm joined
    it though nothing happened to it. silences: what each of the truth's made. blame: of the false cases, by code.
    days: length of the run. sensors: of the city.
    """

    episodes: tuple[Found, ...]
    faults: tuple[Found, ...]
    false_events: tuple[tuple[str, str], ...]
    false_tickets: tuple[tuple[str, str], ...]
    false_alarms: tuple[tuple[str, str], ...] = ()
    silences: tuple[Stilled, ...] = ()
    blame: Mapping[str, Blame] = field(default_factory=dict)
    days: float = 0.0
    sensors: int = 0

    @property
    def perfect(self) -> bool:
        """Everything that showed was found once and told to the right person, and nothing else opened or raised."""
        shown = [found for found in (*self.episodes, *self.faults) if found.outcome is not Outcome.NOT_SHOWN]
        told_right = all(found.right for found in shown) and all(stilled.right for stilled in self.silences)
        return told_right and not (self.false_events or self.false_tickets or self.false_alarms)

    def per_day(self, count: int, *, per_1000_sensors: bool = False) -> float | None:
        """So many a day, or a day and 1,000 sensors; None where the run has no length, or the city no sensors."""
        share = self.days * (self.sensors / 1000 if per_1000_sensors else 1)
        return count / share if share > 0 else None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of some things, by outcome. delays: median and 95th percentile in seconds, None where none was told."""

    all: int
    by: Mapping[Outcome, int]
    median_s: float | None
    slow_s: float | None

    @classmethod
    def of(cls, found: Sequence[Found]) -> "Tally":
        """Count them."""
        by = {outcome: sum(one.outcome is outcome for one in found) for outcome in Outcome}
        delays = sorted(one.delay_s for one in found if one.delay_s is not None)
        slow = delays[min(len(delays) - 1, int(0.95 * len(delays)))] if delays else None
        return cls(len(found), by, median(delays) if delays else None, slow)

    @property
    def shown(self) -> int:
        """How many could be seen."""
        return self.all - self.by[Outcome.NOT_SHOWN]

    @property
    def told(self) -> int:
        """How many somebody was told of."""
        return self.shown - self.by[Outcome.MISSED]


def keep_score(
    truth: Truth,
    events: Sequence[GridEvent],
    tickets: Sequence[FaultTicket],
    intervals: Mapping[str, float],
) -> Score:
    """Match cases (with their alarms) to the truth by sensor and time.

    A case belongs to an episode or fault when one of its alarms sits on a sensor that could see it, and both began no
    earlier than it did, nor the case AFTERMATH_US later than it ended; where it could belong to several episodes, to
    those of its own category. The right person is the one on duty where the sensor stands that spoke first. It is in
    time within two readings of the slowest sensor over its limit (and GRACE_US) after the truth's limit. A grid event
    for a broken sensor, or a ticket for a sensor that saw a real event, is false; so is the alarm of a sensor that the
    truth does not name, inside an event that is right. What one silence of many sensors made is not false, but counted
    as its own. A fault shows once its sensor was due to send SHOWS_AFTER readings with it in the run, an episode once a
    sensor could see it; what does not show and is not told counts neither way.

    intervals: seconds between two readings of a sensor, by its id (see ``intervals_of``).
    """
    events = sorted(events, key=lambda event: event.id)
    tickets = sorted(tickets, key=lambda ticket: ticket.id)
    matched = _match(events, truth.episodes)
    broken = _match_tickets(tickets, truth.faults)
    right_events = {event.id for found in matched.opened for event in found}
    right_tickets = {ticket.id for found in broken for ticket in found}
    lone_events = [one for one in events if one.id not in right_events]
    lone_tickets = [one for one in tickets if one.id not in right_tickets]
    stilled = [_stilled(silence, lone_events, lone_tickets) for silence in truth.silences]
    explained = {code for one in stilled for code in (*one.tickets, *one.events)}
    lone_events = [one for one in lone_events if one.code not in explained]
    lone_tickets = [one for one in lone_tickets if one.code not in explained]
    touched = truth.touched()
    return Score(
        tuple(_episode_found(number, truth, matched, intervals) for number in range(len(truth.episodes))),
        tuple(_fault_found(fault, mine, truth, intervals) for fault, mine in zip(truth.faults, broken, strict=True)),
        tuple((event.code, _sensors(event)) for event in lone_events),
        tuple((ticket.code, ticket.sensor_id) for ticket in lone_tickets),
        tuple(
            (event.code, sensor)
            for event in events
            if event.id in right_events
            for sensor in dict.fromkeys(alarm.sensor_id for alarm in event.alarms if alarm.nature in SAYS_SOMETHING)
            if sensor not in touched
        ),
        silences=tuple(stilled),
        blame=_blame(truth, lone_events, lone_tickets),
        days=(truth.end_us - truth.start_us) / US_PER_SECOND / 86_400,
        sensors=len(intervals),
    )


def intervals_of(city: City) -> dict[str, float]:
    """Seconds expected between two readings, by sensor id."""
    return dict(zip(city.columns.ids, city.columns.interval_s.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Matched:
    """Events by the number of their episode, and the numbers of its episodes by the id of an event.

    joined: events that were opened before the episode, and took its alarms in.
    """

    opened: tuple[list[GridEvent], ...]
    joined: tuple[list[GridEvent], ...]
    episodes_of: dict[int, list[int]]


def _match(events: Sequence[GridEvent], episodes: Sequence[Episode]) -> _Matched:
    seen_by: dict[str, list[int]] = {}
    for number, episode in enumerate(episodes):
        for sensor in episode.sensors:
            seen_by.setdefault(sensor, []).append(number)
    matched = _Matched(tuple([] for _ in episodes), tuple([] for _ in episodes), {})
    for event in events:
        first_at: dict[int, int] = {}
        for alarm in event.alarms:
            for number in seen_by.get(alarm.sensor_id, ()):
                if alarm.at_us >= episodes[number].from_us:
                    first_at[number] = min(alarm.at_us, first_at.get(number, alarm.at_us))
        fitting = [number for number in sorted(first_at) if _within(event, episodes[number])]
        own = [number for number in fitting if episodes[number].category is event.category]
        for number in own or fitting:
            matched.opened[number].append(event)
        for number, at_us in first_at.items():
            if event.opened_us < episodes[number].from_us and at_us <= episodes[number].to_us + AFTERMATH_US:
                matched.joined[number].append(event)
        matched.episodes_of[event.id] = own or fitting
    return matched


def _within(event: GridEvent, episode: Episode) -> bool:
    return episode.from_us <= event.opened_us and event.started_us <= episode.to_us + AFTERMATH_US


def _match_tickets(tickets: Sequence[FaultTicket], faults: Sequence[Fault]) -> tuple[list[FaultTicket], ...]:
    """The tickets of each fault; of several faults of one sensor, the one that began last before the ticket."""
    of_sensor: dict[str, list[int]] = {}
    for number, fault in enumerate(faults):
        of_sensor.setdefault(fault.sensor, []).append(number)
    found: tuple[list[FaultTicket], ...] = tuple([] for _ in faults)
    for ticket in tickets:
        fitting = [
            number
            for number in of_sensor.get(ticket.sensor_id, ())
            if faults[number].from_us <= ticket.opened_us <= faults[number].to_us + AFTERMATH_US
        ]
        if fitting:
            found[max(fitting, key=lambda number: faults[number].from_us)].append(ticket)
    return found


def _stilled(silence: Silence, events: Iterable[GridEvent], tickets: Iterable[FaultTicket]) -> Stilled:
    """Of the cases that nothing else explains, those that began with a silence or until shortly after its end."""
    sensors = frozenset(silence.sensors)

    def during(opened_us: int) -> bool:
        return silence.from_us <= opened_us <= silence.to_us + AFTERMATH_US

    return Stilled(
        silence,
        tuple(one.code for one in tickets if one.sensor_id in sensors and during(one.opened_us)),
        tuple(
            one.code
            for one in events
            if during(one.opened_us) and any(alarm.sensor_id in sensors for alarm in one.alarms)
        ),
    )


def _blame(truth: Truth, events: Sequence[GridEvent], tickets: Sequence[FaultTicket]) -> dict[str, Blame]:
    broken: dict[str, list[Fault]] = {}
    for fault in truth.faults:
        broken.setdefault(fault.sensor, []).append(fault)
    seeing = {sensor for episode in truth.episodes for sensor in episode.sensors}

    def blame(sensors: Iterable[str], opened_us: int) -> Blame:
        sensors = list(sensors)
        if any(
            fault.from_us <= opened_us <= fault.to_us + AFTERMATH_US
            for sensor in sensors
            for fault in broken.get(sensor, ())
        ):
            return Blame.FAULT
        return Blame.EVENT if any(sensor in seeing for sensor in sensors) else Blame.NOTHING

    found = {one.code: blame((alarm.sensor_id for alarm in one.alarms), one.opened_us) for one in events}
    return found | {one.code: blame((one.sensor_id,), one.opened_us) for one in tickets}


def _in_time(event: GridEvent, episode: Episode, intervals: Mapping[str, float]) -> bool:
    if episode.limit_us is None:
        return True
    slowest_s = max((intervals[sensor] for sensor in episode.over_limit), default=0.0)
    return event.opened_us <= episode.limit_us + int(2 * slowest_s * US_PER_SECOND) + GRACE_US


def _sensors(case: GridEvent) -> str:
    return ", ".join(dict.fromkeys(alarm.sensor_id for alarm in case.alarms))


def _episode_found(number: int, truth: Truth, matched: _Matched, intervals: Mapping[str, float]) -> Found:
    episode, events, joined = truth.episodes[number], matched.opened[number], matched.joined[number]
    first = events[0] if events else None
    expected = episode.responsible
    if first is not None:
        expected = episode.responsible_at.get(min(first.alarms, key=lambda alarm: alarm.id).sensor_id, expected)
    others = dict.fromkeys(
        truth.episodes[other].name for event in events for other in matched.episodes_of[event.id] if other != number
    )
    return Found(
        kind=episode.category.value,
        sensors=episode.sensors,
        opened=tuple(event.code for event in events),
        delay_s=(first.opened_us - episode.from_us) / US_PER_SECOND if first else None,
        right_person=first is not None and first.responsible.worker == expected,
        right_category=first is not None and first.category is episode.category,
        expected=expected or "",
        called=first.responsible.worker if first else "",
        in_time=first is not None and _in_time(first, episode, intervals),
        grave_enough=first is not None and (episode.severity is None or first.severity <= episode.severity),
        name=episode.name,
        happening=episode.kind,
        late_s=_beyond(first, episode.limit_us),
        right_department=episode.department is None or (first is not None and first.department == episode.department),
        department=episode.department or "",
        reported_to=(first.department or "") if first else "",
        joined=tuple(event.code for event in joined),
        shared_with=tuple(others),
        shown=bool(episode.sensors),
    )


def _beyond(first: GridEvent | None, limit_us: int | None) -> float | None:
    return None if first is None or limit_us is None else (first.opened_us - limit_us) / US_PER_SECOND


def _fault_found(fault: Fault, tickets: Sequence[FaultTicket], truth: Truth, intervals: Mapping[str, float]) -> Found:
    first = tickets[0] if tickets else None
    conditions = tuple(dict.fromkeys(alarm.condition for alarm in first.alarms)) if first else ()
    lasted_s = (min(fault.to_us, truth.end_us) - fault.from_us) / US_PER_SECOND
    return Found(
        kind=fault.kind.value,
        sensors=(fault.sensor,),
        opened=tuple(ticket.code for ticket in tickets),
        delay_s=(first.opened_us - fault.from_us) / US_PER_SECOND if first else None,
        right_person=first is not None and first.line[0].worker == fault.responsible,
        right_category=any(told_as(fault.kind, condition) for condition in conditions),
        expected=fault.responsible or "",
        called=first.line[0].worker if first else "",
        name=fault.sensor,
        happening=fault.kind.value,
        shown=lasted_s >= SHOWS_AFTER * intervals.get(fault.sensor, 0.0),
        conditions=conditions,
    )
