"""The boxes that hang in a made-up city: what each measures, how often, where it hangs, whose it is.

Intervals: gas and smoke 1 to 60 s, micro air stations 10 min, tilt and settlement minutes to hours, counts of cameras
1 to 10 s, as cities ask of their suppliers. Vibration is measured in bursts of a
second or two, some times an hour (``sensors_sim.physics.burst``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType

from sensors_sim.world import Use

Words = tuple[str, str]


class Where(Enum):
    """What kind of place a box hangs at."""

    BUILDING = auto()
    CROSSING = auto()
    STREET = auto()
    MAIN_STREET = auto()
    UNDERPASS = auto()
    BRIDGE = auto()
    METRO = auto()


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity of a box. share: of the boxes that have it. interval_s: where it is not the box's."""

    quantity: str
    share: float = 1.0
    interval_s: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """One kind of box.

    prefix: of its ids. share: of all boxes, in thousandths (they need not sum to 1,000). uses: how much likelier each
    use of buildings is than a weight of 1. spots: (zh, en) of the spot in or at each use, or the only one. indoor:
    whether it breathes the air of a room. calibrated: whether somebody calibrates it. intervals_s: drawn from these.
    together: how many hang on one building, where anybody hangs one up.
    """

    prefix: str
    share: float
    where: Where
    owner: str
    intervals_s: tuple[int, ...]
    series: tuple[Series, ...]
    spots: Mapping[Use | None, tuple[Words, ...]]
    uses: Mapping[Use, int] = field(default_factory=lambda: MappingProxyType({}))
    indoor: bool = False
    calibrated: bool = False
    together: int = 1


_IMAGE = (
    Series("image_brightness", 0.55, 60),
    Series("image_sharpness", 0.55, 60),
    Series("image_change", 0.55, 60),
)
"""A camera tells how its picture is, or does not: all three have one share, and go together."""

_MICRO = (
    *map(Series, ("pm25", "pm10", "temperature", "humidity")),
    *(Series(name, 0.45) for name in ("no2", "o3")),
    Series("so2", 0.12),
    Series("co_air", 0.12),
    Series("noise", 0.2, 60),
)
_STATION = tuple(
    map(
        Series,
        ("pm25", "pm10", "so2", "no2", "o3", "co_air", "temperature", "humidity", "pressure", "wind_speed", "rain"),
    )
)

H, OLD, SHOP, OFFICE = Use.HOME, Use.OLD_HOME, Use.SHOP, Use.OFFICE
SCHOOL, HOSPITAL, MARKET, STATION, PLANT = Use.SCHOOL, Use.HOSPITAL, Use.MARKET, Use.STATION, Use.PLANT

