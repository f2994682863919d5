from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from dashboard_api.auth import from_own_page
from tests.support.dashboard import ACCOUNT, PASSWORD, Desk

GOOD = {"name": ACCOUNT, "password": PASSWORD}


async def test_signing_in_sets_a_cookie_that_no_script_and_no_other_site_can_use(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post("/api/v1/session", json=GOOD)
    assert answer.json() == {"account": ACCOUNT, "token": None}
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=43200" in cookie
    assert "Secure" not in cookie


async def test_behind_tls_the_cookie_is_secure(stranger: httpx.AsyncClient, desk: Desk, app: FastAPI) -> None:
    app.state.ports = replace(desk.ports, settings=desk.ports.settings.model_copy(update={"secure_cookie": True}))
    answer = await stranger.post("/api/v1/session", json=GOOD)
    assert "Secure" in answer.headers["Set-Cookie"]


async def test_a_wrong_password_is_answered_like_an_unknown_name(stranger: httpx.AsyncClient) -> None:
    wrong = await stranger.post("/api/v1/session", json={**GOOD, "password": "not it, not at all"})
    unknown = await stranger.post("/api/v1/session", json={**GOOD, "name": "nobody"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["reason"] == "wrong_password"
    assert "Set-Cookie" not in wrong.headers


async def test_who_am_i_before_during_and_after_a_session(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/api/v1/session")).json()["account"] is None
    await stranger.post("/api/v1/session", json=GOOD)
    assert (await stranger.get("/api/v1/session")).json()["account"] == ACCOUNT
    gone = await stranger.delete("/api/v1/session", headers={"Sec-Fetch-Site": "same-origin"})
    assert gone.status_code == 204
    assert (await stranger.get("/api/v1/session")).json()["account"] is None


async def test_a_token_that_was_signed_out_is_worth_nothing_even_when_kept(stranger: httpx.AsyncClient) -> None:
    token = (await stranger.post("/api/v1/session", json={**GOOD, "token": True})).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await stranger.get("/api/v1/health", headers=bearer)).status_code == 200
    assert (await stranger.delete("/api/v1/session", headers=bearer)).status_code == 204
    assert (await stranger.get("/api/v1/health", headers=bearer)).status_code == 401


async def test_a_program_that_asks_for_a_token_gets_no_cookie(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post("/api/v1/session", json={**GOOD, "token": True})
    assert "Set-Cookie" not in answer.headers
    assert len(answer.json()["token"]) >= 32


async def test_a_session_ends_by_the_peoples_clock_not_by_a_replays(client: httpx.AsyncClient, desk: Desk) -> None:
    desk.advance(10 * 24 * 3600)
    assert (await client.get("/api/v1/health")).status_code == 200
    desk.session_clock.advance(desk.session_clock.now_us() + 12 * 3600 * 1_000_000)
    answer = await client.get("/api/v1/health")
    assert answer.status_code == 401
    assert answer.json()["reason"] == "not_signed_in"
    assert "Bearer" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("headers", "believed"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://desk.test", "host": "desk.test"}, False),
        ({"origin": "http://desk.test", "host": "desk.test"}, True),
        ({"origin": "https://desk.test:8443", "host": "desk.test:8443"}, True),
        ({"origin": "http://evil.test", "host": "desk.test"}, False),
        ({"origin": "http://desk.test.evil.test", "host": "desk.test"}, False),
        ({"origin": "null", "host": "desk.test"}, False),
        ({"host": "desk.test"}, False),
        ({}, False),
    ],
)
def test_only_our_own_page_is_believed(headers: dict[str, str], believed: bool) -> None:
    assert from_own_page(headers) is believed


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.test"}])
async def test_another_site_can_neither_change_anything_nor_sign_in(
    client: httpx.AsyncClient, desk: Desk, headers: dict[str, str]
) -> None:
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    client.headers.pop("Sec-Fetch-Site")
    answers = [
        await client.post(f"/api/v1/events/{event.id}/acknowledge", headers=headers),
        await client.post("/api/v1/session", json=GOOD, headers=headers),
        await client.delete("/api/v1/session", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert {answer.json()["reason"] for answer in answers} == {"cross_origin"}
    kept = desk.ledger.event(event.id)
    assert kept is not None
    assert kept.acknowledged_by is None


async def test_a_program_with_a_token_needs_no_origin(stranger: httpx.AsyncClient, desk: Desk) -> None:
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    token = (await stranger.post("/api/v1/session", json={**GOOD, "token": True})).json()["token"]
    answer = await stranger.post(f"/api/v1/events/{event.id}/acknowledge", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
