"""Broken payloads without end: none may raise, none may vanish, each refusal is kept.

``python -m benchmarks.fuzz [--count 1000000] [--seed 1] [--batch 2000]``

Payloads of every format are broken byte by byte (flipped, cut, spliced, repeated), by their numbers, texts, nesting and
types; good and bad readings stand in one pack; hypothesis makes others. They go through ``Intake.admit`` and
``DeadLetter.write`` with a bound that is passed many times over. Raises AssertionError where anything is wrong.
"""

import argparse
import json
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import hypothesis
import numpy as np
import structlog
from hypothesis import HealthCheck
from hypothesis import strategies as st

from benchmarks.fuzz_seeds import MAKERS, RULES
from benchmarks.intake import made_up_city
from config.city import City
from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.deadletter import DeadLetter
from ingest.formats import FORMATS
from ingest.intake import Intake
from ingest.model import Admission, Messages, Quality

SENSORS = 400
NOW_US = 1_700_000_000_000_000
KEPT_BYTES = 64 * 2**20
PART_BYTES = 4 * 2**20
DRAWN = 2000  # payloads that hypothesis makes; they are broken further afterwards

SUBSCRIPTIONS = (
    *(Subscription(filter=f"gridwhistle/{found.value}/#", format=found) for found in FORMATS),
    Subscription(filter="gridwhistle/local/#", format=PayloadFormat.NATIVE, timezone="Europe/Berlin"),
)
ODD_TOPICS = ("gridwhistle/local/x", "elsewhere", "gridwhistle/\ud800", "")

NUMBERS = (
    *("0", "-0", "-0.0", "1e308", "-1e308", "1e309", "1e999", "5e-324", "1e-999", "NaN", "Infinity", "-Infinity"),
    *("9" * 30, "9" * 400, "9" * 5000, "9223372036854775808", "18446744073709551616", "-9223372036854775809", "01"),
    *("1.", ".5", "+1", "0x10", "1_000", "1e", "253402300800", "-62135596801", "1700000000000", "4.35e-7"),
)
WRONG = (
    *("null", "true", "false", '""', '"x"', "[]", "{}", "[[]]", '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"1.5"'),
    *('"2023-11-14T22:13:20Z"', '"2023-11-14T22:13:20"', '"2024-03-31T02:30:00"', '"0001-01-01T00:00:00+14:00"'),
    *('"9999-12-31T23:59:60Z"', '"2023-02-30T00:00:00Z"', '"box-000001-ch4"', '"%LEL"', '"good"', '"街道"', "[1,2"),
)
BITS = (b"\xff", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"\n", b"null", b",", b"}", b"]", b"{", b"[", b'"', b"\\u")


@dataclass
class Totals:
    """What has been seen so far."""

    payloads: int = 0
    readings: int = 0
    admitted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    lines: int = 0


def sound(chance: random.Random, city: City, found: PayloadFormat) -> tuple[str, bytes]:
    """A topic and a payload of a format, one reading or some."""
    topic, payload = MAKERS[found](chance, city)
    return f"gridwhistle/{found.value}/{topic}", payload


def _flip(chance: random.Random, payload: bytes, other: bytes) -> bytes:
    del other
    broken = bytearray(payload)
    for _ in range(chance.randrange(1, 4)):
        if broken:
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def _cut(chance: random.Random, payload: bytes, _: bytes) -> bytes:
    begin, end = sorted((chance.randrange(len(payload) + 1), chance.randrange(len(payload) + 1)))
    return payload[:begin] + payload[end:] if chance.random() < 0.5 else payload[:end]


def _splice(chance: random.Random, payload: bytes, other: bytes) -> bytes:
    return payload[: chance.randrange(len(payload) + 1)] + other[chance.randrange(len(other) + 1) :]


def _repeat(chance: random.Random, payload: bytes, _: bytes) -> bytes:
    begin, end = sorted((chance.randrange(len(payload) + 1), chance.randrange(len(payload) + 1)))
    return payload[:end] + payload[begin:end] * chance.choice([1, 2, 50]) + payload[end:]


