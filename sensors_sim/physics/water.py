"""Water that runs together: from rain to a pond under a bridge, and out of a broken pipe."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRAVITY_M_S2 = 9.81


def runoff_m3_s(rain_mm_h: Floats, *, catchment_m2: float, runs_off: float) -> Floats:
    """What a sealed catchment sends: the rational method, Q = C i A (Kuichling 1889; GB 50014-2021, 4.1).

    runs_off: C, the share of the rain that does not seep away, 0.85 to 0.95 for asphalt (GB 50014-2021, table 4.1.8).
    """
    value: Floats = runs_off * rain_mm_h / 3.6e6 * catchment_m2
    return value


def routed(inflow: Floats, *, step_s: float, memory_s: float) -> Floats:
    """A flow after its way through a catchment: one linear reservoir, S = k Q (Zoch 1934; Chow 1988, ch. 8.5).

    Means over each step of ``step_s``, of what goes in and of what comes out. memory_s: k, about the time of
    concentration. Starts empty.
    """
    keep = float(np.exp(-step_s / memory_s))
    found, last = np.empty_like(inflow), 0.0
    for index, flow in enumerate(inflow.tolist()):
        last = keep * last + (1 - keep) * flow
        found[index] = last
    return found


def sag_depth_m(volume_m3: Floats, *, gradient: float, width_m: float) -> Floats:
    """Depth of water in the lowest place of a road: V = w h^2 / g, two ramps of gradient g that meet, w wide."""
    value: Floats = np.sqrt(np.maximum(volume_m3, 0.0) * gradient / width_m)
    return value


def pond_m3(inflow_m3_s: Floats, pumped_m3_s: Floats, *, step_s: float, starts_m3: float, most_m3: float) -> Floats:
    """Water standing at the beginning of each step: what ran in less what was pumped (continuity of volume).

    Between 0 and the most. pumped_m3_s: what the pumps can do at each step. They only run above ``starts_m3``, as a
    float switch has them. Beyond ``most_m3`` it flows on to somewhere else.
    """
    found, volume = np.empty_like(inflow_m3_s), 0.0
    for index, (flow, pumps) in enumerate(zip(inflow_m3_s.tolist(), pumped_m3_s.tolist(), strict=True)):
        found[index] = volume
        full = volume + flow * step_s
        volume = min(max(full - pumps * step_s, min(full, starts_m3)), most_m3)
    return found


def jet_m3_s(hole_m2: float, *, head_m: float, discharge: float = 0.6) -> float:
    """Flow out of a hole in a pipe: Cd A sqrt(2 g h) (Torricelli; Cd 0.6 for sharp edges, Lambert 2001 for pipes)."""
    return float(discharge * hole_m2 * np.sqrt(2 * GRAVITY_M_S2 * head_m))
