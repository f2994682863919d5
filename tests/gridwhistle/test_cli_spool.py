import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import ConfigurationError, RetryableError
from gridwhistle.cli import app
from gridwhistle.cli_spool import spool_app
from ingest.model import Quality
from ingest.spool import Spool
from tests.ingest.builders import NOW_US, small_city
from tests.ingest.spool_builders import admission, spool
from tests.sensors_sim.listener import listening
from tests.support.daemon import ROOT
from tests.support.servers import free_port, mosquitto

runner = CliRunner()


@pytest.fixture
def kept(tmp_path: Path) -> Spool:
    """A spool of twelve records, still open, as beside a running daemon."""
    opened = spool(tmp_path / "var" / "spool" / "bulk")
    for number in range(12):
        opened.append(admission(number, refused=2 if number == 3 else 0), NOW_US + number * 1_000_000)
    opened.sync()
    return opened


def spool_files(data_dir: Path) -> list[Path]:
    return sorted(data_dir.rglob("*.spool"))


def test_the_files_are_listed_with_records_readings_and_times(tmp_path: Path, kept: Spool) -> None:
    result = runner.invoke(app, ["spool", "ls", str(tmp_path / "var"), "--language", "en"])
    assert result.exit_code == 0, result.output
    count = len(spool_files(tmp_path))
    assert f"{count} files, 12 records, 36 readings" in result.output.replace("\n", "")
    assert all(path.name in result.output for path in spool_files(tmp_path))
    assert "2023-11-14T22:13:20.000Z" in result.output
    assert "sound" in result.output
    assert "damaged" not in result.output
    assert kept.end == 12


def test_damage_is_shown_with_its_place_and_the_exit_code_says_so(tmp_path: Path, kept: Spool) -> None:
    path = spool_files(tmp_path)[0]
    broken = bytearray(path.read_bytes())
    broken[60] ^= 1
    path.write_bytes(broken)
    result = runner.invoke(app, ["spool", "ls", str(path.parent), "--language", "en"])
    assert result.exit_code == 1
    assert "damaged at byte 40" in result.output
    result = runner.invoke(app, ["spool", "cat", str(path.parent)])
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert lines[0]["damage"] | {"file": ""} == {"file": "", "offset": 40, "bytes": 142, "begin": 0, "end": 0}
    assert [line["position"] for line in lines[1:]] == list(range(1, 12))
    assert kept.end == 12


def test_records_are_printed_with_the_ids_of_their_sensors(tmp_path: Path, kept: Spool) -> None:
    result = runner.invoke(app, ["spool", "cat", str(tmp_path / "var"), "--from", "3", "--to", "5"])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert [line["position"] for line in lines] == [3, 4]
    ids = [sensor.id for sensor in small_city().sensors]
    given = admission(3, refused=2)
    assert [reading["id"] for reading in lines[0]["readings"]] == [ids[row] for row in given.batch.sensor]
    assert [reading["v"] for reading in lines[0]["readings"]] == given.batch.value.tolist()
    assert lines[0]["refused"] == [
        {"id": ids[0], "reason": "out_of_range", "found": "9", "expected": "at most 8"},
    ]
    assert lines[0]["clock_stepped_back"] == [ids[1], ids[3]]
    assert kept.end == 12


def test_only_one_sensor_is_printed_where_asked(tmp_path: Path, kept: Spool) -> None:
    result = runner.invoke(app, ["spool", "cat", str(tmp_path / "var"), "--sensor", "air-1"])
    found = [reading for line in result.output.splitlines() for reading in json.loads(line)["readings"]]
    expected = sum(int((admission(number).batch.sensor == 1).sum()) for number in range(12))
    assert len(found) == expected > 0
    assert {reading["id"] for reading in found} == {"air-1"}
    assert kept.end == 12


def test_a_folder_without_a_spool_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        result = runner.invoke(app, ["spool", "ls", str(path)])
        assert isinstance(result.exception, ConfigurationError)
        assert str(path) in str(result.exception)


def test_of_several_spools_one_has_to_be_named(tmp_path: Path, kept: Spool) -> None:
    urgent = spool(tmp_path / "var" / "spool" / "urgent")
    urgent.append(admission(0), NOW_US)
    result = runner.invoke(app, ["spool", "cat", str(tmp_path / "var"), "--language", "en"])
    assert isinstance(result.exception, ConfigurationError)
    assert "bulk" in str(result.exception)
    assert "urgent" in str(result.exception)
    result = runner.invoke(app, ["spool", "ls", str(tmp_path / "var"), "--language", "en"])
    assert "13 records" not in result.output
    assert "12 records" in result.output
    assert "1 records" in result.output
    assert kept.end == 12


@pytest.mark.broker
def test_the_readings_are_published_again_with_the_times_of_their_devices(tmp_path: Path, kept: Spool) -> None:
    with mosquitto(tmp_path / "broker") as server, listening(server.port) as listener:
        options = ["--port", str(server.port), "--from", "2", "--to", "6", "--pack", "2", "--language", "en"]
        result = runner.invoke(app, ["spool", "replay", str(tmp_path / "var"), *options])
        assert result.exit_code == 0, result.output
        assert "12 readings of 4 records" in result.output
        listener.wait_for_readings(12)
    ids = [sensor.id for sensor in small_city().sensors]
    given = [admission(number) for number in range(2, 6)]
    expected = [
        (ids[sensor], time_us, value)
        for one in given
        for sensor, time_us, value in zip(
            one.batch.sensor.tolist(), one.given_us.tolist(), one.batch.value.tolist(), strict=True
        )
    ]
    assert [(name, round(time * 1e6), value) for name, time, value in listener.readings()] == expected
    messages = [content for _, content in listener.heard]
    assert [len(content) for content in messages] == [2, 1] * 4
    marks = [reading.get("q") for content in messages for reading in content]
    names = {Quality.SIMULATED: "simulated", Quality.DOUBTFUL: "doubtful", Quality.RETAINED: "doubtful"}
    assert marks == [names.get(Quality(quality)) for one in given for quality in one.batch.quality]
    assert {(reading["id"], reading["u"]) for content in messages for reading in content} <= {
        (sensor.id, sensor.measures.unit) for sensor in small_city().sensors
    }
    assert kept.end == 12


def test_a_replay_without_a_broker_says_where_it_looked(tmp_path: Path, kept: Spool) -> None:
    result = runner.invoke(app, ["spool", "replay", str(tmp_path / "var"), "--port", str(free_port())])
    assert isinstance(result.exception, RetryableError)
    assert "no broker answers at 127.0.0.1" in str(result.exception)
    assert kept.end == 12


def test_the_page_about_the_spool_names_every_command_and_only_options_there_are() -> None:
    page = (ROOT / "docs" / "spool.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ gridwhistle spool (\w+) (.*?)(?:#.*)?$", page, re.MULTILINE)
    assert {name for name, _ in lines} == {command.name for command in spool_app.registered_commands}
    for name, rest in lines:
        shown = runner.invoke(app, ["spool", name, "--help"], env={"COLUMNS": "200"}).output
        assert [option for option in re.findall(r"--\w+", rest) if option not in shown] == []
