"""Snapshots: keyed by id, whole or not at all, refused where foreign."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from detectors import snapshot
from detectors.engine import Engine
from detectors.model import Condition
from detectors.registry import bank
from detectors.snapshot import Snapshot, SnapshotError, capture, restore
from tests.detectors.build import batch, city, city_of, sensor


def save(engine: Engine, path: Path, **notes: int) -> None:
    capture(engine.city, engine.tables(), notes).write(path)


def load(engine: Engine, path: Path) -> Mapping[str, int]:
    notes = restore(path, engine.city, engine.tables())
    engine.restored()
    return notes


def test_state_follows_the_sensors_id_when_the_configuration_changes(tmp_path: Path) -> None:
    old = Engine(city_of([sensor(0, "ch4"), sensor(1, "co"), sensor(2, "pm25")]))
    old.process(batch([(0, 0, 30.0), (1, 0, 1.0), (2, 0, 40.0)]), 0)
    save(old, tmp_path / "state.npz")
    moved = [sensor(0, "h2s"), sensor(1, "ch4"), sensor(2, "pm25")]
    object.__setattr__(moved[1], "id", "ch4-0")
    new = Engine(city_of(moved))
    load(new, tmp_path / "state.npz")
    assert new.standing() == {(1, Condition.HIGH)}
    assert new.shared["last"].tolist() == [0, 30.0, 40.0]


def test_what_is_captured_does_not_change_with_the_engine() -> None:
    engine = Engine(city_of([sensor(0, "ch4"), sensor(1, "co")]))
    engine.process(batch([(0, 0, 3.0)]), 0)
    snapshot = capture(engine.city, engine.tables())
    engine.process(batch([(0, 60, 30.0), (1, 60, 1.0)]), 0)
    assert snapshot.arrays["shared/last"].tolist() == [3.0, 0.0]
    assert not snapshot.arrays["limits/high_step"].any()


def test_tables_of_others_and_notes_of_the_moment_come_back_with_it(tmp_path: Path) -> None:
    engine = Engine(city(["ch4", "co"]))
    recent = {"newest": np.array([5, 6]), "times": np.array([[1, 2], [3, 4]])}
    capture(engine.city, [*engine.tables(), ("intake", recent)], {"urgent": 7, "others": 2**40}).write(tmp_path / "s")
    again = {name: np.zeros_like(column) for name, column in recent.items()}
    fresh = Engine(engine.city)
    assert restore(tmp_path / "s", fresh.city, [*fresh.tables(), ("intake", again)]) == {"urgent": 7, "others": 2**40}
    assert all(np.array_equal(again[name], recent[name]) for name in recent)


def test_columns_of_one_memory_are_captured_as_they_stand_and_come_back(tmp_path: Path) -> None:
    town = city(["ch4", "co"])
    records = np.array([(1, 2.5), (3, 4.5)], [("count", "i4"), ("mean", "f8")])
    snapshot = capture(town, [("records", {name: records[name] for name in ("mean", "count")})])
    records["count"] = 9
    assert snapshot.arrays["records/count"].tolist() == [1, 3]
    snapshot.write(tmp_path / "s")
    restore(tmp_path / "s", town, [("records", {name: records[name] for name in ("mean", "count")})])
    assert records.tolist() == [(1, 2.5), (3, 4.5)]


@pytest.mark.parametrize("kind", ["S", "U"])
def test_sensors_are_found_by_ids_in_any_script_and_in_files_that_hold_them_as_text(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = sensor(0, "ch4")
    object.__setattr__(named, "id", "燃气-甲")
    town = city_of([named])
    old = Engine(town)
    old.process(batch([(0, 0, 30.0)]), 0)
    taken = capture(town, old.tables())
    if kind == "U":
        monkeypatch.setattr(
            snapshot, "_labels", lambda _: {"ids": np.array(["燃气-甲"]), "quantities": np.array(["ch4"])}
        )
    Snapshot(town, taken.arrays).write(tmp_path / "state.npz")
    new = Engine(town)
    load(new, tmp_path / "state.npz")
    assert new.standing() == {(0, Condition.HIGH)}


def test_a_sensor_that_measures_something_else_now_begins_afresh(tmp_path: Path) -> None:
    old = Engine(city_of([sensor(0, "ch4")]))
    old.process(batch([(0, 0, 30.0)]), 0)
    save(old, tmp_path / "state.npz")
    other = sensor(0, "co")
    object.__setattr__(other, "id", "ch4-0")
    new = Engine(city_of([other]))
    load(new, tmp_path / "state.npz")
    assert not new.standing()


def test_a_snapshot_of_another_version_is_refused_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(city(["ch4"]))
    engine.process(batch([(0, 0, 30.0)]), 0)
    monkeypatch.setattr(snapshot, "VERSION", 999)
    save(engine, tmp_path / "state.npz")
    monkeypatch.undo()
    fresh = Engine(city(["ch4"]))
    with pytest.raises(SnapshotError, match="version 999, expected"):
        load(fresh, tmp_path / "state.npz")
    assert not fresh.standing()


def test_a_snapshot_of_another_bank_is_refused(tmp_path: Path) -> None:
    town = city(["ch4"])
    save(Engine(town, bank(town)[:3]), tmp_path / "state.npz")
    with pytest.raises(SnapshotError, match="another bank"):
        load(Engine(town), tmp_path / "state.npz")


@pytest.mark.parametrize("damage", [b"", b"not a snapshot", "half"])
def test_a_damaged_snapshot_is_refused(tmp_path: Path, damage: bytes | str) -> None:
    path = tmp_path / "state.npz"
    save(Engine(city(["ch4"])), path)
    path.write_bytes(path.read_bytes()[:2000] if isinstance(damage, str) else damage)
    with pytest.raises(SnapshotError, match="not a readable snapshot"):
        load(Engine(city(["ch4"])), path)


def test_a_failed_save_leaves_the_old_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, engine = tmp_path / "state.npz", Engine(city(["ch4"]))
    save(engine, path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        save(engine, path)
    assert path.read_bytes() == before


def test_a_missing_snapshot_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(Engine(city(["ch4"])), tmp_path / "none.npz")
