"""``gridwhistle store``: set up the store of readings, and see how it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.city_files import load_city
from config.clock import isoformat, today
from config.settings import Settings
from config.settings_files import load_settings
from config.texts import text
from config.vocabulary import Language
from ingest.store_info import Change, ManagedStore, Note, PlaceInfo
from ingest.stores import open_store

store_app = typer.Typer(
    name="store",
    help="Set up the store of readings, and see how it is.",
    no_args_is_help=True,
)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file, TOML or YAML.")]
LanguageOption = Annotated[
    Language | None, typer.Option("--language", help="Language of what is printed; that of the settings if not given.")
]

_WIDE = 160
_MEGABYTE = 1_000_000


@store_app.command("init")
def init(config: ConfigOption = None, language: LanguageOption = None) -> None:
    """Create what the store misses, and have it keep readings and aggregates for as long as the settings say.

    What is older than that is deleted by the store soon after. Running it twice changes nothing.
    """
    settings, store = _opened(config)
    spoken = language or settings.language
    try:
        arrangement = store.arrange()
    finally:
        store.close()
    out = Console(highlight=False, soft_wrap=True)
    for change in arrangement.changes:
        out.print(escape(changed(change, spoken)))
    _print_notes(out, arrangement.notes, spoken)


@store_app.command("info")
def info(config: ConfigOption = None, language: LanguageOption = None) -> None:
    """Show the store's version, series, places and sizes, and what is not as the settings say. Changes nothing."""
    settings, store = _opened(config)
    spoken = language or settings.language
    try:
        found = store.info()
    finally:
        store.close()
    terminal = Console(highlight=False, soft_wrap=True)
    head = {"product": found.product, "version": found.version, "address": found.address}
    terminal.print(escape(text("store.head", spoken, head)))
    if found.series is not None:
        terminal.print(escape(text("store.series", spoken, {"series": f"{found.series:,}"})))
    if found.aggregated_us is not None:
        terminal.print(escape(text("store.aggregated", spoken, {"time": isoformat(found.aggregated_us)})))
    out = terminal if terminal.is_terminal else Console(highlight=False, width=_WIDE)
    table = Table(*(text(f"store.column.{name}", spoken) for name in ("place", "kept", "wanted", "size", "rows")))
    for place in found.places:
        table.add_row(*_row(place, spoken))
    out.print(table)
    _print_notes(terminal, found.notes, spoken)


def _opened(config: Path | None) -> tuple[Settings, ManagedStore]:
    settings = load_settings(config)
    city = load_city(settings.city, today=today())
    return settings, open_store(settings.store, settings.data_dir, city)


def lasting(hours: int | None, language: Language) -> str:
    """How long something is kept, in words."""
    if hours is None:
        return text("store.missing", language)
    if hours == 0:
        return text("store.for_ever", language)
    return text("store.days", language, {"days": f"{hours / 24:g}"})


def changed(change: Change, language: Language) -> str:
    """A change in words."""
    params = {
        "place": change.place,
        "was": lasting(change.was_hours, language),
        "now": lasting(change.hours, language),
    }
    return text(f"store.{change.done.value}", language, params)


def _row(place: PlaceInfo, language: Language) -> list[str]:
    size = "" if place.bytes is None else f"{place.bytes / _MEGABYTE:,.1f} MB"
    rows = "" if place.rows is None else f"{place.rows:,}"
    return [escape(place.name), lasting(place.hours, language), lasting(place.wanted_hours, language), size, rows]


def _print_notes(out: Console, notes: Sequence[Note], language: Language) -> None:
    for note in notes:
        out.print(escape(text(f"store.note.{note.key}", language, note.params)), style="yellow")
