"""Polygons on the globe: reading GeoJSON geometries, areas in square metres, and placing points in bulk."""

import math
from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from config.problems import FileProblems

SLIVER_M2 = 10.0
"""Overlaps and gaps up to this size come from drawing and rounding; they are not worth a word."""

_EQUATOR_M = 6_378_137.0  # WGS-84 semi-major axis
_ECCENTRICITY2 = 6.694_379_990_14e-3  # WGS-84 first eccentricity squared

Shape = Polygon | MultiPolygon
Floats = npt.NDArray[np.float64]


def metres_per_degree(lat: float) -> tuple[float, float]:
    """(east, north) metres of one degree at a latitude, on the WGS-84 ellipsoid."""
    phi = math.radians(lat)
    bulge = 1 - _ECCENTRICITY2 * math.sin(phi) ** 2
    north = _EQUATOR_M * (1 - _ECCENTRICITY2) / bulge**1.5
    east = _EQUATOR_M * math.cos(phi) / math.sqrt(bulge)
    return math.radians(east), math.radians(north)


def area_m2(shape: BaseGeometry) -> float:
    """Area of a shape in degrees, in square metres; exact to about 0.1 % for shapes under 50 km across."""
    if shape.is_empty:
        return 0.0
    _, south, _, north = shape.bounds
    per_lon, per_lat = metres_per_degree((south + north) / 2)
    return float(shape.area) * per_lon * per_lat


def read_shape(geometry: object, row: int, problems: FileProblems) -> Shape | None:
    """The polygon of a GeoJSON geometry, checked; None, with what is wrong written down, where it is unusable."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(geometry, dict) or kind not in {"Polygon", "MultiPolygon"}:
        problems.error("not_polygon", row=row, field="geometry", found="" if kind is None else kind)
        return None
    coordinates = geometry.get("coordinates")
    parts = [coordinates] if kind == "Polygon" else coordinates
    if not isinstance(parts, list) or not parts:
        problems.error("broken_ring", row=row, field="geometry", found=type(coordinates).__name__)
        return None
    polygons = []
    for part in parts:
        rings = [_read_ring(ring) for ring in part] if isinstance(part, list) and part else [None]
        if any(ring is None for ring in rings):
            problems.error("broken_ring", row=row, field="geometry", found=_shorten(part))
            return None
        polygons.append(rings)
    return _checked(polygons, row, problems)


def _read_ring(ring: object) -> Floats | None:
    if not isinstance(ring, list) or len(ring) < 4 or set(map(type, ring)) != {list} or min(map(len, ring)) < 2:
        return None
    places = [position[:2] for position in ring]
    if not set(map(type, chain.from_iterable(places))) <= {int, float}:  # true and false are no numbers in JSON
        return None
    try:
        points = np.array(places, dtype=np.float64)
    except OverflowError:
        return None
    return points if np.isfinite(points).all() and (points[0] == points[-1]).all() else None


def _checked(polygons: Sequence[Sequence[Floats | None]], row: int, problems: FileProblems) -> Shape | None:
    points = np.concatenate([ring for rings in polygons for ring in rings if ring is not None])
    lon, lat = points[:, 0], points[:, 1]
    if off_globe(lon, lat):
        swapped = not off_globe(lat, lon)
        code = "swapped_coordinates" if swapped else "outside_world"
        bad = points[int(np.argmax((np.abs(lon) > 180) | (np.abs(lat) > 90)))]
        problems.error(code, row=row, field="geometry", found=f"{bad[0]:g}, {bad[1]:g}")
        return None
    parts = [Polygon(rings[0], rings[1:]) for rings in polygons]
    shape: Shape = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    if not shape.is_valid:
        problems.error("crossing_polygon", row=row, field="geometry", found=shapely.is_valid_reason(shape))
        return None
    if shape.area <= 0:
        problems.error("no_area", row=row, field="geometry", found=f"{points[0][0]:g}, {points[0][1]:g}")
        return None
    return shape


def off_globe(lon: Floats | float, lat: Floats | float) -> bool:
    """Whether any of the places is beyond 180 degrees of longitude or 90 of latitude, or not a number."""
    return not bool(np.all((np.abs(lon) <= 180) & (np.abs(lat) <= 90)))


def _shorten(part: object) -> str:
    return str(part[0])[:60] if isinstance(part, list) and part else type(part).__name__


def overlaps_m2(shapes: Sequence[Shape]) -> list[tuple[int, int, float]]:
    """(i, j, area) of all pairs of shapes, i < j, that share more than a sliver."""
    if len(shapes) < 2:
        return []
    polygons = np.array(shapes, dtype=object)
    left, right = shapely.STRtree(polygons).query(polygons)
    pairs = sorted((int(i), int(j)) for i, j in zip(left, right, strict=True) if i < j)
    areas = ((i, j, area_m2(shapes[i].intersection(shapes[j]))) for i, j in pairs)
    return [(i, j, area) for i, j, area in areas if area > SLIVER_M2]


def left_over_m2(whole: BaseGeometry, parts: Sequence[BaseGeometry]) -> tuple[float, tuple[float, float] | None]:
    """(area of ``whole`` that none of ``parts`` covers, a point inside the largest such patch or None)."""
    rest = whole.difference(shapely.union_all(np.array(parts, dtype=object)))
    pieces = [piece for piece in shapely.get_parts(rest) if area_m2(piece) > SLIVER_M2]
    if not pieces:
        return 0.0, None
    inside = max(pieces, key=area_m2).representative_point()
    return sum(area_m2(piece) for piece in pieces), (float(inside.x), float(inside.y))


class PointFinder:
    """Says for many points at once which of some shapes holds them.

    shapes: the first that holds a point counts. tiers: which of them are looked through together, ascending, one for
    each shape; most points are found in the first tier, which spares looking through the wider shapes.
    """

    def __init__(self, shapes: Sequence[Shape], tiers: Sequence[int] | None = None) -> None:
        self._shapes = np.array(shapes, dtype=object)
        shapely.prepare(self._shapes)
        tier = np.zeros(len(shapes), np.int64) if tiers is None else np.array(tiers, np.int64)
        if (np.diff(tier) < 0).any():
            raise ValueError("tiers go down, expected ascending")
        self._trees: list[tuple[int, shapely.STRtree]] = []
        for begin, end in pairwise([0, *(np.flatnonzero(np.diff(tier)) + 1).tolist(), len(shapes)]):
            self._trees.append((begin, shapely.STRtree(self._shapes[begin:end])))

    def find(self, lon: Floats, lat: Floats) -> npt.NDArray[np.int32]:
        """The index of the first shape that holds each point or has it on its edge; -1 where none does, or for NaN.

        lon, lat: degrees, one length; some tens of thousands at a time keep the memory small.
        """
        found = np.full(len(lon), -1, dtype=np.int32)
        left = np.arange(len(lon))
        for first, tree in self._trees:
            if not left.size:
                break
            point, shape = tree.query(shapely.points(lon[left], lat[left]))
            point, shape = left[point], shape + first
            inside = shapely.intersects_xy(self._shapes[shape], lon[point], lat[point])
            point, shape = point[inside], shape[inside]
            order = np.argsort(-shape, kind="stable")  # the lowest index is written last and stays
            found[point[order]] = shape[order]
            left = left[found[left] < 0]
        return found
