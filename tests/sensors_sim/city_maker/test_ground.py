import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors_sim.city_maker.blocks import build, net, segments
from sensors_sim.city_maker.ground import Ground, Spots, lay_ground, smooth
from sensors_sim.city_maker.tree import GridTree, grid_tree, outlines

seeds = st.integers(0, 2**31)


def laid(area_km2: float, seed: int) -> Ground:
    return lay_ground(area_km2, np.random.default_rng(seed))


def tree_of(ground: Ground, seed: int) -> GridTree:
    return grid_tree(ground, np.random.default_rng(seed).integers(0, 80, ground.land.shape))


@settings(max_examples=15, deadline=None)
@given(area=st.floats(3, 400), seed=seeds)
def test_every_block_is_convex_and_no_two_overlap(area: float, seed: int) -> None:
    ground = laid(area, seed)
    areas = ground.areas_m2()[ground.land]
    assert areas.min() > 2_000
    assert areas.sum() == pytest.approx(area * 1e6, rel=0.35)
    x, y = ground.east, ground.north
    rows, columns = np.nonzero(ground.land)
    rings = np.stack(
        [
            np.stack(
                [axis[rows, columns], axis[rows, columns + 1], axis[rows + 1, columns + 1], axis[rows + 1, columns]]
            )
            for axis in (x, y)
        ]
    ).transpose(2, 1, 0)
    blocks = shapely.polygons(rings)
    assert np.allclose(shapely.area(shapely.convex_hull(blocks)), shapely.area(blocks))
    assert shapely.area(shapely.union_all(blocks)) == pytest.approx(shapely.area(blocks).sum())


@settings(max_examples=15, deadline=None)
@given(area=st.floats(3, 400), seed=seeds)
def test_each_city_has_a_river_with_a_bridge_a_railway_with_an_underpass_and_a_metro(area: float, seed: int) -> None:
    ground = laid(area, seed)
    assert ground.rivers
    assert ground.railways
    assert ground.metro_rows
    bridges = ground.land[list(ground.rivers)][:, ground.main_columns[:-1]]
    underpasses = ground.land[:, list(ground.railways)][ground.main_rows[:-1]]
    assert bridges.any()
    assert underpasses.any()
    assert ground.old.any()


@settings(max_examples=12, deadline=None)
@given(area=st.floats(3, 300), seed=seeds)
def test_the_outlines_of_each_level_tile_the_level_above(area: float, seed: int) -> None:
    ground = laid(area, seed)
    tree = tree_of(ground, seed)
    corners = np.column_stack([ground.east.reshape(-1), ground.north.reshape(-1)])
    above = float(ground.areas_m2()[ground.land].sum())
    for label in tree.label:
        shapes = [shapely.Polygon(corners[ring]) for ring in outlines(label)]
        assert all(shape.is_valid for shape in shapes)
        assert sum(shape.area for shape in shapes) == pytest.approx(above)
        assert shapely.union_all(np.array(shapes, object)).area == pytest.approx(above)
    for level in (1, 2, 3):
        inside = tree.label[level] >= 0
        assert (tree.parent[level][tree.label[level][inside]] == tree.label[level - 1][inside]).all()


def test_local_streets_end_at_the_river_and_main_streets_cross_it() -> None:
    ground = laid(60, 3)
    streets, mains = net(ground, np.random.default_rng(1))
    row = ground.rivers[0]
    middle = Spots(
        np.full(ground.land.shape[1], row), np.arange(ground.land.shape[1]), np.full(ground.land.shape[1], 0.5),
        np.full(ground.land.shape[1], 0.5),
    )  # fmt: skip
    water = shapely.linestrings(np.column_stack(ground.metres(middle)))
    crossing = shapely.crosses(shapely.linestrings(streets.reshape(-1, 2, 2)), water)
    wide = ground.main_columns & np.append(ground.land[row], False) & np.insert(ground.land[row], 0, False)
    assert crossing.sum() == wide.sum()
    assert len(mains) < len(streets)


def test_buildings_keep_off_the_river_and_the_railway_and_stand_along_streets() -> None:
    ground = laid(60, 3)
    built = build(ground, np.random.default_rng(1))
    spots = built.buildings.spots
    assert ground.built[spots.row, spots.column].all()
    assert ((spots.east > 0) & (spots.east < 1) & (spots.north > 0) & (spots.north < 1)).all()
    streets = np.concatenate([net(ground, np.random.default_rng(2))[0], segments(ground, *built.lanes)])
    # whichever street of the net is missing in the fields, the foot of a building lies on a street's line, or at most
    # a step beside it where a lane runs askew through a crooked block
    piped = np.flatnonzero(ground.urban[spots.row, spots.column] > 0.2)
    feet = shapely.points(np.column_stack(ground.metres(built.buildings.foot.some(piped))))
    lines = shapely.linestrings(streets.reshape(-1, 2, 2))
    nearest = shapely.STRtree(np.asarray(lines, object)).query_nearest(feet, return_distance=True, all_matches=False)
    assert nearest[1].max() < 2


def test_noise_is_smooth_and_stays_between_its_bounds() -> None:
    lines = np.arange(0.0, 5_000.0, 10.0)
    values = smooth(np.random.default_rng(1), lines, lines, 500.0)
    assert np.abs(values).max() <= 1
    assert np.abs(np.diff(values, axis=0)).max() < 0.07
    assert values.std() > 0.2
