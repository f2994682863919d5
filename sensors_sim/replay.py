"""Recordings played back over MQTT as if they were live, with their own event times."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from config.city import City
from config.clock import Clock, SystemClock
from sensors_sim.publish import Broker, Pace, ProgressCallback, Run, play
from sensors_sim.recordings import read_recording
from sensors_sim.recordings.city_folder import make_city
from sensors_sim.recordings.model import Recording
from sensors_sim.wire import Instant

__all__ = ["ReplayResult", "instants_of", "make_city", "replay"]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay sent, all of it acknowledged by the broker, and what it did not send, by reason.

    Reasons: "missing" (the recording has no value there), "not_in_city" (the city has no such sensor),
    "outside_span" (before or after the stretch asked for), "duplicate" (a second reading of one sensor at one
    time), and those an adapter adds and explains.
    """

    sent: int
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a recording that a city can take: columns in order of time, rows in the city's sensors."""

    instants: Instant
    skipped: Mapping[str, int]


def select(recording: Recording, city: City, from_us: int | None = None, to_us: int | None = None) -> Selection:
    """Readings of sensors that the city has, from ``from_us`` on and before ``to_us``."""
    in_city = np.array([city.sensor_index.get(series, -1) for series in recording.series] or [-1], dtype=np.int64)
    sensors = in_city[recording.rows]
    known = sensors >= 0
    asked = np.ones(len(recording), dtype=np.bool_)
    if from_us is not None:
        asked &= recording.times_us >= from_us
    if to_us is not None:
        asked &= recording.times_us < to_us
    take = known & asked
    left_out = {"not_in_city": int((~known).sum()), "outside_span": int((known & ~asked).sum())}
    skipped = {**recording.skipped, **{reason: count for reason, count in left_out.items() if count}}
    times_us = recording.times_us[take]
    columns = Instant(int(times_us[-1]) if times_us.size else 0, sensors[take], times_us, recording.values[take])
    return Selection(columns, MappingProxyType(skipped))


def instants_of(columns: Instant) -> Iterator[Instant]:
    """The columns cut where the time changes: every instant holds the readings of one time."""
    cuts = np.flatnonzero(np.diff(columns.times_us)) + 1
    begin = 0
    for end in [*cuts.tolist(), len(columns.times_us)]:
        if end > begin:
            part = slice(begin, end)
            yield Instant(
                int(columns.times_us[begin]), columns.sensors[part], columns.times_us[part], columns.values[part]
            )
        begin = end


async def replay(
    files: Sequence[Path],
    city: City,
    *,
    adapter: str | None = None,
    speed: float | None = None,
    from_us: int | None = None,
    to_us: int | None = None,
    host: str = "127.0.0.1",
    port: int = 1883,
    username: str | None = None,
    password: str | None = None,
    pack: int = 1,
    clock: bool = True,
    progress: ProgressCallback | None = None,
    time_source: Clock | None = None,
) -> ReplayResult:
    """Publish a recording; returns when the broker has acknowledged every message.

    files: of one family; ``adapter`` names it, else it is recognised by the files' columns. city: as ``make_city``
    makes it. speed: recorded seconds per real second, None for as fast as the broker acknowledges. from_us, to_us:
    the stretch of event time to play, the end left out. pack: most readings in a message. clock: publish the
    recorded time before the readings of each instant.

    Raises RecordingError (a file cannot be read), RetryableError (no broker, no acknowledgement), PermanentError
    (the broker refuses), ValueError, OSError.
    """
    recording = await asyncio.to_thread(read_recording, files, adapter)
    selection = await asyncio.to_thread(select, recording, city, from_us, to_us)
    columns = selection.instants
    first_us = int(columns.times_us[0]) if columns.times_us.size else 0
    sent = await play(
        Run(city, instants_of(columns), first_us, columns.time_us),
        Broker(host, port, username, password),
        Pace(speed, pack, clock, time_source or SystemClock()),
        progress,
    )
    return ReplayResult(sent, selection.skipped)
