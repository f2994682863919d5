"""Sensors as they were read, kept in a file: reading the same files again then costs a tenth.

The file is never believed beyond its key, which stands for everything that the reading depends on: the table, the
grids, the owners and this program. A file that is of another key, torn or damaged is passed over and written anew.
It holds the SHA-256 of what follows, then the columns as NumPy's npz.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from config.city import Grid
from config.sensors import Labels, SensorColumns, TextTable

log = structlog.get_logger(__name__)

_DIGEST = hashlib.sha256().digest_size
_LABELS = ("kind", "quantity", "unit", "owner", "grid", "device")
_NUMBERS = ("lon", "lat", "place", "interval_s", "calibrated")
_TEXTS = ("place_zh", "place_en")


def key_of(data: bytes, grids: Mapping[str, Grid], owners: Iterable[str]) -> str:
    """What the reading of a table of sensors depends on, but for the day, as a hexadecimal digest."""
    digest = hashlib.sha256(_program())
    owner_ids = sorted(owners)
    digest.update(json.dumps([len(data), owner_ids, len(grids)]).encode())
    for grid in grids.values():
        outline = grid.polygon.wkb
        digest.update(json.dumps([grid.code, grid.level, grid.parent, len(outline)]).encode())
        digest.update(outline)
    digest.update(data)
    return digest.hexdigest()


@cache
def _program() -> bytes:
    # the table of quantities and every check are part of what a reading depends on
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py*")):
        digest.update(path.read_bytes())
    return digest.digest()


def keep(columns: SensorColumns, path: Path, key: str, today: date | None) -> None:
    """Write the columns down. What cannot be written is logged: the next reading takes its time again."""
    head: dict[str, Any] = {"key": key, "today": 0 if today is None else today.toordinal()}
    arrays: dict[str, npt.NDArray[Any]] = {name: getattr(columns, name) for name in _NUMBERS}
    tables = {"ids": TextTable(columns.ids), **{name: getattr(columns, name) for name in _TEXTS}}
    for name in _LABELS:
        column: Labels = getattr(columns, name)
        arrays[name] = column.code
        if isinstance(column.names, TextTable):
            tables[f"{name}.names"] = column.names
        else:
            head[name] = list(column.names)
    for name, table in tables.items():
        arrays[f"{name}.bytes"], arrays[f"{name}.ends"] = table.as_arrays()
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    fresh = path.with_name(f"{path.name}.new")
    try:
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]  # its stubs take the columns for allow_pickle
        with fresh.open("wb") as file:
            file.write(hashlib.sha256(content.getbuffer()).digest())
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        log.warning(
            "the sensors as read cannot be kept; the next start reads them anew", file=str(path), why=str(error)
        )


def kept(path: Path, key: str, today: date | None) -> SensorColumns | None:
    """The columns that were kept under this key; None where there are none, or not as they were written.

    today: as in reading; what was right on one day is right on every later one, but not the other way round.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("the sensors as kept cannot be read; they are read anew", file=str(path), why=str(error))
        return None
    if hashlib.sha256(memoryview(content)[_DIGEST:]).digest() != content[:_DIGEST]:
        log.warning("the sensors as kept are damaged; they are read anew", file=str(path))
        return None
    with np.load(io.BytesIO(content[_DIGEST:]), allow_pickle=False) as file:
        head = json.loads(file["head"].tobytes())
        if head["key"] != key or (today is not None and not 0 < head["today"] <= today.toordinal()):
            return None
        return _columns(head, file)


def _columns(head: Mapping[str, Any], file: Mapping[str, npt.NDArray[Any]]) -> SensorColumns:
    def table(name: str) -> TextTable:
        return TextTable.of_arrays(file[f"{name}.bytes"], file[f"{name}.ends"])

    def labels(name: str) -> Labels:
        return Labels(tuple(head[name]) if name in head else table(f"{name}.names"), file[name])

    return SensorColumns(
        ids=tuple(table("ids").all()),
        kind=labels("kind"),
        quantity=labels("quantity"),
        unit=labels("unit"),
        lon=file["lon"],
        lat=file["lat"],
        place=file["place"],
        place_zh=table("place_zh"),
        place_en=table("place_en"),
        interval_s=file["interval_s"],
        owner=labels("owner"),
        grid=labels("grid"),
        device=labels("device"),
        calibrated=file["calibrated"],
    )
