import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from alerting.feed import FeedEntry
from alerting.model import Action, GridEvent, Subject
from config.city import City
from config.errors import ConfigurationError
from config.settings import DashboardSettings
from dashboard_api import live, server, views
from dashboard_api.schemas.cases import EventOut, LiveMessage
from dashboard_api.server import serve
from tests.support.dashboard import ACCOUNT, PASSWORD, Desk

PATIENCE_S = 10


@pytest_asyncio.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    async with serve(app, DashboardSettings(port=0)) as address:
        yield address


@pytest_asyncio.fixture
async def listener(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A program with a token, talking to a real server."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        answer = await client.post("/api/v1/session", json={"name": ACCOUNT, "password": PASSWORD, "token": True})
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        yield client


@asynccontextmanager
async def listening(client: httpx.AsyncClient, **kwargs: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    async with client.stream("GET", "/api/v1/live", **kwargs) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert "Content-Encoding" not in answer.headers
        yield messages(answer)


async def messages(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    message: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            message[name] = json.loads(value) if name == "data" else value
        elif message:
            yield message
            message = {}


async def take(stream: AsyncIterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(stream) for _ in range(count)]


async def test_a_fresh_listener_begins_now_and_hears_what_happens(listener: httpx.AsyncClient, desk: Desk) -> None:
    desk.alarm(desk.sensor("noise"), 90)
    async with listening(listener) as stream:
        [beat] = await take(stream, 1)
        assert beat["event"] == "heartbeat"
        assert "id" not in beat
        assert beat["data"] == {"now": "2026-01-31T02:00:00.000Z", "newest": desk.ledger.last_trail_id()}
        event = desk.alarm(desk.sensor("ch4"), 31.2)
        found = {message["event"]: message for message in await take(stream, 2)}
    assert set(found) == {"alarm_raised", "event_opened"}
    data = found["event_opened"]["data"]
    assert data["event"]["code"] == event.code
    assert data["entry"]["id"] == int(found["event_opened"]["id"])
    assert found["alarm_raised"]["data"]["event"] is None


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_listener_resumes_exactly_where_it_left_off(listener: httpx.AsyncClient, desk: Desk, how: str) -> None:
    left_at = desk.ledger.last_trail_id()
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    desk.ports.commands.acknowledge(event.id, actor=ACCOUNT, now_us=desk.clock.now_us())
    desk.fault(desk.sensor("temperature"))
    expected = [(str(entry.id), entry.action.value) for entry in desk.ledger.trail(after=left_at)]
    assert Action.TICKET_OPENED.value in dict(map(reversed, expected))  # type: ignore[arg-type]  # pairs of str
    given: dict[str, Any] = {"headers": {"Last-Event-ID": str(left_at)}, "params": {"after": 1}}
    if how == "query":
        given = {"params": {"after": left_at}}
    async with listening(listener, **given) as stream:
        [_, *found] = await take(stream, 1 + len(expected))
    assert [(message["id"], message["event"]) for message in found] == expected


async def test_more_than_one_batch_arrives_in_order_and_without_loss(listener: httpx.AsyncClient, desk: Desk) -> None:
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    left_at = desk.ledger.last_trail_id()
    count = live.BATCH * 2 + 1
    for number in range(count):
        desk.ports.commands.note(event.id, f"note {number}", actor=ACCOUNT, now_us=desk.clock.now_us())
    async with listening(listener, params={"after": left_at}) as stream:
        [_, *found] = await take(stream, 1 + count)
    assert [message["data"]["entry"]["detail"]["text"] for message in found] == [f"note {n}" for n in range(count)]


async def test_many_listeners_cost_one_look_at_the_ledger(
    listener: httpx.AsyncClient, app: FastAPI, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    feed = desk.ledger.feed

    def counted(*, after: int = 0, limit: int = 100) -> list[FeedEntry]:
        looks.append(after)
        return feed(after=after, limit=limit)

    async with AsyncExitStack() as feeds:
        streams = [await feeds.enter_async_context(listening(listener)) for _ in range(20)]
        for stream in streams:
            await take(stream, 1)
        await quiet(app, 20)
        monkeypatch.setattr(desk.ledger, "feed", counted)
        desk.alarm(desk.sensor("ch4"), 31.2)
        found = [[message["event"] for message in await take(stream, 2)] for stream in streams]
    assert found == [["alarm_raised", "event_opened"]] * 20
    assert len(looks) == 1


async def quiet(app: FastAPI, readers: int) -> None:
    """Wait until so many listeners have looked at the ledger and wait for the bell."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(bool(reader.woken._waiters) for reader in app.state.live._readers) < readers:  # noqa: ASYNC110 - nobody tells when it becomes true
            await asyncio.sleep(0.01)


async def test_what_comes_quickly_is_read_together_and_each_case_is_written_once(
    listener: httpx.AsyncClient, app: FastAPI, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "GATHER_S", 0.2)
    written: list[int] = []
    event_view = views.event

    def counted(city: City, one: GridEvent) -> EventOut:
        written.append(one.id)
        return event_view(city, one)

    monkeypatch.setattr(views, "event", counted)
    async with listening(listener) as stream:
        await take(stream, 1)
        await quiet(app, 1)
        event = desk.alarm(desk.sensor("ch4"), 31.2)
        await take(stream, 2)
        written.clear()
        for number in range(5):
            desk.ports.commands.note(event.id, f"note {number}", actor=ACCOUNT, now_us=desk.clock.now_us())
        found = await take(stream, 5)
    assert [message["data"]["entry"]["detail"]["text"] for message in found] == [f"note {n}" for n in range(5)]
    assert written == [event.id]


async def test_the_data_of_a_message_is_the_message_that_the_description_promises(
    listener: httpx.AsyncClient, desk: Desk
) -> None:
    left_at = desk.ledger.last_trail_id()
    event, ticket = desk.alarm(desk.sensor("ch4"), 31.2), desk.fault(desk.sensor("temperature"))
    expected: dict[Subject, dict[str, Any]] = {
        Subject.EVENT: {"event": views.event(desk.city, event).model_dump(mode="json"), "ticket": None},
        Subject.TICKET: {"event": None, "ticket": views.ticket(desk.city, ticket).model_dump(mode="json")},
        Subject.ALARM: {"event": None, "ticket": None},
    }
    entries = desk.ledger.trail(after=left_at)
    async with listening(listener, params={"after": left_at}) as stream:
        [_, *found] = await take(stream, 1 + len(entries))
    for entry, message in zip(entries, found, strict=True):
        assert LiveMessage.model_validate(message["data"])
        told = {"entry": views.trail_entry(entry).model_dump(mode="json"), **expected[entry.subject]}
        assert message["data"] == told


async def test_a_listener_that_leaves_takes_the_look_from_nobody_and_the_last_one_ends_the_watch(
    listener: httpx.AsyncClient, app: FastAPI, desk: Desk
) -> None:
    async with listening(listener) as stream:
        async with listening(listener) as other:
            await take(other, 1)
        await take(stream, 1)
        desk.alarm(desk.sensor("ch4"), 31.2)
        assert len(await take(stream, 2)) == 2
    async with asyncio.timeout(PATIENCE_S):
        while app.state.live.readers:  # noqa: ASYNC110 - nobody tells when it becomes true
            await asyncio.sleep(0.01)
    assert "live feed" not in {task.get_name() for task in asyncio.all_tasks() if not task.cancelling()}


async def test_a_session_that_another_process_ends_does_not_outlive_the_trust_in_it(
    listener: httpx.AsyncClient, desk: Desk
) -> None:
    async with listening(listener) as stream:
        await take(stream, 1)
        now_us = desk.session_clock.now_us()
        desk.ports.accounts.sign_out(listener.headers["Authorization"].removeprefix("Bearer "))
        desk.session_clock.advance(now_us + live.TRUSTED_US)
        desk.alarm(desk.sensor("ch4"), 31.2)
        async with asyncio.timeout(PATIENCE_S):
            assert [message async for message in stream] == []


async def test_an_id_from_another_ledger_means_now(listener: httpx.AsyncClient, desk: Desk) -> None:
    async with listening(listener, params={"after": 10**9}) as stream:
        await take(stream, 1)
        desk.alarm(desk.sensor("ch4"), 31.2)
        assert len(await take(stream, 2)) == 2


async def test_quiet_times_have_a_heartbeat(listener: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.01)
    async with listening(listener) as stream:
        assert [beat["event"] for beat in await take(stream, 3)] == ["heartbeat"] * 3


async def test_signing_out_ends_the_feed_at_once(listener: httpx.AsyncClient, app: FastAPI) -> None:
    async with listening(listener) as stream:
        await take(stream, 1)
        assert app.state.live.readers == 1
        await listener.delete("/api/v1/session")
        async with asyncio.timeout(PATIENCE_S):
            assert [message async for message in stream] == []
    assert app.state.live.readers == 0


async def test_a_session_that_runs_out_ends_the_feed(listener: httpx.AsyncClient, desk: Desk) -> None:
    async with listening(listener) as stream:
        await take(stream, 1)
        desk.session_clock.advance(desk.session_clock.now_us() + 12 * 3600 * 1_000_000)
        desk.alarm(desk.sensor("ch4"), 31.2)
        async with asyncio.timeout(PATIENCE_S):
            assert [message async for message in stream] == []


async def test_stopping_the_server_ends_every_feed_promptly(app: FastAPI) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(timeout=PATIENCE_S) as client:
        async with serve(app, DashboardSettings(port=0)) as url:
            answer = await client.post(
                f"{url}/api/v1/session", json={"name": ACCOUNT, "password": PASSWORD, "token": True}
            )
            request = client.build_request(
                "GET", f"{url}/api/v1/live", headers={"Authorization": f"Bearer {answer.json()['token']}"}
            )
            feed = await client.send(request, stream=True)
            stream = messages(feed)
            await anext(stream)
            stopped_at = loop.time()
        assert loop.time() - stopped_at < 2
        assert [message async for message in stream] == []
        await feed.aclose()


async def test_a_reader_who_takes_nothing_is_cut_off_and_counted(
    listener: httpx.AsyncClient, app: FastAPI, desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SEND_TIMEOUT_S", 0.2)
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    left_at = desk.ledger.last_trail_id()
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, (host, int(port)))
        await ask(deaf, listener.headers["Authorization"], left_at)
        async with asyncio.timeout(60):
            while not app.state.live.cut_off:
                await asyncio.to_thread(
                    desk.ports.commands.note, event.id, "汉" * 2000, actor=ACCOUNT, now_us=desk.clock.now_us()
                )
    assert app.state.live.readers == 0


async def ask(deaf: socket.socket, authorization: str, left_at: int) -> None:
    """Ask for the feed; nobody will ever read it."""
    request = f"GET /api/v1/live?after={left_at} HTTP/1.1\r\nHost: desk.test\r\nAuthorization: {authorization}\r\n\r\n"
    await asyncio.get_running_loop().sock_sendall(deaf, request.encode())


async def test_an_address_that_is_taken_stops_the_start_with_a_clear_error(app: FastAPI, url: str) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
        async with serve(app, DashboardSettings(port=port)):
            pytest.fail("two servers on one port")


async def test_the_process_keeps_its_own_signal_handlers(app: FastAPI) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with serve(app, DashboardSettings(port=0)):
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_a_full_house_refuses_more_at_once_and_has_room_again_when_feeds_end(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 4)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(app, DashboardSettings(port=0)))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=PATIENCE_S))
        answer = await client.post("/api/v1/session", json={"name": ACCOUNT, "password": PASSWORD, "token": True})
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        async with AsyncExitStack() as feeds:
            streams = [await feeds.enter_async_context(listening(client)) for _ in range(3)]
            for stream in streams:
                await take(stream, 1)
            assert (await client.get("/healthz", headers={"Connection": "close"})).status_code == 503
            assert app.state.live.readers == 3
        async with asyncio.timeout(PATIENCE_S):
            while (await client.get("/healthz")).status_code != 200:
                pass
        assert app.state.live.readers == 0
