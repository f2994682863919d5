"""The walk over a segment, and what of a spool is left when only what was synced is on the disk."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import RetryableError
from ingest.spool_format import SEGMENT_HEAD, SegmentHead, encode_record
from ingest.spool_segments import Damage, Stored, segment_path, walk
from tests.ingest.builders import NOW_US
from tests.ingest.spool_builders import Disk, admission, same, spool


def file_of(folder: Path, *pieces: bytes) -> Path:
    path = segment_path(folder, 5)
    path.write_bytes(SegmentHead(5, 5, 1).encode() + b"".join(pieces))
    return path


def record(position: int) -> bytes:
    return encode_record(position, NOW_US, 1, admission(position))


def told(path: Path, limit: int | None = None) -> list[int | tuple[int, int, int | None]]:
    """Numbers of records, and (bytes, first lost, after the last lost) of damage."""
    return [
        one.head.position if isinstance(one, Stored) else (one.length, one.begin, one.end)
        for one in walk(path, SEGMENT_HEAD, 5, limit)
    ]


def test_a_record_that_stands_there_a_second_time_is_passed_over(tmp_path: Path) -> None:
    again = record(5)
    path = file_of(tmp_path, record(5), record(6), again, record(7))
    assert told(path) == [5, 6, (len(again), 7, 7), 7]


def test_a_record_that_belongs_into_the_next_file_ends_the_walk(tmp_path: Path) -> None:
    path = file_of(tmp_path, record(5), record(6), record(7))
    assert told(path, limit=7) == [5, 6]
    path = file_of(tmp_path, record(5), record(9))
    assert told(path, limit=7) == [5, (len(record(9)), 6, 7)]


@pytest.mark.parametrize("shift", range(-5, 5))
def test_the_next_sound_record_is_found_wherever_it_begins(tmp_path: Path, shift: int) -> None:
    garbage = bytes(2**20 + shift)
    path = file_of(tmp_path, record(5), garbage, record(8), record(9))
    assert told(path) == [5, (len(garbage), 6, 8), 8, 9]


def test_what_looks_like_a_record_inside_of_damage_is_not_one(tmp_path: Path) -> None:
    broken = bytearray(record(6))
    broken[50] ^= 1
    path = file_of(tmp_path, record(5), bytes(broken), record(7))
    (damage,) = (one for one in walk(path, SEGMENT_HEAD, 5) if isinstance(one, Damage))
    assert (damage.offset, damage.length) == (SEGMENT_HEAD + len(record(5)), len(broken))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["append", "append", "append", "sync", "sync fails", "release", "restart"]), max_size=60)
)
def test_what_sync_promised_is_there_when_nothing_else_reached_the_disk(steps: list[str]) -> None:
    with Disk() as disk:
        opened = spool(disk.folder, segment_bytes=600)
        released = 0
        for step in steps:
            if step == "append":
                opened.append(admission(opened.end), NOW_US)
            elif step == "sync":
                opened.sync()
            elif step == "sync fails" and opened.synced < opened.end:
                with disk.refusing(), pytest.raises(RetryableError):
                    opened.sync()
            elif step == "release":
                released = (released + opened.synced) // 2
                opened.release(released)
            elif step == "restart":
                opened.close()
                opened = spool(disk.folder, segment_bytes=600)
        synced = opened.synced
        opened.close()
        crashed = spool(disk.crashed(), segment_bytes=600)
        assert crashed.end >= synced
        records = list(crashed.records(released))
        assert [one.position for one in records] == list(range(released, crashed.end))
        assert all(same(one, one.position, admission(one.position)) for one in records)
        crashed.close()


def test_a_folder_that_is_made_is_on_the_disk_by_name(tmp_path: Path) -> None:
    synced: list[str] = []
    real = os.fsync

    def spy(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", spy)
        spool(tmp_path / "var" / "spool" / "bulk").close()
    assert synced[:3] == [str(tmp_path), str(tmp_path / "var"), str(tmp_path / "var" / "spool")]
