"""What is staged can be seen in the readings as the truth says, and nowhere else."""

from datetime import datetime
from itertools import combinations
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from config.city_files import EXAMPLE, load_city
from config.clock import from_datetime
from config.vocabulary import Category, Severity
from sensors_sim.generate import Simulation
from sensors_sim.truth import Episode, FaultKind
from tests.sensors_sim.cities import LIVELY, make_city
from tests.sensors_sim.test_model import longest_over, series

EXAMPLE_CITY = load_city(EXAMPLE)
START_US = from_datetime(datetime(2026, 5, 20, 9, 30, tzinfo=ZoneInfo("Asia/Shanghai")))
SEEDS = range(4)


def episode(simulation: Simulation, category: Category) -> Episode:
    return next(found for found in simulation.truth.episodes if found.category is category)


@pytest.fixture(scope="module", params=SEEDS)
def run(request: pytest.FixtureRequest) -> tuple[Simulation, dict[str, np.ndarray]]:
    simulation = Simulation(EXAMPLE_CITY, request.param, START_US)
    return simulation, series(simulation)


Run = tuple[Simulation, dict[str, np.ndarray]]


def test_the_example_district_has_room_for_everything(run: Run) -> None:
    truth = run[0].truth
    assert [found.category for found in truth.episodes] == [
        Category.GAS_LEAK,
        Category.AIR_POLLUTION,
        Category.STRUCTURE_DANGER,
        Category.CROWD,
    ]
    assert [fault.kind for fault in truth.faults] == [FaultKind.STUCK, FaultKind.SILENT]
    assert truth.not_staged == ()


def test_exactly_the_sensors_named_by_the_truth_pass_their_limits(run: Run) -> None:
    simulation, rows = run
    promised = {sensor for found in simulation.truth.episodes for sensor in found.over_limit}
    seen = set()
    for sensor_id, found in rows.items():
        sensor = EXAMPLE_CITY.sensor(sensor_id)
        for limit in EXAMPLE_CITY.limits.of(sensor_id, sensor.quantity):
            longest = longest_over(limit, found)
            if longest >= 0 and longest >= limit.hold_s:
                seen.add(sensor_id)
    assert promised <= seen, "every promised sensor shows it"
    touched = simulation.truth.touched()
    assert seen <= touched, "no other sensor of the district does"


def test_the_gravest_limit_passed_is_the_severity_promised(run: Run) -> None:
    simulation, rows = run
    for found in simulation.truth.episodes:
        worst = min(
            limit.severity
            for sensor in found.over_limit
            for limit in EXAMPLE_CITY.limits.of(sensor, EXAMPLE_CITY.sensor(sensor).quantity)
            if longest_over(limit, rows[sensor]) >= limit.hold_s
        )
        assert worst is found.severity, found.name


def test_gas_comes_early_rises_fast_and_goes_slowly(run: Run) -> None:
    simulation, rows = run
    leak = episode(simulation, Category.GAS_LEAK)
    assert leak.from_us == START_US + 120_000_000
    assert leak.severity is Severity.EXTREME
    found = rows[leak.over_limit[0]]
    since = found[:, 0] - leak.from_us / 1e6
    assert found[since < 0, 1].max() <= 1.2
    first = since[found[:, 1] >= 25][0]
    assert 0 < first < 60
    peak = int(np.argmax(found[:, 1]))
    fallen = since[peak:][found[peak:, 1] < 25][0]
    assert fallen - since[peak] > 2 * first


def test_smoke_arrives_later_downwind_and_passes_again(run: Run) -> None:
    simulation, rows = run
    smoke = episode(simulation, Category.AIR_POLLUTION)
    fine = [sensor for sensor in smoke.over_limit if EXAMPLE_CITY.sensor(sensor).quantity == "pm25"]
    assert len(fine) >= 3
    arrivals = []
    for sensor in fine:
        found = rows[sensor]
        over = np.flatnonzero(found[:, 1] >= 150)
        arrivals.append(found[over[0], 0])
        before = found[found[:, 0] < smoke.from_us / 1e6, 1]
        assert before.max() < 100
        assert found[-1, 1] < found[:, 1].max() - 50, "it decays before the run ends"
    assert max(arrivals) - min(arrivals) > 20
    assert min(arrivals) >= START_US / 1e6 + 480


