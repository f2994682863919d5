"""From messages to admitted columns: decode by topic, resolve sensors, apply every rule, name every refusal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from config.city import City
from config.clock import isoformat
from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.admit import Outages, repeats_within
from ingest.formats import FORMATS
from ingest.formats.columns import Decoded, Request, shown
from ingest.model import (
    Admission,
    Bools,
    Float64s,
    Int32s,
    Int64s,
    Messages,
    Quality,
    ReadingBatch,
    Record,
    RefusalReason,
    Uint8s,
)
from ingest.offsets import Offsets, middle
from ingest.plausible import Plausible
from ingest.recent import Recent
from ingest.redelivered import Redelivered
from ingest.rows import Call, Rows
from ingest.topics import TopicTable

MOST_REQUESTS = 1000
"""Requests that wait to be taken; those beyond are counted and forgone: whoever asks, asks again."""

_QUALITY_NAMES = {quality: quality.name.lower() for quality in Quality if quality is not Quality.GOOD}


class Reading(NamedTuple):
    """How messages are read. zone: of times that are written without one."""

    format: PayloadFormat
    zone: ZoneInfo | None

    @staticmethod
    def of(subscription: Subscription) -> "Reading":
        """How those of a subscription are."""
        zone = ZoneInfo(subscription.timezone) if subscription.timezone else None
        return Reading(subscription.format, zone)


class Intake:
    """Admits messages. Owns what must be remembered of recent readings; not for several threads at once.

    subscriptions: which topics carry which format; the first whose filter covers a topic holds.
    follows_broker: True where wall time comes with the stream (a replay): a message may then have been stamped
    before the time that belongs to it was known, so readings count as received at ``now_us``. mine: which sensors are
    taken, shape (sensors,), None for all; the others are refused as if nobody had configured them.
    """

    def __init__(
        self,
        city: City,
        settings: IngestSettings,
        subscriptions: Sequence[Subscription],
        *,
        follows_broker: bool = False,
        mine: Bools | None = None,
    ) -> None:
        self._follows_broker = follows_broker
        self._ids = city.columns.ids
        self._decoders = {one: FORMATS[one]() for one in dict.fromkeys(one.format for one in subscriptions)}
        self._requests: list[Request] = []
        self._readings = {one: Reading.of(one) for one in subscriptions}
        self._topics = TopicTable(subscriptions)
        self._recent = Recent(len(city.sensors))
        self._redelivered = Redelivered()
        self._offsets = Offsets(city)
        self._outages = Outages()
        self._heard_us: int | None = None
        self._delay_us = 0
        self._counters: Counter[str] = Counter(
            {"messages": 0, "readings": 0, "admitted": 0, "refused": 0, "clipped": 0, "clock_steps": 0}
            | {"redelivered_duplicates": 0, "messages_without_readings": 0, "fields_passed_over": 0}
            | {"requests_forgone": 0}
            | {f"refused.{reason}": 0 for reason in RefusalReason}
            | dict.fromkeys(_QUALITY_NAMES.values(), 0)
        )
        self._plausible = Plausible(city, settings, self._outages, self._offsets, self._counters, mine=mine)

    @property
    def counters(self) -> Mapping[str, int]:
        """What became of everything so far.

        ``messages``; ``readings`` = ``admitted`` + ``refused`` (a message nobody can read counts as one reading);
        ``refused.<reason>``; of the admitted ``late``, ``retained``, ``simulated``, ``doubtful``; ``clipped``:
        values beyond the physical range on the dangerous side of a limit, taken as its end;
        ``clock_steps``: times that a device was found to have put its clock back; ``redelivered_duplicates``: those of
        the duplicates that the broker sent again. ``messages_without_readings``: such as speak of something else (a
        join, a device's birth); ``fields_passed_over``: of devices that are listed, what no sensor is named for;
        ``requests_forgone``: requests of decoders that nobody took in time.
        """
        return MappingProxyType(dict(self._counters))

    @property
    def delay_us(self) -> int:
        """How far the stream is behind: of the live readings last admitted, the median delay beyond their devices'."""
        return self._delay_us

    def offsets(self) -> Float64s:
        """How far the clock of each sensor's device is behind ours, seconds, shape (sensors,).

        Negative: ahead; NaN: not known. Only shown: nothing is admitted or refused because of it.
        """
        return self._offsets.seconds()

    def clocks_off(self) -> Bools:
        """Sensors whose device's clock is further off than a reading may be ahead or late, shape (sensors,)."""
        behind_us = self.offsets() * 1e6
        rules = self._plausible.rules
        answer: Bools = (behind_us < -rules.future) | (behind_us > rules.late)
        return answer

    def tables(self) -> Iterator[tuple[str, dict[str, npt.NDArray[Any]]]]:
        """All state by the name of its owner: columns with a row per sensor, to be kept and filled again in place."""
        yield "recent", self._recent.columns()
        yield "offsets", self._offsets.columns()

    def requests(self) -> list[Request]:
        """What decoders want published since the last time this was asked, to be published with QoS 0."""
        taken, self._requests = self._requests, []
        return taken

    def link_restored(self, at_us: int, lost_us: int | None = None) -> None:
        """Our link to the broker stands again (or we were started): what comes now may have waited for us.

        Readings on which a life may depend are not called late for that time. lost_us: since when it was away; if not
        given, since we last heard anything.
        """
        since_us = self._heard_us if lost_us is None else lost_us
        if since_us is not None:
            self._outages.note(since_us, at_us)

    def remember(self, record: Record) -> None:
        """Take what was admitted before a restart into memory, as ``admit`` left it then. Counts nothing."""
        batch, admission = record.admission.batch, record.admission
        live = np.flatnonzero(batch.quality != Quality.RETAINED)
        sensor, received_us, quality = batch.sensor[live], batch.received_us[live], batch.quality[live]
        given_us = admission.given_us[live]
        self._offsets.turn(record.decided_us)
        _, stepped = self._follow(
            sensor,
            given_us,
            admission.identity[live],
            batch.event_us[live],
            received_us,
            said_good=(quality == Quality.GOOD) | (quality == Quality.LATE),
            stepped=admission.stepped,
        )
        self._heed(sensor, received_us - given_us, stepped)
        self.recall(record)

    def recall(self, record: Record) -> None:
        """Know the readings of a record again when the broker sends them once more, and remember nothing else.

        For records of before the snapshot that ``tables`` were filled from.
        """
        batch, admission = record.admission.batch, record.admission
        self._heard_us = max(self._heard_us or 0, record.decided_us)
        retained = batch.quality == Quality.RETAINED
        self._redelivered.remember(batch.sensor, admission.given_us, admission.identity, retained)

    def admit(self, messages: Messages, now_us: int) -> Admission:
        """Decode and judge messages, in order of receipt. Never raises for anything that a payload holds.

        now_us: the present wall time; a device's time may be no further ahead of it than the settings allow.
        """
        received_us = np.full(len(messages), now_us, np.int64) if self._follows_broker else messages.received_us
        call = Call(messages, received_us, now_us)
        self._heard_us = max(self._heard_us or 0, now_us)
        self._offsets.turn(now_us)
        rows = _joined([self._sifted(call, one, numbers) for one, numbers in self._by_format(call)])
        admission = self._once(call, rows)
        self._count(call, admission)
        return admission

    def _by_format(self, call: Call) -> list[tuple[Reading, list[int] | None]]:
        """Positions of the messages by how they are read; None where it is all of them.

        Not by subscription: a device's birth may come for one and its data for another, and must stay in order.
        """
        topics = call.messages.topics
        common = self._topics.common(topics) if topics else None
        if common is not None:
            return [(self._readings[common], None)]
        groups: dict[Reading, list[int]] = {}
        for number, topic in enumerate(topics):
            found = self._topics[topic]
            if found is None:
                expected = "a topic that a subscription declares a format for"
                call.refuse(number, RefusalReason.NO_FORMAT, shown(topic), expected)
            else:
                groups.setdefault(self._readings[found], []).append(number)
        return list(groups.items())

    def _sifted(self, call: Call, reading: Reading, numbers: list[int] | None) -> Rows:
        decode, zone = self._decoders[reading.format], reading.zone
        payloads, topics, received_us = call.messages.payloads, call.messages.topics, call.received_us
        positions = None
        if numbers is None:
            decoded = decode(payloads, topics, received_us, zone)
        else:
            positions = np.array(numbers, np.int64)
            some = [payloads[number] for number in numbers], [topics[number] for number in numbers]
            decoded = decode(*some, received_us[positions], zone)
        self._note(decoded)
        return self._plausible.sifted(call, decoded, positions)

    def _note(self, decoded: Decoded) -> None:
        """Count what is no reading, and keep what is to be published."""
        self._counters["messages_without_readings"] += decoded.others
        self._counters["fields_passed_over"] += decoded.passed_over
        room = MOST_REQUESTS - len(self._requests)
        self._requests += decoded.requests[:room]
        self._counters["requests_forgone"] += max(0, len(decoded.requests) - room)

    def _once(self, call: Call, rows: Rows) -> Admission:
        """Refuse repeated readings, place the others, mark those older than what is known, and remember them."""
        stepped: tuple[int, ...] = ()
        placed_us, quality = rows.given_us, rows.quality
        odd = self._followed_at_once(call, rows)
        if odd is not None:
            placed_us, quality, repeated = rows.given_us.copy(), rows.quality.copy(), np.zeros(len(rows), np.bool_)
            placed_us[odd], quality[odd], repeated[odd], stepped = self._compared(call, rows.take(odd))
            if repeated.any():
                rows, placed_us, quality = rows.take(~repeated), placed_us[~repeated], quality[~repeated]
        if call.any_retained:
            live = np.flatnonzero(quality != Quality.RETAINED)
            self._heed(rows.sensor[live], (rows.received_us - rows.given_us)[live], stepped)
        else:
            self._heed(rows.sensor, rows.received_us - rows.given_us, stepped)
        self._redelivered.remember(
            rows.sensor, rows.given_us, rows.identity, quality == Quality.RETAINED if call.any_retained else None
        )
        batch = ReadingBatch(rows.sensor, placed_us, rows.received_us, rows.value, quality)
        return Admission(batch, rows.given_us, rows.identity, tuple(call.refused), stepped)

    def _followed_at_once(self, call: Call, rows: Rows) -> Bools | None:
        """Remember the readings of which nothing needs to be asked; which the others are, None where there are none."""
        recent, sensor, given_us, identity = self._recent, rows.sensor, rows.given_us, rows.identity
        if call.any_retained or call.any_redelivered:
            return np.ones(len(rows), np.bool_)
        unusual = recent.unusual(sensor, given_us)
        if unusual is None:
            recent.advance(sensor, given_us, identity)
            return None
        usual = ~unusual
        recent.advance(sensor[usual], given_us[usual], identity[usual])
        odd = unusual.copy()
        odd[unusual] = recent.entangled(sensor[unusual], given_us[unusual])
        new = unusual & ~odd
        recent.remember(sensor[new], given_us[new], identity[new], given_us[new])
        return odd if odd.any() else None

    def _compared(self, call: Call, rows: Rows) -> tuple[Int64s, Uint8s, Bools, tuple[int, ...]]:
        """Compare readings with what is remembered and with each other; refuse repeats and remember the others.

        (event times as placed, qualities, which are repeats, sensors whose clocks were put back).
        """
        placed_us, quality = rows.given_us.copy(), rows.quality.copy()
        repeated = self._repeated(call, rows)
        if repeated.any():
            self._refuse_repeats(call, rows, repeated)
        live = np.flatnonzero((quality != Quality.RETAINED) & ~repeated)
        sensor, given_us = rows.sensor[live], rows.given_us[live]
        placed_us[live] = self._recent.placed(sensor, given_us)
        older, stepped = self._follow(
            sensor,
            given_us,
            rows.identity[live],
            placed_us[live],
            rows.received_us[live],
            said_good=(quality[live] == Quality.GOOD) | (quality[live] == Quality.LATE),
        )
        of_live = quality[live]
        quality[live] = np.where(older & (of_live == Quality.GOOD), np.uint8(Quality.LATE), of_live)
        return placed_us, quality, repeated, stepped

    def _repeated(self, call: Call, rows: Rows) -> Bools:
        # A retained message is what was. It must not stand in the way of the same reading when it comes as live,
        # so only live rows are compared with each other and remembered.
        retained = rows.quality == Quality.RETAINED
        repeated = self._recent.knows(rows.sensor, rows.given_us, rows.identity)
        live = np.flatnonzero(~retained)
        repeated[live] |= repeats_within(rows.sensor[live], rows.given_us[live], rows.identity[live])
        again = np.flatnonzero(call.messages.redelivered[rows.message])
        if len(again):
            repeated[again] |= self._redelivered.knows(
                rows.sensor[again], rows.given_us[again], rows.identity[again], retained[again]
            )
        return repeated

    def _refuse_repeats(self, call: Call, rows: Rows, repeated: Bools) -> None:
        """Refuse rows as duplicates; what the broker sent again with one refusal a message: that is as it should be."""
        where = np.flatnonzero(repeated).tolist()
        for number, group in groupby(where, key=lambda row: int(rows.message[row])):
            of_message = list(group)
            again = bool(call.messages.redelivered[number])
            for row in of_message[:1] if again else of_message:
                sensor = int(rows.sensor[row])
                found = f"{self._ids[sensor]} at {isoformat(int(rows.given_us[row]))} again"
                if again and len(of_message) > 1:
                    found += f", and {len(of_message) - 1} more of this message"
                expected = "each reading of a sensor (time, value and count) once"
                call.refuse(number, RefusalReason.DUPLICATE, found, expected, sensor)
            if again:
                self._counters["redelivered_duplicates"] += len(of_message)
                call.fold(RefusalReason.DUPLICATE, len(of_message) - 1)

    def _follow(
        self,
        sensor: Int32s,
        given_us: Int64s,
        identity: Int64s,
        placed_us: Int64s,
        received_us: Int64s,
        *,
        said_good: Bools,
        stepped: Sequence[int] = (),
    ) -> tuple[Bools, tuple[int, ...]]:
        """Take live readings that are admitted and placed into memory.

        said_good: which of them their devices do not call something else. Answers which are older than the newest of
        their sensor, and the sensors whose clocks were put back (those given too).
        """
        fresh = ~self._plausible.rules.late_rows(sensor, given_us, received_us)
        older = self._recent.older(sensor, placed_us)
        near = np.flatnonzero((said_good & fresh) | ~older)  # neither drills nor what is far back
        back = near[self._recent.stepped(sensor[near], placed_us[near], received_us[near], older[near])]
        older[back] = False
        begun = sorted({*sensor[back].tolist(), *stepped})
        self._recent.remember(sensor, given_us, identity, placed_us, begun)
        return older, tuple(begun)

    def _heed(self, sensor: Int32s, delay_us: Int64s, stepped: Sequence[int]) -> None:
        """See how the clocks of devices stand, and how far behind the stream is, by the delays of live readings."""
        if stepped:
            self._offsets.restart(np.array(stepped, np.int64))
        if len(sensor):
            self._delay_us = max(0, middle(self._offsets.see(sensor, delay_us)))

    def _count(self, call: Call, admission: Admission) -> None:
        counters = self._counters
        refused = len(call.refused) + sum(call.folded.values())
        counters["messages"] += len(call.messages)
        counters["clock_steps"] += len(admission.stepped)
        counters["admitted"] += len(admission.batch)
        counters["refused"] += refused
        counters["readings"] += len(admission.batch) + refused
        for refusal in call.refused:
            counters[f"refused.{refusal.reason}"] += 1
        for reason, more in call.folded.items():
            counters[f"refused.{reason}"] += more
        of_quality = np.bincount(admission.batch.quality, minlength=len(Quality))
        for quality, name in _QUALITY_NAMES.items():
            counters[name] += int(of_quality[quality])


def _joined(pieces: Sequence[Rows]) -> Rows:
    """Rows of several formats in order of receipt. They no longer know the ids and units that they were given."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        none, nothing = np.zeros(0, np.int64), np.zeros(0, np.float64)
        return Rows(none, none.astype(np.int32), none, none, nothing, nothing, none.astype(np.uint8), (), None)
    order = np.argsort(np.concatenate([piece.message for piece in pieces]), kind="stable")
    return Rows(
        message=np.concatenate([piece.message for piece in pieces])[order],
        sensor=np.concatenate([piece.sensor for piece in pieces])[order],
        given_us=np.concatenate([piece.given_us for piece in pieces])[order],
        received_us=np.concatenate([piece.received_us for piece in pieces])[order],
        value=np.concatenate([piece.value for piece in pieces])[order],
        given=np.concatenate([piece.given for piece in pieces])[order],
        quality=np.concatenate([piece.quality for piece in pieces])[order],
        identity=np.concatenate([piece.identity for piece in pieces])[order],
        ids=(),
        units=None,
    )
