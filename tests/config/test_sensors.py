import pickle
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.city import City, Sensor
from config.city_files import EXAMPLE, load_city
from config.quantities import QUANTITIES
from config.sensors import SensorColumns, TextTable
from config.vocabulary import LocalText

texts = st.text(st.characters(codec="utf-8"), max_size=8)
sensors_of_a_city = st.lists(
    st.builds(
        lambda quantity, words, numbers, day: Sensor(
            0, words[0], QUANTITIES[quantity].kind, quantity, words[1], numbers[0], numbers[1],
            LocalText(zh=words[2], en=words[3]), numbers[2], words[4], words[5], words[6], day,
        ),
        st.sampled_from(sorted(QUANTITIES)),
        st.tuples(*[texts] * 7),
        st.tuples(*[st.floats(-180, 180)] * 3),
        st.none() | st.dates(),
    ),
    max_size=6,
).map(lambda made: [replace(sensor, index=row) for row, sensor in enumerate(made)])  # fmt: skip


@given(sensors_of_a_city)
def test_columns_give_back_exactly_the_sensors_they_were_made_of(sensors: list[Sensor]) -> None:
    columns = SensorColumns.of(sensors)
    assert len(columns) == len(sensors)
    assert list(columns) == sensors
    assert [columns[row] for row in range(len(sensors))] == sensors
    assert list(columns[1:]) == sensors[1:]
    assert [type(value) for sensor in columns for value in (sensor.index, sensor.lon, sensor.interval_s)] == [
        kind for _ in sensors for kind in (int, float, float)
    ]
    assert list(pickle.loads(pickle.dumps(columns))) == sensors  # noqa: S301 - its own


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(EXAMPLE)


def test_a_column_holds_what_every_sensor_says(city: City) -> None:
    columns = city.columns
    assert columns.interval_s.tolist() == [sensor.interval_s for sensor in city.sensors]
    assert columns.measured(lambda quantity: quantity.low, float).tolist() == [s.measures.low for s in city.sensors]
    assert columns.grid.each(lambda code: city.grids[code].level.rank, np.int8).tolist() == [
        city.grids[sensor.grid].level.rank for sensor in city.sensors
    ]
    assert [columns.device[row] for row in range(len(columns))] == [sensor.device for sensor in city.sensors]


def test_sensors_count_from_the_end_as_any_sequence_and_end_where_they_end(city: City) -> None:
    assert city.sensors[-1] == list(city.sensors)[-1]
    with pytest.raises(IndexError):
        city.sensors[len(city.sensors)]


def test_a_sensor_is_found_by_its_id_and_knows_its_row(city: City) -> None:
    assert all(city.sensor(sensor.id) == sensor == city.sensors[sensor.index] for sensor in city.sensors)
    assert city.sensor_index == {sensor.id: sensor.index for sensor in city.sensors}


def test_a_sensor_out_of_its_place_is_refused(city: City) -> None:
    with pytest.raises(ValueError, match="has the index 1, expected 0"):
        replace(city, sensors=city.sensors[1:])


def test_columns_cannot_be_written(city: City) -> None:
    with pytest.raises(ValueError, match="read-only"):
        city.columns.interval_s[0] = 1.0


def test_days_of_calibration_stay_days(city: City) -> None:
    days = {sensor.calibrated_on for sensor in city.sensors}
    assert None in days
    assert all(isinstance(day, date) for day in days - {None})


@given(st.lists(texts))
def test_a_table_of_texts_holds_any_text(found: list[str]) -> None:
    table = TextTable(found)
    assert list(table) == found
    assert list(table[::-1]) == found[::-1]


@given(st.lists(st.lists(texts, max_size=3), max_size=4))
def test_joined_tables_of_texts_hold_the_texts_of_all(parts: list[list[str]]) -> None:
    assert list(TextTable.joined([TextTable(part) for part in parts])) == [text for part in parts for text in part]
