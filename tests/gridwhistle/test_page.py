"""What a page is told, and that it ends with its core."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from alerting.ledger import Ledger, LedgerOutdatedError, LedgerUnavailableError
from config.settings import ClockSettings, ClockSource, InfluxStoreSettings, MqttSettings, Settings
from dashboard_api.ports import LastValues
from gridwhistle.page import together
from gridwhistle.page_process import Order, ledger_url
from tests.support.daemon import ROOT
from tests.support.dashboard import DISTRICT

PATIENCE_S = 30


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_page_outlives_its_core(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.support.core", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        _, child = process.stdout.readline().split()
        assert Path(f"/proc/{child}").exists()
        process.send_signal(number)
        process.wait(PATIENCE_S)
        deadline = time.monotonic() + 2
        while alive(int(child)):
            assert time.monotonic() < deadline, "the page lives on"
            time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be fetched by whoever adopted it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class TestOrder:
    def test_it_carries_the_secrets_a_page_needs_and_not_the_brokers(self) -> None:
        settings = Settings(
            city=DISTRICT,
            mqtt=MqttSettings(username="gw", password=SecretStr("of the broker")),
            store=InfluxStoreSettings(type="influx", org="city", token=SecretStr("of the store")),
            clock=ClockSettings(source=ClockSource.BROKER),
        )
        line = Order.of(settings, "4f1c", 7, []).line()
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert b"of the broker" not in line
        read = Settings.model_validate(json.loads(line)["settings"])
        assert read == settings.model_copy(update={"mqtt": MqttSettings()})

    def test_the_ledger_is_where_the_settings_say_or_in_the_data_folder(self, tmp_path: Path) -> None:
        settings = Settings(city=DISTRICT, data_dir=tmp_path)
        assert ledger_url(settings) == f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        other = Settings.model_validate({"city": DISTRICT, "ledger": {"url": "postgresql://db/cases"}})
        assert ledger_url(other) == "postgresql://db/cases"


class TestJoin:
    def test_a_ledger_is_joined_without_taking_the_writers_turn(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        first = Ledger.open(url)
        with first.write():
            second = Ledger.join(url)
            assert second.last_trail_id() == 0
        second.close()
        first.close()

    def test_one_of_another_version_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(LedgerOutdatedError, match="lacks"):
            Ledger.join(f"sqlite:///{tmp_path / 'empty.sqlite'}")

    def test_one_that_cannot_be_reached_is_worth_another_try(self, tmp_path: Path) -> None:
        with pytest.raises(LedgerUnavailableError):
            Ledger.join(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.sqlite'}")


def test_of_several_cores_the_one_that_has_a_sensor_says_how_it_is() -> None:
    def known(*rows: tuple[int, float, bool, float]) -> LastValues:
        event_us, value, silent, offset_s = zip(*rows, strict=True)
        return LastValues(np.array(event_us), np.array(value), np.array(silent), np.array(offset_s))

    one = known((5, 1.0, True, 7.0), (0, 0.0, False, np.nan), (0, 0.0, False, np.nan))
    other = known((6, 2.0, False, np.nan), (9, 3.0, False, -2.0), (0, 0.0, True, np.nan))
    both = together([one, other], np.array([0, 1, 1], np.int32))
    assert (both.event_us.tolist(), both.value.tolist()) == ([5, 9, 0], [1.0, 3.0, 0.0])
    assert both.silent.tolist() == [True, False, True], "one that was never heard can be silent, too"
    assert both.offset_s[:2].tolist() == [7.0, -2.0]
    assert together([one], None) is one
