"""The one table of what a broken instrument can show, by quantity. A new quantity that can break is one entry here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from config.quantities import QUANTITIES

_LOGGER = -9999.0  # what data loggers write where there is no value (Campbell Scientific and many others)
_TENTHS, _HUNDREDTHS = 6553.5, 655.35  # a Modbus register of ones, read as tenths or hundredths


@dataclass(frozen=True, slots=True)
class Instrument:
    """A measuring instrument, in the quantity's kept unit.

    accuracy: what a sound one may be wrong by in daily use (> 0), rounded from makers' sheets of what cities buy.
    lowest, highest: the ends of its scale, which no amount of drift passes. stands_at: where it stands when it is
    saturated; only values that no quiet day shows. falls_to: what it shows where there is nothing to show; may be
    empty.
    """

    accuracy: float
    lowest: float
    highest: float
    stands_at: tuple[float, ...] = ()
    falls_to: tuple[float, ...] = ()


# fmt: off
INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType({
    # gas: the zero of catalytic and electrochemical cells wanders by some units; full scales of GB 15322.1-2019 and
    # GB/T 50493-2019 detectors
    "ch4": Instrument(1.5, -5, 100, (-5, 100), (_LOGGER, _TENTHS)),
    "co": Instrument(3, -10, 1000, (-10, 1000), (_LOGGER, 65535.0)),
    "h2s": Instrument(1, -5, 100, (-5, 100), (_LOGGER, _TENTHS)),
    "o2": Instrument(0.3, 0, 30, (0, 30), (0.0, _TENTHS)),
    # air: micro stations; PM2.5 within 5 µg/m³, gases within some ppb, over scales of 1,000 µg/m³ and 500 ppb
    "pm25": Instrument(5, 0, 1000, (0, 1000), (0.0, 65535.0)),
    "pm10": Instrument(8, 0, 1000, (0, 1000), (0.0, 65535.0)),
    "so2": Instrument(6, 0, 1310, (1310,), (_LOGGER,)),
    "no2": Instrument(6, 0, 940, (0, 940), (0.0, _LOGGER)),
    "o3": Instrument(6, 0, 1000, (0, 1000), (0.0, _LOGGER)),
    "co_air": Instrument(150, 0, 57_000, (0, 57_000), (0.0, _LOGGER)),
    # weather. 85 °C is what a DS18B20 holds after power-on, -127 what its usual driver answers without a sensor
    "temperature": Instrument(0.5, -40, 85, (-40, 85), (85.0, -127.0)),
    "humidity": Instrument(3, 0, 100, (0, 100), (0.0, 255.0)),
    "pressure": Instrument(1, 500, 1100, (500, 1100), (0.0, _TENTHS)),
    "wind_speed": Instrument(0.5, 0, 60, (60,), (_TENTHS,)),
    "illuminance": Instrument(10, 0, 54_612, (54_612,), (_LOGGER,)),  # BH1750: 65,535 counts / 1.2
    "noise": Instrument(1.5, 30, 130, (30, 130), (0.0,)),  # class 2 of IEC 61672-1
    # a 4-20 mA loop over 10 m: NAMUR NE 43 signals a failure with 3.6 mA or 21 mA; a cut wire is 0 mA
    "water_level": Instrument(0.01, -0.25, 10.625, (-0.25, 10.625), (-2.5,)),
    # structure: +-15 degrees, +-100 mm, 50 mm, +-2 g
    "tilt": Instrument(0.02, -262, 262, (-262, 262), (_LOGGER, _HUNDREDTHS)),
    "settlement": Instrument(0.05, -100, 100, (-100, 100), (_LOGGER,)),
    "crack": Instrument(0.01, -5, 50, (-5, 50), (_LOGGER,)),
    "vibration": Instrument(0.02, -19.6, 19.6, (-19.6, 19.6), (_LOGGER,)),
    # what is counted
    "people": Instrument(3, 0, 100_000, (), (0.0,)),
    "vehicles": Instrument(3, 0, 100_000, (), (0.0,)),
    "activity": Instrument(3, 0, 10_000),
    # meters: a clamp of 100 A, a pipe of DN 50
    "current": Instrument(0.1, 0, 100, (0, 100), (0.0, _HUNDREDTHS)),
    "water_flow": Instrument(0.05, 0, 50, (50,), (_LOGGER,)),
})
# fmt: on
"""Every quantity whose instrument can lie by itself; switches, scores and pictures are not among them."""

COUNTED = frozenset({"people", "vehicles", "activity"})
"""What is counted by a program does not drift."""

if unknown := INSTRUMENTS.keys() - QUANTITIES.keys():  # pragma: no cover
    raise LookupError(f"instruments of unknown quantities: {', '.join(sorted(unknown))}")
