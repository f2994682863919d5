"""Signing in, who am I, signing out."""

from http import HTTPStatus
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response

from dashboard_api.auth import (
    PortsDep,
    VisitorDep,
    account_of,
    clear_cookie,
    from_own_page,
    set_cookie,
    token_of,
)
from dashboard_api.live import LiveFeed
from dashboard_api.problems import ProblemError, responses
from dashboard_api.routes.common import SIGNED_IN
from dashboard_api.schemas.world import Session, SignIn

router = APIRouter(prefix="/session", tags=["session"])

_SIGN_IN = SIGNED_IN | responses(HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


@router.post("", operation_id="signIn", responses=_SIGN_IN)
async def sign_in(ports: PortsDep, request: Request, response: Response, body: SignIn) -> Session:
    """Start a session: a cookie for a browser, or a Bearer token for a program that asks for one."""
    by_browser = "sec-fetch-site" in request.headers or "origin" in request.headers
    if by_browser and not from_own_page(request.headers):
        raise ProblemError(HTTPStatus.FORBIDDEN, "cross_origin", "signing in works on our own page only")
    now_us = ports.session_clock.now_us()
    source = request.client.host if request.client is not None else ""
    token = await to_thread.run_sync(
        lambda: ports.accounts.sign_in(body.name, body.password, now_us=now_us, source=source)
    )
    if token is None:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED, "wrong_password", "name and password do not fit, or there were too many tries"
        )
    if body.token:
        return Session(account=body.name, token=token)
    set_cookie(response, token, ports.settings)
    return Session(account=body.name)


@router.get("", operation_id="whoAmI")
async def who_am_i(ports: PortsDep, token: Annotated[str | None, Depends(token_of)]) -> Session:
    """The account that is signed in; null where none is."""
    return Session(account=None if token is None else await account_of(ports, token))


@router.delete("", operation_id="signOut", status_code=204, responses=SIGNED_IN | responses(HTTPStatus.FORBIDDEN))
async def sign_out(ports: PortsDep, request: Request, response: Response, who: VisitorDep) -> None:
    """End the session and its live feeds."""
    await to_thread.run_sync(ports.accounts.sign_out, who.token)
    live: LiveFeed = request.app.state.live
    live.end_session(who.token)
    clear_cookie(response, ports.settings)