def _insert(chance: random.Random, payload: bytes, _: bytes) -> bytes:
    at = chance.randrange(len(payload) + 1)
    return payload[:at] + chance.choice(BITS) + payload[at:]


def _value(chance: random.Random, payload: bytes, _: bytes) -> bytes:
    """Another value in the place of one: behind a colon or an equals sign up to what ends it."""
    before = [at for at, byte in enumerate(payload) if byte in b":="]
    if not before:
        return payload
    begin = chance.choice(before) + 1
    end = next((at for at in range(begin, len(payload)) if payload[at] in b",;&}]"), len(payload))
    return payload[:begin] + chance.choice(NUMBERS + WRONG).encode() + payload[end:]


def _nest(chance: random.Random, payload: bytes, _: bytes) -> bytes:
    deep = chance.choice([1, 2, 30, 30, 2000])
    left, right = chance.choice([(b"[", b"]"), (b'{"x":', b"}")])
    return left * deep + payload + right * (deep if chance.random() < 0.7 else deep // 2)


def _pack(chance: random.Random, payload: bytes, other: bytes) -> bytes:
    """Good and bad in one list."""
    parts = [payload, other, chance.choice(NUMBERS + WRONG).encode()]
    chance.shuffle(parts)
    return b"[" + b",".join(part.strip(b"[]") or b"0" for part in parts) + b"]"


BREAKERS: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    *(_flip, _flip, _cut, _splice, _repeat, _insert, _insert),
    *(_value, _value, _value, _value, _nest, _pack, _pack),
)


def drawn(seed: int, count: int) -> list[bytes]:
    """Payloads that hypothesis makes: any JSON, and any bytes."""
    names = st.sampled_from(
        ["id", "t", "v", "u", "q", "s", "n", "bn", "bt", "bu", "bv", "bver", "vs", "vb", "vd", "x_"]
    )
    value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=6,
    )
    readings = st.lists(st.dictionaries(names, value, max_size=6), max_size=4)
    payloads = st.binary(max_size=60) | (readings | value).map(lambda made: json.dumps(made).encode())
    made: list[bytes] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @hypothesis.given(payloads)
    def collect(payload: bytes) -> None:
        made.append(payload)

    collect()
    return made


