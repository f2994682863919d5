"""InfluxDB's line protocol: one formatter for every store that speaks it.

The data model (``docs/data-model.md``): one measurement per quantity, one tag ``sensor``. Field ``value`` (float) where
the reading is to be trusted, ``suspect`` (float) where it is not; ``quality`` (integer) where it is not GOOD.
The time is in microseconds (``u`` for 1.x, ``us`` for 2.x; 1.x silently reads ``us`` as nanoseconds).

Formatting is done on columns by Arrow, which needs about 0.2 us a line and holds no lock of Python's meanwhile.
"""

from collections.abc import Iterator

import pyarrow as pa  # type: ignore[import-untyped]  # ships no type information
import pyarrow.compute as pc  # type: ignore[import-untyped]  # ships no type information

from config.city import City
from config.errors import ConfigurationError
from config.sensors import SensorColumns
from ingest.model import Quality, ReadingBatch
from ingest.rollups import Aggregates
from ingest.store import TRUSTED

LINES_PER_REQUEST = 20_000
"""About a megabyte. Of 5,000 to 50,000 the server takes them equally fast, and our own cost is lowest from here on."""

_TAG_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_SENSORS_AT_ONCE = 20_000
_TEXT = pa.large_string()
_OPENING = pa.array([" value=" if quality in TRUSTED else " suspect=" for quality in Quality], _TEXT)
_CLOSING = pa.array([" " if quality is Quality.GOOD else f",quality={quality:d}i " for quality in Quality], _TEXT)
_CLOSED = pa.array(["i " if quality is Quality.GOOD else f"i,quality={quality:d}i " for quality in Quality], _TEXT)
_LINE_BREAK, _NOTHING = pa.scalar("\n", _TEXT), pa.scalar("", _TEXT)


def escape_tag(value: str) -> str:
    r"""A tag value as the line protocol wants it.

    Raises ConfigurationError for what it cannot carry: nothing at all, a backslash, a line break.

    >>> print(escape_tag("gas 1,a=b"))
    gas\ 1\,a\=b
    """
    if not value or "\\" in value or not value.isprintable():
        raise ConfigurationError(f"InfluxDB cannot carry the tag {value!r}: expected printable text without backslash")
    return value.translate(_TAG_ESCAPES)


class Lines:
    """Lines one after the other in memory, each ended by a line break; any stretch of them is a request's body."""

    def __init__(self, column: pa.LargeStringArray) -> None:
        _, ends, text = column.buffers()
        self._count = len(column)
        self._ends = memoryview(ends).cast("q") if self._count else memoryview(b"")
        self._text = memoryview(text) if self._count else memoryview(b"")

    def __len__(self) -> int:
        return self._count

    def part(self, begin: int, end: int) -> bytes:
        """Lines begin to end (excluded) in UTF-8, without the last line break. At least one line."""
        return bytes(self._text[self._ends[begin] : self._ends[end] - 1])


class LineFormatter:
    """Writes batches as line protocol. What stands before a reading's fields is built once per sensor, side by side.

    Raises ConfigurationError where a sensor's id cannot be carried. Memory: the length of the ids and 20 to 30 bytes
    each; 500,000 sensors need about 20 MB.
    """

    def __init__(self, city: City) -> None:
        pieces = [pa.array(piece, _TEXT) for piece in _series_keys(city.columns)]
        self._series = pa.concat_arrays(pieces) if pieces else pa.array([], _TEXT)

    def lines(self, batch: ReadingBatch) -> Lines:
        """One line for each reading, in order. The text of a number reads back as exactly that number."""
        series = self._series.take(pa.array(batch.sensor))
        value = pc.cast(pa.array(batch.value), _TEXT)
        time = pc.cast(pa.array(batch.event_us), _TEXT)
        if batch.quality.any():
            marks = pa.array(batch.quality)
            opening, closing = _OPENING.take(marks), _CLOSING.take(marks)
        else:
            opening, closing = _OPENING[Quality.GOOD], _CLOSING[Quality.GOOD]
        return Lines(pc.binary_join_element_wise(series, opening, value, closing, time, _LINE_BREAK, _NOTHING))

    def aggregates(self, rows: Aggregates) -> Lines:
        """One line for each aggregate, in order: fields mean, min, max, count, and quality where it is not GOOD."""
        mean, low, high, count, time = (
            pc.cast(pa.array(column), _TEXT) for column in (rows.mean, rows.low, rows.high, rows.count, rows.at_us)
        )
        closing = _CLOSED.take(pa.array(rows.quality))
        pieces = (
            self._series.take(pa.array(rows.sensor)),
            " mean=",
            mean,
            ",min=",
            low,
            ",max=",
            high,
            ",count=",
            count,
        )
        texts = [pa.scalar(piece, _TEXT) if isinstance(piece, str) else piece for piece in pieces]
        return Lines(pc.binary_join_element_wise(*texts, closing, time, _LINE_BREAK, _NOTHING))


def _series_keys(sensors: SensorColumns) -> Iterator[list[str]]:
    names = sensors.quantity.names
    for begin in range(0, len(sensors), _SENSORS_AT_ONCE):
        part = slice(begin, begin + _SENSORS_AT_ONCE)
        pairs = zip(sensors.quantity.code[part].tolist(), sensors.ids[part], strict=True)
        yield [f"{names[code]},sensor={escape_tag(one)}" for code, one in pairs]
