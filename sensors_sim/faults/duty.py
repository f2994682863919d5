"""Who is on duty where, for very many questions."""

from dataclasses import dataclass, field

from config.city import City, Shift
from config.clock import to_datetime
from config.vocabulary import Role


@dataclass(slots=True)
class Duty:
    """Answers like ``truth.on_duty`` for some roles, looking at each grid's line of shifts once."""

    city: City
    roles: tuple[Role, ...]
    _shifts: dict[tuple[str, Role], list[Shift]] = field(init=False, default_factory=dict)
    _lines: dict[str, list[Shift]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the roster by grid and role; it is the same roster as long as this lives."""
        for shift in self.city.roster:
            self._shifts.setdefault((shift.grid, shift.role), []).append(shift)

    def on(self, grid: str, time_us: int) -> str | None:
        """Id of the person on duty for a grid at a time, None if nobody is. Raises KeyError for an unknown grid."""
        if (line := self._lines.get(grid)) is None:
            nodes = [node.code for node in self.city.upwards(grid)]
            line = [shift for node in nodes for role in self.roles for shift in self._shifts.get((node, role), ())]
            self._lines[grid] = line
        local = to_datetime(time_us).astimezone(self.city.timezone)
        return next((shift.worker for shift in line if shift.covers(local)), None)
