"""Who is asking: a session by cookie or Bearer token, and whether a change comes from our own page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import Depends, Request, Response, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from config.settings import DashboardSettings
from dashboard_api.ports import Ports
from dashboard_api.problems import ProblemError

COOKIE = "gridwhistle_session"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="set by signing in")
_bearer = HTTPBearer(auto_error=False, description="the token that signing in gives to programs")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody signed in. token: the session's secret; never logged, never answered."""

    account: str
    token: str = field(repr=False)


def ports_of(request: Request) -> Ports:
    """What the app is plugged into."""
    ports: Ports = request.app.state.ports
    return ports


PortsDep = Annotated[Ports, Depends(ports_of)]


def from_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that the request comes from a page of this very host.

    Sec-Fetch-Site is believed first (no script can set it); else Origin must name the host that was asked.
    A request that carries neither is not from a browser of today, and a cookie alone does not speak for it.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")


async def account_of(ports: Ports, token: str) -> str | None:
    """The account of a session, None where it has ended or never was."""
    now_us = ports.session_clock.now_us()
    return await to_thread.run_sync(lambda: ports.accounts.account_of(token, now_us=now_us))


async def token_of(
    cookie: Annotated[str | None, Security(_cookie)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> str | None:
    """The token of whoever asks; a Bearer token wins over a cookie."""
    return bearer.credentials if bearer else cookie


async def visitor(
    request: Request,
    ports: PortsDep,
    cookie: Annotated[str | None, Security(_cookie)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Visitor:
    """The signed-in account. Answers 401 without one, 403 where a change by cookie is not from our own page."""
    token = bearer.credentials if bearer else cookie
    if token is None:
        raise _unauthorized("sign in first")
    if bearer is None and request.method not in _SAFE_METHODS and not from_own_page(request.headers):
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "cross_origin", "a change by cookie must come from a page of this very address"
        )
    account = await account_of(ports, token)
    if account is None:
        raise _unauthorized("the session has ended; sign in again")
    return Visitor(account, token)


VisitorDep = Annotated[Visitor, Depends(visitor)]


def _unauthorized(detail: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED, "not_signed_in", detail, headers={"WWW-Authenticate": 'Bearer realm="gridwhistle"'}
    )


def set_cookie(response: Response, token: str, settings: DashboardSettings) -> None:
    """Hand the session to a browser: no script can read it, no other site can send it."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=round(settings.session_hours * 3600),
        path="/",
        httponly=True,
        samesite="strict",
        secure=settings.secure_cookie,
    )


def clear_cookie(response: Response, settings: DashboardSettings) -> None:
    """Take the session away from a browser."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=settings.secure_cookie)
