"""Kinds: what follows from quantity and interval, once for each."""

import dataclasses

from config.quantities import QUANTITIES
from detectors.kinds import Kinds
from tests.detectors.build import city_of, sensor


def test_sensors_of_one_quantity_and_interval_are_of_one_kind() -> None:
    sensors = [sensor(0, "co", 10), sensor(1, "co", 60), sensor(2, "ch4", 10), sensor(3, "co", 10)]
    kinds = Kinds(city_of(sensors))
    assert kinds.of[0] == kinds.of[3]
    assert len({*kinds.of.tolist()}) == len(kinds.quantities) == 3
    assert [kinds.quantities[kind] for kind in kinds.of] == ["co", "co", "ch4", "co"]
    assert kinds.interval_s[kinds.of].tolist() == [10, 60, 10, 10]


def test_numbers_and_marks_follow_from_the_quantity_and_its_trait() -> None:
    kinds = Kinds(city_of([sensor(0, "co"), dataclasses.replace(sensor(1, "door_open"), interval_s=5)]))
    assert kinds.each(lambda quantity: quantity.high)[kinds.of].tolist() == [QUANTITIES["co"].high, 1]
    assert kinds.traits(lambda trait: trait.floor, -1.0)[kinds.of].tolist() == [1.5, -1.0]
    assert kinds.column(kinds.which(lambda quantity: quantity.life_safety)).tolist() == [True, False]


def test_a_city_without_sensors_has_no_kinds() -> None:
    kinds = Kinds(city_of([]))
    assert (len(kinds.of), kinds.quantities) == (0, [])
