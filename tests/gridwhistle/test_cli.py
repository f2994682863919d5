"""The command line, and the README that describes it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.city_files import EXAMPLE, load_city
from config.clock import SystemClock
from config.errors import ConfigurationError, RetryableError
from config.settings import IngestSettings, MqttSettings
from gridwhistle import cli
from gridwhistle.cli import app
from ingest.intake import Intake
from ingest.model import Message, Messages
from sensors_sim.truth import Truth, write_truth
from tests.support.daemon import ROOT

runner = CliRunner()
README = (ROOT / "README.md").read_text(encoding="utf-8")
README_ZH = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


def commands() -> set[str]:
    found = {
        (command.name or (command.callback.__name__ if command.callback else "")).replace("_", "-")
        for command in app.registered_commands
    }
    found |= {group.typer_instance.info.name or "" for group in app.registered_groups if group.typer_instance}
    assert found
    return found


class TestCheck:
    def test_the_example_district_has_no_mistake(self) -> None:
        result = runner.invoke(app, ["check", str(EXAMPLE), "--language", "en"])
        assert result.exit_code == 0, result.output
        assert "No mistakes" in result.output

    def test_all_mistakes_are_told_at_once_with_their_place_and_the_exit_code_says_so(self, tmp_path: Path) -> None:
        city = tmp_path / "city"
        shutil.copytree(EXAMPLE, city)
        sensors = (city / "sensors.csv").read_text(encoding="utf-8").splitlines()
        sensors += [sensors[1], sensors[2].replace("ch4", "ch5")]
        (city / "sensors.csv").write_text("\n".join(sensors) + "\n", encoding="utf-8")
        result = runner.invoke(app, ["check", str(city), "--language", "en"])
        assert result.exit_code == 1
        assert f"line {len(sensors) - 1}" in result.output
        assert f"line {len(sensors)}" in result.output


class TestScore:
    def test_a_truth_about_another_city_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.sqlite").touch()
        write_truth(Truth("another", 7, 0, 1, (), ()), tmp_path / "truth.json")
        result = runner.invoke(app, ["score", str(tmp_path), str(tmp_path / "truth.json")])
        assert isinstance(result.exception, ConfigurationError)
        assert "city is another" in str(result.exception)


class TestEnd:
    def test_errors_raised_on_purpose_become_a_line_each_even_out_of_groups(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        inner = ExceptionGroup("inner", [RetryableError("the store [local] is full")])

        def fail() -> None:
            raise ExceptionGroup("outer", [ConfigurationError("no such city"), inner])

        monkeypatch.setattr(cli, "app", fail)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        lines = capsys.readouterr().err.splitlines()
        assert lines == ["gridwhistle: no such city", "gridwhistle: the store [local] is full"]

    def test_what_nobody_raised_on_purpose_keeps_its_traceback_beside_them(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail() -> None:
            raise ExceptionGroup("outer", [ConfigurationError("no such city"), ZeroDivisionError("a mistake of ours")])

        monkeypatch.setattr(cli, "app", fail)
        with pytest.raises(ExceptionGroup) as raised:
            cli.main()
        assert [type(error) for error in raised.value.exceptions] == [ZeroDivisionError]
        assert "no such city" in capsys.readouterr().err

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_the_first_signal_asks_and_the_second_one_ends_at_once(self, number: signal.Signals) -> None:
        program = (
            "import asyncio\nfrom gridwhistle.cli import until_stopped\n"
            "async def work(stop):\n"
            "    print('working', flush=True)\n    await stop.wait()\n"
            "    print('asked', flush=True)\n    await asyncio.sleep(60)\n"
            "until_stopped(work)\n"
        )
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "working\n"
            process.send_signal(number)
            assert process.stdout.readline() == "asked\n"
            process.send_signal(number)
            assert process.wait(10) == -number

    def test_an_interruption_while_the_program_loads_says_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "typer.py").write_text("print('loading', flush=True)\nimport time\ntime.sleep(60)\n")
        with subprocess.Popen(
            [sys.executable, "-m", "gridwhistle", "run"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "loading\n"
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=10)
        assert (process.returncode, told) == (-signal.SIGINT, "")


class TestReadme:
    def test_every_command_stands_in_both_readmes_and_nothing_else_does(self) -> None:
        for text in (README, README_ZH):
            assert set(re.findall(r"^\| `gridwhistle ([a-z-]+)` \|", text, re.MULTILINE)) == commands()

    @pytest.mark.parametrize("command", sorted(commands()))
    def test_every_command_explains_itself(self, command: str) -> None:
        result = runner.invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output

    def test_every_option_that_a_command_of_the_readme_uses_exists(self) -> None:
        used = re.findall(r"^ *\.venv/bin/gridwhistle ([a-z-]+(?: init)?)(.*)$", README, re.MULTILINE)
        assert used
        for command, rest in used:
            options = runner.invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"}).output
            for option in re.findall(r"--[a-z-]+", rest):
                assert option in options, f"{command} {option}"

    def test_both_readmes_show_the_same_commands(self) -> None:
        def blocks(text: str) -> list[str]:
            return [re.sub(r" --language en", "", block) for block in re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)]

        assert blocks(README) == blocks(README_ZH)

    def test_everything_it_points_to_is_there(self) -> None:
        for text in (README, README_ZH):
            targets = [*re.findall(r"\]\(([^)#:]+)\)", text), *re.findall(r"`(config/examples/[^`]+)`", text)]
            assert targets
            assert [target for target in targets if not (ROOT / target).exists()] == []

    def test_its_example_reading_is_admitted(self) -> None:
        example = re.search(r'^ *(\{"id".*\})$', README, re.MULTILINE)
        assert example is not None
        reading = json.loads(example[1])
        city = load_city(EXAMPLE)
        intake = Intake(city, IngestSettings(too_old_s=1e10), MqttSettings().subscriptions)
        message = Message("gridwhistle/readings/x", json.dumps(reading).encode(), received_us=SystemClock().now_us())
        admission = intake.admit(Messages.of([message]), message.received_us)
        assert admission.refused == ()
        assert city.sensors[admission.batch.sensor[0]].id == reading["id"]
