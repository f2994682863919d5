"""What is remembered over a restart: as if it had not been, and nothing told twice."""

import asyncio
import itertools
from pathlib import Path

import pytest

from config.city import City
from config.city_files import EXAMPLE, load_city
from config.clock import US_PER_SECOND, isoformat
from config.errors import RetryableError
from gridwhistle.memory import SNAPSHOT_EVERY_S, clock_of
from ingest.model import Messages
from ingest.spool import Spool
from tests.gridwhistle.house import NINE_US, House, methane, reading, tick


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(EXAMPLE)


def standing(house: House) -> list[str]:
    return [alarm.sensor_id for alarm in house.ledger.alarms(standing=True)]


def remember(house: House) -> None:
    """Take a snapshot now."""
    house.memory.close(house.line)


async def test_a_leak_is_told_once_however_often_the_daemon_is_killed(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.take(reading(methane(city), 61.0))
    for _ in range(3):
        house = house.again()
    await house.take(reading(methane(city), 62.0, 10))
    assert len(house.ledger.events()) == 1
    assert len(house.ledger.alarms()) == 1


async def test_a_leak_spooled_but_never_judged_is_judged_after_the_restart(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    admission = house.intake.admit(Messages.of([reading(methane(city), 61.0)]), NINE_US)
    house.lanes[0].spool.append(admission, NINE_US)
    house.lanes[0].spool.sync()
    house = house.again()
    assert len(house.ledger.events()) == 1
    assert house.ledger.judged("bulk") == 1


async def test_a_redelivered_reading_is_a_duplicate_after_a_kill_too(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.take(reading(methane(city), 1.0))
    house = house.again()
    await house.take(reading(methane(city), 1.0))
    assert house.line.counted()["refused.duplicate"] == 1
    assert house.lanes[0].spool.end == 1
    assert len(house.receiver.acknowledged) == 1


async def test_an_alarm_that_ended_after_the_last_snapshot_can_be_raised_again(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.take(reading(methane(city), 61.0))
    remember(house)
    await house.take(reading(methane(city), 1.0, 10))
    house = house.again()
    assert standing(house) == []
    await house.take(reading(methane(city), 61.0, 20))
    assert standing(house) == [methane(city)]


@pytest.mark.parametrize("snapshot", [True, False])
async def test_the_state_after_a_kill_is_what_it_was_before(tmp_path: Path, city: City, *, snapshot: bool) -> None:
    house = House(tmp_path, city)
    for second in range(0, 300, 10):
        if snapshot and second == 150:
            remember(house)
        await house.take(
            tick(isoformat(NINE_US + second * US_PER_SECOND)),
            *(
                reading(sensor.id, 1.0 + sensor.index % 7 / 10 + second % 30 / 100, second)
                for sensor in city.sensors[:80]
            ),
        )
    before = {
        (owner, name): column.copy()
        for tables in (house.engine.tables(), house.intake.tables())
        for owner, columns in tables
        for name, column in columns.items()
    }
    house = house.again()
    for tables in (house.engine.tables(), house.intake.tables()):
        for owner, columns in tables:
            for name, column in columns.items():
                assert column.tobytes() == before[owner, name].tobytes(), (owner, name)


async def test_an_open_alarm_clears_after_spool_and_snapshot_are_lost(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.take(reading(methane(city), 61.0))
    house.killed()
    for file in (tmp_path / "spool" / "bulk").iterdir():
        file.unlink()
    house = House(tmp_path, city)
    await house.take(reading(methane(city), 61.0, 10))
    assert len(house.ledger.events()) == 1
    await house.take(reading(methane(city), 1.0, 20))
    assert standing(house) == []


async def test_a_damaged_snapshot_costs_the_way_through_the_spool_and_nothing_else(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.take(reading(methane(city), 61.0))
    remember(house)
    (tmp_path / "detectors.npz").write_bytes(b"PK broken")
    house = house.again()
    await house.take(reading(methane(city), 1.0, 10))
    assert standing(house) == []
    assert len(house.ledger.alarms()) == 1


async def test_a_published_clock_is_written_down_when_everything_up_to_it_is_stored(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.take(tick("2026-01-29T09:00:10+08:00"), reading(methane(city), 1.0, 9))
    await house.memory.keep(house.line)
    assert clock_of(tmp_path) == 0
    await house.carry(tick("2026-01-29T09:00:20+08:00"))
    await house.memory.keep(house.line)
    assert clock_of(tmp_path) == NINE_US + 20 * US_PER_SECOND


async def test_a_restart_goes_on_at_the_time_of_the_last_record(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.take(tick("2026-01-29T09:00:10+08:00"), reading(methane(city), 1.0, 9))
    assert house.again().resumed_us == NINE_US + 10 * US_PER_SECOND


@pytest.mark.parametrize("content", ["", "noon", "1.5"])
def test_a_damaged_clock_file_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "clock").write_text(content)
    assert clock_of(tmp_path) == 0


async def test_a_disk_that_takes_no_snapshot_stops_nothing_and_is_told(
    tmp_path: Path, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, city)
    late = itertools.count(house.clock.monotonic() + 2 * SNAPSHOT_EVERY_S, 2 * SNAPSHOT_EVERY_S)
    monkeypatch.setattr(house.clock, "monotonic", lambda: next(late))
    (tmp_path / "detectors.npz.part").mkdir()
    await house.memory.keep(house.line)
    assert house.memory.trouble is not None
    (tmp_path / "detectors.npz.part").rmdir()
    await house.memory.keep(house.line)
    assert house.memory.trouble is None
    assert (tmp_path / "detectors.npz").exists()
    assert not (tmp_path / "detectors.npz.part").exists()


async def test_the_spool_is_let_go_behind_store_and_snapshots(
    tmp_path: Path, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, city)
    released: list[int] = []
    monkeypatch.setattr(house.lanes[0].spool, "release", released.append)
    await house.carry(reading(methane(city), 1.0))
    for turn in range(1, 4):
        later = house.clock.monotonic() + 2 * SNAPSHOT_EVERY_S * turn
        with monkeypatch.context() as patch:
            patch.setattr(house.clock, "monotonic", lambda later=later: later)
            await house.memory.keep(house.line)
    assert released == [0, 1, 1]
    await asyncio.to_thread(house.memory.close, house.line)


async def test_an_orderly_restart_goes_on_at_the_time_of_the_last_tick(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.take(tick("2026-01-29T09:00:10+08:00"), reading(methane(city), 1.0, 9))
    await house.take(tick("2026-01-29T09:00:20+08:00"))
    remember(house)
    assert house.again().resumed_us == NINE_US + 20 * US_PER_SECOND


async def test_what_was_left_in_the_middle_is_never_remembered_as_done(
    tmp_path: Path, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, city)
    trying = asyncio.Event()

    def full(*_: object) -> int:
        trying.set()
        raise RetryableError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append", full)
        taking = asyncio.create_task(house.take(reading(methane(city), 61.0)))
        await trying.wait()
        taking.cancel()
        await asyncio.wait([taking])
    await house.line.beat()
    assert not house.line.whole
    remember(house)
    assert not (tmp_path / "detectors.npz").exists()
    house = house.again()
    await house.take(reading(methane(city), 61.0))
    assert len(house.ledger.events()) == 1
    assert house.lanes[0].spool.end == 1


async def test_a_silence_that_ended_after_the_snapshot_costs_its_sensor_nothing(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    sensor = city.sensor_index[methane(city)]
    await house.take(reading(methane(city), 1.0))
    house.engine.own["silent"][sensor] = True
    remember(house)
    last_us = int(house.engine.latest()[0][sensor])
    house = house.again()
    assert not house.engine.silent()[sensor]
    assert int(house.engine.latest()[0][sensor]) == last_us
