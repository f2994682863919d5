import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import RetryableError
from ingest.deadletter import DeadLetter
from ingest.model import Refusal, RefusalReason
from tests.ingest.builders import NOW_US, small_city

ROOT = Path(__file__).parents[2]
DAY_US = 86_400 * 1_000_000


def refusal(number: int = 0, *, payload: bytes = b"{}", reason: RefusalReason = RefusalReason.UNREADABLE) -> Refusal:
    return Refusal(
        reason, NOW_US + number, "gridwhistle/readings/x", payload, f"found {number}", "expected", number % 4
    )


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "dead-letter").iterdir())


def test_what_was_refused_can_be_read_by_a_person(tmp_path: Path) -> None:
    given_refusal = Refusal(
        RefusalReason.OUT_OF_RANGE,
        NOW_US,
        "gridwhistle/readings/街道",
        b'{"id":"gas-1"}',
        "-40 %LEL",
        "-5 to 110 %LEL",
        0,
    )
    DeadLetter(tmp_path, small_city()).write([given_refusal])
    assert files(tmp_path) == ["2023-11-14.0001.jsonl"]
    text = (tmp_path / "dead-letter" / "2023-11-14.0001.jsonl").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "received": "2023-11-14T22:13:20.000Z",
        "topic": "gridwhistle/readings/街道",
        "payload": '{"id":"gas-1"}',
        "refused": [{"reason": "out_of_range", "found": "-40 %LEL", "expected": "-5 to 110 %LEL", "sensor": "gas-1"}],
    }


def test_bytes_that_are_no_text_come_back_as_they_were(tmp_path: Path) -> None:
    letters = DeadLetter(tmp_path, small_city())
    letters.write([refusal(payload=b"\xff\x00\xfe")])
    assert letters.tail(1)[0].payload == b"\xff\x00\xfe"


def test_a_pack_of_many_refused_readings_is_written_once(tmp_path: Path) -> None:
    letters, payload = DeadLetter(tmp_path, small_city()), b"x" * 10_000
    letters.write([Refusal(RefusalReason.UNKNOWN_SENSOR, NOW_US, "t", payload, str(n), "e") for n in range(500)])
    assert (tmp_path / "dead-letter" / files(tmp_path)[0]).stat().st_size < 60_000
    assert [entry.found for entry in letters.tail(1000)] == [str(number) for number in range(500)]


def test_the_tail_is_the_newest_and_can_be_of_one_reason(tmp_path: Path) -> None:
    letters = DeadLetter(tmp_path, small_city())
    letters.write([refusal(number) for number in range(5)])
    letters.write([refusal(5, reason=RefusalReason.DUPLICATE), refusal(6)])
    assert [entry.found for entry in letters.tail(3)] == ["found 4", "found 5", "found 6"]
    assert [entry.found for entry in letters.tail(3, RefusalReason.DUPLICATE)] == ["found 5"]
    assert letters.counters["written"] == 7


def test_each_day_has_its_own_file(tmp_path: Path) -> None:
    letters = DeadLetter(tmp_path, small_city())
    letters.write([refusal(0), refusal(DAY_US)])
    assert files(tmp_path) == ["2023-11-14.0001.jsonl", "2023-11-15.0001.jsonl"]
    assert [entry.found for entry in letters.tail(9)] == ["found 0", f"found {DAY_US}"]


def test_the_oldest_are_deleted_when_there_is_too_much_and_that_is_counted(tmp_path: Path) -> None:
    letters = DeadLetter(tmp_path, small_city(), part_bytes=1000, total_bytes=3000)
    for number in range(40):
        letters.write([refusal(number, payload=b"x" * 100)])
    total = sum(path.stat().st_size for path in (tmp_path / "dead-letter").iterdir())
    kept = letters.tail(1000)
    assert total <= 3000 + 1000
    assert kept[-1].found == "found 39"
    assert letters.counters["deleted_files"] > 0
    assert letters.counters["deleted_messages"] == 40 - len(kept)


def test_a_line_torn_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    letters = DeadLetter(tmp_path, small_city())
    letters.write([refusal(1)])
    path = tmp_path / "dead-letter" / files(tmp_path)[0]
    with path.open("ab") as file:
        file.write(b'{"received": "2023-11')
    DeadLetter(tmp_path, small_city()).write([refusal(2)])
    assert [entry.found for entry in letters.tail(9)] == ["found 1", "found 2"]


def test_a_disk_that_takes_nothing_is_worth_another_try(tmp_path: Path) -> None:
    (tmp_path / "dead-letter").write_text("a file in the way")
    with pytest.raises(RetryableError, match="cannot be kept"):
        DeadLetter(tmp_path, small_city()).write([refusal()])


def test_two_threads_may_write_at_once(tmp_path: Path) -> None:
    letters = DeadLetter(tmp_path, small_city(), part_bytes=2000)

    def write(first: int) -> None:
        for number in range(first, first + 50):
            letters.write([refusal(number)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, 400, 50)))
    assert sorted(entry.found for entry in letters.tail(1000)) == sorted(f"found {number}" for number in range(400))
    assert letters.counters["written"] == 400
    assert all((tmp_path / "dead-letter" / name).stat().st_size <= 2000 for name in files(tmp_path))


