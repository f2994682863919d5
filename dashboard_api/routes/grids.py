"""The grid tree as GeoJSON, with what is wrong where and who is responsible now."""

import asyncio
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
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
from dashboard_api.auth import VisitorDep
from dashboard_api.ports import Ports
from dashboard_api.routes.common import SIGNED_IN
from dashboard_api.schemas.base import Names
from dashboard_api.schemas.world import GridCollection, GridProperties

router = APIRouter(prefix="/grids", tags=["grids"])

REST = 4.0
PACKED = 4
"""Level of gzip: 9 takes eight times as long and saves three per cent."""

_VARY = {"Vary": "Accept-Encoding"}


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


@dataclass
class _Shared:
    """One answer for many. Times in monotonic seconds."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer: tuple[bytes, bytes] | None = None
    begun_s: float = 0.0
    rest_until_s: float = 0.0


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
    _: VisitorDep,
    geometry: Annotated[bool, Query(description="false leaves the polygons out: what changes is small")] = True,
) -> Response:
    """The grid tree, widest level first."""
    drawing: Drawing = request.app.state.drawing
    plain, packed = await drawing.of(geometry)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type="application/json", headers={"Content-Encoding": "gzip"} | _VARY)
    return Response(plain, media_type="application/json", headers=_VARY)


class Drawing:
    """The answers of ``list_grids``, shared by those who ask at the same time.

    Every page asks whenever something happens, and a large city makes the answer costly (65 ms for 2,000 grids). Nobody
    gets one that was begun before they asked; and its making rests REST times as long as it took, so that a storm of
    events leaves the live feed its time.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._responsibility = Responsibility(ports.city)
        self._polygons = shapes(ports.city)
        self._shared = {True: _Shared(), False: _Shared()}

    async def of(self, geometry: bool) -> tuple[bytes, bytes]:
        """The answer as it stands now, plain and packed."""
        shared, clock = self._shared[geometry], self._ports.session_clock
        asked_s = clock.monotonic()
        async with shared.turn:
            if shared.answer is None or shared.begun_s < asked_s:
                await clock.sleep(max(0.0, shared.rest_until_s - clock.monotonic()))
                begun_s = clock.monotonic()
                shared.answer = await to_thread.run_sync(self._draw, geometry)
                ended_s = clock.monotonic()
                shared.begun_s, shared.rest_until_s = begun_s, ended_s + REST * (ended_s - begun_s)
            return shared.answer

    def _draw(self, geometry: bool) -> tuple[bytes, bytes]:
        """Blocks."""
        city = self._ports.city
        standing = summed_upwards(city, self._ports.cases.worst_open_by_grid())
        responsible = self._responsibility.at(self._ports.clock.now_us())
        features = []
        for grid in sorted(city.grids.values(), key=lambda node: (node.level.rank, node.code)):
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
            shape = self._polygons[grid.code] if geometry else "null"
            features.append(f'{head}{shape},"properties":{properties.model_dump_json()}}}')
        body = f'{{"type":"FeatureCollection","features":[{",".join(features)}]}}'.encode()
        return body, gzip.compress(body, PACKED)
