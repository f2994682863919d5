"""What several tests of the city's files need."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

from config.problems import Problem

DAY = date(2026, 1, 31)
"""The day on which the tests read the example."""

Ring = list[list[float]]


def break_file(folder: Path, file: str, old: str, new: str) -> None:
    """Replace the first ``old`` in a file of the city by ``new``."""
    path = folder / file
    content = path.read_text(encoding="utf-8")
    assert old in content, f"{old} does not stand in {file}"
    path.write_text(content.replace(old, new, 1), encoding="utf-8")


def reshape(folder: Path, code: str, change: Callable[[Ring], Ring]) -> None:
    """Change the outline of one grid."""
    path = folder / "grids.geojson"
    document = json.loads(path.read_text(encoding="utf-8"))
    (feature,) = [f for f in document["features"] if f["properties"]["code"] == code]
    feature["geometry"]["coordinates"][0] = change(feature["geometry"]["coordinates"][0])
    path.write_text(json.dumps(document), encoding="utf-8")


def shown(problem: Problem) -> tuple[str, str, int | None, str | None, str, str]:
    """(level, file, row, field, found, expected in English) of a problem."""
    return problem.level, problem.file, problem.row, problem.field, problem.found, problem.expected.en
