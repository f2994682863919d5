"""SenML in CBOR (RFC 8428, section 6): the records of SenML with whole numbers for labels (table 4).

Labels that are texts are read by the names of the JSON form; other whole numbers are passed over, as unknown names are.
What a record means, and what is refused of it, is the same as in ``senml``.
"""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingest.formats.cbor import CborError, loads
from ingest.formats.columns import SHOWN, Decoded, Unread
from ingest.formats.senml import Rows, read_records
from ingest.model import Int64s, RefusalReason

EXPECTED = 'SenML CBOR: a list of records like [{-2: "air-", 0: "1", 1: "Cel", 2: 21.5}]'

# fmt: off
LABELS: Final = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}
# fmt: on
"""RFC 8428, table 4."""


def decode(
    payloads: Sequence[bytes], topics: Sequence[str], received_us: Int64s, zone: ZoneInfo | None = None
) -> Decoded:
    """Decode payloads into columns. See ``ingest.formats.columns.Decoder``."""
    del topics, zone  # ids stand in the payloads, and times are numbers
    rows = Rows(EXPECTED)
    for number, payload in enumerate(payloads):
        rows.begin(number)
        try:
            given = loads(payload)
        except CborError as error:
            shown = payload[: SHOWN // 2].hex() + ("…" if len(payload) > SHOWN // 2 else "")
            found = f"{error}: 0x{shown}" if payload else "an empty payload"
            rows.unread.append(Unread(number, RefusalReason.UNREADABLE, found, EXPECTED))
        else:
            read_records(_named(given), number, rows)
    return rows.columns(received_us)


def _named(given: Any) -> Any:
    """The same with names for labels; what is no list of maps stays as it is."""
    if not isinstance(given, list):
        return given
    return [_record(one) if isinstance(one, dict) else one for one in given]


def _record(record: dict[Any, Any]) -> dict[str, Any]:
    named = ((LABELS.get(key) if not isinstance(key, str) else key, value) for key, value in record.items())
    return {name: value for name, value in named if name is not None}
