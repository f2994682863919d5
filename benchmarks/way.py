"""From broker to store with detection on, beside the plain script that most people write; in one run, on one machine.

    .venv/bin/python -m benchmarks.way [--readings 200000] [--sensors 20000] [--qos 1] [--latency-seconds 30]

Needs Debian's ``mosquitto`` and ``victoria-metrics`` (the store that both can write to: InfluxDB 1.x refuses the
plain script's client), and measures ``influxdb`` and the embedded store too where it finds them. The limit is what
``mosquitto_sub``-like counting of the same stream reaches: the bare receive loop of paho without any work.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.load import Publisher, packets
from tests.support.servers import Server, free_port, influxdb1, mosquitto

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    rate: float
    cpu_us: float
    lost: int
    p50_ms: float
    p99_ms: float


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def write_city(folder: Path, sensors: int) -> None:
    """A square city of methane sensors, one grid, one worker: the readings matter here, not the people."""
    folder.mkdir(parents=True)
    (folder / "city.yaml").write_text("name: {zh: 测量城, en: Benchmark city}\ntimezone: Asia/Shanghai\n")
    square = [[113.0, 30.0], [113.1, 30.0], [113.1, 30.1], [113.0, 30.1], [113.0, 30.0]]
    feature = {
        "type": "Feature",
        "properties": {"code": "G", "level": "district", "parent": None, "name_zh": "网格", "name_en": "Grid"},
        "geometry": {"type": "Polygon", "coordinates": [square]},
    }
    (folder / "grids.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    lines = ["id,kind,quantity,unit,lon,lat,place_zh,place_en,interval_s,owner,calibrated_on,device"]
    side = int(np.ceil(np.sqrt(sensors)))
    for index in range(sensors):
        lon, lat = 113.001 + 0.098 * (index % side) / side, 30.001 + 0.098 * (index // side) / side
        lines.append(f"S{index:06d},gas,ch4,%LEL,{lon:.6f},{lat:.6f},地点{index},Place {index},10,D1,2026-01-01,")
    (folder / "sensors.csv").write_text("\n".join(lines) + "\n")
    (folder / "workers.csv").write_text(
        "id,name_zh,name_en,phone,channels\nW1,测一,Test One,000-0000-0001,mqtt\nM1,测二,Test Two,000-0000-0002,mqtt\n"
    )
    (folder / "departments.yaml").write_text(
        "- {id: D1, name_zh: 燃气公司, name_en: Gas company, categories: [gas_leak], contact: 000-0000-0000}\n"
    )
    (folder / "roster.csv").write_text(
        "grid,worker,role,weekdays,start,end\nG,W1,worker,mon-sun,00:00,00:00\nG,M1,maintenance,mon-sun,00:00,00:00\n"
    )
