"""Whose rows a record of the spool speaks of: the order of the sensors it was written under, and its way to today's.

A row of ``sensors.csv`` is a number that the next edition of the file may give to another sensor, so ids and quantities
of every order that records still speak of are kept beside them, once, in ``sensors-<fingerprint>.table``.
"""

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np

from config.city import City
from config.clock import US_PER_SECOND
from config.quantities import QUANTITIES
from ingest.model import Admission, Int32s, Quality, Record, Refusal, RefusalReason
from ingest.spool_folder import DRAFT

_NAME = re.compile(r"sensors-[0-9a-f]{16}\.table", re.ASCII)


@dataclass(frozen=True, slots=True)
class SensorTable:
    """Ids and quantities of the sensors, in the order of their rows. fingerprint: 64 bits of them."""

    ids: tuple[str, ...]
    quantities: tuple[str, ...]
    fingerprint: int

    @staticmethod
    def of(ids: Sequence[str], quantities: Sequence[str]) -> "SensorTable":
        """A table with its fingerprint."""
        text = "\n".join(chain(ids, ("",), quantities)).encode("utf-8", "surrogatepass")
        return SensorTable(
            tuple(ids), tuple(quantities), int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
        )

    @staticmethod
    def of_city(city: City) -> "SensorTable":
        """The order of the city's sensors."""
        quantity = city.columns.quantity
        return SensorTable.of(city.columns.ids, [quantity.names[code] for code in quantity.code.tolist()])

    def rows_in(self, other: "SensorTable") -> Int32s:
        """The row each sensor has in another table, -1 where it has none with this id and quantity."""
        index = {key: row for row, key in enumerate(zip(other.ids, other.quantities, strict=True))}
        found = (index.get(key, -1) for key in zip(self.ids, self.quantities, strict=True))
        return np.fromiter(found, np.int32, len(self.ids))


def table_path(folder: Path, fingerprint: int) -> Path:
    """The file that holds a table."""
    return folder / f"sensors-{fingerprint:016x}.table"


def table_files(folder: Path) -> dict[int, Path]:
    """The tables of a folder by fingerprint. Raises OSError."""
    return {
        int(path.stem.removeprefix("sensors-"), 16): path for path in folder.iterdir() if _NAME.fullmatch(path.name)
    }


def write_table(folder: Path, table: SensorTable) -> int:
    """Keep a table, on disk when the folder is synced, and whole or not at all. Answers its bytes. Raises OSError."""
    path = table_path(folder, table.fingerprint)
    content = zlib.compress(msgspec.msgpack.encode((table.ids, table.quantities)), 1)
    draft = path.with_suffix(DRAFT)
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return len(content)


def read_table(folder: Path, fingerprint: int) -> SensorTable | None:
    """The table of this fingerprint; None where there is none, or only a damaged one."""
    try:
        content = zlib.decompress(table_path(folder, fingerprint).read_bytes())
        ids, quantities = msgspec.msgpack.decode(content, type=tuple[list[str], list[str]])
    except (OSError, zlib.error, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    table = SensorTable.of(ids, quantities)
    return table if table.fingerprint == fingerprint and len(ids) == len(quantities) else None


def moved(record: Record, table: SensorTable, rows: Int32s) -> Record:
    """A record in the rows of another city. rows: what ``table.rows_in`` says.

    Readings of sensors that are gone there are no longer in the batch; each stands at the end of ``refused`` as
    UNKNOWN_SENSOR with ``sensor`` -1 and the reading, in the native format, as its payload. Refusals and clock steps of
    such sensors are left out. Raises ValueError where the record has rows that the table has not.
    """
    admission, batch = record.admission, record.admission.batch
    named = [*admission.stepped, *(refusal.sensor for refusal in admission.refused)]
    highest = max(int(batch.sensor.max(initial=-1)), *named, -1)
    lowest = min(int(batch.sensor.min(initial=0)), *named, 0)
    if lowest < 0 or highest >= len(rows):
        raise ValueError(f"rows {lowest} to {highest} of a table of {len(rows)} sensors")
    sensor = rows[batch.sensor]
    kept = np.flatnonzero(sensor >= 0)
    part = batch.take(kept)
    part.sensor[:] = sensor[kept]
    refused = tuple(
        Refusal(one.reason, one.received_us, one.topic, one.payload, one.found, one.expected, int(rows[one.sensor]))
        for one in admission.refused
        if rows[one.sensor] >= 0
    )
    stepped = tuple(int(rows[row]) for row in admission.stepped if rows[row] >= 0)
    lost = tuple(_gone(record, table, row) for row in np.flatnonzero(sensor < 0).tolist())
    moved_admission = Admission(part, admission.given_us[kept], admission.identity[kept], refused + lost, stepped)
    return Record(record.position, record.decided_us, moved_admission)


def _gone(record: Record, table: SensorTable, row: int) -> Refusal:
    """The refusal of one reading whose sensor is gone."""
    batch = record.admission.batch
    sensor = int(batch.sensor[row])
    reading: dict[str, object] = {
        "id": table.ids[sensor],
        "t": int(record.admission.given_us[row]) / US_PER_SECOND,
        "v": float(batch.value[row]),
    }
    if table.quantities[sensor] in QUANTITIES:
        reading["u"] = QUANTITIES[table.quantities[sensor]].unit
    if batch.quality[row] in {Quality.SIMULATED, Quality.DOUBTFUL}:
        reading["q"] = Quality(batch.quality[row]).name.lower()
    return Refusal(
        RefusalReason.UNKNOWN_SENSOR,
        int(batch.received_us[row]),
        f"spool/{record.position}",
        msgspec.json.encode(reading),
        f"id {table.ids[sensor]!r} of {table.quantities[sensor]}, in the spool from an earlier edition of the city",
        "the id and quantity of a configured sensor",
    )
