"""The table of signals as columns: a row for each quantity in the open, and one for each in a room."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from config.quantities import QUANTITIES
from config.sensors import Labels
from config.vocabulary import Kind
from sensors_sim.physics.course import COURSES
from sensors_sim.physics.rhythm import RHYTHMS, usual_workday
from sensors_sim.physics.signals import SIGNALS, Law, Signal

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SCALED = frozenset({Law.PRODUCT, Law.COUNT, Law.TALLY, Law.SWITCH, Law.BURST})


class SignalTable:
    """Every field of ``Signal`` as a column of shape (2 * quantities,), rooms in the second half.

    course, own_course: columns of ``Courses.at``. rhythm: row of RHYTHMS, 0 where none. scaled: places and fields are
    factors. workday: mean of own_gain * rhythm over a workday. low, high: what a device can show.
    """

    def __init__(self) -> None:
        names = list(SIGNALS)
        signals = [(SIGNALS[name], indoor) for indoor in (False, True) for name in names]

        def column(value: Callable[[Signal], float]) -> Floats:
            return np.array([value(signal) for signal, _ in signals], dtype=np.float64)

        def courses(place: int) -> Integers:
            found = []
            for signal, indoor in signals:
                outside = (signal.course, signal.own_course)
                found.append(COURSES[((signal.indoors if indoor else None) or outside)[place]])
            return np.array(found, dtype=np.int64)

        self.law: Integers = np.array([signal.law for signal, _ in signals], dtype=np.int64)
        self.level = column(lambda signal: signal.level)
        self.gain = column(lambda signal: signal.gain)
        self.own_gain = column(lambda signal: signal.own_gain)
        self.city = column(lambda signal: signal.city)
        self.local = column(lambda signal: signal.local)
        self.place = column(lambda signal: signal.place)
        self.dense = column(lambda signal: signal.dense)
        self.noise = column(lambda signal: signal.noise)
        self.memory_s = column(lambda signal: signal.memory_s)
        self.steps = column(lambda signal: signal.steps)
        self.course, self.own_course = courses(0), courses(1)
        self.rhythm: Integers = np.array([RHYTHMS.get(signal.own, 0) for signal, _ in signals], dtype=np.int64)
        self.rhythmic: Bools = np.array([signal.own in RHYTHMS for signal, _ in signals])
        self.by_density: Bools = np.array([signal.own == "density" for signal, _ in signals])
        self.given: Bools = np.array([signal.given for signal, _ in signals])
        self.scaled: Bools = np.array([signal.law in _SCALED for signal, _ in signals])
        self.field: Integers = np.array([names.index(signal.field or name) for signal, name in zip(
            [signal for signal, _ in signals], names * 2, strict=True)], dtype=np.int64)  # fmt: skip
        self.workday = column(
            lambda signal: signal.own_gain * usual_workday(signal.own) if signal.own in RHYTHMS else 0.0
        )
        kinds = [QUANTITIES[name] for name in names * 2]
        self.low: Floats = np.array([0.0 if kind.kind is Kind.GAS else kind.low for kind in kinds])
        self.high: Floats = np.array([kind.high for kind in kinds])

    def rows(self, quantity: Labels, indoor: Bools) -> Integers:
        """The row of each sensor. indoor: whether it breathes the air of a room."""
        place = {name: row for row, name in enumerate(SIGNALS)}
        outside: Integers = quantity.each(lambda name: place[name], np.int64)
        return np.where(indoor, outside + len(SIGNALS), outside)
