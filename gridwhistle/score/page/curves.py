"""What the sensors showed: readings with the truth behind them, the limits, and when alarms began and ended, as SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from alerting.model import Alarm
from alerting.reports import Records
from config.city import City, Sensor
from config.clock import US_PER_SECOND
from config.limits import Limit, Side
from detectors.model import Nature
from gridwhistle.score.found import Found, Outcome
from gridwhistle.score.page.readings import Read
from gridwhistle.score.page.scene import Scene
from gridwhistle.score.page.svg import (
    COLOURS,
    INK,
    NUMERALS,
    SOFT,
    Scale,
    line,
    mark,
    picture,
    px,
    tag,
    time_axis,
    title,
    value_axis,
    words,
)
from gridwhistle.score.report import Report
from gridwhistle.score.words import Words
from ingest.model import Series
from sensors_sim.fault_names import fault_name
from sensors_sim.truth import AFTERMATH_US, Episode, Fault, FaultKind

WIDTH, HEIGHT = 568.0, 214.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 556.0, 14.0, 184.0
POINTS = 420
MOST_EPISODES = 24
PER_EPISODE = 2
MOST_ALARMS = 12
"""Of one sensor, the gravest that somebody was called for before those that were only shown."""
GAP = 3.5
"""Intervals without a reading after which the line is broken."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One drawing to be made. number: of the episode, None for a fault. from_us, to_us: of what happened."""

    sensor: str
    number: int | None
    what: str
    found: Found
    from_us: int
    to_us: int


def chosen(report: Report, say: Words) -> tuple[list[Curve], list[Curve]]:
    """Of episodes (the most telling sensors of each) and of faults (a sample of each kind)."""
    of_sensor = by_sensor(report.records)
    episodes = [
        Curve(sensor, number, say.name(f"category.{episode.category}"), found, episode.from_us, episode.to_us)
        for number, episode, found in _drawn_episodes(report)
        for sensor in telling(episode, found, report.records, of_sensor)
    ]
    faults = [
        Curve(fault.sensor, None, fault_name(fault.kind, say.language), found, fault.from_us, fault.to_us)
        for fault, found in _sample(report)
    ]
    return episodes, faults


def by_sensor(records: Records) -> dict[str, list[Alarm]]:
    """All alarms by the sensor they are of."""
    found: dict[str, list[Alarm]] = {}
    for alarm in records.alarms:
        found.setdefault(alarm.sensor_id, []).append(alarm)
    return found


def _drawn_episodes(report: Report) -> Sequence[tuple[int, Episode, Found]]:
    """What went wrong first, where there are too many; in the order of the truth."""
    every = [
        (number, episode, found)
        for number, (episode, found) in enumerate(zip(report.truth.episodes, report.score.episodes, strict=True), 1)
        if episode.sensors
    ]
    kept = sorted(every, key=lambda one: (one[2].right, one[1].limit_us is None, one[0]))[:MOST_EPISODES]
    return sorted(kept, key=lambda one: one[0])


def telling(episode: Episode, found: Found, records: Records, of_sensor: dict[str, list[Alarm]]) -> Sequence[str]:
    """The sensor that spoke first of an episode, and the one that spoke gravest; where none did, those over a limit."""
    spoke = [
        alarm
        for sensor in episode.sensors
        for alarm in of_sensor.get(sensor, ())
        if episode.from_us <= alarm.at_us <= episode.to_us + AFTERMATH_US
    ]
    if not spoke:
        return (*dict.fromkeys((*episode.over_limit, *episode.sensors)),)[
            : 1 if not episode.over_limit else PER_EPISODE
        ]
    opened = {event.id for event in records.events if event.code in found.opened[:1]}
    first = min(spoke, key=lambda alarm: (alarm.event_id not in opened, alarm.raised_us, alarm.id))
    gravest = min(spoke, key=lambda alarm: (alarm.severity, -_excess(alarm), alarm.id))
    return (*dict.fromkeys((first.sensor_id, gravest.sensor_id)),)


def _excess(alarm: Alarm) -> float:
    """How far a reading is beyond what was expected, in parts of that; 0 where that cannot be said."""
    beyond = max(alarm.value - alarm.expected_high, alarm.expected_low - alarm.value)
    base = abs(alarm.expected_high) if np.isfinite(alarm.expected_high) else abs(alarm.expected_low)
    return float(beyond / base) if np.isfinite(beyond) and base > 0 and np.isfinite(base) else 0.0


def _sample(report: Report) -> Iterator[tuple[Fault, Found]]:
    pairs = list(zip(report.truth.faults, report.score.faults, strict=True))
    for kind in FaultKind:
        mine = [pair for pair in pairs if pair[0].kind is kind and pair[1].outcome is not Outcome.NOT_SHOWN]
        for told in (True, False):
            yield from [pair for pair in mine if bool(pair[1].opened) is told][:1]


