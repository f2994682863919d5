"""Aggregates of every store are what the readings say, whatever came late, twice, or before a crash."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from config.settings import Influx1StoreSettings, LocalStoreSettings, Retention, StoreSettings
from ingest.influx import Influx1Store
from ingest.local import DuckdbStore
from ingest.model import Quality, ReadingBatch
from ingest.rollups import DAY_US, FIVE_MINUTES, HOURS, LEVELS, Level, Piece, Points
from ingest.store import TRUSTED
from ingest.stores import open_store
from tests.ingest.builders import NOW_US, city, sensor
from tests.support.servers import Server, influxdb1

Row = tuple[int, int, float, int]  # sensor, event time, value, quality
CITY = city([sensor(0, "gas-1"), sensor(1, "气体,2 b"), sensor(2, "air-1", "temperature"), sensor(3, "gas-3")])
SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, HOURS.width_us
START = HOURS.floor(NOW_US)
Rolling = DuckdbStore | Influx1Store


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxdb1(tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture(params=["local", pytest.param("influx1", marks=pytest.mark.influx)])
def kind(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "local":
        return {"type": "local"}
    server: Server = request.getfixturevalue("influx")
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    return {"type": "influx1", "url": f"http://127.0.0.1:{server.port}", "database": name}


@pytest.fixture
def opened(kind: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Rolling]]:
    """Opens the store, anew where it is open already (as after a crash: the one before is not told)."""
    stores: list[Rolling] = []

    def open_again(**retention: float) -> Rolling:
        given = {**kind, **retention}
        is_local = given["type"] == "local"
        settings: StoreSettings = (LocalStoreSettings if is_local else Influx1StoreSettings).model_validate(given)
        if stores and is_local:
            stores[-1].close()  # DuckDB's file has one owner; it keeps nothing back for this
        store = open_store(settings, tmp_path, CITY)
        assert isinstance(store, DuckdbStore | Influx1Store)
        stores.append(store)
        store.prepare()
        return store

    yield open_again
    for store in stores:
        store.close()


def written(store: Rolling, rows: list[Row], received_us: int) -> None:
    if rows:
        sensors, times, values, qualities = zip(*rows, strict=True)
        store.write(ReadingBatch.of(sensors, times, [received_us] * len(rows), values, qualities))


def expected(kept: dict[tuple[int, int], tuple[float, int]], one: int, level: Level) -> list[tuple[float, ...]]:
    """Begin, mean, low, high, count of every stretch of a sensor with a trusted reading."""
    rows = sorted((time, value, quality) for (which, time), (value, quality) in kept.items() if which == one)
    found: list[tuple[float, ...]] = []
    for begin, group in itertools.groupby(rows, lambda row: level.floor(row[0])):
        values = [value for _, value, quality in group if quality in TRUSTED]
        if values:
            found.append((begin, sum(values) / len(values), min(values), max(values), len(values)))
    return found


def shown(points: Points) -> list[tuple[float, ...]]:
    columns = (points.event_us, points.mean, points.low, points.high, points.count)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def assert_aggregates(store: Rolling, kept: dict[tuple[int, int], tuple[float, int]], until_us: int) -> None:
    for one, level in itertools.product(range(4), LEVELS):
        wanted = [row for row in expected(kept, one, level) if row[0] < level.floor(until_us)]
        found = shown(store.points(one, Piece(level, 0, level.floor(until_us)), 10_000))
        assert [row[0] for row in found] == [row[0] for row in wanted], (one, level)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_aggregates_are_right_whatever_comes_late_twice_or_before_a_crash(
    opened: Callable[..., Rolling], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    store = opened()
    kept: dict[tuple[int, int], tuple[float, int]] = {}
    now_us = START
    for turn in range(40):
        for _ in range(int(rng.integers(1, 4))):
            begun, now_us = now_us, now_us + int(rng.integers(30, 240)) * SECOND
            times = np.sort(rng.integers(begun, now_us, 30))
            rows = [(int(rng.integers(0, 4)), int(time), round(float(rng.normal()), 3), 0) for time in times]
            if rng.random() < 0.5:  # late ones, in no order
                rows += [
                    (
                        int(rng.integers(0, 4)),
                        now_us - int(rng.integers(1, 3 * HOUR)),
                        float(rng.normal()),
                        Quality.LATE,
                    )
                    for _ in range(int(rng.integers(1, 5)))
                ]
            if rng.random() < 0.3:
                rows += [(3, now_us - int(rng.integers(1, MINUTE)), 1e6, Quality.SIMULATED)]
            rows = [row for row in rows if row[:2] not in kept]
            unique = {row[:2]: row for row in rows}
            kept |= {key: row[2:] for key, row in unique.items()}
            behind = int(rng.integers(0, 2 * HOUR)) if rng.random() < 0.3 else 0  # as from a way that lags
            written(store, list(unique.values()), now_us - behind)
            if rng.random() < 0.2:  # the same again, as after a failure half-way
                written(store, list(unique.values()), now_us)
        if rng.random() < 0.5:
            store.maintain(now_us)
        if turn % 13 == 12:
            store = opened()
    settled_us = now_us
    for _ in range(2):
        now_us += 2 * HOUR
        kept[0, now_us] = (1.0, 0)
        written(store, [(0, now_us, 1.0, 0)], now_us)
        store.maintain(now_us)
    assert_aggregates(store, kept, settled_us)
    assert_aggregates(opened(), kept, settled_us)


def steady(store: Rolling, begin: int, minutes: int) -> dict[tuple[int, int], tuple[float, int]]:
    times = START + np.arange(begin * 60, (begin + minutes) * 60, 10, dtype=np.int64) * SECOND
    values = np.sin(np.arange(len(times)) / 30)
    nothing = np.zeros(len(times), np.int32)
    store.write(ReadingBatch(nothing, times, times, values, nothing.astype(np.uint8)))
    return {(0, time): (value, 0) for time, value in zip(times.tolist(), values.tolist(), strict=True)}


def test_a_long_chart_is_drawn_from_aggregates_and_its_end_from_readings_without_gap_or_overlap(
    opened: Callable[..., Rolling],
) -> None:
    store = opened()
    kept = steady(store, 0, 10 * 60)
    now_us = START + 10 * HOUR + 4 * MINUTE
    store.maintain(now_us)
    whole = store.series(0, START, now_us, max_points=10)
    wanted = np.array([value for value, _ in kept.values()])
    assert len(whole.value) <= 10
    assert (np.diff(whole.event_us) > 0).all()
    assert whole.event_us[0] == START
    assert (whole.low.min(), whole.high.max()) == (wanted.min(), wanted.max())
    assert ((whole.low <= whole.value) & (whole.value <= whole.high)).all()
    parts = [store.points(0, piece, 10**6) for piece in store.plan(0, START, now_us, 10)]
    assert sum(int(part.count.sum()) for part in parts) == len(kept)
    assert [piece.level for piece in store.plan(0, START, now_us, 10)] == [FIVE_MINUTES, None]
    assert [piece.level for piece in store.plan(0, START, now_us, 1)] == [HOURS, FIVE_MINUTES, None]


def test_what_is_kept_as_readings_no_more_is_drawn_from_aggregates(opened: Callable[..., Rolling]) -> None:
    store = opened(raw_days=0.25, five_minutes_days=0.5, hours_days=100)
    for hour in range(20):
        steady(store, 60 * hour, 60)
        store.maintain(START + (hour + 1) * HOUR)
    now_us = START + 20 * HOUR
    old = store.series(0, START + HOUR, START + 3 * HOUR, 5000)
    assert old.event_us.tolist() == [START + HOUR, START + 2 * HOUR]
    middle = store.series(0, START + 10 * HOUR, START + 11 * HOUR, 5000)
    assert len(middle.value) == 12
    new = store.series(0, START + 18 * HOUR, START + 18 * HOUR + MINUTE, 5000)
    assert len(new.value) == 6
    whole = store.series(0, START, now_us, 5000)
    assert (np.diff(whole.event_us) > 0).all()


def test_what_has_been_kept_for_long_enough_is_deleted_from_the_local_store(tmp_path: Path) -> None:
    store = DuckdbStore(tmp_path / "r.duckdb", CITY, Retention(raw_days=1, five_minutes_days=2, hours_days=3))
    store.prepare()
    kept = steady(store, 0, 60)
    later = START + DAY_US + 2 * HOUR
    store.maintain(later)
    assert store.count() == 30  # old enough, but not aggregated yet
    store.write(ReadingBatch.of([1], [later], [later], [7.0], [0]))
    store.maintain(later)
    assert store.count() == 1
    assert_aggregates(store, kept | {(1, later): (7.0, 0)}, START + HOUR)
    for days, five, hours in ((2, 0, 1), (3, 0, 0)):
        now_us = START + days * DAY_US + 2 * HOUR
        store.write(ReadingBatch.of([1], [now_us], [now_us], [7.0], [0]))
        store.maintain(now_us)
        assert len(store.points(0, Piece(FIVE_MINUTES, 0, later), 100).count) == five
        assert len(store.points(0, Piece(HOURS, 0, later), 100).count) == hours
    store.close()
