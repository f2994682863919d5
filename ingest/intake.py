"""From messages to admitted columns: decode by topic, resolve sensors, apply every rule, name every refusal."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from config.city import City
from config.clock import isoformat
from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.admit import Recent, TimeRules, UnitTable, quality_of, reach_of, repeats_within
from ingest.formats import FORMATS
from ingest.formats.columns import Unread, shown
from ingest.model import (
    Admission,
    Bools,
    Float64s,
    Int32s,
    Int64s,
    Message,
    Quality,
    ReadingBatch,
    Refusal,
    RefusalReason,
)
from ingest.topics import TopicTable

_QUALITY_NAMES = {quality: quality.name.lower() for quality in Quality if quality is not Quality.GOOD}


class _Index(dict[str, int]):
    """Sensor ids to rows; -1 for an id nobody configured, without keeping it."""

    def __missing__(self, key: str) -> int:
        return -1


class _Codes(dict[str | None, int]):
    """Units to columns of the unit table; one column stands for all that nobody knows, -1 for none given."""

    def __init__(self, units: UnitTable) -> None:
        super().__init__(units.codes)
        self[None] = -1
        self._unknown = units.unknown

    def __missing__(self, key: str | None) -> int:
        return self._unknown


@dataclass(frozen=True, slots=True)
class _Rows:
    """Readings of one format that are still in the running, with what a refusal of them would have to say."""

    message: Int64s  # position in the messages of the call
    sensor: Int32s
    event_us: Int64s
    value: Float64s
    given: Float64s
    quality: Int64s
    names: Sequence[str]
    units: Sequence[str | None] | None

    def take(self, keep: Bools) -> "_Rows":
        rows = np.flatnonzero(keep).tolist()
        return _Rows(
            self.message[keep],
            self.sensor[keep],
            self.event_us[keep],
            self.value[keep],
            self.given[keep],
            self.quality[keep],
            [self.names[row] for row in rows],
            None if self.units is None else [self.units[row] for row in rows],
        )


class _Call:
    """One call of admit: the messages, their receive times, and what is refused of them."""

    def __init__(self, messages: Sequence[Message], received_us: Int64s) -> None:
        self.messages = messages
        self.received_us = received_us
        self.refused: list[Refusal] = []
        self.stepped: tuple[int, ...] = ()

    def refuse(self, number: int, reason: RefusalReason, found: str, expected: str, sensor: int = -1) -> None:
        """Note one refusal of the message with this position."""
        message = self.messages[number]
        received_us = int(self.received_us[number])
        refusal = Refusal(reason, received_us, message.topic, message.payload, found, expected, sensor)
        self.refused.append(refusal)

    def sift(
        self, rows: _Rows, good: Bools, reason: RefusalReason, explain: Callable[[_Rows, int], tuple[str, str]]
    ) -> _Rows:
        """Keep the good rows; refuse the others with (found, expected) as explained for each."""
        if good.all():
            return rows
        for row in np.flatnonzero(~good).tolist():
            found, expected = explain(rows, row)
            self.refuse(int(rows.message[row]), reason, found, expected, int(rows.sensor[row]))
        return rows.take(good)


class Intake:
    """Admits messages. Owns what must be remembered of recent readings; not for several threads at once.

    subscriptions: which topics carry which format; the first whose filter covers a topic holds.
    follows_broker: True where wall time comes with the stream (a replay): a message may then have been stamped
    before the time that belongs to it was known, so readings count as received at ``now_us``.
    """

    def __init__(
        self,
        city: City,
        settings: IngestSettings,
        subscriptions: Sequence[Subscription],
        *,
        follows_broker: bool = False,
    ) -> None:
        self._sensors = city.sensors
        self._follows_broker = follows_broker
        self._topics = TopicTable([(subscription.filter, subscription.format) for subscription in subscriptions])
        self._index = _Index(city.sensor_index)
        self._units = UnitTable(city)
        self._codes = _Codes(self._units)
        self._rules = TimeRules.of(city, settings)
        self._recent = Recent(len(city.sensors))
        quantities = [sensor.measures for sensor in city.sensors]
        self._low = np.array([quantity.low for quantity in quantities], np.float64)
        self._high = np.array([quantity.high for quantity in quantities], np.float64)
        self._lowest, self._highest = reach_of(city)
        self._counters: Counter[str] = Counter(
            {"messages": 0, "readings": 0, "admitted": 0, "refused": 0, "clipped": 0, "clock_steps": 0}
            | {f"refused.{reason}": 0 for reason in RefusalReason}
            | dict.fromkeys(_QUALITY_NAMES.values(), 0)
        )

    @property
    def counters(self) -> Mapping[str, int]:
        """What became of everything so far.

        ``messages``; ``readings`` = ``admitted`` + ``refused`` (a message nobody can read counts as one reading);
        ``refused.<reason>``; of the admitted ``late``, ``retained``, ``simulated``, ``doubtful``; ``clipped``:
        values beyond the physical range on the dangerous side of a limit, taken as its end;
        ``clock_steps``: times that a device was found to have put its clock back.
        """
        return MappingProxyType(dict(self._counters))

    def adopt(self, event_us: Int64s, value: Float64s) -> None:
        """Take over the newest reading of every sensor as admitted before a restart, shape (sensors,).

        event_us is negative where there was none. Redelivered, such a reading is admitted again in its old place (it
        may not have reached the store); another value at its time goes behind it, as ever. Raises ValueError for
        another shape.
        """
        self._recent.adopt(event_us, value)

    def admit(self, messages: Sequence[Message], now_us: int) -> Admission:
        """Decode and judge messages, in order of receipt. Never raises for anything that a payload holds.

        now_us: the present wall time; a device's time may be no further ahead of it than the settings allow.
        """
        stamps = [now_us] * len(messages) if self._follows_broker else [message.received_us for message in messages]
        call = _Call(messages, np.array(stamps, np.int64))
        pieces = [self._elementwise(call, found, numbers, now_us) for found, numbers in self._by_format(call)]
        rows = _joined(pieces)
        batch = ReadingBatch.empty() if rows is None else self._without_repeats(call, rows)
        self._count(call, batch)
        return Admission(batch, tuple(call.refused), call.stepped)

    def _by_format(self, call: _Call) -> list[tuple[PayloadFormat, list[int]]]:
        groups: dict[PayloadFormat, list[int]] = {found: [] for found in FORMATS}
        topics = self._topics
        for number, message in enumerate(call.messages):
            found = topics[message.topic]
            if found is None:
                expected = "a topic that a subscription declares a format for"
                call.refuse(number, RefusalReason.NO_FORMAT, shown(message.topic), expected)
            else:
                groups[found].append(number)
        return [(found, numbers) for found, numbers in groups.items() if numbers]

    def _elementwise(self, call: _Call, found: PayloadFormat, numbers: list[int], now_us: int) -> _Rows:
        """Decode messages of one format and apply every rule that needs one reading alone."""
        positions = np.array(numbers, np.int64)
        decoded = FORMATS[found]([call.messages[number].payload for number in numbers], call.received_us[positions])
        for unread in decoded.unread:
            self._refuse_unread(call, numbers[unread.message], unread)
        length = len(decoded.ids)
        rows = _Rows(
            message=positions[decoded.message],
            sensor=np.fromiter(map(self._index.__getitem__, decoded.ids), np.int32, length),
            event_us=decoded.event_us,
            value=decoded.value,
            given=decoded.value,
            quality=decoded.quality.astype(np.int64),
            names=decoded.ids,
            units=decoded.units,
        )
        rows = call.sift(rows, rows.sensor >= 0, RefusalReason.UNKNOWN_SENSOR, _explain_unknown)
        rows = self._converted(call, rows)
        return self._timed(call, rows, now_us)

    def _refuse_unread(self, call: _Call, number: int, unread: Unread) -> None:
        sensor = -1 if unread.sensor_id is None else self._index[unread.sensor_id]
        call.refuse(number, unread.reason, unread.found, unread.expected, sensor)

    def _converted(self, call: _Call, rows: _Rows) -> _Rows:
        """Rows with values in the kept unit and within the physical range, clipped to it or refused."""
        unit = None
        if rows.units is not None:
            named = np.fromiter(map(self._codes.__getitem__, rows.units), np.int32, len(rows.units))
            unit = np.where(named < 0, self._units.configured[rows.sensor], named)
        kept, known = self._units.convert(rows.sensor, rows.given, unit)
        rows = _Rows(rows.message, rows.sensor, rows.event_us, kept, rows.given, rows.quality, rows.names, rows.units)
        rows = call.sift(rows, known, RefusalReason.WRONG_UNIT, self._explain_unit)
        within = (rows.value >= self._lowest[rows.sensor]) & (rows.value <= self._highest[rows.sensor])
        rows = call.sift(rows, within, RefusalReason.OUT_OF_RANGE, self._explain_range)
        clipped = np.clip(rows.value, self._low[rows.sensor], self._high[rows.sensor])
        self._counters["clipped"] += int(np.count_nonzero(clipped != rows.value))
        return replace(rows, value=clipped)

    def _timed(self, call: _Call, rows: _Rows, now_us: int) -> _Rows:
        """Rows whose device time is neither too far ahead nor too far back, with quality LATE where it is far back."""
        received = call.received_us[rows.message]
        good = rows.event_us <= np.maximum(received, now_us) + self._rules.future
        rows = call.sift(
            rows,
            good,
            RefusalReason.IN_THE_FUTURE,
            lambda bad, row: (
                isoformat(int(bad.event_us[row])),
                f"at most {self._rules.future / 1e6:g} s after {isoformat(now_us)}",
            ),
        )
        received = call.received_us[rows.message]
        rows = call.sift(
            rows,
            rows.event_us >= received - self._rules.too_old,
            RefusalReason.TOO_OLD,
            lambda bad, row: (
                isoformat(int(bad.event_us[row])),
                f"at most {self._rules.too_old / 1e6:g} s before {isoformat(int(call.received_us[bad.message[row]]))}",
            ),
        )
        late = rows.event_us < call.received_us[rows.message] - self._rules.late[rows.sensor]
        retained = np.array([message.retained for message in call.messages], bool)[rows.message]
        quality = quality_of(rows.quality.astype(np.uint8), late, retained).astype(np.int64)
        return _Rows(rows.message, rows.sensor, rows.event_us, rows.value, rows.given, quality, rows.names, rows.units)

    def _without_repeats(self, call: _Call, rows: _Rows) -> ReadingBatch:
        """Refuse repeated readings, mark those older than what is known, and remember the rest."""
        retained = rows.quality == Quality.RETAINED
        # A retained message is what was. It must not stand in the way of the same reading when it comes as live,
        # so only live rows are compared with each other and remembered.
        repeated = self._recent.knows(rows.sensor, rows.event_us, rows.value)
        live = np.flatnonzero(~retained)
        repeated[live] |= repeats_within(rows.sensor[live], rows.event_us[live], rows.value[live])
        rows = call.sift(rows, ~repeated, RefusalReason.DUPLICATE, _explain_duplicate)
        live = np.flatnonzero(rows.quality != Quality.RETAINED)
        sensor, event_us = rows.sensor[live], rows.event_us[live]
        placed_us = rows.event_us.copy()
        placed_us[live] = self._recent.placed(sensor, event_us, rows.value[live])
        older = np.zeros(len(rows.sensor), bool)
        received_us = call.received_us[rows.message]
        older[live] = self._recent.older(sensor, placed_us[live])
        self._step_back(call, live, older, rows, placed_us=placed_us, received_us=received_us)
        self._recent.remember(sensor, event_us, rows.value[live], placed_us[live])
        quality = np.where(older & (rows.quality == Quality.GOOD), np.uint8(Quality.LATE), rows.quality)
        return ReadingBatch(rows.sensor, placed_us, received_us, rows.value, quality.astype(np.uint8))

    def _step_back(
        self, call: _Call, live: Int64s, older: Bools, rows: _Rows, *, placed_us: Int64s, received_us: Int64s
    ) -> None:
        """Take readings of devices that put their clocks back from the older ones."""
        near = live[(rows.quality[live] == Quality.GOOD) | ~older[live]]  # neither drills nor what is far back
        back = near[self._recent.stepped(rows.sensor[near], placed_us[near], received_us[near], older[near])]
        older[back] = False
        call.stepped = tuple(np.unique(rows.sensor[back]).tolist())

    def _count(self, call: _Call, batch: ReadingBatch) -> None:
        counters = self._counters
        counters["messages"] += len(call.messages)
        counters["clock_steps"] += len(call.stepped)
        counters["admitted"] += len(batch)
        counters["refused"] += len(call.refused)
        counters["readings"] += len(batch) + len(call.refused)
        for refusal in call.refused:
            counters[f"refused.{refusal.reason}"] += 1
        of_quality = np.bincount(batch.quality, minlength=len(Quality))
        for quality, name in _QUALITY_NAMES.items():
            counters[name] += int(of_quality[quality])

    def _explain_unit(self, rows: _Rows, row: int) -> tuple[str, str]:
        sensor = self._sensors[rows.sensor[row]]
        given = None if rows.units is None else rows.units[row]
        measures = sensor.measures
        known = [measures.unit, *measures.conversions]
        return shown(sensor.unit if given is None else given), f"{sensor.quantity} in " + ", ".join(known)

    def _explain_range(self, rows: _Rows, row: int) -> tuple[str, str]:
        sensor = self._sensors[rows.sensor[row]]
        measures = sensor.measures
        unit = (None if rows.units is None else rows.units[row]) or sensor.unit
        found = f"{rows.given[row]:g} {unit}"
        if unit != measures.unit:
            found += f" ({rows.value[row]:g} {measures.unit})"
        return found, f"{measures.low:g} to {measures.high:g} {measures.unit}"


def _explain_unknown(rows: _Rows, row: int) -> tuple[str, str]:
    return f"id {shown(rows.names[row])}", "the id of a configured sensor"


def _explain_duplicate(rows: _Rows, row: int) -> tuple[str, str]:
    return (
        f"{rows.names[row]} at {isoformat(int(rows.event_us[row]))} again",
        "each reading of a sensor (time and value) once",
    )


def _joined(pieces: Sequence[_Rows]) -> _Rows | None:
    """Rows of several formats in order of receipt; None where there is no piece."""
    if len(pieces) < 2:
        return pieces[0] if pieces else None
    order = np.argsort(np.concatenate([piece.message for piece in pieces]), kind="stable")
    names = [name for piece in pieces for name in piece.names]
    return _Rows(
        message=np.concatenate([piece.message for piece in pieces])[order],
        sensor=np.concatenate([piece.sensor for piece in pieces])[order],
        event_us=np.concatenate([piece.event_us for piece in pieces])[order],
        value=np.concatenate([piece.value for piece in pieces])[order],
        given=np.concatenate([piece.given for piece in pieces])[order],
        quality=np.concatenate([piece.quality for piece in pieces])[order],
        names=[names[row] for row in order.tolist()],
        units=None,
    )
