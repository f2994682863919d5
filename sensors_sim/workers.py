"""Simulated workers: they hear what they are told, and accept, go, look, write down, hand on, close, or do nothing.

What they decide is drawn from (seed, worker, code of the case) and is the same in every run; when it is done follows
the published clock. They use only what the command centre lets anybody do, over its own interface.
"""

import asyncio
import heapq
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import aiomqtt
import numpy as np

from config.city import City
from config.clock import US_PER_SECOND, from_datetime, to_datetime
from config.errors import RetryableError
from config.texts import text
from config.vocabulary import Language, LocalText
from sensors_sim.centre import Account, Centre
from sensors_sim.fault_names import fault_name, silence_name
from sensors_sim.publish import Broker
from sensors_sim.truth import AFTERMATH_US, Episode, Fault, Silence, Truth

OWN_NUMBER = 7_919
"""Keeps our draws apart from those of others with the same seed."""

SETTLES_S = 300.0
"""A worker who has handled something waits so long for it to stay over before the case is closed."""

AGAIN_S = 15.0
"""After so many simulated seconds a command centre that did not answer is asked again."""

CENTRE = "command-centre"


class Temper(StrEnum):
    """What a worker is like."""

    PROMPT = "prompt"
    SLOW = "slow"
    IGNORES = "ignores"  # most of what comes: the next in line must be called
    HANDS_ON = "hands_on"  # to the next in line, as often as not
    NIGHT = "night"  # prompt from 19:00 to 07:00, asleep by day


@dataclass(frozen=True, slots=True)
class Manner:
    """How a temper acts.

    Seconds are medians of log-normal draws (Limpert, Stahel, Abbt 2001, BioScience 51, 341: how long people take for
    something scatters like that), scatter their standard deviation in natural logarithms. ignores, hands_on: shares of
    cases, 0 to 1.
    """

    accepts_s: float
    walks_s: float
    looks_s: float = 180.0
    scatter: float = 0.5
    ignores: float = 0.0
    hands_on: float = 0.0
    by_night_only: bool = False


MANNERS: Mapping[Temper, Manner] = MappingProxyType(
    {
        Temper.PROMPT: Manner(accepts_s=90, walks_s=480),
        Temper.SLOW: Manner(accepts_s=900, walks_s=1500, looks_s=420),
        Temper.IGNORES: Manner(accepts_s=1200, walks_s=1800, ignores=0.75),
        Temper.HANDS_ON: Manner(accepts_s=240, walks_s=720, hands_on=0.5),
        Temper.NIGHT: Manner(accepts_s=90, walks_s=600, by_night_only=True),
    }
)

WEIGHTS: Mapping[Temper, float] = MappingProxyType(
    {Temper.PROMPT: 0.5, Temper.SLOW: 0.2, Temper.IGNORES: 0.1, Temper.HANDS_ON: 0.1, Temper.NIGHT: 0.1}
)


@dataclass(frozen=True, slots=True)
class WorkersWish:
    """Who acts where. url: of the command centre. account: acts for whoever has none of their own in accounts.

    tempers: of workers by id; the others' are drawn by the weights.
    """

    url: str
    account: Account
    accounts: Mapping[str, Account] = field(default_factory=dict)
    seed: int = 7
    weights: Mapping[Temper, float] = field(default_factory=lambda: WEIGHTS)
    tempers: Mapping[str, Temper] = field(default_factory=dict)
    language: Language = Language.ZH
    broker: Broker = field(default_factory=Broker)
    notify_prefix: str = "gridwhistle/notify"
    clock_topic: str = "gridwhistle/clock"

    def acts_as(self, worker: str) -> Account:
        """The account of a worker."""
        return self.accounts.get(worker, self.account)


@dataclass(frozen=True, slots=True)
class Call:
    """What a worker was told, and when (microseconds of the published clock).

    event_id or ticket_id names the case. sensor: that spoke, where the push names one. next: who is next in line.
    """

    worker: str
    cause: str
    code: str
    event_id: int | None
    ticket_id: int | None
    at_us: int
    sensor: str | None = None
    category: str | None = None
    next: str | None = None

    @classmethod
    def of(cls, worker: str, payload: bytes, at_us: int) -> "Call | None":
        """Of a push; None where it is about no case."""
        try:
            told = json.loads(payload)
        except ValueError:
            return None
        if not isinstance(told, Mapping) or not isinstance(told.get("code"), str):
            return None
        following = [str(one["id"]) for one in told.get("next", ()) if isinstance(one, Mapping) and "id" in one]
        return cls(
            worker,
            str(told.get("cause", "")),
            told["code"],
            told.get("event_id"),
            told.get("ticket_id"),
            at_us,
            told.get("sensor"),
            told.get("category"),
            next((one for one in following if one not in {worker, CENTRE}), None),
        )

    @property
    def path(self) -> str:
        """Of the case, below the API."""
        return f"/events/{self.event_id}" if self.event_id is not None else f"/faults/{self.ticket_id}"


