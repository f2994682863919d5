"""The demonstration on a bare machine: both brokers, first event with a named worker, push on the worker's topic."""

import asyncio
import json
import shutil
from pathlib import Path

import aiomqtt
import pytest

from config.vocabulary import Category, Language
from gridwhistle.demo import DemoOptions, Stage, demo

PATIENCE_S = 60


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

    options = DemoOptions(port=0, language=Language.EN, keep=tmp_path)
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
