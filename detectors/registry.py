"""The bank: every detector by its name. A new detector is one file and one entry here."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from config.city import City
from detectors.bank import Detector
from detectors.baseline import Baseline
from detectors.faults import Faults
from detectors.limits import Limits
from detectors.neighbours import Neighbourhood, Neighbours
from detectors.stuck import Stuck
from detectors.unusual import Unusual

Factory = Callable[[City, Neighbourhood], Detector]

DETECTORS: Mapping[str, Factory] = MappingProxyType(
    {
        "baseline": lambda city, _: Baseline(city),
        "neighbours": Neighbours,
        "limits": lambda city, _: Limits(city),
        "stuck": lambda city, _: Stuck(city),
        "faults": lambda city, _: Faults(city),
        "unusual": Unusual,
    }
)
"""In the order in which they judge: what scores comes before what decides by the scores."""


def bank(city: City) -> Sequence[Detector]:
    """The full bank for a city."""
    around = Neighbourhood(city)
    return [factory(city, around) for factory in DETECTORS.values()]