def batches(city: City, count: int, size: int, seed: int, made: Sequence[bytes]) -> Iterator[Messages]:
    """``count`` messages in batches."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, not secret
    formats = list(FORMATS)
    before = b"{}"
    for begin in range(0, count, size):
        topics, payloads = [], []
        for _ in range(min(size, count - begin)):
            found = chance.choice(formats)
            topic, payload = sound(chance, city, found)
            if made and chance.random() < 0.1:
                payload = chance.choice(made)
            for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
                payload = chance.choice(BREAKERS)(chance, payload, before)[:20_000]
            before = payload[:300]
            topics.append(topic if chance.random() < 0.95 else chance.choice(ODD_TOPICS))
            payloads.append(payload)
        chances = np.random.default_rng(chance.randrange(2**32))
        number = len(payloads)
        received = np.full(number, NOW_US + begin * 100, np.int64)
        yield Messages(topics, payloads, received, chances.random(number) < 0.02, chances.random(number) < 0.05)


def _hold(what_is_true: bool, otherwise: str) -> None:
    """Raise AssertionError with these words where it is not true."""
    if not what_is_true:
        raise AssertionError(otherwise)


def check(intake: Intake, messages: Messages, admission: Admission, totals: Totals) -> None:
    """Raise AssertionError where a batch was not accounted for."""
    counters, batch = intake.counters, admission.batch
    totals.payloads += len(messages)
    totals.admitted += len(batch)
    totals.refused.update(refusal.reason.value for refusal in admission.refused)
    _hold(counters["messages"] == totals.payloads, "messages are not counted")
    _hold(counters["admitted"] == totals.admitted, "what is admitted is not counted")
    _hold(counters["readings"] == counters["admitted"] + counters["refused"], f"counters do not add up: {counters}")
    of_reasons = sum(number for name, number in counters.items() if name.startswith("refused."))
    _hold(of_reasons == counters["refused"], f"reasons do not add up: {counters}")
    others = counters["messages_without_readings"] + counters["fields_passed_over"]
    _hold(counters["readings"] + others >= totals.payloads, "a message left no trace")
    far = np.abs(admission.given_us - NOW_US).max(initial=0)
    _hold(far <= IngestSettings().too_old_s * 1e6, "a time that cannot be")
    _hold(bool(np.isfinite(batch.value).all()), "a value is not finite")
    known = (batch.sensor >= 0) & (batch.sensor < SENSORS) & (batch.quality <= max(Quality))
    _hold(bool(known.all()), "a sensor or a quality that there is not")
    live = batch.quality != Quality.RETAINED
    keys = [batch.sensor[live].tolist(), batch.event_us[live].tolist(), admission.identity[live].tolist()]
    _hold(len({*zip(*keys, strict=True)}) == int(live.sum()), "one reading twice")
    totals.readings = counters["readings"]


def check_kept(letters: DeadLetter, folder: Path, totals: Totals, newest: Admission | None) -> None:
    """Raise AssertionError where the dead-letter does not hold what it should."""
    size = sum(path.stat().st_size for path in (folder / "dead-letter").glob("*.jsonl"))
    counters, refused = letters.counters, sum(totals.refused.values())
    _hold(counters["written"] == refused, f"{counters['written']} written, {refused} refused")
    _hold(size <= KEPT_BYTES + 2 * PART_BYTES, f"{size} bytes kept")
    if not counters["deleted_files"]:
        _hold(len(letters.tail(refused + 1)) == refused, "what was written does not come back")
    if newest is not None and newest.refused:
        back = [(entry.payload, entry.reason) for entry in letters.tail(len(newest.refused))]
        _hold(back == [(one.payload, one.reason) for one in newest.refused], "the newest come back otherwise")


def run(count: int, seed: int, size: int, draws: int = DRAWN) -> tuple[Totals, float, float, dict[str, int]]:
    """Fuzz; the totals, CPU seconds spent in the intake and in the dead-letter, and the latter's counters."""
    city = replace(made_up_city(SENSORS), fields=RULES)
    intake = Intake(city, IngestSettings(), SUBSCRIPTIONS)
    totals, admitting, writing = Totals(), 0.0, 0.0
    made = drawn(seed, draws)
    newest: Admission | None = None
    with tempfile.TemporaryDirectory() as name:
        letters = DeadLetter(Path(name), city, part_bytes=PART_BYTES, total_bytes=KEPT_BYTES)
        for messages in batches(city, count, size, seed, made):
            start = time.process_time()
            admission = intake.admit(messages, int(messages.received_us[0]))
            admitting += time.process_time() - start
            start = time.process_time()
            letters.write(admission.refused)
            writing += time.process_time() - start
            check(intake, messages, admission, totals)
            newest = admission
        check_kept(letters, Path(name), totals, newest)
        return totals, admitting, writing, dict(letters.counters)


def main() -> None:
    """Print what became of everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="payloads")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same payloads")
    parser.add_argument("--batch", type=int, default=2000, help="payloads in a batch")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # deletions are counted
    start = time.perf_counter()
    totals, admitting, writing, kept = run(given.count, given.seed, given.batch)
    took = time.perf_counter() - start
    print(f"{totals.payloads:,} payloads, {totals.readings:,} readings, {totals.admitted:,} admitted, 0 exceptions")
    for reason, number in totals.refused.most_common():
        print(f"{number:>12,}  {reason}")
    print(f"dead-letter: {kept}")
    print(
        f"{took:.0f} s in all ({totals.payloads / took:,.0f} payloads/s with making them); CPU per payload: "
        f"intake {admitting / totals.payloads * 1e6:.1f} us, dead-letter {writing / totals.payloads * 1e6:.1f} us"
    )


if __name__ == "__main__":
    main()
