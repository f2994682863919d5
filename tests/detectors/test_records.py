"""Records: columns by name for the outside, and rows together for a round."""

import numpy as np
import pytest

from detectors.bank import Column
from detectors.engine import Engine
from detectors.records import LINE, Records
from tests.detectors.build import city

OWNERS = [
    ("shared", {"last": Column("f8", -1, seen=True), "faulty": Column("u1", seen=True), "spread": Column("f4", 2)}),
    ("own", {"run": Column("i4", 7), "since_us": Column("i8", -1, rare=True), "steps": Column("i8", 3, 2, rare=True)}),
]


def test_a_sensor_never_seen_has_the_first_value_of_every_column() -> None:
    tables = Records(3, OWNERS).tables
    assert {name: column.tolist() for columns in tables.values() for name, column in columns.items()} == {
        "last": [-1.0] * 3,
        "faulty": [0] * 3,
        "spread": [2.0] * 3,
        "run": [7] * 3,
        "since_us": [-1] * 3,
        "steps": [[3, 3]] * 3,
    }


def test_what_is_judged_is_a_copy_until_it_is_put_back() -> None:
    records, sensor = Records(4, OWNERS), np.array([1, 3])
    part = records.take(sensor)
    part.columns("own")["run"][...] = [10, 30]
    part.shared()["last"][...] = [0.5, 1.5]
    assert records.tables["own"]["run"].tolist() == [7, 7, 7, 7]
    part.keep("own")
    part.put()
    assert records.tables["own"]["run"].tolist() == [7, 10, 7, 30]
    assert records.tables["shared"]["last"].tolist() == [-1.0, 0.5, -1.0, 1.5]
    assert records.tables["shared"]["spread"].tolist() == [2.0] * 4


def test_what_is_shared_of_some_rows_are_views_and_each_owner_keeps_its_own() -> None:
    records = Records(4, OWNERS)
    part = records.take(np.array([0, 1, 2, 3]))
    some = part.some(slice(1, 3))
    some.shared()["spread"][...] = 5
    some.columns("own")["run"][...] = 6
    some.keep("own")
    assert records.tables["own"]["run"].tolist() == [7, 6, 6, 7]
    assert records.tables["shared"]["spread"].tolist() == [2.0] * 4
    part.put()
    assert records.tables["shared"]["spread"].tolist() == [2.0, 5.0, 5.0, 2.0]


def test_a_rare_column_is_handed_over_whole() -> None:
    records = Records(4, OWNERS)
    assert records.take(np.array([2])).columns("own")["since_us"] is records.tables["own"]["since_us"]


def test_behind_the_last_sensor_stands_the_face_of_nobody() -> None:
    records = Records(2, OWNERS)
    records.tables["shared"]["last"][...] = 9.0
    assert records.faces.take(np.array([-1, 0]), mode="wrap")["shared/last"].tolist() == [-1.0, 9.0]


def test_only_a_rare_column_has_several_numbers_for_a_sensor() -> None:
    with pytest.raises(ValueError, match="own/steps has 2 numbers"):
        Records(2, [("own", {"steps": Column("i8", width=2)})])


def test_each_owner_of_the_full_bank_keeps_less_than_a_line() -> None:
    records = Engine(city(["pm25"] * 3))._records
    assert records.faces.itemsize == LINE // 2
    assert all(body.itemsize <= LINE for body in records.bodies.values())
    assert sum(body.itemsize for body in records.bodies.values()) <= 3 * LINE
    assert all(body.__array_interface__["data"][0] % LINE == 0 for body in (records.faces, *records.bodies.values()))
