"""The engine: sole owner of the state of every sensor; runs the bank over each batch of readings."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from config.city import City
from config.vocabulary import Severity
from detectors.bank import NEVER, SHARED, Column, Columns, Detector, Round, holds, rows_of, shown
from detectors.classes import Classes
from detectors.glances import Glances
from detectors.kinds import Kinds
from detectors.model import Condition, Nature, Phase, Reason, Verdict
from detectors.records import SHARED_OWNER, Records
from detectors.registry import bank as default_bank
from detectors.rounds import rounds
from detectors.silence import silence_reason
from ingest.model import Bools, Float64s, Int64s, LivenessChange, Quality, ReadingBatch, Refusal, RefusalReason

BLOCK = 32_768
"""Readings judged in one go: few enough for a core's cache, enough to be worth the calls, and those in which threads
hand over to one another."""

THREADS = min(2, os.cpu_count() or 1)
"""Threads that judge a round of at least two blocks."""

REFUSED_RUN = 3
"""Readings refused in a row, without a good one between, after which it is said."""

GOOD_RUN = 10
"""Good readings in a row after which it is over."""

DEVICE_REFUSALS = frozenset({RefusalReason.OUT_OF_RANGE, RefusalReason.NOT_A_NUMBER})
"""Refusals that speak of the device: the detectors must know of them."""

_OWN = {
    "silent": Column("?", rare=True),
    "refused": Column("u1", seen=True),  # impossible readings in a row
    "refused_us": Column("i8", NEVER, rare=True),  # receive time of the first of them
    "out_of_range": Column("?", seen=True),
    "good": Column("u1", rare=True),  # good readings in a row while it stands
    "open": Column("u2", rare=True),  # a bit per standing condition
    "fault": Column("u2", rare=True),  # a bit per standing condition that speaks against the sensor
    "told_us": Column("i8", NEVER, rare=True),  # event time of the latest verdict about its values
}
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
_BIT = {condition: 1 << place for place, condition in enumerate(Condition)}
_ALWAYS_FAULT = frozenset(Condition) - {Condition.HIGH, Condition.LOW, Condition.UNUSUAL}


@dataclass(frozen=True, slots=True)
class _Turn:
    """Readings of a round, with the time and value of the one before."""

    sensor: Int64s
    event_us: Int64s
    value: Float64s
    previous_us: Int64s
    previous: Float64s

    def some(self, rows: Int64s) -> "_Turn":
        """Some of them."""
        return _Turn(
            self.sensor[rows], self.event_us[rows], self.value[rows], self.previous_us[rows], self.previous[rows]
        )


def _joined(turns: Sequence[_Turn]) -> _Turn:
    def column(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(turn, name) for turn in turns])

    return _Turn(column("sensor"), column("event_us"), column("value"), column("previous_us"), column("previous"))


@dataclass(frozen=True, slots=True)
class _Block:
    """Readings that are judged in one go. known: the sensors' faces as they were before."""

    turn: _Turn
    known: npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Of a block, by detector: the verdicts, and the readings that it wants to judge when all have been judged."""

    found: list[list[Verdict]]
    left: list[list[_Turn]]


def _by_sensor(verdict: Verdict) -> int:
    return verdict.sensor


class Engine:
    """Judges readings in event-time order per sensor. Not thread-safe: one caller at a time.

    ``bytes_per_sensor`` says what the state costs. Two engines fed the same readings answer the same, however many
    ``threads`` judge: a round is judged in two steps. When the new reading of every sensor in it is known, each is
    judged by itself (its neighbours' latest readings are looked at, not what is found of them meanwhile); when all
    are, those which deviate are told apart by what was found of their neighbours too. Verdicts come in order of round,
    detector and sensor.
    """

    def __init__(self, city: City, bank: Sequence[Detector] | None = None, threads: int = THREADS) -> None:
        self.city = city
        self.bank = tuple(default_bank(city) if bank is None else bank)
        kinds = Kinds(city)
        self._kind, self._interval_us = kinds.of, kinds.interval_s * 1e6
        owners = [(SHARED_OWNER, SHARED), ("engine", _OWN)]
        owners += [(detector.name, detector.columns()) for detector in self.bank]
        self._records = Records(len(city.sensors), owners)
        self.shared, self.own, *self.states = self._records.tables.values()
        self._glances = Glances(len(city.sensors))
        self._classes = Classes(len(city.sensors), [detector.judges for detector in self.bank])
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._orphans: dict[int, set[Condition]] = {}

    def tables(self) -> Iterator[tuple[str, Columns]]:
        """All state by the name of its owner: ``shared``, ``engine``, and each detector's own.

        Whoever writes there says so by ``restored``.
        """
        yield from self._records.tables.items()

    @property
    def bytes_per_sensor(self) -> float:
        """What the state of one sensor takes in memory."""
        memories = (*self._records.memories(), self._glances.value, self._glances.at)
        return sum(memory.nbytes for memory in memories) / max(1, len(self.city.sensors))

    def process(self, batch: ReadingBatch, now_us: int) -> list[Verdict]:
        """What began, changed or ended with these readings, in order of judgement.

        Only GOOD readings are judged, each sensor's in order of event time whatever their order in the batch; one that
        is not newer than the sensor's last is left out. now_us: the decision time; no judgement depends on it.
        """
        verdicts: list[Verdict] = []
        for sensor, event_us, value in rounds(batch, len(self.city.sensors)):
            verdicts += self._judge(sensor, event_us, value, now_us)
        return verdicts

    def _judge(self, sensor: Int64s, event_us: Int64s, value: Float64s, now_us: int) -> list[Verdict]:
        """One round. First everybody's new reading is known, then each judges, then those who look at all."""
        # Who is judged by the same detectors stands together: no sifting, only views.
        order = np.argsort(self._classes.of[sensor], kind="stable")

        def known(rows: slice) -> _Block:
            mine = order[rows]
            return self._know(sensor[mine], event_us[mine], value[mine])

        cuts = [slice(begin, begin + BLOCK) for begin in range(0, len(sensor), BLOCK)]
        blocks = self._each(known, cuts)
        verdicts = [verdict for block in blocks for verdict in self._recovered(block, now_us)]
        verdicts.sort(key=_by_sensor)
        self._note(verdicts)
        judged = self._each(self._judge_block, [block for block in blocks if len(block.turn.sensor)])
        for place, detector in enumerate(self.bank):
            found = [verdict for block in judged for verdict in block.found[place]]
            if left := [turn for block in judged for turn in block.left[place]]:
                found += self._judge_late(detector, _joined(left))
            told = [self._in_order(verdict) for verdict in sorted(found, key=_by_sensor)]
            self._note(told)
            verdicts += told
        return verdicts

    def _each(self, work: Callable[[_Given], _Made], parts: Sequence[_Given]) -> list[_Made]:
        """Do some work on each part; no part touches a sensor of another one, so that threads change no answer."""
        if self._threads == 1 or len(parts) <= 1:
            return [work(part) for part in parts]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "judge")
        return list(self._pool.map(work, parts))

    def _know(self, sensor: Int64s, event_us: Int64s, value: Float64s) -> _Block:
        """Keep the time and value of readings that are newer than their sensor's last; the others are left out."""
        known = self._records.faces.take(sensor, mode="clip")
        newer = event_us > known["shared/last_us"]
        if holds(~newer):
            sensor, event_us, value, known = sensor[newer], event_us[newer], value[newer], known[newer]
        previous_us, previous = known["shared/last_us"].copy(), known["shared/last"].copy()
        self.shared["last_us"][sensor], self.shared["last"][sensor] = event_us, value
        self._glances.see(sensor, event_us, value, known["shared/faulty"] != 0)
        return _Block(_Turn(sensor, event_us, value, previous_us, previous), known)

    def _judge_block(self, block: _Block) -> _Judged:
        """What each detector says of some readings, and which of them are left for when all have been judged."""
        turn = block.turn
        found: list[list[Verdict]] = [[] for _ in self.bank]
        left: list[list[_Turn]] = [[] for _ in self.bank]
        readings = self._round(turn)
        part = self._records.take(turn.sensor)
        judged = self._classes.runs(turn.sensor)
        runs = {run: (part.some(slice(*run)), readings.some(slice(*run))) for mine in judged for run in mine}
        everything = {run: some.shared() for run, (some, _) in runs.items()}
        for place, (detector, mine) in enumerate(zip(self.bank, judged, strict=True)):
            for run in mine:
                (some, some_readings), shared = runs[run], everything[run]
                state = some.columns(detector.name)
                mask = detector.concerns(state, shared)
                if mask is None:
                    found[place] += detector.judge(state, shared, some_readings)
                    some.keep(detector.name)
                elif holds(mask):
                    left[place].append(turn.some(rows_of(mask) + run[0]))
        part.put()
        return _Judged(found, left)

    def _judge_late(self, detector: Detector, turn: _Turn) -> Sequence[Verdict]:
        part = self._records.take(turn.sensor)
        found = detector.judge(part.columns(detector.name), part.shared(), self._round(turn))
        part.keep(detector.name)
        part.put()
        return found

    def _round(self, turn: _Turn) -> Round:
        kind = self._kind[turn.sensor].astype(np.int64)
        first = turn.previous_us == NEVER
        elapsed = (turn.event_us - turn.previous_us) / self._interval_us[kind]
        if holds(first):
            elapsed[first] = 0.0
        return Round(
            turn.sensor, kind, turn.event_us, turn.value, first, turn.previous_us, turn.previous, elapsed,
            self._records.faces, self._glances,
        )  # fmt: skip

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
            moved_us = int(times.min()) - round(float(self._interval_us[self._kind[sensor]])) - last_us
            for name, columns in self.tables():
                for column in columns.values() if name != "engine" else ():
                    if column.dtype == np.int64:
                        column[sensor] = np.where(column[sensor] == NEVER, NEVER, column[sensor] + moved_us)
            self._look_again(np.array([sensor]))

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
        self._look_again(np.array([sensor]))

    def _look_again(self, sensor: Int64s) -> None:
        """Bring what neighbours see of some sensors in step with what is known of them."""
        last_us, last = self.shared["last_us"][sensor], self.shared["last"][sensor]
        self._glances.see(sensor, last_us, last, (last_us == NEVER) | (self.shared["faulty"][sensor] != 0))

    def restored(self) -> None:
        """To be called when somebody has filled ``tables`` anew."""
        self._look_again(np.arange(len(self.city.sensors)))

    def _recovered(self, block: _Block, now_us: int) -> list[Verdict]:
        """End what good readings alone can end."""
        turn, known, verdicts = block.turn, block.known, []
        sensor = turn.sensor
        refused = rows_of(known["engine/refused"] > 0)
        if len(refused):
            self.own["refused"][sensor[refused]] = 0
        bad = rows_of(known["engine/out_of_range"])
        if len(bad):
            self.own["good"][sensor[bad]] += 1
            for row in bad[self.own["good"][sensor[bad]] >= GOOD_RUN]:
                self.own["out_of_range"][sensor[row]] = False
                # It began by our clock, and the device's may be behind it; when, is not known of an adopted one.
                begun_us = int(self.own["refused_us"][sensor[row]])
                least_us = now_us if begun_us == NEVER else begun_us
                verdicts.append(
                    self._over(turn, int(row), Condition.OUT_OF_RANGE, "reason.out_of_range.cleared", least_us)
                )
        if self._orphans:
            for row in np.flatnonzero(np.isin(sensor, list(self._orphans))):
                held = sorted(self._orphans.pop(int(sensor[row])))
                verdicts += [self._over(turn, int(row), condition, "reason.unjudged") for condition in held]
        return verdicts

    def _over(self, turn: _Turn, row: int, condition: Condition, key: str, least_us: int = NEVER) -> Verdict:
        sensor, at_us = int(turn.sensor[row]), max(least_us, int(turn.event_us[row]))
        return self._fault(
            sensor, condition, Phase.CLEARED, value=float(turn.value[row]), since_us=at_us, at_us=at_us, key=key
        )

    def liveness(self, changes: Sequence[LivenessChange], now_us: int) -> list[Verdict]:
        """SILENT raised or cleared, once per change of state."""
        verdicts = []
        for change in changes:
            if bool(self.own["silent"][change.sensor]) == change.silent:
                continue
            self.own["silent"][change.sensor] = change.silent
            reason = silence_reason(change, self.city, now_us)
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
                    key=reason.key,
                    params=reason.params,
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
        that stand on these sensors go on standing, as if adopted. Silence says nothing of values: it is only over.
        """
        lost = set(conditions)
        for sensor in sorted(sensor for sensor, condition in lost if condition is Condition.SILENT):
            self.own["silent"][sensor] = False
            self._mark(sensor, Condition.SILENT, stands=False, fault=False)
        lost = {(sensor, condition) for sensor, condition in lost if condition is not Condition.SILENT}
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
        self._look_again(rows)
        for sensor in sensors:
            self._orphans.pop(sensor, None)
        self.adopt(kept)

    def silent(self) -> Bools:
        """Of which sensors SILENT stands, shape (sensors,). A copy."""
        return np.asarray(self.own["silent"].copy(), np.bool_)

    def latest(self) -> tuple[Int64s, Float64s]:
        """Event time (NEVER where none) and value of the last judged reading, shape (sensors,) each. Copies."""
        return self.shared["last_us"].copy(), self.shared["last"].copy()
