"""Every kind of happening, in one table. A new one is one function in one file here, and one entry."""

from collections.abc import Mapping
from types import MappingProxyType

from sensors_sim.staging import Happening

HAPPENINGS: Mapping[str, Happening] = MappingProxyType({})
"""How each kind is staged, by the name that scenario files use."""
