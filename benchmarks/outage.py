"""The store is away for minutes while readings and alarms go on: what grows, what is lost, how long it takes after."""

import argparse
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.support import folder_mb, memory_mb
from benchmarks.support_measure import Bench, bench, measure
from benchmarks.support_table import Row, markdown

BEFORE_S, AFTER_S = 30.0, 90.0
_LOOK_S = 5.0
_CAUGHT_UP_S = 3.0  # readings of so many seconds may be under way


@dataclass
class Watch:
    """What was seen meanwhile. seen: (seconds from the start, MB of the daemon, MB of the broker, MB on disk)."""

    seen: list[tuple[float, float, float, float]] = field(default_factory=list)
    gone_s: float = 0.0
    back_s: float = 0.0
    gone_at: float = 0.0
    back_at: float = 0.0
    caught_up_s: float | None = None


def outage(asked: argparse.Namespace) -> list[Row]:
    """The store is stopped for some minutes at a steady rate, and started again."""
    if asked.store == "local":
        raise SystemExit("outage: --store is local; expected victoria or influx1, which can be stopped")
    away_s = asked.minutes * 60
    arguments = [
        *("--sensors", str(asked.sensors), "--rate", str(asked.rate), "--qos", str(asked.qos)),
        *("--seconds", str(BEFORE_S + away_s + AFTER_S), "--alarms", str(asked.alarms or 1 / asked.rate)),
    ]
    watch = Watch()
    with bench(asked.store, asked.sensors) as whole:
        # VictoriaMetrics starts its counter anew and the daemon does not: its own count bridges the outage.
        helper = threading.Thread(target=_take_away, args=(whole, watch, away_s, asked.rate), daemon=True)
        helper.start()
        # The store is another process afterwards: what it costs is not accounted for.
        whole.subject.pids = {part: pid for part, pid in whole.subject.pids.items() if part != "store"}
        row = measure(whole.subject, arguments, asked.rate)
        helper.join(_LOOK_S * 3)
        print(f"  {dict(whole.health()['counters'])}", flush=True)
        print(_account(whole, watch), flush=True)
    return [replace(row, name=f"{row.name}, store away for {asked.minutes:g} min")]


def _take_away(whole: Bench, watch: Watch, away_s: float, rate: float) -> None:
    """Stop the store, wait, start it, and look on until what came meanwhile is stored."""
    begun = time.monotonic()

    def look_until(done: Callable[[], bool]) -> None:
        while not done():
            watch.seen.append((time.monotonic() - begun, *_sizes(whole)))
            time.sleep(_LOOK_S)

    look_until(lambda: time.monotonic() - begun >= BEFORE_S)
    if whole.store.server is None:
        return
    whole.store.server.stop()
    watch.gone_s, watch.gone_at = time.monotonic() - begun, time.time()
    look_until(lambda: time.monotonic() - begun - watch.gone_s >= away_s)
    whole.store.server.start()
    back = time.monotonic()
    watch.back_s, watch.back_at = back - begun, time.time()
    while time.monotonic() - back < AFTER_S + away_s:
        due = rate * (min(time.monotonic() - begun, BEFORE_S + away_s + AFTER_S) - _CAUGHT_UP_S)
        if whole.daemon.stored() >= due:
            watch.caught_up_s = time.monotonic() - back
            break
        time.sleep(0.2)
    watch.seen.append((time.monotonic() - begun, *_sizes(whole)))


def _sizes(whole: Bench) -> tuple[float, float, float]:
    pids = whole.subject.pids
    disk = folder_mb(whole.daemon.folder)
    return memory_mb(pids["subject"], "VmRSS"), memory_mb(pids["broker"], "VmRSS"), disk


def _account(whole: Bench, watch: Watch) -> str:
    """What grew, and how the alarms of the outage fared."""
    during = [at for at in whole.subject.alarms.values() if watch.gone_at <= at <= watch.back_at]
    lines = [
        [f"{at:.0f} s", f"{daemon:,.0f}", f"{broker:,.0f}", f"{disk:,.0f}"] for at, daemon, broker, disk in watch.seen
    ]
    step = max(1, len(lines) // 12)
    grown = markdown(("at", "MB daemon", "MB broker", "MB on disk"), [*lines[::step], lines[-1]])
    caught = "not within the run" if watch.caught_up_s is None else f"{watch.caught_up_s:.1f} s"
    gaps = np.diff(sorted(during)) if len(during) > 1 else np.array([np.nan])
    told = f"{len(during)} alarms came out while it was away, the longest pause between two {gaps.max():.1f} s"
    return f"{grown}\nstore away from {watch.gone_s:.0f} to {watch.back_s:.0f} s; caught up after {caught}; {told}"
