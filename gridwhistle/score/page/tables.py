"""The tables and figures of the page, as HTML."""

from collections.abc import Iterable, Sequence
from html import escape

from config.city import City
from gridwhistle.score.confusion import Thing, Told
from gridwhistle.score.found import Found, Outcome
from gridwhistle.score.kinds import SHOWS_AFTER
from gridwhistle.score.load import FLOOD_SHARE, SENSIBLE_EVENTS, TALKERS_SHARE, Flood, Spread
from gridwhistle.score.page.svg import INK, SOFT, Scale, picture, tag, title, words
from gridwhistle.score.page.timeline import clipped, place_of
from gridwhistle.score.report import Report
from gridwhistle.score.words import DASH, Words, percent, rate
from sensors_sim.fault_names import fault_name, silence_name

MOST_ROWS = 300
MOST_BARS = 30
_RIGHT_CELLS = {(Thing.EVENT, Told.EVENT), (Thing.FAULT, Told.FAULT), (Thing.NOTHING, Told.NOTHING)}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = (), class_: str = "") -> str:
    """A table. head: plain texts; rows: markup, cell by cell; numbers: columns that are aligned right."""

    def cell(name: str, content: str, column: int) -> str:
        return f"<{name}{' class=n' if column in numbers else ''}>{content}</{name}>"

    heads = "".join(cell("th", escape(content), column) for column, content in enumerate(head))
    body = "".join(
        f"<tr>{''.join(cell('td', content, column) for column, content in enumerate(row))}</tr>" for row in rows
    )
    whole = f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="{class_}">{whole}</table></div>'


def tiles(report: Report, say: Words) -> str:
    """The figures that matter most."""
    score, load = report.score, report.load

    def of(part: int, whole: int) -> str:
        return f"{part} <small>/ {whole}</small>" if whole else DASH

    found, faults, limited = report.episodes, report.faults, report.over_limit
    exact = say.say("figure.exact")
    unseen = [say.say("figure.unseen", count=found.by[Outcome.NOT_SHOWN])] if found.by[Outcome.NOT_SHOWN] else []
    hidden = [say.say("figure.not_shown", count=faults.by[Outcome.NOT_SHOWN])] if faults.by[Outcome.NOT_SHOWN] else []
    beside_limit = f"{say.say('figure.over_limit')}: {say.say('figure.of', part=limited.told, whole=limited.shown)}"
    flooded = load.alarms.share > FLOOD_SHARE
    shown = [
        (
            "episodes",
            of(found.told, found.shown),
            [f"{exact}: {found.by[Outcome.RIGHT]}", beside_limit, *unseen],
            found.told < found.shown,
        ),
        ("delay", escape(say.span(found.median_s)), [f"{say.say('figure.delay_p95')} {say.span(found.slow_s)}"], False),
        (
            "faults",
            of(faults.told, faults.shown),
            [f"{exact}: {faults.by[Outcome.RIGHT]}", *hidden],
            faults.told < faults.shown,
        ),
        (
            "fault_delay",
            escape(say.span(faults.median_s)),
            [f"{say.say('figure.delay_p95')} {say.span(faults.slow_s)}"],
            False,
        ),
        *(
            (key, str(len(false)), _rates(report, len(false), say), bool(false))
            for key, false in (("false_events", score.false_events), ("false_tickets", score.false_tickets))
        ),
        (
            "flood",
            f"{percent(load.alarms.share)}",
            [
                say.say("figure.flood_target", share=f"{100 * FLOOD_SHARE:g}"),
                f"{say.say('load.peak')}: {load.alarms.peak}",
            ],
            flooded,
        ),
        (
            "events_a_day",
            str(load.events.most),
            [say.say("figure.sensible", count=SENSIBLE_EVENTS), f"{say.say('figure.busiest')}: {load.pushes.most}"],
            load.events.most > SENSIBLE_EVENTS,
        ),
    ]
    return tag(
        "dl",
        "".join(_tile(say.say(f"figure.{key}"), big, beside, bad=bad) for key, big, beside, bad in shown),
        class_="tiles",
    )


