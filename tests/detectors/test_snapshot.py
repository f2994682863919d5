"""Snapshots: keyed by id, whole or not at all, refused where foreign."""

from pathlib import Path

import numpy as np
import pytest

from detectors import snapshot
from detectors.engine import Engine
from detectors.model import Condition
from detectors.registry import bank
from detectors.snapshot import Snapshot, SnapshotError, capture, restore, save
from tests.detectors.build import batch, city, city_of, sensor


def test_state_follows_the_sensors_id_when_the_configuration_changes(tmp_path: Path) -> None:
    old = Engine(city_of([sensor(0, "ch4"), sensor(1, "co"), sensor(2, "pm25")]))
    old.process(batch([(0, 0, 30.0), (1, 0, 1.0), (2, 0, 40.0)]), 0)
    save(old, tmp_path / "state.npz")
    moved = [sensor(0, "h2s"), sensor(1, "ch4"), sensor(2, "pm25")]
    object.__setattr__(moved[1], "id", "ch4-0")
    new = Engine(city_of(moved))
    assert restore(new, tmp_path / "state.npz") == 2
    assert new.standing() == {(1, Condition.HIGH)}
    assert new.shared["last"].tolist() == [0, 30.0, 40.0]


def test_a_capture_copies_state_only() -> None:
    town = city_of([sensor(0, "ch4"), sensor(1, "co")])
    engine = Engine(town)
    one, other = capture(engine), capture(engine)
    assert one.arrays["ids"] is other.arrays["ids"]
    assert one.arrays["shared/last"] is not other.arrays["shared/last"]
    names = sum(len(s.id) + len(s.quantity) for s in town.sensors)
    assert one.arrays["ids"].nbytes + one.arrays["quantities"].nbytes <= 1.5 * names


@pytest.mark.parametrize("kind", ["S", "U"])
def test_sensors_are_found_by_ids_in_any_script_and_in_files_that_hold_them_as_text(tmp_path: Path, kind: str) -> None:
    named = sensor(0, "ch4")
    object.__setattr__(named, "id", "燃气-甲")
    town = city_of([named])
    old = Engine(town)
    old.process(batch([(0, 0, 30.0)]), 0)
    arrays = dict(capture(old).arrays)
    if kind == "U":
        arrays |= {"ids": np.array(["燃气-甲"]), "quantities": np.array(["ch4"])}
    Snapshot(arrays).write(tmp_path / "state.npz")
    new = Engine(town)
    assert restore(new, tmp_path / "state.npz") == 1
    assert new.standing() == {(0, Condition.HIGH)}


def test_a_sensor_that_measures_something_else_now_begins_afresh(tmp_path: Path) -> None:
    old = Engine(city_of([sensor(0, "ch4")]))
    old.process(batch([(0, 0, 30.0)]), 0)
    save(old, tmp_path / "state.npz")
    other = sensor(0, "co")
    object.__setattr__(other, "id", "ch4-0")
    new = Engine(city_of([other]))
    assert restore(new, tmp_path / "state.npz") == 0
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
        restore(fresh, tmp_path / "state.npz")
    assert not fresh.standing()


def test_a_snapshot_of_another_bank_is_refused(tmp_path: Path) -> None:
    town = city(["ch4"])
    save(Engine(town, bank(town)[:3]), tmp_path / "state.npz")
    with pytest.raises(SnapshotError, match="another bank"):
        restore(Engine(town), tmp_path / "state.npz")


@pytest.mark.parametrize("damage", [b"", b"not a snapshot", "half"])
def test_a_damaged_snapshot_is_refused(tmp_path: Path, damage: bytes | str) -> None:
    path = tmp_path / "state.npz"
    save(Engine(city(["ch4"])), path)
    path.write_bytes(path.read_bytes()[:2000] if isinstance(damage, str) else damage)
    with pytest.raises(SnapshotError, match="not a readable snapshot"):
        restore(Engine(city(["ch4"])), path)


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
        restore(Engine(city(["ch4"])), tmp_path / "none.npz")
