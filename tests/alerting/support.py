"""A small made-up city, verdicts and ledgers for the tests of this room."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from zoneinfo import ZoneInfo

from shapely.geometry import box

from alerting.ledger import Ledger
from config.city import City, Department, Grid, Sensor, Shift, Worker
from config.limits import limit_table
from config.quantities import QUANTITIES
from config.vocabulary import Category, GridLevel, LocalText, Role, Severity
from detectors.model import Condition, Nature, Phase, Reason, Verdict

NOON_US = 1_769_832_000_000_000  # 2026-01-31T04:00:00Z, noon in Shanghai, a Saturday
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
EVERY_DAY = frozenset(range(7))


def same(text: str) -> LocalText:
    return LocalText(zh=text, en=text)


def sensor(index: int, quantity: str, lon: float, lat: float, *, place: str = "", device: str = "") -> Sensor:
    known = QUANTITIES[quantity]
    return Sensor(
        index=index,
        id=f"s{index}-{quantity}",
        kind=known.kind,
        quantity=quantity,
        unit=known.unit,
        lon=lon,
        lat=lat,
        place=same(place or f"place {index}"),
        interval_s=60,
        owner="made-up owner",
        grid="G1" if lon < 113.01 else "G2",
        device=device or f"box {index}",
        calibrated_on=date(2025, 1, 1),
    )


SENSORS: tuple[Sensor, ...] = (
    sensor(0, "ch4", 113.0010, 28.001),
    sensor(1, "ch4", 113.0020, 28.001),  # 98 m from the first
    sensor(2, "ch4", 113.0080, 28.001),  # 687 m from the first
    sensor(3, "pm25", 113.0010, 28.001),
    sensor(4, "pm25", 113.0110, 28.001),  # 983 m from the other, in another grid
    sensor(5, "tilt", 113.0010, 28.002, place="house A"),
    sensor(6, "tilt", 113.0015, 28.002, place="house A"),  # 49 m away, the same house
    sensor(7, "tilt", 113.0015, 28.002, place="house B"),
    sensor(8, "help_button", 113.0010, 28.003, place="house A", device="flat 1"),
    sensor(9, "help_button", 113.0010, 28.003, place="house A", device="flat 2"),
    sensor(10, "people", 113.0030, 28.001),
)

WORKERS = ("worker-1", "worker-2", "deputy-1", "leader-1", "officer-1", "fitter-1", "fitter-2")

NIGHT, DAY = (time(20), time(8)), (time(8), time(20))


def shift(grid: str, worker: str, role: Role, hours: tuple[time, time], days: frozenset[int] = EVERY_DAY) -> Shift:
    return Shift(grid, worker, role, days, *hours)


ROSTER: tuple[Shift, ...] = (
    shift("G1", "deputy-1", Role.DEPUTY, DAY),
    shift("G1", "worker-1", Role.WORKER, DAY),
    shift("G1", "worker-2", Role.WORKER, NIGHT),
    shift("C", "leader-1", Role.LEADER, DAY),
    shift("D", "officer-1", Role.CENTRE, (time(0), time(0))),
    shift("D", "fitter-1", Role.MAINTENANCE, DAY),
    shift("C", "fitter-2", Role.MAINTENANCE, NIGHT),
)


def city(sensors: Sequence[Sensor] = SENSORS, roster: Sequence[Shift] = ROSTER, zone: str = "Asia/Shanghai") -> City:
    grids = (
        Grid("D", GridLevel.DISTRICT, None, same("district"), box(113.0, 28.0, 113.1, 28.1)),
        Grid("C", GridLevel.COMMUNITY, "D", same("community"), box(113.0, 28.0, 113.02, 28.02)),
        Grid("G1", GridLevel.GRID, "C", same("grid 1"), box(113.0, 28.0, 113.01, 28.02)),
        Grid("G2", GridLevel.GRID, "C", same("grid 2"), box(113.01, 28.0, 113.02, 28.02)),
    )
    departments = (
        Department("gas", same("gas company"), frozenset({Category.GAS_LEAK}), "made-up 1"),
        Department("house", same("housing"), frozenset({Category.STRUCTURE_DANGER}), "made-up 2"),
    )
    return City(
        name=same("made-up city"),
        timezone=ZoneInfo(zone),
        version="v1",
        grids={grid.code: grid for grid in grids},
        sensors=tuple(sensors),
        workers={worker: Worker(worker, same(worker.title()), "made-up", ("mqtt",)) for worker in WORKERS},
        departments={one.id: one for one in departments},
        roster=tuple(roster),
        limits=limit_table(),
    )


def verdict(
    index: int,
    phase: Phase = Phase.RAISED,
    *,
    condition: Condition = Condition.HIGH,
    nature: Nature = Nature.EVENT,
    severity: Severity = Severity.MAJOR,
    at_us: int = NOON_US,
    since_us: int | None = None,
    value: float = 30.0,
) -> Verdict:
    return Verdict(
        sensor=index,
        condition=condition,
        phase=phase,
        nature=nature,
        severity=severity,
        score=math.inf,
        value=value,
        expected_low=-math.inf,
        expected_high=25.0,
        since_us=at_us if since_us is None else since_us,
        at_us=at_us,
        detector="limits",
        reason=Reason("reason.high.raised", {"value": value, "unit": "%LEL", "threshold": 25.0, "source": "a test"}),
    )


def cleared(one: Verdict, at_us: int) -> Verdict:
    return replace(one, phase=Phase.CLEARED, at_us=at_us, value=3.0)


@cache
def _template() -> Path:
    path = Path(mkdtemp(prefix="gridwhistle-ledger-")) / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    return path


def new_ledger(folder: Path) -> Ledger:
    """A fresh ledger: copied from one whose migrations ran, which is quicker than running them again."""
    path = folder / "ledger.sqlite"
    shutil.copyfile(_template(), path)
    return Ledger.open(f"sqlite:///{path}")


def reopen(ledger: Ledger, folder: Path) -> Ledger:
    """What a restart of the daemon does."""
    ledger.close()
    return Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}")
