"""A quiet day passes no limit, whatever the seed, the season and the hour; and each quantity lives as it should."""

from dataclasses import replace

import numpy as np
import pytest

from config.city import City
from config.city_files import EXAMPLE, load_city
from config.limits import Limit, Side, limit_table
from config.quantities import QUANTITIES
from config.vocabulary import Severity
from sensors_sim.model import District
from sensors_sim.physics.places import density
from sensors_sim.physics.quiet import QUIET_SHARE, mildest_limits
from sensors_sim.scenario import Sky
from sensors_sim.staging import Hurry
from sensors_sim.world import world_of
from tests.sensors_sim.cities import make_city
from tests.sensors_sim.physics.runs import DAY_US, MINUTE_US, Run, district_of, local_us, one_box, run

SEEDS = range(10)


def passing(city: City, found: Run) -> list[tuple[str, float]]:
    """Sensors that pass one of their limits for as long as it asks."""
    seen = []
    order = np.argsort(found.sensors, kind="stable")
    bounds = np.searchsorted(found.sensors[order], np.arange(len(city.sensors) + 1))
    for sensor in city.sensors:
        mine = order[bounds[sensor.index] : bounds[sensor.index + 1]]
        for limit in city.limits.of(sensor.id, sensor.quantity):
            values, times = found.values[mine], found.times_us[mine]
            over = values >= limit.threshold if limit.side is Side.HIGH else values <= limit.threshold
            edges = np.flatnonzero(np.diff(np.concatenate(([0], over.astype(int), [0]))))
            for begin, end in zip(edges[::2], edges[1::2], strict=True):
                if (times[end - 1] - times[begin]) / 1e6 >= limit.hold_s:
                    seen.append((sensor.id, limit.threshold))
    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_no_reading_of_a_fair_day_passes_a_limit_of_the_example_district(seed: int) -> None:
    city = load_city(EXAMPLE)
    start = local_us(1 + seed, 9 + seed, 12 * (seed % 2))  # mornings and evenings take turns
    district = district_of(city, seed, start)
    found = run(district, start, 0.5, tick_us=5 * MINUTE_US)
    assert len(found.values) > 500_000
    assert passing(city, found) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_no_reading_of_a_fair_week_comes_near_a_limit_however_low_it_is_set(seed: int) -> None:
    quantities = tuple(name for name in QUANTITIES if name not in {"help_button", "door_open", "o2", "vibration"})
    city = one_box(*quantities, interval_s=300, side=2)
    weather = {"temperature", "humidity", "pressure", "wind_speed", "rain", "illuminance"}
    low = {"smoke_score": 0.5, "fire_score": 0.5, "intrusion_score": 0.5, "people": 40.0, "vehicles": 12.0, "tilt": 0.5,
           "activity": 60.0, "water_flow": 1.0, "noise": 55.0, "o3": 120.0}  # fmt: skip
    limits = [
        Limit(name, Side.HIGH, Severity.GENERAL, threshold, threshold * 0.8, 0, "a strict engineer")
        for name, threshold in low.items()
    ]
    city = replace(city, limits=limit_table(limits, {}))
    start = local_us(1 + seed, 5)
    found = run(district_of(city, seed, start, days=7), start, 7, tick_us=10 * MINUTE_US)
    assert passing(city, found) == []
    for name, threshold in low.items():
        assert max(values.max() for values in found.of(name)) < threshold
    assert all(values.max() < QUANTITIES[name].high for name in weather for values in found.of(name))


