"""Every error of the API as RFC 9457 problem details, ``application/problem+json``."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException

from alerting.commands import CommandRefused, RefusedReason
from config.errors import RetryableError
from dashboard_api.schemas.base import Names, Wire, example

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class FieldError(Wire):
    """One field that was not as expected."""

    field: str
    problem: str

    model_config = example(field="query.limit", problem="Input should be less than or equal to 500")


class Problem(Wire):
    """Problem details of RFC 9457. reason: a word for programs. text: for people. errors: the fields, where any are."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str
    text: Names | None = None
    errors: list[FieldError] = Field(default_factory=list)

    model_config = example(
        type="about:blank",
        title="Conflict",
        status=409,
        detail="It is closed and can no longer be changed.",
        reason="already_closed",
        text={"zh": "已关闭，不能再修改。", "en": "It is closed and can no longer be changed."},
        errors=[],
    )


class ProblemError(Exception):
    """Raised by routes: becomes an answer with problem details."""

    def __init__(self, status: HTTPStatus, reason: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers or {}


def not_found(what: str) -> ProblemError:
    """The answer where a named thing does not exist."""
    return ProblemError(HTTPStatus.NOT_FOUND, "not_found", f"there is no {what}")


def problem_response(
    status: HTTPStatus,
    reason: str,
    detail: str,
    *,
    text: Names | None = None,
    errors: list[FieldError] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """An answer with problem details."""
    body = Problem(title=status.phrase, status=status, detail=detail, reason=reason, text=text, errors=errors or [])
    return JSONResponse(body.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class only
    return problem_response(error.status, error.reason, error.detail, headers=error.headers)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CommandRefused)  # noqa: S101 - registered for this class only
    status = HTTPStatus.NOT_FOUND if error.reason is RefusedReason.NO_SUCH_CASE else HTTPStatus.CONFLICT
    return problem_response(status, error.reason.value, error.text.en, text=Names.of(error.text))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    errors = [
        FieldError(field=".".join(str(part) for part in entry["loc"]), problem=entry["msg"]) for entry in error.errors()
    ]
    named = ", ".join(entry.field for entry in errors)
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"not as expected: {named}", errors=errors)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers) if error.headers else None
    return problem_response(status, status.name.lower(), str(error.detail), headers=headers)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    _log.warning("%s %s: a part cannot be reached", request.method, request.url.path, exc_info=error)
    detail = "a part that this answer needs cannot be reached; try again"
    return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, headers={"Retry-After": "5"})


async def _broken(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "the daemon could not answer; its log says why"
    )


def install(app: FastAPI) -> None:
    """Let every error of the app answer with problem details, and say so in its OpenAPI."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(CommandRefused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RetryableError, _unavailable)
    app.add_exception_handler(Exception, _broken)


def responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its OpenAPI entry."""
    return {int(status): {"model": Problem, "description": status.phrase} for status in statuses}


def describe(schema: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI schema with every error answer as application/problem+json. Changes and returns the schema."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and "Problem" in str(answer.get("content", "Problem")):
                    answer["content"] = content
    return schema
