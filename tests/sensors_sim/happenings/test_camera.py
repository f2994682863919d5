"""Somebody makes one camera after the other blind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.vocabulary import Category
from sensors_sim.faults import Faults
from sensors_sim.happenings.camera import WAYS, camera_vandal
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError
from sensors_sim.truth import FaultKind
from tests.sensors_sim.happenings.stages import Steady
from tests.sensors_sim.happenings.wild import HOUR_US, STREET, stage, town

SEEDS = st.integers(0, 1000)
AT = Wish("camera_vandal", at_s=3600)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(2, 8))
def test_cameras_go_blind_one_after_the_other_as_fast_as_somebody_walks(seed: int, cameras: int) -> None:
    street = stage(town(*STREET), seed=seed)
    wish = Wish("camera_vandal", at_s=3600, options={"cameras": cameras})
    staged = camera_vandal(street, wish)
    city, world = street.world.city, street.world
    onsets: dict[str, int] = {}
    kinds: dict[str, set[FaultKind]] = {}
    for fault in staged.faults:
        device = city.sensor(fault.sensor).device
        assert onsets.setdefault(device, fault.from_us) == fault.from_us, "all sensors of a camera at once"
        kinds.setdefault(device, set()).add(fault.kind)
    assert all(len(found) == 1 for found in kinds.values())
    assert 2 <= len(onsets) <= cameras
    order = sorted(onsets, key=onsets.__getitem__)
    rows = [next(row for row, sensor in enumerate(city.sensors) if sensor.device == device) for device in order]
    for before, after in zip(range(len(order)), range(1, len(order)), strict=False):
        away = np.hypot(
            world.east[rows[after]] - world.east[rows[before]], world.north[rows[after]] - world.north[rows[before]]
        )
        took_s = (onsets[order[after]] - onsets[order[before]]) / 1e6
        assert took_s >= away / 1.2 + 58
    again = stage(town(*STREET), seed=seed)
    assert camera_vandal(again, wish) == staged


def test_it_is_a_fault_of_each_camera_and_one_deed_in_the_street() -> None:
    street = stage(town(*STREET))
    staged = camera_vandal(street, AT)
    (told,) = staged.episodes
    assert told.category is Category.INTRUSION
    assert told.details["cameras"] == 6
    broken = {fault.sensor for fault in staged.faults}
    assert set(told.sensors) == {name for name in broken if "image" in name}
    assert {street.world.city.sensor(name).quantity for name in broken} == {quantity for quantity, _ in STREET}
    assert told.from_us == min(fault.from_us for fault in staged.faults) == street.start_us + HOUR_US
    assert all(fault.responsible == "M-1" for fault in staged.faults)
    assert told.responsible == "W-" + told.grid
    assert street.taken == {street.world.city.sensor_index[name] for name in broken}


def test_one_camera_alone_is_only_a_fault() -> None:
    staged = camera_vandal(stage(town(*STREET)), Wish("camera_vandal", options={"cameras": 1}))
    assert staged.episodes == ()
    assert len(staged.faults) == len(STREET)


@pytest.mark.parametrize("way", list(WAYS))
def test_what_a_blinded_camera_says_is_what_it_no_longer_sees(way: str) -> None:
    street = stage(town(*STREET))
    staged = camera_vandal(street, Wish("camera_vandal", at_s=3600, options={"way": way}))
    assert {fault.kind for fault in staged.faults} == {WAYS[way]}
    world = street.world
    every = np.arange(len(world.east))
    quiet = street.nature.mean(every, 0)
    lies = Faults(world, staged.faults, np.random.default_rng(1), street.nature.noise(every), Steady())
    before, after = quiet.copy(), quiet.copy()
    lies.apply(every, np.full(every.shape, street.start_us), before)
    lies.apply(every, np.full(every.shape, street.end_us - 1), after)
    assert np.array_equal(before, quiet)
    named = np.array([world.city.sensor_index[fault.sensor] for fault in staged.faults])
    others = np.setdiff1d(every, named)
    assert np.array_equal(after[others], quiet[others])
    quantity = np.array([world.city.sensors[row].quantity for row in named])
    if way == "frozen":
        still = quantity != "image_change"
        assert np.array_equal(after[named][still], quiet[named][still]), "it says what it said last"
        assert not after[named][~still].any(), "a picture that is repeated does not change"
    else:
        for name in ("image_sharpness", "image_change", "people", "intrusion_score"):
            assert np.all(after[named][quantity == name] < quiet[named][quantity == name]), name


def test_a_way_that_nobody_knows_is_named() -> None:
    with pytest.raises(CannotError, match="option way is 'stolen', expected one of covered, sprayed, darkened, frozen"):
        camera_vandal(stage(town(*STREET)), Wish("camera_vandal", options={"way": "stolen"}))


def test_a_town_whose_cameras_tell_nothing_of_their_picture_has_no_place_for_it() -> None:
    with pytest.raises(CannotError, match="no free sensor of a camera's picture"):
        camera_vandal(stage(town(("people", 10.0))), AT)


def test_nothing_begins_after_the_end_of_the_run() -> None:
    with pytest.raises(CannotError, match="the run ends before it begins"):
        camera_vandal(stage(town(*STREET)), Wish("camera_vandal", at_s=7 * 3600))
