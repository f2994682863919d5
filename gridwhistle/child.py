"""A process that the daemon keeps running: started with an order on its standard input, again whenever it ends.

The child says on its standard output when it serves, or why it cannot; it ends when its input does.
"""

import asyncio
import contextlib
import ctypes
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import structlog

from config.clock import Clock
from config.errors import ConfigurationError, GridwhistleError
from config.logs import configure_logs

log = structlog.get_logger(__name__)

SERVING = "serving"
FAILED = "failed "
WRONG_ORDER = 2
"""Exit code where starting again cannot help: a person must mend something."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A child that served for so long has settled: if it ends then, it is started again at once."""

SERVING_S = 60.0
"""For so long a child is waited for, while it goes on failing in a way that may pass."""

RECENT_S = 60.0
"""For so long after a child was started anew, health says so."""

_PR_SET_PDEATHSIG = 1


class Child:
    """A process at work. name: what people call it. starts: how often it was started.

    program: the module it runs. order: one line for its standard input. handles: files it inherits. stop_s: seconds it
    has to end in when it is told to; then it is killed.
    """

    def __init__(
        self, name: str, program: str, order: bytes, clock: Clock, *, stop_s: float, handles: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.starts = 0
        self._program = program
        self._order = order
        self._handles = tuple(handles)
        self._stop_s = stop_s
        self._clock = clock
        self._process: Process | None = None
        self._settled = asyncio.Event()
        self._served_since_s: float | None = None
        self._why: str | None = None
        self._late: str | None = None
        self._hopeless: ConfigurationError | None = None

    @property
    def pid(self) -> int | None:
        """Of its process; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def trouble(self) -> str | None:
        """What ails it, in English: it does not serve, or did not until a minute ago; None where nothing does."""
        why = self._why or self._late
        if why is None:
            return None  # its first start goes on, or it serves since
        if self._served_since_s is None:
            return f"it does not serve: {why}"
        if self._why is None:
            return None  # it came late, at its first start
        recently = self._clock.monotonic() - self._served_since_s < RECENT_S
        return f"it was started again: {self._why}" if recently else None

    async def serving(self, patience_s: float = SERVING_S) -> bool:
        """Wait until it serves, for so long at most: whether it does; if not, it is tried on and ``trouble`` says why.

        Raises ConfigurationError where it cannot serve until a person mends something.
        """
        try:
            async with asyncio.timeout(patience_s):
                await self._settled.wait()
        except TimeoutError:
            self._late = f"it has not begun within {patience_s:g} s"
            log.warning("a process does not serve; we go on without it", process=self.name, why=self._why or self._late)
            return False
        if self._hopeless is not None:
            raise self._hopeless
        return True

    async def keep(self) -> None:
        """Start it, and again whenever it ends, until cancelled; then it ends in order."""
        pause_s = FIRST_PAUSE_S
        while True:
            begun_s = self._clock.monotonic()
            await self._once()
            if self._clock.monotonic() - begun_s > STEADY_S:
                pause_s = FIRST_PAUSE_S
            await self._clock.sleep(pause_s)
            log.warning("a process ended and is started again", process=self.name, why=self._why, paused_s=pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _once(self) -> None:
        self.starts += 1
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._program,
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=self._handles,
                start_new_session=True,
            )
        except OSError as error:  # no memory, no process to be had: that passes
            self._why = str(error)
            return
        self._process = process
        try:
            await self._follow(process)
        finally:
            self._served_since_s = None
            await _end(process, self._stop_s)
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
            self._hopeless = ConfigurationError(f"the {self.name} cannot be served: {self._why}")
            self._settled.set()


async def _end(process: Process, stop_s: float) -> None:
    """Close its input, which ends it; kill it where that takes too long."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(stop_s):  # wait_for of Python 3.11 loses a cancellation that comes with the end
            await process.wait()
    except TimeoutError:
        log.warning("a process did not end and is killed", waited_s=stop_s)
        process.kill()
        await process.wait()


def _words(code: int) -> str:
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"


@asynccontextmanager
async def kept(child: Child) -> AsyncIterator[None]:
    """Keep a child running while the block runs; on leaving it ends in order."""
    keeping = asyncio.create_task(child.keep(), name=f"{child.name} process")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        if not keeping.cancelled():
            log.error("a process is not looked after any more", process=child.name, exc_info=keeping.exception())


# The child's side.


def obey(work: Callable[[bytes], Coroutine[None, None, None]]) -> None:
    """Do the work that the line on standard input orders. What is raised on purpose is said on standard output.

    work: calls ``serve`` when it is ready.
    """
    _end_with_the_parent()
    configure_logs()
    try:
        asyncio.run(work(sys.stdin.buffer.readline()))
    except GridwhistleError as error:
        _say(FAILED + " ".join(str(error).split()))
        raise SystemExit(WRONG_ORDER if isinstance(error, ConfigurationError) else 1) from None


def told_to_end() -> asyncio.Event:
    """Set when standard input ends, or at SIGTERM or SIGINT."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()

    def input_ended() -> None:  # nothing else follows the order
        loop.remove_reader(sys.stdin.fileno())
        end.set()

    loop.add_reader(sys.stdin.fileno(), input_ended)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    return end


async def serve(end: asyncio.Event) -> None:
    """Say that we serve, and go on until we are told to end."""
    _say(SERVING)
    await end.wait()


def _end_with_the_parent() -> None:
    """Have the kernel kill us when the parent dies, even while we are too busy to see our input end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()
