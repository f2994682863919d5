"""Chance that counts: arrivals and departures, doors, and what a classifier takes for something else."""

import numpy as np
from numpy.typing import NDArray

from sensors_sim.physics.noise import unit_hash

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def come_and_go(
    rng: np.random.Generator, present: Floats, expected: Floats, elapsed_s: Floats, stay_s: Floats
) -> Floats:
    """How many are present now, of a place where people (or cars) arrive independently and stay for a while.

    The queue M/M/inf: of those present each stays with probability q = exp(-elapsed / stay), and a Poisson number of
    mean (1 - q) * expected has come (Kleinrock 1975, Queueing Systems I, 3.4). Where the expectation stands still the
    number is Poisson-distributed, at any spacing of the samples; where it moves the number follows.
    """
    keep = np.exp(-elapsed_s / stay_s)
    stayed = rng.binomial(present.astype(np.int64), keep)
    value: Floats = (stayed + rng.poisson(expected * (1 - keep))).astype(np.float64)
    return value


LIVELY = 0.4
"""How much the mean of a tally comes and goes, as a spread of its logarithm."""


def tally(rng: np.random.Generator, expected: Floats, state: Floats) -> Floats:
    """What has been counted of something that comes in spells: a Poisson number of a log-normal mean (a Cox process).

    state: of standard deviation 1; what it remembers, the spells do.
    """
    value: Floats = rng.poisson(expected * np.exp(LIVELY * state - LIVELY**2 / 2)).astype(np.float64)
    return value


def open_or_shut(
    rng: np.random.Generator, was_open: Floats, opens_per_s: Floats, elapsed_s: Floats, open_s: Floats
) -> Floats:
    """1 where a door is open: a Markov chain of two states that opens at a rate and stays open ``open_s`` on average.

    P(open) = p + (was - p) exp(-(a + b) t) with rates a, b and p = a / (a + b) (Cox and Miller 1965, The Theory of
    Stochastic Processes, 4.2).
    """
    rate = opens_per_s + 1 / open_s
    share = opens_per_s / rate
    probability = share + (was_open - share) * np.exp(-rate * elapsed_s)
    value: Floats = (rng.random(len(was_open)) < probability).astype(np.float64)
    return value


CELL_S = 3600
"""At most one confusion an hour."""
CONFUSED_PER_WEEK = 3.0
"""Steam, welding, a low sun, a red umbrella: what a camera takes for smoke, fire or an intruder now and then."""


def confusions(keys: Integers, seconds: Floats, per_week: float) -> Floats:
    """How strong a classifier's confusion is, 0 to 1, of each key (a camera's score) at each time, pairwise.

    A marked Poisson process (Daley and Vere-Jones 2003, 6.4) drawn cell by cell from a hash, so that nobody needs to
    remember it: in each hour one with probability per_week / 168, lasting 4 to 40 s, between 0.3 and 1 strong.
    """
    cell, since = np.divmod(seconds, CELL_S)
    draw = keys * 8 + 1
    number = cell.astype(np.int64)
    hit = np.flatnonzero(unit_hash(draw, number) < per_week / 168)
    found = np.zeros(len(keys))
    if hit.size:
        lasts = 4 + 36 * unit_hash(draw[hit] + 1, number[hit]) ** 2
        begin = unit_hash(draw[hit] + 2, number[hit]) * (CELL_S - lasts)
        strong = 0.3 + 0.7 * unit_hash(draw[hit] + 3, number[hit])
        inside = np.clip((since[hit] - begin) / lasts, 0.0, 1.0)
        found[hit] = strong * np.sqrt(4 * inside * (1 - inside))
    return found
