"""What is said of a run: what became of each thing that happened, and what was opened for nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from detectors.model import Condition
from sensors_sim.truth import Silence


class Outcome(StrEnum):
    """What became of a thing that happened, and why it is not right: the first of these that applies."""

    NOT_SHOWN = "not_shown"  # it could not be seen in the readings of the run; counts neither way
    MISSED = "missed"
    MISTAKEN = "mistaken"  # an event was told as a fault of its sensors, or a fault as a grid event
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
    department, reported_to: who should have been called in, who was (ids). mistaken: codes of fault tickets for
    an episode's sensors, of grid events for a faulty one. joined: codes of cases that were opened before it, and took
    its alarms in. shared_with: names of what else its cases speak of. shown: whether it could be seen. conditions: of
    the alarms in the first case, for a fault.
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
    mistaken: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    shown: bool = True
    conditions: tuple[Condition, ...] = ()

    @property
    def right(self) -> bool:
        """Exactly one case, for the right people, under the right name, in time and no milder than it was."""
        return self.outcome is Outcome.RIGHT

    @property
    def told(self) -> bool:
        """Whether anybody was told of it as what it was."""
        return bool(self.opened or self.joined)

    @property
    def outcome(self) -> Outcome:
        """See ``Outcome``."""
        if not self.told:
            return Outcome.MISTAKEN if self.mistaken else Outcome.MISSED if self.shown else Outcome.NOT_SHOWN
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
    false_events: tuple[tuple[str, tuple[str, ...]], ...]
    false_tickets: tuple[tuple[str, tuple[str, ...]], ...]
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
        """How many somebody was told of, as what they were."""
        return self.shown - self.by[Outcome.MISSED] - self.by[Outcome.MISTAKEN]
