"""The readings of a run for its curves, from the embedded store in its folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from config.city import City
from config.errors import RetryableError
from gridwhistle.score.words import Words
from ingest.local import DuckdbStore
from ingest.model import Series

FILE = "readings.duckdb"

Read = Callable[[str, int, int, int], Series]
"""Readings of a sensor by its id, from a time to a time (microseconds), as at most so many points."""


@contextmanager
def local_readings(data_dir: Path, city: City, say: Words) -> Iterator[tuple[Read | None, str]]:
    """The readings in a data_dir; or None, and why there are none: kept elsewhere, or held by a running daemon."""
    path = data_dir / FILE
    if not path.exists():
        yield None, say.say("page.why_no_store")
        return
    store = DuckdbStore(path, city)
    try:
        store.prepare()
    except RetryableError as error:
        yield None, say.say("page.why_busy", problem=str(error).partition("\n")[0])
        return
    try:
        yield lambda sensor, begin, end, most: store.series(city.sensor_index[sensor], begin, end, most), ""
    finally:
        store.close()
