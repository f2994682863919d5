"""Why a sensor is called silent, in the terms of a reason: alone, in a box that lives, with the whole box, flapping."""

from config.city import City
from detectors.model import Reason
from ingest.model import LivenessChange, Silence


def silence_reason(change: LivenessChange, city: City, now_us: int) -> Reason:
    """The reason of SILENT raised or cleared. Minutes are whole, and never 0."""
    flaps = change.silence is Silence.FLAPPING
    window = _minutes(change.window_s)
    if not change.silent:
        return (
            Reason("reason.silent.cleared_flapping", {"window": window}) if flaps else Reason("reason.silent.cleared")
        )
    if flaps:
        return Reason("reason.silent.raised_flapping", {"times": change.times, "window": window})
    of_box = change.silence is Silence.BOX
    since_us = change.box_us if of_box else change.last_us
    kind = "" if change.silence is Silence.SENSOR else f"_{change.silence.value}"
    never = "" if since_us else "_never"
    params: dict[str, str | float | int] = {"allowed": _minutes(change.allowed_s)}
    params["minutes"] = _minutes((now_us - since_us) / 1e6) if since_us else 0
    if change.silence is not Silence.SENSOR:
        more = ", ..." if change.box_size - 1 > len(change.others) else ""
        params["box"] = city.columns.device[change.sensor]
        params["count"] = change.box_size
        params["others"] = ", ".join(city.columns.ids[one] for one in change.others) + more
    return Reason(f"reason.silent.raised{kind}{never}", params)


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))
