"""Recordings become readings with their own times; whatever gives none is counted, whatever is wrong is named."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point

from config.city_files import load_city, read_city
from config.clock import from_datetime, isoformat
from config.vocabulary import GridLevel
from sensors_sim.recordings import ADAPTERS, adapter_for, read_recording
from sensors_sim.recordings.city_folder import make_city, write_city
from sensors_sim.recordings.model import Recording, RecordingError
from sensors_sim.recordings.people_melbourne import moment_us
from sensors_sim.truth import FAULT_ROLES, on_duty
from tests.sensors_sim import samples

DATA = Path(os.environ.get("GRIDWHISTLE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def rows(recording: Recording) -> list[tuple[str, str, float]]:
    return [
        (recording.series[row], isoformat(int(time_us)), float(value))
        for row, time_us, value in zip(recording.rows, recording.times_us, recording.values, strict=True)
    ]


@pytest.fixture
def families(tmp_path: Path) -> dict[str, list[Path]]:
    return samples.families(tmp_path)


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_the_family_is_recognised_by_the_files_columns(families: dict[str, list[Path]], name: str) -> None:
    assert adapter_for(families[name])[0] == name
    assert adapter_for(list(reversed(families[name])))[0] == name


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_all_files_are_merged_in_order_of_time(families: dict[str, list[Path]], name: str) -> None:
    recording = read_recording(families[name])
    assert np.all(np.diff(recording.times_us) >= 0)
    assert len(recording) == len({(series, time) for series, time, _ in rows(recording)})


def test_beijing_hours_are_eight_ahead_of_utc_and_na_is_counted(families: dict[str, list[Path]]) -> None:
    recording = read_recording(families["air_beijing"])
    found = rows(recording)
    assert ("bj-changping-pm25", "2013-02-28T16:00:00.000Z", 3.0) in found
    assert ("bj-tiantan-pm25", "2013-02-28T17:00:00.000Z", 11.0) in found
    assert ("bj-changping-co_air", "2013-02-28T16:00:00.000Z", 300.0) in found
    assert recording.skipped == {"missing": 1}
    assert len(found) == 2 * 2 * 10 - 1


def test_melbournes_doubled_hour_is_the_first_and_the_leapt_hour_is_counted(families: dict[str, list[Path]]) -> None:
    recording = read_recording(families["people_melbourne"])
    assert rows(recording) == [
        ("me-004-people", "2012-03-31T14:00:00.000Z", 988.0),  # hour 1, 11 h ahead
        ("me-004-people", "2012-03-31T15:00:00.000Z", 654.0),  # the first hour 2
        ("me-004-people", "2012-03-31T17:00:00.000Z", 638.0),  # hour 3, 10 h ahead
        ("me-017-people", "2012-10-06T15:00:00.000Z", 395.0),  # hour 1, 10 h ahead
        ("me-017-people", "2012-10-06T16:00:00.000Z", 160.0),  # hour 3, 11 h ahead
    ]
    assert recording.skipped == {"missing": 1, "no_counter": 1, "place_unknown": 1, "hour_never_was": 1}


@given(st.datetimes(datetime(2009, 1, 1), datetime(2026, 1, 1)))  # noqa: DTZ001 - its zone is what is tested
def test_no_two_hours_of_melbourne_fall_on_one_moment(naive: datetime) -> None:
    hours = [moment_us(naive.strftime("%d-%b-%Y"), hour) for hour in range(24)]
    real = [time_us for time_us in hours if time_us is not None]
    assert len(set(real)) == len(real) >= 23
    assert real == sorted(real)


def test_a_faulty_file_replaces_only_the_series_it_spoils(families: dict[str, list[Path]]) -> None:
    for files in (families["faults_intel"], list(reversed(families["faults_intel"]))):
        recording = read_recording(files)
        found = [(series, value) for series, time, value in rows(recording) if time == "2004-02-29T08:00:52.000Z"]
        assert sorted(found) == [
            ("mote-06-illuminance", 900.0),
            ("mote-06-temperature", 19.5),
            ("mote-45-illuminance", 115.0),
            ("mote-45-temperature", 19.5),
        ]
        assert recording.skipped == {"replaced": 4}


def test_two_files_that_spoil_one_series_are_refused(tmp_path: Path) -> None:
    one = samples.write(tmp_path / "mote-6_sensortype-light_faulttype-random.txt", samples.FAULTY)
    two = samples.write(tmp_path / "mote-6_sensortype-light_faulttype-drift.txt", samples.FAULTY)
    with pytest.raises(RecordingError, match=r"light of mote 6 stands in .* already"):
        read_recording([one, two])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty, expected a header line"),
        (
            "a,b\n1,2\n",
            "no adapter knows the columns a, b; there are: air_beijing .*; people_melbourne .*; faults_intel",
        ),
        (samples.AIR.replace("2013,3,1,0", "2013,3,1,x"), "line 2: hour is 'x', expected a whole number"),
        (samples.AIR.replace("2013,3,1,0", "2013,2,30,0"), "line 2: no such hour: 2013-2-30 0"),
        (samples.AIR.replace("1020.8", "high"), "line 2: PRES is 'high', expected a number or NA"),
        (samples.AIR.replace("1020.8", "inf"), "line 2: PRES is 'inf', expected a finite number"),
        (
            samples.AIR.replace('"Changping"', '"Atlantis"'),
            "line 2: station is 'Atlantis', expected one of Aotizhongxin",
        ),
        (samples.AIR + "3,2013\n", "line 4: 2 cells found, 18 expected as in the header"),
        (samples.CLEAN.format(mote=77), "line 2: mote_id is 77, expected 1 to 54"),
        (samples.CLEAN.format(mote=1).replace("2004-02-29T00:00:52", "soon"), "line 3: timestamp is 'soon'"),
        (samples.COUNTS, "no file of places among them, expected one with the columns Sensor ID"),
    ],
)
def test_a_broken_file_is_named_with_line_and_field(tmp_path: Path, text: str, message: str) -> None:
    path = samples.write(tmp_path / "broken.csv", text)
    with pytest.raises(RecordingError, match=f"broken.csv.*{message}"):
        read_recording([path])


@pytest.mark.parametrize("cut", [11, 60])
def test_a_compressed_file_that_is_cut_off_is_named(tmp_path: Path, cut: int) -> None:
    path = samples.write(tmp_path / "cut.csv.gz", samples.AIR, packed=True)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RecordingError, match=r"cut\.csv\.gz: the compressed file is damaged or cut off"):
        read_recording([path], "air_beijing")


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gbk.csv"
    path.write_bytes(samples.AIR.replace("Changping", "昌平").encode("gb18030"))
    with pytest.raises(RecordingError, match=r"gbk\.csv: not UTF-8"):
        read_recording([path])


def test_files_of_two_families_no_files_and_unknown_names_are_refused(families: dict[str, list[Path]]) -> None:
    with pytest.raises(RecordingError, match=r"files of several families .* air_beijing; .* faults_intel"):
        read_recording([families["air_beijing"][0], families["faults_intel"][0]])
    with pytest.raises(RecordingError, match="no recording given"):
        read_recording([])
    with pytest.raises(RecordingError, match="no adapter is called 'mars', there are: air_beijing, people"):
        read_recording(families["air_beijing"], "mars")


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_a_made_city_has_no_mistake_and_every_series_of_the_recording(
    families: dict[str, list[Path]], name: str, tmp_path: Path
) -> None:
    folder = make_city(families[name], tmp_path / "city")
    report = read_city(folder)
    assert report.problems == ()
    city = load_city(folder)
    assert set(read_recording(families[name]).series) == set(city.sensor_index)
    for sensor in city.sensors:
        grid = city.grids[sensor.grid]
        assert grid.level is GridLevel.GRID
        assert grid.polygon.covers(Point(sensor.lon, sensor.lat))
    for hour in range(24):
        time_us = from_datetime(datetime(2013, 5, 5, hour, 30, tzinfo=UTC))
        for code in {sensor.grid for sensor in city.sensors}:
            assert on_duty(city, code, time_us) is not None
            assert on_duty(city, code, time_us, FAULT_ROLES) is not None


def test_a_single_station_makes_a_city_too(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "one.csv", samples.AIR)
    assert len(load_city(make_city([path], tmp_path / "city")).sensors) == 10


def test_the_motes_of_one_part_of_the_lab_share_a_grid(families: dict[str, list[Path]], tmp_path: Path) -> None:
    city = load_city(make_city(families["faults_intel"], tmp_path / "city"))
    assert city.sensor("mote-06-temperature").grid != city.sensor("mote-45-temperature").grid
    metres = 111_195 * (city.sensor("mote-45-temperature").lat - city.sensor("mote-06-temperature").lat)
    assert metres == pytest.approx(7, abs=0.05)


def _real(*patterns: str) -> list[Path]:
    files = [path for pattern in patterns for path in sorted(DATA.glob(pattern))]
    if not files:
        pytest.skip(f"the recordings are not under {DATA}; set GRIDWHISTLE_DATA to their folder")
    return files


@pytest.mark.parametrize(
    ("patterns", "series", "least", "skipped"),
    [
        (("air_beijing/*Tiantan*",), 10, 340_000, {"missing"}),
        (("people_melbourne/*",), 39, 650_000, {"missing", "no_counter", "hour_never_was"}),
        (
            ("faults_intel/clean/Node0*", "faults_intel/injected_drift/mote-6_*light*"),
            6,
            60_000,
            {"replaced", "duplicate"},
        ),
    ],
)
def test_the_real_recordings_are_read_whole_and_make_a_city(
    tmp_path: Path, patterns: tuple[str, ...], series: int, least: int, skipped: set[str]
) -> None:
    files = _real(*patterns)
    recording = read_recording(files)
    assert len(recording.series) == series
    assert len(recording) >= least
    assert set(recording.skipped) == skipped
    assert Counter(recording.rows.tolist()).most_common()[-1][1] > 300
    report = read_city(write_city(adapter_for(files)[1].site, recording.stations, tmp_path / "city"))
    assert report.problems == ()
    assert report.city is not None
    assert set(recording.series) <= set(report.city.sensor_index)
