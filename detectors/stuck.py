"""The same value again and again, for longer than this sensor has ever rested while it was well.

Every sensor rests at its own rate: a coarse one often, a gas sensor in clean air for months. A run of r unchanged
steps has the probability p**r where p is the sensor's own share of unchanged steps; because rests come in company,
the run must also be several times the longest one that ended by itself. A sensor that never varied is never judged.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from config.city import City
from config.vocabulary import Severity
from detectors.bank import NEVER, Column, Columns, Round, shown, shown_unit
from detectors.model import Condition, Nature, Phase, Reason, Verdict

LEAST_RUN = 18  # unchanged steps, however improbable fewer are
LEAST_US = 60_000_000  # and for at least a minute
LONGER_THAN_USUAL = 4.0  # times the longest run that ended by itself
SCORE = 6.0  # -log10 of the run's probability
LEARNED = 30.0  # changed steps that must have been seen before resting means anything
RECOVERY = 3  # changed steps that end it
MEMORY = 2000.0  # steps over which the share of unchanged ones is learned


class Stuck:
    """Finds frozen sensors."""

    name = "stuck"
    conditions = frozenset({Condition.STUCK})

    def __init__(self, city: City) -> None:
        self._city = city
        self._judged = np.array([not sensor.measures.steps for sensor in city.sensors], bool)
        # Resting at the end of the scale says nothing of the sensor: clean air, calm wind, an idle line, fog.
        self._floor = np.array([s.measures.low for s in city.sensors], float)
        self._ceiling = np.array([100.0 if s.quantity == "humidity" else s.measures.high for s in city.sensors], float)

    def columns(self) -> Mapping[str, Column]:
        """See Detector.columns."""
        return {
            "run": Column("i4"),  # unchanged steps until now
            "run_us": Column("i8", NEVER),  # event time of the run's first reading
            "longest": Column("f4", 4),  # longest run that ended by itself
            "share": Column("f4", 0.5),  # of unchanged steps
            "changed": Column("f4"),  # changed steps seen
            "active": Column("?"),
            "moving": Column("u1"),  # changed steps since it was raised
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
        longest, share, changed = state["longest"][sensor], state["share"][sensor], state["changed"][sensor]
        inside = (value > self._floor[sensor]) & (value < self._ceiling[sensor])
        now_run = np.where(same, run + 1, 0).astype(np.int32)
        run_us = np.where(same & (run > 0), state["run_us"][sensor], readings.previous_us[rows])
        score = now_run * -np.log10(np.clip(share, 0.05, 0.999))
        begins = (
            same
            & ~active
            & inside
            & (now_run >= np.maximum(LEAST_RUN, LONGER_THAN_USUAL * longest))
            & (score >= SCORE)
            & (changed >= LEARNED)
            & (event_us - run_us >= LEAST_US)
        )
        moving = np.where(active & ~same, state["moving"][sensor] + 1, np.where(active, state["moving"][sensor], 0))
        ends = active & (moving >= RECOVERY)
        # A run found stuck teaches only that this sensor may rest twice as long as was thought.
        learned = np.where(active | ~same, np.where(active & ends, 2 * longest, longest), longest)
        ended_run = np.where(~same & ~active & inside, run, 0)
        weight = np.where(active, 0.0, 1.0 / np.minimum(MEMORY, changed + 2))
        state["share"][sensor] = share + weight * (same - share)
        state["changed"][sensor] = np.minimum(changed + (~same & ~active), MEMORY)
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
            expected_low=-np.inf,
            expected_high=np.inf,
            since_us=since_us if begins else at_us,
            at_us=at_us,
            detector=self.name,
            reason=Reason("reason.stuck.raised" if begins else "reason.stuck.cleared", params),
        )

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        return ((int(sensor), Condition.STUCK) for sensor in np.flatnonzero(state["active"]))

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt. The next few changes of the value end it."""
        if condition is not Condition.STUCK or not self._judged[sensor]:
            return False
        state["active"][sensor] = True
        return True
