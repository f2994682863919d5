"""The limits of a made-up city: by quantity, and those that belong to one place."""

from collections.abc import Sequence

from config.limits import DEFAULT_LIMITS, Limit, LimitTable, Side, limit_table
from config.vocabulary import Severity
from sensors_sim.world import Use

_HIGH, _GENERAL, _LARGER, _MAJOR = Side.HIGH, Severity.GENERAL, Severity.LARGER, Severity.MAJOR

BY_QUANTITY: tuple[Limit, ...] = (
    Limit("noise", _HIGH, _GENERAL, 75, 70, 300, "GB 3096-2008"),
    Limit("noise", _HIGH, _LARGER, 85, 80, 300, "GBZ 2.2-2007"),
    Limit("water_level", _HIGH, _LARGER, 0.15, 0.1, 60, "下穿道路慢行线 / underpass: drive slowly"),
    Limit("water_level", _HIGH, _MAJOR, 0.27, 0.2, 60, "下穿道路封闭线 / underpass: closed"),
    Limit("settlement", _HIGH, _LARGER, 20, 18, 600, "GB 50911-2013，工程师核定 / set by the site's engineer"),
    Limit("settlement", _HIGH, _MAJOR, 30, 28, 600, "GB 50911-2013，工程师核定 / set by the site's engineer"),
    Limit("crack", _HIGH, _LARGER, 1, 0.9, 600, "JGJ 125-2016，工程师核定 / set by the site's engineer"),
    Limit("current", _HIGH, _LARGER, 40, 36, 60, "消防支队核定 / fire brigade"),
    Limit("door_open", _HIGH, _GENERAL, 1, 0, 300, "公安局规定 / police"),
)
"""What holds for every sensor of a quantity, beside the defaults."""

CAPACITY = {
    Use.MARKET: (180, 500),
    Use.STATION: (400, 900),
    Use.SCHOOL: (120, 300),
    Use.HOSPITAL: (150, 350),
    Use.SHOP: (100, 260),
}
"""People for whom a camera's place was counted, least and most; the police have places counted where crowds come."""
BREAKERS_A = (20, 25, 32, 40, 63)
"""Rated currents of the breakers of a shop."""

_COUNTED = "公安核定容量 / capacity counted by the police"
_COUNTED_130 = "核定容量的130 % / 130 % of the capacity"
_BREAKER = "断路器额定电流 GB/T 10963.1-2020 / the breaker's rated current"


def place_limits(ids: Sequence[str], quantity: Sequence[str], use: Sequence[int], choice: Sequence[int]) -> LimitTable:
    """All limits of the city. use: of the building that each sensor is in or on, -1 in the open; choice: as Hung's."""
    by_sensor: dict[str, list[Limit]] = {}
    for id_, name, kind, drawn in zip(ids, quantity, use, choice, strict=True):
        if name == "people" and kind in CAPACITY:
            by_sensor[id_] = _crowd(CAPACITY[Use(kind)], drawn)
        elif name == "current" and kind == Use.SHOP:
            rated = BREAKERS_A[drawn % len(BREAKERS_A)]
            by_sensor[id_] = [Limit(name, _HIGH, _LARGER, rated, round(0.9 * rated, 1), 60, _BREAKER)]
    own = {limit.quantity for limit in BY_QUANTITY}
    kept = [limit for limit in DEFAULT_LIMITS if limit.quantity not in own]
    return limit_table([*kept, *BY_QUANTITY], by_sensor)


def _crowd(between: tuple[int, int], drawn: int) -> list[Limit]:
    steps = (between[1] - between[0]) // 10
    capacity = between[0] + 10 * (drawn % (steps + 1))
    packed = capacity * 13 // 10
    return [
        Limit("people", _HIGH, _LARGER, capacity, capacity * 9 // 10, 30, _COUNTED),
        Limit("people", _HIGH, _MAJOR, packed, capacity * 11 // 10, 30, _COUNTED_130),
    ]


def own_limits(table: LimitTable) -> list[Limit]:
    """Those of a table by quantity that are not the defaults, in its order."""
    return [
        limit
        for quantity, steps in table.by_quantity.items()
        for limit in steps
        if set(steps) != {default for default in DEFAULT_LIMITS if default.quantity == quantity}
    ]
