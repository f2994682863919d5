"""Shares of the city: every sensor in one part, and settings that keep the parts out of each other's way."""

from pathlib import Path

import pytest

from config.city import City
from config.city_files import EXAMPLE, load_city
from config.errors import ConfigurationError
from config.settings import LocalStoreSettings, Part, PayloadFormat, Settings, Subscription
from gridwhistle.parts import mine, owners, settings_of


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(EXAMPLE)


def part(name: str, *nodes: str) -> Part:
    filters = Subscription(filter=f"{name}/#", format=PayloadFormat.NATIVE)
    return Part(name=name, nodes=nodes, subscriptions=(filters,))


EAST, WEST = part("east", "YR-RQ"), part("west", "YR-WC")


def test_every_sensor_belongs_to_the_part_whose_node_is_above_its_grid(city: City) -> None:
    found = owners([EAST, WEST], city)
    for sensor in city.sensors:
        assert found[sensor.index] == (0 if sensor.grid.startswith("YR-RQ") else 1), sensor
    assert mine(WEST, [EAST, WEST], city).tolist() == (found == 1).tolist()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([EAST], "belong to none, the first is"),
        ([EAST, part("east", "YR-WC")], "the names east, east"),
        ([EAST, part("west", "YR-WC", "YR-RQ")], "YR-RQ is there twice"),
        ([EAST, part("west", "YR-WC", "YR-RQ-SL")], "YR-RQ-SL is below YR-RQ"),
        ([EAST, part("west", "YR-XX")], "found 'YR-XX'"),
    ],
)
def test_parts_that_do_not_fit_the_city_are_told(city: City, parts: list[Part], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        owners(parts, city)


def test_a_part_has_a_folder_sessions_and_topics_of_its_own_and_the_ledger_of_all(tmp_path: Path) -> None:
    settings = Settings(city=EXAMPLE, data_dir=tmp_path, parts=(EAST, WEST))
    east, west = settings_of(EAST, settings), settings_of(WEST, settings)
    assert east.data_dir == tmp_path / "parts" / "east"
    assert east.mqtt.client_id != west.mqtt.client_id
    assert east.mqtt.subscriptions == EAST.subscriptions
    assert east.ledger.url == west.ledger.url == f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def test_one_file_of_the_embedded_store_cannot_serve_several_parts(tmp_path: Path) -> None:
    settings = Settings(city=EXAMPLE, data_dir=tmp_path, store=LocalStoreSettings(path=tmp_path / "x.duckdb"))
    with pytest.raises(ConfigurationError, match=r"store\.path"):
        settings_of(EAST, settings)
