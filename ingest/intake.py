"""From messages to admitted columns: decode by topic, resolve sensors, apply every rule, name every refusal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from config.city import City
from config.clock import isoformat
from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.admit import Outages, repeats_within
from ingest.formats import FORMATS
from ingest.formats.columns import shown
from ingest.model import (
    Admission,
    Bools,
    Float64s,
    Int64s,
    Messages,
    Quality,
    ReadingBatch,
    Record,
    RefusalReason,
)
from ingest.offsets import Offsets
from ingest.plausible import Plausible
from ingest.recent import Recent
from ingest.redelivered import Redelivered
from ingest.rows import Call, Rows
from ingest.topics import TopicTable

_QUALITY_NAMES = {quality: quality.name.lower() for quality in Quality if quality is not Quality.GOOD}


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
        self._follows_broker = follows_broker
        self._ids = city.columns.ids
        self._topics = TopicTable([(subscription.filter, subscription.format) for subscription in subscriptions])
        self._recent = Recent(len(city.sensors))
        self._redelivered = Redelivered()
        self._offsets = Offsets(city)
        self._outages = Outages()
        self._heard_us: int | None = None
        self._delay_us = 0
        self._counters: Counter[str] = Counter(
            {"messages": 0, "readings": 0, "admitted": 0, "refused": 0, "clipped": 0, "clock_steps": 0}
            | {"redelivered_duplicates": 0}
            | {f"refused.{reason}": 0 for reason in RefusalReason}
            | dict.fromkeys(_QUALITY_NAMES.values(), 0)
        )
        self._plausible = Plausible(city, settings, self._outages, self._offsets, self._counters)

    @property
    def counters(self) -> Mapping[str, int]:
        """What became of everything so far.

        ``messages``; ``readings`` = ``admitted`` + ``refused`` (a message nobody can read counts as one reading);
        ``refused.<reason>``; of the admitted ``late``, ``retained``, ``simulated``, ``doubtful``; ``clipped``:
        values beyond the physical range on the dangerous side of a limit, taken as its end;
        ``clock_steps``: times that a device was found to have put its clock back; ``redelivered_duplicates``: those of
        the duplicates that the broker sent again.
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
        rows = np.flatnonzero(batch.quality != Quality.RETAINED)
        live = batch.take(rows)
        given_us = admission.given_us[rows]
        self._offsets.turn(record.decided_us)
        said_good = (live.quality == Quality.GOOD) | (live.quality == Quality.LATE)
        self._follow(live, given_us, admission.identity[rows], said_good, admission.stepped)
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
        rows = _joined([self._sifted(call, found, numbers) for found, numbers in self._by_format(call)])
        admission = self._once(call, rows)
        self._count(call, admission)
        return admission

    def _by_format(self, call: Call) -> list[tuple[PayloadFormat, list[int]]]:
        groups: dict[PayloadFormat, list[int]] = {found: [] for found in FORMATS}
        topics = self._topics
        for number, topic in enumerate(call.messages.topics):
            found = topics[topic]
            if found is None:
                expected = "a topic that a subscription declares a format for"
                call.refuse(number, RefusalReason.NO_FORMAT, shown(topic), expected)
            else:
                groups[found].append(number)
        return [(found, numbers) for found, numbers in groups.items() if numbers]

    def _sifted(self, call: Call, found: PayloadFormat, numbers: list[int]) -> Rows:
        positions = np.array(numbers, np.int64)
        payloads = [call.messages.payloads[number] for number in numbers]
        return self._plausible.sifted(call, FORMATS[found](payloads, call.received_us[positions]), positions)

    def _once(self, call: Call, rows: Rows) -> Admission:
        """Refuse repeated readings, place the others, mark those older than what is known, and remember them."""
        repeated = self._repeated(call, rows)
        if repeated.any():
            self._refuse_repeats(call, rows, repeated)
            rows = rows.take(~repeated)
        retained = rows.quality == Quality.RETAINED
        live = np.flatnonzero(~retained)
        sensor, given_us = rows.sensor[live], rows.given_us[live]
        placed_us = rows.given_us.copy()
        placed_us[live] = self._recent.placed(sensor, given_us)
        kept = ReadingBatch(rows.sensor, placed_us, rows.received_us, rows.value, rows.quality.copy())
        # What the device itself calls good, late or not.
        said_good = (rows.quality[live] == Quality.GOOD) | (rows.quality[live] == Quality.LATE)
        older, stepped = self._follow(kept.take(live), given_us, rows.identity[live], said_good, ())
        of_live = kept.quality[live]
        kept.quality[live] = np.where(older & (of_live == Quality.GOOD), np.uint8(Quality.LATE), of_live)
        self._redelivered.remember(rows.sensor, rows.given_us, rows.identity, retained)
        return Admission(kept, rows.given_us, rows.identity, tuple(call.refused), stepped)

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
        """Refuse rows as duplicates; what the broker sent again with one refusal a message, for it is as it should be."""
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
        self, live: ReadingBatch, given_us: Int64s, identity: Int64s, said_good: Bools, stepped: Sequence[int]
    ) -> tuple[Bools, tuple[int, ...]]:
        """Take live readings that are admitted and placed into memory.

        Which of them are older than the newest of their sensor, and the sensors whose clocks were put back.
        """
        fresh = ~self._plausible.rules.late_rows(live.sensor, given_us, live.received_us)
        older = self._recent.older(live.sensor, live.event_us)
        near = np.flatnonzero((said_good & fresh) | ~older)  # neither drills nor what is far back
        back = near[self._recent.stepped(live.sensor[near], live.event_us[near], live.received_us[near], older[near])]
        older[back] = False
        begun = np.union1d(live.sensor[back], np.asarray(stepped, np.int64)).astype(np.int64)
        if len(begun):
            self._offsets.restart(begun)
        beyond = self._offsets.see(live.sensor, live.received_us - given_us)
        if len(beyond):
            self._delay_us = max(0, int(np.median(beyond)))
        self._recent.remember(live.sensor, given_us, identity, live.event_us, begun.tolist())
        return older, tuple(begun.tolist())

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
        return Rows(none, none.astype(np.int32), none, none, nothing, nothing, none.astype(np.uint8), none, (), None)
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
