"""From what a walk over a segment finds to records in the rows of today, with every damage told once."""

from pathlib import Path

import msgspec
import structlog

from ingest.model import Int32s, Record
from ingest.spool_format import decode_record
from ingest.spool_segments import Damage, Stored
from ingest.spool_sensors import SensorTable, moved, read_table, table_path

_log = structlog.get_logger(__name__)


class Reading:
    """Reads what stands in the segments of a folder; from any thread."""

    def __init__(self, folder: Path, table: SensorTable) -> None:
        self._folder = folder
        self._table = table
        self._ways: dict[int, tuple[SensorTable, Int32s] | None] = {}
        self._told: set[tuple[str, int]] = set()
        self.counters = {"damaged": 0, "lost_records": 0}

    def read(self, path: Path, found: Stored | Damage) -> Record | None:
        """The record; None for damage, which is told."""
        if isinstance(found, Damage):
            self.tell(found)
            return None
        whole = Damage(path, found.offset, len(found.data), found.head.position, found.head.position + 1)
        try:
            record = decode_record(found.head, found.data)
            if found.head.sensors == self._table.fingerprint:
                return record
            way = self._way_from(found.head.sensors)
            if way is not None:
                return moved(record, *way)
        except (ValueError, msgspec.MsgspecError) as error:
            self.tell(whole, str(error))
            return None
        self.tell(whole, f"{table_path(self._folder, found.head.sensors).name} is missing or damaged")
        return None

    def tell(self, damage: Damage, why: str = "the bytes are not what was written") -> None:
        """Log and count a damage, the first time it is met."""
        if (damage.path.name, damage.offset) in self._told:
            return
        self._told.add((damage.path.name, damage.offset))
        lost = 0 if damage.end is None else damage.end - damage.begin
        self.counters["damaged"] += 1
        self.counters["lost_records"] += lost
        _log.error(
            "spool_damaged",
            file=str(damage.path),
            offset=damage.offset,
            bytes=damage.length,
            first_lost=damage.begin,
            records_lost=lost,
            why=why,
        )

    def _way_from(self, fingerprint: int) -> tuple[SensorTable, Int32s] | None:
        """The table of other sensors and their rows of today; None where the table is lost."""
        if fingerprint not in self._ways:
            table = read_table(self._folder, fingerprint)
            self._ways[fingerprint] = None if table is None else (table, table.rows_in(self._table))
        return self._ways[fingerprint]
