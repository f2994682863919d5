"""Keeps the page's process running beside the core (see ``gridwhistle/page.py``)."""

import asyncio
import contextlib
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog
from pydantic import SecretStr

from config.city import City
from config.clock import Clock, SystemClock
from config.errors import ConfigurationError
from config.settings import Settings
from dashboard_api.listener import listen, url_of
from gridwhistle.desk import Desk

log = structlog.get_logger(__name__)

PROGRAM = "gridwhistle.page"
SERVING = "serving"
FAILED = "failed "
WRONG_ORDER = 2
"""Exit code where starting again cannot help: a person must mend something."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A page that served for so long has settled: if it ends then, it is started again at once."""

RECENT_S = 60.0
"""For so long after a page was started anew, health says so."""

STOP_S = 8.0
"""A page that was told to end and goes on for longer is killed; it gives answers under way 5 s."""


class DeskAddress(msgspec.Struct, frozen=True):
    """Where a core is found: the socket of its desk, and the file of its last values."""

    socket: str
    latest: str


class Order(msgspec.Struct, frozen=True):
    """What a page is to serve. settings: all but the broker's. listener: number of the inherited socket."""

    settings: dict[str, Any]
    city_version: str
    listener: int
    desks: tuple[DeskAddress, ...]

    @staticmethod
    def of(settings: Settings, city_version: str, listener: int, desks: Sequence[DeskAddress]) -> "Order":
        """The order for these settings; with the store's and the ledger's secrets, which the page needs."""
        return Order(settings.model_dump(exclude={"mqtt"}), city_version, listener, tuple(desks))

    def line(self) -> bytes:
        """As one line, for the page's standard input."""
        return msgspec.json.encode(self, enc_hook=_plain) + b"\n"


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def ledger_url(settings: Settings) -> str:
    """The ledger's address: as set, else SQLite in the data folder."""
    return settings.ledger.url or f"sqlite:///{(settings.data_dir / 'ledger.sqlite').resolve()}"


class PageProcess:
    """A page at work. url: its address, from the first moment: who comes before it serves waits in the socket's queue.

    starts: how often it was started.
    """

    def __init__(self, url: str, order: bytes, listener: socket.socket, clock: Clock) -> None:
        self.url = url
        self.starts = 0
        self._order = order
        self._listener = listener
        self._clock = clock
        self._process: Process | None = None
        self._settled = asyncio.Event()
        self._served_since_s: float | None = None
        self._why: str | None = None
        self._hopeless: ConfigurationError | None = None

    @property
    def pid(self) -> int | None:
        """Of its process; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def trouble(self) -> str | None:
        """What ails it, in English: it does not serve, or did not until a minute ago; None where nothing does."""
        if self._why is None:
            return None  # its first start goes on, or it serves since
        if self._served_since_s is None:
            return f"it does not serve: {self._why}"
        recently = self._clock.monotonic() - self._served_since_s < RECENT_S
        return f"it was started again: {self._why}" if recently else None

    async def serving(self) -> None:
        """Wait until it serves. Raises ConfigurationError where that cannot be until a person mends something."""
        await self._settled.wait()
        if self._hopeless is not None:
            raise self._hopeless

    async def keep(self) -> None:
        """Start it, and again whenever it ends, until cancelled; then it ends in order."""
        pause_s = FIRST_PAUSE_S
        while True:
            begun_s = self._clock.monotonic()
            await self._once()
            if self._clock.monotonic() - begun_s > STEADY_S:
                pause_s = FIRST_PAUSE_S
            await self._clock.sleep(pause_s)
            log.warning("the page ended and is started again", why=self._why, paused_s=pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _once(self) -> None:
        self.starts += 1
        number = self._listener.fileno()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", PROGRAM, stdin=PIPE, stdout=PIPE, pass_fds=(number,), start_new_session=True
            )
        except OSError as error:  # no memory, no process to be had: that passes
            self._why = str(error)
            return
        self._process = process
        try:
            await self._follow(process)
        finally:
            self._served_since_s = None
            await _end(process)
            self._process = None

    async def _follow(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - both are pipes
        with contextlib.suppress(ConnectionError):  # it ended at once: its exit code says so
            process.stdin.write(self._order)
            await process.stdin.drain()
        failure = ""
        async for line in process.stdout:
            word = line.decode(errors="replace").strip()
            if word == SERVING:
                self._served_since_s = self._clock.monotonic()
                self._hopeless = None
                self._settled.set()
            elif word.startswith(FAILED):
                failure = word.removeprefix(FAILED)
        code = await process.wait()
        self._why = failure or _words(code)
        if code == WRONG_ORDER and not self._settled.is_set():
            self._hopeless = ConfigurationError(f"the page cannot be served: {self._why}")
            self._settled.set()


async def _end(process: Process) -> None:
    """Close its input, which ends it; kill it where that takes too long."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_S):  # wait_for of Python 3.11 loses a cancellation that comes with the end
            await process.wait()
    except TimeoutError:
        log.warning("the page did not end and is killed", waited_s=STOP_S)
        process.kill()
        await process.wait()


def _words(code: int) -> str:
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"


@asynccontextmanager
async def page_process(
    settings: Settings, *, city: City, desk: Desk, latest: Path, clock: Clock | None = None
) -> AsyncIterator[PageProcess]:
    """Keep a page running while the block runs. It may not serve yet when the block begins: see PageProcess.serving.

    latest: file of the last values (``Latest.open``), which must be there. The ledger must have been opened before.
    On leaving, live feeds end at once and answers under way get some seconds. Raises ConfigurationError where the
    address cannot be listened on.
    """
    with listen(settings.dashboard.host, settings.dashboard.port) as listener:
        address = DeskAddress(str(desk.path), str(latest))
        order = Order.of(settings, city.version, listener.fileno(), [address]).line()
        page = PageProcess(url_of(listener, settings.dashboard.host), order, listener, clock or SystemClock())
        keeping = asyncio.create_task(page.keep(), name="page process")
        try:
            yield page
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            if not keeping.cancelled():
                log.error("the page's process was not looked after any more", exc_info=keeping.exception())
