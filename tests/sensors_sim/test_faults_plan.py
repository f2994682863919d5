"""Which sensors break: as many as asked for, each in a way that it can, told with who has to mend it."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from config.quantities import QUANTITIES
from config.vocabulary import Kind
from sensors_sim.faults import DEFAULT_WEIGHTS, plan_faults
from sensors_sim.faults.duty import Duty
from sensors_sim.faults.instruments import INSTRUMENTS
from sensors_sim.faults.plan import BOX_KINDS, IMAGE_KINDS, LEAST_READINGS
from sensors_sim.scenario import Health
from sensors_sim.truth import EVENT_ROLES, FAULT_ROLES, Fault, FaultKind, on_duty
from sensors_sim.world import world_of
from tests.sensors_sim.cities import LIVELY, make_city
from tests.sensors_sim.measuring import PICTURE, START_US

# boxes without and with a camera, and enough of both
CITY = make_city((*LIVELY, *PICTURE), side=8, per_grid=2)
PLAIN = make_city(LIVELY[:7], side=8, per_grid=4)
END_US = START_US + 7_200_000_000


def planned(
    share: float = 0.15, seed: int = 1, *, city: object = CITY, taken: frozenset[int] = frozenset(), **kinds: float
) -> list[Fault]:
    world = world_of(PLAIN if city is PLAIN else CITY)
    health = Health(share=share, kinds={FaultKind(name): weight for name, weight in kinds.items()} or None)
    return plan_faults(world, health, START_US, END_US, np.random.default_rng(seed), taken)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.15, 0.5, 1.0])
def test_as_many_sensors_break_as_were_asked_for_and_none_twice(share: float) -> None:
    faults = planned(share, city=PLAIN)
    assert len({fault.sensor for fault in faults}) == len(faults)
    assert len(faults) == pytest.approx(share * len(PLAIN.sensors), abs=8)


def test_every_kind_is_met_about_as_often_as_it_weighs() -> None:
    counts = Counter(fault.kind for fault in planned(0.5))
    assert set(counts) == set(FaultKind) == set(DEFAULT_WEIGHTS)
    per_weight = sum(counts.values()) / sum(DEFAULT_WEIGHTS.values())
    for kind, weight in DEFAULT_WEIGHTS.items():
        assert counts[kind] == pytest.approx(weight * per_weight, abs=14), kind


def test_weights_of_a_scenario_take_the_place_of_the_usual_ones() -> None:
    counts = Counter(fault.kind for fault in planned(0.2, stuck=3, noisy=1, drift=0))
    assert set(counts) == {FaultKind.STUCK, FaultKind.NOISY}
    assert counts[FaultKind.STUCK] == pytest.approx(3 * counts[FaultKind.NOISY], abs=3)


def test_a_sensor_breaks_only_in_ways_in_which_it_can() -> None:
    for fault in planned(0.9):
        sensor = CITY.sensor(fault.sensor)
        quantity, instrument = QUANTITIES[sensor.quantity], INSTRUMENTS.get(sensor.quantity)
        assert (fault.kind in IMAGE_KINDS) <= (sensor.kind is Kind.CAMERA)
        assert (fault.kind is FaultKind.TEMPERATURE_LEAK) <= (sensor.quantity in {"tilt", "crack", "settlement"})
        assert (fault.kind is FaultKind.UNIT) <= bool(quantity.conversions)
        assert (fault.kind in BOX_KINDS) or instrument is not None
        assert (fault.lon, fault.lat, fault.grid) == (sensor.lon, sensor.lat, sensor.grid)


def test_what_happens_to_a_box_happens_to_all_of_its_sensors_at_once() -> None:
    together = defaultdict(list)
    for fault in planned(0.6):
        if fault.kind in {FaultKind.SILENT, FaultKind.CLOCK}:
            together[CITY.sensor(fault.sensor).device].append(fault)
    assert together
    for faults in together.values():
        assert len(faults) == len(LIVELY) + len(PICTURE)
        assert len({(fault.kind, fault.from_us, fault.to_us) for fault in faults}) == 1


def test_a_spoiled_picture_is_told_of_everything_that_is_read_from_it() -> None:
    touched = {CITY.sensor(fault.sensor).quantity for fault in planned(0.4) if fault.kind in IMAGE_KINDS}
    assert touched == {"people", "smoke_score", "image_brightness", "image_sharpness", "image_change"}


def test_swapped_sensors_come_in_pairs_of_one_quantity() -> None:
    pairs = defaultdict(list)
    for fault in planned(0.3, swapped=1):
        sensor = CITY.sensor(fault.sensor)
        assert sensor.quantity in {"noise", "tilt", "people", "current"}  # of what neighbours do not share
        pairs[sensor.quantity, sensor.interval_s, fault.from_us, fault.to_us].append(fault)
    assert pairs
    assert all(len(faults) % 2 == 0 for faults in pairs.values())


def test_sensors_that_have_a_part_in_what_happens_stay_well() -> None:
    taken = frozenset(range(0, len(CITY.sensors), 2))
    assert not {CITY.sensor_index[fault.sensor] for fault in planned(1.0, taken=taken)} & taken


def test_faults_lie_within_the_run_and_last_long_enough_to_be_seen() -> None:
    faults = planned(0.9)
    assert [fault.from_us for fault in faults] == sorted(fault.from_us for fault in faults)
    for fault in faults:
        assert START_US <= fault.from_us < fault.to_us <= END_US
        assert fault.to_us - fault.from_us >= LEAST_READINGS * CITY.sensor(fault.sensor).interval_s * 1e6
    standing = [fault.from_us == START_US for fault in faults]
    mended = [fault.to_us < END_US for fault in faults]
    assert 0.05 < np.mean(standing) < 0.45
    assert 0.05 < np.mean(mended) < 0.5


def test_a_run_too_short_to_see_anything_breaks_nothing() -> None:
    health = Health(share=1.0)
    rng = np.random.default_rng(1)
    assert plan_faults(world_of(CITY), health, START_US, START_US + 10_000_000, rng, ()) == []


def test_a_city_without_sensors_has_no_faults() -> None:
    empty = replace(CITY, sensors=())
    assert plan_faults(world_of(empty), Health(), START_US, END_US, np.random.default_rng(1), ()) == []


def test_one_seed_is_one_plan() -> None:
    assert planned(seed=4) == planned(seed=4)
    assert planned(seed=4) != planned(seed=5)


def test_the_one_who_mends_is_the_one_on_duty_when_it_begins() -> None:
    for fault in planned(0.3)[::7]:
        assert fault.responsible == on_duty(CITY, fault.grid, fault.from_us, FAULT_ROLES) == "M-1"


@pytest.mark.parametrize("roles", [FAULT_ROLES, EVENT_ROLES])
def test_duty_answers_like_the_roster_asked_shift_by_shift(roles: tuple[object, ...]) -> None:
    known = tuple(role for role in (*FAULT_ROLES, *EVENT_ROLES) if role in roles)
    duty = Duty(CITY, known)
    rng = np.random.default_rng(2)
    grids = sorted(CITY.grids)
    for _ in range(300):
        grid, time_us = grids[int(rng.integers(len(grids)))], START_US + int(rng.integers(7 * 86_400)) * 1_000_000
        assert duty.on(grid, time_us) == on_duty(CITY, grid, time_us, known)
