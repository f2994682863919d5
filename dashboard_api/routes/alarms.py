"""Alarms: the state of one condition on one sensor."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from dashboard_api import views
from dashboard_api.auth import PortsDep, VisitorDep
from dashboard_api.routes.common import SIGNED_IN, Before, Limit, next_before
from dashboard_api.schemas.cases import AlarmPage

router = APIRouter(prefix="/alarms", tags=["alarms"])


@router.get("", operation_id="listAlarms", responses=SIGNED_IN)
async def list_alarms(
    ports: PortsDep,
    _: VisitorDep,
    standing: Annotated[bool | None, Query(description="true: uncleared ones only, false: cleared ones only")] = None,
    sensor: Annotated[str | None, Query(max_length=200, description="only of this sensor")] = None,
    before: Before = None,
    limit: Limit = 100,
) -> AlarmPage:
    """Alarms, newest first."""
    found = await to_thread.run_sync(
        lambda: ports.cases.alarms(standing=standing, sensor_id=sensor, before=before, limit=limit + 1)
    )
    items = [views.alarm(ports.city, alarm) for alarm in found[:limit]]
    return AlarmPage(items=items, next_before=next_before(found, limit))
