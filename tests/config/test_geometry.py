import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely

from config.city_files import EXAMPLE, load_city, read_city
from config.geometry import PointFinder, area_m2, metres_per_degree
from config.problems import Level
from config.vocabulary import GridLevel
from tests.config.helpers import Ring, reshape


def crossed(ring: Ring) -> Ring:
    middle = len(ring) // 2
    return [ring[0], ring[middle], ring[1], ring[middle + 1], ring[0]]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("crossing_polygon", crossed),
        ("swapped_coordinates", lambda ring: [[lat, lon] for lon, lat in ring]),
        ("outside_world", lambda ring: [[lon + 200, lat + 80] for lon, lat in ring]),
        ("broken_ring", lambda ring: ring[:-1]),
        ("broken_ring", lambda ring: ring[:2]),
        ("broken_ring", lambda ring: [["a", 1], *ring]),
        ("broken_ring", lambda ring: [[10**400, 1], *ring[1:]]),
        ("broken_ring", lambda ring: [[True, 1], *ring[1:-1], [True, 1]]),
    ],
)
def test_a_broken_polygon_is_named_by_its_feature(district: Path, code: str, change: Callable[[Ring], Ring]) -> None:
    reshape(district, "YR-RQ-SL-01", change)
    problems = read_city(district).problems
    assert [(p.code, p.row, p.field) for p in problems if p.file == "grids.geojson"] == [(code, 10, "geometry")]


def test_a_grid_pulled_into_its_neighbours_overlaps_and_leaves_its_parent(district: Path) -> None:
    def shift(ring: Ring) -> Ring:
        return [[lon - 0.001, lat + 0.001] for lon, lat in ring]

    reshape(district, "YR-RQ-SL-02", shift)
    problems = read_city(district).problems
    assert {p.code for p in problems if p.level is Level.WARNING} == {"overlap", "gap", "outside_parent"}
    gap = next(p for p in problems if p.code == "gap")
    assert (gap.row, gap.found.endswith(" m²"), float(gap.found.split()[0]) > 1000) == (4, True, True)


def test_the_area_of_a_gap_is_told_in_square_metres(district: Path) -> None:
    grids = {grid.code: grid for grid in load_city(EXAMPLE).grids.values()}
    path = district / "grids.geojson"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["features"] = [f for f in document["features"] if f["properties"]["code"] != "YR-RQ-SL-04"]
    path.write_text(json.dumps(document), encoding="utf-8")
    (gap,) = [p for p in read_city(district).problems if p.code == "gap"]
    assert float(gap.found.split()[0]) == pytest.approx(area_m2(grids["YR-RQ-SL-04"].polygon), rel=1e-3)
    assert (gap.file, gap.row) == ("grids.geojson", 4)


def test_a_degree_is_as_long_as_the_tables_say() -> None:
    # published lengths of one degree on WGS-84 in kilometres: of longitude, of latitude
    for lat, lengths in ((0, (111.320, 110.574)), (30, (96.486, 110.852)), (60, (55.800, 111.412))):
        assert np.array(metres_per_degree(lat)) / 1000 == pytest.approx(lengths, abs=0.0006)


def test_points_are_found_as_one_by_one() -> None:
    shapes = [grid.polygon for grid in load_city(EXAMPLE).grids.values() if grid.level is GridLevel.GRID]
    random = np.random.default_rng(7)
    lon, lat = random.uniform(112.77, 112.83, 500), random.uniform(28.34, 28.38, 500)
    corner = shapes[3].exterior.coords[0] if isinstance(shapes[3], shapely.Polygon) else (0.0, 0.0)
    lon[0], lat[0], lon[1] = corner[0], corner[1], np.nan
    expected = [
        next((i for i, shape in enumerate(shapes) if shape.intersects(shapely.Point(x, y))), -1)
        if np.isfinite(x)
        else -1
        for x, y in zip(lon, lat, strict=True)
    ]
    assert PointFinder(shapes).find(lon, lat).tolist() == expected
    assert PointFinder([]).find(lon, lat).tolist() == [-1] * 500
    for tiers in ([0] * len(shapes), list(range(len(shapes))), [row // 3 for row in range(len(shapes))]):
        assert PointFinder(shapes, tiers).find(lon, lat).tolist() == expected
    with pytest.raises(ValueError, match="tiers go down"):
        PointFinder(shapes[:2], [1, 0])
