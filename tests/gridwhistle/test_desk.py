"""The desk of a core and the pages at it, over a real socket."""

import asyncio
import socket
import stat
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from config.clock import SystemClock
from config.errors import ConfigurationError, PermanentError, RetryableError
from dashboard_api.ports import Health
from gridwhistle import core as page_side
from gridwhistle import desk as core_side
from gridwhistle import wire
from gridwhistle.core import Core, Cores, CoreSilentError, merged
from gridwhistle.desk import Desk
from gridwhistle.wire import FROM_CORE, Ask, FromCore, Grown, LinkBrokenError, Told
from ingest.model import Series

PATIENCE_S = 10
WELL = Health(True, {"broker": "ok"}, {"admitted": 7}, 0.25, 12)
SERIES = Series(
    np.array([1, 2, 3]), np.array([0.5, -1.0, np.inf]), np.array([0.0, -2.0, 1.0]), np.array([1.0, 2.0, 3.0])
)


@dataclass
class FakeCore:
    """What stands behind the desk."""

    health: Health = WELL
    answers: list[Series | Exception] = field(default_factory=list)
    asked: list[tuple[int, int, int, int]] = field(default_factory=list)
    changes: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def series(self, *asked: int) -> Series:
        self.asked.append((asked[0], asked[1], asked[2], asked[3]))
        await self.free.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def changed(self) -> None:
        self.changes += 1

    def desk(self, path: Path) -> Desk:
        return Desk(path, health=lambda: self.health, series=self.series, on_changed=self.changed, trail_id=3)


@dataclass
class FakePage:
    """A page: the real far end, and what it heard."""

    core: Core
    grown: list[int]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk.sock"


@pytest_asyncio.fixture
async def behind() -> FakeCore:
    fake = FakeCore()
    fake.free.set()
    return fake


@pytest_asyncio.fixture
async def desk(path: Path, behind: FakeCore) -> AsyncIterator[Desk]:
    async with behind.desk(path) as at_work:
        yield at_work


@pytest_asyncio.fixture
async def house() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def page_at(path: Path, house: AsyncExitStack) -> FakePage:
    grown: list[int] = []
    page = FakePage(Core(path, SystemClock(), grown.append), grown)
    running = asyncio.create_task(page.core.run())

    async def end() -> None:
        running.cancel()
        await asyncio.wait([running])

    house.push_async_callback(end)
    return page


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - nobody tells when it becomes true
            await asyncio.sleep(0.002)


def raw_page(path: Path) -> socket.socket:
    """A page that reads by hand."""
    page = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    page.settimeout(PATIENCE_S)
    with wire.address_of(path) as address:
        page.connect(address)
    return page


def heard(page: socket.socket) -> FromCore:
    (length,) = struct.unpack(">I", page.recv(4, socket.MSG_WAITALL))
    return FROM_CORE.decode(page.recv(length, socket.MSG_WAITALL))


