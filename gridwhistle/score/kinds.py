"""Which condition a broken sensor may be told as: one table."""

from collections.abc import Mapping
from types import MappingProxyType

from detectors.model import Condition
from sensors_sim.truth import FaultKind

SHOWS_AFTER = 10
"""A fault shows once its sensor was due to send so many readings with it in the run: nobody can tell a value that
never changes from one that happens to rest in fewer, nor one that scatters from one outlier."""

_AWAY = frozenset({Condition.UNUSUAL, Condition.OUT_OF_RANGE})

ACCEPTED: Mapping[FaultKind, frozenset[Condition]] = MappingProxyType(
    {
        FaultKind.STUCK: frozenset({Condition.STUCK}),
        FaultKind.SILENT: frozenset({Condition.SILENT}),
        FaultKind.SPIKING: frozenset({Condition.SPIKING, Condition.NOISY, Condition.OUT_OF_RANGE}),
        FaultKind.NOISY: frozenset({Condition.NOISY, Condition.SPIKING}),
        FaultKind.BIAS: _AWAY,
        FaultKind.DRIFT: _AWAY,
        FaultKind.CURVED_DRIFT: _AWAY,
        FaultKind.SATURATED: _AWAY | {Condition.STUCK},
        FaultKind.DROPOUT: _AWAY | {Condition.SPIKING, Condition.NOISY, Condition.STUCK},
        FaultKind.UNIT: _AWAY,
        FaultKind.SWAPPED: _AWAY,
        FaultKind.CLOCK: frozenset(
            {Condition.SILENT, Condition.UNUSUAL}
        ),  # what comes too late or too early is not judged
        FaultKind.TEMPERATURE_LEAK: _AWAY | {Condition.NOISY},
        FaultKind.FROZEN_IMAGE: frozenset({Condition.STUCK}),
        FaultKind.DARK_IMAGE: _AWAY | {Condition.STUCK, Condition.LOW},
        FaultKind.BLURRED_IMAGE: _AWAY | {Condition.LOW},
        FaultKind.COVERED_LENS: _AWAY | {Condition.STUCK, Condition.LOW},
    }
)
"""A ticket that names one of these says enough of what is the matter for somebody to come and find it."""


def told_as(kind: FaultKind, condition: Condition) -> bool:
    """Whether a condition is a fair name for a fault; one of the fault's own name always is."""
    return condition in ACCEPTED[kind] or condition.value == kind.value
