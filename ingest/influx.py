"""The InfluxDB stores: 1.x over ``/write``, 2.x and 3.x through influxdb-client; all read by InfluxQL.

InfluxQL over ``/query`` is what all three offer: 2.x maps a database of the bucket's name to the bucket by itself,
3.x reads the bucket's name as the database. Flux is gone in 3.x.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from config.city import City
from config.errors import GridwhistleError, PermanentError, RetryableError
from config.settings import Influx1StoreSettings, InfluxStoreSettings, Retention
from ingest.line_protocol import LINES_PER_REQUEST, LineFormatter, Lines
from ingest.model import ReadingBatch, Series
from ingest.rollups import Level, Piece, Points, drawn, pieces
from ingest.store import StoreRefusedError
from ingest.store_influx_http import NOT_THERE, InfluxQl, MissingError, UnreachableError, expect_written, failure
from ingest.store_influx_info import (
    READINGS,
    influx1_info,
    influx2_info,
    policy_of,
    victoria_arrangement,
    victoria_info,
)
from ingest.store_influx_places import (
    PLACES,
    STATE,
    Bucket,
    Policy,
    bucket_seconds,
    changed_policies,
    kept_hours,
    missing_policies,
)
from ingest.store_influx_rollups import Checkpoint, InfluxRollups, Rows, name, text
from ingest.store_info import Arrangement, Note, PlaceInfo, StoreInfo, change

_WRITE_S = 30.0
_MOST_REQUESTS = 1000
_FARTHEST_US = 9_223_372_036_854_775  # InfluxDB counts nanoseconds in an int64


@dataclass(frozen=True, slots=True)
class _Where:
    """Where InfluxQL finds a place. policy: what stands before a measurement, with its dot."""

    database: str
    policy: str = ""


def _place(level: Level | None) -> str | None:
    return None if level is None else level.name


class _InfluxStore:
    """What the stores for all versions share: writing, reading, and keeping aggregates. It is its aggregates' Place."""

    fresh = False

    def __init__(self, city: City, retention: Retention, reader: InfluxQl, where: Mapping[str | None, _Where]) -> None:
        self._where = where
        self._city = city
        self._retention = retention
        self._sensors = city.sensors
        self._lines = LineFormatter(city)
        self._reader = reader
        self._rollups = InfluxRollups(city, retention, self._lines, self)
        self._aggregating: bool | None = None  # not known yet

    def write(self, batch: ReadingBatch) -> None:
        """See Store.write.

        A request that is refused for its data is halved until the refused readings stand alone; after
        ``_MOST_REQUESTS`` in one call the rest of what is refused is named without further division.
        """
        with self._rollups.turn:
            self._rollups.before(batch)
            words, refused = self._send(None, self._lines.lines(batch))
            if not refused:
                self._rollups.after(batch)
                return
            rows = np.array(refused, np.int64)
            self._rollups.after(batch.take(np.delete(np.arange(len(batch)), rows)))
        raise StoreRefusedError(words, rows)

    def _send(self, level: Level | None, lines: Lines) -> tuple[str, list[int]]:
        """Write lines; returns which were refused for what they hold, and the first words about it."""
        parts = [
            (begin, min(begin + LINES_PER_REQUEST, len(lines))) for begin in range(0, len(lines), LINES_PER_REQUEST)
        ]
        parts.reverse()
        refused: list[int] = []
        words, requests = "", 0
        while parts:
            begin, end = parts.pop()
            requests += 1
            try:
                self._post(_place(level), lines.part(begin, end))
            except MissingError:
                self.prepare()  # somebody took it away: the next try finds it again
                raise
            except PermanentError as error:
                words = words or str(error)
                middle = (begin + end) // 2
                if end - begin == 1 or requests > _MOST_REQUESTS:
                    refused += range(begin, end)
                else:
                    parts += [(middle, end), (begin, middle)]
        return words, refused

    def prepare(self) -> None:
        """See Store.prepare."""
        if self._aggregates():
            self._create()
            with contextlib.suppress(GridwhistleError):  # charts can do without; ``maintain`` says what is wrong
                self._rollups.resume()

    def maintain(self, now_us: int) -> None:
        """See Store.maintain. Raises RetryableError."""
        if self._aggregates():
            self._rollups.maintain(now_us)

    def _aggregates(self) -> bool:
        if self._aggregating is None:
            self._aggregating = self._reader.is_influx()
        return self._aggregating

    def info(self) -> StoreInfo:
        """See ManagedStore.info."""
        if not self._aggregates():
            return victoria_info(self._reader, self._reader.url, self._retention)
        with contextlib.suppress(RetryableError):  # nothing is noted yet
            self._rollups.resume()
        kept = self._rollups.checkpoint
        return replace(self._info(), aggregated_us=None if kept is None else kept.five_us)

    def arrange(self) -> Arrangement:
        """See ManagedStore.arrange."""
        return self._arrange() if self._aggregates() else victoria_arrangement(self._retention)

    def _info(self) -> StoreInfo:
        raise NotImplementedError

    def _arrange(self) -> Arrangement:
        raise NotImplementedError

    def _create(self) -> None:
        """Create what is missing; nothing that is there is changed."""
        raise NotImplementedError

    def _post(self, place: str | None, body: bytes) -> None:
        """Write lines to a place (None: that of the readings).

        Raises RetryableError, or PermanentError where they are refused for what they hold.
        """
        raise NotImplementedError

    def source(self, level: Level | None, quantity: str) -> str:
        """See Place.source."""
        return self._where[_place(level)].policy + name(quantity)

    def select(self, level: Level | None, statements: Sequence[str]) -> list[Rows]:
        """See Place.select."""
        found = self._reader.query(*statements, database=self._where[_place(level)].database)
        return [[row for one in those for row in one["values"]] for those in found]

    def put(self, level: Level, lines: Lines) -> None:
        """See Place.put. What is older than its place keeps is refused, and is no loss."""
        self._send(level, lines)

    def checkpoint(self) -> Checkpoint | None:
        """See Place.checkpoint."""
        state = self._where[STATE]
        asked = f'SELECT "since", "five_minutes", "hours" FROM {state.policy}"rollups"'  # noqa: S608  # names of our own
        (found,) = self._reader.query(asked, database=state.database)
        return Checkpoint(*found[0]["values"][0][1:]) if found else None

    def keep_checkpoint(self, checkpoint: Checkpoint) -> None:
        """See Place.keep_checkpoint."""
        fields = {"since": checkpoint.since_us, "five_minutes": checkpoint.five_us, "hours": checkpoint.hours_us}
        line = "rollups " + ",".join(f"{key}={value}i" for key, value in fields.items()) + " 0"
        self._post(STATE, line.encode())

    def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """See Store.series. A thinned point holds the mean, and stands at the beginning of its bucket."""
        if max_points < 1:
            raise ValueError(f"max_points is {max_points}, expected 1 or more")
        plan = self.plan(sensor, from_us, to_us, max_points)
        return drawn([self.points(sensor, piece, max_points) for piece in plan], from_us, max_points)

    def plan(self, sensor: int, from_us: int, to_us: int, max_points: int) -> list[Piece]:
        """What a chart is drawn from."""
        begin, end = max(from_us, -_FARTHEST_US), min(to_us, _FARTHEST_US)
        return pieces(begin, end, max_points, self._sensors[sensor].interval_s, self._rollups.kept(sensor))

    def points(self, sensor: int, piece: Piece, max_points: int) -> Points:
        """What a piece of a chart is drawn from; readings are thinned to at most max_points where they are more."""
        level, one = piece.level, self._sensors[sensor]
        begin = piece.from_us if level is None else level.floor(piece.from_us)
        source = (
            f'FROM {self.source(level, one.quantity)} WHERE "sensor" = {text(one.id)}'
            f" AND time >= {begin}u AND time < {piece.to_us}u"
        )
        if level is not None:
            (rows,) = self.select(level, [f'SELECT "mean", "min", "max", "count" {source}'])
            return _points(rows)
        asked = (f'SELECT {what}("value") {source}' for what in ("count", "first", "last"))
        counted, first, last = self.select(None, list(asked))
        if not counted or counted[0][1] <= max_points:
            (rows,) = self.select(None, [f'SELECT "value", "suspect" {source}'])
            single = [(time, trusted if suspect is None else suspect) for time, trusted, suspect in rows]
            return _points([(time, value, value, value, 1) for time, value in single])
        oldest, newest = first[0][0], last[0][0]
        width = -(-(newest - oldest + 1) // max_points)
        columns = ", ".join(f'{what}("value")' for what in ("mean", "min", "max", "count"))
        every = f"GROUP BY time({width}u, {oldest % width}u) fill(none)"
        (rows,) = self.select(None, [f"SELECT {columns} {source} {every}"])
        return _points(rows)

    def count(self) -> int:
        """See Store.count."""
        (found,) = self._reader.query('SELECT count("value"), count("suspect") FROM /.*/')
        return sum(number or 0 for one in found for number in one["values"][0][1:])


def _points(rows: Rows) -> Points:
    time, mean, low, high, count = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return Points(
        np.array(time, np.int64),
        np.array(mean, np.float64),
        np.array(low, np.float64),
        np.array(high, np.float64),
        np.array(count, np.int64),
    )


class Influx1Store(_InfluxStore):
    """InfluxDB 1.x. See ``ingest.store.Store``. The last value written of a sensor and event time stays.

    Readings are in the database's default retention policy, aggregates in policies of their level's name.
    """

    def __init__(self, settings: Influx1StoreSettings, city: City) -> None:
        headers: dict[str, str] = {}
        if settings.username is not None:
            password = settings.password.get_secret_value() if settings.password else ""
            headers = urllib3.make_headers(basic_auth=f"{settings.username}:{password}")
        self._settings = settings
        where = {place: _Where(settings.database, f"{name(place)}." if place else "") for place in PLACES}
        super().__init__(city, settings, InfluxQl(settings.url, settings.database, headers), where)

    def policies(self) -> dict[str, Policy]:
        """The database's retention policies by name; none where the database is not there."""
        try:
            (found,) = self._reader.query(f"SHOW RETENTION POLICIES ON {name(self._settings.database)}")
        except UnreachableError:
            raise
        except RetryableError as refused:
            if "database not found" in str(refused):
                return {}
            raise
        return {row[0]: Policy(row[0], row[1], row[4]) for one in found for row in one["values"]}

    def _create(self) -> None:
        """Create what is missing. An account that may not is enough where the database is there."""
        try:
            self.execute(missing_policies(self._settings.database, self.policies()))
        except UnreachableError:
            raise
        except GridwhistleError as refused:
            try:
                self._reader.query("SHOW MEASUREMENTS LIMIT 1")
            except GridwhistleError:
                raise RetryableError(str(refused)) from None

    def _info(self) -> StoreInfo:
        settings, there = self._settings, self.policies()
        return influx1_info(self._reader, settings, self._city, there)

    def _arrange(self) -> Arrangement:
        there, database = self.policies(), self._settings.database
        self.execute(missing_policies(database, there))
        made = self.policies()
        self.execute(list(changed_policies(database, self._settings, made).values()))
        changes = []
        for place, hours in kept_hours(self._settings).items():
            was = policy_of(place, there)
            changes.append(change(place or READINGS, None if was is None else was.hours, hours))
        return Arrangement(changes, [note for note in self._info().notes if note.key != "kept_otherwise"])

    def execute(self, statements: Sequence[str]) -> None:
        """Run statements, one after the other."""
        for statement in statements:
            self._reader.query(statement)
            self.fresh = self.fresh or statement.startswith("CREATE DATABASE")

    def _post(self, place: str | None, body: bytes) -> None:
        fields = {"db": self._settings.database, "precision": "u"}
        if place is not None:
            fields["rp"] = place
        status, said = self._reader.send("write", "/write", fields, body)
        expect_written(status, said.decode("utf-8", "replace"))

    def close(self) -> None:
        """See Store.close."""
        self._reader.close()


class InfluxStore(_InfluxStore):
    """InfluxDB 2.x or 3.x. See ``ingest.store.Store``. The last value written of a sensor and event time stays.

    Readings are in the bucket of the settings, aggregates in ``<bucket>_five_minutes`` and ``<bucket>_hours``.
    """

    def __init__(self, settings: InfluxStoreSettings, city: City) -> None:
        token = settings.token.get_secret_value()
        bucket = settings.bucket
        where = {place: _Where(f"{bucket}_{place}" if place else bucket) for place in PLACES}
        super().__init__(city, settings, InfluxQl(settings.url, bucket, {"Authorization": f"Token {token}"}), where)
        self._settings = settings
        self._client = InfluxDBClient(
            settings.url,
            token=token,
            org=settings.org,
            timeout=round(_WRITE_S * 1000),
            retries=urllib3.Retry(0, redirect=0),
        )
        self._writer = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]  # has no types

    def _create(self) -> None:
        """Create what is missing. 3.x knows no buckets and makes a database at the first write."""
        for bucket in self.buckets():
            if bucket.seconds is None:
                self.make(bucket, 0)

    def buckets(self) -> list[Bucket]:
        """The buckets there should be, and for how long each keeps what is in it now.

        Raises RetryableError. None where the server knows no buckets (3.x).
        """
        buckets = self._client.buckets_api()
        found = []
        for place, seconds in bucket_seconds(self._settings).items():
            try:
                one = buckets.find_bucket_by_name(self._where[place].database)  # type: ignore[no-untyped-call]  # has no types
                rules = [] if one is None else one.retention_rules or []
                kept = None if one is None else sum(rule.every_seconds for rule in rules)
            except ApiException as error:
                if error.status == NOT_THERE:
                    return []
                raise RetryableError(str(self._refused("prepare the bucket", error))) from error
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(error) from error
            except (AttributeError, TypeError, ValueError) as error:  # what the library makes of another's answer
                raise RetryableError(f"InfluxDB at {self._settings.url} gave an answer that is not its own") from error
            found.append(Bucket(self._where[place].database, seconds, kept))
        return found

    def _info(self) -> StoreInfo:
        places = [
            PlaceInfo(one.name, one.wanted_seconds // 3600, None if one.seconds is None else one.seconds // 3600)
            for one in self.buckets()
        ]
        return influx2_info(self._reader, self._reader.url, places)

    def _arrange(self) -> Arrangement:
        there = self.buckets()
        for one in there:
            if one.seconds != one.wanted_seconds:
                self.make(one, one.wanted_seconds)
        changes = [
            change(one.name, None if one.seconds is None else one.seconds // 3600, one.wanted_seconds // 3600)
            for one in there
        ]
        return Arrangement(changes, [] if there else [Note("no_buckets")])

    def make(self, bucket: Bucket, seconds: int) -> None:
        """Create a bucket, or have one keep what is in it for so long (0: for ever). Raises RetryableError."""
        buckets = self._client.buckets_api()
        rules = BucketRetentionRules(type="expire", every_seconds=seconds)  # type: ignore[no-untyped-call]  # has no types
        try:
            if bucket.seconds is None:
                buckets.create_bucket(bucket_name=bucket.name, org=self._settings.org, retention_rules=[rules])
                self.fresh = self.fresh or bucket.name == self._settings.bucket
            else:
                there = buckets.find_bucket_by_name(bucket.name)  # type: ignore[no-untyped-call]  # has no types
                there.retention_rules = [rules]
                buckets.update_bucket(bucket=there)
        except ApiException as error:
            raise RetryableError(str(self._refused("prepare the bucket", error))) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        except (AttributeError, TypeError, ValueError) as error:  # what the library makes of another's answer
            raise RetryableError(f"InfluxDB at {self._settings.url} gave an answer that is not its own") from error

    def _post(self, place: str | None, body: bytes) -> None:
        settings = self._settings
        try:
            said, status, _ = self._writer.post_write_with_http_info(  # type: ignore[no-untyped-call]  # has no types
                settings.org,
                self._where[place].database,
                body,
                precision=WritePrecision.US,
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as error:
            raise self._refused("write", error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        expect_written(status, str(said or ""))

    @staticmethod
    def _refused(action: str, error: ApiException) -> GridwhistleError:
        body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body or "")
        return failure(action, error.status or 500, body or str(error.reason))

    def _unreachable(self, error: Exception) -> RetryableError:
        return UnreachableError(f"InfluxDB at {self._settings.url} cannot be reached: {error}")

    def close(self) -> None:
        """See Store.close."""
        self._client.close()  # type: ignore[no-untyped-call]  # has no types
        self._reader.close()
