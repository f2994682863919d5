"""The condition UNUSUAL: begins where a baseline or the neighbours object for long enough, and is told apart.

Until it is clear what it is, the nature is UNKNOWN: shown, but nobody is called.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from config.city import City
from config.vocabulary import Category, Severity
from detectors import verdict
from detectors.bank import NEVER, Column, Columns, Round, shown, shown_unit
from detectors.baseline import FAR, NEAR, surprise
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from detectors.neighbours import Look, Neighbourhood
from detectors.traits import TRAITS
from ingest.model import Int64s

HOLD_US = 120_000_000  # neighbours get so long to follow
HOLD_INTERVALS = 6  # and so many readings
FOLLOWS = 2.5  # spreads from which a neighbour counts as deviating alike
_NATURES = (Nature.UNKNOWN, Nature.UNKNOWN, Nature.EVENT, Nature.FAULT)


class Unusual:
    """Fuses what the baseline and the neighbours say."""

    name = "unusual"
    conditions = frozenset({Condition.UNUSUAL})

    def __init__(self, city: City, around: Neighbourhood) -> None:
        self._city, self._around = city, around
        sensors = city.sensors
        self._judged = np.array([sensor.quantity in TRAITS for sensor in sensors], bool)
        self._life = np.array([sensor.measures.life_safety for sensor in sensors], bool)
        self._falls = np.array([sensor.quantity == "o2" for sensor in sensors], bool)  # a lack of oxygen is a danger
        # Weather and light change together every day; that is news for nobody, a sensor that does not follow is.
        self._background = np.array([s.measures.category is Category.WEATHER for s in sensors], bool)
        self._floor = np.array([TRAITS[s.quantity].floor if s.quantity in TRAITS else np.inf for s in sensors])
        interval = np.array([sensor.interval_s for sensor in sensors])
        self._hold_us = np.maximum(HOLD_US, HOLD_INTERVALS * interval * 1e6).astype(np.int64)

    def columns(self) -> Mapping[str, Column]:
        """See Detector.columns."""
        return {"nature": Column("u1"), "raised_us": Column("i8", NEVER)}

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """See Detector.judge."""
        sensor = readings.sensor
        stands = state["nature"][sensor]
        # Taken over from elsewhere it stands until enough was seen to say that it is over.
        deviates = (
            (shared["own"][sensor] != 0) | (shared["apart"][sensor] != 0) | ~shared["ripe"][sensor] & (stands > 0)
        )
        rows = np.flatnonzero(deviates | (stands > 0))
        if not len(rows):
            return ()
        asked, before, active = sensor[rows], stands[rows], deviates[rows]
        began = active & (before == 0)
        state["raised_us"][asked[began]] = readings.event_us[rows[began]]
        look = self._around.look(shared, asked, readings.event_us[rows])
        nature, case = verdict.judge(self._evidence(state, shared, readings, rows, look))
        nature[self._background[asked] & (nature == verdict.EVENT)] = verdict.UNKNOWN
        nature = np.where(active, nature, 0).astype(np.uint8)
        state["nature"][asked] = nature
        return [
            self._verdict(
                shared,
                readings,
                int(rows[i]),
                before=int(before[i]),
                now=int(nature[i]),
                case=int(case[i]),
                neighbours=look.of(int(i)),
            )
            for i in np.flatnonzero(nature != before)
        ]

    def _evidence(self, state: Columns, shared: Columns, readings: Round, rows: Int64s, look: Look) -> verdict.Evidence:
        asked, before = readings.sensor[rows], state["nature"][readings.sensor[rows]]
        own, apart = shared["own"][asked], shared["apart"][asked]
        direction = np.where(own != 0, own, apart)
        beside = shared["deviation"][look.index]
        broken = shared["faulty"][asked] > (before == verdict.FAULT)  # more faults than this very one
        return verdict.Evidence(
            life_safety=self._life[asked],
            plausible=(own > 0) | ((own < 0) & self._falls[asked]),
            negative=(readings.value[rows] < -2 * self._floor[asked]) & (own < 0),
            fresh=look.count,
            alike=(look.fresh & (beside * direction[:, None] >= FOLLOWS)).sum(axis=1),
            calm=(look.fresh & (np.abs(beside) < NEAR)).sum(axis=1),
            own=own != 0,
            apart=apart != 0,
            abrupt=np.where(apart != 0, shared["abrupt"][asked], shared["leapt"][asked]),
            broken=broken,
            waited=readings.event_us[rows] - state["raised_us"][asked] >= self._hold_us[asked],
            before=before,
        )

    def _verdict(
        self,
        shared: Columns,
        readings: Round,
        row: int,
        *,
        before: int,
        now: int,
        case: int,
        neighbours: tuple[int, ...],
    ) -> Verdict:
        sensor, value, at_us = int(readings.sensor[row]), float(readings.value[row]), int(readings.event_us[row])
        own, apart = float(shared["deviation"][sensor]), float(shared["apart_by"][sensor])
        by_neighbours = abs(apart) > abs(own)
        deviation = apart if by_neighbours else own
        spread = float(shared["apart_spread" if by_neighbours else "spread"][sensor])
        usual = value - deviation * spread
        possible = self._city.sensors[sensor].measures
        low, high = max(possible.low, usual - FAR * spread), min(possible.high, usual + FAR * spread)
        params = {
            "value": shown(value),
            "low": shown(low),
            "high": shown(high),
            "unit": shown_unit(self._city.sensors[sensor].unit),
            "neighbours": len(neighbours),
        }
        return Verdict(
            sensor=sensor,
            condition=Condition.UNUSUAL,
            phase=Phase.CLEARED if now == 0 else Phase.RAISED if before == 0 else Phase.CHANGED,
            nature=_NATURES[now or before],
            severity=Severity.GENERAL,
            score=surprise(deviation),
            value=value,
            expected_low=low,
            expected_high=high,
            since_us=int(shared["since_us"][sensor]) if now and shared["since_us"][sensor] != NEVER else at_us,
            at_us=at_us,
            detector="neighbours" if by_neighbours else "baseline",
            reason=Reason(f"reason.unusual.{verdict.CASES[case] if now else 'cleared'}", params),
            neighbours=neighbours,
        )

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        return ((int(sensor), Condition.UNUSUAL) for sensor in np.flatnonzero(state["nature"]))

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt. It ends with the next reading that neither past nor neighbours object to."""
        if condition is not Condition.UNUSUAL or not self._judged[sensor]:
            return False
        state["nature"][sensor] = verdict.UNKNOWN
        return True
