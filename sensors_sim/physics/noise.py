"""Noise of a device: a memory that fades, and a clock that is never quite punctual."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def ar1(previous: Floats, elapsed_s: Floats, memory_s: Floats, shock: Floats) -> Floats:
    """Next values of first-order autoregressions with standard deviation 1, at any spacing of the samples.

    x' = f x + sqrt(1 - f^2) e with f = exp(-elapsed / memory): the exact update of an Ornstein-Uhlenbeck process
    (Gillespie 1996, Physical Review E 54, 2084). shock: independent standard normal numbers.
    """
    keep = np.exp(-elapsed_s / memory_s)
    value: Floats = keep * previous + np.sqrt(1 - keep * keep) * shock
    return value


def unit_hash(first: Integers, second: Integers) -> Floats:
    """A number in [0, 1) for each pair, always the same: the finaliser of splitmix64 (Steele et al. 2014).

    Two sensors of one box get the same number for the same sample, without anybody remembering it.
    """
    mixed = first.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + second.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    value: Floats = (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return value
