"""The documents name exactly what the program reads."""

import re
from pathlib import Path

import pytest

from config.city_files import CITY_FIELDS, CITY_FILE, CITY_FILES, EXAMPLE
from config.field_files import FIELDS_FILE, FIELDS_TABLE
from config.grid_files import FILE as GRIDS_FILE
from config.grid_files import PROPERTIES
from config.limit_files import LIMITS_FILE, LIMITS_TABLE
from config.people_files import (
    DEPARTMENT_FIELDS,
    DEPARTMENTS_FILE,
    ROSTER_FILE,
    ROSTER_TABLE,
    WORKERS_FILE,
    WORKERS_TABLE,
)
from config.quantities import QUANTITIES
from config.sensor_files import FILE as SENSORS_FILE
from config.sensor_files import TABLE as SENSORS_TABLE
from config.settings_table import in_document, settings_sample, settings_table

DOCS = Path(__file__).parents[2] / "docs"
READ = {
    CITY_FILE: CITY_FIELDS,
    GRIDS_FILE: PROPERTIES,
    SENSORS_FILE: SENSORS_TABLE.columns,
    WORKERS_FILE: WORKERS_TABLE.columns,
    DEPARTMENTS_FILE: DEPARTMENT_FIELDS,
    ROSTER_FILE: ROSTER_TABLE.columns,
    LIMITS_FILE: LIMITS_TABLE.columns,
    FIELDS_FILE: FIELDS_TABLE.columns,
}


def tables(document: str) -> list[list[list[str]]]:
    """The cells of every table of a Markdown text, without its two head lines."""
    found = re.findall(r"(?:^\|.*\n)+", document, flags=re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]] for table in found
    ]


def test_the_settings_document_holds_every_setting_with_its_default() -> None:
    document = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert document == in_document(document), "run: python -m config.settings_table docs/settings.md"
    assert all(f"`{setting.environment}`" in document for setting in settings_table())


def test_the_sample_settings_hold_every_setting() -> None:
    assert (EXAMPLE / "gridwhistle.toml").read_text(encoding="utf-8") == settings_sample(".")


def test_every_file_of_the_folder_is_explained() -> None:
    document = (DOCS / "city-folder.md").read_text(encoding="utf-8")
    assert [row[0].strip("`") for row in tables(document)[0]] == list(CITY_FILES)
    assert re.findall(r"^## (.+)$", document, flags=re.MULTILINE) == list(CITY_FILES)


@pytest.mark.parametrize("file", CITY_FILES)
def test_the_columns_of_a_file_are_explained_in_their_order(file: str) -> None:
    document = (DOCS / "city-folder.md").read_text(encoding="utf-8")
    section = document.partition(f"\n## {file}\n")[2].partition("\n## ")[0]
    assert tuple(row[0].strip("`") for row in tables(section)[0]) == READ[file]
    assert all(row[1] for row in tables(section)[0])


def test_the_quantities_are_listed_with_their_units() -> None:
    document = (DOCS / "city-folder.md").read_text(encoding="utf-8")
    section = document.partition(f"\n## {SENSORS_FILE}\n")[2].partition("\n## ")[0]
    assert tables(section)[1] == [
        [f"`{q.name}`", f"`{q.kind}`", f"`{q.unit}`", ", ".join(f"`{unit}`" for unit in q.conversions)]
        for q in QUANTITIES.values()
    ]
