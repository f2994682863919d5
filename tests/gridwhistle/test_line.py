"""The way of a batch: cutting at ticks, newest values, patience with a store that fails."""

import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from alerting.ledger import Ledger, LedgerUnavailableError
from alerting.pipeline import Outcome, Pipeline
from config.city_files import EXAMPLE, load_city
from config.clock import US_PER_SECOND, FollowingClock, from_datetime
from config.errors import RetryableError
from config.settings import ClockSettings, IngestSettings, MqttSettings
from config.vocabulary import Category
from detectors.engine import Engine
from detectors.model import Verdict
from gridwhistle.line import Latest, Line, merge, read_tick, segments
from ingest.deadletter import DeadLetter
from ingest.intake import Intake
from ingest.liveness import Liveness
from ingest.model import Message, Quality, ReadingBatch, Series
from ingest.store import StoreRefusedError

CLOCK = ClockSettings().topic
NINE = "2026-01-29T09:00:00+08:00"


def message(topic: str, payload: bytes = b"{}", token: int = 1) -> Message:
    return Message(topic, payload, received_us=0, token=token)


def tick(moment: str) -> Message:
    return message(CLOCK, json.dumps({"time": moment}).encode())


class TestCuttingAtTicks:
    def test_readings_before_any_tick_keep_the_present_time(self) -> None:
        readings = [message("a"), message("b")]
        assert list(segments(readings, CLOCK)) == [(None, readings)]

    def test_each_tick_is_moved_to_before_the_readings_that_follow_it(self) -> None:
        first, second = message("a"), message("b")
        cut = list(segments([first, tick("1970-01-01T00:00:10Z"), second, tick("1970-01-01T00:00:20Z")], CLOCK))
        assert cut == [(None, [first]), (10_000_000, [second]), (20_000_000, [])]

    def test_ticks_close_together_are_taken_together_at_the_last_of_them(self) -> None:
        first, second, third = message("a"), message("b"), message("c")
        ticks = [tick(f"1970-01-01T00:00:{second:02d}Z") for second in (10, 12, 15)]
        cut = list(segments([ticks[0], first, ticks[1], second, ticks[2], third], CLOCK))
        assert cut == [(12_000_000, [first, second]), (15_000_000, [third])]

    def test_without_a_published_clock_nothing_is_cut(self) -> None:
        messages = [message("a"), tick(NINE), message("b")]
        assert list(segments(messages, None)) == [(None, messages)]

    @pytest.mark.parametrize("payload", [b"", b"{", b"{}", b'{"time": 5}', b'{"time": "2026-01-29T09:00:00"}', b"[]"])
    def test_a_tick_that_cannot_be_read_moves_nothing(self, payload: bytes) -> None:
        assert read_tick(payload) is None
        assert list(segments([message("a"), message(CLOCK, payload)], CLOCK)) == [(None, [message("a")])]


class TestNewestValues:
    def test_the_newest_trusted_reading_of_each_sensor_is_kept_whatever_the_order(self) -> None:
        latest = Latest.of(3)
        latest.see(ReadingBatch.of([0, 1, 0], [30, 10, 20], [0, 0, 0], [3.0, 1.0, 2.0], [0, 0, 0]))
        latest.see(ReadingBatch.of([1, 0], [5, 40], [0, 0], [0.5, 4.0], [Quality.GOOD, Quality.DOUBTFUL]))
        assert latest.event_us.tolist() == [30, 10, 0]
        assert latest.value[:2].tolist() == [3.0, 1.0]
        assert np.isnan(latest.value[2])

    def test_what_was_handed_out_is_not_changed_by_later_readings(self) -> None:
        latest = Latest.of(1)
        before = latest.values()
        latest.see(ReadingBatch.of([0], [1], [0], [7.0], [0]))
        assert np.isnan(before.value[0])


def test_merging_keeps_every_row_in_order() -> None:
    one, two = (
        ReadingBatch.of([1], [10], [0], [1.0], [0]),
        ReadingBatch.of([2, 3], [20, 30], [0, 0], [2.0, 3.0], [0, 0]),
    )
    assert merge([one, ReadingBatch.empty(), two]).sensor.tolist() == [1, 2, 3]
    assert len(merge([])) == 0


class FailingStore:
    """Fails as often as it is told to, then keeps."""

    def __init__(self, failures: list[Exception]) -> None:
        self.failures = failures
        self.kept: list[ReadingBatch] = []

    def prepare(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def write(self, batch: ReadingBatch) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.kept.append(batch)

    def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        raise NotImplementedError

    def count(self) -> int:
        return sum(map(len, self.kept))

    def close(self) -> None:
        pass


class ImpatientClock(FollowingClock):
    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        await asyncio.sleep(0)


class Acknowledgements:
    def __init__(self) -> None:
        self.tokens: list[int] = []

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.tokens += [message.token for message in messages]


def line_over(store: FailingStore, folder: Path, acknowledgements: Acknowledgements) -> Line:
    city = load_city(EXAMPLE)
    clock = ImpatientClock(from_datetime(datetime.fromisoformat(NINE)))
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}")
    return Line(
        city=city,
        clock=clock,
        intake=Intake(city, IngestSettings(), MqttSettings().subscriptions, follows_broker=True),
        dead_letters=DeadLetter(folder, city),
        liveness=Liveness(city, IngestSettings(), clock.now_us()),
        engine=Engine(city),
        pipeline=Pipeline(ledger, city),
        store=store,
        acknowledger=acknowledgements,
        clock_topic=CLOCK,
    )


