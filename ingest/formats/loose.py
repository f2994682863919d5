"""Reading a payload that msgspec refused: by the standard library, so that each wrong item can be named."""

import json
from typing import Any

from ingest.formats.columns import Unread, shown_payload
from ingest.model import RefusalReason


def load(payload: bytes, message: int, expected: str) -> Any | Unread:
    """The JSON of a payload, or why there is none.

    Takes NaN, Infinity and 1e999 (as floats that are not finite), so that the good items beside them are kept
    and the bad one is named. Of two equal keys the last holds, as with msgspec.
    """
    try:
        return json.loads(payload.decode("utf-8-sig"))
    except UnicodeDecodeError:
        problem = "bytes that are not UTF-8"
    except RecursionError:
        problem = "nested too deep"
    except ValueError as error:  # malformed, truncated, or an integer of more digits than Python reads
        problem = str(error).partition(";")[0] if payload else "an empty payload"
    found = problem if not payload else f"{problem}: {shown_payload(payload)}"
    return Unread(message, RefusalReason.UNREADABLE, found, expected)
