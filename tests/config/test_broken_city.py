import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.city_files import CITY_FILES, EXAMPLE, MOST_LINES, load_city, read_city
from config.errors import ConfigurationError
from config.problems import Level
from tests.config.helpers import DAY, break_file, shown

FIRST_GAS = "gas-001-ch4,gas,ch4,%LEL,112.785354,28.369631"


FIELDS = b"device,field,sensor,unit,factor,offset\na,b,gas-001-ch4,%VOL,1,0\n*,co,{device}-co,,,\n"
"""A file that the example can do without."""


class Mistake(NamedTuple):
    file: str
    old: str
    new: str
    row: int
    field: str | None
    found: str
    expected: str


BROKEN = (
    Mistake(
        "sensors.csv", "gas-001-co,", "gas-001-ch4,", 3, "id", "gas-001-ch4", "each once; it stands in row 2 already"
    ),
    Mistake(
        "sensors.csv",
        "gas-001-ch4,gas,",
        "gas-001-ch4,gass,",
        2,
        "kind",
        "gass",
        "one of gas, environment, structure, camera, building",
    ),
    Mistake(
        "sensors.csv", "gas-001-ch4,gas,", "gas-001-ch4,camera,", 2, "kind", "camera", "gas, as the quantity is ch4"
    ),
    Mistake("sensors.csv", ",ch4,%LEL", ",ch4,ppm", 2, "unit", "ppm", "one of %LEL, %VOL"),
    Mistake(
        "sensors.csv",
        FIRST_GAS,
        "gas-001-ch4,gas,ch4,%LEL,28.369631,112.785354",
        2,
        "lon",
        "28.369631, 112.785354",
        "first longitude and then latitude",
    ),
    Mistake(
        "sensors.csv",
        FIRST_GAS,
        "gas-001-ch4,gas,ch4,%LEL,113.5,28.369631",
        2,
        "lon",
        "113.5, 28.3696",
        "a place inside a grid",
    ),
    Mistake(
        "sensors.csv",
        FIRST_GAS,
        "gas-001-ch4,gas,ch4,%LEL,1e9,28.3",
        2,
        "lon",
        "1e9, 28.3",
        "longitude -180 to 180, latitude -90 to 90",
    ),
    Mistake("sensors.csv", FIRST_GAS, "gas-001-ch4,gas,ch4,%LEL,,28.3", 2, "lon", "", "a value"),
    Mistake(
        "sensors.csv", FIRST_GAS, "gas-001-ch4,gas,ch4,%LEL,112.785354,nan", 2, "lat", "nan", "a number such as 12.5"
    ),
    Mistake("sensors.csv", ",5,gas-company,", ",0,gas-company,", 2, "interval_s", "0", "a number above 0"),
    Mistake("sensors.csv", ",5,gas-company,", ",often,gas-company,", 2, "interval_s", "often", "a number such as 12.5"),
    Mistake(
        "sensors.csv",
        ",5,gas-company,",
        ",5,gas-compny,",
        2,
        "owner",
        "gas-compny",
        "one that stands in departments.yaml",
    ),
    Mistake("sensors.csv", "2025-01-12", "2025-13-12", 2, "calibrated_on", "2025-13-12", "a date such as 2026-01-31"),
    Mistake("sensors.csv", "2025-01-12", "2026-02-01", 2, "calibrated_on", "2026-02-01", "a day up to 2026-01-31"),
    Mistake("sensors.csv", "石榴街205号老年公寓厨房", "", 2, "place_zh", "", "the text in Chinese and in English"),
    Mistake("sensors.csv", "gas-001-ch4,", "gas 001,", 2, "id", "gas 001", "1 to 128 characters without spaces"),
    Mistake(
        "sensors.csv",
        "28.369631,石榴街",
        "28.369631,石,榴街",
        2,
        None,
        "13",
        "12 cells; text with a comma in it needs quotation marks",
    ),
    Mistake(
        "sensors.csv",
        ',"Kitchen of the elders\' home, 205 Shiliu Road",',
        ',"Kitchen" home,',
        2,
        None,
        "',' expected after '\"'",
        "cells with commas between, and quotation marks in pairs",
    ),
    Mistake("workers.csv", "000-0000-0001,mqtt", "000-0000-0001,", 2, "channels", "", "at least one of mqtt"),
    Mistake("workers.csv", "000-0000-0001,mqtt", "000-0000-0001,mqtt pigeon", 2, "channels", "pigeon", "one of mqtt"),
    Mistake(
        "workers.csv",
        "000-0000-0001",
        "call me",
        2,
        "phone",
        "call me",
        "digits, with spaces or hyphens between, perhaps a + in front",
    ),
    Mistake("workers.csv", "w02,", "w01,", 3, "id", "w01", "each once; it stands in row 2 already"),
    Mistake("workers.csv", "w01,", "system,", 2, "id", "system", "an id other than command-centre, system"),
    Mistake("workers.csv", "w01,", "w/1,", 2, "id", "w/1", "1 to 128 characters without spaces, /, + and #"),
    Mistake("workers.csv", "Sample Worker 01", "", 2, "name_en", "", "the text in Chinese and in English"),
    Mistake(
        "workers.csv", "phone,", "phone,fax,", 1, "fax", "fax", "only the columns id, name_zh, name_en, phone, channels"
    ),
    Mistake(
        "workers.csv", ",phone,", ",", 1, "phone", "id,name_zh,name_en,channels", "a column phone in the first line"
    ),
    Mistake("workers.csv", "phone,", "phone,id,", 1, "id", "id,name_zh,name_en,phone,id,channels", "each column once"),
    Mistake(
        "workers.csv",
        "id,name_zh,name_en,phone,channels",
        "id;name_zh;name_en;phone;channels",
        1,
        None,
        "id;name_zh;name_en;phone;channels",
        "commas between cells; in a spreadsheet, save as “CSV UTF-8, comma-separated”",
    ),
    Mistake(
        "roster.csv", "YR-RQ-SL-01,w01", "YR-RQ-SL-09,w01", 2, "grid", "YR-RQ-SL-09", "one that stands in grids.geojson"
    ),
    Mistake("roster.csv", "YR-RQ-SL-01,w01", "YR-RQ-SL-01,w99", 2, "worker", "w99", "one that stands in workers.csv"),
    Mistake(
        "roster.csv", "w01,worker", "w01,boss", 2, "role", "boss", "one of worker, deputy, leader, centre, maintenance"
    ),
    Mistake(
        "roster.csv",
        "mon-fri",
        "mon-fry",
        2,
        "weekdays",
        "mon-fry",
        "days such as mon-fri or sat,sun, of mon, tue, wed, thu, fri, sat, sun",
    ),
    Mistake(
        "roster.csv",
        "07:30,19:30",
        "07:30,07:30",
        2,
        "end",
        "07:30-07:30",
        "an end other than the start; the whole day is 00:00 to 24:00",
    ),
    Mistake(
        "roster.csv",
        "07:30,19:30",
        "7:30,19:30",
        2,
        "start",
        "7:30",
        "a time from 00:00 to 23:59 with two digits each; an end may be 24:00",
    ),
    Mistake("limits.csv", "75,70,300", "75,76,300", 2, "clear_at", "76", "at most 75"),
    Mistake("limits.csv", "high,general,75,70", "low,general,75,70", 2, "clear_at", "70", "at least 75"),
    Mistake("limits.csv", "75,70,300", "751,70,300", 2, "threshold", "751", "0 to 150 dB"),
    Mistake("limits.csv", "75,70,300", "75,70,-1", 2, "hold_s", "-1", "0 or more"),
    Mistake("limits.csv", ",noise,high,general", "cam-001-people,noise,high,general", 2, "quantity", "noise", "people"),
    Mistake(
        "limits.csv",
        ",noise,high,general",
        "cam-999,noise,high,general",
        2,
        "sensor",
        "cam-999",
        "one that stands in sensors.csv",
    ),
    Mistake(
        "limits.csv",
        "high,larger,85",
        "high,general,85",
        3,
        "severity",
        "noise high general",
        "each once; it stands in row 2 already",
    ),
    Mistake("limits.csv", "noise,high,general", "noise,up,general", 2, "side", "up", "one of high, low"),
    Mistake(
        "city.yaml",
        "Asia/Shanghai",
        "Asia/Shanghi",
        5,
        "timezone",
        "Asia/Shanghi",
        "a name of the IANA database such as Asia/Shanghai",
    ),
    Mistake(
        "city.yaml", "  en: Yunrong District (sample)\n", "", 2, "name.en", "", "the text in Chinese and in English"
    ),
    Mistake("city.yaml", "timezone:", "time_zone: x\ntimezone:", 5, "time_zone", "time_zone", "one of name, timezone"),
    Mistake(
        "city.yaml",
        "name:\n",
        "name: [\n",
        4,
        None,
        "expected ',' or ']', but got ':'",
        "lines of “key: value”, indented with spaces",
    ),
    Mistake(
        "departments.yaml",
        "[gas_leak]",
        "[gas_leak, gas_leek]",
        4,
        "gas-company.categories",
        "gas_leek",
        (
            "one of gas_leak, air_pollution, weather, noise, flooding, structure_danger, crowd, "
            "traffic, fire, intrusion, care, electrical, water_supply"
        ),
    ),
    Mistake(
        "departments.yaml",
        "categories: [gas_leak]",
        "categories: gas_leak",
        4,
        "gas-company.categories",
        "gas_leak",
        "a list: one entry a line, each after “- ”",
    ),
    Mistake("departments.yaml", "  contact: 000-0000-1001\n", "", 2, "gas-company.contact", "", "a value"),
    Mistake(
        "grids.geojson",
        '"parent": "YR-RQ-SL", "name_zh"',
        '"parent": "YR-RQ-XX", "name_zh"',
        10,
        "parent",
        "YR-RQ-XX",
        "one that stands in grids.geojson",
    ),
    Mistake(
        "grids.geojson",
        '"level": "street", "parent": "YR"',
        '"level": "street", "parent": "YR-RQ"',
        2,
        "parent",
        "YR-RQ > YR-RQ",
        "a way up that ends at a district",
    ),
    Mistake(
        "grids.geojson",
        '"parent": "YR-RQ-SL", "name_zh"',
        '"parent": "YR-RQ", "name_zh"',
        10,
        "parent",
        "grid < street",
        "a parent of level community",
    ),
    Mistake(
        "grids.geojson",
        '"code": "YR-RQ-SL-02"',
        '"code": "YR-RQ-SL-01"',
        11,
        "code",
        "YR-RQ-SL-01",
        "each once; it stands in row 10 already",
    ),
    Mistake(
        "grids.geojson",
        '"level": "grid"',
        '"level": "gird"',
        10,
        "level",
        "gird",
        "one of district, street, community, grid",
    ),
    Mistake("grids.geojson", '"Shiliu Grid 1"', '""', 10, "name_en", "", "the text in Chinese and in English"),
)


