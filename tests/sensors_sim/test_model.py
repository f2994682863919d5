"""A quiet day looks like life: rhythms, shared fields, honest resolution, and no limit anywhere near."""

from collections import defaultdict
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.city import City
from config.city_files import EXAMPLE, load_city
from config.clock import from_datetime
from config.limits import Limit, Side
from config.quantities import QUANTITIES
from sensors_sim.generate import Simulation, readings
from sensors_sim.model import District
from sensors_sim.physics.signals import SIGNALS
from sensors_sim.physics.sky import make_weather
from sensors_sim.scenario import Sky
from sensors_sim.world import world_of
from tests.sensors_sim.cities import LIVELY, make_city

START_US = 1_780_000_000_000_000
ZONE = ZoneInfo("Asia/Shanghai")


def series(simulation: Simulation) -> dict[str, np.ndarray]:
    """Every sensor's (time in s, value) rows."""
    rows = defaultdict(list)
    for instant in simulation.instants():
        for sensor, time_us, value in zip(instant.sensors, instant.times_us, instant.values, strict=True):
            rows[simulation.city.sensors[sensor].id].append((time_us / 1e6, value))
    return {sensor: np.array(found) for sensor, found in rows.items()}


def test_one_seed_always_gives_the_same_readings_and_another_gives_others() -> None:
    city = make_city(LIVELY, side=2)
    first = list(readings(city, 5, START_US, 6))
    assert first == list(readings(city, 5, START_US, 6))
    assert first != list(readings(city, 6, START_US, 6))


def test_readings_come_in_order_of_time_inside_the_run() -> None:
    times = [time_us for time_us, _ in readings(make_city(LIVELY, side=2), 1, START_US, 3)]
    assert times == sorted(set(times))
    assert times[0] >= START_US
    assert times[-1] < START_US + 180_000_000


@settings(max_examples=6, deadline=None)
@given(interval=st.floats(0.3, 700), seed=st.integers(0, 2**40), tick=st.sampled_from([1.0, 7.5, 60.0]))
def test_every_sensor_keeps_its_interval_with_a_little_jitter(interval: float, seed: int, tick: float) -> None:
    city = make_city((("temperature", interval),), side=1)
    simulation = Simulation(city, seed, START_US, 30, quiet=True, tick_s=tick)
    times = np.concatenate([instant.times_us for instant in simulation.instants()]) / 1e6
    assert abs(len(times) - 1800 / interval) <= 1
    assert np.all(np.abs(np.diff(times) - interval) <= 0.02 * interval + 0.002)


def test_the_sensors_of_one_box_sample_together() -> None:
    city = make_city((("temperature", 30), ("humidity", 30)), side=2)
    found = series(Simulation(city, 1, START_US, 5, quiet=True))
    for code in ("G00", "G01", "G10", "G11"):
        assert np.array_equal(found[f"{code}-0-temperature"][:, 0], found[f"{code}-0-humidity"][:, 0])
    assert not np.array_equal(found["G00-0-humidity"][:, 0], found["G11-0-humidity"][:, 0])


@pytest.mark.parametrize("hour", [4, 14])
def test_a_quiet_day_stays_in_the_physical_range_at_the_devices_resolution(hour: int) -> None:
    start_us = from_datetime(datetime(2026, 5, 20, hour, tzinfo=ZONE))
    city = make_city(tuple((quantity, 20) for quantity in QUANTITIES), side=2)
    found = series(Simulation(city, 3, start_us, 20, quiet=True))
    for quantity, measures in QUANTITIES.items():
        values = np.concatenate([found[sensor.id][:, 1] for sensor in city.sensors if sensor.quantity == quantity])
        steps = SIGNALS[quantity].steps
        assert np.all((values >= measures.low) & (values <= measures.high)), quantity
        assert np.array_equal(np.rint(values * steps) / steps, values), quantity
        if not measures.steps:
            assert len(np.unique(values)) > 2, f"{quantity}: an analogue sensor never rests on one value"


