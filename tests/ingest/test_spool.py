import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from structlog.testing import capture_logs

from config.errors import ConfigurationError, RetryableError
from ingest.model import Admission, Record
from ingest.spool import Spool, SpoolFullError
from tests.ingest.builders import NOW_US, small_city
from tests.ingest.spool_builders import LARGE, admission, copied, safe_bytes, same, segments, spool


def filled(folder: Path, count: int, segment_bytes: int = 1000) -> Spool:
    opened = spool(folder, segment_bytes=segment_bytes)
    for number in range(count):
        assert opened.append(admission(number), NOW_US + number) == number
    opened.sync()
    return opened


def failing(number: int) -> Callable[..., None]:
    """A call of the system that fails."""

    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fails


def fill(opened: Spool, readings: int = 3) -> None:
    """Append until it is full."""
    while True:
        opened.append(admission(opened.end, readings=readings), NOW_US)


def positions(opened: Spool, begin: int = 0) -> list[int]:
    return [record.position for record in opened.records(begin)]


def test_what_was_appended_comes_back_as_it_was_after_a_restart(tmp_path: Path) -> None:
    given = [admission(number, readings=number, plain=number % 2 == 0, refused=number % 3) for number in range(20)]
    opened = spool(tmp_path)
    for number, one in enumerate(given):
        opened.append(one, NOW_US + number)
    assert opened.sync() == opened.end == opened.synced == 20
    opened.close()
    again = spool(tmp_path)
    assert (again.first, again.end, again.synced) == (0, 20, 20)
    records = list(again.records(0))
    assert all(same(record, number, one) for number, (record, one) in enumerate(zip(records, given, strict=True)))
    assert [record.decided_us for record in records] == [NOW_US + number for number in range(20)]
    assert again.append(admission(20), NOW_US) == 20


def test_the_unsynced_can_be_read_while_it_is_appended(tmp_path: Path) -> None:
    opened = filled(tmp_path, 3)
    opened.append(admission(3), NOW_US)
    reading = opened.records(1)
    assert next(reading).position == 1
    opened.append(admission(4), NOW_US)
    assert [record.position for record in reading] == [2, 3]
    assert positions(opened, 2) == [2, 3, 4]
    assert [record.position for record in opened.records(1, 3)] == [1, 2]


def test_whole_segments_of_released_records_are_deleted_and_numbers_go_on(tmp_path: Path) -> None:
    opened = filled(tmp_path, 40)
    count = len(segments(tmp_path))
    assert count > 5
    opened.release(20)
    assert 0 < opened.first <= 20
    assert len(segments(tmp_path)) < count
    assert positions(opened, opened.first) == list(range(opened.first, 40))
    with pytest.raises(ValueError, match="no longer kept"):
        next(opened.records(0))
    opened.release(40)
    opened.close()
    again = spool(tmp_path)
    assert len(segments(tmp_path)) == 1
    assert again.append(admission(40), NOW_US) == 40


