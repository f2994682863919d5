"""The weather: deterministic, continuous, within physical bounds, and like the sky that it is named after."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors_sim.physics.sky import make_weather, saturation_hpa, season_c, wander
from sensors_sim.physics.weather import Weather
from sensors_sim.scenario import Sky
from tests.sensors_sim.physics.runs import DAY_US, LATITUDE, MINUTE_US, ZONE, local_us, weather_of

NAMES = ("temperature_c", "humidity_percent", "pressure_hpa", "wind_m_s", "rain_mm_h", "sun")


def minutes(start_us: int, days: float, step_us: int = MINUTE_US) -> np.ndarray:
    return np.arange(start_us, start_us + int(days * DAY_US), step_us)


def seen(weather: Weather, times: np.ndarray) -> dict[str, np.ndarray]:
    return {name: getattr(weather, name)(times) for name in (*NAMES, "wind_from_deg")}


@pytest.mark.parametrize("sky", Sky)
def test_the_same_arguments_give_the_same_weather_and_another_seed_another(sky: Sky) -> None:
    start = local_us(6, 10)
    times = minutes(start, 1)
    first, again, other = (
        seen(make_weather(sky, seed, start, start + DAY_US, ZONE, LATITUDE), times) for seed in (3, 3, 4)
    )
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["temperature_c"], other["temperature_c"])


@settings(max_examples=12, deadline=None)
@given(
    sky=st.sampled_from(Sky),
    seed=st.integers(0, 2**40),
    day=st.integers(1, 28),
    month=st.integers(1, 12),
    latitude=st.floats(-55, 55),
)
def test_every_weather_is_possible_and_never_jumps(sky: Sky, seed: int, day: int, month: int, latitude: float) -> None:
    start = local_us(month, day)
    weather = make_weather(sky, seed, start, start + 2 * DAY_US, ZONE, latitude)
    times = minutes(start, 2, 10_000_000)
    found = seen(weather, times)
    bounds = {
        "temperature_c": (-45, 48), "humidity_percent": (3, 100), "pressure_hpa": (930, 1060), "wind_m_s": (0.2, 70),
        "rain_mm_h": (0, 400), "sun": (0, 1.001), "wind_from_deg": (0, 360),
    }  # fmt: skip
    for name, (low, high) in bounds.items():
        assert np.all((found[name] >= low) & (found[name] <= high)), name
    # within ten seconds nothing changes by more than a sixth of what a minute of the heaviest weather can do
    steps = {"temperature_c": 0.25, "humidity_percent": 4, "pressure_hpa": 0.3, "wind_m_s": 4, "rain_mm_h": 30}
    for name, most in steps.items():
        assert np.abs(np.diff(found[name])).max() < most, name


def test_a_long_run_begins_as_a_short_one() -> None:
    start = local_us(3, 12)
    short, long = (make_weather(Sky.FAIR, 5, start, start + days * DAY_US, ZONE, LATITUDE) for days in (1, 30))
    times = minutes(start, 1)
    for name in NAMES:
        assert getattr(short, name)(times) == pytest.approx(getattr(long, name)(times)), name


def test_it_is_coldest_at_dawn_and_warmest_after_noon_and_dry_air_goes_with_it() -> None:
    start = local_us(5, 20)
    times = minutes(start, 1, 10 * MINUTE_US)
    for seed in range(6):
        weather = weather_of(Sky.FAIR, seed, start, 1)
        warm, damp = weather.temperature_c(times), weather.humidity_percent(times)
        hour = (times - start) / 3.6e9
        assert 13 <= hour[np.argmax(warm)] <= 16.5
        assert hour[np.argmin(warm)] <= 7 or hour[np.argmin(warm)] >= 23
        assert np.corrcoef(warm, damp)[0, 1] < -0.9


def test_relative_humidity_is_that_of_an_amount_of_water_that_hardly_changes_within_a_day() -> None:
    start = local_us(5, 20)
    times = minutes(start, 1)
    weather = weather_of(Sky.FAIR, 1, start, 1)
    vapour = weather.humidity_percent(times) / 100 * saturation_hpa(weather.temperature_c(times))
    assert vapour.std() / vapour.mean() < 0.12
    assert saturation_hpa(np.array([20.0]))[0] == pytest.approx(23.4, abs=0.1)  # WMO-No. 8


def test_winters_are_colder_than_summers_and_the_other_way_round_in_the_south() -> None:
    january, july = np.array([15.0]), np.array([200.0])
    assert season_c(july, 30)[0] - season_c(january, 30)[0] > 18
    assert season_c(january, -30)[0] - season_c(july, -30)[0] > 18
    assert season_c(january, 45)[0] < -5 < season_c(january, 25)[0]


def test_the_sun_rises_and_sets_with_the_season_and_the_noon_is_the_zones() -> None:
    for month, shortest, longest in ((6, 13.5, 14.5), (12, 9.7, 10.7)):
        start = local_us(month, 21)
        times = minutes(start, 1)
        sun = weather_of(Sky.HEAT, 1, start, 1).sun(times)
        hours = (times - start)[sun > 0] / 3.6e9
        assert shortest < hours[-1] - hours[0] < longest
        assert (hours[-1] + hours[0]) / 2 == pytest.approx(12, abs=0.2)


def test_summer_time_does_not_move_the_sun() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = local_us(7, 1, zone=zone)
    sun = make_weather(Sky.HEAT, 1, start, start + DAY_US, zone, 52.5).sun(minutes(start, 1))
    light = np.flatnonzero(sun > 0) / 60
    assert (light[0] + light[-1]) / 2 == pytest.approx(13, abs=0.2)


def test_fair_and_hot_days_are_dry_and_stagnant_air_hardly_moves() -> None:
    start = local_us(7, 20)
    times = minutes(start, 3)
    fair, heat, stagnant = (weather_of(sky, 2, start, 3) for sky in (Sky.FAIR, Sky.HEAT, Sky.STAGNANT))
    assert fair.rain_mm_h(times).max() == heat.rain_mm_h(times).max() == stagnant.rain_mm_h(times).max() == 0
    assert heat.temperature_c(times).max() > fair.temperature_c(times).max() + 3
    assert stagnant.wind_m_s(times).mean() < 0.5 * fair.wind_m_s(times).mean()


@pytest.mark.parametrize("hours", [0.5, 2, 24, 96])
def test_rain_comes_within_the_run_with_a_gust_before_it_and_cool_air(hours: float) -> None:
    start = local_us(6, 12, 10)
    for seed in range(4):
        weather = make_weather(Sky.RAIN, seed, start, start + int(hours * 3.6e9), ZONE, LATITUDE)
        times = minutes(start, hours / 24)
        rain = weather.rain_mm_h(times)
        assert rain[0] == 0
        assert rain.max() > 3
    weather = make_weather(Sky.RAIN, 1, start, start + DAY_US, ZONE, LATITUDE)
    times = minutes(start, 1)
    first = int(np.flatnonzero(weather.rain_mm_h(times) > 0)[0])
    before, after = times[first - 30], times[first + 20]
    cooler = weather.temperature_c(np.array([before])) - weather.temperature_c(np.array([after]))
    assert cooler[0] > 2
    gust = weather.wind_m_s(times[first - 12 : first + 5]).max()
    assert gust > weather.wind_m_s(times[first - 60 : first - 20]).max()


def test_it_never_rained_before_a_rainy_run_began() -> None:
    start = local_us(6, 12)
    weather = weather_of(Sky.RAIN, 3, start, 2)
    assert weather.rain_mm_h(minutes(start - 3 * DAY_US, 3)).max() == 0


@pytest.mark.parametrize("hours", [2, 36])
def test_a_typhoon_passes_within_the_run_and_its_wind_turns(hours: float) -> None:
    start = local_us(8, 20)
    for seed in range(4):
        weather = make_weather(Sky.TYPHOON, seed, start, start + int(hours * 3.6e9), ZONE, LATITUDE)
        times = minutes(start, hours / 24)
        pressure = weather.pressure_hpa(times)
        lowest = int(np.argmin(pressure)) / len(times)
        assert 0.3 < lowest < 0.75
        assert weather.wind_m_s(times).max() > 15
        assert weather.rain_mm_h(times).max() > 10
        if hours > 24:
            bearing = np.unwrap(np.radians(weather.wind_from_deg(times)))
            assert np.ptp(bearing) > np.pi / 3
            assert pressure[0] - pressure.min() > 12
            assert pressure[-1] - pressure.min() > 12


@given(memory=st.floats(1, 200), seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_wandering_course_is_smooth_and_of_spread_1(memory: float, seed: int) -> None:
    course = wander(np.random.default_rng(seed), int(400 * memory), memory)
    assert course.std() == pytest.approx(1, abs=0.35)
    if memory > 20:
        assert np.abs(np.diff(course)).max() < 12 / memory
