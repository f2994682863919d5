"""Everything that a score says of a run, in one piece, and the same as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from alerting.ledger import Ledger
from alerting.model import FaultTicket, GridEvent, Responsible
from alerting.reports import Records, records
from alerting.rows import plain
from config.city import City
from config.clock import isoformat
from config.errors import ConfigurationError
from config.vocabulary import LocalText, Role
from gridwhistle.score.confusion import Confusion, Thing, Told, confusion
from gridwhistle.score.found import Found, Score, Stilled, Tally
from gridwhistle.score.judge import intervals_of, keep_score
from gridwhistle.score.load import Load, load
from sensors_sim.truth import Truth

VERSION = 1
"""Edition of the JSON's layout."""


@dataclass(frozen=True, slots=True)
class Report:
    """A run judged. episodes, faults: the score's, counted; over_limit: of the episodes that pass a limit for sure."""

    truth: Truth
    records: Records
    score: Score
    episodes: Tally
    over_limit: Tally
    faults: Tally
    confusion: Confusion
    load: Load


def cases_of(ledger: Ledger) -> tuple[list[GridEvent], list[FaultTicket]]:
    """Every grid event and fault ticket of a ledger, with their alarms, newest first."""
    found = records(ledger)
    return list(found.events), list(found.tickets)


def make_report(truth: Truth, found: Records, city: City) -> Report:
    """Judge a run by what its ledger holds."""
    found = replace(found, events=tuple(_as_opened(event, found) for event in found.events))
    score = keep_score(truth, found.events, found.tickets, intervals_of(city), city)
    limited = [one for one, episode in zip(score.episodes, truth.episodes, strict=True) if episode.limit_us is not None]
    return Report(
        truth,
        found,
        score,
        Tally.of(score.episodes),
        Tally.of(limited),
        Tally.of(score.faults),
        confusion(truth, score, found, city),
        load(truth, found, city),
    )


def _as_opened(event: GridEvent, found: Records) -> GridEvent:
    """An event with whoever had it first at the head of its line: a worker who hands on was called all the same."""
    worker = found.first_had.get(event.id)
    if worker is None or worker == event.responsible.worker:
        return event
    known = [one for one in event.line if one.worker == worker]
    first = known[0] if known else Responsible(worker, LocalText(worker, worker), Role.WORKER, event.grid)
    return replace(event, line=(first, *(one for one in event.line if one.worker != worker)))


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs: numbers, enums by value, times as RFC 3339 in UTC."""
    truth, score = report.truth, report.score
    content = {
        "version": VERSION,
        "city": truth.city,
        "scenario": truth.scenario,
        "seed": truth.seed,
        "from": isoformat(truth.start_us),
        "to": isoformat(truth.end_us),
        "days": score.days,
        "sensors": score.sensors,
        "perfect": score.perfect,
        "summary": {
            "episodes": _tally(report.episodes),
            "episodes_over_a_limit": _tally(report.over_limit),
            "faults": _tally(report.faults),
            "false_events": _false(score, score.false_events),
            "false_tickets": _false(score, score.false_tickets),
        },
        "episodes": [_found(one) for one in score.episodes],
        "faults": [_found(one) for one in score.faults],
        "false_events": _cases(score, score.false_events),
        "false_tickets": _cases(score, score.false_tickets),
        "false_alarms": [{"code": code, "sensor": sensor} for code, sensor in score.false_alarms],
        "silences": [_stilled(one) for one in score.silences],
        "confusion": _confusion(report.confusion),
        "load": _timed(asdict(report.load)),
    }
    made = plain(content)
    assert isinstance(made, dict)  # noqa: S101 - of a mapping it makes one
    return made


def write_json(report: Report, path: Path) -> None:
    """Write the report for programs. Raises ConfigurationError where the file cannot be written."""
    write_text(path, json.dumps(as_json(report), ensure_ascii=False, indent=2) + "\n")


def write_text(path: Path, content: str) -> None:
    """Write a file that the user asked for. Raises ConfigurationError where that is not possible."""
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be written: {error}; expected a file in a folder that exists"
        ) from error


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "all": tally.all,
        "shown": tally.shown,
        "told": tally.told,
        **{outcome.value: count for outcome, count in tally.by.items()},
        "delay_median_s": tally.median_s,
        "delay_p95_s": tally.slow_s,
    }


def _false(score: Score, cases: Sequence[object]) -> dict[str, Any]:
    return {
        "count": len(cases),
        "per_day": score.per_day(len(cases)),
        "per_day_and_1000_sensors": score.per_day(len(cases), per_1000_sensors=True),
    }


def _found(found: Found) -> dict[str, Any]:
    return {**asdict(found), "outcome": found.outcome}


def _cases(score: Score, cases: Sequence[tuple[str, Sequence[str]]]) -> list[dict[str, Any]]:
    return [{"code": code, "sensors": sensors, "because": score.blame[code]} for code, sensors in cases]


def _stilled(one: Stilled) -> dict[str, Any]:
    return {
        "kind": one.silence.kind,
        "grid": one.silence.grid,
        "from": isoformat(one.silence.from_us),
        "to": isoformat(one.silence.to_us),
        "sensors": len(one.silence.sensors),
        "tickets": one.tickets,
        "events": one.events,
    }


def _confusion(found: Confusion) -> dict[str, Any]:
    return {
        "table": {
            thing.value: dict(zip((told.value for told in Told), found.row(thing), strict=True)) for thing in Thing
        },
        "unseen": found.unseen,
        "not_shown": found.not_shown,
        "kinds": [asdict(row) for row in found.kinds],
    }


def _timed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same with times as text."""

    def text(key: str, value: Any) -> tuple[str, Any]:
        if isinstance(value, Mapping):
            return key, _timed(value)
        if isinstance(value, tuple):
            return key, [text("", one)[1] for one in value]
        if key.endswith("_us"):
            return key.removesuffix("_us"), None if value is None else isoformat(value)
        return key, value

    return dict(text(key, value) for key, value in content.items())
