"""The demonstration on a bare machine: both brokers, first event with a named worker, push on the worker's topic."""

import asyncio
import json
import shutil
from pathlib import Path

import aiomqtt
import pytest

from config.vocabulary import Category, Language
from gridwhistle.demo import DemoOptions, Stage, demo
from gridwhistle.memory import clock_of
from sensors_sim.truth import read_truth
from tests.support.daemon import PATIENCE_S, eventually


@pytest.mark.parametrize("name", ["mosquitto", "amqtt"])
async def test_the_first_event_names_a_worker_and_reaches_the_workers_topic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "amqtt":
        monkeypatch.setattr("gridwhistle.broker.shutil.which", lambda *_args, **_more: None)
    else:
        assert shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    stop, standing = asyncio.Event(), asyncio.Event()
    stages: list[Stage] = []

    def ready(stage: Stage) -> None:
        stages.append(stage)
        standing.set()

    monkeypatch.chdir(tmp_path)
    options = DemoOptions(port=0, language=Language.EN, keep=Path("kept"))
    running = asyncio.create_task(demo(options, stop, ready, lambda _: None, lambda _: None))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({running, asyncio.create_task(standing.wait())}, return_when=asyncio.FIRST_COMPLETED)
            stage = stages[0]
            assert stage.broker == name
            async with aiomqtt.Client("127.0.0.1", stage.mqtt_port) as phone:
                await phone.subscribe("gridwhistle/notify/#", qos=1)
                message = await anext(aiter(phone.messages))
            push = json.loads(bytes(message.payload))
            event = stage.running.ledger.events()[0]
    finally:
        stop.set()
        await running
    assert event.category is Category.GAS_LEAK
    assert str(message.topic) == f"gridwhistle/notify/{event.responsible.worker}"
    assert event.responsible.name.zh in json.dumps(push, ensure_ascii=False)


async def run_to_the_end(options: DemoOptions, folder: Path) -> int:
    """When the run ended, microseconds of its own time."""
    stop, done = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as both:
        both.create_task(demo(options, stop, lambda _: None, lambda _: None, lambda _: done.set()))
        await done.wait()
        end_us = read_truth(folder / "truth.json").end_us
        await eventually(lambda: clock_of(folder / "data") >= end_us, "the last instant is stored")
        stop.set()
    return end_us


async def test_a_second_run_in_the_same_folder_goes_on_where_the_first_one_ended(tmp_path: Path) -> None:
    options = DemoOptions(port=0, speed=600, minutes=1, keep=tmp_path)
    first_us = await run_to_the_end(options, tmp_path)
    second_us = await run_to_the_end(options, tmp_path)
    assert second_us >= first_us + 60 * 1_000_000
