"""The engine: sole owner of the state of every sensor; runs the bank over each batch of readings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from config.city import City
from config.vocabulary import Severity
from detectors.bank import NEVER, SHARED, Column, Columns, Detector, Round, shown
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from detectors.registry import bank as default_bank
from ingest.model import Bools, Float64s, Int64s, LivenessChange, Quality, ReadingBatch, Refusal, RefusalReason

REFUSED_RUN = 3
"""Readings refused in a row, without a good one between, after which it is said."""

GOOD_RUN = 10
"""Good readings in a row after which it is over."""

DEVICE_REFUSALS = frozenset({RefusalReason.OUT_OF_RANGE, RefusalReason.NOT_A_NUMBER})
"""Refusals that speak of the device: the detectors must know of them."""

_OWN = {
    "silent": Column("?"),
    "refused": Column("u1"),  # impossible readings in a row
    "refused_us": Column("i8", NEVER),  # receive time of the first of them
    "out_of_range": Column("?"),
    "good": Column("u1"),  # good readings in a row while it stands
    "open": Column("u2"),  # a bit per standing condition
    "fault": Column("u2"),  # a bit per standing condition that speaks against the sensor
    "told_us": Column("i8", NEVER),  # event time of the latest verdict about its values
}
_BIT = {condition: 1 << place for place, condition in enumerate(Condition)}
_ALWAYS_FAULT = frozenset(Condition) - {Condition.HIGH, Condition.LOW, Condition.UNUSUAL}


class Engine:
    """Judges readings in event-time order per sensor. Not thread-safe: one caller at a time.

    ``bytes_per_sensor`` says what the state costs. Two engines fed the same readings answer the same.
    """

    def __init__(self, city: City, bank: Sequence[Detector] | None = None) -> None:
        self.city = city
        self.bank = tuple(default_bank(city) if bank is None else bank)
        count = len(city.sensors)
        self.shared: Columns = {name: column.fresh(count) for name, column in SHARED.items()}
        self.own: Columns = {name: column.fresh(count) for name, column in _OWN.items()}
        self.states: list[Columns] = [
            {name: column.fresh(count) for name, column in detector.columns().items()} for detector in self.bank
        ]
        self._interval_us = np.array([sensor.interval_s for sensor in city.sensors]) * 1e6
        self._orphans: dict[int, set[Condition]] = {}

    def tables(self) -> Iterator[tuple[str, Columns]]:
        """All state by the name of its owner: ``shared``, ``engine``, and each detector's own."""
        yield "shared", self.shared
        yield "engine", self.own
        for detector, state in zip(self.bank, self.states, strict=True):
            yield detector.name, state

    @property
    def bytes_per_sensor(self) -> float:
        """What the state of one sensor takes in memory."""
        size = sum(column.nbytes for _, columns in self.tables() for column in columns.values())
        return size / max(1, len(self.city.sensors))

    def process(self, batch: ReadingBatch, now_us: int) -> list[Verdict]:
        """What began, changed or ended with these readings, in order of judgement.

        Only GOOD readings are judged, each sensor's in order of event time whatever their order in the batch; one that
        is not newer than the sensor's last is left out. now_us: the decision time; no judgement depends on it.
        """
        verdicts: list[Verdict] = []
        for sensor, event_us, value in self._rounds(batch):
            verdicts += self._judge(sensor, event_us, value, now_us)
        return verdicts

    def _rounds(self, batch: ReadingBatch) -> Iterator[tuple[Int64s, Int64s, Float64s]]:
        """(sensor, event_us, value) of the good readings, split so that each sensor occurs once in a round."""
        good = np.flatnonzero(batch.quality == Quality.GOOD)
        if not len(good):
            return
        order = good[np.lexsort((batch.event_us[good], batch.sensor[good]))]
        sensor = batch.sensor[order].astype(np.int64)
        event_us, value = batch.event_us[order], batch.value[order]
        starts = np.flatnonzero(np.r_[True, sensor[1:] != sensor[:-1]])
        if len(starts) == len(sensor):
            yield sensor, event_us, value
            return
        nth = np.arange(len(sensor)) - np.repeat(starts, np.diff(np.r_[starts, len(sensor)]))
        by_round = np.argsort(nth, kind="stable")
        for rows in np.split(by_round, np.cumsum(np.bincount(nth))[:-1]):
            yield sensor[rows], event_us[rows], value[rows]

    def _judge(self, sensor: Int64s, event_us: Int64s, value: Float64s, now_us: int) -> list[Verdict]:
        previous_us = self.shared["last_us"][sensor]
        newer = event_us > previous_us
        if not newer.all():
            sensor, event_us, value, previous_us = sensor[newer], event_us[newer], value[newer], previous_us[newer]
        if not len(sensor):
            return []
        first = previous_us == NEVER
        elapsed = np.where(first, 0.0, (event_us - previous_us) / self._interval_us[sensor])
        readings = Round(sensor, event_us, value, first, previous_us, self.shared["last"][sensor], elapsed)
        self.shared["last_us"][sensor] = event_us
        self.shared["last"][sensor] = value
        verdicts = self._recovered(readings, now_us)
        for detector, state in zip(self.bank, self.states, strict=True):
            found = [self._in_order(verdict) for verdict in detector.judge(state, self.shared, readings)]
            self._note(found)
            verdicts += found
        return verdicts

    def _in_order(self, verdict: Verdict) -> Verdict:
        """A verdict that is not older than what was told of the sensor before: its clock may have been put back."""
        told_us = int(self.own["told_us"][verdict.sensor])
        if verdict.at_us < told_us:
            verdict = replace(verdict, at_us=told_us + 1)
        self.own["told_us"][verdict.sensor] = verdict.at_us
        return verdict

    def step_back(self, sensors: Iterable[int], batch: ReadingBatch) -> None:
        """Judge again what a device sends that has put its clock back; called before its first batch is processed.

        What is known of the sensor moves with its clock, as if that batch's first good reading came one interval after
        the last judged one: what was pending goes on, what stands goes on. Until the clock is again where it was,
        verdicts carry the time of the last one before, counted on by microseconds, so that they are taken as newer.
        """
        for sensor in sensors:
            times = batch.event_us[(batch.sensor == sensor) & (batch.quality == Quality.GOOD)]
            last_us = int(self.shared["last_us"][sensor])
            if last_us == NEVER or not len(times) or times.min() > last_us:
                continue
            moved_us = int(times.min()) - round(float(self._interval_us[sensor])) - last_us
            for name, columns in self.tables():
                for column in columns.values() if name != "engine" else ():
                    if column.dtype == np.int64:
                        column[sensor] = np.where(column[sensor] == NEVER, NEVER, column[sensor] + moved_us)

    def _note(self, verdicts: Iterable[Verdict]) -> None:
        """Keep the shared counts of what stands in step with the verdicts."""
        for verdict in verdicts:
            stands = verdict.phase is not Phase.CLEARED
            self._mark(
                verdict.sensor, verdict.condition, stands=stands, fault=stands and verdict.nature is Nature.FAULT
            )

    def _mark(self, sensor: int, condition: Condition, *, stands: bool, fault: bool) -> None:
        """Note whether a condition stands and speaks against the sensor, and count anew."""
        for column, count, on in (("open", "standing", stands), ("fault", "faulty", fault)):
            bits = int(self.own[column][sensor])
            bits = bits | _BIT[condition] if on else bits & ~_BIT[condition]
            self.own[column][sensor] = bits
            self.shared[count][sensor] = bits.bit_count()

    def _recovered(self, readings: Round, now_us: int) -> list[Verdict]:
        """End what good readings alone can end."""
        sensor = readings.sensor
        self.own["refused"][sensor] = 0
        verdicts = []
        bad = np.flatnonzero(self.own["out_of_range"][sensor])
        if len(bad):
            self.own["good"][sensor[bad]] += 1
            for row in bad[self.own["good"][sensor[bad]] >= GOOD_RUN]:
                self.own["out_of_range"][sensor[row]] = False
                # It began by our clock, and the device's may be behind it; when, is not known of an adopted one.
                begun_us = int(self.own["refused_us"][sensor[row]])
                least_us = now_us if begun_us == NEVER else begun_us
                verdicts.append(
                    self._over(readings, int(row), Condition.OUT_OF_RANGE, "reason.out_of_range.cleared", least_us)
                )
        if self._orphans:
            for row in np.flatnonzero(np.isin(sensor, list(self._orphans))):
                held = sorted(self._orphans.pop(int(sensor[row])))
                verdicts += [self._over(readings, int(row), condition, "reason.unjudged") for condition in held]
        self._note(verdicts)
        return verdicts

    def _over(self, readings: Round, row: int, condition: Condition, key: str, least_us: int = NEVER) -> Verdict:
        sensor, at_us = int(readings.sensor[row]), max(least_us, int(readings.event_us[row]))
        return self._fault(
            sensor, condition, Phase.CLEARED, value=float(readings.value[row]), since_us=at_us, at_us=at_us, key=key
        )

    def liveness(self, changes: Sequence[LivenessChange], now_us: int) -> list[Verdict]:
        """SILENT raised or cleared, once per change of state."""
        verdicts = []
        for change in changes:
            if bool(self.own["silent"][change.sensor]) == change.silent:
                continue
            self.own["silent"][change.sensor] = change.silent
            minutes = max(1, round((now_us - change.last_us) / 60e6)) if change.last_us else 0
            never = "" if change.last_us else "_never"
            key = f"reason.silent.raised{never}" if change.silent else "reason.silent.cleared"
            params = {"minutes": minutes, "allowed": max(1, round(change.allowed_s / 60))}
            phase = Phase.RAISED if change.silent else Phase.CLEARED
            since = change.last_us or change.at_us
            value = float(self.shared["last"][change.sensor])
            verdicts.append(
                self._fault(
                    change.sensor,
                    Condition.SILENT,
                    phase,
                    value=value,
                    since_us=since,
                    at_us=max(change.at_us, since),
                    key=key,
                    params=params,
                )
            )
        self._note(verdicts)
        return verdicts

    def refused(self, refusals: Sequence[Refusal], now_us: int) -> list[Verdict]:
        """OUT_OF_RANGE raised where a sensor keeps sending impossible values; later good readings clear it."""
        del now_us
        verdicts = []
        for refusal in refusals:
            sensor = refusal.sensor
            if sensor < 0 or refusal.reason not in DEVICE_REFUSALS:
                continue
            run = min(255, int(self.own["refused"][sensor]) + 1)
            self.own["refused"][sensor], self.own["good"][sensor] = run, 0
            if run == 1:
                self.own["refused_us"][sensor] = refusal.received_us
            if run >= REFUSED_RUN and not self.own["out_of_range"][sensor]:
                self.own["out_of_range"][sensor] = True
                params: dict[str, str | float | int] = {
                    "found": refusal.found,
                    "expected": refusal.expected,
                    "readings": run,
                }
                verdicts.append(
                    self._fault(
                        sensor, Condition.OUT_OF_RANGE, Phase.RAISED, value=float(self.shared["last"][sensor]),
                        since_us=int(self.own["refused_us"][sensor]), at_us=refusal.received_us,
                        key="reason.out_of_range.raised", params=params,
                    )
                )  # fmt: skip
        self._note(verdicts)
        return verdicts

    def _fault(
        self, sensor: int, condition: Condition, phase: Phase, *, value: float, since_us: int, at_us: int, key: str,
        params: Mapping[str, str | float | int] = MappingProxyType({}),
    ) -> Verdict:  # fmt: skip
        """A verdict of the engine itself: about sending, not about a value."""
        quantity = self.city.sensors[sensor].measures
        return Verdict(
            sensor=sensor,
            condition=condition,
            phase=phase,
            nature=Nature.FAULT,
            severity=Severity.GENERAL,
            score=0.0 if phase is Phase.CLEARED else float("inf"),
            value=value,
            expected_low=float(quantity.low),
            expected_high=float(quantity.high),
            since_us=since_us,
            at_us=at_us,
            detector="engine",
            reason=Reason(key, dict(params) | {"last": shown(value)}),
        )

    def standing(self) -> set[tuple[int, Condition]]:
        """Every condition that stands, as (sensor index, condition)."""
        found = {(int(i), Condition.SILENT) for i in np.flatnonzero(self.own["silent"])}
        found |= {(int(i), Condition.OUT_OF_RANGE) for i in np.flatnonzero(self.own["out_of_range"])}
        for detector, state in zip(self.bank, self.states, strict=True):
            found |= set(detector.standing(state))
        return found | {(sensor, condition) for sensor, held in self._orphans.items() for condition in held}

    def adopt(self, standing: Iterable[tuple[int, Condition]]) -> None:
        """Take over conditions that are open elsewhere (a ledger that outlived this state).

        They are not raised again, and are cleared when readings are normal again. What no detector of the bank judges
        any more is cleared by the sensor's next good reading.
        """
        for sensor, condition in sorted(set(standing) - self.standing()):
            if condition in {Condition.SILENT, Condition.OUT_OF_RANGE}:
                self.own[condition.value][sensor] = True
            elif not any(d.adopt(s, sensor, condition) for d, s in zip(self.bank, self.states, strict=True)):
                self._orphans.setdefault(sensor, set()).add(condition)
            self._mark(sensor, condition, stands=True, fault=condition in _ALWAYS_FAULT)

    def forget(self, conditions: Iterable[tuple[int, Condition]]) -> None:
        """Take back conditions that stand here and nowhere else (a verdict that was lost on its way to the ledger).

        The sensors begin afresh, but for what was learned of what is usual for them: readings that are delivered
        again are judged again, whatever their time, and a condition that still holds is raised again. Other conditions
        that stand on these sensors go on standing, as if adopted.
        """
        lost = set(conditions)
        sensors = {sensor for sensor, _ in lost}
        if not sensors:
            return
        kept = {(sensor, condition) for sensor, condition in self.standing() if sensor in sensors} - lost
        rows = np.array(sorted(sensors), np.int64)
        wanted = (SHARED, _OWN, *(detector.columns() for detector in self.bank))
        for (_, columns), kinds in zip(self.tables(), wanted, strict=True):
            for name, kind in kinds.items():
                if not kind.learned:
                    columns[name][rows] = kind.start
        for sensor in sensors:
            self._orphans.pop(sensor, None)
        self.adopt(kept)

    def silent(self) -> Bools:
        """Of which sensors SILENT stands, shape (sensors,). A copy."""
        return np.asarray(self.own["silent"].copy(), np.bool_)

    def latest(self) -> tuple[Int64s, Float64s]:
        """Event time (NEVER where none) and value of the last judged reading, shape (sensors,) each. Copies."""
        return self.shared["last_us"].copy(), self.shared["last"].copy()
