"""Fault tickets: sensors that must be mended. Never mixed with grid events."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from alerting.model import TicketState
from dashboard_api import views
from dashboard_api.auth import PortsDep, VisitorDep
from dashboard_api.ports import Ports
from dashboard_api.problems import not_found
from dashboard_api.routes.common import CHANGE, FOUND, SIGNED_IN, Before, Id, Limit, next_before
from dashboard_api.schemas.cases import Closing, TicketDetail, TicketPage

router = APIRouter(prefix="/faults", tags=["faults"])


@router.get("", operation_id="listFaults", responses=SIGNED_IN)
async def list_faults(
    ports: PortsDep,
    _: VisitorDep,
    state: Annotated[list[TicketState] | None, Query(description="only in these states")] = None,
    before: Before = None,
    limit: Limit = 100,
) -> TicketPage:
    """Fault tickets, newest first."""
    found = await to_thread.run_sync(
        lambda: ports.cases.tickets(states=tuple(state or ()), before=before, limit=limit + 1)
    )
    items = [views.ticket(ports.city, ticket) for ticket in found[:limit]]
    return TicketPage(items=items, next_before=next_before(found, limit))


def _read(ports: Ports, ticket_id: int) -> TicketDetail:
    ticket = ports.cases.ticket(ticket_id)
    if ticket is None:
        raise not_found(f"fault ticket {ticket_id}")
    return views.ticket_detail(ports.city, ticket)


@router.get("/{ticket_id}", operation_id="getFault", responses=FOUND)
async def get_fault(ports: PortsDep, _: VisitorDep, ticket_id: Id) -> TicketDetail:
    """One fault ticket with its alarms."""
    return await to_thread.run_sync(_read, ports, ticket_id)


@router.post("/{ticket_id}/acknowledge", operation_id="acknowledgeFault", responses=CHANGE)
async def acknowledge(ports: PortsDep, who: VisitorDep, ticket_id: Id) -> TicketDetail:
    """Maintenance takes the ticket."""

    def act() -> TicketDetail:
        ports.commands.acknowledge_ticket(ticket_id, actor=who.account, now_us=ports.clock.now_us())
        return _read(ports, ticket_id)

    return await to_thread.run_sync(act)


@router.post("/{ticket_id}/close", operation_id="closeFault", responses=CHANGE)
async def close(ports: PortsDep, who: VisitorDep, ticket_id: Id, body: Closing) -> TicketDetail:
    """The device is mended."""

    def act() -> TicketDetail:
        ports.commands.close_ticket(ticket_id, actor=who.account, now_us=ports.clock.now_us(), note=body.note)
        return _read(ports, ticket_id)

    return await to_thread.run_sync(act)
