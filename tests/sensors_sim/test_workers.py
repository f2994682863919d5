"""Simulated workers: what they decide, and that they do it at a real command centre."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as some

from alerting.model import Action, EventState
from config.city import City, Sensor
from config.city_files import EXAMPLE, load_city
from config.clock import US_PER_SECOND, isoformat
from config.errors import ConfigurationError, PermanentError, RetryableError
from config.settings import IngestSettings
from config.texts import text
from config.vocabulary import Category, Language
from gridwhistle.daemon import Running, daemon
from sensors_sim.centre import Account, Centre
from sensors_sim.publish import Broker
from sensors_sim.truth import Episode, Fault, FaultKind, Silence, Truth
from sensors_sim.workers import (
    CENTRE,
    Call,
    Deed,
    Temper,
    Workers,
    WorkersWish,
    cause_of,
    draws,
    named,
    plan,
    temper_of,
)
from tests.support.daemon import eventually, flow_settings
from tests.support.servers import free_port, mosquitto

ZONE = ZoneInfo("Asia/Shanghai")
MORNING_US = 1_769_648_400_000_000  # nine on a Thursday in Shanghai
HOUR_US = 3600 * US_PER_SECOND
NEVER_SILENT = IngestSettings(silent_after=1_000_000)
"""Hours pass here without a reading; nobody is to be called for that."""

NOBODY = Account("nobody", "made up for tests")
EPISODE = Episode(
    name="leak",
    category=Category.GAS_LEAK,
    lon=0.0,
    lat=0.0,
    grid="g",
    from_us=MORNING_US - 60 * US_PER_SECOND,
    to_us=MORNING_US + 2 * HOUR_US,
    sensors=("gas-1",),
    over_limit=("gas-1",),
    limit_us=MORNING_US,
    severity=None,
    responsible="w1",
    responsible_at={},
)
FAULT = Fault(FaultKind.DRIFT, "gas-2", 0.0, 0.0, "g", MORNING_US - HOUR_US, MORNING_US + HOUR_US, "fix")
TRUTH = Truth("city", 7, MORNING_US - HOUR_US, MORNING_US + 9 * HOUR_US, (EPISODE,), (FAULT,))
CALL = Call("w1", "event_opened", "GW-1", 1, None, MORNING_US, "gas-1", "gas_leak", "w2")
TICKET = replace(CALL, code="FT-1", event_id=None, ticket_id=4, sensor="gas-2", category=None)


def deeds(call: Call, temper: Temper, seed: int = 7) -> list[Deed]:
    return [step.deed for step in plan(call, temper, TRUTH, ZONE, seed)]


def told(call: Call) -> list[str]:
    return [step.key for step in plan(call, Temper.PROMPT, TRUTH, ZONE, 7)]


def test_a_prompt_worker_accepts_goes_looks_and_closes_after_it_is_over() -> None:
    steps = plan(CALL, Temper.PROMPT, TRUTH, ZONE, 7)
    assert [step.deed for step in steps] == [Deed.ACKNOWLEDGE, Deed.NOTE, Deed.NOTE, Deed.CLOSE]
    assert [step.key for step in steps] == ["", "on_scene", "found", "handled"]
    assert CALL.at_us < steps[0].at_us < steps[1].at_us < steps[2].at_us < EPISODE.to_us < steps[3].at_us


def test_a_false_alarm_is_closed_as_one_and_a_broken_sensor_is_named() -> None:
    assert told(replace(CALL, sensor="gas-3")) == ["", "on_scene", "false_alarm"]
    assert told(replace(CALL, sensor="gas-2")) == ["", "on_scene", "device_wrong"]


def test_a_ticket_is_closed_once_the_device_is_well_or_at_once_where_it_always_was() -> None:
    steps = plan(TICKET, Temper.PROMPT, TRUTH, ZONE, 7)
    assert [step.deed for step in steps] == [Deed.ACKNOWLEDGE, Deed.CLOSE]
    assert steps[1].key == "repaired"
    assert steps[1].at_us > FAULT.to_us
    assert told(replace(TICKET, sensor="gas-1")) == ["", "no_fault"]


def test_some_ignore_most_of_what_comes_and_some_hand_on_every_other_case() -> None:
    calls = [replace(CALL, code=f"GW-{number}") for number in range(200)]
    ignored = sum(not deeds(call, Temper.IGNORES) for call in calls)
    passed = sum(Deed.ASSIGN in deeds(call, Temper.HANDS_ON) for call in calls)
    assert 120 < ignored < 180
    assert 70 < passed < 130
    assert Deed.ASSIGN not in deeds(replace(CALL, next=None), Temper.HANDS_ON)
    on = next(call for call in calls if Deed.ASSIGN in deeds(call, Temper.HANDS_ON))
    assert [step.to for step in plan(on, Temper.HANDS_ON, TRUTH, ZONE, 7)] == ["w2", "w2"]


def test_who_works_at_night_sleeps_by_day() -> None:
    assert deeds(CALL, Temper.NIGHT) == []
    assert deeds(replace(CALL, at_us=MORNING_US + 11 * HOUR_US), Temper.NIGHT)


def test_a_slow_worker_is_slower() -> None:
    calls = [replace(CALL, code=f"GW-{number}") for number in range(30)]
    prompt, slow = (
        sorted(plan(call, temper, TRUTH, ZONE, 7)[0].at_us for call in calls) for temper in (Temper.PROMPT, Temper.SLOW)
    )
    assert slow[15] > prompt[15] + 300 * US_PER_SECOND


@given(some.integers(0, 2**31), some.text(max_size=20), some.text(max_size=20))
def test_the_same_seed_worker_and_case_always_draw_the_same(seed: int, worker: str, code: str) -> None:
    assert draws(seed, worker, code).random() == draws(seed, worker, code).random()
    call = replace(CALL, worker=worker, code=code)
    wish = WorkersWish("http://localhost", NOBODY, seed=seed)
    assert temper_of(worker, wish) is temper_of(worker, wish)
    steps = plan(call, Temper.PROMPT, TRUTH, ZONE, seed)
    assert steps == plan(call, Temper.PROMPT, TRUTH, ZONE, seed)
    assert [step.at_us for step in steps] == sorted(step.at_us for step in steps)


def test_tempers_are_drawn_by_their_weights_unless_they_are_given() -> None:
    wish = WorkersWish("http://localhost", NOBODY, tempers={"w1": Temper.IGNORES})
    found = [temper_of(f"worker-{number}", wish) for number in range(400)]
    assert 160 < found.count(Temper.PROMPT) < 240
    assert set(found) == set(Temper)
    assert temper_of("w1", wish) is Temper.IGNORES
    assert temper_of(CENTRE, replace(wish, tempers={CENTRE: Temper.IGNORES})) is Temper.PROMPT


def test_what_is_behind_a_call_is_the_world_before_the_sensor_and_only_in_its_time() -> None:
    both = replace(TRUTH, faults=(replace(FAULT, sensor="gas-1"),))
    assert cause_of(CALL, both) is EPISODE
    assert cause_of(replace(CALL, at_us=EPISODE.to_us + HOUR_US), TRUTH) is None
    assert cause_of(replace(CALL, sensor=None), TRUTH) is EPISODE
    assert cause_of(replace(CALL, sensor=None, category="noise"), TRUTH) is None


def test_a_device_without_power_or_network_is_not_called_sound_before_it_sends_again() -> None:
    cut = Silence(
        "power_cut", 0.0, 0.0, "g", MORNING_US - 60, MORNING_US + 3 * HOUR_US, ("gas-4", "gas-2"), False, None
    )
    dark = replace(TRUTH, silences=(cut,))
    ticket = replace(TICKET, sensor="gas-4")
    steps = plan(ticket, Temper.PROMPT, dark, ZONE, 7)
    assert [step.key for step in steps] == ["", "restored"]
    assert steps[1].at_us == cut.to_us + 300 * US_PER_SECOND
    event = plan(replace(CALL, sensor="gas-4"), Temper.PROMPT, dark, ZONE, 7)
    assert [step.key for step in event] == ["", "on_scene", "cut_off"]
    assert cause_of(replace(ticket, sensor="gas-1"), dark) is None
    assert cause_of(replace(ticket, at_us=cut.from_us - 1), dark) is None
    assert cause_of(TICKET, dark) is cut, "what began last of what goes on"
    assert cause_of(TICKET, replace(dark, silences=(replace(cut, to_us=MORNING_US - 30),))) is FAULT


@pytest.mark.parametrize(("language", "name"), [(Language.ZH, "断网"), (Language.EN, "no network")])
def test_what_cut_a_device_off_is_written_down(language: Language, name: str) -> None:
    cut = Silence("network_split", 0.0, 0.0, "g", MORNING_US - 60, MORNING_US + HOUR_US, ("gas-4",), True, None)
    cause = cause_of(replace(TICKET, sensor="gas-4"), replace(TRUTH, silences=(cut,)))
    assert named(cause, language) == name
    for key in ("restored", "cut_off"):
        assert name in text(f"workers.{key}", language, {"who": "w1", "what": named(cause, language), "next": ""})


@given(some.binary(max_size=60))
def test_a_push_that_cannot_be_read_calls_nobody(payload: bytes) -> None:
    assert Call.of("w1", payload, 0) is None


@pytest.mark.parametrize("url", ["", "localhost:8080", "mqtt://localhost", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected one like http://"):
        Centre(url)


def test_a_centre_that_does_not_answer_may_be_asked_again() -> None:
    centre = Centre(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(RetryableError, match="does not answer"):
        centre.post(NOBODY, "/events/1/acknowledge", {})


@dataclass
class Town:
    """A daemon, its city, and somebody who publishes readings and the time."""

    running: Running
    city: City
    port: int
    device: aiomqtt.Client
    now_us: int = MORNING_US

    def wish(self) -> WorkersWish:
        """Everybody prompt."""
        assert self.running.first_password is not None
        return WorkersWish(
            self.running.url,
            Account("admin", self.running.first_password),
            weights={Temper.PROMPT: 1.0},
            language=Language.EN,
            broker=Broker("127.0.0.1", self.port),
        )

    async def tick(self, seconds: float = 0) -> None:
        self.now_us += int(seconds * US_PER_SECOND)
        await self.device.publish("gridwhistle/clock", json.dumps({"time": isoformat(self.now_us)}), qos=1)

    async def read(self, sensor: Sensor, value: float) -> None:
        reading = {"id": sensor.id, "t": isoformat(self.now_us), "v": value}
        await self.device.publish(f"gridwhistle/readings/{sensor.id}", json.dumps(reading), qos=1)

    def notes(self) -> list[str]:
        wanted = {Action.EVENT_NOTE, Action.EVENT_CLOSED}
        return [str(entry.detail["text"]) for entry in self.running.ledger.trail() if entry.action in wanted]


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Town]:
    with mosquitto(folder / "broker") as broker:
        async with (
            aiomqtt.Client("127.0.0.1", broker.port) as device,
            daemon(flow_settings(EXAMPLE, folder / "data", broker.port, ingest=NEVER_SILENT)) as running,
        ):
            await running.listening()
            yield Town(running, load_city(EXAMPLE), broker.port, device)


@asynccontextmanager
async def at_work(workers: Workers) -> AsyncIterator[None]:
    stop, listening = asyncio.Event(), asyncio.Event()
    working = asyncio.create_task(workers.run(stop, listening))
    try:
        await asyncio.wait({working, asyncio.create_task(listening.wait())}, return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        stop.set()
        await working


def leak(city: City) -> tuple[Sensor, Truth]:
    sensor = next(sensor for sensor in city.sensors if sensor.quantity == "ch4")
    episode = replace(EPISODE, sensors=(sensor.id,), to_us=MORNING_US + 1200 * US_PER_SECOND)
    return sensor, replace(TRUTH, start_us=MORNING_US, episodes=(episode,), faults=())


async def test_a_case_is_accepted_gone_to_looked_at_and_closed_at_a_real_command_centre(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        sensor, truth = leak(here.city)
        workers = Workers(here.wish(), here.city, truth)
        async with at_work(workers):
            await here.tick()
            await here.read(sensor, 61.0)
            await eventually(lambda: workers.waiting == 4, "the worker was told and knows what to do")
            event = here.running.ledger.events()[0]
            await here.tick(4 * 3600)
            await eventually(lambda: workers.waiting == 0, "everything was done")
        after = here.running.ledger.event(event.id)
        assert after is not None
        assert after.state is EventState.CLOSED
        who = here.city.workers[event.responsible.worker].name.en
        what = text("category.gas_leak", Language.EN)
        assert here.notes() == [
            text(f"workers.{key}", Language.EN, {"who": who, "what": what}) for key in ("on_scene", "found", "handled")
        ]
        assert workers.counts == {"called": 1, "acknowledge": 1, "note": 2, "close": 1}


async def test_a_case_that_is_handed_on_is_taken_by_the_next_in_line(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        sensor, truth = leak(here.city)
        first = next(shift.worker for shift in here.city.roster if shift.grid == sensor.grid)
        wish = replace(here.wish(), tempers={first: Temper.HANDS_ON})
        seed = next(
            seed
            for seed in range(99)
            if Deed.ASSIGN in deeds(replace(CALL, worker=first, code="GW-20260129-0001"), Temper.HANDS_ON, seed)
        )
        workers = Workers(replace(wish, seed=seed), here.city, truth)
        async with at_work(workers):
            await here.tick()
            await here.read(sensor, 61.0)
            await eventually(lambda: workers.waiting == 2, "the first was told, and will hand it on")
            assert here.running.ledger.events()[0].responsible.worker == first
            await here.tick(1800)
            await eventually(lambda: workers.counts["called"] == 2, "the next in line was told")
            await here.tick(4 * 3600)
            await eventually(lambda: workers.waiting == 0, "everything was done")
        after = here.running.ledger.events()[0]
        assert after.responsible.worker != first
        assert after.state is EventState.CLOSED
        assert workers.counts["assign"] == 1


async def test_an_account_that_is_refused_ends_the_work(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        sensor, truth = leak(here.city)
        workers = Workers(replace(here.wish(), account=NOBODY), here.city, truth)
        listening = asyncio.Event()
        working = asyncio.create_task(workers.run(asyncio.Event(), listening))
        await listening.wait()
        await here.tick()
        await here.read(sensor, 61.0)
        await eventually(lambda: workers.waiting == 4, "the worker was told")
        await here.tick(4 * 3600)
        with pytest.raises(PermanentError, match="account nobody is refused"):
            await working
