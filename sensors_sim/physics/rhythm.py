"""The day's rhythms: how far a quantity stands from its mean at each hour, as a factor between -1 and 1."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_HOURS = np.arange(24)


def _sine(peak_hour: float) -> Floats:
    """One wave a day with its crest at ``peak_hour``."""
    wave: Floats = np.cos((_HOURS - peak_hour) * (2 * np.pi / 24))
    return wave


def _sunlight() -> Floats:
    """Half a sine from 6 to 18 o'clock, 0 at night: the sun's height at an equinox."""
    height: Floats = np.maximum(0.0, np.sin((_HOURS - 6) * (np.pi / 12)))
    return height


# fmt: off
_TABLE: dict[str, Floats] = {
    "flat": np.zeros(24),
    # Air is coldest at dawn and warmest two to three hours after noon (Stull, Meteorology for Scientists, ch. 3).
    "warmth": _sine(14.5),
    "damp": -_sine(14.5),
    "sun": _sunlight(),
    # Two rush hours, a shallow noon, a quiet night: the double peak of urban PM2.5, NO2, traffic and street noise
    # (Zhao et al. 2009, Atmospheric Environment 43, 3970: diurnal PM2.5 of Beijing).
    "traffic": np.array([-.6, -.8, -.9, -1, -.9, -.6, 0, .7, 1, .7, .4, .3,
                         .3, .2, .2, .3, .5, .9, 1, .8, .5, .2, -.1, -.4]),
    # People in the street: from a morning rise over a lunch peak to an evening peak, empty before dawn
    # (the shape of the City of Melbourne's pedestrian counters on workdays).
    "street": np.array([-.7, -.9, -1, -1, -1, -.8, -.4, .2, .6, .4, .3, .5,
                        .8, .8, .5, .5, .7, 1, .9, .5, .2, 0, -.2, -.5]),
    # Shops and offices: on from eight to eight.
    "shop": np.array([-1, -1, -1, -1, -1, -1, -.9, -.5, .3, .8, 1, 1, 1, 1, 1, 1, 1, .9, .8, .6, .1, -.4, -.8, -1]),
    # Water use of homes: a morning and an evening peak (residential patterns of EPANET's manual, ch. 3).
    "water": np.array([-.6, -.8, -.9, -.9, -.7, -.2, .5, 1, .7, .3, .2, .3,
                       .4, .2, 0, 0, .2, .5, .9, 1, .7, .3, -.1, -.4]),
}
# fmt: on

RHYTHMS: Mapping[str, int] = MappingProxyType({name: row for row, name in enumerate(_TABLE)})
"""The row of every rhythm in the columns of ``at_hour``."""

_ROWS = np.vstack(list(_TABLE.values()))


def at_hour(hour: float) -> Floats:
    """Every rhythm at a local hour of the day (0 to 24, fractions allowed), in the order of RHYTHMS.

    Linear between the hours, over midnight too.

    >>> float(at_hour(0.5)[RHYTHMS["flat"]])
    0.0
    """
    whole = int(np.floor(hour))
    part = hour - whole
    row: Floats = _ROWS[:, whole % 24] * (1 - part) + _ROWS[:, (whole + 1) % 24] * part
    return row
