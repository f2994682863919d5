"""Houses over ground that sinks, houses that lean, cracks that open."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.vocabulary import Category, Severity
from sensors_sim.happenings.structure import crack_opens, leaning_building, stiffness_loss, subsidence
from sensors_sim.physics.ground import consolidation
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError
from tests.sensors_sim.happenings.stages import example, happen, peak, same, values_of
from tests.sensors_sim.happenings.wild import HOUR_US, HOUSE, stage, town

SINKS = Wish("subsidence", at_s=86_400.0)
WEEKS = 24.0 * 21
STRENGTHS = st.floats(0.3, 4)
SEEDS = st.integers(0, 1000)


@settings(max_examples=6, deadline=None)
@given(SEEDS, STRENGTHS, st.sampled_from(["tunnel", "leak"]))
def test_the_ground_sinks_honestly_whatever_the_seed(seed: int, strength: float, cause: str) -> None:
    wish = Wish("subsidence", at_s=86_400.0, strength=strength, options={"cause": cause})
    ground = stage(town(*HOUSE), seed=seed, hours=WEEKS)
    staged = happen(subsidence, ground, wish)
    assert staged.episodes[0].category is Category.STRUCTURE_DANGER
    assert staged.episodes[0].from_us >= ground.start_us + 24 * HOUR_US
    assert staged.episodes[0].to_us > ground.end_us - 24 * HOUR_US, "what has sunk stays down"
    again = stage(town(*HOUSE), seed=seed, hours=WEEKS)
    assert same(staged, subsidence(again, wish), again)


def test_a_house_sinks_as_clay_consolidates() -> None:
    ground = stage(example(), hours=WEEKS)
    staged = subsidence(ground, SINKS)
    change = staged.changes[0]
    row = next(row for row in change.sensors.tolist() if "settlement" in ground.world.city.columns.ids[row])
    days = np.array([1, 4, 9, 16])
    times = change.from_us + days * 24 * HOUR_US
    sunk = values_of(ground, staged, np.array([row]), times)[:, 0] - 2.0
    law = consolidation(days * 86_400.0, cv_m2_year=5.0, drainage_m=1.0, ramp_s=10 * 86_400.0)
    assert sunk / sunk[0] == pytest.approx(law / law[0])
    assert sunk[1] / sunk[0] == pytest.approx(8, rel=0.01), "four times as long, eight times as deep, in the beginning"


def test_settlement_tilt_and_crack_of_one_house_tell_the_same_story() -> None:
    ground = stage(example(), seed=3, hours=WEEKS)
    staged = subsidence(ground, Wish("subsidence", at_s=86_400.0, strength=2))
    seen = {ground.world.city.sensor(name).quantity for name in staged.episodes[0].sensors}
    assert seen == {"settlement", "tilt", "crack"}
    by_quantity = {
        ground.world.city.sensors[row].quantity: float(gain)
        for row, gain in zip(staged.changes[0].sensors.tolist(), staged.changes[0].gain.tolist(), strict=True)  # type: ignore[attr-defined]  # it is an Added
    }
    assert 0 < by_quantity["settlement"] < 120
    assert 0 < by_quantity["tilt"] <= 0.61 * 120 / 15
    assert 0 < by_quantity["crack"] < 10


def test_a_limit_is_passed_days_after_the_ground_began_to_sink() -> None:
    passed = []
    for seed in range(4):
        ground = stage(example(), seed=seed, hours=WEEKS)
        told = subsidence(ground, Wish("subsidence", at_s=86_400.0, strength=3)).episodes[0]
        if told.limit_us is not None:
            passed.append((told.limit_us - told.from_us) / (24 * HOUR_US))
            assert told.severity is Severity.LARGER
    assert len(passed) >= 2
    assert min(passed) > 5


@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_twice_as_strong_sinks_twice_as_deep_and_is_seen_no_later(seed: int) -> None:
    one = stage(example(), seed=seed, hours=WEEKS)
    two = stage(example(), seed=seed, hours=WEEKS)
    weak, strong = subsidence(one, SINKS), subsidence(two, Wish("subsidence", at_s=86_400.0, strength=2))
    row = int(weak.changes[0].sensors[0])
    assert peak(two, strong, row) == pytest.approx(2 * peak(one, weak, row), rel=1e-6)
    assert strong.episodes[0].from_us <= weak.episodes[0].from_us
    assert set(weak.episodes[0].sensors) <= set(strong.episodes[0].sensors)


def test_what_is_too_weak_to_be_seen_is_not_staged() -> None:
    with pytest.raises(CannotError, match="tell it from its own noise"):
        subsidence(stage(example(), hours=WEEKS), Wish("subsidence", strength=0.0001))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (subsidence, "no free sensor of settlement, tilt or crack"),
        (leaning_building, "no free tilt sensor"),
        (crack_opens, "no free crack sensor"),
        (stiffness_loss, "no free accelerometer"),
    ],
)
def test_a_town_without_such_sensors_has_no_place_for_it(kind, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CannotError, match=message):
        kind(stage(town(("pm25", 60.0))), Wish("any"))


def test_a_cause_that_nobody_knows_is_named() -> None:
    with pytest.raises(CannotError, match="option cause is 'mole', expected one of tunnel, leak"):
        subsidence(stage(example()), Wish("subsidence", options={"cause": "mole"}))
    with pytest.raises(CannotError, match="option deepest_mm is 'very', expected a number"):
        subsidence(stage(example()), Wish("subsidence", options={"deepest_mm": "very"}))


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.floats(0.5, 3))
def test_a_house_leans_faster_and_faster_and_stays_so(seed: int, strength: float) -> None:
    ground = stage(example(), seed=seed)
    staged = happen(leaning_building, ground, Wish("leaning_building", at_s=600, lasts_s=10_000, strength=strength))
    told = staged.episodes[0]
    row = next(ground.world.city.sensor_index[name] for name in told.sensors if "tilt" in name)
    times = ground.start_us + np.array([600, 3600, 6600, 9600, 10_600, 20_000]) * 1_000_000
    values = values_of(ground, staged, np.array([row]), times)[:, 0]
    assert np.all(np.diff(values[:4], 2) > 0)
    assert values[4] == values[5] == pytest.approx(0.6 + 7 * strength)
    assert told.to_us > ground.end_us - 60_000_000


def test_a_leaning_house_passes_the_limit_of_the_standard() -> None:
    ground = stage(example())
    told = leaning_building(ground, Wish("leaning_building", at_s=600, lasts_s=10_000)).episodes[0]
    assert told.severity is Severity.LARGER
    assert told.limit_us is not None
    assert told.from_us < told.limit_us < ground.start_us + 10_600_000_000
    assert told.department == "housing-bureau"


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.floats(0.1, 3))
def test_a_crack_opens_with_a_step_and_creeps_on(seed: int, strength: float) -> None:
    ground = stage(example(), seed=seed)
    staged = happen(crack_opens, ground, Wish("crack_opens", at_s=600, lasts_s=10_000, strength=strength))
    row = int(staged.changes[0].sensors[0])
    times = ground.start_us + np.array([599, 601, 5_000, 10_600, 20_000]) * 1_000_000
    before, step, later, end, ever = values_of(ground, staged, np.array([row]), times)[:, 0].tolist()
    assert before == pytest.approx(0.3)
    assert step - before > 0.4 * 1.5 * strength
    assert before < step < later < end == ever == pytest.approx(0.3 + 1.5 * strength)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.3, 5))
def test_a_bridge_that_softens_is_told_from_when_its_frequency_has_fallen(seed: int, strength: float) -> None:
    bridge = stage(town(("vibration", 60.0)), seed=seed)
    staged = stiffness_loss(bridge, Wish("stiffness_loss", at_s=3600, lasts_s=3 * 3600, strength=strength))
    (softening,), (told,) = staged.softenings, staged.episodes
    assert 0 < softening.factor <= 1 - min(0.25 * strength, 0.9) + 1e-12
    share = (told.from_us - softening.from_us) / softening.over_us
    left = 1 + (softening.factor - 1) * share
    assert np.sqrt(left) == pytest.approx(0.97, abs=1e-6)
    assert told.sensors == tuple(bridge.world.city.columns.ids[row] for row in softening.sensors.tolist())
    assert told.to_us == bridge.end_us
    assert told.limit_us is None


def test_what_hardly_softens_is_not_staged() -> None:
    with pytest.raises(CannotError, match="the frequency falls by less than 3 %"):
        stiffness_loss(stage(town(("vibration", 60.0))), Wish("stiffness_loss", at_s=0, strength=0.2))
