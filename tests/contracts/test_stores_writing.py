"""The write path of the store for InfluxDB 2.x and 3.x against a server that really parses line protocol.

VictoriaMetrics takes ``/api/v2/write`` as 2.x does (and has no InfluxQL, so it is read by its own export).
"""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import RetryableError
from config.settings import Influx1StoreSettings, InfluxStoreSettings
from ingest.influx import Influx1Store, InfluxStore
from ingest.model import ReadingBatch
from tests.ingest.builders import NOW_US, city, sensor
from tests.support.servers import PATIENCE_S, Server, free_port, influxdb1

PROGRAM = shutil.which("victoria-metrics", path="/usr/bin:/usr/local/bin")
pytestmark = [
    pytest.mark.influx,
    pytest.mark.skipif(PROGRAM is None, reason="victoria-metrics is not installed"),
]
MILLISECOND, SECOND = 1000, 1_000_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    assert PROGRAM is not None
    port = free_port()
    options = [f"-storageDataPath={tmp_path}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"]
    started = Server([PROGRAM, *options], port, tmp_path)
    started.start()
    yield started
    started.stop(kill=True)


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310  # http on loopback
        body: bytes = answer.read()
        return body


def test_what_is_written_is_what_a_server_reads(server: Server) -> None:
    address = f"http://127.0.0.1:{server.port}"
    given = {"type": "influx", "url": address, "org": "sample", "token": "made-up"}
    one = city([sensor(0, "gas 1,a=b'c\"d"), sensor(1, "气体-1", "pm25")])
    store = InfluxStore(InfluxStoreSettings.model_validate(given), one)
    times = [NOW_US, NOW_US + 2 * MILLISECOND, NOW_US + SECOND]
    store.write(ReadingBatch.of([0, 0, 1], times, times, [1.5, -0.25, 1e-9], [0, 1, 4]))
    store.close()
    get(f"{address}/internal/force_flush")
    exported = get(f"{address}/api/v1/export?match[]=%7B__name__!=%22%22%7D").decode().splitlines()
    found = {
        (series["metric"]["__name__"], series["metric"]["sensor"]): (series["values"], series["timestamps"])
        for series in map(json.loads, exported)
    }
    milliseconds = [time // MILLISECOND for time in times]
    gas = "gas 1,a=b'c\"d"
    assert found == {
        ("ch4_value", gas): ([1.5, -0.25], milliseconds[:2]),
        ("ch4_quality", gas): ([1], milliseconds[1:2]),
        ("pm25_suspect", "气体-1"): ([1e-9], milliseconds[2:]),
        ("pm25_quality", "气体-1"): ([4], milliseconds[2:]),
    }


def test_a_server_that_only_takes_readings_is_prepared_and_maintained_without_complaint(server: Server) -> None:
    given = {"type": "influx1", "url": f"http://127.0.0.1:{server.port}"}
    store = Influx1Store(Influx1StoreSettings.model_validate(given), city([sensor(0, "gas-1")]))
    store.prepare()
    store.write(ReadingBatch.of([0], [NOW_US], [NOW_US], [1.5], [0]))
    store.maintain(NOW_US)
    store.close()
    get(f"http://127.0.0.1:{server.port}/internal/force_flush")
    exported = get(f"http://127.0.0.1:{server.port}/api/v1/export?match[]=%7B__name__!=%22%22%7D").decode()
    assert [json.loads(line)["metric"]["__name__"] for line in exported.splitlines()] == ["ch4_value"]


def test_a_limit_of_the_server_that_a_person_can_lift_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFLUXDB_DATA_MAX_VALUES_PER_TAG", "2")  # as max-values-per-tag = 2 in its settings
    with influxdb1(tmp_path) as influx:
        given = {"type": "influx1", "url": f"http://127.0.0.1:{influx.port}"}
        many = city([sensor(number, f"gas-{number}") for number in range(3)])
        store = Influx1Store(Influx1StoreSettings.model_validate(given), many)
        store.prepare()
        store.write(ReadingBatch.of([0, 1], [NOW_US] * 2, [NOW_US] * 2, [1.0, 2.0], [0] * 2))
        with pytest.raises(RetryableError, match=r"set max-values-per-tag = 0 .* and restart it, readings wait"):
            store.write(ReadingBatch.of([1, 2], [NOW_US] * 2, [NOW_US] * 2, [2.0, 3.0], [0] * 2))
        warned = {note.key: note.params for note in store.info().notes}
        assert warned["max_values"] == {"quantity": "ch4", "sensors": 3, "limit": 2}
        store.close()
