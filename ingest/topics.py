"""MQTT topic filters (MQTT 3.1.1, 4.7): which subscription a topic belongs to."""

from collections.abc import Sequence

from config.settings import Subscription

_REMEMBERED_TOPICS = 200_000
"""Topics whose answer is kept; beyond that the memory starts anew, so that made-up topics cannot fill it."""


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic filter covers a topic. A shared subscription's filter is what stands behind its group.

    >>> matches("a/+/c", "a/b/c"), matches("a/#", "a"), matches("a/+", "a/b/c"), matches("#", "$SYS/uptime")
    (True, True, False, False)
    """
    pattern = _unshared(pattern)
    if topic.startswith("$") and pattern[:1] in ("+", "#"):
        return False
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        if len(levels) < len(wanted):
            return False
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))


def _unshared(pattern: str) -> str:
    return pattern.split("/", 2)[-1] if pattern.startswith("$share/") else pattern


class TopicTable(dict[str, Subscription | None]):
    """The subscription of a topic, the first whose filter covers it; None where none does. Remembers its answers."""

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        super().__init__()
        self._subscriptions = tuple(subscriptions)
        self._trees = _trees(self._subscriptions)

    def __missing__(self, topic: str) -> Subscription | None:
        if len(self) >= _REMEMBERED_TOPICS:
            self.clear()
        answer = next((found for found in self._subscriptions if matches(found.filter, topic)), None)
        self[topic] = answer
        return answer

    def common(self, topics: Sequence[str]) -> Subscription | None:
        """The subscription of all these topics, where it is seen at a glance that they have the same; else None.

        Every text between two that begin alike begins like them: of a batch only the first and the last topic in
        order of text need to be looked at. Raises ValueError for no topics.
        """
        first, last = min(topics), max(topics)
        for beginning, subscription in self._trees:
            if first.startswith(beginning) and last.startswith(beginning):
                return subscription
        return None


def _trees(subscriptions: Sequence[Subscription]) -> list[tuple[str, Subscription]]:
    """Beginnings of topics that surely belong to one subscription: ``a/b/`` for ``a/b/#``.

    Unless one before it might cover some of them.
    """
    found: list[tuple[str, Subscription]] = []
    before: list[str] = []
    for subscription in subscriptions:
        pattern = _unshared(subscription.filter)
        fixed = pattern.partition("+")[0].partition("#")[0]
        if (
            pattern == f"{fixed}#"
            and fixed
            and not any(fixed.startswith(other) or other.startswith(fixed) for other in before)
        ):
            found.append((fixed, subscription))
        before.append(fixed)
    return found
