"""Structured logs: lines for people on a terminal, JSON everywhere else; secrets and personal data masked.

Entries of structlog and of the standard library take the same way, so no library's log goes round the masks.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from config.city import Worker
from config.clock import Clock, SystemClock, isoformat

MASK = "***"

_SECRET_KEY = re.compile(r"pass(word|wd|phrase)?$|secret|token|cookie|authorization|credential|api_?key", re.IGNORECASE)
_PERSON_KEY = re.compile(r"phone|mobile|id_?card|name_(zh|en)$|(worker|person|resident)_name", re.IGNORECASE)
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(\w://[^\s:/@]*):[^\s/@]+@"), rf"\1:{MASK}@"),  # an address with a password
    (re.compile(r"\b(Bearer|Basic|Token)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"""(["']?\b(?:password|passwd|secret|token|api_?key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;}&]+)""",
                re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(?<![\w.])[1-9]\d{16}[\dXx](?!\w)"), MASK),  # identity card
    (re.compile(r"(?<![\w.+])(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?![\w.])"), MASK),  # mobile phone
)  # fmt: skip


class Masker:
    """A structlog processor that hides secrets and personal data wherever they stand in an entry."""

    def __init__(self) -> None:
        self._people: re.Pattern[str] | None = None

    def know(self, workers: Iterable[Worker]) -> None:
        """From now on hide these people's names and phone numbers too."""
        texts = {text for worker in workers for text in (worker.name.zh, worker.name.en, worker.phone) if text}
        longest_first = sorted(texts, key=len, reverse=True)
        self._people = re.compile("|".join(map(re.escape, longest_first))) if texts else None

    def text(self, text: str) -> str:
        """A text with everything masked that must not be read."""
        for pattern, mask in _IN_TEXT:
            text = pattern.sub(mask, text)
        return text if self._people is None else self._people.sub(MASK, text)

    def value(self, key: str, value: object) -> object:
        """The value of a key, masked as the key and its own content ask for."""
        if value is not None and (_SECRET_KEY.search(key) or _PERSON_KEY.search(key)):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self.value(str(name), entry) for name, entry in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value("", entry) for entry in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(repr(value) if isinstance(value, BaseException) else str(value))

    def __call__(self, _logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """See structlog's processors."""
        for key, value in entry.items():
            if not key.startswith("_"):
                entry[key] = self.value(key, value)
        return entry


_MASKER = Masker()

CHATTY = ("alembic", "uvicorn", "amqtt", "transitions", "asyncio")
"""Libraries whose good news nobody needs."""


def mask_people(workers: Iterable[Worker]) -> None:
    """Hide these people's names and phone numbers in everything that is logged from now on."""
    _MASKER.know(workers)


def configure_logs(*, level: int = logging.INFO, stream: TextIO | None = None, clock: Clock | None = None) -> None:
    """Set up the logs of the process. May be called again.

    stream: standard error if not given; a terminal gets coloured lines, anything else one JSON object a line.
    clock: what the entries' times are asked of.
    """
    stream = sys.stderr if stream is None else stream
    shared = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        _Timestamp(SystemClock() if clock is None else clock),
    )
    # an exception becomes text before the masks, so that its message and traceback are masked too
    last: tuple[Any, ...] = (structlog.processors.format_exc_info, _MASKER)
    render: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if stream.isatty():
        render = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, render],
        )
    )
    root = logging.getLogger()
    for former in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class _Handler(logging.StreamHandler[TextIO]):
    """Our own, to be found again when the logs are set up anew."""


class _Timestamp:
    """Puts the wall time into an entry."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        entry["at"] = isoformat(self._clock.now_us())
        return entry
