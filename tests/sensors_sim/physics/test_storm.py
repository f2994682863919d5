"""Rain and vortices keep what their sources promise."""

import numpy as np
import pytest

from sensors_sim.physics.storm import Vortex, cloudburst_mm_h, rises_and_fades
from sensors_sim.physics.sun import clear_sky, equation_of_time_h, sine_of_elevation, through_clouds

STORM = Vortex(deficit_hpa=40, calm_km=40, shape=1.3, speed_m_s=5, heading_deg=310, miss_km=30)


def test_the_cloudburst_of_a_year_brings_what_the_drains_are_built_for() -> None:
    minutes = np.arange(0, 120, 0.1)
    rain = cloudburst_mm_h(minutes, lasts_min=120, return_years=1)
    depth = rain.mean() * 2
    assert depth == pytest.approx(2001 / 128**0.711 * 0.36 * 2, rel=0.03)
    assert minutes[np.argmax(rain)] == pytest.approx(48, abs=0.2)
    assert rain.max() == pytest.approx(2001 / 8**0.711 * 0.36, rel=0.01)
    assert rain[0] == 0
    assert cloudburst_mm_h(np.array([-1.0, 121.0]), lasts_min=120, return_years=1).tolist() == [0, 0]
    assert cloudburst_mm_h(minutes, lasts_min=120, return_years=0.01).max() == 0


def test_what_rises_and_fades_peaks_at_one() -> None:
    times = np.arange(-5, 300, 0.01)
    course = rises_and_fades(times, rise_min=8, fade_min=60)
    assert course.max() == pytest.approx(1, abs=1e-6)
    assert course[times <= 0].max() == 0


def test_hollands_wind_is_strongest_at_the_wall_and_its_pressure_lowest_in_the_middle() -> None:
    distance = np.arange(1, 400, dtype=np.float64) * 1000
    wind = STORM.gradient_wind_m_s(distance, 20)
    assert distance[np.argmax(wind)] == pytest.approx(40_000, rel=0.08)
    # V max = sqrt(B deficit / (rho e)) without the earth's turning (Holland 1980, equation 7)
    assert wind.max() == pytest.approx(np.sqrt(1.3 * 4000 / (1.15 * np.e)), rel=0.05)
    pressure = STORM.pressure_hpa(np.array([1.0, 40_000.0, 2_000_000.0]))
    assert pressure == pytest.approx([-40, -40 * (1 - np.exp(-1)), 0], abs=0.3)


def test_a_vortex_turns_against_the_clock_in_the_north_and_with_it_in_the_south() -> None:
    far = Vortex(deficit_hpa=40, calm_km=40, shape=1.3, speed_m_s=0.01, heading_deg=0, miss_km=60)
    east_of_it = float(far.away(np.array([0.0]))[0][0])
    for latitude, hand in ((25.0, 1), (-25.0, -1)):
        _, north = far.wind(np.array([0.0]), latitude)
        assert np.sign(north[0]) == hand * np.sign(east_of_it)


def test_the_track_passes_at_the_distance_told() -> None:
    seconds = np.arange(-50_000, 50_000, 100.0)
    distance = np.hypot(*STORM.away(seconds))
    assert distance.min() == pytest.approx(30_000, rel=0.001)
    assert seconds[np.argmin(distance)] == pytest.approx(0, abs=100)
    assert STORM.rain_mm_h(np.array([0.0, 40_000.0, 220_000.0])) == pytest.approx([5, 12, 12 / np.e])


def test_the_sun_stands_where_almanacs_have_it() -> None:
    # Beijing, 39.9 N: 73.5 degrees at noon of the solstice in June, 26.6 in December
    for day, height in ((172, 73.5), (355, 26.6)):
        sine = sine_of_elevation(np.array([float(day)]), np.array([12.0]), 39.9)
        assert np.degrees(np.arcsin(sine[0])) == pytest.approx(height, abs=0.6)
    # sundials are 16 minutes ahead in early November and 14 behind in mid-February
    assert equation_of_time_h(np.array([307.0, 43.0])) * 60 == pytest.approx([16.4, -14.2], abs=0.5)


def test_light_needs_a_sun_and_clouds_take_three_quarters_of_it_at_most() -> None:
    assert clear_sky(np.array([-0.2, 0.0, 1.0])) == pytest.approx([0, 0, 1])
    assert np.all(np.diff(clear_sky(np.linspace(0.01, 1, 50))) > 0)
    assert through_clouds(np.array([0.0, 1.0])) == pytest.approx([1, 0.25])
