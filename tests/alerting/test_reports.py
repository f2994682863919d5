"""Everything a ledger holds, read at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, event

from alerting.model import CENTRE
from alerting.reports import records
from tests.support.dashboard import Desk, desk, morning


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of any database meanwhile."""
    asked: list[str] = []

    def hear(*told: object) -> None:
        asked.append(str(told[2]))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def same_as_one_by_one(here: Desk) -> None:
    found = records(here.ledger)
    assert found.events
    assert found.tickets
    assert list(found.events) == [here.ledger.event(one.id) for one in here.ledger.events(limit=500)]
    assert list(found.tickets) == [here.ledger.ticket(one.id) for one in here.ledger.tickets(limit=500)]
    assert list(found.alarms) == here.ledger.alarms(limit=500)[::-1]


async def test_all_at_once_is_the_same_as_one_by_one(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        morning(here)
        same_as_one_by_one(here)


async def test_more_cases_need_no_more_statements(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        here.alarm(here.sensor("ch4"), 30.0)
        with statements() as few:
            records(here.ledger)
        morning(here)
        with statements() as many:
            assert len(records(here.ledger).events) > 3
    assert len(many) == len(few) < 15


async def test_who_is_told_by_several_channels_is_told_once(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        case = here.alarm(here.sensor("ch4"), 30.0)
        pushes = records(here.ledger).pushes
        assert [(push.worker, push.event_id) for push in pushes] == [(case.responsible.worker, case.id)]
        assert pushes[0].worker != CENTRE
