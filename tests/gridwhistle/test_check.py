"""What the operator reads of settings, city and broker before the daemon runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.city_files import EXAMPLE
from gridwhistle.cli import app
from tests.support.servers import free_port, plain_mosquitto

runner = CliRunner()


def settings(folder: Path, port: int, more: str = "") -> str:
    path = folder / "gridwhistle.toml"
    path.write_text(f'city = "{EXAMPLE}"\n[mqtt]\nport = {port}\n{more}\n')
    return str(path)


@pytest.mark.broker
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("No mistakes", "Warning: Of 2000 messages", "Write into mosquitto.conf:", "look yourself")),
        ("zh", ("提醒：", "会话离线期间发来 2000 条消息", "请写进 mosquitto.conf：", "请自己确认")),
    ],
)
def test_a_broker_with_its_own_limits_is_warned_of_with_the_lines_to_write(
    tmp_path: Path, language: str, words: tuple[str, ...]
) -> None:
    with plain_mosquitto(tmp_path / "broker") as broker:
        result = runner.invoke(app, ["check", "--config", settings(tmp_path, broker.port), "--language", language])
    assert result.exit_code == 0, result.output
    for word in (*words, "mosquitto version", "\n    max_queued_messages 10000000\n"):
        assert word in result.output


@pytest.mark.broker
def test_a_broker_that_loses_nothing_is_said_to_be_good(tmp_path: Path) -> None:
    good = "max_queued_messages 1000000\nmax_inflight_messages 20000\nqueue_qos0_messages true"
    with plain_mosquitto(tmp_path / "broker", extra=good) as broker:
        result = runner.invoke(app, ["check", "--config", settings(tmp_path, broker.port), "--language", "en"])
    assert result.exit_code == 0, result.output
    assert "20000 of 20000 messages waited" in result.output
    assert "Warning" not in result.output


def test_a_broker_that_is_not_there_is_an_error_unless_it_is_not_asked_for(tmp_path: Path) -> None:
    path = settings(tmp_path, free_port())
    result = runner.invoke(app, ["check", "--config", path, "--language", "en"])
    assert result.exit_code == 1
    assert "cannot be used" in result.output
    result = runner.invoke(app, ["check", "--config", path, "--language", "en", "--no-broker"])
    assert result.exit_code == 0, result.output
    assert "No mistakes" in result.output


def test_mistakes_of_settings_and_city_are_told_together(tmp_path: Path) -> None:
    path = settings(tmp_path, 1883, "keepalive_s = 1")
    result = runner.invoke(app, ["check", str(tmp_path / "nowhere"), "--config", path, "--language", "en"])
    assert result.exit_code == 1
    assert "keepalive_s" in result.output
    assert "there is no such folder" in result.output


def test_something_must_be_named() -> None:
    result = runner.invoke(app, ["check"])
    assert result.exit_code == 2
    assert "--config" in result.output
