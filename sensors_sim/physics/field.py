"""Fields that neighbours share: smooth in space and time, different in every seed."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

METRES_PER_DEGREE = 111_195.0
"""Metres in a degree of latitude on a sphere of 6,371 km."""


def to_metres(lon: Floats, lat: Floats, lon0: float, lat0: float) -> tuple[Floats, Floats]:
    """East and north of a point in metres: the equirectangular projection, good to 0.1 % within a city."""
    east: Floats = (lon - lon0) * (METRES_PER_DEGREE * np.cos(np.radians(lat0)))
    north: Floats = (lat - lat0) * METRES_PER_DEGREE
    return east, north


def _spread(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> Floats:
    """Numbers between low and high, as many in each octave."""
    value: Floats = np.exp(rng.uniform(np.log(low), np.log(high), shape))
    return value


class Fields:
    """Independent smooth Gaussian fields over places and time, mean 0, standard deviation about 1 each.

    Each field is a sum of travelling waves with random direction, length and phase: the spectral representation
    of a Gaussian field (Shinozuka and Deodatis 1991, Applied Mechanics Reviews 44, 191). Wave lengths of 2 to 8 km
    make readings within some hundred metres almost equal; periods of 20 minutes to 6 hours make them breathe.
    """

    WAVES = 4
    LENGTH_M = (2_000.0, 8_000.0)
    PERIOD_S = (1_200.0, 21_600.0)

    def __init__(self, rng: np.random.Generator, count: int, east: Floats, north: Floats) -> None:
        """count: number of fields. east, north: metres, one per place."""
        length = _spread(rng, *self.LENGTH_M, (self.WAVES,))
        bearing = rng.uniform(0, 2 * np.pi, self.WAVES)
        argument = (np.outer(east, np.cos(bearing)) + np.outer(north, np.sin(bearing))) * (2 * np.pi / length)
        self._basis: Floats = np.hstack([np.cos(argument), np.sin(argument)])
        self._phase = rng.uniform(0, 2 * np.pi, (count, self.WAVES))
        self._pulse = 2 * np.pi / _spread(rng, *self.PERIOD_S, (count, self.WAVES))
        self._city_phase = rng.uniform(0, 2 * np.pi, (count, self.WAVES))
        self._city_pulse = 2 * np.pi / _spread(rng, *self.PERIOD_S, (count, self.WAVES))
        self._scale = np.sqrt(2 / self.WAVES)

    def city_wide(self, seconds: float) -> Floats:
        """What the whole city shares at a time, one value per field."""
        value: Floats = self._scale * np.cos(self._city_phase + self._city_pulse * seconds).sum(axis=1)
        return value

    def local(self, places: NDArray[np.int64], fields: NDArray[np.int64], seconds: float) -> Floats:
        """What stands at each place beyond the city's share; places and fields go in pairs."""
        turn = self._phase + self._pulse * seconds
        weights = np.hstack([np.cos(turn), -np.sin(turn)]) * self._scale
        value: Floats = np.einsum("ij,ij->i", self._basis[places], weights[fields])
        return value
