"""What broken sensors show instead of what they measure, as columns over all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND
from config.quantities import QUANTITIES
from config.vocabulary import Kind
from sensors_sim.faults.instruments import INSTRUMENTS
from sensors_sim.faults.plan import IMAGE_KINDS, spoils
from sensors_sim.physics.noise import unit_hash
from sensors_sim.physics.signals import SIGNALS
from sensors_sim.physics.weather import Weather
from sensors_sim.truth import Fault, FaultKind
from sensors_sim.world import World

T = TypeVar("T")
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST_SPIKES = 6
"""A spiking sensor that speaks seldom has about so many all the same."""
REFERENCE_C = 20.0
"""Temperature at which instruments are adjusted (ISO 1)."""
DROPOUT_WINDOW_US = 60_000_000
"""A loose contact opens and closes by the minute."""

_FROZEN, _DARK, _BLURRED, _COVERED = (
    FaultKind.FROZEN_IMAGE,
    FaultKind.DARK_IMAGE,
    FaultKind.BLURRED_IMAGE,
    FaultKind.COVERED_LENS,
)

PICTURES: Mapping[FaultKind, Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        _DARK: {"image_brightness": (0.0, 0.02), "image_sharpness": (0.25, 0.0), "image_change": (0.15, 0.0)},
        _BLURRED: {
            "image_sharpness": (0.2, 0.0), "image_change": (0.6, 0.0), "people": (0.4, 0.0), "vehicles": (0.6, 0.0),
            "smoke_score": (0.7, 0.0), "fire_score": (0.7, 0.0), "intrusion_score": (0.5, 0.0),
        },
        _COVERED: {"image_brightness": (0.0, 0.06), "image_sharpness": (0.0, 0.03), "image_change": (0.0, 0.002)},
    }
)  # fmt: skip
"""What a spoiled picture makes of what was seen: factor and addend, by quantity; counts and scores not named fall to 0.

Without light the sensor's own noise is left (a hundredth of the scale, which also looks like faint edges and change);
a defocused picture loses its edges first and small objects with them (Pertuz et al. 2013, Pattern Recognition 46,
1415); paint or a bag lets some light through and shows nothing. The figures are judgement.
"""


MULTIPLES: Mapping[FaultKind, tuple[float, float]] = MappingProxyType(
    {
        FaultKind.SPIKING: (10, 20),  # and up to twice that
        FaultKind.NOISY: (5, 20),
        FaultKind.BIAS: (4, 12),
        FaultKind.DRIFT: (6, 20),  # at the fault's end
        FaultKind.CURVED_DRIFT: (8, 30),  # the same, by the square or the cube of time
        FaultKind.TEMPERATURE_LEAK: (1, 3),  # per degree
    }
)
"""How far values go, in multiples of a sensor's noise or its accuracy, whichever is larger: between the two."""


@dataclass(frozen=True, slots=True)
class _Victims:
    """All faults of one layer, as columns over its victims. slot: shape (sensors,), each sensor's victim, -1 if none.

    row: the sensor. box: its device. rank: which fault kind. size, shape: what the kind makes of them. low, high: of
    the scale. steps: resolution, as steps per unit. partner: the victim it is swapped with, itself elsewhere.
    """

    slot: NDArray[np.int32]
    row: Integers
    box: Integers
    rank: NDArray[np.int8]
    from_us: Integers
    to_us: Integers
    size: Floats
    shape: Floats
    low: Floats
    high: Floats
    steps: Floats
    partner: Integers

    def on(self, who: Integers, times_us: Integers) -> NDArray[np.bool_]:
        """Whether some victims are broken at a time, pairwise."""
        broken: NDArray[np.bool_] = (times_us >= self.from_us[who]) & (times_us < self.to_us[who])
        return broken


KINDS = tuple(FaultKind)
_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
_UNTOUCHED = frozenset({FaultKind.SILENT, FaultKind.CLOCK})  # their values are right
_EXACT = frozenset({FaultKind.STUCK, FaultKind.DROPOUT, FaultKind.SATURATED, FaultKind.SWAPPED, _FROZEN})


def implied(world: World, faults: Sequence[Fault]) -> list[Fault]:
    """The given faults, and after them those that follow: a spoiled picture spoils all that is read from it."""
    columns = world.city.columns
    told = {(fault.sensor, fault.kind, fault.from_us) for fault in faults}
    pictures = [fault for fault in faults if fault.kind in IMAGE_KINDS]
    if not pictures:
        return list(faults)
    box = columns.device.code
    boxes = {int(box[world.city.sensor_index[fault.sensor]]) for fault in pictures}
    seen = columns.kind.each(lambda name: name == Kind.CAMERA.value, np.bool_) & np.isin(box, sorted(boxes))
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(seen).tolist():
        members.setdefault(int(box[row]), []).append(row)
    more = []
    for fault in pictures:
        for row in members.get(int(box[world.city.sensor_index[fault.sensor]]), ()):
            name = columns.ids[row]
            spoilt = spoils(fault.kind, columns.quantity[row])
            if spoilt and (name, fault.kind, fault.from_us) not in told:
                told.add((name, fault.kind, fault.from_us))
                more.append(replace(fault, sensor=name, lon=float(columns.lon[row]), lat=float(columns.lat[row])))
    return [*faults, *more]