@pytest.mark.parametrize("mistake", BROKEN, ids=lambda mistake: f"{mistake.file}:{mistake.field}:{mistake.found}")
def test_a_mistake_is_named_with_its_place_what_was_found_and_what_is_expected(
    district: Path, mistake: Mistake
) -> None:
    break_file(district, mistake.file, mistake.old, mistake.new)
    report = read_city(district, today=DAY)
    assert report.city is None
    dangling = [p for p in report.errors if p.code == "unknown_reference" and p.file != mistake.file]
    named = [shown(problem) for problem in report.errors if problem not in dangling]
    assert named == [("error", mistake.file, mistake.row, mistake.field, mistake.found, mistake.expected)]


@pytest.mark.parametrize("file", ["sensors.csv", "workers.csv", "departments.yaml", "grids.geojson"])
def test_a_file_that_cannot_be_read_is_the_only_mistake_told(district: Path, file: str) -> None:
    content = (district / file).read_bytes()
    (district / file).write_bytes(content.decode().encode("gb18030"))
    report = read_city(district)
    assert [(problem.code, problem.file) for problem in report.errors] == [("not_utf8", file)]
    assert report.errors[0].expected.zh == "UTF-8 编码；用表格软件时请另存为“CSV UTF-8”"
    assert [problem for problem in report.problems if problem.level is Level.WARNING] == []


