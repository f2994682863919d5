"""A child that is waited for, and one that never comes."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.clock import SystemClock
from config.errors import ConfigurationError
from gridwhistle.child import FAILED, SERVING, WRONG_ORDER, Child, kept
from tests.support.daemon import ROOT

PATIENCE_S = 30


def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> Child:
    """One whose program is these lines."""
    (tmp_path / "some_child.py").write_text("\n".join(("import sys", *lines)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    return Child("page", "some_child", b"{}\n", SystemClock(), stop_s=5)


async def test_one_that_goes_on_failing_is_waited_for_only_so_long_and_says_what_ails_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = child(tmp_path, monkeypatch, f"print({FAILED!r} + 'the ledger is away')", "sys.exit(1)")
    async with kept(one), asyncio.timeout(PATIENCE_S):
        with capture_logs() as logs:
            assert await one.serving(0.05) is False
        assert "a process does not serve; we go on without it" in {entry["event"] for entry in logs}
        while one.starts < 2:  # noqa: ASYNC110 - nobody tells when it becomes true
            await asyncio.sleep(0.01)
        assert one.trouble == "it does not serve: the ledger is away"


async def test_one_that_says_nothing_is_trouble_once_it_is_late_and_none_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    one = child(
        tmp_path,
        monkeypatch,
        "import time, pathlib",
        f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)",
        f"print({SERVING!r}, flush=True)",
        "sys.stdin.read()",
    )
    async with kept(one), asyncio.timeout(PATIENCE_S):
        assert one.trouble is None
        assert await one.serving(0.05) is False
        assert one.trouble == "it does not serve: it has not begun within 0.05 s"
        gate.touch()
        assert await one.serving(PATIENCE_S) is True
        assert one.trouble is None


async def test_one_that_can_never_serve_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = child(tmp_path, monkeypatch, f"print({FAILED!r} + 'no such city')", f"sys.exit({WRONG_ORDER})")
    async with kept(one), asyncio.timeout(PATIENCE_S):
        with pytest.raises(ConfigurationError, match="the page cannot be served: no such city"):
            await one.serving()
