"""What the daemon opened, held against what really happened. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alerting.model import CENTRE, FaultTicket, GridEvent
from config.city import City, Shift
from config.clock import US_PER_SECOND, to_datetime
from config.vocabulary import Role
from detectors.model import Nature
from gridwhistle.score.found import Blame, Found, Score, Stilled
from gridwhistle.score.kinds import SHOWS_AFTER, told_as
from sensors_sim.truth import (
    AFTERMATH_US,
    EVENT_ROLES,
    FAULT_ROLES,
    SHOWN_READINGS,
    Episode,
    Fault,
    FaultKind,
    Silence,
    Truth,
)

GRACE_US = 30 * US_PER_SECOND
"""On top of two readings of the slowest sensor: how much later than the truth's limit an event may be opened."""

SAYS_SOMETHING = (Nature.EVENT, Nature.FAULT)


def keep_score(
    truth: Truth,
    events: Sequence[GridEvent],
    tickets: Sequence[FaultTicket],
    intervals: Mapping[str, float],
    city: City | None = None,
) -> Score:
    """Match cases (with their alarms) to the truth by sensor and time.

    A case belongs to an episode or fault when one of its alarms sits on a sensor that could see it, and both began no
    earlier than it did, nor the case AFTERMATH_US later than it ended; where it could belong to several episodes, to
    those of its own category. The right person is the one on duty where the sensor stands that spoke first. It is in
    time within two readings of the slowest sensor over its limit (and GRACE_US) after the truth's limit. A grid event
    for a broken sensor, or a ticket for a sensor that saw a real event, is false; so is the alarm of a sensor that the
    truth does not name, inside an event that is right. What one silence of many sensors made is not false, but counted
    as its own. A fault shows once its sensor was due to send SHOWS_AFTER readings with it in the run, an episode once a
    sensor that could see it was due to send SHOWN_READINGS of it and was not kept from it; what does not show and is
    not told counts neither way.

    intervals: seconds between two readings of a sensor, by its id (see ``intervals_of``). city: whose roster tells who
    was on duty when a case was opened; without it, it is whoever the truth names.
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
    bench = _Bench(truth, intervals, city, _shifts(city), _mistaken(truth, lone_events, lone_tickets), _away(truth))
    return Score(
        tuple(_episode_found(number, matched, bench) for number in range(len(truth.episodes))),
        tuple(_fault_found(number, broken[number], bench) for number in range(len(truth.faults))),
        tuple((event.code, _sensors(event)) for event in lone_events),
        tuple((ticket.code, (ticket.sensor_id,)) for ticket in lone_tickets),
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


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every judgement needs.

    shifts: the city's roster by grid. mistaken: codes of the cases of the other sort, by episode and by fault. away: of
    each sensor that ever was, from when to when nothing of what it measured was delivered.
    """

    truth: Truth
    intervals: Mapping[str, float]
    city: City | None
    shifts: Mapping[str, Sequence[Shift]]
    mistaken: tuple[list[tuple[str, ...]], list[tuple[str, ...]]]
    away: Mapping[str, Sequence[tuple[int, int]]]

    def shows(self, episode: Episode) -> bool:
        """Whether a sensor that could see it had the time for SHOWN_READINGS of it, in the run and not away."""
        from_us, to_us = max(episode.from_us, self.truth.start_us), min(episode.to_us, self.truth.end_us)
        for sensor in episode.sensors:
            sent_us = _left_us(self.away.get(sensor, ()), from_us, to_us)
            if 0 < sent_us >= SHOWN_READINGS * self.intervals.get(sensor, 0.0) * US_PER_SECOND:
                return True
        return False

    def on_duty(self, grid: str, at_us: int, roles: tuple[Role, ...], otherwise: str | None) -> str | None:
        """Who should have been called at a time: as ``sensors_sim.truth.on_duty``, the roster sorted by grid before."""
        if self.city is None or grid not in self.city.grids:
            return otherwise
        local = to_datetime(at_us).astimezone(self.city.timezone)
        for node in self.city.upwards(grid):
            here = [shift for shift in self.shifts.get(node.code, ()) if shift.covers(local)]
            for role in roles:
                for shift in here:
                    if shift.role is role:
                        return shift.worker
        return CENTRE

    def grid_of(self, sensor: str, otherwise: str) -> str:
        """The grid of a sensor."""
        if self.city is None or sensor not in self.city.sensor_index:
            return otherwise
        return self.city.columns.grid[self.city.sensor_index[sensor]]


