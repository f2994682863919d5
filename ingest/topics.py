"""MQTT topic filters (MQTT 3.1.1, 4.7): which topic carries which format."""

from collections.abc import Sequence

from config.settings import PayloadFormat

_REMEMBERED_TOPICS = 200_000
"""Topics whose answer is kept; beyond that the memory starts anew, so that made-up topics cannot fill it."""


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic filter covers a topic. A shared subscription's filter is what stands behind its group.

    >>> matches("a/+/c", "a/b/c"), matches("a/#", "a"), matches("a/+", "a/b/c"), matches("#", "$SYS/uptime")
    (True, True, False, False)
    """
    if pattern.startswith("$share/"):
        pattern = pattern.split("/", 2)[-1]
    if topic.startswith("$") and pattern[:1] in ("+", "#"):
        return False
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        if len(levels) < len(wanted):
            return False
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))


class TopicTable(dict[str, PayloadFormat | None]):
    """The format of a topic, by the first filter that covers it; None where none does. Remembers its answers."""

    def __init__(self, filters: Sequence[tuple[str, PayloadFormat]]) -> None:
        super().__init__()
        self._filters = tuple(filters)

    def __missing__(self, topic: str) -> PayloadFormat | None:
        if len(self) >= _REMEMBERED_TOPICS:
            self.clear()
        answer = next((found for pattern, found in self._filters if matches(pattern, topic)), None)
        self[topic] = answer
        return answer
