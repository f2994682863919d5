"""Water where it should not be: an underpass fills while its pump stands still, a pipe bursts."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.vocabulary import Category
from sensors_sim.changes import Added, Made, Traced
from sensors_sim.happenings.common import away_m, event, knows, option
from sensors_sim.happenings.places import free_rows
from sensors_sim.physics.water import jet_m3_s, pond_m3, routed, runoff_m3_s, sag_depth_m
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GRADIENT = 0.04
"""Slope of an underpass's ramps; CJJ 37-2012 allows cities 3 to 5 %."""
ROAD_M = 14.0
DEEPEST_M = 4.0
"""Higher than that it runs on into the next street."""
RUNS_OFF = 0.9
CATCHMENT_M2 = (4_000.0, 12_000.0)
CATCHMENT_MEMORY_S = 480.0
"""The ramps and the next roofs: rain is down in 5 to 10 minutes (GB 50014-2021, 4.1: inlet time)."""
PUMP_MM_H = 90.0
"""Rain that the pump station carries off: about the worst hour of 20 to 30 years (GB 50014-2021, table 4.1.3)."""
PUMP_START_M = 0.05
REPAIR_S = 2 * 3600.0
STEP_S = 30.0
STEPS = 20_000

HOLE_M2 = 4e-4
"""A finger-long split of 4 cm2 in the service pipe of a building."""
HEAD_M = 28.0
"""Pressure of city mains, 0.28 MPa: what six storeys need (GB 50015-2019)."""
OPENS_S = 30.0
CLOSES_S = 180.0
BURST_S = 2 * 3600.0
RUNS_TO_M = 300.0
RUNS_SHARE = 0.4
"""The rest goes into gullies and the ground."""


def _lattice(from_us: int, to_us: int) -> tuple[Integers, int]:
    step_us = round(max(STEP_S, (to_us - from_us) / US_PER_SECOND / STEPS) * US_PER_SECOND)
    return np.arange(from_us, to_us + step_us, step_us, dtype=np.int64), step_us


def _wet_moment(stage: Stage, wish: Wish) -> int:
    """When the pump fails: as wished, else some minutes before the rain of the run is half as hard as it gets."""
    if wish.at_s is not None:
        return stage.onset_us(wish)
    times, _ = _lattice(stage.start_us, stage.end_us - 1)
    rain = stage.weather.rain_mm_h(times)
    hard = times[int(np.argmax(rain >= max(0.5 * float(rain.max(initial=0.0)), 0.1)))]
    early_us = int(stage.rng.uniform(60, 1200)) * US_PER_SECOND
    return max(stage.start_us, int(hard) - early_us)


def flood(stage: Stage, wish: Wish) -> Staged:
    """The pump of an underpass stands still while it rains, and water rises by what its catchment sends.

    ``lasts``: until the pump is repaired (2 h); then it is pumped dry. strength: times the catchment. Options:
    ``catchment_m2``, ``pump_mm_h``. The rain is the run's own: without enough of it there is no flood.
    """
    knows(wish, "catchment_m2", "pump_mm_h")
    row = stage.pick(free_rows(stage, wish, "water_level sensor", "water_level"))
    catchment_m2 = option(wish, "catchment_m2", float(stage.rng.uniform(*CATCHMENT_M2))) * wish.strength
    fails_us = _wet_moment(stage, wish)
    repaired_us = fails_us + stage.lasts_us(wish, REPAIR_S)
    times, step_us = _lattice(fails_us, stage.end_us)
    step_s = step_us / US_PER_SECOND
    memory = max(1, round(4 * CATCHMENT_MEMORY_S / step_s))
    before = fails_us - step_us * np.arange(memory, 0, -1, dtype=np.int64)
    rain = stage.weather.rain_mm_h(np.concatenate((before, times)))
    inflow = runoff_m3_s(rain, catchment_m2=catchment_m2, runs_off=RUNS_OFF)
    inflow = routed(inflow, step_s=step_s, memory_s=CATCHMENT_MEMORY_S)[memory:]
    pump = float(runoff_m3_s(np.array(option(wish, "pump_mm_h", PUMP_MM_H)), catchment_m2=catchment_m2, runs_off=1.0))
    volume = pond_m3(
        inflow,
        np.where(times < repaired_us, 0.0, pump),
        step_s=step_s,
        starts_m3=0.0,
        most_m3=ROAD_M * DEEPEST_M**2 / GRADIENT,
    )
    depth = sag_depth_m(volume, gradient=GRADIENT, width_m=ROAD_M)
    if float(depth.max(initial=0.0)) < 5 * float(stage.nature.noise(np.array([row]))[0]):
        raise CannotError("too little rain falls in this run: the underpass stays dry even without its pump")
    change = Traced(np.array([row], np.int64), depth[:, None], step_us, fails_us, stage.end_us)
    details = {
        "deepest_m": round(float(depth.max()), 3),
        "catchment_m2": round(catchment_m2),
        "rain_mm": round(float(rain[memory:].sum() * step_s / 3600), 1),
        "repaired_s": (min(repaired_us, stage.end_us) - stage.start_us) / US_PER_SECOND,
    }
    return event(stage, (change,), row, kind="flood", category=Category.FLOODING, details=details)


