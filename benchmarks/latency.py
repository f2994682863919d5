"""From a device's publish to the live feed of the command centre: under an ordinary load, and far beyond it."""

import argparse
from dataclasses import replace

from benchmarks.support_measure import bench, measure
from benchmarks.support_table import Row

URGENT = 600  # sensors on the urgent topics, each speaking every 10 s
OVERLOAD_PACK = 100


def latency(asked: argparse.Namespace) -> list[Row]:
    """From publish to the live feed, of the share of readings that is over its limit."""
    arguments = [
        *("--sensors", str(asked.sensors), "--rate", str(asked.rate), "--seconds", str(asked.minutes * 60)),
        *("--qos", str(asked.qos), "--connections", str(asked.connections), "--alarms", str(asked.alarms)),
    ]
    with bench(asked.store, asked.sensors) as whole:
        row = measure(whole.subject, arguments, asked.rate)
        print(f"  {dict(whole.health()['counters'])}", flush=True)
    return [replace(row, name=f"{row.name}, {asked.alarms:.1%} over the limit")]


def overload(asked: argparse.Namespace) -> list[Row]:
    """Packs far beyond what can be stored, while every second one methane sensor goes over its limit, urgently."""
    seconds = asked.minutes * 60
    arguments = [
        *("--sensors", str(asked.sensors), "--rate", str(asked.rate), "--seconds", str(seconds)),
        *("--qos", str(asked.qos), "--pack", str(OVERLOAD_PACK), "--connections", str(asked.connections)),
        *("--urgent", str(URGENT), "--urgent-alarms", "1"),
    ]
    with bench(asked.store, asked.sensors, urgent=URGENT) as whole:
        row = measure(whole.subject, arguments, asked.rate)
        print(f"  {dict(whole.health()['counters'])}", flush=True)
    return [replace(row, name=f"{row.name}, overload by packs, urgent alarms")]
