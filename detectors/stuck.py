"""The same value again and again, for longer than this sensor has ever rested while it was well.

Every sensor rests at its own rate: a coarse one often, a gas sensor in clean air for months. A run of r unchanged
steps has the probability p**r where p is the sensor's own share of unchanged steps in runs that ended; because rests
come in company, the run must also be several times the longest one that ended by itself. A sensor that never varied
is never judged.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from config.city import City
from config.quantities import Quantity
from config.vocabulary import Kind, Severity
from detectors.bank import NEVER, Column, Columns, Detector, Round, chosen, holds, rows_of, shown, shown_unit
from detectors.kinds import Kinds
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from detectors.traits import TRAITS
from ingest.model import Bools, Float64s, Int32s, Int64s

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


def _nothing(quantity: Quantity) -> float:
    """The value up to which a sensor shows nothing at all."""
    trait = TRAITS.get(quantity.name)
    starts_at_nothing = quantity.low == 0 or quantity.kind is Kind.GAS
    return max(quantity.low, 0.0) + trait.floor if trait and starts_at_nothing else quantity.low


class Stuck(Detector):
    """Finds frozen sensors."""

    name = "stuck"
    conditions = frozenset({Condition.STUCK})

    def __init__(self, city: City, kinds: Kinds | None = None) -> None:
        kinds = kinds or Kinds(city)
        self._city = city
        self.judges = kinds.column(kinds.which(lambda quantity: not quantity.steps))
        # Resting at the end of the scale, within the instrument's accuracy of nothing, says nothing of the sensor:
        # clean air, calm wind, an idle line, fog.
        self._floor = kinds.each(_nothing)
        low = kinds.each(lambda quantity: quantity.low)
        self._quiet = np.where(self._floor > low, self._floor, -np.inf)  # a scale's cold end is no clean air
        self._ceiling = kinds.each(lambda quantity: 100.0 if quantity.name == "humidity" else quantity.high)

    def columns(self) -> Mapping[str, Column]:
        """See Detector.columns."""
        return {
            "run": Column("i4"),  # unchanged steps until now
            "run_us": Column("i8", NEVER, rare=True),  # event time of the first reading of the latest run
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
        rows = chosen(~readings.first)
        if isinstance(rows, np.ndarray):
            if not len(rows):
                return ()
            kept = [name for name, column in self.columns().items() if not column.rare]
            part = {name: state[name][rows] for name in kept} | {"run_us": state["run_us"]}
            found = self._judge(part, readings.some(rows))
            for name in kept:
                state[name][rows] = part[name]
            return found
        return self._judge(state, readings)

    def _judge(self, state: Columns, readings: Round) -> list[Verdict]:
        """Readings that have one before them."""
        change = np.abs(readings.value - readings.previous)
        same, active, run = change == 0, state["active"].copy(), state["run"].copy()
        self._note_lowest(state, readings.value, same)
        rests = holds(same)
        if rests:
            begun = rows_of(same & (run == 0))
            state["run_us"][readings.sensor[begun]] = readings.previous_us[begun]
        begins, score = self._begins(state, readings, rows_of(same & ~active & (run >= LEAST_RUN - 1)))
        self._learn(state, readings, change, run=run, learns=~(same | active))
        if rests or np.count_nonzero(run):
            state["run"][...] = np.where(same, run + 1, 0)
        ends = self._ends(state, readings, same, rows_of(active))
        state["active"][begins], state["active"][ends] = True, False
        told = np.concatenate((begins, ends))
        order = np.argsort(told)
        stood = state["run_us"][readings.sensor[told]]
        since_us = np.where(same[told] & (run[told] > 0), stood, readings.previous_us[told])
        return [
            self._verdict(
                int(readings.sensor[row]), begins=bool(i < len(begins)), run=int(run[row] + 1) if same[row] else 0,
                score=float(score[i]) if i < len(begins) else 0.0, value=float(readings.value[row]),
                since_us=int(since_us[i]), at_us=int(readings.event_us[row]),
            )
            for i, row in zip(order.tolist(), told[order].tolist(), strict=True)
        ]  # fmt: skip

    def _begins(self, state: Columns, readings: Round, rows: Int64s) -> tuple[Int64s, Float64s]:
        """Of some readings that rest long, those that rest too long, and how unlikely each is."""
        if not len(rows):
            return rows, np.empty(0)
        value, kind, run = readings.value[rows], readings.kind[rows], state["run"][rows] + 1
        longest, rests, moves = state["longest"][rows], state["rests"][rows], state["moves"][rows]
        share = (rests + 1) / (rests + moves + 2)  # as if one step of each kind had been seen before
        coarse = self._coarse(state, value, rows)
        least_run, least_moves = np.where(coarse, COARSE_RUN, LEAST_RUN), np.where(coarse, COARSE_MOVES, LEARNED)
        score = run * -np.log10(np.clip(share, 0.05, 0.9999))
        since_us = state["run_us"][readings.sensor[rows]]
        begins = (
            (value > self._floor[kind])
            & (value < self._ceiling[kind])
            & (run >= np.maximum(least_run, LONGER_THAN_USUAL * longest))
            & (score >= SCORE)
            & (moves >= least_moves)
            & (readings.event_us[rows] - since_us >= LEAST_US)
        )
        return rows[begins], np.asarray(score[begins], np.float64)

    def _ends(self, state: Columns, readings: Round, same: Bools, rows: Int64s) -> Int64s:
        """Of the ones that stand, those that are well again."""
        if not len(rows):
            return rows
        # Nothing is called stuck at the quiet end, so a value there is another one than the one it was stuck at.
        well = ~same[rows] | (readings.value[rows] <= self._quiet[readings.kind[rows]])
        moving = state["moving"][rows] + well
        ends = moving >= RECOVERY
        state["moving"][rows] = np.where(ends, 0, moving)
        # A run found stuck teaches only that this sensor may rest a little longer than was thought.
        state["longest"][rows[ends]] *= FORBEARANCE
        return rows[ends]

    def _learn(self, state: Columns, readings: Round, change: Float64s, *, run: Int32s, learns: Bools) -> None:
        """What a changed step teaches: that it moves, how far, and for how long it rested before."""
        if not holds(learns):
            return
        before, moves = state["finest"], state["moves"].copy()
        close = rows_of(learns & (change < 1.02 * before))
        if len(close):
            finest, step = before[close], change[close]
            finer, same_step = step < 0.99 * finest, np.abs(step - finest) <= 0.01 * finest
            state["fine"][close] = np.where(finer, 1, state["fine"][close] + same_step)
            state["finest"][close] = np.where(finer, step, finest)
        state["travel"][...] = state["travel"] + np.where(learns, change, 0.0)
        state["moves"][...] = moves + learns
        fades = rows_of(learns & (state["rests"] + moves > MEMORY))
        ended = rows_of(learns & (run > 0))
        if len(ended):
            rested, value, kind = run[ended], readings.value[ended], readings.kind[ended]
            inside = (value > self._floor[kind]) & (value < self._ceiling[kind])
            state["rests"][ended] = state["rests"][ended] + rested
            state["longest"][ended] = np.maximum(state["longest"][ended], np.where(inside, rested, 0))
        for name in ("rests", "moves", "travel", "fine") if len(fades) else ():
            state[name][fades] *= 0.5

    def _note_lowest(self, state: Columns, value: Float64s, same: Bools) -> None:
        """Keep the least a sensor has told, and how often it came back there."""
        shown_value = value.astype(np.float32)
        rows = rows_of(shown_value <= state["lowest"])
        if len(rows):
            lowest, now, visits = state["lowest"][rows], shown_value[rows], state["visits"][rows]
            state["visits"][rows] = np.where(now < lowest, 1, np.minimum(visits + ~same[rows], 9))
            state["lowest"][rows] = now

    def _coarse(self, state: Columns, value: Float64s, rows: Int64s) -> Bools:
        """Whether resting is likely because the sensor tells too little.

        It moves by one and the same smallest step, so between two steps it must rest; or it is back at the least it
        can tell (a detection limit), where it has been before.
        """
        moves, finest = state["moves"][rows], state["finest"][rows].astype(np.float64)
        one_step = (state["travel"][rows] < ONE_STEP * finest * moves) & (state["fine"][rows] > STEP_SHARE * moves)
        at_least = value.astype(np.float32) == state["lowest"][rows]
        return np.asarray(one_step | (at_least & (state["visits"][rows] >= 2)))

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
        if condition is not Condition.STUCK or not self.judges[sensor]:
            return False
        state["active"][sensor] = True
        return True
