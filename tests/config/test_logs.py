import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from config import logs
from config.city_files import EXAMPLE, load_city
from config.clock import FollowingClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, configuration = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)
    logs.mask_people(())


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_entry_is_one_line_of_json_with_time_level_and_logger() -> None:
    stream = io.StringIO()
    logs.configure_logs(stream=stream, clock=FollowingClock(1_700_000_000_123_456))
    structlog.get_logger("ingest.mqtt").info("connected", host="127.0.0.1", port=1883, session=True)
    assert entries(stream) == [
        {
            "event": "connected",
            "host": "127.0.0.1",
            "port": 1883,
            "session": True,
            "level": "info",
            "logger": "ingest.mqtt",
            "at": "2023-11-14T22:13:20.123Z",
        }
    ]


def test_the_standard_librarys_logs_take_the_same_way() -> None:
    stream = io.StringIO()
    logs.configure_logs(stream=stream)
    logging.getLogger("uvicorn.error").warning("port %s is taken, password=%s", 8080, "k7Rw")
    (entry,) = entries(stream)
    assert (entry["event"], entry["level"]) == ("port 8080 is taken, password=***", "warning")


def test_below_the_level_nothing_is_written_and_setting_up_twice_writes_once() -> None:
    stream = io.StringIO()
    logs.configure_logs(stream=io.StringIO())
    logs.configure_logs(stream=stream, level=logging.WARNING)
    structlog.get_logger("a").info("small")
    structlog.get_logger("a").warning("large")
    assert [entry["event"] for entry in entries(stream)] == ["large"]


def test_a_terminal_gets_lines_for_people() -> None:
    stream = Terminal()
    logs.configure_logs(stream=stream)
    structlog.get_logger("a").info("started", password="k7Rw")
    assert "started" in stream.getvalue()
    assert "k7Rw" not in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        ({"password": "k7Rw"}, "k7Rw"),
        ({"api_key": "k7Rw"}, "k7Rw"),
        ({"settings": {"store": {"token": "k7Rw"}}}, "k7Rw"),
        ({"headers": [{"Authorization": "Bearer k7Rw22pq"}]}, "k7Rw22pq"),
        ({"line": "Authorization: Bearer k7Rw22pq"}, "k7Rw22pq"),
        ({"url": "postgresql://grid:k7Rw@db/grid"}, "k7Rw"),
        ({"query": "?user=a&token=k7Rw&x=1"}, "k7Rw"),
        ({"error": ValueError("password: k7Rw")}, "k7Rw"),
        ({"phone": "5550100"}, "5550100"),
        ({"text": "call 138 0000 0000 now"}, "138 0000 0000"),
        ({"text": "call +8613800000000"}, "13800000000"),
        ({"text": "id 11010119000101001X"}, "11010119000101001X"),
        ({"name_zh": "样例甲"}, "样例甲"),
    ],
)
def test_secrets_and_personal_data_are_masked(fields: dict[str, object], hidden: str) -> None:
    stream = io.StringIO()
    logs.configure_logs(stream=stream)
    structlog.get_logger("a").info("entry", **fields)
    assert hidden not in stream.getvalue()
    assert logs.MASK in stream.getvalue()


def test_the_people_of_the_city_are_masked_everywhere_also_in_a_traceback() -> None:
    stream = io.StringIO()
    logs.configure_logs(stream=stream)
    city = load_city(EXAMPLE)
    logs.mask_people(city.workers.values())
    worker = city.workers["w01"]
    try:
        int(f"{worker.name.zh} cannot be reached")
    except ValueError:
        structlog.get_logger("a").exception("push failed", to=worker.name.en, worker="w01", line=[worker.phone])
    written = stream.getvalue()
    assert not any(text in written for text in (worker.name.zh, worker.name.en, worker.phone))
    (entry,) = entries(stream)
    assert entry["worker"] == "w01"
    assert "'*** cannot be reached'" in str(entry["exception"])


def test_numbers_that_are_no_phone_numbers_stay() -> None:
    stream = io.StringIO()
    logs.configure_logs(stream=stream)
    fields = {
        "t": 13_800_000_000,
        "text": "at 1700000000123456 of gas-001-ch4, 13800000000.5 rows, 20260131",
        "n": None,
    }
    structlog.get_logger("a").info("counted", **fields)
    (entry,) = entries(stream)
    assert {key: entry[key] for key in fields} == fields
