"""What flows out of this room: micro-batches of readings as columns, and what was refused, by a named reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Uint8s = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


class Quality(IntEnum):
    """How far a reading may be trusted. Only GOOD readings are judged; all of them are kept."""

    GOOD = 0
    LATE = 1  # older than what is already known of the sensor, or back-filled: completes history, pages nobody
    RETAINED = 2  # replayed by the broker at subscription: what was, not what is
    SIMULATED = 3  # the device or its network says it is a drill
    DOUBTFUL = 4  # the device itself says not to trust it (calibrating, fault)


class RefusalReason(StrEnum):
    """Why a reading or a whole message went to the dead-letter."""

    UNREADABLE = "unreadable"  # not the declared format at all
    NO_FORMAT = "no_format"  # no subscription declares a format for its topic
    MISSING_FIELD = "missing_field"
    UNKNOWN_SENSOR = "unknown_sensor"
    WRONG_UNIT = "wrong_unit"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"  # outside the quantity's physical range
    BAD_TIME = "bad_time"  # no time that can be placed: unreadable, or without zone
    IN_THE_FUTURE = "in_the_future"
    TOO_OLD = "too_old"
    DUPLICATE = "duplicate"
    STORE_REFUSED = "store_refused"  # admitted, but the store will not take it


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message as received. token: what the receiver needs to acknowledge it (0 where nothing does)."""

    topic: str
    payload: bytes
    received_us: int
    retained: bool = False
    redelivered: bool = False
    token: int = 0


@dataclass(frozen=True, slots=True)
class Messages:
    """MQTT messages as received, as columns of one length, in order of receipt.

    received_us: wall time of receipt. retained, redelivered: the broker's flags. receipt: what the receiver they came
    from needs to acknowledge them, nobody else's business (None where nothing is to be acknowledged).
    """

    topics: Sequence[str]
    payloads: Sequence[bytes]
    received_us: Int64s
    retained: Bools
    redelivered: Bools
    receipt: object = None

    def __len__(self) -> int:
        return len(self.topics)

    @staticmethod
    def of(messages: Sequence[Message], receipt: object = None) -> "Messages":
        """Columns from single messages."""
        return Messages(
            [message.topic for message in messages],
            [message.payload for message in messages],
            np.array([message.received_us for message in messages], np.int64),
            np.array([message.retained for message in messages], np.bool_),
            np.array([message.redelivered for message in messages], np.bool_),
            receipt,
        )

    def take(self, numbers: Sequence[int]) -> "Messages":
        """The messages at these positions; without the receipt, which is for all of them together."""
        rows = np.array(numbers, np.int64)
        return Messages(
            [self.topics[number] for number in numbers],
            [self.payloads[number] for number in numbers],
            self.received_us[rows],
            self.retained[rows],
            self.redelivered[rows],
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reading, or one whole message, that was not admitted.

    sensor: index of the configured sensor it names, -1 where it names none. found, expected: in words for a
    person ("-40 %LEL", "-5 to 2000 %LEL"). payload: the original bytes.
    """

    reason: RefusalReason
    received_us: int
    topic: str
    payload: bytes
    found: str
    expected: str
    sensor: int = -1


@dataclass(frozen=True, slots=True)
class ReadingBatch:
    """A micro-batch of admitted readings as columns of one length, in order of receipt.

    sensor: index into City.sensors, int32. event_us: the device's time. received_us: ours. value: in the
    quantity's kept unit, finite. quality: Quality as uint8.
    """

    sensor: Int32s
    event_us: Int64s
    received_us: Int64s
    value: Float64s
    quality: Uint8s

    def __post_init__(self) -> None:
        """Raise ValueError where the columns differ in length."""
        lengths = {len(self.sensor), len(self.event_us), len(self.received_us), len(self.value), len(self.quality)}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.sensor)

    def take(self, rows: Bools | Int64s) -> "ReadingBatch":
        """The rows named by a mask or by indices."""
        return ReadingBatch(
            self.sensor[rows], self.event_us[rows], self.received_us[rows], self.value[rows], self.quality[rows]
        )

    @staticmethod
    def empty() -> "ReadingBatch":
        """A batch of no readings."""
        return ReadingBatch.of([], [], [], [], [])

    @staticmethod
    def of(
        sensor: Sequence[int],
        event_us: Sequence[int],
        received_us: Sequence[int],
        value: Sequence[float],
        quality: Sequence[int],
    ) -> "ReadingBatch":
        """A batch from plain sequences."""
        return ReadingBatch(
            np.asarray(sensor, np.int32),
            np.asarray(event_us, np.int64),
            np.asarray(received_us, np.int64),
            np.asarray(value, np.float64),
            np.asarray(quality, np.uint8),
        )


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of some messages.

    given_us: the event times as the devices gave them (those of the batch may be placed some microseconds later).
    identity: 64 bits of each reading's value and sequence, by which it is known when it comes again.
    stepped: sensors whose device was found to have put its clock back: their time begins anew with this batch, so that
    whoever remembers their newest event time must forget it first.
    """

    batch: ReadingBatch
    given_us: Int64s
    identity: Int64s
    refused: Sequence[Refusal] = field(default_factory=tuple)
    stepped: Sequence[int] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Raise ValueError where the columns differ in length."""
        if not len(self.batch) == len(self.given_us) == len(self.identity):
            raise ValueError(
                f"columns of different lengths: {len(self.batch)}, {len(self.given_us)}, {len(self.identity)}"
            )


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the spool: what was admitted in one go, and everything that the state after it depends on.

    position: its number in the spool, from 0, without gaps. decided_us: wall time of the admission. refused: of what
    was refused then only what names a configured sensor, with an empty payload (that is in the dead-letter).
    """

    position: int
    decided_us: int
    admission: Admission


class Silence(StrEnum):
    """What is known of a silence beyond that it is one."""

    SENSOR = "sensor"  # nothing: it sits alone in its box, or the others there are not due yet
    CHILD = "child"  # others of the same box speak
    BOX = "box"  # the whole box is silent
    FLAPPING = "flapping"  # it falls silent and speaks again too often


@dataclass(frozen=True, slots=True)
class LivenessChange:
    """A sensor fell silent or speaks again. last_us: its last reading's receive time, 0 where there never was one.

    silence: what kind it is; when it is over, FLAPPING where it was that. box_us: last receive time of any sensor of
    its box, 0 where there never was one or it sits there alone. box_size: sensors in its box. others: some of them,
    without this one, in order. times: how often it fell silent within ``window_s`` seconds, where it flaps; when that
    is over, for how long it has spoken steadily.
    """

    sensor: int
    silent: bool
    at_us: int
    last_us: int
    allowed_s: float
    silence: Silence = Silence.SENSOR
    box_us: int = 0
    box_size: int = 1
    others: tuple[int, ...] = ()
    times: int = 0
    window_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one sensor in order of event time, thinned for a chart where asked.

    low, high: the extremes each point stands for (equal to value where nothing was thinned).
    """

    event_us: Int64s
    value: Float64s
    low: Float64s
    high: Float64s
