"""The way of a batch: cut at ticks, safe before acknowledged, patient with a disk, a ledger or a store that fails."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from alerting.ledger import Ledger, LedgerUnavailableError
from alerting.pipeline import Outcome, Pipeline
from config.city import City
from config.city_files import EXAMPLE, load_city
from config.clock import US_PER_SECOND, FollowingClock
from config.errors import RetryableError
from config.settings import IngestSettings, PayloadFormat, Subscription
from config.vocabulary import Category
from detectors.model import Verdict
from gridwhistle.line import merge
from gridwhistle.ticks import read_tick, segments
from ingest.intake import Intake
from ingest.model import Admission, Messages, ReadingBatch
from ingest.spool import Spool
from ingest.store import StoreRefusedError
from tests.gridwhistle.house import CLOCK, NINE, FailingStore, House, message, methane, reading, tick
from tests.support.daemon import eventually


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(EXAMPLE)


def cut(*messages: object, clock_topic: str | None = CLOCK) -> list[tuple[int | None, list[bytes]]]:
    return [(at, list(part.payloads)) for at, part in segments(Messages.of(messages), clock_topic)]  # type: ignore[arg-type] # messages


class TestCuttingAtTicks:
    def test_readings_before_any_tick_keep_the_present_time(self) -> None:
        assert cut(message("a", b"1"), message("b", b"2")) == [(None, [b"1", b"2"])]

    def test_each_tick_is_moved_to_before_the_readings_that_follow_it(self) -> None:
        first, second = message("a", b"1"), message("b", b"2")
        assert cut(first, tick("1970-01-01T00:00:10Z"), second, tick("1970-01-01T00:00:20Z")) == [
            (None, [b"1"]),
            (10_000_000, [b"2"]),
            (20_000_000, []),
        ]

    def test_ticks_close_together_are_taken_together_at_the_last_of_them(self) -> None:
        ticks = [tick(f"1970-01-01T00:00:{second:02d}Z") for second in (10, 12, 15)]
        first, second, third = message("a", b"1"), message("b", b"2"), message("c", b"3")
        assert cut(ticks[0], first, ticks[1], second, ticks[2], third) == [
            (12_000_000, [b"1", b"2"]),
            (15_000_000, [b"3"]),
        ]

    def test_without_a_published_clock_nothing_is_cut(self) -> None:
        messages = Messages.of([message("a"), tick(NINE), message("b")])
        assert list(segments(messages, None)) == [(None, messages)]

    @pytest.mark.parametrize("payload", [b"", b"{", b"{}", b'{"time": 5}', b'{"time": "2026-01-29T09:00:00"}', b"[]"])
    def test_a_tick_that_cannot_be_read_moves_nothing(self, payload: bytes) -> None:
        assert read_tick(payload) is None
        assert cut(message("a", b"1"), message(CLOCK, payload)) == [(None, [b"1"])]


def test_merging_keeps_every_row_in_order() -> None:
    one, two = (
        ReadingBatch.of([1], [10], [0], [1.0], [0]),
        ReadingBatch.of([2, 3], [20, 30], [0, 0], [2.0, 3.0], [0, 0]),
    )
    assert merge([one, ReadingBatch.empty(), two]).sensor.tolist() == [1, 2, 3]
    assert len(merge([])) == 0


class TestSafeBeforeAcknowledged:
    async def test_a_batch_is_acknowledged_when_it_is_on_disk_whatever_the_store_does(
        self, tmp_path: Path, city: City
    ) -> None:
        house = House(tmp_path, city, store=FailingStore([RetryableError("gone")] * 1000))
        await house.take(reading(methane(city), 1.0))
        assert len(house.receiver.acknowledged) == 1
        assert house.lanes[0].spool.synced == 1
        assert house.lanes[0].unstored == 1

    async def test_nothing_is_acknowledged_while_the_disk_takes_nothing_and_all_of_it_afterwards(
        self, tmp_path: Path, city: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house = House(tmp_path, city)
        seen: list[tuple[int, str | None]] = []

        def failing(spool: Spool, _admission: Admission, _decided_us: int) -> int:
            seen.append((len(house.receiver.acknowledged), house.line.spool_trouble))
            if len(seen) < 4:
                raise RetryableError("the disk is full")
            monkeypatch.undo()
            return spool.append(_admission, _decided_us)

        monkeypatch.setattr(Spool, "append", failing)
        await house.take(reading(methane(city), 1.0))
        assert [acknowledged for acknowledged, _ in seen] == [0, 0, 0, 0]
        assert seen[-1][1] == "the disk is full"
        assert len(house.receiver.acknowledged) == 1
        assert house.line.spool_trouble is None
        assert house.line.counted()["spool_retries"] == 3

    async def test_refused_readings_are_acknowledged_after_they_are_in_the_dead_letter(
        self, tmp_path: Path, city: City
    ) -> None:
        house = House(tmp_path, city)
        await house.carry(message("gridwhistle/readings/x", b"{broken"))
        assert len(house.receiver.acknowledged) == 1
        assert "{broken" in "".join(file.read_text() for file in (tmp_path / "dead-letter").iterdir())
        assert house.lanes[0].spool.end == 0

    async def test_what_a_decoder_asks_for_is_published_on_the_lane_that_its_message_came_by(
        self, tmp_path: Path, city: City
    ) -> None:
        house = House(tmp_path, city, lanes=("bulk", "urgent"))
        plant = Subscription(filter="spBv1.0/#", format=PayloadFormat.SPARKPLUG)
        house.line.intake = Intake(city, IngestSettings(), [plant], follows_broker=True)
        unknown = message("spBv1.0/plant/NDATA/edge", b"\x18\x05")  # seq 5 of a node whose birth nobody heard
        await house.take(unknown, lane=1)
        ((topic, payload),) = house.receivers["urgent"].published
        assert topic == "spBv1.0/plant/NCMD/edge"
        assert b"Node Control/Rebirth" in payload
        await house.take(unknown, lane=0)
        assert house.receivers["bulk"].published == []  # asked once already

    async def test_the_urgent_lane_does_not_wait_for_what_waits_in_the_bulk_lane(
        self, tmp_path: Path, city: City
    ) -> None:
        house = House(tmp_path, city, lanes=("bulk", "urgent"))
        await house.take(reading(methane(city), 61.0), lane=1)
        assert [event.category for event in house.ledger.events()] == [Category.GAS_LEAK]
        assert (house.ledger.judged("urgent"), house.ledger.judged("bulk")) == (1, 0)

    async def test_the_urgent_lane_goes_on_while_the_spool_of_the_bulk_lane_is_full(
        self, tmp_path: Path, city: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house = House(tmp_path, city, lanes=("bulk", "urgent"))
        bulk, urgent = house.lanes
        monkeypatch.setattr(bulk.spool, "has_room", lambda _: False)
        waiting = asyncio.create_task(house.take(reading(methane(city, 1), 1.0), lane=0))
        await eventually(lambda: house.line.spool_trouble is not None, "the full spool is known")
        await house.take(reading(methane(city), 61.0), lane=1)
        assert [event.category for event in house.ledger.events()] == [Category.GAS_LEAK]
        assert (bulk.spool.end, urgent.spool.end) == (0, 1)
        assert house.receivers["bulk"].acknowledged == []
        monkeypatch.undo()
        await waiting
        assert bulk.spool.end == 1
        assert house.line.spool_trouble is None


class TestTheWayIntoTheStore:
    async def test_a_record_that_holds_only_refusals_is_behind_us_like_any_other(
        self, tmp_path: Path, city: City
    ) -> None:
        house = House(tmp_path, city)
        await house.carry(reading(methane(city), -1000.0))
        assert (house.lanes[0].spool.end, house.lanes[0].stored) == (1, 1)

    async def test_a_store_that_cannot_be_reached_is_tried_until_it_can(self, tmp_path: Path, city: City) -> None:
        house = House(tmp_path, city, store=FailingStore([RetryableError("gone"), RetryableError("still gone")]))
        await house.carry(reading(methane(city), 1.0))
        assert house.store.count() == 1
        assert house.line.counted()["store_retries"] == 2
        assert house.line.store_trouble is None

    async def test_what_the_store_refuses_for_ever_is_kept_in_the_dead_letter_and_counted(
        self, tmp_path: Path, city: City
    ) -> None:
        refusal = StoreRefusedError("field type conflict", np.array([1], np.int64))
        house = House(tmp_path, city, store=FailingStore([refusal]))
        first, second = methane(city), methane(city, 1)
        await house.carry(reading(first, 1.0), reading(second, 1.0))
        counted = house.line.counted()
        assert (counted["stored"], counted["store_refused"]) == (1, 1)
        kept = "".join(file.read_text() for file in (tmp_path / "dead-letter").iterdir())
        assert "field type conflict" in kept
        assert second in kept
        assert first not in kept

    async def test_more_than_memory_holds_is_read_from_the_spool_in_order_and_once(
        self, tmp_path: Path, city: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gridwhistle.lane.FRESH_ROWS", 3)
        house = House(tmp_path, city)
        for second in range(10):
            await house.take(reading(methane(city), 1.0, second))
        await house.carry(reading(methane(city), 1.0, 10))
        times = np.concatenate([batch.event_us for batch in house.store.kept])
        assert len(times) == 11
        assert (np.diff(times) == US_PER_SECOND).all()

    async def test_what_was_not_stored_before_a_kill_is_stored_after_it(self, tmp_path: Path, city: City) -> None:
        house = House(tmp_path, city)
        await house.carry(reading(methane(city), 1.0, 0))
        await house.take(reading(methane(city), 2.0, 1))
        house = house.again()
        await house.carry(reading(methane(city), 3.0, 2))
        assert np.concatenate([batch.value for batch in house.store.kept]).tolist() == [2.0, 3.0]


class LockedLedger(Pipeline):
    """A pipeline whose ledger is locked once, for an hour of the line's clock."""

    def __init__(self, ledger: Ledger, house: House) -> None:
        super().__init__(ledger, house.city)
        self._clock = house.clock
        self._locked = True

    def handle(self, verdicts: Sequence[Verdict], now_us: int, judged: tuple[str, int] | None = None) -> Outcome:
        if self._locked:
            self._locked = False
            assert isinstance(self._clock, FollowingClock)
            self._clock.advance(now_us + 3600 * US_PER_SECOND)
            raise LedgerUnavailableError("database is locked")
        return super().handle(verdicts, now_us, judged)