class Faults:
    """What every broken sensor shows. Owns what it must remember: each victim's last sound value.

    Hashes of sensor and time stand for chance, and what is remembered is that of a reading's own moment, so that an
    answer does not depend on how a run is cut into instants (readings of one moment belong to one instant).
    """

    def __init__(
        self, world: World, faults: Sequence[Fault], rng: np.random.Generator, noise: Floats, weather: Weather
    ) -> None:
        """noise: shape (sensors,), standard deviation of what each scatters by on a quiet day, in its kept unit.

        Raises ValueError for swapped sensors without a partner, KeyError for an unknown sensor.
        """
        self.faults = implied(world, faults)
        self._weather = weather
        self._salt = np.int64(rng.integers(1 << 40))
        acting = [fault for fault in self.faults if fault.kind not in _UNTOUCHED]
        rows = np.array([world.city.sensor_index[fault.sensor] for fault in acting], np.int64)
        self._layers: list[tuple[_Victims, Floats]] = []
        # swapped ones first: both of a pair must stand in one layer
        later = np.array([fault.kind is not FaultKind.SWAPPED for fault in acting], np.bool_)
        for layer in _layers(rows, later):
            victims = _victims(world, [acting[place] for place in layer.tolist()], rows[layer], rng, noise)
            self._layers.append((victims, np.full(len(victims.row), np.nan)))

    def apply(self, sensors: Integers, times_us: Integers, values: Floats) -> None:
        """Put what broken sensors show in the place of what they measure, in place.

        sensors, times_us, values: shape (readings,), in order of time; values as the devices would show them.
        Readings of other sensors, and from before ``from_us`` or from ``to_us`` on, are not touched.
        """
        for victims, sound in self._layers:
            slot = victims.slot[sensors]
            hit = np.flatnonzero(slot >= 0)
            if hit.size:
                values[hit] = self._shown(victims, sound, slot[hit].astype(np.int64), times_us[hit], values[hit])

    def _shown(self, victims: _Victims, sound: Floats, who: Integers, times_us: Integers, seen: Floats) -> Floats:
        """What victims show of what they see. sound: their last sound values, kept up to date in place."""
        on = victims.on(who, times_us)
        held, theirs = _remembered(victims, sound, who, times_us, seen)
        rank, all_shown = np.where(on, victims.rank[who], -1), seen.copy()
        for kind in np.unique(rank[on]).tolist():
            mine = np.flatnonzero(rank == kind)
            case = _Case(
                victims, who[mine], times_us[mine], seen[mine], held[mine], theirs[mine], self._weather, self._salt
            )
            shown = _SHOWN[KINDS[kind]](case)
            if KINDS[kind] not in _EXACT:
                shown = case.rounded(np.clip(shown, victims.low[who[mine]], victims.high[who[mine]]))
            all_shown[mine] = shown
        return all_shown


def _remembered(
    victims: _Victims, sound: Floats, who: Integers, times_us: Integers, seen: Floats
) -> tuple[Floats, Floats]:
    """At each reading its victim's last sound value, and what the one it is swapped with saw last, both shape (who,).

    "Last" is at or before the reading's own time. Of one that was never sound the first value counts as sound, of a
    swapped one whatever it sees; what is not known is NaN. sound: as before these readings, kept up to date in place.
    """
    order = np.lexsort((times_us, who))
    whose, when, place = who[order], times_us[order], np.arange(len(who))
    first = np.diff(whose, prepend=-1) != 0
    swapped = victims.rank[who] == _RANK[FaultKind.SWAPPED]
    kept = (~victims.on(who, times_us) | swapped)[order] | (first & np.isnan(sound[whose]))
    last = np.maximum.accumulate(np.where(kept, place, -1))
    begin = np.maximum.accumulate(np.where(first, place, 0))
    held_by_victim = np.where(last >= begin, seen[order][last], sound[whose])
    held, theirs = np.empty(len(who)), np.full(len(who), np.nan)
    held[order] = held_by_victim
    if (asked := np.flatnonzero(swapped)).size:
        start_us, span = int(times_us.min()), int(np.ptp(times_us)) + 1
        partner = victims.partner[who[asked]]
        at = np.searchsorted(
            whose * span + (when - start_us), partner * span + (times_us[asked] - start_us), side="right"
        )
        before = np.maximum(at - 1, 0)
        theirs[asked] = np.where((at > 0) & (whose[before] == partner), held_by_victim[before], sound[partner])
    ends = np.flatnonzero(np.append(first[1:], True))
    sound[whose[ends]] = held_by_victim[ends]
    return held, theirs


