"""What happens to the world: time courses and spreads of a leak, a smoke, a building that leans, a crowd.

Times are seconds since the onset; courses are 0 before it.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEL_KG_M3 = 0.0327
"""Methane at its lower explosive limit, 5 % by volume, at 25 °C and 1013 hPa: 0.05 * 16.04 g/mol / 24.5 L/mol."""


def room_leak(elapsed_s: Floats, *, leak_s: float, fill_s: float, air_s: float) -> Floats:
    """Concentration in a room, as part of what it would reach in the end: fast rise, slow decay.

    A well-mixed room (Nazaroff and Cass 1986): dC/dt = S/V - C/fill while gas leaks, and dC/dt = -C/air once the
    valve is shut (doors opened slowly, so ``air_s`` is longer than ``fill_s``).
    """
    time = np.maximum(elapsed_s, 0.0)
    peak = 1 - np.exp(-leak_s / fill_s)
    rising = 1 - np.exp(-np.minimum(time, leak_s) / fill_s)
    return np.where(time <= leak_s, rising, peak * np.exp(-np.maximum(time - leak_s, 0.0) / air_s))


def plume_lel(distance_m: Floats, *, leak_kg_s: float, wind_m_s: float) -> Floats:
    """Methane outside on the plume's axis at ground level, in %LEL: Gaussian plume from a vent at the ground.

    C = Q / (pi u sy sz) with Briggs' urban spreads for neutral air, sy = 0.16 x / sqrt(1 + 0.0004 x) and
    sz = 0.14 x / sqrt(1 + 0.0003 x) (Briggs 1973, ATDL report 79). Some metres away little is left of a leak:
    that is why a point leak may show on one sensor only.
    """
    x = np.maximum(distance_m, 1.0)
    spread_y = 0.16 * x / np.sqrt(1 + 0.0004 * x)
    spread_z = 0.14 * x / np.sqrt(1 + 0.0003 * x)
    value: Floats = leak_kg_s / (np.pi * wind_m_s * spread_y * spread_z) / LEL_KG_M3 * 100
    return value


def plateau(elapsed_s: Floats, *, rise_s: float, hold_s: float, fall_s: float) -> Floats:
    """From 0 to 1 in ``rise_s`` (a smooth cosine ramp), 1 for ``hold_s``, then fading with time constant ``fall_s``."""
    time = np.maximum(elapsed_s, 0.0)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.minimum(time / rise_s, 1.0))
    return ramp * np.exp(-np.maximum(time - rise_s - hold_s, 0.0) / fall_s)


def smoke_spread(along_m: Floats, across_m: Floats, *, width_m: float) -> Floats:
    """Share of a smoke's strength at points downwind (along) and beside (across) its source, 0 to 1.

    The crosswind profile of a Gaussian plume from a wide source whose width grows by a tenth of the distance;
    nothing goes upwind of the source's own width.
    """
    width = width_m + 0.1 * np.maximum(along_m, 0.0)
    share = width_m / width * np.exp(-0.5 * (across_m / width) ** 2)
    return np.where(along_m >= -width_m, share, 0.0)


def creep(elapsed_s: Floats, *, duration_s: float) -> Floats:
    """0 to 1 over ``duration_s``, faster and faster, and standing at 1 afterwards.

    The power law of accelerating creep before a failure (Voight 1988, Nature 332, 125), in its tamest form:
    displacement grows with time to the power of 1.5.
    """
    value: Floats = np.clip(elapsed_s / duration_s, 0.0, 1.0) ** 1.5
    return value


GROWTH_KW_S2 = {"slow": 0.00293, "medium": 0.01172, "fast": 0.0469, "ultrafast": 0.1876}
"""How fires grow: 1,055 kW after 600, 300, 150 and 75 s (NFPA 92 and NFPA 204)."""


def fire_kw(elapsed_s: Floats, *, growth_kw_s2: float, peak_kw: float, burns_s: float, fades_s: float) -> Floats:
    """Heat that a fire releases: it grows with the square of time up to its peak, and is fought down after ``burns_s``.

    The t-squared fire of NFPA 92, capped by the air that openings let in; then an exponential decay
    with time constant ``fades_s`` (SFPE Handbook, design fires).
    """
    time = np.maximum(elapsed_s, 0.0)
    grown = np.minimum(growth_kw_s2 * np.minimum(time, burns_s) ** 2, peak_kw)
    heat: Floats = grown * np.exp(-np.maximum(time - burns_s, 0.0) / fades_s)
    return heat


def flame_m(heat_kw: Floats) -> Floats:
    """Mean height of the flames of a fire that is small beside them: 0.235 Q^(2/5) (Heskestad 1983), m."""
    return 0.235 * np.maximum(heat_kw, 0.0) ** 0.4


def in_view(size_m: Floats, distance_m: Floats, *, half_rad: float) -> Floats:
    """How sure a classifier of images is of something of a size at a distance, 0 to 1.

    It grows with the part of the picture that is filled, the square of the angle, and is one half at ``half_rad``: a
    logistic of the logarithm. What is small for detectors is known (the COCO benchmark: less than 32 pixels, which is
    0.026 rad of a camera with 1,920 pixels over 90°); smoke has no outline and must be larger.
    """
    angle = np.maximum(size_m, 0.0) / np.maximum(distance_m, 1.0)
    share: Floats = angle**2 / (angle**2 + half_rad**2)
    return share


def warmed(elapsed_s: Floats, *, watts: float, watts_per_k: float, memory_s: float) -> Floats:
    """How much warmer a room gets by a source of heat, K: watts / (U A) (1 - exp(-t / memory)).

    One capacity and one loss, the simple hourly method of ISO 13790:2008 in its smallest form.
    """
    warmer: Floats = watts / watts_per_k * (1 - np.exp(-np.maximum(elapsed_s, 0.0) / memory_s))
    return warmer
