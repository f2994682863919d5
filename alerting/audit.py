"""The trail in plain words, and the proof that nothing of it is missing.

Entries are written by ``Transaction.trail`` in the transaction of the change they tell of. The database refuses to
alter or delete one and to leave out an id (triggers in ``migrations/``), so readers resume by the id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from alerting import tables
from alerting.accounts import UNKNOWN_NAMES
from alerting.events import Left
from alerting.ledger import Ledger
from alerting.model import Action, TrailEntry
from alerting.push import fill
from alerting.retire import SENSOR_REMOVED
from config.texts import both, number
from config.vocabulary import LocalText, Severity

_BY_ITSELF = {
    (Action.TICKET_CLOSED, "stayed_over"): "ticket_closed_by_itself",
    (Action.ALARM_CLEARED, SENSOR_REMOVED): "alarm_retired",
    (Action.SIGN_IN_REFUSED, UNKNOWN_NAMES): "sign_ins_refused",
    (Action.EVENT_ASSIGNED, Left.OFF_DUTY.value): "event_passed_on",
    (Action.EVENT_ASSIGNED, Left.GONE.value): "event_passed_on",
}
"""What has other words, by why it happened: nobody did it."""


@dataclass(frozen=True, slots=True)
class TrailCheck:
    """What a look at the whole trail found. missing: ids that are not there below the newest."""

    entries: int
    newest: int
    missing: int

    @property
    def whole(self) -> bool:
        """Whether every entry from the first to the newest is there."""
        return self.missing == 0


def check(ledger: Ledger) -> TrailCheck:
    """Count the trail."""
    query = select(func.count(), func.coalesce(func.max(tables.trail.c.id), 0))
    with ledger.read() as connection:
        entries, newest = connection.execute(query).one()
    return TrailCheck(entries, newest, newest - entries)


def describe(entry: TrailEntry) -> LocalText:
    """What happened, in both languages."""
    why = entry.detail.get("why")
    own = _BY_ITSELF.get((entry.action, why)) if isinstance(why, str) else None
    return fill(f"trail.{own or entry.action.value}", **_words(entry))


def _words(entry: TrailEntry) -> dict[str, object]:
    """The parameters of an entry's text, the names of things in both languages."""
    words: dict[str, object] = {"actor": entry.actor, **entry.detail}
    if "quantity" in entry.detail:
        words["quantity"] = both(f"quantity.{entry.detail['quantity']}")
        words["unit"] = "" if entry.detail["unit"] == "1" else entry.detail["unit"]
    if "condition" in entry.detail:
        words["condition"] = both(f"condition.{entry.detail['condition']}")
    if "severity" in entry.detail:
        words["severity"] = _severity(entry.detail["severity"])
    if "value" in entry.detail:
        value = entry.detail["value"]
        words["value"] = number(value) if isinstance(value, int | float) else "-"
    for name in ("before", "after"):
        if name in entry.detail:
            words[name] = _state(entry.detail[name])
    for name in ("responsible", "name"):
        if name in entry.detail:
            words[name] = _name(entry.detail[name], entry.detail.get("worker"))
    return words


def _severity(level: Any) -> LocalText:
    return both(f"severity.{Severity(level).name.lower()}")


def _state(change: Any) -> object:
    """What a before or after is called: the person, else the nature where it is known with the severity."""
    if not isinstance(change, Mapping):
        return change
    if "name" in change:
        return _name(change["name"], None)
    if "severity" in change and "nature" in change:
        severity, nature = _severity(change["severity"]), both(f"nature.{change['nature']}")
        return LocalText(zh=f"{severity.zh}（{nature.zh}）", en=f"{severity.en} ({nature.en})")
    return ""


def _name(name: Any, worker: Any) -> object:
    """A name in both languages from what the trail keeps: both names, a person holding them, or one plain name."""
    if isinstance(name, Mapping):
        held = name.get("name", name)
        return LocalText(zh=held["zh"], en=held["en"])
    return worker if name is None else name
