"""The page in a process of its own, beside a core with a real ledger, store and desk."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

from alerting import audit
from config.clock import US_PER_SECOND, isoformat
from config.errors import ConfigurationError, RetryableError
from config.settings import Settings
from dashboard_api.ports import Health
from gridwhistle.page_process import STOP_S, DeskAddress, page_process
from ingest.model import ReadingBatch, Series
from tests.support.core import CoreParts, core
from tests.support.daemon import ROOT
from tests.support.dashboard import ACCOUNT, DISTRICT, PASSWORD, START_US, example_city

# One page serves the tests that do it no harm, so all of them share its event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE_S = 30
AN_HOUR = {"from": isoformat(START_US), "to": isoformat(START_US + 3600 * US_PER_SECOND)}
LAG_S = 0.5
"""Most that the core's loop may stand still while a page misbehaves; a reading would wait for so long."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CoreParts]:
    async with core(tmp_path_factory.mktemp("core")) as at_work, asyncio.timeout(None):
        await at_work.page.serving()
        yield at_work


@pytest_asyncio.fixture(loop_scope="module")
async def client(parts: CoreParts) -> AsyncIterator[httpx.AsyncClient]:
    async with signed_in(parts) as visitor:
        yield visitor


@asynccontextmanager
async def signed_in(parts: CoreParts) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=parts.page.url, timeout=PATIENCE_S) as visitor:
        answer = await visitor.post("/api/v1/session", json={"name": ACCOUNT, "password": PASSWORD, "token": True})
        visitor.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        yield visitor


@asynccontextmanager
async def listening(client: httpx.AsyncClient, **headers: str) -> AsyncIterator[AsyncIterator[tuple[str, str]]]:
    """(event, id) of the live feed's messages; the first heartbeat is passed over."""
    async with client.stream("GET", "/api/v1/live", headers=headers) as answer:
        assert answer.status_code == 200
        stream = messages(answer)
        assert (await anext(stream))[0] == "heartbeat"
        yield stream