class Deed(StrEnum):
    """What a worker can do with a case; the values are the last part of the address."""

    ACKNOWLEDGE = "acknowledge"
    NOTE = "note"
    ASSIGN = "assign"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Step:
    """One deed at a time (microseconds). key: of the text that is written, under ``workers``. to: who gets the case."""

    at_us: int
    deed: Deed
    key: str = ""
    to: str = ""


def draws(seed: int, *what: str) -> np.random.Generator:
    """Random numbers of their own for a worker, or a worker and a case."""
    return np.random.default_rng([seed, OWN_NUMBER, *(zlib.crc32(one.encode()) for one in what)])


def temper_of(worker: str, wish: WorkersWish) -> Temper:
    """What a worker is like: the same whenever it is asked. The command centre is always prompt."""
    if worker == CENTRE:
        return Temper.PROMPT
    known = wish.tempers.get(worker)
    if known is not None:
        return known
    shares = np.array([wish.weights.get(temper, 0.0) for temper in Temper])
    return list(Temper)[int(draws(wish.seed, worker).choice(len(shares), p=shares / shares.sum()))]


def cause_of(call: Call, truth: Truth) -> Episode | Fault | Silence | None:
    """What really is behind a call: something in the world before the device, None for nothing at all.

    Of a device that is broken and cut off as well it is what still goes on, and of that what began last.
    """

    def lasts(one: Episode | Fault | Silence) -> bool:
        return one.from_us <= call.at_us <= one.to_us + AFTERMATH_US

    episodes = [one for one in truth.episodes if lasts(one) and (call.sensor is None or call.sensor in one.sensors)]
    if call.sensor is None:
        episodes = [one for one in episodes if one.category == call.category]
    of_device: list[Fault | Silence] = [one for one in truth.faults if lasts(one) and one.sensor == call.sensor]
    of_device += [one for one in truth.silences if lasts(one) and call.sensor in one.sensors]
    device = max(of_device, key=lambda one: (one.to_us >= call.at_us, one.from_us), default=None)
    if call.ticket_id is not None:
        return device
    fitting = [one for one in episodes if one.category == call.category] or episodes
    return fitting[0] if fitting else device


def named(cause: Episode | Fault | Silence | None, language: Language) -> str:
    """What people call what is behind a call, nothing where nothing is."""
    if isinstance(cause, Episode):
        return text(f"category.{cause.category}", language)
    if isinstance(cause, Silence):
        return silence_name(cause.kind, language)
    return "" if cause is None else fault_name(cause.kind, language)


def plan(call: Call, temper: Temper, truth: Truth, zone: ZoneInfo, seed: int) -> tuple[Step, ...]:
    """What a worker will do about a call, in order; nothing where they do not stir."""
    manner, random = MANNERS[temper], draws(seed, call.worker, call.code)
    stirs, hands_on = random.random() >= manner.ignores, random.random() < manner.hands_on

    def later(after_us: int, median_s: float) -> int:
        return after_us + int(median_s * float(random.lognormal(0.0, manner.scatter)) * US_PER_SECOND)

    if not stirs or (manner.by_night_only and 7 <= to_datetime(call.at_us).astimezone(zone).hour < 19):
        return ()
    accepted = later(call.at_us, manner.accepts_s)
    if hands_on and call.next is not None and call.event_id is not None:
        passed = Step(accepted, Deed.NOTE, "passed_on", call.next)
        return passed, Step(accepted, Deed.ASSIGN, to=call.next)
    arrived = later(accepted, manner.walks_s)
    looked = later(arrived, manner.looks_s)
    taken = Step(accepted, Deed.ACKNOWLEDGE)
    cause = cause_of(call, truth)
    settled = 0 if cause is None else max(looked, cause.to_us) + int(SETTLES_S * US_PER_SECOND)
    if call.ticket_id is not None:  # there is no note on a ticket but the one it is closed with
        if cause is None:
            return taken, Step(looked, Deed.CLOSE, "no_fault")
        return taken, Step(settled, Deed.CLOSE, "restored" if isinstance(cause, Silence) else "repaired")
    there = Step(arrived, Deed.NOTE, "on_scene")
    if isinstance(cause, Episode):
        return taken, there, Step(looked, Deed.NOTE, "found"), Step(settled, Deed.CLOSE, "handled")
    nothing_here = "false_alarm" if cause is None else "cut_off" if isinstance(cause, Silence) else "device_wrong"
    return taken, there, Step(looked, Deed.CLOSE, nothing_here)


@dataclass(order=True, slots=True)
class _Due:
    """A step that waits for its time; number: in the order of being planned."""

    at_us: int
    number: int
    call: Call = field(compare=False)
    step: Step = field(compare=False)


