"""What ``gridwhistle check --payload`` prints: what one message becomes, and what is refused of it and why."""

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console

from config.city import City
from config.city_files import load_city
from config.clock import SystemClock, isoformat, today
from config.errors import ConfigurationError
from config.settings import IngestSettings, MqttSettings, Subscription
from config.texts import text
from config.vocabulary import Language
from gridwhistle.check import check_settings
from ingest.fields import UNWANTED, FieldTable
from ingest.formats import FORMATS
from ingest.formats.columns import Decoded
from ingest.intake import Intake
from ingest.model import Admission, Message, Messages, Quality
from ingest.topics import TopicTable

SHOWN_FIELDS = 60
"""Fields passed over that are named."""


@dataclass(frozen=True, slots=True)
class Given:
    """One reading as the message gives it. row: of its sensor. device, field: empty where it names the sensor itself.

    raw: the number in the message; value: the same by the factor and offset of the city's table. unit: None where
    nothing names one.
    """

    row: int
    device: str
    field: str
    raw: float
    scale: tuple[float, float]
    unit: str | None
    event_us: int

    @property
    def value(self) -> float:
        """The value in ``unit``, before it is converted."""
        return self.scale[0] * self.raw + self.scale[1]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Prints in one language, whatever bytes the texts come from."""

    city: City
    out: Console
    language: Language

    def say(self, key: str, **params: object) -> None:
        """One line of the messages."""
        self.line(text(f"payload.{key}", self.language, params))

    def line(self, words: str) -> None:
        """One line."""
        self.out.print(words.encode("utf-8", "backslashreplace").decode(), markup=False)

    def words(self, key: str, **params: object) -> str:
        """A part of a line."""
        return text(f"payload.{key}", self.language, params)


def check_message(
    file: Path,
    topic: str,
    out: Console,
    language: Language,
    *,
    folder: Path | None = None,
    config: Path | None = None,
    received_us: int | None = None,
) -> bool:
    """Print what the message in a file (``-``: stdin) would become; whether nothing of it is refused.

    received_us: when it was received, now where None. folder: the city's, that of the settings where None. config: the
    settings, whose subscriptions count; those of a daemon without settings where None. Raises ConfigurationError where
    the file cannot be read, and for a city that cannot be used.
    """
    settings = check_settings(config, out, language) if config is not None else None
    if config is not None and settings is None:
        return False
    at = folder or (settings.city if settings is not None else None)
    if at is None:
        raise ConfigurationError("no folder of a city is named")
    clock = SystemClock()
    message = Message(topic, _read(file), clock.now_us() if received_us is None else received_us)
    report = Reporter(load_city(at, today=today()), out, language)
    if settings is None:
        return check_payload(message, report, IngestSettings(), MqttSettings().subscriptions)
    subscriptions = [*settings.mqtt.subscriptions, *(one for part in settings.parts for one in part.subscriptions)]
    return check_payload(message, report, settings.ingest, subscriptions)


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or type(error).__name__}") from error


def check_payload(
    message: Message,
    report: Reporter,
    settings: IngestSettings,
    subscriptions: Sequence[Subscription],
) -> bool:
    """Print what a message would become, received when it says; whether nothing of it is refused."""
    city = report.city
    subscription = TopicTable(subscriptions)[message.topic]
    if subscription is None:
        filters = ", ".join(one.filter for one in subscriptions)
        report.say("no_subscription", topic=message.topic, filters=filters)
        return False
    zone = subscription.timezone or report.words("no_zone")
    report.say("subscription", filter=subscription.filter, format=subscription.format, zone=zone)
    report.say("size", bytes=len(message.payload), time=isoformat(message.received_us))
    intake = Intake(city, settings, subscriptions)
    admission = intake.admit(Messages.of([message]), message.received_us)
    decoded = _decoded(message, subscription)
    fields = FieldTable(city)
    _tell_readings(report, admission, list(_given(decoded, city, fields)))
    _tell_refused(report, admission, intake)
    _tell_rest(report, decoded, fields, intake)
    return not admission.refused


def _decoded(message: Message, subscription: Subscription) -> Decoded:
    zone = ZoneInfo(subscription.timezone) if subscription.timezone else None
    received_us = np.array([message.received_us], np.int64)
    return FORMATS[subscription.format]()([message.payload], [message.topic], received_us, zone)


def _given(decoded: Decoded, city: City, fields: FieldTable) -> Iterator[Given]:
    """The readings of a message whose sensors there are."""
    for place, id_ in enumerate(decoded.ids):
        unit = decoded.units[place] if decoded.units is not None else None
        device, row, scale = "", city.sensor_index.get(id_, -1), (1.0, 0.0)
        if decoded.devices is not None:
            device = decoded.devices[place]
            row, scale, listed = fields.look_up(id_, device)
            unit = unit or listed
        if row >= 0:
            field = id_[len(device) + 1 :] if device else ""
            yield Given(row, device, field, float(decoded.value[place]), scale, unit, int(decoded.event_us[place]))


def _tell_readings(report: Reporter, admission: Admission, given: list[Given]) -> None:
    batch = admission.batch
    report.say("admitted", count=len(batch))
    for place in range(len(batch)):
        row, kept, at_us = int(batch.sensor[place]), float(batch.value[place]), int(admission.given_us[place])
        fitting = [one for one in given if (one.row, one.event_us) == (row, at_us)]
        one = min(fitting, key=lambda each: abs(_kept(report.city, each) - kept))
        given.remove(one)
        params = {
            "id": report.city.columns.ids[row],
            "value": _value(report, one, kept),
            "time": isoformat(at_us),
            "quality": text(f"quality.{Quality(int(batch.quality[place])).name.lower()}", report.language),
        }
        report.say("read_from" if one.device else "reading", **params, device=one.device, field=one.field)


def _kept(city: City, one: Given) -> float:
    """The value in its kept unit, before it is clipped to the physical range."""
    sensor = city.sensors[one.row]
    factor, offset = sensor.measures.factor(one.unit or sensor.unit) or (np.nan, 0.0)
    return factor * one.value + offset


def _value(report: Reporter, one: Given, kept: float) -> str:
    """The value with all that became of it: scaled by the city's table, converted, clipped."""
    sensor = report.city.sensors[one.row]
    unit, measures = one.unit or sensor.unit, sensor.measures
    said = f"{one.value:.10g} {unit}"
    if one.scale != (1.0, 0.0):
        said = f"{one.raw:.10g} × {one.scale[0]:g} + {one.scale[1]:g} = {said}"
    if unit != measures.unit:
        said += f" = {_kept(report.city, one):.10g} {measures.unit}"
    if not np.isclose(_kept(report.city, one), kept):
        said = report.words("clipped", kept=said, clipped=f"{kept:.10g} {measures.unit}")
    return report.words("value", quantity=text(f"quantity.{sensor.quantity}", report.language), given=said)


