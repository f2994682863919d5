"""The one table of quantities: unit, conversions, physical range, what an event about it is called.

A new quantity is one entry here (and its two names in the messages tables, ``quantity.<name>``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from config.vocabulary import Category, Kind


@dataclass(frozen=True, slots=True)
class Quantity:
    """What can be measured.

    unit: the unit in which values are kept. ``conversions``: other units accepted, each with (factor, offset)
    so that kept = factor * given + offset. low, high: the physical range in the kept unit; a value outside
    cannot be true of any world and is refused. reach: what an instrument may still mean beyond that range, where
    a limit makes it dangerous: such a value counts as the end of the range. life_safety: alarms about it are never
    held back by statistics. shared: neighbours see the same field, so a lonely deviation speaks against the sensor.
    steps: the value may rest unchanged for long (a count, a score, a switch), so resting says nothing about the sensor.
    """

    name: str
    kind: Kind
    unit: str
    low: float
    high: float
    category: Category
    life_safety: bool = False
    shared: bool = False
    steps: bool = False
    reach: tuple[float, float] | None = None
    conversions: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))

    def factor(self, unit: str | None) -> tuple[float, float] | None:
        """(factor, offset) into the kept unit; None if the unit is not known. No unit means the kept one."""
        if unit is None or unit == self.unit:
            return (1.0, 0.0)
        return self.conversions.get(unit)


_UGM3 = MappingProxyType({"ug/m3": (1.0, 0.0), "μg/m³": (1.0, 0.0), "mg/m³": (1000.0, 0.0), "mg/m3": (1000.0, 0.0)})
_RATIO = MappingProxyType({"/": (1.0, 0.0), "%": (0.01, 0.0)})
_COUNT = MappingProxyType({"count": (1.0, 0.0)})

# fmt: off
_TABLE = (
    # gas: a little below nothing for an instrument's drift; ch4 up to pure gas, others up to an instrument's scale
    Quantity("ch4", Kind.GAS, "%LEL", -5, 2000, Category.GAS_LEAK, life_safety=True, reach=(-5, 2200),
             conversions=MappingProxyType({"%VOL": (20.0, 0.0)})),  # GB/T 50493-2019: 5 %VOL methane is 100 %LEL
    Quantity("co", Kind.GAS, "ppm", -10, 2000, Category.GAS_LEAK, life_safety=True,
             reach=(-10, 1_000_000)),  # pure gas
    Quantity("h2s", Kind.GAS, "ppm", -5, 500, Category.GAS_LEAK, life_safety=True, reach=(-5, 1_000_000)),
    Quantity("o2", Kind.GAS, "%VOL", 0, 100, Category.GAS_LEAK, life_safety=True, reach=(-5, 110)),
    # environment
    Quantity("pm25", Kind.ENVIRONMENT, "µg/m³", 0, 2000, Category.AIR_POLLUTION, shared=True, conversions=_UGM3),
    Quantity("pm10", Kind.ENVIRONMENT, "µg/m³", 0, 5000, Category.AIR_POLLUTION, shared=True, conversions=_UGM3),
    Quantity("so2", Kind.ENVIRONMENT, "µg/m³", 0, 3000, Category.AIR_POLLUTION, shared=True, conversions=_UGM3),
    Quantity("no2", Kind.ENVIRONMENT, "µg/m³", 0, 2000, Category.AIR_POLLUTION, shared=True, conversions=_UGM3),
    Quantity("o3", Kind.ENVIRONMENT, "µg/m³", 0, 1500, Category.AIR_POLLUTION, shared=True, conversions=_UGM3),
    Quantity("co_air", Kind.ENVIRONMENT, "µg/m³", 0, 100_000, Category.AIR_POLLUTION, shared=True, conversions=_UGM3),
    Quantity("temperature", Kind.ENVIRONMENT, "°C", -60, 85, Category.WEATHER, shared=True,
             conversions=MappingProxyType({"Cel": (1.0, 0.0), "C": (1.0, 0.0), "K": (1.0, -273.15),
                                           "°F": (5 / 9, -160 / 9), "F": (5 / 9, -160 / 9)})),
    Quantity("humidity", Kind.ENVIRONMENT, "%", 0, 105, Category.WEATHER, shared=True,
             conversions=MappingProxyType({"%RH": (1.0, 0.0)})),
    Quantity("pressure", Kind.ENVIRONMENT, "hPa", 500, 1100, Category.WEATHER, shared=True,
             conversions=MappingProxyType({"Pa": (0.01, 0.0), "kPa": (10.0, 0.0), "mmHg": (1.333224, 0.0),
                                           "inHg": (33.86389, 0.0)})),  # conventional ones, NIST SP 811, appendix B
    Quantity("wind_speed", Kind.ENVIRONMENT, "m/s", 0, 90, Category.WEATHER, shared=True,
             conversions=MappingProxyType({"km/h": (1 / 3.6, 0.0)})),
    Quantity("rain", Kind.ENVIRONMENT, "mm", 0, 500, Category.WEATHER, shared=True, steps=True),
    Quantity("illuminance", Kind.ENVIRONMENT, "lx", 0, 150_000, Category.WEATHER, shared=True, steps=True,
             conversions=MappingProxyType({"lux": (1.0, 0.0)})),
    Quantity("noise", Kind.ENVIRONMENT, "dB", 0, 150, Category.NOISE,
             conversions=MappingProxyType({"dB(A)": (1.0, 0.0)})),
    Quantity("water_level", Kind.ENVIRONMENT, "m", -20, 100, Category.FLOODING,
             conversions=MappingProxyType({"cm": (0.01, 0.0), "mm": (0.001, 0.0)})),
    # structure
    Quantity("tilt", Kind.STRUCTURE, "mm/m", -500, 500, Category.STRUCTURE_DANGER,
             conversions=MappingProxyType({"°": (17.4533, 0.0), "deg": (17.4533, 0.0)})),  # small angles
    Quantity("settlement", Kind.STRUCTURE, "mm", -2000, 2000, Category.STRUCTURE_DANGER,
             conversions=MappingProxyType({"cm": (10.0, 0.0), "m": (1000.0, 0.0)})),
    Quantity("crack", Kind.STRUCTURE, "mm", -5, 200, Category.STRUCTURE_DANGER),
    Quantity("vibration", Kind.STRUCTURE, "m/s²", -200, 200, Category.STRUCTURE_DANGER,
             conversions=MappingProxyType({"m/s2": (1.0, 0.0), "g": (9.80665, 0.0)})),
    # camera
    Quantity("people", Kind.CAMERA, "1", 0, 100_000, Category.CROWD, steps=True, conversions=_COUNT),
    Quantity("vehicles", Kind.CAMERA, "1", 0, 100_000, Category.TRAFFIC, steps=True, conversions=_COUNT),
    Quantity("smoke_score", Kind.CAMERA, "1", 0, 1, Category.FIRE, life_safety=True, steps=True, reach=(0, 1.1),
             conversions=_RATIO),
    Quantity("fire_score", Kind.CAMERA, "1", 0, 1, Category.FIRE, life_safety=True, steps=True, reach=(0, 1.1),
             conversions=_RATIO),
    Quantity("intrusion_score", Kind.CAMERA, "1", 0, 1, Category.INTRUSION, steps=True, conversions=_RATIO),
    # camera, of the picture itself: mean brightness, sharpness of edges, share of it that changed since the last one
    Quantity("image_brightness", Kind.CAMERA, "1", 0, 1, Category.INTRUSION, steps=True, conversions=_RATIO),
    Quantity("image_sharpness", Kind.CAMERA, "1", 0, 1, Category.INTRUSION, steps=True, conversions=_RATIO),
    Quantity("image_change", Kind.CAMERA, "1", 0, 1, Category.INTRUSION, steps=True, conversions=_RATIO),
    # building
    Quantity("door_open", Kind.BUILDING, "1", 0, 1, Category.INTRUSION, steps=True),
    Quantity("help_button", Kind.BUILDING, "1", 0, 1, Category.CARE, life_safety=True, steps=True,
             reach=(0, 255)),  # some send how often it was pressed
    Quantity("activity", Kind.BUILDING, "1", 0, 10_000, Category.CARE, steps=True, conversions=_COUNT),
    Quantity("current", Kind.BUILDING, "A", 0, 2000, Category.ELECTRICAL,
             conversions=MappingProxyType({"mA": (0.001, 0.0)})),
    Quantity("water_flow", Kind.BUILDING, "m³/h", 0, 10_000, Category.WATER_SUPPLY, steps=True,
             conversions=MappingProxyType({"m3/h": (1.0, 0.0), "L/min": (0.06, 0.0)})),
)

# fmt: on

QUANTITIES: Mapping[str, Quantity] = MappingProxyType({quantity.name: quantity for quantity in _TABLE})
"""Every quantity by its name."""
