"""A recording is played back over a real broker, whole, in order and with its own times."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.city_files import load_city
from config.clock import SystemClock, from_datetime
from sensors_sim.publish import Progress
from sensors_sim.recordings import ADAPTERS, read_recording
from sensors_sim.replay import make_city, replay
from tests.sensors_sim import samples
from tests.sensors_sim.listener import listening
from tests.support.servers import mosquitto


@pytest.mark.broker
@pytest.mark.parametrize("name", list(ADAPTERS))
@pytest.mark.parametrize("pack", [1, 100])
async def test_every_reading_of_a_recording_arrives_with_its_own_time(tmp_path: Path, name: str, pack: int) -> None:
    files = samples.families(tmp_path)[name]
    city = load_city(make_city(files, tmp_path / "city"))
    recording = read_recording(files)
    with mosquitto(tmp_path / "broker") as broker, listening(broker.port) as listener:
        result = await replay(files, city, port=broker.port, pack=pack)
        await asyncio.to_thread(listener.wait_for_readings, len(recording))
    expected = [
        (recording.series[row], time_us / 1e6, value)
        for row, time_us, value in zip(
            recording.rows.tolist(), recording.times_us.tolist(), recording.values.tolist(), strict=True
        )
    ]
    assert result.sent == len(expected)
    assert result.skipped == recording.skipped
    assert sorted(listener.readings()) == sorted(expected)
    times = [time for _, time, _ in listener.readings()]
    assert times == sorted(times)


@pytest.mark.broker
async def test_the_clock_stands_at_the_readings_time_before_they_come(tmp_path: Path) -> None:
    files = samples.families(tmp_path)["air_beijing"]
    city = load_city(make_city(files, tmp_path / "city"))
    with mosquitto(tmp_path / "broker") as broker, listening(broker.port) as listener:
        result = await replay(files, city, port=broker.port)
        await asyncio.to_thread(listener.wait_for_readings, result.sent)
    now = 0.0
    for topic, content in listener.heard:
        if topic == "gridwhistle/clock":
            now = datetime.fromisoformat(content["time"]).timestamp()
        else:
            assert content["t"] == now


@pytest.mark.broker
async def test_a_stretch_of_time_can_be_chosen_and_the_rest_is_counted(tmp_path: Path) -> None:
    files = samples.families(tmp_path)["air_beijing"]
    city = load_city(make_city(files[:1], tmp_path / "city"))
    steps: list[Progress] = []
    with mosquitto(tmp_path / "broker") as broker:
        result = await replay(
            files,
            city,
            port=broker.port,
            from_us=from_datetime(datetime(2013, 2, 28, 17, tzinfo=UTC)),
            to_us=from_datetime(datetime(2013, 2, 28, 18, tzinfo=UTC)),
            progress=steps.append,
        )
        await asyncio.sleep(0)
    assert result.sent == 9
    assert result.skipped == {"missing": 1, "not_in_city": 20, "outside_span": 10}
    assert steps[-1].share == 1


@pytest.mark.broker
async def test_the_pace_follows_the_recorded_time(tmp_path: Path) -> None:
    files = samples.families(tmp_path)["faults_intel"]
    city = load_city(make_city(files, tmp_path / "city"))
    clock = SystemClock()
    with mosquitto(tmp_path / "broker") as broker:
        before = clock.monotonic()
        await replay(files, city, port=broker.port, speed=33)
        took = clock.monotonic() - before
    assert took >= 1


@pytest.mark.broker
async def test_a_stretch_without_readings_sends_nothing(tmp_path: Path) -> None:
    files = samples.families(tmp_path)["people_melbourne"]
    city = load_city(make_city(files, tmp_path / "city"))
    with mosquitto(tmp_path / "broker") as broker:
        result = await replay(files, city, port=broker.port, to_us=0)
    assert result.sent == 0
    assert result.skipped["outside_span"] == 5
