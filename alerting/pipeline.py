"""The alert path: verdicts in, alarms, grid events, fault tickets and pushes out, in one transaction per call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlalchemy import func, select

from alerting import retire, stages, tables
from alerting.events import OVER_TICKET_CLOSES_US
from alerting.ledger import Ledger
from alerting.responsible import Duty
from alerting.work import Work
from config.city import City
from detectors.model import Verdict

STAGES: tuple[Callable[[Work], None], ...] = (
    stages.judge_verdicts,  # verdict > alarm raised, changed, cleared, or nothing (told before, older)
    stages.file_events,  # something is wrong with the world > the open event it belongs to, or a new one
    stages.file_tickets,  # something is wrong with the sensor > its open fault ticket, or a new one
    stages.weigh_events,  # severity, over or not, who is told
    stages.weigh_tickets,  # over or not, who is told
    stages.close_what_stays_over,  # tickets of sensors that have been well for an hour
    stages.keep_alarms,  # into the ledger, with the trail and the outbox
)
"""What happens to verdicts, in this order. Nothing between them and the outbox holds back a life-safety alarm."""

_NEVER_US = 2**62


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call did, counted. ignored: verdicts that changed nothing, by reason."""

    raised: int = 0
    changed: int = 0
    cleared: int = 0
    events_opened: int = 0
    tickets_opened: int = 0
    tickets_closed: int = 0
    told: int = 0
    ignored: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


_NOTHING = Outcome()


class Pipeline:
    """Takes the verdicts of the detectors into the ledger.

    Calls block (about one disk synchronisation) and may come from any thread; with nothing to do they cost nothing.
    The same verdict again changes nothing, so a call that failed is simply made again.
    """

    def __init__(self, ledger: Ledger, city: City) -> None:
        self._ledger = ledger
        self._city = city
        self._duty = Duty(city)
        self._tickets_due_us = self._next_ticket_due()

    def handle(self, verdicts: Sequence[Verdict], now_us: int, judged: tuple[str, int] | None = None) -> Outcome:
        """Take verdicts in their order. now_us: wall time of the decision.

        judged: (lane, position in its spool) up to which its readings have spoken with this call; kept in the same
        transaction, so that after a crash nothing is filed twice and nothing is left out.

        Raises LedgerUnavailableError, with nothing of the call kept.
        """
        if not verdicts and not self.due(now_us):
            return _NOTHING
        with self._ledger.write() as transaction:
            work = Work(verdicts, now_us, transaction, self._city, self._duty)
            for stage in STAGES:
                stage(work)
            if judged is not None:
                transaction.judged(*judged)
        if work.tickets or now_us >= self._tickets_due_us:
            self._tickets_due_us = self._next_ticket_due()
        return _outcome(work)

    def retire_missing(self, now_us: int) -> Outcome:
        """End the alarms of sensors that are no longer in the city; to be called at the start, before verdicts come.

        Their events and tickets become over where nothing else stands. Called again it does nothing. Raises
        LedgerUnavailableError, with nothing of the call kept.
        """
        with self._ledger.write() as transaction:
            work = Work((), now_us, transaction, self._city, self._duty)
            retire.retire(work, retire.missing(work))
        self._tickets_due_us = self._next_ticket_due()
        return _outcome(work)

    def due(self, now_us: int) -> bool:
        """Whether something is to be done without any verdict: a ticket has been over for its time."""
        return now_us >= self._tickets_due_us

    def _next_ticket_due(self) -> int:
        columns = tables.fault_tickets.c
        with self._ledger.read() as connection:
            query = select(func.min(columns.over_us)).where(columns.closed_us.is_(None))
            over_us: int | None = connection.execute(query).scalar_one()
        return _NEVER_US if over_us is None else over_us + OVER_TICKET_CLOSES_US


def _outcome(work: Work) -> Outcome:
    counts = dict(work.counts)
    return Outcome(
        raised=counts.pop("raise", 0),
        changed=counts.pop("change", 0),
        cleared=counts.pop("clear", 0),
        events_opened=counts.pop("events_opened", 0),
        tickets_opened=counts.pop("tickets_opened", 0),
        tickets_closed=counts.pop("tickets_closed", 0),
        told=work.told,
        ignored=MappingProxyType(counts),
    )
