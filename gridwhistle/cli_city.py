"""``gridwhistle new-city``: a made-up city of any size in a folder, to try everything in."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape

from config.city import City
from config.errors import ConfigurationError
from config.geometry import area_m2
from config.texts import text
from config.vocabulary import GridLevel, Language
from sensors_sim.city_maker import FEWEST, MOST, make_world, write_world


def new_city(
    folder: Annotated[Path, typer.Argument(help="Folder to write; new or empty.")],
    sensors: Annotated[int, typer.Option("--sensors", min=FEWEST, max=MOST, help="Series of readings.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same city, to the byte.")] = 1,
    language: Annotated[Language, typer.Option("--language", help="Language of what is printed.")] = Language.ZH,
) -> None:
    """Make a city up: streets, buildings, grids, sensors, people and limits, as a folder that the daemon can read."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(text("new_city.no_folder", language, {"folder": folder}))
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(text("new_city.not_empty", language, {"folder": folder}))
    world = make_world(sensors, seed)
    try:
        write_world(world, folder)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigurationError(text("new_city.unwritable", language, {"folder": folder, "why": why})) from error
    out = Console(highlight=False, soft_wrap=True)
    for line in _told(world.city, seed, folder, language):
        out.print(escape(line))


def _told(city: City, seed: int, folder: Path, language: Language) -> list[str]:
    columns = city.columns
    grids = [grid for grid in city.grids.values() if grid.level is GridLevel.GRID]
    params = {
        "name": getattr(city.name, language.value),
        "sensors": f"{len(columns):,}",
        "devices": f"{len(columns.device.names):,}",
        "grids": f"{len(grids):,}",
        "area": f"{sum(area_m2(grid.polygon) for grid in grids) / 1e6:,.0f}",
        "workers": f"{len(city.workers):,}",
        "seed": seed,
    }
    counts = np.bincount(columns.kind.code, minlength=len(columns.kind.names)).tolist()
    kinds = [
        f"{text(f'kind.{name}', language)} {count:,}" for name, count in zip(columns.kind.names, counts, strict=True)
    ]
    return [
        text("new_city.made", language, params),
        text("new_city.kinds", language, {"kinds": ("、" if language is Language.ZH else ", ").join(kinds)}),
        text("new_city.written", language, {"folder": folder}),
    ]
