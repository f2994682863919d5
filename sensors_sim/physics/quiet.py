"""Keeps a quiet day quiet: how far every sensor's signal shrinks so that its own place's limits stay far off."""

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.limits import Limit, Side
from sensors_sim.physics.chance import LIVELY
from sensors_sim.physics.course import SPANS
from sensors_sim.physics.signals import SIGNALS, Law, Signal
from sensors_sim.physics.table import SignalTable

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CROWD_SHARE = 0.6
"""In the rush hour of a quiet day a camera counts at most about this share of its place's limit."""
QUIET_SHARE = 0.8
"""No quiet day reaches more than about this share of a sensor's mildest limit."""
_APART = 5.0
"""And a count stays so many of its standard deviations below it."""
_FIELD = 2.5
"""The highest that a field stands, in its standard deviations."""
OUTING_MORE = 0.6
"""By what part an elder moves more while out walking."""
_SURE = 0.75
"""How sure a classifier is at most of something harmless."""


def _mildest(limits: tuple[Limit, ...]) -> float:
    return min((limit.threshold for limit in limits if limit.side is Side.HIGH), default=np.inf)


def mildest_limits(city: City) -> Floats:
    """The lowest HIGH threshold of each sensor, infinite where it has none."""
    columns = city.columns
    found: Floats = columns.quantity.each(lambda name: _mildest(city.limits.by_quantity.get(name, ())), np.float64)
    for sensor_id, limits in city.limits.by_sensor.items():
        if (row := city.sensor_index.get(sensor_id)) is not None:
            found[row] = _mildest(limits)
    return found


def crest(signal: Signal, place: Floats) -> Floats:
    """About the highest values of a quiet day at some places, before the share of chance that counts have.

    place: what each stands off by, as z of ``Signal`` has it.
    """
    gains = ((signal.gain, SPANS[signal.course]), (signal.own_gain, SPANS[signal.own_course]))
    (gain, span), (own_gain, own_span) = gains
    own = 2.0 if signal.own == "sign" else 1.0
    base = signal.level + max(gain * edge for edge in span) + own * max(abs(own_gain * edge) for edge in own_span)
    z = _FIELD * (signal.city + signal.local) + place
    if signal.law is Law.COUNT:
        return base * np.exp(z)
    if signal.law is Law.TALLY:
        return base * np.exp(z + 4 * LIVELY) * (1 + OUTING_MORE)
    if signal.law is Law.BURST:
        return 4.5 * base * np.exp(z)
    value: Floats = (base * np.exp(z) if signal.law is Law.PRODUCT else base + z) + 3 * signal.noise
    return value


def quiet_scale(city: City, rows: Integers, table: SignalTable, place: Floats) -> Floats:
    """The factor on every sensor's whole signal, shape (sensors,). rows: each sensor's in the table.

    place: what each stands off by. A place's crowd limit says how many people come there at all, so counts follow it up
    and down; everything else only shrinks. Weather and oxygen do not ask for limits, and a door or a button is either
    open or not.
    """
    limit = mildest_limits(city)
    law = table.law[rows]
    bound = np.isfinite(limit) & (limit > 0) & ~table.given[rows] & (law != Law.SWITCH) & (law != Law.REST)
    limit = np.where(bound, limit, 1.0)
    crests = np.ones(len(rows))
    for number, signal in enumerate(SIGNALS.values()):
        mine = np.flatnonzero(bound & (rows % len(SIGNALS) == number))
        crests[mine] = crest(signal, place[mine])
    # what is counted: lambda + 5 sqrt(lambda) <= limit
    root = (np.sqrt(_APART**2 + 4 * limit) - _APART) / 2
    most = np.minimum(CROWD_SHARE * limit, root**2)
    scale = np.minimum(1.0, np.where(law == Law.TALLY, most, QUIET_SHARE * limit) / crests)
    return np.where(bound, np.where(law == Law.COUNT, most / crests, scale), 1.0)


def top_score(city: City, confusing: float) -> Floats:
    """How high a confused classifier's score gets at most, shape (sensors,). confusing: see ``District``."""
    if confusing > 1:
        return np.full(len(city.columns), 0.95)
    return np.minimum(_SURE, QUIET_SHARE * mildest_limits(city))
