from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.city import Sensor
from config.settings import IngestSettings
from ingest.liveness import FALLS, STEADY, WINDOW, Liveness
from ingest.model import LivenessChange, Quality, ReadingBatch, Silence
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


def test_the_grace_after_our_own_outage_holds_where_the_allowance_is_shorter() -> None:
    liveness = Liveness(CITY, SETTINGS.model_copy(update={"grace_s": 200.0}), NOW_US)
    liveness.seen(heard(0, 5))
    assert liveness.check(at(200)) == []
    assert changes(liveness.check(at(201))) == [(0, True)]
    liveness.link(False, at(210))
    liveness.link(True, at(1000))
    liveness.seen(heard(0, 1001))
    assert changes(liveness.check(at(1200))) == [(0, False)]
    assert changes(liveness.check(at(1201))) == [(0, True)]


class TestBoxes:
    def test_one_sensor_of_a_box_that_lives_is_told_apart_from_the_box(self) -> None:
        liveness = boxed()
        for second in range(0, 200, 10):
            liveness.seen(heard(1, second))
            liveness.seen(heard(2, second))
        (change,) = (one for one in liveness.check(at(61)) if one.sensor == 0)
        assert (change.silence, change.last_us, change.box_us) == (Silence.CHILD, 0, at(190))
        assert (change.box_size, change.others) == (3, (1, 2))

    def test_a_box_that_falls_silent_is_told_as_one_by_each_of_its_sensors(self) -> None:
        liveness = boxed()
        for second in range(0, 101, 10):
            for one in range(4):
                liveness.seen(heard(one, second + one / 10))
        for second in range(110, 200, 10):
            liveness.seen(heard(3, second))
        found = liveness.check(at(165))
        assert [(change.sensor, change.silence, change.others) for change in found] == [
            (0, Silence.BOX, (1, 2)),
            (1, Silence.BOX, (0, 2)),
            (2, Silence.BOX, (0, 1)),
        ]
        assert {change.box_us for change in found} == {at(100.2)}

    def test_where_the_others_are_not_due_yet_nobody_knows_about_the_box(self) -> None:
        slow = city([boxed_sensor(0, 10), boxed_sensor(1, 3600)])
        liveness = Liveness(slow, SETTINGS, NOW_US)
        liveness.seen(heard(0, 100))
        liveness.seen(heard(1, 100))
        (change,) = liveness.check(at(161))
        assert (change.sensor, change.silence) == (0, Silence.SENSOR)

    def test_a_box_from_which_nothing_ever_came_is_told_as_one(self) -> None:
        found = boxed().check(at(61))
        assert [(change.sensor, change.silence, change.box_us) for change in found] == [
            (0, Silence.BOX, 0),
            (1, Silence.BOX, 0),
            (2, Silence.BOX, 0),
            (3, Silence.SENSOR, 0),
        ]

    def test_when_one_sensor_of_a_silent_box_comes_back_it_alone_does(self) -> None:
        liveness = boxed()
        liveness.check(at(61))
        liveness.seen(heard(1, 70))
        assert changes(liveness.check(at(71))) == [(1, False)]

    def test_of_a_large_box_some_are_named(self) -> None:
        liveness = Liveness(city([boxed_sensor(number, 10) for number in range(40)]), SETTINGS, NOW_US)
        found = liveness.check(at(61))
        assert {change.box_size for change in found} == {40}
        assert found[3].others == (0, 1, 2, *range(4, 13))


class TestFlapping:
    def test_the_third_fall_within_the_window_is_flapping_told_once_until_it_is_steady(self) -> None:
        liveness = watch()
        told: list[LivenessChange] = []
        for fall in range(8):  # a reading, then 65 s of silence
            liveness.seen(heard(0, fall * 66 + 1))
            told += [
                one for second in range(66) for one in liveness.check(at(fall * 66 + second + 1)) if not one.sensor
            ]
        assert [(one.silent, one.silence) for one in told] == [
            (True, Silence.SENSOR),
            (False, Silence.SENSOR),
            (True, Silence.SENSOR),
            (False, Silence.SENSOR),
            (True, Silence.FLAPPING),
        ]
        assert (told[-1].times, told[-1].window_s) == (FALLS, WINDOW * 60)
        assert liveness.flapping == 1
        told.clear()
        last_fall = 7 * 66 + 62
        for second in range(8 * 66, 8 * 66 + 600, 10):
            liveness.seen(heard(0, second))
            told += [one for one in liveness.check(at(second)) if not one.sensor]
        (over,) = told
        assert (over.silent, over.silence, over.window_s) == (False, Silence.FLAPPING, STEADY * 60)
        assert at(last_fall + STEADY * 60) <= over.at_us <= at(last_fall + STEADY * 60 + 10)
        assert liveness.flapping == 0

    def test_falls_that_are_far_apart_are_no_flapping(self) -> None:
        liveness = watch()
        found = []
        for fall in range(10):
            begin = fall * WINDOW * 60
            for second in range(begin, begin + WINDOW * 60 - 70, 50):
                liveness.seen(heard(0, second))
                found += liveness.check(at(second))
            found += liveness.check(at(begin + WINDOW * 60 - 1))
        kinds = {one.silence for one in found if one.sensor == 0}
        assert kinds == {Silence.SENSOR}
        assert len([one for one in found if one.sensor == 0]) == 19

    def test_our_own_outages_make_nobody_flap(self) -> None:
        liveness = watch()
        for number in range(20):
            liveness.link(False, at(number * 50))
            liveness.check(at(number * 50 + 20))
            liveness.link(True, at(number * 50 + 40))
            liveness.check(at(number * 50 + 45))
        assert liveness.flapping == liveness.silent == 0

    def test_what_is_remembered_over_a_restart_tells_a_flapping_sensor_from_a_new_one(self) -> None:
        before = watch()
        for fall in range(3):
            before.seen(heard(0, fall * 66 + 1))
            before.check(at(fall * 66 + 66))
        assert before.flapping == 1
        after = Liveness(CITY, SETTINGS, at(300))
        for (_, kept), (_, taken) in zip(before.tables(), after.tables(), strict=True):
            assert kept.keys() == taken.keys()
            for name, column in kept.items():
                taken[name][:] = column
        after.adopt(np.array([True, False]))
        assert after.flapping == 1
        after.seen(heard(0, 310))
        assert after.check(at(311)) == []  # speaks again, but not steadily
        for second in range(320, 700, 10):
            after.seen(heard(0, second))
        assert changes(after.check(at(690))) == [(0, False), (1, True)]


def test_what_was_heard_before_a_restart_is_not_the_return_of_who_was_silent_then() -> None:
    liveness = watch()
    liveness.seen(heard(0, -100))  # judged again after the restart
    liveness.adopt(np.array([True, False]))
    assert liveness.check(at(1)) == []
    liveness.seen(heard(0, 2))
    assert changes(liveness.check(at(3))) == [(0, False)]


def boxed_sensor(number: int, interval_s: float, device: str = "box-1") -> Sensor:
    return replace(sensor(number, f"gas-{number}", interval_s=interval_s), device=device)


def boxed() -> Liveness:
    """Three sensors in one box and one alone."""
    town = city([*(boxed_sensor(number, 10) for number in range(3)), boxed_sensor(3, 10, "box-2")])
    return Liveness(town, SETTINGS, NOW_US)
