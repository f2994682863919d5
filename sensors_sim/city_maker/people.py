"""The people and departments of a made-up city, and who is on duty when. Names and numbers are plainly made up."""

from collections.abc import Iterator, Sequence
from datetime import time

from config.city import Department, Shift, Worker
from config.vocabulary import Category, LocalText, Role

# fmt: off
_DEPARTMENTS = {
    "gas-company": ("燃气公司", "Gas company", (Category.GAS_LEAK,)),
    "environment-bureau": ("生态环境局", "Environment bureau", (Category.AIR_POLLUTION, Category.NOISE)),
    "water-bureau": ("水务局", "Water bureau", (Category.FLOODING, Category.WATER_SUPPLY)),
    "housing-bureau": ("住房和建设局", "Housing bureau", (Category.STRUCTURE_DANGER,)),
    "fire-brigade": ("消防救援支队", "Fire brigade", (Category.FIRE, Category.ELECTRICAL)),
    "police": ("公安局", "Police", (Category.CROWD, Category.TRAFFIC, Category.INTRUSION)),
    "civil-affairs": ("民政局", "Civil affairs bureau", (Category.CARE,)),
    "emergency-bureau": ("应急管理局", "Emergency bureau", (Category.WEATHER,)),
    "metro-company": ("地铁公司", "Metro company", ()),
    "transport-bureau": ("交通运输局", "Transport bureau", ()),
    "urban-management": ("城市管理局", "Urban management bureau", ()),
    "health-bureau": ("卫生健康局", "Health bureau", ()),
}
# fmt: on
_WEEK = frozenset(range(7))
_SUNDAY, _SATURDAY = 6, 5
_DAWN, _WEEKEND_DAWN, _DUSK = time(7, 30), time(8), time(19, 30)
_NIGHTS = ((0, 3), (1, 4), (2, 5), (6,))  # mon and thu, tue and fri, wed and sat, sun
_TEAMS = (("day", "日班", "day", time(8), time(20)), ("night", "夜班", "night", time(20), time(8)))


def departments() -> dict[str, Department]:
    """The twelve departments, by id."""
    return {
        id_: Department(id_, LocalText(zh, en), frozenset(categories), f"000-0001-{number:04d}")
        for number, (id_, (zh, en, categories)) in enumerate(_DEPARTMENTS.items(), start=1)
    }


class Staff:
    """Hires people and writes the roster, area by area."""

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self.roster: list[Shift] = []
        self._count = 0

    def _hire(self, id_: str, zh: str, en: str) -> str:
        self._count += 1
        phone = f"000-{self._count // 10_000 + 1000:04d}-{self._count % 10_000:04d}"
        self.workers[id_] = Worker(id_, LocalText(f"样例{zh}", f"Sample {en}"), phone, ("mqtt",))
        return id_

    def district(self, code: str) -> None:
        """Centre and maintenance of a district, by day and by night."""
        for role, zh, en in ((Role.CENTRE, "值班员", "Duty Officer"), (Role.MAINTENANCE, "维修员", "Technician")):
            for id_, team_zh, team_en, start, end in _TEAMS:
                person = self._hire(f"{role.value}-{id_}-{code}", f"{zh}{code}{team_zh}", f"{en} {code} {team_en}")
                self.roster.append(Shift(code, person, role, _WEEK, start, end))

    def street(self, code: str) -> None:
        """The leader whom the whole street can call at any hour."""
        person = self._hire(f"leader-{code}", f"街道网格长{code}", f"Street Leader {code}")
        self.roster.append(Shift(code, person, Role.LEADER, _WEEK, time(0), time(0)))

    def community(self, code: str, grids: Sequence[str]) -> None:
        """A worker a grid, who share the weekends in pairs and stand in for each other at night; a leader by day.

        A stand-in makes an odd number even.
        """
        leader = self._hire(f"leader-{code}", f"社区网格长{code}", f"Community Leader {code}")
        pool = [self._hire(f"w-{grid}", f"网格员{grid}", f"Worker {grid}") for grid in grids]
        if len(pool) % 2:
            pool.append(self._hire(f"d-{code}", f"机动网格员{code}", f"Stand-in {code}"))
        for row, grid in enumerate(grids):
            self.roster += _days(grid, pool[row], pool[row ^ 1], first=row % 2 == 0)
        for turn, nights in enumerate(_NIGHTS):
            person = pool[turn % len(pool)]
            self.roster.append(Shift(code, person, Role.DEPUTY, frozenset(nights), _DUSK, _WEEKEND_DAWN))
        self.roster.append(Shift(code, leader, Role.LEADER, _WEEK, _DAWN, _DUSK))


def _days(grid: str, own: str, other: str, *, first: bool) -> Iterator[Shift]:
    """A grid's day shifts: its own worker but for one day of the weekend, the other of the pair on that."""
    free = _SUNDAY if first else _SATURDAY
    yield Shift(grid, own, Role.WORKER, _WEEK - {free}, _DAWN, _DUSK)
    yield Shift(grid, other, Role.WORKER, frozenset({free}), _DAWN, _DUSK)
