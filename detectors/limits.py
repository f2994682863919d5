"""Limits of the law, of a standard or of a site's engineer: steps with hysteresis and a minimum duration.

Only readings drive it, by their own time: silence never raises anything. A step is pending from its first reading over
the threshold and is raised by a reading over it when its duration has passed; readings between clearing value and
threshold let it rest, one at the clearing value ends it. A gap begins it anew, except where life hangs on it and the
readings on both sides of the gap are over: a camera that sends more seldom than configured must still be heard. A step
that needs no duration is raised by a single reading.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from config.city import City
from config.limits import Limit, Side
from config.vocabulary import Severity
from detectors.bank import GAP, NEVER, Column, Columns, Detector, Round, rows_of, shown, shown_unit
from detectors.kinds import Kinds
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from ingest.model import Bools, Float64s, Int64s

_ADOPTED = 255  # stands elsewhere, step not known
_SIDES = ((Side.HIGH, Condition.HIGH, 1.0), (Side.LOW, Condition.LOW, -1.0))


@dataclass(frozen=True, slots=True)
class _Ladder:
    """The steps of one side, for all sensors: row 0 of the tables is "no limits", sensors point to rows.

    Values are multiplied by sign, so that over is always upwards. threshold, clear: (rows, steps), inf where there
    is no such step. hold_us the same in microseconds. least: the lowest threshold of each row.
    """

    sign: float
    row: npt.NDArray[np.int32]
    steps: tuple[tuple[Limit, ...], ...]
    threshold: Float64s
    clear: Float64s
    hold_us: Int64s
    least: Float64s


def _ladder(city: City, side: Side, sign: float) -> _Ladder:
    known: dict[tuple[Limit, ...], int] = {(): 0}

    def number(limits: Iterable[Limit]) -> int:
        own = [limit for limit in limits if limit.side is side]
        return known.setdefault(tuple(sorted(own, key=lambda limit: -limit.severity)), len(known))

    by_quantity = city.limits.by_quantity
    row = city.columns.quantity.each(lambda quantity: number(by_quantity.get(quantity, ())), np.int32)
    for sensor_id, limits in city.limits.by_sensor.items():
        if sensor_id in city.sensor_index:
            row[city.sensor_index[sensor_id]] = number(limits)
    width = max(1, *(len(steps) for steps in known))
    threshold, clear = np.full((2, len(known), width), np.inf)
    hold_us = np.zeros((len(known), width), np.int64)
    for steps, index in known.items():
        for step, limit in enumerate(steps):
            threshold[index, step] = sign * limit.threshold
            clear[index, step] = sign * limit.clear_at
            hold_us[index, step] = round(limit.hold_s * 1e6)
    return _Ladder(sign, row, tuple(known), threshold, clear, hold_us, threshold.min(axis=1))


class Limits(Detector):
    """Judges readings against ``city.limits``."""

    name = "limits"
    conditions = frozenset({Condition.HIGH, Condition.LOW})

    def __init__(self, city: City, kinds: Kinds | None = None) -> None:
        kinds = kinds or Kinds(city)
        self._city = city
        self.judges = np.ones(len(city.sensors), bool)
        self._ladders = {condition: _ladder(city, side, sign) for side, condition, sign in _SIDES}
        high, low = self._ladders.values()
        # Nearly all readings lie between the mildest steps of both sides: one look at a small table says so.
        pair, which = np.unique(np.column_stack((high.row, low.row)), axis=0, return_inverse=True)
        self._between = which.reshape(-1).astype(np.uint16 if len(pair) <= 65536 else np.int32)
        self._least, self._most = -low.least[pair[:, 1]], high.least[pair[:, 0]]
        self._life = kinds.which(lambda quantity: quantity.life_safety)
        # A lonely jump may speak against the sensor only where neighbours see the same field and no life hangs on it.
        self._doubtable = kinds.which(lambda quantity: quantity.shared and not quantity.life_safety)

    def columns(self) -> Mapping[str, Column]:
        """Per side: the step that stands (0 none), since when each step is passed, and what it is taken for."""
        columns = {}
        for condition, ladder in self._ladders.items():
            columns[f"{condition}_step"] = Column("u1", rare=True)
            columns[f"{condition}_watched"] = Column("?")
            columns[f"{condition}_doubted"] = Column("?", rare=True)
            columns[f"{condition}_since_us"] = Column("i8", NEVER, rare=True)
            columns[f"{condition}_over_us"] = Column("i8", NEVER, max(2, ladder.threshold.shape[1]), rare=True)
        return columns

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        """See Detector.judge."""
        verdicts: list[Verdict] = []
        between = self._between[readings.sensor]
        for condition, ladder in self._ladders.items():
            high = condition is Condition.HIGH
            over = readings.value >= self._most[between] if high else readings.value <= self._least[between]
            over |= state[f"{condition}_watched"]
            rows = rows_of(over)
            if len(rows):
                verdicts += self._step(condition, ladder, state=state, shared=shared, readings=readings, rows=rows)
        return verdicts

    def _step(
        self,
        condition: Condition,
        ladder: _Ladder,
        *,
        state: Columns,
        shared: Columns,
        readings: Round,
        rows: Int64s,
    ) -> list[Verdict]:
        sensor, event_us = readings.sensor[rows], readings.event_us[rows]
        profile, value = ladder.row[sensor], ladder.sign * readings.value[rows]
        width = ladder.threshold.shape[1]
        over = value[:, None] >= ladder.threshold[profile]
        over_us = state[f"{condition}_over_us"][sensor, :width]
        previous = ladder.sign * readings.previous[rows, None]
        bridged = self._life[readings.kind[rows], None] & over & (previous >= ladder.threshold[profile])
        gap = (readings.elapsed[rows, None] > GAP) & ~bridged | readings.first[rows, None]
        ended = gap | (value[:, None] <= ladder.clear[profile])
        over_us = np.where(over & (ended | (over_us == NEVER)), event_us[:, None], np.where(ended, NEVER, over_us))
        held = over & (event_us[:, None] - over_us >= ladder.hold_us[profile])
        before = state[f"{condition}_step"][sensor]
        number = np.arange(1, width + 1)
        keeps = (number <= np.where(before == _ADOPTED, 1, before)[:, None]) & (value[:, None] > ladder.clear[profile])
        now = np.where(held | keeps, number, 0).max(axis=1).astype(np.uint8)
        now[profile == 0] = 0
        adopted = (before == _ADOPTED) & (now > 0)
        doubted_before = state[f"{condition}_doubted"][sensor]
        begins = (before == 0) | (before == _ADOPTED)
        doubted = self._doubts(shared, readings, rows, doubted_before, begins=begins) & (now > 0)
        since = state[f"{condition}_since_us"][sensor]
        began = np.where(over_us != NEVER, over_us, np.iinfo(np.int64).max).min(axis=1)
        since = np.where((before == 0) & (now > 0), began, since)
        since = np.where(since == NEVER, event_us, since)
        state[f"{condition}_over_us"][sensor, :width] = over_us
        state[f"{condition}_step"][sensor] = now
        state[f"{condition}_doubted"][sensor] = doubted
        state[f"{condition}_watched"][rows] = (over_us != NEVER).any(axis=1) | (now > 0)
        state[f"{condition}_since_us"][sensor] = np.where(now > 0, since, NEVER)
        changed = np.flatnonzero((now != before) | ((now > 0) & (doubted != doubted_before)) | adopted)
        return [
            self._verdict(
                condition, ladder, int(sensor[i]), before=int(before[i]), now=int(now[i]), doubted=bool(doubted[i]),
                value=float(readings.value[rows[i]]), since_us=int(since[i]), at_us=int(event_us[i]),
            )
            for i in changed
        ]  # fmt: skip

    def _doubts(self, shared: Columns, readings: Round, rows: Int64s, doubted: Bools, *, begins: Bools) -> Bools:
        """Whether a passed limit speaks against the sensor.

        At the beginning only on strong evidence: it jumped as the world does not, and calm neighbours contradict it.
        Later the doubt ends when the neighbours follow.
        """
        apart = shared["apart"][rows] != 0
        evidence = self._doubtable[readings.kind[rows]] & apart & shared["abrupt"][rows]
        return np.asarray(np.where(begins, evidence, doubted & (apart | (shared["own"][rows] == 0))))

    def _verdict(
        self, condition: Condition, ladder: _Ladder, sensor: int, *, before: int, now: int, doubted: bool,
        value: float, since_us: int, at_us: int,
    ) -> Verdict:  # fmt: skip
        steps = ladder.steps[ladder.row[sensor]]
        # What ended speaks of the step that stood; adopted or taken out of the configuration, of the mildest.
        named = steps[(now or (1 if before in {0, _ADOPTED} else before)) - 1] if steps else None
        phase = Phase.CLEARED if now == 0 else Phase.RAISED if before == 0 else Phase.CHANGED
        word = "cleared" if now == 0 else "doubted" if doubted else "raised"
        threshold = named.clear_at if named and now == 0 else named.threshold if named else value
        reason = Reason(
            f"reason.{condition}.{word}",
            {
                "value": shown(value),
                "threshold": shown(threshold),
                "unit": shown_unit(self._city.sensors[sensor].unit),
                "source": named.source if named else "",
            },
        )
        possible = self._city.sensors[sensor].measures
        low, high = (possible.low, threshold) if condition is Condition.HIGH else (threshold, possible.high)
        return Verdict(
            sensor=sensor,
            condition=condition,
            phase=phase,
            nature=Nature.FAULT if doubted else Nature.EVENT,
            severity=named.severity if named else Severity.GENERAL,
            score=0.0 if now == 0 else float("inf"),
            value=value,
            expected_low=low,
            expected_high=high,
            since_us=since_us,
            at_us=at_us,
            detector=self.name,
            reason=reason,
        )

    def standing(self, state: Columns) -> Iterable[tuple[int, Condition]]:
        """See Detector.standing."""
        for condition in self._ladders:
            for sensor in np.flatnonzero(state[f"{condition}_step"]):
                yield int(sensor), condition

    def adopt(self, state: Columns, sensor: int, condition: Condition) -> bool:
        """See Detector.adopt. It counts as the mildest step; the next reading says which one it is, or ends it."""
        if condition not in self._ladders or self._ladders[condition].row[sensor] == 0:
            return False
        if state[f"{condition}_step"][sensor] == 0:
            state[f"{condition}_step"][sensor] = _ADOPTED
            state[f"{condition}_watched"][sensor] = True
        return True
