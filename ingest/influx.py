"""The InfluxDB stores: 1.x over ``/write``, 2.x and 3.x through influxdb-client; all read by InfluxQL.

InfluxQL over ``/query`` is what all three offer: 2.x maps a database of the bucket's name to the bucket by itself,
3.x reads the bucket's name as the database. Flux is gone in 3.x.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
import numpy as np
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from config.city import City
from config.errors import GridwhistleError, PermanentError, RetryableError
from config.settings import Influx1StoreSettings, InfluxStoreSettings
from ingest.line_protocol import LINES_PER_REQUEST, LineFormatter
from ingest.model import ReadingBatch, Series
from ingest.store import StoreRefusedError

_CONNECT_S, _READ_S = 5.0, 30.0
_OF_THE_DATA = (400, 413, 422)
_WRITTEN = 204
_NOT_THERE = 404
_MOST_REQUESTS = 1000
_FARTHEST_US = 9_223_372_036_854_775  # InfluxDB counts nanoseconds in an int64


class _UnreachableError(RetryableError):
    """Nobody answers."""


class _MissingError(RetryableError):
    """The database or the bucket is not there (any more)."""


def _failure(action: str, status: int, said: str) -> GridwhistleError:
    """The error for an HTTP status that is no success.

    Only what is said of the data is permanent. A wrong token, a missing right or bucket are mended by a person while
    the readings wait; a page of HTML is not InfluxDB's, but of something on the way to it.
    """
    words = f"InfluxDB refused to {action}: {status} {said.strip()[:500]}"
    if _is_page(said):
        return RetryableError(words)
    if status == _NOT_THERE:
        return _MissingError(words)
    return PermanentError(words) if status in _OF_THE_DATA else RetryableError(words)


def _expect_written(status: int, said: str) -> None:
    if status != _WRITTEN:
        raise RetryableError(f"InfluxDB answered a write with {status}, expected {_WRITTEN}: {said.strip()[:500]}")


def _is_page(said: str) -> bool:
    return said.lstrip("\ufeff \t\r\n").startswith("<")


def _text(value: str) -> str:
    """A text literal of InfluxQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _name(value: str) -> str:
    """An identifier of InfluxQL."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Result(msgspec.Struct):
    series: list[dict[str, Any]] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result]


class _InfluxQl:
    """Reads (and, in 1.x, the whole life of a store) over HTTP."""

    def __init__(self, url: str, database: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._database = database
        self._headers = dict(headers)
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=8)

    def send(self, action: str, path: str, fields: Mapping[str, str], body: bytes | None = None) -> tuple[int, bytes]:
        """POST and return the answer's status and body. Raises RetryableError or PermanentError."""
        url = f"{self._url}{path}?{urlencode(fields)}"
        try:
            answer = self._pool.request("POST", url, body=body, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise _UnreachableError(f"InfluxDB at {self._url} cannot be reached: {error}") from error
        if answer.status >= 300:
            raise _failure(action, answer.status, answer.data.decode("utf-8", "replace"))
        return answer.status, answer.data

    def query(self, *statements: str) -> list[list[dict[str, Any]]]:
        """The series that each statement found."""
        fields = {"db": self._database, "epoch": "u", "q": ";".join(statements)}
        _, said = self.send("read", "/query", fields)
        try:
            results = msgspec.json.decode(said, type=_Answer).results
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise RetryableError(
                f"InfluxDB at {self._url} gave an answer that is not its own: {said[:200]!r}"
            ) from error
        for result in results:
            if result.error:
                raise RetryableError(f"InfluxDB refused to read: {result.error}")
        return [result.series for result in results]

    def close(self) -> None:
        self._pool.clear()


class _InfluxStore:
    """What the stores for all versions share: formatting and reading."""

    def __init__(self, city: City, reader: _InfluxQl) -> None:
        self._sensors = city.sensors
        self._lines = LineFormatter(city)
        self._reader = reader

    def write(self, batch: ReadingBatch) -> None:
        """See Store.write.

        A request that is refused for its data is halved until the refused readings stand alone; after
        ``_MOST_REQUESTS`` in one call the rest of what is refused is named without further division.
        """
        lines = self._lines.lines(batch)
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
                self._post(lines.part(begin, end))
            except _MissingError:
                self.prepare()  # somebody took it away: the next try finds it again
                raise
            except PermanentError as error:
                words = words or str(error)
                middle = (begin + end) // 2
                if end - begin == 1 or requests > _MOST_REQUESTS:
                    refused += range(begin, end)
                else:
                    parts += [(middle, end), (begin, middle)]
        if refused:
            raise StoreRefusedError(words, np.array(refused, np.int64))

    def prepare(self) -> None:
        """See Store.prepare."""
        raise NotImplementedError

    def _post(self, body: bytes) -> None:
        """Write lines. Raises RetryableError, or PermanentError where they are refused for what they hold."""
        raise NotImplementedError

    def series(self, sensor: int, from_us: int, to_us: int, max_points: int = 2000) -> Series:
        """See Store.series. A thinned point holds the mean, and stands at the beginning of its bucket."""
        if max_points < 1:
            raise ValueError(f"max_points is {max_points}, expected 1 or more")
        one = self._sensors[sensor]
        begin, end = max(from_us, -_FARTHEST_US), min(to_us, _FARTHEST_US)
        source = f'FROM {_name(one.quantity)} WHERE "sensor" = {_text(one.id)} AND time >= {begin}u AND time < {end}u'
        asked = (f'SELECT {what}("value") {source}' for what in ("count", "first", "last"))
        counted, first, last = self._reader.query(*asked)
        if not counted:
            return _series([])
        if counted[0]["values"][0][1] <= max_points:
            (rows,) = self._reader.query(f'SELECT "value" {source}')
            return _series([(time, value, value, value) for time, value in rows[0]["values"]])
        begin, newest = first[0]["values"][0][0], last[0]["values"][0][0]
        width = -(-(newest - begin + 1) // max_points)
        columns = ", ".join(f'{what}("value")' for what in ("mean", "min", "max"))
        every = f"GROUP BY time({width}u, {begin % width}u) fill(none)"
        (rows,) = self._reader.query(f"SELECT {columns} {source} {every}")
        return _series(rows[0]["values"])

    def count(self) -> int:
        """See Store.count."""
        (found,) = self._reader.query('SELECT count("value"), count("suspect") FROM /.*/')
        return sum(number or 0 for one in found for number in one["values"][0][1:])


def _series(rows: list[Any]) -> Series:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    time, value, low, high = columns
    return Series(
        np.array(time, np.int64), np.array(value, np.float64), np.array(low, np.float64), np.array(high, np.float64)
    )


class Influx1Store(_InfluxStore):
    """InfluxDB 1.x. See ``ingest.store.Store``. The last value written of a sensor and event time stays."""

    def __init__(self, settings: Influx1StoreSettings, city: City) -> None:
        headers: dict[str, str] = {}
        if settings.username is not None:
            password = settings.password.get_secret_value() if settings.password else ""
            headers = urllib3.make_headers(basic_auth=f"{settings.username}:{password}")
        self._database = settings.database
        super().__init__(city, _InfluxQl(settings.url, settings.database, headers))

    def prepare(self) -> None:
        """See Store.prepare. An account that may not create databases is enough where the database is there."""
        try:
            self._reader.query(f"CREATE DATABASE {_name(self._database)}")
        except _UnreachableError:
            raise
        except GridwhistleError as refused:
            try:
                self._reader.query("SHOW MEASUREMENTS LIMIT 1")
            except GridwhistleError:
                raise RetryableError(str(refused)) from None

    def _post(self, body: bytes) -> None:
        status, said = self._reader.send("write", "/write", {"db": self._database, "precision": "u"}, body)
        _expect_written(status, said.decode("utf-8", "replace"))

    def close(self) -> None:
        """See Store.close."""
        self._reader.close()


class InfluxStore(_InfluxStore):
    """InfluxDB 2.x or 3.x. See ``ingest.store.Store``. The last value written of a sensor and event time stays."""

    def __init__(self, settings: InfluxStoreSettings, city: City) -> None:
        token = settings.token.get_secret_value()
        super().__init__(city, _InfluxQl(settings.url, settings.bucket, {"Authorization": f"Token {token}"}))
        self._settings = settings
        self._client = InfluxDBClient(
            settings.url,
            token=token,
            org=settings.org,
            timeout=round(_READ_S * 1000),
            retries=urllib3.Retry(0, redirect=0),
        )
        self._writer = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]  # has no types

    def prepare(self) -> None:
        """See Store.prepare. 3.x knows no buckets and makes the database at the first write."""
        buckets = self._client.buckets_api()
        try:
            if buckets.find_bucket_by_name(self._settings.bucket) is None:  # type: ignore[no-untyped-call]  # has no types
                buckets.create_bucket(bucket_name=self._settings.bucket, org=self._settings.org)
        except ApiException as error:
            if error.status != 404:
                raise RetryableError(str(self._refused("prepare the bucket", error))) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        except (AttributeError, TypeError, ValueError) as error:  # what the library makes of another's answer
            raise RetryableError(f"InfluxDB at {self._settings.url} gave an answer that is not its own") from error

    def _post(self, body: bytes) -> None:
        settings = self._settings
        try:
            said, status, _ = self._writer.post_write_with_http_info(  # type: ignore[no-untyped-call]  # has no types
                settings.org,
                settings.bucket,
                body,
                precision=WritePrecision.US,
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as error:
            raise self._refused("write", error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        _expect_written(status, str(said or ""))

    @staticmethod
    def _refused(action: str, error: ApiException) -> GridwhistleError:
        body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body or "")
        return _failure(action, error.status or 500, body or str(error.reason))

    def _unreachable(self, error: Exception) -> RetryableError:
        return _UnreachableError(f"InfluxDB at {self._settings.url} cannot be reached: {error}")

    def close(self) -> None:
        """See Store.close."""
        self._client.close()  # type: ignore[no-untyped-call]  # has no types
        self._reader.close()
