"""The newest reading of every sensor, kept in a file that another process maps."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import FollowingClock
from gridwhistle.latest import HEAD, Latest, LatestUnusableError, SharedClock
from ingest.model import Quality, ReadingBatch
from tests.support.daemon import ROOT

IDS = ["gas-1", "gas-2", "水位-3"]
GOOD, LATE = Quality.GOOD, Quality.LATE


def batch(*rows: tuple[int, int, float], quality: Quality = GOOD) -> ReadingBatch:
    sensor, event_us, value = (list(column) for column in zip(*rows, strict=True))
    return ReadingBatch.of(sensor, event_us, event_us, value, [quality] * len(sensor))


def known(latest: Latest) -> list[tuple[int, float]]:
    values = latest.values()
    return list(zip(values.event_us.tolist(), values.value.tolist(), strict=True))


class TestSeeing:
    def test_the_newest_trusted_reading_of_each_sensor_stays(self) -> None:
        latest = Latest.of(3)
        latest.see(batch((0, 5, 1.0), (1, 7, 2.0), (0, 6, 3.0), (1, 4, 9.0)))
        latest.see(batch((0, 9, 8.0), quality=LATE))
        latest.see(batch((1, 6, 8.0)))
        assert known(latest)[:2] == [(6, 3.0), (7, 2.0)]
        assert latest.event_us[2] == 0
        assert np.isnan(latest.value[2])

    def test_the_later_of_two_readings_of_one_time_counts(self) -> None:
        latest = Latest.of(1)
        latest.see(batch((0, 5, 1.0), (0, 5, 2.0)))
        latest.see(batch((0, 5, 3.0)))
        assert known(latest) == [(5, 3.0)]

    def test_a_batch_without_news_changes_nothing(self) -> None:
        latest = Latest.of(1)
        latest.see(batch((0, 5, 1.0)))
        latest.see(batch((0, 4, 2.0)))
        latest.see(ReadingBatch.empty())
        assert known(latest) == [(5, 1.0)]

    def test_a_device_that_put_its_clock_back_begins_anew(self) -> None:
        latest = Latest.of(2)
        latest.see(batch((0, 50, 1.0), (1, 50, 1.0)))
        latest.forget([0])
        latest.see(batch((0, 5, 2.0), (1, 5, 2.0)))
        assert known(latest) == [(5, 2.0), (50, 1.0)]

    @given(
        st.lists(
            st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.floats(0, 9)), min_size=1, max_size=8),
            max_size=5,
        )
    )
    def test_it_is_what_one_reading_after_the_other_would_leave(
        self, batches: list[list[tuple[int, int, float]]]
    ) -> None:
        latest = Latest.of(4)
        expected: dict[int, tuple[int, float]] = {}
        for rows in batches:
            latest.see(batch(*rows))
            for sensor, event_us, value in rows:
                if event_us >= expected.get(sensor, (0, 0.0))[0]:
                    expected[sensor] = (event_us, value)
        found = known(latest)
        assert {sensor: found[sensor] for sensor in range(4) if found[sensor][0]} == expected

    def test_values_are_a_copy(self) -> None:
        latest = Latest.of(1)
        before = latest.values()
        latest.see(batch((0, 5, 1.0)))
        latest.silent[0] = True
        assert (before.event_us[0], bool(before.silent[0])) == (0, False)


class TestTheFile:
    def test_a_reader_sees_what_the_writer_writes(self, tmp_path: Path) -> None:
        writer = Latest.open(tmp_path / "latest", IDS)
        reader = Latest.open(tmp_path / "latest", IDS, read_only=True)
        writer.see(batch((0, 5, 1.0), (2, 6, 2.0)))
        writer.silent[1] = True
        assert [pair for pair in known(reader) if pair[0]] == [(5, 1.0), (6, 2.0)]
        assert reader.values().silent.tolist() == [False, True, False]
        with pytest.raises(ValueError, match="read-only"):
            reader.see(batch((0, 7, 1.0)))

    def test_how_the_clocks_stand_is_told_and_not_known_at_the_start_of_a_writer(self, tmp_path: Path) -> None:
        writer = Latest.open(tmp_path / "latest", IDS)
        reader = Latest.open(tmp_path / "latest", IDS, read_only=True)
        assert np.isnan(reader.values().offset_s).all()
        for told in ([1.5, np.nan, -300.0], [np.nan, 2.0, -300.0]):
            writer.tell_offsets(np.array(told))
            np.testing.assert_array_equal(reader.values().offset_s, told)
        writer.silent[2] = True
        np.testing.assert_array_equal(reader.values().offset_s, told)
        assert np.isnan(Latest.open(tmp_path / "latest", IDS).offset_s).all()

    def test_the_values_of_a_file_without_clocks_are_taken_over(self, tmp_path: Path) -> None:
        rows = np.array([(5, 1.0), (6, 2.0), (7, 3.0)], [("event_us", "<i8"), ("value", "<f8")])
        ids = "\n".join(IDS).encode()
        head = b"gridwhistle latest 1".ljust(32, b"\0") + hashlib.sha256(ids).digest() + (3).to_bytes(8, "little")
        (tmp_path / "latest").write_bytes(head.ljust(HEAD, b"\0") + rows.tobytes() + b"\1" * 3 + ids)
        latest = Latest.open(tmp_path / "latest", IDS)
        assert known(latest) == [(5, 1.0), (6, 2.0), (7, 3.0)]
        assert np.isnan(latest.offset_s).all()
        assert not latest.silent.any()

    def test_it_survives_the_end_of_its_writer(self, tmp_path: Path) -> None:
        code = (
            "import os, sys; from pathlib import Path; from tests.gridwhistle.test_latest import *;"
            "latest = Latest.open(Path(sys.argv[1]), IDS); latest.see(batch((1, 7, 2.5)));"
            "latest.silent[1] = True; latest.turn[0] += 1; os.kill(os.getpid(), 9)"
        )
        ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "latest")], cwd=ROOT, check=False)
        assert ended.returncode == -9
        latest = Latest.open(tmp_path / "latest", IDS)
        assert known(latest)[1] == (7, 2.5)
        assert latest.turn[0] % 2 == 0
        assert not latest.silent.any()  # the detectors know who is silent

    def test_sensors_that_remain_keep_their_values_in_a_changed_city(self, tmp_path: Path) -> None:
        Latest.open(tmp_path / "latest", IDS).see(batch((0, 5, 1.0), (1, 6, 2.0), (2, 7, 3.0)))
        changed = Latest.open(tmp_path / "latest", ["new", "水位-3", "gas-1"])
        assert known(changed)[1:] == [(7, 3.0), (5, 1.0)]
        assert changed.event_us[0] == 0

    def test_a_reader_of_another_city_is_refused(self, tmp_path: Path) -> None:
        Latest.open(tmp_path / "latest", IDS)
        with pytest.raises(LatestUnusableError, match="of other sensors"):
            Latest.open(tmp_path / "latest", IDS[:2], read_only=True)

    def test_a_reader_makes_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(LatestUnusableError, match="missing"):
            Latest.open(tmp_path / "latest", IDS, read_only=True)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "rubbish",
        [
            b"",
            b"x" * 10_000,
            *(f"gridwhistle latest {one}".encode().ljust(64, b"\0") + b"\xff" * 9000 for one in "123"),
        ],
    )
    def test_a_file_of_rubbish_is_begun_afresh(self, tmp_path: Path, rubbish: bytes) -> None:
        (tmp_path / "latest").write_bytes(rubbish)
        assert Latest.open(tmp_path / "latest", IDS).event_us.tolist() == [0, 0, 0]

    def test_a_file_that_was_cut_off_is_begun_afresh_and_never_mapped(self, tmp_path: Path) -> None:
        Latest.open(tmp_path / "latest", IDS).see(batch((0, 5, 1.0)))
        os.truncate(tmp_path / "latest", HEAD + 20)
        assert Latest.open(tmp_path / "latest", IDS).event_us.tolist() == [0, 0, 0]

    def test_every_byte_is_on_the_disk_before_it_is_mapped(self, tmp_path: Path) -> None:
        ids = [f"sensor-{number}" for number in range(100_000)]
        Latest.open(tmp_path / "latest", ids)
        held = (tmp_path / "latest").stat()
        assert held.st_blocks * 512 >= HEAD + 25 * len(ids)

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(LatestUnusableError, match="nowhere"):
            Latest.open(tmp_path / "nowhere" / "latest", IDS)


class TestTornReads:
    def test_a_copy_taken_while_rows_are_written_is_taken_again(self, tmp_path: Path) -> None:
        writer = Latest.open(tmp_path / "latest", IDS)
        writer.see(batch((0, 5, 1.0)))
        looks: list[int] = []

        class Interrupted(Latest):
            """Whose first two copies are overtaken by the writer."""

            def __getattribute__(self, name: str) -> object:
                if name == "rows":
                    looks.append(1)
                    if len(looks) in {2, 3}:
                        writer.see(batch((0, 5 + len(looks), 2.0)))
                return super().__getattribute__(name)

        reader = Interrupted.open(tmp_path / "latest", IDS, read_only=True)
        looks.clear()
        looks.append(1)
        assert known(reader)[0] == (8, 2.0)
        assert len(looks) == 4

    def test_a_writer_that_never_ends_does_not_hold_a_reader(self) -> None:
        latest = Latest.of(1)
        latest.see(batch((0, 5, 1.0)))
        latest.turn[0] += 1
        assert known(latest) == [(5, 1.0)]


class TestSharedClock:
    def test_who_maps_the_file_has_the_writers_time(self, tmp_path: Path) -> None:
        own = SharedClock(Latest.open(tmp_path / "latest", IDS).clock, 40)
        other = SharedClock(Latest.open(tmp_path / "latest", IDS, read_only=True).clock)
        assert isinstance(own, FollowingClock)
        assert (own.now_us(), other.now_us()) == (40, 40)
        own.advance(50)
        own.advance(45)
        assert (own.now_us(), other.now_us()) == (50, 50)
