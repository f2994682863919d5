"""The queries of docs/data-model.md are answered by a real InfluxDB with what the document promises."""

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import Influx1StoreSettings
from ingest.influx import Influx1Store
from ingest.model import Quality, ReadingBatch
from ingest.rollups import HOURS
from tests.ingest.builders import city, sensor
from tests.support.servers import Server, influxdb1

DOCUMENT = Path(__file__).parents[2] / "docs" / "data-model.md"
QUERIES = re.findall(r"```sql\n(.*?)\n```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
HOUR = HOURS.width_us
pytestmark = pytest.mark.influx


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An InfluxDB with three readings a minute ago and some of two hours ago, the latter aggregated."""
    with influxdb1(tmp_path_factory.mktemp("influx")) as influx:
        given = {"type": "influx1", "url": f"http://127.0.0.1:{influx.port}"}
        store = Influx1Store(
            Influx1StoreSettings.model_validate(given), city([sensor(0, "gas-17"), sensor(1, "gas-18")])
        )
        store.prepare()
        now_us = time.time_ns() // 1000
        old_us = HOURS.floor(now_us) - 2 * HOUR
        times = [old_us, old_us + 1000, now_us - 3_000_000, now_us - 2_000_000, now_us - 1_000_000, now_us - 1_000_000]
        qualities = [Quality.GOOD, Quality.SIMULATED, Quality.GOOD, Quality.LATE, Quality.SIMULATED, Quality.GOOD]
        sensors, values = [0, 0, 0, 0, 0, 1], [3.0, 99.0, 4.25, 4.5, 60.0, 1.0]
        store.write(ReadingBatch.of(sensors, times, [now_us] * 6, values, qualities))
        for _ in range(2):
            store.maintain(now_us)
        store.close()
        yield influx


def answer(server: Server, query: str) -> list[dict[str, Any]]:
    fields = urllib.parse.urlencode({"db": "gridwhistle", "epoch": "u", "q": query})
    url = f"http://127.0.0.1:{server.port}/query?{fields}"
    with urllib.request.urlopen(url, timeout=30) as given:  # http on loopback
        results: list[dict[str, Any]] = json.load(given)["results"]
    assert "error" not in results[0], results[0]
    found: list[dict[str, Any]] = results[0].get("series", [])
    return found


def test_every_query_of_the_document_finds_something(server: Server) -> None:
    assert len(QUERIES) == 5
    for query in QUERIES:
        assert answer(server, query), query


def test_a_reading_is_a_value_or_suspect_and_quality_stands_only_where_it_is_not_good(server: Server) -> None:
    (one,) = answer(server, QUERIES[0])
    assert [row[1:] for row in one["values"]] == [[4.25, None, None], [4.5, None, 1], [None, 60.0, 3]]


def test_the_highest_value_of_a_day_counts_no_drill(server: Server) -> None:
    found = {one["tags"]["sensor"]: one["values"][0][1] for one in answer(server, QUERIES[2])}
    assert found == {"gas-17": 4.5, "gas-18": 1.0}


def test_an_hour_names_its_worst_quality_but_counts_no_drill(server: Server) -> None:
    (one,) = answer(server, 'SELECT "mean", "min", "max", "count", "quality" FROM "hours"."ch4"')
    assert [row[1:] for row in one["values"]] == [[3.0, 3.0, 3.0, 1, 3]]


def test_what_is_not_to_be_trusted_can_be_counted(server: Server) -> None:
    (one,) = answer(server, QUERIES[4])
    assert one["values"][0][1] == 2
