"""What a whole city shares: drains, walls, air and streets follow the weather as their sources say."""

import numpy as np
import pytest

from sensors_sim.physics.course import COURSES, SPANS, Courses
from sensors_sim.physics.sky import make_weather
from sensors_sim.scenario import Sky
from tests.sensors_sim.physics.runs import DAY_US, MINUTE_US, ZONE, local_us, weather_of


def courses_of(sky: Sky, seed: int, start_us: int, days: float) -> Courses:
    return Courses(weather_of(sky, seed, start_us, days), ZONE, start_us)


def table(courses: Courses, start_us: int, days: float, step_us: int = 5 * MINUTE_US) -> dict[str, np.ndarray]:
    found = np.array([courses.at(int(time)) for time in range(start_us, start_us + int(days * DAY_US), step_us)])
    return {name: found[:, column] for name, column in COURSES.items()}


def test_fair_weather_stays_within_the_spans_told_at_every_season_and_latitude() -> None:
    for seed in range(12):
        start = local_us(1 + seed, 12)
        weather = make_weather(Sky.FAIR, seed, start, start + 3 * DAY_US, ZONE, (20.0, 28.4, 36.0, 45.0)[seed % 4])
        for name, values in table(Courses(weather, ZONE, start), start, 3).items():
            low, high = SPANS[name]
            assert low - 1e-6 <= values.min(), name
            assert values.max() <= high + 1e-6, name


def test_it_does_not_matter_in_which_order_times_are_asked_for() -> None:
    start = local_us(6, 12)
    forth, back = courses_of(Sky.RAIN, 1, start, 4), courses_of(Sky.RAIN, 1, start, 4)
    times = [start + hour * 60 * MINUTE_US for hour in range(0, 90, 7)]
    one = [forth.at(time) for time in times]
    other = [back.at(time) for time in reversed(times)]
    assert np.array_equal(one, other[::-1])


def test_nothing_steps_from_one_day_to_the_next() -> None:
    start = local_us(6, 12, 5)
    courses = courses_of(Sky.RAIN, 2, start, 4)
    for day in (1, 2, 3):
        edge = start + day * DAY_US
        before, at, after = (courses.at(edge + shift) for shift in (-MINUTE_US, 0, MINUTE_US))
        assert np.array_equal(before > -1e9, np.ones(len(SPANS), bool))
        # as even as a minute of weather is: the daylight's 105,000 lx aside
        spread = np.array([max(high - low, 1.0) for low, high in SPANS.values()])
        assert np.all(np.abs(after - 2 * at + before) / spread < 0.2)


def test_drains_give_back_what_rained_later_and_lower() -> None:
    start = local_us(6, 12)
    weather = weather_of(Sky.RAIN, 4, start, 1)
    found = table(Courses(weather, ZONE, start), start, 1, MINUTE_US)
    rain = weather.rain_mm_h(start + np.arange(1440) * MINUTE_US)
    peak = int(np.argmax(rain))
    assert 3 <= int(np.argmax(found["runoff"])) - peak <= 40
    assert found["runoff"].max() < 0.8 * rain.max()
    assert found["runoff"].sum() == pytest.approx(0.8 * rain.sum(), rel=0.05)
    assert found["rain_hour"][peak + 60] == pytest.approx(rain[peak + 1 : peak + 61].mean(), rel=0.05)


def test_rain_washes_dust_out_of_the_air_and_people_off_the_street() -> None:
    start = local_us(6, 12)
    found = table(courses_of(Sky.RAIN, 4, start, 1), start, 1)
    wettest = int(np.argmax(found["rain_hour"]))
    assert found["fine"][wettest] < 0.75 * found["fine"][0]
    assert found["coarse"][wettest] / found["coarse"][0] < found["fine"][wettest] / found["fine"][0]
    assert found["outdoors"].min() < 0.6
    assert found["roads"].min() > 0.7


def test_still_air_keeps_what_is_let_out() -> None:
    start = local_us(12, 10)
    fair, stagnant = (table(courses_of(sky, 3, start, 2), start, 2) for sky in (Sky.FAIR, Sky.STAGNANT))
    assert stagnant["fine"].mean() > 1.5 * fair["fine"].mean()


def test_ozone_follows_the_sun_and_nitrogen_dioxide_the_rush_hours() -> None:
    start = local_us(6, 16)  # a Tuesday
    found = table(courses_of(Sky.FAIR, 5, start, 1), start, 1)
    hour = np.arange(288) / 12
    assert 11 < hour[np.argmax(found["ozone"])] < 16.5
    assert found["nitrogen"][(hour > 7.5) & (hour < 9)].mean() > found["nitrogen"][(hour > 12) & (hour < 15)].mean()


def test_the_heat_island_is_a_matter_of_calm_nights() -> None:
    start = local_us(5, 20)
    found = table(courses_of(Sky.FAIR, 6, start, 1), start, 1)
    hour = np.arange(288) / 12
    assert found["heat_island"][hour < 4].mean() > 3 * found["heat_island"][(hour > 11) & (hour < 15)].mean()


def test_walls_and_rooms_lag_behind_the_air() -> None:
    start = local_us(7, 20)
    found = table(courses_of(Sky.FAIR, 7, start, 3), start + DAY_US, 2)
    warmest = {name: int(np.argmax(found[name][:288])) / 12 for name in ("air", "wall", "deck", "indoor_air")}
    assert warmest["air"] < warmest["deck"]
    assert warmest["wall"] < warmest["deck"]
    assert warmest["air"] < warmest["indoor_air"]
    assert np.ptp(found["indoor_air"]) < 0.4 * np.ptp(found["air"])


def test_weekends_are_quieter_in_the_rush_hour() -> None:
    start = local_us(3, 12)  # a Thursday
    found = table(courses_of(Sky.FAIR, 8, start, 4), start, 4)
    eight = [found["din"][day * 288 + 8 * 12] for day in range(4)]
    assert min(eight[:2]) > max(eight[2:]) + 2
