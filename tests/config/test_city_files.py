from datetime import datetime, time, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import alerting.channels
from config.city import Shift
from config.city_files import EXAMPLE, load_city, read_city
from config.limits import DEFAULT_LIMITS
from config.people_files import CHANNELS, minutes_of_week, parse_weekdays
from config.problems import Level
from config.vocabulary import Role, Severity
from tests.config.helpers import break_file


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(district: Path) -> None:
    for file in ("sensors.csv", "workers.csv", "roster.csv", "limits.csv", "city.yaml"):
        path = district / file
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_city(district).problems == ()


def test_empty_columns_and_lines_of_a_spreadsheet_do_no_harm(district: Path) -> None:
    path = district / "workers.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(f"{line},," for line in [*lines, ",,,,", ""]), encoding="utf-8")
    assert read_city(district).problems == ()


def test_limits_may_be_left_out_and_then_the_defaults_hold(district: Path) -> None:
    (district / "limits.csv").unlink()
    city = load_city(district)
    assert city.limits.by_sensor == {}
    assert sum(len(steps) for steps in city.limits.by_quantity.values()) == len(DEFAULT_LIMITS)


def test_the_citys_own_limits_replace_the_defaults_of_that_quantity_only(district: Path) -> None:
    with (district / "limits.csv").open("a", encoding="utf-8") as file:
        file.write(",pm25,high,larger,115,100,600,the city's plan\n")
    limits = load_city(district).limits
    assert [(step.threshold, step.severity) for step in limits.of("env-001-pm25", "pm25")] == [(115, Severity.LARGER)]
    assert [step.threshold for step in limits.of("gas-001-ch4", "ch4")] == [25, 50]
    assert [step.severity for step in limits.of("cam-001-people", "people")] == [Severity.LARGER, Severity.MAJOR]


def test_a_grid_that_nobody_watches_at_night_is_told_with_its_hours(district: Path) -> None:
    path = district / "roster.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("YR-RQ,", "YR-RQ-SL,"))]
    path.write_text("\n".join(kept), encoding="utf-8")
    report = read_city(district)
    assert report.city is not None
    uncovered = [p for p in report.problems if p.code == "uncovered_hours"]
    assert {p.found for p in uncovered} >= {f"YR-RQ-SL-0{i}" for i in range(1, 5)}
    first = next(p for p in uncovered if p.found == "YR-RQ-SL-01")
    # 5 days of 12 hours and 2 of 11.5 hours are covered
    assert first.what.en == f"nobody is on duty there for {168 - 83} hours a week, first from mon 00:00"
    leaderless = {p.found for p in report.problems if p.code == "no_leader"}
    assert leaderless == {grid for grid in report.city.grids if grid.startswith("YR-RQ-") and grid[-1].isdigit()}


def test_a_category_that_no_department_serves_is_told(district: Path) -> None:
    break_file(district, "departments.yaml", "[crowd, traffic, intrusion]", "[crowd, intrusion]")
    (warning,) = read_city(district).problems
    assert (warning.level, warning.file, warning.field) == (Level.WARNING, "departments.yaml", "categories")
    assert warning.what.en == "no department is called to traffic"


def test_a_city_in_which_nobody_mends_sensors_is_told(district: Path) -> None:
    path = district / "roster.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "maintenance" not in line), encoding="utf-8")
    assert [p.code for p in read_city(district).problems] == ["no_maintenance"]


def test_a_role_on_the_wrong_level_is_told(district: Path) -> None:
    break_file(district, "roster.csv", "YR,fix-day", "YR-RQ,fix-day")
    (warning,) = read_city(district).problems
    assert (warning.code, warning.found, warning.expected.en) == ("role_level", "YR-RQ", "a grid of level district")


def test_every_channel_that_a_worker_can_name_has_its_file() -> None:
    files = {path.stem for path in (Path(alerting.channels.__file__).parent).glob("*.py")}
    assert files - {"__init__", "base"} == set(CHANNELS)


def test_weekdays_may_wrap_over_the_weekend() -> None:
    assert parse_weekdays("sat-mon, wed") == frozenset({5, 6, 0, 2})
    assert parse_weekdays("mon-sun") == frozenset(range(7))
    assert parse_weekdays("mon-") is None


def test_a_shift_over_midnight_covers_the_next_morning() -> None:
    city = load_city(EXAMPLE)
    night = next(s for s in city.roster if s.worker == "w01" and s.role is Role.DEPUTY)
    monday, tuesday = datetime(2026, 1, 5, 23, tzinfo=city.timezone), datetime(2026, 1, 6, 7, 59, tzinfo=city.timezone)
    assert night.covers(monday)
    assert night.covers(tuesday)
    assert not night.covers(tuesday.replace(hour=8, minute=0))


def test_a_sensor_outside_every_grid_of_a_community_hangs_on_the_community(district: Path) -> None:
    code = "YR-RQ-SL-04"
    for file in ("roster.csv", "grids.geojson"):
        lines = (district / file).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(f"{code},") and f'"code": "{code}"' not in line]
        (district / file).write_text("".join(kept), encoding="utf-8")
    before, after = load_city(EXAMPLE), load_city(district)
    moved = [sensor.id for sensor in before.sensors if sensor.grid == code]
    assert moved
    assert {after.sensor(id_).grid for id_ in moved} == {"YR-RQ-SL"}
    assert [p.code for p in read_city(district).problems] == ["gap"]


def test_the_version_changes_with_every_byte(district: Path) -> None:
    before = load_city(district).version
    assert before == load_city(EXAMPLE).version
    (district / "workers.csv").write_bytes((district / "workers.csv").read_bytes() + b"\n")
    assert load_city(district).version != before


def test_columns_may_stand_in_any_order_and_optional_ones_may_be_missing(district: Path) -> None:
    path = district / "limits.csv"
    path.write_text("source,hold_s,clear_at,threshold,severity,side,quantity\nus,5,70,75,general,high,noise\n", "utf-8")
    (limit,) = load_city(district).limits.by_quantity["noise"]
    assert (limit.threshold, limit.hold_s, limit.source) == (75, 5, "us")


@given(
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.times(),
    end=st.times(),
    minute=st.integers(0, 7 * 24 * 60 - 1),
)
def test_the_minutes_of_a_shift_are_those_that_it_covers(
    weekdays: frozenset[int], start: time, end: time, minute: int
) -> None:
    start, end = start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    shift = Shift("g", "w", Role.WORKER, weekdays, start, end if end != start else time(0))
    if shift.start == shift.end != time(0):
        return
    monday = datetime(2026, 1, 5)  # noqa: DTZ001 - local time, as on a roster
    assert minutes_of_week(shift)[minute] == shift.covers(monday + timedelta(minutes=minute))
