"""Life of an alarm, as pure decisions: what a verdict or an acknowledgement does to the alarm that stands."""

from dataclasses import dataclass, replace
from enum import StrEnum

from alerting.model import Alarm, AlarmState
from detectors.model import Condition, Nature, Phase, Verdict

LIMIT_CONDITIONS = frozenset({Condition.HIGH, Condition.LOW})
"""Conditions that say a limit of the law or the site was passed."""


OUR_CLOCK_CONDITIONS = frozenset({Condition.SILENT, Condition.OUT_OF_RANGE})
"""Conditions that begin by our clock (there is no device time to trust) and end with a reading by the device's own."""


class AlarmReason(StrEnum):
    """Why a verdict did what it did."""

    BEGAN = "began"  # nothing stood: a new alarm
    CHANGE_OF_NOTHING = "change_of_nothing"  # it changed, but nothing stood: a new alarm
    CHANGED = "changed"  # severity or nature is another one
    RAISED_AGAIN = "raised_again"  # it stands, its case is closed, and it was raised on newer readings
    ENDED = "ended"
    SAME_AGAIN = "same_again"  # told before (a restart, a redelivery)
    OLDER = "older"  # decided on older readings than what is known already
    NOTHING_STANDS = "nothing_stands"  # it ended, but nothing stood


class Step(StrEnum):
    """What is to be done."""

    RAISE = "raise"
    CHANGE = "change"
    CLEAR = "clear"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class AlarmDecision:
    """What is to be done, why, and the alarm afterwards (None where nothing is to be kept)."""

    step: Step
    reason: AlarmReason
    alarm: Alarm | None = None


def may_be_deaf(latest: Alarm | None, verdict: Verdict) -> bool:
    """Whether a verdict raises, on newer readings, what stands already: nothing new, unless its case is closed."""
    return (
        latest is not None
        and latest.state is not AlarmState.CLEARED
        and verdict.phase is Phase.RAISED
        and verdict.nature is not Nature.FAULT
        and verdict.at_us > latest.last_us
    )


def judge(
    latest: Alarm | None, verdict: Verdict, sensor_id: str, now_us: int, *, closed: bool = False
) -> AlarmDecision:
    """What a verdict does to the latest alarm of its sensor and condition, standing or cleared.

    closed: a person closed the event of this alarm, and lives are at stake: raised again, it is to be seen again.

    A new alarm carries id 0: its number is given where it is kept. Times of the verdict are event times and are
    compared with event times only; ``now_us`` becomes raised_us or cleared_us.
    """
    standing = latest is not None and latest.state is not AlarmState.CLEARED
    if latest is not None and closed and may_be_deaf(latest, verdict):
        again = _raised(verdict, sensor_id, now_us)
        seen = replace(again, id=latest.id, raised_us=latest.raised_us, event_id=latest.event_id)
        return AlarmDecision(Step.CHANGE, AlarmReason.RAISED_AGAIN, replace(seen, ticket_id=latest.ticket_id))
    if latest is not None and standing:
        return _of_standing(latest, verdict, now_us)
    if verdict.phase is Phase.CLEARED:
        return AlarmDecision(Step.NOTHING, AlarmReason.NOTHING_STANDS)
    if latest is not None and verdict.at_us <= latest.last_us:
        return AlarmDecision(Step.NOTHING, AlarmReason.OLDER)
    reason = AlarmReason.BEGAN if verdict.phase is Phase.RAISED else AlarmReason.CHANGE_OF_NOTHING
    return AlarmDecision(Step.RAISE, reason, _raised(verdict, sensor_id, now_us))


def _of_standing(alarm: Alarm, verdict: Verdict, now_us: int) -> AlarmDecision:
    if verdict.phase is Phase.CLEARED:
        last_us = max(alarm.last_us, verdict.at_us)
        if alarm.condition in OUR_CLOCK_CONDITIONS:
            last_us = max(alarm.last_us, min(verdict.at_us, now_us))  # a device ahead must not hide the next silence
        elif verdict.at_us < alarm.since_us:
            return AlarmDecision(Step.NOTHING, AlarmReason.OLDER)
        ended = replace(alarm, state=AlarmState.CLEARED, cleared_us=now_us, last_us=last_us)
        return AlarmDecision(Step.CLEAR, AlarmReason.ENDED, ended)
    if (verdict.severity, verdict.nature) == (alarm.severity, alarm.nature):
        return AlarmDecision(Step.NOTHING, AlarmReason.SAME_AGAIN)
    if verdict.at_us < alarm.last_us or (verdict.phase is Phase.RAISED and verdict.at_us == alarm.last_us):
        return AlarmDecision(Step.NOTHING, AlarmReason.OLDER)
    if verdict.nature is alarm.nature and alarm.severity.worse_than(verdict.severity):
        # What made it grave stays its evidence; a person asks why it was opened, not how it faded.
        eased = replace(alarm, severity=verdict.severity, last_us=verdict.at_us)
        return AlarmDecision(Step.CHANGE, AlarmReason.CHANGED, eased)
    changed = replace(
        alarm,
        nature=verdict.nature,
        severity=verdict.severity,
        at_us=verdict.at_us,
        last_us=verdict.at_us,
        value=verdict.value,
        expected_low=verdict.expected_low,
        expected_high=verdict.expected_high,
        score=verdict.score,
        detector=verdict.detector,
        reason=verdict.reason,
    )
    return AlarmDecision(Step.CHANGE, AlarmReason.CHANGED, changed)


def _raised(verdict: Verdict, sensor_id: str, now_us: int) -> Alarm:
    return Alarm(
        id=0,
        sensor_id=sensor_id,
        condition=verdict.condition,
        nature=verdict.nature,
        severity=verdict.severity,
        state=AlarmState.RAISED,
        raised_us=now_us,
        cleared_us=None,
        acknowledged_us=None,
        acknowledged_by=None,
        since_us=verdict.since_us,
        at_us=verdict.at_us,
        last_us=verdict.at_us,
        value=verdict.value,
        expected_low=verdict.expected_low,
        expected_high=verdict.expected_high,
        score=verdict.score,
        detector=verdict.detector,
        reason=verdict.reason,
        event_id=None,
        ticket_id=None,
    )


def acknowledge(alarm: Alarm, actor: str, now_us: int) -> Alarm:
    """Somebody has seen a standing alarm; a cleared or acknowledged one stays as it is."""
    if alarm.state is not AlarmState.RAISED:
        return alarm
    return replace(alarm, state=AlarmState.ACKNOWLEDGED, acknowledged_us=now_us, acknowledged_by=actor)


class Call(StrEnum):
    """Whom an alarm calls for."""

    GRID = "grid"  # a grid event: something is wrong with the world
    MAINTENANCE = "maintenance"  # a fault ticket: something is wrong with the sensor
    NOBODY = "nobody"  # shown only


def calls_for(alarm: Alarm, *, life_safety: bool) -> Call:
    """Whom an alarm calls for.

    A quantity of life safety over a limit calls the grid while it is not known what it is: waiting for statistics
    to tell a leak from a fault would hold back the alarm that must never be held back.
    """
    if alarm.nature is Nature.EVENT:
        return Call.GRID
    if alarm.nature is Nature.FAULT:
        return Call.MAINTENANCE
    return Call.GRID if life_safety and alarm.condition in LIMIT_CONDITIONS else Call.NOBODY
