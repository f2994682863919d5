"""kill -9 at random moments of a stream: nothing lost, nothing twice, the same alarms and events."""

import asyncio
from pathlib import Path

from tests.support.kills import difference, kill_times, run, stream
from tests.support.servers import influxdb1, mosquitto

RUNS = 10
READINGS = 50_000
SEED = 20260131


async def test_a_killed_daemon_loses_nothing_stores_nothing_twice_and_says_the_same(tmp_path: Path) -> None:
    def runs() -> list[str]:
        sent = stream(READINGS)
        with mosquitto(tmp_path / "broker") as broker, influxdb1(tmp_path / "influxdb") as database:
            undisturbed = run(tmp_path / "undisturbed", broker, database, sent, None)
            assert undisturbed.alarms, "the stream has something to tell"
            assert not difference(sent, undisturbed, undisturbed)
            return [
                difference(sent, undisturbed, run(tmp_path / f"run{number}", broker, database, sent, kill_after_s))
                for number, kill_after_s in enumerate(kill_times(SEED, RUNS, sent.longest_s))
            ]

    assert await asyncio.to_thread(runs) == [""] * RUNS
