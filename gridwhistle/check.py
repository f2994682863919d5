"""What ``gridwhistle check`` prints: mistakes of the settings and the city, and what the broker would lose."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from config.city_files import read_city
from config.clock import SystemClock, today
from config.problems import Level, Problem
from config.settings import MqttSettings, Settings
from config.settings_files import read_settings
from config.texts import text
from config.vocabulary import Language
from ingest.broker_limits import Finding, Observed, check_broker

STYLES = {Level.ERROR: "red", Level.WARNING: "yellow"}


def check_settings(path: Path, out: Console, language: Language) -> Settings | None:
    """Print every mistake of a settings file; the settings, None where they cannot be used."""
    report = read_settings(path)
    _print_problems(report.problems, out, language)
    return report.settings


def check_city(folder: Path, out: Console, language: Language) -> bool:
    """Print every mistake of a city's folder; whether it can be used."""
    report = read_city(folder, today=today())
    _print_problems(report.problems, out, language)
    if report.city is None:
        return False
    city = report.city
    counts = {"grids": len(city.grids), "sensors": len(city.sensors), "workers": len(city.workers)}
    out.print(text("cli.city_good", language, counts), markup=False)
    return True


def check_limits(settings: MqttSettings, out: Console, language: Language) -> bool:
    """Try the broker's limits and print what would be lost and what to write where; whether it can be used at all.

    Raises ConfigurationError for files of ``mqtt.tls`` that cannot be used.
    """
    seen, found = check_broker(settings, SystemClock())
    if seen is not None:
        version = seen.version or text("broker.unknown_version", language)
        params = {"host": settings.host, "port": settings.port, "version": version}
        out.print(text("broker.seen", language, params), markup=False)
    for finding in found:
        _print_finding(finding, out, language)
    if seen is not None:
        _print_good(seen, found, out, language)
    return all(finding.level is not Level.ERROR for finding in found)


def _print_problems(problems: Iterable[Problem], out: Console, language: Language) -> None:
    for problem in problems:
        out.print(problem.text(language), style=STYLES[problem.level], markup=False)


def _print_finding(finding: Finding, out: Console, language: Language) -> None:
    level = text(f"check.level.{finding.level}", language)
    line = text("broker.line", language, {"level": level, "what": finding.text(language)})
    out.print(line, style=STYLES[finding.level], markup=False)
    if finding.lines:
        where = {"not_allowed": "write_acl", "old_protocol": "write_settings"}.get(finding.code, "write")
        out.print(f"  {text(f'broker.{where}', language)}", markup=False)
        for written in finding.lines:
            out.print(f"    {written}", markup=False)


def _print_good(seen: Observed, found: tuple[Finding, ...], out: Console, language: Language) -> None:
    if not found:
        params = {"kept": seen.kept, "tried": seen.tried, "window": seen.window}
        out.print(text("broker.good", language, params), markup=False)
    out.print(text("broker.unseen", language), markup=False)
