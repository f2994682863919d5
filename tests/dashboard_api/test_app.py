import json
import logging
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from alerting.commands import RefusedReason
from config.errors import RetryableError
from config.texts import table
from config.vocabulary import Language
from dashboard_api import problems
from dashboard_api.app import STATIC
from dashboard_api.headers import CONTENT_SECURITY_POLICY
from dashboard_api.ports import Health
from dashboard_api.schemas import base, cases, world
from tests.support.dashboard import Desk

OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"
OPEN_TO_ALL = {("/api/v1/session", "get"), ("/api/v1/session", "post"), ("/api/v1/texts/{language}", "get")}


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


async def test_every_route_but_signing_in_and_texts_needs_a_session(app: FastAPI, stranger: httpx.AsyncClient) -> None:
    closed = [
        (path, method)
        for path, method, _ in operations(app)
        if path.startswith("/api/") and (path, method) not in OPEN_TO_ALL
    ]
    assert len(closed) >= 17
    for path, method in closed:
        url = re.sub(r"\{\w+\}", "1", path)
        answer = await stranger.request(method.upper(), url, headers={"Sec-Fetch-Site": "same-origin"})
        assert (path, answer.status_code) == (path, 401)
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_description_that_is_published_is_the_apps_own(app: FastAPI) -> None:
    mine = json.dumps(app.openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("GRIDWHISTLE_WRITE_DOCS"):
        OPENAPI.write_text(mine, encoding="utf-8")
    assert OPENAPI.read_text(encoding="utf-8") == mine, "run this test with GRIDWHISTLE_WRITE_DOCS=1 to write it anew"


def test_every_operation_is_described_named_and_tells_its_errors_as_problems(app: FastAPI) -> None:
    names = [operation["operationId"] for _, _, operation in operations(app)]
    assert len(names) == len(set(names))
    known = {tag["name"] for tag in app.openapi()["tags"]}
    for path, method, operation in operations(app):
        assert set(operation["tags"]) <= known, path
        assert operation.get("description"), path
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and path != "/healthz":
                assert list(answer["content"]) == ["application/problem+json"], (path, method, status)


def test_every_model_has_an_example_that_fits_it(app: FastAPI) -> None:
    models = {
        name: model
        for module in (base, cases, world, problems)
        for name, model in vars(module).items()
        if isinstance(model, type) and issubclass(model, base.Wire) and model is not base.Wire
    }
    described = app.openapi()["components"]["schemas"]
    for model in models.values():
        example = model.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index]  # set by us
        TypeAdapter(model).validate_python(example, strict=False)
    objects = {name for name, schema in described.items() if schema["type"] == "object"}
    assert objects
    assert {name for name in objects if "examples" not in described[name]} == set()


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/health", "/api/v1/events/9", "/nothing", "/static/js/main.js", "/healthz", "/openapi.json"]
)
async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_policy_allows_nothing_inline_and_nobody_else() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    assert not re.search(r"\son\w+=|style=|<style", page)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/api/v1/health", "no-store"),
        ("/api/v1/texts/zh", "no-store"),
        ("/", "no-store"),
        ("/static/js/main.js", "no-cache"),
        ("/static/vendor/preact-10.29.8.js", "public, max-age=31536000, immutable"),
        ("/static/vendor/preact-0.0.0.js", "no-store"),
    ],
)
async def test_answers_are_never_kept_and_versioned_files_for_ever(
    client: httpx.AsyncClient, path: str, rule: str
) -> None:
    assert (await client.get(path)).headers["Cache-Control"] == rule


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/v1/events/999", 404, "not_found"),
        ("GET", "/api/v1/faults/999", 404, "not_found"),
        ("GET", "/api/v1/sensors/none", 404, "not_found"),
        ("GET", "/api/v1/events?grid=none", 404, "not_found"),
        ("GET", "/api/v1/people?grid=none", 404, "not_found"),
        ("GET", "/api/v1/events/abc", 422, "invalid"),
        ("GET", "/api/v1/events?limit=501", 422, "invalid"),
        ("GET", "/api/v1/events?worst=5", 422, "invalid"),
        ("GET", "/api/v1/events?before=99999999999999999999", 422, "invalid"),
        ("GET", "/api/v1/sensors?west=1&south=1&east=1", 422, "invalid"),
        ("GET", "/api/v1/sensors?west=nan&south=1&east=1&north=1", 422, "invalid"),
        ("GET", "/api/v1/texts/fr", 422, "invalid"),
        ("POST", "/api/v1/events", 405, "method_not_allowed"),
    ],
)
async def test_every_error_is_a_problem_with_a_reason(
    client: httpx.AsyncClient, method: str, path: str, status: int, reason: str
) -> None:
    answer = await client.request(method, path)
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["status"], body["reason"]) == (status, status, reason)
    assert body["title"]
    assert body["detail"]


