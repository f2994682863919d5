"""Sensors in a viewport, one sensor, and its readings."""

from http import HTTPStatus
from typing import Annotated

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from config.city import City, Sensor
from config.clock import from_datetime, isoformat
from dashboard_api import views
from dashboard_api.auth import PortsDep, VisitorDep
from dashboard_api.charts import SeriesDoor
from dashboard_api.problems import ProblemError, not_found, responses
from dashboard_api.routes.common import FOUND, SIGNED_IN
from dashboard_api.schemas.world import SensorDetail, SensorPage, SeriesOut

router = APIRouter(prefix="/sensors", tags=["sensors"])

Longitude = Annotated[float, Query(ge=-180, le=180)]
Latitude = Annotated[float, Query(ge=-90, le=90)]


class Places:
    """Where all sensors stand, as two columns, so that a viewport costs one pass over numbers."""

    def __init__(self, city: City) -> None:
        self._longitude, self._latitude = city.columns.lon, city.columns.lat

    def inside(self, west: float, south: float, east: float, north: float) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Indices of the sensors inside, borders included."""
        within = (self._longitude >= west) & (self._longitude <= east)
        within &= (self._latitude >= south) & (self._latitude <= north)
        return np.flatnonzero(within)


def _sensor(city: City, sensor_id: str) -> Sensor:
    if sensor_id not in city.sensor_index:
        raise not_found(f"sensor {sensor_id}")
    return city.sensor(sensor_id)


@router.get("", operation_id="listSensors", responses=SIGNED_IN)
async def list_sensors(
    request: Request,
    ports: PortsDep,
    _: VisitorDep,
    *,
    west: Longitude,
    south: Latitude,
    east: Longitude,
    north: Latitude,
    limit: Annotated[int, Query(ge=1, le=5000, description="at most this many")] = 2000,
) -> SensorPage:
    """Sensors inside a viewport (WGS-84 degrees) with their last good reading."""
    places: Places = request.app.state.places

    def read() -> SensorPage:
        rows = places.inside(west, south, east, north)
        last = ports.last_values()
        items = [views.sensor(ports.city.sensors[row], last) for row in rows[:limit]]
        return SensorPage(items=items, total=len(rows))

    return await to_thread.run_sync(read)


# A sensor id may hold slashes (SenML names often do), so the longer path stands first.
@router.get(
    "/{sensor_id:path}/readings",
    operation_id="listReadings",
    responses=FOUND | responses(HTTPStatus.SERVICE_UNAVAILABLE),
)
async def list_readings(
    request: Request,
    ports: PortsDep,
    _: VisitorDep,
    sensor_id: str,
    *,
    start: Annotated[AwareDatetime, Query(alias="from", description="first moment, RFC 3339 with zone")],
    end: Annotated[AwareDatetime, Query(alias="to", description="moment after the last one, RFC 3339 with zone")],
    max_points: Annotated[int, Query(ge=2, le=20_000, description="thinned to at most this many buckets")] = 2000,
) -> SeriesOut:
    """Kept readings of a sensor as columns, thinned for a chart."""
    sensor = _sensor(ports.city, sensor_id)
    from_us, to_us = from_datetime(start), from_datetime(end)
    if from_us >= to_us:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "from must be earlier than to")
    door: SeriesDoor = request.app.state.series
    series = await door.read(ports.readings, sensor.index, from_us, to_us, max_points)
    return SeriesOut(
        sensor=sensor.id,
        quantity=sensor.quantity,
        unit=sensor.unit,
        at=[isoformat(at_us) for at_us in series.event_us.tolist()],
        value=series.value.tolist(),
        low=series.low.tolist(),
        high=series.high.tolist(),
    )


@router.get("/{sensor_id:path}", operation_id="getSensor", responses=FOUND)
async def get_sensor(ports: PortsDep, _: VisitorDep, sensor_id: str) -> SensorDetail:
    """One sensor with its last good reading, its owner and its limits."""
    return views.sensor_detail(ports.city, _sensor(ports.city, sensor_id), ports.last_values())
