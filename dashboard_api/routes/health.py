"""How the daemon does."""

from fastapi import APIRouter, Response

from config.clock import isoformat
from dashboard_api.auth import PortsDep, VisitorDep
from dashboard_api.routes.common import SIGNED_IN
from dashboard_api.schemas.base import Names
from dashboard_api.schemas.world import Alive, HealthOut

router = APIRouter(tags=["health"])
open_router = APIRouter(tags=["health"])


@router.get("/health", operation_id="getHealth", responses=SIGNED_IN)
async def health(ports: PortsDep, _: VisitorDep) -> HealthOut:
    """The daemon's parts, its counters and its clock."""
    found = ports.health()
    return HealthOut(
        ok=found.ok,
        now=isoformat(ports.clock.now_us()),
        time_zone=ports.city.timezone.key,
        city=Names.of(ports.city.name),
        city_version=ports.city.version,
        behind_seconds=round(found.behind_s, 1),
        waiting=found.waiting,
        parts=dict(found.parts),
        counters=dict(found.counters),
    )


@open_router.get(
    "/healthz",
    operation_id="isAlive",
    responses={503: {"model": Alive, "description": "Some part of it does not work"}},
)
async def alive(ports: PortsDep, response: Response) -> Alive:
    """For a supervisor, without signing in: 200 where all parts work, else 503. Says nothing more."""
    ok = ports.health().ok
    if not ok:
        response.status_code = 503
    return Alive(ok=ok)