@dataclass(frozen=True, slots=True)
class _Case:
    """Readings of one kind of fault, as columns. who: their victims; held, theirs: see ``_remembered``."""

    victims: _Victims
    who: Integers
    times_us: Integers
    seen: Floats
    held: Floats
    theirs: Floats
    weather: Weather
    salt: np.int64

    @property
    def size(self) -> Floats:
        return self.victims.size[self.who]

    @property
    def shape(self) -> Floats:
        return self.victims.shape[self.who]

    def chance(self, what: int) -> Floats:
        """A number in [0, 1) for each reading, the same whenever it is asked for."""
        return unit_hash(self.victims.row[self.who] * 16 + what + self.salt, self.times_us)

    def age(self) -> Floats:
        """How far each fault has come, 0 to 1."""
        begin = self.victims.from_us[self.who]
        share: Floats = (self.times_us - begin) / np.maximum(self.victims.to_us[self.who] - begin, 1)
        return share

    def rounded(self, values: Floats) -> Floats:
        """To the resolution of the devices."""
        steps = self.victims.steps[self.who]
        rounded: Floats = np.rint(values * steps) / steps + 0.0
        return rounded


def _held(case: _Case) -> Floats:
    return case.held


def _frozen(case: _Case) -> Floats:
    # every frame is the one before: nothing changes, and everything else stays as it was
    return np.where(case.shape > 0, 0.0, _held(case))


def _partners(case: _Case) -> Floats:
    return np.where(np.isnan(case.theirs), case.seen, case.theirs)


def _spiking(case: _Case) -> Floats:
    far = np.where(case.chance(1) < 0.5, -1, 1) * (1 + case.chance(2)) * case.size
    return np.where(case.chance(0) < case.shape, case.seen + far, case.seen)


def _noisy(case: _Case) -> Floats:
    # a normal number from two even ones (Box and Muller 1958, Ann. Math. Statist. 29, 610)
    normal = np.sqrt(-2 * np.log1p(-case.chance(0))) * np.cos(2 * np.pi * case.chance(1))
    shown: Floats = case.seen + case.size * normal
    return shown


