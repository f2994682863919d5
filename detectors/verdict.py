"""Event or fault: what an unusual deviation is taken for. Pure: evidence in, a nature with its reason out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.model import Bools, Int64s

UNKNOWN, EVENT, FAULT = 1, 2, 3
"""Natures as they stand in columns; 0 is none."""

ALIKE = 0.5  # share of the fresh neighbours that must deviate alike for an event
LEAST_ALIKE = 2  # and at least so many of them
LEAST_CALM = 2  # calm neighbours without which a lonely deviation says nothing

CASES = (
    "waiting",  # neighbours were asked and have not made up their minds
    "alone",  # nobody to ask
    "shared",  # neighbours deviate alike
    "lonely",  # neighbours are calm
    "disagrees",  # left its neighbours while its own past would allow the value
    "jump",  # a jump that the world does not make, and nobody confirms it
    "broken",  # another fault of the sensor explains it
    "rise",  # a life-safety quantity: never judged by neighbours
    "negative",  # less than nothing of a gas
)
"""Why a nature was chosen; the key of the reason shown to people."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of some deviating sensors, one row each.

    life_safety: of the quantity. plausible: a life-safety rise that a real gas or smoke could make.
    negative: clearly less than nothing of a gas.
    askable: it has neighbours at all (configured). fresh, alike, calm: how many neighbours spoke lately, deviate in the
    same direction, are within their usual range. own: its own past says unusual. apart: left its neighbours. abrupt:
    began with a jump that the world does not make. broken: another fault condition stands. waited: the hold is over.
    before: the nature so far.
    """

    life_safety: Bools
    plausible: Bools
    negative: Bools
    fresh: Int64s
    alike: Int64s
    calm: Int64s
    own: Bools
    apart: Bools
    abrupt: Bools
    broken: Bools
    waited: Bools
    before: npt.NDArray[np.uint8]


def judge(evidence: Evidence) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """(nature, case) per row; case indexes CASES.

    An event stays an event, whatever the neighbours do later; a fault becomes an event when they follow.
    """
    e = evidence
    asked = e.fresh >= LEAST_CALM
    alike = (e.alike >= LEAST_ALIKE) & (e.alike >= ALIKE * e.fresh)
    conditions = [
        e.life_safety & e.negative,
        e.life_safety & e.plausible,
        e.broken & ~e.life_safety & ~alike,
        ~e.life_safety & alike & e.own & ~e.apart,
        ~e.life_safety & e.apart & e.abrupt & asked,
        ~e.life_safety & e.apart & asked & e.waited & ~e.own,
        ~e.life_safety & e.apart & asked & e.waited & (e.calm >= LEAST_CALM),
        ~e.life_safety & e.own & e.abrupt & ~asked,
        asked & ~e.life_safety,
    ]
    cases = ["negative", "rise", "broken", "shared", "jump", "disagrees", "lonely", "jump", "waiting"]
    natures = [FAULT, EVENT, FAULT, EVENT, FAULT, FAULT, FAULT, FAULT, UNKNOWN]
    nature = np.select(conditions, natures, UNKNOWN).astype(np.uint8)
    case = np.select(conditions, [CASES.index(name) for name in cases], CASES.index("alone")).astype(np.uint8)
    kept = (e.before == EVENT) | ((e.before == FAULT) & (nature == UNKNOWN))
    return np.where(kept, e.before, nature).astype(np.uint8), case
