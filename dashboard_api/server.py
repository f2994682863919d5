"""Runs the dashboard inside an event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

from config.settings import DashboardSettings
from dashboard_api.listener import BACKLOG, listen, url_of
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


@contextlib.asynccontextmanager
async def serve(app: FastAPI, settings: DashboardSettings, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """Serve while the block runs; yields the address, with the port that was really taken.

    listener: see ``dashboard_api.listener``; made of the settings where none is given, closed at the end.
    On the way out live feeds end at once and answers under way get ``GRACE_S`` seconds.
    Raises ConfigurationError where the address cannot be listened on.
    """
    listener = listener or listen(settings.host, settings.port)
    live: LiveFeed = app.state.live
    live.start()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=30,
        limit_concurrency=CONNECTIONS,
        backlog=BACKLOG,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="dashboard")
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the dashboard's server ended before it began")
            await asyncio.sleep(0.005)
        yield url_of(listener, settings.host)
    finally:
        live.stop()
        server.should_exit = True
        await task
        listener.close()
