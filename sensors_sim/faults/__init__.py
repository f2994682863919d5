"""How sensors break: which do, how, when, and what they show then."""

from sensors_sim.faults.broken import Faults
from sensors_sim.faults.plan import DEFAULT_WEIGHTS, plan_faults

__all__ = ["DEFAULT_WEIGHTS", "Faults", "plan_faults"]
