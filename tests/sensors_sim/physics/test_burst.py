"""Accelerometers see modes: their frequencies, their energy, and what heat and damage do to them."""

import numpy as np
import pytest
from scipy.signal import welch  # type: ignore[import-untyped]  # SciPy ships no types

from config.clock import US_PER_SECOND
from sensors_sim.physics.burst import DAMPING, FORMS, MODES, SHARES, Structures

MANY = 40
START_US = 1_780_000_000 * US_PER_SECOND


def structures(number: int = MANY, seed: int = 1) -> Structures:
    rows = np.arange(number, dtype=np.int64) * 3
    return Structures(rows, np.full(number, 600 * US_PER_SECOND, dtype=np.int64), seed, START_US)


def long_record(made: Structures, row: int, deck_c: float, readings: int, begin_us: int = START_US) -> np.ndarray:
    times = begin_us + np.arange(readings, dtype=np.int64) * made.step_us[row]
    rng = np.random.default_rng(7)
    pieces = np.array_split(times, 50)
    return np.concatenate([made.swings(rng, np.full(len(part), row), part, deck_c) for part in pieces])


def peak_hz(values: np.ndarray, step_us: int) -> float:
    hertz, power = welch(values, US_PER_SECOND / step_us, nperseg=4096)
    top = slice(int(np.argmax(power)) - 3, int(np.argmax(power)) + 4)
    return float(np.sum(hertz[top] * power[top]) / np.sum(power[top]))


@pytest.mark.parametrize("row", [0, 5, 17])
def test_the_spectrum_of_a_long_record_peaks_at_the_modes_with_their_shares_of_energy(row: int) -> None:
    made = structures()
    values = long_record(made, row, 15.0, 120_000)
    assert values.std() == pytest.approx(1, abs=0.1)
    first = made.first_hz[row]
    assert peak_hz(values, int(made.step_us[row])) == pytest.approx(first, rel=0.02)
    hertz, power = welch(values, US_PER_SECOND / made.step_us[row], nperseg=4096)
    for mode, share in zip(MODES[:2], SHARES[:2], strict=True):
        near = np.abs(hertz - mode * first) < 0.5 * first
        assert power[near].sum() / power.sum() == pytest.approx(share, abs=0.08)


def test_damping_widens_the_peak_as_much_as_it_should() -> None:
    made = structures()
    values = long_record(made, 3, 15.0, 400_000)
    hertz, power = welch(values, US_PER_SECOND / made.step_us[3], nperseg=16_384)
    near = np.flatnonzero(power > power.max() / 2)
    width = (hertz[near[-1]] - hertz[near[0]]) / (2 * made.first_hz[3])
    assert 0.5 * DAMPING[0] < width < 2 * DAMPING[1]


def test_heat_lowers_a_frequency_by_two_permille_a_kelvin_and_softness_by_its_root() -> None:
    made = structures()
    rows, times = np.arange(MANY), np.full(MANY, START_US)
    cold, warm = (made.frequency_hz(rows, times, deck) for deck in (5.0, 25.0))
    assert warm / cold == pytest.approx(np.full(MANY, 0.98 / 1.02))
    made.soften(np.array([4]), START_US + 100, 0.81, over_us=100)
    for later, left in ((0, 1.0), (150, np.sqrt(0.905)), (200, 0.9), (10**9, 0.9)):
        found = made.frequency_hz(rows, times + later, 15.0)
        assert found[4] == pytest.approx(made.first_hz[4] * left)
        assert np.delete(found, 4) == pytest.approx(np.delete(made.first_hz, 4))


def test_a_softened_structure_swings_more_slowly() -> None:
    made, same = structures(), structures()
    made.soften(np.array([2]), START_US, 0.64)
    before, after = long_record(same, 2, 15.0, 60_000), long_record(made, 2, 15.0, 60_000)
    step = int(made.step_us[2])
    assert peak_hz(after, step) / peak_hz(before, step) == pytest.approx(0.8, abs=0.02)


def test_a_burst_cut_into_pieces_swings_on_where_it_was() -> None:
    made = structures()
    step = int(made.step_us[1])
    times = START_US + np.arange(64, dtype=np.int64) * step
    rng = np.random.default_rng(1)
    jumps, steps = [], []
    for number in range(200):
        begin = times + number * 900 * US_PER_SECOND
        head = made.swings(rng, np.full(32, 1), begin[:32], 15.0)
        tail = made.swings(rng, np.full(32, 1), begin[32:], 15.0)
        jumps.append(tail[0] - head[-1])
        steps.append(np.diff(head))
    assert np.std(jumps) == pytest.approx(np.std(steps), rel=0.2)


def test_bursts_apart_know_nothing_of_each_other_and_structures_neither() -> None:
    made = structures()
    rng = np.random.default_rng(2)
    rows = np.repeat(np.arange(MANY), 2)
    times = np.tile([START_US, START_US + 3600 * US_PER_SECOND], MANY)
    pairs = np.array(
        [made.swings(rng, rows, times + number * 7200 * US_PER_SECOND, 15.0) for number in range(100)]
    ).reshape(-1, MANY, 2)
    assert abs(np.corrcoef(pairs[..., 0].ravel(), pairs[..., 1].ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(pairs[:, 0, 0], pairs[:, 1, 0])[0, 1]) < 0.3
    assert pairs.std() == pytest.approx(1, abs=0.05)


def test_an_hour_without_a_pause_is_still_a_number() -> None:
    made = structures(4)
    times = START_US + np.arange(0, 3600, 1, dtype=np.int64) * US_PER_SECOND
    rows = np.tile(np.arange(4), len(times))
    values = made.swings(np.random.default_rng(3), rows, np.repeat(times, 4), 15.0)
    assert np.isfinite(values).all()
    assert values.std() == pytest.approx(1, abs=0.1)


def test_a_burst_never_fills_more_than_half_of_its_interval() -> None:
    quick = Structures(np.arange(30), np.full(30, US_PER_SECOND // 2, dtype=np.int64), 1, START_US)
    assert np.all(quick.count * quick.step_us <= US_PER_SECOND // 4 + quick.step_us)
    usual = structures(200)
    forms = {(US_PER_SECOND // int(step), int(count)) for step, count in zip(usual.step_us, usual.count, strict=True)}
    assert forms == set(FORMS)
