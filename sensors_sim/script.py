"""The script of one run: where and when a seed lets things happen, and the truth about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.clock import US_PER_SECOND
from config.limits import Limit, Side
from config.vocabulary import Category, Severity
from sensors_sim.effects import Broken, Effect
from sensors_sim.faults.told import told
from sensors_sim.model import District
from sensors_sim.physics.events import creep, plateau, plume_lel, room_leak, smoke_spread
from sensors_sim.truth import Episode, Fault, FaultKind, Truth, on_duty

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FULL_MINUTES = 30.0
"""Length of the run for which the times below are written; a shorter run squeezes them all by the same factor."""
WARM_UP_S = 480.0
"""Normal life before anything but the leak happens."""
ROOM_M = 15.0
"""Gas sensors this close to a leak stand in the same room."""
LEAK = (360.0, 80.0, 320.0)
"""Seconds that gas leaks, time constants of filling and of airing (see ``room_leak``)."""
LEAK_LEL = 72.0
"""What the room would reach in the end, %LEL."""
LEAK_KG_S = 0.01
WIND_M_S = 9.0
SMOKE = (150.0, 720.0, 100.0)
"""Seconds of rise and of full strength, time constant of the fall (see ``plateau``)."""
SMOKE_UGM3 = {"pm25": 178.0, "pm10": 184.0}
"""Fine particles make nearly all of a smoke: coarse ones rise little beyond them."""
SMOKE_WIDTH_M = 700.0
SMOKE_REACH_M = 1_500.0
LEAN_MM_M = 7.0
LEAN_S = 900.0
CROWD_RISE_S = 150.0
CROWD_HOLD_S = 420.0
NOTICEABLE = {"pm25": 14.0, "pm10": 22.0, "ch4": 0.6, "tilt": 0.1, "people": 3.0}
"""An effect above this stands clear of a sensor's noise (about five standard deviations)."""
STUCK_QUANTITIES = ("pm25", "noise")
"""A temperature rests at one tenth of a degree for minutes while it is well: half an hour cannot tell the two apart."""
SILENT_INTERVAL_S = 120.0
"""Only a sensor that speaks at least this often can be missed within the run."""
STEP_S = 5
"""Spacing of the lattice on which the truth about limits is computed."""


@dataclass(frozen=True, slots=True)
class Script:
    """What will be done to the values, and the truth about it."""

    effects: tuple[Effect, ...]
    broken: tuple[Broken, ...]
    truth: Truth


@dataclass(slots=True)
class _Stage:
    """Everything the writer of a script needs, and what has been taken already."""

    city: City
    district: District
    rng: np.random.Generator
    start_us: int
    end_us: int
    squeeze: float
    taken: set[int]
    busy_grids: set[str]

    def rows(self, *quantities: str) -> list[int]:
        return [sensor.index for sensor in self.city.sensors if sensor.quantity in quantities]

    def pick(self, rows: Sequence[int]) -> int:
        """One of the rows, a free one in a grid where nothing else happens if there is any. Raises _CannotError."""
        free = [row for row in rows if row not in self.taken]
        if not free:
            raise _CannotError("every such sensor has a part in something else")
        calm = [row for row in free if self.city.sensors[row].grid not in self.busy_grids]
        choice = calm or free
        return choice[int(self.rng.integers(len(choice)))]

    def at(self, second: float, spread_s: float = 60.0) -> int:
        """A moment of the run: a second of the full-length plan and up to ``spread_s`` later."""
        late = float(self.rng.uniform(0, spread_s))
        return self.start_us + int((second + late) * self.squeeze) * US_PER_SECOND

    def distance(self, row: int, others: Integers) -> Floats:
        found: Floats = np.hypot(
            self.district.east[others] - self.district.east[row],
            self.district.north[others] - self.district.north[row],
        )
        return found

    def reserve(self, rows: Sequence[int]) -> None:
        self.taken.update(rows)
        self.busy_grids.update(self.city.sensors[row].grid for row in rows)


class _CannotError(Exception):
    """This city has no place for it; says why."""