def test_what_is_not_synced_is_not_released(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    for number in range(40):
        opened.append(admission(number), NOW_US)
    opened.release(40)
    assert positions(opened) == list(range(40))


def test_a_full_spool_says_how_much_is_there_the_bound_and_the_folder_and_goes_on_when_released(tmp_path: Path) -> None:
    opened = spool(tmp_path, max_bytes=4000)
    with pytest.raises(SpoolFullError, match=rf"{tmp_path}.*holds 3,\d{{3}} bytes.*4,000 are allowed"):
        fill(opened)
    end = opened.end
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == opened.bytes <= 4000
    opened.sync()
    opened.release(end)
    assert opened.append(admission(end), NOW_US) == end
    assert positions(opened, opened.first)[-1] == end


def test_a_spool_whose_only_segment_is_full_takes_more_once_all_of_it_is_released(tmp_path: Path) -> None:
    opened = spool(tmp_path, max_bytes=1500)
    with pytest.raises(SpoolFullError):
        fill(opened, readings=20)
    opened.release(opened.sync())
    end = opened.end
    assert opened.append(admission(end, readings=20), NOW_US) == end
    with pytest.raises(SpoolFullError):
        opened.append(admission(0, readings=200), NOW_US)
    opened.sync()
    opened.close()
    assert spool(tmp_path).end == end + 1


def test_a_second_process_is_told_that_the_folder_is_taken(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    with pytest.raises(ConfigurationError, match="another process uses this spool"):
        spool(tmp_path)
    opened.close()
    spool(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="file/spool"):
        spool(tmp_path / "file" / "spool")


def test_numbers_that_others_have_kept_are_given_to_no_other_record(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    with capture_logs() as logs:
        opened = Spool(tmp_path, small_city(), max_bytes=LARGE, segment_bytes=1000, at_least=100)
    assert [entry["event"] for entry in logs] == ["spool_behind"]
    assert opened.append(admission(100), NOW_US) == 100
    opened.sync()
    opened.close()
    with capture_logs() as logs:
        again = spool(tmp_path)
        assert positions(again) == [0, 1, 2, 100]
    assert logs == []
    emptied = Spool(tmp_path / "emptied", small_city(), max_bytes=LARGE, segment_bytes=1000, at_least=7)
    assert (emptied.first, emptied.end) == (7, 7)


class TestTornTail:
    def test_a_tail_torn_at_any_byte_is_cut_off_and_told(self, tmp_path: Path) -> None:
        opened = filled(tmp_path / "whole", 2)
        path = segments(tmp_path / "whole")[0]
        before = path.stat().st_size
        opened.append(admission(2), NOW_US)
        opened.close()
        whole = path.read_bytes()
        for length in range(before, len(whole)):
            path.write_bytes(whole[:length])
            with capture_logs() as logs:
                again = spool(tmp_path / "whole")
            assert (again.end, again.bytes) == (2, again.bytes)
            assert path.stat().st_size == before
            if length > before:
                (entry,) = logs
                assert (entry["event"], entry["file"]) == ("spool_tail_cut", str(path))
                assert (entry["offset"], entry["bytes"]) == (before, length - before)
                assert again.counters["torn_bytes"] == length - before
            again.close()

    def test_a_file_torn_within_its_head_begins_anew(self, tmp_path: Path) -> None:
        filled(tmp_path, 0)
        opened = spool(tmp_path / "a")
        opened.append(admission(0), NOW_US)
        opened.close()
        path = segments(tmp_path / "a")[0]
        whole = path.read_bytes()
        for length in range(41):
            path.write_bytes(whole[:length])
            again = spool(tmp_path / "a")
            assert again.end == 0
            assert again.append(admission(0), NOW_US) == 0
            assert positions(again) == [0]
            again.close()


class TestDamage:
    def test_a_bit_that_flips_anywhere_loses_one_record_at_most_and_is_told(self, tmp_path: Path) -> None:
        filled(tmp_path, 12, segment_bytes=700).close()
        paths = segments(tmp_path)
        assert len(paths) > 2
        for path in paths[:-1]:
            whole = path.read_bytes()
            for offset in range(0, len(whole), 7):
                broken = bytearray(whole)
                broken[offset] ^= 1 << offset % 8
                path.write_bytes(broken)
                opened = spool(tmp_path)
                with capture_logs() as logs:
                    found = positions(opened)
                if offset < 40:
                    assert found == list(range(12))
                else:
                    assert len(found) == 11
                    assert [entry["event"] for entry in logs] == ["spool_damaged"]
                    assert logs[0]["file"] == str(path)
                    assert logs[0]["offset"] <= offset < logs[0]["offset"] + logs[0]["bytes"]
                    assert opened.counters["damaged"] == opened.counters["lost_records"] == 1
                    assert positions(opened) == found
                    assert opened.counters["damaged"] == 1
                opened.close()
            path.write_bytes(whole)

    def test_a_flip_in_the_middle_of_the_newest_file_costs_its_record_alone(self, tmp_path: Path) -> None:
        filled(tmp_path, 12, segment_bytes=100_000).close()
        (path,) = segments(tmp_path)
        broken = bytearray(path.read_bytes())
        broken[len(broken) // 2] ^= 16
        path.write_bytes(broken)
        with capture_logs() as logs:
            opened = spool(tmp_path)
        assert [entry["event"] for entry in logs] == ["spool_damaged"]
        assert opened.end == 12
        assert len(positions(opened)) == 11

    def test_a_missing_file_is_told_with_the_records_that_were_in_it(self, tmp_path: Path) -> None:
        filled(tmp_path, 12, segment_bytes=700).close()
        paths = segments(tmp_path)
        paths[1].unlink()
        opened = spool(tmp_path)
        with capture_logs() as logs:
            found = positions(opened)
        lost = int(paths[2].stem) - int(paths[1].stem)
        assert len(found) == 12 - lost
        assert logs[0]["records_lost"] == opened.counters["lost_records"] == lost


class TestFailures:
    def test_a_write_that_fails_half_way_is_cut_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = filled(tmp_path, 2)
        size = opened.bytes
        real = os.pwrite

        def half(handle: int, data: memoryview, offset: int) -> int:
            if len(data) < 100:
                raise OSError(errno.EIO, "Input/output error")
            return real(handle, data[: len(data) // 2], offset)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", half)
            with pytest.raises(RetryableError, match="Input/output error"):
                opened.append(admission(2), NOW_US)
        assert opened.bytes == size == sum(path.stat().st_size for path in tmp_path.iterdir())
        assert opened.append(admission(2), NOW_US) == 2
        assert opened.sync() == 3
        assert positions(spool(copied(tmp_path, tmp_path.with_name(f"{tmp_path.name}-crashed")))) == [0, 1, 2]

    @pytest.mark.parametrize("before", [0, 2])
    def test_where_cutting_back_fails_too_the_segment_is_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
    ) -> None:
        opened = filled(tmp_path, before)
        real = os.pwrite

        def half(handle: int, data: memoryview, offset: int) -> int:
            if len(data) == 40:
                return real(handle, data, offset)
            if len(data) < 100:
                raise OSError(errno.EIO, "Input/output error")
            return real(handle, data[: len(data) // 2], offset)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", half)
            patch.setattr(os, "ftruncate", failing(errno.EIO))
            with pytest.raises(RetryableError):
                opened.append(admission(before), NOW_US)
        for number in range(before, before + 3):
            assert opened.append(admission(number), NOW_US) == number
        opened.sync()
        assert len(segments(tmp_path)) == (2 if before else 1)  # a file without a record is mended, for its name
        opened.close()
        with capture_logs() as logs:
            again = spool(tmp_path)
            assert positions(again) == list(range(before + 3))
        assert logs == []

    @pytest.mark.parametrize("synced", [0, 1, 2, 5])
    def test_after_a_failed_fsync_the_unsynced_is_written_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: int
    ) -> None:
        opened = filled(tmp_path, synced)
        for number in range(synced, synced + 8):
            opened.append(admission(number), NOW_US)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", failing(errno.EIO))
            with pytest.raises(RetryableError, match="cannot be brought to the disk"):
                opened.sync()
        assert opened.synced == synced
        assert positions(opened) == list(range(synced + 8))
        for path in segments(tmp_path):  # what a kernel may leave of pages that it could not write: nothing
            safe = safe_bytes(path, synced)
            path.write_bytes(path.read_bytes()[:safe] + bytes(path.stat().st_size - safe))
        assert opened.append(admission(synced + 8), NOW_US) == synced + 8
        assert opened.sync() == synced + 9
        assert opened.counters["rewritten"] == 8
        crashed = spool(copied(tmp_path, tmp_path.with_name(f"{tmp_path.name}-crashed")))
        assert all(same(record, n, admission(n)) for n, record in enumerate(crashed.records(0)))
        assert positions(crashed) == list(range(synced + 9)) == positions(opened)

    def test_while_the_disk_refuses_to_sync_nothing_counts_as_safe_and_nothing_is_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = filled(tmp_path, 5)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", failing(errno.ENOSPC))
            for number in range(5, 15):
                opened.append(admission(number), NOW_US)
                with pytest.raises(SpoolFullError, match="the disk is full"):
                    opened.sync()
                assert opened.synced == 5
        assert opened.sync() == 15
        assert positions(opened) == list(range(15))
        opened.close()
        assert positions(spool(tmp_path)) == list(range(15))

    def test_a_full_disk_on_the_way_to_writing_anew_loses_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = filled(tmp_path, 7)
        for number in range(7, 20):
            opened.append(admission(number), NOW_US)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", failing(errno.EIO))
            with pytest.raises(RetryableError):
                opened.sync()
            for call, number in (("unlink", errno.EROFS), ("truncate", errno.EIO), ("pwrite", errno.ENOSPC)):
                with monkeypatch.context() as worse:
                    worse.setattr(os, call, failing(number))
                    with pytest.raises(RetryableError):
                        opened.sync()
                    with pytest.raises(RetryableError):
                        opened.append(admission(20), NOW_US)
                assert opened.synced == 7
                assert positions(opened) == list(range(20))
                assert opened.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
                copied(tmp_path, tmp_path.with_name(f"crashed-{call}"))
        for crashed in tmp_path.parent.glob("crashed-*"):
            assert positions(spool(crashed))[:7] == list(range(7))
        assert opened.sync() == 20
        opened.close()
        with capture_logs() as logs:
            assert positions(spool(tmp_path)) == list(range(20))
        assert logs == []


class SpoolMachine(RuleBasedStateMachine):
    """A spool against a list. A crash keeps what was synced and any beginning of what was written behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.lives = 0
        self.model: list[Admission] = []
        self.safe = 0
        self.released = 0

    @property
    def folder(self) -> Path:
        return self.root / str(self.lives)

    @initialize()
    def open(self) -> None:
        self.spool = spool(self.folder)

    @rule(readings=st.integers(0, 12), refused=st.integers(0, 2), plain=st.booleans())
    def append(self, readings: int, refused: int, plain: bool) -> None:
        one = admission(len(self.model), readings=readings, refused=refused, plain=plain)
        assert self.spool.append(one, NOW_US) == len(self.model)
        self.model.append(one)

    @rule()
    def sync(self) -> None:
        self.safe = self.spool.sync()
        assert self.safe == len(self.model)

    @rule()
    def sync_fails(self) -> None:
        if self.safe == len(self.model):
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fdatasync", failing(errno.EIO))
            with pytest.raises(RetryableError):
                self.spool.sync()

    @rule(share=st.floats(0, 1))
    def release(self, share: float) -> None:
        self.released = max(self.released, int(share * self.safe))
        self.spool.release(self.released)

    @rule(share=st.floats(0, 1))
    def read(self, share: float) -> None:
        begin = self.spool.first + int(share * (len(self.model) - self.spool.first))
        self.compare(self.spool.records(begin), begin, len(self.model))

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = spool(self.folder)
        self.safe = self.spool.synced
        self.shorten()

    @rule(share=st.floats(0, 1))
    def crash(self, share: float) -> None:
        """Whole files whose last record was synced stay; of the first that was not, a beginning; later ones go."""
        old = self.folder
        self.lives += 1
        shutil.copytree(old, self.folder)
        self.spool.close()
        torn = False
        paths = segments(self.folder)
        for number, path in enumerate(paths):
            end = int(paths[number + 1].stem) if number + 1 < len(paths) else len(self.model)
            if torn:
                path.unlink()
            elif end > self.safe:
                torn = True
                self.tear(path, share)
        shutil.rmtree(old)
        self.spool = spool(self.folder)
        assert self.safe <= self.spool.end <= len(self.model)
        assert self.spool.counters["damaged"] <= 1  # the head of a file torn within its head
        self.shorten()
        self.safe = self.spool.synced

    def tear(self, path: Path, share: float) -> None:
        safe = safe_bytes(path, self.safe)
        size = path.stat().st_size
        os.truncate(path, safe + int(share * (size - safe)))

    def shorten(self) -> None:
        del self.model[self.spool.end :]

    @invariant()
    def nothing_is_missing(self) -> None:
        if hasattr(self, "spool"):
            assert self.spool.end == len(self.model)
            assert self.spool.synced == self.safe
            assert self.spool.first <= self.released
            assert self.spool.bytes == sum(path.stat().st_size for path in self.folder.iterdir())
            self.compare(self.spool.records(self.released), self.released, len(self.model))

    def compare(self, records: Iterator[Record], begin: int, end: int) -> None:
        found = list(records)
        assert [record.position for record in found] == list(range(begin, end))
        assert all(same(record, record.position, self.model[record.position]) for record in found)

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
        shutil.rmtree(self.root)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
