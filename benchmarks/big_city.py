"""A made-up city as large as one gets: a tree of four levels with bent borders, devices of one to five sensors.

The same seed writes the same bytes. Borders are shared point by point, so nothing overlaps and nothing is left over.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config.quantities import QUANTITIES, Quantity
from config.sensor_files import TABLE
from config.vocabulary import Category, Kind

WEST, SOUTH, CELL_DEG = 113.0, 30.0, 0.008
"""Where the city lies, and the side of a grid: some 800 m."""

STREETS, COMMUNITIES, CELLS = (5, 4), (2, 5), (3, 3)
"""(columns, rows) of each level in the one above: 20 streets, 200 communities, 1,800 grids."""

BENDS = 8  # pieces of a border between two corners
INTERVALS_S = (10, 30, 60, 300, 900)
WORKERS = 5000


@dataclass(frozen=True, slots=True)
class Patch:
    """A node of the tree, as a rectangle of cells before its borders are bent."""

    code: str
    level: str
    parent: str | None
    name: tuple[str, str]
    column: int
    row: int
    columns: int
    rows: int


def patches() -> list[Patch]:
    """The tree, widest first."""
    wide = (STREETS[0] * COMMUNITIES[0] * CELLS[0], STREETS[1] * COMMUNITIES[1] * CELLS[1])
    made = [Patch("M", "district", None, ("测量区", "Measured District"), 0, 0, *wide)]
    layers = (("street", "街道", "Street", STREETS), ("community", "社区", "Community", COMMUNITIES),
              ("grid", "网格", "Grid", CELLS))  # fmt: skip
    above = made
    for level, zh, en, (columns, rows) in layers:
        layer = []
        for node in above:
            width, height = node.columns // columns, node.rows // rows
            for index in range(columns * rows):
                column, row = node.column + index % columns * width, node.row + index // columns * height
                code, name = f"{node.code}-{index + 1:02d}", f"{node.code[1:]}-{index + 1:02d}".strip("-")
                both = (f"测量{name}{zh}", f"Measured {en} {name}")
                layer.append(Patch(code, level, node.code, both, column, row, width, height))
        made += layer
        above = layer
    return made


class Borders:
    """The bent lattice on which all borders run."""

    def __init__(self, rng: np.random.Generator) -> None:
        columns = STREETS[0] * COMMUNITIES[0] * CELLS[0] * BENDS + 1
        rows = STREETS[1] * COMMUNITIES[1] * CELLS[1] * BENDS + 1
        bend = rng.uniform(-0.3, 0.3, (2, rows, columns)) / BENDS
        self._lon = (WEST + (np.arange(columns) / BENDS + bend[0]) * CELL_DEG).round(7)
        self._lat = (SOUTH + (np.arange(rows)[:, None] / BENDS + bend[1]) * CELL_DEG).round(7)

    def ring(self, patch: Patch) -> list[list[float]]:
        """The closed outline of a patch, counter-clockwise, [longitude, latitude]."""
        left, right = patch.column * BENDS, (patch.column + patch.columns) * BENDS
        low, high = patch.row * BENDS, (patch.row + patch.rows) * BENDS
        across, up = np.arange(left, right), np.arange(low, high)
        columns = np.concatenate([across, np.full(len(up), right), across[::-1] + 1, np.full(len(up) + 1, left)])
        rows = np.concatenate([np.full(len(across), low), up, np.full(len(across), high), up[::-1] + 1, [low]])
        ring: list[list[float]] = np.stack([self._lon[rows, columns], self._lat[rows, columns]], axis=1).tolist()
        return ring


def write_city(folder: Path, sensors: int, seed: int = 1) -> None:
    """Write the folder of a city with so many sensors."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tree = patches()
    (folder / "city.yaml").write_text("name: {zh: 测量城, en: Measured City}\ntimezone: Asia/Shanghai\n", "utf-8")
    (folder / "grids.geojson").write_text(_grids(tree, Borders(rng)), "utf-8")
    (folder / "departments.yaml").write_text(_departments(), "utf-8")
    _write_people(folder, tree)
    _write_sensors(folder / "sensors.csv", [patch for patch in tree if patch.level == "grid"], sensors, rng)
    (folder / "limits.csv").write_text(
        "sensor,quantity,side,severity,threshold,clear_at,hold_s,source\n,noise,high,general,75,70,300,made up\n",
        "utf-8",
    )