async def messages(answer: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    found: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        elif found:
            yield found["event"], found.get("id", "")
            found = {}


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - nobody tells when it becomes true
            await asyncio.sleep(0.005)


@asynccontextmanager
async def lags() -> AsyncIterator[list[float]]:
    """Seconds by which the running loop was late, every few milliseconds, of the block."""
    found: list[float] = []

    async def watch() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            found.append(time.monotonic() - before - 0.005)

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()


async def test_the_core_never_learns_what_a_web_server_is() -> None:
    code = (
        "import sys; import tests.support.core;"
        "print([name for name in ('fastapi', 'starlette', 'uvicorn', 'sse_starlette') if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    answer, _ = await process.communicate()
    assert answer.decode().strip() == "[]"


async def test_people_see_what_happens_in_the_core_and_the_core_hears_what_people_do(
    parts: CoreParts, client: httpx.AsyncClient
) -> None:
    async with listening(client) as feed:
        event_id = await asyncio.to_thread(parts.alarm)
        async with asyncio.timeout(PATIENCE_S):
            assert [(await anext(feed))[0] for _ in range(2)] == ["alarm_raised", "event_opened"]
        before = parts.changes
        answer = await client.post(f"/api/v1/events/{event_id}/acknowledge")
        assert answer.json()["acknowledged_by"] == ACCOUNT
        await until(lambda: parts.changes > before)
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(feed))[0] == "event_acknowledged"


async def test_health_is_the_cores_with_how_far_it_is_behind(parts: CoreParts, client: httpx.AsyncClient) -> None:
    parts.health = Health(False, {"spool": "the disk is full"}, {"readings": 8}, 12.5, 4000)
    found: dict[str, Any] = {}
    async with asyncio.timeout(PATIENCE_S):
        while found.get("counters") != {"readings": 8}:
            found = (await client.get("/api/v1/health")).json()
    assert found["parts"] == {"core": "ok", "spool": "the disk is full"}
    assert (found["ok"], found["behind_seconds"], found["waiting"]) == (False, 12.5, 4000)
    parts.health = Health(True, {"broker": "ok"}, {"readings": 7})


async def test_last_values_and_charts_come_from_the_core(parts: CoreParts, client: httpx.AsyncClient) -> None:
    sensor = parts.city.sensors[5]
    times = [START_US, START_US + US_PER_SECOND]
    batch = ReadingBatch.of([5, 5], times, times, [20.0, 21.5], [0, 0])
    await asyncio.to_thread(parts.store.write, batch)
    parts.latest.see(batch)
    parts.latest.silent[5] = True
    offset_s = np.full(len(parts.city.sensors), np.nan)
    offset_s[5] = 372.04
    parts.latest.tell_offsets(offset_s)
    found = (await client.get(f"/api/v1/sensors/{sensor.id}")).json()
    assert (found["last_value"], found["last_at"], found["silent"]) == (21.5, isoformat(times[1]), True)
    assert found["clock_offset_seconds"] == 372.0
    other = (await client.get(f"/api/v1/sensors/{parts.city.sensors[6].id}")).json()
    assert other["clock_offset_seconds"] is None
    chart = (await client.get(f"/api/v1/sensors/{sensor.id}/readings", params=AN_HOUR)).json()
    assert chart["value"] == [20.0, 21.5]


async def test_neither_a_deaf_client_nor_a_long_read_nor_a_page_that_stands_still_holds_the_core_up(
    parts: CoreParts, client: httpx.AsyncClient
) -> None:
    reading, done = asyncio.Event(), asyncio.Event()

    async def slow(*_: int) -> Series:
        reading.set()
        await done.wait()
        raise RetryableError("the store took its time")

    pid = parts.page.pid
    assert pid is not None
    parts.series, before = slow, parts.series
    chart = asyncio.create_task(client.get(f"/api/v1/sensors/{parts.city.sensors[5].id}/readings", params=AN_HOUR))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await reading.wait()
        with await asyncio.to_thread(deaf_client, parts.page.url, client.headers["Authorization"]):
            os.kill(pid, signal.SIGSTOP)
            async with lags() as found:
                for number in range(2000):
                    parts.desk.ring(parts.ledger.last_trail_id())
                    if number % 100 == 0:
                        await asyncio.to_thread(parts.alarm, 10 + number // 100)
    finally:
        os.kill(pid, signal.SIGCONT)
        done.set()
        parts.series = before
        answer = await chart
    assert answer.status_code == 503
    assert len(found) >= 10
    assert max(found) < LAG_S


def deaf_client(url: str, authorization: str) -> socket.socket:
    """Asks for the whole trail and will never read it."""
    address = httpx.URL(url)
    deaf = socket.create_connection((address.host, address.port or 80))
    deaf.sendall(
        f"GET /api/v1/live?after=0 HTTP/1.1\r\nHost: {address.host}\r\nAuthorization: {authorization}\r\n\r\n".encode()
    )
    return deaf


async def test_two_processes_write_one_ledger_and_its_trail_stays_whole(
    parts: CoreParts, client: httpx.AsyncClient
) -> None:
    event_id = await asyncio.to_thread(parts.alarm, 40)
    count = 30

    def happen() -> None:
        for number in range(count):
            parts.alarm(50 + number)

    async def write() -> None:
        for number in range(count):
            answer = await client.post(f"/api/v1/events/{event_id}/note", json={"text": f"note {number}"})
            assert answer.status_code == 200, answer.text

    await asyncio.gather(asyncio.to_thread(happen), write(), write())
    checked = await asyncio.to_thread(audit.check, parts.ledger)
    assert checked.whole
    notes = [entry for entry in parts.ledger.trail(event_id=event_id) if entry.action.value == "event_note"]
    assert len(notes) == 2 * count
    codes = [event.code for event in parts.ledger.events(limit=500)]
    assert len(set(codes)) == len(codes)


async def test_a_page_that_is_killed_comes_back_and_the_feed_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with core(tmp_path) as parts:
        await parts.page.serving()
        url, pid = parts.page.url, parts.page.pid
        assert pid is not None
        assert parts.page.trouble is None
        async with signed_in(parts) as client:
            async with listening(client) as feed:
                await asyncio.to_thread(parts.alarm)
                async with asyncio.timeout(PATIENCE_S):
                    seen = [await anext(feed) for _ in range(2)]
                    os.kill(pid, signal.SIGKILL)
                    with suppress(httpx.HTTPError):
                        seen += [message async for message in feed]
            await asyncio.to_thread(parts.alarm, 200)  # while there is no page
            # Nobody is refused meanwhile: who asks waits in the queue of the socket, which the core holds.
            async with listening(client, **{"Last-Event-ID": seen[-1][1]}) as feed, asyncio.timeout(PATIENCE_S):
                seen += [await anext(feed) for _ in range(2)]
        expected = [(entry.action.value, str(entry.id)) for entry in parts.ledger.trail()]
        assert seen == [one for one in expected if one[0] in {"alarm_raised", "event_opened"}]
        assert (parts.page.url, parts.page.starts) == (url, 2)
        await until(lambda: parts.page.trouble == "it was started again: it was ended by SIGKILL")


async def test_open_feeds_end_when_the_core_stops(tmp_path: Path) -> None:
    async with AsyncExitStack() as house:
        parts = await house.enter_async_context(core(tmp_path))
        async with signed_in(parts) as client, listening(client) as feed, asyncio.timeout(STOP_S):
            await house.aclose()
            assert [message async for message in feed] == []
            assert parts.page.pid is None


async def test_a_city_that_was_changed_meanwhile_is_not_served_with_wrong_sensors(tmp_path: Path) -> None:
    async with core(tmp_path, city_version="another") as parts:
        with pytest.raises(ConfigurationError, match="its files were changed meanwhile: restart the daemon"):
            await parts.page.serving()
        await until(lambda: parts.page.trouble is not None)


async def test_an_address_that_is_taken_is_said_by_the_core(parts: CoreParts, tmp_path: Path) -> None:
    port = int(parts.page.url.rpartition(":")[2])
    settings = Settings.model_validate({"city": DISTRICT, "data_dir": tmp_path, "dashboard": {"port": port}})
    with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
        async with page_process(
            settings, city=example_city(), desks=[DeskAddress(str(parts.desk.path), str(tmp_path / "latest"))]
        ):
            pytest.fail("two pages on one port")
