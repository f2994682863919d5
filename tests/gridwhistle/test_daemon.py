"""How the daemon is put together: its lanes, and its folder, which is its alone."""

from pathlib import Path

import pytest

from config.city_files import EXAMPLE
from config.errors import ConfigurationError
from config.settings import MqttSettings, PayloadFormat, Settings, Subscription
from gridwhistle.daemon import lanes_of, own

BULK = Subscription(filter="readings/#", format=PayloadFormat.NATIVE)
URGENT = Subscription(filter="gas/#", format=PayloadFormat.NATIVE, urgent=True)


def settings(folder: Path, *subscriptions: Subscription) -> Settings:
    return Settings(city=EXAMPLE, data_dir=folder, mqtt=MqttSettings(subscriptions=subscriptions))


def test_urgent_subscriptions_go_by_a_lane_of_their_own(tmp_path: Path) -> None:
    lanes = lanes_of(settings(tmp_path, BULK, URGENT), published_clock=False)
    assert {name: list(served) for name, served in lanes.items()} == {"urgent": [URGENT], "bulk": [BULK]}


def test_a_published_clock_needs_all_in_one_stream(tmp_path: Path) -> None:
    lanes = lanes_of(settings(tmp_path, BULK, URGENT), published_clock=True)
    assert {name: list(served) for name, served in lanes.items()} == {"bulk": [BULK, URGENT]}


def test_a_lane_that_nobody_subscribes_to_any_more_is_opened_while_its_spool_is_there(tmp_path: Path) -> None:
    (tmp_path / "spool" / "urgent").mkdir(parents=True)
    lanes = lanes_of(settings(tmp_path, BULK), published_clock=False)
    assert {name: list(served) for name, served in lanes.items()} == {"bulk": [BULK], "urgent": []}


def test_a_second_daemon_is_kept_out_of_the_folder_of_the_first(tmp_path: Path) -> None:
    first = own(tmp_path / "data")
    with pytest.raises(ConfigurationError, match="another process uses this data_dir"):
        own(tmp_path / "data")
    first.release()
    own(tmp_path / "data").release()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigurationError, match="data_dir: found"):
        own(tmp_path / "data")