def _grids(tree: list[Patch], borders: Borders) -> str:
    features = [
        {
            "type": "Feature",
            "properties": {
                "code": patch.code,
                "level": patch.level,
                "parent": patch.parent,
                "name_zh": patch.name[0],
                "name_en": patch.name[1],
            },
            "geometry": {"type": "Polygon", "coordinates": [borders.ring(patch)]},
        }
        for patch in tree
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


def _departments() -> str:
    categories = ", ".join(Category)
    return "".join(
        f"D{number}:\n  name: {{zh: 测量部门{number}, en: Measured Department {number}}}\n"
        f"  categories: [{categories}]\n  contact: 000-0000-{number:04d}\n"
        for number in range(1, 11)
    )


def _write_people(folder: Path, tree: list[Patch]) -> None:
    workers = [f"w{number:04d}" for number in range(WORKERS)]
    with (folder / "workers.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "name_zh", "name_en", "phone", "channels"])
        table.writerows(
            (worker, f"测{number}员", f"Measured Worker {number}", f"000-1{number:03d}-{number:04d}", "mqtt")
            for number, worker in enumerate(workers)
        )
    with (folder / "roster.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["grid", "worker", "role", "weekdays", "start", "end"])
        table.writerows(_shifts(tree, workers))


def _shifts(tree: list[Patch], workers: list[str]) -> list[tuple[str, ...]]:
    """Two workers by turns and a deputy in every grid, a leader above, maintenance and the centre in the district."""
    made: list[tuple[str, ...]] = []
    for number, patch in enumerate(tree):
        first, second, third = (workers[(number * 3 + step) % len(workers)] for step in range(3))
        if patch.level == "grid":
            made += [(patch.code, first, "worker", "mon-sun", "07:00", "19:00"),
                     (patch.code, second, "worker", "mon-sun", "19:00", "07:00"),
                     (patch.code, third, "deputy", "mon-sun", "00:00", "24:00")]  # fmt: skip
        elif patch.level == "district":
            made += [(patch.code, first, "centre", "mon-sun", "00:00", "24:00"),
                     (patch.code, second, "maintenance", "mon-sun", "00:00", "24:00")]  # fmt: skip
        else:
            made.append((patch.code, first, "leader", "mon-sun", "00:00", "24:00"))
    return made


def _write_sensors(path: Path, cells: list[Patch], sensors: int, rng: np.random.Generator) -> None:
    families = {kind: [q for q in QUANTITIES.values() if q.kind is kind] for kind in Kind}
    sizes = _device_sizes(sensors, rng)
    cell = rng.integers(0, len(cells), len(sizes))
    # well inside the cell: bent borders move by less than a tenth of it
    lon = WEST + (np.array([c.column for c in cells])[cell] + rng.uniform(0.1, 0.9, len(sizes))) * CELL_DEG
    lat = SOUTH + (np.array([c.row for c in cells])[cell] + rng.uniform(0.1, 0.9, len(sizes))) * CELL_DEG
    family = rng.choice(len(families), len(sizes), p=[0.25, 0.3, 0.1, 0.1, 0.25])
    interval = rng.choice(INTERVALS_S, len(sizes))
    month, day = rng.integers(1, 13, len(sizes)), rng.integers(1, 29, len(sizes))
    columns = zip(sizes.tolist(), cell.tolist(), lon.tolist(), lat.tolist(), family.tolist(), interval.tolist(),
                  month.tolist(), day.tolist(), strict=True)  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(TABLE.columns)
        for number, (size, spot, x, y, kind, seconds, in_month, on_day) in enumerate(columns):
            choices = families[list(Kind)[kind]]
            for part in range(size):
                quantity: Quantity = choices[(number + part) % len(choices)]
                table.writerow(
                    (f"dev{number:06d}-{part}-{quantity.name}", quantity.kind, quantity.name,
                     quantity.unit if number % 3 else "", f"{x:.6f}", f"{y:.6f}",
                     f"{cells[spot].name[0]}测量路{number % 997}号{number}", f"{number % 997} Measured Road, {number}",
                     seconds, f"D{spot % 10 + 1}", f"2025-{in_month:02d}-{on_day:02d}" if number % 5 else "",
                     f"dev{number:06d}" if size > 1 else "")
                )  # fmt: skip


def _device_sizes(sensors: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    sizes = rng.integers(1, 6, sensors)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), sensors)) + 1]
    sizes[-1] -= sizes.sum() - sensors
    return sizes
