"""What a session is subscribed to is known after a restart, and after a crash between question and answer."""

from pathlib import Path

import pytest

from ingest.subscriptions import SubscriptionMemory


def test_what_was_wanted_before_and_is_not_now_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "subscriptions"
    before = SubscriptionMemory(path)
    before.asked(["a/#", "b/#"])
    before.answered(["a/#", "b/#"])
    assert SubscriptionMemory(path).gone(["b/#", "c/#"]) == ["a/#"]


def test_a_crash_before_the_answer_forgets_neither_the_old_nor_the_new(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions"
    SubscriptionMemory(path).answered(["a/#"])
    SubscriptionMemory(path).asked(["b/#"])
    assert SubscriptionMemory(path).gone([]) == ["a/#", "b/#"]
    SubscriptionMemory(path).answered(["b/#"])
    assert SubscriptionMemory(path).gone([]) == ["b/#"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'["a'])
def test_a_file_that_cannot_be_read_is_as_good_as_none_and_mended(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "subscriptions"
    path.write_bytes(content)
    memory = SubscriptionMemory(path)
    assert memory.gone(["a"]) == []
    memory.answered(["a"])
    assert SubscriptionMemory(path).gone([]) == ["a"]


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "subscriptions").mkdir()
    memory = SubscriptionMemory(tmp_path / "subscriptions")
    memory.answered(["a"])
    assert memory.gone([]) == ["a"]


def test_without_a_file_it_holds_as_long_as_the_process() -> None:
    memory = SubscriptionMemory(None)
    memory.answered(["a"])
    assert memory.gone(["b"]) == ["a"]