def draw(curve: Curve, scene: Scene, read: Read, alarms: Sequence[Alarm]) -> str:
    """One figure: its caption and the curve. alarms: of this sensor."""
    say, sensor = scene.say, scene.city.sensor(curve.sensor)
    window = _window(curve, sensor, scene.report, alarms)
    series = read(curve.sensor, *window, POINTS)
    drawn = _picture(curve, sensor, _plot(series, window, sensor, scene.city), alarms, say)
    unit = "" if sensor.measures.unit == "1" else f" ({sensor.measures.unit})"
    number = f'<b class="no">{curve.number}</b> ' if curve.number is not None else ""
    found = curve.found
    opened = ", ".join((found.opened or found.joined or found.mistaken)[:2])
    told = say.say("page.not_told")
    if found.delay_s is not None:
        told = say.say("page.first_told", delay=say.span(found.delay_s))
    elif opened:
        told = say.say(f"outcome.{found.outcome}") + ":"
    caption = (
        tag("span", number + tag("strong", escape(curve.what)), class_="what")
        + tag("span", escape(f"{say.name(f'quantity.{sensor.quantity}')}{unit} · {sensor.id} · {say.of(sensor.place)}"))
        + tag("span", escape(f"{told} {opened}"), class_="told" if found.told else "told nobody")
    )
    return tag("figure", tag("figcaption", caption) + drawn, class_="curve")


