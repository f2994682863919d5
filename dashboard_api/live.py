"""The live feed: every entry of the trail as a server-sent event, resumed by its id, bounded for slow readers.

Nothing is buffered per reader: each holds only the id it has reached and reads on from the ledger, so a reader who
stops reading costs one socket buffer and is cut off after ``SEND_TIMEOUT_S``.
"""

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from threading import Lock

import anyio
from anyio import to_thread
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from alerting.model import FaultTicket, GridEvent, Subject, TrailEntry
from config.clock import isoformat
from dashboard_api import views
from dashboard_api.auth import account_of
from dashboard_api.ports import Ports
from dashboard_api.schemas.cases import Heartbeat, LiveMessage

HEARTBEAT_S = 15.0
SEND_TIMEOUT_S = 20.0
RECONNECT_MS = 2000
BATCH = 100
REMEMBERED = 1000
TRUSTED_US = 5_000_000
"""A session that was found to last is not asked for again so soon; signing out on this page ends a stream at once."""

_log = logging.getLogger(__name__)


class Reader:
    """One open stream: whose session it hangs on, and how it is told to stop."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.checked_us = 0
        self.stop = anyio.Event()


class LiveFeed:
    """All open streams of one app, and the messages they have in common."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._readers: set[Reader] = set()
        self._messages: OrderedDict[int, tuple[str, str]] = OrderedDict()
        self._lock = Lock()
        self._reading = Lock()
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
            reader.stop.set()

    def end_session(self, token: str) -> None:
        """End the streams of a session that was signed out."""
        for reader in self._readers:
            if reader.token == token:
                reader.stop.set()

    async def stream(self, token: str, after: int | None) -> AsyncIterator[ServerSentEvent]:
        """Messages after an id (from now on, where None) until the session ends or the server stops."""
        reader = Reader(token)
        self._readers.add(reader)
        if self._stopped:
            reader.stop.set()
        try:
            newest = await to_thread.run_sync(self._ports.cases.last_trail_id)
            # An id from another ledger would wait for ever: take it for "now".
            reached = newest if after is None or after > newest else after
            yield self._heartbeat(newest)
            look = True  # at the ledger itself, and not only at what is remembered
            while not reader.stop.is_set():
                messages = self._known(reached)
                if look and not messages:
                    messages = await to_thread.run_sync(self.messages, reached)
                if not await self._still_signed_in(reader):
                    return
                for number, action, data in messages:
                    if reader.stop.is_set():
                        return
                    yield ServerSentEvent(data, event=action, id=str(number))
                    reached = number
                look = len(messages) == BATCH
                if not messages:
                    newest = await self._until_news(reader, reached)
                    look = True
                    if newest <= reached and not reader.stop.is_set():
                        yield self._heartbeat(newest)
        finally:
            self._readers.discard(reader)

    async def _still_signed_in(self, reader: Reader) -> bool:
        now_us = self._ports.session_clock.now_us()
        if now_us - reader.checked_us >= TRUSTED_US:
            if await account_of(self._ports, reader.token) is None:
                return False
            reader.checked_us = now_us
        return True

    def _known(self, after: int) -> list[tuple[int, str, str]]:
        """The next entries as far as they are remembered; ids have no gaps, so none is passed over."""
        found = []
        with self._lock:
            for number in range(after + 1, after + 1 + BATCH):
                if number not in self._messages:
                    break
                found.append((number, *self._messages[number]))
        return found

    def messages(self, after: int) -> list[tuple[int, str, str]]:
        """(id, action, JSON) of the next entries of the trail. Blocks. Readers share the work of writing them."""
        with self._reading:  # a hundred readers wake at once: the first one reads, the others find it done
            if found := self._known(after):
                return found
            cases: dict[tuple[Subject, int], GridEvent | FaultTicket | None] = {}
            for entry in self._ports.cases.trail(after=after, limit=BATCH):
                with self._lock:
                    kept = self._messages.get(entry.id)
                if kept is None:
                    kept = entry.action.value, self._write(entry, cases)
                    with self._lock:
                        self._messages[entry.id] = kept
                        while len(self._messages) > REMEMBERED:
                            self._messages.popitem(last=False)
                found.append((entry.id, *kept))
        return found

    def _write(self, entry: TrailEntry, known: dict[tuple[Subject, int], GridEvent | FaultTicket | None]) -> str:
        city, cases = self._ports.city, self._ports.cases
        key = (entry.subject, entry.subject_id)
        if key not in known:
            match entry.subject:
                case Subject.EVENT:
                    known[key] = cases.event(entry.subject_id)
                case Subject.TICKET:
                    known[key] = cases.ticket(entry.subject_id)
                case Subject.ALARM | Subject.ACCOUNT:
                    known[key] = None
        case = known[key]
        return LiveMessage(
            entry=views.trail_entry(entry),
            event=views.event(city, case) if isinstance(case, GridEvent) else None,
            ticket=views.ticket(city, case) if isinstance(case, FaultTicket) else None,
        ).model_dump_json()

    def _heartbeat(self, newest: int) -> ServerSentEvent:
        beat = Heartbeat(now=isoformat(self._ports.clock.now_us()), newest=newest)
        return ServerSentEvent(beat.model_dump_json(), event="heartbeat", retry=RECONNECT_MS)

    async def _until_news(self, reader: Reader, reached: int) -> int:
        """The newest trail id, at the latest after the heartbeat's time; at once when the reader is to stop."""
        newest = reached
        async with anyio.create_task_group() as group:

            async def stop() -> None:
                await reader.stop.wait()
                group.cancel_scope.cancel()

            group.start_soon(stop)
            newest = await self._ports.bell.wait(reached, HEARTBEAT_S)
            group.cancel_scope.cancel()
        return newest


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
