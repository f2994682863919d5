"""The simulated district through the whole daemon: right cases, right people, nothing else."""

import asyncio
import json
from pathlib import Path

import aiomqtt

from config.city_files import EXAMPLE, load_city
from config.vocabulary import Category
from gridwhistle.daemon import daemon
from gridwhistle.score import cases_of, intervals_of, keep_score
from sensors_sim.publish import run_simulation
from tests.support.daemon import PATIENCE_S, eventually, flow_settings, settled
from tests.support.servers import mosquitto

NINE_IN_THE_MORNING_US = 1_769_648_400_000_000  # a Thursday, Asia/Shanghai


async def test_everything_scripted_is_found_once_and_told_to_the_right_person_and_nothing_else_opens(
    tmp_path: Path,
) -> None:
    city = load_city(EXAMPLE)
    told: set[str] = set()
    with mosquitto(tmp_path / "broker") as broker:
        async with (
            aiomqtt.Client("127.0.0.1", broker.port) as phone,
            daemon(flow_settings(EXAMPLE, tmp_path / "data", broker.port)) as running,
        ):
            await phone.subscribe("gridwhistle/notify/#", qos=1)
            await running.listening()
            result = await run_simulation(
                city, 7, 30, speed=None, start_us=NINE_IN_THE_MORNING_US, port=broker.port, pack=50
            )
            await settled(running, result.truth.end_us, result.readings_sent)
            events, tickets = cases_of(running.ledger)
            responsible = {event.responsible.worker for event in events}
            async with asyncio.timeout(PATIENCE_S):
                while not responsible <= told:
                    message = await anext(aiter(phone.messages))
                    told.add(str(message.topic).removeprefix("gridwhistle/notify/"))
            stored = running.store.count()

    score = keep_score(result.truth, events, tickets, intervals_of(city))
    assert score.perfect, score
    assert {found.kind for found in score.episodes} >= {
        Category.GAS_LEAK,
        Category.AIR_POLLUTION,
        Category.STRUCTURE_DANGER,
        Category.CROWD,
    }
    assert stored == result.readings_sent


async def test_a_reading_over_the_limit_reaches_the_phone_of_the_worker_of_its_grid(tmp_path: Path) -> None:
    city = load_city(EXAMPLE)
    sensor = next(sensor for sensor in city.sensors if sensor.quantity == "ch4")
    with mosquitto(tmp_path / "broker") as broker:
        async with (
            aiomqtt.Client("127.0.0.1", broker.port) as device,
            daemon(flow_settings(EXAMPLE, tmp_path / "data", broker.port)) as running,
        ):
            await device.subscribe("gridwhistle/notify/#", qos=1)
            await running.listening()
            await device.publish("gridwhistle/clock", json.dumps({"time": "2026-01-29T09:00:00+08:00"}), qos=1)
            reading = {"id": sensor.id, "t": "2026-01-29T09:00:00+08:00", "v": 61.0}
            await device.publish(f"gridwhistle/readings/{sensor.id}", json.dumps(reading), qos=1)
            async with asyncio.timeout(PATIENCE_S):
                message = await anext(aiter(device.messages))
            await eventually(lambda: len(running.ledger.events()) == 1, "the event is in the ledger")
            event = running.ledger.events()[0]
    push = json.loads(bytes(message.payload))
    assert str(message.topic) == f"gridwhistle/notify/{event.responsible.worker}"
    assert event.code in json.dumps(push, ensure_ascii=False)
    assert event.grid == sensor.grid
    assert any(shift.worker == event.responsible.worker and shift.grid == sensor.grid for shift in city.roster), (
        "the worker on the roster of the sensor's own grid is called"
    )
