"""Which sensor each field of a device is: read from fields.csv, every mistake named."""

import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.city import City
from config.city_files import EXAMPLE, load_city, read_city
from config.field_files import FIELDS_FILE, read_fields
from config.fields import FieldRule, FieldRules
from config.problems import Problem, ProblemLog
from config.sensor_files import SensorRows
from tests.config.helpers import DAY, shown

HEADER = "device,field,sensor,unit,factor,offset"
DOCUMENT = Path(__file__).parents[2] / "docs" / "city-folder.md"


@cache
def sensors() -> SensorRows:
    """Those of the example."""
    columns = load_city(EXAMPLE, today=DAY).columns
    return SensorRows(columns, frozenset(columns.ids))


def write(folder: Path, *lines: str, header: str = HEADER) -> None:
    (folder / FIELDS_FILE).write_text("\n".join([header, *lines, ""]), encoding="utf-8")


def read(folder: Path) -> tuple[FieldRules, tuple[Problem, ...]]:
    log = ProblemLog()
    rules = read_fields(folder, sensors(), log.of(FIELDS_FILE))
    return rules, log.all()


def test_a_field_is_a_sensor_with_its_unit_and_its_scale(tmp_path: Path) -> None:
    write(
        tmp_path,
        "24e124136b502217,gas.ch4,gas-001-ch4,%VOL,0.5,-1",
        "front door,co,gas-001-co,,,",
        "*,ch4,{device}-ch4,,,",
    )
    rules, problems = read(tmp_path)
    assert problems == ()
    assert len(rules) == 3
    assert rules.named["24e124136b502217", "gas.ch4"] == FieldRule(
        "24e124136b502217", "gas.ch4", "gas-001-ch4", "%VOL", 0.5, -1
    )
    assert rules.named["front door", "co"] == FieldRule("front door", "co", "gas-001-co")
    assert rules.patterns["ch4"].sensor_of("gas-002") == "gas-002-ch4"


def test_unit_factor_and_offset_may_be_left_out_altogether(tmp_path: Path) -> None:
    write(tmp_path, "a,b,gas-001-ch4", header="device,field,sensor")
    assert read(tmp_path)[0].named["a", "b"] == FieldRule("a", "b", "gas-001-ch4")


def city(district: Path) -> City:
    return load_city(district, today=DAY)


def test_a_mistake_in_it_stops_the_start(district: Path) -> None:
    write(district, "a,b,gas-001-ch4,,0,")
    report = read_city(district, today=DAY)
    assert report.city is None
    assert [(problem.file, problem.code) for problem in report.errors] == [(FIELDS_FILE, "zero_factor")]


def test_a_city_without_the_file_has_no_rules_and_with_it_another_version(district: Path) -> None:
    before = city(district)
    assert len(before.fields) == 0
    write(district, "a,b,gas-001-ch4,,,")
    assert city(district).version != before.version


@pytest.mark.parametrize(
    ("line", "field", "found", "expected"),
    [
        (",b,gas-001-ch4,,,", "device", "", "a value"),
        ("a,,gas-001-ch4,,,", "field", "", "a value"),
        ("a,b,,,,", "sensor", "", "a value"),
        ("a,b,gas-001-ch4,,much,", "factor", "much", "a number such as 12.5"),
        ("a,b,gas-001-ch4,,,more", "offset", "more", "a number such as 12.5"),
        ("a,b,gas-001-ch4,,0,", "factor", "0", "a number other than 0"),
        ("a,b,gas-001-ch4,mm,,", "unit", "mm", "one of %LEL, %VOL"),
        ("*,ch4,{device}-ch4,mm,,", "unit", "mm", "one of %LEL, %VOL"),
        ("*,b,gas-001-ch4,,,", "sensor", "gas-001-ch4", "{device} somewhere in the sensor's name"),
        ("z,z,gas-002-ch4,,,", "field", "z, z", "each once; it stands in row 2 already"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, line: str, field: str, found: str, expected: str) -> None:
    write(tmp_path, "z,z,gas-001-co,,,", line)
    assert [shown(problem) for problem in read(tmp_path)[1]] == [
        ("error", FIELDS_FILE, 3, field, found, expected),
    ]


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("a,b,gas-999-ch4,,,", "gas-999-ch4", "one that stands in sensors.csv"),
        ("*,b,{device}-nothing,,,", "{device}-nothing", "sensors in sensors.csv whose names fit"),
        ("a,b,gas-001-co,,,", "gas-001-co", "each sensor from one field; it stands in row 2 already"),
    ],
)
def test_what_is_only_doubtful_is_a_warning(tmp_path: Path, line: str, found: str, expected: str) -> None:
    write(tmp_path, "z,z,gas-001-co,,,", line)
    assert [shown(problem) for problem in read(tmp_path)[1]] == [
        ("warning", FIELDS_FILE, 3, "sensor", found, expected),
    ]
    assert len(read(tmp_path)[0]) == 2


def test_sensors_that_could_not_be_read_are_not_called_unknown(district: Path) -> None:
    write(district, "a,b,gas-999-ch4,,,", "*,b,{device}-nothing,,,")
    path = district / "sensors.csv"
    path.write_bytes(path.read_bytes().decode().encode("gb18030"))
    assert [problem for problem in read_city(district).problems if problem.file == FIELDS_FILE] == []


def test_a_wrong_header_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a,b,gas-001-ch4", header="device,field,id")
    assert {problem.code for problem in read(tmp_path)[1]} == {"unknown_column", "missing_column"}


def test_the_example_of_the_document_is_read_as_it_says(tmp_path: Path) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {FIELDS_FILE}\n")[2]
    (example,) = re.findall(r"^```csv\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (tmp_path / FIELDS_FILE).write_text(example, encoding="utf-8")
    assert {problem.code for problem in read(tmp_path)[1]} == {"unknown_reference", "pattern_fits_none"}
    rules = read(tmp_path)[0]
    assert rules.named["front door", "contact"] == FieldRule("front door", "contact", "door-1", None, -1, 1)
    assert set(rules.patterns) == {"humidity"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=60))
def test_no_bytes_raise(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FIELDS_FILE).write_bytes(HEADER.encode() + b"\n" + content)
    read(tmp_path)
