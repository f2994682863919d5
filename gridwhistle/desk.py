"""The core's side of the pages: what it does for them, over a socket in the data folder, without ever waiting for them.

A page is a process of its own (``gridwhistle/page.py``), so that whatever people ask of it delays no reading.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog

from config.errors import ConfigurationError, PermanentError, RetryableError
from dashboard_api.ports import Health
from gridwhistle.wire import (
    FROM_PAGE,
    Ask,
    Changed,
    Failed,
    Found,
    Grown,
    Link,
    LinkBrokenError,
    Told,
    address_of,
)
from ingest.model import Series
from ingest.store import Store

log = structlog.get_logger(__name__)

TELL_EVERY_S = 1.0
ACCEPT_PAUSE_S = 1.0
AT_ONCE = 2
"""Series read at once: charts take this many threads of the core, never more."""

MOST_ASKED = 32
"""Questions of one page that may be under way; more are refused at once."""

SeriesReader = Callable[[int, int, int, int], Awaitable[Series]]
"""(sensor, from_us, to_us, max_points); see ``ingest.store.Store.series``."""


class StoredReadings:
    """Kept readings, read in threads of their own: at most AT_ONCE at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="charts")

    async def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """See ``ingest.store.Store.series``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._store.series, sensor, from_us, to_us, max_points)

    def close(self) -> None:
        """Wait for what is being read, and let the threads go; nothing is read any more."""
        self._threads.shutdown(cancel_futures=True)


class Desk:
    """Serves pages while the block runs: tells them how the core does, that the trail grew, and readings they ask for.

    path: of the socket; only this user may connect. health: called in the loop, every second while there are pages.
    series: reads kept readings. on_changed: called in the loop when people may have changed the ledger through a page;
    it may be called for nothing. Raises ConfigurationError on entering where another daemon serves pages there.
    """

    def __init__(
        self,
        path: Path,
        *,
        health: Callable[[], Health],
        series: SeriesReader,
        on_changed: Callable[[], None],
        trail_id: int = 0,
    ) -> None:
        self.path = path
        self._health = health
        self._series = series
        self._on_changed = on_changed
        self._trail_id = trail_id
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket

    @property
    def pages(self) -> int:
        """How many pages are connected."""
        return len(self._links)

    def ring(self, trail_id: int) -> None:
        """The trail reaches to this id now. Thread-safe; pages know it when this returns, however busy the loop is."""
        self._trail_id = max(self._trail_id, trail_id)
        for link in tuple(self._links):
            link.send(Grown(trail_id))

    async def __aenter__(self) -> Self:
        self._listener = _listen(self.path)
        self._open()
        self._start(self._tell(), "tell pages")
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()
        for link in self._links:  # of tasks that had not begun
            link.close()
        self.path.unlink(missing_ok=True)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("what was done for a page failed", what=task.get_name(), exc_info=error)

    def _open(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:  # it has gone again
            return
        except OSError as error:  # no more files to be had, which passes
            log.warning("a page cannot be let in yet", why=str(error))
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listener)
            loop.call_later(ACCEPT_PAUSE_S, self._open)
            return
        link = Link(connection)
        self._links.add(link)
        self._start(self._serve(link), "page")

    async def _serve(self, link: Link) -> None:
        try:
            self._tell_now([link])
            link.send(Grown(self._trail_id))
            self._on_changed()  # while nobody listened, people may have changed something
            asked: set[asyncio.Task[None]] = set()
            while frames := await link.receive():
                for frame in frames:
                    self._hear(link, FROM_PAGE.decode(frame), asked)
        except (LinkBrokenError, msgspec.DecodeError) as error:
            log.warning("a page speaks what nobody understands; its link is closed", why=str(error))
        finally:
            self._links.discard(link)
            link.close()
            self._on_changed()  # the last change may have been kept, and the word of it lost

    def _hear(self, link: Link, message: Ask | Changed, asked: set[asyncio.Task[None]]) -> None:
        if isinstance(message, Changed):
            self._on_changed()
            self.ring(message.trail_id)  # other pages hear of it, too
        elif len(asked) >= MOST_ASKED:
            link.send(Failed(message.number, f"{MOST_ASKED} questions are under way already", retryable=True))
        else:
            task = asyncio.create_task(self._answer(link, message), name="readings for a page")
            asked.add(task)
            self._tasks.add(task)
            task.add_done_callback(asked.discard)
            task.add_done_callback(self._ended)

    async def _answer(self, link: Link, ask: Ask) -> None:
        try:
            series = await self._series(ask.sensor, ask.from_us, ask.to_us, ask.max_points)
        except RetryableError as error:
            link.send(Failed(ask.number, str(error), retryable=True))
        except (PermanentError, ValueError, IndexError) as error:
            link.send(Failed(ask.number, str(error), retryable=False))
        else:
            link.send(Found.of(ask.number, series))

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            waiting = [link for link in self._links if not link.lags]
            if waiting:
                self._tell_now(waiting)

    def _tell_now(self, links: Sequence[Link]) -> None:
        try:
            told = Told.of(self._health())
        except Exception:  # whatever health stumbles over must not end the telling: pages notice the silence
            log.exception("how we do cannot be said")
            return
        for link in links:
            link.send(told)


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address_of(path) as address:
            taken = _answers(address)
            if not taken:
                path.unlink(missing_ok=True)  # left behind by a daemon that was killed
                listener.bind(address)
                path.chmod(0o600)  # before listen(): nobody can have connected yet
        if not taken:
            listener.listen(16)
            listener.setblocking(False)
            return listener
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"{path}: no socket can be made there ({error}); expected a local folder") from error
    listener.close()
    raise ConfigurationError(f"{path}: another daemon works in this data_dir; expected one of its own")


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
        probe.connect(address)
        return True
    return False
