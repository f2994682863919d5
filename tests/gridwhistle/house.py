"""The line with real rooms around it, fed by the test; and a restart of it over the same folder."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from alerting.ledger import Ledger
from alerting.pipeline import Pipeline
from config.city import City
from config.clock import FollowingClock, from_datetime
from config.settings import ClockSettings, IngestSettings, MqttSettings
from detectors.engine import Engine
from gridwhistle.lane import Lane
from gridwhistle.latest import Latest
from gridwhistle.line import Line
from gridwhistle.memory import Memory
from ingest.deadletter import DeadLetter
from ingest.intake import Intake
from ingest.liveness import Liveness
from ingest.model import Message, Messages, ReadingBatch, Series
from ingest.spool import Spool
from tests.support.receiver import FedReceiver

CLOCK = ClockSettings().topic
NINE = "2026-01-29T09:00:00+08:00"
NINE_US = from_datetime(datetime.fromisoformat(NINE))
MEGABYTE = 2**20


class ImpatientClock(FollowingClock):
    """Stands until told; its pauses take no time."""

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        await asyncio.sleep(0)


class FailingStore:
    """Fails as often as it is told to, then keeps."""

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self.failures = list(failures)
        self.kept: list[ReadingBatch] = []

    def prepare(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def write(self, batch: ReadingBatch) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.kept.append(batch)

    def maintain(self, now_us: int) -> None:
        assert now_us > 0
        if self.failures:
            raise self.failures.pop(0)

    def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        raise NotImplementedError

    def count(self) -> int:
        return sum(map(len, self.kept))

    def close(self) -> None:
        pass


class House:
    """Everything behind the receivers. ``again`` is a restart after a kill, ``orderly`` one after a stop."""

    def __init__(
        self, folder: Path, city: City, *, store: FailingStore | None = None, lanes: Sequence[str] = ("bulk",)
    ) -> None:
        self.folder, self.city, self.store = folder, city, store or FailingStore()
        self.clock = ImpatientClock(NINE_US)
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}")
        self.pipeline = Pipeline(self.ledger, city)
        self.engine = Engine(city)
        self.intake = Intake(city, IngestSettings(), MqttSettings().subscriptions, follows_broker=True)
        self.liveness = Liveness(city, IngestSettings(), NINE_US)
        self.latest = Latest.of(len(city.sensors))
        self.receivers = {name: FedReceiver() for name in lanes}
        self.lanes = [self._lane(name, receiver) for name, receiver in self.receivers.items()]
        self.line = Line(
            city=city,
            clock=self.clock,
            intake=self.intake,
            dead_letters=DeadLetter(folder, city),
            liveness=self.liveness,
            latest=self.latest,
            engine=self.engine,
            pipeline=self.pipeline,
            store=self.store,
            lanes=self.lanes,
            clock_topic=CLOCK,
        )
        self.memory = Memory(
            folder, city, self.clock, self.engine, self.intake, self.liveness, self.lanes, published_clock=True
        )
        self.resumed_us = self.memory.resume(self.ledger, self.pipeline, self.latest)

    def _lane(self, name: str, receiver: FedReceiver) -> Lane:
        folder = self.folder / "spool" / name
        spool = Spool(folder, self.city, max_bytes=16 * MEGABYTE, segment_bytes=MEGABYTE)
        return Lane(name, receiver, spool, self.folder / f"stored-{name}")

    @property
    def receiver(self) -> FedReceiver:
        return self.receivers[self.lanes[0].name]

    async def take(self, *messages: Message, lane: int = 0) -> None:
        await self.line.take(self.lanes[lane], Messages.of(messages))

    async def carry(self, *messages: Message) -> None:
        """Take messages and wait until they are stored."""
        async with asyncio.timeout(10):
            storing = asyncio.create_task(self.line.keep_storing(self.lanes[0]))
            await self.take(*messages)
            await self.line.drained()
            storing.cancel()

    def killed(self) -> None:
        """As the power cut would: nothing is written down any more."""
        for lane in self.lanes:
            lane.spool.close()
        self.ledger.close()
        self.line.close()

    def again(self) -> "House":
        self.killed()
        return House(self.folder, self.city, lanes=list(self.receivers))


def message(topic: str, payload: bytes = b"{}", received_us: int = NINE_US) -> Message:
    return Message(topic, payload, received_us=received_us)


def tick(moment: str) -> Message:
    return message(CLOCK, json.dumps({"time": moment}).encode())


def reading(sensor_id: str, value: float, second: float = 0.0) -> Message:
    payload = json.dumps({"id": sensor_id, "t": NINE_US / 1e6 + second, "v": value}).encode()
    return message("gridwhistle/readings/x", payload)


def methane(city: City, number: int = 0) -> str:
    return [sensor.id for sensor in city.sensors if sensor.quantity == "ch4"][number]
