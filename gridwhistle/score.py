"""Keep score: what the daemon opened against what really happened. Pure, but for the printing at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from alerting.ledger import Ledger
from alerting.model import FaultTicket, GridEvent
from config.city import City
from config.clock import US_PER_SECOND
from config.texts import text
from config.vocabulary import Language
from detectors.model import Nature
from sensors_sim.truth import Episode, Fault, Truth

GRACE_US = 30 * US_PER_SECOND
"""On top of two readings of the slowest sensor: how much later than the truth's limit an event may be opened."""

AFTERMATH_US = 15 * 60 * US_PER_SECOND
"""A case that begins later than this after the end of an episode has another cause."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one thing that happened.

    kind: a Category of the world or a FaultKind of a sensor, which bears the name of its Condition. sensors: ids of all
    that could see it. opened: codes of the cases opened for it, the first one first. delay_s: from its first effect to
    the first case. right_person, right_category, in_time, grave_enough: of the first case, the last two true where the
    truth sets no limit. expected, called: who should have been, who was.
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

    @property
    def right(self) -> bool:
        """Exactly one case, for the right person, under the right name, in time and no milder than it was."""
        whole = self.right_person and self.right_category and self.in_time and self.grave_enough
        return len(self.opened) == 1 and whole


@dataclass(frozen=True, slots=True)
class Score:
    """What was found, and what was opened for nothing (codes with the sensors that spoke).

    false_alarms: code of a right case, and the sensor whose alarm joined it though nothing happened to it.
    """

    episodes: tuple[Found, ...]
    faults: tuple[Found, ...]
    false_events: tuple[tuple[str, str], ...]
    false_tickets: tuple[tuple[str, str], ...]
    false_alarms: tuple[tuple[str, str], ...] = ()

    @property
    def perfect(self) -> bool:
        """Everything found once and told to the right person, and nothing else opened or raised."""
        return all(found.right for found in (*self.episodes, *self.faults)) and not (
            self.false_events or self.false_tickets or self.false_alarms
        )


def keep_score(
    truth: Truth, events: Sequence[GridEvent], tickets: Sequence[FaultTicket], intervals: Mapping[str, float]
) -> Score:
    """Match cases (with their alarms) to the truth by sensor and time.

    A case belongs to an episode or fault when one of its alarms sits on a sensor that could see it, and both began no
    earlier than it did, nor the case AFTERMATH_US later than it ended; the right person is the one on duty where the
    sensor stands that spoke first. It is in time within two readings of the slowest sensor over its limit (and
    GRACE_US) after the truth's limit. A grid event for a broken sensor, or a ticket for a sensor that saw a real event,
    is false; so is the alarm of a sensor that the truth does not name, inside an event that is right.

    intervals: seconds between two readings of a sensor, by its id (see ``intervals_of``).
    """
    events = sorted(events, key=lambda event: event.id)
    tickets = sorted(tickets, key=lambda ticket: ticket.id)
    mine = {episode.name: [event for event in events if _belongs(event, episode)] for episode in truth.episodes}
    broken = {fault.sensor: [ticket for ticket in tickets if _speaks_of(ticket, fault)] for fault in truth.faults}
    matched_events = {event.id for found in mine.values() for event in found}
    touched = truth.touched()
    matched_tickets = {ticket.id for found in broken.values() for ticket in found}
    return Score(
        tuple(_episode_found(episode, mine[episode.name], intervals) for episode in truth.episodes),
        tuple(_fault_found(fault, broken[fault.sensor]) for fault in truth.faults),
        tuple((event.code, _sensors(event)) for event in events if event.id not in matched_events),
        tuple((ticket.code, ticket.sensor_id) for ticket in tickets if ticket.id not in matched_tickets),
        tuple(
            (event.code, sensor)
            for event in events
            if event.id in matched_events
            for sensor in dict.fromkeys(alarm.sensor_id for alarm in event.alarms if alarm.nature in SAYS_SOMETHING)
            if sensor not in touched
        ),
    )


def intervals_of(city: City) -> dict[str, float]:
    """Seconds expected between two readings, by sensor id."""
    return {sensor.id: sensor.interval_s for sensor in city.sensors}


SAYS_SOMETHING = (Nature.EVENT, Nature.FAULT)


def _belongs(event: GridEvent, episode: Episode) -> bool:
    seen = any(alarm.sensor_id in episode.sensors and alarm.at_us >= episode.from_us for alarm in event.alarms)
    return seen and episode.from_us <= event.opened_us and event.started_us <= episode.to_us + AFTERMATH_US


def _speaks_of(ticket: FaultTicket, fault: Fault) -> bool:
    within = fault.from_us <= ticket.opened_us <= fault.to_us + AFTERMATH_US
    return within and ticket.sensor_id == fault.sensor


def _in_time(event: GridEvent, episode: Episode, intervals: Mapping[str, float]) -> bool:
    if episode.limit_us is None:
        return True
    slowest_s = max((intervals[sensor] for sensor in episode.over_limit), default=0.0)
    return event.opened_us <= episode.limit_us + int(2 * slowest_s * US_PER_SECOND) + GRACE_US


def _sensors(case: GridEvent) -> str:
    return ", ".join(dict.fromkeys(alarm.sensor_id for alarm in case.alarms))


def _episode_found(episode: Episode, events: Sequence[GridEvent], intervals: Mapping[str, float]) -> Found:
    first = events[0] if events else None
    expected = episode.responsible
    if first is not None:
        expected = episode.responsible_at.get(min(first.alarms, key=lambda alarm: alarm.id).sensor_id, expected)
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
    )


def _fault_found(fault: Fault, tickets: Sequence[FaultTicket]) -> Found:
    first = tickets[0] if tickets else None
    return Found(
        kind=fault.kind.value,
        sensors=(fault.sensor,),
        opened=tuple(ticket.code for ticket in tickets),
        delay_s=(first.opened_us - fault.from_us) / US_PER_SECOND if first else None,
        right_person=first is not None and first.line[0].worker == fault.responsible,
        right_category=first is not None and any(alarm.condition.value == fault.kind.value for alarm in first.alarms),
        expected=fault.responsible or "",
        called=first.line[0].worker if first else "",
    )


def _named(sensors: Sequence[str]) -> str:
    """The first of some sensors, and how many more there are."""
    return ", ".join(sensors[:1]) + (f" +{len(sensors) - 1}" if len(sensors) > 1 else "")


PAGE = 500


def cases_of(ledger: Ledger) -> tuple[list[GridEvent], list[FaultTicket]]:
    """Every grid event and fault ticket of a ledger, with their alarms."""
    events: list[GridEvent] = []
    while page := ledger.events(before=events[-1].id if events else None, limit=PAGE):
        events += [whole for event in page if (whole := ledger.event(event.id)) is not None]
    tickets: list[FaultTicket] = []
    while some := ledger.tickets(before=tickets[-1].id if tickets else None, limit=PAGE):
        tickets += [entire for ticket in some if (entire := ledger.ticket(ticket.id)) is not None]
    return events, tickets


def print_score(score: Score, console: Console, language: Language) -> None:
    """Print the score as tables for a person."""

    def say(key: str) -> str:
        return text(f"score.{key}", language)

    table = Table(title=say("title"))
    for column in ("what", "kind", "opened", "delay", "called", "expected", "verdict"):
        table.add_column(say(column), justify="right" if column == "delay" else "left")
    rows = [(found, Nature.EVENT, "category") for found in score.episodes]
    rows += [(found, Nature.FAULT, "condition") for found in score.faults]
    for found, nature, words in rows:
        table.add_row(
            f"{text(f'{words}.{found.kind}', language)}: {_named(found.sensors)}",
            text(f"nature.{nature}", language),
            ", ".join(found.opened) or "-",
            "-" if found.delay_s is None else f"{found.delay_s:.0f} s",
            found.called or "-",
            found.expected or "-",
            say("right" if found.right else "missed" if not found.opened else "wrong"),
        )
    console.print(table)
    for key, false in (
        ("false_events", score.false_events),
        ("false_tickets", score.false_tickets),
        ("false_alarms", score.false_alarms),
    ):
        console.print(f"{say(key)}: {len(false)}" + "".join(f"\n  {code}: {sensors}" for code, sensors in false))
    console.print(say("perfect" if score.perfect else "imperfect"))
