"""What an accelerometer on a structure sees: a few modes that chance keeps swinging."""

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from sensors_sim.physics.noise import unit_hash

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MODES = np.array([1.0, 3.0, 5.0])
"""Frequencies of a uniform shear frame against its first (Chopra, Dynamics of Structures, 4th ed., 16.1)."""
SHARES = np.array([0.75, 0.2, 0.05])
"""Of the energy."""
FIRST_HZ = (1.3, 4.3)
"""First modes of buildings of ten to forty metres (46 / height: Ellis 1980, Proc. Inst. Civil Engineers 69, 763)."""
DAMPING = (0.01, 0.025)
PER_KELVIN = -0.002
"""Relative change of a frequency with the structure's temperature: Z24 and its kind lose some 0.2 % per kelvin above
freezing (Peeters and De Roeck 2001, Earthquake Engineering and Structural Dynamics 30, 149)."""
REFERENCE_C = 15.0
FORMS = ((50, 256), (100, 256), (100, 128), (200, 256), (100, 64))
"""Readings per second and readings of one burst, as loggers offer them."""
_FORGOTTEN = 12.0
"""After so many time constants nothing is left of a swing."""
_LONGEST = 500.0
"""Time constants of the fastest mode that can be reckoned in one go: exp(500) is still a number."""


class Structures:
    """The structures under some accelerometers. Owns how each swings, and how stiff it is.

    Rows here are places in ``sensors``. step_us, count: spacing and number of the readings of a burst.
    """

    def __init__(self, sensors: Integers, interval_us: Integers, seed: int, start_us: int) -> None:
        number = len(sensors)
        self.sensors = sensors
        key = sensors + np.int64(seed % (1 << 31)) * 4096
        form = (unit_hash(key, np.full(number, 101)) * len(FORMS)).astype(np.int64)
        hertz, count = np.array(FORMS, dtype=np.int64).T[:, form]
        self.step_us = US_PER_SECOND // hertz
        # a burst never fills more than half of the time until the next one
        self.count = np.clip(interval_us // (2 * self.step_us), 1, count)
        low, high = FIRST_HZ
        self.first_hz = low * (high / low) ** unit_hash(key, np.full(number, 102))
        self._damping = DAMPING[0] + (DAMPING[1] - DAMPING[0]) * unit_hash(key, np.full(number, 103))
        self._swing = np.zeros((number, len(MODES)), np.complex128)
        self._last_us = np.full(number, start_us - (1 << 50), dtype=np.int64)
        self._softened: list[tuple[Floats, int, int]] = []

    def soften(self, rows: Integers, from_us: int, factor: float, over_us: int = 0) -> None:
        """Stiffness of some structures times ``factor`` from a time on, reached evenly within ``over_us``."""
        factors = np.ones(len(self.sensors))
        factors[rows] = factor
        self._softened.append((factors, from_us, max(over_us, 1)))

    def frequency_hz(self, rows: Integers, times_us: Integers, deck_c: float) -> Floats:
        """First modal frequency: falls with temperature, and as the root of the stiffness."""
        stiffness = np.ones(len(rows))
        for factors, from_us, over_us in self._softened:
            share = np.clip((times_us - from_us) / over_us, 0.0, 1.0)
            stiffness *= 1 + (factors[rows] - 1) * share
        value: Floats = self.first_hz[rows] * (1 + PER_KELVIN * (deck_c - REFERENCE_C)) * np.sqrt(stiffness)
        return value

    def swings(self, rng: np.random.Generator, rows: Integers, times_us: Integers, deck_c: float) -> Floats:
        """Accelerations with a root mean square of 1, pairwise; for each structure in order of time.

        Each mode is a damped oscillator driven by white noise, sampled exactly at any spacing: the complex
        Ornstein-Uhlenbeck process z' = z exp((-d + i sqrt(1 - d^2)) w t) + e, whose real part has the spectrum of a
        resonance (an autoregression of second order when sampled evenly: Ljung 1999, System Identification, 4.3;
        Gillespie 1996 for the exact step).
        """
        order = np.lexsort((times_us, rows))
        row, time = rows[order], times_us[order]
        first = np.concatenate(([True], row[1:] != row[:-1]))
        before = np.where(first, self._last_us[row], np.concatenate((time[:1], time[:-1])))
        elapsed = (time - before) / US_PER_SECOND
        pulse = 2 * np.pi * self.frequency_hz(row, time, deck_c)[:, None] * MODES
        damping = self._damping[row][:, None]
        rate = (-damping + 1j * np.sqrt(1 - damping**2)) * pulse
        fade = -rate.real * elapsed[:, None]
        # where all is forgotten, or the numbers below would grow too large, a stretch begins anew
        anew = fade[:, 0] > _FORGOTTEN
        long = np.cumsum(np.where(anew, 0.0, fade[:, -1])) // _LONGEST
        anew[1:] |= long[1:] != long[:-1]
        cut = first | anew
        begins = np.flatnonzero(cut)
        stretch = np.cumsum(cut) - 1
        within = np.arange(len(row)) - begins[stretch]
        shape = (len(begins), int(within.max(initial=0)) + 1, len(MODES))
        exponent = np.where(anew[:, None], 0.0, rate * elapsed[:, None])
        fresh = np.where(anew[:, None], 1.0, np.sqrt(-np.expm1(2 * exponent.real)))
        shock = (rng.standard_normal((len(row), len(MODES), 2)) @ np.array([1, 1j])) * fresh
        path, sums = np.zeros(shape, np.complex128), np.zeros(shape, np.complex128)
        path[stretch, within] = exponent
        path = np.cumsum(path, axis=1)
        sums[stretch, within] = shock
        start = np.where((first & ~anew)[begins][:, None], self._swing[row[begins]], 0.0)
        swing = np.exp(path) * (start[:, None, :] + np.cumsum(sums * np.exp(-path), axis=1))
        found = swing[stretch, within]
        last = np.concatenate((first[1:], [True]))
        self._swing[row[last]], self._last_us[row[last]] = found[last], time[last]
        value = np.empty(len(row))
        value[order] = found.real @ np.sqrt(SHARES)
        return value