def test_a_strict_limit_does_not_change_the_weather() -> None:
    city = one_box("temperature", "tilt")
    strict = replace(
        city,
        limits=limit_table(
            [Limit(name, Side.HIGH, Severity.GENERAL, 0.3, 0.2, 0, "") for name in ("temperature", "tilt")]
        ),
    )
    start = local_us(7, 1)
    rows = np.arange(2)
    warm, strictly = (district_of(each, 1, start).mean(rows, start + DAY_US // 2) for each in (city, strict))
    assert strictly[0] == warm[0] > 20
    assert strictly[1] < QUIET_SHARE * 0.3 < warm[1]
    assert mildest_limits(strict).tolist() == [0.3, 0.3]
    assert np.isinf(mildest_limits(one_box("temperature"))[0])


def test_readings_are_the_same_byte_for_byte_and_do_not_depend_on_the_tick_before_them() -> None:
    city = one_box(*QUANTITIES, interval_s=40, side=2)
    start = local_us(3, 12, 7)
    one, two = (run(district_of(city, 3, start), start, 0.05) for _ in range(2))
    assert one.values.tobytes() == two.values.tobytes()
    assert one.times_us.tobytes() == two.times_us.tobytes()
    other = run(district_of(city, 4, start), start, 0.05)
    assert other.values.tobytes() != one.values.tobytes()


@pytest.mark.parametrize("sky", Sky)
def test_every_sky_keeps_every_quantity_in_its_physical_range(sky: Sky) -> None:
    city = one_box(*QUANTITIES, interval_s=600, side=2)
    start = local_us(8, 3)
    found = run(district_of(city, 2, start, days=2, sky=sky), start, 2, tick_us=5 * MINUTE_US, shown=False)
    assert np.isfinite(found.values).all()
    for name, quantity in QUANTITIES.items():
        values = np.concatenate(found.of(name))
        spread = 6 * values.std() + 1
        assert values.min() > quantity.low - spread, name
        assert values.max() < quantity.high + spread, name


def test_the_noise_told_is_the_noise_seen() -> None:
    names = [name for name in QUANTITIES if name not in {"rain", "help_button", "door_open", "activity"}]
    names = [name for name in names if not name.endswith("_score")]
    city = one_box(*names, interval_s=30, side=2, crowd_limit=600)
    start = local_us(3, 12, 11)
    district = district_of(city, 5, start)
    rows = np.arange(len(city.sensors))
    residuals: list[np.ndarray] = [np.empty(0)] * len(rows)
    for begin in range(start, start + 2 * 3600 * 10**6, MINUTE_US // 2):
        sensors, times = district.take_due(begin + MINUTE_US // 2)
        apart = district.sample(sensors, times, begin + MINUTE_US // 2) - district.mean(sensors, begin + MINUTE_US // 2)
        for row in rows:
            residuals[row] = np.append(residuals[row], apart[sensors == row])
    told = district.noise(rows)
    for name in names:
        mine = [sensor.index for sensor in city.sensors if sensor.quantity == name]
        seen = np.mean([residuals[row].std() for row in mine])
        loose = 0.5 if name in {"people", "vehicles", "vibration"} else 0.25
        assert seen == pytest.approx(told[mine].mean(), rel=loose), name


def test_counts_are_poisson_numbers_and_not_rounded_normal_ones() -> None:
    city = make_city((("people", 600), ("vehicles", 600)), side=8, per_grid=4)
    start = local_us(3, 12)
    district = district_of(city, 6, start)
    rows = np.arange(len(city.sensors))
    for hour in (3, 12):
        at = start + hour * 3600 * 10**6
        while district.take_due(at - 600 * 10**6)[0].size:
            pass
        sensors, times = district.take_due(at)
        first = np.unique(sensors, return_index=True)[1]
        values = district.sample(sensors, times, at)[first]
        mean = district.mean(rows, at)[sensors[first]]
        z = (values - mean) / np.sqrt(mean)
        assert z.mean() == pytest.approx(0, abs=0.3)
        assert z.std() == pytest.approx(1, abs=0.25), hour
        assert np.array_equal(values, np.rint(values))
        assert values.min() >= 0
    assert (values > 0).mean() > 0.9


def test_streets_offices_and_roads_know_the_weekend_and_the_night() -> None:
    city = make_city((("people", 600), ("vehicles", 600), ("noise", 600)), side=3)
    start = local_us(3, 12)  # a Thursday
    district, festive = (district_of(city, 1, start, days=4, holiday=holiday) for holiday in (False, True))
    rows = np.arange(len(city.sensors))
    cars = rows[1::3]
    thursday, saturday = (start + hours * 3600 * 10**6 for hours in (8, 48 + 8))
    assert district.mean(cars, thursday).sum() > 1.5 * district.mean(cars, saturday).sum()
    assert festive.mean(cars, thursday).sum() < 0.7 * district.mean(cars, thursday).sum()
    night = start + 27 * 3600 * 10**6
    assert np.all(district.mean(rows, night) < district.mean(rows, thursday))
    assert district.mean(rows[0::3], night).max() < 0.1 * district.mean(rows[0::3], thursday + 4 * 3600 * 10**6).max()


def test_every_elder_keeps_their_own_hours_and_goes_out_on_their_own_days() -> None:
    city = make_city((("activity", 600),), side=6)
    start = local_us(3, 9)  # a Monday
    district = district_of(city, 1, start, days=14)
    rows = np.arange(len(city.sensors))
    day = np.array([district.mean(rows, start + minute * MINUTE_US) for minute in range(0, 1440, 10)])
    wakes = np.argmax(day > 0.4 * day.max(axis=0), axis=0) / 6
    assert 0.4 < wakes.std() < 1.5
    assert 4 < wakes.mean() < 8
    assert day[:18].mean() < 0.15 * day[48:72].mean()

    def mornings(first: int) -> np.ndarray:
        times = [
            [start + each * DAY_US + minute * MINUTE_US for minute in range(480, 720, 10)]
            for each in range(first, first + 7)
        ]
        means = np.array([[district.mean(rows, at) for at in morning] for morning in times])
        value: np.ndarray = means.mean(axis=1)
        return value

    one, two = mornings(0), mornings(7)
    out = one / np.median(one, axis=0) > 1.12
    assert 0.1 < out.mean() < 0.45
    assert np.mean(out == (two / np.median(two, axis=0) > 1.12)) > 0.9


def test_shops_draw_little_at_night_and_water_hardly_runs() -> None:
    city = make_city((("current", 600), ("water_flow", 600)), side=4)
    start = local_us(3, 12)
    district = district_of(city, 1, start)
    rows = np.arange(len(city.sensors))
    night, noon = (district.mean(rows, start + hour * 3600 * 10**6) for hour in (3, 13))
    assert np.all(night[0::2] / noon[0::2] == pytest.approx(0.12, abs=0.03))
    assert np.all(night[1::2] < 0.25 * noon[1::2])
    day = np.array([district.mean(rows[0::2], start + minute * MINUTE_US) for minute in range(5 * 60, 13 * 60, 5)])
    opening = (day > 0.2 * noon[0::2]) & (day < 0.9 * noon[0::2])
    assert np.all(opening.sum(axis=0) * 5 <= 45)
    opens = 5 + np.argmax(day > 0.5 * noon[0::2], axis=0) / 12
    assert opens.std() > 0.2
    assert 7 < opens.mean() < 10
    assert np.all(night > 0)


def test_an_indoor_thermometer_sees_little_of_the_day() -> None:
    city = make_city((("temperature", 600),), side=2)
    world = world_of(city)
    start = local_us(1, 15)
    outside = district_of(city, 1, start)
    inside = District(replace(world, indoor=np.ones(4, np.bool_)), 1, start, outside.weather)
    rows = np.arange(4)
    times = [start + hour * 3600 * 10**6 for hour in range(24)]
    cold, warm = (np.array([district.mean(rows, at) for at in times]) for district in (outside, inside))
    assert warm.mean() > cold.mean() + 8
    assert np.ptp(warm[:, 0]) < 0.5 * np.ptp(cold[:, 0])


def test_a_dense_quarter_is_warmer_at_night_and_less_windy() -> None:
    thin = make_city((("temperature", 600), ("wind_speed", 600)), side=4)
    world = world_of(thin)
    crowded = replace(world, east=np.where(world.east > 0, 100.0, world.east), north=np.where(world.east > 0, 50.0, 0))
    dense = density(crowded)
    assert dense.max() == 1
    assert dense.min() < 0.3
    start = local_us(5, 20)
    probe = district_of(thin, 1, start)
    district = District(crowded, 1, start, probe.weather)
    rows = np.arange(len(thin.sensors))
    night = district.mean(rows, start + 2 * 3600 * 10**6)
    assert night[0::2][dense[0::2] == 1].mean() > night[0::2][dense[0::2] < 0.3].mean() + 0.4
    assert night[1::2][dense[1::2] == 1].mean() < 0.8 * night[1::2][dense[1::2] < 0.3].mean()


def test_an_accelerometer_sends_bursts_that_know_heat_and_damage() -> None:
    city = make_city((("vibration", 600), ("tilt", 600)), side=2)
    start = local_us(3, 12, 8)
    district = district_of(city, 1, start)
    rows = np.array([0, 2, 4, 6])
    district.soften(np.array([2, 3]), start + DAY_US // 4, 0.81)
    healthy, damaged = (district.frequency_hz(rows, start + shift) for shift in (0, DAY_US // 2))
    ratio = damaged / healthy
    assert ratio[1] == pytest.approx(0.9, abs=0.02)
    assert np.delete(ratio, 1) == pytest.approx(np.ones(3), abs=0.03)
    assert ratio[0] != 1
    found = run(district, start, 0.05)
    for values in found.of("vibration"):
        assert len(values) >= 6 * 64
        assert 0.001 < values.std() < 0.05
        assert abs(values.mean()) < 0.3 * values.std()
    with pytest.raises(ValueError, match="vibration"):
        district.frequency_hz(np.array([1]), start)


def test_a_district_can_be_told_to_hurry() -> None:
    city = one_box("pm25", interval_s=600)
    start = local_us(3, 12, 8)
    district = district_of(city, 1, start)
    district.hasten([Hurry(np.array([0]), start + 3600 * 10**6, start + 2 * 3600 * 10**6, 10.0)])
    times = run(district, start, 0.125).times_us
    within = (times >= start + 3600 * 10**6) & (times < start + 2 * 3600 * 10**6)
    assert within.sum() == pytest.approx(60, abs=1)
    assert (~within).sum() == pytest.approx(12, abs=2)


@pytest.mark.parametrize("tick_s", [5, 60])
def test_what_a_sensor_remembers_goes_on_within_a_long_instant(tick_s: int) -> None:
    city = one_box("people", "vehicles", interval_s=5, crowd_limit=400)
    start = local_us(3, 12, 10)
    found = run(district_of(city, 2, start), start, 0.25, tick_us=tick_s * 10**6)
    for name, stay_s in (("people", 90), ("vehicles", 60)):
        values = found.of(name)[0]
        rough = values - np.convolve(values, np.ones(241) / 241, mode="same")
        lag = np.corrcoef(rough[200:-200], rough[201:-199])[0, 1]
        assert lag == pytest.approx(np.exp(-5 / stay_s), abs=0.04)
        assert np.abs(np.diff(values)).max() < 0.35 * values.max()


def test_cameras_are_confused_now_and_then_and_sure_of_it_only_where_that_is_wished() -> None:
    city = make_city((("smoke_score", 10), ("fire_score", 10)), side=3)
    start = local_us(3, 12, 6)
    weather = district_of(city, 1, start).weather
    for confusing, low, high in ((0.0, 0.0, 0.25), (1.0, 0.0, 0.64), (40.0, 0.8, 1.0)):
        district = District(world_of(city), 1, start, weather, confusing=confusing)
        values = run(district, start, 0.5, tick_us=5 * MINUTE_US).values
        assert low <= values.max() <= high, confusing
