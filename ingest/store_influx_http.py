"""HTTP with an InfluxDB: what is sent, what its answers mean, and how it is asked in InfluxQL."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3

from config.errors import GridwhistleError, PermanentError, RetryableError

_CONNECT_S, _READ_S = 5.0, 30.0
_OF_THE_DATA = (400, 413, 422)
_OK, _WRITTEN = 200, 204
NOT_THERE = 404
_LIMITS = re.compile("max-series-per-database|max-values-per-tag")  # kept by 1.x; a person can lift them


class UnreachableError(RetryableError):
    """Nobody answers."""


class MissingError(RetryableError):
    """The database or the bucket is not there (any more)."""


def failure(action: str, status: int, said: str) -> GridwhistleError:
    """The error for an HTTP status that is no success.

    Only what is said of the data is permanent. A wrong token, a missing right or bucket are mended by a person while
    the readings wait; a page of HTML is not InfluxDB's, but of something on the way to it.
    """
    words = f"InfluxDB refused to {action}: {status} {said.strip()[:500]}"
    if limit := _LIMITS.search(said):
        return RetryableError(f"{words}; set {limit[0]} = 0 in its settings ([data]) and restart it, readings wait")
    if _is_page(said):
        return RetryableError(words)
    if status == NOT_THERE:
        return MissingError(words)
    return PermanentError(words) if status in _OF_THE_DATA else RetryableError(words)


def expect_written(status: int, said: str) -> None:
    """Raise RetryableError for any status that does not say that all has been written."""
    if status != _WRITTEN:
        raise RetryableError(f"InfluxDB answered a write with {status}, expected {_WRITTEN}: {said.strip()[:500]}")


def _is_page(said: str) -> bool:
    return said.lstrip("\ufeff \t\r\n").startswith("<")


class _Result(msgspec.Struct):
    series: list[dict[str, Any]] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result]


class InfluxQl:
    """Reads (and, in 1.x, the whole life of a store) over HTTP."""

    def __init__(self, url: str, database: str, headers: Mapping[str, str]) -> None:
        self.url = url.rstrip("/")
        self._database = database
        self._headers = dict(headers)
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=8)

    def send(
        self, action: str, path: str, fields: Mapping[str, str], body: bytes, kind: str = "text/plain; charset=utf-8"
    ) -> tuple[int, bytes]:
        """POST and return the answer's status and body. Raises RetryableError or PermanentError."""
        url = f"{self.url}{path}?{urlencode(fields)}"
        try:
            answer = self._pool.request("POST", url, body=body, headers={**self._headers, "Content-Type": kind})
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(f"InfluxDB at {self.url} cannot be reached: {error}") from error
        if answer.status >= 300:
            raise failure(action, answer.status, answer.data.decode("utf-8", "replace"))
        return answer.status, answer.data

    def get(self, path: str) -> tuple[int, bytes, Mapping[str, str]]:
        """GET and return the answer's status, body and headers. Raises RetryableError where nobody answers."""
        try:
            answer = self._pool.request("GET", f"{self.url}{path}", headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(f"InfluxDB at {self.url} cannot be reached: {error}") from error
        return answer.status, answer.data, answer.headers

    def query(self, *statements: str, database: str | None = None) -> list[list[dict[str, Any]]]:
        """The series that each statement found."""
        fields = {"db": database or self._database, "epoch": "u"}
        body = urlencode({"q": ";".join(statements)}).encode()
        _, said = self.send("read", "/query", fields, body, "application/x-www-form-urlencoded")
        try:
            results = msgspec.json.decode(said, type=_Answer).results
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise RetryableError(
                f"InfluxDB at {self.url} gave an answer that is not its own: {said[:200]!r}"
            ) from error
        for result in results:
            if result.error:
                raise RetryableError(f"InfluxDB refused to read: {result.error}")
        return [result.series for result in results]

    def is_influx(self) -> bool:
        """Whether InfluxQL is understood. VictoriaMetrics takes writes, and answers every query with the same words."""
        status, said, _ = self.get("/api/v1/status/buildinfo")
        return not (status == _OK and said.lstrip().startswith(b'{"status":"success"'))

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()
