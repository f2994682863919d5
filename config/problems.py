"""Mistakes in files that people write, each with its place and what would have been right, in both languages."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from config.texts import both, text
from config.vocabulary import Language, LocalText

_LONGEST_FOUND = 120


class Level(StrEnum):
    """How bad a mistake is."""

    ERROR = "error"  # the city cannot be used
    WARNING = "warning"  # it can be used, but somebody should look


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in one file.

    code: which mistake, its texts are ``check.problem.<code>``. row: the line of a text file, the number of the
    feature in a GeoJSON file, both from 1; None where the whole file is meant. field: column, property or key.
    found: as it stands in the file (shortened), empty where nothing stands there.
    """

    level: Level
    code: str
    file: str
    row: int | None
    field: str | None
    found: str
    what: LocalText
    expected: LocalText

    @property
    def message(self) -> LocalText:
        """The whole mistake in one line, in both languages."""
        return LocalText(zh=self.text(Language.ZH), en=self.text(Language.EN))

    def text(self, language: Language) -> str:
        """The whole mistake in one line: place, what is wrong, what was found, what is expected."""
        zh = language is Language.ZH
        counts = "feature" if self.file.endswith("json") else "line"
        row = "" if self.row is None else text(f"check.place.{counts}", language, {"row": self.row})
        field = "" if self.field is None else text("check.place.field", language, {"field": self.field})
        found = text("check.found", language, {"found": self.found}) if self.found else ""
        params = {
            "level": text(f"check.level.{self.level}", language),
            "place": f"{self.file}{row}{field}",
            "what": self.what.zh if zh else self.what.en,
            "found": found or text("check.found_nothing", language),
            "expected": self.expected.zh if zh else self.expected.en,
        }
        return text("check.problem_line", language, params)


class ProblemLog:
    """Gathers the mistakes of one reading, over all files."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def of(self, file: str) -> "FileProblems":
        """A view that writes down the mistakes of one file."""
        return FileProblems(self, file)

    def add(self, problem: Problem) -> None:
        """Write one down."""
        self._problems.append(problem)

    def all(self) -> tuple[Problem, ...]:
        """Errors first, each level in the order of files and lines."""
        return tuple(sorted(self._problems, key=lambda p: (p.level is not Level.ERROR, p.file, p.row or 0)))

    @property
    def broken(self) -> bool:
        """Whether any error was written down."""
        return any(problem.level is Level.ERROR for problem in self._problems)


class FileProblems:
    """Writes down the mistakes of one file.

    incomplete: whether a part of the file could not be read at all, so that what seems missing may stand in it.
    count: how many were written down.
    """

    def __init__(self, log: ProblemLog, file: str) -> None:
        self._log = log
        self.file = file
        self.incomplete = False
        self.count = 0

    def unreadable(
        self, code: str, *, row: int | None = None, field: str | None = None, found: object = "", **params: object
    ) -> None:
        """An error after which a part of the file is not read. params: what the texts of the code fill in."""
        self.incomplete = True
        self._add(Level.ERROR, code, (row, field), found, params)

    def error(
        self, code: str, *, row: int | None = None, field: str | None = None, found: object = "", **params: object
    ) -> None:
        """A mistake with which the city cannot be used. params: what the texts of the code fill in."""
        self._add(Level.ERROR, code, (row, field), found, params)

    def warning(
        self, code: str, *, row: int | None = None, field: str | None = None, found: object = "", **params: object
    ) -> None:
        """A mistake that somebody should look at. params: what the texts of the code fill in."""
        self._add(Level.WARNING, code, (row, field), found, params)

    def _add(
        self, level: Level, code: str, place: tuple[int | None, str | None], found: object, params: dict[str, object]
    ) -> None:
        self.count += 1
        shown = str(found).encode("utf-8", "replace").decode()
        if len(shown) > _LONGEST_FOUND:
            shown = shown[: _LONGEST_FOUND - 1] + "…"
        what, expected = (both(f"check.problem.{code}.{part}", params) for part in ("what", "expected"))
        self._log.add(Problem(level, code, self.file, *place, shown, what, expected))


def join(choices: Iterable[object]) -> str:
    """The names that are allowed, as they stand in a text."""
    return ", ".join(str(choice) for choice in choices)
