"""The truth about broken sensors: each with its place and who mends devices there."""

from collections.abc import Iterable

import numpy as np

from config.city import City
from sensors_sim.faults.duty import Duty
from sensors_sim.truth import FAULT_ROLES, Fault, FaultKind


def told(city: City, found: Iterable[tuple[FaultKind, int, int, int]]) -> list[Fault]:
    """Faults as (kind, row of the sensor, from, to), in the same order."""
    broken = list(found)
    rows = np.array([row for _, row, _, _ in broken], np.int64)
    columns, duty = city.columns, Duty(city, FAULT_ROLES)
    names = columns.grid.names
    places = zip(columns.lon[rows].tolist(), columns.lat[rows].tolist(), columns.grid.code[rows].tolist(), strict=True)
    return [
        Fault(kind, columns.ids[row], lon, lat, names[grid], from_us, to_us, duty.on(names[grid], from_us))
        for (kind, row, from_us, to_us), (lon, lat, grid) in zip(broken, places, strict=True)
    ]
