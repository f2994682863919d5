"""The rhythms of a city: how busy each hour of a workday, of a Saturday, and of a Sunday or holiday is."""

from collections.abc import Mapping
from datetime import timedelta
from enum import IntEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND, to_datetime

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class DayType(IntEnum):
    """What a day is to those who live it."""

    WORKDAY = 0
    SATURDAY = 1
    REST = 2  # Sundays and holidays


# fmt: off
_Day = list[float]
_COMMUTE: _Day = [.12, .07, .05, .04, .06, .14, .38, .80, 1.0, .78, .62, .60,
                  .60, .58, .56, .60, .70, .92, 1.0, .80, .58, .46, .34, .20]
_COMMUTE_FREE: _Day = [.16, .10, .07, .05, .05, .09, .18, .32, .48, .62, .72, .76,
                       .74, .72, .72, .74, .78, .82, .80, .70, .58, .48, .36, .24]
_STREET: _Day = [.05, .03, .02, .015, .02, .06, .22, .62, .85, .55, .50, .62,
                 .88, .80, .58, .55, .68, 1.0, .95, .66, .48, .34, .20, .10]
_STREET_SAT: _Day = [.09, .05, .03, .02, .02, .04, .10, .22, .38, .54, .70, .82,
                     .92, .96, 1.0, 1.0, .98, .95, .90, .80, .66, .48, .30, .17]
_STREET_SUN: _Day = [.09, .05, .03, .02, .02, .04, .09, .18, .32, .48, .64, .76,
                     .86, .90, .94, .94, .90, .86, .80, .68, .52, .36, .22, .12]
_MARKET: _Day = [.01, .01, .01, .02, .06, .30, .75, 1.0, .95, .80, .68, .60,
                 .42, .32, .30, .40, .62, .80, .66, .38, .20, .08, .03, .01]
_MARKET_FREE: _Day = [.01, .01, .01, .02, .06, .25, .65, .95, 1.0, 1.0, .92, .80,
                      .55, .42, .40, .48, .66, .80, .66, .40, .22, .10, .03, .01]
_OFFICE: _Day = [.06, .05, .05, .05, .05, .06, .14, .40, .85, 1.0, 1.0, .95,
                 .80, .92, 1.0, 1.0, .98, .80, .45, .28, .18, .12, .08, .07]
_OFFICE_FREE: _Day = [.05, .05, .05, .05, .05, .05, .06, .08, .12, .15, .16, .16,
                      .15, .15, .16, .15, .14, .12, .10, .08, .07, .06, .05, .05]
_SCHOOL: _Day = [.02, .02, .02, .02, .02, .04, .25, 1.0, .55, .45, .50, .60,
                 .75, .50, .45, .50, .85, .70, .25, .15, .12, .08, .03, .02]
_SCHOOL_FREE: _Day = [.02, .02, .02, .02, .02, .02, .03, .05, .07, .09, .10, .10,
                      .09, .09, .10, .10, .09, .08, .06, .05, .04, .03, .02, .02]
_WATER: _Day = [.14, .08, .06, .06, .08, .22, .66, 1.0, .80, .56, .50, .54,
                .60, .48, .40, .40, .46, .64, .86, .94, .80, .60, .40, .24]
_WATER_FREE: _Day = [.16, .10, .07, .06, .07, .12, .30, .58, .84, .94, .92, .84,
                     .80, .66, .56, .54, .60, .72, .88, .92, .80, .62, .44, .28]
_SHOP: _Day = [.12, .12, .12, .12, .12, .12, .13, .18, .55, .95, 1.0, 1.0,
               1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, .98, .85, .45, .16, .12]
_ELDER: _Day = [.03, .02, .02, .02, .04, .22, .75, .90, .85, .80, .70, .85,
                .55, .18, .25, .60, .75, .90, .85, .60, .45, .25, .08, .04]
_HOME: _Day = [.04, .02, .01, .01, .02, .10, .45, 1.0, .75, .40, .35, .45,
               .60, .45, .35, .35, .50, .85, 1.0, .75, .50, .32, .18, .08]
_HOME_FREE: _Day = [.06, .03, .02, .01, .02, .05, .15, .35, .60, .80, .90, .90,
                    .75, .60, .65, .75, .80, .85, .85, .70, .52, .36, .22, .10]

_TABLE: dict[str, tuple[_Day, _Day, _Day]] = {
    "flat": ([1.0] * 24, [1.0] * 24, [1.0] * 24),
    # Two rush hours on workdays, one broad hump without: the shape of urban traffic counts (Kerner 2009, Introduction
    # to Modern Traffic Flow Theory and Control, ch. 2; Highway Capacity Manual 2010, exhibit 3-7).
    "traffic": (_COMMUTE, _COMMUTE_FREE, _COMMUTE_FREE),
    # A morning rise, a lunch peak, the way home; on Saturdays and Sundays an afternoon: the shape of the City of
    # Melbourne's pedestrian counters.
    "street": (_STREET, _STREET_SAT, _STREET_SUN),
    # A food market: early, and fuller when people are free.
    "market": (_MARKET, _MARKET_FREE, _MARKET_FREE),
    "office": (_OFFICE, _OFFICE_FREE, _OFFICE_FREE),
    "school": (_SCHOOL, _SCHOOL_FREE, _SCHOOL_FREE),
    # Water of homes: a morning and an evening peak, later in the morning when nobody must get up, and a night minimum
    # (the residential pattern of EPANET 2's manual, ch. 3; AWWA M36 on night flow).
    "water": (_WATER, _WATER_FREE, _WATER_FREE),
    # A shop open from nine to nine every day, refrigerators and lamps at night.
    "shop": (_SHOP, _SHOP, _SHOP),
    # An elder's day at home: up at six, meals, a rest after lunch, to bed at nine.
    "elder": (_ELDER, _ELDER, _ELDER),
    # The door of a house with flats.
    "home": (_HOME, _HOME_FREE, _HOME_FREE),
}
# fmt: on