def reading(line: Line, token: int) -> Message:
    payload = json.dumps({"id": line.city.sensors[0].id, "t": NINE, "v": 1.0}).encode()
    return message("gridwhistle/readings/x", payload, token)


async def carry(line: Line, messages: list[Message]) -> None:
    storing = asyncio.create_task(line.keep_storing())
    await line.take(messages)
    await asyncio.wait_for(line.drained(), 10)
    storing.cancel()


async def test_a_store_that_cannot_be_reached_is_tried_until_it_can_and_only_then_the_broker_is_told(
    tmp_path: Path,
) -> None:
    acknowledged = Acknowledgements()
    store = FailingStore([RetryableError("gone"), RetryableError("still gone")])
    line = line_over(store, tmp_path, acknowledged)
    await carry(line, [reading(line, 7)])
    assert store.count() == 1
    assert acknowledged.tokens == [7]
    assert line.counted()["store_retries"] == 2
    assert line.store_trouble is None


async def test_what_the_store_refuses_for_ever_is_kept_in_the_dead_letter_and_counted(tmp_path: Path) -> None:
    acknowledged = Acknowledgements()
    refusal = StoreRefusedError("field type conflict", np.array([1], np.int64))
    line = line_over(FailingStore([refusal]), tmp_path, acknowledged)
    first, second = line.city.sensors[0].id, line.city.sensors[1].id
    readings = [{"id": first, "t": NINE, "v": 1.0}, {"id": second, "t": NINE, "v": 1.0}]
    await carry(line, [message("gridwhistle/readings/x", json.dumps(readings).encode(), 8)])
    assert acknowledged.tokens == [8]
    counted = line.counted()
    assert (counted["stored"], counted["store_refused"]) == (1, 1)
    kept = "".join(file.read_text() for file in (tmp_path / "dead-letter").iterdir())
    assert "field type conflict" in kept
    assert second in kept
    assert first not in kept


async def test_refused_readings_are_acknowledged_after_they_are_in_the_dead_letter(tmp_path: Path) -> None:
    acknowledged = Acknowledgements()
    line = line_over(FailingStore([]), tmp_path, acknowledged)
    await carry(line, [message("gridwhistle/readings/x", b"{broken", 9)])
    assert acknowledged.tokens == [9]
    assert "{broken" in "".join(file.read_text() for file in (tmp_path / "dead-letter").iterdir())


class LockedLedger(Pipeline):
    """A pipeline whose ledger is locked once, for an hour of the line's clock."""

    def __init__(self, ledger: Ledger, line: Line) -> None:
        super().__init__(ledger, line.city)
        self._clock = line.clock
        self._locked = True

    def handle(self, verdicts: Sequence[Verdict], now_us: int) -> Outcome:
        if self._locked:
            self._locked = False
            assert isinstance(self._clock, FollowingClock)
            self._clock.advance(now_us + 3600 * US_PER_SECOND)
            raise LedgerUnavailableError("database is locked")
        return super().handle(verdicts, now_us)


def leak(line: Line) -> Message:
    sensor = next(sensor for sensor in line.city.sensors if sensor.quantity == "ch4")
    payload = json.dumps({"id": sensor.id, "t": NINE, "v": 61.0}).encode()
    return message("gridwhistle/readings/x", payload)


async def test_an_hour_of_locked_ledger_is_no_silence_of_the_devices_and_loses_no_alarm(tmp_path: Path) -> None:
    line = line_over(FailingStore([]), tmp_path, Acknowledgements())
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'second.sqlite'}")
    line.pipeline = LockedLedger(ledger, line)
    await carry(line, [leak(line)])
    await line.beat()
    assert line.counted()["ledger_retries"] == 1
    assert line.ledger_trouble is None
    assert [event.category for event in ledger.events()] == [Category.GAS_LEAK]
    assert ledger.tickets() == []


async def test_a_tick_older_than_the_remembered_clock_makes_nobody_silent(tmp_path: Path) -> None:
    line = line_over(FailingStore([]), tmp_path, Acknowledgements())
    await carry(line, [tick("2026-01-29T08:50:00+08:00"), tick(NINE)])
    await line.beat()
    assert not line.latest.silent.any()


async def test_the_state_is_not_called_whole_while_something_judged_is_not_filed(tmp_path: Path) -> None:
    line = line_over(FailingStore([]), tmp_path, Acknowledgements())
    filing, free = threading.Event(), threading.Event()

    class Slow(Pipeline):
        def handle(self, verdicts: Sequence[Verdict], now_us: int) -> Outcome:
            filing.set()
            assert free.wait(10)
            return super().handle(verdicts, now_us)

    line.pipeline = Slow(Ledger.open(f"sqlite:///{tmp_path / 'second.sqlite'}"), line.city)
    taking = asyncio.create_task(line.take([leak(line)]))
    assert await asyncio.to_thread(filing.wait, 10)
    assert line.unfiled
    capturing = asyncio.create_task(line.captured())
    await asyncio.sleep(0)
    assert not capturing.done()
    free.set()
    await asyncio.gather(taking, capturing)
    assert not line.unfiled
