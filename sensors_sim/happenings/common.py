"""What several kinds of happenings share: their options, and how an event is told that comes up slowly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.vocabulary import Category
from sensors_sim.changes import SIGMAS, Made, clear
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Nature, Stage, Staged, episode
from sensors_sim.truth import SHOWN_READINGS
from sensors_sim.world import World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


TOO_SHORT = f"it would be over before any sensor that sees it has sent {SHOWN_READINGS} readings"


def knows(wish: Wish, *names: str) -> None:
    """Raises CannotError where a wish has an option that its kind does not know."""
    for name in wish.options:
        if name not in names:
            expected = f"expected one of {', '.join(names)}" if names else f"{wish.kind} has none"
            raise CannotError(f"option {name} is unknown: {expected}")


def option(wish: Wish, name: str, usual: float) -> float:
    """A number among a wish's options. Raises CannotError where it is a text."""
    value = wish.options.get(name, usual)
    if isinstance(value, str):
        raise CannotError(f"option {name} is {value!r}, expected a number")
    return float(value)


def choice(wish: Wish, name: str, known: Sequence[str]) -> str:
    """A word among a wish's options, the first known one where it says nothing. Raises CannotError for others."""
    value = wish.options.get(name, known[0])
    if value not in known:
        raise CannotError(f"option {name} is {value!r}, expected one of {', '.join(known)}")
    return str(value)


def below(world: World, code: str) -> Bools:
    """Which sensors belong to a node of the grid tree, shape (sensors,)."""
    grid = world.city.columns.grid
    inside = [any(node.code == code for node in world.city.upwards(name)) for name in grid.names]
    return np.array(inside, np.bool_)[grid.code]


def away_m(world: World, one: int, other: int) -> float:
    """How far apart two sensors stand, given by their rows."""
    return float(np.hypot(world.east[one] - world.east[other], world.north[one] - world.north[other]))


def by_quantity(world: World, rows: Integers, values: Mapping[str, float], usual: float = 0.0) -> Floats:
    """One value per row, told by its quantity."""
    quantity = world.city.columns.quantity
    found: Floats = np.array([values.get(name, usual) for name in quantity.names], np.float64)[quantity.code[rows]]
    return found


@dataclass(frozen=True, slots=True)
class Certain:
    """The quiet day of sensors on which something leaves nothing of their noise."""

    nature: Nature

    def mean(self, sensors: Integers, time_us: int) -> Floats:
        """See ``Nature``."""
        return self.nature.mean(sensors, time_us)

    def noise(self, sensors: Integers) -> Floats:
        """None."""
        return np.zeros(len(sensors))


def showing(stage: Stage, rows: Sequence[int] | Integers, from_us: int, to_us: int) -> bool:
    """Whether something lasts for SHOWN_READINGS of the fastest of some sensors: nobody can be asked to see less."""
    fastest_s = float(stage.world.city.columns.interval_s[np.asarray(rows, np.int64)].min())
    return to_us - from_us >= SHOWN_READINGS * fastest_s * US_PER_SECOND


def narrowed(stage: Stage, from_us: int, to_us: int) -> Stage:
    """The same stage for a part of the run: what is short is told on a finer lattice, and what is told is cheaper."""
    return replace(stage, start_us=max(stage.start_us, from_us), end_us=min(stage.end_us, to_us))


def event(
    stage: Stage,
    changes: Sequence[Made],
    centre: int,
    *,
    kind: str,
    category: Category,
    sigmas: float = SIGMAS,
    details: Mapping[str, float | str] = MappingProxyType({}),
) -> Staged:
    """One event, at those sensors that see it and from when the first of them does, until the last does no more.

    Takes these sensors. Raises CannotError where nobody can see anything of it, or too little.
    """
    kept, found = clear(stage, changes, sigmas=sigmas)
    if not kept:
        raise CannotError("no sensor could tell it from its own noise while the run lasts")
    if not showing(stage, found.rows, found.from_us, found.to_us):
        raise CannotError(TOO_SHORT)
    stage.reserve(found.rows)
    told = episode(
        narrowed(stage, min(change.from_us for change in kept), max(change.to_us for change in kept)),
        kept,
        centre,
        kind=kind,
        category=category,
        from_us=found.from_us,
        to_us=found.to_us,
        seen_by=found.rows,
        details=details,
    )
    return Staged(changes=kept, episodes=(told,))
