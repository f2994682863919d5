"""What is let out into the open air and where the wind takes it: the Gaussian plume over a city."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CALM_M_S = 0.5
"""A plume needs some wind: the formula grows beyond all bounds in a calm, so the wind counts as half a metre per second
at least, about the least at which a vane still turns."""
NEAREST_M = 1.0
"""Nearer to a source than this nobody stands: the spreads are those at this distance."""
AIR_KG_M3 = 1.2
AIR_J_KG_K = 1_005.0


class Stability(IntEnum):
    """How the air mixes: the classes of Pasquill that Briggs' urban spreads tell apart."""

    UNSTABLE = 0  # A and B: a sunny day with little wind
    SLIGHTLY = 1  # C
    NEUTRAL = 2  # D: wind, clouds, dusk and dawn
    STABLE = 3  # E and F: a still night


# Per class: sigma_y = y x / sqrt(1 + 0.0004 x), sigma_z = z x (1 + bend x)^power
_Y = np.array([0.32, 0.22, 0.16, 0.11])
_Z = np.array([0.24, 0.20, 0.14, 0.08])
_BEND = np.array([0.001, 0.0, 0.0003, 0.0015])
_POWER = np.array([0.5, 0.0, -0.5, -0.5])


def stability(wind_m_s: Floats, sun: Floats) -> Integers:
    """The ``Stability`` at some winds and daylights (0 night to 1 a clear noon), shape (n,).

    Pasquill's table (Turner 1970, Workbook of Atmospheric Dispersion Estimates, table 3-1) folded into four
    classes: strong sun (above 0.6) or moderate sun (above 0.3) mixes a light wind, night stills one below 3 m/s
    (E and F), wind of 6 m/s makes all neutral.
    """
    strong, moderate, night = sun > 0.6, sun > 0.3, sun <= 0.02
    found: Integers = np.select(
        [
            (strong & (wind_m_s < 4)) | (moderate & (wind_m_s < 2)),
            (strong & (wind_m_s < 6)) | (moderate & (wind_m_s < 4)) | (~night & (wind_m_s < 2)),
            night & (wind_m_s < 3),
        ],
        [Stability.UNSTABLE, Stability.SLIGHTLY, Stability.STABLE],
        Stability.NEUTRAL,
    ).astype(np.int64)
    return found


def spreads(along_m: Floats, classes: Integers) -> tuple[Floats, Floats]:
    """Standard deviations across the wind and upwards in metres, at distances downwind, in classes of ``Stability``.

    Briggs' urban spreads (Briggs 1973, ATDL report 79; Gifford 1976, Nuclear Safety 17, 68), meant for 100 m to
    10 km. Nearer they go on straight to nothing, as the plume of a release near the ground does.
    """
    x = np.maximum(along_m, NEAREST_M)
    across: Floats = _Y[classes] * x / np.sqrt(1 + 0.0004 * x)
    upwards: Floats = _Z[classes] * x * (1 + _BEND[classes] * x) ** _POWER[classes]
    return across, upwards


def downwind(east_m: Floats, north_m: Floats, wind_from_deg: Floats) -> tuple[Floats, Floats]:
    """How far along the wind and beside its line some points lie, seen from a source in the origin, metres.

    along: positive where the wind blows to. across: positive to the right of its way.
    """
    towards = np.radians(wind_from_deg + 180.0)
    east, north = np.sin(towards), np.cos(towards)
    return east_m * east + north_m * north, east_m * north - north_m * east


def plume(
    along_m: Floats,
    across_m: Floats,
    *,
    wind_m_s: Floats,
    classes: Integers,
    height_m: float = 0.0,
    wide_m: float = 0.0,
    high_m: float = 0.0,
) -> Floats:
    """Concentration at the ground per unit of what is let out each second (kg/m³ for kg/s), 0 upwind of the source.

    C / Q = exp(-y²/2 sy²) exp(-H²/2 sz²) / (pi u sy sz), the Gaussian plume over ground that reflects (Turner 1970,
    eq. 3.2). height_m: H, of the release. A source that is no point starts with spreads of its own, wide_m and high_m
    (standard deviations; added in squares). Heat and buoyancy of the plume are left to ``height_m``: methane rises
    too, but is air like any other once it is thinned a hundredfold, some metres from a leak.
    """
    sy, sz = spreads(along_m, classes)
    sy, sz = np.hypot(sy, wide_m), np.hypot(sz, high_m)
    wind = np.maximum(wind_m_s, CALM_M_S)
    share = np.exp(-0.5 * (across_m / sy) ** 2 - 0.5 * (height_m / sz) ** 2) / (np.pi * wind * sy * sz)
    return np.where(along_m > 0, share, 0.0)