@pytest.mark.parametrize("hour", [2, 8, 13, 18])
def test_no_limit_of_the_example_district_is_passed_on_a_quiet_day(hour: int) -> None:
    city = load_city(EXAMPLE)
    start_us = from_datetime(datetime(2026, 5, 20, hour, tzinfo=ZONE))
    simulation = Simulation(city, hour, start_us, 15, quiet=True)
    for sensor_id, rows in series(simulation).items():
        sensor = city.sensor(sensor_id)
        for limit in city.limits.of(sensor_id, sensor.quantity):
            assert longest_over(limit, rows) <= limit.hold_s, (sensor_id, limit)


def longest_over(limit: Limit, rows: np.ndarray) -> float:
    """Seconds of the longest unbroken stretch over a limit, -1 where it is never passed."""
    longest, since = -1.0, None
    for time_s, value in rows:
        over = value >= limit.threshold if limit.side is Side.HIGH else value <= limit.threshold
        since = (since or time_s) if over else None
        if since is not None:
            longest = max(longest, time_s - since)
    return longest


def test_gas_rests_between_0_and_1_lel_and_a_help_button_at_0() -> None:
    city = make_city((("ch4", 5), ("help_button", 60)), side=3)
    values = {sensor: rows[:, 1] for sensor, rows in series(Simulation(city, 2, START_US, 20, quiet=True)).items()}
    assert all(found.max() <= 1.2 for sensor, found in values.items() if "ch4" in sensor)
    assert all(found.max() == 0 for sensor, found in values.items() if "help" in sensor)


def quiet_district(city: City, seed: int, start_us: int, *, days: float = 1, sky: Sky = Sky.FAIR) -> District:
    world = world_of(city)
    weather = make_weather(sky, seed, start_us, start_us + int(days * 86_400e6), city.timezone, world.lat0)
    return District(world, seed, start_us, weather)


def test_afternoons_are_warmer_and_drier_than_dawn() -> None:
    city = make_city((("temperature", 60), ("humidity", 60)), side=2)
    rows = np.arange(len(city.sensors))
    district = quiet_district(city, 1, from_datetime(datetime(2026, 5, 20, tzinfo=ZONE)))
    dawn = district.mean(rows, from_datetime(datetime(2026, 5, 20, 3, tzinfo=ZONE)))
    noon = district.mean(rows, from_datetime(datetime(2026, 5, 20, 14, 30, tzinfo=ZONE)))
    assert np.all((noon - dawn)[0::2] > 5)
    assert np.all((noon - dawn)[1::2] < -15)


def test_neighbours_share_the_air_and_coarse_dust_follows_fine() -> None:
    city = make_city((("pm25", 60), ("pm10", 60)), side=6)
    district = quiet_district(city, 4, START_US)
    rows = np.arange(len(city.sensors))
    means = np.array([district.mean(rows, START_US + minute * 60_000_000) for minute in range(0, 600, 5)])
    fine, coarse = means[:, 0::2], means[:, 1::2]
    assert np.corrcoef(fine[:, 0], fine[:, 1])[0, 1] > 0.8
    assert np.corrcoef(fine[:, 0], coarse[:, 0])[0, 1] > 0.9


def test_a_city_without_sensors_is_simply_silent() -> None:
    simulation = Simulation(make_city((), side=1), 1, START_US, 1)
    assert sum(len(instant.values) for instant in simulation.instants()) == 0
    assert len(simulation.truth.not_staged) == 6


@pytest.mark.parametrize(("minutes", "tick_s"), [(0, 1), (-1, 1), (1, 0)])
def test_a_run_of_no_length_is_refused(minutes: float, tick_s: float) -> None:
    with pytest.raises(ValueError, match="both must be above 0"):
        Simulation(make_city(LIVELY, side=1), 1, START_US, minutes, tick_s=tick_s)
