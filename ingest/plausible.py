"""The rules that need one reading alone: a known sensor, a known unit, a value and a time that can be."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from config.city import City
from config.clock import isoformat
from config.settings import IngestSettings
from ingest.admit import Outages, TimeRules, UnitTable, identities, quality_of, reach_of
from ingest.fields import FieldTable, Stranger
from ingest.formats.columns import Decoded, Unread, shown
from ingest.ids import SensorTable
from ingest.model import Bools, Float64s, Int32s, Int64s, RefusalReason
from ingest.offsets import Offsets
from ingest.rows import Call, Rows

SHOWN_FIELDS = 5
"""Fields that the refusal of a device names."""


class _Codes(dict[str | None, int]):
    """Units to columns of the unit table; one column stands for all that nobody knows, -1 for none given."""

    def __init__(self, units: UnitTable) -> None:
        super().__init__(units.codes)
        self[None] = -1
        self._unknown = units.unknown

    def __missing__(self, key: str | None) -> int:
        return self._unknown


class Plausible:
    """Makes rows of what was decoded, and refuses of them what cannot be true."""

    def __init__(
        self,
        city: City,
        settings: IngestSettings,
        outages: Outages,
        offsets: Offsets,
        counters: Counter[str],
        *,
        mine: Bools | None = None,
    ) -> None:
        self._mine = mine
        self._sensors = city.sensors
        self._table = SensorTable(city.sensor_index)
        self._fields = FieldTable(city)
        self._units = UnitTable(city)
        self._codes = _Codes(self._units)
        self.rules = TimeRules.of(city, settings)
        self._outages = outages
        self._offsets = offsets
        self._life_safety = city.columns.measured(lambda quantity: quantity.life_safety, np.bool_)
        self._low = city.columns.measured(lambda quantity: quantity.low, np.float64)
        self._high = city.columns.measured(lambda quantity: quantity.high, np.float64)
        self._lowest, self._highest = reach_of(city)
        self._scale = self._units.scale(self._low, self._high)
        self._counters = counters

    def sifted(self, call: Call, decoded: Decoded, positions: Int64s | None) -> Rows:
        """The rows of decoded messages that can be true.

        positions: of the messages given to the decoder, in the call; None where they are all of them.
        """
        sensor = None
        if decoded.devices is not None:
            decoded, sensor = self._resolved(call, decoded, positions)
        for unread in decoded.unread:
            self._refuse_unread(call, unread.message if positions is None else int(positions[unread.message]), unread)
        message = decoded.message if positions is None else positions[decoded.message]
        rows = Rows(
            message=message,
            sensor=self._ours(self._table.find(decoded.ids) if sensor is None else sensor),
            given_us=decoded.event_us,
            received_us=call.received_us[message],
            value=decoded.value,
            given=decoded.value,
            quality=decoded.quality,
            ids=decoded.ids,
            units=decoded.units,
        )
        clean = self._clean(call, rows) if len(rows) else None
        if clean is not None:
            return replace(rows, value=clean, identity=identities(clean, _counts(decoded.sequence)))
        rows = call.sift(rows, rows.sensor >= 0, RefusalReason.UNKNOWN_SENSOR, _explain_unknown)
        rows = self._converted(call, rows)
        counts = _counts(decoded.sequence)
        if counts is not None and rows.origin is not None:
            counts = counts[rows.origin]
        return self._timed(call, replace(rows, identity=identities(rows.value, counts)))

    def _resolved(self, call: Call, decoded: Decoded, positions: Int64s | None) -> tuple[Decoded, Int32s]:
        """What the city wants of a device format's readings, and the rows of their sensors; the rest is counted."""
        found = self._fields.resolve(decoded)
        self._counters["fields_passed_over"] += found.passed_over
        for stranger in found.strangers:
            number = stranger.message if positions is None else int(positions[stranger.message])
            call.refuse(number, RefusalReason.UNKNOWN_SENSOR, *_explain_stranger(stranger))
            call.fold(RefusalReason.UNKNOWN_SENSOR, len(stranger.fields) - 1)
        return found.decoded, found.sensor

    def _ours(self, sensor: Int32s) -> Int32s:
        """Rows of sensors; -1 also for those that another process takes."""
        return sensor if self._mine is None else np.where((sensor >= 0) & self._mine[sensor], sensor, np.int32(-1))

    def _clean(self, call: Call, rows: Rows) -> Float64s | None:
        """The values in their kept units where there is nothing wrong or unusual about any reading; None otherwise.

        What it lets pass, the rules below let pass unchanged; it only finds that out with less work.
        """
        sensor, rules = rows.sensor, self.rules
        if int(sensor.min()) < 0 or call.any_retained:
            return None
        age_us = rows.received_us - rows.given_us
        if int(age_us.max()) > rules.clean or int(age_us.min()) < -rules.future:
            return None
        scale = self._scale.take(sensor, axis=0)
        if rows.units is None:
            with np.errstate(over="ignore"):  # an infinite result is out of every range
                value: Float64s = scale[:, 0] * rows.given + scale[:, 1]
        else:
            value, _ = self._units.convert(sensor, rows.given, self._named(sensor, rows.units))
        return value if ((value >= scale[:, 2]) & (value <= scale[:, 3])).all() else None

    def _named(self, sensor: Int32s, units: Sequence[str | None]) -> Int32s:
        """Columns of the unit table: of the units named, or of the sensors' configured ones."""
        codes = np.fromiter(map(self._codes.__getitem__, units), np.int32, len(units))
        unnamed = codes < 0
        if unnamed.any():
            codes[unnamed] = self._units.configured[sensor[unnamed]]
        return codes

    def _refuse_unread(self, call: Call, number: int, unread: Unread) -> None:
        sensor = self._table.one(unread.sensor_id)
        call.refuse(number, unread.reason, unread.found, unread.expected, sensor)

    def _converted(self, call: Call, rows: Rows) -> Rows:
        """Rows with values in the kept unit and within the physical range, clipped to it or refused."""
        unit = None
        if rows.units is not None:
            units = rows.units if rows.origin is None else [rows.units[row] for row in rows.origin.tolist()]
            unit = self._named(rows.sensor, units)
        kept, known = self._units.convert(rows.sensor, rows.given, unit)
        rows = call.sift(replace(rows, value=kept), known, RefusalReason.WRONG_UNIT, self._explain_unit)
        within = (rows.value >= self._lowest[rows.sensor]) & (rows.value <= self._highest[rows.sensor])
        rows = call.sift(rows, within, RefusalReason.OUT_OF_RANGE, self._explain_range)
        clipped = np.clip(rows.value, self._low[rows.sensor], self._high[rows.sensor])
        self._counters["clipped"] += int(np.count_nonzero(clipped != rows.value))
        return replace(rows, value=clipped)

    def _timed(self, call: Call, rows: Rows) -> Rows:
        """Rows whose device time is neither too far ahead nor too far back, with quality LATE where it is far back."""
        rules, now_us = self.rules, call.now_us
        early = rows.given_us <= np.maximum(rows.received_us, now_us) + rules.future
        recent = rows.given_us >= rows.received_us - rules.too_old
        if not (early & recent).all():
            # What is refused for its time still shows how the clock is set.
            wrong = rows.take(~(early & recent) & ~call.messages.retained[rows.message])
            self._offsets.see(wrong.sensor, wrong.received_us - wrong.given_us)
        rows = call.sift(rows, early, RefusalReason.IN_THE_FUTURE, lambda bad, row: self._ahead(bad, row, now_us))
        recent = rows.given_us >= rows.received_us - rules.too_old
        rows = call.sift(rows, recent, RefusalReason.TOO_OLD, self._far_back)
        late = rules.late_rows(rows.sensor, rows.given_us, rows.received_us)
        if late.any():
            late &= ~(
                self._life_safety[rows.sensor]
                & self._outages.excuse(rows.sensor, rows.given_us, rows.received_us, rules)
            )
        retained = call.messages.retained[rows.message]
        return replace(rows, quality=quality_of(rows.quality, late, retained))

    def _ahead(self, rows: Rows, row: int, now_us: int) -> tuple[str, str]:
        return isoformat(int(rows.given_us[row])), f"at most {self.rules.future / 1e6:g} s after {isoformat(now_us)}"

    def _far_back(self, rows: Rows, row: int) -> tuple[str, str]:
        expected = f"at most {self.rules.too_old / 1e6:g} s before {isoformat(int(rows.received_us[row]))}"
        return isoformat(int(rows.given_us[row])), expected

    def _explain_unit(self, rows: Rows, row: int) -> tuple[str, str]:
        sensor = self._sensors[int(rows.sensor[row])]
        given, measures = rows.unit_of(row), sensor.measures
        known = [measures.unit, *measures.conversions]
        return shown(sensor.unit if given is None else given), f"{sensor.quantity} in " + ", ".join(known)

    def _explain_range(self, rows: Rows, row: int) -> tuple[str, str]:
        sensor = self._sensors[int(rows.sensor[row])]
        measures = sensor.measures
        unit = rows.unit_of(row) or sensor.unit
        found = f"{rows.given[row]:g} {unit}"
        if unit != measures.unit:
            found += f" ({rows.value[row]:g} {measures.unit})"
        return found, f"{measures.low:g} to {measures.high:g} {measures.unit}"


def _explain_unknown(rows: Rows, row: int) -> tuple[str, str]:
    return f"id {shown(rows.id_of(row))}", "the id of a configured sensor"


def _explain_stranger(stranger: Stranger) -> tuple[str, str]:
    first, more = stranger.fields[:SHOWN_FIELDS], len(stranger.fields) - SHOWN_FIELDS
    named = ", ".join(shown(field).strip('"') for field in first) + (f" and {more} more" if more > 0 else "")
    example = shown(f"{stranger.device}/{stranger.fields[0]}")
    return f"device {shown(stranger.device)} with {named}", f"a device in fields.csv, or a sensor with the id {example}"


def _counts(sequence: Sequence[int | None] | None) -> Int64s | None:
    """Sixty-four bits of each device's own count, zero where it gives none; None where none does."""
    if sequence is None:
        return None
    bits = [0 if count is None else (count * 2 + 1) % 2**64 for count in sequence]
    return np.array(bits, np.uint64).view(np.int64)
