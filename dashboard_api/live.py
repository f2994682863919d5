"""The live feed: every entry of the trail as a server-sent event, resumed by its id, bounded for slow readers.

Nothing is buffered per reader: each holds only the id it has reached and reads on from the ledger, so a reader who
stops reading costs one socket buffer and is cut off after ``SEND_TIMEOUT_S``.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from threading import Lock

from anyio import to_thread
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from alerting.model import FaultTicket, GridEvent, Subject, TrailEntry
from config.clock import isoformat
from dashboard_api import views
from dashboard_api.auth import account_of
from dashboard_api.ports import Ports
from dashboard_api.schemas.cases import Heartbeat

HEARTBEAT_S = 15.0
SEND_TIMEOUT_S = 20.0
RECONNECT_MS = 2000
BATCH = 100
GATHER_S = 0.025
"""Entries that follow one another more quickly are read together: a look costs about as much as ten entries."""

REMEMBERED = 1000
TRUSTED_US = 5_000_000
"""A session that was found to last is not asked for again so soon; signing out on this page ends a stream at once."""

Message = tuple[int, bytes]
"""An entry of the trail: its id, and what the stream says of it."""

_log = logging.getLogger(__name__)


class Reader:
    """One open stream: whose session it hangs on, and how it is woken and told to stop."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.checked_us = 0
        self.stopped = False
        self.woken = asyncio.Event()

    def stop(self) -> None:
        """End the stream."""
        self.stopped = True
        self.woken.set()

    async def rest(self, seconds: float) -> bool:
        """Wait until there is something to do, for so long at most; whether there is."""
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        except TimeoutError:
            return False
        return True


class LiveFeed:
    """All open streams of one app, and the messages they have in common.

    One task listens to the bell for all of them. The first entry after a quiet time is read at once; what comes within
    GATHER_S of it is read together. A look at the ledger and the writing of a message are shared by all who want it.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._readers: set[Reader] = set()
        self._watching: asyncio.Task[None] | None = None
        self._newest = 0
        self._messages: OrderedDict[int, bytes] = OrderedDict()
        self._looks: dict[int, asyncio.Task[list[Message]]] = {}
        self._lock = Lock()
        self._stopped = False
        self.cut_off = 0

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    def start(self) -> None:
        """Let streams be opened: the server comes up."""
        self._stopped = False

    def stop(self) -> None:
        """End every stream, and every later one at once: the server goes down."""
        self._stopped = True
        for reader in self._readers:
            reader.stop()

    def end_session(self, token: str) -> None:
        """End the streams of a session that was signed out."""
        for reader in self._readers:
            if reader.token == token:
                reader.stop()

    async def stream(self, token: str, after: int | None) -> AsyncIterator[bytes]:
        """Messages after an id (from now on, where None) until the session ends or the server stops."""
        reader = Reader(token)
        self._enter(reader)
        try:
            newest = await to_thread.run_sync(self._ports.cases.last_trail_id)
            # An id from another ledger would wait for ever: take it for "now".
            reached = newest if after is None or after > newest else after
            yield self._heartbeat(newest)
            look = True  # at the ledger itself, whatever the bell says
            while not reader.stopped:
                reader.woken.clear()
                messages = self._known(reached)
                if not messages and (look or self._newest > reached):
                    messages = await self._look(reached)
                if not await self._still_signed_in(reader):
                    return
                if messages and not reader.stopped:
                    yield b"".join(message for _, message in messages)
                    reached, _ = messages[-1]
                    look = len(messages) == BATCH
                elif not reader.stopped:
                    look = not await reader.rest(HEARTBEAT_S)
                    if look:
                        yield self._heartbeat(max(self._newest, reached))
        finally:
            self._leave(reader)

    def _enter(self, reader: Reader) -> None:
        self._readers.add(reader)
        if self._stopped:
            reader.stop()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="live feed")

    def _leave(self, reader: Reader) -> None:
        self._readers.discard(reader)
        if not self._readers and self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        """Wake the readers when the trail has grown, not more often than every GATHER_S."""
        while True:
            newest = await self._ports.bell.wait(self._newest, HEARTBEAT_S)
            if newest > self._newest:
                self._newest = newest
                for reader in self._readers:
                    reader.woken.set()
                await asyncio.sleep(GATHER_S)

    async def _still_signed_in(self, reader: Reader) -> bool:
        now_us = self._ports.session_clock.now_us()
        if now_us - reader.checked_us >= TRUSTED_US:
            if await account_of(self._ports, reader.token) is None:
                return False
            reader.checked_us = now_us
        return True

    def _known(self, after: int) -> list[Message]:
        """The next messages as far as they are remembered; ids have no gaps, so none is passed over."""
        found = []
        with self._lock:
            for number in range(after + 1, after + 1 + BATCH):
                if number not in self._messages:
                    break
                found.append((number, self._messages[number]))
        return found

    async def _look(self, after: int) -> list[Message]:
        """The next messages, from the ledger. Who wants the same meanwhile, gets the same."""
        look = self._looks.get(after)
        if look is None:
            look = asyncio.create_task(to_thread.run_sync(self.messages, after), name="look at the ledger")
            self._looks[after] = look
            look.add_done_callback(lambda _: self._looks.pop(after))
        return await asyncio.shield(look)  # a reader who leaves takes it from nobody

    def messages(self, after: int) -> list[Message]:
        """The next entries of the trail as messages of the stream. Blocks."""
        entries = self._ports.cases.feed(after=after, limit=BATCH)
        written: dict[tuple[Subject, int], str] = {}
        found = [(entry.id, self._write(entry, case, written)) for entry, case in entries]
        with self._lock:
            self._messages.update(found)
            while len(self._messages) > REMEMBERED:
                self._messages.popitem(last=False)
        return found

    def _write(
        self, entry: TrailEntry, case: GridEvent | FaultTicket | None, written: dict[tuple[Subject, int], str]
    ) -> bytes:
        """A LiveMessage in the stream's form. written: the cases that other entries were about, as JSON."""
        key = (entry.subject, entry.subject_id)
        if key not in written:
            match case:
                case GridEvent():
                    written[key] = f'"event":{views.event(self._ports.city, case).model_dump_json()},"ticket":null'
                case FaultTicket():
                    written[key] = f'"event":null,"ticket":{views.ticket(self._ports.city, case).model_dump_json()}'
                case None:
                    written[key] = '"event":null,"ticket":null'
        data = f'{{"entry":{views.trail_entry(entry).model_dump_json()},{written[key]}}}'
        return f"id: {entry.id}\nevent: {entry.action}\ndata: {data}\n\n".encode()

    def _heartbeat(self, newest: int) -> bytes:
        beat = Heartbeat(now=isoformat(self._ports.clock.now_us()), newest=newest).model_dump_json()
        return f"event: heartbeat\ndata: {beat}\nretry: {RECONNECT_MS}\n\n".encode()


class LiveResponse(EventSourceResponse):
    """A stream of the live feed that is cut off when its reader no longer reads."""

    def __init__(self, feed: LiveFeed, token: str, after: int | None) -> None:
        super().__init__(feed.stream(token, after), ping=0, send_timeout=SEND_TIMEOUT_S, sep="\n")
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            self._feed.cut_off += 1
            _log.warning("a reader of the live feed took nothing for %s s and was cut off", SEND_TIMEOUT_S)
