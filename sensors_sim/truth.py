"""Ground truth: what a simulated run really did to the world and to its sensors, for whoever wants to keep score."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from config.city import City
from config.clock import US_PER_SECOND, from_datetime, isoformat, to_datetime
from config.errors import ConfigurationError
from config.vocabulary import Category, Role, Severity

VERSION = 2
"""Edition of the file's layout."""

AFTERMATH_US = 15 * 60 * US_PER_SECOND
"""A case that begins later than this after the end of something has another cause."""


SHOWN_READINGS = 2
"""An event shows once a sensor that could see it was due to send so many readings of it, and nothing kept it from
sending them."""


class FaultKind(StrEnum):
    """How a sensor was broken."""

    STUCK = "stuck"  # goes on sending one value
    SILENT = "silent"  # sends no more
    SPIKING = "spiking"  # single readings far away
    NOISY = "noisy"  # scatters many times as much as it did
    BIAS = "bias"  # a constant too much or too little, from one reading to the next
    DRIFT = "drift"  # away from the truth at a constant rate
    CURVED_DRIFT = "curved_drift"  # away faster and faster, as a polynomial of time
    SATURATED = "saturated"  # stands at the end of its scale
    DROPOUT = "dropout"  # falls to nothing or to a default value, again and again
    UNIT = "unit"  # sends another unit than it says
    SWAPPED = "swapped"  # sends under another one's name
    CLOCK = "clock"  # its clock is minutes or hours off
    TEMPERATURE_LEAK = "temperature_leak"  # shows the temperature in what it measures
    FROZEN_IMAGE = "frozen_image"
    DARK_IMAGE = "dark_image"
    BLURRED_IMAGE = "blurred_image"
    COVERED_LENS = "covered_lens"


@dataclass(frozen=True, slots=True)
class Episode:
    """Something that really happened in the world.

    lon, lat: WGS-84 degrees of its centre. from_us, to_us: from the first effect until it is too weak to matter.
    sensors: ids of all that could see it (the effect stands above their noise). over_limit: those of them whose
    limit is passed for as long as the limit asks; may be empty. limit_us: when the first of them must be raised,
    None where none is. severity: the gravest limit passed, None where none is. responsible: id of the person to be
    called at that place and time, None where nobody is on duty. responsible_at: the same for the grid of each of the
    sensors, since what spreads is first seen now here, now there. kind: which happening. department: id of the one
    called to the category, None where none is. details: what else the happening tells (a leak rate, a wind).
    """

    name: str
    category: Category
    lon: float
    lat: float
    grid: str
    from_us: int
    to_us: int
    sensors: tuple[str, ...]
    over_limit: tuple[str, ...]
    limit_us: int | None
    severity: Severity | None
    responsible: str | None
    responsible_at: Mapping[str, str | None]
    kind: str = ""
    department: str | None = None
    details: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """A sensor that was broken, while the world around it was not. responsible: who mends devices there."""

    kind: FaultKind
    sensor: str
    lon: float
    lat: float
    grid: str
    from_us: int
    to_us: int
    responsible: str | None


