"""What a run is about: a file that names the weather, how well the devices are, and what happens when."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from config.errors import ConfigurationError
from config.quantities import QUANTITIES
from config.vocabulary import LocalText
from sensors_sim.truth import FaultKind

LIBRARY = Path(__file__).parent / "scenarios"
"""The named scenarios, a YAML file each."""

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_CLOCK = re.compile(r"(?:(\d+)d)? ?(\d{1,4}):([0-5]\d)(?::([0-5]\d))?")


class Sky(StrEnum):
    """The weather of a run."""

    FAIR = "fair"
    HEAT = "heat"  # a hot, still summer
    STAGNANT = "stagnant"  # cold, hardly any wind: what is let out stays
    RAIN = "rain"  # fronts come through
    TYPHOON = "typhoon"  # comes near, passes and leaves


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that is to happen. kind: its entry in ``sensors_sim.happenings``.

    at_s: seconds after the beginning, None for a moment drawn by the seed. lasts_s: None for as long as usual.
    place: a use of buildings (``old_home``, ``market``), a grid's code, or None for anywhere. strength: times the usual
    one. options: what only this kind knows.
    """

    kind: str
    at_s: float | None = None
    lasts_s: float | None = None
    place: str | None = None
    strength: float = 1.0
    options: Mapping[str, float | str] = field(default_factory=lambda: MappingProxyType({}))


def _seconds(given: Any) -> Any:
    """Seconds of ``36:00``, ``2d 12:00``, ``00:20:30`` or a number of them."""
    if isinstance(given, str) and (found := _CLOCK.fullmatch(given.strip())):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    return given


def _zoned(given: datetime) -> datetime:
    if given.tzinfo is not None:
        raise ValueError("expected a local time without zone: the city's own holds")
    return given


def _quantity(given: str) -> str:
    if given not in QUANTITIES:
        raise ValueError(f"expected one of {', '.join(sorted(QUANTITIES))}")
    return given


Span = Annotated[
    float, BeforeValidator(_seconds), Field(ge=0, le=400 * 86_400, description="HH:MM, HH:MM:SS, Nd HH:MM or seconds")
]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Title(_Entry):
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Happens(_Entry):
    """One entry under ``happens``; count: so many of it, each drawn anew. every: or one of it every so often."""

    kind: str = Field(min_length=1)
    at: Span | None = None
    lasts: Span | None = None
    count: int = Field(1, ge=1, le=100_000)
    per_1000_sensors: float = Field(0, ge=0, description="so many for every 1,000 sensors, instead of count")
    place: str | None = None
    strength: float = Field(1.0, gt=0, le=100)
    options: dict[str, float | str] = Field(default_factory=dict)


class Health(_Entry):
    """How well the devices are. share: of all sensors, unhealthy at some time. kinds: the weight of each kind."""

    share: float = Field(0.15, ge=0, le=1)
    kinds: dict[FaultKind, Annotated[float, Field(ge=0)]] | None = None


class Manners(_Entry):
    """How devices send. Shares are of boxes or readings, 0 to 1; spans are seconds."""

    loss: float = Field(0.002, ge=0, le=1, description="share of readings that never arrive")
    duplicates: float = Field(0.001, ge=0, le=1, description="share of readings that arrive twice")
    clock_off: float = Field(0.02, ge=0, le=1, description="share of boxes whose clock is seconds to minutes off")
    batching: float = Field(0.05, ge=0, le=1, description="share of boxes that send several readings at once")
    offline: float = Field(
        0.02, ge=0, le=1, description="share of boxes that are off line once, and send it afterwards"
    )
    reboot: float = Field(0.01, ge=0, le=1, description="share of boxes that start anew once, and miss a minute")
    flat_battery: float = Field(0.002, ge=0, le=1, description="share of boxes whose battery runs out")
    retained: float = Field(0.0, ge=0, le=1, description="share of boxes that publish with the retain flag")


class Scenario(_Entry):
    """A scenario file, checked.

    title, about: for people, in both languages. start: local time of the city. lasts: of the run. sensors: the size
    that it is meant for, where none is asked for. quantities: the only ones measured in a city made up for it, all
    where none is named: a run of weeks is about slow ones.
    """

    title: _Title
    about: _Title
    start: Annotated[datetime, AfterValidator(_zoned)] = datetime(2026, 3, 12, 8)  # noqa: DTZ001 - local, of any city
    lasts: Annotated[Span, Field(gt=0)] = 7200.0
    sensors: int = Field(1000, ge=100, le=500_000)
    quantities: tuple[Annotated[str, AfterValidator(_quantity)], ...] = ()
    sky: Sky = Sky.FAIR
    holiday: bool = False
    health: Health = Health()
    manners: Manners = Manners()
    happens: tuple[Happens, ...] = ()

    @property
    def name(self) -> LocalText:
        """The title."""
        return LocalText(zh=self.title.zh, en=self.title.en)

    def wishes(self, sensors: int) -> list[Wish]:
        """Everything that is to happen in a city with so many sensors."""
        return [
            Wish(one.kind, one.at, one.lasts, one.place, one.strength, MappingProxyType(dict(one.options)))
            for one in self.happens
            for _ in range(max(1, round(one.per_1000_sensors * sensors / 1000)) if one.per_1000_sensors else one.count)
        ]


class _Loader(yaml.SafeLoader):
    """Takes 36:00 for the text that it is: YAML 1.1 counts such numbers by sixties, and would read 36 minutes."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {_INT, _FLOAT}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT, re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$"), list("-+0123456789.")
)


def library() -> dict[str, Path]:
    """The named scenarios and their files, by name."""
    return {path.stem: path for path in sorted(LIBRARY.glob("*.yaml"))}


def load_scenario(name: str) -> Scenario:
    """A scenario of the library by its name, or of a file by its path.

    Raises ConfigurationError naming the file, the line or field, what was found and what is expected.
    """
    known = library()
    path = known.get(name, Path(name))
    if not path.is_file():
        raise ConfigurationError(f"scenario {name!r}: expected one of {', '.join(known)}, or a YAML file")
    try:
        content = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that there is not
        raise ConfigurationError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        told = [
            f"{path}: {'.'.join(map(str, one['loc'])) or 'the file'}: found {one['input']!r:.80}, {one['msg']}"
            for one in error.errors()
        ]
        raise ConfigurationError("\n".join(told)) from error
