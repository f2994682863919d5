"""What every detector must hold to, whatever it judges. Run over the whole registry by the tests.

A check takes a maker of engines (same city, same bank, no history) and a stream of batches that holds calm, noise,
jumps, freezes, gaps, late readings and several readings of one sensor in a batch; it raises CheckError.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from config.city import City
from detectors.engine import Engine
from detectors.model import Condition, Phase, Verdict
from detectors.snapshot import capture, restore
from ingest.model import Quality, ReadingBatch

Maker = Callable[[], Engine]
Stream = Sequence[ReadingBatch]


class CheckError(AssertionError):
    """A detector broke a promise; the message says which."""


def _require(holds: bool, promise: str) -> None:  # reads as a sentence at the call
    if not holds:
        raise CheckError(promise)


def _run(engine: Engine, stream: Stream) -> list[Verdict]:
    return [verdict for batch in stream for verdict in engine.process(batch, 0)]


def _same_state(one: Engine, other: Engine) -> bool:
    pairs = zip(one.tables(), other.tables(), strict=True)
    return all(np.array_equal(mine[name], theirs[name]) for (_, mine), (_, theirs) in pairs for name in mine)


def inputs_untouched(make: Maker, stream: Stream) -> None:
    """Judging writes nothing into the batch."""
    engine = make()
    for batch in stream:
        before = batch.take(np.arange(len(batch)))
        engine.process(batch, 0)
        for column in ("sensor", "event_us", "received_us", "value", "quality"):
            _require(np.array_equal(getattr(before, column), getattr(batch, column)), f"{column} was written to")


def deterministic(make: Maker, stream: Stream) -> None:
    """The same readings lead to the same verdicts and the same state."""
    one, other = make(), make()
    _require(_run(one, stream) == _run(other, stream), "two runs answered differently")
    _require(_same_state(one, other), "two runs learned differently")


def causal(make: Maker, stream: Stream) -> None:
    """A reading is scored by what came before it: what comes later changes no earlier verdict."""
    half = len(stream) // 2
    whole, part = _run(make(), stream), _run(make(), stream[:half])
    _require(whole[: len(part)] == part, "a later reading changed an earlier verdict")


def order_irrelevant(make: Maker, stream: Stream) -> None:
    """The order of readings within a batch does not matter."""
    one, other = make(), make()
    shuffle = np.random.default_rng(0)
    mixed = [batch.take(shuffle.permutation(len(batch))) for batch in stream]
    _require(_run(one, stream) == _run(other, mixed), "the order of readings in a batch changed a verdict")
    _require(_same_state(one, other), "the order of readings in a batch changed what was learned")


def survives_restart(make: Maker, stream: Stream) -> None:
    """Saved, restored into a fresh engine and run on, it answers as if it had never stopped."""
    half = len(stream) // 2
    one, other = make(), make()
    _run(one, stream[:half])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        capture(one.city, one.tables()).write(path)
        restore(path, other.city, other.tables())
        other.restored()
    _require(_run(one, stream[half:]) == _run(other, stream[half:]), "a restart changed a verdict")
    _require(_same_state(one, other), "a restart changed what was learned")


def numbers_sound(make: Maker, stream: Stream) -> None:
    """No state is ever infinite or not a number, and no verdict holds one where the contract wants a value."""
    engine = make()
    for verdict in _run(engine, stream):
        _require(np.isfinite(verdict.value), f"{verdict.condition}: value {verdict.value}")
        _require(verdict.score >= 0, f"{verdict.condition}: score {verdict.score}")
        _require(verdict.expected_low <= verdict.expected_high, f"{verdict.condition}: the expected range is empty")
        _require(verdict.since_us <= verdict.at_us, f"{verdict.condition}: began after it was decided")
    for owner, columns in engine.tables():
        for name, column in columns.items():
            _require(bool(np.isfinite(column).all()), f"{owner}/{name} is not finite")


def each_condition_once(make: Maker, stream: Stream) -> None:
    """A condition is raised when it does not stand, changed and cleared when it does; standing() agrees."""
    engine = make()
    standing: set[tuple[int, Condition]] = set()
    for verdict in _run(engine, stream):
        key = (verdict.sensor, verdict.condition)
        _require((verdict.phase is Phase.RAISED) != (key in standing), f"{verdict.phase} while standing is {standing}")
        if verdict.phase is Phase.CLEARED:
            standing.remove(key)
        else:
            standing.add(key)
    _require(engine.standing() == standing, f"standing() says {engine.standing()}, the verdicts say {standing}")


def only_good_judged(make: Maker, stream: Stream) -> None:
    """Readings of any quality but GOOD change nothing."""
    engine, untouched = make(), make()
    for batch in stream:
        for quality in set(Quality) - {Quality.GOOD}:
            marked = np.full(len(batch), quality, np.uint8)
            told = engine.process(ReadingBatch(batch.sensor, batch.event_us, batch.received_us, batch.value, marked), 0)
            _require(not told, f"a {quality.name} reading was judged")
    _require(_same_state(engine, untouched), "a reading that may not be judged was learned from")


CHECKS: Mapping[str, Callable[[Maker, Stream], None]] = MappingProxyType(
    {
        check.__name__: check
        for check in (
            inputs_untouched,
            deterministic,
            causal,
            order_irrelevant,
            survives_restart,
            numbers_sound,
            each_condition_once,
            only_good_judged,
        )
    }
)
"""Every check by its name."""


def trouble(city: City, batches: int = 120, seed: int = 1) -> list[ReadingBatch]:
    """A stream for a city that holds everything that can go wrong, at intervals of each sensor's own."""
    rng = np.random.default_rng(seed)
    count = len(city.sensors)
    measures = [sensor.measures for sensor in city.sensors]
    low, high = np.array([q.low for q in measures], float), np.array([q.high for q in measures], float)
    level = np.clip(low + 0.02 * (high - low), low, high)
    scatter = 0.001 * (high - low)
    interval_us = np.array([sensor.interval_s for sensor in city.sensors]) * 1e6
    mood, at_us = np.zeros(count, int), np.full(count, 1_700_000_000_000_000.0)
    held, stream = level.copy(), []
    for _ in range(batches):
        rows: list[tuple[int, int, float]] = []
        turn = rng.random(count) < 0.04
        mood[turn] = rng.integers(0, 6, turn.sum())  # 0-1 calm, 2 frozen, 3 moved, 4 wild, 5 away
        for _ in range(int(rng.integers(1, 5))):
            at_us += interval_us * np.where(mood == 5, 7, 1)
            shift = np.where(mood == 3, 60 * scatter, 0) + np.where(mood == 4, 40 * scatter * rng.normal(size=count), 0)
            fresh = np.clip(level + shift + scatter * rng.normal(size=count), low, high)
            held = np.where(mood == 2, held, fresh)
            late = np.where(rng.random(count) < 0.05, 5 * interval_us, 0)
            rows += [(i, int(at_us[i] - late[i]), float(held[i])) for i in range(count)]
        sensor, event_us, value = zip(*rows, strict=True)
        stream.append(ReadingBatch.of(sensor, event_us, event_us, value, [Quality.GOOD] * len(rows)))
    return stream
