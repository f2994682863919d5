"""Readings on their way through the rules, as columns, and what is refused of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.model import Bools, Float64s, Int32s, Int64s, Messages, Refusal, RefusalReason, Uint8s


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings of one format that are still in the running, with what a refusal of them would have to say.

    message: position in the messages of the call. given: the value as given. identity: empty before it is known.
    ids, units: of all readings that were decoded; origin: which of them these rows are, None where it is all of them.
    """

    message: Int32s | Int64s
    sensor: Int32s
    given_us: Int64s
    received_us: Int64s
    value: Float64s
    given: Float64s
    quality: Uint8s
    ids: Sequence[str]
    units: Sequence[str | None] | None
    identity: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    origin: Int64s | None = None

    def __len__(self) -> int:
        return len(self.sensor)

    def take(self, keep: Bools) -> "Rows":
        """The rows named by a mask."""
        return Rows(
            self.message[keep],
            self.sensor[keep],
            self.given_us[keep],
            self.received_us[keep],
            self.value[keep],
            self.given[keep],
            self.quality[keep],
            self.ids,
            self.units,
            self.identity[keep] if len(self.identity) else self.identity,
            np.flatnonzero(keep) if self.origin is None else self.origin[keep],
        )

    def id_of(self, row: int) -> str:
        """The id that a reading names."""
        return self.ids[row if self.origin is None else int(self.origin[row])]

    def unit_of(self, row: int) -> str | None:
        """The unit that a reading names, None where it names none."""
        return None if self.units is None else self.units[row if self.origin is None else int(self.origin[row])]


Explain = Callable[[Rows, int], tuple[str, str]]
"""What was found and what was expected, of one row that is refused."""


class Call:
    """One call of admit: the messages, when they count as received, and what is refused of them."""

    def __init__(self, messages: Messages, received_us: Int64s, now_us: int) -> None:
        self.messages = messages
        self.received_us = received_us
        self.now_us = now_us
        self.any_retained = bool(messages.retained.any())
        self.any_redelivered = bool(messages.redelivered.any())
        self.refused: list[Refusal] = []
        self.folded: dict[RefusalReason, int] = {}  # readings refused together with another one of their message

    def refuse(self, number: int, reason: RefusalReason, found: str, expected: str, sensor: int = -1) -> None:
        """Note one refusal of the message with this position."""
        topic, payload = self.messages.topics[number], self.messages.payloads[number]
        refusal = Refusal(reason, int(self.received_us[number]), topic, payload, found, expected, sensor)
        self.refused.append(refusal)

    def fold(self, reason: RefusalReason, readings: int) -> None:
        """Count readings that are refused together with one that was refused by name."""
        self.folded[reason] = self.folded.get(reason, 0) + readings

    def sift(self, rows: Rows, good: Bools, reason: RefusalReason, explain: Explain) -> Rows:
        """Keep the good rows; refuse the others with (found, expected) as explained for each."""
        if good.all():
            return rows
        for row in np.flatnonzero(~good).tolist():
            found, expected = explain(rows, row)
            self.refuse(int(rows.message[row]), reason, found, expected, int(rows.sensor[row]))
        return rows.take(good)