def _away(truth: Truth) -> dict[str, list[tuple[int, int]]]:
    """What is kept and sent when the network is back was delivered, if that was within the run."""
    found: dict[str, list[tuple[int, int]]] = {}
    for fault in truth.faults:
        if fault.kind is FaultKind.SILENT:
            found.setdefault(fault.sensor, []).append((fault.from_us, fault.to_us))
    for silence in truth.silences:
        if not silence.keeps or silence.to_us >= truth.end_us:
            for sensor in silence.sensors:
                found.setdefault(sensor, []).append((silence.from_us, silence.to_us))
    return found


def _left_us(taken: Iterable[tuple[int, int]], from_us: int, to_us: int) -> int:
    """How much of a span is left beside others.

    >>> _left_us([(40, 60), (50, 70), (95, 200)], 0, 100)
    65
    """
    left, until = 0, from_us
    for begin, end in sorted(taken):
        left += max(0, min(begin, to_us) - until)
        until = max(until, end)
    return left + max(0, to_us - until)


def _shifts(city: City | None) -> dict[str, list[Shift]]:
    found: dict[str, list[Shift]] = {}
    for shift in city.roster if city is not None else ():
        found.setdefault(shift.grid, []).append(shift)
    return found


def _mistaken(
    truth: Truth, events: Iterable[GridEvent], tickets: Iterable[FaultTicket]
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The tickets that an episode made, and the grid events that a fault made, of those that nothing else explains."""
    told: dict[str, list[tuple[int, str]]] = {}
    for event in events:
        for sensor in {alarm.sensor_id for alarm in event.alarms}:
            told.setdefault(sensor, []).append((event.opened_us, event.code))
    mended: dict[str, list[tuple[int, str]]] = {}
    for ticket in tickets:
        mended.setdefault(ticket.sensor_id, []).append((ticket.opened_us, ticket.code))

    def within(cases: Iterable[tuple[int, str]], one: Episode | Fault) -> list[str]:
        return [code for opened_us, code in cases if one.from_us <= opened_us <= one.to_us + AFTERMATH_US]

    of_episodes = [
        tuple(code for sensor in episode.sensors if sensor in mended for code in within(mended[sensor], episode))
        for episode in truth.episodes
    ]
    return of_episodes, [tuple(within(told.get(fault.sensor, ()), fault)) for fault in truth.faults]


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


def _sensors(case: GridEvent) -> tuple[str, ...]:
    return tuple(dict.fromkeys(alarm.sensor_id for alarm in case.alarms))


def _episode_found(number: int, matched: _Matched, bench: _Bench) -> Found:
    truth = bench.truth
    episode, events, joined = truth.episodes[number], matched.opened[number], matched.joined[number]
    first = events[0] if events else None
    expected = episode.responsible
    if first is not None:
        spoke = min(first.alarms, key=lambda alarm: alarm.id).sensor_id
        named = episode.responsible_at.get(spoke, expected)
        expected = bench.on_duty(bench.grid_of(spoke, first.grid), first.opened_us, EVENT_ROLES, named)
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
        in_time=first is not None and _in_time(first, episode, bench.intervals),
        grave_enough=first is not None and (episode.severity is None or first.severity <= episode.severity),
        name=episode.name,
        happening=episode.kind,
        late_s=_beyond(first, episode.limit_us),
        right_department=episode.department is None or (first is not None and first.department == episode.department),
        department=episode.department or "",
        reported_to=(first.department or "") if first else "",
        joined=tuple(event.code for event in joined),
        mistaken=bench.mistaken[0][number],
        shared_with=tuple(others),
        shown=bench.shows(episode),
    )


def _beyond(first: GridEvent | None, limit_us: int | None) -> float | None:
    return None if first is None or limit_us is None else (first.opened_us - limit_us) / US_PER_SECOND


def _fault_found(number: int, tickets: Sequence[FaultTicket], bench: _Bench) -> Found:
    truth, fault = bench.truth, bench.truth.faults[number]
    first = tickets[0] if tickets else None
    expected = fault.responsible
    if first is not None:
        expected = bench.on_duty(fault.grid, first.opened_us, FAULT_ROLES, expected)
    conditions = tuple(dict.fromkeys(alarm.condition for alarm in first.alarms)) if first else ()
    lasted_s = (min(fault.to_us, truth.end_us) - fault.from_us) / US_PER_SECOND
    return Found(
        kind=fault.kind.value,
        sensors=(fault.sensor,),
        opened=tuple(ticket.code for ticket in tickets),
        delay_s=(first.opened_us - fault.from_us) / US_PER_SECOND if first else None,
        right_person=first is not None and first.line[0].worker == expected,
        right_category=any(told_as(fault.kind, condition) for condition in conditions),
        expected=expected or "",
        called=first.line[0].worker if first else "",
        name=fault.sensor,
        happening=fault.kind.value,
        mistaken=bench.mistaken[1][number],
        shown=lasted_s >= SHOWS_AFTER * bench.intervals.get(fault.sensor, 0.0),
        conditions=conditions,
    )
