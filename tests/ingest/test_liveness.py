import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import IngestSettings
from ingest.liveness import Liveness
from ingest.model import LivenessChange, Quality, ReadingBatch
from tests.ingest.builders import NOW_US, city, sensor

SECOND = 1_000_000
CITY = city([sensor(0, "gas-1", interval_s=10), sensor(1, "gas-2", interval_s=100)])
SETTINGS = IngestSettings(silent_after=3, silent_floor_s=60)  # allowed: 60 s and 300 s


def at(second: float) -> int:
    return NOW_US + round(second * SECOND)


def heard(one: int, second: float, quality: int = Quality.GOOD) -> ReadingBatch:
    return ReadingBatch.of([one], [at(second)], [at(second)], [1.0], [quality])


def watch() -> Liveness:
    return Liveness(CITY, SETTINGS, NOW_US)


def changes(found: list[LivenessChange]) -> list[tuple[int, bool]]:
    return [(change.sensor, change.silent) for change in found]


def test_a_sensor_that_never_spoke_is_found_after_its_allowance() -> None:
    liveness = watch()
    assert liveness.check(at(60)) == []
    assert liveness.check(at(61)) == [LivenessChange(0, True, at(61), 0, 60.0)]
    assert liveness.check(at(62)) == []
    assert changes(liveness.check(at(301))) == [(1, True)]
    assert liveness.silent == 2


def test_a_reading_renews_the_allowance() -> None:
    liveness = watch()
    liveness.seen(heard(0, 50))
    assert liveness.check(at(110)) == []
    assert liveness.check(at(111)) == [LivenessChange(0, True, at(111), at(50), 60.0)]


def test_speaking_again_is_a_change() -> None:
    liveness = watch()
    liveness.check(at(61))
    liveness.seen(heard(0, 70))
    assert liveness.check(at(71)) == [LivenessChange(0, False, at(71), at(70), 60.0)]
    assert liveness.check(at(72)) == []
    assert changes(liveness.check(at(131))) == [(0, True)]


def test_nobody_is_silent_while_our_own_link_is_down() -> None:
    liveness = watch()
    liveness.link(False, at(10))
    assert liveness.check(at(10_000)) == []


def test_after_our_own_outage_everybody_has_the_full_allowance_again() -> None:
    liveness = watch()
    liveness.link(False, at(10))
    liveness.link(True, at(1000))
    liveness.link(True, at(1030))  # said again: starts nothing anew
    assert liveness.check(at(1060)) == []
    assert changes(liveness.check(at(1061))) == [(0, True)]


def test_our_own_outage_does_not_make_a_silent_sensor_speak() -> None:
    liveness = watch()
    liveness.check(at(61))
    liveness.link(False, at(70))
    liveness.link(True, at(80))
    assert liveness.check(at(90)) == []
    assert liveness.silent == 1


def test_a_retained_message_is_no_sign_of_life_but_a_late_one_is() -> None:
    liveness = watch()
    liveness.seen(heard(0, 50, Quality.RETAINED))
    assert changes(liveness.check(at(61))) == [(0, True)]
    liveness.seen(heard(0, 62, Quality.LATE))
    assert changes(liveness.check(at(63))) == [(0, False)]


def test_heard_and_silent_again_between_two_checks_is_no_change() -> None:
    liveness = watch()
    liveness.check(at(61))
    liveness.seen(heard(0, 62))
    assert liveness.check(at(200)) == []
    assert liveness.silent == 1


@given(
    st.lists(st.tuples(st.sampled_from(["hear0", "hear1", "check", "up", "down"]), st.integers(0, 200)), max_size=60)
)
def test_changes_of_a_sensor_alternate_and_silence_is_never_called_too_early(steps: list[tuple[str, int]]) -> None:
    liveness, now, up, since = watch(), NOW_US, True, NOW_US
    last, silent, allowed = [0, 0], [False, False], [60 * SECOND, 300 * SECOND]
    for what, seconds in steps:
        now += seconds * SECOND
        if what.startswith("hear"):
            one = int(what[-1])
            last[one] = now
            liveness.seen(ReadingBatch.of([one], [now], [now], [1.0], [0]))
        elif what == "check":
            for change in liveness.check(now):
                assert change.silent is not silent[change.sensor]
                silent[change.sensor] = change.silent
                if change.silent:
                    assert up
                    assert now - max(last[change.sensor], since) > allowed[change.sensor]
            if up:
                overdue = [now - max(last[one], since) > allowed[one] for one in (0, 1)]
                assert all(silent[one] for one in (0, 1) if overdue[one])
        else:
            since = now if what == "up" and not up else since
            up = what == "up"
            liveness.link(up, now)


def test_many_readings_of_one_sensor_in_a_batch_count_by_the_newest() -> None:
    liveness = watch()
    times = np.array([at(50), at(55), at(20)], np.int64)
    liveness.seen(ReadingBatch(np.zeros(3, np.int32), times, times, np.ones(3), np.zeros(3, np.uint8)))
    assert liveness.check(at(115)) == []
    assert changes(liveness.check(at(116))) == [(0, True)]


def test_who_was_silent_before_a_restart_is_not_told_again_but_comes_back_when_it_speaks() -> None:
    liveness = watch()
    liveness.adopt(np.array([True, False]))
    assert liveness.silent == 1
    assert liveness.check(at(100)) == []
    assert changes(liveness.check(at(301))) == [(1, True)]
    liveness.seen(heard(0, 310))
    assert liveness.check(at(311)) == [LivenessChange(0, False, at(311), at(310), 60.0)]
    assert changes(liveness.check(at(371))) == [(0, True)]


def test_who_was_silent_is_adopted_for_every_sensor_or_none() -> None:
    with pytest.raises(ValueError, match="expected"):
        watch().adopt(np.array([True]))