def _rates(report: Report, count: int, say: Words) -> list[str]:
    daily, by_size = report.score.per_day(count), report.score.per_day(count, per_1000_sensors=True)
    return [say.say("figure.per_day", rate=rate(daily)), say.say("figure.per_1000", rate=rate(by_size))]


def _tile(label: str, big: str, beside: Sequence[str], *, bad: bool) -> str:
    below = "".join(f'<dd class="beside">{escape(one)}</dd>' for one in beside)
    return f'<div class="tile{" bad" if bad else ""}"><dt>{escape(label)}</dt><dd>{big}</dd>{below}</div>'


def confusion_table(report: Report, say: Words) -> str:
    """What was told of what happened."""

    def cell(thing: Thing, told: Told, count: int) -> str:
        kind = "zero" if not count else "right" if (thing, told) in _RIGHT_CELLS else "wrong"
        return f'<td class="n {kind}">{count:,}</td>'

    heads = "".join(f"<th>{escape(say.say(f'told.as_{told}'))}</th>" for told in Told)
    body = "".join(
        f"<tr><th>{escape(say.say(f'thing.of_{thing}'))}</th>"
        + "".join(cell(thing, told, count) for told, count in zip(Told, report.confusion.row(thing), strict=True))
        + "</tr>"
        for thing in Thing
    )
    whole = f"<thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="confusion">{whole}</table></div>'


def kinds_table(report: Report, say: Words) -> str:
    """How the faults of each kind were told."""
    columns = ("all", "not_shown", "right", "wrong_name", "event", "shown", "nothing")
    rows = []
    for row in report.confusion.kinds:
        named = sorted(row.conditions.items(), key=lambda one: (-one[1], one[0]))
        told = ", ".join(f"{say.name(f'condition.{condition}')} {count}" for condition, count in named)
        numbers = (str(getattr(row, column) or DASH) for column in columns)
        rows.append([escape(fault_name(row.kind, say.language)), *numbers, escape(told) or DASH])
    heads = [say.say(f"kinds.{column}") for column in ("kind", *columns, "conditions")]
    rule = say.say("rule.not_shown", readings=SHOWS_AFTER)
    return table(heads, rows, numbers=range(1, 8)) + f'<p class="help">{escape(rule)}</p>'


def cases_table(report: Report, city: City, say: Words) -> str:
    """Everything that happened, one by one: what is wrong first, where there is too much."""
    episodes = [
        (found.outcome, str(number), say.name(f"category.{episode.category}"), found, episode.from_us)
        for number, (episode, found) in enumerate(zip(report.truth.episodes, report.score.episodes, strict=True), 1)
    ]
    faults = [
        (found.outcome, "", fault_name(fault.kind, say.language), found, fault.from_us)
        for fault, found in zip(report.truth.faults, report.score.faults, strict=True)
    ]
    every = episodes + faults
    shown = (
        sorted(range(len(every)), key=lambda row: (every[row][0] in _FINE, row))[:MOST_ROWS]
        if len(every) > MOST_ROWS
        else range(len(every))
    )
    rows = [_case_row(*every[row][1:], city=city, say=say) for row in sorted(shown)]
    heads = ["", *(say.say(key) for key in ("what", "page.at", "opened", "delay", "called", "verdict"))]
    more = len(every) - len(rows)
    return table(heads, rows, numbers=(4,)) + (
        f'<p class="help">{escape(say.say("more_of_all", count=more))}</p>' if more else ""
    )


_FINE = {Outcome.RIGHT, Outcome.NOT_SHOWN}