# fmt: off
BOXES: tuple[Box, ...] = (
    # gas
    Box("gas", 150, Where.BUILDING, "gas-company", (5, 10, 10, 30), (Series("ch4"), Series("co", 0.45)),
        {SHOP: (("面馆后厨", "Kitchen of the noodle house"), ("火锅店后厨", "Kitchen of the hotpot house"),
                ("早餐店后厨", "Kitchen of the breakfast shop")),
         OLD: (("住户厨房", "Kitchen of a flat"), ("老年公寓厨房", "Kitchen of the elders' home")),
         H: (("住户厨房", "Kitchen of a flat"), ("社区食堂", "Community canteen")),
         MARKET: (("熟食摊位", "Cooked-food stall of the market"),), SCHOOL: (("学校食堂", "School canteen"),),
         HOSPITAL: (("医院食堂", "Hospital canteen"),), PLANT: (("锅炉房", "Boiler house"),)},
        {SHOP: 9, OLD: 5, H: 1, MARKET: 60, SCHOOL: 50, HOSPITAL: 60, PLANT: 1}, indoor=True, calibrated=True),
    Box("pit", 40, Where.MAIN_STREET, "gas-company", (30, 60), (Series("ch4"), Series("o2", 0.6)),
        {None: (("阀门井", "Gas valve pit"), ("调压箱", "Gas pressure regulator"))}, calibrated=True),
    Box("sewer", 18, Where.STREET, "water-bureau", (60,), (Series("h2s"), Series("ch4"), Series("o2", 0.5),
        Series("co", 0.1)), {None: (("污水检查井", "Sewer manhole"),)}, calibrated=True),
    # environment
    Box("air", 62, Where.STREET, "environment-bureau", (600,), _MICRO,
        {None: (("路灯杆空气微站", "Micro air station on a lamp post"),)}, calibrated=True),
    Box("station", 4, Where.BUILDING, "environment-bureau", (60,), _STATION,
        {SCHOOL: (("学校楼顶空气站", "Air station on the school's roof"),),
         OFFICE: (("楼顶空气站", "Air station on the roof"),)}, {SCHOOL: 20, OFFICE: 1}, calibrated=True),
    Box("lamp", 78, Where.STREET, "urban-management", (60, 300), (Series("temperature"), Series("humidity", 0.7),
        Series("illuminance", 0.5), Series("wind_speed", 0.1), Series("pressure", 0.08)),
        {None: (("智慧灯杆", "Smart lamp post"),)}),
    Box("noise", 50, Where.MAIN_STREET, "environment-bureau", (10, 30), (Series("noise"),),
        {None: (("噪声监测点", "Noise monitor"),)}, calibrated=True),
    Box("rain", 8, Where.BUILDING, "emergency-bureau", (60,), (Series("rain"), Series("wind_speed", 0.3)),
        {SCHOOL: (("学校楼顶雨量计", "Rain gauge on the school's roof"),),
         OFFICE: (("楼顶雨量计", "Rain gauge on the roof"),)}, {SCHOOL: 10, OFFICE: 1}),
    Box("water", 14, Where.UNDERPASS, "water-bureau", (60,), (Series("water_level"), Series("rain", 0.2)),
        {None: (("积水监测点", "Water gauge"),)}),
    # structure
    Box("tilt", 52, Where.BUILDING, "housing-bureau", (300, 600, 1800), (Series("tilt"), Series("crack", 0.35),
        Series("temperature", 0.1)),
        {OLD: (("老楼山墙", "Gable wall of the old house"), ("老楼承重墙", "Bearing wall of the old house")),
         SCHOOL: (("教学楼外墙", "Wall of the school"),), H: (("居民楼外墙", "Wall of the block of flats"),),
         HOSPITAL: (("住院楼外墙", "Wall of the hospital"),)}, {OLD: 12, SCHOOL: 6, H: 1, HOSPITAL: 6},
        calibrated=True, together=3),
    Box("metro", 26, Where.METRO, "metro-company", (600, 3600), (Series("settlement"), Series("tilt", 0.15)),
        {None: (("地铁沿线沉降点", "Settlement point above the metro"),)}, calibrated=True),
    Box("settle", 10, Where.BUILDING, "housing-bureau", (1800, 3600), (Series("settlement"), Series("crack", 0.2)),
        {OLD: (("老楼基础", "Foundation of the old house"),), H: (("居民楼基础", "Foundation of the block of flats"),)},
        {OLD: 10, H: 1}, calibrated=True, together=2),
    Box("bridge", 8, Where.BRIDGE, "transport-bureau", (1800, 3600), (Series("vibration"), Series("tilt", 0.6, 300),
        Series("settlement", 0.6, 600), Series("crack", 0.3, 600), Series("temperature", 0.3, 300)),
        {None: (("桥墩", "Bridge pier"), ("桥面", "Bridge deck"))}, calibrated=True),
    Box("shake", 8, Where.BUILDING, "housing-bureau", (1800, 3600), (Series("vibration"),),
        {OLD: (("老楼楼板", "Floor of the old house"),), STATION: (("站厅", "Station hall"),)}, {OLD: 3, STATION: 40},
        calibrated=True),
    # cameras
    Box("cross", 40, Where.CROSSING, "police", (5, 10), (Series("vehicles"), Series("people", 0.6), *_IMAGE),
        {None: (("路口摄像机", "Camera at the crossing"),)}),
    Box("crowd", 32, Where.BUILDING, "police", (5, 10), (Series("people"), Series("smoke_score", 0.3),
        Series("fire_score", 0.3), *_IMAGE),
        {MARKET: (("菜市场", "Market"),), STATION: (("车站广场", "Station square"),),
         SCHOOL: (("学校门口", "School gate"),), HOSPITAL: (("医院门诊", "Hospital entrance"),),
         SHOP: (("商业街", "Shopping street"),)}, {MARKET: 150, STATION: 150, SCHOOL: 60, HOSPITAL: 90, SHOP: 1}),
    Box("fire", 34, Where.BUILDING, "fire-brigade", (5, 10), (Series("smoke_score"), Series("fire_score"), *_IMAGE),
        {OLD: (("老楼楼道", "Stairs of the old house"),), MARKET: (("菜市场大厅", "Market hall"),),
         PLANT: (("厂区", "Works yard"),), H: (("电动车棚", "Shed for electric bicycles"),)},
        {OLD: 5, MARKET: 80, PLANT: 4, H: 1}),
    Box("guard", 26, Where.BUILDING, "police", (5, 10), (Series("intrusion_score"), Series("people", 0.4),
        Series("vehicles", 0.15), *_IMAGE),
        {SCHOOL: (("学校围墙", "School fence"),), PLANT: (("厂区围墙", "Works fence"),),
         STATION: (("车站栅栏", "Station fence"),), H: (("小区周界", "Fence of the housing estate"),)},
        {SCHOOL: 60, PLANT: 5, STATION: 60, H: 1}),
    # building
    Box("door", 42, Where.BUILDING, "police", (30,), (Series("door_open"),),
        {H: (("配电房门", "Door of the switch room"), ("单元门", "Door of the stairs")),
         OFFICE: (("消防通道门", "Fire exit"),), SCHOOL: (("学校侧门", "Side door of the school"),),
         MARKET: (("冷库门", "Door of the cold store"),), HOSPITAL: (("药房门", "Door of the pharmacy"),)},
        {H: 1, OFFICE: 3, SCHOOL: 30, MARKET: 40, HOSPITAL: 60}, indoor=True),
    Box("elder", 66, Where.BUILDING, "civil-affairs", (60,), (Series("activity", 0.75), Series("help_button", 0.7)),
        {OLD: (("独居老人家中", "Home of an elder living alone"),),
         H: (("独居老人家中", "Home of an elder living alone"),)},
        {OLD: 4, H: 1}, indoor=True),
    Box("meter", 88, Where.BUILDING, "fire-brigade", (30, 60), (Series("current"), Series("temperature", 0.12, 60)),
        {SHOP: (("商铺配电箱", "Switch box of the shop"),), MARKET: (("摊位配电箱", "Switch box of a stall"),),
         PLANT: (("车间配电柜", "Switchboard of the workshop"),),
         SCHOOL: (("学校配电间", "Switch room of the school"),),
         HOSPITAL: (("医院配电间", "Switch room of the hospital"),)},
        {SHOP: 3, MARKET: 120, PLANT: 3, SCHOOL: 20, HOSPITAL: 60}, indoor=True),
    Box("flow", 52, Where.BUILDING, "water-bureau", (300, 900), (Series("water_flow"),),
        {H: (("楼栋水表", "Water meter of the building"),), OLD: (("楼栋水表", "Water meter of the building"),),
         SCHOOL: (("学校水表", "Water meter of the school"),), MARKET: (("菜市场水表", "Water meter of the market"),)},
        {H: 2, OLD: 1, SCHOOL: 15, MARKET: 20}, indoor=True),
)
# fmt: on
"""Every kind of box; a new one is one entry here."""
