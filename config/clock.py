"""Time, behind one protocol. No other room asks the system clock, so history replays exactly like life.

Wall time is int64 microseconds since 1970-01-01T00:00:00Z everywhere inside (names end in ``_us``).
"""

import asyncio
import time
from datetime import UTC, date, datetime
from typing import Protocol

US_PER_SECOND = 1_000_000


class Clock(Protocol):
    """What a room may know of time."""

    def now_us(self) -> int:
        """Wall time in microseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for measuring how long something took."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many real seconds (>= 0)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_us(self) -> int:
        """See Clock.now_us."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """See Clock.monotonic."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See Clock.sleep."""
        await asyncio.sleep(seconds)


class FollowingClock(SystemClock):
    """A wall clock that stands until it is told the time: a replay or a simulation drives it over MQTT.

    Never runs backwards: an older time than the present one is ignored. Before the first ``advance``
    it stands at ``start_us``.
    """

    def __init__(self, start_us: int = 0) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """See Clock.now_us."""
        return self._now_us

    def advance(self, now_us: int) -> None:
        """Move the wall time forward to ``now_us``."""
        self._now_us = max(self._now_us, now_us)


def today() -> date:
    """The machine's date in UTC: for what people wrote in files, never for readings."""
    return to_datetime(SystemClock().now_us()).date()


def to_datetime(time_us: int) -> datetime:
    """Aware UTC datetime of a wall time.

    >>> to_datetime(1_700_000_000_000_000).isoformat()
    '2023-11-14T22:13:20+00:00'
    """
    return datetime.fromtimestamp(time_us / US_PER_SECOND, tz=UTC)


def from_datetime(moment: datetime) -> int:
    """Wall time in microseconds of an aware datetime.

    Raises ValueError for a datetime without zone: a naive local time is never guessed at.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a time without zone cannot be placed: {moment.isoformat()}")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * US_PER_SECOND + delta.microseconds


def isoformat(time_us: int) -> str:
    """RFC 3339 text in UTC with milliseconds, as it stands in every payload and answer.

    >>> isoformat(1_700_000_000_123_456)
    '2023-11-14T22:13:20.123Z'
    """
    return to_datetime(time_us).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_us // 1000 % 1000:03d}Z"
