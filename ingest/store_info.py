"""What a store says about itself to the person who runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ingest.store import Store


class Done(StrEnum):
    """What setting up a store did to one of its places."""

    CREATED = "created"
    CHANGED = "changed"  # keeps what is in it for another time than before
    KEPT = "kept"  # was right already


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know. key: of its text, below ``store.note``; params: its placeholders."""

    key: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlaceInfo:
    """Where one kind of data is kept. wanted_hours: by the settings, hours: in truth; 0 is for ever.

    hours is None where the place is missing; bytes and rows are None where they cannot be asked.
    """

    name: str
    wanted_hours: int
    hours: int | None
    bytes: int | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """A store as it is. series: how many there are, None where it cannot be asked. aggregated_us: up to when."""

    product: str
    version: str
    address: str
    places: Sequence[PlaceInfo]
    series: int | None = None
    aggregated_us: int | None = None
    notes: Sequence[Note] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to a place, and for how long it kept what is in it before (None: it was missing) and does now."""

    done: Done
    place: str
    was_hours: int | None
    hours: int


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What setting up a store has done."""

    changes: Sequence[Change]
    notes: Sequence[Note] = ()


class ManagedStore(Store, Protocol):
    """A store that can be set up and asked how it is."""

    def arrange(self) -> Arrangement:
        """Create what is missing, and have every place keep what is in it for as long as the settings say.

        A second call changes nothing. Raises RetryableError where the store cannot be reached or does not let us.
        """
        ...

    def info(self) -> StoreInfo:
        """How the store is; changes nothing. Raises RetryableError where it cannot be reached."""
        ...


def change(place: str, was_hours: int | None, hours: int) -> Change:
    """The change that has been made to a place."""
    done = Done.CREATED if was_hours is None else Done.KEPT if was_hours == hours else Done.CHANGED
    return Change(done, place, was_hours, hours)


def notes_on(places: Sequence[PlaceInfo]) -> list[Note]:
    """What is not as the settings say."""
    found = []
    for place in places:
        if place.hours is None:
            found.append(Note("missing", {"place": place.name}))
        elif place.hours != place.wanted_hours:
            found.append(Note("kept_otherwise", {"place": place.name}))
    return found
