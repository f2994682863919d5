"""The parts of the demonstration that decide; the whole stands in tests/flows/test_demo.py."""

import asyncio
import socket
from pathlib import Path

import pytest

from config.errors import ConfigurationError, RetryableError
from gridwhistle.broker import free_port, is_free
from gridwhistle.demo import DemoOptions, beginning, demo, unless_stopped

SECOND_US = 1_000_000


def test_a_run_begins_now_or_where_the_last_one_in_its_folder_ended(tmp_path: Path) -> None:
    assert beginning(tmp_path, 7 * SECOND_US + 5) == 7 * SECOND_US
    (tmp_path / "clock").write_text(str(9 * SECOND_US + 1))
    assert beginning(tmp_path, 7 * SECOND_US) == 10 * SECOND_US
    assert beginning(tmp_path, 11 * SECOND_US) == 11 * SECOND_US


async def test_work_that_waits_for_ever_ends_when_asked_to() -> None:
    stop, begun = asyncio.Event(), asyncio.Event()

    async def for_ever() -> None:
        begun.set()
        await asyncio.Event().wait()

    waiting = asyncio.create_task(unless_stopped(stop, for_ever()))
    await begun.wait()
    stop.set()
    assert await asyncio.wait_for(waiting, 10) is False


async def test_work_that_ends_or_fails_says_so() -> None:
    async def fail() -> None:
        raise RetryableError("no broker")

    assert await unless_stopped(asyncio.Event(), asyncio.sleep(0)) is True
    with pytest.raises(RetryableError, match="no broker"):
        await unless_stopped(asyncio.Event(), fail())


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        assert not is_free(somebody.getsockname()[1])
    assert is_free(free_port())


async def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    options = DemoOptions(keep=tmp_path / "taken")
    with pytest.raises(ConfigurationError, match="taken: cannot be made"):
        await demo(options, asyncio.Event(), lambda _: None, lambda _: None, lambda _: None)
