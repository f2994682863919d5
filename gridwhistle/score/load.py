"""What a run asked of people: how often each was called, how many events each got, and floods of alarms. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from alerting.model import CENTRE
from alerting.reports import Records
from alerting.rows import local_day
from config.city import City
from config.clock import US_PER_SECOND
from detectors.model import Condition
from sensors_sim.truth import Truth

FLOOD_ALARMS = 10
"""So many new alarms within FLOOD_US for one operator are a flood (ISA-18.2, EEMUA 191)."""

FLOOD_US = 600 * US_PER_SECOND

FLOOD_SHARE = 0.01
"""Of the time, at most, may be flood (ISA-18.2's target)."""

TALKERS = 10
TALKERS_SHARE = 0.05
"""Of all alarms, at most, may come from the TALKERS most frequent ones (ISA-18.2)."""

SENSIBLE_EVENTS = 8
"""Events that a grid worker can sensibly handle in a day."""


@dataclass(frozen=True, slots=True)
class Flood:
    """New alarms for one operator.

    minutes: of flood; share: of the run's time, 0 to 1; peak: most within FLOOD_US, first reached at peak_us (None
    without any).
    """

    alarms: int
    minutes: float
    share: float
    peak: int
    peak_us: int | None


@dataclass(frozen=True, slots=True)
class Spread:
    """A count for each of some people: their number, the median, the 95th percentile, the most, and of whom."""

    people: int
    total: int
    median: float
    p95: float
    most: int
    busiest: str


@dataclass(frozen=True, slots=True)
class Talker:
    """One condition of one sensor, and how often its alarm was raised."""

    sensor: str
    condition: Condition
    alarms: int


@dataclass(frozen=True, slots=True)
class Load:
    """pushes: to each worker who was called at all, the command centre left out; by_worker: the same counts.

    centre_pushes: to the command centre. days: length of the run. events: to each worker on each local day on which
    they got one as the first in line; over_sensible: of these, how many are above SENSIBLE_EVENTS. alarms: all that the
    command centre saw; cases: grid events and tickets in its feed; worst_worker: whoever was flooded worst by pushes.
    talkers: the TALKERS alarms that were raised most often (ISA-18.2 calls them bad actors); talkers_share: what share
    of all alarms they made, 0 to 1. by_cause: pushes by why they were sent.
    """

    days: float
    pushes: Spread
    by_worker: Mapping[str, int]
    centre_pushes: int
    events: Spread
    over_sensible: int
    alarms: Flood
    cases: Flood
    worst_worker: tuple[str, Flood]
    talkers: tuple[Talker, ...] = ()
    talkers_share: float = 0.0
    by_cause: Mapping[str, int] = field(default_factory=dict)


def rates(times_us: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many of these times (ascending) lie within FLOOD_US up to each of them, itself counted."""
    times = np.asarray(times_us, np.int64)
    return np.asarray(np.arange(len(times)) - np.searchsorted(times, times - FLOOD_US, side="right") + 1, np.int64)


def flood(times_us: Iterable[int], from_us: int, to_us: int) -> Flood:
    """How far new alarms at these times were a flood: time stands in flood while the last FLOOD_US hold FLOOD_ALARMS.

    >>> minute = 60_000_000
    >>> flood([minute] * 10, 0, 100 * minute)
    Flood(alarms=10, minutes=10.0, share=0.1, peak=10, peak_us=60000000)
    """
    times = np.sort(np.fromiter(times_us, np.int64))
    rate = rates(times.tolist())
    flooded_us, until = 0, from_us
    for row in np.flatnonzero(rate >= FLOOD_ALARMS).tolist():
        begin = max(int(times[row]), until)
        end = min(int(times[row - FLOOD_ALARMS + 1]) + FLOOD_US, to_us)
        flooded_us += max(0, end - begin)
        until = max(until, end)
    top = int(rate.argmax()) if len(rate) else None
    return Flood(
        len(times),
        flooded_us / US_PER_SECOND / 60,
        flooded_us / max(1, to_us - from_us),
        0 if top is None else int(rate[top]),
        None if top is None else int(times[top]),
    )


def load(truth: Truth, records: Records, city: City) -> Load:
    """What the run asked of people."""
    span = truth.start_us, truth.end_us
    called: dict[str, list[int]] = {}
    for push in records.pushes:
        called.setdefault(push.worker, []).append(push.created_us)
    centre = called.pop(CENTRE, [])
    per_day = Counter(
        (event.responsible.worker, local_day(event.opened_us, city.timezone))
        for event in records.events
        if event.responsible.worker != CENTRE
    )
    floods = {worker: flood(times, *span) for worker, times in called.items()}
    worst = max(floods, key=lambda one: (floods[one].minutes, floods[one].peak, one), default="")
    often = Counter((alarm.sensor_id, alarm.condition) for alarm in records.alarms).most_common(TALKERS)
    by_worker = {worker: len(times) for worker, times in called.items()}
    opened = [event.opened_us for event in records.events] + [ticket.opened_us for ticket in records.tickets]
    return Load(
        days=(truth.end_us - truth.start_us) / US_PER_SECOND / 86_400,
        pushes=_spread(list(by_worker.items())),
        by_worker=dict(sorted(by_worker.items(), key=lambda one: (-one[1], one[0]))),
        centre_pushes=len(centre),
        events=_spread([(worker, count) for (worker, _), count in per_day.items()]),
        over_sensible=sum(count > SENSIBLE_EVENTS for count in per_day.values()),
        alarms=flood((alarm.raised_us for alarm in records.alarms), *span),
        cases=flood(opened, *span),
        worst_worker=(worst, floods[worst] if worst else flood((), *span)),
        talkers=tuple(Talker(sensor, condition, count) for (sensor, condition), count in often),
        talkers_share=sum(count for _, count in often) / max(1, len(records.alarms)),
        by_cause=dict(Counter(push.cause for push in records.pushes).most_common()),
    )


def _spread(counts: Sequence[tuple[str, int]]) -> Spread:
    """Of who got how many; somebody may stand there for several days."""
    if not counts:
        return Spread(0, 0, 0.0, 0.0, 0, "")
    values = [count for _, count in counts]
    most, busiest = max((count, worker) for worker, count in counts)
    return Spread(
        len(values),
        sum(values),
        float(np.median(values)),
        float(np.percentile(values, 95)),
        most,
        busiest,
    )
