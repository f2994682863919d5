"""The simulated workers' way to the command centre: its HTTP interface, spoken with the standard library alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from config.errors import ConfigurationError, PermanentError, RetryableError

API = "/api/v1"
PATIENCE_S = 20.0
_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Account:
    """A name and a password of the command centre."""

    name: str
    password: str = field(repr=False)


class Centre:
    """One connection to the command centre, kept open; signs in when it must. Calls block; one thread at a time."""

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError for an address that is none."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                f"the command centre's address is {url!r}, expected one like http://localhost:8080"
            )
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._url = url
        self._connection = kind(parts.hostname, parts.port, timeout=PATIENCE_S)
        self._tokens: dict[str, str] = {}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def post(self, account: Account, path: str, body: Mapping[str, Any]) -> str | None:
        """Do something as an account; None where it was done, else the reason why not (``taken_by_another``).

        path: below the API, ``/events/7/acknowledge``. Raises RetryableError where the centre cannot be reached or is
        busy, PermanentError where the account is refused.
        """
        if account.name not in self._tokens:
            self._sign_in(account)
        status, answer = self._ask(path, body, self._tokens[account.name])
        if status == HTTPStatus.UNAUTHORIZED:  # the session has ended
            self._sign_in(account)
            status, answer = self._ask(path, body, self._tokens[account.name])
        return None if status < HTTPStatus.BAD_REQUEST else str(answer.get("reason", status))

    def _sign_in(self, account: Account) -> None:
        wanted = {"name": account.name, "password": account.password, "token": True}
        status, answer = self._ask("/session", wanted, None)
        if status >= HTTPStatus.BAD_REQUEST:
            raise PermanentError(f"{self._url}: account {account.name} is refused: {answer.get('detail', status)}")
        self._tokens[account.name] = str(answer["token"])

    def _ask(self, path: str, body: Mapping[str, Any], token: str | None) -> tuple[int, Mapping[str, Any]]:
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            self._connection.request("POST", API + path, json.dumps(body).encode(), headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()  # opened again by the next request
            raise RetryableError(f"{self._url}: the command centre does not answer: {error}") from error
        if response.status in _AGAIN:
            raise RetryableError(f"{self._url}: the command centre is busy ({response.status})")
        try:
            answer = json.loads(content) if content else {}
        except ValueError as error:
            raise PermanentError(f"{self._url}: found no JSON in the answer, expected the command centre's") from error
        return response.status, answer if isinstance(answer, Mapping) else {}
