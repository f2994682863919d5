"""Shapes that only a broken sensor makes: single readings that jump far away and straight back, and wild scatter.

Both are measured against the sensor's own usual change from one reading to the next. Life-safety quantities are not
judged here (a puff of gas is no fault), nor counts and switches, nor quantities that may jump by nature.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from config.city import City
from config.vocabulary import Severity
from detectors.bank import GAP, Column, Columns, Round, shown, shown_unit
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


class Faults:
    """Finds spiking and noisy sensors."""

    name = "faults"
    conditions = frozenset({Condition.SPIKING, Condition.NOISY})

    def __init__(self, city: City) -> None:
        self._city = city
        judged = []
        floor = np.ones(len(city.sensors))
        for sensor in city.sensors:
            trait, quantity = TRAITS.get(sensor.quantity), sensor.measures
            judged.append(trait is not None and not quantity.steps and not quantity.life_safety)
            floor[sensor.index] = trait.floor / 2 if trait else 1.0
        self._judged, self._floor = np.array(judged, bool), floor

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
        rows = np.flatnonzero(self._judged[readings.sensor] & ~readings.first & (readings.elapsed <= GAP))
        if not len(rows):
            return ()
        sensor, value, previous = readings.sensor[rows], readings.value[rows], readings.previous[rows]
        seen, usual = state["seen"][sensor], state["usual"][sensor].astype(float)
        ready = seen >= GRACE
        scale = np.maximum(usual, self._floor[sensor])
        change = np.abs(value - previous)
        # away and back: the previous reading lies on one side of both its neighbours, which agree with one another
        before = np.where(seen > 0, state["before"][sensor], previous)
        away, apart = np.minimum(np.abs(previous - before), change), np.abs(value - before)
        spike = ready & ((previous - before) * (previous - value) > 0) & (away > SPIKE * scale) & (apart < 0.2 * away)
        spikes = np.minimum(state["spikes"][sensor] * (1 - FORGET) + spike, 2 * OFTEN)
        clipped = np.minimum(change, CLIP * scale)
        present = state["present"][sensor] + FAST * (clipped - state["present"][sensor])
        noisy, spiking = state["noisy"][sensor], state["spiking"][sensor]
        now_spiking = np.where(spiking, spikes > SELDOM, spikes >= OFTEN)
        ratio = present / scale
        now_noisy = np.where(noisy, ~ready | (ratio > TAME), ready & (ratio >= WILD) & ~now_spiking)
        # While nothing is known of the sensor everything teaches, or what was adopted could never be seen to end.
        settled = np.where(now_noisy | now_spiking | spike, SLOW / 10, np.maximum(SLOW, 1 / (seen + 1.0)))
        weight = np.where(ready, settled, 1 / (seen + 1.0))
        state["usual"][sensor] = usual + weight * (np.minimum(change, np.where(ready, 4 * scale, np.inf)) - usual)
        state["present"][sensor], state["seen"][sensor] = present, np.minimum(seen + 1, 1_000_000)
        state["before"][sensor], state["spikes"][sensor] = previous, spikes
        state["spiking"][sensor], state["noisy"][sensor] = now_spiking, now_noisy
        verdicts = []
        for condition, was, now in ((Condition.SPIKING, spiking, now_spiking), (Condition.NOISY, noisy, now_noisy)):
            verdicts += self._verdicts(condition, was, now, readings, rows, scale=scale, ratio=ratio)
        return verdicts

    def _verdicts(
        self, condition: Condition, was: Bools, now: Bools, readings: Round, rows: Int64s, *, scale: Float64s,
        ratio: Float64s,
    ) -> list[Verdict]:  # fmt: skip
        verdicts = []
        for i in np.flatnonzero(was != now):
            sensor, begins = int(readings.sensor[rows[i]]), bool(now[i])
            value, other = float(readings.value[rows[i]]), float(readings.previous[rows[i]])
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
                    since_us=int((readings.previous_us if begins else readings.event_us)[rows[i]]),
                    at_us=int(readings.event_us[rows[i]]),
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
        if condition not in self.conditions or not self._judged[sensor]:
            return False
        state[condition.value][sensor] = True
        if condition is Condition.SPIKING:
            state["spikes"][sensor] = max(float(state["spikes"][sensor]), SELDOM * 1.5)
        else:
            state["present"][sensor] = (WILD + TAME) / 2 * self._floor[sensor]
        return True
