"""What a sensor's neighbours look at when they judge their own readings: eight bytes of each, so that eight fit a line.

Half a million readings ask eight neighbours each. Their faces would be four times as much to fetch from memory, and
what is computed from them twice as wide; a value to seven digits and a time to an eighth of a second are enough to
say whether a sensor agrees with those around it.
"""

import numpy as np
import numpy.typing as npt

from ingest.model import Bools, Float64s, Int32s, Int64s

Float32s = npt.NDArray[np.float32]

TICK_BITS = 17
"""A tick is so many bits of microseconds: 131 ms."""

FAR_TICKS = 2**30
"""Four years: nobody is heard longer than that."""


def ticks(times_us: Int64s) -> Int32s:
    """Times in ticks, counted round every 17 years: only differences mean anything. Shape (n,) > (n,)."""
    return (times_us >> TICK_BITS).astype(np.int32)


def patience_ticks(spans_us: Int64s) -> Int32s:
    """Spans in whole ticks, rounded up and at most FAR_TICKS. Shape (n,) > (n,)."""
    answer: Int32s = np.minimum((spans_us >> TICK_BITS) + 1, FAR_TICKS).astype(np.int32)
    return answer


class Glances:
    """Of each sensor, and behind them of nobody: the latest value, and when it was measured, in ticks.

    The value is not a number where there is none, or where the sensor is known to be broken.
    """

    def __init__(self, count: int) -> None:
        self.value: Float32s = np.full(count + 1, np.nan, np.float32)
        self.at: Int32s = np.zeros(count + 1, np.int32)

    def see(self, sensor: Int64s, event_us: Int64s, value: Float64s, hidden: Bools) -> None:
        """Take down readings; hidden: those that nobody shall heed."""
        self.at[sensor] = ticks(event_us)
        self.value[sensor] = np.where(hidden, np.nan, value) if np.count_nonzero(hidden) else value