async def test_an_hour_of_locked_ledger_is_no_silence_of_the_devices_and_loses_no_alarm(
    tmp_path: Path, city: City
) -> None:
    house = House(tmp_path, city)
    house.line.pipeline = LockedLedger(house.ledger, house)
    await house.carry(reading(methane(city), 61.0))
    await house.line.beat()
    assert house.line.counted()["ledger_retries"] == 1
    assert house.line.ledger_trouble is None
    assert [event.category for event in house.ledger.events()] == [Category.GAS_LEAK]
    assert house.ledger.tickets() == []


async def test_a_tick_older_than_the_remembered_clock_makes_nobody_silent(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    await house.carry(tick("2026-01-29T08:50:00+08:00"), tick(NINE))
    await house.line.beat()
    assert not house.engine.silent().any()


async def test_the_state_is_not_called_whole_while_something_judged_is_not_filed(tmp_path: Path, city: City) -> None:
    house = House(tmp_path, city)
    filing, free = threading.Event(), threading.Event()

    class Slow(Pipeline):
        def handle(self, verdicts: Sequence[Verdict], now_us: int, judged: tuple[str, int] | None = None) -> Outcome:
            filing.set()
            assert free.wait(10)
            return super().handle(verdicts, now_us, judged)

    house.line.pipeline = Slow(house.ledger, city)
    taking = asyncio.create_task(house.take(reading(methane(city), 61.0)))
    assert await asyncio.to_thread(filing.wait, 10)
    assert not house.line.whole
    looking = asyncio.create_task(house.line.between_batches(lambda: house.line.whole))
    await asyncio.sleep(0)
    assert not looking.done()
    free.set()
    await taking
    assert await looking


async def test_a_leak_that_waited_while_our_disk_was_full_is_told_late_as_it_is(
    tmp_path: Path, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, city)
    await house.take(reading(methane(city), 1.0))

    def after_an_hour(spool: Spool, admission: Admission, decided_us: int) -> int:
        monkeypatch.undo()
        house.clock.advance(house.clock.now_us() + 3600 * US_PER_SECOND)
        return spool.append(admission, decided_us)

    def full(*_: object) -> int:
        monkeypatch.setattr(Spool, "append", after_an_hour)
        raise RetryableError("the disk is full")

    monkeypatch.setattr(Spool, "append", full)
    await house.take(reading(methane(city, 1), 1.0))
    await house.take(reading(methane(city), 61.0, 10))
    assert [event.category for event in house.ledger.events()] == [Category.GAS_LEAK]
