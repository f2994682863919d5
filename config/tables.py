"""Reading the text files of a city folder: bytes, CSV tables and YAML trees, each with the line of every value."""

import codecs
import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

import yaml

from config.problems import FileProblems
from config.vocabulary import LocalText

CHUNK = 16_384
"""Rows of a table that are read at once: bounds what waits in memory."""

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_PIECE = 1 << 20
_LONGEST_ID = 128
_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f]")


def read_bytes(path: Path, problems: FileProblems) -> bytes | None:
    """The bytes of a file; None, with the mistake written down, where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        problems.unreadable("file_missing")
    except OSError as error:
        problems.unreadable("file_unreadable", found=error.strerror or type(error).__name__)
    return None


def decode(data: bytes, problems: FileProblems) -> str | None:
    """The text of a file in UTF-8, with or without a byte order mark; None where it is in another encoding."""
    if data.startswith(_UTF16):
        problems.unreadable("not_utf8", found="UTF-16")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.unreadable("not_utf8", row=data.count(b"\n", 0, error.start) + 1, found=f"0x{data[error.start]:02x}")
        return None


def is_utf8(data: bytes, problems: FileProblems) -> bool:
    """The same as a question, without holding the whole text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for begin in range(0, len(data), _PIECE):
            decoder.decode(data[begin : begin + _PIECE], final=begin + _PIECE >= len(data))
    except UnicodeDecodeError:
        return decode(data, problems) is not None
    return True