class TestTelling:
    async def test_a_page_knows_at_once_how_the_core_does_and_how_far_the_trail_reaches(
        self, desk: Desk, house: AsyncExitStack
    ) -> None:
        page = await page_at(desk.path, house)
        await page.core.introduced(PATIENCE_S)
        health = page.core.health()
        assert health == Health(True, {"core": "ok", "broker": "ok"}, {"admitted": 7}, 0.25, 12)
        await until(lambda: page.grown == [3])

    async def test_it_is_told_again_and_again(
        self, desk: Desk, behind: FakeCore, house: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(core_side, "TELL_EVERY_S", 0.01)
        page = await page_at(desk.path, house)
        await page.core.introduced(PATIENCE_S)
        behind.health = Health(False, {"broker": "gone"}, {})
        await until(lambda: page.core.health().parts["broker"] == "gone")

    async def test_a_health_that_fails_once_does_not_end_the_telling(
        self, path: Path, house: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(core_side, "TELL_EVERY_S", 0.01)
        tries: list[int] = []

        def health() -> Health:
            tries.append(1)
            if len(tries) < 3:
                raise ZeroDivisionError
            return WELL

        await house.enter_async_context(Desk(path, health=health, series=FakeCore().series, on_changed=lambda: None))
        page = await page_at(path, house)
        await page.core.introduced(PATIENCE_S)
        assert page.core.health().ok

    async def test_a_core_without_a_word_is_unwell_and_its_silence_counts_as_being_behind(
        self, desk: Desk, house: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = await page_at(desk.path, house)
        before = page.core.health()
        assert not before.ok
        assert "no sign of life" in before.parts["core"]
        await page.core.introduced(PATIENCE_S)
        assert page.core.health().ok
        monkeypatch.setattr(page_side, "SILENT_AFTER_S", -1.0)
        silent = page.core.health()
        assert not silent.ok
        assert silent.behind_s > 0.25
        assert (silent.parts["broker"], silent.counters) == ("ok", {"admitted": 7})


class TestRinging:
    async def test_it_reaches_the_page_though_the_loop_is_busy(self, desk: Desk) -> None:
        with await asyncio.to_thread(raw_page, desk.path) as page:
            assert isinstance(await asyncio.to_thread(heard, page), Told)
            assert await asyncio.to_thread(heard, page) == Grown(3)
            desk.ring(4)  # from here to the last line nothing else runs in this loop
            assert heard(page) == Grown(4)

    async def test_it_may_come_from_any_thread(self, desk: Desk, house: AsyncExitStack) -> None:
        pages = [await page_at(desk.path, house) for _ in range(2)]
        await until(lambda: desk.pages == 2)
        await asyncio.gather(*(asyncio.to_thread(desk.ring, number) for number in range(10, 30)))
        for page in pages:
            await until(lambda page=page: set(page.grown) == {3, *range(10, 30)})  # type: ignore[misc]

    async def test_a_page_that_takes_nothing_holds_nobody_up_and_loses_its_link(
        self, desk: Desk, house: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wire, "MOST_UNSENT", 10_000)
        page = await page_at(desk.path, house)
        await page.core.introduced(PATIENCE_S)
        with await asyncio.to_thread(raw_page, desk.path):
            await until(lambda: desk.pages == 2)
            number = 3
            while desk.pages == 2:
                number += 1
                desk.ring(number)
                await asyncio.sleep(0)
                assert number < 100_000
            await until(lambda: page.grown[-1] == number)

    async def test_what_did_not_fit_comes_in_order_when_the_page_reads_again(self, desk: Desk) -> None:
        with await asyncio.to_thread(raw_page, desk.path) as page:
            assert isinstance(await asyncio.to_thread(heard, page), Told)
            assert await asyncio.to_thread(heard, page) == Grown(3)
            for number in range(5000):
                desk.ring(number)
            found = await asyncio.to_thread(lambda: [heard(page) for _ in range(5000)])
        assert found == [Grown(number) for number in range(5000)]


class TestReadings:
    async def test_they_come_back_as_they_were(self, desk: Desk, behind: FakeCore, house: AsyncExitStack) -> None:
        behind.answers.append(SERIES)
        page = await page_at(desk.path, house)
        await page.core.introduced(PATIENCE_S)
        found = await Cores([page.core]).series(5, 10, 20, 400)
        assert behind.asked == [(5, 10, 20, 400)]
        for name in ("event_us", "value", "low", "high"):
            assert getattr(found, name).tolist() == getattr(SERIES, name).tolist()

    @pytest.mark.parametrize("error", [RetryableError("the store is away"), PermanentError("no such sensor")])
    async def test_what_goes_wrong_goes_wrong_for_the_page_alike(
        self, desk: Desk, behind: FakeCore, house: AsyncExitStack, error: Exception
    ) -> None:
        behind.answers.append(error)
        page = await page_at(desk.path, house)
        await page.core.introduced(PATIENCE_S)
        with pytest.raises(type(error), match=str(error)):
            await page.core.series(5, 10, 20)

    async def test_a_bug_behind_the_desk_costs_the_question_and_nothing_else(
        self, desk: Desk, behind: FakeCore, house: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(page_side, "SERIES_PATIENCE_S", 0.05)
        behind.answers += [ZeroDivisionError(), SERIES]
        page = await page_at(desk.path, house)
        await page.core.introduced(PATIENCE_S)
        with pytest.raises(CoreSilentError, match=r"did not answer within 0\.05 s"):
            await page.core.series(5, 10, 20)
        monkeypatch.setattr(page_side, "SERIES_PATIENCE_S", PATIENCE_S)
        assert len((await page.core.series(5, 10, 20)).value) == 3

    async def test_no_link_is_said_at_once_and_a_broken_one_too(
        self, path: Path, behind: FakeCore, house: AsyncExitStack
    ) -> None:
        page = await page_at(path, house)
        with pytest.raises(CoreSilentError, match="no link"):
            await page.core.series(5, 10, 20)
        behind.free.clear()
        async with behind.desk(path):
            await page.core.introduced(PATIENCE_S)
            asking = asyncio.create_task(page.core.series(5, 10, 20))
            await until(lambda: behind.asked == [(5, 10, 20, 2000)])
        with pytest.raises(CoreSilentError, match="broke"):
            await asking

    async def test_a_page_that_asks_without_end_is_refused(
        self, desk: Desk, behind: FakeCore, house: AsyncExitStack
    ) -> None:
        behind.free.clear()
        page = await page_at(desk.path, house)
        await page.core.introduced(PATIENCE_S)
        asking = [asyncio.create_task(page.core.series(number, 10, 20)) for number in range(core_side.MOST_ASKED)]
        await until(lambda: len(behind.asked) == core_side.MOST_ASKED)
        with pytest.raises(RetryableError, match="under way already"):
            await page.core.series(5, 10, 20)
        behind.answers += [SERIES] * len(asking)
        behind.free.set()
        assert len(await asyncio.gather(*asking)) == core_side.MOST_ASKED


class TestChanges:
    async def test_the_core_hears_of_them_and_so_do_other_pages(
        self, desk: Desk, behind: FakeCore, house: AsyncExitStack
    ) -> None:
        one, other = [await page_at(desk.path, house) for _ in range(2)]
        await until(lambda: desk.pages == 2)
        before = behind.changes
        await asyncio.to_thread(Cores([one.core]).changed, 9)
        await until(lambda: 9 in other.grown)
        assert behind.changes == before + 1

    async def test_a_word_that_was_lost_with_its_page_is_made_good(self, desk: Desk, behind: FakeCore) -> None:
        page = await asyncio.to_thread(raw_page, desk.path)
        await until(lambda: behind.changes == 1)
        page.close()
        await until(lambda: behind.changes == 2)

    async def test_a_core_that_was_away_is_told_when_it_is_back(
        self, path: Path, behind: FakeCore, house: AsyncExitStack
    ) -> None:
        page = await page_at(path, house)
        async with behind.desk(path):
            await until(lambda: behind.changes == 1)
        page.core.changed(12)  # nobody is there to hear it
        before = behind.changes
        async with behind.desk(path):
            await until(lambda: behind.changes > before)


class TestTheSocket:
    async def test_only_its_user_may_connect(self, desk: Desk) -> None:
        assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600

    async def test_it_is_gone_afterwards(self, path: Path, behind: FakeCore) -> None:
        async with behind.desk(path):
            assert await asyncio.to_thread(path.is_socket)
        assert not await asyncio.to_thread(path.exists)

    async def test_one_left_behind_by_a_killed_daemon_is_replaced(self, path: Path, behind: FakeCore) -> None:
        with socket.socket(socket.AF_UNIX) as dead, wire.address_of(path) as address:
            dead.bind(address)
        assert await asyncio.to_thread(path.is_socket)
        async with behind.desk(path):
            (await asyncio.to_thread(raw_page, path)).close()

    async def test_two_daemons_in_one_folder_are_refused(self, desk: Desk, behind: FakeCore) -> None:
        with pytest.raises(ConfigurationError, match="another daemon works in this data_dir"):
            await behind.desk(desk.path).__aenter__()
        (await asyncio.to_thread(raw_page, desk.path)).close()  # the first goes on

    async def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path, behind: FakeCore) -> None:
        with pytest.raises(ConfigurationError, match="no socket can be made"):
            await behind.desk(tmp_path / "nowhere" / "desk.sock").__aenter__()

    async def test_its_path_may_be_longer_than_an_address(
        self, tmp_path: Path, behind: FakeCore, house: AsyncExitStack
    ) -> None:
        folder = tmp_path / ("long" * 30)
        folder.mkdir()
        await house.enter_async_context(behind.desk(folder / "desk.sock"))
        page = await page_at(folder / "desk.sock", house)
        await page.core.introduced(PATIENCE_S)
        assert page.core.health().ok

    @pytest.mark.parametrize("rubbish", [b"\x00\x00\x00\x02hi", b"\xff\xff\xff\xff", struct.pack(">I", 0)])
    async def test_rubbish_costs_the_one_who_sends_it_their_link(
        self, desk: Desk, house: AsyncExitStack, rubbish: bytes
    ) -> None:
        page = await page_at(desk.path, house)
        await page.core.introduced(PATIENCE_S)
        with await asyncio.to_thread(raw_page, desk.path) as stranger:
            await until(lambda: desk.pages == 2)
            stranger.sendall(rubbish)
            await until(lambda: desk.pages == 1)
        desk.ring(8)
        await until(lambda: page.grown[-1] == 8)


@given(st.lists(st.binary(max_size=40)), st.data())
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(struct.pack(">I", len(message)) + message for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    buffer = bytearray()
    found: list[bytes] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        buffer += stream[begin:end]
        found += wire._cut(buffer)
    assert found == messages
    assert not buffer


def test_a_message_longer_than_any_is_not_waited_for() -> None:
    with pytest.raises(LinkBrokenError, match="expected at most"):
        list(wire._cut(bytearray(struct.pack(">I", wire.LARGEST_FRAME + 1))))


def test_messages_of_one_side_are_no_messages_of_the_other() -> None:
    ask = msgspec.msgpack.encode(Ask(1, 2, 3, 4, 5))
    assert wire.FROM_PAGE.decode(ask) == Ask(1, 2, 3, 4, 5)
    with pytest.raises(msgspec.ValidationError):
        FROM_CORE.decode(ask)


def test_several_cores_are_as_well_as_the_worst_of_them() -> None:
    whole = merged(
        [
            Health(True, {"broker": "ok", "store": "ok"}, {"admitted": 3}, 0.5, 10),
            Health(False, {"broker": "gone", "store": "ok"}, {"admitted": 4, "refused": 1}, 9.0, 5),
            Health(False, {"broker": "slow"}, {}),
        ]
    )
    assert whole == Health(False, {"broker": "gone; slow", "store": "ok"}, {"admitted": 7, "refused": 1}, 9.0, 15)


def test_one_core_alone_is_as_it_is() -> None:
    assert merged([WELL]) == WELL
