"""The spool on a real disk that is full, beside other processes, and under another city."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from config.errors import RetryableError
from ingest.formats import native
from ingest.model import RefusalReason
from ingest.spool import Spool, SpoolFullError
from ingest.spool_reader import Spooled, SpoolReader
from tests.ingest.builders import NOW_US, city, sensor, small_city
from tests.ingest.spool_builders import admission, safe_bytes, same, segments, spool

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


class TestFullDisk:
    def test_nothing_that_was_promised_is_lost_and_it_goes_on_when_there_is_room(self, small_disk: Path) -> None:
        (small_disk / "other").write_bytes(bytes(100_000))
        opened = spool(small_disk / "spool", segment_bytes=8_000)
        for _ in range(20):
            with pytest.raises(SpoolFullError, match="the disk is full"):
                fill(opened)
            opened.sync()
        end = opened.end
        assert opened.synced == end > 50
        assert [record.position for record in opened.records(0)] == list(range(end))
        (small_disk / "other").unlink()
        while opened.end < end + 20:
            opened.append(admission(opened.end, readings=40), NOW_US)
        opened.sync()
        opened.close()
        with capture_logs() as logs:
            again = spool(small_disk / "spool")
            records = list(again.records(0))
        assert logs == []
        assert len(records) == end + 20
        assert all(same(record, number, admission(number, readings=40)) for number, record in enumerate(records))
        again.close()

    def test_what_is_released_makes_room(self, small_disk: Path) -> None:
        opened = spool(small_disk / "spool", segment_bytes=8_000)
        with pytest.raises(SpoolFullError):
            fill(opened)
        opened.release(opened.sync())
        end = opened.end
        for number in range(end, end + 20):
            assert opened.append(admission(number, readings=40), NOW_US) == number
        assert opened.sync() == end + 20
        opened.close()

    def test_a_daemon_that_starts_on_a_full_disk_can_read_and_release_but_takes_nothing(self, small_disk: Path) -> None:
        opened = spool(small_disk / "spool", segment_bytes=1_000)
        for number in range(30):
            opened.append(admission(number), NOW_US)
        opened.sync()
        opened.close()
        with pytest.raises(OSError, match="No space left"):
            (small_disk / "other").write_bytes(os.urandom(300_000))
        again = spool(small_disk / "spool", city=city([sensor(0, "another-1")]))
        assert [record.position for record in again.records(0)] == list(range(30))
        with pytest.raises(SpoolFullError, match="the disk is full"):
            again.append(admission(30, readings=0), NOW_US)
        again.release(30)
        assert again.append(admission(30, readings=0), NOW_US) == 30
        assert again.sync() == 31
        again.close()
        last = spool(small_disk / "spool", city=city([sensor(0, "another-1")]))
        assert [record.position for record in last.records(last.first)][-1] == 30
        last.close()


def fill(opened: Spool) -> None:
    while True:
        opened.append(admission(opened.end, readings=40), NOW_US)


class TestAnotherCity:
    def test_records_come_in_the_rows_of_the_present_city(self, tmp_path: Path) -> None:
        opened = spool(tmp_path)
        given = [admission(number, readings=8, refused=3) for number in range(5)]
        for one in given:
            opened.append(one, NOW_US)
        opened.sync()
        opened.close()
        # gas-1 is row 2 now; air-1 is gone; air-2 measures something else; crack-1 is row 0
        present = city([sensor(0, "crack-1", "crack"), sensor(1, "air-2", "humidity"), sensor(2, "gas-1")])
        rows = {0: 2, 1: -1, 2: -1, 3: 0}
        again = spool(tmp_path, city=present)
        for one, record in zip(given, again.records(0), strict=True):
            moved = np.array([rows[row] for row in one.batch.sensor.tolist()])
            kept = moved >= 0
            found = record.admission
            assert found.batch.sensor.tolist() == moved[kept].tolist()
            assert found.batch.value.tolist() == one.batch.value[kept].tolist()
            assert found.batch.event_us.tolist() == one.batch.event_us[kept].tolist()
            assert found.given_us.tolist() == one.given_us[kept].tolist()
            assert found.identity.tolist() == one.identity[kept].tolist()
            assert found.stepped == (0,)  # of (1, 3)
            assert [refusal.sensor for refusal in found.refused if refusal.sensor >= 0] == [2]  # of rows -1, 0 and 1
            lost = [refusal for refusal in found.refused if refusal.sensor < 0]
            assert {refusal.reason for refusal in lost} <= {RefusalReason.UNKNOWN_SENSOR}
            decoded = native.decode(
                [refusal.payload for refusal in lost], [""] * len(lost), np.zeros(len(lost), np.int64)
            )
            names = [one_sensor.id for one_sensor in small_city().sensors]
            assert list(decoded.ids) == [names[row] for row in one.batch.sensor[~kept].tolist()]
            assert decoded.event_us.tolist() == one.given_us[~kept].tolist()
            assert decoded.value.tolist() == one.batch.value[~kept].tolist()
            assert [refusal.received_us for refusal in lost] == one.batch.received_us[~kept].tolist()
        assert again.append(admission(5, readings=1), NOW_US) == 5

    def test_each_edition_of_the_sensors_is_kept_once_and_no_longer_than_needed(self, tmp_path: Path) -> None:
        cities = [city([sensor(0, f"gas-{n}")]) for n in range(4)]
        for number, one in enumerate([*cities, cities[0]]):
            opened = spool(tmp_path, city=one)
            opened.append(admission(0, readings=0), NOW_US)
            opened.sync()
            assert len(list(tmp_path.glob("*.table"))) == min(number, 3) + 1
            opened.close()
        again = spool(tmp_path, city=cities[0])
        assert [record.position for record in again.records(0)] == list(range(5))
        again.release(5)
        assert len(list(tmp_path.glob("*.table"))) == 1

    def test_a_change_of_the_roster_alone_changes_nothing(self, tmp_path: Path) -> None:
        opened = spool(tmp_path)
        opened.append(admission(0), NOW_US)
        opened.sync()
        opened.close()
        again = spool(tmp_path, city=small_city())
        again.append(admission(1), NOW_US)
        assert len(segments(tmp_path)) == len(list(tmp_path.glob("*.table"))) == 1

    def test_where_the_edition_is_lost_the_records_are_told_to_be(self, tmp_path: Path) -> None:
        opened = spool(tmp_path)
        opened.append(admission(0), NOW_US)
        opened.sync()
        opened.close()
        for path in tmp_path.glob("*.table"):
            path.write_bytes(b"not a table")
        again = spool(tmp_path, city=city([sensor(0, "gas-1")]))
        with capture_logs() as logs:
            assert list(again.records(0)) == []
        assert logs[0]["event"] == "spool_damaged"
        assert ".table is missing or damaged" in logs[0]["why"]
        assert again.counters["lost_records"] == 1


class TestOtherProcesses:
    def test_a_reader_beside_a_writer_sees_whole_records_in_order(self, tmp_path: Path) -> None:
        opened = spool(tmp_path, segment_bytes=4_000)
        opened.append(admission(0), NOW_US)
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set() and opened.end < 3_000:
                opened.append(admission(opened.end), NOW_US)
                if opened.end % 10 == 0:
                    opened.release(opened.sync() - 30)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(20):
                found = [one for one in SpoolReader(tmp_path).records() if isinstance(one, Spooled)]
                places = [one.record.position for one in found]
                assert places == sorted(set(places))
                assert all(same(one.record, one.record.position, admission(one.record.position)) for one in found[-50:])
        finally:
            stop.set()
            writer.join()
        opened.close()

    def test_one_thread_appends_another_syncs_a_third_reads_and_releases(self, tmp_path: Path) -> None:
        opened = spool(tmp_path, segment_bytes=4_000)
        count = 800

        def append() -> None:
            for number in range(count):
                opened.append(admission(number), NOW_US)

        def sync() -> None:
            while opened.synced < count:
                before = opened.end
                assert opened.sync() >= before

        def drain() -> None:
            position = 0
            while position < count:
                for record in opened.records(position, opened.synced):
                    assert same(record, position, admission(position))
                    position += 1
                opened.release(position)

        with ThreadPoolExecutor(3) as threads:
            for work in [threads.submit(one) for one in (append, sync, drain)]:
                work.result()
        assert opened.first > count - 60
        opened.close()

    @pytest.mark.parametrize("seed", range(3))
    def test_a_killed_writer_has_lost_nothing_it_had_synced(self, tmp_path: Path, seed: int) -> None:
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from tests.ingest.spool_builders import admission, spool\n"
            "opened = spool(Path(sys.argv[1]), segment_bytes=5_000)\n"
            "while True:\n"
            "    for _ in range(3):\n"
            "        opened.append(admission(opened.end), 7)\n"
            "    print(opened.sync(), flush=True)\n"
        )
        writer = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert writer.stdout is not None
        lines = int(np.random.default_rng(seed).integers(1, 200))
        told = [int(writer.stdout.readline()) for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
        writer.wait()
        writer.stdout.close()
        promised = max([told[-1], *(int(line) for line in rest if line)])
        opened = spool(tmp_path)
        assert opened.end >= promised
        records = list(opened.records(0))
        assert len(records) == opened.end
        assert all(same(record, number, admission(number)) for number, record in enumerate(records))
        assert opened.counters["damaged"] == 0


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = spool(tmp_path)
    opened.append(admission(0), NOW_US)
    opened.sync()

    def fails(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fails)
    with pytest.raises(RetryableError, match=r"0\.spool.*Input/output error"):
        list(opened.records(0))


def test_the_reading_of_a_gone_sensor_is_native_json(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    opened.append(admission(0, readings=5), NOW_US)
    opened.sync()
    opened.close()
    (record,) = spool(tmp_path, city=city([sensor(0, "new-1")])).records(0)
    assert len(record.admission.batch) == 0
    payloads = [msgspec.json.decode(refusal.payload) for refusal in record.admission.refused]
    units = {one.id: one.measures.unit for one in small_city().sensors}
    assert [payload["u"] for payload in payloads] == [units[payload["id"]] for payload in payloads]
    assert len(payloads) == 5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20), st.integers(0, 10), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 400)), max_size=4))
def test_holes_that_a_power_cut_leaves_in_the_unsynced_touch_nothing_that_was_synced(
    synced: int, more: int, holes: list[tuple[float, int]]
) -> None:
    with TemporaryDirectory() as scratch:
        opened = spool(Path(scratch) / "a", segment_bytes=900)
        for number in range(synced + more):
            opened.append(admission(number), NOW_US)
            if number == synced - 1:
                opened.sync()
        opened.close()
        for path in segments(Path(scratch) / "a"):
            content = bytearray(path.read_bytes())
            safe = safe_bytes(path, synced)
            for place, length in holes:
                begin = safe + int(place * (len(content) - safe))
                end = min(len(content), begin + length)
                content[begin:end] = bytes(end - begin)
            path.write_bytes(content)
        again = spool(Path(scratch) / "a", segment_bytes=900)
        assert synced <= again.end <= synced + more
        records = list(again.records(0))
        assert [record.position for record in records[:synced]] == list(range(synced))
        assert all(same(record, record.position, admission(record.position)) for record in records)
        assert again.append(admission(again.end), NOW_US) == again.end - 1
        again.sync()
        again.close()
        last = spool(Path(scratch) / "a", segment_bytes=900)
        assert [record.position for record in last.records(0)] == [*(r.position for r in records), last.end - 1]
        last.close()