def _window(curve: Curve, sensor: Sensor, report: Report, alarms: Sequence[Alarm]) -> tuple[int, int]:
    """From well before it began until well after it ended, within the run; with the alarms that it raised."""
    step = int(sensor.interval_s * US_PER_SECOND)
    lasted = max(curve.to_us - curve.from_us, 10 * step)
    mine = [alarm for alarm in alarms if curve.from_us <= alarm.at_us <= curve.to_us + AFTERMATH_US]
    last = max(
        [
            curve.to_us,
            *(alarm.cleared_us or alarm.raised_us for alarm in mine if alarm.raised_us <= curve.to_us + lasted),
        ]
    )
    begin = curve.from_us - max(lasted // 2, 15 * step)
    end = min(last, curve.to_us + lasted) + max(lasted // 4, 8 * step)
    return max(begin, report.truth.start_us), min(end, report.truth.end_us) + 1


@dataclass(frozen=True, slots=True)
class _Plot:
    """Readings on their way to pixels. limits: those near enough to what was read to be drawn with it."""

    series: Series
    window: tuple[int, int]
    across: Scale
    up: Scale
    limits: Sequence[Limit]


def _plot(series: Series, window: tuple[int, int], sensor: Sensor, city: City) -> _Plot:
    across = Scale(*window, LEFT, RIGHT)
    if not len(series.value):
        return _Plot(series, window, across, Scale(0, 1, BOTTOM, TOP), ())
    low, high = float(series.low.min()), float(series.high.max())
    reach = 1.6 * max(high - low, 0.15 * max(abs(low), abs(high)), 1e-9)
    every = city.limits.of(sensor.id, sensor.quantity)
    limits = [limit for limit in every if low - reach <= limit.threshold <= high + reach]
    bounds = [low, high, *(limit.threshold for limit in limits)]
    air = 0.09 * (max(bounds) - min(bounds)) or max(abs(high) * 0.05, 0.5)
    return _Plot(series, window, across, Scale(min(bounds) - air, max(bounds) + air, BOTTOM, TOP), limits)


def _picture(curve: Curve, sensor: Sensor, plot: _Plot, alarms: Sequence[Alarm], say: Words) -> str:
    parts = [
        _truth(curve, plot, say),
        value_axis(plot.up, LEFT, RIGHT, 5),
        time_axis(plot.across, TOP, BOTTOM, say.zone, 5),
        *(_limit(limit, plot.up, say) for limit in plot.limits),
        _line(plot, sensor.interval_s),
        *_alarms(alarms, plot, say),
    ]
    if not len(plot.series.value):
        middle = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
        parts.append(words(*middle, say.say("page.no_readings"), class_="label", text_anchor="middle"))
    return picture(WIDTH, HEIGHT, "".join(parts), label=f"{curve.what}: {sensor.id}")


def _truth(curve: Curve, plot: _Plot, say: Words) -> str:
    window, across = plot.window, plot.across
    begin, end = across(max(window[0], curve.from_us)), across(min(window[1], curve.to_us))
    kind = "band" if curve.number is not None else "fault_band"
    colour = "#f6ead2" if curve.number is not None else "#e9e0f7"
    tip = title(f"{say.say(f'page.{kind}')}\n{say.clock(curve.from_us)} – {say.clock(curve.to_us)}")
    return tag(
        "rect", tip, x=begin, y=TOP, width=max(2.0, end - begin), height=BOTTOM - TOP, fill=colour, class_="truth"
    )


def _limit(limit: Limit, up: Scale, say: Words) -> str:
    y = up(limit.threshold)
    rule = tag(
        "line", x1=LEFT, x2=RIGHT, y1=y, y2=y, stroke=SOFT, stroke_width=1.1, stroke_dasharray="6 4", class_="limit"
    )
    above = -4 if limit.side is Side.HIGH else 12
    sign = tag(
        "rect", x=RIGHT - 9, y=y - 4, width=9, height=8, fill=COLOURS[limit.severity], stroke=INK, stroke_width=0.6
    )
    named = f"{say.say('page.limit')} {NUMERALS[limit.severity]}"
    return rule + sign + words(RIGHT - 14, y + above, named, class_="tick halo", text_anchor="end")


def _line(plot: _Plot, interval_s: float) -> str:
    """The readings, broken where they stopped; a band around what stands for several, dots where they are few."""
    series, across, up = plot.series, plot.across, plot.up
    if not len(series.value):
        return ""
    steps = np.diff(series.event_us)
    usual = max(float(np.median(steps)) if len(steps) else 0.0, interval_s * US_PER_SECOND)
    x = [across(at) for at in series.event_us.tolist()]
    low, value, high = ([up(one) for one in column.tolist()] for column in (series.low, series.value, series.high))
    paths, bands = [], []
    for part in np.split(np.arange(len(x)), np.flatnonzero(steps > GAP * usual) + 1):
        rows = part.tolist()
        paths.append(line((x[row], value[row]) for row in rows))
        if any(high[row] != low[row] for row in rows):
            back = [(x[row], low[row]) for row in reversed(rows)]
            bands.append(line([*((x[row], high[row]) for row in rows), *back]) + "Z")
    dots = ""
    if len(x) <= 150:
        dots = "".join(f"M{px(left)} {px(top)}h0" for left, top in zip(x, value, strict=True))
    drawn = tag("path", d="".join(bands), fill=INK, fill_opacity="0.16") if bands else ""
    drawn += tag(
        "path", d="".join(paths), fill="none", stroke=INK, stroke_width=1.4, stroke_linejoin="round", class_="readings"
    )
    if dots:
        drawn += tag("path", d=dots, stroke=INK, stroke_width=3.4, stroke_linecap="round", fill="none")
    return drawn


def _alarms(alarms: Sequence[Alarm], plot: _Plot, say: Words) -> Iterator[str]:
    """A sign where an alarm was raised, and a ring where it cleared."""
    series, window, across, up = plot.series, plot.window, plot.across, plot.up
    within = [
        alarm for alarm in alarms if alarm.raised_us <= window[1] and (alarm.cleared_us or window[1]) >= window[0]
    ]
    telling = sorted(within, key=lambda alarm: (alarm.nature is Nature.UNKNOWN, alarm.severity, alarm.raised_us))
    for alarm in sorted(telling[:MOST_ALARMS], key=lambda alarm: alarm.raised_us):
        what = say.name(f"condition.{alarm.condition}")
        tip = f"{what}\n{say.name('action.alarm_raised')} {say.clock(alarm.raised_us)}"
        if window[0] <= alarm.raised_us <= window[1]:
            x = across(alarm.raised_us)
            y = min(max(up(_value_at(series, alarm.raised_us)), TOP + 8), BOTTOM - 8)
            yield tag("line", x1=x, x2=x, y1=TOP, y2=BOTTOM, stroke=INK, stroke_width=0.9, class_="raised")
            yield mark(alarm.severity, x, y, 7, tip=tip)
        if alarm.cleared_us is not None and window[0] <= alarm.cleared_us <= window[1]:
            x = across(alarm.cleared_us)
            y = min(max(up(_value_at(series, alarm.cleared_us)), TOP + 6), BOTTOM - 6)
            note = title(f"{say.name('action.alarm_cleared')} {say.clock(alarm.cleared_us)}")
            ring = tag(
                "circle", note, cx=x, cy=y, r=4.6, fill="#ffffff", stroke=INK, stroke_width=1.6, class_="cleared"
            )
            yield (
                tag("line", x1=x, x2=x, y1=TOP, y2=BOTTOM, stroke=INK, stroke_width=0.9, stroke_dasharray="2 3") + ring
            )


def _value_at(series: Series, time_us: int) -> float:
    """The last reading up to a time; the first where there is none before it."""
    if not len(series.value):
        return 0.5
    return float(series.value[max(0, int(np.searchsorted(series.event_us, time_us, side="right")) - 1)])