def _tell_refused(report: Reporter, admission: Admission, intake: Intake) -> None:
    if not admission.refused:
        return
    report.say("refused", count=intake.counters["refused"])
    for refusal in admission.refused:
        reason = text(f"refusal.{refusal.reason}", report.language)
        report.say("refusal", reason=reason, found=refusal.found, expected=refusal.expected)


def _tell_rest(report: Reporter, decoded: Decoded, fields: FieldTable, intake: Intake) -> None:
    """What is neither: fields that nobody wants, messages of something else, what would be published."""
    unlisted = [(device, id_[len(device) + 1 :]) for id_, device in _readings(decoded) if not fields.is_listed(device)]
    if unlisted:
        report.say("lines")
        for device, field in unlisted[:SHOWN_FIELDS]:
            report.line(f"    {_as_csv(device, field, '')}")
    if intake.counters["fields_passed_over"] > decoded.passed_over:
        names = [name for id_, device in _of_devices(decoded) if (name := _unwanted(id_, device, fields)) is not None]
        more = f", … ({len(names)})" if len(names) > SHOWN_FIELDS else ""
        report.say("passed_over", fields=", ".join(names[:SHOWN_FIELDS]) + more)
    if decoded.passed_over:
        report.say("empty_fields", count=decoded.passed_over)
    if decoded.others:
        report.say("no_readings")
    if decoded.requests:
        report.say("requests", topics=", ".join(request.topic for request in decoded.requests))


def _as_csv(*cells: str) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _readings(decoded: Decoded) -> Iterator[tuple[str, str]]:
    """(id, device) of every reading of a device's field."""
    return zip(decoded.ids, decoded.devices or (), strict=decoded.devices is not None)


def _of_devices(decoded: Decoded) -> Iterator[tuple[str, str]]:
    yield from _readings(decoded)
    for unread in decoded.unread:
        if unread.device is not None and unread.sensor_id is not None:
            yield unread.sensor_id, unread.device


def _unwanted(field_id: str, device: str, fields: FieldTable) -> str | None:
    """The name of a field that nobody wants; None of one that somebody does."""
    return field_id[len(device) + 1 :] if fields.look_up(field_id, device)[0] == UNWANTED else None
