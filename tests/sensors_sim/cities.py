"""Small and large made-up cities, built in code."""

from datetime import time
from zoneinfo import ZoneInfo

import numpy as np
from shapely.geometry import box

from config.city import City, Department, Grid, Sensor, Shift, Worker
from config.limits import DEFAULT_LIMITS, Limit, Side, limit_table
from config.quantities import QUANTITIES
from config.vocabulary import Category, GridLevel, LocalText, Role, Severity

LON, LAT = 120.0, 30.0
STEP = 0.004  # about 400 m
ALL_WEEK = frozenset(range(7))


def _text(name: str) -> LocalText:
    return LocalText(zh=name, en=name)


def make_city(
    quantities: tuple[tuple[str, float], ...],
    *,
    side: int = 4,
    per_grid: int = 1,
    crowd_limit: float = 60,
    alone: bool = False,
) -> City:
    """side * side grids of 400 m; in each, ``per_grid`` boxes hold one sensor per (quantity, interval in s).

    alone: every sensor sits in its own box.
    """
    whole = box(LON, LAT, LON + side * STEP, LAT + side * STEP)
    grids = {"D": Grid("D", GridLevel.DISTRICT, None, _text("D"), whole)}
    sensors: list[Sensor] = []
    places = np.random.default_rng(7).uniform(0.1, 0.9, (side, side, per_grid, 2))
    for row in range(side):
        for column in range(side):
            code = f"G{row}{column}"
            west, south = LON + column * STEP, LAT + row * STEP
            grids[code] = Grid(code, GridLevel.GRID, "D", _text(code), box(west, south, west + STEP, south + STEP))
            for number in range(per_grid):
                east_part, north_part = places[row, column, number]
                for quantity, interval_s in quantities:
                    name = f"{code}-{number}-{quantity}"
                    sensors.append(
                        Sensor(
                            index=len(sensors),
                            id=name,
                            kind=QUANTITIES[quantity].kind,
                            quantity=quantity,
                            unit=QUANTITIES[quantity].unit,
                            lon=west + float(east_part) * STEP,
                            lat=south + float(north_part) * STEP,
                            place=_text(name),
                            interval_s=interval_s,
                            owner="owner",
                            grid=code,
                            device=name if alone else f"{code}-{number}",
                        )
                    )
    day, night = time(8), time(20)
    roster = [Shift(code, f"W-{code}", Role.WORKER, ALL_WEEK, day, night) for code in grids if code != "D"]
    roster += [Shift("D", "L-night", Role.LEADER, ALL_WEEK, night, day)]
    roster += [Shift("D", "M-1", Role.MAINTENANCE, ALL_WEEK, time(0), time(0))]
    people = sorted({shift.worker for shift in roster})
    crowd = {
        sensor.id: (
            Limit("people", Side.HIGH, Severity.GENERAL, crowd_limit, crowd_limit * 0.8, 60, "the place's keeper"),
        )
        for sensor in sensors
        if sensor.quantity == "people"
    }
    return City(
        name=_text("Test"),
        timezone=ZoneInfo("Asia/Shanghai"),
        version="test",
        grids=grids,
        sensors=tuple(sensors),
        workers={person: Worker(person, _text(person), "1", ("mqtt",)) for person in people},
        departments={"fire": Department("fire", _text("fire"), frozenset({Category.GAS_LEAK}), "119")},
        roster=tuple(roster),
        limits=limit_table(DEFAULT_LIMITS, crowd),
    )


LIVELY = (
    ("ch4", 5),
    ("pm25", 30),
    ("pm10", 30),
    ("temperature", 30),
    ("humidity", 60),
    ("noise", 10),
    ("tilt", 30),
    ("people", 10),
    ("smoke_score", 5),
    ("current", 20),
    ("help_button", 60),
)
"""One box with nearly everything in it."""
