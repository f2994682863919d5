"""The page's side of a core: how it does, that the trail has grown, and readings that only it can read."""

import asyncio
import itertools
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from config.clock import Clock
from config.errors import PermanentError, RetryableError
from dashboard_api.ports import Health
from gridwhistle.wire import (
    FROM_CORE,
    Ask,
    Changed,
    Failed,
    Found,
    FromCore,
    Grown,
    Link,
    LinkBrokenError,
    Told,
    address_of,
)
from ingest.model import Int32s, Series

log = structlog.get_logger(__name__)

SILENT_AFTER_S = 3.0
"""It tells how it does every second; after so many without a word it is taken to stand still."""

SERIES_PATIENCE_S = 30.0
AGAIN_S = 0.2
GATHER_S = 0.01
"""What the core says is heard not more often: in a storm of alarms it says a hundred times a second that they grew."""


class CoreSilentError(RetryableError):
    """The core does not answer."""


class Core:
    """One core, over the socket of its desk. Make and ``run`` it in the loop; on_grown is called there, too."""

    def __init__(self, path: Path, clock: Clock, on_grown: Callable[[int], None]) -> None:
        self._path = path
        self._clock = clock
        self._on_grown = on_grown
        self._link: Link | None = None
        self._told: Health | None = None
        self._heard_s = clock.monotonic()
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Series]] = {}
        self._first_word = asyncio.Event()

    async def run(self) -> None:
        """Keep the link, until cancelled."""
        while True:
            link = await self._connected()
            self._link = link
            try:
                while frames := await link.receive():
                    for frame in frames:
                        self._hear(FROM_CORE.decode(frame))
                    await asyncio.sleep(GATHER_S)
            except (LinkBrokenError, msgspec.DecodeError) as error:
                log.warning("the core says what nobody understands", why=str(error))
            finally:
                self._link = None
                link.close()
                for waiting in self._asked.values():
                    if not waiting.done():
                        waiting.set_exception(CoreSilentError("the link to the core broke"))
                self._asked.clear()
            await self._clock.sleep(AGAIN_S)

    async def _connected(self) -> Link:
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                with address_of(self._path) as address:
                    connection.connect(address)  # local: it answers at once, or is not there
            except OSError:
                connection.close()
                await self._clock.sleep(AGAIN_S)
            else:
                return Link(connection)

    def _hear(self, message: FromCore) -> None:
        match message:
            case Told():
                self._told = message.health()
                self._heard_s = self._clock.monotonic()
                self._first_word.set()
            case Grown(trail_id=trail_id):
                self._on_grown(trail_id)
            case Found(number=number):
                if (waiting := self._asked.pop(number, None)) is not None and not waiting.done():
                    waiting.set_result(message.series())
            case Failed(number=number, why=why, retryable=retryable):
                if (waiting := self._asked.pop(number, None)) is not None and not waiting.done():
                    waiting.set_exception(RetryableError(why) if retryable else PermanentError(why))

    async def introduced(self, patience_s: float) -> None:
        """Wait until it has said how it does, for so long at most."""
        try:
            async with asyncio.timeout(patience_s):
                await self._first_word.wait()
        except TimeoutError:
            log.warning("the core has not said a word yet", waited_s=patience_s)

    def health(self) -> Health:
        """How it does; the part "core" is ours: whether it says so at all. Silence counts as being behind."""
        silent_s = self._clock.monotonic() - self._heard_s
        told = self._told or Health(True, {}, {})
        if self._told is not None and silent_s <= SILENT_AFTER_S:
            return Health(told.ok, {"core": "ok", **told.parts}, told.counters, told.behind_s, told.waiting)
        parts = {"core": f"no sign of life for {silent_s:.0f} s", **told.parts}
        return Health(False, parts, told.counters, told.behind_s + silent_s, told.waiting)

    def changed(self, trail_id: int) -> None:
        """Say that people changed something. Thread-safe. Without a link nothing is said: the next one says it."""
        link = self._link
        if link is not None:
            link.send(Changed(trail_id))

    async def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """See ``dashboard_api.ports.Readings``. Raises CoreSilentError where no answer comes."""
        link = self._link
        if link is None:
            raise CoreSilentError("there is no link to the core")
        number = next(self._numbers)
        waiting: asyncio.Future[Series] = asyncio.get_running_loop().create_future()
        self._asked[number] = waiting
        link.send(Ask(number, sensor, from_us, to_us, max_points))
        try:
            async with asyncio.timeout(SERIES_PATIENCE_S):
                return await waiting
        except TimeoutError as error:
            raise CoreSilentError(f"the core did not answer within {SERIES_PATIENCE_S:g} s") from error
        finally:
            self._asked.pop(number, None)


class Cores:
    """All cores of a page, as one (``dashboard_api.ports.Readings``). At least one.

    owners: which of them has each sensor, shape (sensors,); None where there is only one.
    """

    def __init__(self, cores: Sequence[Core], owners: Int32s | None = None) -> None:
        self._cores = tuple(cores)
        self._owners = owners

    def _of(self, sensor: int) -> Core:
        return self._cores[0 if self._owners is None else int(self._owners[sensor])]

    async def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """See ``dashboard_api.ports.Readings``."""
        return await self._of(sensor).series(sensor, from_us, to_us, max_points)

    def health(self) -> Health:
        """Of all cores together."""
        return merged([core.health() for core in self._cores])

    def changed(self, trail_id: int) -> None:
        """See Core.changed."""
        for core in self._cores:
            core.changed(trail_id)


def merged(healths: Sequence[Health]) -> Health:
    """Several healths as one: well where all are, every part with all that ails it, counts added, the most behind."""
    parts: dict[str, str] = {}
    counters: dict[str, int] = {}
    for health in healths:
        for name, state in health.parts.items():
            known = parts.get(name, "ok")
            parts[name] = state if known == "ok" else known if state in {"ok", known} else f"{known}; {state}"
        for name, count in health.counters.items():
            counters[name] = counters.get(name, 0) + count
    return Health(
        all(health.ok for health in healths),
        parts,
        counters,
        max(health.behind_s for health in healths),
        sum(health.waiting for health in healths),
    )
