from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from config.city_files import load_city
from config.errors import ConfigurationError
from gridwhistle.cli_city import new_city

runner = CliRunner()
app = typer.Typer()
app.command("new-city")(new_city)


def test_a_city_is_written_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    result = runner.invoke(app, [str(folder), "--sensors", "300", "--seed", "4", "--language", "en"])
    assert result.exit_code == 0, result.output
    city = load_city(folder)
    assert len(city.sensors) == 300
    assert city.name.en in result.output
    assert f"300 sensors in {len(city.columns.device.names)} devices" in result.output
    assert "seed 4" in result.output
    assert f"gridwhistle check {folder}" in result.output


def test_it_speaks_chinese_when_nothing_is_said(tmp_path: Path) -> None:
    result = runner.invoke(app, [str(tmp_path), "--sensors", "100"])
    assert result.exit_code == 0, result.output
    assert "虚构" in result.output
    assert "100 个传感器" in result.output


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    result = runner.invoke(app, [str(tmp_path), "--language", "en"])
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception) == f"{tmp_path}: found files in it; a made-up city wants a new or an empty folder"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "city").write_text("", encoding="utf-8")
    result = runner.invoke(app, [str(tmp_path / "city"), "--language", "en"])
    assert isinstance(result.exception, ConfigurationError)
    assert "found a file, expected a folder" in str(result.exception)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = runner.invoke(app, [str(tmp_path / "file" / "city"), "--sensors", "100", "--language", "en"])
    assert isinstance(result.exception, ConfigurationError)
    assert "cannot be written" in str(result.exception)


@pytest.mark.parametrize("sensors", ["99", "500001", "many"])
def test_sizes_that_cannot_be_are_refused(tmp_path: Path, sensors: str) -> None:
    result = runner.invoke(app, [str(tmp_path / "city"), "--sensors", sensors])
    assert result.exit_code == 2
    assert not (tmp_path / "city").exists()
