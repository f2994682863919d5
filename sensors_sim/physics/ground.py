"""What the ground does: settlement above a loss of soil, its slow growth in clay, and creep before a failure.

Times are seconds since the onset; courses are 0 before it.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

YEAR_S = 365.25 * 86_400.0
_TERMS = np.pi / 2 * (2 * np.arange(12) + 1)
_EARLY = 0.05
"""Below this time factor the root is exact to 1e-7, and the series would need many terms."""


def trough_mm(across_m: Floats, *, deepest_mm: float, inflexion_m: float) -> Floats:
    """Settlement across a tunnel or a lost volume of soil: S = Smax exp(-x^2 / 2 i^2) (Peck 1969, 7th ICSMFE, 225)."""
    value: Floats = deepest_mm * np.exp(-0.5 * (across_m / inflexion_m) ** 2)
    return value


def trough_volume_m3_m(*, deepest_mm: float, inflexion_m: float) -> float:
    """Volume of the trough for each metre along: sqrt(2 pi) i Smax, the integral of ``trough_mm`` (Peck 1969)."""
    return float(np.sqrt(2 * np.pi) * inflexion_m * deepest_mm / 1000)


def deepest_mm(*, volume_loss: float, diameter_m: float, inflexion_m: float) -> float:
    """The greatest settlement above a tunnel that loses a share of its cross-section of soil.

    The trough holds what was lost, undrained: V_L pi D^2 / 4 = sqrt(2 pi) i Smax (Peck 1969; Mair and Taylor 1997).
    volume_loss: 0.01 is good shield tunnelling in clay, 0.03 and more is trouble.
    """
    lost_m3_m = volume_loss * np.pi * diameter_m**2 / 4
    return float(1000 * lost_m3_m / (np.sqrt(2 * np.pi) * inflexion_m))


def trough_slope_mm_m(across_m: Floats, *, deepest_mm: float, inflexion_m: float) -> Floats:
    """Inclination of the ground towards the middle, dS/dx in mm/m; greatest, 0.61 Smax / i, at the inflexion."""
    value: Floats = (
        np.abs(across_m) / inflexion_m**2 * trough_mm(across_m, deepest_mm=deepest_mm, inflexion_m=inflexion_m)
    )
    return value


def trough_strain(across_m: Floats, *, deepest_mm: float, inflexion_m: float, depth_m: float) -> Floats:
    """Horizontal strain of the ground, tension positive: S / z (x^2 / i^2 - 1).

    From displacements that point at the axis (O'Reilly and New 1982, Tunnelling '82, 173): tension outside the
    inflexion, compression inside.
    """
    settled_m = trough_mm(across_m, deepest_mm=deepest_mm, inflexion_m=inflexion_m) / 1000
    value: Floats = settled_m / depth_m * ((across_m / inflexion_m) ** 2 - 1)
    return value


def trough_curvature(across_m: Floats, *, deepest_mm: float, inflexion_m: float) -> Floats:
    """Curvature of the trough, 1/m, without its sign: |x^2 / i^2 - 1| S / i^2, the second derivative of the trough."""
    settled_m = trough_mm(across_m, deepest_mm=deepest_mm, inflexion_m=inflexion_m) / 1000
    value: Floats = np.abs((across_m / inflexion_m) ** 2 - 1) * settled_m / inflexion_m**2
    return value


def consolidated(time_factor: Floats) -> Floats:
    """Share U of the final settlement at a time factor T = c_v t / H^2 (Terzaghi 1943, Theoretical Soil Mechanics).

    U = 1 - sum 2 / M^2 exp(-M^2 T) with M = pi (2 m + 1) / 2; in the beginning U = sqrt(4 T / pi). 0 for T < 0.

    >>> consolidated(np.array([0.0, 0.197, 0.848])).round(2).tolist()
    [0.0, 0.5, 0.9]
    """
    factor = np.maximum(np.asarray(time_factor, np.float64), 0.0)
    early = np.sqrt(4 * factor / np.pi)
    late = 1 - (2 / _TERMS**2 * np.exp(-np.maximum(factor, _EARLY)[..., None] * _TERMS**2)).sum(axis=-1)
    return np.where(factor < _EARLY, early, late)


def _gathered(time_factor: Floats) -> Floats:
    """The integral of ``consolidated`` from 0 to T: T - 1/3 + sum 2 / M^4 exp(-M^2 T), the sum of 2 / M^4 being 1/3."""
    factor = np.maximum(time_factor, 0.0)
    early = 2 / 3 * np.sqrt(4 / np.pi) * factor**1.5
    faded = np.exp(-np.maximum(factor, _EARLY)[..., None] * _TERMS**2)
    late = factor - 1 / 3 + (2 / _TERMS**4 * faded).sum(axis=-1)
    value: Floats = np.where(factor < _EARLY, early, late)
    return value


def consolidation(elapsed_s: Floats, *, cv_m2_year: float, drainage_m: float, ramp_s: float = 0.0) -> Floats:
    """Share of the final settlement after some seconds, in clay with a coefficient of consolidation and drainage path.

    cv_m2_year: some m2 a year for soft to firm clays (Terzaghi, Peck and Mesri 1996). drainage_m: the longest way of
    the water to a layer that drains. ramp_s: the load comes evenly within so long; the theory is linear, so every part
    of it consolidates for itself (Olson 1977, J. Geotechnical Engineering Division 103, 55: ramp loading).
    """
    per_second = cv_m2_year / YEAR_S / drainage_m**2
    factor = per_second * np.asarray(elapsed_s, np.float64)
    if ramp_s <= 0:
        return consolidated(factor)
    ramp = per_second * ramp_s
    value: Floats = (_gathered(factor) - _gathered(factor - ramp)) / ramp
    return value


def accelerating(elapsed_s: Floats, *, failure_s: float, halt: float = 0.95) -> Floats:
    """0 to 1, faster and faster: what creeps towards a failure, stopped (propped, emptied) shortly before it.

    The inverse of the velocity falls straight to 0 at the failure (Fukuzono 1985; Voight 1988, Nature 332, 125, with
    exponent 2): the displacement goes as -log(1 - t / failure). halt: at this share of the way it stands still.
    """
    share = np.clip(np.asarray(elapsed_s, np.float64) / failure_s, 0.0, halt)
    value: Floats = np.log1p(-share) / np.log1p(-halt)
    return value


def andrade(elapsed_s: Floats, *, step: float, span_s: float) -> Floats:
    """0 before, ``step`` at once, then creeping to 1 with the cube root of time (Andrade 1910, Proc. R. Soc. A 84, 1).

    Cracks in masonry and concrete follow a load so: at once, and ever slower afterwards. Stands at 1 after ``span_s``.
    """
    time = np.asarray(elapsed_s, np.float64)
    creeping = np.cbrt(np.clip(time / span_s, 0.0, 1.0))
    return np.where(time >= 0, step + (1 - step) * creeping, 0.0)
