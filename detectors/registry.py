"""The bank: every detector by its name. A new detector is one file and one entry here."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from config.city import City
from detectors.bank import Detector
from detectors.baseline import Baseline
from detectors.faults import Faults
from detectors.kinds import Kinds
from detectors.limits import Limits
from detectors.neighbours import Neighbourhood, Neighbours
from detectors.stuck import Stuck
from detectors.unusual import Unusual

Factory = Callable[[City, Kinds, Neighbourhood], Detector]

DETECTORS: Mapping[str, Factory] = MappingProxyType(
    {
        "baseline": lambda city, kinds, _: Baseline(city, kinds),
        "neighbours": lambda city, kinds, around: Neighbours(city, around, kinds),
        "limits": lambda city, kinds, _: Limits(city, kinds),
        "stuck": lambda city, kinds, _: Stuck(city, kinds),
        "faults": lambda city, kinds, _: Faults(city, kinds),
        "unusual": lambda city, kinds, around: Unusual(city, around, kinds),
    }
)
"""In the order in which they judge: what scores comes before what decides by the scores."""


def bank(city: City) -> Sequence[Detector]:
    """The full bank for a city."""
    kinds = Kinds(city)
    around = Neighbourhood(city, kinds)
    return [factory(city, kinds, around) for factory in DETECTORS.values()]