def _first_passing(limit: Limit, values: Floats, step_s: float, interval_s: float) -> int | None:
    """Index at which the limit has been passed for as long as it asks (and one interval), None if never."""
    over = values >= limit.threshold
    need = max(1, int(np.ceil((limit.hold_s + interval_s) / step_s)))
    run = 0
    for index, is_over in enumerate(over):
        run = run + 1 if is_over else 0
        if run > need:
            return index
    return None


def _judge(stage: _Stage, effect: Effect) -> tuple[tuple[str, ...], int | None, Severity | None]:
    """Which sensors surely pass a HIGH limit for long enough, when the first must be raised, how grave it gets."""
    lattice = np.arange(stage.start_us, stage.end_us, STEP_S * US_PER_SECOND, dtype=np.int64)
    if not lattice.size or not effect.sensors.size:
        return (), None, None
    calm = np.array([stage.district.mean(effect.sensors, int(time)) for time in lattice])
    passed: list[str] = []
    moments: list[int] = []
    worst: list[Severity] = []
    for which, row in enumerate(effect.sensors):
        sensor = stage.city.sensors[int(row)]
        # a promise needs a margin: noise must not be able to break it
        margin = NOTICEABLE[sensor.quantity]
        values = calm[:, which] + effect.added(np.full(lattice.shape, which), lattice) - margin
        for limit in stage.city.limits.of(sensor.id, sensor.quantity):
            if limit.side is not Side.HIGH:
                continue
            index = _first_passing(limit, values, STEP_S, sensor.interval_s)
            if index is not None:
                passed.append(sensor.id)
                moments.append(int(lattice[index]))
                worst.append(limit.severity)
    return tuple(dict.fromkeys(passed)), min(moments, default=None), min(worst, default=None)


def _episode(stage: _Stage, effect: Effect, centre: int, *, name: str, category: Category, lasts_s: float) -> Episode:
    place = stage.city.sensors[centre]
    over, limit_us, severity = _judge(stage, effect)
    called_us = effect.onset_us if limit_us is None else limit_us
    reached = [stage.city.sensors[int(row)] for row in effect.sensors]
    lasting_us = int((lasts_s + float(effect.delay_s.max(initial=0))) * US_PER_SECOND)
    return Episode(
        name=name,
        category=category,
        lon=place.lon,
        lat=place.lat,
        grid=place.grid,
        from_us=effect.onset_us,
        to_us=min(stage.end_us, effect.onset_us + lasting_us),
        sensors=tuple(sensor.id for sensor in reached),
        over_limit=over,
        limit_us=limit_us,
        severity=severity,
        responsible=on_duty(stage.city, place.grid, called_us),
        responsible_at={sensor.id: on_duty(stage.city, sensor.grid, called_us) for sensor in reached},
    )


def _clear(stage: _Stage, effect: Effect) -> Effect:
    """The effect on those sensors where it stands clear of the noise."""
    noise = np.array([NOTICEABLE[stage.city.sensors[int(row)].quantity] for row in effect.sensors])
    keep = effect.gain >= noise
    return Effect(effect.sensors[keep], effect.gain[keep], effect.delay_s[keep], effect.onset_us, effect.course)


def _stage_leak(stage: _Stage, first_event_s: float) -> tuple[Effect, Episode]:
    rows = stage.rows("ch4")
    if not rows:
        raise _CannotError("the city has no ch4 sensor")
    victim = stage.pick(rows)
    others = np.array(rows, dtype=np.int64)
    away = stage.distance(victim, others)
    outside = np.minimum(plume_lel(away, leak_kg_s=LEAK_KG_S, wind_m_s=2.0), LEAK_LEL)
    gain = np.where(away <= ROOM_M, LEAK_LEL, outside)
    leak_s, fill_s, air_s = (seconds * stage.squeeze for seconds in LEAK)
    onset = stage.start_us + int(min(first_event_s, WARM_UP_S * stage.squeeze)) * US_PER_SECOND
    effect = _clear(
        stage,
        Effect(
            others,
            gain,
            away / 2.0 * (away > ROOM_M),
            onset,
            partial(room_leak, leak_s=leak_s, fill_s=fill_s, air_s=air_s),
        ),
    )
    stage.reserve([int(row) for row in effect.sensors])
    lasts = leak_s + 4.5 * air_s  # by then less than 1 %LEL is left
    return effect, _episode(stage, effect, victim, name="gas leak", category=Category.GAS_LEAK, lasts_s=lasts)


