"""The air of rooms: a well-mixed room, the rest of its house behind a door, and the open."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensors_sim.physics.events import LEL_KG_M3

Floats = NDArray[np.float64]

_MOLAR_L = 24.45
"""Litres of a mole of gas at 25 °C and 1013 hPa."""
_GAS_J_MOL_K = 8.314
_ROOM_K = 293.15
_AIR_PA = 101_325.0
_METHANE_KG_MOL = 0.01604
_METHANE_GAMMA = 1.31
_DISCHARGE = 0.62
"""Of a sharp-edged hole (Perry's Chemical Engineers' Handbook)."""


def lel_percent(kg_m3: Floats) -> Floats:
    """Methane in %LEL, at most that of pure gas (5 %VOL is 100 %LEL, so 2,000)."""
    return np.minimum(kg_m3 / LEL_KG_M3 * 100, 2_000.0)


def ppm(kg_m3: Floats, molar_g: float) -> Floats:
    """Parts per million by volume of a gas with a molar mass (g/mol), at 25 °C and 1013 hPa."""
    return kg_m3 * 1e6 * _MOLAR_L / molar_g


def hole_kg_s(diameter_m: float, over_pa: float) -> float:
    """Methane that leaves a pipe by a round hole, kg/s. over_pa: pressure in the pipe above the air's.

    The flow of an ideal gas through an orifice, choked where the pressure is more than about 1.8 times the air's (TNO
    Yellow Book, CPR 14E, section 2.5.2.3): m = C A p sqrt(psi M / (R T)).
    """
    gamma, inside = _METHANE_GAMMA, _AIR_PA + over_pa
    ratio = max(_AIR_PA / inside, (2 / (gamma + 1)) ** (gamma / (gamma - 1)))
    psi = 2 * gamma / (gamma - 1) * ratio ** (2 / gamma) * (1 - ratio ** ((gamma - 1) / gamma))
    area = np.pi * diameter_m**2 / 4
    return float(_DISCHARGE * area * inside * np.sqrt(psi * _METHANE_KG_MOL / (_GAS_J_MOL_K * _ROOM_K)))


def open_window_m3_s(area_m2: float, wind_m_s: Floats) -> Floats:
    """Air that wind changes through one opening: Q = 0.025 A u (BS 5925:1991, single-sided ventilation), m³/s."""
    return 0.025 * area_m2 * wind_m_s


@dataclass(frozen=True, slots=True)
class House:
    """A room and the rest of the house, with a door between them.

    room_m3, rest_m3: volumes. changes_h: how often an hour the open replaces the air of each while all is shut.
    door_m3_h: air that goes through the door each way in an hour; a shut one has cracks, an open one mixes both.
    """

    room_m3: float
    rest_m3: float
    changes_h: float
    door_m3_h: float = 0.0


@dataclass(frozen=True, slots=True)
class Filling:
    """What stands where, shape (moments,) each.

    room, rest: kg in the air of each; out_kg: gone into the open since the beginning; room_kg_m3, rest_kg_m3:
    concentrations; out_kg_s: what is leaving into the open.
    """

    room: Floats
    rest: Floats
    out_kg: Floats
    room_kg_m3: Floats
    rest_kg_m3: Floats
    out_kg_s: Floats


def fill(house: House, source_kg_s: Floats, extra_m3_s: Floats, step_s: float) -> Filling:
    """How a gas fills a house, moment by moment.

    source_kg_s: let out into the room; extra_m3_s: more air than ``changes_h`` brings, as by opened windows, in the
    room and (in proportion) in the rest. Both per moment, constant until the next.

    Well-mixed rooms (Nazaroff and Cass 1986, Environmental Science & Technology 20, 924; ASHRAE Handbook
    Fundamentals, ch. 16) with concentrations c = m / V: dm1/dt = S - q1 c1 - x (c1 - c2), dm2/dt = x (c1 - c2) - q2 c2.
    Runge-Kutta of fourth order in steps of at most 10 s, which keeps the sum of all masses equal to what was let out,
    to rounding.
    """
    count, parts = len(source_kg_s), max(1, int(np.ceil(step_s / 10.0)))
    masses = np.zeros((count, 3))
    room_rate = house.changes_h / 3600 + extra_m3_s / house.room_m3
    into, back = house.door_m3_h / 3600 / house.room_m3, house.door_m3_h / 3600 / house.rest_m3
    last, step = -1.0, np.eye(4)
    for index, (gone, source) in enumerate(zip(room_rate[:-1].tolist(), source_kg_s[:-1].tolist(), strict=True)):
        if gone != last:  # the rest of the house is aired as often as the room
            rates = np.array([[-gone - into, back, 0, 1], [into, -gone - back, 0, 0], [gone, gone, 0, 0], [0, 0, 0, 0]])
            last, step = gone, _step(rates, step_s / parts, parts)
        masses[index + 1] = step[:3, :3] @ masses[index] + step[:3, 3] * source
    return Filling(
        masses[:, 0],
        masses[:, 1],
        masses[:, 2],
        masses[:, 0] / house.room_m3,
        masses[:, 1] / house.rest_m3,
        room_rate * (masses[:, 0] + masses[:, 1]),
    )


def _step(rates: Floats, part_s: float, parts: int) -> Floats:
    """What some steps of Runge and Kutta make of a state whose change is ``rates`` times itself."""
    one = rates * part_s
    square = one @ one
    taylor = np.eye(len(rates)) + one + square / 2 + square @ one / 6 + square @ square / 24
    whole: Floats = np.linalg.matrix_power(taylor, parts)
    return whole


def settled_kg_s(house: House, kg_m3: float) -> float:
    """What must be let out for a concentration to stand in the room in the end, while all is shut."""
    changed, door = house.changes_h / 3600, house.door_m3_h / 3600
    passed_on = door * (1 - door / (door + changed * house.rest_m3)) if door else 0.0
    return kg_m3 * (changed * house.room_m3 + passed_on)


def seeped_in(outside_kg_m3: Floats, changes_h: float, step_s: float) -> Floats:
    """What a room breathes in of the open air, shape (moments, ...) as given: it follows slowly.

    dC/dt = (changes / 3600) (C_out - C), exactly for a C_out that is constant from each moment to the next.
    """
    keep = float(np.exp(-changes_h / 3600 * step_s))
    inside = np.zeros_like(outside_kg_m3)
    for index in range(1, len(outside_kg_m3)):
        inside[index] = keep * inside[index - 1] + (1 - keep) * outside_kg_m3[index - 1]
    return inside
