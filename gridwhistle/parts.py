"""Shares of the city: which sensors an ingest process takes, and the settings with which it runs."""

from collections.abc import Sequence

import numpy as np

from config.city import City
from config.errors import ConfigurationError
from config.settings import LocalStoreSettings, Part, Settings
from gridwhistle.page_process import ledger_url
from ingest.model import Bools, Int32s


def owners(parts: Sequence[Part], city: City) -> Int32s:
    """Which part (its position) has each sensor, shape (sensors,).

    Raises ConfigurationError where a name or a node stands twice, a node is not in the city, a node is below another's,
    or a sensor belongs to no part.
    """
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"parts: found the names {', '.join(names)}; expected each once")
    of_node: dict[str, int] = {}
    for number, part in enumerate(parts):
        for code in part.nodes:
            if code not in city.grids:
                raise ConfigurationError(f"parts.{part.name}.nodes: found {code!r}; expected codes of the grid tree")
            if code in of_node:
                raise ConfigurationError(f"parts.{part.name}.nodes: {code} is there twice; expected in one part, once")
            of_node[code] = number
    grids = {code: _owner(code, of_node, parts, city) for code in city.grids}
    found = np.array([grids[code] for code in city.columns.grid.names], np.int32)[city.columns.grid.code]
    homeless = np.flatnonzero(found < 0)
    if len(homeless):
        sensor = city.sensors[int(homeless[0])]
        raise ConfigurationError(
            f"parts: {len(homeless)} sensors belong to none, the first is {sensor.id} in grid {sensor.grid}; "
            "expected parts whose nodes together hold every sensor"
        )
    return found


def _owner(code: str, of_node: dict[str, int], parts: Sequence[Part], city: City) -> int:
    held = [node.code for node in city.upwards(code) if node.code in of_node]
    if len(held) > 1:
        raise ConfigurationError(f"parts.{parts[of_node[held[0]]].name}.nodes: {held[0]} is below {held[1]} already")
    return of_node[held[0]] if held else -1


def mine(part: Part, parts: Sequence[Part], city: City) -> Bools:
    """Which sensors a part has, shape (sensors,). Raises like ``owners``."""
    answer: Bools = owners(parts, city) == [one.name for one in parts].index(part.name)
    return answer


def settings_of(part: Part, settings: Settings) -> Settings:
    """The settings with which a part runs: a folder, sessions and topics of its own, the ledger of all.

    Raises ConfigurationError where the embedded store has one path for all parts: only one process can open it.
    """
    if isinstance(settings.store, LocalStoreSettings) and settings.store.path is not None:
        raise ConfigurationError(
            "store.path: one file cannot serve several parts; leave it out (each part keeps its own) or use a server"
        )
    mqtt = settings.mqtt.model_copy(
        update={"client_id": f"{settings.mqtt.client_id}-{part.name}", "subscriptions": part.subscriptions}
    )
    return settings.model_copy(
        update={
            "data_dir": settings.data_dir / "parts" / part.name,
            "mqtt": mqtt,
            "ledger": settings.ledger.model_copy(update={"url": ledger_url(settings)}),
        }
    )
