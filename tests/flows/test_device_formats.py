"""Devices that know nothing of the city's sensors: their own words open its cases, over a real broker."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from config.city_files import EXAMPLE
from config.clock import SystemClock, isoformat
from config.settings import ClockSource, PayloadFormat, Settings, Subscription
from config.vocabulary import Category
from gridwhistle.daemon import Running, daemon
from ingest.formats.sparkplug_payload import Metric, value_of, write_payload
from tests.support.daemon import eventually, flow_settings
from tests.support.servers import mosquitto

pytestmark = pytest.mark.broker

EUI = "24e124136b502217"
FIELDS = f"""device,field,sensor,unit,factor,offset
{EUI},gas.ch4,gas-001-ch4,,,
valve-pit,ch4,gas-002-ch4,,,
plant/edge/pump,ch4,gas-003-ch4,,,
"""
SUBSCRIPTIONS = (
    Subscription(filter="application/+/device/+/event/+", format=PayloadFormat.CHIRPSTACK),
    Subscription(filter="v3/+/devices/+/up", format=PayloadFormat.TTN),
    Subscription(filter="spBv1.0/#", format=PayloadFormat.SPARKPLUG),
)


def settings(folder: Path, port: int) -> Settings:
    city = Path(shutil.copytree(EXAMPLE, folder / "city"))
    (city / "fields.csv").write_text(FIELDS)
    given = flow_settings(city, folder / "data", port, clock=ClockSource.SYSTEM)
    return given.model_copy(update={"mqtt": given.mqtt.model_copy(update={"subscriptions": SUBSCRIPTIONS})})


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[Running, aiomqtt.Client]]:
    """A daemon that listens, and a client that speaks for all devices."""
    with mosquitto(folder / "broker") as broker:
        async with daemon(settings(folder, broker.port)) as running, aiomqtt.Client("127.0.0.1", broker.port) as client:
            await running.listening()
            yield running, client


def now() -> str:
    return isoformat(SystemClock().now_us())


def uplink(value: float, count: int) -> bytes:
    """What ChirpStack says of a gas sensor."""
    said = {"gas": {"ch4": value}, "battery": 98, "valve": "open"}
    info = {"devEui": EUI, "deviceName": "kitchen"}
    return json.dumps({"time": now(), "deviceInfo": info, "fCnt": count, "data": "A2c=", "object": said}).encode()


async def test_a_leak_that_a_lorawan_device_tells_of_opens_an_event_and_one_that_is_simulated_none(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as (running, client):
        said = {"received_at": now(), "decoded_payload": {"ch4": 61.0}}
        drill = {"end_device_ids": {"device_id": "valve-pit"}, "uplink_message": said, "simulated": True}
        await client.publish("v3/city@ttn/devices/valve-pit/up", json.dumps(drill))
        await eventually(lambda: running.store.count() == 1, "the drill is stored")
        assert running.line.counted()["simulated"] == 1
        assert running.ledger.events() == []
        topic = f"application/1/device/{EUI}/event/up"
        await client.publish(topic, uplink(1.0, 1), qos=1)
        await client.publish(f"application/1/device/{EUI}/event/join", b"{}", qos=1)
        await client.publish(topic, uplink(61.0, 2), qos=1)
        await eventually(lambda: len(running.ledger.events()) == 1, "the leak is told")
        assert [event.category for event in running.ledger.events()] == [Category.GAS_LEAK]
        await eventually(lambda: running.store.count() == 3, "all readings are stored")
        counted = running.line.counted()
        assert (counted["refused"], counted["fields_passed_over"]) == (0, 4)
        assert counted["messages_without_readings"] == 1


def metric(name: str | None, value: float | None = None) -> Metric:
    """A metric of alias 7: named in the birth, known by its alias afterwards."""
    one = Metric(name, 7, SystemClock().now_us() // 1000, 10 if name is not None else None)
    if value is not None:
        one.kind, one.raw = value_of(10, value)
    return one


async def test_a_node_that_nobody_heard_from_is_asked_for_its_births_and_understood_then(tmp_path: Path) -> None:
    async with house(tmp_path) as (running, client):
        await client.subscribe("spBv1.0/plant/NCMD/edge")
        at_ms = SystemClock().now_us() // 1000
        await client.publish("spBv1.0/plant/DDATA/edge/pump", write_payload(at_ms, 5, [metric(None, 61.0)]), qos=1)
        asked = await anext(client.messages)
        assert b"Node Control/Rebirth" in bytes(asked.payload)
        assert running.store.count() == 0
        await client.publish("spBv1.0/plant/NBIRTH/edge", write_payload(at_ms, 0, []), qos=1)
        await client.publish("spBv1.0/plant/DBIRTH/edge/pump", write_payload(at_ms, 1, [metric("ch4", 1.0)]), qos=1)
        await client.publish("spBv1.0/plant/DDATA/edge/pump", write_payload(at_ms, 2, [metric(None, 61.0)]), qos=1)
        await eventually(lambda: len(running.ledger.events()) == 1, "the leak is told")
        assert running.broker_counters["published"] == 1