def _smoke_geometry(stage: _Stage, rows: Integers, centre: int, bearing: float) -> tuple[Floats, Floats]:
    """Share of the smoke and delay (s) at each row, for a source a little upwind of the place."""
    east = stage.district.east[rows] - stage.district.east[centre]
    north = stage.district.north[rows] - stage.district.north[centre]
    along = east * np.sin(bearing) + north * np.cos(bearing)
    across = east * np.cos(bearing) - north * np.sin(bearing)
    near = np.hypot(east, north) <= SMOKE_REACH_M
    share = np.where(near, smoke_spread(along, across, width_m=SMOKE_WIDTH_M), 0.0)
    return share, np.maximum(along + SMOKE_WIDTH_M, 0.0) / WIND_M_S


def _stage_smoke(stage: _Stage) -> tuple[Effect, Episode]:
    fine = [row for row in stage.rows("pm25") if row not in stage.taken]
    rows = np.array(stage.rows("pm25", "pm10"), dtype=np.int64)
    if len(fine) < 2:
        raise _CannotError(f"the city has {len(fine)} free pm25 sensors, at least 2 are needed")
    choice = [fine[index] for index in stage.rng.choice(len(fine), min(len(fine), 40), replace=False)]
    bearings = stage.rng.uniform(0, 2 * np.pi, 8)
    is_fine = np.array([stage.city.sensors[int(row)].quantity == "pm25" for row in rows])

    def reached(place: tuple[int, float]) -> int:
        share, _ = _smoke_geometry(stage, rows, *place)
        return min(int((share[is_fine] > 0.75).sum()), 8)

    centre, bearing = max(((row, float(turn)) for row in choice for turn in bearings), key=reached)
    share, delay = _smoke_geometry(stage, rows, centre, bearing)
    strength = np.array([SMOKE_UGM3[stage.city.sensors[int(row)].quantity] for row in rows])
    rise_s, hold_s, fall_s = (seconds * stage.squeeze for seconds in SMOKE)
    effect = _clear(
        stage,
        Effect(
            rows,
            strength * share,
            delay * stage.squeeze,
            stage.at(WARM_UP_S, 30),
            partial(plateau, rise_s=rise_s, hold_s=hold_s, fall_s=fall_s),
        ),
    )
    stage.reserve([int(row) for row in effect.sensors])
    lasts = rise_s + hold_s + 4 * fall_s
    return effect, _episode(stage, effect, centre, name="smoke", category=Category.AIR_POLLUTION, lasts_s=lasts)


def _stage_lean(stage: _Stage) -> tuple[Effect, Episode]:
    rows = stage.rows("tilt")
    if not rows:
        raise _CannotError("the city has no tilt sensor")
    victim = stage.pick(rows)
    all_rows = np.array(rows, dtype=np.int64)
    gain = np.where(stage.distance(victim, all_rows) <= ROOM_M, LEAN_MM_M, 0.0)
    course = partial(creep, duration_s=LEAN_S * stage.squeeze)
    effect = _clear(stage, Effect(all_rows, gain, np.zeros(len(rows)), stage.at(WARM_UP_S + 20), course))
    stage.reserve([int(row) for row in effect.sensors])
    lasts = (stage.end_us - effect.onset_us) / US_PER_SECOND
    return effect, _episode(
        stage, effect, victim, name="leaning building", category=Category.STRUCTURE_DANGER, lasts_s=lasts
    )


