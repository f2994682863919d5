"""What the routes share: paging, and the errors that every one of them may answer."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Path, Query

from dashboard_api.problems import responses

SIGNED_IN = responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.UNPROCESSABLE_ENTITY)
FOUND = SIGNED_IN | responses(HTTPStatus.NOT_FOUND)
CHANGE = FOUND | responses(HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

LARGEST_ID = 2**63 - 1

Before = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="only entries older than this id")]
Limit = Annotated[int, Query(ge=1, le=500, description="at most this many")]
Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]


class _HasId(Protocol):
    @property
    def id(self) -> int: ...


def next_before(found: Sequence[_HasId], limit: int) -> int | None:
    """Where the next page begins: given that one more than ``limit`` was asked for, None where there is none."""
    return found[limit - 1].id if len(found) > limit else None
