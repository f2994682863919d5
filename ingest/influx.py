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
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from config.city import City
from config.errors import GridwhistleError, PermanentError, RetryableError
from config.settings import Influx1StoreSettings, InfluxStoreSettings
from ingest.line_protocol import LineFormatter
from ingest.model import ReadingBatch, Series

_CONNECT_S, _READ_S = 5.0, 30.0
_WORTH_RETRYING = (408, 425, 429)
_FARTHEST_US = 9_223_372_036_854_775  # InfluxDB counts nanoseconds in an int64


def _failure(action: str, status: int, said: str) -> GridwhistleError:
    """The error for an HTTP status: 5xx and "not just now" may be tried again, other 4xx may not."""
    words = f"InfluxDB refused to {action}: {status} {said.strip()[:500]}"
    return RetryableError(words) if status >= 500 or status in _WORTH_RETRYING else PermanentError(words)


def _text(value: str) -> str:
    """A text literal of InfluxQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _name(value: str) -> str:
    """An identifier of InfluxQL."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _InfluxQl:
    """Reads (and, in 1.x, the whole life of a store) over HTTP."""

    def __init__(self, url: str, database: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._database = database
        self._headers = dict(headers)
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=8)

    def send(self, action: str, path: str, fields: Mapping[str, str], body: bytes | None = None) -> bytes:
        """POST and return the answer's body. Raises RetryableError or PermanentError."""
        url = f"{self._url}{path}?{urlencode(fields)}"
        try:
            answer = self._pool.request("POST", url, body=body, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise RetryableError(f"InfluxDB at {self._url} cannot be reached: {error}") from error
        if answer.status >= 300:
            raise _failure(action, answer.status, answer.data.decode("utf-8", "replace"))
        return answer.data

    def query(self, *statements: str) -> list[list[Mapping[str, Any]]]:
        """The series that each statement found."""
        fields = {"db": self._database, "epoch": "u", "q": ";".join(statements)}
        answer = msgspec.json.decode(self.send("read", "/query", fields))
        for result in answer["results"]:
            if "error" in result:
                raise PermanentError(f"InfluxDB refused to read: {result['error']}")
        return [result.get("series", []) for result in answer["results"]]

    def close(self) -> None:
        self._pool.clear()


class _InfluxStore:
    """What the stores for all versions share: formatting and reading."""

    def __init__(self, city: City, reader: _InfluxQl) -> None:
        self._sensors = city.sensors
        self._lines = LineFormatter(city)
        self._reader = reader

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
        (rows,) = self._reader.query('SELECT count("value") FROM /.*/')
        return sum(one["values"][0][1] for one in rows)


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
        except PermanentError as refused:
            try:
                self._reader.query("SHOW MEASUREMENTS LIMIT 1")
            except PermanentError:
                raise refused from None

    def write(self, batch: ReadingBatch) -> None:
        """See Store.write. A part that the server dropped is a PermanentError with its words."""
        for body in self._lines.requests(batch):
            self._reader.send("write", "/write", {"db": self._database, "precision": "u"}, body)

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
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    def prepare(self) -> None:
        """See Store.prepare. 3.x knows no buckets and makes the database at the first write."""
        buckets = self._client.buckets_api()
        try:
            if buckets.find_bucket_by_name(self._settings.bucket) is None:  # type: ignore[no-untyped-call]  # has no types
                buckets.create_bucket(bucket_name=self._settings.bucket, org=self._settings.org)
        except ApiException as error:
            if error.status != 404:
                raise self._refused("prepare the bucket", error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error

    def write(self, batch: ReadingBatch) -> None:
        """See Store.write."""
        settings = self._settings
        for body in self._lines.requests(batch):
            try:
                self._writer.write(
                    settings.bucket,
                    settings.org,
                    body,
                    write_precision=WritePrecision.US,  # type: ignore[arg-type]  # the library's constants are plain strings
                )
            except ApiException as error:
                raise self._refused("write", error) from error
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(error) from error

    @staticmethod
    def _refused(action: str, error: ApiException) -> GridwhistleError:
        body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body or "")
        return _failure(action, error.status or 500, body or str(error.reason))

    def _unreachable(self, error: Exception) -> RetryableError:
        return RetryableError(f"InfluxDB at {self._settings.url} cannot be reached: {error}")

    def close(self) -> None:
        """See Store.close."""
        self._writer.close()  # type: ignore[no-untyped-call]  # has no types
        self._client.close()  # type: ignore[no-untyped-call]  # has no types
        self._reader.close()
