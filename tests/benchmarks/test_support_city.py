from collections import Counter
from pathlib import Path

from benchmarks.support import broker_limits, over_limit
from benchmarks.support_city import URGENT_FROM, quantity_of, sensor_id, write_city
from config.city_files import load_city
from tests.support.daemon import ROOT


def test_the_city_is_right_and_every_grid_has_its_worker(tmp_path: Path) -> None:
    write_city(tmp_path / "city", 1000, urgent=20, interval_s=5)
    city = load_city(tmp_path / "city")
    assert len(city.sensors) == 1020
    assert Counter(sensor.quantity for sensor in city.sensors) == {
        "ch4": 320, "temperature": 300, "humidity": 200, "pm25": 200,
    }  # fmt: skip
    assert len({sensor.grid for sensor in city.sensors}) == 100
    for place, number in [(0, 0), (7, 7), (1005, URGENT_FROM + 5)]:
        assert city.sensors[place].id == sensor_id(number)
        assert city.sensors[place].quantity == quantity_of(number).name


def test_the_broker_of_a_measurement_has_our_limits_and_nothing_of_its_place() -> None:
    limits = broker_limits((ROOT / "deploy" / "mosquitto" / "mosquitto.conf").read_text())
    assert "max_queued_messages 10000000\n" in limits
    assert "queue_qos0_messages true\n" in limits
    assert "password_file" not in limits
    assert "listener" not in limits


def test_only_a_limit_that_is_passed_counts_as_the_alarm_that_was_sent() -> None:
    told = b' {"entry":{"action":"alarm_raised","detail":{"sensor":"S000007","condition":"%s"}}}\n'
    assert over_limit(told % b"high") == "S000007"
    assert over_limit(told % b"unusual") is None
