"""From a device's publish to the command centre's page, and from one page to the other."""

import json
from pathlib import Path

import aiomqtt
import pytest

from alerting.model import EventState
from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock, isoformat
from config.settings import ClockSource
from gridwhistle.daemon import daemon
from tests.support.browser import chromium, command_centre
from tests.support.daemon import flow_settings
from tests.support.servers import mosquitto

pytestmark = pytest.mark.browser


async def test_a_published_leak_appears_on_the_page_and_accepting_it_changes_the_other_page(tmp_path: Path) -> None:
    sensor = next(sensor for sensor in load_city(EXAMPLE).sensors if sensor.quantity == "ch4")
    with mosquitto(tmp_path / "broker") as broker:
        settings = flow_settings(EXAMPLE, tmp_path / "data", broker.port, clock=ClockSource.SYSTEM)
        async with (
            daemon(settings) as running,
            chromium() as browser,
            command_centre(browser, running.url) as first,
            command_centre(browser, running.url) as second,
            aiomqtt.Client("127.0.0.1", broker.port) as device,
        ):
            assert running.first_password is not None
            await running.listening()
            for page in (first, second):
                await page.sign_in("admin", running.first_password)
            reading = {"id": sensor.id, "t": isoformat(SystemClock().now_us()), "v": 61.0}
            await device.publish(f"gridwhistle/readings/{sensor.id}", json.dumps(reading), qos=1)
            event_id = await first.wait_for_event()
            event = running.ledger.event(event_id)
            assert event is not None
            assert event.alarms[0].sensor_id == sensor.id
            await second.wait_for_event(event_id)
            await first.acknowledge(event_id)
            await second.wait_for_accepted(event_id)
            accepted = running.ledger.event(event_id)
            assert accepted is not None
            assert (accepted.state, accepted.acknowledged_by) == (EventState.ACCEPTED, "admin")
            await first.page.wait_for_selector(".detail canvas")  # the chart of the readings that caused it
            assert first.errors + second.errors == []
            assert first.foreign + second.foreign == []