def _dropout(case: _Case) -> Floats:
    box = case.victims.box[case.who]
    window = unit_hash(box * 16 + case.salt, case.times_us // DROPOUT_WINDOW_US)
    return np.where(window < case.shape, case.size, case.seen)


def _unit(case: _Case) -> Floats:
    # size: the factor, shape: the offset of kept = factor * given + offset
    return (case.seen - case.shape) / case.size


def _temperature(case: _Case) -> Floats:
    return case.seen + case.size * (case.weather.temperature_c(case.times_us) - REFERENCE_C)


_SHOWN: Mapping[FaultKind, Callable[[_Case], Floats]] = MappingProxyType(
    {
        FaultKind.STUCK: _held,
        FaultKind.SPIKING: _spiking,
        FaultKind.NOISY: _noisy,
        FaultKind.BIAS: lambda case: case.seen + case.size,
        FaultKind.DRIFT: lambda case: case.seen + case.size * case.age(),
        FaultKind.CURVED_DRIFT: lambda case: case.seen + case.size * case.age() ** case.shape,
        FaultKind.SATURATED: lambda case: case.size,
        FaultKind.DROPOUT: _dropout,
        FaultKind.UNIT: _unit,
        FaultKind.SWAPPED: _partners,
        FaultKind.TEMPERATURE_LEAK: _temperature,
        _FROZEN: _frozen,
        _DARK: lambda case: case.seen * case.size + case.shape,
        _BLURRED: lambda case: case.seen * case.size + case.shape,
        _COVERED: lambda case: case.seen * case.size + case.shape,
    }
)
"""What each kind shows. Constant, offset, gain, outlier, spike, noise, stuck-at, high noise or variance and drift are
the taxonomy of Ni et al. 2009 (ACM Trans. Sensor Networks 5(3), 25); polynomial drift is de Bruijn et al. 2016
(SENSORNETS, 185)."""


def _layers(rows: Integers, later: NDArray[np.bool_]) -> list[Integers]:
    """Places of the faults, so that no sensor stands in one layer twice; those not told to be later come first."""
    order = np.lexsort((later, rows))
    alike = rows[order]
    begins = np.flatnonzero(np.concatenate(([True], alike[1:] != alike[:-1]))) if len(rows) else order
    within = np.arange(len(rows)) - np.repeat(begins, np.diff(np.append(begins, len(rows))))
    return [np.sort(order[within == number]) for number in range(int(within.max(initial=-1)) + 1)]


def _victims(
    world: World, faults: Sequence[Fault], rows: Integers, rng: np.random.Generator, noise: Floats
) -> _Victims:
    columns = world.city.columns
    slot = np.full(len(columns), -1, np.int32)
    slot[rows] = np.arange(len(rows))
    names = [columns.quantity.names[code] for code in columns.quantity.code[rows].tolist()]
    drawn = rng.random((len(rows), 4))
    size, shape, low, high, steps = (np.zeros(len(rows)) for _ in range(5))
    box = columns.device.code[rows]
    together = rng.random(len(columns.device.names))[box]  # what the sensors of one box share
    for place, (fault, name) in enumerate(zip(faults, names, strict=True)):
        quantity, instrument = QUANTITIES[name], INSTRUMENTS.get(name)
        low[place], high[place] = quantity.low, quantity.high
        if instrument is not None:
            low[place], high[place] = instrument.lowest, instrument.highest
        steps[place] = SIGNALS[name].steps
        accuracy = instrument.accuracy if instrument is not None else 1 / steps[place]
        scale = max(float(noise[rows[place]]), accuracy)
        size[place], shape[place] = _drawn(fault.kind, name, scale, drawn[place].tolist(), float(together[place]))
        if fault.kind is FaultKind.SPIKING:
            readings = (fault.to_us - fault.from_us) / US_PER_SECOND / float(columns.interval_s[rows[place]])
            shape[place] = max(shape[place], min(LEAST_SPIKES / readings, 1.0))
        if fault.kind is FaultKind.UNIT:
            low[place], high[place] = -np.inf, np.inf
            steps[place] = 10.0 ** np.ceil(np.round(np.log10(SIGNALS[name].steps * abs(size[place])), 9))
    return _Victims(
        slot=slot,
        row=rows,
        box=box.astype(np.int64),
        rank=np.array([_RANK[fault.kind] for fault in faults], np.int8),
        from_us=np.array([fault.from_us for fault in faults], np.int64),
        to_us=np.array([fault.to_us for fault in faults], np.int64),
        size=size,
        shape=shape,
        low=low,
        high=high,
        steps=steps,
        partner=_paired(world, faults, rows),
    )


def _drawn(kind: FaultKind, name: str, scale: float, drawn: list[float], box: float) -> tuple[float, float]:
    """(size, shape) of one fault. scale: the larger of a sensor's noise and its accuracy; drawn, box: 0 to 1."""
    first, second, third, _ = drawn
    if kind is _FROZEN:
        return 0.0, float(name == "image_change")
    if kind in PICTURES:
        return PICTURES[kind].get(name, (1.0 if name.startswith("image_") else 0.0, 0.0))
    if kind in MULTIPLES:
        least, most = MULTIPLES[kind]
        size = (least + (most - least) * first) * scale
        shape = 0.02 + 0.06 * third if kind is FaultKind.SPIKING else float(2 + (third < 0.5))
        return (size if kind in {FaultKind.SPIKING, FaultKind.NOISY} or second < 0.5 else -size), shape
    if kind is FaultKind.UNIT:
        return _one_of([pair for pair in QUANTITIES[name].conversions.values() if pair != (1.0, 0.0)], first)
    if kind in {FaultKind.SATURATED, FaultKind.DROPOUT}:
        instrument = INSTRUMENTS[name]
        choices = instrument.stands_at if kind is FaultKind.SATURATED else instrument.falls_to
        return _one_of(choices, first), 0.3 + 0.3 * box
    return 0.0, 0.0


def _one_of(choices: Sequence[T], drawn: float) -> T:
    return choices[int(drawn * len(choices))]


def _paired(world: World, faults: Sequence[Fault], rows: Integers) -> Integers:
    """The victim each swapped one is swapped with: the next of the same quantity, interval, beginning and end."""
    columns = world.city.columns
    partner = np.arange(len(rows))
    waiting: dict[tuple[int, float, int, int], int] = {}
    for place, fault in enumerate(faults):
        if fault.kind is not FaultKind.SWAPPED:
            continue
        row = rows[place]
        alike = (int(columns.quantity.code[row]), float(columns.interval_s[row]), fault.from_us, fault.to_us)
        if (other := waiting.pop(alike, None)) is None:
            waiting[alike] = place
        else:
            partner[place], partner[other] = other, place
    if waiting:
        alone = ", ".join(faults[place].sensor for place in waiting.values())
        raise ValueError(f"swapped sensors without one of their quantity to be swapped with: {alone}")
    return partner
