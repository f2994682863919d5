"""Where happenings take place, and the honest truth about them: what every kind asks of the stage."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # type: ignore[import-untyped]  # SciPy ships no types

from config.clock import US_PER_SECOND
from config.vocabulary import Category
from sensors_sim.changes import SIGMAS, Made, clear
from sensors_sim.happenings.common import TOO_SHORT, showing
from sensors_sim.physics.plume import downwind
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged, episode
from sensors_sim.world import Use, World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PIT = re.compile(r"井|\b(?:pit|manhole|chamber)\b", re.IGNORECASE)
_TRIES = 50
_MOMENTS = 1_500


def wanted(stage: Stage, rows: Sequence[int], place: str | None) -> list[int]:
    """Those of some rows that fit the place of a wish.

    A use of buildings is preferred: where none of the rows lies in such a building, all of them fit. A grid's code is
    an order, and holds for the grids below it. Raises CannotError where the place is neither, or no row lies there.
    """
    if place is None or not rows:
        return list(rows)
    world = stage.world
    if (use := Use.__members__.get(place.upper())) is not None:
        given = np.array(rows, np.int64)
        used = np.append(world.plan.use, len(Use))  # the last one: in the open
        return given[used[world.building[given]] == use].tolist() or list(rows)
    grids = world.city.grids
    if place not in grids:
        known = ", ".join(name.lower() for name in Use.__members__)
        raise CannotError(f"the place {place!r} is neither a grid of the city nor one of {known}")
    names = world.city.columns.grid
    below = {name: any(node.code == place for node in world.city.upwards(name)) for name in set(names.names)}
    found = [row for row in rows if below[names[row]]]
    if not found:
        raise CannotError(f"the grid {place} has no such sensor that is free")
    return found


def use_of(world: World, row: int) -> Use | None:
    """What the building of a sensor is used for, None in the open."""
    building = int(world.building[row])
    return Use(int(world.plan.use[building])) if building >= 0 else None


def same_box(world: World, row: int) -> Integers:
    """Rows of the sensors in the same box as one, itself among them, ascending."""
    code = world.city.columns.device.code
    return np.flatnonzero(code == code[row])


def same_building(world: World, row: int) -> Integers:
    """Rows of the sensors in the same building as one, ascending; those of its box alone in the open."""
    building = world.building[row]
    return np.flatnonzero(world.building == building) if building >= 0 else same_box(world, row)


def is_pit(world: World, row: int) -> bool:
    """Whether the place of a sensor is called a pit."""
    columns = world.city.columns
    place = int(columns.place[row])
    return any(_PIT.search(name) for name in (columns.place_zh[place], columns.place_en[place]))


def pick_fitting(stage: Stage, rows: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """One of the rows that fit, as ``Stage.pick`` chooses; None where none does. Asks about few of them."""
    left = list(rows)
    for _ in range(min(_TRIES, len(left))):
        row = stage.pick(left)
        if fits(row):
            return row
        left.remove(row)
    fitting = [row for row in left if fits(row)]
    return stage.pick(fitting) if fitting else None


def apart(stage: Stage, rows: Sequence[int], metres: float, *quantities: str) -> list[int]:
    """Those of some rows that are so far from all sensors of the quantities that have a part in something.

    All of them where none is: what must not be mistaken for one event is kept apart, where the city is large enough.
    """
    world = stage.world
    measuring = world.measuring(*quantities)
    busy = measuring[np.isin(measuring, np.array(sorted(stage.taken), np.int64))]
    if not busy.size or not rows:
        return list(rows)
    given = np.array(rows, np.int64)
    tree = cKDTree(np.column_stack((world.east[busy], world.north[busy])))
    away, _ = tree.query(np.column_stack((world.east[given], world.north[given])))
    return given[away >= metres].tolist() or list(rows)


def of(stage: Stage, rows: Integers, *quantities: str) -> Integers:
    """Those of some rows that measure one of the quantities and are free, ascending."""
    among = np.zeros(len(stage.world.east), np.bool_)
    among[rows] = True
    measuring = stage.world.measuring(*quantities)
    return np.array([row for row in measuring[among[measuring]].tolist() if row not in stage.taken], np.int64)


def below_the_wind(
    stage: Stage, stations: Integers, sources_m: Floats, from_deg: float, *, reach_m: float, slope: float
) -> Integers:
    """How many of some stations lie in the wind's lee of each source, shape (sources,).

    sources_m: shape (sources, 2), east and north. slope: half the width of the lee per metre of way.
    """
    world = stage.world
    if not stations.size:
        return np.zeros(len(sources_m), np.int64)
    tree = cKDTree(np.column_stack((world.east[stations], world.north[stations])))
    counts = []
    for (east, north), near in zip(sources_m.tolist(), tree.query_ball_point(sources_m, reach_m), strict=True):
        rows = stations[near]
        along, across = downwind(world.east[rows] - east, world.north[rows] - north, np.array(from_deg))
        counts.append(int(((along > 0) & (np.abs(across) < slope * along)).sum()))
    return np.array(counts, np.int64)


def lattice(from_us: int, to_us: int, *, finest_s: float = 5.0) -> tuple[Integers, int]:
    """(moments from the first to the last of a span, their spacing in µs), at most about 1,500 of them.

    Raises CannotError where the span is empty: it would begin after the run.
    """
    if from_us >= to_us:
        raise CannotError("the run ends before it begins")
    step_us = round(max(finest_s, (to_us - from_us) / US_PER_SECOND / _MOMENTS) * US_PER_SECOND)
    return np.arange(from_us, to_us + step_us, step_us, dtype=np.int64), step_us


def seconds(from_us: int, times_us: Integers) -> Floats:
    """Seconds since a moment."""
    since: Floats = (times_us - from_us) / US_PER_SECOND
    return since


def staged(
    stage: Stage,
    changes: Sequence[Made],
    centre: int | None,
    *,
    kind: str,
    category: Category,
    details: Mapping[str, float | str] = MappingProxyType({}),
    sigmas: float = SIGMAS,
) -> Staged:
    """Some changes with the truth about them, at those sensors alone that see them; these are reserved.

    centre: row of the sensor nearest to the cause; None for the one that sees most of it, by its own noise.

    The episode lasts from the first moment at which anything changes at one of them until the last at which one stands
    clear of its noise. Raises CannotError where none ever does while the run lasts.
    """
    kept, found = clear(stage, changes, sigmas=sigmas)
    if not kept:
        raise CannotError("it would be too weak for every sensor here, or the run ends before it is seen")
    from_us = max(stage.start_us, min(change.from_us for change in kept))
    if not showing(stage, found.rows, from_us, found.to_us):
        raise CannotError(TOO_SHORT)
    stage.reserve(found.rows)
    if centre is None:
        clearness = np.abs(found.peak) / np.maximum(stage.nature.noise(found.rows), 1e-9)
        centre = int(found.rows[clearness.argmax()])
    truth = episode(
        # of no more of the run than it takes: so what is short is told on a finer lattice
        replace(stage, start_us=from_us, end_us=min(stage.end_us, max(change.to_us for change in kept))),
        kept,
        centre,
        kind=kind,
        category=category,
        from_us=from_us,
        to_us=found.to_us,
        seen_by=found.rows,
        details=details,
    )
    return Staged(changes=kept, episodes=(truth,))


def free_rows(stage: Stage, wish: Wish, what: str, *quantities: str) -> list[int]:
    """The free rows of some quantities at the wished place. Raises CannotError saying that the city has no ``what``."""
    rows = stage.rows(*quantities)
    if not rows:
        raise CannotError(f"the city has no free {what}")
    return wanted(stage, rows, wish.place)


def both(one: Staged, other: Staged) -> Staged:
    """Two parts of one happening: what is told under several categories has an episode for each."""
    return Staged(**{part.name: getattr(one, part.name) + getattr(other, part.name) for part in fields(Staged)})
