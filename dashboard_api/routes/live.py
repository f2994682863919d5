"""The live feed's door."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request

from dashboard_api.auth import VisitorDep
from dashboard_api.live import LiveFeed, LiveResponse
from dashboard_api.routes.common import LARGEST_ID, SIGNED_IN

router = APIRouter(tags=["live"])

_DESCRIPTION = (
    "Server-sent events: one per entry of the trail, `id` its trail id, `event` its action, `data` a LiveMessage; "
    "and a `heartbeat` without id at the start and after 15 quiet seconds."
)


@router.get(
    "/live",
    operation_id="listen",
    status_code=200,
    response_class=LiveResponse,
    description=_DESCRIPTION,
    responses=SIGNED_IN | {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def listen(
    request: Request,
    who: VisitorDep,
    after: Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="resume after this trail id")] = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=LARGEST_ID)] = None,
) -> LiveResponse:
    """Stream the trail from now on, or after an id (the header, which a reconnecting browser sends, wins)."""
    live: LiveFeed = request.app.state.live
    return LiveResponse(live, who.token, after if last_event_id is None else last_event_id)
