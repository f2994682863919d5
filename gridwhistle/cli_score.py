"""``gridwhistle score``: hold what the daemon opened against what really happened."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from alerting.ledger import Ledger
from alerting.reports import records
from config.city_files import EXAMPLE
from config.errors import ConfigurationError
from config.vocabulary import Language
from gridwhistle.cli_common import LanguageOption
from gridwhistle.score.page import write_page
from gridwhistle.score.report import make_report, write_json
from gridwhistle.score.table import print_report
from sensors_sim.city_maker import load_world
from sensors_sim.truth import read_truth

WIDE = 160
"""Columns of a table that goes into a file or a pipe."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("score")(score_command)


def score_command(
    run: Annotated[Path, typer.Argument(help="The daemon's data_dir, or the folder that holds it as data/.")],
    truth: Annotated[Path, typer.Argument(help="Truth file of the simulation.")],
    *,
    city: Annotated[Path, typer.Option("--city", help="Folder of the city's files that was simulated.")] = EXAMPLE,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the score into this file as JSON.")] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write one page with pictures into this file; it needs no network.")
    ] = None,
    language: LanguageOption = Language.ZH,
) -> None:
    """Compare what the daemon opened with what really happened. Exit code 1 where anything is missed or wrong."""
    data_dir = data_dir_of(run)
    happened = read_truth(truth)
    world = load_world(city)
    simulated = world.city
    if simulated.version != happened.city:
        raise ConfigurationError(
            f"{truth}: city is {happened.city}, expected {simulated.version}, the version of {city}; name its folder"
            " with --city"
        )
    ledger = Ledger.open(f"sqlite:///{(data_dir / 'ledger.sqlite').resolve()}")
    try:
        report = make_report(happened, records(ledger), simulated)
    finally:
        ledger.close()
    if json_file is not None:
        write_json(report, json_file)
    if page is not None:
        write_page(report, simulated, data_dir, page, language=language, world=world)
    out = Console(highlight=False, soft_wrap=True)
    print_report(report, out if out.is_terminal else Console(highlight=False, width=WIDE), language)
    if not report.score.perfect:
        raise SystemExit(1)


def data_dir_of(run: Path) -> Path:
    """The data_dir of a run: the folder itself, or ``data`` in it. Raises ConfigurationError without a ledger."""
    for folder in (run, run / "data"):
        if (folder / "ledger.sqlite").exists():
            return folder
    raise ConfigurationError(f"{run / 'ledger.sqlite'}: not found; expected the ledger of a daemon's data_dir")
