"""Small pure functions that write SVG: shapes of the four levels, scales, ticks. Coordinates are pixels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from math import floor, log10
from zoneinfo import ZoneInfo

from config.clock import US_PER_SECOND, from_datetime, to_datetime
from config.texts import number
from config.vocabulary import Severity

INK = "#23272b"
SOFT = "#5b6268"
RULE = "#d3d7da"
PALE = "#eef0f1"
ALARM_RED = "#e0002d"

COLOURS = {
    Severity.EXTREME: "#e0002d",
    Severity.MAJOR: "#ff9a1f",
    Severity.LARGER: "#ffe680",
    Severity.GENERAL: "#3a86d8",
}
"""As on the command centre's page (dashboard_api/static/js/severity.js); so are the shapes: level 4 is a circle."""

NUMERALS = {Severity.EXTREME: "I", Severity.MAJOR: "II", Severity.LARGER: "III", Severity.GENERAL: "IV"}
_CORNERS: dict[Severity, Sequence[tuple[float, float]]] = {
    Severity.EXTREME: ((0, -1.12), (1.12, 0), (0, 1.12), (-1.12, 0)),
    Severity.MAJOR: ((0, -1.12), (1.15, 0.86), (-1.15, 0.86)),
    Severity.LARGER: ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)),
}
_TEXT_DROP = {Severity.MAJOR: 0.28}

Point = tuple[float, float]


def px(value: float) -> str:
    """A coordinate with one decimal at most.

    >>> px(3.0), px(2.345), px(-0.01)
    ('3', '2.3', '0')
    """
    short = f"{value:.1f}"
    return "0" if short == "-0.0" else short.removesuffix(".0")


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """An element. Attributes that are None are left out, numbers shortened; ``stroke_width`` becomes stroke-width.

    content is markup; attributes are escaped.

    >>> tag("text", "a", x=1.26, class_="t", fill=None)
    '<text x="1.3" class="t">a</text>'
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        shown = px(value) if isinstance(value, float) else escape(str(value), quote=True)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{shown}"')
    head = " ".join(parts)
    return f"<{head}>{content}</{name}>" if content else f"<{head}/>"


def words(x: float, y: float, content: str, **attributes: object) -> str:
    """A line of text; content is plain."""
    return tag("text", escape(content), x=float(x), y=float(y), **attributes)


def title(content: str) -> str:
    """What is shown where the mouse rests; content is plain."""
    return tag("title", escape(content))


def picture(width: float, height: float, content: str, *, label: str, class_: str = "") -> str:
    """A whole drawing, as wide as its place. label: for who cannot see it."""
    return tag(
        "svg",
        content,
        viewBox=f"0 0 {px(width)} {px(height)}",
        role="img",
        aria_label=label,
        class_=class_ or None,
        xmlns="http://www.w3.org/2000/svg",
    )


def line(points: Iterable[Point]) -> str:
    """The d of a path through some points; nothing for none."""
    return "".join(f"{'L' if index else 'M'}{px(x)} {px(y)}" for index, (x, y) in enumerate(points))


def mark(severity: Severity, x: float, y: float, size: float, *, hollow: bool = False, tip: str = "") -> str:
    """The sign of a level: its shape, colour and numeral. hollow: of a case that was opened for nothing, in red."""
    style = {"fill": "#ffffff" if hollow else COLOURS[severity], "stroke": ALARM_RED if hollow else INK}
    stroke = {"stroke_width": 2.0 if hollow else 1.0, "stroke_linejoin": "round"}
    corners = _CORNERS.get(severity)
    if corners is None:
        shape = tag("circle", cx=float(x), cy=float(y), r=float(size), **style, **stroke)
    else:
        points = " ".join(f"{px(x + dx * size)},{px(y + dy * size)}" for dx, dy in corners)
        shape = tag("polygon", points=points, **style, **stroke)
    numeral = words(
        x,
        y + _TEXT_DROP.get(severity, 0.0) * size,
        NUMERALS[severity],
        dy="0.36em",
        text_anchor="middle",
        class_="numeral",
        font_size=px(size * 0.92),
        fill=ALARM_RED if hollow else "#000000",
    )
    return tag("g", (title(tip) if tip else "") + shape + numeral, class_="case false" if hollow else "case")


def badge(x: float, y: float, content: str, *, tip: str = "", class_: str = "badge") -> str:
    """A number on a dark round sign."""
    wide = 9.5 + 3.2 * max(0, len(content) - 2)
    disc = tag("rect", x=float(x - wide), y=float(y - 9.5), width=2 * wide, height=19, rx=9.5, fill=INK)
    text = words(x, y, content, dy="0.36em", text_anchor="middle", font_size="12", font_weight="700", fill="#ffffff")
    return tag("g", (title(tip) if tip else "") + disc + text, class_=class_)


def cross(x: float, y: float, size: float, colour: str) -> str:
    """The cross within a disc of a size."""
    arm = size * 0.45
    left, right, top, bottom = px(x - arm), px(x + arm), px(y - arm), px(y + arm)
    path = f"M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"
    return tag("path", d=path, stroke=colour, stroke_width=1.4, fill="none")


def spanner(x: float, y: float, size: float, *, told: bool, shown: bool, tip: str = "") -> str:
    """The sign of a broken sensor: a crossed disc; dark where it was told, open where not, faint where not shown."""
    ink = INK if shown else "#a9afb4"
    disc = tag(
        "circle",
        cx=float(x),
        cy=float(y),
        r=float(size),
        fill=ink if told else "#ffffff",
        stroke=ink,
        stroke_width=1.2,
        stroke_dasharray=None if told or not shown else "2.2 1.6",
    )
    sign = disc + cross(x, y, size, "#ffffff" if told else ink)
    return tag("g", (title(tip) if tip else "") + sign, class_="broken")


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers to pixels, in a straight line. low and high must differ."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two: steps of 1, 2 or 5 times a power of ten, at most so many of them.

    >>> ticks(0, 72, 5), ticks(-0.31, 0.29, 4)
    ([0.0, 20.0, 40.0, 60.0], [-0.2, 0.0, 0.2])
    """
    rough = (high - low) / max(1, most)
    if not rough > 0:
        return [low]
    power = 10.0 ** floor(log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    first, last = -floor(-low / step), floor(high / step)
    return [round(index * step, 10) for index in range(first, last + 1)]


_STEPS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)