def _case_row(number: str, what: str, found: Found, from_us: int, *, city: City, say: Words) -> list[str]:
    badge = f'<b class="no">{number}</b>' if number else ""
    place = place_of(found, city, say)
    sensor = found.sensors[0] if found.sensors else ""
    more = f" +{len(found.sensors) - 1}" if len(found.sensors) > 1 else ""
    codes = found.opened or found.joined or found.mistaken
    opened = ", ".join(codes[:4]) + (f" +{len(codes) - 4}" if len(codes) > 4 else "")
    called = _person(found.called, city, say)
    if found.called and found.called != found.expected:
        called += f' <span class="soft">≠ {escape(_person(found.expected, city, say) or DASH)}</span>'
    late = (
        f'<br><span class="soft">{say.span(found.late_s)}</span>'
        if found.late_s is not None and not found.in_time
        else ""
    )
    help_ = escape(say.say(f"outcome_help.{found.outcome}"), quote=True)
    return [
        badge,
        f'{escape(what)}<br><span class="soft">{escape(place)} · {escape(sensor)}{more}</span>',
        f'<span class="code">{say.time(from_us)[5:]}</span>',
        f'<span class="code">{escape(opened) or DASH}</span>',
        f'<span class="code">{say.span(found.delay_s)}</span>{late}',
        called or DASH,
        f'<span class="outcome {found.outcome}" title="{help_}">{escape(say.say(f"outcome.{found.outcome}"))}</span>',
    ]


def _person(worker: str, city: City, say: Words) -> str:
    known = city.workers.get(worker)
    return escape(worker if known is None else f"{say.of(known.name)} ({worker})")


def false_table(report: Report, say: Words) -> str:
    """What was opened for nothing, and why it is false."""
    events = {event.code: event for event in report.records.events}
    tickets = {ticket.code: ticket for ticket in report.records.tickets}
    rows = []
    for code, sensors in (*report.score.false_events, *report.score.false_tickets)[:MOST_ROWS]:
        event, ticket = events.get(code), tickets.get(code)
        opened_us = event.opened_us if event is not None else tickets[code].opened_us
        kind = say.name("nature.fault" if event is None else f"category.{event.category}")
        said = dict.fromkeys(alarm.condition for case in (event, ticket) if case is not None for alarm in case.alarms)
        told = ", ".join(say.name(f"condition.{condition}") for condition in said)
        named = ", ".join(sensors[:2]) + (f" +{len(sensors) - 2}" if len(sensors) > 2 else "")
        why = say.say(f"blame.for_{report.score.blame[code]}")
        rows.append(
            [
                f'<span class="code">{code}</span>',
                f'{escape(kind)}<br><span class="soft">{escape(told)}</span>',
                f'<span class="code">{say.time(opened_us)[5:]}</span>',
                escape(named),
                escape(why),
            ]
        )
    parts = []
    if rows:
        heads = [say.say(key) for key in ("opened", "kind", "page.at", "page.sensor", "page.because")]
        parts.append(table(heads, rows))
        more = len(report.score.false_events) + len(report.score.false_tickets) - len(rows)
        parts.append(f'<p class="help">{escape(say.say("more_of_all", count=more))}</p>' if more > 0 else "")
    if report.score.false_alarms:
        listed = ", ".join(f"{code}: {sensor}" for code, sensor in report.score.false_alarms[:20])
        more = len(report.score.false_alarms) - 20
        listed += f" +{more}" if more > 0 else ""
        count = f"{say.say('false_alarms')}: {len(report.score.false_alarms)}"
        parts.append(f'<p class="help">{escape(count)}<br>{escape(listed)}</p>')
    return "".join(parts) or f"<p>{escape(say.say('page.nothing_false'))}</p>"


def silences_table(report: Report, say: Words) -> str:
    """What each common cause that stilled many sensors made."""
    rows = [
        [
            escape(f"{silence_name(one.silence.kind, say.language)} · {one.silence.grid}"),
            say.time(one.silence.from_us)[5:],
            say.time(one.silence.to_us)[5:],
            f"{len(one.silence.sensors):,}",
            f"{len(one.tickets):,}",
            f"{len(one.events):,}",
        ]
        for one in report.score.silences
    ]
    return table(
        [say.say(f"silence.{key}") for key in ("cause", "from", "to", "sensors", "tickets", "events")],
        rows,
        numbers=(3, 4, 5),
    )


