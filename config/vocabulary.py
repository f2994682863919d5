"""The field's words, shared by every room. The glossary in docs/architecture.md explains each."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


@dataclass(frozen=True, slots=True)
class LocalText:
    """A text that people see, in both languages."""

    zh: str
    en: str


class Language(StrEnum):
    """A language of the screens and pushes."""

    ZH = "zh"
    EN = "en"


class Kind(StrEnum):
    """A family of sensors (传感器类别)."""

    GAS = "gas"
    ENVIRONMENT = "environment"
    STRUCTURE = "structure"
    CAMERA = "camera"
    BUILDING = "building"


class GridLevel(StrEnum):
    """A level of the grid tree, widest first (区-街道-社区-网格)."""

    DISTRICT = "district"
    STREET = "street"
    COMMUNITY = "community"
    GRID = "grid"

    @property
    def rank(self) -> int:
        """Depth in the tree: 0 for a district, 3 for a grid."""
        return list(GridLevel).index(self)


class Severity(IntEnum):
    """The four official levels of an event; the smaller the number, the worse."""

    EXTREME = 1  # I 特别重大, red
    MAJOR = 2  # II 重大, orange
    LARGER = 3  # III 较大, yellow
    GENERAL = 4  # IV 一般, blue

    def worse_than(self, other: "Severity") -> bool:
        """Whether this level is graver than the other."""
        return self < other


class Role(StrEnum):
    """What a person is on a roster, in the order in which they are asked."""

    WORKER = "worker"  # 网格员
    DEPUTY = "deputy"  # the worker's stand-in
    LEADER = "leader"  # 网格长
    CENTRE = "centre"  # 指挥中心 on duty
    MAINTENANCE = "maintenance"  # mends devices, takes fault tickets

    @property
    def rank(self) -> int:
        """Order of being asked: 0 first."""
        return list(Role).index(self)


class Category(StrEnum):
    """What a grid event is about; decides the department beside the grid worker."""

    GAS_LEAK = "gas_leak"
    AIR_POLLUTION = "air_pollution"
    WEATHER = "weather"
    NOISE = "noise"
    FLOODING = "flooding"
    STRUCTURE_DANGER = "structure_danger"
    CROWD = "crowd"
    TRAFFIC = "traffic"
    FIRE = "fire"
    INTRUSION = "intrusion"
    CARE = "care"
    ELECTRICAL = "electrical"
    WATER_SUPPLY = "water_supply"
