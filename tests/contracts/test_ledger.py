"""What the dashboard's ports promise, held against the real ledger, commands, accounts and bell."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, delete, insert, text, update
from sqlalchemy.event import listen
from sqlalchemy.exc import IntegrityError

from alerting import audit, tables
from alerting.accounts import Accounts
from alerting.bell import Bell
from alerting.commands import Commands
from alerting.ledger import Ledger, LedgerOutdatedError, LedgerUnavailableError
from alerting.model import Action, EventState, Subject, TicketState
from alerting.pipeline import Pipeline
from config.city import City
from config.errors import ConfigurationError, PermanentError, RetryableError
from config.vocabulary import Category, Severity
from dashboard_api import ports
from detectors.model import Condition, Nature, Phase
from tests.alerting import support
from tests.alerting.conftest import city, commands, ledger, pipeline
from tests.alerting.support import NOON_US, SECOND_US, cleared, verdict

__all__ = ["city", "commands", "ledger", "pipeline"]  # fixtures of the room, used here too


def fit(cases: Ledger, door: Commands, accounts: Accounts, bell: Bell) -> None:
    """Never called: the type checker holds each part against its port here."""
    one: ports.Cases = cases
    two: ports.CommandDoor = door
    three: ports.Accounts = accounts
    four: ports.Bell = bell
    assert one, (two, three, four)


@pytest.fixture
def full(pipeline: Pipeline, ledger: Ledger, commands: Commands) -> Ledger:
    """Events: 1 gas G1 closed, 2 air G1 accepted, 3 air G2 joined to 2, 4 tilt G1; tickets 1 closed, 2 open."""
    pipeline.handle([verdict(0)], NOON_US)
    pipeline.handle([verdict(3, severity=Severity.GENERAL), verdict(4, severity=Severity.LARGER)], NOON_US + 1)
    pipeline.handle([verdict(5, severity=Severity.EXTREME)], NOON_US + 2)
    fault = {"condition": Condition.STUCK, "nature": Nature.FAULT, "severity": Severity.GENERAL}
    pipeline.handle([verdict(6, **fault), verdict(7, **fault)], NOON_US + 3)  # type: ignore[arg-type] # keywords
    pipeline.handle([cleared(verdict(5), NOON_US + SECOND_US)], NOON_US + SECOND_US)
    commands.close(1, actor="admin", now_us=NOON_US + 4)
    commands.acknowledge(2, actor="admin", now_us=NOON_US + 4)
    commands.close_ticket(1, actor="admin", now_us=NOON_US + 4)
    return ledger


def test_the_feed_is_the_trail_with_every_case_as_it_stands(full: Ledger) -> None:
    found = full.feed(limit=1000)
    assert [entry for entry, _ in found] == full.trail(limit=1000)
    events, tickets = {one.id: one for one in full.events()}, {one.id: one for one in full.tickets()}
    cases: dict[Subject, Mapping[int, object]] = {Subject.EVENT: events, Subject.TICKET: tickets}
    assert [case for _, case in found] == [cases.get(entry.subject, {}).get(entry.subject_id) for entry, _ in found]
    assert {type(case).__name__ for _, case in found} == {"GridEvent", "FaultTicket", "NoneType"}
    assert full.feed(after=4, limit=3) == found[4:7]
    assert full.feed(after=10**6) == []


def test_events_come_newest_first_and_page_backwards(full: Ledger) -> None:
    assert [event.id for event in full.events()] == [3, 2, 1]
    assert [event.id for event in full.events(limit=2)] == [3, 2]
    assert [event.id for event in full.events(before=3)] == [2, 1]
    assert all(event.alarms == () and event.line for event in full.events())


def test_events_are_filtered_by_state_category_severity_and_grid(full: Ledger) -> None:
    assert [event.id for event in full.events(states=[EventState.DISPATCHED, EventState.ACCEPTED])] == [3, 2]
    assert [event.id for event in full.events(category=Category.AIR_POLLUTION)] == [2]
    assert [event.id for event in full.events(worst=Severity.MAJOR)] == [3, 1]
    assert [event.id for event in full.events(grids=["G1"])] == [3, 2, 1]
    assert full.events(grids=["G2"]) == []


def test_one_event_comes_with_its_alarms(full: Ledger) -> None:
    event = full.event(2)
    assert event is not None
    assert [alarm.sensor_id for alarm in event.alarms] == ["s3-pm25", "s4-pm25"]
    assert event.severity is Severity.LARGER
    assert full.event(99) is None


def test_alarms_are_filtered_by_standing_and_sensor(full: Ledger) -> None:
    assert [alarm.id for alarm in full.alarms()] == [6, 5, 4, 3, 2, 1]
    assert [alarm.sensor_id for alarm in full.alarms(standing=False)] == ["s5-tilt"]
    assert len(full.alarms(standing=True)) == 5
    assert [alarm.id for alarm in full.alarms(sensor_id="s6-tilt")] == [5]
    assert [alarm.id for alarm in full.alarms(before=3, limit=1)] == [2]


def test_tickets_are_filtered_by_state(full: Ledger) -> None:
    assert [ticket.id for ticket in full.tickets()] == [2, 1]
    assert [ticket.id for ticket in full.tickets(states=[TicketState.OPEN])] == [2]
    assert [ticket.id for ticket in full.tickets(before=2)] == [1]
    ticket = full.ticket(2)
    assert ticket is not None
    assert [alarm.condition for alarm in ticket.alarms] == [Condition.STUCK]
    assert full.ticket(99) is None


def test_the_worst_open_event_of_each_grid(full: Ledger) -> None:
    assert full.worst_open_by_grid() == {"G1": (Severity.EXTREME, 2)}


def test_the_trail_is_read_on_from_any_entry(full: Ledger) -> None:
    trail = full.trail()
    assert [entry.id for entry in trail] == list(range(1, full.last_trail_id() + 1))
    assert full.trail(after=3, limit=2) == trail[3:5]
    about = full.trail(event_id=1)
    assert [entry.action for entry in about] == [Action.ALARM_RAISED, Action.EVENT_OPENED, Action.EVENT_CLOSED]
    assert {(entry.subject, entry.subject_id) for entry in about} == {(Subject.EVENT, 1), (Subject.ALARM, 1)}


def test_an_empty_ledger_answers_too(ledger: Ledger) -> None:
    assert (ledger.events(), ledger.alarms(), ledger.tickets(), ledger.trail()) == ([], [], [], [])
    assert (ledger.last_trail_id(), ledger.worst_open_by_grid(), ledger.open_conditions()) == (0, {}, set())


def test_a_reopened_ledger_answers_the_same(full: Ledger, tmp_path: Path) -> None:
    before = [full.event(number) for number in (1, 2, 3)], full.tickets(), full.alarms(), full.trail()
    again = support.reopen(full, tmp_path)
    assert ([again.event(number) for number in (1, 2, 3)], again.tickets(), again.alarms(), again.trail()) == before
    again.close()


def test_the_migrations_make_exactly_the_tables_of_the_code(ledger: Ledger) -> None:
    with ledger.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_the_trail_cannot_be_altered_shortened_or_written_with_a_gap(full: Ledger, tmp_path: Path) -> None:
    newest = full.last_trail_id()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as raw:
        for statement in ("UPDATE trail SET actor = 'nobody' WHERE id = 1", "DELETE FROM trail WHERE id = 1"):
            with pytest.raises(sqlite3.IntegrityError, match="cannot be altered"):
                raw.execute(statement)
        with pytest.raises(sqlite3.IntegrityError, match="no gaps"):
            raw.execute(
                "INSERT INTO trail SELECT id + 2, at_us, actor, action, subject, subject_id, detail FROM trail "
                "WHERE id = ?",
                (newest,),
            )
    raw.close()
    for change in (update(tables.trail).values(actor="nobody"), delete(tables.trail)):
        with pytest.raises(IntegrityError), full.write() as transaction:
            transaction.connection.execute(change)
    assert audit.check(full) == audit.TrailCheck(entries=newest, newest=newest, missing=0)
    assert audit.check(full).whole


def test_two_uncleared_alarms_of_one_sensor_and_condition_cannot_be_kept(full: Ledger) -> None:
    with full.read() as connection:
        row = dict(connection.execute(tables.alarms.select().where(tables.alarms.c.id == 1)).mappings().one())
    with pytest.raises(IntegrityError), full.write() as transaction:
        transaction.connection.execute(insert(tables.alarms), {**row, "id": 99})
    with full.write() as transaction:
        transaction.connection.execute(insert(tables.alarms), {**row, "id": 99, "cleared_us": NOON_US})


def test_what_is_committed_is_on_disk_and_rows_cannot_point_nowhere(ledger: Ledger) -> None:
    with ledger.read() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    with pytest.raises(IntegrityError), ledger.write() as transaction:
        transaction.connection.execute(insert(tables.event_alarms), {"event_id": 5, "alarm_id": 5})


def test_readers_see_the_ledger_as_it_was_while_a_writer_writes(ledger: Ledger, pipeline: Pipeline) -> None:
    pipeline.handle([verdict(0)], NOON_US)
    newest = ledger.last_trail_id()
    with ledger.write() as transaction:
        transaction.trail(Action.EVENT_NOTE, Subject.EVENT, 1, at_us=NOON_US, actor="admin", text="x")
        transaction.flush()
        assert ledger.last_trail_id() == newest
    assert ledger.last_trail_id() == newest + 1


def test_listeners_hear_of_every_commit_that_grew_the_trail_and_of_no_other(ledger: Ledger, pipeline: Pipeline) -> None:
    heard: list[int] = []
    ledger.subscribe(heard.append)
    pipeline.handle([verdict(0)], NOON_US)
    pipeline.handle([verdict(0)], NOON_US)
    pipeline.handle([verdict(0, Phase.CHANGED, severity=Severity.EXTREME, at_us=NOON_US + 1)], NOON_US)
    assert heard == [2, 4]


def test_an_address_that_keeps_nothing_or_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="keeps nothing"):
        Ledger.open("sqlite://")
    with pytest.raises(ConfigurationError, match=r"ledger\.url"):
        Ledger.open("no address")
    with pytest.raises(ConfigurationError, match="driver"):
        Ledger.open("postgresql+psycopg://user:secret@127.0.0.1/ledger")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Ledger.open("unheardof://somewhere")
    with pytest.raises(LedgerUnavailableError) as failed:
        Ledger.open(f"sqlite:///{tmp_path}/missing/ledger.sqlite")
    assert isinstance(failed.value, RetryableError)


def test_a_ledger_locked_by_another_program_can_be_tried_again(
    ledger: Ledger, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerting.ledger.BUSY_TIMEOUT_MS", 10)
    ledger.close()  # the next connection waits for 10 ms only
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailableError):
        pipeline.handle([verdict(0)], NOON_US)
    other.execute("ROLLBACK")
    other.close()
    assert pipeline.handle([verdict(0)], NOON_US).raised == 1


@pytest.mark.parametrize(
    "change", ["ALTER TABLE alarms DROP COLUMN last_us", "ALTER TABLE notifications RENAME TO others"]
)
def test_tables_of_another_version_are_named_at_once_and_not_tried_again(
    pipeline: Pipeline, tmp_path: Path, change: str
) -> None:
    with sqlite3.connect(tmp_path / "ledger.sqlite") as other:
        other.execute(change)
    other.close()
    with pytest.raises(LedgerOutdatedError, match=r"no such (table|column)|has no column") as failed:
        pipeline.handle([verdict(0)], NOON_US)
    assert isinstance(failed.value, PermanentError)
    assert "restore it from a copy" in str(failed.value)
    with pytest.raises(LedgerOutdatedError, match=r"table (alarms lacks last_us|notifications lacks id)"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")


def test_a_full_disk_can_be_tried_again(ledger: Ledger) -> None:
    def small(connection: sqlite3.Connection, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    listen(ledger._engine, "connect", small)
    ledger.close()  # the next connection cannot grow the file

    def write() -> None:
        with ledger.write() as transaction:
            for _ in range(100):
                transaction.trail(Action.EVENT_NOTE, Subject.EVENT, 1, at_us=NOON_US, actor="admin", text="x" * 2000)

    with pytest.raises(LedgerUnavailableError, match="full"):
        write()
    assert ledger.trail() == []


def test_a_ledger_of_a_newer_version_is_named(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.write() as transaction:
        transaction.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerOutdatedError, match="9999"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")


@pytest.mark.usefixtures("ledger")
def test_a_pool_without_a_free_connection_can_be_tried_again(tmp_path: Path) -> None:
    crowded = Ledger(
        create_engine(f"sqlite:///{tmp_path}/ledger.sqlite", pool_size=1, max_overflow=0, pool_timeout=0.01)
    )
    with crowded.read(), pytest.raises(LedgerUnavailableError, match="every connection is taken"):
        crowded.events()
    crowded.close()


def test_the_city_of_the_tests_is_whole(city: City) -> None:
    assert {sensor.grid for sensor in city.sensors} <= set(city.grids)
