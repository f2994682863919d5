"""Where things happened and where cases were opened: the map as SVG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import cos, hypot, pi, radians, sin

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from alerting.model import FaultTicket, GridEvent
from config.city import City
from config.vocabulary import GridLevel, Kind
from gridwhistle.score.found import Found, Outcome, Stilled
from gridwhistle.score.page.scene import Scene
from gridwhistle.score.page.svg import (
    ALARM_RED,
    COLOURS,
    INK,
    SOFT,
    Point,
    badge,
    cross,
    line,
    mark,
    picture,
    px,
    spanner,
    tag,
    title,
    words,
)
from gridwhistle.score.report import Report
from gridwhistle.score.words import Words
from sensors_sim.fault_names import fault_name
from sensors_sim.physics.field import METRES_PER_DEGREE
from sensors_sim.truth import Episode
from sensors_sim.world import World

WIDTH = 1160.0
TALLEST, FLATTEST = 860.0, 420.0
MARGIN = 26.0
MOST_DOTS = 8_000
MOST_STREETS = 20_000
MOST_BROKEN = 800
MOST_EPISODES = 250
MOST_LABELS = 80
MOST_FALSE = 400
SMALLEST = 13.0
"""Pixels: the radius of an episode that one sensor could see."""

DOTS = {
    Kind.GAS: ("#8a6a4f", "m0 -2.6l2.6 2.6l-2.6 2.6l-2.6 -2.6z"),
    Kind.ENVIRONMENT: ("#5d8a6a", "m-2.1 0a2.1 2.1 0 1 0 4.2 0a2.1 2.1 0 1 0 -4.2 0z"),
    Kind.STRUCTURE: ("#77699a", "m0 -2.7l2.6 4.6h-5.2z"),
    Kind.CAMERA: ("#4b7f95", "m-2 -2h4v4h-4z"),
    Kind.BUILDING: ("#8f8a52", "m-2.6 -0.8h5.2v1.6h-5.2z"),
}
"""Colour and shape of each kind's dots, all muted: strong colours are for what is wrong (ISA-101)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ground:
    """From degrees to pixels: equirectangular, north up."""

    west: float
    north: float
    across: float
    per_degree: float
    height: float

    @classmethod
    def of(cls, lon: Floats, lat: Floats) -> "Ground":
        """The ground that holds some points."""
        if not len(lon):
            return cls(0.0, 0.0, 1.0, 1.0, FLATTEST)
        west, east, south, north = float(lon.min()), float(lon.max()), float(lat.min()), float(lat.max())
        across = cos(radians((south + north) / 2))
        wide, high = max((east - west) * across, 1e-5), max(north - south, 1e-5)
        scale = min((WIDTH - 2 * MARGIN) / wide, (TALLEST - 2 * MARGIN) / high)
        height = max(FLATTEST, high * scale + 2 * MARGIN)
        spare_x = (WIDTH - 2 * MARGIN - wide * scale) / 2 / scale / across
        spare_y = (height - 2 * MARGIN - high * scale) / 2 / scale
        return cls(west - spare_x, north + spare_y, across, scale, height)

    def at(self, lon: float, lat: float) -> Point:
        """The pixel of a place."""
        return (
            MARGIN + (lon - self.west) * self.across * self.per_degree,
            MARGIN + (self.north - lat) * self.per_degree,
        )

    def all(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """The pixels of many places."""
        x, y = (
            MARGIN + (lon - self.west) * (self.across * self.per_degree),
            MARGIN + (self.north - lat) * self.per_degree,
        )
        return x, y

    @property
    def per_metre(self) -> float:
        """Pixels in a metre."""
        return self.per_degree / METRES_PER_DEGREE


@dataclass(slots=True)
class _Labels:
    """Places of signs that are taken, so that none covers another."""

    taken: list[Point] = field(default_factory=list)

    def put(self, choices: Iterable[Point], apart: float) -> Point:
        """The first free of some places; the last where none is free."""
        place = (0.0, 0.0)
        for place in choices:
            if all(hypot(place[0] - x, place[1] - y) >= apart for x, y in self.taken):
                break
        self.taken.append(place)
        return place


def map_picture(scene: Scene) -> tuple[str, int]:
    """The map, and of how many sensors one is drawn."""
    city, say, columns = scene.city, scene.say, scene.city.columns
    corners = np.array([grid.polygon.bounds for grid in city.grids.values()]).reshape(-1, 4)
    ground = Ground.of(
        np.concatenate([columns.lon, corners[:, 0], corners[:, 2]]),
        np.concatenate([columns.lat, corners[:, 1], corners[:, 3]]),
    )
    dots, step = _dots(city, ground)
    labels = _Labels([ground.at(fault.lon, fault.lat) for fault in scene.report.truth.faults[:MOST_BROKEN]])
    false = _false(scene, ground, labels)
    layers = [
        tag("rect", width=WIDTH, height=ground.height, fill="#fbfbfa", rx=10),
        _grids(city, ground),
        _streets(scene.world, ground),
        _silences(scene, ground),
        dots,
        _broken(scene.report, ground, say),
        false,
        _episodes(scene, ground, labels),
        _scale_bar(ground, say),
    ]
    return picture(WIDTH, ground.height, "".join(layers), label=say.say("section.map"), class_="map"), step


def _ring(ground: Ground, polygon: Polygon | MultiPolygon) -> str:
    parts = polygon.geoms if isinstance(polygon, MultiPolygon) else (polygon,)
    return "".join(line(ground.at(lon, lat) for lon, lat, *_ in part.exterior.coords) + "Z" for part in parts)


def _grids(city: City, ground: Ground) -> str:
    widths = {GridLevel.GRID: 0.5, GridLevel.COMMUNITY: 0.8, GridLevel.STREET: 1.4, GridLevel.DISTRICT: 2.0}
    return "".join(
        tag(
            "path",
            d="".join(_ring(ground, grid.polygon) for grid in city.grids.values() if grid.level is level),
            fill="#f3f4f4" if level is GridLevel.GRID else "none",
            stroke="#c3c8cc",
            stroke_width=wide,
        )
        for level, wide in widths.items()
    )


def _streets(world: World | None, ground: Ground) -> str:
    if world is None or not len(world.plan.streets):
        return ""
    streets = world.plan.streets
    if len(streets) > MOST_STREETS:
        lengths = np.hypot(streets[:, 2] - streets[:, 0], streets[:, 3] - streets[:, 1])
        streets = streets[np.argsort(-lengths, kind="stable")[:MOST_STREETS]]
    degree = METRES_PER_DEGREE * cos(radians(world.lat0))
    x1, y1 = ground.all(world.lon0 + streets[:, 0] / degree, world.lat0 + streets[:, 1] / METRES_PER_DEGREE)
    x2, y2 = ground.all(world.lon0 + streets[:, 2] / degree, world.lat0 + streets[:, 3] / METRES_PER_DEGREE)
    ends = zip(x1.tolist(), y1.tolist(), x2.tolist(), y2.tolist(), strict=True)
    path = "".join(f"M{px(a)} {px(b)}L{px(c)} {px(d)}" for a, b, c, d in ends)
    return tag(
        "path", d=path, fill="none", stroke="#dfe1e0", stroke_width=1.6, stroke_linecap="round", class_="streets"
    )


def _dots(city: City, ground: Ground) -> tuple[str, int]:
    """The boxes, each once however many sensors sit in it."""
    columns = city.columns
    _, rows = np.unique(columns.device.code.astype(np.int64) * len(Kind) + columns.kind.code, return_index=True)
    step = max(1, -(-len(rows) // MOST_DOTS))
    rows = np.sort(rows)[::step]
    x, y = ground.all(columns.lon[rows], columns.lat[rows])
    layers = []
    for code, name in enumerate(columns.kind.names):
        colour, shape = DOTS[Kind(name)]
        mine = columns.kind.code[rows] == code
        places = zip(x[mine].tolist(), y[mine].tolist(), strict=True)
        path = "".join(f"M{px(left)} {px(top)}{shape}" for left, top in places)
        if path:
            layers.append(tag("path", d=path, fill=colour, fill_opacity="0.8", class_=f"dots {name}"))
    return "".join(layers), step


def _reach(episode: Episode, city: City, ground: Ground) -> float:
    """Pixels from the middle of an episode that hold nearly all of the sensors that could see it."""
    rows = np.array([city.sensor_index[sensor] for sensor in episode.sensors if sensor in city.sensor_index], np.int64)
    if not len(rows):
        return SMALLEST
    x0, y0 = ground.at(episode.lon, episode.lat)
    x, y = ground.all(city.columns.lon[rows], city.columns.lat[rows])
    return max(SMALLEST, float(np.quantile(np.hypot(x - x0, y - y0), 0.97)) + 7)


def _silences(scene: Scene, ground: Ground) -> str:
    """Where one cause stilled many sensors: each of them ringed, in grey."""
    drawn = []
    for one in scene.report.score.silences:
        known = [scene.city.sensor_index[sensor] for sensor in one.silence.sensors if sensor in scene.city.sensor_index]
        rows = np.array(sampled(known, MOST_BROKEN), np.int64)
        x, y = ground.all(scene.city.columns.lon[rows], scene.city.columns.lat[rows])
        places = dict.fromkeys((px(left), px(top)) for left, top in zip(x.tolist(), y.tolist(), strict=True))
        path = "".join(f"M{left} {top}m-8 0a8 8 0 1 0 16 0a8 8 0 1 0 -16 0z" for left, top in places)
        tip = title(silence_tip(one, scene.say))
        drawn.append(tag("path", tip, d=path, fill="#7b848c", fill_opacity="0.38", class_="silence"))
    return "".join(drawn)


def silence_tip(one: Stilled, say: Words) -> str:
    """What the mouse is told of a silence."""
    times = f"{say.time(one.silence.from_us)} – {say.clock(one.silence.to_us)[:5]}"
    counted = f"{say.say('silence.tickets')}: {len(one.tickets)}, {say.say('silence.events')}: {len(one.events)}"
    return f"{say.say('page.silence')}: {len(one.silence.sensors)}\n{times}\n{counted}"


def _episodes(scene: Scene, ground: Ground, labels: _Labels) -> str:
    report, city, say = scene.report, scene.city, scene.say
    events = {event.code: event for event in report.records.events}
    circles, lines, middles, signs = [], [], [], []
    places: list[tuple[int, str, Point, float]] = []
    largest = 0.48 * min(WIDTH, ground.height)
    for row in drawn_of(report.score.episodes, MOST_EPISODES):
        number, episode, found = row + 1, report.truth.episodes[row], report.score.episodes[row]
        x, y = ground.at(episode.lon, episode.lat)
        reach = min(largest, _reach(episode, city, ground))
        circles.append(_circle(episode, found, x, y, reach, tip=episode_tip(number, episode, found, say)))
        mine = [events[code] for code in (*found.opened, *found.joined) if code in events]
        for event in mine[:12]:
            lines.append(_joined((x, y), ground.at(event.lon, event.lat)))
            signs.append(_case(event, labels, ground, say))
        middles.append(tag("circle", cx=x, cy=y, r=2.2, fill=INK))
        places.append((number, say.clock(episode.from_us)[:5], (x, y), reach))
    numbers = [_number(*place, labels) for place in places[:MOST_LABELS]]
    return tag("g", "".join((*circles, *lines, *middles, *signs, *numbers)), class_="episodes")


def episode_tip(number: int, episode: Episode, found: Found, say: Words) -> str:
    """What the mouse is told of an episode."""
    what = say.name(f"category.{episode.category}")
    times = f"{say.time(episode.from_us)} – {say.clock(episode.to_us)[:5]}"
    told = ", ".join((*found.opened, *found.joined)) or say.say("page.no_cases")
    return f"{number} {what}\n{times}\n{say.say(f'outcome.{found.outcome}')}: {told}"


def _circle(episode: Episode, found: Found, x: float, y: float, reach: float, *, tip: str) -> str:
    colour = COLOURS[episode.severity] if episode.severity is not None else "#9aa1a7"
    missed = not found.told
    return tag(
        "circle",
        title(tip),
        cx=x,
        cy=y,
        r=reach,
        fill=colour,
        fill_opacity="0.13",
        stroke=ALARM_RED if missed else INK,
        stroke_width=1.8 if missed else 1.1,
        stroke_dasharray=None if found.right else "6 4",
        class_=f"episode {found.outcome}",
    )


def _number(number: int, clock: str, at: Point, reach: float, labels: _Labels) -> str:
    """The number of an episode and when it began, on the rim of its circle, beside it where that is small."""
    x, y = at
    reach += 15 if reach < 3 * SMALLEST else 0
    around = [-pi / 4, -3 * pi / 4, pi / 4, 3 * pi / 4, -pi / 2, 0.0, pi, pi / 2]
    choices = [(x + reach * cos(angle), y + reach * sin(angle)) for angle in around]
    left, top = labels.put([place for place in choices if MARGIN < place[0] < WIDTH - MARGIN] or choices, 26)
    beside = words(left, top + 21, clock, class_="halo", text_anchor="middle", font_size="11.5")
    return badge(left, top, str(number)) + beside


def _joined(cause: Point, case: Point) -> str:
    return tag("line", x1=cause[0], y1=cause[1], x2=case[0], y2=case[1], stroke=INK, stroke_width=1.2)


def _case(event: GridEvent, labels: _Labels, ground: Ground, say: Words) -> str:
    x, y = ground.at(event.lon, event.lat)
    labels.taken.append((x, y))
    return mark(event.severity, x, y, 9, tip=case_tip(event, say))


def case_tip(event: GridEvent, say: Words) -> str:
    """What the mouse is told of a case."""
    what = say.name(f"category.{event.category}")
    return f"{event.code} {what}\n{say.of(event.place)}\n{say.time(event.opened_us)}\n{say.of(event.responsible.name)}"


def _false(scene: Scene, ground: Ground, labels: _Labels) -> str:
    report, city, say = scene.report, scene.city, scene.say
    codes = {code for code, _ in report.score.false_events}
    events = [event for event in report.records.events if event.code in codes][:MOST_FALSE]
    labels.taken += [ground.at(one.lon, one.lat) for one in events]
    signs = [mark(one.severity, *ground.at(one.lon, one.lat), 9, hollow=True, tip=case_tip(one, say)) for one in events]
    lone = {code for code, _ in report.score.false_tickets}
    tickets = [ticket for ticket in report.records.tickets if ticket.code in lone][:MOST_FALSE]
    signs += [_false_ticket(ticket, city, ground, say) for ticket in tickets if ticket.sensor_id in city.sensor_index]
    return tag("g", "".join(signs), class_="false-cases") if signs else ""


def _false_ticket(ticket: FaultTicket, city: City, ground: Ground, say: Words) -> str:
    row = city.sensor_index[ticket.sensor_id]
    x, y = ground.at(float(city.columns.lon[row]), float(city.columns.lat[row]))
    tip = f"{ticket.code}\n{ticket.sensor_id}\n{say.time(ticket.opened_us)}"
    return false_ticket_sign(x, y, 6.5, tip)


def false_ticket_sign(x: float, y: float, size: float, tip: str = "") -> str:
    """The sign of a fault ticket that was opened for nothing: the crossed disc, hollow and red."""
    disc = tag("circle", cx=float(x), cy=float(y), r=float(size), fill="#ffffff", stroke=ALARM_RED, stroke_width=1.6)
    return tag("g", (title(tip) if tip else "") + disc + cross(x, y, size, ALARM_RED), class_="false")


def drawn_of(found: Sequence[Found], most: int) -> Sequence[int]:
    """Which of many things are drawn where there is room for so many: what is not right first. Rows, ascending."""
    if len(found) <= most:
        return range(len(found))
    return sorted(sorted(range(len(found)), key=lambda row: (found[row].right, row))[:most])


def sampled(rows: Sequence[int], most: int) -> Sequence[int]:
    """At most so many of them, evenly."""
    step = max(1, -(-len(rows) // most))
    return rows[::step]


def _broken(report: Report, ground: Ground, say: Words) -> str:
    pairs = list(zip(report.truth.faults, report.score.faults, strict=True))
    signs = []
    for row in sampled(range(len(pairs)), MOST_BROKEN):
        fault, found = pairs[row]
        told = ", ".join(found.opened) or say.say("page.not_told")
        tip = f"{fault_name(fault.kind, say.language)}\n{fault.sensor}\n{say.time(fault.from_us)}\n{told}"
        x, y = ground.at(fault.lon, fault.lat)
        shown = found.outcome is not Outcome.NOT_SHOWN
        signs.append(spanner(x, y, 6.0 if len(pairs) <= 100 else 4.0, told=bool(found.opened), shown=shown, tip=tip))
    return tag("g", "".join(signs), class_="faults") if signs else ""


def _scale_bar(ground: Ground, say: Words) -> str:
    metres = next(
        (one for one in (50, 100, 200, 500, 1000, 2000, 5000, 10_000) if one * ground.per_metre >= 70), 20_000
    )
    wide = metres * ground.per_metre
    x, y = WIDTH - MARGIN - wide, ground.height - 18
    label = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"
    bar = tag(
        "path", d=f"M{px(x)} {px(y - 5)}V{px(y)}H{px(x + wide)}V{px(y - 5)}", fill="none", stroke=SOFT, stroke_width=1.4
    )
    up = words(WIDTH - MARGIN - 4, 30, f"↑ {say.say('page.north')}", class_="tick", text_anchor="end")
    return bar + words(x + wide / 2, y - 6, label, class_="tick", text_anchor="middle") + up
