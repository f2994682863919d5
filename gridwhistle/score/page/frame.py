"""The page as a whole: its sections in order, and the legends."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from config.city import City
from config.clock import US_PER_SECOND
from config.vocabulary import Kind, Language, LocalText, Severity
from gridwhistle.score.page.curves import MOST_EPISODES, Curve, by_sensor, chosen, draw
from gridwhistle.score.page.map import DOTS, false_ticket_sign, map_picture
from gridwhistle.score.page.map import MOST_EPISODES as MAP_EPISODES
from gridwhistle.score.page.readings import local_readings
from gridwhistle.score.page.scene import Scene
from gridwhistle.score.page.style import CSS
from gridwhistle.score.page.svg import INK, SOFT, mark, picture, spanner, tag
from gridwhistle.score.page.tables import (
    cases_table,
    confusion_table,
    false_table,
    kinds_table,
    people_tables,
    pushes_picture,
    silences_table,
    talkers_table,
    tiles,
)
from gridwhistle.score.page.timeline import timeline_picture
from gridwhistle.score.report import Report, write_text
from gridwhistle.score.words import Words
from sensors_sim.scenario import library, load_scenario
from sensors_sim.world import World

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Nothing may be asked for, were it in a name of the city."""

_LANG = {Language.ZH: "zh-CN", Language.EN: "en"}


def write_page(
    report: Report, city: City, data_dir: Path, path: Path, *, language: Language, world: World | None = None
) -> None:
    """Write the page into a file. data_dir: of the run, for its readings. Raises ConfigurationError."""
    say = Words(language, city.timezone)
    with local_readings(data_dir, city, say) as (read, why):
        write_text(path, score_page(Scene(report, city, say, read, why, world)))


def score_page(scene: Scene) -> str:
    """The page."""
    report, city, say = scene.report, scene.city, scene.say
    map_, step = map_picture(scene)
    all_, most = len(report.truth.episodes), MAP_EPISODES
    fewer = f" {say.say('page.curves_more', drawn=most, all=all_)}" if all_ > most else ""
    map_keys = _map_keys(say, scene.world, silences=bool(report.score.silences))
    sampled = f" {say.say('page.sampled', step=step)}" if step > 1 else ""
    sections = [
        ("summary", _verdict(report, say) + tiles(report, say)),
        ("map", map_ + map_keys + _help(say.say("page.map_help") + sampled + fewer)),
        ("timeline", timeline_picture(scene) + _time_keys(say) + _help(say.say("page.timeline_help") + fewer)),
        *_curves(scene),
        ("confusion", confusion_table(report, say) + _help(say.say("rule.confusion"))),
        *([("kinds", kinds_table(report, say))] if report.confusion.kinds else []),
        *([("silences", silences_table(report, say))] if report.score.silences else []),
        ("people", _people(report, city, say)),
        ("cases", cases_table(report, city, say)),
        ("for_nothing", false_table(report, say)),
    ]
    body = "".join(
        f'<section id="{name}"><h2>{escape(say.say(f"section.{name}"))}</h2>{content}</section>'
        for name, content in sections
    )
    heading = f"{say.say('page.title')}: {say.of(city.name)}"
    return (
        f'<!doctype html>\n<html lang="{_LANG[say.language]}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(heading)}</title>\n<style>{CSS}</style>\n</head>\n'
        f"<body>\n{_header(report, say, heading)}\n<main>{body}</main>\n</body>\n</html>\n"
    )


def _header(report: Report, say: Words, heading: str) -> str:
    truth = report.truth
    run = say.say(
        "page.run",
        begin=say.time(truth.start_us),
        end=say.time(truth.end_us),
        lasted=say.span((truth.end_us - truth.start_us) / US_PER_SECOND),
        sensors=f"{report.score.sensors:,}",
        seed=truth.seed,
    )
    scenario = (
        say.say("page.scenario", name=_scenario(truth.scenario, say)) if truth.scenario else say.say("page.example")
    )
    return f"<header><h1>{escape(heading)}</h1><p>{escape(scenario)}</p><p>{escape(run)}</p></header>"


def _scenario(name: str, say: Words) -> str:
    """A scenario of the library by its title and what it is about, any other by its name."""
    if name not in library():
        return name
    known = load_scenario(name)
    return f"{say.of(known.name)} · {say.of(LocalText(known.about.zh, known.about.en))}"


def _people(report: Report, city: City, say: Words) -> str:
    content = f'<div class="two">{people_tables(report, say)}<div>{pushes_picture(report, city, say)}</div></div>'
    if report.load.talkers:
        content += f"<h3>{escape(say.say('talkers.title'))}</h3>" + talkers_table(report, city, say)
    return content


def _verdict(report: Report, say: Words) -> str:
    good = report.score.perfect
    return f'<p class="verdict {"good" if good else "bad"}">{escape(say.say("perfect" if good else "imperfect"))}</p>'


