from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio
from fastapi import FastAPI

from dashboard_api.app import create_app
from tests.support.dashboard import ACCOUNT, PASSWORD, Desk, desk

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest_asyncio.fixture(name="desk")
async def fixture_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    with desk(tmp_path) as parts:
        yield parts


@pytest_asyncio.fixture
async def app(desk: Desk) -> FastAPI:
    return create_app(desk.ports)


@pytest_asyncio.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has not signed in."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk.test") as client:
        yield client


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A signed-in browser on our own page."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk.test", headers=OWN_PAGE) as client:
        answer = await client.post("/api/v1/session", json={"name": ACCOUNT, "password": PASSWORD})
        assert answer.status_code == 200
        yield client
