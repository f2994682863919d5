"""Which sensor each field of a device is: read from fields.csv, every mistake named."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.city import City
from config.city_files import load_city, read_city
from config.field_files import FIELDS_FILE
from config.fields import FieldRule
from config.problems import Problem
from tests.config.helpers import DAY, shown

HEADER = "device,field,sensor,unit,factor,offset"
DOCUMENT = Path(__file__).parents[2] / "docs" / "city-folder.md"


def write(district: Path, *lines: str, header: str = HEADER) -> None:
    (district / FIELDS_FILE).write_text("\n".join([header, *lines, ""]), encoding="utf-8")


def problems(district: Path) -> list[Problem]:
    return [problem for problem in read_city(district, today=DAY).problems if problem.file == FIELDS_FILE]


def city(district: Path) -> City:
    return load_city(district, today=DAY)


def test_a_field_is_a_sensor_with_its_unit_and_its_scale(district: Path) -> None:
    write(
        district,
        "24e124136b502217,gas.ch4,gas-001-ch4,%VOL,0.5,-1",
        "front door,co,gas-001-co,,,",
        "*,ch4,{device}-ch4,,,",
    )
    assert problems(district) == []
    rules = city(district).fields
    assert len(rules) == 3
    assert rules.named["24e124136b502217", "gas.ch4"] == FieldRule(
        "24e124136b502217", "gas.ch4", "gas-001-ch4", "%VOL", 0.5, -1
    )
    assert rules.named["front door", "co"] == FieldRule("front door", "co", "gas-001-co")
    assert rules.patterns["ch4"].sensor_of("gas-002") == "gas-002-ch4"


def test_unit_factor_and_offset_may_be_left_out_altogether(district: Path) -> None:
    write(district, "a,b,gas-001-ch4", header="device,field,sensor")
    assert city(district).fields.named["a", "b"] == FieldRule("a", "b", "gas-001-ch4")


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
def test_a_mistake_is_named(district: Path, line: str, field: str, found: str, expected: str) -> None:
    write(district, "z,z,gas-001-co,,,", line)
    assert [shown(problem) for problem in problems(district)] == [
        ("error", FIELDS_FILE, 3, field, found, expected),
    ]
    assert read_city(district, today=DAY).city is None


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ("a,b,gas-999-ch4,,,", "gas-999-ch4", "one that stands in sensors.csv"),
        ("*,b,{device}-nothing,,,", "{device}-nothing", "sensors in sensors.csv whose names fit"),
        ("a,b,gas-001-co,,,", "gas-001-co", "each sensor from one field; it stands in row 2 already"),
    ],
)
def test_what_is_only_doubtful_is_a_warning(district: Path, line: str, found: str, expected: str) -> None:
    write(district, "z,z,gas-001-co,,,", line)
    assert [shown(problem) for problem in problems(district)] == [
        ("warning", FIELDS_FILE, 3, "sensor", found, expected),
    ]
    assert len(city(district).fields) == 2


def test_sensors_that_could_not_be_read_are_not_called_unknown(district: Path) -> None:
    write(district, "a,b,gas-999-ch4,,,", "*,b,{device}-nothing,,,")
    path = district / "sensors.csv"
    path.write_bytes(path.read_bytes().decode().encode("gb18030"))
    assert problems(district) == []


def test_a_wrong_header_is_named(district: Path) -> None:
    write(district, "a,b,gas-001-ch4", header="device,field,id")
    assert {problem.code for problem in problems(district)} == {"unknown_column", "missing_column"}


def test_the_example_of_the_document_is_read_as_it_says(district: Path) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {FIELDS_FILE}\n")[2]
    (example,) = re.findall(r"^```csv\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (district / FIELDS_FILE).write_text(example, encoding="utf-8")
    assert {problem.code for problem in problems(district)} == {"unknown_reference", "pattern_fits_none"}
    rules = city(district).fields
    assert rules.named["front door", "contact"] == FieldRule("front door", "contact", "door-1", None, -1, 1)
    assert set(rules.patterns) == {"humidity"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=60))
def test_no_bytes_raise(district: Path, content: bytes) -> None:
    (district / FIELDS_FILE).write_bytes(HEADER.encode() + b"\n" + content)
    read_city(district, today=DAY)
