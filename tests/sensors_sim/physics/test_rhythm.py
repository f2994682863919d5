"""Days, weeks and hours are the city's own."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import US_PER_SECOND
from sensors_sim.physics.rhythm import RHYTHMS, DayType, Week, at_hours, over_days, usual_workday
from tests.sensors_sim.physics.runs import DAY_US, ZONE, local_us

HOUR_US = 3600 * US_PER_SECOND


def at(week: Week, name: str, time_us: int, later_h: float = 0) -> float:
    hour, rhythms = week.course(time_us)
    return float(at_hours(rhythms, np.array([RHYTHMS[name]]), np.array([hour - later_h]))[0])


def test_weekdays_are_known_by_the_date_of_the_city() -> None:
    week = Week(ZONE)
    thursday = (local_us(3, 12) + 8 * HOUR_US) // DAY_US
    kinds = [week.day_type(thursday + step) for step in range(7)]
    assert kinds == [DayType.WORKDAY] * 2 + [DayType.SATURDAY, DayType.REST] + [DayType.WORKDAY] * 3
    # a Sunday evening in London is Monday morning in Shanghai
    assert at(week, "office", local_us(3, 16, 9)) == 1
    assert at(Week(ZoneInfo("Europe/London")), "office", local_us(3, 16, 5)) < 0.3


def test_a_holiday_is_a_day_of_rest() -> None:
    noon = local_us(3, 12, 11)
    assert at(Week(ZONE), "office", noon) > 0.9
    assert at(Week(ZONE, holiday=True), "office", noon) < 0.2


@given(st.integers(local_us(1, 1), local_us(12, 30)), st.sampled_from(sorted(RHYTHMS)))
def test_rhythms_stay_within_0_and_1_and_run_over_midnight_without_a_step(time_us: int, name: str) -> None:
    week = Week(ZONE)
    now, soon = at(week, name, time_us), at(week, name, time_us + 36 * US_PER_SECOND)
    assert 0 <= now <= 1
    assert abs(now - soon) <= 0.0101
    assert at(week, name, time_us, later_h=30) == pytest.approx(at(week, name, time_us - 30 * HOUR_US), abs=1e-9)


@given(st.integers(local_us(1, 1), local_us(12, 20)), st.sampled_from(["traffic", "water"]))
def test_a_stretch_of_days_and_a_single_moment_agree(begin_us: int, name: str) -> None:
    week = Week(ZONE)
    times = begin_us + np.arange(0, 4 * DAY_US, 7 * HOUR_US)
    assert over_days(week, times, name) == pytest.approx([at(week, name, int(time)) for time in times])


def test_the_clocks_of_a_zone_with_summer_time_are_followed() -> None:
    week = Week(ZoneInfo("Europe/Berlin"))
    winter, summer = (local_us(month, 18, 8, ZoneInfo("Europe/Berlin")) for month in (3, 6))
    assert at(week, "traffic", winter) == at(week, "traffic", summer) == 1
    assert (summer - winter) % DAY_US != 0
    spring = local_us(3, 28, 0, ZoneInfo("Europe/Berlin"))
    times = spring + np.arange(0, 2 * DAY_US, HOUR_US)
    assert over_days(week, times, "water") == pytest.approx([at(week, "water", int(time)) for time in times])


def test_the_mean_of_a_workday_is_that_of_its_hours() -> None:
    assert usual_workday("flat") == 1
    assert 0.3 < usual_workday("traffic") < 0.7
