"""What is remembered over a restart, and what is told to be forgotten."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from alerting.ledger import Ledger
from alerting.pipeline import Pipeline
from config.city import City
from config.city_files import EXAMPLE, load_city
from config.clock import US_PER_SECOND, from_datetime
from detectors.engine import Engine
from detectors.snapshot import Snapshot, capture
from gridwhistle.memory import SNAPSHOT_EVERY_US, Memory, clock_of
from ingest.model import ReadingBatch

NOON_US = from_datetime(datetime.fromisoformat("2026-01-29T12:00:00+08:00"))


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(EXAMPLE)


def gas(city: City) -> int:
    return next(sensor.index for sensor in city.sensors if sensor.quantity == "ch4")


def one(sensor: int, second: int, value: float) -> ReadingBatch:
    at_us = NOON_US + second * US_PER_SECOND
    return ReadingBatch.of([sensor], [at_us], [at_us], [value], [0])


class Life:
    """Engine, ledger and memory over one folder; ``again`` is a restart after a kill."""

    def __init__(self, folder: Path, city: City) -> None:
        self.folder, self.city = folder, city
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}")
        self.engine = Engine(city)
        self.memory = Memory(folder, self.engine, published_clock=True)
        self.memory.resume(self.ledger, city)

    def read(self, second: int, value: float, *, file: bool = True) -> None:
        batch = one(gas(self.city), second, value)
        verdicts = self.engine.process(batch, int(batch.received_us[0]))
        if file:
            Pipeline(self.ledger, self.city).handle(verdicts, int(batch.received_us[0]))

    async def keep(self, second: int) -> None:
        async def captured() -> Snapshot:
            return capture(self.engine)

        await self.memory.keep(NOON_US + second * US_PER_SECOND, captured)

    def again(self) -> "Life":
        self.ledger.close()
        return Life(self.folder, self.city)

    def events(self) -> int:
        return len(self.ledger.events())


async def test_a_leak_judged_but_never_filed_is_judged_again_when_its_reading_comes_again(
    tmp_path: Path, city: City
) -> None:
    life = Life(tmp_path, city)
    life.read(0, 61.0, file=False)  # the ledger was locked, then the power failed
    await life.keep(0)
    life = life.again()
    life.read(0, 61.0)
    assert life.events() == 1


async def test_an_alarm_that_ended_after_the_last_snapshot_can_be_raised_again(tmp_path: Path, city: City) -> None:
    life = Life(tmp_path, city)
    life.read(0, 61.0)
    await life.keep(0)
    life.read(10, 1.0)
    life.ledger.close()
    life = Life(tmp_path, city)
    life.read(20, 61.0)
    standing = life.ledger.alarms(standing=True)
    assert [alarm.sensor_id for alarm in standing] == [city.sensors[gas(city)].id]


async def test_an_open_alarm_clears_after_a_restart_without_any_snapshot(tmp_path: Path, city: City) -> None:
    life = Life(tmp_path, city)
    life.read(0, 61.0)
    life = life.again()
    life.read(10, 61.0)
    assert life.events() == 1
    life.read(20, 1.0)
    assert life.ledger.alarms(standing=True) == []


async def test_the_clock_and_the_state_are_written_by_the_daemons_own_time(tmp_path: Path, city: City) -> None:
    life = Life(tmp_path, city)
    await life.keep(0)
    first = (tmp_path / "detectors.npz").stat().st_mtime_ns
    await life.keep(SNAPSHOT_EVERY_US // US_PER_SECOND - 1)
    assert (tmp_path / "detectors.npz").stat().st_mtime_ns == first
    assert clock_of(tmp_path) == NOON_US + SNAPSHOT_EVERY_US - US_PER_SECOND
    await life.keep(SNAPSHOT_EVERY_US // US_PER_SECOND)
    assert (tmp_path / "detectors.npz").stat().st_mtime_ns > first


@pytest.mark.parametrize("content", ["", "noon", "1.5"])
def test_a_damaged_clock_file_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "clock").write_text(content)
    assert clock_of(tmp_path) == 0


async def test_a_disk_that_takes_nothing_stops_nothing_and_is_told(tmp_path: Path, city: City) -> None:
    life = Life(tmp_path, city)
    (tmp_path / "detectors.npz.part").mkdir()
    await life.keep(0)
    assert life.memory.trouble is not None
    (tmp_path / "detectors.npz.part").rmdir()
    await life.keep(100)
    assert life.memory.trouble is None
    await asyncio.to_thread(life.memory.close)
    assert (tmp_path / "detectors.npz").exists()