def test_the_building_leans_more_and_more_and_stays_so(run: Run) -> None:
    simulation, rows = run
    lean = episode(simulation, Category.STRUCTURE_DANGER)
    found = rows[lean.over_limit[0]]
    minute = found[:, 0] // 120
    means = np.array([found[minute == each, 1].mean() for each in np.unique(minute[found[:, 0] > lean.from_us / 1e6])])
    assert np.all(np.diff(means[:8]) > 0.05)
    assert found[-1, 1] > 4


def test_a_stuck_sensor_repeats_one_value_and_a_silent_one_says_nothing(run: Run) -> None:
    simulation, rows = run
    stuck, silent = simulation.truth.faults
    found = rows[stuck.sensor]
    after = found[found[:, 0] >= stuck.from_us / 1e6, 1]
    assert len(after) > 5
    assert np.all(after == after[0])
    before = found[found[:, 0] < stuck.from_us / 1e6, 1]
    assert len(np.unique(before)) > 2
    assert after[0] == before[-1]
    assert rows[silent.sensor][-1, 0] < silent.from_us / 1e6


def test_no_sensor_has_a_part_in_two_things(run: Run) -> None:
    truth = run[0].truth
    parts = [set(found.sensors) for found in truth.episodes] + [{fault.sensor} for fault in truth.faults]
    assert all(not one & other for one, other in combinations(parts, 2))


def test_everything_happens_inside_the_run_even_in_a_short_one() -> None:
    for minutes in (3, 10, 30, 90):
        truth = Simulation(EXAMPLE_CITY, 1, START_US, minutes).truth
        for found in truth.episodes:
            assert truth.start_us <= found.from_us < found.to_us <= truth.end_us
            assert found.limit_us is None or found.from_us < found.limit_us <= found.to_us
        for fault in truth.faults:
            assert truth.start_us < fault.from_us < truth.end_us


def test_the_leak_can_come_at_once_for_a_demonstration() -> None:
    truth = Simulation(EXAMPLE_CITY, 1, START_US, first_event_s=5).truth
    assert truth.episodes[0].from_us == START_US + 5_000_000


def test_the_responsible_person_is_the_one_on_shift_there_at_that_time() -> None:
    for seed in SEEDS:
        for found in Simulation(EXAMPLE_CITY, seed, START_US).truth.episodes:
            mine = [shift for shift in EXAMPLE_CITY.roster if shift.worker == found.responsible]
            local = datetime.fromtimestamp((found.limit_us or found.from_us) / 1e6, EXAMPLE_CITY.timezone)
            assert any(shift.grid == found.grid and shift.covers(local) for shift in mine)
            assert set(found.responsible_at) == set(found.sensors)
            for sensor, person in found.responsible_at.items():
                grid = EXAMPLE_CITY.sensor(sensor).grid
                theirs = [shift for shift in EXAMPLE_CITY.roster if shift.worker == person]
                assert any(shift.grid == grid and shift.covers(local) for shift in theirs)


def test_what_a_city_has_no_place_for_is_named() -> None:
    truth = Simulation(make_city((("humidity", 60),), side=2), 1, START_US).truth
    reasons = dict(truth.not_staged)
    assert reasons["gas leak"] == "the city has no ch4 sensor"
    assert reasons["crowd"] == "the city has no camera with a limit on people"
    assert truth.episodes == ()
    assert [fault.kind for fault in truth.faults] == [FaultKind.SILENT]


def test_different_seeds_choose_different_places() -> None:
    places = {
        tuple(found.grid for found in Simulation(make_city(LIVELY), seed, START_US, 30).truth.episodes)
        for seed in range(8)
    }
    assert len(places) > 4
