"""What is sent to InfluxDB, and what its answers mean. The 2.x and 3.x server is a recorder: none can be installed."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.errors import ConfigurationError, RetryableError
from config.settings import Influx1StoreSettings, InfluxStoreSettings
from ingest.influx import Influx1Store, InfluxStore
from ingest.line_protocol import LINES_PER_REQUEST, LineFormatter, escape_tag
from ingest.model import Quality, ReadingBatch
from ingest.store import Store, StoreRefusedError
from tests.ingest.builders import NOW_US, city, sensor
from tests.support.servers import free_port

CITY = city([sensor(0, "gas 1,a=b"), sensor(1, "air-1", "temperature")])
BATCH = ReadingBatch.of([0, 1], [NOW_US, NOW_US + 1], [NOW_US, NOW_US], [1.5, -0.1], [0, 3])
SERIES = ["ch4,sensor=gas\\ 1\\,a\\=b", "temperature,sensor=air-1"]
LINES = (
    "ch4,sensor=gas\\ 1\\,a\\=b value=1.5 1700000000000000\n"
    "temperature,sensor=air-1 suspect=-0.1,quality=3i 1700000000000001"
)


@dataclass
class Request:
    method: str
    path: str
    fields: dict[str, list[str]]
    token: str | None
    body: bytes


@dataclass
class Recorder:
    """An HTTP server that notes every request and answers as told."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    status: int = 204
    answer: bytes = b""
    answers: list[object] = field(default_factory=list)  # given first, one by one, as JSON
    refuse: Callable[[bytes], bool] = lambda _: False  # bodies that are refused
    refusal: tuple[int, bytes] = (400, b"")

    def last(self) -> Request:
        return self.requests[-1]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    record = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = urlsplit(self.path)
            fields = parse_qs(url.query)
            if self.headers.get("Content-Type") == "application/x-www-form-urlencoded":
                fields |= parse_qs(body.decode())
            request = Request(self.command, url.path, fields, self.headers.get("Authorization"), body)
            if url.path == "/api/v1/status/buildinfo":  # InfluxDB knows no such path
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            record.requests.append(request)
            given = json.dumps(record.answers.pop(0)).encode() if record.answers else record.answer
            status = record.status
            if record.refuse(body):
                status, given = record.refusal
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(given)))
            self.end_headers()
            self.wfile.write(given)

        do_GET = do_POST = answer  # noqa: N815  # names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # name of http.server
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    record.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield record
    server.shutdown()
    thread.join()
    server.server_close()


def store2(port: int) -> InfluxStore:
    given = {"type": "influx", "url": f"http://127.0.0.1:{port}", "org": "sample", "token": "made-up"}
    return InfluxStore(InfluxStoreSettings.model_validate(given), CITY)


def store1(port: int) -> Influx1Store:
    given = {"type": "influx1", "url": f"http://127.0.0.1:{port}/", "username": "sample", "password": "made-up"}
    return Influx1Store(Influx1StoreSettings.model_validate(given), CITY)


