"""One run: a load on something that listens, and what became of it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.support import (
    Daemon,
    Store,
    broker,
    broker_dropped,
    cpu_s,
    gridwhistle,
    load,
    memory_mb,
    open_store,
    pid_of,
    report_of,
    scratch,
    threads_cpu_s,
)
from benchmarks.support_city import write_city
from benchmarks.support_table import Row
from tests.support.servers import Server

NOTHING_COMES_S = 20.0
"""Where for so long nothing more arrives in the store, the rest is lost."""
_LOOK_S = 0.2


@dataclass
class Subject:
    """What is measured: anything that listens to the broker and writes to the store.

    pids: by part, as in the table. arrived: readings in the store so far, a cheap look. count: the same, counted
    out at the end; None where the first is all there is. alarms: sensor id > when its alarm came out.
    """

    name: str
    port: int
    pids: Mapping[str, int]
    arrived: Callable[[], int]
    count: Callable[[], int | None]
    alarms: dict[str, float] = field(default_factory=dict)


def measure(subject: Subject, arguments: Sequence[str], offered: float) -> Row:
    """Put a load on it, wait until all has arrived, and account for it."""
    before, cpu_before = subject.arrived(), {part: cpu_s(pid) for part, pid in subject.pids.items()}
    dropped, threads = broker_dropped(subject.port), threads_cpu_s(subject.pids["subject"])
    with load(subject.port, arguments) as generator:
        report = report_of(generator)
    behind_s = settle(subject.arrived, before + report["readings"])
    cpu = {part: cpu_s(pid) - cpu_before[part] for part, pid in subject.pids.items()}
    cpu["generator"] = report["cpu_s"]
    memory = {part: memory_mb(pid) for part, pid in subject.pids.items()}
    alarms = {**report["alarms"], **report["urgent_alarms"]}
    busiest = busy(threads, threads_cpu_s(subject.pids["subject"]), report["readings"])
    print(f"  threads, µs for each reading: {busiest}", flush=True)
    return Row(
        name=subject.name,
        offered=offered,
        sent=report["readings"],
        seconds=report["seconds"],
        stored=counted(subject, before, report["readings"]),
        behind_s=behind_s,
        dropped=broker_dropped(subject.port) - dropped,
        cpu_us={part: seconds / report["readings"] * 1e6 for part, seconds in cpu.items()},
        memory_mb=memory,
        latencies_ms=delays(alarms, subject.alarms),
        alarms=len(alarms),
        late=report["late_ticks"] / max(1, report["ticks"]),
    )


def busy(before: Mapping[str, float], after: Mapping[str, float], readings: int) -> str:
    """The threads that did most, with their microseconds for each reading; a process's first thread is its main one."""
    spent = {name: (seconds - before.get(name, 0.0)) / readings * 1e6 for name, seconds in after.items()}
    most = sorted(spent, key=lambda name: -spent[name])[:8]
    return ", ".join(f"{name} {spent[name]:.1f}" for name in most)


def settle(
    arrived: Callable[[], int],
    wanted: int,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Wait until so many have arrived, or nothing comes any more; seconds until the last that came."""
    begun = last_s = now()
    have = -1
    while now() - last_s < NOTHING_COMES_S:
        found = arrived()
        if found != have:
            have, last_s = found, now()
        if have >= wanted:
            break
        sleep(_LOOK_S)
    return last_s - begun


def counted(subject: Subject, before: int, sent: int) -> int:
    """Readings of this run in the store, counted out; a store may take a moment to show its newest."""
    deadline = time.monotonic() + 10
    while True:
        found = subject.count()
        stored = (subject.arrived() if found is None else found) - before
        if found is None or stored >= sent or time.monotonic() > deadline:
            return stored
        time.sleep(1)


def delays(sent: Mapping[str, float], seen: Mapping[str, float]) -> list[float]:
    """Milliseconds from each reading over the limit to its alarm, where one came."""
    return [(seen[sensor] - at) * 1000 for sensor, at in sent.items() if sensor in seen]


@dataclass
class Bench:
    """A broker, a store and the daemon, and the two files' folder."""

    folder: Path
    broker: Server
    store: Store
    daemon: Daemon
    subject: Subject

    def health(self) -> Mapping[str, Any]:
        """The daemon's own account."""
        return self.daemon.health()


@contextmanager
def bench(store: str, sensors: int, *, urgent: int = 0, interval_s: float = 10.0) -> Iterator[Bench]:
    """The daemon with everything around it, fresh."""
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        write_city(folder / "city", sensors, urgent=urgent, interval_s=interval_s)
        mosquitto = stack.enter_context(broker(folder / "broker"))
        opened = stack.enter_context(open_store(store, folder / "store"))
        daemon = stack.enter_context(gridwhistle(folder / "daemon", folder / "city", mosquitto.port, opened))
        pids = {"subject": daemon.pid, "broker": pid_of(mosquitto)}
        if opened.server is not None:
            pids["store"] = pid_of(opened.server)
        subject = Subject(f"gridwhistle > {store}", mosquitto.port, pids, daemon.stored, opened.count)
        daemon.listen(subject.alarms)
        yield Bench(folder, mosquitto, opened, daemon, subject)
