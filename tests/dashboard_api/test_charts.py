import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from config.errors import RetryableError
from dashboard_api import charts
from ingest.model import Series
from tests.support.dashboard import Desk

SPAN = {"from": "2026-01-31T01:00:00Z", "to": "2026-01-31T02:00:00Z"}


class Gate:
    """Readings that come when the test lets them."""

    def __init__(self, desk: Desk) -> None:
        self._readings = desk.ports.readings
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.let = asyncio.Semaphore(0)
        self.at_once = 0
        self.most_at_once = 0
        self.error: Exception | None = None

    async def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.put_nowait(None)
        try:
            await self.let.acquire()
            if self.error is not None:
                raise self.error
            return await self._readings.series(sensor, from_us, to_us, max_points)
        finally:
            self.at_once -= 1


@pytest.fixture
def gate(app: FastAPI, desk: Desk) -> Gate:
    gate = Gate(desk)
    app.state.ports = replace(desk.ports, readings=gate)
    return gate


def ask(client: httpx.AsyncClient, desk: Desk) -> Coroutine[Any, Any, httpx.Response]:
    return client.get(f"/api/v1/sensors/{desk.sensor('ch4').id}/readings", params=SPAN)


async def test_two_series_are_read_at_once_and_the_others_wait_their_turn(
    client: httpx.AsyncClient, desk: Desk, gate: Gate
) -> None:
    asked = [asyncio.create_task(ask(client, desk)) for _ in range(7)]
    for _ in range(len(asked)):
        async with asyncio.timeout(10):
            await gate.begun.get()
        gate.let.release()
    answers = await asyncio.gather(*asked)
    assert [answer.status_code for answer in answers] == [200] * len(asked)
    assert gate.most_at_once == 2


async def test_a_store_that_does_not_answer_is_given_up_and_gets_no_more_to_do_until_it_does(
    client: httpx.AsyncClient, desk: Desk, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "PATIENCE_S", 0.1)
    for answer in await asyncio.gather(*(ask(client, desk) for _ in range(5))):
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Retry-After"] == "5"
        assert answer.json()["reason"] == "unavailable"
    assert gate.at_once == gate.most_at_once == 2, "given-up reads still hold their worker threads"
    assert (await client.get("/api/v1/events")).status_code == 200
    monkeypatch.undo()
    for _ in range(3):
        gate.let.release()
    assert (await ask(client, desk)).status_code == 200


async def test_a_read_that_fails_gives_its_place_back(client: httpx.AsyncClient, desk: Desk, gate: Gate) -> None:
    gate.error = RetryableError("store down")
    for _ in range(5):
        gate.let.release()
        assert (await ask(client, desk)).status_code == 503
    gate.error = None
    gate.let.release()
    assert (await ask(client, desk)).status_code == 200