@pytest.mark.parametrize("file", [file for file in CITY_FILES if file not in {"limits.csv", "fields.csv"}])
def test_a_missing_file_is_named(district: Path, file: str) -> None:
    (district / file).unlink()
    assert [(problem.code, problem.file) for problem in read_city(district).problems] == [("file_missing", file)]


def test_a_spreadsheets_utf16_is_told_from_utf8(district: Path) -> None:
    path = district / "workers.csv"
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
    (problem,) = read_city(district).problems
    assert (problem.code, problem.found) == ("not_utf8", "UTF-16")


def test_two_mistakes_in_one_line_and_in_several_files_are_all_told(district: Path) -> None:
    break_file(district, "sensors.csv", "gas-001-ch4,gas,ch4,%LEL,112.785354", "gas-001-ch4,gas,ch4,ppm,far")
    break_file(district, "roster.csv", "w01,worker,mon-fri,07:30", "w01,boss,mon-fri,seven")
    break_file(district, "city.yaml", "Asia/Shanghai", "Mars/Base")
    with pytest.raises(ConfigurationError) as error:
        load_city(district)
    told = str(error.value).splitlines()
    assert len(told) == 6
    for place in ("sensors.csv, line 2, unit", "sensors.csv, line 2, lon", "roster.csv, line 2, role",
                  "roster.csv, line 2, start", "city.yaml, line 5, timezone"):  # fmt: skip
        assert any(place in line for line in told)


