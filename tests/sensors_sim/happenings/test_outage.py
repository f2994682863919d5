"""Communities without power, streets without network, boxes that send too often."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.vocabulary import GridLevel
from sensors_sim.happenings.outage import network_split, power_cut, storm_load
from sensors_sim.happenings.structure import crack_opens
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Happening
from sensors_sim.truth import FaultKind
from tests.sensors_sim.happenings.stages import example
from tests.sensors_sim.happenings.wild import GROUND, HOUR_US, stage, town

SEEDS = st.integers(0, 1000)


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_street_without_network_falls_silent_for_one_cause_and_keeps_what_it_measures(seed: int) -> None:
    street = stage(example(), seed=seed)
    staged = network_split(street, Wish("network_split", at_s=3600, lasts_s=3600))
    (outage,), (silence,) = staged.outages, staged.silences
    assert outage.keeps
    assert silence.keeps
    assert not staged.episodes, "it is no event in the world"
    assert not staged.faults, "and none of the sensors is broken"
    city = street.world.city
    assert city.grids[silence.grid].level is GridLevel.STREET
    inside = {
        sensor.id for sensor in city.sensors if any(node.code == silence.grid for node in city.upwards(sensor.grid))
    }
    assert set(silence.sensors) == inside
    assert {city.sensor(name).device for name in silence.sensors} == outage.devices
    assert (outage.from_us, outage.to_us) == (silence.from_us, silence.to_us)
    assert silence.to_us - silence.from_us == HOUR_US
    assert silence.responsible == "fix-day"
    again = stage(example(), seed=seed)
    assert network_split(again, Wish("network_split", at_s=3600, lasts_s=3600)) == staged


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_without_power_the_mains_measure_nothing_and_batteries_go_on(seed: int) -> None:
    dark = stage(example(), seed=seed, hours=8)
    staged = power_cut(dark, Wish("power_cut", at_s=3600, lasts_s=2 * 3600))
    city = dark.world.city
    (silence,) = staged.silences
    assert not silence.keeps
    assert not any(outage.keeps for outage in staged.outages)
    assert city.grids[silence.grid].level is GridLevel.COMMUNITY
    silent = {city.sensor(name).quantity for name in silence.sensors}
    assert silent & {"pm25", "people", "current"}
    assert not silent & {"tilt", "help_button", "activity", "door_open", "water_level"}
    begins = {device: outage.from_us for outage in staged.outages for device in outage.devices}
    for name in silence.sensors:
        sensor = city.sensor(name)
        late_s = (begins[sensor.device] - silence.from_us) / 1e6
        assert late_s == (1800 if sensor.quantity in {"ch4", "co"} else 0), "gas alarms have a supply of their own"
    returns = {outage.to_us for outage in staged.outages}
    assert len(returns) > 1, "boxes start one after the other"
    assert max(returns) == silence.to_us
    assert min(returns) >= dark.start_us + 3 * HOUR_US
    again = stage(example(), seed=seed, hours=8)
    assert power_cut(again, Wish("power_cut", at_s=3600, lasts_s=2 * 3600)) == staged


def test_a_short_cut_is_bridged_by_the_supply_of_gas_alarms() -> None:
    dark = stage(example())
    staged = power_cut(dark, Wish("power_cut", at_s=3600, lasts_s=1200))
    assert {dark.world.city.sensor(name).quantity for name in staged.silences[0].sensors}.isdisjoint({"ch4", "co"})


def test_some_sensors_stand_on_a_new_zero_when_power_returns() -> None:
    dark = stage(example(), hours=8)
    staged = power_cut(dark, Wish("power_cut", at_s=3600, options={"jumps": 1}))
    returned_us = dark.start_us + 3 * HOUR_US
    assert staged.faults
    for fault in staged.faults:
        assert fault.kind is FaultKind.BIAS
        assert (fault.from_us, fault.to_us) == (returned_us, dark.end_us)
        assert fault.sensor in staged.silences[0].sensors
    few = power_cut(stage(example(), hours=8), Wish("power_cut", at_s=3600))
    assert len(few.faults) < 0.3 * len(staged.faults)
    ends = power_cut(stage(example(), hours=2), Wish("power_cut", at_s=3600, options={"jumps": 1}))
    assert ends.faults == ()


def test_nothing_is_cut_off_where_something_else_happens_nor_the_other_way_round() -> None:
    busy = stage(example())
    cracked = crack_opens(busy, Wish("crack_opens", at_s=600)).episodes[0]
    cut = set(network_split(busy, Wish("network_split")).silences[0].sensors)
    assert not cut & set(cracked.sensors)
    assert {busy.world.city.sensor_index[name] for name in cut} <= busy.taken
    for street in [code for code, node in busy.world.city.grids.items() if node.level is GridLevel.STREET]:
        with pytest.raises(CannotError, match="something else happens"):
            network_split(busy, Wish("network_split", place=street))


def test_a_second_cut_in_a_small_city_is_smaller_and_something_is_always_left() -> None:
    busy = stage(example())
    city = busy.world.city
    levels = [city.grids[network_split(busy, Wish("network_split")).silences[0].grid].level.rank for _ in range(2)]
    with pytest.raises(CannotError, match="or too little of it would be left"):  # noqa: PT012 - the last of many
        while True:
            levels += [city.grids[network_split(busy, Wish("network_split")).silences[0].grid].level.rank]
    assert levels[0] == GridLevel.STREET.rank
    assert levels == sorted(levels)
    assert levels[-1] > levels[0]
    assert 0.5 < len(busy.taken) / len(city.columns) <= 2 / 3


def test_a_place_can_be_asked_for() -> None:
    asked = stage(example())
    assert network_split(asked, Wish("network_split", place="YR-RQ-SL-01")).silences[0].grid == "YR-RQ-SL-01"
    with pytest.raises(CannotError, match="'moon' is not a grid of the city"):
        power_cut(asked, Wish("power_cut", place="moon"))


def test_a_town_without_communities_is_cut_by_its_grids() -> None:
    small = stage(town(*GROUND))
    assert small.world.city.grids[power_cut(small, Wish("power_cut")).silences[0].grid].level is GridLevel.GRID


def test_where_all_have_batteries_no_power_is_missed() -> None:
    with pytest.raises(CannotError, match="in the city no box would fall silent"):
        power_cut(stage(town(("tilt", 60.0))), Wish("power_cut"))
    with pytest.raises(CannotError, match="in G00 no box would fall silent"):
        power_cut(stage(town(("tilt", 60.0))), Wish("power_cut", place="G00"))


@given(SEEDS, st.floats(0.1, 1), st.floats(1, 5))
@settings(max_examples=15, deadline=None)
def test_a_storm_makes_a_share_of_the_boxes_talk_more_often(seed: int, share: float, times: float) -> None:
    wild = stage(example(), seed=seed)
    wish = Wish("storm_load", at_s=3600, lasts_s=7200, options={"share": share, "times": times})
    try:
        (hurry,) = storm_load(wild, wish).hurries
    except CannotError:
        return
    assert hurry.times == times
    assert (hurry.from_us, hurry.to_us) == (wild.start_us + HOUR_US, wild.start_us + 3 * HOUR_US)
    assert np.all(np.diff(hurry.sensors) > 0)
    count = len(wild.world.east)
    assert abs(len(hurry.sensors) / count - share) < 0.2
    device = wild.world.city.columns.device.code
    assert not set(device[hurry.sensors]) & set(np.delete(device, hurry.sensors)), "boxes hurry as a whole"
    assert not wild.taken


@pytest.mark.parametrize("options", [{"share": 0}, {"share": 1.5}, {"times": 0.5}])
def test_a_load_that_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(CannotError, match="expected above 0 to 1 and at least 1"):
        storm_load(stage(example()), Wish("storm_load", options=options))


@pytest.mark.parametrize("kind", [power_cut, network_split, storm_load])
def test_nothing_begins_after_the_end_of_the_run(kind: Happening) -> None:
    with pytest.raises(CannotError, match="the run ends before it begins"):
        kind(stage(example()), Wish("any", at_s=7 * 3600))
