"""The same value again and again, for longer than this sensor has ever rested while it was well.

Every sensor rests at its own rate: a coarse one often, a gas sensor in clean air for months. A run of r unchanged
steps has the probability p**r where p is the sensor's own share of unchanged steps in runs that ended; because rests
come in company, the run must also be several times the longest one that ended by itself. A sensor that never varied
is never judged.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from config.city import City, Sensor
from config.vocabulary import Kind, Severity
from detectors.bank import NEVER, Column, Columns, Round, shown, shown_unit
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from detectors.traits import TRAITS
from ingest.model import Bools, Float64s, Int64s

LEAST_RUN = 15  # unchanged steps, however improbable fewer are
LEAST_US = 60_000_000  # and for at least a minute
LONGER_THAN_USUAL = 4.0  # times the longest run that ended by itself
FORBEARANCE = 1.25  # factor on that longest run after one that was called stuck
SCORE = 6.0  # -log10 of the run's probability
LEARNED = 5.0  # changed steps that must have been seen before resting means anything
ONE_STEP = 1.9  # mean by smallest change below which a sensor is too coarse to show its own scatter;
STEP_SHARE = 1 / 3  # and that change at least this share of all (few moves may be small by chance)
COARSE_RUN, COARSE_MOVES = 60, 30.0  # such a one must rest longer, and be known better
RECOVERY = 3  # changed steps, or ones that rest where showing nothing is no wonder, that end it
MEMORY = 2000.0  # steps seen after which the older half counts half


def _nothing(sensor: Sensor) -> float:
    """The value up to which a sensor shows nothing at all."""
    quantity, trait = sensor.measures, TRAITS.get(sensor.quantity)
    starts_at_nothing = quantity.low == 0 or quantity.kind is Kind.GAS
    return max(quantity.low, 0.0) + trait.floor if trait and starts_at_nothing else quantity.low


class Stuck:
    """Finds frozen sensors."""

    name = "stuck"
    conditions = frozenset({Condition.STUCK})

    def __init__(self, city: City) -> None:
        self._city = city
        self._judged = np.array([not sensor.measures.steps for sensor in city.sensors], bool)
        # Resting at the end of the scale, within the instrument's accuracy of nothing, says nothing of the sensor:
        # clean air, calm wind, an idle line, fog.
        self._floor = np.array([_nothing(sensor) for sensor in city.sensors], float)
        low = np.array([sensor.measures.low for sensor in city.sensors], float)
        self._quiet = np.where(self._floor > low, self._floor, -np.inf)  # a scale's cold end is no clean air
        self._ceiling = np.array([100.0 if s.quantity == "humidity" else s.measures.high for s in city.sensors], float)

    def columns(self) -> Mapping[str, Column]:
        """See Detector.columns."""
        return {
            "run": Column("i4"),  # unchanged steps until now
            "run_us": Column("i8", NEVER),  # event time of the run's first reading
            "longest": Column("f4", 3, learned=True),  # longest run that ended by itself
            "rests": Column("f4", learned=True),  # unchanged steps in runs that ended by themselves
            "moves": Column("f4", learned=True),  # changed steps
            "travel": Column("f4", learned=True),  # sum of the sizes of the changed steps
            "finest": Column("f4", 3e38, learned=True),  # the smallest of them
            "fine": Column("f4", learned=True),  # how many of them were of that size
            "lowest": Column("f4", 3e38, learned=True),  # the lowest value seen
            "visits": Column("u1", learned=True),  # times it came back there
            "active": Column("?"),
            "moving": Column("u1"),  # steps since it was raised that speak for its being well
        }

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """See Detector.judge."""
        del shared
        rows = np.flatnonzero(self._judged[readings.sensor] & ~readings.first)
        if not len(rows):
            return ()
        sensor, value, event_us = readings.sensor[rows], readings.value[rows], readings.event_us[rows]
        same = value == readings.previous[rows]
        run, active = state["run"][sensor], state["active"][sensor]
        longest, rests, moves = state["longest"][sensor], state["rests"][sensor], state["moves"][sensor]
        share = (rests + 1) / (rests + moves + 2)  # as if one step of each kind had been seen before
        coarse = self._coarse(state, sensor, value, np.abs(value - readings.previous[rows]))
        least_run, least_moves = np.where(coarse, COARSE_RUN, LEAST_RUN), np.where(coarse, COARSE_MOVES, LEARNED)
        inside = (value > self._floor[sensor]) & (value < self._ceiling[sensor])
        now_run = np.where(same, run + 1, 0).astype(np.int32)
        run_us = np.where(same & (run > 0), state["run_us"][sensor], readings.previous_us[rows])
        score = now_run * -np.log10(np.clip(share, 0.05, 0.9999))
        begins = (
            same
            & ~active
            & inside
            & (now_run >= np.maximum(least_run, LONGER_THAN_USUAL * longest))
            & (score >= SCORE)
            & (moves >= least_moves)
            & (event_us - run_us >= LEAST_US)
        )
        # Nothing is called stuck at the quiet end, so a value there is another one than the one it was stuck at.
        well = ~same | (value <= self._quiet[sensor])
        moving = np.where(active, state["moving"][sensor] + well, 0)
        ends = active & (moving >= RECOVERY)
        # A run found stuck teaches only that this sensor may rest a little longer than was thought.
        learned = np.where(ends, FORBEARANCE * longest, longest)
        ended_run = np.where(~same & ~active & inside, run, 0)
        learns = ~same & ~active
        fade = np.where(rests + moves > MEMORY, 0.5, 1.0)
        state["rests"][sensor] = np.where(learns, (rests + run) * fade, rests)
        state["moves"][sensor] = np.where(learns, (moves + 1) * fade, moves)
        for name in ("travel", "fine"):
            state[name][sensor] = np.where(learns, state[name][sensor] * fade, state[name][sensor])
        state["longest"][sensor] = np.maximum(learned, ended_run)
        state["run"][sensor] = now_run
        state["run_us"][sensor] = run_us
        state["moving"][sensor] = np.where(begins | ends, 0, moving)
        state["active"][sensor] = (active | begins) & ~ends
        return [
            self._verdict(
                int(sensor[i]), begins=bool(begins[i]), run=int(now_run[i]), score=float(score[i]),
                value=float(value[i]), since_us=int(run_us[i]), at_us=int(event_us[i]),
            )
            for i in np.flatnonzero(begins | ends)
        ]  # fmt: skip

    def _coarse(self, state: Columns, sensor: Int64s, value: Float64s, change: Float64s) -> Bools:
        """Whether resting is likely because the sensor tells too little, and note the change.

        It moves by one and the same smallest step, so between two steps it must rest; or it is back at the least it
        can tell (a detection limit), where it has been before.
        """
        lowest, shown_value = state["lowest"][sensor], value.astype(np.float32)
        visits, moved = state["visits"][sensor], change > 0
        state["visits"][sensor] = visits = np.where(
            shown_value < lowest, 1, np.minimum(visits + (moved & (shown_value == lowest)), 9)
        )
        state["lowest"][sensor] = lowest = np.minimum(lowest, shown_value)
        learns = moved & ~state["active"][sensor]
        before, fine = state["finest"][sensor], state["fine"][sensor]
        finer, same_step = learns & (change < 0.99 * before), learns & (np.abs(change - before) <= 0.01 * before)
        state["fine"][sensor] = fine = np.where(finer, 1, fine + same_step)
        state["finest"][sensor] = finest = np.where(finer, change, before)
        state["travel"][sensor] = travel = state["travel"][sensor] + np.where(learns, change, 0)
        moves = state["moves"][sensor] + learns
        one_step = (travel < ONE_STEP * finest * moves) & (fine > STEP_SHARE * moves)
        return np.asarray(one_step | ((shown_value == lowest) & (visits >= 2)))

    def _verdict(
        self, sensor: int, *, begins: bool, run: int, score: float, value: float, since_us: int, at_us: int
    ) -> Verdict:
        minutes = max(1, round((at_us - since_us) / 60e6))
        unit = shown_unit(self._city.sensors[sensor].unit)
        params = {"value": shown(value), "unit": unit, "readings": run + 1, "minutes": minutes}
        return Verdict(
            sensor=sensor,
            condition=Condition.STUCK,
            phase=Phase.RAISED if begins else Phase.CLEARED,
            nature=Nature.FAULT,
            severity=Severity.GENERAL,
            score=score if begins else 0.0,
            value=value,
            expected_low=self._city.sensors[sensor].measures.low,
            expected_high=self._city.sensors[sensor].measures.high,
            since_us=since_us if begins else at_us,
            at_us=at_us,
            detector=self.name,
            reason=Reason("reason.stuck.raised" if begins else "reason.stuck.cleared", params),
        )

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        return ((int(sensor), Condition.STUCK) for sensor in np.flatnonzero(state["active"]))

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt. The next few changes of the value end it, or a rest at the quiet end."""
        if condition is not Condition.STUCK or not self._judged[sensor]:
            return False
        state["active"][sensor] = True
        return True
