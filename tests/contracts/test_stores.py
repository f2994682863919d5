"""What every store of readings does, over DuckDB and a real InfluxDB 1.x alike."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from config.errors import RetryableError
from config.settings import Influx1StoreSettings, LocalStoreSettings, StoreSettings
from ingest.influx import Influx1Store
from ingest.model import Quality, ReadingBatch
from ingest.store import Store, StoreRefusedError
from ingest.stores import open_store
from tests.ingest.builders import NOW_US, city, sensor
from tests.support.servers import Server, influxdb1

CITY = city([sensor(0, "gas 1,a=b'c\"d"), sensor(1, "air-1", "temperature"), sensor(2, "gas-2"), sensor(3, "气体-3")])
SECOND = 1_000_000


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxdb1(tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture(params=["local", pytest.param("influx1", marks=pytest.mark.influx)])
def settings(request: pytest.FixtureRequest) -> StoreSettings:
    if request.param == "local":
        return LocalStoreSettings()
    server: Server = request.getfixturevalue("influx")
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    return Influx1StoreSettings(type="influx1", url=f"http://127.0.0.1:{server.port}", database=name)


@pytest.fixture
def store(settings: StoreSettings, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(settings, tmp_path, CITY)
    opened.prepare()
    yield opened
    opened.close()


def batch(sensors: list[int], seconds: list[int], values: list[float], quality: int = Quality.GOOD) -> ReadingBatch:
    times = [NOW_US + second * SECOND for second in seconds]
    return ReadingBatch.of(sensors, times, times, values, [quality] * len(times))


def test_a_new_store_is_empty_and_may_be_prepared_twice(store: Store) -> None:
    store.prepare()
    assert store.count() == 0
    assert len(store.series(0, 0, NOW_US).value) == 0
    store.write(ReadingBatch.empty())
    assert store.count() == 0


def test_readings_come_back_exactly_in_order_of_event_time(store: Store) -> None:
    values = [1.1, 2.5, -3.0, 1e-9, 123456789.123]
    store.write(batch([0] * 5, [3, 1, 2, 5, 4], values))
    kept = store.series(0, NOW_US, NOW_US + 10 * SECOND)
    assert kept.event_us.tolist() == [NOW_US + second * SECOND for second in (1, 2, 3, 4, 5)]
    assert kept.value.tolist() == [2.5, -3.0, 1.1, 123456789.123, 1e-9]
    assert kept.low.tolist() == kept.high.tolist() == kept.value.tolist()


def test_microseconds_are_kept(store: Store) -> None:
    store.write(ReadingBatch.of([1], [NOW_US + 123_456], [NOW_US], [20.5], [0]))
    assert store.series(1, NOW_US, NOW_US + SECOND).event_us.tolist() == [NOW_US + 123_456]


def test_sensors_are_kept_apart_whatever_their_ids_hold(store: Store) -> None:
    store.write(batch([0, 1, 2, 3], [1, 1, 1, 1], [10, 11, 12, 13]))
    assert [store.series(one, NOW_US, NOW_US + 2 * SECOND).value.tolist() for one in range(4)] == [
        [10],
        [11],
        [12],
        [13],
    ]


def test_the_end_of_a_range_is_not_in_it(store: Store) -> None:
    store.write(batch([0, 0, 0], [1, 2, 3], [1, 2, 3]))
    assert store.series(0, NOW_US + SECOND, NOW_US + 3 * SECOND).value.tolist() == [1, 2]


def test_the_same_reading_is_kept_once(store: Store) -> None:
    store.write(batch([0, 0, 2, 0], [1, 1, 1, 2], [5, 5, 6, 7]))
    store.write(batch([0, 0, 2], [1, 2, 1], [5, 7, 6]))
    store.write(batch([0, 0, 2], [0, 3, 1], [4, 8, 6]))
    assert store.series(0, 0, 2 * NOW_US).value.tolist() == [4, 5, 7, 8]
    assert store.count() == 5


def test_a_reading_of_any_quality_is_kept(store: Store) -> None:
    for quality in Quality:
        store.write(batch([0], [int(quality)], [1], quality))
    assert store.count() == len(Quality)


@pytest.mark.influx
def test_a_database_that_was_taken_away_is_made_again(influx: Server) -> None:
    address = f"http://127.0.0.1:{influx.port}"
    store = Influx1Store(Influx1StoreSettings(type="influx1", url=address, database="taken"), CITY)
    store.prepare()
    drop = urllib.request.Request(f"{address}/query?q=DROP+DATABASE+taken", method="POST")  # noqa: S310  # http on loopback
    with urllib.request.urlopen(drop, timeout=30):  # noqa: S310  # http on loopback
        pass
    with pytest.raises(RetryableError, match="database not found"):
        store.write(batch([0], [1], [10]))
    store.write(batch([0], [1], [10]))
    assert store.count() == 1
    store.close()


def test_what_a_store_refuses_is_named_and_the_rest_is_kept(store: Store) -> None:
    beyond = 2**62  # InfluxDB counts nanoseconds in 64 bits; DuckDB takes it
    times = [NOW_US, beyond, NOW_US + SECOND]
    given = ReadingBatch.of([0, 0, 0], times, times, [1, 2, 3], [0, 0, 0])
    if isinstance(store, Influx1Store):
        with pytest.raises(StoreRefusedError, match="time outside range") as refused:
            store.write(given)
        assert refused.value.rows.tolist() == [1]
    else:
        store.write(given)
    assert store.series(0, 0, 2 * NOW_US).value.tolist() == [1, 3]


def test_long_series_are_thinned_without_hiding_their_extremes(store: Store) -> None:
    number = 10_000
    values = np.sin(np.arange(number) / 500)
    values[4321], values[8765] = 50, -4
    store.write(batch([0] * number, list(range(number)), values.tolist()))
    thinned = store.series(0, 0, 2 * NOW_US, max_points=100)
    assert 50 <= len(thinned.value) <= 100
    assert (np.diff(thinned.event_us) > 0).all()
    assert thinned.event_us[0] >= NOW_US
    assert thinned.event_us[-1] < NOW_US + number * SECOND
    assert thinned.high.max() == 50
    assert thinned.low.min() == -4
    assert ((thinned.low <= thinned.value) & (thinned.value <= thinned.high)).all()
    assert thinned.value[np.argmax(thinned.high)] == pytest.approx(values[4300:4400].mean(), abs=0.3)


def test_readings_outlive_the_store_and_a_new_order_of_sensors(
    store: Store, settings: StoreSettings, tmp_path: Path
) -> None:
    store.write(batch([0, 2], [1, 1], [10, 12]))
    store.close()
    turned = city([sensor(0, "gas-2"), sensor(1, "gas-new"), sensor(2, "gas 1,a=b'c\"d")])
    again = open_store(settings, tmp_path, turned)
    again.prepare()
    again.write(batch([0, 1, 2], [1, 1, 2], [12, 99, 11]))
    found = [again.series(one, 0, 2 * NOW_US).value.tolist() for one in range(3)]
    count = again.count()
    again.close()
    assert found == [[12], [99], [10, 11]]
    assert count == 4