async def test_what_is_wrong_with_a_field_is_said_by_its_name(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/v1/events?limit=0&category=ghosts")).json()
    assert {entry["field"] for entry in body["errors"]} == {"query.limit", "query.category"}


async def test_a_broken_part_answers_500_and_leaks_nothing(
    app: FastAPI, desk: Desk, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Health:
        raise RuntimeError("the secret path /srv/keys")

    app.state.ports = replace(desk.ports, health=broken)
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/api/v1/health")
    assert answer.status_code == 500
    assert answer.json()["reason"] == "internal_error"
    assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_a_part_that_cannot_be_reached_is_worth_another_try(
    app: FastAPI, desk: Desk, client: httpx.AsyncClient
) -> None:
    class Down:
        async def series(self, *_: object) -> None:
            raise RetryableError("store down at db.internal")

    app.state.ports = replace(desk.ports, readings=Down())  # type: ignore[arg-type]  # never answers a Series
    sensor = desk.sensor("ch4").id
    span = {"from": "2026-01-31T00:00:00Z", "to": "2026-01-31T01:00:00Z"}
    answer = await client.get(f"/api/v1/sensors/{sensor}/readings", params=span)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "db.internal" not in answer.text


async def test_health_says_how_every_part_does_and_healthz_only_whether(
    desk: Desk, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    body = (await client.get("/api/v1/health")).json()
    assert body["ok"] is True
    assert body["parts"] == {"broker": "ok"}
    assert body["counters"] == {"readings_admitted": 7}
    assert body["now"] == "2026-01-31T02:00:00.000Z"
    assert body["time_zone"] == "Asia/Shanghai"
    desk.health = Health(False, {"broker": "refused: bad password"}, {})
    answer = await stranger.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"ok": False})


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_page_learns_its_words_without_a_session(stranger: httpx.AsyncClient, language: str) -> None:
    body = (await stranger.get(f"/api/v1/texts/{language}")).json()
    assert body["first_language"] == "zh"
    assert {"ui.title", "category.gas_leak", "condition.high", "role.worker"} <= body["texts"].keys()
    assert not any(key.startswith(("push.", "check.")) for key in body["texts"])


def test_every_word_the_page_asks_for_exists() -> None:
    keys = set(table(Language.EN))
    asked: set[str] = set()
    for script in (STATIC / "js").glob("*.js"):
        asked |= set(re.findall(r"""(?<![\w.])t\(\s*['"]([\w.]+)['"]""", script.read_text()))
        asked |= set(re.findall(r"""['"](ui\.[\w.]+\w)['"]""", script.read_text()))
    assert len(asked) > 60
    assert asked - keys == set()


def test_no_script_is_longer_than_a_person_reads_at_once() -> None:
    lengths = {script.name: len(script.read_text().splitlines()) for script in (STATIC / "js").glob("*.js")}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_every_route_and_reason_is_in_the_api_document(app: FastAPI) -> None:
    document = (OPENAPI.parent / "api.md").read_text(encoding="utf-8")
    for path, method, _ in operations(app):
        shown = re.sub(r"\{(?:event|ticket|sensor)_id\}", "{id}", path.removeprefix("/api/v1"))
        assert f"`{method.upper()} {shown}" in document or f"`{shown}`" in document, (method, path)
    assert {reason.value for reason in RefusedReason} <= set(re.findall(r"`(\w+)`", document))
