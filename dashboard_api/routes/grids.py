"""The grid tree as GeoJSON, with what is wrong where and who is responsible now."""

import json
from collections.abc import Mapping
from threading import Lock
from typing import Annotated

import shapely
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from alerting.model import Responsible
from alerting.responsible import Duty
from config.city import City
from config.vocabulary import Category, Severity
from dashboard_api import views
from dashboard_api.auth import PortsDep, VisitorDep
from dashboard_api.routes.common import SIGNED_IN
from dashboard_api.schemas.base import Names
from dashboard_api.schemas.world import GridCollection, GridProperties

router = APIRouter(prefix="/grids", tags=["grids"])


def summed_upwards(city: City, open_events: Mapping[str, tuple[Severity, int]]) -> dict[str, tuple[Severity, int]]:
    """(worst severity, number) of the open events in each grid or below it."""
    summed: dict[str, tuple[Severity, int]] = {}
    for code, (worst, count) in open_events.items():
        if code not in city.grids:  # an event of an older version of the city
            continue
        for grid in city.upwards(code):
            known_worst, known_count = summed.get(grid.code, (worst, 0))
            summed[grid.code] = (min(known_worst, worst), known_count + count)
    return summed


class Responsibility:
    """Who is responsible in every grid. The roster remembers its last answer, so one caller at a time."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._duty = Duty(city)
        self._lock = Lock()

    def at(self, now_us: int) -> dict[str, Responsible]:
        """The first in line at a wall time, by grid code."""
        with self._lock:
            return {code: self._duty.line_for(code, Category.CARE, now_us)[0] for code in self._city.grids}


def shapes(city: City) -> dict[str, str]:
    """The polygons as GeoJSON geometries by grid code, written once: they are most of what the map asks for."""
    geometries = {code: shapely.geometry.mapping(grid.polygon) for code, grid in city.grids.items()}
    return {code: json.dumps(geometry, separators=(",", ":")) for code, geometry in geometries.items()}


@router.get("", operation_id="listGrids", responses=SIGNED_IN, response_model=GridCollection)
async def list_grids(
    request: Request,
    ports: PortsDep,
    _: VisitorDep,
    geometry: Annotated[bool, Query(description="false leaves the polygons out: what changes is small")] = True,
) -> Response:
    """The grid tree, widest level first."""
    responsibility: Responsibility = request.app.state.responsibility
    polygons: Mapping[str, str] = request.app.state.shapes

    def read() -> Response:
        standing = summed_upwards(ports.city, ports.cases.worst_open_by_grid())
        responsible = responsibility.at(ports.clock.now_us())
        features = []
        for grid in sorted(ports.city.grids.values(), key=lambda node: (node.level.rank, node.code)):
            worst, count = standing.get(grid.code, (None, 0))
            properties = GridProperties(
                code=grid.code,
                level=grid.level,
                parent=grid.parent,
                name=Names.of(grid.name),
                worst=worst,
                open_events=count,
                responsible=views.person(responsible[grid.code]),
            )
            head = f'{{"type":"Feature","id":{json.dumps(grid.code)},"geometry":'
            shape = polygons[grid.code] if geometry else "null"
            features.append(f'{head}{shape},"properties":{properties.model_dump_json()}}}')
        body = f'{{"type":"FeatureCollection","features":[{",".join(features)}]}}'
        return Response(body, media_type="application/json")

    return await to_thread.run_sync(read)