class Workers:
    """All workers of a city. counts: what they did and what was refused, by name (``acknowledge``, ``refused.closed``).

    Events handed to a worker a second time are not planned again: the same draw would say the same.
    """

    def __init__(self, wish: WorkersWish, city: City, truth: Truth) -> None:
        self.counts: Counter[str] = Counter()
        self._wish, self._city, self._truth = wish, city, truth
        self._centre = Centre(wish.url)
        self._now_us = truth.start_us
        self._due: list[_Due] = []
        self._planned = 0
        self._heard: set[tuple[str, str]] = set()
        self._let_go: set[tuple[str, str]] = set()

    @property
    def waiting(self) -> int:
        """How many steps wait for their time."""
        return len(self._due)

    async def run(self, stop: asyncio.Event, listening: asyncio.Event | None = None) -> None:
        """Act until stopped. listening: set once nothing that is told is missed any more.

        Raises RetryableError where the broker cannot be reached or is lost, PermanentError where an account is refused.
        """
        stopping = asyncio.create_task(stop.wait())
        acting = asyncio.create_task(self._act(listening or asyncio.Event()))
        try:
            await asyncio.wait({stopping, acting}, return_when=asyncio.FIRST_COMPLETED)
            if acting.done():
                acting.result()
        finally:
            stopping.cancel()
            acting.cancel()
            await asyncio.wait({stopping, acting})
            self._centre.close()

    async def _act(self, listening: asyncio.Event) -> None:
        broker, wish = self._wish.broker, self._wish
        try:
            async with aiomqtt.Client(
                broker.host, broker.port, username=broker.username, password=broker.password
            ) as client:
                await client.subscribe([(f"{wish.notify_prefix}/+", 1), (wish.clock_topic, 1)])
                listening.set()
                async for message in client.messages:
                    await self._take(str(message.topic), bytes(message.payload))
        except aiomqtt.MqttError as error:
            raise RetryableError(f"the broker at {broker.host}:{broker.port}: {error}") from error

    async def _take(self, topic: str, payload: bytes) -> None:
        if topic == self._wish.clock_topic:
            self._now_us = max(self._now_us, _time_of(payload))
        else:
            call = Call.of(topic.rpartition("/")[2], payload, self._now_us)
            if call is not None:
                self._plan(call)
        while self._due and self._due[0].at_us <= self._now_us:
            due = self._due[0]  # it waits until it is done
            if await self._done(due):
                heapq.heappop(self._due)
            else:
                again = self._now_us + int(AGAIN_S * US_PER_SECOND)
                heapq.heapreplace(self._due, replace(due, at_us=again))

    def _plan(self, call: Call) -> None:
        if (call.worker, call.code) in self._heard:
            return
        self._heard.add((call.worker, call.code))
        self.counts["called"] += 1
        temper = temper_of(call.worker, self._wish)
        steps = plan(call, temper, self._truth, self._city.timezone, self._wish.seed)
        if not steps:
            self.counts["ignored"] += 1
        for step in steps:
            self._planned += 1
            heapq.heappush(self._due, _Due(step.at_us, self._planned, call, step))

    async def _done(self, due: _Due) -> bool:
        """Do a step; False where the centre did not answer, and it must be asked again."""
        call, step = due.call, due.step
        if (call.worker, call.code) in self._let_go:
            return True
        try:
            refused = await asyncio.to_thread(
                self._centre.post, self._wish.acts_as(call.worker), f"{call.path}/{step.deed}", self._body(call, step)
            )
        except RetryableError:
            self.counts["asked_again"] += 1
            return False
        if refused is None:
            self.counts[step.deed.value] += 1
        else:  # somebody else has it, or it is over: whatever else was meant to be done is not
            self.counts[f"refused.{refused}"] += 1
            self._let_go.add((call.worker, call.code))
        return True

    def _body(self, call: Call, step: Step) -> dict[str, Any]:
        if step.deed is Deed.ASSIGN:
            return {"worker": step.to}
        if step.deed is Deed.ACKNOWLEDGE:
            return {}
        params = {
            "who": self._name(call.worker),
            "what": named(cause_of(call, self._truth), self._wish.language),
            "next": self._name(step.to),
        }
        written = text(f"workers.{step.key}", self._wish.language, params)
        return {"text": written} if step.deed is Deed.NOTE else {"note": written}

    def _name(self, worker: str) -> str:
        known = self._city.workers.get(worker)
        return worker if known is None else self._of(known.name)

    def _of(self, local: LocalText) -> str:
        return local.zh if self._wish.language is Language.ZH else local.en


def _time_of(payload: bytes) -> int:
    """The time of a tick of the published clock; 0 where it tells none."""
    try:
        return from_datetime(datetime.fromisoformat(json.loads(payload)["time"]))
    except (ValueError, KeyError, TypeError):
        return 0
