"""What an alarm and its pushes cost: CPU of the alert path and of the outbox, by how many grid events are open.

    .venv/bin/python -m benchmarks.alarms [--sensors 100000] [--open 10 100 1000 3000] [--profile]

A city of a hundred grids; a ledger on SQLite with full synchronisation in which so many events stand open, each begun
by a methane sensor of its own; then calls of ``Pipeline.handle`` that raise 1, 5 or 10 alarms anywhere in the city, and
calls that clear them. CPU for one alarm, raised and cleared, the least of some repeats. Then what the outbox costs for
one push through a channel that takes it at once, handed over one by one and ten at a time.
"""

import argparse
import asyncio
import cProfile
import pstats
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import func, select

from alerting import tables
from alerting.channels.base import Notification
from alerting.ledger import Ledger
from alerting.outbox import NotificationState, Outbox
from alerting.pipeline import Pipeline
from benchmarks.support_city import write_city
from benchmarks.support_table import machine, markdown
from config.city import City
from config.city_files import load_city
from config.clock import SystemClock
from config.vocabulary import Severity
from detectors.model import Condition, Nature, Phase, Reason, Verdict

BATCHES = (1, 5, 10)
REPEATS, CALLS = 5, 10
PUSHES = 100
SECOND_US = 1_000_000
BEGIN_US = 1_769_832_000 * SECOND_US
AT_ONCE = 500  # events made in one call when the ledger is filled


def verdict(sensor: int, phase: Phase, at_us: int) -> Verdict:
    """A methane sensor over its second limit, or well again."""
    value = 60.0 if phase is Phase.RAISED else 2.0
    params: dict[str, str | float | int] = {
        "value": value,
        "unit": "%LEL",
        "threshold": 50.0,
        "source": "GB/T 50493-2019",
    }
    return Verdict(
        sensor=sensor,
        condition=Condition.HIGH,
        phase=phase,
        nature=Nature.EVENT,
        severity=Severity.MAJOR,
        score=35.0,
        value=value,
        expected_low=-5.0,
        expected_high=50.0,
        since_us=at_us,
        at_us=at_us,
        detector="limits",
        reason=Reason(f"reason.high.{phase.value}", params),
    )


class Filled:
    """A ledger with so many open events, copied for every repeat, and the sensors that have not spoken yet."""

    def __init__(self, folder: Path, city: City, events: int) -> None:
        self._path = folder / f"filled-{events}.sqlite"
        self._city = city
        self.events = events
        ledger = Ledger.open(f"sqlite:///{self._path}")
        pipeline, count, begun = Pipeline(ledger, city), 0, iter(_methane(city, 1))
        while count < events:
            some = [next(begun) for _ in range(min(AT_ONCE, events - count))]
            pipeline.handle([verdict(one, Phase.RAISED, BEGIN_US) for one in some], BEGIN_US)
            count = _open_events(ledger)
        ledger.close()
        self._rest = list(begun)

    def cost(self, batch: int, watch: cProfile.Profile | None = None) -> tuple[float, float]:
        """Seconds of CPU for one alarm: (raised, cleared), over some calls."""
        copy = self._path.with_suffix(".copy")
        shutil.copyfile(self._path, copy)
        ledger = Ledger.open(f"sqlite:///{copy}")
        pipeline, now_us, spent = Pipeline(ledger, self._city), BEGIN_US, [0.0, 0.0]
        for call in range(CALLS + 2):
            sensors = self._rest[call * batch : (call + 1) * batch]
            for place, phase in enumerate((Phase.RAISED, Phase.CLEARED)):
                now_us += SECOND_US
                verdicts = [verdict(one, phase, now_us) for one in sensors]
                if watch is not None:
                    watch.enable()
                begun = time.process_time()
                outcome = pipeline.handle(verdicts, now_us)
                taken = time.process_time() - begun
                if watch is not None:
                    watch.disable()
                if outcome.raised + outcome.cleared != batch:
                    raise RuntimeError(f"{outcome} of {batch} alarms")
                if call >= 2:  # the first calls prepare the statements
                    spent[place] += taken
        ledger.close()
        return spent[0] / CALLS / batch, spent[1] / CALLS / batch