@pytest.fixture(params=[store1, store2], ids=["1.x", "2.x"])
def store(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[Store]:
    opened: Store = request.param(recorder.port)
    yield opened
    opened.close()


def test_a_batch_for_2_is_ready_made_lines_in_microseconds(recorder: Recorder) -> None:
    store = store2(recorder.port)
    store.write(BATCH)
    store.close()
    sent = recorder.last()
    assert (sent.method, sent.path, sent.token) == ("POST", "/api/v2/write", "Token made-up")
    assert sent.fields == {"org": ["sample"], "bucket": ["gridwhistle"], "precision": ["us"]}
    assert sent.body.decode() == LINES


def test_a_batch_for_1_says_u_because_us_would_be_read_as_nanoseconds(recorder: Recorder) -> None:
    store = store1(recorder.port)
    store.write(BATCH)
    store.close()
    sent = recorder.last()
    assert (sent.method, sent.path) == ("POST", "/write")
    assert sent.fields == {"db": ["gridwhistle"], "precision": ["u"]}
    assert sent.token is not None
    assert sent.token.startswith("Basic ")
    assert sent.body.decode() == LINES


def test_a_long_batch_goes_in_several_requests(store: Store, recorder: Recorder) -> None:
    count = LINES_PER_REQUEST * 2 + 1
    times = np.arange(count, dtype=np.int64)
    zeros = np.zeros(count, np.int32)
    store.write(ReadingBatch(zeros, times, times, times.astype(np.float64), zeros.astype(np.uint8)))
    assert [request.body.count(b"\n") + 1 for request in recorder.requests] == [LINES_PER_REQUEST, LINES_PER_REQUEST, 1]
    assert b"".join(request.body for request in recorder.requests).count(b"sensor=") == count


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_for_its_data_stands_alone_and_the_rest_is_kept(
    store: Store, recorder: Recorder, status: int
) -> None:
    recorder.refuse, recorder.status = (lambda body: b"value=3." in body or b"value=97." in body), 204
    recorder.refusal = status, b'{"error":"partial write: points beyond retention policy dropped=1"}'
    times = list(range(100))
    batch = ReadingBatch.of([0] * 100, times, times, [time + 0.5 for time in times], [0] * 100)
    with pytest.raises(StoreRefusedError, match=rf"{status}.*points beyond retention policy dropped=1") as refused:
        store.write(batch)
    assert refused.value.rows.tolist() == [3, 97]
    taken = b"\n".join(request.body for request in recorder.requests if not recorder.refuse(request.body))
    assert sorted(float(line.split(b"value=")[1].split(b" ")[0]) for line in taken.splitlines()) == [
        time + 0.5 for time in times if time not in {3, 97}
    ]


def test_where_everything_is_refused_the_division_has_an_end(
    store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.influx._MOST_REQUESTS", 20)
    recorder.status, recorder.answer = 400, b'{"error":"field type conflict"}'
    times = list(range(500))
    with pytest.raises(StoreRefusedError) as refused:
        store.write(ReadingBatch.of([0] * 500, times, times, [1.0] * 500, [0] * 500))
    assert refused.value.rows.tolist() == times
    assert len(recorder.requests) < 40


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 407, 408, 429, 500, 502, 503, 504])
def test_what_may_be_mended_is_worth_another_try(store: Store, recorder: Recorder, status: int) -> None:
    recorder.status, recorder.answer = status, b'{"message":"engine: cache-max-memory-size exceeded"}'
    with pytest.raises(RetryableError, match=rf"{status}.*cache-max-memory-size"):
        store.write(BATCH)
    assert sum(request.path.endswith("/write") for request in recorder.requests) == 1


@pytest.mark.parametrize("status", [200, 400, 413])
def test_a_page_of_something_on_the_way_is_not_the_stores_answer(store: Store, recorder: Recorder, status: int) -> None:
    recorder.status, recorder.answer = status, b"<html>sign in</html>"
    with pytest.raises(RetryableError, match=str(status)):
        store.write(BATCH)
    with pytest.raises(RetryableError, match="sign in"):
        store.series(0, 0, 1)
    with pytest.raises(RetryableError):
        store.prepare()


@pytest.mark.parametrize("make", [store1, store2], ids=["1.x", "2.x"])
def test_a_server_that_is_not_there_is_worth_another_try(make: type[Store]) -> None:
    store = make(free_port())  # type: ignore[call-arg]  # a function like a class
    with pytest.raises(RetryableError, match="cannot be reached"):
        store.write(BATCH)
    with pytest.raises(RetryableError, match="cannot be reached"):
        store.prepare()
    store.close()


def test_missing_buckets_are_created_and_keep_everything_until_told_otherwise(recorder: Recorder) -> None:
    orgs = {"orgs": [{"id": "0123456789abcdef", "name": "sample"}]}
    made = {"id": "1", "name": "made", "retentionRules": []}
    recorder.status = 200
    recorder.answers = [{"buckets": []}] * 4 + [orgs, made] * 4 + [{"results": [{}]}]
    store = store2(recorder.port)
    store.prepare()
    store.close()
    bodies = [
        json.loads(one.body) for one in recorder.requests if (one.method, one.path) == ("POST", "/api/v2/buckets")
    ]
    assert {body["name"] for body in bodies} == {
        "gridwhistle",
        "gridwhistle_five_minutes",
        "gridwhistle_hours",
        "gridwhistle_state",
    }
    assert {body["orgID"] for body in bodies} == {"0123456789abcdef"}
    assert [body["retentionRules"] for body in bodies] == [[{"type": "expire", "everySeconds": 0}]] * 4