def _help(content: str) -> str:
    return f'<p class="help">{escape(content)}</p>'


def _keys(entries: Sequence[tuple[str, str]]) -> str:
    """A legend: a small drawing and its name each."""
    listed = "".join(f"<li>{picture(22, 22, drawn, label=name)}{escape(name)}</li>" for drawn, name in entries)
    return f'<ul class="keys">{listed}</ul>'


def _map_keys(say: Words, world: World | None, *, silences: bool) -> str:
    ring = tag("circle", cx=11, cy=11, r=9, fill="#ff9a1f", fill_opacity="0.13", stroke=INK, stroke_width=1.1)
    entries = [
        (ring, say.say("page.episode")),
        *((mark(one, 11, 11, 8.5), say.name(f"severity.{one.name.lower()}")) for one in Severity),
        (mark(Severity.GENERAL, 11, 11, 8.5, hollow=True), say.say("page.false_case")),
        (spanner(11, 11, 7, told=True, shown=True), say.say("page.fault_told")),
        (spanner(11, 11, 7, told=False, shown=True), say.say("page.fault_missed")),
        (spanner(11, 11, 7, told=False, shown=False), say.say("page.fault_not_shown")),
        (false_ticket_sign(11, 11, 7), say.say("figure.false_tickets")),
        *(
            (
                tag("path", d=f"M11 11{shape}", fill=colour, transform="translate(-8 -8) scale(1.7)"),
                say.name(f"kind.{kind}"),
            )
            for kind, (colour, shape) in DOTS.items()
            if kind in Kind
        ),
    ]
    if silences:
        stilled = tag("circle", cx=11, cy=11, r=8, fill="#7b848c", fill_opacity="0.38")
        entries.append((stilled, say.say("page.silence")))
    if world is not None and len(world.plan.streets):
        entries.append((tag("path", d="M2 15L20 7", stroke="#cfd2d0", stroke_width=3), say.say("page.street")))
    return _keys(entries)


def _time_keys(say: Words) -> str:
    band = tag(
        "rect", x=1, y=6, width=20, height=10, rx=3, fill="#ff9a1f", fill_opacity="0.42", stroke=INK, stroke_width=0.6
    )
    limit = tag("line", x1=11, x2=11, y1=2, y2=20, stroke=INK, stroke_width=1.6, stroke_dasharray="2 2")
    broken = tag("rect", x=1, y=7, width=20, height=8, rx=4, fill="#c9b8e6", stroke="#6d4fa3", stroke_width=0.8)
    return _keys(
        [
            (band, say.say("page.episode")),
            (limit, say.say("page.due")),
            (mark(Severity.MAJOR, 11, 11, 8.5), say.say("page.case")),
            (broken, say.say("page.fault_band")),
            (spanner(11, 11, 7, told=True, shown=True), say.say("page.ticket")),
        ]
    )


def _curve_keys(say: Words, *, faults: bool) -> str:
    band = tag("rect", x=3, y=4, width=16, height=14, fill="#e9e0f7" if faults else "#f6ead2")
    limit = tag("line", x1=1, x2=21, y1=11, y2=11, stroke=SOFT, stroke_width=1.2, stroke_dasharray="6 4")
    cleared = tag("circle", cx=11, cy=11, r=5, fill="#ffffff", stroke=INK, stroke_width=1.6)
    return _keys(
        [
            (band, say.say("page.fault_band" if faults else "page.band")),
            (limit, say.say("page.limit")),
            (mark(Severity.MAJOR, 11, 11, 8), say.name("action.alarm_raised")),
            (cleared, say.name("action.alarm_cleared")),
        ]
    )


def _curves(scene: Scene) -> list[tuple[str, str]]:
    report, say, read = scene.report, scene.say, scene.read
    if read is None:
        return [("curves_events", _help(say.say("page.no_curves", why=scene.why_not)))]
    alarms = by_sensor(report.records)
    episodes, faults = chosen(report, say)
    shown = len({curve.number for curve in episodes})
    more = (
        say.say("page.curves_more", drawn=shown, all=len(report.truth.episodes))
        if len(report.truth.episodes) > MOST_EPISODES
        else ""
    )

    def figures(curves: Sequence[Curve]) -> str:
        known = [curve for curve in curves if curve.sensor in scene.city.sensor_index]
        drawn = (draw(curve, scene, read, alarms.get(curve.sensor, ())) for curve in known)
        return f'<div class="curves">{"".join(drawn)}</div>'

    sections = []
    if episodes:
        sections.append(
            ("curves_events", figures(episodes) + _curve_keys(say, faults=False) + (_help(more) if more else ""))
        )
    if faults:
        note = _help(say.say("page.curves_sample"))
        sections.append(("curves_faults", figures(faults) + _curve_keys(say, faults=True) + note))
    return sections
