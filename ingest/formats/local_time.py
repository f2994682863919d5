"""Times that devices write without a zone, where the settings say which zone they mean."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import nan
from zoneinfo import ZoneInfo

AHEAD_S = 60.0
"""How far a device's clock may be ahead of ours and the later of two readings of its time still be the nearer one."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # local times are counted from a local epoch
_HOUR = timedelta(hours=1)


def seconds_of_local(local: datetime, zone: ZoneInfo, received_us: int) -> float:
    """Unix seconds of a local time without zone. NaN for one that the clocks skip, or that no year holds.

    Where clocks are put back an hour of local times comes twice: the one that lies closest before the time of receipt
    is meant (or up to AHEAD_S after it).
    """
    try:
        offset_s = _offset_in_hour(zone, local.replace(minute=0, second=0, microsecond=0))
        seconds = (local - _EPOCH).total_seconds()
        if offset_s is not None:
            return seconds - offset_s
        offsets = {_offset(zone, local, fold) for fold in (0, 1)}
        return _nearest([seconds - one for one in offsets if _exists(zone, local, one)], received_us / 1e6)
    except OverflowError:
        return nan


def _nearest(possible: list[float], received_s: float) -> float:
    if not possible:
        return nan
    before = [seconds for seconds in possible if seconds <= received_s + AHEAD_S]
    return max(before) if before else min(possible)


@lru_cache(maxsize=4096)
def _offset_in_hour(zone: ZoneInfo, hour: datetime) -> float | None:
    """Seconds that a zone is ahead of UTC for all of a local hour; None where that is not one number."""
    offsets = {_offset(zone, moment, fold) for moment in (hour, hour + _HOUR) for fold in (0, 1)}
    return offsets.pop() if len(offsets) == 1 else None


def _offset(zone: ZoneInfo, local: datetime, fold: int) -> float:
    ahead = zone.utcoffset(local.replace(tzinfo=zone, fold=fold))
    return ahead.total_seconds() if ahead is not None else 0.0


def _exists(zone: ZoneInfo, local: datetime, offset_s: float) -> bool:
    """Whether the clocks of a zone show this local time when it is so far ahead of UTC."""
    moment = (local - timedelta(seconds=offset_s)).replace(tzinfo=UTC)
    return moment.astimezone(zone).replace(tzinfo=None, fold=0) == local