@dataclass(frozen=True, slots=True)
class Silence:
    """Sensors that all fell silent for one cause, which is none of theirs: no power, no network.

    It is neither an event in the world nor a fault of any of them: one case for whoever keeps the devices running, and
    nothing to mend on the spot. kind: which happening. lon, lat: WGS-84 degrees, the middle of the sensors. grid: the
    node of the grid tree that is cut off. from_us, to_us: from the first missing reading until they speak again.
    keeps: whether they measure on meanwhile and send it afterwards. responsible: who mends devices there.
    """

    kind: str
    lon: float
    lat: float
    grid: str
    from_us: int
    to_us: int
    sensors: tuple[str, ...]
    keeps: bool
    responsible: str | None


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything a run staged. not_staged: what could not be, each with its reason (name, reason).

    scenario: its name, empty for the example day. silences: where a power cut or a cut cable stilled many sensors.
    """

    city: str
    seed: int
    start_us: int
    end_us: int
    episodes: tuple[Episode, ...]
    faults: tuple[Fault, ...]
    not_staged: tuple[tuple[str, str], ...] = ()
    scenario: str = ""
    silences: tuple[Silence, ...] = ()

    def touched(self) -> frozenset[str]:
        """Ids of all sensors that anything happened to; an alarm about any other sensor is a false one."""
        seen = {sensor for episode in self.episodes for sensor in episode.sensors}
        seen.update(sensor for silence in self.silences for sensor in silence.sensors)
        return frozenset(seen | {fault.sensor for fault in self.faults})


EVENT_ROLES = (Role.WORKER, Role.DEPUTY, Role.LEADER, Role.CENTRE)
FAULT_ROLES = (Role.MAINTENANCE, Role.CENTRE)


def on_duty(city: City, grid: str, time_us: int, roles: tuple[Role, ...] = EVENT_ROLES) -> str | None:
    """Id of the person on duty for a grid at a time by the city's roster.

    The first role that anybody holds on the grid itself, in the order given; else the same one level up the tree,
    and so on. The roster's order decides between equals. None if nobody is on duty.
    """
    local = to_datetime(time_us).astimezone(city.timezone)
    for node in city.upwards(grid):
        for role in roles:
            for shift in city.roster:
                if shift.grid == node.code and shift.role is role and shift.covers(local):
                    return shift.worker
    return None


def write_truth(truth: Truth, path: Path) -> None:
    """Write a truth file: JSON, times as RFC 3339 in UTC. Overwrites."""

    def plain(entry: Episode | Fault | Silence) -> dict[str, Any]:
        found = asdict(entry)
        for key in [key for key in found if key.endswith("_us")]:
            value = found.pop(key)
            found[key.removesuffix("_us")] = None if value is None else isoformat(value)
        return found

    content = {
        "version": VERSION,
        "city": truth.city,
        "scenario": truth.scenario,
        "seed": truth.seed,
        "from": isoformat(truth.start_us),
        "to": isoformat(truth.end_us),
        "episodes": [plain(episode) for episode in truth.episodes],
        "faults": [plain(fault) for fault in truth.faults],
        "silences": [plain(silence) for silence in truth.silences],
        "not_staged": [{"name": name, "reason": reason} for name, reason in truth.not_staged],
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


class _Entry:
    """One object of the file, read field by field so that every mistake says where it stands."""

    def __init__(self, path: Path, where: str, content: object) -> None:
        self._at = f"{path}: {where}"
        if not isinstance(content, Mapping):
            raise ConfigurationError(f"{self._at}: found {type(content).__name__}, expected an object")
        self._content = content

    def take(self, key: str, expected: type | tuple[type, ...], says: str) -> Any:
        if key not in self._content:
            raise ConfigurationError(f"{self._at}: {key} is missing, expected {says}")
        value = self._content[key]
        if not isinstance(value, expected) or isinstance(value, bool):
            raise ConfigurationError(f"{self._at}: {key} is {value!r}, expected {says}")
        return value

    def text(self, key: str) -> str:
        return str(self.take(key, str, "a text"))

    def maybe_text(self, key: str) -> str | None:
        value = self.take(key, (str, type(None)), "a text or null")
        return None if value is None else str(value)

    def number(self, key: str) -> float:
        return float(self.take(key, (int, float), "a number"))

    def whole(self, key: str) -> int:
        return int(self.take(key, int, "a whole number"))

    def yes_or_no(self, key: str) -> bool:
        if not isinstance(value := self._content.get(key), bool):
            raise ConfigurationError(f"{self._at}: {key} is {value!r}, expected true or false")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise ConfigurationError(f"{self._at}: {key} is {values!r}, expected a list of texts")
        return tuple(values)

    def maybe_texts_by_text(self, key: str) -> dict[str, str | None]:
        content = self.take(key, Mapping, "an object of texts")
        if not all(isinstance(value, str | None) for value in content.values()):
            raise ConfigurationError(f"{self._at}: {key} is {content!r}, expected an object of texts or nulls")
        return dict(content)

    def details(self, key: str) -> dict[str, float | str]:
        content = self.take(key, Mapping, "an object of numbers and texts")
        if not all(isinstance(value, int | float | str) and not isinstance(value, bool) for value in content.values()):
            raise ConfigurationError(f"{self._at}: {key} is {content!r}, expected an object of numbers and texts")
        return dict(content)

    def time_us(self, key: str) -> int:
        value = self.text(key)
        try:
            return from_datetime(datetime.fromisoformat(value))
        except ValueError as error:
            raise ConfigurationError(f"{self._at}: {key} is {value!r}, expected an RFC 3339 time with zone") from error

    def maybe_time_us(self, key: str) -> int | None:
        return None if self.take(key, (str, type(None)), "a time or null") is None else self.time_us(key)

    def one_of(self, key: str, kind: type[StrEnum]) -> Any:
        value = self.text(key)
        try:
            return kind(value)
        except ValueError as error:
            known = ", ".join(member.value for member in kind)
            raise ConfigurationError(f"{self._at}: {key} is {value!r}, expected one of {known}") from error

    def severity(self, key: str) -> Severity | None:
        value = self.take(key, (int, type(None)), "1, 2, 3, 4 or null")
        if value is not None and value not in set(Severity):
            raise ConfigurationError(f"{self._at}: {key} is {value!r}, expected 1, 2, 3, 4 or null")
        return None if value is None else Severity(value)


def _episode(entry: _Entry) -> Episode:
    return Episode(
        name=entry.text("name"),
        category=entry.one_of("category", Category),
        lon=entry.number("lon"),
        lat=entry.number("lat"),
        grid=entry.text("grid"),
        from_us=entry.time_us("from"),
        to_us=entry.time_us("to"),
        sensors=entry.texts("sensors"),
        over_limit=entry.texts("over_limit"),
        limit_us=entry.maybe_time_us("limit"),
        severity=entry.severity("severity"),
        responsible=entry.maybe_text("responsible"),
        responsible_at=entry.maybe_texts_by_text("responsible_at"),
        kind=entry.text("kind"),
        department=entry.maybe_text("department"),
        details=entry.details("details"),
    )


def _fault(entry: _Entry) -> Fault:
    return Fault(
        kind=entry.one_of("kind", FaultKind),
        sensor=entry.text("sensor"),
        lon=entry.number("lon"),
        lat=entry.number("lat"),
        grid=entry.text("grid"),
        from_us=entry.time_us("from"),
        to_us=entry.time_us("to"),
        responsible=entry.maybe_text("responsible"),
    )


def _silence(entry: _Entry) -> Silence:
    return Silence(
        kind=entry.text("kind"),
        lon=entry.number("lon"),
        lat=entry.number("lat"),
        grid=entry.text("grid"),
        from_us=entry.time_us("from"),
        to_us=entry.time_us("to"),
        sensors=entry.texts("sensors"),
        keeps=entry.yes_or_no("keeps"),
        responsible=entry.maybe_text("responsible"),
    )


def read_truth(path: Path) -> Truth:
    """Read a truth file.

    Raises ConfigurationError naming the file, the entry, the field, what was found and what was expected;
    OSError where the file cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from error
    top = _Entry(path, "the file", content)
    if (version := top.whole("version")) != VERSION:
        raise ConfigurationError(f"{path}: the file: version is {version}, expected {VERSION}")
    episodes = top.take("episodes", list, "a list")
    faults = top.take("faults", list, "a list")
    silences = top.take("silences", list, "a list")
    reasons = [
        _Entry(path, f"not_staged[{row}]", entry) for row, entry in enumerate(top.take("not_staged", list, "a list"))
    ]
    return Truth(
        city=top.text("city"),
        seed=top.whole("seed"),
        start_us=top.time_us("from"),
        end_us=top.time_us("to"),
        episodes=tuple(_episode(_Entry(path, f"episodes[{row}]", entry)) for row, entry in enumerate(episodes)),
        faults=tuple(_fault(_Entry(path, f"faults[{row}]", entry)) for row, entry in enumerate(faults)),
        scenario=top.text("scenario"),
        silences=tuple(_silence(_Entry(path, f"silences[{row}]", entry)) for row, entry in enumerate(silences)),
        not_staged=tuple((entry.text("name"), entry.text("reason")) for entry in reasons),
    )
