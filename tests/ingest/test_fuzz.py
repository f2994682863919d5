"""A small run of ``benchmarks.fuzz``: broken payloads of every format raise nothing, and none vanishes."""

import random

import pytest

from benchmarks.fuzz import BREAKERS, batches, drawn, run, sound
from benchmarks.fuzz_seeds import MAKERS
from benchmarks.intake import made_up_city
from ingest.formats import FORMATS
from ingest.model import RefusalReason


@pytest.mark.parametrize("seed", [1, 2])
def test_broken_payloads_raise_nothing_and_none_vanishes(seed: int) -> None:
    totals, _, _, kept = run(3000, seed, 250, draws=100)
    assert totals.payloads == 3000
    assert totals.admitted > 300  # the good ones among them
    assert kept["written"] == sum(totals.refused.values()) > 1500
    assert set(totals.refused) >= {
        *(RefusalReason.UNREADABLE, RefusalReason.MISSING_FIELD, RefusalReason.UNKNOWN_SENSOR, RefusalReason.BAD_TIME),
        *(RefusalReason.NOT_A_NUMBER, RefusalReason.WRONG_UNIT, RefusalReason.OUT_OF_RANGE, RefusalReason.DUPLICATE),
    }


def test_every_format_is_broken_in_every_way() -> None:
    city = made_up_city(4)
    chance = random.Random(1)  # noqa: S311  # repeatable, not secret
    for found in FORMATS:
        assert found in MAKERS
        for breaker in {*BREAKERS}:
            payloads = [sound(chance, city, found)[1] for _ in range(50)]
            assert [breaker(chance, payload, b"{}") for payload in payloads] != payloads


def test_the_same_seed_makes_the_same_payloads() -> None:
    city = made_up_city(4)
    made = drawn(3, 20)
    assert made == drawn(3, 20)
    first, again = ([list(one.payloads) for one in batches(city, 100, 30, 7, made)] for _ in range(2))
    assert first == again
