"""Who is called: place x category x time > the responsible person and who is next in line. Pure.

The finest grid's people on duty come first, in the order of their roles, then those of the grids above. The chain
ends at the command centre, so it is never empty.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property

import shapely

from alerting.model import CENTRE, GridEvent, Responsible
from config.city import City, Grid, Shift
from config.clock import to_datetime
from config.texts import both
from config.vocabulary import Category, Role

Place = str | tuple[float, float]
"""A grid's code, or (longitude, latitude) in WGS-84 degrees."""


class Duty:
    """The roster of a city, sorted by grid once."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._shifts: dict[str, list[Shift]] = {}
        for shift in city.roster:
            if shift.worker not in city.workers:
                continue  # nobody can be called who has no name and no channel
            self._shifts.setdefault(shift.grid, []).append(shift)
        for shifts in self._shifts.values():
            shifts.sort(key=lambda shift: shift.role.rank)
        self._known: dict[tuple[str, bool], tuple[Responsible, ...]] = {}
        self._known_at_us = -1

    @property
    def centre(self) -> Responsible:
        """The end of every line."""
        return Responsible(CENTRE, both("role.centre"), Role.CENTRE, None)

    def line_for(self, where: Place, category: Category | None, at_us: int) -> tuple[Responsible, ...]:
        """Who is responsible at a place and time (wall time), then who is next in line; never empty.

        category: what a grid event is about; None for a fault ticket, whose line is made of maintenance people:
        those on duty, then those off duty. A grid that is not in the city has the command centre alone.
        """
        code = where if isinstance(where, str) else self.grid_at(*where)
        if code is None:
            return (self.centre,)
        if at_us != self._known_at_us:
            self._known.clear()
            self._known_at_us = at_us
        key = (code, category is None)
        if key not in self._known:
            local = to_datetime(at_us).astimezone(self._city.timezone)
            people = self._for_fault(code, local) if category is None else self._for_event(code, local)
            self._known[key] = (*_once(people), self.centre)
        return self._known[key]

    def _for_event(self, code: str, local: datetime) -> list[Responsible]:
        return [
            self._person(shift)
            for shift in self._upwards(code)
            if shift.role is not Role.MAINTENANCE and shift.covers(local)
        ]

    def _for_fault(self, code: str, local: datetime) -> list[Responsible]:
        shifts = [shift for shift in self._upwards(code) if shift.role is Role.MAINTENANCE]
        on_duty = [self._person(shift) for shift in shifts if shift.covers(local)]
        return on_duty + [self._person(shift) for shift in shifts if not shift.covers(local)]

    def line_now(self, event: GridEvent, at_us: int) -> tuple[Responsible, ...]:
        """Who is responsible for an event at a time: by its grid, by its place where the city has no such grid now."""
        where: Place = event.grid if event.grid in self._city.grids else (event.lon, event.lat)
        return self.line_for(where, event.category, at_us)

    def knows(self, worker: str) -> bool:
        """Whether somebody can still be called: in the city, or the command centre."""
        return worker == CENTRE or worker in self._city.workers

    def _upwards(self, code: str) -> Iterable[Shift]:
        if code not in self._city.grids:
            return ()
        return (shift for grid in self._city.upwards(code) for shift in self._shifts.get(grid.code, ()))

    def _person(self, shift: Shift) -> Responsible:
        return Responsible(shift.worker, self._city.workers[shift.worker].name, shift.role, shift.grid)

    def person(self, worker: str, where: str) -> Responsible:
        """A worker as somebody assigned to a case in a grid: their role and node there, else anywhere on the roster.

        Raises KeyError for an unknown worker.
        """
        if worker == CENTRE:
            return self.centre
        name = self._city.workers[worker].name
        own = [shift for shift in self._city.roster if shift.worker == worker and shift.role is not Role.MAINTENANCE]
        here = [shift for shift in self._upwards(where) if shift in own]
        for shift in (*here, *own):
            return Responsible(worker, name, shift.role, shift.grid)
        return Responsible(worker, name, Role.WORKER, None)

    def only_mends(self, worker: str) -> bool:
        """Whether a worker stands on the roster for maintenance alone."""
        roles = {shift.role for shift in self._city.roster if shift.worker == worker}
        return roles == {Role.MAINTENANCE}

    def grid_at(self, lon: float, lat: float) -> str | None:
        """The code of the finest grid that holds a place, the first by code on a border; None outside the city."""
        grids, tree = self._map
        touched = tree.query(shapely.Point(lon, lat), predicate="intersects")
        found = sorted((grids[row] for row in touched), key=lambda grid: (-grid.level.rank, grid.code))
        return found[0].code if found else None

    @cached_property
    def _map(self) -> tuple[list[Grid], shapely.STRtree]:
        grids = list(self._city.grids.values())
        return grids, shapely.STRtree([grid.polygon for grid in grids])


def _once(people: Iterable[Responsible]) -> list[Responsible]:
    seen: dict[str, Responsible] = {}
    for person in people:
        seen.setdefault(person.worker, person)
    return list(seen.values())