RHYTHMS: Mapping[str, int] = MappingProxyType({name: row for row, name in enumerate(_TABLE)})
"""The row of every rhythm in what ``Week`` answers with."""

_ROWS = np.array(list(_TABLE.values()))
"""Shape (rhythms, day types, 24): as part of the busiest hour."""

DAY_US = 86_400 * US_PER_SECOND


class Week:
    """Local dates, hours and day types of a city. holiday: every day of the run is one."""

    def __init__(self, zone: ZoneInfo, *, holiday: bool = False) -> None:
        self._zone = zone
        self._holiday = holiday
        self._today: tuple[int, Floats] | None = None

    def offset_us(self, time_us: int) -> int:
        """What the city's clocks are ahead of UTC, int microseconds."""
        offset = to_datetime(time_us).astimezone(self._zone).utcoffset() or timedelta(0)
        return round(offset.total_seconds()) * US_PER_SECOND

    def day_type(self, ordinal: int) -> DayType:
        """Of a day, counted as days since the epoch by the city's own dates (Thursday the first of 1970 is 0)."""
        weekday = (ordinal + 3) % 7
        if self._holiday or weekday == 6:
            return DayType.REST
        return DayType.SATURDAY if weekday == 5 else DayType.WORKDAY

    def course(self, time_us: int) -> tuple[float, Floats]:
        """Where a time lies in a stretch of five local days around it, and every rhythm in it.

        The place is in hours since the first of the five days; the rhythms have the shape (rhythms, 121), a value for
        each full hour, to be read linearly in between, over midnight too.
        """
        local_us = time_us + self.offset_us(time_us)
        today, since_us = divmod(local_us, DAY_US)
        if self._today is None or self._today[0] != today:
            types = [self.day_type(today + step) for step in range(-2, 4)]
            joined = np.concatenate([_ROWS[:, kind] for kind in types], axis=1)
            self._today = (today, joined[:, : 5 * 24 + 1])
        return 48 + since_us / (3600 * US_PER_SECOND), self._today[1]


def at_hours(rhythms: Floats, which: Integers, hours: Floats) -> Floats:
    """Rhythms ``which`` at ``hours`` in a course as ``Week.course`` gives it, pairwise; hours within 0 to 120."""
    low = np.minimum(hours.astype(np.int64), rhythms.shape[1] - 2)
    part = hours - low
    value: Floats = rhythms[which, low] * (1 - part) + rhythms[which, low + 1] * part
    return value


_NIGHT = min(_SHOP)


def switched_on(share: Floats) -> Floats:
    """What a shop's rhythm means for one shop: its night's load, and all of it within half an hour once it opens.

    The hours of the rhythm are those of many shops, which open one after the other.
    """
    part = np.clip((share - 0.45) / 0.2, 0.0, 1.0)
    value: Floats = _NIGHT + (1 - _NIGHT) * part * part * (3 - 2 * part)
    return value


def over_days(week: Week, times_us: Integers, name: str) -> Floats:
    """One rhythm at times in order, over as many days as they span. Shape as times_us."""
    row = _ROWS[RHYTHMS[name]]
    # the clocks are put forward or back on full hours: looked up once for each
    hours = times_us // (3600 * US_PER_SECOND)
    distinct, place = np.unique(hours, return_inverse=True)
    offsets = np.array([week.offset_us(int(hour) * 3600 * US_PER_SECOND) for hour in distinct], np.int64)
    local = times_us + offsets[place]
    day, since = np.divmod(local, DAY_US)
    types = {int(one): int(week.day_type(int(one))) for one in np.unique(np.concatenate((day, day + 1)))}
    today = _mapped(day, types)
    hour, part = np.divmod(since / (3600 * US_PER_SECOND), 1.0)
    at = hour.astype(np.int64)
    following = np.where(at == 23, _mapped(day + 1, types), today)
    value: Floats = row[today, at] * (1 - part) + row[following, (at + 1) % 24] * part
    return value


def _mapped(days: Integers, types: Mapping[int, int]) -> Integers:
    distinct, place = np.unique(days, return_inverse=True)
    return np.array([types[int(one)] for one in distinct], np.int64)[place]


def usual_workday(name: str) -> float:
    """Mean of a rhythm over a workday, as part of its busiest hour."""
    return float(_ROWS[RHYTHMS[name], DayType.WORKDAY].mean())
