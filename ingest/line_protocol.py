"""InfluxDB's line protocol: one formatter for every store that speaks it.

One measurement per quantity; tags ``sensor``, ``grid`` and ``kind``; fields ``value`` (float) and ``quality``
(integer); the time in microseconds (``u`` for 1.x, ``us`` for 2.x; 1.x silently reads ``us`` as nanoseconds).
"""

from config.city import City, Sensor
from config.errors import ConfigurationError
from ingest.model import ReadingBatch

LINES_PER_REQUEST = 5000
"""InfluxData's recommended size of a write."""

_TAG_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})


def escape_tag(value: str) -> str:
    r"""A tag value as the line protocol wants it.

    Raises ConfigurationError for what it cannot carry: nothing at all, a backslash, a line break.

    >>> print(escape_tag("gas 1,a=b"))
    gas\ 1\,a\=b
    """
    if not value or "\\" in value or not value.isprintable():
        raise ConfigurationError(f"InfluxDB cannot carry the tag {value!r}: expected printable text without backslash")
    return value.translate(_TAG_ESCAPES)


class LineFormatter:
    """Writes batches as line protocol. What stands before a reading's fields is built once per sensor, when needed."""

    def __init__(self, city: City) -> None:
        self._sensors = city.sensors
        self._prefixes: dict[int, str] = {}

    def lines(self, batch: ReadingBatch) -> list[bytes]:
        """One line for each reading, in order."""
        sensor = batch.sensor.tolist()
        prefixes = self._prefixes
        for index in set(sensor).difference(prefixes):
            prefixes[index] = _prefix(self._sensors[index])
        rows = zip(sensor, batch.value.tolist(), batch.quality.tolist(), batch.event_us.tolist(), strict=True)
        return [f"{prefixes[index]} value={kept!r},quality={mark}i {time}".encode() for index, kept, mark, time in rows]


def _prefix(sensor: Sensor) -> str:
    tags = {"sensor": sensor.id, "grid": sensor.grid, "kind": sensor.kind.value}
    return sensor.quantity + "".join(f",{name}={escape_tag(value)}" for name, value in sorted(tags.items()))