def test_what_is_written_is_not_written_again_because_no_room_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = DeadLetter(tmp_path, small_city(), part_bytes=10, total_bytes=10)

    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "unlink", refuse)
    for number in range(3):
        letters.write([refusal(number)])
    assert [entry.found for entry in letters.tail(9)] == ["found 0", "found 1", "found 2"]
    assert letters.counters == {"written": 3, "deleted_files": 0, "deleted_messages": 0}


def test_a_write_that_fails_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = DeadLetter(tmp_path, small_city())
    letters.write([refusal(0)])
    synced = []

    def fails_at_the_second(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ingest.deadletter.os.fsync", fails_at_the_second)
        with pytest.raises(RetryableError, match="No space left"):
            letters.write([refusal(1), refusal(DAY_US)])
    letters.write([refusal(1), refusal(DAY_US)])
    assert [entry.found for entry in letters.tail(9)] == ["found 0", "found 1", f"found {DAY_US}"]


WRITER = """
import resource, signal, sys
from pathlib import Path
from config.errors import RetryableError
from ingest.deadletter import DeadLetter
from tests.ingest.builders import small_city
from tests.ingest.test_deadletter import refusal
letters = DeadLetter(Path(sys.argv[1]), small_city(), part_bytes=5000)
"""


def writer(script: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER + script, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_what_is_written_outlives_a_kill_at_any_moment(tmp_path: Path) -> None:
    endless = """
number = 0
while True:
    letters.write([refusal(number), refusal(number + 1)])
    print(number + 1, flush=True)
    number += 2
"""
    with writer(endless, tmp_path) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(60)]
        process.kill()
        told += [int(line) for line in process.stdout]
    DeadLetter(tmp_path, small_city()).write([refusal(-1)])  # whoever comes next
    found = [entry.found for entry in DeadLetter(tmp_path, small_city()).tail(100_000)]
    assert found[: told[-1] + 1] == [f"found {number}" for number in range(told[-1] + 1)]
    assert found[-1] == "found -1"
    assert len(found) <= told[-1] + 1 + 2 + 1  # at most the write that nobody was told of


def test_a_disk_that_is_full_keeps_whole_lines_once_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    fills = """
letters = DeadLetter(Path(sys.argv[1]), small_city(), part_bytes=10**6)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, most))
written = 0
try:
    while True:
        letters.write([refusal(number) for number in range(written, written + 7)])
        written += 7
except RetryableError as error:
    print(written, "too large" in str(error).lower(), flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
letters.write([refusal(number) for number in range(written, written + 7)])
"""
    with writer(fills, tmp_path) as process:
        assert process.stdout is not None
        written, known = process.stdout.read().split()
    assert (int(written) > 7, known, process.returncode) == (True, "True", 0)
    found = [entry.found for entry in DeadLetter(tmp_path, small_city()).tail(100_000)]
    assert found == [f"found {number}" for number in range(int(written) + 7)]


def test_the_bound_holds_however_fast_it_is_filled(tmp_path: Path) -> None:
    letters = DeadLetter(tmp_path, small_city(), part_bytes=20_000, total_bytes=100_000)
    for first in range(0, 6000, 300):
        letters.write([refusal(number, payload=b"x" * 50) for number in range(first, first + 300)])
        sizes = [path.stat().st_size for path in (tmp_path / "dead-letter").iterdir()]
        assert sum(sizes) <= 100_000
    kept = [entry.found for entry in letters.tail(10_000)]
    assert kept == [f"found {number}" for number in range(6000 - len(kept), 6000)]
    assert letters.counters["deleted_messages"] == 6000 - len(kept) > 0


def test_files_of_other_names_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "dead-letter"
    folder.mkdir()
    for name in ("0000-notes.jsonl", "2023-11-14.copy.jsonl", "zz.jsonl", "2023-11-14.0001.jsonl.bak"):
        (folder / name).write_text("x" * 5000)
    (folder / "2023-11-13.0001.jsonl").mkdir()
    letters = DeadLetter(tmp_path, small_city(), part_bytes=200, total_bytes=400)
    for number in range(9):
        letters.write([refusal(number)])
    assert (folder / "0000-notes.jsonl").read_text() == (folder / "zz.jsonl").read_text() == "x" * 5000
    assert (folder / "2023-11-14.copy.jsonl").exists()
    assert letters.tail(1)[0].found == "found 8"
    assert letters.counters["deleted_files"] > 0


def test_parts_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "dead-letter"
    folder.mkdir()
    (folder / "2023-11-14.9999.jsonl").write_text("")
    letters = DeadLetter(tmp_path, small_city(), part_bytes=1)
    for number in range(3):
        letters.write([refusal(number)])
    assert "2023-11-14.10002.jsonl" in files(tmp_path)
    assert [entry.found for entry in letters.tail(9)] == ["found 0", "found 1", "found 2"]


def test_nothing_refused_makes_no_file(tmp_path: Path) -> None:
    DeadLetter(tmp_path, small_city()).write([])
    assert not (tmp_path / "dead-letter").exists()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=50), st.text(max_size=20), st.integers(-1, 3)), max_size=10))
def test_everything_written_comes_back(rows: list[tuple[bytes, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        letters = DeadLetter(Path(folder), small_city())
        letters.write(
            [Refusal(RefusalReason.UNREADABLE, NOW_US, "t", payload, found, "e", one) for payload, found, one in rows]
        )
        back = letters.tail(100)
    assert [(entry.payload, entry.found) for entry in back] == [(payload, found) for payload, found, _ in rows]
