"""Refuses bodies that are too large, before anything of the app has looked at the request."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard_api.problems import problem_response

LARGEST_BODY = 64 * 1024
"""Bytes. The largest honest one is a note: 2,000 characters."""
_LONGEST_NUMBER = 19


class BodyLimit:
    """ASGI middleware: takes a body in up to ``LARGEST_BODY``, answers 413 to a larger one, then lets the app begin.

    What a request says of its own length is believed where it is too much, else the parts are counted as they come.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = None if _says_too_much(scope) else await _take(receive)
        if taken is None:
            await _refusal(scope, receive, send)
            return
        waiting: list[Message] = [taken]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replay, send)


def _says_too_much(scope: Scope) -> bool:
    length = Headers(scope=scope).get("content-length", "")
    return length.isdecimal() and (len(length) > _LONGEST_NUMBER or int(length) > LARGEST_BODY)


async def _take(receive: Receive) -> Message | None:
    """The whole body as one message (or the news that the client has gone); None where it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return {"type": "http.request", "body": bytes(body), "more_body": False}


async def _refusal(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem_response(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"a body may have {LARGEST_BODY} bytes at most"
    )
    await answer(scope, receive, send)
