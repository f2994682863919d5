"""What happens to buildings, walls and bridges: the ground sinks, a house leans, a crack opens."""

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.vocabulary import Category
from sensors_sim.changes import Added
from sensors_sim.happenings.common import TOO_SHORT, by_quantity, choice, event, knows, option, showing
from sensors_sim.happenings.places import free_rows, of, same_building, wanted
from sensors_sim.physics.ground import (
    accelerating,
    andrade,
    consolidation,
    trough_curvature,
    trough_mm,
    trough_slope_mm_m,
    trough_strain,
)
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Softening, Stage, Staged, episode
from sensors_sim.world import World

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DAY_S = 86_400.0

DEEPEST_MM = 60.0
"""Final settlement in the middle at strength 1. Metro works are stopped at 10 to 30 mm (GB 50911-2013, ch. 9)."""
DEPTH_M = 30.0
TROUGH_K = 0.5
"""Trough width over depth, i = K z: 0.4 stiff to 0.6 soft clay (O'Reilly and New 1982; Mair and Taylor 1997)."""
TUNNEL_M = 160.0
"""So much of the tunnel's length drains the ground."""
CV_M2_YEAR = 5.0
DRAINAGE_M = 1.0
"""A silty clay with a drain above and below 2 m of it: half of the settlement within two weeks."""
RAMP_DAYS = 10.0
"""A tunnel's face takes days to pass, a leak to grow, and the ground water to fall: so the load comes bit by bit."""
STOREY_M = 3.0
HOUSE_M = 20.0
TRANSFERRED = 0.1
"""Share of the ground's strain that a house on strip footings takes (Potts and Addenbrooke 1997: 0 to 0.2)."""

LEAN_MM_M = 7.0
LEAN_USUAL_S = 6 * 3600.0
HALF_WIDTH_M = 5.0
"""From the middle of a house to the wall with the settlement mark."""
TEARS_MM_PER_MM_M = 0.3
"""A crack between the leaning house and the next one opens so far, of the metre or so over which they touch."""

CRACK_MM = 1.5
CRACK_STEP = 0.4
CRACK_USUAL_S = DAY_S

STIFFNESS_LOST = 0.25
"""Share of its stiffness that a structure loses at strength 1: a pier that is washed free, a column that cracks."""
STIFFNESS_USUAL_S = 6 * 3600.0
FREQUENCY_FALLS = 0.03
"""By so much must a modal frequency fall to stand clear of a day's temperature (0.2 % per kelvin: Peeters and De Roeck
2001) and of the error of its estimate from some bursts (1 to 2 % of one burst of seconds: Gersch 1974)."""


def _normal(values: Floats) -> Floats:
    """The standard normal distribution function."""
    return np.array([0.5 + 0.5 * math.erf(value / math.sqrt(2)) for value in values.tolist()], np.float64)


def _crack_mm(across_m: Floats, high_m: Floats, deepest_mm: float, inflexion_m: float) -> Floats:
    """How far a house's worst crack opens: the greatest tension along its length, gathered in one crack.

    Tension of the ground and of bending over half its height (Burland and Wroth 1974), of which it takes its part.
    """
    along = across_m[:, None] + np.linspace(-HOUSE_M / 2, HOUSE_M / 2, 9)
    tension = trough_strain(along, deepest_mm=deepest_mm, inflexion_m=inflexion_m, depth_m=DEPTH_M)
    bending = trough_curvature(along, deepest_mm=deepest_mm, inflexion_m=inflexion_m) * high_m[:, None] / 2
    worst = np.maximum(tension + bending, 0.0).max(axis=1)
    value: Floats = TRANSFERRED * worst * HOUSE_M * 1000
    return value


def _heights_m(world: World, rows: Integers) -> Floats:
    floors = np.append(world.plan.floors, 1)
    return floors[world.building[rows]] * STOREY_M


def _sinking(
    world: World, rows: Integers, across_m: Floats, share: Floats, *, deepest_mm: float, inflexion_m: float
) -> Floats:
    """Final change of every sensor, in its unit. share: how much of the trough reaches it along the tunnel."""
    names = world.city.columns.quantity.names
    codes = world.city.columns.quantity.code[rows]
    settled = trough_mm(across_m, deepest_mm=deepest_mm, inflexion_m=inflexion_m)
    sloping = trough_slope_mm_m(across_m, deepest_mm=deepest_mm, inflexion_m=inflexion_m)
    torn = _crack_mm(across_m, _heights_m(world, rows), deepest_mm, inflexion_m)
    kinds = {"settlement": settled, "tilt": sloping, "crack": torn}
    found = np.zeros(len(rows))
    for name, values in kinds.items():
        mine = codes == (names.index(name) if name in names else -1)
        found[mine] = values[mine] * share[mine]
    return found


