"""Runs the dashboard inside the daemon's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

from config.errors import ConfigurationError
from config.settings import DashboardSettings
from dashboard_api.live import LiveFeed

GRACE_S = 5
CONNECTIONS = 512
"""Open at once, live feeds counted: a hundred desks of one feed and some requests each, well below the 1,024 files that
a process may have open on most systems. Whoever comes on top is answered 503 at once."""


class _Server(uvicorn.Server):
    """Uvicorn that leaves the process's signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(f"dashboard.host, dashboard.port: cannot listen on {host}:{port}: {error}") from error
    return listener


@contextlib.asynccontextmanager
async def serve(app: FastAPI, settings: DashboardSettings) -> AsyncIterator[str]:
    """Serve while the block runs; yields the address, with the port that was really taken.

    On the way out live feeds end at once and answers under way get ``GRACE_S`` seconds.
    Raises ConfigurationError where the address cannot be listened on.
    """
    listener = _listen(settings.host, settings.port)
    live: LiveFeed = app.state.live
    live.start()
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=30,
        limit_concurrency=CONNECTIONS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="dashboard")
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the dashboard's server ended before it began")
            await asyncio.sleep(0.005)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield f"http://{host}:{port}"
    finally:
        live.stop()
        server.should_exit = True
        await task
        listener.close()
