"""The condition UNUSUAL: begins where a baseline or the neighbours object for long enough, and is told apart.

Until it is clear what it is, the nature is UNKNOWN: shown, but nobody is called.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from config.city import City
from config.vocabulary import Category, Severity
from detectors import verdict
from detectors.bank import NEVER, Column, Columns, Detector, Round, shown, shown_unit
from detectors.baseline import FAR, NEAR, surprise
from detectors.kinds import Kinds
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from detectors.neighbours import Look, Neighbourhood
from detectors.traits import TRAITS
from ingest.model import Bools

HOLD_US = 120_000_000  # neighbours get so long to follow
HOLD_INTERVALS = 6  # and so many readings
FOLLOWS = 2.5  # spreads from which a neighbour counts as deviating alike
_NATURES = (Nature.UNKNOWN, Nature.UNKNOWN, Nature.EVENT, Nature.FAULT)


def _deviates(state: Columns, shared: Columns) -> Bools:
    # Taken over from elsewhere it stands until enough was seen to say that it is over.
    return np.asarray((shared["own"] != 0) | (shared["apart"] != 0) | ~shared["ripe"] & (state["nature"] > 0), np.bool_)


class Unusual(Detector):
    """Fuses what the baseline and the neighbours say."""

    name = "unusual"
    conditions = frozenset({Condition.UNUSUAL})

    def __init__(self, city: City, around: Neighbourhood, kinds: Kinds | None = None) -> None:
        kinds = kinds or Kinds(city)
        self._city, self._around = city, around
        self.judges = np.ones(len(city.sensors), bool)
        self._adopts = kinds.column(kinds.which(lambda quantity: quantity.name in TRAITS))
        self._life = kinds.which(lambda quantity: quantity.life_safety)
        self._falls = kinds.which(lambda quantity: quantity.name == "o2")  # a lack of oxygen is a danger
        # Weather and light change together every day; that is news for nobody, a sensor that does not follow is.
        self._background = kinds.which(lambda quantity: quantity.category is Category.WEATHER)
        self._floor = kinds.traits(lambda trait: trait.floor, np.inf)
        self._hold_us = np.maximum(HOLD_US, HOLD_INTERVALS * kinds.interval_s * 1e6).astype(np.int64)

    def columns(self) -> Mapping[str, Column]:
        """See Detector.columns."""
        return {"nature": Column("u1"), "raised_us": Column("i8", NEVER, rare=True)}

    def concerns(self, state: Columns, shared: Columns) -> Bools:
        """See Detector.concerns: where something deviates, or stands."""
        return np.asarray(_deviates(state, shared) | (state["nature"] > 0))

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """See Detector.judge."""
        sensor, before = readings.sensor, state["nature"].copy()
        active = _deviates(state, shared)
        began = active & (before == 0)
        state["raised_us"][sensor[began]] = readings.event_us[began]
        look = self._around.look(readings)
        nature, case = verdict.judge(self._evidence(state, shared, readings, look))
        nature[self._background[readings.kind] & (nature == verdict.EVENT)] = verdict.UNKNOWN
        nature = np.where(active, nature, 0).astype(np.uint8)
        state["nature"][...] = nature
        return [
            self._verdict(
                shared,
                readings,
                int(i),
                before=int(before[i]),
                now=int(nature[i]),
                case=int(case[i]),
                neighbours=look.of(int(i)),
            )
            for i in np.flatnonzero(nature != before)
        ]

    def _evidence(self, state: Columns, shared: Columns, readings: Round, look: Look) -> verdict.Evidence:
        kind, before = readings.kind, state["nature"]
        own, apart = shared["own"], shared["apart"]
        direction = np.where(own != 0, own, apart)
        beside = readings.others.take(look.index, mode="wrap")["shared/deviation"]  # -1 is the record of nobody
        broken = shared["faulty"] > (before == verdict.FAULT)  # more faults than this very one
        return verdict.Evidence(
            life_safety=self._life[kind],
            plausible=(own > 0) | ((own < 0) & self._falls[kind]),
            negative=(readings.value < -2 * self._floor[kind]) & (own < 0),
            fresh=look.count,
            alike=(look.fresh & (beside * direction[:, None] >= FOLLOWS)).sum(axis=1),
            calm=(look.fresh & (np.abs(beside) < NEAR)).sum(axis=1),
            own=own != 0,
            apart=apart != 0,
            abrupt=np.where(apart != 0, shared["abrupt"], shared["leapt"]),
            broken=broken,
            waited=readings.event_us - state["raised_us"][readings.sensor] >= self._hold_us[kind],
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
        own, apart = float(shared["deviation"][row]), float(shared["apart_by"][row])
        by_neighbours = abs(apart) > abs(own)
        deviation = apart if by_neighbours else own
        spread = float(shared["apart_spread" if by_neighbours else "spread"][row])
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
        if condition is not Condition.UNUSUAL or not self._adopts[sensor]:
            return False
        state["nature"][sensor] = verdict.UNKNOWN
        return True
