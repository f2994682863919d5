"""When things happened, when cases were opened, and how fast alarms came: the timeline as SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alerting.model import GridEvent
from config.city import City
from config.clock import US_PER_SECOND
from gridwhistle.score.found import Found, Outcome
from gridwhistle.score.load import FLOOD_ALARMS, FLOOD_US
from gridwhistle.score.page.map import (
    MOST_EPISODES,
    case_tip,
    drawn_of,
    episode_tip,
    false_ticket_sign,
    sampled,
    silence_tip,
)
from gridwhistle.score.page.scene import Scene
from gridwhistle.score.page.svg import (
    ALARM_RED,
    COLOURS,
    INK,
    PALE,
    SOFT,
    Scale,
    badge,
    mark,
    picture,
    px,
    spanner,
    tag,
    time_axis,
    title,
    value_axis,
    words,
)
from gridwhistle.score.report import Report
from gridwhistle.score.words import Words
from sensors_sim.fault_names import fault_name
from sensors_sim.truth import FaultKind

WIDTH = 1160.0
LEFT, RIGHT = 250.0, 1136.0
ROW = 26.0
THIN = 7.0
MOST_ROWS = 30
"""Episodes, or faults, that get a row each; more of them share rows."""

MOST_LANES = 24
RATE_HIGH = 120.0


@dataclass(frozen=True, slots=True)
class _Bar:
    """Something that lasted: what draws it at a height with so much room."""

    from_us: int
    to_us: int
    draw: Callable[[float, float], str]


def lanes(spans: Sequence[tuple[int, int]], gap: int) -> list[int]:
    """Which lane each span goes into, so that none overlaps another there and few are needed. spans: by beginning.

    >>> lanes([(0, 10), (2, 4), (5, 8), (11, 12)], gap=0)
    [0, 1, 1, 0]
    """
    ends: list[int] = []
    found = []
    for begin, end in spans:
        lane = next((row for row, until in enumerate(ends) if until + gap <= begin), len(ends))
        ends[lane:] = [end, *ends[lane + 1 :]]
        found.append(lane)
    return found


def timeline_picture(scene: Scene) -> str:
    """The timeline."""
    report, city, say = scene.report, scene.city, scene.say
    scale = Scale(report.truth.start_us, report.truth.end_us, LEFT, RIGHT)
    top = 26.0
    body: list[str] = []
    blocks = (_episodes(report, city, say, scale), _silences(report, say, scale), _faults(report, say, scale))
    for block in (*blocks, _false(report, say, scale)):
        content, high = block(top)
        if high:
            body.append(content)
            top += high + 12
    rate_top = top + 22
    bottom = rate_top + RATE_HIGH
    axis = time_axis(scale, 14, bottom, say.zone, 10)
    height = bottom + 26
    return picture(
        WIDTH,
        height,
        axis + "".join(body) + _rate(report, say, scale, rate_top),
        label=say.say("section.timeline"),
        class_="timeline",
    )


_Block = Callable[[float], tuple[str, float]]


def _band(scale: Scale, from_us: int, to_us: int, y: float, high: float, **style: object) -> str:
    begin = scale(max(scale.low, from_us))
    wide = max(2.0, scale(min(scale.high, max(from_us, to_us))) - begin)
    return tag("rect", x=begin, y=y, width=wide, height=high, rx=min(3.0, high / 2), **style)


def _packed(bars: Sequence[_Bar], scale: Scale, room: float) -> tuple[list[tuple[_Bar, float]], float]:
    """The bars with their heights in as few rows as they need, and the height of one row."""
    ordered = sorted(bars, key=lambda bar: (bar.from_us, bar.to_us))
    gap = int((scale.high - scale.low) / (scale.end - scale.begin) * 6)
    rows = lanes([(bar.from_us, bar.to_us) for bar in ordered], gap)
    high = room if max(rows, default=0) < MOST_LANES else THIN
    return [(bar, row * high) for bar, row in zip(ordered, rows, strict=True)], high


def _episodes(report: Report, city: City, say: Words, scale: Scale) -> _Block:
    events = {event.code: event for event in report.records.events}
    pairs = list(enumerate(zip(report.truth.episodes, report.score.episodes, strict=True), 1))

    def bar(number: int) -> _Bar:
        episode, found = pairs[number - 1][1]
        colour = COLOURS[episode.severity] if episode.severity is not None else "#c9ced2"
        mine = [events[code] for code in (*found.opened, *found.joined) if code in events]
        tip = episode_tip(number, episode, found, say)

        def draw(y: float, room: float) -> str:
            high = min(14.0, room - 2)
            middle = y + room / 2
            style = {"fill": colour, "fill_opacity": "0.42", "stroke": INK, "stroke_width": 0.6}
            band = tag("g", title(tip) + _band(scale, episode.from_us, episode.to_us, middle - high / 2, high, **style))
            limit = _limit(scale, episode.limit_us, middle, high)
            size = min(8.0, room / 2 - 1)
            marks = "".join(
                mark(one.severity, scale(one.opened_us), middle, size, tip=case_tip(one, say)) for one in mine[:20]
            )
            none = (
                "" if mine or room < 12 else _told_nobody(scale, (episode.from_us, episode.to_us), middle, found, say)
            )
            return band + limit + marks + none

        return _Bar(episode.from_us, episode.to_us, draw)

    def block(top: float) -> tuple[str, float]:
        bars = [bar(row + 1) for row in drawn_of(report.score.episodes, MOST_EPISODES)]
        if len(bars) > MOST_ROWS:
            placed, room = _packed(bars, scale, 16.0)
            count = str(len(pairs)) if len(bars) == len(pairs) else f"{len(bars)} / {len(pairs)}"
            label = words(12, top + 12, clipped(f"{say.say('thing.of_event')}: {count}", 36), class_="label")
            return label + "".join(one.draw(top + y, room) for one, y in placed), max(y for _, y in placed) + room
        drawn = []
        for row, (number, (episode, found)) in enumerate(pairs):
            y = top + row * ROW
            what = say.name(f"category.{episode.category}")
            name = words(
                40, y + ROW / 2, clipped(f"{what} · {place_of(found, city, say)}", 30), class_="label", dy="0.36em"
            )
            drawn.append(_stripe(y, row) + badge(22, y + ROW / 2, str(number)) + name + bars[row].draw(y, ROW))
        return "".join(drawn), len(bars) * ROW

    return block


def _stripe(y: float, row: int) -> str:
    return tag("rect", x=0, y=y, width=WIDTH, height=ROW, fill=PALE, fill_opacity="0.55") if row % 2 == 0 else ""


def _limit(scale: Scale, limit_us: int | None, middle: float, high: float) -> str:
    if limit_us is None:
        return ""
    x = scale(limit_us)
    return tag(
        "line",
        x1=x,
        x2=x,
        y1=middle - high / 2 - 2,
        y2=middle + high / 2 + 2,
        stroke=INK,
        stroke_width=1.6,
        stroke_dasharray="2 2",
    )


def _told_nobody(scale: Scale, lasted: tuple[int, int], middle: float, found: Found, say: Words) -> str:
    red = SOFT if found.outcome is Outcome.NOT_SHOWN else ALARM_RED
    return _beside(scale, lasted, middle, say.say(f"outcome.{found.outcome}"), red)


def _beside(scale: Scale, lasted: tuple[int, int], middle: float, label: str, colour: str) -> str:
    """Words behind a band, or before it where there is no room behind."""
    x, anchor = scale(min(lasted[1], int(scale.high))) + 8, "start"
    if x > RIGHT - 90:
        x, anchor = scale(max(lasted[0], int(scale.low))) - 6, "end"
    return words(x, middle, label, class_="label", dy="0.36em", text_anchor=anchor, fill=colour)


def place_of(found: Found, city: City, say: Words) -> str:
    """Where a thing happened: the place of the first sensor that could see it."""
    for sensor in found.sensors:
        if sensor in city.sensor_index:
            return say.of(city.sensor(sensor).place)
    return ""


def clipped(content: str, most: int) -> str:
    """A text of at most so many columns; a Chinese character takes two."""
    wide = 0
    for index, letter in enumerate(content):
        wide += 2 if ord(letter) > 0x2E7F else 1
        if wide > most and index + 1 < len(content):
            return content[:index].rstrip() + "…"
    return content


def _faults(report: Report, say: Words, scale: Scale) -> _Block:
    tickets = {ticket.code: ticket for ticket in report.records.tickets}
    pairs = list(zip(report.truth.faults, report.score.faults, strict=True))

    def bar(row: int) -> _Bar:
        fault, found = pairs[row]
        opened = [tickets[code].opened_us for code in found.opened if code in tickets]
        shown = found.outcome is not Outcome.NOT_SHOWN
        tip = f"{fault_name(fault.kind, say.language)}\n{fault.sensor}\n{say.say(f'outcome.{found.outcome}')}"

        def draw(y: float, room: float) -> str:
            high = min(8.0, room - 2)
            middle = y + room / 2
            told = bool(opened)
            style = {
                "fill": "#c9b8e6" if told else "#ffffff",
                "stroke": "#6d4fa3" if shown else "#b9bec2",
                "stroke_width": 0.8,
                "stroke_dasharray": None if told else "4 3",
            }
            band = tag("g", title(tip) + _band(scale, fault.from_us, fault.to_us, middle - high / 2, high, **style))
            size = min(6.5, room / 2 - 0.5)
            signs = "".join(spanner(scale(one), middle, size, told=True, shown=True, tip=tip) for one in opened[:20])
            none = "" if told or room < 12 else _told_nobody(scale, (fault.from_us, fault.to_us), middle, found, say)
            return band + signs + none

        return _Bar(fault.from_us, fault.to_us, draw)

    def block(top: float) -> tuple[str, float]:
        if len(pairs) <= MOST_ROWS:
            drawn = []
            for row, (fault, _) in enumerate(pairs):
                y = top + row * ROW
                name = clipped(f"{fault_name(fault.kind, say.language)} · {fault.sensor}", 34)
                sign = spanner(22, y + ROW / 2, 7, told=True, shown=True)
                drawn.append(
                    _stripe(y, row)
                    + sign
                    + words(40, y + ROW / 2, name, class_="label", dy="0.36em")
                    + bar(row).draw(y, ROW)
                )
            return "".join(drawn), len(pairs) * ROW
        return _by_kind(report, say, scale, bar, top)

    return block


def _by_kind(report: Report, say: Words, scale: Scale, bar: Callable[[int], _Bar], top: float) -> tuple[str, float]:
    drawn, y = [], top
    for kind in FaultKind:
        rows = [row for row, fault in enumerate(report.truth.faults) if fault.kind is kind]
        if not rows:
            continue
        some = sampled(rows, 60)
        placed, _ = _packed([bar(row) for row in some], scale, THIN)
        room = max(max(y for _, y in placed) + THIN, 18.0)
        count = f"{len(rows)}" if len(some) == len(rows) else f"{len(some)} / {len(rows)}"
        drawn.append(tag("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="rule"))
        drawn.append(words(12, y + 13, clipped(f"{fault_name(kind, say.language)}: {count}", 36), class_="label"))
        drawn += [one.draw(y + at + 2, THIN) for one, at in placed]
        y += room + 6
    return "".join(drawn), y - top


def _silences(report: Report, say: Words, scale: Scale) -> _Block:
    """A grey band for each, with every ticket and grid event that it made."""
    tickets = {ticket.code: ticket for ticket in report.records.tickets}
    events = {event.code: event for event in report.records.events}

    def block(top: float) -> tuple[str, float]:
        drawn = []
        for row, stilled in enumerate(report.score.silences[:MOST_ROWS]):
            silence = stilled.silence
            y = top + row * ROW
            middle = y + ROW / 2
            tip = silence_tip(stilled, say)
            style = {"fill": "#7b848c", "fill_opacity": "0.45", "stroke": INK, "stroke_width": 0.6}
            band = _band(scale, silence.from_us, silence.to_us, middle - 5, 10, **style)
            name = clipped(f"{say.say('page.silence')}: {len(silence.sensors)}", 34)
            made = [tickets[code] for code in stilled.tickets[:400] if code in tickets]
            signs = [spanner(scale(one.opened_us), middle, 5, told=True, shown=True, tip=tip) for one in made]
            told = [events[code] for code in stilled.events[:100] if code in events]
            signs += [mark(one.severity, scale(one.opened_us), middle, 7, tip=case_tip(one, say)) for one in told]
            counted = f"{say.say('silence.tickets')}: {len(stilled.tickets)}"
            signs.append(_beside(scale, (silence.from_us, silence.to_us), middle, counted, SOFT))
            label = words(40, middle, name, class_="label", dy="0.36em")
            drawn.append(_stripe(y, row) + label + tag("g", title(tip) + band, class_="silence") + "".join(signs))
        return "".join(drawn), len(drawn) * ROW

    return block


def _false(report: Report, say: Words, scale: Scale) -> _Block:
    codes = {code for code, _ in (*report.score.false_events, *report.score.false_tickets)}
    events: list[GridEvent] = [event for event in report.records.events if event.code in codes]
    tickets = [ticket for ticket in report.records.tickets if ticket.code in codes]

    def block(top: float) -> tuple[str, float]:
        if not codes:
            return "", 0.0
        middle = top + ROW / 2
        label = f"{say.say('page.false_row')}: {len(events) + len(tickets)}"
        signs = [
            false_ticket_sign(scale(one.opened_us), middle, 5.5, f"{one.code}\n{one.sensor_id}")
            for one in tickets[:400]
        ]
        signs += [
            mark(one.severity, scale(one.opened_us), middle, 8, hollow=True, tip=case_tip(one, say))
            for one in events[:400]
        ]
        rule = tag("line", x1=0, x2=WIDTH, y1=top - 3, y2=top - 3, class_="rule")
        return rule + words(12, middle, label, class_="label", dy="0.36em", fill=ALARM_RED) + "".join(signs), ROW

    return block


def rate_steps(times_us: Sequence[int], from_us: int, to_us: int, most: int) -> list[tuple[int, int]]:
    """How many alarms the last FLOOD_US held, as steps (from when, how many); of ``most`` columns the highest each."""
    times = np.sort(np.asarray(times_us, np.int64))
    edges = np.unique(np.concatenate([[from_us], times, times + FLOOD_US]))
    edges = edges[(edges >= from_us) & (edges <= to_us)]
    held = np.searchsorted(times, edges, side="right") - np.searchsorted(times, edges - FLOOD_US, side="right")
    if len(edges) > 2 * most:
        column = (edges - from_us) * most // max(1, to_us - from_us)
        starts = np.flatnonzero(np.diff(column, prepend=-1))
        edges, held = edges[starts], np.maximum.reduceat(held, starts)
    return list(zip(edges.tolist(), held.tolist(), strict=True))


def _rate(report: Report, say: Words, scale: Scale, top: float) -> str:
    bottom = top + RATE_HIGH
    steps = rate_steps([alarm.raised_us for alarm in report.records.alarms], int(scale.low), int(scale.high), 880)
    peak = max((count for _, count in steps), default=0)
    up = Scale(0, max(FLOOD_ALARMS * 1.3, peak * 1.08), bottom, top)
    path = [f"M{px(LEFT)} {px(bottom)}"]
    for at_us, count in steps:
        path.append(f"H{px(scale(at_us))}V{px(up(count))}")
    path.append(f"H{px(RIGHT)}V{px(bottom)}Z")
    area = "".join(path)
    flood = up(FLOOD_ALARMS)
    clip = tag("clipPath", tag("rect", x=LEFT, y=top, width=RIGHT - LEFT, height=flood - top), id="over-flood")
    minutes = FLOOD_US // (60 * US_PER_SECOND)
    label = words(12, top + 14, say.say("page.alarm_rate", minutes=minutes), class_="label")
    threshold = tag(
        "line", x1=LEFT, x2=RIGHT, y1=flood, y2=flood, stroke=ALARM_RED, stroke_width=1.2, stroke_dasharray="6 4"
    )
    named = words(12, top + 33, say.say("page.threshold", count=FLOOD_ALARMS), class_="label", fill=ALARM_RED)
    return (
        value_axis(up, LEFT, RIGHT, 4)
        + clip
        + tag("path", d=area, fill="#aab1b7", fill_opacity="0.8")
        + tag("path", d=area, fill=ALARM_RED, fill_opacity="0.75", clip_path="url(#over-flood)")
        + threshold
        + named
        + label
    )
