"""What the dashboard needs of the rooms below it. The composition root plugs the real parts in; tests plug fakes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alerting.model import Alarm, EventState, FaultTicket, GridEvent, TicketState, TrailEntry
from config.city import City
from config.clock import Clock, SystemClock
from config.settings import DashboardSettings
from config.vocabulary import Category, Language, Severity
from ingest.model import Series


class Cases(Protocol):
    """The ledger as readers see it. Calls block; make them from a worker thread. Newest first; ``before`` pages on."""

    def events(
        self,
        *,
        states: Sequence[EventState] = (),
        category: Category | None = None,
        worst: Severity | None = None,
        grids: Sequence[str] = (),
        before: int | None = None,
        limit: int = 100,
    ) -> list[GridEvent]:
        """Grid events with id < before, without their alarms; every filter left out lets all through.

        worst: only events of this severity or graver. grids: only events in one of these grid codes.
        """
        ...

    def event(self, event_id: int) -> GridEvent | None:
        """One grid event with its alarms."""
        ...

    def alarms(
        self, *, standing: bool | None = None, sensor_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[Alarm]:
        """Alarms with id < before. standing: True for uncleared ones only, False for cleared ones only."""
        ...

    def tickets(
        self, *, states: Sequence[TicketState] = (), before: int | None = None, limit: int = 100
    ) -> list[FaultTicket]:
        """Fault tickets with id < before, without their alarms."""
        ...

    def ticket(self, ticket_id: int) -> FaultTicket | None:
        """One fault ticket with its alarms."""
        ...

    def worst_open_by_grid(self) -> Mapping[str, tuple[Severity, int]]:
        """(worst severity, number of events) of the events not closed, by the code of their grid."""
        ...

    def trail(self, *, after: int = 0, limit: int = 500, event_id: int | None = None) -> list[TrailEntry]:
        """Trail entries with id > after, oldest first; with event_id, those about that event and its alarms."""
        ...

    def feed(self, *, after: int = 0, limit: int = 100) -> list[tuple[TrailEntry, GridEvent | FaultTicket | None]]:
        """Trail entries with id > after, oldest first, each with its event or ticket (without the alarms)."""
        ...

    def last_trail_id(self) -> int:
        """Id of the newest trail entry, 0 where there is none."""
        ...


class CommandDoor(Protocol):
    """The one door by which people change cases. Calls block.

    Every call raises ``alerting.commands.CommandRefused`` with a named reason where it cannot be done
    (no such case, not in a state for it, no such worker, empty note).
    """

    def acknowledge(self, event_id: int, *, actor: str, now_us: int) -> GridEvent:
        """Somebody takes the event: DISPATCHED becomes ACCEPTED. Repeating it by the same actor changes nothing."""
        ...

    def assign(self, event_id: int, worker: str, *, actor: str, now_us: int) -> GridEvent:
        """Give the event to another worker, who is told; it is DISPATCHED again."""
        ...

    def note(self, event_id: int, text: str, *, actor: str, now_us: int) -> GridEvent:
        """Write something down (1 to 2,000 characters)."""
        ...

    def close(self, event_id: int, *, actor: str, now_us: int, note: str = "") -> GridEvent:
        """The case is finished."""
        ...

    def acknowledge_ticket(self, ticket_id: int, *, actor: str, now_us: int) -> FaultTicket:
        """Maintenance takes the ticket."""
        ...

    def close_ticket(self, ticket_id: int, *, actor: str, now_us: int, note: str = "") -> FaultTicket:
        """The device is mended."""
        ...


class Accounts(Protocol):
    """Local sign-in. Calls block (a password check costs about 30 ms on purpose)."""

    def sign_in(self, name: str, password: str, *, now_us: int, source: str = "") -> str | None:
        """A new session's secret token, or None where name and password do not fit, or must wait.

        source: the address it comes from; tries from elsewhere do not make a name wait.
        """
        ...

    def account_of(self, token: str, *, now_us: int) -> str | None:
        """The account's name while the session lasts."""
        ...

    def sign_out(self, token: str) -> None:
        """End the session."""
        ...


class Readings(Protocol):
    """Kept readings."""

    async def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """See ``ingest.store.Store.series``."""
        ...


@dataclass(frozen=True, slots=True)
class LastValues:
    """Last good reading of every sensor as columns by sensor index. event_us is 0 where there was none yet.

    offset_s: how far the clock of the sensor's device is behind ours, seconds; negative: ahead; NaN: not known.
    """

    event_us: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    silent: npt.NDArray[np.bool_]
    offset_s: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Health:
    """How the daemon does. parts: name of a part to ("ok" or what ails it). counters: name to count since start.

    behind_s: for how long readings wait until they are judged, seconds; 0 while we keep up. waiting: readings that are
    safe on disk and not in the store yet.
    """

    ok: bool
    parts: Mapping[str, str]
    counters: Mapping[str, int]
    behind_s: float = 0.0
    waiting: int = 0


class Bell(Protocol):
    """Rings whenever the trail has grown."""

    async def wait(self, after: int, timeout_s: float) -> int:
        """Return the newest trail id as soon as it is greater than ``after``, or after timeout_s whatever it is."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the dashboard is plugged into.

    clock: the daemon's, which a replay may drive. session_clock: the people's own: a sign-in lasts its hours in
    real life, however fast history is replayed.
    """

    city: City
    clock: Clock
    settings: DashboardSettings
    language: Language
    cases: Cases
    commands: CommandDoor
    accounts: Accounts
    readings: Readings
    last_values: Callable[[], LastValues]
    health: Callable[[], Health]
    bell: Bell
    session_clock: Clock = field(default_factory=SystemClock)