def moments(from_us: int, to_us: int, zone: ZoneInfo, most: int) -> list[tuple[int, str]]:
    """Round local times between two, with how they are written; a new day is written as its date.

    Evenly spaced from each local midnight: where clocks change, later ones of that day are off by the change. No two
    are closer than a step, and of an hour that comes twice only the first is written.

    >>> moments(0, 3_600_000_000, ZoneInfo("UTC"), 4)
    [(0, '01-01'), (900000000, '00:15'), (1800000000, '00:30'), (2700000000, '00:45'), (3600000000, '01:00')]
    """
    length_s = (to_us - from_us) / US_PER_SECOND
    step_s = next((step for step in _STEPS_S if length_s / step <= most), _STEPS_S[-1])
    step_us, days = step_s * US_PER_SECOND, max(1, step_s // 86_400)
    day = to_datetime(from_us).astimezone(zone).date()
    found: dict[datetime, tuple[int, str]] = {}  # by what a clock on the wall shows
    while (begin := _midnight_us(day, zone)) <= to_us:
        following = _midnight_us(day + timedelta(days=days), zone)
        for moment in (begin, *range(begin + step_us, following - step_us + 1, step_us)):
            if from_us <= moment <= to_us:
                at = to_datetime(moment).astimezone(zone).replace(tzinfo=None)
                midnight = (at.hour, at.minute) == (0, 0)
                found.setdefault(at, (moment, at.strftime("%m-%d" if midnight else "%H:%M")))
        day += timedelta(days=days)
    return list(found.values())


def _midnight_us(day: date, zone: ZoneInfo) -> int:
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))


def time_axis(scale: Scale, top: float, bottom: float, zone: ZoneInfo, most: int) -> str:
    """Upright rules at round times, and the times below them."""
    drawn = []
    for at_us, label in moments(int(scale.low), int(scale.high), zone, most):
        x = scale(at_us)
        last = x > max(scale.begin, scale.end) - 18
        drawn.append(tag("line", x1=x, x2=x, y1=float(top), y2=float(bottom), class_="rule"))
        drawn.append(words(x, bottom + 16, label, class_="tick", text_anchor="end" if last else "middle"))
    return "".join(drawn)


def value_axis(scale: Scale, left: float, right: float, most: int) -> str:
    """Level rules at round values, and the values left of them."""
    return "".join(
        tag("line", x1=float(left), x2=float(right), y1=y, y2=y, class_="rule")
        + words(left - 7, y, number(value), class_="tick", dy="0.34em", text_anchor="end")
        for value in ticks(min(scale.low, scale.high), max(scale.low, scale.high), most)
        for y in [scale(value)]
    )
