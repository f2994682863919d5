"""What a simulated reading costs, stage by stage, from the quiet day to the broker's acknowledgement.

    .venv/bin/python -m benchmarks.simulator --sensors 500000 --seconds 60 [--pack 100] [--scenario calm-day] [--port N]

Starts a Mosquitto of its own on a free port unless --port names one. CPU of this process by stage; the broker's and the
kernel's shares are not in it.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sensors_sim.city_maker.only import make_world_of
from sensors_sim.publish import Broker, Publisher
from sensors_sim.run import ScenarioRun
from sensors_sim.scenario import load_scenario
from sensors_sim.wire import Message, Payloads
from tests.support.servers import mosquitto

STAGES = (
    ("_district", "take_due"),
    ("_district", "sample"),
    ("_changes", "apply"),
    ("_district", "shown"),
    ("_faults", "apply"),
    ("_delivery", "deliver"),
)


def watch(run: ScenarioRun, spent: Counter[str]) -> None:
    """Measure every stage of a run."""
    for part, method in STAGES:
        owner = getattr(run, part)
        setattr(owner, method, _timed(getattr(owner, method), f"{type(owner).__name__}.{method}", spent))


def _timed(work: Callable[..., Any], name: str, spent: Counter[str]) -> Callable[..., Any]:
    def measured(*args: Any, **options: Any) -> Any:
        begun = time.process_time_ns()
        try:
            return work(*args, **options)
        finally:
            spent[name] += time.process_time_ns() - begun

    return measured


def messages(run: ScenarioRun, payloads: Payloads, spent: Counter[str]) -> Iterator[Message]:
    """Everything a run sends, the making of the texts measured instant by instant."""
    for instant in run.instants():
        begun = time.process_time_ns()
        made = list(payloads.messages(instant))
        spent["Payloads.messages"] += time.process_time_ns() - begun
        yield from made


def main() -> None:
    """Simulate, publish, and print what a reading cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60, help="of simulated time")
    parser.add_argument("--pack", type=int, default=100)
    parser.add_argument("--qos", type=int, choices=(0, 1), default=1)
    parser.add_argument("--scenario", default="calm-day")
    parser.add_argument("--port", type=int, help="of a broker on this machine")
    asked = parser.parse_args()
    scenario, spent = load_scenario(asked.scenario), Counter[str]()
    world = make_world_of(asked.sensors, 7, scenario.quantities)
    run = ScenarioRun(world, scenario, 7, lasts_s=asked.seconds)
    watch(run, spent)
    payloads = Payloads(world.city, asked.pack)
    with tempfile.TemporaryDirectory() as folder:
        server = nullcontext(asked) if asked.port else mosquitto(Path(folder) / "broker")
        with server as broker, Publisher(Broker(port=broker.port), qos=asked.qos) as publisher:
            cpu, begun, readings, sent = time.process_time(), time.perf_counter(), 0, 0
            for message in messages(run, payloads, spent):
                publisher.publish(message)
                readings, sent = readings + message.readings, sent + 1
            publisher.drain()
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    print(f"{len(world.city.columns):,} sensors, {len(run.truth.faults):,} faults, load {os.getloadavg()[0]:.1f}")
    print(f"{readings:,} readings in {sent:,} messages, acknowledged in {seconds:.1f} s")
    print(f"{readings / seconds:,.0f} readings/s by the clock, {readings / cpu:,.0f} per CPU second")
    spent["publishing and the rest"] = round(cpu * 1e9) - sum(spent.values())
    for stage, used in spent.items():
        print(f"{used / 1000 / readings:8.3f} us a reading  {stage}")


if __name__ == "__main__":
    main()
