"""Reading recorded tables: CSV, plain or gzip-compressed, with or without byte order mark and quotes."""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from sensors_sim.recordings.model import RecordingError

MISSING = frozenset({"", "na", "nan", "null", "none", "n/a", "<undefined>"})
"""How recordings say that there is no value, in lower case."""


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    opener = gzip.open if packed else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as lines:
            yield from lines
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordingError(f"{path}: the compressed file is damaged or cut off: {error}") from error


def header(path: Path) -> tuple[str, ...]:
    """The column names of a table. Raises RecordingError for an empty file or one that is not a text."""
    try:
        first = next(csv.reader(_lines(path)), None)
    except csv.Error as error:
        raise RecordingError(f"{path}: line 1: not CSV: {error}") from error
    if not first or not any(cell.strip() for cell in first):
        raise RecordingError(f"{path}: empty, expected a header line")
    return tuple(cell.strip() for cell in first)


def table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """(line number, the cells of the named columns) of every line.

    Raises RecordingError where a column is missing or a line has another number of cells than the header.
    """
    names = header(path)
    if missing := [column for column in columns if column not in names]:
        raise RecordingError(f"{path}: line 1: {', '.join(missing)} missing, found the columns {', '.join(names)}")
    picks = [names.index(column) for column in columns]
    reader = csv.reader(_lines(path))
    next(reader)
    try:
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                raise RecordingError(
                    f"{path}: line {reader.line_num}: {len(cells)} cells found, {len(names)} expected as in the header"
                )
            yield reader.line_num, [cells[pick].strip() for pick in picks]
    except csv.Error as error:
        raise RecordingError(f"{path}: line {reader.line_num}: not CSV: {error}") from error


def whole(path: Path, line: int, column: str, text: str) -> int:
    """A whole number. Raises RecordingError naming where it should stand."""
    try:
        return int(text)
    except ValueError as error:
        raise RecordingError(f"{path}: line {line}: {column} is {text!r}, expected a whole number") from error


def number(path: Path, line: int, column: str, text: str) -> float | None:
    """A finite number, None where the recording says that there is none. Raises RecordingError for anything else."""
    if text.lower() in MISSING:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise RecordingError(f"{path}: line {line}: {column} is {text!r}, expected a number or NA") from error
    if not math.isfinite(value):
        raise RecordingError(f"{path}: line {line}: {column} is {text!r}, expected a finite number")
    return value