def _stage_crowd(stage: _Stage) -> tuple[Effect, Episode]:
    limits = {row: stage.city.limits.of(stage.city.sensors[row].id, "people") for row in stage.rows("people")}
    rows = [row for row, steps in limits.items() if steps]
    if not rows:
        raise _CannotError("the city has no camera with a limit on people")
    victim = stage.pick(rows)
    mildest = min(limits[victim], key=lambda limit: limit.threshold)
    hold_s = (CROWD_HOLD_S + mildest.hold_s) * stage.squeeze
    rise_s = CROWD_RISE_S * stage.squeeze
    effect = Effect(
        np.array([victim], dtype=np.int64),
        np.array([1.2 * mildest.threshold]),
        np.zeros(1),
        stage.at(WARM_UP_S + 60),
        partial(plateau, rise_s=rise_s, hold_s=hold_s, fall_s=rise_s / 2),
    )
    stage.reserve([victim])
    return effect, _episode(
        stage, effect, victim, name="crowd", category=Category.CROWD, lasts_s=rise_s + hold_s + 2 * rise_s
    )


def _fault(stage: _Stage, kind: FaultKind, row: int, from_us: int) -> tuple[Broken, Fault]:
    stage.reserve([row])
    (fault,) = told(stage.city, [(kind, row, from_us, stage.end_us)])
    return Broken(row, from_us, kind is FaultKind.SILENT), fault


def _stage_stuck(stage: _Stage) -> tuple[Broken, Fault]:
    rows = [row for row in stage.rows(*STUCK_QUANTITIES) if row not in stage.taken]
    if not rows:
        raise _CannotError(f"the city has no free sensor of {', '.join(STUCK_QUANTITIES)}")
    often = [row for row in rows if stage.city.sensors[row].interval_s <= SILENT_INTERVAL_S]
    return _fault(stage, FaultKind.STUCK, stage.pick(often or rows), stage.at(WARM_UP_S + 60))


def _stage_silent(stage: _Stage) -> tuple[Broken, Fault]:
    shared_boxes: dict[str, int] = {}
    for sensor in stage.city.sensors:
        shared_boxes[sensor.device] = shared_boxes.get(sensor.device, 0) + 1
    rows = [
        sensor.index
        for sensor in stage.city.sensors
        if sensor.interval_s <= SILENT_INTERVAL_S and sensor.index not in stage.taken
    ]
    if not rows:
        raise _CannotError(f"the city has no free sensor that speaks at least every {SILENT_INTERVAL_S:g} s")
    alone = [row for row in rows if shared_boxes[stage.city.sensors[row].device] == 1]
    return _fault(stage, FaultKind.SILENT, stage.pick(alone or rows), stage.at(WARM_UP_S + 90))


def write_script(
    city: City, district: District, seed: int, start_us: int, end_us: int, *, first_event_s: float = 120.0
) -> Script:
    """Decide what happens in a run: one each of leak, smoke, leaning building, crowd, stuck and silent sensor.

    All within the run, the leak from ``first_event_s`` (simulated seconds after the start), the others after a
    warm-up of about 8 minutes. No sensor has a part in two of them, and where the city is large enough no grid has.
    What the city has no place for is named in the truth's ``not_staged``.
    """
    minutes = (end_us - start_us) / (60 * US_PER_SECOND)
    stage = _Stage(
        city=city,
        district=district,
        rng=np.random.default_rng([seed, 2]),
        start_us=start_us,
        end_us=end_us,
        squeeze=min(1.0, minutes / FULL_MINUTES),
        taken=set(),
        busy_grids=set(),
    )
    effects: list[Effect] = []
    episodes: list[Episode] = []
    broken: list[Broken] = []
    faults: list[Fault] = []
    missing: list[tuple[str, str]] = []
    for name, happen in (
        ("gas leak", partial(_stage_leak, stage, first_event_s)),
        ("smoke", partial(_stage_smoke, stage)),
        ("leaning building", partial(_stage_lean, stage)),
        ("crowd", partial(_stage_crowd, stage)),
    ):
        try:
            effect, episode = happen()
        except _CannotError as error:
            missing.append((name, str(error)))
        else:
            effects.append(effect)
            episodes.append(episode)
    for kind, break_one in ((FaultKind.STUCK, _stage_stuck), (FaultKind.SILENT, _stage_silent)):
        try:
            damage, fault = break_one(stage)
        except _CannotError as error:
            missing.append((kind.value, str(error)))
        else:
            broken.append(damage)
            faults.append(fault)
    truth = Truth(city.version, seed, start_us, end_us, tuple(episodes), tuple(faults), tuple(missing))
    return Script(tuple(effects), tuple(broken), truth)
