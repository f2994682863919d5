"""People whom an event can be given to."""

from typing import Annotated

from fastapi import APIRouter, Query

from alerting.model import CENTRE
from config import texts
from config.city import City, Shift
from config.clock import to_datetime
from config.vocabulary import Role
from dashboard_api.auth import PortsDep, VisitorDep
from dashboard_api.problems import not_found
from dashboard_api.routes.common import FOUND
from dashboard_api.schemas.base import Names
from dashboard_api.schemas.world import Duty, People, PersonOut

router = APIRouter(prefix="/people", tags=["people"])


def roster_of(city: City, grid: str | None) -> list[Shift]:
    """The shifts of those who can be given an event; with a grid, only those of it and above it."""
    above = None if grid is None else {node.code for node in city.upwards(grid)}
    return [
        shift for shift in city.roster if shift.role is not Role.MAINTENANCE and (above is None or shift.grid in above)
    ]


@router.get("", operation_id="listPeople", responses=FOUND)
async def list_people(
    ports: PortsDep,
    _: VisitorDep,
    grid: Annotated[
        str | None, Query(max_length=200, description="only those on the roster of this grid or above it")
    ] = None,
) -> People:
    """People by name, without phone numbers: those on duty now first, in the order in which they are asked.

    Those who only mend devices are not among them; the command centre always is.
    """
    city = ports.city
    if grid is not None and grid not in city.grids:
        raise not_found(f"grid {grid}")
    local = to_datetime(ports.clock.now_us()).astimezone(city.timezone)
    duties: dict[str, list[Duty]] = {}
    on_duty: dict[str, Role] = {}
    for shift in roster_of(city, grid):
        place = Duty(grid=shift.grid, role=shift.role)
        held = duties.setdefault(shift.worker, [])
        if place not in held:
            held.append(place)
        if shift.covers(local):
            on_duty[shift.worker] = min(shift.role, on_duty.get(shift.worker, shift.role), key=lambda role: role.rank)
    people = [
        PersonOut(worker=worker, name=Names.of(city.workers[worker].name), duties=held, on_duty=worker in on_duty)
        for worker, held in duties.items()
    ]
    last = len(Role)
    people.sort(key=lambda one: (on_duty[one.worker].rank if one.on_duty else last, one.worker))
    people.append(PersonOut(worker=CENTRE, name=Names.of(texts.both("role.centre")), duties=[], on_duty=True))
    return People(items=people)
