"""The embedded store where things go wrong."""

import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # ships no type information
import pytest

from config.errors import RetryableError
from ingest.local import DuckdbStore
from ingest.model import ReadingBatch
from tests.ingest.builders import NOW_US, city, sensor

SECOND = 1_000_000
CITY = city([sensor(number, f"gas-{number}") for number in range(100)])


def batch(first: int, rows: int = 1000) -> ReadingBatch:
    times = NOW_US + np.arange(first, first + rows, dtype=np.int64) * SECOND
    sensors = (np.arange(rows) % 100).astype(np.int32)
    return ReadingBatch(sensors, times, times, np.arange(rows, dtype=np.float64), np.zeros(rows, np.uint8))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    opened = DuckdbStore(tmp_path / "deep" / "readings.duckdb", CITY)
    opened.prepare()
    yield opened
    opened.close()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing past this size fails in the kernel, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_nothing_and_is_worth_another_try(store: DuckdbStore) -> None:
    written = 0

    def write_on() -> None:
        nonlocal written
        while written < 100_000:
            store.write(batch(written))
            written += 1000

    with files_of_at_most(300_000):
        with pytest.raises(RetryableError, match="File too large"):
            write_on()
        assert 0 < written < 100_000
        assert store.count() == written
        with pytest.raises(RetryableError):
            store.write(batch(written))
    store.write(batch(written))
    assert store.count() == written + 1000


def test_a_path_that_cannot_be_opened_is_worth_another_try(tmp_path: Path) -> None:
    (tmp_path / "readings.duckdb").mkdir()
    with pytest.raises(RetryableError):
        DuckdbStore(tmp_path / "readings.duckdb", CITY).prepare()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(RetryableError, match=r"readings\.duckdb"):
        DuckdbStore(path, CITY).prepare()


def test_readers_beside_the_writer_see_whole_batches(store: DuckdbStore) -> None:
    seen: list[int] = []
    problems: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                seen.append(store.count())
                store.series(7, 0, 2 * NOW_US, 10)
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            problems.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(30):
        store.write(batch(number * 1000))
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert store.count() == 30_000
    assert {count % 1000 for count in seen} == {0}


def test_what_was_written_is_there_after_the_process_is_gone(store: DuckdbStore, tmp_path: Path) -> None:
    store.write(batch(0))
    # What a kill leaves behind: the files as they are now, without a close.
    for file in (tmp_path / "deep").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with duckdb.connect(str(tmp_path / "readings.duckdb")) as connection:
        assert connection.execute("SELECT count(*) FROM readings").fetchone() == (1000,)


def test_late_readings_between_those_kept_are_kept_too(store: DuckdbStore) -> None:
    def at(*seconds: int) -> ReadingBatch:
        times = [NOW_US + second * SECOND for second in seconds]
        return ReadingBatch.of([5] * len(times), times, times, [float(second) for second in seconds], [0] * len(times))

    store.write(at(1, 5, 9))
    store.write(at(3, 5, 9, 2, 11, 3))
    assert store.series(5, 0, 2 * NOW_US).value.tolist() == [1, 2, 3, 5, 9, 11]


def test_a_store_that_is_not_open_yet_is_worth_another_try(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    path.mkdir()
    store = DuckdbStore(path, CITY)
    for _ in range(2):
        with pytest.raises(RetryableError, match="not open"):
            store.series(0, 0, 1)
        with pytest.raises(RetryableError, match="not open"):
            store.count()
        with pytest.raises(RetryableError):
            store.prepare()


def test_a_file_held_by_another_process_can_be_read_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "readings.duckdb"
    holds = f"import duckdb,sys; held = duckdb.connect({str(path)!r}); print(1, flush=True); sys.stdin.read()"
    store = DuckdbStore(path, CITY)
    command = [sys.executable, "-c", holds]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RetryableError, match="lock"):
            store.prepare()
        with pytest.raises(RetryableError, match="not open"):
            store.series(0, 0, 1)
        other.stdin.close()
        other.wait()
    store.write(batch(0))
    assert store.count() == 1000
    store.close()


def test_closing_waits_for_the_write_under_way_and_refuses_later_ones(
    store: DuckdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()
    really = DuckdbStore._write  # to stand in the middle of a write

    def slowly(self: DuckdbStore, connection: duckdb.DuckDBPyConnection, *columns: pa.Table) -> None:
        began.set()
        go_on.wait(10)
        really(self, connection, *columns)

    monkeypatch.setattr(DuckdbStore, "_write", slowly)
    problems: list[BaseException] = []

    def write() -> None:
        try:
            store.write(batch(0))
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            problems.append(error)

    writer, closer = threading.Thread(target=write), threading.Thread(target=store.close)
    writer.start()
    assert began.wait(10)
    closer.start()
    closer.join(0.1)
    assert closer.is_alive()
    go_on.set()
    writer.join()
    closer.join()
    assert problems == []
    with pytest.raises(RetryableError, match="closed"):
        store.write(batch(1000))
    with pytest.raises(RetryableError):
        store.count()
