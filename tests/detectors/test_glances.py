"""What neighbours see of one another at a glance."""

import numpy as np
import pytest

from detectors.glances import FAR_TICKS, TICK_BITS, Glances, patience_ticks, ticks

DAY_US = 86_400_000_000


def test_nobody_has_a_value() -> None:
    assert np.isnan(Glances(3).value).all()


def test_the_latest_value_is_seen_unless_it_is_hidden() -> None:
    glances, sensor = Glances(3), np.array([0, 2])
    glances.see(sensor, np.array([5 << TICK_BITS, 7 << TICK_BITS]), np.array([1.5, 2.5]), np.array([False, True]))
    assert glances.value[0] == 1.5
    assert np.isnan(glances.value[1:]).all()
    assert glances.at[sensor].tolist() == [5, 7]


@pytest.mark.parametrize("years", [0, 8, 17, 40])
def test_differences_of_ticks_hold_in_any_year(years: int) -> None:
    begin_us = np.array([1_700_000_000_000_000 + years * 365 * DAY_US])
    assert (ticks(begin_us + DAY_US) - ticks(begin_us)).tolist() == pytest.approx([DAY_US >> TICK_BITS], abs=1)


def test_patience_is_never_shorter_than_asked_for_and_ends_some_day() -> None:
    spans_us = np.array([1, 1_000_000, 300_000_000, 100 * 365 * DAY_US])
    allowed = patience_ticks(spans_us)
    assert (allowed[:3].astype(np.int64) << TICK_BITS >= spans_us[:3]).all()
    assert allowed[3] == FAR_TICKS
