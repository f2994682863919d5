"""The score as tables for a person at a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.texts import text
from config.vocabulary import Language
from detectors.model import Nature
from gridwhistle.score.confusion import Thing, Told
from gridwhistle.score.found import Found, Outcome, Score, Tally
from gridwhistle.score.kinds import SHOWS_AFTER
from gridwhistle.score.load import SENSIBLE_EVENTS, TALKERS_SHARE, Flood, Load, Spread
from gridwhistle.score.report import Report
from gridwhistle.score.words import percent, rate, span
from sensors_sim.fault_names import fault_name, silence_name

MOST_ROWS = 40
"""Rows of one table; what is wrong comes first."""

MOST_FALSE = 20


def print_report(report: Report, console: Console, language: Language) -> None:
    """Print everything."""
    print_score(report.score, console, language)
    _print_summary(report, console, language)
    _print_confusion(report, console, language)
    _print_load(report.load, console, language)


def print_score(score: Score, console: Console, language: Language) -> None:
    """Print what became of each thing that happened, what was opened for nothing, and the verdict."""

    def say(key: str, **params: object) -> str:
        return text(f"score.{key}", language, params)

    rows = [(found, Nature.EVENT) for found in score.episodes] + [(found, Nature.FAULT) for found in score.faults]
    wrong = [row for row in rows if row[0].outcome not in {Outcome.RIGHT, Outcome.NOT_SHOWN}]
    shown = rows if len(rows) <= MOST_ROWS else (wrong + [row for row in rows if row not in wrong])[:MOST_ROWS]
    table = Table(title=say("title"))
    for column in ("what", "kind", "opened", "delay", "called", "expected", "verdict"):
        table.add_column(say(column), justify="right" if column == "delay" else "left")
    for found, nature in shown:
        table.add_row(*(escape(cell) for cell in _row(found, nature, language)))
    console.print(table)
    if len(rows) > len(shown):
        console.print(say("more_of_all", count=len(rows) - len(shown)))
    for one in score.silences:
        told = say("silence.tickets"), len(one.tickets), say("silence.events"), len(one.events)
        cause = silence_name(one.silence.kind, language)
        place = f"{cause} {one.silence.grid} ({len(one.silence.sensors)} {say('silence.sensors')})"
        console.print(f"{escape(place)}: {told[0]} {told[1]}, {told[2]} {told[3]}")
    for key, false in (
        ("false_events", score.false_events),
        ("false_tickets", score.false_tickets),
        ("false_alarms", [(code, (sensor,)) for code, sensor in score.false_alarms]),
    ):
        console.print(f"{say(key)}: {len(false)}")
        for code, sensors in false[:MOST_FALSE]:
            why = f" ({say(f'blame.for_{score.blame[code]}')})" if code in score.blame and key != "false_alarms" else ""
            console.print(f"  {code}: {escape(_short(sensors))}{why}")
        if len(false) > MOST_FALSE:
            console.print(f"  {say('more_of_all', count=len(false) - MOST_FALSE)}")
    console.print(say("perfect" if score.perfect else "imperfect"))


def _row(found: Found, nature: Nature, language: Language) -> Sequence[str]:
    what = text(f"category.{found.kind}", language) if nature is Nature.EVENT else fault_name(found.kind, language)
    return (
        f"{what}: {named(found.sensors)}",
        text(f"nature.{nature}", language),
        ", ".join((found.opened or found.joined or found.mistaken)[:3]) + (" ..." if len(found.opened) > 3 else "")
        or "-",
        "-" if found.delay_s is None else f"{found.delay_s:.0f} s",
        found.called or "-",
        found.expected or "-",
        text(f"score.outcome.{found.outcome}", language),
    )


def named(sensors: Sequence[str]) -> str:
    """The first of some sensors, and how many more there are."""
    return ", ".join(sensors[:1]) + (f" +{len(sensors) - 1}" if len(sensors) > 1 else "")


def _short(sensors: Sequence[str]) -> str:
    return ", ".join(sensors[:3]) + (f" +{len(sensors) - 3}" if len(sensors) > 3 else "")


def _print_summary(report: Report, console: Console, language: Language) -> None:
    def say(key: str, **params: object) -> str:
        return text(f"score.{key}", language, params)

    table = Table(title=say("section.summary"), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for label, tally in (
        ("episodes", report.episodes),
        ("over_limit", report.over_limit),
        ("faults", report.faults),
    ):
        beside = [f"{say('figure.exact')}: {tally.by[Outcome.RIGHT]}", *_outcomes(tally, language)]
        table.add_row(say(f"figure.{label}"), say("figure.of", part=tally.told, whole=tally.shown), ", ".join(beside))
    for label, tally in (("delay", report.episodes), ("fault_delay", report.faults)):
        table.add_row(
            say(f"figure.{label}"),
            span(tally.median_s, language),
            f"{say('figure.delay_p95')} {span(tally.slow_s, language)}",
        )
    for label, false in (
        ("false_events", report.score.false_events),
        ("false_tickets", report.score.false_tickets),
    ):
        daily = report.score.per_day(len(false))
        by_size = report.score.per_day(len(false), per_1000_sensors=True)
        beside = [say("figure.per_day", rate=rate(daily)), say("figure.per_1000", rate=rate(by_size))]
        table.add_row(say(f"figure.{label}"), str(len(false)), ", ".join(beside))
    console.print(table)
    console.print(say("rule.not_shown", readings=SHOWS_AFTER))


def _outcomes(tally: Tally, language: Language) -> list[str]:
    return [
        f"{text(f'score.outcome.{outcome}', language)}: {count}"
        for outcome, count in tally.by.items()
        if count and outcome is not Outcome.RIGHT
    ]


def _print_confusion(report: Report, console: Console, language: Language) -> None:
    def say(key: str) -> str:
        return text(f"score.{key}", language)

    table = Table(title=say("section.confusion"))
    table.add_column("")
    for told in Told:
        table.add_column(say(f"told.as_{told}"), justify="right")
    for thing in Thing:
        table.add_row(say(f"thing.of_{thing}"), *(f"{count:,}" for count in report.confusion.row(thing)))
    console.print(table)
    if not report.confusion.kinds:
        return
    kinds = Table(title=say("section.kinds"))
    columns = ("all", "not_shown", "right", "wrong_name", "event", "shown", "nothing")
    kinds.add_column(say("kinds.kind"))
    for column in columns:
        kinds.add_column(say(f"kinds.{column}"), justify="right")
    kinds.add_column(say("kinds.conditions"))
    for row in report.confusion.kinds:
        named_as = ", ".join(
            f"{text(f'condition.{one}', language)} {count}"
            for one, count in sorted(row.conditions.items(), key=lambda entry: -entry[1])
        )
        kinds.add_row(fault_name(row.kind, language), *(str(getattr(row, column)) for column in columns), named_as)
    console.print(kinds)


def _print_load(load: Load, console: Console, language: Language) -> None:
    def say(key: str, **params: object) -> str:
        return text(f"score.{key}", language, params)

    table = Table(title=say("section.people"))
    for column in ("what", "people", "total", "median", "p95", "most"):
        table.add_column(say(f"load.{column}"), justify="left" if column == "what" else "right")
    for label, spread, days in (
        ("pushes", load.pushes, 1.0),
        ("pushes_a_day", load.pushes, load.days),
        ("events", load.events, 1.0),
    ):
        table.add_row(say(f"load.{label}"), *_spread(spread, days))
    console.print(table)
    console.print(say("load.centre", count=load.centre_pushes))
    console.print(say("load.over", count=SENSIBLE_EVENTS, over=load.over_sensible))
    floods = Table()
    for column in ("operator", "alarms", "minutes", "share", "peak"):
        floods.add_column(say(f"load.{column}"), justify="left" if column == "operator" else "right")
    worker, worst = load.worst_worker
    floods.add_row(say("load.all_alarms"), *_flood(load.alarms))
    floods.add_row(say("load.all_cases"), *_flood(load.cases))
    if worker:
        floods.add_row(escape(say("load.worst_worker", worker=worker)), *_flood(worst))
    console.print(floods)
    console.print(say("load.rule"))
    params = {"count": len(load.talkers), "share": percent(load.talkers_share), "most": percent(TALKERS_SHARE)}
    if load.talkers:
        console.print(say("talkers.rule", **params))
    for one in load.talkers:
        console.print(f"  {escape(one.sensor)}: {text(f'condition.{one.condition}', language)} {one.alarms}")


def _spread(spread: Spread, days: float) -> Sequence[str]:
    def per(value: float) -> str:
        return rate(value / days) if days > 0 else "-"

    most = f"{per(spread.most)} ({spread.busiest})" if spread.people else "-"
    return str(spread.people), per(spread.total), per(spread.median), per(spread.p95), escape(most)


def _flood(flood: Flood) -> Sequence[str]:
    return f"{flood.alarms:,}", f"{flood.minutes:.0f}", percent(flood.share), str(flood.peak)