def people_tables(report: Report, say: Words) -> str:
    """What people were asked to do, and floods."""
    load = report.load
    rows = [
        [escape(say.say(f"load.{label}")), *_spread(spread, days)]
        for label, spread, days in (
            ("pushes", load.pushes, 1.0),
            ("pushes_a_day", load.pushes, load.days),
            ("events", load.events, 1.0),
        )
    ]
    spreads = table(
        [say.say(f"load.{key}") for key in ("what", "people", "total", "median", "p95", "most")],
        rows,
        numbers=range(1, 6),
    )
    worker, worst = load.worst_worker
    floods = [
        [escape(say.say("load.all_alarms")), *_flood(load.alarms)],
        [escape(say.say("load.all_cases")), *_flood(load.cases)],
    ]
    if worker:
        floods.append([escape(say.say("load.worst_worker", worker=worker)), *_flood(worst)])
    flooded = table(
        [say.say(f"load.{key}") for key in ("operator", "alarms", "minutes", "share", "peak")],
        floods,
        numbers=range(1, 5),
    )
    notes = [
        say.say("load.centre", count=load.centre_pushes),
        say.say("load.over", count=SENSIBLE_EVENTS, over=load.over_sensible),
        say.say("load.rule"),
    ]
    told = "".join(f'<p class="help">{escape(note)}</p>' for note in notes)
    return f'<div class="stack">{spreads}{flooded}<div>{told}</div></div>'


def talkers_table(report: Report, city: City, say: Words) -> str:
    """The alarms that were raised most often, and what was really the matter with their sensors."""
    broken: dict[str, list[str]] = {}
    for fault in report.truth.faults:
        broken.setdefault(fault.sensor, []).append(fault_name(fault.kind, say.language))
    seeing = {sensor for episode in report.truth.episodes for sensor in episode.sensors}
    rows = []
    for one in report.load.talkers:
        really = broken.get(one.sensor) or ([say.say("thing.of_event")] if one.sensor in seeing else [DASH])
        place = say.of(city.sensor(one.sensor).place) if one.sensor in city.sensor_index else ""
        rows.append(
            [
                f'{escape(one.sensor)}<br><span class="soft">{escape(place)}</span>',
                escape(say.name(f"condition.{one.condition}")),
                f"{one.alarms:,}",
                escape(", ".join(really)),
            ]
        )
    heads = [
        say.say("talkers.sensor"),
        say.say("kinds.conditions"),
        say.say("talkers.times"),
        say.say("talkers.really"),
    ]
    params = {"count": len(rows), "share": percent(report.load.talkers_share), "most": percent(TALKERS_SHARE)}
    return table(heads, rows, numbers=(2,)) + f'<p class="help">{escape(say.say("talkers.rule", **params))}</p>'


def _spread(spread: Spread, days: float) -> list[str]:
    def per(value: float) -> str:
        return rate(value / days) if days > 0 else DASH

    return [str(spread.people), per(spread.total), per(spread.median), per(spread.p95), per(spread.most)]


def _flood(flood: Flood) -> list[str]:
    return [f"{flood.alarms:,}", f"{flood.minutes:.0f}", percent(flood.share), str(flood.peak)]


def pushes_picture(report: Report, city: City, say: Words) -> str:
    """How many pushes each worker got, the busiest first."""
    every = list(report.load.by_worker.items())
    shown = every[:MOST_BARS]
    if not shown:
        return ""
    row, left, width = 22.0, 190.0, 560.0
    height = 30 + row * len(shown) + (18 if len(every) > len(shown) else 0)
    across = Scale(0, max(1, shown[0][1]), left, width - 44)
    parts = [words(0, 14, say.say("page.pushes_chart"), class_="label", font_weight="650")]
    for index, (worker, count) in enumerate(shown):
        y = 26 + row * index
        known = city.workers.get(worker)
        name = worker if known is None else say.of(known.name)
        bar = tag(
            "rect",
            title(f"{name} ({worker}): {count}"),
            x=left,
            y=y + 3,
            width=max(1.5, across(count) - left),
            height=row - 7,
            fill=SOFT,
            rx=2,
        )
        label = words(left - 8, y + row / 2, clipped(name, 24), class_="label", dy="0.34em", text_anchor="end")
        parts.append(
            label + bar + words(across(count) + 6, y + row / 2, f"{count:,}", class_="label", dy="0.34em", fill=INK)
        )
    if len(every) > len(shown):
        parts.append(words(0, height - 4, say.say("more_of_all", count=len(every) - len(shown)), class_="tick"))
    return picture(width, height, "".join(parts), label=say.say("page.pushes_chart"), class_="pushes")