def number(text: str) -> float | None:
    """A finite number as people write it, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def bad_id(text: str) -> bool:
    """Whether a text cannot be an id: too long for a topic, or with spaces or control characters in it."""
    return len(text) > _LONGEST_ID or _SPACE_OR_CONTROL.search(text) is not None


def any_bad_id(texts: Sequence[str]) -> bool:
    """Whether ``bad_id`` holds for any of many texts."""
    return max(map(len, texts), default=0) > _LONGEST_ID or _SPACE_OR_CONTROL.search("".join(texts)) is not None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. line: where it begins in the file, from 1. cells: by column, without outer spaces."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """The cell of a column."""
        return self.cells[column]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a table. lines: where each begins. columns: in the table's order, cells without outer spaces."""

    lines: Sequence[int]
    columns: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Table:
    """The columns that a CSV file must have. optional: these may be left out, their cells are then empty."""

    columns: tuple[str, ...]
    optional: frozenset[str] = frozenset()

    def chunks(self, data: bytes, problems: FileProblems) -> Iterator[Chunk]:
        """Every row that has the right number of cells, some thousand at a time.

        Mistakes of the header end the reading, as no column can be told from another; a line that is not CSV
        ends it too, as everything after it may be inside a quotation mark.
        """
        if not is_utf8(data, problems):
            return
        reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""), strict=True)
        try:
            header = [cell.strip() for cell in next(reader, [])]
        except csv.Error as error:
            problems.unreadable("broken_csv", row=reader.line_num, found=error)
            return
        while header and not header[-1]:
            header.pop()  # spreadsheets write columns that were once used
        picks = self._picks(header, problems)
        more = picks is not None
        while more and picks is not None:
            begins, rows, more = reader.line_num + 1, list[list[str]](), False
            try:
                rows.extend(islice(reader, CHUNK))  # what stands before a line that is no CSV stays
                more = len(rows) == CHUNK
            except csv.Error as error:
                problems.unreadable("broken_csv", row=reader.line_num, found=error)
            lines = _lines(begins, reader.line_num, rows)
            yield self._chunk(lines, rows, len(header), picks, problems)

    def cells(self, data: bytes, problems: FileProblems) -> Iterator[tuple[int, tuple[str, ...]]]:
        """(line, cells in the order of ``columns``) of every row that ``chunks`` answers."""
        for chunk in self.chunks(data, problems):
            yield from zip(chunk.lines, zip(*chunk.columns, strict=True), strict=True)

    def rows(self, data: bytes, problems: FileProblems) -> Iterator[Row]:
        """The same with every cell under its column's name: for tables of people, not of a city's sensors."""
        for line, cells in self.cells(data, problems):
            yield Row(line, dict(zip(self.columns, cells, strict=True)))

    def _picks(self, header: list[str], problems: FileProblems) -> list[int] | None:
        wrong = False
        if not header:
            problems.unreadable("no_header", row=1, columns=", ".join(self.columns))
            return None
        if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            problems.unreadable("wrong_separator", row=1, found=header[0])
            return None
        for name in sorted({name for name in header if header.count(name) > 1}):
            problems.unreadable("duplicate_column", row=1, field=name, found=",".join(header))
            wrong = True
        for name in header:
            if name not in self.columns:
                problems.unreadable("unknown_column", row=1, field=name, found=name, columns=", ".join(self.columns))
                wrong = True
        for name in self.columns:
            if name not in header and name not in self.optional:
                problems.unreadable("missing_column", row=1, field=name, found=",".join(header), column=name)
                wrong = True
        return None if wrong else [header.index(name) if name in header else -1 for name in self.columns]

    @staticmethod
    def _chunk(
        lines: Sequence[int], rows: list[list[str]], width: int, picks: Sequence[int], problems: FileProblems
    ) -> Chunk:
        if not (all(map(any, rows)) and set(map(len, rows)) <= {width}):
            kept = [(line, cells) for line, cells in zip(lines, rows, strict=True) if any(cells)]
            for line, cells in kept:
                if len(cells) > width and not any(cells[width:]):
                    del cells[width:]
                if len(cells) != width:
                    problems.unreadable("wrong_cell_count", row=line, found=len(cells), count=width)
            kept = [(line, cells) for line, cells in kept if len(cells) == width]
            lines, rows = [line for line, _ in kept], [cells for _, cells in kept]
        given = [list(map(str.strip, column)) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
        given.append([""] * len(rows))  # what an optional column reads that the file leaves out: index -1
        return Chunk(lines, [given[pick] for pick in picks])


def _lines(begins: int, ends: int, rows: Sequence[Sequence[str]]) -> Sequence[int]:
    """The line on which each row begins; a row takes several where a cell in quotation marks does."""
    if ends - begins + 1 == len(rows):
        return range(begins, ends + 1)
    heights = [1 + sum(map(_breaks, cells)) for cells in rows]
    return list(accumulate(heights[:-1], initial=begins)) if rows else []


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


class Tree:
    """A node of a YAML file with its line: a mapping, a list or a text, asked for by what it should be.

    Every scalar is a text, so a code like ``007`` or ``no`` stays what was written.
    """

    def __init__(self, node: yaml.Node, problems: FileProblems, path: str = "") -> None:
        self._node, self._problems, self.path = node, problems, path
        self.line = node.start_mark.line + 1

    def text(self) -> str | None:
        """The node as a text, without outer spaces; None, written down, where it is none or empty."""
        if not isinstance(self._node, yaml.ScalarNode):
            self._problems.error("not_text", row=self.line, field=self.path, found=self._shown())
            return None
        value = str(self._node.value).strip()
        if not value:
            self._problems.error("missing_value", row=self.line, field=self.path)
            return None
        return value

    def items(self) -> list["Tree"] | None:
        """The node as a list; None, written down, where it is none."""
        if not isinstance(self._node, yaml.SequenceNode):
            self._problems.error("not_list", row=self.line, field=self.path, found=self._shown())
            return None
        return [Tree(node, self._problems, self.path) for node in self._node.value]

    def entries(self) -> dict[str, "Tree"] | None:
        """The node as a mapping; None, written down, where it is none. A key that stands twice is written down."""
        if not isinstance(self._node, yaml.MappingNode):
            self._problems.error("not_mapping", row=self.line, field=self.path or None, found=self._shown())
            return None
        entries: dict[str, Tree] = {}
        for key, value in self._node.value:
            name = str(key.value).strip() if isinstance(key, yaml.ScalarNode) else ""
            line = key.start_mark.line + 1
            if not name:
                self._problems.error("not_text", row=line, field=self.path or None, found=name)
            elif name in entries:
                first = entries[name].line
                self._problems.error("duplicate_id", row=line, field=self._below(name), found=name, first=first)
            else:
                entries[name] = Tree(value, self._problems, self._below(name))
                entries[name].line = line
        return entries

    def fields(self, *names: str) -> dict[str, "Tree"]:
        """The node as a mapping of exactly these keys; whatever is missing or unknown is written down and left out."""
        entries = self.entries()
        if entries is None:
            return {}
        for name, entry in entries.items():
            if name not in names:
                self._problems.error(
                    "unknown_key", row=entry.line, field=self._below(name), found=name, choices=", ".join(names)
                )
        for name in names:
            if name not in entries:
                self._problems.error("missing_value", row=self.line, field=self._below(name))
        return {name: entry for name, entry in entries.items() if name in names}

    def local_text(self) -> LocalText | None:
        """The node as a text in both languages, ``{zh: ..., en: ...}``; None, written down, where one is missing."""
        entries = self.entries()
        if entries is None:
            return None
        texts: dict[str, str | None] = {}
        for language in ("zh", "en"):
            entry = entries.pop(language, None)
            scalar = entry is not None and isinstance(entry._node, yaml.ScalarNode)  # noqa: SLF001 - its own class
            if entry is not None and (not scalar or str(entry._node.value).strip()):  # noqa: SLF001 - its own class
                texts[language] = entry.text()
            else:
                line = self.line if entry is None else entry.line
                self._problems.error("missing_translation", row=line, field=self._below(language))
                texts[language] = None
        for name, entry in entries.items():
            self._problems.error("unknown_key", row=entry.line, field=self._below(name), found=name, choices="zh, en")
        zh, en = texts["zh"], texts["en"]
        return None if zh is None or en is None else LocalText(zh=zh, en=en)

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _shown(self) -> str:
        return (
            str(self._node.value) if isinstance(self._node, yaml.ScalarNode) else str(self._node.tag).rsplit(":", 1)[-1]
        )


def read_yaml(path: Path, problems: FileProblems) -> Tree | None:
    """The root of a YAML file; None, written down, where it cannot be read."""
    data = read_bytes(path, problems)
    content = None if data is None else decode(data, problems)
    if content is None:
        return None
    return parse_yaml(content, problems)


def parse_yaml(content: str, problems: FileProblems) -> Tree | None:
    """The root of a YAML text; None, written down, where it is no YAML or empty."""
    try:
        node = yaml.compose(content, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        row = None if error.problem_mark is None else error.problem_mark.line + 1
        problems.unreadable("broken_yaml", row=row, found=error.problem or "")
        return None
    except yaml.YAMLError as error:
        problems.unreadable("broken_yaml", found=str(error).splitlines()[0])
        return None
    except RecursionError:
        problems.unreadable("broken_yaml", found="too deep")
        return None
    if node is None:
        problems.unreadable("empty_file")
        return None
    return Tree(node, problems)
