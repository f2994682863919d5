"""Shapes that only a broken sensor makes: single readings that jump far away and straight back, and wild scatter.

Both are measured against the sensor's own usual change from one reading to the next. Life-safety quantities are not
judged here (a puff of gas is no fault), nor counts and switches, nor quantities that may jump by nature.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from config.city import City
from config.vocabulary import Severity
from detectors.bank import GAP, Column, Columns, Detector, Round, chosen, holds, rows_of, shown, shown_unit
from detectors.kinds import Kinds
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from detectors.traits import TRAITS
from ingest.model import Bools, Float64s, Int64s

GRACE = 30  # changes seen before anything is judged
SLOW = 1 / 500  # weight of a change in the usual change
FAST = 1 / 16  # weight in the present change
CLIP = 12.0  # usual changes at which one change is clipped
WILD, TAME = 6.0, 2.5  # present by usual change at which NOISY begins and ends
SPIKE = 10.0  # usual changes that a spike jumps away and back
FORGET = 1 / 100  # share of the count of spikes forgotten with every reading
OFTEN, SELDOM = 2.5, 0.7  # counts at which SPIKING begins and ends


class Faults(Detector):
    """Finds spiking and noisy sensors."""

    name = "faults"
    conditions = frozenset({Condition.SPIKING, Condition.NOISY})

    def __init__(self, city: City, kinds: Kinds | None = None) -> None:
        kinds = kinds or Kinds(city)
        self._city = city
        judged = kinds.which(lambda q: q.name in TRAITS and not q.steps and not q.life_safety)
        self.judges = kinds.column(judged)
        self._kind, self._floor = kinds.of, kinds.traits(lambda trait: trait.floor / 2, 1.0)

    def columns(self) -> Mapping[str, Column]:
        """See Detector.columns."""
        return {
            "usual": Column("f4", learned=True),  # mean absolute change, slow
            "present": Column("f4"),  # mean absolute change, fast
            "seen": Column("i4", learned=True),
            "before": Column("f8", learned=True),  # the reading before the previous one
            "spikes": Column("f4"),
            "spiking": Column("?"),
            "noisy": Column("?"),
        }

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """See Detector.judge."""
        del shared
        rows = chosen(~readings.first & (readings.elapsed <= GAP))
        if isinstance(rows, np.ndarray):
            if not len(rows):
                return ()
            readings = readings.some(rows)
        value, previous = readings.value, readings.previous
        seen, usual = state["seen"][rows].copy(), state["usual"][rows].astype(np.float64)
        ready = seen >= GRACE
        scale = np.maximum(usual, self._floor[readings.kind])
        change = np.abs(value - previous)
        spike = self._spikes(state, rows, readings, change=change, far=SPIKE * scale, ready=ready)
        spikes = np.minimum(state["spikes"][rows] * (1 - FORGET) + spike, 2 * OFTEN)
        before = state["present"][rows].astype(np.float64)
        present = before + FAST * (np.minimum(change, CLIP * scale) - before)
        ratio = present / scale
        noisy, spiking = state["noisy"][rows].copy(), state["spiking"][rows].copy()
        # Of all others neither stands and neither begins.
        odd = rows_of(noisy | spiking | (spikes >= OFTEN) | (ratio >= WILD))
        now_spiking, now_noisy = spiking.copy(), noisy.copy()
        now_spiking[odd] = np.where(spiking[odd], spikes[odd] > SELDOM, spikes[odd] >= OFTEN)
        calm, known = ~now_spiking[odd], ready[odd]
        now_noisy[odd] = np.where(noisy[odd], ~known | (ratio[odd] > TAME), known & (ratio[odd] >= WILD) & calm)
        # While nothing is known of the sensor everything teaches, or what was adopted could never be seen to end.
        weight = np.maximum(SLOW, 1 / (seen + 1.0))
        weight[ready & (now_noisy | now_spiking | spike)] = SLOW / 10
        taught = np.minimum(change, np.where(ready, 4 * scale, np.inf) if holds(~ready) else 4 * scale)
        state["usual"][rows] = usual + weight * (taught - usual)
        state["present"][rows], state["seen"][rows] = present, np.minimum(seen + 1, 1_000_000)
        state["before"][rows], state["spikes"][rows] = previous, spikes
        if not len(odd):
            return ()
        state["spiking"][rows], state["noisy"][rows] = now_spiking, now_noisy
        verdicts = []
        for condition, was, now in ((Condition.SPIKING, spiking, now_spiking), (Condition.NOISY, noisy, now_noisy)):
            verdicts += self._verdicts(condition, was, now, readings, scale=scale, ratio=ratio)
        return verdicts

    @staticmethod
    def _spikes(
        state: Columns, rows: slice | Int64s, readings: Round, *, change: Float64s, far: Float64s, ready: Bools
    ) -> Bools:
        """Away and back: the previous reading lies on one side of both its neighbours, which agree with one another."""
        value, previous = readings.value, readings.previous
        before = state["before"][rows]
        spike = ready & (change > far)  # ready: a reading before the previous one is known
        some = rows_of(spike)
        if len(some):
            value, previous, before = value[some], previous[some], before[some]
            away, apart = np.minimum(np.abs(previous - before), change[some]), np.abs(value - before)
            back = (previous - before) * (previous - value) > 0
            spike[some] = back & (away > far[some]) & (apart < 0.2 * away)
        return spike

    def _verdicts(
        self, condition: Condition, was: Bools, now: Bools, readings: Round, *, scale: Float64s, ratio: Float64s,
    ) -> list[Verdict]:  # fmt: skip
        verdicts = []
        for i in rows_of(was != now):
            sensor, begins = int(readings.sensor[i]), bool(now[i])
            value, other = float(readings.value[i]), float(readings.previous[i])
            if condition is Condition.SPIKING and begins:
                value, other = other, value  # the spike is the reading before the way back
            reach, times = SPIKE * float(scale[i]), float(ratio[i])
            unit = shown_unit(self._city.sensors[sensor].unit)
            params = {"value": shown(value), "unit": unit, "usual": shown(float(scale[i])), "times": shown(times)}
            # the tail of a Laplace distribution of changes: exp(-change / mean absolute change)
            score = (SPIKE if condition is Condition.SPIKING else times) / float(np.log(10))
            verdicts.append(
                Verdict(
                    sensor=sensor,
                    condition=condition,
                    phase=Phase.RAISED if begins else Phase.CLEARED,
                    nature=Nature.FAULT,
                    severity=Severity.GENERAL,
                    score=score if begins else 0.0,
                    value=value,
                    expected_low=other - reach,
                    expected_high=other + reach,
                    since_us=int((readings.previous_us if begins else readings.event_us)[i]),
                    at_us=int(readings.event_us[i]),
                    detector=self.name,
                    reason=Reason(f"reason.{condition}.{'raised' if begins else 'cleared'}", params),
                )
            )
        return verdicts

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        for condition in (Condition.SPIKING, Condition.NOISY):
            for sensor in np.flatnonzero(state[condition.value]):
                yield int(sensor), condition

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt. It ends when scatter or count of spikes is small and enough was seen to know that."""
        if condition not in self.conditions or not self.judges[sensor]:
            return False
        state[condition.value][sensor] = True
        if condition is Condition.SPIKING:
            state["spikes"][sensor] = max(float(state["spikes"][sensor]), SELDOM * 1.5)
        else:
            state["present"][sensor] = (WILD + TAME) / 2 * self._floor[self._kind[sensor]]
        return True
