"""Where the sun stands, and what of it arrives on the ground."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sine_of_elevation(day_of_year: Floats, solar_hour: Floats, latitude_deg: float) -> Floats:
    """Sine of the sun's height above the horizon, negative below it.

    sin(h) = sin(lat) sin(dec) + cos(lat) cos(dec) cos(hour angle), with the declination by Cooper (1969, Solar
    Energy 12, 333): 23.45 degrees * sin(2 pi (284 + day) / 365), good to a degree. solar_hour: 0 to 24, 12 where the
    sun stands highest. day_of_year: 1 on the first of January, fractions allowed.
    """
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + day_of_year) / 365)
    latitude = np.radians(latitude_deg)
    turn = np.cos((solar_hour - 12) * (np.pi / 12))
    height: Floats = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * turn
    return height


def equation_of_time_h(day_of_year: Floats) -> Floats:
    """Hours by which a sundial is ahead of a clock (Spencer 1971, as quoted by Iqbal, Solar Radiation, 1983, 1.4.1)."""
    angle = 2 * np.pi * (day_of_year - 1) / 365
    radians = (
        0.000075
        + 0.001868 * np.cos(angle)
        - 0.032077 * np.sin(angle)
        - 0.014615 * np.cos(2 * angle)
        - 0.04089 * np.sin(2 * angle)
    )
    hours: Floats = radians * (12 / np.pi)
    return hours


def clear_sky(sine: Floats) -> Floats:
    """Daylight under a clear sky, 0 to 1 for a sun overhead.

    Haurwitz (1945, Journal of Meteorology 2, 154): 1098 W/m2 * sin(h) * exp(-0.057 / sin(h)), as part of what it gives
    for a sun overhead.
    """
    up = np.maximum(sine, 1e-3)
    light: Floats = np.where(sine > 0, up * np.exp(-0.057 / up), 0.0) / np.exp(-0.057)
    return light


def through_clouds(cover: Floats) -> Floats:
    """Share of the daylight that clouds let through: 1 - 0.75 n^3.4 (Kasten and Czeplak 1980, Solar Energy 24, 177).

    cover: share of the sky, 0 to 1.
    """
    share: Floats = 1 - 0.75 * np.clip(cover, 0.0, 1.0) ** 3.4
    return share
