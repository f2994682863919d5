"""Grid events: the list, one of them, and what people do with it."""

from collections.abc import Sequence
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from alerting.model import EventState, TrailEntry
from config.city import City
from config.vocabulary import Category, Severity
from dashboard_api import views
from dashboard_api.auth import PortsDep, VisitorDep
from dashboard_api.ports import Ports
from dashboard_api.problems import not_found
from dashboard_api.routes.common import CHANGE, FOUND, Before, Id, Limit, next_before
from dashboard_api.schemas.cases import Assignment, Closing, EventDetail, EventPage, NoteIn

router = APIRouter(prefix="/events", tags=["events"])
_TRAIL_LIMIT = 2000


def subtree(city: City, code: str) -> Sequence[str]:
    """The codes of a grid and of all below it. Raises ProblemError (404) for an unknown code."""
    if code not in city.grids:
        raise not_found(f"grid {code}")
    below: dict[str, list[str]] = {}
    for grid in city.grids.values():
        if grid.parent is not None:
            below.setdefault(grid.parent, []).append(grid.code)
    found = [code]
    for node in found:  # grows while it is walked: each level adds the one below it
        found.extend(below.get(node, ()))
    return found


@router.get("", operation_id="listEvents", responses=FOUND)
async def list_events(
    ports: PortsDep,
    _: VisitorDep,
    *,
    state: Annotated[list[EventState] | None, Query(description="only in these states")] = None,
    category: Annotated[Category | None, Query(description="only about this")] = None,
    worst: Annotated[Severity | None, Query(description="only of this severity or graver (1 is the worst)")] = None,
    grid: Annotated[str | None, Query(max_length=200, description="only in this grid or below it")] = None,
    before: Before = None,
    limit: Limit = 100,
) -> EventPage:
    """Grid events, newest first."""
    grids = () if grid is None else subtree(ports.city, grid)
    found = await to_thread.run_sync(
        lambda: ports.cases.events(
            states=tuple(state or ()), category=category, worst=worst, grids=grids, before=before, limit=limit + 1
        )
    )
    items = [views.event(ports.city, event) for event in found[:limit]]
    return EventPage(items=items, next_before=next_before(found, limit))


def _read(ports: Ports, event_id: int) -> EventDetail:
    event = ports.cases.event(event_id)
    if event is None:
        raise not_found(f"event {event_id}")
    trail: list[TrailEntry] = []
    while len(trail) < _TRAIL_LIMIT:
        page = ports.cases.trail(after=trail[-1].id if trail else 0, limit=500, event_id=event_id)
        trail.extend(page)
        if len(page) < 500:
            break
    return views.event_detail(ports.city, event, trail)


@router.get("/{event_id}", operation_id="getEvent", responses=FOUND)
async def get_event(ports: PortsDep, _: VisitorDep, event_id: Id) -> EventDetail:
    """One grid event with its alarms, the people in line for it and its trail."""
    return await to_thread.run_sync(_read, ports, event_id)


@router.post("/{event_id}/acknowledge", operation_id="acknowledgeEvent", responses=CHANGE)
async def acknowledge(ports: PortsDep, who: VisitorDep, event_id: Id) -> EventDetail:
    """Take the event: it is accepted. Repeating it changes nothing."""

    def act() -> EventDetail:
        ports.commands.acknowledge(event_id, actor=who.account, now_us=ports.clock.now_us())
        return _read(ports, event_id)

    return await to_thread.run_sync(act)


@router.post("/{event_id}/assign", operation_id="assignEvent", responses=CHANGE)
async def assign(ports: PortsDep, who: VisitorDep, event_id: Id, body: Assignment) -> EventDetail:
    """Give the event to another worker, who is told."""

    def act() -> EventDetail:
        ports.commands.assign(event_id, body.worker, actor=who.account, now_us=ports.clock.now_us())
        return _read(ports, event_id)

    return await to_thread.run_sync(act)


@router.post("/{event_id}/note", operation_id="noteEvent", responses=CHANGE)
async def note(ports: PortsDep, who: VisitorDep, event_id: Id, body: NoteIn) -> EventDetail:
    """Write something down about the event."""

    def act() -> EventDetail:
        ports.commands.note(event_id, body.text, actor=who.account, now_us=ports.clock.now_us())
        return _read(ports, event_id)

    return await to_thread.run_sync(act)


@router.post("/{event_id}/close", operation_id="closeEvent", responses=CHANGE)
async def close(ports: PortsDep, who: VisitorDep, event_id: Id, body: Closing) -> EventDetail:
    """Close the case."""

    def act() -> EventDetail:
        ports.commands.close(event_id, actor=who.account, now_us=ports.clock.now_us(), note=body.note)
        return _read(ports, event_id)

    return await to_thread.run_sync(act)
