from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from config.settings import DashboardSettings
from dashboard_api.bodies import LARGEST_BODY
from dashboard_api.server import serve
from tests.support.dashboard import ACCOUNT, PASSWORD, Desk

PATHS = ["/api/v1/session", "/api/v1/events/1/note", "/api/v1/health", "/nothing"]


class Untouched:
    """Accounts that must not be asked."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"accounts.{name} was asked")


async def parts(count: int, size: int = 1024) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json()["reason"], answer.json()["status"]) == ("too_large", 413)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_says_it_is_too_large_is_refused_before_anybody_is_asked_who_sends_it(
    app: FastAPI, desk: Desk, stranger: httpx.AsyncClient, path: str
) -> None:
    app.state.ports = replace(desk.ports, accounts=Untouched())  # type: ignore[arg-type]  # answers nothing
    headers = {"Authorization": "Bearer anything"}
    assert_refused(await stranger.post(path, content=b" " * (LARGEST_BODY + 1), headers=headers))


@pytest.mark.parametrize("length", [str(LARGEST_BODY + 1), "1" + "0" * 18, "1" + "0" * 5000], ids=len)
async def test_the_length_alone_is_enough_to_refuse(stranger: httpx.AsyncClient, length: str) -> None:
    assert_refused(await stranger.post("/api/v1/session", content=parts(0), headers={"Content-Length": length}))


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_without_a_length_is_counted_and_read_no_further_than_the_limit(
    stranger: httpx.AsyncClient, path: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b" " * 1024

    assert_refused(await stranger.post(path, content=endless()))
    assert sent == LARGEST_BODY + 1024


async def test_a_body_of_exactly_the_limit_is_read_whole_and_in_order(stranger: httpx.AsyncClient) -> None:
    start = f'{{"name": "{ACCOUNT}", "password": "{PASSWORD}", "token": true'.encode()

    async def body() -> AsyncIterator[bytes]:
        yield start
        async for part in parts(LARGEST_BODY - len(start) - 1, 1):
            yield part
        yield b"}"

    answer = await stranger.post("/api/v1/session", content=body(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["account"] == ACCOUNT


async def test_a_real_server_refuses_too_and_goes_on_answering(app: FastAPI) -> None:
    async with serve(app, DashboardSettings(port=0)) as url, httpx.AsyncClient(base_url=url) as client:
        assert_refused(await client.post("/api/v1/session", content=b" " * 1_000_000))
        assert_refused(await client.post("/api/v1/session", content=parts(1000)))
        assert (await client.get("/healthz")).status_code == 200
