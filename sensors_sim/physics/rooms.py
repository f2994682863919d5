"""The air of rooms: a well-mixed room that leaks into the rest of its house, and both into the open."""

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
    """A room and the rest of the house that takes some of its air.

    room_m3, rest_m3: volumes. changes_h: how often an hour the air of each is changed while all is shut. inwards: share
    of the room's air that leaves into the rest of the house; what is left goes into the open.
    """

    room_m3: float
    rest_m3: float
    changes_h: float
    inwards: float = 0.3


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
    Fundamentals, ch. 16): dm1/dt = S - q m1/V1, dm2/dt = f q m1/V1 - q2 m2/V2. Runge-Kutta of fourth order in steps of
    at most 10 s, which keeps the sum of all masses equal to what was let out, to rounding.
    """
    count, parts = len(source_kg_s), max(1, int(np.ceil(step_s / 10.0)))
    masses = np.zeros((count, 3))
    flows = house.changes_h / 3600 * house.room_m3 + extra_m3_s
    share = flows / house.room_m3
    inwards = np.where(extra_m3_s > 0, 0.0, house.inwards)  # through an open window it leaves into the open
    rest_rate = house.changes_h / 3600 + inwards * flows / house.rest_m3 + extra_m3_s / house.room_m3
    for index in range(count - 1):
        source, out, rest, part = (float(one[index]) for one in (source_kg_s, share, rest_rate, inwards))
        rates = np.array([[-out, 0.0, 0.0], [part * out, -rest, 0.0], [(1 - part) * out, rest, 0.0]])
        masses[index + 1] = _advance(masses[index], np.array([source, 0.0, 0.0]), rates, step_s / parts, parts)
    leaving = (1 - inwards) * share * masses[:, 0] + rest_rate * masses[:, 1]
    return Filling(
        masses[:, 0],
        masses[:, 1],
        masses[:, 2],
        masses[:, 0] / house.room_m3,
        masses[:, 1] / house.rest_m3,
        leaving,
    )


def _advance(state: Floats, source: Floats, rates: Floats, step_s: float, steps: int) -> Floats:
    """The state of dm/dt = source + rates m after some steps of Runge and Kutta."""
    for _ in range(steps):
        first = source + rates @ state
        second = source + rates @ (state + step_s / 2 * first)
        third = source + rates @ (state + step_s / 2 * second)
        fourth = source + rates @ (state + step_s * third)
        state = state + step_s / 6 * (first + 2 * second + 2 * third + fourth)
    return state


def seeped_in(outside_kg_m3: Floats, changes_h: float, step_s: float) -> Floats:
    """What a room breathes in of the open air, shape (moments, ...) as given: it follows slowly.

    dC/dt = (changes / 3600) (C_out - C), exactly for a C_out that is constant from each moment to the next.
    """
    keep = float(np.exp(-changes_h / 3600 * step_s))
    inside = np.zeros_like(outside_kg_m3)
    for index in range(1, len(outside_kg_m3)):
        inside[index] = keep * inside[index - 1] + (1 - keep) * outside_kg_m3[index - 1]
    return inside
