"""Whatever verdicts, commands and restarts come in whatever order, some things always hold."""

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import Phase as Effort
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import func, select

from alerting import audit, tables
from alerting.commands import CommandRefused, Commands
from alerting.model import CENTRE, EventState, GridEvent, TicketState
from alerting.pipeline import Outcome, Pipeline
from config.vocabulary import Role, Severity
from detectors.model import Condition, Nature, Phase, Verdict
from tests.alerting import support
from tests.alerting.support import NOON_US, SECOND_US

CITY = support.city()

verdicts = st.builds(
    support.verdict,
    st.sampled_from([0, 1, 2, 8, 9, 10]),
    st.sampled_from(Phase),
    condition=st.sampled_from([Condition.HIGH, Condition.UNUSUAL, Condition.STUCK]),
    nature=st.sampled_from(Nature),
    severity=st.sampled_from(Severity),
)
actors = st.sampled_from(["admin", "other"])
numbers = st.integers(1, 4)


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="gridwhistle-lives-"))
        self.ledger = support.new_ledger(self.folder)
        self.now_us = NOON_US
        self.last: list[Verdict] = []
        self.trail_length = 0
        self.closed: dict[int, GridEvent] = {}
        self._plug_in()

    def _plug_in(self) -> None:
        self.pipeline = Pipeline(self.ledger, CITY)
        self.commands = Commands(self.ledger, CITY)

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    def cases(self) -> tuple[Any, ...]:
        """Everything that is kept of cases, without the trail."""
        kept = [table for table in tables.metadata.sorted_tables if table.name not in {"trail", "alembic_version"}]
        with self.ledger.read() as connection:
            return tuple(connection.execute(select(table)).all() for table in kept)

    @rule(batch=st.lists(verdicts, min_size=1, max_size=4), seconds=st.sampled_from([1, 60, 1000, 4000]))
    def verdicts_come(self, batch: list[Verdict], seconds: int) -> None:
        self.now_us += seconds * SECOND_US
        self.last = [replace(one, at_us=self.now_us, since_us=self.now_us) for one in batch]
        self._handle(self.last)

    @rule()
    def the_same_come_again(self) -> None:
        """Told once more, whole: what they say last about each condition holds already."""
        newest = {(one.sensor, one.condition): one for one in self.last}
        before = self.cases(), self.ledger.last_trail_id()
        self.pipeline.handle(list(newest.values()), self.now_us)
        assert (self.cases(), self.ledger.last_trail_id()) == before

    @rule(seconds=st.sampled_from([1, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now_us += seconds * SECOND_US
        self._handle([])

    def _handle(self, batch: list[Verdict]) -> None:
        before = self.cases()
        outcome = self.pipeline.handle(batch, self.now_us)
        grown = self.ledger.last_trail_id() - self.trail_length
        if before != self.cases():
            assert grown > 0, "something changed, and the trail does not tell"
        else:
            assert grown == 0
            assert replace(outcome, ignored={}) == Outcome(ignored={})

    @rule(number=numbers, actor=actors)
    def somebody_takes_an_event(self, number: int, actor: str) -> None:
        with contextlib.suppress(CommandRefused):
            assert self.commands.acknowledge(number, actor=actor, now_us=self.now_us).acknowledged_by == actor

    @rule(number=numbers, worker=st.sampled_from(["worker-1", "leader-1", "fitter-1", "nobody", CENTRE]))
    def somebody_assigns_an_event(self, number: int, worker: str) -> None:
        with contextlib.suppress(CommandRefused):
            event = self.commands.assign(number, worker, actor="admin", now_us=self.now_us)
            assert (event.responsible.worker, event.state) == (worker, EventState.DISPATCHED)

    @rule(number=numbers)
    def somebody_closes_an_event(self, number: int) -> None:
        with contextlib.suppress(CommandRefused):
            self.commands.close(number, actor="admin", now_us=self.now_us)

    @rule(number=numbers, close=st.booleans())
    def maintenance_works(self, number: int, close: bool) -> None:
        act = self.commands.close_ticket if close else self.commands.acknowledge_ticket
        with contextlib.suppress(CommandRefused):
            act(number, actor="admin", now_us=self.now_us)

    @rule()
    def the_daemon_restarts(self) -> None:
        before = self.cases(), self.ledger.trail(limit=10_000), self.ledger.open_conditions()
        self.ledger = support.reopen(self.ledger, self.folder)
        self._plug_in()
        assert (self.cases(), self.ledger.trail(limit=10_000), self.ledger.open_conditions()) == before

    @invariant()
    def no_condition_stands_twice(self) -> None:
        columns = tables.alarms.c
        query = select(columns.sensor_id).where(columns.cleared_us.is_(None))
        query = query.group_by(columns.sensor_id, columns.condition).having(func.count() > 1)
        with self.ledger.read() as connection:
            assert connection.execute(query).all() == []

    @invariant()
    def every_case_has_somebody_of_the_right_trade(self) -> None:
        for event in self.ledger.events(limit=1000):
            assert event.line
            assert event.line[-1].worker == CENTRE or event.responsible.worker == CENTRE
            assert Role.MAINTENANCE not in {person.role for person in event.line}
        for ticket in self.ledger.tickets(limit=1000):
            assert {person.role for person in ticket.line} <= {Role.MAINTENANCE, Role.CENTRE}

    @invariant()
    def a_closed_event_never_changes(self) -> None:
        for event in self.ledger.events(states=[EventState.CLOSED], limit=1000):
            assert self.closed.setdefault(event.id, event) == event
        assert {event.id for event in self.ledger.events(states=[EventState.CLOSED], limit=1000)} == set(self.closed)

    @invariant()
    def an_open_event_is_over_exactly_when_nothing_of_it_stands(self) -> None:
        for short in self.ledger.events(states=[EventState.DISPATCHED, EventState.ACCEPTED], limit=1000):
            event = self.ledger.event(short.id)
            assert event is not None
            standing = [one for one in event.alarms if one.cleared_us is None and one.nature is not Nature.FAULT]
            assert event.over is (not standing)
            assert all(not one.severity.worse_than(event.severity) for one in standing)

    @invariant()
    def every_standing_event_alarm_has_an_event_and_each_sensor_one_open_ticket(self) -> None:
        for alarm in self.ledger.alarms(standing=True, limit=1000):
            if alarm.nature is Nature.EVENT:
                assert alarm.event_id is not None
            if alarm.nature is Nature.FAULT:
                assert alarm.ticket_id is not None
        open_tickets = self.ledger.tickets(states=[TicketState.OPEN, TicketState.ACKNOWLEDGED], limit=1000)
        assert len({ticket.sensor_id for ticket in open_tickets}) == len(open_tickets)

    @invariant()
    def the_trail_only_grows_and_has_no_gap(self) -> None:
        found = audit.check(self.ledger)
        assert found.whole
        assert found.newest >= self.trail_length
        self.trail_length = found.newest


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Effort.explicit, Effort.reuse, Effort.generate),  # shrinking a life takes minutes
)
