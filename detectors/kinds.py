"""Sensors that are judged by the same numbers: those of one quantity and one interval.

A city has some dozens of kinds, so what follows from the quantity or the interval is kept once for each kind, and a
reading finds it in the processor's nearest cache.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from config.city import City
from config.quantities import QUANTITIES, Quantity
from detectors.traits import TRAITS, Trait
from ingest.model import Bools, Float64s


class Kinds:
    """The kinds of a city. of: shape (sensors,), which kind each sensor is. interval_s: shape (kinds,)."""

    def __init__(self, city: City) -> None:
        interval_s, which = np.unique(city.columns.interval_s, return_inverse=True)
        both = city.columns.quantity.code.astype(np.int64) * len(interval_s) + which
        known, of = np.unique(both, return_inverse=True)
        self.of = of.astype(np.uint16 if len(known) <= 65536 else np.int32)
        self.quantities = [city.columns.quantity.names[code] for code in known // max(1, len(interval_s))]
        self.interval_s: Float64s = interval_s[known % max(1, len(interval_s))]

    def each(self, value: Callable[[Quantity], float]) -> Float64s:
        """What follows from the quantity, shape (kinds,)."""
        return np.array([value(QUANTITIES[name]) for name in self.quantities], np.float64)

    def which(self, holds: Callable[[Quantity], bool]) -> Bools:
        """Of which kinds something holds, shape (kinds,)."""
        return np.array([holds(QUANTITIES[name]) for name in self.quantities], np.bool_)

    def traits(self, value: Callable[[Trait], float], otherwise: float) -> Float64s:
        """What follows from the quantity's trait, shape (kinds,); otherwise: where it has none."""
        found = [TRAITS.get(name) for name in self.quantities]
        return np.array([otherwise if trait is None else value(trait) for trait in found], np.float64)

    def column(self, by_kind: npt.NDArray[np.bool_]) -> Bools:
        """What holds of kinds as a column of sensors, shape (sensors,)."""
        return np.asarray(by_kind[self.of], np.bool_)
