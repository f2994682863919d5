"""A run as a file is the run, and the same file every time."""

import asyncio
import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from config.clock import SystemClock
from config.errors import ConfigurationError
from sensors_sim.file_out import read_run, span, write_run
from sensors_sim.publish import Broker, Pace, Written, play
from sensors_sim.wire import Message, Timed, timed_messages
from tests.sensors_sim.listener import listening
from tests.sensors_sim.moments import CITY, START_US, instants
from tests.support.servers import mosquitto


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.gz"])
@pytest.mark.parametrize("pack", [1, 4])
def test_what_is_written_is_read_back_message_by_message(tmp_path: Path, name: str, pack: int) -> None:
    messages = list(timed_messages(CITY, instants(), pack=pack))
    assert write_run(messages, tmp_path / name) == 45
    assert list(read_run(tmp_path / name)) == messages
    assert span(tmp_path / name) == (START_US + 1_000_000, START_US + 5_000_000, 1)


def test_every_line_is_an_object_that_a_person_can_read(tmp_path: Path) -> None:
    write_run(timed_messages(CITY, instants(1), pack=3), tmp_path / "run.jsonl")
    first, second, *_ = map(json.loads, (tmp_path / "run.jsonl").read_text().splitlines())
    assert first["t"] == START_US + 1_000_000
    assert first["topic"] == "gridwhistle/clock"
    assert set(second) == {"t", "topic", "payload", "qos", "retain"}
    assert set(second["payload"][0]) == {"id", "t", "v"}


def test_a_payload_that_is_no_object_travels_as_text(tmp_path: Path) -> None:
    messages = [
        Timed(1, Message("a/text", b"##0123", 0)),
        Timed(1, Message("a/half", b'{"id":', 0)),
        Timed(2, Message("a/lines", b'{"a":\n1}', 0)),
        Timed(2, Message("a/umlaut", "überflüssig".encode(), 0, retain=True, device="box 1")),
    ]
    write_run(messages, tmp_path / "run.jsonl")
    assert list(read_run(tmp_path / "run.jsonl")) == messages


def test_a_payload_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither JSON nor text"):
        write_run([Timed(1, Message("a", b"\xff\xfe", 0))], tmp_path / "run.jsonl")


PROGRAM = """
import sys
from pathlib import Path
from sensors_sim.city_maker.only import make_world_of
from sensors_sim.file_out import write_run
from sensors_sim.run import ScenarioRun
from sensors_sim.scenario import load_scenario
from sensors_sim.wire import timed_messages
scenario = load_scenario("calm-day")
world = make_world_of(300, 5, scenario.quantities)
run = ScenarioRun(world, scenario, 5, lasts_s=600)
print(write_run(timed_messages(world.city, run.instants(), pack=7), Path(sys.argv[1])))
"""


def test_two_processes_write_the_same_bytes_of_a_scenario_with_all_its_faults_and_manners(tmp_path: Path) -> None:
    paths = [tmp_path / "1.jsonl.gz", tmp_path / "2.jsonl.gz"]
    processes = [  # other names, another hash seed
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)], env={"PYTHONHASHSEED": path.name[0]}, stdout=subprocess.PIPE
        )
        for path in paths
    ]
    readings = {int(process.communicate()[0]) for process in processes}
    assert readings.pop() > 5000
    assert not readings
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"t":5,"topic":"a","payload":{}', "line 2: "),
        ('{"t":"x","topic":"a","payload":{}}', "line 2: Expected `int`"),
        ('{"t":5,"topic":"a"}', "missing required field `payload`"),
        ('{"t":5,"topic":"a","payload":{},"colour":1}', "unknown field `colour`"),
        ('{"t":3,"topic":"a","payload":{}}', "line 2: t is 3, earlier than the 4 before it"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(f'{{"t":4,"topic":"a","payload":{{}}}}\n{line}\n')
    with pytest.raises(ConfigurationError, match=says):
        list(read_run(path))


def test_a_compressed_file_that_was_cut_off_says_so_behind_what_could_be_read(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl.gz"
    write_run(timed_messages(CITY, instants(200)), path)
    path.write_bytes(path.read_bytes()[:-2000])
    read: list[Timed] = []
    with pytest.raises(ConfigurationError, match="compressed data is damaged"):
        read.extend(read_run(path))  # what came before the error stays
    assert len(read) > 1000
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(ConfigurationError, match="found nothing in it"):
        span(path)


@pytest.mark.broker
@pytest.mark.parametrize("clock_topic", [True, False])
async def test_a_file_is_published_like_the_run_itself(tmp_path: Path, *, clock_topic: bool) -> None:
    path = tmp_path / "run.jsonl.gz"
    write_run(timed_messages(CITY, instants(), pack=3), path)
    with mosquitto(tmp_path / "broker") as broker, listening(broker.port) as listener:
        pace = Pace(None, 1, clock_topic, SystemClock())
        sent = await play(Written.of(path), Broker(port=broker.port), pace, None)
        await asyncio.to_thread(listener.wait_for_readings, sent)
    expected = Counter(
        (CITY.columns.ids[row], time_us / 1e6, value)
        for one in instants()
        for row, time_us, value in zip(one.sensors.tolist(), one.times_us.tolist(), one.values.tolist(), strict=True)
    )
    assert Counter(listener.readings()) == expected
    assert sum(topic == "gridwhistle/clock" for topic, _ in listener.heard) == (5 if clock_topic else 0)