def _burst(elapsed_s: Floats, *, lasts_s: float) -> Floats:
    """Opens within half a minute, runs, and is shut by hand turn by turn."""
    value: Floats = np.minimum(elapsed_s / OPENS_S, 1.0) * np.clip((lasts_s - elapsed_s) / CLOSES_S + 1, 0.0, 1.0)
    return value


def burst_pipe(stage: Stage, wish: Wish) -> Staged:
    """The service pipe of a building bursts behind its meter: the flow jumps, the next low place gets some of it.

    ``lasts``: until somebody shuts the valve (2 h). strength: times the hole; option ``hole_cm2``.
    """
    knows(wish, "hole_cm2")
    row = stage.pick(free_rows(stage, wish, "water_flow sensor", "water_flow"))
    hole_m2 = option(wish, "hole_cm2", HOLE_M2 * 1e4) / 1e4 * wish.strength
    flow_m3_s = jet_m3_s(hole_m2, head_m=HEAD_M)
    from_us, lasts_s = stage.onset_us(wish), stage.lasts_us(wish, BURST_S) / US_PER_SECOND
    to_us = min(stage.end_us, from_us + round((lasts_s + CLOSES_S) * US_PER_SECOND))
    course = partial(_burst, lasts_s=lasts_s)
    gain = np.array([flow_m3_s * 3600])
    changes: list[Made] = [Added(np.array([row], np.int64), gain, np.zeros(1), from_us, to_us, course)]
    low = [near for near in stage.rows("water_level") if away_m(stage.world, row, near) <= RUNS_TO_M]
    if low:
        lowest = min(low, key=lambda near: away_m(stage.world, row, near))
        times, step_us = _lattice(from_us, stage.end_us)
        since_s = (times - from_us) / US_PER_SECOND - away_m(stage.world, row, lowest)  # water runs at about 1 m/s
        inflow = RUNS_SHARE * flow_m3_s * np.where(since_s > 0, course(np.maximum(since_s, 0.0)), 0.0)
        pump = runoff_m3_s(np.array(PUMP_MM_H), catchment_m2=CATCHMENT_M2[0], runs_off=1.0)
        volume = pond_m3(
            inflow,
            np.full(inflow.shape, float(pump)),
            step_s=step_us / US_PER_SECOND,
            starts_m3=ROAD_M * PUMP_START_M**2 / GRADIENT,
            most_m3=ROAD_M * DEEPEST_M**2 / GRADIENT,
        )
        depth = sag_depth_m(volume, gradient=GRADIENT, width_m=ROAD_M)
        changes.append(Traced(np.array([lowest], np.int64), depth[:, None], step_us, from_us, stage.end_us))
    details = {"flow_m3_h": round(flow_m3_s * 3600, 2), "hole_cm2": round(hole_m2 * 1e4, 2)}
    return event(stage, changes, row, kind="burst_pipe", category=Category.WATER_SUPPLY, details=details)