def _methane(city: City, seed: int) -> list[int]:
    sensors = np.flatnonzero(city.columns.quantity.each(lambda name: name == "ch4", np.bool_))
    np.random.default_rng(seed).shuffle(sensors)
    found: list[int] = sensors.tolist()
    return found


def _open_events(ledger: Ledger) -> int:
    with ledger.read() as connection:
        return connection.execute(select(func.count()).select_from(tables.grid_events)).scalar_one()


class Taker:
    """A channel that takes every push at once."""

    name = "mqtt"
    trouble = None

    async def send(self, notification: Notification) -> None:
        """Take it."""


async def _pushed(ledger: Ledger, pipeline: Pipeline, sensors: Sequence[int], batch: int) -> float:
    outbox, loop, written = (
        Outbox(ledger, {"mqtt": Taker()}, SystemClock()),
        asyncio.get_running_loop(),
        asyncio.Event(),
    )

    def told_of(_trail_id: int) -> None:
        loop.call_soon_threadsafe(written.set)

    ledger.subscribe(told_of)
    runs = asyncio.create_task(outbox.run())
    await asyncio.sleep(0.3)  # it has looked at the empty ledger and waits to be woken
    spent, told, now_us = 0.0, 0, BEGIN_US
    for start in range(0, PUSHES, batch):
        now_us += SECOND_US
        some = sensors[start : start + batch]
        told += pipeline.handle([verdict(one, Phase.RAISED, now_us) for one in some], now_us).told
        await asyncio.sleep(0.01)  # the event of this write is over
        written.clear()
        begun = time.process_time()
        outbox.wake()
        async with asyncio.timeout(20):
            await written.wait()
        await asyncio.sleep(0.03)
        spent += time.process_time() - begun
    with ledger.read() as connection:
        states = connection.execute(select(tables.notifications.c.state)).scalars().all()
    if told != len(states) or any(state != NotificationState.SENT.value for state in states):
        raise RuntimeError(f"{states.count(NotificationState.SENT.value)} of {told} pushes were recorded as sent")
    runs.cancel()
    await asyncio.gather(runs, return_exceptions=True)
    return spent / told


def push_cost(folder: Path, city: City, batch: int) -> float:
    """Seconds of CPU that the outbox takes for one push, ``batch`` handed over at a time."""
    path = folder / "pushes.sqlite"
    for old in folder.glob("pushes.sqlite*"):
        old.unlink()
    ledger = Ledger.open(f"sqlite:///{path}")
    spent = asyncio.run(_pushed(ledger, Pipeline(ledger, city), _methane(city, 2), batch))
    ledger.close()
    return spent


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=100_000)
    parser.add_argument("--open", type=int, nargs="+", default=[10, 100, 1000, 3000])
    parser.add_argument("--profile", action="store_true", help="where the time of calls with one alarm goes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridwhistle-alarms-") as scratch:
        folder = Path(scratch)
        write_city(folder / "city", arguments.sensors)
        city = load_city(folder / "city")
        print(machine(), flush=True)
        lines = []
        for events in arguments.open:
            filled = Filled(folder, city, events)
            for batch in BATCHES:
                costs = [filled.cost(batch) for _ in range(REPEATS)]
                raised, cleared = (min(cost[place] for cost in costs) * 1e3 for place in (0, 1))
                cells = f"{raised:.2f}", f"{cleared:.2f}", f"{raised + cleared:.2f}"
                lines.append([str(events), str(batch), *cells])
            if arguments.profile:
                watch = cProfile.Profile()
                filled.cost(1, watch)
                pstats.Stats(watch).sort_stats("tottime").print_stats(25)
                pstats.Stats(watch).sort_stats("cumtime").print_stats(45)
        print(markdown(("open events", "a call", "ms raised", "ms cleared", "ms both"), lines), flush=True)
        pushes = [
            [str(batch), f"{min(push_cost(folder, city, batch) for _ in range(3)) * 1e3:.2f}"] for batch in BATCHES
        ]
        print(markdown(("pushes at a time", "ms a push"), pushes))


if __name__ == "__main__":
    main()