def subsidence(stage: Stage, wish: Wish) -> Staged:
    """The ground sinks over a tunnel (option ``cause: tunnel``) or a leak that washes it out (``cause: leak``).

    Options: ``deepest_mm``, ``cv_m2_year`` and ``drainage_m`` of the clay, ``ramp_days`` in which the load comes.
    Settlement, tilt and cracks of the houses within, each its share, grow by consolidation over weeks, to the end.
    """
    knows(wish, "cause", "deepest_mm", "cv_m2_year", "drainage_m", "ramp_days")
    free = stage.rows("settlement") or stage.rows("tilt", "crack")
    if not free:
        raise CannotError("the city has no free sensor of settlement, tilt or crack")
    centre = stage.pick(wanted(stage, free, wish.place))
    cause = choice(wish, "cause", ("tunnel", "leak"))
    deepest = option(wish, "deepest_mm", DEEPEST_MM) * wish.strength
    width = TROUGH_K * DEPTH_M
    world = stage.world
    bearing = float(stage.rng.uniform(0, 2 * np.pi))
    beside = float(stage.rng.uniform(0.6, 1.2)) * width  # where the slope is: that is where houses suffer
    rows = np.array(stage.rows("settlement", "tilt", "crack"), np.int64)
    east, north = world.east[rows] - world.east[centre], world.north[rows] - world.north[centre]
    across = east * np.cos(bearing) - north * np.sin(bearing) + beside
    along = east * np.sin(bearing) + north * np.cos(bearing)
    if cause == "tunnel":
        # The ends of a trough are those of a normal distribution (Attewell and Woodman 1982).
        share = _normal((along + TUNNEL_M / 2) / width) - _normal((along - TUNNEL_M / 2) / width)
    else:
        across, share = np.hypot(across, along), np.ones(len(rows))
    gain = _sinking(world, rows, across, share, deepest_mm=deepest, inflexion_m=width)
    felt = gain >= 0.2 * stage.nature.noise(rows)
    course = partial(
        consolidation,
        cv_m2_year=option(wish, "cv_m2_year", CV_M2_YEAR),
        drainage_m=option(wish, "drainage_m", DRAINAGE_M),
        ramp_s=option(wish, "ramp_days", RAMP_DAYS) * DAY_S,
    )
    change = Added(rows[felt], gain[felt], np.zeros(int(felt.sum())), stage.onset_us(wish), stage.end_us, course)
    details: dict[str, float | str] = {
        "cause": cause,
        "deepest_mm": round(deepest, 1),
        "trough_m": width,
        "beside_m": round(beside, 1),
        "began_s": (change.from_us - stage.start_us) / US_PER_SECOND,
    }
    return event(stage, (change,), centre, kind="subsidence", category=Category.STRUCTURE_DANGER, details=details)


def leaning_building(stage: Stage, wish: Wish) -> Staged:
    """A house leans faster and faster until it is propped; its cracks open and its wall sinks with it.

    ``lasts``: until it would fall (6 h). Strength 1 is 7 mm/m in the end.
    """
    knows(wish)
    centre = stage.pick(free_rows(stage, wish, "tilt sensor", "tilt"))
    lean = LEAN_MM_M * wish.strength
    rows = of(stage, same_building(stage.world, centre), "tilt", "crack", "settlement")
    gains = {"tilt": lean, "crack": lean * TEARS_MM_PER_MM_M, "settlement": lean * HALF_WIDTH_M}
    failure_s = stage.lasts_us(wish, LEAN_USUAL_S) / US_PER_SECOND
    change = Added(
        rows,
        by_quantity(stage.world, rows, gains),
        np.zeros(len(rows)),
        stage.onset_us(wish),
        stage.end_us,
        partial(accelerating, failure_s=failure_s),
    )
    details = {"lean_mm_m": round(lean, 2), "would_fall_after_s": failure_s}
    return event(stage, (change,), centre, kind="leaning_building", category=Category.STRUCTURE_DANGER, details=details)


def crack_opens(stage: Stage, wish: Wish) -> Staged:
    """A crack opens with a step, as under a load, and creeps on; strength 1 is 1.5 mm in the end.

    ``lasts``: until it hardly moves (a day); it stays open.
    """
    knows(wish)
    centre = stage.pick(free_rows(stage, wish, "crack sensor", "crack"))
    opened = CRACK_MM * wish.strength
    course = partial(andrade, step=CRACK_STEP, span_s=stage.lasts_us(wish, CRACK_USUAL_S) / US_PER_SECOND)
    change = Added(
        np.array([centre], np.int64), np.array([opened]), np.zeros(1), stage.onset_us(wish), stage.end_us, course
    )
    details = {"opened_mm": round(opened, 3)}
    return event(stage, (change,), centre, kind="crack_opens", category=Category.STRUCTURE_DANGER, details=details)


def stiffness_loss(stage: Stage, wish: Wish) -> Staged:
    """A bridge or house loses stiffness within ``lasts`` (6 h), and its modal frequencies fall with the root of it.

    Strength 1 is a quarter of the stiffness: an eighth of the frequency. How strongly it shakes stays the same: only
    who looks at the frequency of the bursts, and knows the temperature, can find it.
    """
    knows(wish)
    centre = stage.pick(free_rows(stage, wish, "accelerometer", "vibration"))
    lost = min(STIFFNESS_LOST * wish.strength, 0.9)
    rows = of(stage, same_building(stage.world, centre), "vibration")
    from_us, over_us = stage.onset_us(wish), stage.lasts_us(wish, STIFFNESS_USUAL_S)
    noticed = (1 - (1 - FREQUENCY_FALLS) ** 2) / lost  # share of the way at which the root has fallen so far
    seen_us = from_us + math.ceil(noticed * over_us)
    if noticed > 1 or seen_us >= stage.end_us:
        raise CannotError(f"the frequency falls by less than {100 * FREQUENCY_FALLS:g} % while the run lasts")
    if not showing(stage, rows, seen_us, stage.end_us):
        raise CannotError(TOO_SHORT)
    stage.reserve(rows)
    told = episode(
        stage,
        (),
        centre,
        kind="stiffness_loss",
        category=Category.STRUCTURE_DANGER,
        from_us=seen_us,
        to_us=stage.end_us,
        seen_by=rows,
        details={"stiffness_left": round(1 - lost, 3), "frequency_left": round(math.sqrt(1 - lost), 3)},
    )
    return Staged(episodes=(told,), softenings=(Softening(rows, from_us, over_us, 1 - lost),))
