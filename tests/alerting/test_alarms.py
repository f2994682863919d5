from dataclasses import replace

import pytest

from alerting.alarms import AlarmReason, Call, Step, acknowledge, calls_for, judge
from alerting.model import Alarm, AlarmState
from config.vocabulary import Severity
from detectors.model import Condition, Nature, Phase
from tests.alerting.support import NOON_US, SECOND_US, cleared, verdict

LATER_US = NOON_US + 60 * SECOND_US


def standing() -> Alarm:
    alarm = judge(None, verdict(0), "s0-ch4", NOON_US + 5).alarm
    assert alarm is not None
    return replace(alarm, id=7)


def gone() -> Alarm:
    alarm = judge(standing(), cleared(verdict(0), LATER_US), "s0-ch4", LATER_US).alarm
    assert alarm is not None
    return alarm


def test_the_first_verdict_raises_an_alarm() -> None:
    decision = judge(None, verdict(0), "s0-ch4", NOON_US + 5)
    assert (decision.step, decision.reason) == (Step.RAISE, AlarmReason.BEGAN)
    assert decision.alarm is not None
    assert decision.alarm.state is AlarmState.RAISED
    assert (decision.alarm.raised_us, decision.alarm.at_us) == (NOON_US + 5, NOON_US)


def test_a_change_of_what_is_not_known_raises_too() -> None:
    assert judge(None, verdict(0, Phase.CHANGED), "s0-ch4", NOON_US).reason is AlarmReason.CHANGE_OF_NOTHING


def test_the_same_verdict_again_does_nothing() -> None:
    assert judge(standing(), verdict(0), "s0-ch4", LATER_US).reason is AlarmReason.SAME_AGAIN


def test_a_graver_verdict_changes_the_alarm() -> None:
    decision = judge(standing(), verdict(0, Phase.CHANGED, severity=Severity.EXTREME, at_us=LATER_US), "x", LATER_US)
    assert (decision.step, decision.reason) == (Step.CHANGE, AlarmReason.CHANGED)
    assert decision.alarm is not None
    assert (decision.alarm.severity, decision.alarm.id) == (Severity.EXTREME, 7)


def test_a_change_decided_on_older_readings_does_nothing() -> None:
    changed = judge(standing(), verdict(0, Phase.CHANGED, severity=Severity.EXTREME, at_us=LATER_US), "x", LATER_US)
    decision = judge(changed.alarm, verdict(0), "x", LATER_US)
    assert (decision.step, decision.reason) == (Step.NOTHING, AlarmReason.OLDER)


def test_the_end_clears_it_and_keeps_who_acknowledged() -> None:
    seen = acknowledge(standing(), "admin", NOON_US + 9)
    decision = judge(seen, cleared(verdict(0), LATER_US), "s0-ch4", LATER_US + 1)
    assert (decision.step, decision.reason) == (Step.CLEAR, AlarmReason.ENDED)
    assert decision.alarm is not None
    assert (decision.alarm.state, decision.alarm.cleared_us) == (AlarmState.CLEARED, LATER_US + 1)
    assert decision.alarm.acknowledged_by == "admin"


def test_an_end_that_belongs_to_an_earlier_alarm_does_not_clear_this_one() -> None:
    assert judge(standing(), cleared(verdict(0), NOON_US - SECOND_US), "x", LATER_US).reason is AlarmReason.OLDER


@pytest.mark.parametrize("condition", [Condition.SILENT, Condition.OUT_OF_RANGE])
@pytest.mark.parametrize("behind_us", [SECOND_US, 3600 * SECOND_US])
def test_what_began_by_our_clock_ends_with_a_reading_whose_own_clock_is_behind(
    condition: Condition, behind_us: int
) -> None:
    fault = verdict(0, condition=condition, nature=Nature.FAULT, at_us=LATER_US, since_us=NOON_US, value=float("nan"))
    alarm = judge(None, fault, "s0-ch4", LATER_US).alarm
    assert judge(alarm, cleared(fault, LATER_US - behind_us), "s0-ch4", LATER_US + SECOND_US).step is Step.CLEAR


def test_a_device_whose_clock_is_ahead_can_fall_silent_again_at_once() -> None:
    silence = verdict(0, condition=Condition.SILENT, nature=Nature.FAULT, at_us=NOON_US)
    alarm = judge(None, silence, "s0-ch4", NOON_US).alarm
    ended = judge(alarm, cleared(silence, LATER_US + 100 * SECOND_US), "s0-ch4", LATER_US).alarm
    again = replace(silence, at_us=LATER_US + SECOND_US)
    assert judge(ended, again, "s0-ch4", LATER_US + SECOND_US).step is Step.RAISE


def test_nothing_ends_twice() -> None:
    assert judge(gone(), cleared(verdict(0), LATER_US), "x", LATER_US).reason is AlarmReason.NOTHING_STANDS
    assert judge(None, cleared(verdict(0), LATER_US), "x", LATER_US).reason is AlarmReason.NOTHING_STANDS


@pytest.mark.parametrize("at_us", [NOON_US, LATER_US])
def test_a_verdict_redelivered_after_the_end_does_not_raise_again(at_us: int) -> None:
    assert judge(gone(), verdict(0, at_us=at_us), "x", LATER_US + 1).reason is AlarmReason.OLDER


def test_a_newer_verdict_after_the_end_raises_a_new_alarm() -> None:
    decision = judge(gone(), verdict(0, at_us=LATER_US + 1), "x", LATER_US + 2)
    assert decision.step is Step.RAISE
    assert decision.alarm is not None
    assert decision.alarm.id == 0


def test_acknowledging_twice_keeps_the_first() -> None:
    first = acknowledge(standing(), "admin", 1)
    assert acknowledge(first, "other", 2) is first
    assert acknowledge(gone(), "admin", 1).acknowledged_by is None


@pytest.mark.parametrize(
    ("nature", "condition", "life_safety", "call"),
    [
        (Nature.EVENT, Condition.UNUSUAL, False, Call.GRID),
        (Nature.FAULT, Condition.STUCK, True, Call.MAINTENANCE),
        (Nature.UNKNOWN, Condition.UNUSUAL, False, Call.NOBODY),
        (Nature.UNKNOWN, Condition.HIGH, False, Call.NOBODY),
        (Nature.UNKNOWN, Condition.HIGH, True, Call.GRID),
        (Nature.UNKNOWN, Condition.UNUSUAL, True, Call.NOBODY),
    ],
)
def test_who_is_called(nature: Nature, condition: Condition, life_safety: bool, call: Call) -> None:
    alarm = replace(standing(), nature=nature, condition=condition)
    assert calls_for(alarm, life_safety=life_safety) is call
