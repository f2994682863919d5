from datetime import datetime, time
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from alerting.model import CENTRE
from alerting.responsible import Duty
from config.city import Shift
from config.clock import from_datetime
from config.vocabulary import Category, Role
from tests.alerting import support
from tests.alerting.support import DAY, EVERY_DAY, NIGHT, NOON_US, shift

GAS = Category.GAS_LEAK


def at(text: str, zone: str = "Asia/Shanghai", *, fold: int = 0) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))


def workers(duty: Duty, where: str | tuple[float, float], category: Category | None, at_us: int) -> list[str]:
    return [person.worker for person in duty.line_for(where, category, at_us)]


def test_by_day_the_grid_worker_then_the_deputy_then_those_above() -> None:
    duty = Duty(support.city())
    assert workers(duty, "G1", GAS, NOON_US) == ["worker-1", "deputy-1", "leader-1", "officer-1", CENTRE]


def test_by_night_another_worker_and_the_leader_sleeps() -> None:
    duty = Duty(support.city())
    assert workers(duty, "G1", GAS, at("2026-01-31T23:30")) == ["worker-2", "officer-1", CENTRE]


def test_the_shift_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    monday = frozenset({0})
    duty = Duty(support.city(roster=[shift("G1", "worker-2", Role.WORKER, NIGHT, monday)]))
    assert workers(duty, "G1", GAS, at("2026-02-02T20:00")) == ["worker-2", CENTRE]  # Monday evening
    assert workers(duty, "G1", GAS, at("2026-02-03T07:59")) == ["worker-2", CENTRE]  # Tuesday morning
    assert workers(duty, "G1", GAS, at("2026-02-03T08:00")) == [CENTRE]
    assert workers(duty, "G1", GAS, at("2026-02-02T07:59")) == [CENTRE]  # Monday morning is Sunday's night
    assert workers(duty, "G1", GAS, at("2026-02-03T20:00")) == [CENTRE]


def test_local_hours_hold_when_summer_time_begins_and_ends() -> None:
    roster = [shift("G1", "worker-1", Role.WORKER, DAY), shift("G1", "worker-2", Role.WORKER, NIGHT)]
    duty, zone = Duty(support.city(roster=roster, zone="Europe/Berlin")), "Europe/Berlin"
    for day in ("2026-03-28", "2026-03-29", "2026-03-30", "2026-10-24", "2026-10-25", "2026-10-26"):
        assert workers(duty, "G1", GAS, at(f"{day}T07:59", zone))[0] == "worker-2", day
        assert workers(duty, "G1", GAS, at(f"{day}T08:00", zone))[0] == "worker-1", day


def test_the_hour_that_comes_twice_belongs_to_the_same_shift_both_times() -> None:
    roster = [shift("G1", "worker-2", Role.WORKER, (time(2), time(3)))]
    duty, zone = Duty(support.city(roster=roster, zone="Europe/Berlin")), "Europe/Berlin"
    first, second = at("2026-10-25T02:30", zone), at("2026-10-25T02:30", zone, fold=1)
    assert second - first == support.HOUR_US
    assert workers(duty, "G1", GAS, first)[0] == workers(duty, "G1", GAS, second)[0] == "worker-2"


def test_a_grid_without_people_is_taken_by_those_above_it() -> None:
    assert workers(Duty(support.city()), "G2", GAS, NOON_US) == ["leader-1", "officer-1", CENTRE]


def test_a_place_is_found_by_its_polygon_and_outside_the_city_the_centre_has_it() -> None:
    duty = Duty(support.city())
    assert duty.grid_at(113.005, 28.001) == "G1"
    assert duty.grid_at(113.01, 28.001) == "G1"  # on the border: the first by code
    assert duty.grid_at(113.05, 28.05) == "D"
    assert workers(duty, (113.005, 28.001), GAS, NOON_US)[0] == "worker-1"
    assert workers(duty, (10.0, 10.0), GAS, NOON_US) == [CENTRE]


def test_faults_go_to_maintenance_on_duty_first_and_to_nobody_else() -> None:
    duty = Duty(support.city())
    assert workers(duty, "G1", None, NOON_US) == ["fitter-1", "fitter-2", CENTRE]
    assert workers(duty, "G1", None, at("2026-01-31T23:30")) == ["fitter-2", "fitter-1", CENTRE]


def test_a_grid_that_is_not_in_the_city_has_the_command_centre_alone() -> None:
    assert workers(Duty(support.city()), "nowhere", GAS, NOON_US) == [CENTRE]


def test_an_assigned_person_keeps_the_role_they_have_there() -> None:
    duty = Duty(support.city())
    assert duty.person("leader-1", "G1").role is Role.LEADER
    assert duty.person("worker-1", "G2").grid == "G1"
    assert duty.person(CENTRE, "G1").worker == CENTRE
    assert duty.only_mends("fitter-1")
    assert not duty.only_mends("worker-1")


hours = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30]))
shifts = st.builds(
    shift,
    st.sampled_from(["D", "C", "G1", "G2"]),
    st.sampled_from(support.WORKERS),
    st.sampled_from(Role),
    st.tuples(hours, hours),
    st.frozensets(st.sampled_from(sorted(EVERY_DAY)), min_size=1),
)


@given(
    st.lists(shifts, max_size=12),
    st.integers(1_700_000_000, 1_900_000_000),
    st.sampled_from(["D", "C", "G1", "G2"]),
    st.sampled_from([GAS, None]),
)
def test_the_line_is_never_empty_names_nobody_twice_and_keeps_the_two_trades_apart(
    roster: list[Shift], at_s: int, where: str, category: Category | None
) -> None:
    line = Duty(support.city(roster=roster)).line_for(where, category, at_s * 1_000_000)
    names = [person.worker for person in line]
    assert names[-1] == CENTRE
    assert len(set(names)) == len(names)
    trades = {person.role for person in line[:-1]}
    assert trades <= {Role.MAINTENANCE} if category is None else Role.MAINTENANCE not in trades