def test_a_server_without_buckets_makes_its_database_at_the_first_write(recorder: Recorder) -> None:
    recorder.status, recorder.answer = 404, b'{"error":"not found"}'
    store = store2(recorder.port)
    store.prepare()
    store.close()


def test_an_account_that_may_not_create_databases_can_use_one_that_is_there(recorder: Recorder) -> None:
    forbidden = {"results": [{"error": "sample not authorized to execute statement 'CREATE DATABASE'"}]}
    recorder.status, recorder.answers = 200, [forbidden, {"results": [{}]}]
    store = store1(recorder.port)
    store.prepare()
    recorder.answers = [forbidden, {"results": [{"error": "database not found: gridwhistle"}]}]
    with pytest.raises(RetryableError, match="CREATE DATABASE"):
        store.prepare()
    store.close()


def test_a_wrong_token_is_named_at_the_start(recorder: Recorder) -> None:
    recorder.status, recorder.answer = 401, b'{"message":"unauthorized access"}'
    store = store2(recorder.port)
    with pytest.raises(RetryableError, match=r"401.*unauthorized access"):
        store.prepare()
    store.close()


def test_2_is_read_by_influxql_from_the_database_of_its_bucket(recorder: Recorder) -> None:
    one = {"series": [{"columns": ["time", "count"], "values": [[7, 2]]}]}
    thinned = {"series": [{"columns": ["time", "mean", "min", "max", "count"], "values": [[7, 2.0, 1.0, 3.0, 2]]}]}
    recorder.status, recorder.answers = 200, [{"results": [one, one, one]}, {"results": [thinned]}]
    store = store2(recorder.port)
    assert store.series(0, 5, 2**62, 1).high.tolist() == [3.0]
    store.close()
    first, then = recorder.requests
    assert (first.path, first.token) == ("/query", "Token made-up")
    assert first.fields["db"] == ["gridwhistle"]
    assert first.fields["epoch"] == ["u"]
    assert "\"sensor\" = 'gas 1,a=b' AND time >= 5u AND time < 9223372036854775u" in first.fields["q"][0]
    assert "fill(none)" in then.fields["q"][0]


def test_an_error_inside_an_answer_is_not_passed_over(recorder: Recorder) -> None:
    recorder.status, recorder.answer = 200, b'{"results":[{"error":"database not found: gridwhistle"}]}'
    store = store1(recorder.port)
    with pytest.raises(RetryableError, match="database not found"):
        store.count()
    store.close()


@pytest.mark.parametrize("value", ["", "a\\b", "a\nb", "tail\\"])
def test_an_id_that_line_protocol_cannot_carry_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot carry"):
        escape_tag(value)


QUALITIES = {
    Quality.GOOD: "value={}",
    Quality.LATE: "value={},quality=1i",
    Quality.RETAINED: "value={},quality=2i",
    Quality.SIMULATED: "suspect={},quality=3i",
    Quality.DOUBTFUL: "suspect={},quality=4i",
}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.sampled_from(Quality),
            st.integers(-(2**63), 2**63 - 1),
        ),
        min_size=1,
    )
)
@example([(0, value, Quality.GOOD, 0) for value in (0.1, 1e-300, 1.7976931348623157e308, -0.0, 5e-324, 1e15, 1e22)])
def test_lines_say_what_a_plain_formatter_says_and_numbers_come_back_exactly(
    rows: list[tuple[int, float, Quality, int]],
) -> None:
    sensors, values, qualities, times = zip(*rows, strict=True)
    lines = LineFormatter(CITY).lines(ReadingBatch.of(sensors, times, times, values, qualities))
    assert len(lines) == len(rows)
    text = lines.part(0, len(rows)).decode()
    for number, (line, (one, value, quality, time)) in enumerate(zip(text.split("\n"), rows, strict=True)):
        assert line == lines.part(number, number + 1).decode()
        found = re.search(r"(?:value|suspect)=([^ ,]+)", line)
        assert found is not None
        assert repr(float(found[1])) == repr(value)
        assert line == f"{SERIES[one]} {QUALITIES[quality].format(found[1])} {time}"
