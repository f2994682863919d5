import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from config import kept_sensors, sensor_files
from config.city import Sensor
from config.city_files import EXAMPLE, load_city, read_city
from config.tables import Chunk
from tests.config.helpers import DAY, break_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sensors.kept"


@pytest.fixture
def lines_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines of sensors.csv were read, time after time."""
    counts: list[int] = []
    read_chunk = sensor_files._read_chunk

    def counted(chunk: Chunk, *others: object) -> None:
        counts.append(len(chunk.lines))
        read_chunk(chunk, *others)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(sensor_files, "_read_chunk", counted)
    return counts


def sensors(folder: Path, file: Path | None, day: date | None = DAY) -> list[Sensor]:
    return list(load_city(folder, today=day, kept_in=file).sensors)


def test_the_same_files_are_read_once_and_then_taken_as_they_were_kept(
    district: Path, file: Path, lines_read: list[int]
) -> None:
    first = sensors(district, file)
    assert first == sensors(EXAMPLE, None)
    lines_read.clear()
    assert sensors(district, file) == first
    assert lines_read == []


def test_limits_of_single_sensors_are_checked_against_kept_sensors_too(district: Path, file: Path) -> None:
    break_file(district, "limits.csv", ",noise,high,general", "cam-999,noise,high,general")
    told = [read_city(district, today=DAY, kept_in=file).problems for _ in range(2)]
    assert [problem.found for problem in told[0]] == ["cam-999"]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("sensors.csv", ",5,gas-company,", ",6,gas-company,"),
        ("grids.geojson", '"Shiliu Grid 1"', '"Shiliu Grid One"'),
        ("departments.yaml", "gas-company:", "gas-works:"),
    ],
)
def test_whatever_changes_in_the_files_counts_at_once(
    district: Path, file: Path, name: str, old: str, new: str
) -> None:
    sensors(district, file)
    break_file(district, name, old, new)
    anew, with_file = read_city(district, today=DAY), read_city(district, today=DAY, kept_in=file)
    assert anew.problems == with_file.problems
    if anew.city is not None and with_file.city is not None:
        assert list(anew.city.sensors) == list(with_file.city.sensors)


def test_a_moved_border_places_the_sensors_anew(district: Path, file: Path, lines_read: list[int]) -> None:
    sensors(district, file)
    lines_read.clear()
    grids = district / "grids.geojson"
    grids.write_text(grids.read_text(encoding="utf-8").replace("112.78", "112.77"), encoding="utf-8")
    read_city(district, today=DAY, kept_in=file)
    assert lines_read


def test_a_table_with_a_mistake_is_not_kept(district: Path, file: Path) -> None:
    break_file(district, "sensors.csv", ",5,gas-company,", ",0,gas-company,")
    assert read_city(district, today=DAY, kept_in=file).city is None
    assert not file.exists()


@pytest.mark.parametrize(
    ("days", "again"),
    [
        ((DAY, DAY + timedelta(days=1)), False),
        ((DAY, DAY - timedelta(days=1)), True),
        ((None, DAY), True),
        ((DAY, None), False),
    ],
)
def test_what_was_not_yet_future_on_one_day_is_so_on_later_days_only(
    district: Path, file: Path, lines_read: list[int], days: tuple[date | None, date | None], again: bool
) -> None:
    kept_on, read_on = days
    sensors(district, file, kept_on)
    lines_read.clear()
    sensors(district, file, read_on)
    assert bool(lines_read) is again


def test_another_program_reads_for_itself(
    district: Path, file: Path, lines_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sensors(district, file)
    lines_read.clear()
    monkeypatch.setattr(kept_sensors, "_program", lambda: b"another version")
    sensors(district, file)
    assert lines_read


def cut(content: bytes, at: int) -> bytes:
    return content[: at % len(content)]


def flip(content: bytes, at: int) -> bytes:
    place = at % len(content)
    return content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoil=st.sampled_from([cut, flip]), at=st.integers(0, 2**32))
def test_a_damaged_file_never_changes_what_is_read(
    tmp_path: Path, spoil: Callable[[bytes, int], bytes], at: int
) -> None:
    file = tmp_path / "sensors.kept"
    right = sensors(EXAMPLE, file)
    file.write_bytes(spoil(file.read_bytes(), at))
    assert sensors(EXAMPLE, file) == right
    assert sensors(EXAMPLE, file) == right


def test_a_damaged_file_is_told_and_written_anew(district: Path, file: Path, lines_read: list[int]) -> None:
    sensors(district, file)
    file.write_bytes(random.Random(1).randbytes(1000))  # noqa: S311 - no secret
    with capture_logs() as logs:
        sensors(district, file)
    assert [entry["event"] for entry in logs] == ["the sensors as kept are damaged; they are read anew"]
    lines_read.clear()
    sensors(district, file)
    assert lines_read == []


def test_a_file_that_cannot_be_written_stops_no_reading(district: Path, tmp_path: Path) -> None:
    with capture_logs() as logs:
        found = sensors(district, tmp_path / "nowhere" / "sensors.kept")
    assert found == sensors(EXAMPLE, None)
    assert [entry["log_level"] for entry in logs] == ["warning"]
