"""Rain that comes with a front, and a typhoon that passes by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_A, _B, _N = 2001.0, 8.0, 0.711
"""Beijing's formula of storm intensity: q = 2001 (1 + 0.811 lg P) / (t + 8)^0.711 litres per second and hectare, as the
city's drainage is designed with (in the form that GB 50014-2021, 4.1, gives to every city's)."""
_MM_H = 0.36
"""Millimetres an hour of a litre per second and hectare."""
_PEAK_AT = 0.4
"""Share of a storm before its peak."""
_EDGE_MIN = 6.0
"""Minutes in which a shower sets in or ceases."""


def cloudburst_mm_h(minutes: Floats, *, lasts_min: float, return_years: float) -> Floats:
    """Rain of a design storm, mm/h; minutes: since it sets in.

    Keifer and Chu's hyetograph (1957, Journal of the Hydraulics Division 83, 1332: the Chicago storm), peak at 0.4 of
    its length, over the formula of storm intensity above, softened in its first and last minutes.
    return_years: how seldom such a storm comes; below 0.06 nothing is left of it.
    """
    strength = max(0.0, _A * (1 + 0.811 * np.log10(return_years))) * _MM_H
    since_peak = minutes - _PEAK_AT * lasts_min
    scaled = np.where(since_peak < 0, -since_peak / _PEAK_AT, since_peak / (1 - _PEAK_AT))
    rain = strength * ((1 - _N) * scaled + _B) / (scaled + _B) ** (1 + _N)
    edge = np.clip(np.minimum(minutes, lasts_min - minutes) / _EDGE_MIN, 0.0, 1.0)
    value: Floats = rain * edge * edge * (3 - 2 * edge)
    return value


def rises_and_fades(minutes: Floats, *, rise_min: float, fade_min: float) -> Floats:
    """0 before it begins, 1 at its best, fading exponentially: (1 - exp(-t/rise)) exp(-t/fade), made 1 at its peak."""
    time = np.maximum(minutes, 0.0)
    best = rise_min * np.log1p(fade_min / rise_min)
    peak = (1 - np.exp(-best / rise_min)) * np.exp(-best / fade_min)
    value: Floats = (1 - np.exp(-time / rise_min)) * np.exp(-time / fade_min) / peak
    return value


@dataclass(frozen=True, slots=True)
class Vortex:
    """A typhoon on a straight track. deficit_hpa: how much lower its middle is than the air around it.

    calm_km: radius of the strongest wind. shape: Holland's B. speed_m_s, heading_deg: how it moves, clockwise from
    north. miss_km: how far its middle passes from the city, to the right of which it goes if positive.
    """

    deficit_hpa: float
    calm_km: float
    shape: float
    speed_m_s: float
    heading_deg: float
    miss_km: float

    def away(self, seconds: Floats) -> tuple[Floats, Floats]:
        """Where the city lies from its middle, metres east and north; seconds: since it is nearest."""
        heading = np.radians(self.heading_deg)
        along, across = -self.speed_m_s * seconds, -1000.0 * self.miss_km
        east = along * np.sin(heading) + across * np.cos(heading)
        north = along * np.cos(heading) - across * np.sin(heading)
        return east, north

    def pressure_hpa(self, distance_m: Floats) -> Floats:
        """What it adds to the pressure: -deficit * (1 - exp(-(R/r)^B)) (Holland 1980, Mon. Wea. Rev. 108, 1212)."""
        ratio = (1000.0 * self.calm_km / np.maximum(distance_m, 1.0)) ** self.shape
        value: Floats = -self.deficit_hpa * (1 - np.exp(-ratio))
        return value

    def gradient_wind_m_s(self, distance_m: Floats, latitude_deg: float) -> Floats:
        """Wind above the friction of the ground (Holland 1980, equation 4).

        V = sqrt(B/rho * (R/r)^B * deficit * exp(-(R/r)^B) + (r f / 2)^2) - r f / 2, air of 1.15 kg/m3.
        """
        radius = np.maximum(distance_m, 1.0)
        coriolis = 2 * 7.292e-5 * np.sin(np.radians(max(abs(latitude_deg), 5.0)))
        ratio = (1000.0 * self.calm_km / radius) ** self.shape
        turning = radius * coriolis / 2
        wind: Floats = (
            np.sqrt(self.shape / 1.15 * ratio * 100 * self.deficit_hpa * np.exp(-ratio) + turning**2) - turning
        )
        return wind

    def wind(self, seconds: Floats, latitude_deg: float) -> tuple[Floats, Floats]:
        """Wind 10 m above a city, m/s to the east and to the north; seconds: since it is nearest.

        0.6 of the gradient wind over built-up land, blowing inwards by 25 degrees (Phadke et al. 2003, Ocean
        Engineering 30, 553), and half of the way that the storm itself makes, fading with its wind. Turns against the
        clock north of the equator.
        """
        east, north = self.away(seconds)
        distance = np.hypot(east, north)
        speed = 0.6 * self.gradient_wind_m_s(distance, latitude_deg)
        hand = 1.0 if latitude_deg >= 0 else -1.0
        bearing = np.arctan2(north, east) + hand * np.radians(90 + 25)
        carried = 0.5 * speed / max(float(speed.max(initial=0.0)), 1e-9) * self.speed_m_s
        heading = np.radians(self.heading_deg)
        return speed * np.cos(bearing) + carried * np.sin(heading), speed * np.sin(bearing) + carried * np.cos(heading)

    def rain_mm_h(self, distance_m: Floats) -> Floats:
        """Mean rain at a distance from the middle (R-CLIPER: Tuleya et al. 2007, Weather and Forecasting 22, 56).

        From 5 mm/h in the eye to 12 mm/h under its wall, fading with 180 km outside: a storm of the first category.
        """
        wall = 1000.0 * self.calm_km
        inside = 5 + 7 * distance_m / wall
        value: Floats = np.where(distance_m < wall, inside, 12 * np.exp(-(distance_m - wall) / 180_000))
        return value