def test_an_exception_names_the_first_errors_and_counts_the_rest(district: Path) -> None:
    path = district / "sensors.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",%LEL,", ",ppm,").replace(",ppm,", ",bad,"), "utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(",µg/m³,", ",bad,").replace(",mm,", ",bad,"), "utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(",1,11", ",bad,11"), "utf-8")
    errors = len(read_city(district).errors)
    assert errors > MOST_LINES
    with pytest.raises(ConfigurationError) as error:
        load_city(district)
    lines = str(error.value).splitlines()
    assert len(lines) == MOST_LINES + 2
    assert lines[-1].startswith(f"and {errors - MOST_LINES} more")


def test_a_mistake_is_told_in_both_languages(district: Path) -> None:
    break_file(district, "sensors.csv", ",5,gas-company,", ",0,gas-company,")
    (problem,) = read_city(district).problems
    assert problem.message.en == (
        "Error in sensors.csv, line 2, interval_s: the number is too small. Found: “0”. Expected: a number above 0."
    )
    assert problem.message.zh == "错误：sensors.csv，第 2 行，interval_s：数字太小。现在是：“0”。应为：大于 0 的数字。"


def test_the_line_is_right_after_a_cell_over_several_lines(district: Path) -> None:
    break_file(district, "sensors.csv", "石榴街205号老年公寓厨房", '"石榴街205号\n老年公寓厨房"')
    break_file(district, "sensors.csv", "gas-001-co,gas,", "gas-001-co,gass,")
    (problem,) = read_city(district).problems
    assert problem.row == 4


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (problem,) = read_city(tmp_path / "nowhere").problems
    assert (problem.code, problem.file) == ("folder_missing", "nowhere")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from(CITY_FILES), data=st.data())
def test_no_content_of_any_file_ever_raises(tmp_path: Path, file: str, data: st.DataObject) -> None:
    folder = tmp_path / "city"
    if not folder.exists():
        shutil.copytree(EXAMPLE, folder)
    original = FIELDS if file == "fields.csv" else (EXAMPLE / file).read_bytes()
    cut = data.draw(st.integers(0, min(len(original), 3000)))
    junk = data.draw(
        st.one_of(st.binary(max_size=40), st.text(max_size=20).map(lambda t: t.encode("utf-8", "replace")))
    )
    whole = data.draw(st.booleans())
    (folder / file).write_bytes(junk if whole else original[:cut] + junk + original[cut + len(junk) :])
    try:
        report = read_city(folder, today=DAY)
        assert (report.city is None) == any(problem.level is Level.ERROR for problem in report.problems)
        assert all(problem.message.en.encode() and problem.message.zh.encode() for problem in report.problems[:20])
    finally:
        (folder / file).write_bytes(original)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("grids.geojson", "[" * 100_000),
        ("grids.geojson", '{"features": [' + "9" * 5000 + "]}"),
        ("grids.geojson", '{"features": [{"properties": {"code": "\\ud800", "level": 3}, "geometry": {}}]}'),
        ("departments.yaml", "[" * 20_000),
        ("departments.yaml", "a: &a [*a]"),
        ("departments.yaml", "? [x]\n: y"),
        ("city.yaml", "name: &x {zh: *x, en: 2001-99-99}"),
        ("city.yaml", "--- 1\n--- 2"),
        ("workers.csv", "id,name_zh,name_en,phone,channels\n\x00,a,b,1,mqtt"),
        ("workers.csv", "id,name_zh,name_en,phone,channels\n" + "x" * 200_000),
    ],
)
def test_nasty_content_is_a_problem_and_no_crash(district: Path, file: str, content: str) -> None:
    (district / file).write_text(content, encoding="utf-8")
    report = read_city(district)
    assert report.city is None
    assert any(problem.file == file for problem in report.errors)
